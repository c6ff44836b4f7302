// What recovery did, and what people release after it: branches for review in a real repository,
// releases that take a repair up or drop it, acts that are over.
#include <cstdio>

#include "adapters/git/repository.hpp"
#include "contract/contract.hpp"
#include "control/recipes.hpp"
#include "control/repairs.hpp"
#include "control/retrain.hpp"
#include "control/service_fixture.hpp"
#include "control/work_files.hpp"
#include "control/works.hpp"
#include "evaluate/evidence_format.hpp"
#include "flow/variant.hpp"
#include "spec/load.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::control {
namespace {

using recover::Act;
using Outcome = recover::Outcome::Status;

constexpr const char* kContract = R"(apiVersion: v3.2.0
kind: DataContract
id: trips
name: c
version: 1.0.0
status: active
schema:
  - name: trips  # one row a trip
    logicalType: object
    properties:
      - {name: date, logicalType: timestamp, required: true}
      - {name: origin, logicalType: string, required: true}
      - {name: distance, logicalType: integer, required: true}
)";

class AfterRecoveryTest : public fixture::ServiceTest {
 protected:
  void SetUp() override {
    fixture::ServiceTest::SetUp();
    ASSERT_FALSE(HasFatalFailure());
    git("init -q -b main");
    write("heddle.yaml", "apiVersion: heddle/v1\nkind: Project\nname: tiny\nowners: [ada]\n");
    write("contracts/c.odcs.yaml", kContract);
    write(".gitignore", "/.heddle/\n");
    commit("start");
    git_ = adapters::open_git(home_->root()).value();
    project_.name = "tiny";
    project_.contracts["c"].identity.file = "contracts/c.odcs.yaml";
    project_.policies["p"].rules[1].actions = {"slot.swap",          "source.*",
                                               "postmortem.*",       "incident.*",
                                               "transform.withdraw", "recalibration.withdraw"};
    ASSERT_TRUE(policy_->load(project_).ok());
    open();
    plane::JournalWriter::Options journal;
    journal.dir = home_->spool("s");
    journal.fields = {"date", "origin", "distance"};
    writer_ = plane::JournalWriter::open(journal).value();
  }
  /// The answer of the real git, without the newline at its end.
  std::string git(const std::string& arguments, bool must = true) {
    const auto command = fmt::format(
        "git -C '{}' -c user.name=t -c user.email=t@localhost -c commit.gpgsign=false {} 2>&1",
        home_->root(), arguments);
    FILE* pipe = ::popen(command.c_str(), "r");
    HEDDLE_CHECK(pipe != nullptr, "popen");
    std::string text;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
      text.push_back(static_cast<char>(c));
    const int status = ::pclose(pipe);
    HEDDLE_CHECK(!must || status == 0, text);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  void write(const std::string& path, std::string_view text) {
    const auto full = home_->root() + "/" + path;
    ASSERT_TRUE(make_dirs(full.substr(0, full.rfind('/'))).ok());
    ASSERT_TRUE(write_file_atomic(full, text).ok());
  }
  void commit(const std::string& message) {
    git("add -A");
    git("commit -q -m " + message);
  }
  /// As the ladder keeps it: what recovery did is in its saved state.
  void begin(const Act& act) {
    Snapshot snapshot;
    snapshot.ladder = control_->ladder().state();
    snapshot.ladder.acts.push_back(act);
    ASSERT_TRUE(state_
                    ->write([&](store::Txn& txn) {
                      return txn.put("control", "s/snapshot",
                                     doc::to_json(snapshot_schema().print(snapshot)));
                    })
                    .ok());
    open();
    ASSERT_EQ(control_->ladder().acts().size(), 1U);
  }
  void tick(int day) {
    writer_->append(plane::TickRecord{*parse_time("2001-01-01") + day * kDay});
    ASSERT_TRUE(writer_->commit().ok());
    for (auto more = control_->pump();; more = control_->pump()) {
      ASSERT_TRUE(more.ok()) << more.error().str();
      if (!*more) break;
    }
  }
  /// A repair of `distance`, asked, signed, applied and in force.
  void repaired() {
    repair();
    ASSERT_EQ(yes(newest()), "");
    const auto done = repair();
    ASSERT_EQ(done.status, Outcome::kApplied);
    ASSERT_EQ(done.made, control_->releases().primary().str());
    begin({"incident-0001/transform", recover::TransformInForce{"distance", "shift"},
           "incident-0001", 0, done.made});
  }
  Outcome postmortem() { return recover(recover::WritePostmortem{"# what happened\n"}).status; }
  std::vector<spec::Transform> transforms_at(const std::string& revision,
                                             const std::string& file = "contracts/c.odcs.yaml") {
    std::vector<doc::Diagnostic> said;
    const auto contract =
        spec::parse_contract(git("show " + revision + ":" + file) + "\n", file, said);
    for (const auto& each : said) EXPECT_NE(each.severity, doc::Severity::kError) << each.message;
    return contract.transforms;
  }
  /// What `heddle run` makes of definitions with these transforms: built, not derived.
  Digest built(const std::vector<spec::Transform>& transforms, double intercept) {
    Digest made = pack(intercept);
    for (const auto& each : transforms)
      made = flow::with_transform(*objects_, made, each, "c0ffee").value();
    return bundle::pack(*objects_, bundle::open(*objects_, made)->layers(),
                        bundle::fixture::config())
        .value();
  }
  /// What the bundle's contract makes of a distance of 100.
  double distance_by(const Digest& bundle) {
    const auto opened = bundle::open(*objects_, bundle).value();
    const auto contract =
        contract::Contract::from_value(opened.json(bundle::kContract).value()).value();
    const std::vector<expr::Datum> row{expr::Datum::timestamp(0), expr::Datum::string("ABQ"),
                                       expr::Datum::integer(100)};
    contract::RowCheck check;
    contract.check(row, check);
    return static_cast<double>(check.row.at(2).i);
  }
  Result<Asked> release(const Digest& bundle) {
    auto reply = control_->promote(bundle, "primary", 0, kBen);
    if (!reply.ok()) return reply;
    EXPECT_EQ(yes(reply->approval), "");
    return reply;
  }

  static constexpr const char* kBranch = "heddle/tiny/s/incident-0001";
  std::unique_ptr<plane::JournalWriter> writer_;
};

TEST_F(AfterRecoveryTest, ARepairThatIsMergedIsInTheCandidateOnce) {
  repaired();
  ASSERT_EQ(distance_by(control_->releases().primary()), 101);
  ASSERT_EQ(postmortem(), Outcome::kApplied);
  EXPECT_EQ(git(fmt::format("show {}:incidents/s/incident-0001.md", kBranch)), "# what happened");
  EXPECT_NE(git(fmt::format("log -1 --format=%B {}", kBranch)).find("in force stands in"),
            std::string::npos);
  // A crash after it: the same files are no second commit.
  const auto tip = git(fmt::format("rev-parse {}", kBranch));
  ASSERT_EQ(postmortem(), Outcome::kApplied);
  EXPECT_EQ(git(fmt::format("rev-parse {}", kBranch)), tip);

  write("contracts/c.odcs.yaml", std::string(kContract) + "# somebody else's line\n");
  commit("meanwhile");
  git(fmt::format("merge -q --no-edit {}", kBranch), false);
  if (!git("diff --name-only --diff-filter=U").empty()) {
    git("checkout -q --theirs contracts/c.odcs.yaml");
    commit("merged");
  }
  const auto merged = transforms_at("HEAD");
  ASSERT_EQ(merged.size(), 1U);
  const auto candidate = built(merged, 0.75);
  const auto reply = release(candidate);
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  EXPECT_EQ(reply->drops_repairs->size(), 0U);
  EXPECT_EQ(reply->reason.find("repair"), std::string::npos);
  EXPECT_EQ(distance_by(control_->releases().primary()), 101) << "applied once";
  // It is the release's own now and still recovery's to watch: the fault may end.
  tick(1);
  ASSERT_EQ(control_->ladder().acts().size(), 1U);
  EXPECT_EQ(repair().status, Outcome::kApplied);
  EXPECT_EQ(control_->releases().primary(), candidate) << "the same repair again does nothing";
}

TEST_F(AfterRecoveryTest, ARepairThatWasTakenBackIsNotBroughtBackUnsaid) {
  repaired();
  ASSERT_EQ(postmortem(), Outcome::kApplied);
  const auto withdrawn = recover(recover::WithdrawTransform{"distance", "shift"});
  ASSERT_EQ(withdrawn.status, Outcome::kApplied);
  ASSERT_EQ(distance_by(control_->releases().primary()), 100);
  // The branch of when it was in force is merged now.
  git(fmt::format("merge -q --no-edit {}", kBranch));
  const auto reply = release(built(transforms_at("HEAD"), 0.75));
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  ASSERT_EQ(reply->revives_repairs->size(), 1U);
  EXPECT_NE(reply->reason.find("brings back"), std::string::npos);
  const auto approval = policy_->approval(reply->approval).value();
  EXPECT_EQ(approval.evidence.back().name, kRepairsEvidence);
}

TEST_F(AfterRecoveryTest, ABranchFitsTheContractOfHead) {
  repaired();
  // The same repair by hand, under another id: twice in one contract it would be applied twice.
  write("contracts/c.odcs.yaml", std::string(kContract) +
                                     "customProperties:\n  - property: transforms\n    vendor: "
                                     "heddle\n    value:\n      - {id: by-hand, field: distance, "
                                     "expression: distance + 1, reason: miles}\n");
  commit("by-hand");
  ASSERT_EQ(postmortem(), Outcome::kApplied);
  EXPECT_EQ(transforms_at(kBranch).size(), 1U);
  EXPECT_EQ(git(fmt::format("diff --name-only main...{}", kBranch)),
            "incidents/s/incident-0001.md");

  // The contract in another file.
  git(fmt::format("branch -q -D {}", kBranch));
  git("rm -q contracts/c.odcs.yaml");
  write("contracts/trips.yaml", kContract);
  commit("moved");
  ASSERT_EQ(postmortem(), Outcome::kApplied);
  EXPECT_EQ(transforms_at(kBranch, "contracts/trips.yaml").size(), 1U);

  // The column under another name, or of another type.
  for (const char* column :
       {"{name: miles, logicalType: integer}", "{name: distance, logicalType: string}"}) {
    git(fmt::format("branch -q -D {}", kBranch));
    std::string text = kContract;
    const std::string old = "{name: distance, logicalType: integer, required: true}";
    write("contracts/trips.yaml", text.replace(text.find(old), old.size(), column));
    commit("other-column");
    ASSERT_EQ(postmortem(), Outcome::kApplied);
    EXPECT_EQ(git(fmt::format("diff --name-only main...{}", kBranch)),
              "incidents/s/incident-0001.md");
    const auto message = git(fmt::format("log -1 --format=%B {}", kBranch));
    EXPECT_NE(message.find("repair of `distance` that is in force is not on this branch"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("distance + 1"), std::string::npos);
  }
}

TEST_F(AfterRecoveryTest, WhatSomebodyPutOnTheBranchStays) {
  repaired();
  ASSERT_EQ(postmortem(), Outcome::kApplied);
  git(fmt::format("checkout -q {}", kBranch));
  write("incidents/s/notes.md", "seen\n");
  commit("notes");
  git("checkout -q main");
  write("other.txt", "of main\n");
  commit("main-goes-on");
  ASSERT_EQ(recover(recover::WritePostmortem{"# more\n"}).status, Outcome::kApplied);
  EXPECT_EQ(git(fmt::format("show {}:incidents/s/notes.md", kBranch)), "seen");
  EXPECT_EQ(git(fmt::format("show {}:incidents/s/incident-0001.md", kBranch)), "# more");
  EXPECT_EQ(git(fmt::format("ls-tree --name-only {} other.txt", kBranch)), "") << "nothing of main";
}

TEST_F(AfterRecoveryTest, ARecalibrationThatIsDroppedIsSaidAndNotTakenBackFromAnother) {
  ASSERT_EQ(recover(recover::Recalibrate{{0.5}}).status, Outcome::kWaiting);
  ASSERT_EQ(yes(newest()), "");
  const auto done = recover(recover::Recalibrate{{0.5}});
  ASSERT_EQ(done.status, Outcome::kApplied);
  begin({"incident-0001/recalibration", recover::RecalibrationInForce{{0.5}}, "incident-0001", 0,
         done.made});
  tick(1);
  EXPECT_EQ(control_->ladder().acts().size(), 1U);
  // Behind a standby that took over it waits.
  ASSERT_EQ(swap().status, Outcome::kApplied);
  tick(2);
  EXPECT_EQ(control_->ladder().acts().size(), 1U);
  const auto reply = release(bundles_[2]);
  ASSERT_TRUE(reply.ok()) << reply.error().str();
  tick(3);
  EXPECT_EQ(control_->ladder().acts().size(), 1U) << "it is the standby's still";
  ASSERT_TRUE(promote(3, "standby"));
  tick(4);
  EXPECT_TRUE(control_->ladder().acts().empty());
  EXPECT_EQ(control_->releases().primary(), bundles_[2]);
}

/// Agents recalibrate by themselves, within the bounds that hold where no policy states any.
class RecalibrationBoundTest : public AfterRecoveryTest {
 protected:
  void SetUp() override {
    AfterRecoveryTest::SetUp();
    ASSERT_FALSE(HasFatalFailure());
    project_.policies["p"].rules[0].who = {"person:*"};
    project_.policies["p"].rules[1].actions = {"release.*", "recalibration.withdraw", "slot.swap"};
    ASSERT_TRUE(policy_->load(project_).ok());
    open();
  }
  /// Incident number `step_` recalibrates by `delta`; the rule that decided.
  std::string move(double delta) {
    ++step_;
    return again(delta);
  }
  std::string again(double delta) {
    const auto outcome =
        recover(recover::Recalibrate{{delta}}, fmt::format("incident-{:04}", step_));
    return outcome.rules.empty() ? "" : outcome.rules.front();
  }
  void take_back(double delta) {
    ++step_;
    ASSERT_EQ(
        recover(recover::WithdrawRecalibration{{-delta}}, fmt::format("incident-{:04}", step_))
            .status,
        Outcome::kApplied);
  }
  double intercept() {
    return bundle::open(*objects_, control_->releases().primary())
        ->json(bundle::kCalibration)
        ->find("offsets")
        ->as_array()[0]
        .as_double();
  }

  static constexpr const char* kFree = "agents-act";
  static constexpr const char* kAsked = "recalibration-bound-needs-a-person";
  int step_ = 0;
};

TEST_F(RecalibrationBoundTest, ManyStepsStopAtTheSumUntilAPersonSaysYes) {
  const double start = intercept();
  EXPECT_EQ(move(0.74), kFree);
  EXPECT_EQ(move(0.74), kFree);
  EXPECT_EQ(move(0.74), kAsked);
  EXPECT_NEAR(intercept() - start, 1.48, 1e-9);
  const auto approval = policy_->approval(newest()).value();
  EXPECT_EQ(approval.binds.string_or("offset_delta"), "0.74");
  EXPECT_EQ(approval.binds.string_or("offset_sum"), "2.22");
  EXPECT_NE(approval.reason.find("+2.22 in sum"), std::string::npos) << approval.reason;
  // Neither a restart nor another name for the same forgets what was added.
  open_parts();
  open();
  EXPECT_EQ(again(0.74), kAsked);
  EXPECT_EQ(newest(), approval.id) << "one question";
  const int asked = step_;
  EXPECT_EQ(move(0.03), kAsked);
  step_ = asked;
  EXPECT_NEAR(intercept() - start, 1.48, 1e-9);
  EXPECT_EQ(yes(approval.id), "");
  again(0.74);
  step_ = asked + 1;
  EXPECT_NEAR(intercept() - start, 2.22, 1e-9);
  // A person released that: from here it counts anew.
  EXPECT_EQ(move(0.74), kFree);
  EXPECT_EQ(move(-0.74), kFree);
  EXPECT_EQ(move(0.9), kFree);
  EXPECT_EQ(move(0.7), kAsked);
}

TEST_F(RecalibrationBoundTest, OneStepIsBoundedAndWhatIsTakenBackIsNotInTheSum) {
  EXPECT_EQ(move(1.2), kAsked);
  EXPECT_EQ(move(-1.2), kAsked);
  EXPECT_EQ(move(1.0), kFree);
  EXPECT_EQ(move(0.6), kAsked);
  take_back(1.0);
  EXPECT_EQ(move(0.9), kFree);
  // Back to an earlier one by the agent: what that one has is still in the sum.
  const Digest first = control_->releases().primary();
  EXPECT_EQ(move(0.5), kFree);
  ++step_;
  ASSERT_EQ(recover(recover::RollBack{first.str()}, fmt::format("incident-{:04}", step_)).status,
            Outcome::kApplied);
  ASSERT_EQ(control_->releases().primary(), first);
  EXPECT_EQ(move(0.7), kAsked);
  EXPECT_EQ(move(0.4), kFree);
}

TEST_F(RecalibrationBoundTest, WhatLabelsMakeOfAnIntervalIsBoundedToo) {
  // A model of a number: its interval is its value and 10 on each side, its labels spread by 20.
  const auto bare = bundle::open(*objects_, *score::fixture::pack_number(*objects_, 10)).value();
  auto layers = bare.layers();
  watch::Baseline baseline;
  baseline.label_scale = 20;
  layers.push_back(
      {std::string(bundle::kBaseline), "", doc::to_json(watch::baseline_schema().print(baseline))});
  layers.push_back({std::string(bundle::kEvaluation), "", bundle::fixture::kPassed});
  layers.push_back({std::string(bundle::kStatements), "", "[]"});
  const auto number = bundle::pack(*objects_, std::move(layers), bare.config()).value();
  ASSERT_EQ(yes(asked(control_->promote(number, "primary", 0, kBen, false))), "");

  const auto refit = [&](double by) {
    ++step_;
    const auto outcome = recover(recover::Recalibrate{{0.0}, {}, by, 500, 0.8, 0.91},
                                 fmt::format("incident-{:04}", step_));
    return outcome.rules.empty() ? "" : outcome.rules.front();
  };
  const auto served = [&] {
    return bundle::open(*objects_, control_->releases().primary()).value();
  };
  const auto quantile = [&] { return calibration_of(served())->interval->quantile; };
  constexpr const char* kAskedOfInterval = "interval-bound-needs-a-person";
  EXPECT_EQ(refit(21), kAskedOfInterval) << "one is of 20 at most";
  EXPECT_EQ(refit(14), kFree);
  EXPECT_EQ(refit(14), kFree);
  EXPECT_EQ(refit(14), kAskedOfInterval) << "and the sum of 30";
  EXPECT_EQ(refit(-14), kFree);
  EXPECT_EQ(quantile(), 24);
  EXPECT_EQ(refit(14), kFree);
  EXPECT_EQ(quantile(), 38);
  const auto approval = policy_->approval(newest()).value();
  EXPECT_EQ(approval.binds.string_or("interval_delta"), "0.7");
  EXPECT_EQ(approval.binds.string_or("interval_sum"), "2.1");
  EXPECT_NE(approval.reason.find("of the intervals +0.7, +2.1 in sum"), std::string::npos)
      << approval.reason;
  // What it rests on is in the bundle, and what a release drops is named.
  const auto evidence = *served().json(bundle::kEvaluation);
  ASSERT_NE(evidence.find("interval_refit"), nullptr);
  EXPECT_EQ(evidence.find("interval_refit")->int_or("rows"), 500);
  EXPECT_EQ(evidence.find("interval_refit")->double_or("held_before"), 0.8);
  EXPECT_TRUE(evidence.bool_or("passed"));
  EXPECT_EQ(dropped_repairs(*objects_, control_->releases().primary(), number).value(),
            std::vector<std::string>{"recalibration of the intervals by +28"});
  // Taken back, the bundle does not say any more that it was fitted.
  ++step_;
  ASSERT_EQ(
      recover(recover::WithdrawRecalibration{{0.0}, -28}, fmt::format("incident-{:04}", step_))
          .status,
      Outcome::kApplied);
  EXPECT_EQ(quantile(), 10);
  EXPECT_EQ(served().json(bundle::kEvaluation)->find("interval_refit"), nullptr);
}

TEST_F(AfterRecoveryTest, ASwapIsNotUndoneOnceAPersonReleasedSomethingElse) {
  const auto done = swap();
  ASSERT_EQ(done.status, Outcome::kApplied);
  const Act act{"incident-0001/swap", recover::SwapInForce{done.before}, "incident-0001", 0,
                done.made};
  ASSERT_EQ(act.made, bundles_[1].str());
  begin(act);
  tick(1);
  ASSERT_EQ(control_->ladder().acts().size(), 1U);
  ASSERT_TRUE(promote(2));
  open();  // and a restart forgets nothing of it
  tick(2);
  EXPECT_TRUE(control_->ladder().acts().empty());
  EXPECT_EQ(control_->releases().primary(), bundles_[2]);
}

TEST_F(RecalibrationBoundTest, ARetrainThatForgetsOrRestsOnOneAccountsLabelsIsAskedOfAPerson) {
  // The rules let the agent promote; what the candidate's own evidence says is asked about.
  const auto retrained = [&](double intercept, const evaluate::RetrainEvidence& judged) {
    const auto made = bundle::open(*objects_, pack(intercept)).value();
    auto layers = made.layers();
    for (auto& layer : layers) {
      if (layer.title == bundle::kEvaluation)
        layer.bytes =
            doc::to_json(doc::parse_json(bundle::fixture::kPassed)
                             .value()
                             .set("retrain", evaluate::retrain_evidence_schema().print(judged)));
    }
    return bundle::pack(*objects_, std::move(layers), made.config()).value();
  };
  const auto judged = [](const char* verdict, const char* only) {
    evaluate::RetrainEvidence out;
    out.before_change.rows = 1000;
    out.before_change.verdict = verdict;
    out.before_change.metrics = std::vector<evaluate::Difference>{};
    out.before_change.of = "recorded traffic";
    out.label_accounts.only = only;
    return out;
  };
  const auto promoted = [&](const Digest& bundle, const std::string& incident) {
    return recover(recover::PromoteCandidate{bundle.str()}, incident);
  };
  const auto forgets = promoted(retrained(2, judged("worse", "")), "incident-0001");
  EXPECT_EQ(forgets.status, Outcome::kWaiting);
  EXPECT_EQ(forgets.rules.front(), "forgotten-past-needs-a-person");
  EXPECT_NE(policy_->approvals()->back().reason.find("clearly worse than what serves"),
            std::string::npos);
  const auto alone = promoted(retrained(3, judged("unclear", "partner")), "incident-0002");
  EXPECT_EQ(alone.status, Outcome::kWaiting);
  EXPECT_EQ(alone.rules.front(), "one-label-account-needs-a-person");
  // What it was not taught is said, whoever decides.
  auto partly = judged("worse", "");
  partly.left_out = {{"lost", 40}};
  promoted(retrained(5, partly), "incident-0004");
  EXPECT_NE(
      policy_->approvals()->back().reason.find("it was not taught 40 labelled rows of classes "
                                               "that the model does not have: `lost` (40)"),
      std::string::npos)
      << policy_->approvals()->back().reason;
  EXPECT_EQ(promoted(retrained(4, judged("better", "")), "incident-0003").status,
            Outcome::kApplied);
}

/// A job that has its result at once.
class DoneRunner final : public jobs::Runner {
 public:
  Result<std::int64_t> start(const jobs::Job&, store::Objects& objects) override {
    ++started;
    HEDDLE_ASSIGN_OR_RETURN(outcome.outputs["result.json"], objects.put(result));
    HEDDLE_ASSIGN_OR_RETURN(outcome.outputs["log"], objects.put(""));
    return std::int64_t{1};
  }
  Result<jobs::Outcome> wait(std::int64_t) override { return outcome; }
  Result<bool> finished(std::int64_t) override { return true; }
  Result<std::string> peek(std::int64_t, std::string_view) override { return result; }
  void stop(std::int64_t) override {}
  int started = 0;
  jobs::Outcome outcome{};
  std::string result = [] {
    RetrainResult nothing;
    nothing.judged.before_change = {.verdict = "none", .why = "there are none"};
    return to_json(nothing);
  }();
};

TEST_F(AfterRecoveryTest, ADamagedResultOfARetrainIsARetrainThatFailed) {
  DoneRunner runner;
  runner_ = &runner;
  project_.policies["p"].rules[1].actions.push_back("retrain.start");
  project_.policies["p"].retrain_event_time_cost = 0;
  ASSERT_TRUE(policy_->load(project_).ok());
  open();
  int incident = 0;
  for (const char* damaged : {"", "[]", "7", R"({"bundle": "sha256:)"}) {
    runner.result = damaged;
    const auto outcome =
        recover(recover::StartRetrain{0, 100, 0}, fmt::format("incident-{:04}", ++incident));
    EXPECT_EQ(outcome.status, Outcome::kFailed) << damaged;
    EXPECT_NE(outcome.note.find("is damaged"), std::string::npos) << outcome.note;
  }
  // What is mistyped is named, and what does not say that it passed the gates is no candidate.
  runner.result = R"({"bundle": 3, "failed_gates": [1, "loss"], "gates_passed": false})";
  const auto typed = recover(recover::StartRetrain{0, 100, 0}, "incident-0009");
  EXPECT_EQ(typed.status, Outcome::kFailed);
  EXPECT_NE(typed.note.find("`bundle` must be a digest, found an integer"), std::string::npos)
      << typed.note;
  runner.result = fmt::format(R"({{"bundle": "{}"}})", sha256("b").str());
  const auto silent = recover(recover::StartRetrain{0, 100, 0}, "incident-0010");
  EXPECT_EQ(silent.status, Outcome::kFailed);
  EXPECT_NE(silent.note.find("`gates_passed` is missing"), std::string::npos) << silent.note;
}

TEST_F(AfterRecoveryTest, ARetrainWhoseResultWasTakenIsForgotten) {
  DoneRunner runner;
  runner_ = &runner;
  project_.policies["p"].rules[1].actions.push_back("retrain.start");
  project_.policies["p"].retrain_event_time_cost = 0;
  ASSERT_TRUE(policy_->load(project_).ok());
  open();
  const auto rows = [&] {
    std::size_t count = 0;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) {
                      return txn.scan("works", "s/", [&](std::string_view, std::string_view) {
                        ++count;
                        return true;
                      });
                    })
                    .ok());
    return count;
  };
  const auto retrain = [&](const std::string& incident) {
    return recover(recover::StartRetrain{0, 100, 0}, incident);
  };
  EXPECT_EQ(retrain("incident-0001").status, Outcome::kApplied);
  EXPECT_EQ(rows(), 1U) << "a crash may still ask for it again";
  EXPECT_EQ(retrain("incident-0001").status, Outcome::kApplied);
  EXPECT_EQ(runner.started, 1);
  ASSERT_TRUE(control_->save_place().ok());
  EXPECT_EQ(rows(), 0U);
  for (int i = 2; i < 6; ++i) {
    EXPECT_EQ(retrain(fmt::format("incident-{:04}", i)).status, Outcome::kApplied);
    ASSERT_TRUE(control_->save_place().ok());
  }
  EXPECT_EQ(rows(), 0U);
}

TEST_F(AfterRecoveryTest, TheAcceptedSearchIsOfTheModelWhicheverBundleServes) {
  const auto searched = [&](double intercept, const char* depth, bool is_retrained) {
    const auto made = bundle::open(*objects_, pack(intercept)).value();
    auto config = made.config();
    config.model = "m";
    config.search = bundle::Search{{}, "xgboost", {{{"max_depth", depth}}}, 94, 20, 0.43};
    if (is_retrained) config.search->bundle = config.derived_from = bundles_[0];
    return bundle::pack(*objects_, made.layers(), config).value();
  };
  const auto accepted = [&] { return accepted_search(*state_, "m").value(); };
  EXPECT_FALSE(accepted()) << "nothing that was released had a search";
  bundles_[2] = searched(0.5, "6", false);
  ASSERT_TRUE(promote(2));
  EXPECT_EQ(accepted()->bundle, bundles_[2]);
  EXPECT_EQ(accepted()->parameters.values.at(0).second, "6");
  // The standby that takes over, and what a retrain made, change nothing of it.
  ASSERT_EQ(swap().status, Outcome::kApplied);
  EXPECT_EQ(accepted()->bundle, bundles_[2]);
  bundles_[3] = searched(0.75, "3", true);
  ASSERT_TRUE(promote(3));
  EXPECT_EQ(accepted()->bundle, bundles_[2]);
  // A newer run's does; and to go back to an older release is not to forget what was found since.
  bundles_.push_back(searched(1.0, "4", false));
  ASSERT_TRUE(promote(4));
  EXPECT_EQ(accepted()->parameters.values.at(0).second, "4");
  ASSERT_TRUE(promote(0));
  EXPECT_EQ(accepted()->parameters.values.at(0).second, "4");
  open();
  EXPECT_EQ(accepted()->parameters.values.at(0).second, "4");
}

TEST_F(AfterRecoveryTest, ARetrainOfAnotherVersionsRequestOrWithoutASearchSaysSo) {
  const auto dir = home_->runs() + "/r";
  ASSERT_TRUE(make_dirs(dir).ok());
  for (const char* request : {"", "[1]", "7", R"({"service": "s"})", R"({"format": 3})",
                              R"({"format": "heddle.retrain/9", "service": "s"})"}) {
    ASSERT_TRUE(write_file_atomic(dir + "/request.json", request).ok());
    EXPECT_FALSE(run_retrain(dir, {}).ok()) << request;
    const auto result = doc::parse_json(read_file(dir + "/result.json").value()).value();
    EXPECT_FALSE(result.string_or("failed").empty()) << request;
  }
}

TEST_F(AfterRecoveryTest, ARetrainThatFailsLeavesItsReasonAndNotAnExitCode) {
  const std::string request =
      R"({"format":"heddle.retrain/1","service":"s","commit":"c0ffee","base":")" +
      sha256("base").str() + R"(","search":null,"from":0,"until":0,"rows":100})";
  // In its job: what it was to be given is not there.
  const auto dir = home_->runs() + "/r";
  ASSERT_TRUE(make_dirs(dir).ok());
  ASSERT_TRUE(write_file_atomic(dir + "/request.json", request).ok());
  EXPECT_FALSE(run_retrain(dir, {}).ok());
  const auto left = doc::parse_json(read_file(dir + "/result.json").value()).value();
  EXPECT_NE(left.string_or("failed").find("definitions/index.json"), std::string::npos)
      << left.string_or("failed");
  // Before there is one: its commit went.
  Works works({&*home_, objects_.get(), git_.get(), runner_, fixture::kProgram,
               fixture::open_exchange, "s"});
  ASSERT_TRUE(works.begin({"retrain", "gone", 0, request}).ok());
  const std::string failed = works.result("gone", 0)->string_or("failed");
  EXPECT_NE(failed.find("does not have the commit c0ffee"), std::string::npos) << failed;
  EXPECT_NE(failed.find("(applied-missing)"), std::string::npos) << failed;
  EXPECT_TRUE(workers_->started.empty());
}

}  // namespace
}  // namespace heddle::control
