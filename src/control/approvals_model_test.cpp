// Questions, answers, swaps, stops, restarts, clocks and policies in any order, against a plain
// model of what an approval is for: nothing is released that a person did not sign for as things
// are.
#include <cstdlib>
#include <random>
#include <set>

#include "control/service_fixture.hpp"

namespace heddle::control {
namespace {

using Status = policy::Approval::Status;

constexpr int kSteps = 160;
constexpr Micros kWithin = 7 * kDay;

/// What a question was asked against and what became of it, as a reader of the documentation would
/// keep it.
struct Question {
  std::string id;
  std::string act;   ///< `promote`, `rollback`, `shadow`, `repair`
  std::string slot;  ///< of a promotion
  int about = 0;     ///< bundle, or number of the incident
  std::string requester;
  std::vector<Digest> facts;
  std::uint64_t version = 0;  ///< of the releases, when it was asked
  Micros expires = 0;
  Status status = Status::kPending;
  std::set<std::string> yes{};

  [[nodiscard]] bool open() const {
    return status == Status::kPending || status == Status::kApproved;
  }
};

class ApprovalsModelTest : public fixture::ServiceTest,
                           public testing::WithParamInterface<unsigned> {
 protected:
  static void SetUpTestSuite() {
    fixture::ServiceTest::SetUpTestSuite();
    cyd_ = std::make_unique<policy::SshKey>("cyd");
  }
  static void TearDownTestSuite() {
    cyd_.reset();
    fixture::ServiceTest::TearDownTestSuite();
  }
  void begin(unsigned seed) {
    draw_.seed(seed);
    model_ = control_->releases();
    for (const auto& each : bundles_) {
      model_.approve(each, "model");
      model_.mark_ready(each);
    }
    set_rules(1, true);
  }
  int upto(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(draw_); }

  // ---- the model
  [[nodiscard]] std::vector<Digest> facts(const Question& q) const {
    if (q.act == "rollback") return {model_.primary(), model_.rollback_target()};
    if (q.act == "shadow") return {model_.shadow()};
    if (q.act == "repair")
      return {std::min(model_.primary(), model_.standby()),
              std::max(model_.primary(), model_.standby())};
    if (q.slot == "standby") return {model_.primary(), model_.standby()};
    return {model_.primary()};
  }
  Result<void> carry_out(const Question& q, release::Releases& on) {
    if (q.act == "rollback") return on.rollback();
    const Digest& bundle = bundles_[static_cast<std::size_t>(q.act == "repair" ? 0 : q.about)];
    if (q.act == "shadow") return on.set_shadow(bundle);
    if (q.act != "repair") return q.slot == "standby" ? on.set_standby(bundle) : on.promote(bundle);
    // Each bundle gives way to the one that was made of it, whichever of the two serves now.
    std::map<Digest, Digest> repaired;
    const auto asked = policy_->approval(q.id).value();
    for (const auto& subject : asked.subjects) {
      on.approve(subject.digest, "model");
      on.mark_ready(subject.digest);
      const auto made = bundle::open(*objects_, subject.digest);
      repaired[made->config().derived_from] = subject.digest;
    }
    const Digest primary = on.primary(), standby = on.standby();
    HEDDLE_TRY(on.replace("primary", repaired.at(primary)));
    return on.replace("standby", repaired.at(standby));
  }
  /// The releases became other: what was asked against the old ones is over.
  void after_release() {
    for (auto& q : questions_) {
      if (q.open() && facts(q) != q.facts) q.status = Status::kVoid;
    }
  }
  [[nodiscard]] bool enough(const Question& q) const {
    int given = 0;
    for (const auto& person : q.yes) given += person == "ada" || cyd_is_there_ ? 1 : 0;
    return given >= needed_;
  }
  /// Whether it is carried out now; void when it cannot be.
  bool carried_out(Question& q) {
    release::Releases next = model_;
    if (!carry_out(q, next).ok()) {
      q.status = Status::kVoid;
      return false;
    }
    q.status = Status::kUsed;
    model_ = std::move(next);
    after_release();
    return true;
  }
  /// What the ledger takes for now: it never goes back.
  Micros now() {
    Micros last = 0;
    EXPECT_TRUE(state_
                    ->read([&](store::Txn& txn) -> Result<void> {
                      HEDDLE_ASSIGN_OR_RETURN(last, ledger_->now(txn));
                      return {};
                    })
                    .ok());
    return std::max(last, clock_.at);
  }
  /// Whoever asks for something by hand finds nothing waiting whose time is over.
  void close_expired(Micros time) {
    for (auto& q : questions_) {
      if (q.open() && time >= q.expires) q.status = Status::kExpired;
    }
  }
  [[nodiscard]] static bool alike(const Question& a, const Question& b) {
    return a.act == b.act && a.slot == b.slot &&
           (a.act == "rollback" ? a.facts.back() == b.facts.back() : a.about == b.about);
  }
  Question* last_like(const Question& wanted) {
    Question* found = nullptr;
    for (auto& q : questions_) {
      if (alike(q, wanted)) found = &q;
    }
    return found;
  }
  /// The last answer that people gave to such a question was no.
  [[nodiscard]] bool stands_rejected(const Question& wanted) const {
    bool rejected = false;
    for (const auto& q : questions_) {
      if (!alike(q, wanted)) continue;
      if (q.status == Status::kRejected) rejected = true;
      if (q.status == Status::kUsed) rejected = false;
    }
    return rejected;
  }

  // ---- what happens, to both
  void ask(const std::string& act, const std::string& slot, int about, const std::string& who,
           bool again) {
    Question q{"", act, slot, about, who, {}, model_.version()};
    q.facts = facts(q);
    const policy::Actor actor{policy::ActorType::kPerson, who, {"os-user:" + who}};
    const Digest& bundle = bundles_[static_cast<std::size_t>(about)];
    const auto time = now();
    const auto reply = act == "rollback" ? control_->roll_back(actor, again)
                       : act == "shadow" ? control_->set_shadow(bundle, actor, again)
                                         : control_->promote(bundle, slot, 0, actor, again);
    const auto said = asked(reply);
    if (act == "rollback" && model_.rollback_target().empty()) {
      EXPECT_EQ(said, "rollback-no-target");
      return;
    }
    auto* last = last_like(q);
    close_expired(time);
    const bool waits =
        last != nullptr && last->status == Status::kPending && last->facts == q.facts;
    if (!waits && !again && stands_rejected(q)) {
      EXPECT_EQ(said, "release-rejected");
      return;
    }
    if (model_.stopped()) {
      EXPECT_EQ(said, "release-denied");
      return;
    }
    if (waits) {
      EXPECT_EQ(said, last->id) << "what waits is not asked twice";
      return;
    }
    release::Releases tried = model_;
    if (const auto possible = carry_out(q, tried); !possible.ok()) {
      EXPECT_EQ(said, possible.error().id);
      return;
    }
    ASSERT_TRUE(said.starts_with("approval-")) << said;
    q.id = said;
    q.expires = time + kWithin;
    questions_.push_back(std::move(q));
  }
  void repair(int incident) {
    Question q{"", "repair", "", incident, "agent:recover", {}, model_.version()};
    q.facts = facts(q);
    const auto time = now();
    auto* last = last_like(q);
    const auto outcome =
        recover(recover::ProposeTransform{fmt::format("shift-{}", incident), "distance", 0,
                                          fmt::format("distance + {}", incident)},
                fmt::format("incident-{:04}", incident));
    using Outcome = recover::Outcome::Status;
    if (last != nullptr && last->status == Status::kUsed) {
      EXPECT_EQ(outcome.status, Outcome::kApplied) << "once";
      return;
    }
    if (model_.stopped()) {
      EXPECT_EQ(outcome.status, Outcome::kDenied);
      return;
    }
    if (last != nullptr && last->status == Status::kRejected) {
      EXPECT_EQ(outcome.status, Outcome::kDenied) << "a no is final for this act";
      return;
    }
    if (last != nullptr && last->open() && time >= last->expires) last->status = Status::kExpired;
    if (last != nullptr && last->status == Status::kApproved) {
      EXPECT_EQ(outcome.status, Outcome::kApplied);
      EXPECT_TRUE(carried_out(*last));
      return;
    }
    EXPECT_EQ(outcome.status, Outcome::kWaiting);
    if (last != nullptr && last->open()) return;
    q.id = newest();
    q.expires = time + kWithin;
    questions_.push_back(std::move(q));
  }
  /// `crash`: the process ends between the yes and what it allows, `asleep` passes, and it starts.
  void yes(Question& q, const std::string& who, bool crash, Micros asleep) {
    const auto statement = policy_->approval(q.id)->statement;
    const auto time = now();
    const auto given = policy_->approve(q.id, who, (who == "cyd" ? *cyd_ : *ada_).sign(statement));
    const auto said = given.ok() ? std::string() : given.error().id;
    if (q.open() && time >= q.expires) q.status = Status::kExpired;
    if (who == "cyd" && !cyd_is_there_) {
      EXPECT_EQ(said, "approval-unknown-person");
      return;
    }
    switch (q.status) {
      case Status::kUsed: EXPECT_EQ(said, "approval-used"); return;
      case Status::kRejected: EXPECT_EQ(said, "approval-rejected"); return;
      case Status::kVoid: EXPECT_EQ(said, "approval-void"); return;
      case Status::kExpired: EXPECT_EQ(said, "approval-expired"); return;
      default: break;
    }
    if (who == q.requester) {
      EXPECT_EQ(said, "approval-by-requester");
      return;
    }
    if (model_.stopped()) {
      EXPECT_EQ(said, "approval-while-stopped");
      return;
    }
    if (q.yes.contains(who)) {
      EXPECT_EQ(said, "approval-already-given");
      return;
    }
    EXPECT_EQ(said, "");
    q.yes.insert(who);
    if (enough(q)) q.status = Status::kApproved;
    if (crash) {
      clock_.at += asleep;
      restart();
      return;
    }
    if (q.status != Status::kApproved) return;
    const auto resumed = control_->resume_promotion(q.id);
    if (q.act == "repair") {
      EXPECT_FALSE(resumed.value()) << "recovery carries it out itself, at its next tick";
      return;
    }
    const bool done = carried_out(q);
    EXPECT_EQ(resumed.ok() ? "" : resumed.error().id, done ? "" : "approval-void");
  }
  void no(Question& q, const std::string& who) {
    const auto time = now();
    const auto given =
        policy_->reject(q.id, {policy::ActorType::kPerson, who, {"os-user:" + who}}, "no");
    if (q.open() && time >= q.expires) q.status = Status::kExpired;
    const bool may = who == "ada" || who == q.requester || (who == "cyd" && cyd_is_there_);
    if (!q.open() || !may || (who == "cyd" && !cyd_is_there_)) {
      EXPECT_FALSE(given.ok());
      return;
    }
    EXPECT_TRUE(given.ok()) << given.error().str();
    q.status = Status::kRejected;
  }
  void swap() {
    const auto before = model_;
    recover::Action action;
    action.op_id = fmt::format("incident-9999/slot.swap/{}", ++swaps_);
    action.what = recover::SwapToStandby{};
    action.target = "service/s";
    const auto outcome = control_->effects().perform(action);
    if (model_.stopped()) {
      EXPECT_EQ(outcome->status, recover::Outcome::Status::kDenied);
      return;
    }
    EXPECT_EQ(outcome.ok(), model_.swap().ok());
    if (!(model_ == before)) after_release();
  }
  void stop(bool stopped) {
    const policy::Actor ada{policy::ActorType::kPerson, "ada", {"signature"}};
    if (!stopped) close_expired(now());
    EXPECT_TRUE(control_->set_stopped(stopped, ada).ok());
    stopped ? model_.stop() : model_.resume();
    for (auto& q : questions_) {
      if (stopped && q.status == Status::kApproved) q.status = Status::kVoid;
    }
  }
  void set_rules(int needed, bool cyd) {
    needed_ = needed;
    cyd_is_there_ = cyd;
    project_.policies["p"].rules[0].approvals = needed;
    project_.people = {{"ada", {"approver"}, {ada_->public_key()}}, {"ben", {}, {}}};
    if (cyd) project_.people.push_back({"cyd", {"approver"}, {cyd_->public_key()}});
    // As `heddle apply` does it.
    ASSERT_TRUE(policy_->load(project_).ok());
    const auto rules = policy_->policy_digest();
    ASSERT_TRUE(policy_
                    ->void_stale([&](const policy::Approval& approval) {
                      return approval.policy == rules ? std::string() : std::string("replaced");
                    })
                    .ok());
    if (rules == rules_) return;
    rules_ = rules;
    for (auto& q : questions_) {
      if (q.open()) q.status = Status::kVoid;
    }
  }
  void restart() {
    open_parts();
    open();
    const auto time = now();
    const auto approvals = policy_->approvals().value();
    for (const auto& each : approvals) {
      if (each.status == Status::kApproved) (void)control_->resume_promotion(each.id);
    }
    for (auto& q : questions_) {
      if (q.status != Status::kApproved || q.act == "repair") continue;
      // What it was waits no longer: the yes is void for good, not kept for a later day.
      if (time >= q.expires)
        q.status = Status::kExpired;
      else
        (void)carried_out(q);
    }
  }

  std::string step() {
    const auto some = [&] {
      return &questions_[static_cast<std::size_t>(upto(static_cast<int>(questions_.size())))];
    };
    const auto recent = [&] {
      const int size = static_cast<int>(questions_.size());
      return &questions_[static_cast<std::size_t>(size - 1 - upto(std::min(size, 4)))];
    };
    const char* people[] = {"ada", "cyd", "ben"};
    const int kind = upto(100);
    if (kind < 34 || questions_.empty()) {
      const char* acts[] = {"promote", "promote", "promote", "standby", "rollback", "shadow"};
      const std::string act = acts[upto(6)];
      const int about = upto(4);
      const std::string who = people[1 + upto(2)];
      const bool again = upto(3) == 0;
      const bool slotted = act == "promote" || act == "standby";
      ask(slotted ? "promote" : act,
          act == "promote" ? "primary"
          : slotted        ? "standby"
                           : "",
          about, who == "cyd" && !cyd_is_there_ ? "ben" : who, again);
      return fmt::format("{} {} {} asks {} again={}", act, about, "of", who, again);
    }
    if (kind < 62) {
      auto* q = upto(5) == 0 ? some() : recent();
      const std::string who = people[upto(2)];
      const bool crash = upto(6) == 0;
      const Micros asleep = upto(3) == 0 ? 8 * kDay : kHour;
      const auto id = q->id;
      yes(*q, who, crash, asleep);
      return fmt::format("{} says yes to {} crash={}", who, id, crash);
    }
    if (kind < 68) {
      auto* q = recent();
      const std::string who = people[upto(3)];
      no(*q, who);
      return fmt::format("{} says no to {}", who, q->id);
    }
    if (kind < 75) return swap(), "swap";
    if (kind < 84) {
      const int incident = 1 + upto(3);
      repair(incident);
      return fmt::format("repair {}", incident);
    }
    if (kind < 88) {
      const bool stopped = !model_.stopped() && upto(2) == 0;
      stop(stopped);
      return stopped ? "stop" : "resume";
    }
    if (kind < 92) {
      const int needed = 1 + upto(2);
      const bool cyd = upto(3) != 0;
      set_rules(needed, cyd);
      return fmt::format("rules: {} of {}", needed, cyd ? "ada, cyd" : "ada");
    }
    if (kind < 96) return restart(), "restart";
    const Micros jumps[] = {kHour, 2 * kDay, 8 * kDay, -3 * kDay};
    clock_.at += jumps[upto(4)];
    return "the clock jumps";
  }

  void compare() {
    const auto& real = control_->releases();
    EXPECT_EQ(real.primary(), model_.primary());
    EXPECT_EQ(real.standby(), model_.standby());
    EXPECT_EQ(real.shadow(), model_.shadow());
    EXPECT_EQ(real.rollback_target(), model_.rollback_target());
    EXPECT_EQ(real.stopped(), model_.stopped());
    const Micros time = now();
    for (const auto& q : questions_) {
      // One whose time is over is seen as expired, whether it was closed or not.
      const auto found = policy_->approval(q.id)->status;
      const auto wanted = q.open() && time >= q.expires ? Status::kExpired : q.status;
      EXPECT_EQ(policy::status_name(found), policy::status_name(wanted)) << q.id;
    }
  }

  static inline std::unique_ptr<policy::SshKey> cyd_;
  std::mt19937 draw_;
  release::Releases model_{"s"};
  std::vector<Question> questions_;
  Digest rules_;
  int needed_ = 1;
  bool cyd_is_there_ = true;
  int swaps_ = 0;
};

TEST_P(ApprovalsModelTest, InAnyOrderOnlyWhatIsSignedForAsThingsAreHappens) {
  const char* given = std::getenv("HEDDLE_TEST_SEED");
  const auto seed =
      given == nullptr ? GetParam() : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
  fmt::print("seed {} (HEDDLE_TEST_SEED sets it)\n", seed);
  begin(seed);
  std::vector<std::string> story;
  for (int i = 0; i < kSteps && !HasFailure(); ++i) {
    story.push_back(step());
    compare();
  }
  if (HasFailure())
    ADD_FAILURE() << "seed " << seed << ", the last steps:\n"
                  << fmt::format(
                         "{}", fmt::join(story.end() - static_cast<std::ptrdiff_t>(
                                                           std::min<std::size_t>(story.size(), 12)),
                                         story.end(), "\n"));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ApprovalsModelTest,
                         testing::Values(1U, 2U, 3U, 4U, 100U, 103U, 436725100U));

}  // namespace
}  // namespace heddle::control
