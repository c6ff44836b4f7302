// What people do with refused rows: a decision, its entry, and what waits after it.
#include "control/settled_rows.hpp"

#include <gmock/gmock.h>

#include "control/access.hpp"
#include "control/core_fixture.hpp"
#include "control/failing_values.hpp"
#include "control/service_locks.hpp"
#include "plane/journal.hpp"
#include "table/table.hpp"
#include "telemetry/access_log.hpp"

namespace heddle::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A service whose primary repairs, and a journal of four refused rows, `q-0#0` to `q-3#0`.
class SettledRowsTest : public fixture::CoreTest {
 protected:
  void SetUp() override {
    fixture::CoreTest::SetUp();
    ASSERT_FALSE(HasFatalFailure());
    const auto repairing =
        score::fixture::pack(*objects_, 0, false, score::fixture::repairing_contract());
    ASSERT_TRUE(repairing.ok()) << repairing.error().str();
    bundles_[2] = with_evidence(*repairing);
    ASSERT_TRUE(promote(2));
    const std::uint64_t version = control_->releases().version();
    project_.contracts["c"] = score::fixture::repairing_contract();
    project_.people[1].os_users = {"ben"};
    write_journal(version);
    make_core();
    ASSERT_TRUE(open_services(*core_).ok());
  }

  Digest with_evidence(const Digest& digest) {
    const auto made = bundle::open(*objects_, digest).value();
    auto layers = made.layers();
    layers.push_back(
        {std::string(bundle::kBaseline), "", doc::to_json(watch::baseline_schema().print({}))});
    layers.push_back({std::string(bundle::kEvaluation), "", bundle::fixture::kPassed});
    layers.push_back({std::string(bundle::kStatements), "", "[]"});
    return bundle::pack(*objects_, std::move(layers), made.config()).value();
  }

  /// Distances that no origin has.
  void write_journal(std::uint64_t version) const {
    ASSERT_TRUE(make_dirs(home_->spool("s")).ok());
    const auto writer = plane::JournalWriter::open(
                            {.dir = home_->spool("s"), .fields = {"date", "origin", "distance"}})
                            .value();
    const auto text = [](std::string s) {
      plane::FieldValue value;
      value.kind = expr::Datum::Kind::kString;
      value.s = std::move(s);
      return value;
    };
    for (int i = 0; i < 4; ++i) {
      plane::RequestRecord request;
      request.request_id = fmt::format("q-{}", i);
      request.source = i == 3 ? "two" : "one";
      request.event_time = clock_.at;
      request.slot = "primary";
      request.route_version = version;
      request.rows.push_back(
          {.outcome = plane::RowOutcome::kRefused,
           .rules = {"distance-of-origin"},
           .fields = {text("01.04.2001 05:00"), text(i == 0 ? " abq" : "LAX"), text("101,0")}});
      writer->append(plane::Record(request));
    }
    ASSERT_TRUE(writer->commit().ok());
  }

  void allow(const std::string& action,
             spec::PolicyRule::Effect effect = spec::PolicyRule::Effect::kAllow) {
    spec::PolicyRule rule;
    rule.id = "people-settle";
    rule.effect = effect;
    rule.who = {"person:ben"};
    rule.actions = {action};
    rule.approver_role = "approver";
    project_.policies["p"].rules.push_back(rule);
    ASSERT_TRUE(core_->policy->load(project_).ok());
  }

  Result<doc::Value> call(std::string_view operation, doc::Value request,
                          const std::string& user = "ben") {
    Caller caller{"owner", true};
    caller.os_user = user;
    for (const auto& row : operation_table()) {
      if (row.operation.name == operation)
        return row.handler(*core_, {row.operation.name, std::move(request), caller},
                           [] { return Result<void>(); });
    }
    return Error{ErrorKind::kNotFound, "operation-unknown", ""};
  }

  using Rows = std::vector<std::string>;
  static doc::Value request(const std::string& act, const Rows& rows, std::int64_t count) {
    return doc::Value::object(
        {{"service", "s"},
         {"act", act},
         {"rows", doc::to_list(rows, [](const std::string& id) { return doc::Value(id); })},
         {"count", count},
         {"stay", 1},
         {"input", sha256("in").str()},
         {"reason", "they are two trips"}});
  }
  /// The id of the error; empty: it was done.
  std::string settle(const std::string& act, const Rows& rows, const std::string& user = "ben") {
    const auto done =
        call("quarantine.settle", request(act, rows, static_cast<std::int64_t>(rows.size())), user);
    return done.ok() ? "" : done.error().id;
  }
  /// What is listed, by the rows' ids.
  std::vector<doc::Value> shown(bool settled = false) {
    const auto reply =
        call("quarantine.show", doc::Value::object({{"service", "s"}, {"settled", settled}}));
    EXPECT_TRUE(reply.ok()) << reply.error().str();
    return reply.ok() ? reply->find("rows")->as_array() : std::vector<doc::Value>();
  }
  Rows waiting(bool settled = false) {
    Rows out;
    for (const auto& row : shown(settled)) out.push_back(row.string_or("request_id"));
    return out;
  }
  std::vector<ledger::Entry> entries() {
    std::vector<ledger::Entry> found;
    EXPECT_TRUE(core_->ledger
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             if (entry.action.starts_with("rows.")) found.push_back(entry);
                             return true;
                           })
                    .ok());
    return found;
  }
};

TEST_F(SettledRowsTest, ARowIsShownWithWhatFailedAndWhatWasRepaired) {
  const auto rows = shown();
  ASSERT_EQ(rows.size(), 4U);
  const auto& first = rows[0];
  EXPECT_EQ(first.string_or("slot"), "primary");
  EXPECT_EQ(first.string_or("bundle"), bundles_[2].str());
  EXPECT_EQ(doc::to_json(*first.find("repairs")),
            R"(["date-dates","origin-trim","origin-case","distance-decimal"])");
  EXPECT_EQ(doc::to_json(*rows[1].find("repairs")), R"(["date-dates","distance-decimal"])");
  // The values as they were sent.
  EXPECT_EQ(doc::to_json(*first.find("failing")),
            R"([{"rule":"distance-of-origin","field":"origin","value":" abq"},)"
            R"({"rule":"distance-of-origin","field":"distance","value":"101,0"}])");
  EXPECT_EQ(first.string_or("settled", "?"), "");
}

TEST_F(SettledRowsTest, TheAccessLogKeepsWhatWasRepairedOfEachRow) {
  // A journal segment is finished when a later one exists.
  const auto next =
      plane::JournalWriter::open({.dir = home_->spool("s"), .fields = {"date"}}).value();
  next->append(plane::Record(plane::TickRecord{clock_.at}));
  ASSERT_TRUE(next->commit().ok());
  ASSERT_TRUE(write_access_log(*core_, "s", *core_->services.at("s")).ok());
  const auto rows = table::read_table(telemetry::access_path(core_->home.access("s"), 1));
  ASSERT_TRUE(rows.ok()) << rows.error().str();
  ASSERT_EQ(rows->rows(), 4);
  const auto text = [&](const char* column, std::int64_t row) {
    return rows->find(column)->view().at(row).str();
  };
  EXPECT_EQ(text("repairs", 0), "date-dates,origin-trim,origin-case,distance-decimal");
  EXPECT_EQ(text("repairs", 1), "date-dates,distance-decimal");
  EXPECT_EQ(text("bundle", 1), bundles_[2].str());
}

TEST_F(SettledRowsTest, WhatPolicyDoesNotAllowChangesNothing) {
  EXPECT_EQ(settle("discard", {"q-0#0"}), "rows-denied");
  EXPECT_EQ(waiting(), (Rows{"q-0", "q-1", "q-2", "q-3"}));
  ASSERT_EQ(entries().size(), 1U) << "that somebody was denied it is recorded";
  EXPECT_EQ(entries()[0].result, "denied");
  allow("rows.discard", spec::PolicyRule::Effect::kRequireApproval);
  const auto asked = call("quarantine.settle", request("discard", {"q-0#0"}, 1));
  EXPECT_EQ(asked.error().id, "rows-denied");
  EXPECT_THAT(asked.error().message, HasSubstr("asks for an approval"));
  EXPECT_EQ(waiting(true).size(), 4U);
  EXPECT_EQ(waiting().size(), 4U);
}

TEST_F(SettledRowsTest, OnlyAPersonWhoIsProvenSettles) {
  allow("rows.*");
  EXPECT_EQ(settle("discard", {"q-0#0"}, "somebody"), "person-unproven");
  auto claimed = request("discard", {"q-0#0"}, 1);
  claimed.set("person", "ada");
  EXPECT_EQ(call("quarantine.settle", claimed).error().id, "person-unproven");
  EXPECT_EQ(waiting().size(), 4U);
}

TEST_F(SettledRowsTest, SettledRowsAreListedNoMoreAndTheEntrySaysWhy) {
  allow("rows.*");
  ASSERT_EQ(settle("accept", {"q-0#0", "q-2#0"}), "");
  EXPECT_EQ(waiting(), (Rows{"q-1", "q-3"}));
  EXPECT_EQ(waiting(true), (Rows{"q-0", "q-1", "q-2", "q-3"}));
  EXPECT_EQ(shown(true)[0].string_or("settled"), "accept");
  EXPECT_EQ(shown(true)[1].string_or("settled", "?"), "");
  const auto all = entries();
  ASSERT_EQ(all.size(), 1U);
  const auto& entry = all[0];
  EXPECT_EQ(entry.action, "rows.accept");
  EXPECT_EQ(entry.actor, "ben");
  EXPECT_EQ(entry.target, "service/s");
  EXPECT_EQ(entry.reason, "they are two trips");
  EXPECT_EQ(entry.attributes.int_or("rows"), 2);
  EXPECT_EQ(entry.attributes.int_or("stay"), 1);
  EXPECT_EQ(entry.attributes.bool_or("of_a_file", true), false);
  // Ids and values of rows are not of the ledger.
  EXPECT_EQ(doc::to_json(entry.attributes).find("q-0"), std::string::npos);
}

TEST_F(SettledRowsTest, ARowIsSettledOnce) {
  allow("rows.*");
  ASSERT_EQ(settle("discard", {"q-0#0"}), "");
  const auto twice = call("quarantine.settle", request("accept", {"q-1#0", "q-0#0"}, 2));
  EXPECT_EQ(twice.error().id, "rows-settled");
  EXPECT_THAT(twice.error().message, HasSubstr("`q-0#0` was settled by `ben` already (`discard`"));
  EXPECT_EQ(waiting(), (Rows{"q-1", "q-2", "q-3"})) << "nothing of it was done";
  EXPECT_EQ(entries().size(), 1U);
}

TEST_F(SettledRowsTest, WhatWasSettledCanWaitAgain) {
  allow("rows.*");
  ASSERT_EQ(settle("discard", {"q-0#0", "q-1#0"}), "");
  EXPECT_EQ(settle("restore", {"q-2#0"}), "rows-not-settled");
  EXPECT_EQ(settle("restore", {"q-1#0", "q-2#0"}), "rows-not-settled");
  EXPECT_EQ(waiting(), (Rows{"q-2", "q-3"})) << "all of them or none";
  EXPECT_EQ(settle("restore", {"q-1#0"}), "");
  EXPECT_EQ(waiting(), (Rows{"q-1", "q-2", "q-3"}));
  EXPECT_EQ(settle("accept", {"q-1#0"}), "");
  EXPECT_EQ(settle("restore", {"q-0#0", "q-1#0"}), "");
  EXPECT_EQ(waiting().size(), 4U);
  EXPECT_EQ(entries().back().action, "rows.restore");
  // Nothing of those acts is left.
  EXPECT_TRUE(settled_rows(*core_->state, "s")->empty());
}

TEST_F(SettledRowsTest, RowsOfAFileLeaveNothingButTheEntry) {
  allow("rows.*");
  ASSERT_TRUE(call("quarantine.settle", request("accept", {}, 7)).ok());
  EXPECT_EQ(waiting().size(), 4U);
  const auto all = entries();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(all[0].attributes.bool_or("of_a_file", false));
  EXPECT_EQ(all[0].attributes.int_or("rows"), 7);
  ASSERT_EQ(all[0].evidence.size(), 1U);
  EXPECT_EQ(all[0].evidence[0].second, sha256("in"));
  EXPECT_EQ(call("quarantine.settle", request("restore", {}, 7)).error().id, "rows-none");
  EXPECT_EQ(call("quarantine.settle", request("accept", {}, 0)).error().id, "rows-none");
  EXPECT_EQ(call("quarantine.settle", request("accept", {"q-0#0", "q-1#0"}, 1)).error().id,
            "rows-none");
}

TEST_F(SettledRowsTest, WhatIsKeptOfActsIsBounded) {
  allow("rows.*");
  for (int i = 0; i < 103; ++i) ASSERT_EQ(settle("discard", {fmt::format("r-{}#0", i)}), "");
  const auto kept = settled_rows(*core_->state, "s").value();
  EXPECT_EQ(kept.size(), 100U);
  EXPECT_FALSE(kept.contains("r-2#0")) << "the oldest go";
  EXPECT_TRUE(kept.contains("r-3#0"));
  EXPECT_TRUE(settled_rows(*core_->state, "other")->empty());
}

TEST(FieldsOfRule, AreThoseThatARuleIsAbout) {
  const auto contract = score::fixture::contract();
  EXPECT_THAT(fields_of_rule(contract, "distance-of-origin"), ElementsAre("origin", "distance"));
  EXPECT_THAT(fields_of_rule(contract, "late-hour"), ElementsAre("date"));
  EXPECT_THAT(fields_of_rule(contract, "distance-maximum"), ElementsAre("distance"));
  EXPECT_THAT(fields_of_rule(contract, "unknown-field/when"), ElementsAre("when"));
  EXPECT_THAT(fields_of_rule(contract, "source-quarantined"), ElementsAre());
}

}  // namespace
}  // namespace heddle::control
