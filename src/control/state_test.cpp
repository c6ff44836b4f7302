// What the control of a service writes at a tick, over a synthetic journal: real state behind a
// counting port.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "adapters/objects/layout.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "bundle/bundle.hpp"
#include "bundle/config_fixture.hpp"
#include "contract/contract.hpp"
#include "control/outbox.hpp"
#include "control/service_control.hpp"
#include "control/worker_fixture.hpp"
#include "doc/json.hpp"
#include "plane/segment.hpp"
#include "recover/stored.hpp"
#include "watch/baseline_format.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::control {
namespace {

using watch::fixture::Stream;

/// Passes everything on and counts what is written.
class CountingTxn final : public store::Txn {
 public:
  CountingTxn(store::Txn& txn, std::map<std::string, std::size_t>& bytes)
      : txn_(txn), bytes_(bytes) {}
  Result<std::optional<std::string>> get(std::string_view collection,
                                         std::string_view key) override {
    return txn_.get(collection, key);
  }
  Result<void> put(std::string_view collection, std::string_view key,
                   std::string_view value) override {
    bytes_[std::string(collection)] += key.size() + value.size();
    return txn_.put(collection, key, value);
  }
  Result<void> erase(std::string_view collection, std::string_view key) override {
    return txn_.erase(collection, key);
  }
  Result<void> scan(std::string_view collection, std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return txn_.scan(collection, prefix, visit);
  }
  Result<std::uint64_t> append(std::string_view entry) override {
    bytes_["log"] += entry.size();
    return txn_.append(entry);
  }
  Result<std::uint64_t> log_size() override { return txn_.log_size(); }
  Result<void> read_log(
      std::uint64_t begin, std::uint64_t end,
      const std::function<bool(std::uint64_t, std::string_view)>& visit) override {
    return txn_.read_log(begin, end, visit);
  }

 private:
  store::Txn& txn_;
  std::map<std::string, std::size_t>& bytes_;
};

class CountingState final : public store::State {
 public:
  explicit CountingState(std::unique_ptr<store::State> state) : state_(std::move(state)) {}
  Result<void> write(const std::function<Result<void>(store::Txn&)>& body) override {
    return state_->write([&](store::Txn& txn) {
      CountingTxn counting(txn, bytes);
      return body(counting);
    });
  }
  Result<void> read(const std::function<Result<void>(store::Txn&)>& body) override {
    return state_->read(body);
  }
  Result<void> usable() const override { return state_->usable(); }

  std::map<std::string, std::size_t> bytes;  ///< by collection, since it was last cleared
  [[nodiscard]] std::size_t take() {
    std::size_t sum = 0;
    for (const auto& [collection, count] : std::exchange(bytes, {})) sum += count;
    return sum;
  }

 private:
  std::unique_ptr<store::State> state_;
};

class StateTest : public testing::Test {
 protected:
  void SetUp() override {
    home_.emplace(testing::TempDir() + uuid7());
    ASSERT_TRUE(make_dirs(home_->dir() + "/keys").ok());
    workers_.emplace(project_);
    project_.contracts["c"] = Stream::contract();
    project_.feature_sets["f"].contract = "c";
    project_.models["m"].features = "f";
    project_.monitors["w"] = Stream::monitor();
    auto& service = project_.services["s"];
    service.identity.name = "s";
    service.model = "m";
    service.monitor = "w";
    service.autonomy = "act";
    const auto rule = [&](std::string id, spec::PolicyRule::Effect effect,
                          std::vector<std::string> who, std::vector<std::string> actions) {
      spec::PolicyRule out;
      out.id = std::move(id);
      out.effect = effect;
      out.who = std::move(who);
      out.actions = std::move(actions);
      out.approver_role = "approver";
      project_.policies["p"].rules.push_back(out);
    };
    rule("quarantine-needs-a-person", spec::PolicyRule::Effect::kRequireApproval, {"agent:*"},
         {"source.quarantine"});
    rule("agents-note", spec::PolicyRule::Effect::kAllow, {"agent:*"},
         {"incident.*", "postmortem.*"});
    rule("people-release", spec::PolicyRule::Effect::kAllow, {"person:*"}, {"release.*"});
    project_.people = {{"ada", {"approver"}, {}}};
    state_ = std::make_unique<CountingState>(adapters::open_sqlite_state(home_->state()).value());
    objects_ = adapters::open_layout(home_->objects()).value();
    key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
    ledger_ = ledger::Ledger::open(
                  *state_, {home_->dir() + "/tiles", "tiny",
                            Ed25519Key::from_seed(std::string(32, '\3')).value(), &system_clock()})
                  .value();
    policy_ = policy::LocalEngine::open(*state_, *ledger_, project_, system_clock()).value();
    outbox_ = Outbox::open(*state_, {}).value();
    const auto contract = *contract::Contract::compile(Stream::contract(), {});
    const auto bundle =
        bundle::pack(*objects_,
                     {{std::string(bundle::kContract), "", doc::to_json(contract.to_value())},
                      {std::string(bundle::kBaseline), "",
                       doc::to_json(watch::baseline_schema().print(stream_.baseline()))},
                      {std::string(bundle::kCalibration), "",
                       R"({"format":"heddle.calibration/1","offsets":[0]})"},
                      {std::string(bundle::kEvaluation), "", bundle::fixture::kPassed}},
                     bundle::fixture::config());
    ASSERT_TRUE(bundle.ok()) << bundle.error().str();
    plane::JournalWriter::Options journal;
    journal.dir = home_->spool("s");
    journal.fields = {"at", "place", "distance"};
    writer_ = *plane::JournalWriter::open(journal);
    open();
    ASSERT_TRUE(control_->promote(*bundle, "primary", 0, {policy::ActorType::kPerson, "ada"}).ok());
    writer_->append(plane::AppliedRecord{control_->releases().version(), {}});
  }
  void open() {
    control_.reset();
    auto opened = ServiceControl::open(
        {&*home_, &project_, state_.get(), objects_.get(), nullptr, &*workers_, policy_.get(),
         outbox_.get(), &key_, fixture::kProgram, fixture::open_exchange},
        project_.services.at("s"));
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    control_ = std::move(*opened);
  }
  void pump() {
    ASSERT_TRUE(writer_->commit().ok());
    for (auto more = control_->pump();; more = control_->pump()) {
      ASSERT_TRUE(more.ok()) << more.error().str();
      if (!*more) break;
    }
  }
  /// A day of traffic, read tick by tick. Returns the bytes written at each tick, in order.
  std::vector<std::size_t> day(int number, const Stream::Fault& fault = {}) {
    std::vector<plane::Record> records;
    stream_.day(number, fault, records, control_->releases().version());
    std::vector<std::size_t> written;
    for (const auto& record : records) {
      writer_->append(record);
      if (!std::holds_alternative<plane::TickRecord>(record)) continue;
      (void)state_->take();
      pump();
      written.push_back(state_->take());
    }
    return written;
  }
  static std::size_t sum(const std::vector<std::size_t>& all) {
    return std::accumulate(all.begin(), all.end(), std::size_t{0});
  }
  std::size_t rows_of(std::string_view collection) {
    std::size_t count = 0;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) {
                      return txn.scan(collection, "s/", [&](std::string_view, std::string_view) {
                        return ++count > 0;
                      });
                    })
                    .ok());
    return count;
  }

  Stream stream_{41};
  std::optional<Home> home_;
  spec::Project project_;
  std::optional<fixture::Workers> workers_;
  std::unique_ptr<CountingState> state_;
  std::unique_ptr<store::Objects> objects_;
  Ed25519Key key_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<policy::LocalEngine> policy_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<plane::JournalWriter> writer_;
  std::unique_ptr<ServiceControl> control_;
};

TEST_F(StateTest, AWaitingApprovalAndManyClosedIncidentsCostNothingAtATick) {
  const Stream::Fault fault{.distance_ratio = 1.609344};
  for (int number = 100; number < 103; ++number) (void)day(number);
  (void)day(103, fault);
  const auto approvals = policy_->approvals();
  ASSERT_EQ(approvals->size(), 1U);
  ASSERT_EQ(approvals->front().status, policy::Approval::Status::kPending);

  // Three hundred incidents that were closed long ago, as an older state has them: each with its
  // story.
  const auto& now = control_->ladder().incidents();
  ASSERT_EQ(now.size(), 1U);
  recover::Incident closed = now.front();
  closed.step = recover::Step::kDone;
  closed.recovered_at = 50 * kDay;
  for (int i = 0; i < 40; ++i)
    closed.timeline.push_back(
        {50 * kDay, "something happened then, and this is what was done about it", 7});
  ASSERT_TRUE(state_
                  ->write([&](store::Txn& txn) -> Result<void> {
                    for (int i = 0; i < 300; ++i) {
                      closed.id = fmt::format("incident-0{:03}-old", i);
                      HEDDLE_TRY(txn.put("incidents", "s/" + closed.id,
                                         doc::to_json(recover::incident_schema().print(closed))));
                    }
                    return {};
                  })
                  .ok());
  open();
  EXPECT_EQ(control_->ladder().incidents().size(), 301U);
  (void)day(104, fault);  // they are written for the last time
  EXPECT_EQ(control_->ladder().incidents().size(), 1U);
  EXPECT_EQ(rows_of("incidents"), 1U);
  EXPECT_EQ(rows_of("incidents-closed"), 300U);
  EXPECT_EQ(control_->incidents()->size(), 301U);

  std::vector<std::size_t> days;
  for (int number = 105; number < 109; ++number) {
    const auto ticks = day(number, fault);
    ASSERT_GE(ticks.size(), 12U);
    // The day's own snapshot, when it is over; the ticks in it change nothing and write nothing,
    // but for the one that tells people again that a proposal waits: half a week after day 103.
    EXPECT_EQ(
        std::count_if(ticks.begin(), ticks.end(), [](std::size_t bytes) { return bytes > 0; }),
        number == 106 ? 2 : 1)
        << number;
    days.push_back(sum(ticks));
  }
  EXPECT_EQ(policy_->approvals()->front().status, policy::Approval::Status::kPending);
  // About 110 bytes a row with its label. It was 11 MB at every tick.
  for (const auto bytes : days) {
    EXPECT_LT(bytes, Stream::kRows * std::size_t{200});
    EXPECT_LT(bytes, days.front() + days.front() / 10);
  }
  // And all of it is there after a restart.
  open();
  EXPECT_EQ(control_->ladder().incidents().size(), 1U);
  EXPECT_EQ(control_->incidents()->size(), 301U);
  EXPECT_EQ(control_->watched().in_windows + control_->watched().partial, 9 * Stream::kRows);
}

TEST_F(StateTest, WhatNobodyHasToReadAnyMoreIsSaidWithinTheDay) {
  plane::JournalWriter::Options journal;
  journal.dir = home_->spool("s");
  journal.fields = {"at", "place", "distance"};
  journal.segment_bytes = 32 << 10;
  writer_ = *plane::JournalWriter::open(journal);
  const auto said = [&] {
    const auto text = read_file(journal.dir + "/consumed");
    return text.ok() ? std::strtoull(text->c_str(), nullptr, 10) : 0ULL;
  };
  (void)day(100);
  EXPECT_LE(said(), 1U) << "the access log has read nothing yet";
  control_->archived(3);
  EXPECT_EQ(said(), 4U) << "and what is in it was saved";
  control_->archived(UINT64_MAX);
  const auto after_a_day = said();
  EXPECT_GT(after_a_day, 4U);
  // Within a day: a journal is full long before it ends where traffic is high.
  std::vector<plane::Record> records;
  stream_.day(101, {}, records, control_->releases().version());
  std::uint64_t within = 0;
  for (const auto& record : records) {
    writer_->append(record);
    const auto* tick = std::get_if<plane::TickRecord>(&record);
    if (tick == nullptr) {
      ASSERT_TRUE(writer_->commit().ok());
      continue;
    }
    pump();
    if (tick->event_time == 101 * kDay + 22 * kHour) within = said();
  }
  EXPECT_GE(within, after_a_day + 4);
  // A restart reads on from what was said.
  open();
  EXPECT_EQ(control_->watched().rows, 2 * Stream::kRows);
}

TEST_F(StateTest, AJournalThatWentBeforeTheFirstTickIsMissed) {
  std::vector<plane::Record> records;
  stream_.day(100, {}, records, control_->releases().version());
  std::erase_if(records, [](const auto& record) {
    return !std::holds_alternative<plane::RequestRecord>(record);
  });
  for (std::size_t i = 0; i < 5; ++i) writer_->append(records[i]);
  pump();
  EXPECT_TRUE(control_->journal_lost().empty());
  open();
  EXPECT_TRUE(control_->journal_lost().empty());
  EXPECT_EQ(control_->watched().rows, 5);
  writer_.reset();
  std::filesystem::remove_all(home_->spool("s"));
  open();
  EXPECT_FALSE(control_->journal_lost().empty());
}

TEST_F(StateTest, WhatIsNotRecordedIsInTheLedgerAndIsSaid) {
  (void)day(100);
  writer_->append(plane::GapRecord{40, "the journal is full", 2, "app"});
  (void)day(101);
  int opened = 0;
  ASSERT_TRUE(ledger_
                  ->read(0,
                         [&](const ledger::Entry& entry) {
                           opened += entry.action == "incident.open" &&
                                             entry.attributes.string_or("cause") ==
                                                 "unrecorded traffic" &&
                                             entry.attributes.string_or("account") == "app"
                                         ? 1
                                         : 0;
                           return true;
                         })
                  .ok());
  EXPECT_EQ(opened, 1);
  const auto watched = control_->watched();
  EXPECT_EQ(watched.unrecorded.at("app").requests, 40);
  writer_->append(plane::GapRecord{1, "the journal is full", 0, "app"});
  pump();
  EXPECT_NE(control_->watched().line.find("not recorded: 1 requests and 0 labels of account `app`"),
            std::string::npos)
      << control_->watched().line;
}

TEST_F(StateTest, ADamagedJournalIsAnIncidentAndTheControlPlaneGoesOn) {
  (void)day(100);
  // A day comes while nobody reads, and is damaged in the middle: one byte, then a page.
  std::vector<plane::Record> records;
  stream_.day(101, {}, records, control_->releases().version());
  const auto begin = writer_->position();
  for (const auto& record : records) writer_->append(record);
  ASSERT_TRUE(writer_->commit().ok());
  ASSERT_EQ(writer_->position().segment, begin.segment);
  const auto end = writer_->position().offset;
  ASSERT_GT(end - begin.offset, 64U << 10);
  {
    std::fstream file(plane::segment_path(home_->spool("s"), begin.segment),
                      std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(begin.offset + (end - begin.offset) / 3);
    file.seekg(at);
    const char flipped = static_cast<char>(file.get() ^ 0x20);
    file.seekp(at);
    file.put(flipped);
    file.seekp(static_cast<std::streamoff>(begin.offset + (end - begin.offset) / 2));
    file.write(std::string(4096, '\0').data(), 4096);
  }
  pump();
  (void)day(102);
  const auto rows = control_->watched().rows;
  EXPECT_LT(rows, 3 * Stream::kRows);
  EXPECT_GT(rows, 3 * Stream::kRows - 200) << "the rest of the segment was read";
  std::vector<std::string> reasons;
  ASSERT_TRUE(ledger_
                  ->read(0,
                         [&](const ledger::Entry& entry) {
                           if (entry.action == "incident.open" &&
                               entry.attributes.string_or("cause") == "unrecorded traffic")
                             reasons.push_back(entry.reason + doc::to_json(entry.attributes));
                           return true;
                         })
                  .ok());
  ASSERT_EQ(reasons.size(), 1U) << "one, while it goes on";
  EXPECT_NE(reasons.front().find("that cannot be read"), std::string::npos) << reasons.front();
  // A restart reads the same.
  open();
  EXPECT_EQ(control_->watched().rows, rows);
}

TEST_F(StateTest, APageIsWrittenBesideTheControlThread) {
  spec::PolicyRule rule;
  rule.id = "people-note";
  rule.effect = spec::PolicyRule::Effect::kAllow;
  rule.who = {"person:*"};
  rule.actions = {"incident.*"};
  project_.policies["p"].rules.push_back(rule);
  ASSERT_TRUE(policy_->load(project_).ok());
  (void)day(100);
  const policy::Actor ada{policy::ActorType::kPerson, "ada", {"os-user:ada"}};
  recover::ByHand act;
  act.kind = recover::ByHand::Kind::kOpen;
  act.text = "looks odd";
  const auto opened = control_->act_by_hand(act, ada);
  ASSERT_TRUE(opened.ok()) << opened.error().str();
  act.kind = recover::ByHand::Kind::kClose;
  act.incident = *opened->incident;
  ASSERT_TRUE(control_->act_by_hand(act, ada).ok());
  const auto page = [&] {
    std::optional<std::string> row;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) -> Result<void> {
                      HEDDLE_ASSIGN_OR_RETURN(row, txn.get("postmortems", "s/" + act.incident));
                      return {};
                    })
                    .ok());
    return row.has_value();
  };
  Micros now = control_->watermark();
  const auto tick_after = [&](Micros later) {
    now += later;
    writer_->append(plane::TickRecord{now});
    pump();
    return control_->watermark();
  };
  workers_->held = true;  // it takes long
  EXPECT_EQ(tick_after(kMinute), now);
  EXPECT_EQ(workers_->started, std::vector<std::string>{"postmortem"});
  EXPECT_EQ(tick_after(9 * kMinute), now) << "nothing waits for a page before its time";
  const Micros before = now;
  EXPECT_EQ(tick_after(2 * kMinute), before) << "then the tick does, and nobody else";
  EXPECT_FALSE(page());
  EXPECT_EQ(control_->watched().watched, true);
  open();  // a crash meanwhile starts it again
  workers_->held = false;
  pump();
  EXPECT_EQ(control_->watermark(), now);
  EXPECT_TRUE(page());
  EXPECT_EQ(workers_->started.size(), 2U);
  EXPECT_FALSE(path_exists(home_->runs() + "/s-" + act.incident + "-postmortem.write-1"))
      << "its page is in the evidence";
}

TEST_F(StateTest, ASnapshotOfAnotherVersionIsRefusedByName) {
  (void)day(100);
  ASSERT_TRUE(state_
                  ->write([&](store::Txn& txn) -> Result<void> {
                    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", "s/snapshot"));
                    auto value = *doc::parse_json(*row);
                    value.set("format", "heddle.control/9");
                    return txn.put("control", "s/snapshot", doc::to_json(value));
                  })
                  .ok());
  auto opened = ServiceControl::open(
      {&*home_, &project_, state_.get(), objects_.get(), nullptr, &*workers_, policy_.get(),
       outbox_.get(), &key_, fixture::kProgram, fixture::open_exchange},
      project_.services.at("s"));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().id, "control-state-version");
  EXPECT_NE(opened.error().message.find("heddle.control/9"), std::string::npos);
}

}  // namespace
}  // namespace heddle::control
