// A service that cannot be read is locked, and it alone.
#include "control/service_locks.hpp"

#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "control/core_fixture.hpp"

namespace heddle::control {
namespace {

/// Two services, `s` and `t`, of one control plane.
class ServiceLocksTest : public fixture::CoreTest {
 protected:
  void SetUp() override {
    project_.services["t"].identity.name = "t";
    project_.services["t"].model = "m";
    project_.services["t"].monitor = "w";
    project_.services["t"].autonomy = "act";
    receivers_ = {{"t", {{"http://127.0.0.1:9/told", "secret", 1'000'000}}}};
    fixture::CoreTest::SetUp();
    ASSERT_FALSE(HasFatalFailure());
    make_core();
  }
  void set(const std::string& collection, const std::string& key,
           const std::optional<std::string>& text) {
    ASSERT_TRUE(core_->state
                    ->write([&](store::Txn& txn) {
                      return text ? txn.put(collection, key, *text) : txn.erase(collection, key);
                    })
                    .ok());
  }
  /// The state of `t` is of a version that this program does not read.
  void break_state(bool broken) {
    set("control", "t/snapshot",
        broken ? std::optional<std::string>(R"({"format": "heddle.control/0"})") : std::nullopt);
  }
  /// The data plane of `t` tells of its TLS files, and what is known of them cannot be read.
  void break_reading(bool broken) {
    set("control", "t/tls", broken ? std::optional<std::string>("no JSON") : std::nullopt);
    if (!broken) return;
    const auto writer =
        plane::JournalWriter::open({.dir = home_->spool("t"), .fields = {}}).value();
    writer->append(plane::ActRecord{"certificate", "sha256:a", 0, "", "act-1-a", ""});
    writer->append(plane::ActRecord{"client_ca", "", 0, "", "act-1", ""});
    ASSERT_TRUE(writer->commit().ok());
  }
  void pump() {
    const auto pumped = pump_services(*core_);
    ASSERT_TRUE(pumped.ok()) << pumped.error().str();
  }
  /// As after its pause.
  void try_again() {
    core_->locked.at("t").again = {};
    pump();
  }
  [[nodiscard]] bool decides(const std::string& service) const {
    return core_->services.contains(service);
  }
  std::vector<std::string> entries() {
    std::vector<std::string> found;
    EXPECT_TRUE(core_->ledger
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             const auto& action = entry.action;
                             if (action == "service.lock" || action == "service.unlock")
                               found.push_back(action + " " + entry.target);
                             return true;
                           })
                    .ok());
    return found;
  }
  Result<doc::Value> call(std::string_view operation, doc::Value request, bool waits = true) {
    Caller caller{"owner", true};
    caller.waits = waits;
    for (const auto& row : operation_table()) {
      if (row.operation.name == operation)
        return row.handler(*core_, {row.operation.name, std::move(request), caller},
                           [] { return Result<void>(); });
    }
    return Error{ErrorKind::kNotFound, "operation-unknown", ""};
  }
  /// What `status` says of `t`.
  doc::Value shown() {
    const auto status = call("status", doc::Value::object());
    EXPECT_TRUE(status.ok()) << status.error().str();
    doc::Value found;
    for (const auto& each : status->find("services")->as_array()) {
      if (each.string_or("name") == "t") found = each;
    }
    EXPECT_EQ(status->find("services")->size(), 2U);
    return found;
  }
  using Lines = std::vector<std::string>;
};

TEST_F(ServiceLocksTest, WhileRefusedRowsAreReadEverybodyElseIsAnswered) {
  ASSERT_TRUE(open_services(*core_).ok());
  static std::atomic<bool> held{true};
  core_->refused = RefusedListing([](const RefusedListing::Question&) -> Result<RefusedRows> {
    while (held) std::this_thread::yield();
    RefusedRows found;
    found.rows.push_back({.request_id = "r-1"});
    return found;
  });
  const auto rows = [&] {
    return call("quarantine.show", doc::Value::object({{"service", "s"}}), false).value();
  };
  EXPECT_TRUE(rows().bool_or("reading"));
  EXPECT_EQ(shown().string_or("name"), "t");
  pump();
  EXPECT_TRUE(rows().bool_or("reading"));
  EXPECT_EQ(rows().find("rows"), nullptr);
  held = false;
  auto reply = rows();
  while (reply.bool_or("reading")) reply = rows();
  EXPECT_EQ(reply.find("rows")->as_array().at(0).string_or("request_id"), "r-1");
}

TEST_F(ServiceLocksTest, AStateThatFailedEndsThePlaneThoughNoServiceUsesIt) {
  ASSERT_TRUE(open_services(*core_).ok());
  pump();
  disk_->left = 0;
  const auto pumped = pump_services(*core_);
  ASSERT_FALSE(pumped.ok());
  EXPECT_EQ(pumped.error().id, "state-failed");
}

TEST_F(ServiceLocksTest, AStateThatCannotBeReadLocksThatServiceAlone) {
  break_state(true);
  ASSERT_TRUE(open_services(*core_).ok());
  EXPECT_TRUE(decides("s"));
  EXPECT_FALSE(decides("t"));
  EXPECT_EQ(entries(), Lines{"service.lock service/t"});
  const auto said = shown();
  ASSERT_NE(said.find("locked"), nullptr);
  EXPECT_EQ(said.find("locked")->string_or("id"), "control-state-version");
  const auto refused = core_->service("t");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "service-locked");
  EXPECT_NE(refused.error().message.find("heddle.control/0"), std::string::npos);
  EXPECT_EQ(core_->service("u").error().id, "service-unknown");
  // It is tried again, and that is no other lock.
  try_again();
  EXPECT_FALSE(decides("t"));
  EXPECT_EQ(core_->locked.at("t").pause, std::chrono::milliseconds(1000));
  pump();
  break_state(false);
  pump();
  EXPECT_FALSE(decides("t")) << "its pause is not over";
  try_again();
  EXPECT_TRUE(decides("t"));
  pump();
  EXPECT_EQ(entries(), (Lines{"service.lock service/t", "service.unlock service/t"}));
  EXPECT_EQ(shown().find("locked"), nullptr);
  EXPECT_TRUE(core_->locked.empty());
}

TEST_F(ServiceLocksTest, AJournalThatCannotBeReadOnLocksThatServiceAlone) {
  ASSERT_TRUE(open_services(*core_).ok());
  pump();
  break_reading(true);
  pump();
  EXPECT_TRUE(decides("s"));
  EXPECT_FALSE(decides("t"));
  std::vector<std::string> told;
  ASSERT_TRUE(core_->state
                  ->read([&](store::Txn& txn) {
                    return txn.scan("outbox-known", "", [&](std::string_view id, auto) {
                      told.emplace_back(id);
                      return true;
                    });
                  })
                  .ok());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].starts_with("lock/t/")) << told[0];
  // It opens, and fails where it failed: it stays locked by the same entry, and longer each time.
  try_again();
  EXPECT_FALSE(decides("t"));
  EXPECT_EQ(entries(), Lines{"service.lock service/t"});
  EXPECT_EQ(core_->locked.at("t").pause, std::chrono::milliseconds(1000));
  break_reading(false);
  try_again();
  EXPECT_TRUE(decides("t"));
  EXPECT_EQ(entries(), (Lines{"service.lock service/t", "service.unlock service/t"}));
}

TEST_F(ServiceLocksTest, ALockOutlivesThePlaneUntilTheServiceReadsOn) {
  break_state(true);
  ASSERT_TRUE(open_services(*core_).ok());
  for (const bool broken : {true, false}) {
    core_->services.clear();
    core_->locked.clear();
    break_state(broken);
    ASSERT_TRUE(open_services(*core_).ok());
    EXPECT_EQ(decides("t"), !broken);
    EXPECT_EQ(entries(), Lines{"service.lock service/t"});
  }
  pump();
  EXPECT_EQ(entries(), (Lines{"service.lock service/t", "service.unlock service/t"}));
}

TEST_F(ServiceLocksTest, WhereNoServiceIsLeftTheFaultIsThePlanes) {
  break_state(true);
  core_->running.services.erase("s");
  const auto opened = open_services(*core_);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().id, "control-state-version");
  EXPECT_TRUE(entries().empty());
}

TEST_F(ServiceLocksTest, AStopOfEverythingStopsTheOthersAndNamesTheLockedOne) {
  break_state(true);
  ASSERT_TRUE(open_services(*core_).ok());
  const auto stopped = call("stop", doc::Value::object({{"service", "*"}}));
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().id, "service-locked");
  EXPECT_TRUE(core_->services.at("s")->releases().stopped());
}

TEST_F(ServiceLocksTest, AYesIsNotKeptThroughALock) {
  ASSERT_TRUE(open_services(*core_).ok());
  const auto asked = core_->services.at("t")->promote(bundles_[2], "primary", 0, kBen);
  ASSERT_TRUE(asked.ok()) << asked.error().str();
  const auto id = asked->approval;
  ASSERT_TRUE(lock_service(*core_, "t", {ErrorKind::kIo, "disk", "it failed"}).ok());
  const auto statement = core_->policy->approval(id)->statement;
  const auto request =
      doc::Value::object({{"id", id}, {"person", "ada"}, {"signature", ada_->sign(statement)}});
  EXPECT_EQ(call("approval.approve", request).error().id, "service-locked");
  EXPECT_EQ(core_->policy->approval(id)->status, policy::Approval::Status::kPending);
  try_again();
  ASSERT_TRUE(decides("t"));
  const auto given = call("approval.approve", request);
  ASSERT_TRUE(given.ok()) << given.error().str();
  EXPECT_TRUE(given->bool_or("applied"));
}

}  // namespace
}  // namespace heddle::control
