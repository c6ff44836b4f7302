// The control loop of a canary over a synthetic journal: real state, ledger, policy, objects and
// route table.
#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/objects/layout.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "bundle/bundle.hpp"
#include "bundle/config_fixture.hpp"
#include "contract/contract.hpp"
#include "control/compare.hpp"
#include "control/outbox.hpp"
#include "control/service_control.hpp"
#include "control/worker_fixture.hpp"
#include "doc/json.hpp"
#include "plane/route_file.hpp"
#include "policy/ssh_key_fixture.hpp"
#include "spec/task.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::control {
namespace {

constexpr const char* kNoCalibration = R"({"format":"heddle.calibration/1","offsets":[0]})";

class CanaryTest : public testing::Test {
 protected:
  void SetUp() override {
    home_.emplace(testing::TempDir() + uuid7());
    ASSERT_TRUE(make_dirs(home_->dir() + "/keys").ok());
    workers_.emplace(project_);
    auto& contract = project_.contracts["c"];
    contract.fields.resize(1);
    contract.fields[0].name = "size";
    contract.fields[0].type = expr::Type::kInt;
    project_.feature_sets["f"].contract = "c";
    project_.models["m"].features = "f";
    project_.monitors["w"].service = "s";
    auto& service = project_.services["s"];
    service.identity.name = "s";
    service.model = "m";
    service.monitor = "w";
    service.autonomy = "act";
    service.canary.steps = {500, 2'500};
    service.canary.interval = kHour;
    service.canary.patience = 5 * kHour;
    service.canary.judgement.minimum_rows = 400;
    spec::PolicyRule ask;
    ask.id = "promotion-needs-a-person";
    ask.effect = spec::PolicyRule::Effect::kRequireApproval;
    ask.who = {"agent:*"};
    ask.actions = {"release.promote"};
    ask.approver_role = "approver";
    spec::PolicyRule allow;
    allow.id = "people-release";
    allow.effect = spec::PolicyRule::Effect::kAllow;
    allow.who = {"person:*", "agent:canary"};
    allow.actions = {"canary.*", "shadow.*"};
    spec::PolicyRule first = allow;
    first.id = "people-promote";
    first.who = {"person:*"};
    first.actions = {"release.*"};
    // As the example does: it reads what every proposal about a bundle has to say, the canary's own
    // too.
    spec::PolicyRule dirty;
    dirty.id = "what-answers-is-committed";
    dirty.effect = spec::PolicyRule::Effect::kDeny;
    dirty.who = {"*"};
    dirty.actions = {"release.promote", "canary.start", "canary.raise", "shadow.set"};
    dirty.when = spec::Expression{"attributes.dirty", {}};
    project_.policies["p"].rules = {ask, allow, first, dirty};
    project_.people = {{"ada", {"approver"}, {ada_.public_key()}}};
    open_parts();
    const auto contract_json =
        doc::to_json((*contract::Contract::compile(contract, {})).to_value());
    for (const char* name : {"a", "b"}) {
      bundles_.push_back(*bundle::pack(
          *objects_,
          {{std::string(bundle::kContract), "", contract_json},
           {std::string(bundle::kEvaluation), "", bundle::fixture::kPassed},
           {std::string(bundle::kCalibration), "", kNoCalibration},
           {std::string(bundle::kBaseline), "", doc::to_json(watch::baseline_schema().print({}))}},
          bundle::fixture::committed(name)));
    }
    plane::JournalWriter::Options journal;
    journal.dir = home_->spool("s");
    journal.fields = {"size"};
    writer_ = *plane::JournalWriter::open(journal);
    open();
    ASSERT_TRUE(control_->promote(bundles_[0], "primary", 0, kAda).ok());
    const auto started = control_->promote(bundles_[1], "canary", 0, kAda);
    ASSERT_TRUE(started.ok()) << started.error().str();
    ASSERT_TRUE(started->applied);
  }

  void open_parts() {
    state_ = adapters::open_sqlite_state(home_->state()).value();
    objects_ = adapters::open_layout(home_->objects()).value();
    key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
    ledger_ = ledger::Ledger::open(
                  *state_, {home_->dir() + "/tiles", "tiny",
                            Ed25519Key::from_seed(std::string(32, '\3')).value(), &system_clock()})
                  .value();
    policy_ = policy::LocalEngine::open(*state_, *ledger_, project_, system_clock()).value();
    outbox_ = Outbox::open(*state_, {}).value();
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

  /// An hour of one-row requests of both cohorts by the table in force, of which `failed` of a
  /// hundred of the canary's fail.
  void hour(int requests, int failed = 0) {
    writer_->append(plane::AppliedRecord{control_->releases().version(), {}});
    for (int i = 0; i < requests; ++i) {
      for (const auto cohort : {plane::Cohort::kCanary, plane::Cohort::kBaseline}) {
        const bool is_canary = cohort == plane::Cohort::kCanary;
        plane::RequestRecord request;
        request.request_id = fmt::format("r{}", next_++);
        request.event_time = now_ + i;
        request.slot = is_canary ? "canary" : "primary";
        request.cohort = cohort;
        request.route_version = control_->releases().version();
        request.micros = static_cast<std::uint32_t>(100 + i % 50);
        plane::RowRecord row;
        row.fields.resize(1);
        row.fields[0].kind = expr::Datum::Kind::kInt;
        row.fields[0].i = i;
        row.prediction = {0.2F + 0.01F * static_cast<float>(i % 50)};
        if (is_canary && i % 100 < failed) row.outcome = plane::RowOutcome::kFailed;
        request.rows = {row};
        writer_->append(request);
        if (label_) label_(request, is_canary, i);
      }
    }
    now_ += kHour;
    tick();
  }
  void tick() {
    writer_->append(plane::TickRecord{now_});
    ASSERT_TRUE(writer_->commit().ok());
    for (auto more = control_->pump();; more = control_->pump()) {
      ASSERT_TRUE(more.ok()) << more.error().str();
      if (!*more) break;
    }
  }
  /// `action result` of every entry about the canary, in order.
  std::vector<std::string> entries() {
    std::vector<std::string> out;
    EXPECT_TRUE(ledger_
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             const auto verdict = entry.attributes.string_or("verdict");
                             if (entry.actor != "ada")
                               out.push_back(entry.action + (verdict.empty() ? "" : " " + verdict) +
                                             " " + entry.result);
                             return true;
                           })
                    .ok());
    return out;
  }
  using Lines = std::vector<std::string>;

  const policy::Actor kAda{policy::ActorType::kPerson, "ada"};
  policy::SshKey ada_{"ada"};
  std::optional<Home> home_;
  spec::Project project_;
  std::optional<fixture::Workers> workers_;
  std::unique_ptr<store::State> state_;
  std::unique_ptr<store::Objects> objects_;
  Ed25519Key key_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<policy::LocalEngine> policy_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<plane::JournalWriter> writer_;
  std::unique_ptr<ServiceControl> control_;
  std::vector<Digest> bundles_;
  Micros now_ = *parse_time("2001-06-01T00:00:00Z");
  int next_ = 0;
  std::function<void(const plane::RequestRecord&, bool, int)> label_;  ///< after each request
};

TEST_F(CanaryTest, AGoodOneRisesByItsStepsAndAsksForItsPromotion) {
  tick();
  hour(500);
  EXPECT_EQ(control_->releases().canary().canary.weight, 2'500U);
  workers_->held = true;
  hour(500);
  Lines so_far{"canary.judgement good applied", "canary.raise applied",
               "canary.judgement good applied"};
  EXPECT_EQ(entries(), so_far);
  // Its comparison is made by another process. The next tick waits for it, across a restart, and
  // whoever asks is answered meanwhile.
  open();
  const Micros before = control_->watermark();
  ++now_;
  tick();
  EXPECT_EQ(entries(), so_far);
  EXPECT_EQ(control_->watermark(), before);
  EXPECT_TRUE(control_->canary().running);
  workers_->held = false;
  while (control_->pump().value()) {
  }
  so_far.emplace_back("release.promote requested");
  EXPECT_EQ(entries(), so_far);
  EXPECT_EQ(workers_->started, (Lines{"compare", "compare"})) << "started again, asked for once";
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);  // only a person promotes
  EXPECT_EQ(control_->releases().canary().canary.weight, 2'500U);
  const auto run = *control_->canary().run;
  EXPECT_EQ(run.judgement->judgement->verdict, watch::Verdict::kGood);
  EXPECT_TRUE(run.next.at(0).command.starts_with("heddle approve ")) << run.next.at(0).command;
  // While it waits it is judged on, and ended when it becomes bad: the yes that may still come
  // promotes nothing.
  const auto asked = policy_->approvals()->at(0);
  const auto& approval = asked.id;
  // Beside what its cohorts said: both bundles on the same labelled rows, or why not.
  EXPECT_TRUE(std::any_of(asked.evidence.begin(), asked.evidence.end(),
                          [](const auto& item) { return item.name == kComparisonEvidence; }));
  hour(500, 60);
  EXPECT_FALSE(control_->releases().canary().running());
  const auto given =
      policy_->approve(approval, "ada", ada_.sign(policy_->approval(approval)->statement));
  ASSERT_FALSE(given.ok());
  EXPECT_EQ(given.error().id, "approval-void");
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);
}

TEST_F(CanaryTest, TheLabelsOfOneAccountOfSeveralAloneDoNotRaiseIt) {
  // Honest labels show that the canary is far worse. The liar labels other rows, so that both sides
  // lose the same in sum.
  for (const bool lies : {false, true}) {
    SCOPED_TRACE(lies);
    if (lies) {
      ASSERT_TRUE(control_->promote(bundles_[1], "canary", 0, kAda, true).ok());
    }
    label_ = [&, lies](const plane::RequestRecord& request, bool is_canary, int i) {
      const bool honest = i % 2 == 0;
      if (!honest && !lies) return;
      const bool likely = request.rows[0].prediction[0] > 0.45F;
      const bool label = likely == (honest ? !is_canary : is_canary);
      writer_->append(
          plane::LabelRecord{request.request_id + "#0", label, now_, honest ? "honest" : "liar"});
    };
    tick();
    hour(1'200);
    if (!lies) {
      EXPECT_EQ(entries().back(), "canary.abort applied");
      continue;
    }
    EXPECT_EQ(entries().back(), "canary.raise requested");
    EXPECT_EQ(control_->releases().canary().canary.weight, 500U);
    ASSERT_EQ(policy_->approvals()->size(), 1U);
  }
}

TEST_F(CanaryTest, EachRunIsDrawnByASecretOfItsOwn) {
  const auto secret = [&] {
    return plane::read_route_file(home_->route("s"), key_.public_key)->draw_secret;
  };
  const std::string first = secret();
  EXPECT_EQ(first, plane::draw_secret(key_, "s", control_->releases().canary().started));
  open();  // a restart publishes again
  tick();
  EXPECT_EQ(secret(), first);
  ASSERT_TRUE(control_->promote(bundles_[1], "canary", 2'500, kAda).ok());
  EXPECT_EQ(secret(), first) << "raising the weight moves nobody away";
  ASSERT_TRUE(control_->abort_canary(kAda).ok());
  EXPECT_EQ(secret(), "");
  ASSERT_TRUE(control_->promote(bundles_[1], "canary", 0, kAda, true).ok());
  EXPECT_EQ(secret().size(), plane::kDrawSecretBytes);
  EXPECT_NE(secret(), first);
}

TEST_F(CanaryTest, ABadOneIsEndedBeforeItIsDue) {
  tick();
  hour(30, 100);  // thirty failures in thirty requests: far from the minimum of rows
  EXPECT_EQ(entries(), (Lines{"canary.judgement bad applied", "canary.abort applied"}));
  EXPECT_FALSE(control_->releases().canary().running());
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);
  const auto route = plane::read_route(home_->route("s"), key_.public_key);
  ASSERT_TRUE(route.ok());
  EXPECT_TRUE(route->canary.bundle.empty());
}

TEST_F(CanaryTest, AnInconclusiveOneIsHeldAndAPersonIsAsked) {
  tick();
  for (int i = 0; i < 6; ++i) hour(10);
  for (const auto& entry : entries()) EXPECT_EQ(entry, "canary.judgement inconclusive applied");
  EXPECT_EQ(control_->releases().canary().canary.weight, 500U);
  const auto run = *control_->canary().run;
  EXPECT_TRUE(run.judgement->held);
  EXPECT_NE(run.next.at(0).command.find("--slot canary --weight 25%"), std::string::npos);
  // The person goes on.
  ASSERT_TRUE(control_->promote(bundles_[1], "canary", 2'500, kAda).ok());
  EXPECT_EQ(control_->releases().canary().canary.weight, 2'500U);
}

TEST_F(CanaryTest, ARestartBetweenJudgementsChangesNothing) {
  tick();
  hour(250);
  EXPECT_EQ(entries(), Lines{"canary.judgement inconclusive applied"});
  open();
  hour(250);
  EXPECT_EQ(entries(), (Lines{"canary.judgement inconclusive applied",
                              "canary.judgement good applied", "canary.raise applied"}));
}

TEST_F(CanaryTest, ABundleThatCouldNotBeWatchedIsNotReleased) {
  const auto serving = bundle::open(*objects_, bundles_[0]).value();
  const auto contract = serving.layer(bundle::kContract);
  for (const char* baseline :
       {R"({"format":"heddle.baseline/2","metrics":[],"dependencies":[],"quality":{"mean":null,)"
        R"("sd":0,"chunks":0}})",
        ""}) {
    std::vector<bundle::Layer> layers = {
        {std::string(bundle::kContract), "", std::string(*contract)},
        {std::string(bundle::kCalibration), "", kNoCalibration},
        {std::string(bundle::kEvaluation), "", bundle::fixture::kPassed}};
    if (*baseline != '\0') layers.push_back({std::string(bundle::kBaseline), "", baseline});
    const Digest blind =
        *bundle::pack(*objects_, std::move(layers), bundle::fixture::config("blind"));
    for (const char* slot : {"primary", "standby"}) {
      const auto promoted = control_->promote(blind, slot, 0, kAda);
      ASSERT_FALSE(promoted.ok());
      EXPECT_NE(promoted.error().message.find("could not be watched"), std::string::npos)
          << promoted.error().message;
    }
  }
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);
}

TEST_F(CanaryTest, ABundleOfAnotherTaskIsReleasedToThePrimaryOnlyAndEmptiesWhatCannotBeCompared) {
  const auto serving = bundle::open(*objects_, bundles_[0]).value();
  const auto contract = serving.layer(bundle::kContract);
  const auto packed = [&](const std::string& name, const stats::Task& task) {
    const watch::Baseline baseline;
    auto config = bundle::fixture::committed(name);
    config.task = task;
    return *bundle::pack(*objects_,
                         {{std::string(bundle::kContract), "", std::string(*contract)},
                          {std::string(bundle::kEvaluation), "", bundle::fixture::kPassed},
                          {std::string(bundle::kCalibration), "", kNoCalibration},
                          {std::string(bundle::kBaseline), "",
                           doc::to_json(watch::baseline_schema().print(baseline))}},
                         config);
  };
  using stats::TaskKind;
  const Digest three = packed("three", {TaskKind::kClasses, {"a", "b", "c"}});
  const Digest also = packed("also", {TaskKind::kClasses, {"a", "b", "c"}});
  const Digest others = packed("others", {TaskKind::kClasses, {"a", "b", "d"}});
  ASSERT_TRUE(control_->releases().canary().running());
  for (const char* slot : {"standby", "shadow"}) {
    const auto refused = control_->promote(three, slot, 0, kAda);
    ASSERT_FALSE(refused.ok()) << slot;
    EXPECT_EQ(refused.error().id, "release-task-differs") << slot;
    EXPECT_NE(refused.error().message.find("is classes, the primary's is binary"),
              std::string::npos)
        << refused.error().message;
  }
  EXPECT_TRUE(control_->releases().standby().empty());
  const auto released = control_->promote(three, "primary", 0, kAda);
  ASSERT_TRUE(released.ok()) << released.error().str();
  EXPECT_EQ(control_->releases().primary(), three);
  EXPECT_FALSE(control_->releases().canary().running()) << "what was compared with the one before";
  EXPECT_EQ(control_->releases().rollback_target(), bundles_[0]);
  EXPECT_EQ(control_->promote(others, "standby", 0, kAda).error().id, "release-task-differs");
  ASSERT_TRUE(control_->promote(also, "standby", 0, kAda).ok());
  EXPECT_EQ(control_->releases().standby(), also);
  // Back to the task before: the standby cannot be compared with it.
  const auto back = control_->promote(bundles_[0], "primary", 0, kAda);
  ASSERT_TRUE(back.ok()) << back.error().str();
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);
  EXPECT_TRUE(control_->releases().standby().empty());
}

TEST_F(CanaryTest, WhatTheDataPlaneEndedIsSettledAlsoWhileStopped) {
  tick();
  hour(10);
  ASSERT_TRUE(control_->set_stopped(true, kAda).ok());
  writer_->append(plane::ActRecord{"canary-abort", "s", now_, "it cannot be loaded", "act-1"});
  tick();
  EXPECT_FALSE(control_->releases().canary().running());
  EXPECT_EQ(control_->releases().route("").acknowledged, Lines{"act-1"});
  EXPECT_TRUE(control_->releases().stopped());
  EXPECT_EQ(entries().back(), "canary.abort applied");
}

}  // namespace
}  // namespace heddle::control
