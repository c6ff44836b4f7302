#pragma once

// One service over real state, ledger, policy and objects. For tests only.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/objects/layout.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "bundle/bundle.hpp"
#include "control/outbox.hpp"
#include "control/service_control.hpp"
#include "control/worker_fixture.hpp"
#include "doc/json.hpp"
#include "policy/ssh_key_fixture.hpp"
#include "score/bundle_fixture.hpp"
#include "watch/baseline.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::control::fixture {

/// A clock that stands where it is put.
class StandingClock final : public Clock {
 public:
  Micros at = 1'000'000 * kSecond;
  [[nodiscard]] Micros wall() const override { return at; }
  [[nodiscard]] std::int64_t mono_ns() const override { return at * 1000; }
};

/// A transaction that counts the rows it is asked for.
class CountingTxn final : public store::Txn {
 public:
  CountingTxn(store::Txn& txn, std::size_t& rows) : txn_(txn), rows_(rows) {}
  Result<std::optional<std::string>> get(std::string_view collection,
                                         std::string_view key) override {
    ++rows_;
    return txn_.get(collection, key);
  }
  Result<void> put(std::string_view collection, std::string_view key,
                   std::string_view value) override {
    return txn_.put(collection, key, value);
  }
  Result<void> erase(std::string_view collection, std::string_view key) override {
    return txn_.erase(collection, key);
  }
  Result<void> scan(std::string_view collection, std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return txn_.scan(collection, prefix, [&](std::string_view key, std::string_view value) {
      ++rows_;
      return visit(key, value);
    });
  }
  Result<std::uint64_t> append(std::string_view entry) override { return txn_.append(entry); }
  Result<std::uint64_t> log_size() override { return txn_.log_size(); }
  Result<void> read_log(
      std::uint64_t begin, std::uint64_t end,
      const std::function<bool(std::uint64_t, std::string_view)>& visit) override {
    return txn_.read_log(begin, end, visit);
  }

 private:
  store::Txn& txn_;
  std::size_t& rows_;
};

/// A state that counts the rows that are read, and whose disk fails from some write on, as if the
/// process were killed before it.
class WatchedState final : public store::State {
 public:
  explicit WatchedState(std::unique_ptr<store::State> state) : state_(std::move(state)) {}
  int left = -1;         ///< so many writes are still done; negative: all
  std::size_t rows = 0;  ///< that were read

  Result<void> write(const std::function<Result<void>(store::Txn&)>& body) override {
    if (left == 0) return failed();
    if (left > 0) --left;
    return state_->write([&](store::Txn& txn) {
      CountingTxn counting(txn, rows);
      return body(counting);
    });
  }
  Result<void> read(const std::function<Result<void>(store::Txn&)>& body) override {
    return state_->read([&](store::Txn& txn) {
      CountingTxn counting(txn, rows);
      return body(counting);
    });
  }
  Result<void> usable() const override {
    if (left == 0) return failed();
    return state_->usable();
  }

 private:
  static Error failed() { return {ErrorKind::kIo, "state-failed", "the disk failed"}; }

  std::unique_ptr<store::State> state_;
};

/// Ada approves, Ben asks; four bundles, the first is primary and the second standby.
class ServiceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ada_ = std::make_unique<policy::SshKey>("ada"); }
  static void TearDownTestSuite() { ada_.reset(); }

  void SetUp() override {
    home_.emplace(testing::TempDir() + uuid7());
    ASSERT_TRUE(make_dirs(home_->dir() + "/keys").ok());
    workers_.emplace(project_);
    runner_ = &*workers_;
    project_.contracts["c"] = score::fixture::contract();
    project_.feature_sets["f"].contract = "c";
    project_.models["m"].features = "f";
    project_.monitors["w"].service = "s";
    auto& service = project_.services["s"];
    service.identity.name = "s";
    service.model = "m";
    service.monitor = "w";
    service.autonomy = "act";
    service.sources = {"one", "two"};
    service.canary.steps = {500, 2'500};
    spec::PolicyRule ask;
    ask.id = "a-person-says-yes";
    ask.effect = spec::PolicyRule::Effect::kRequireApproval;
    ask.who = {"person:*", "agent:*"};
    ask.actions = {"release.*", "canary.start", "shadow.*", "transform.propose"};
    ask.approver_role = "approver";
    spec::PolicyRule allow;
    allow.id = "agents-act";
    allow.effect = spec::PolicyRule::Effect::kAllow;
    allow.who = {"agent:*", "person:*"};
    allow.actions = {"slot.swap", "source.*", "service.resume"};
    project_.policies["p"].rules = {ask, allow};
    project_.people = {{"ada", {"approver"}, {ada_->public_key()}}, {"ben", {}, {}}};
    project_.service_accounts = {{"app", {"predict"}}, {"other", {"predict"}}};
    open_parts();
    for (int i = 0; i < 4; ++i) bundles_.push_back(pack(0.25 * i));
    open();
    ASSERT_TRUE(promote(0));
    ASSERT_TRUE(promote(1, "standby"));
  }
  /// The parts anew over what lies on the disk, as a process that starts finds it.
  void open_parts() {
    control_.reset();
    outbox_.reset();
    policy_.reset();
    ledger_.reset();
    state_.reset();
    auto watched =
        std::make_unique<WatchedState>(adapters::open_sqlite_state(home_->state()).value());
    disk_ = watched.get();
    state_ = std::move(watched);
    objects_ = adapters::open_layout(home_->objects()).value();
    key_ = Ed25519Key::from_seed(std::string(32, '\5')).value();
    const ledger::Ledger::Options options{home_->dir() + "/tiles", "tiny",
                                          Ed25519Key::from_seed(std::string(32, '\3')).value(),
                                          &clock_};
    ledger_ = ledger::Ledger::open(*state_, options).value();
    policy_ = policy::LocalEngine::open(*state_, *ledger_, project_, clock_).value();
    outbox_ = Outbox::open(*state_, receivers_).value();
  }
  Digest pack(double intercept) {
    const auto made =
        bundle::open(*objects_, score::fixture::pack(*objects_, intercept).value()).value();
    auto layers = made.layers();
    layers.push_back(
        {std::string(bundle::kBaseline), "", doc::to_json(watch::baseline_schema().print({}))});
    layers.push_back({std::string(bundle::kEvaluation), "", bundle::fixture::kPassed});
    layers.push_back({std::string(bundle::kStatements), "", "[]"});
    return bundle::pack(*objects_, std::move(layers), made.config()).value();
  }
  void open() {
    control_.reset();
    auto opened =
        ServiceControl::open({&*home_, &project_, state_.get(), objects_.get(), git_.get(), runner_,
                              policy_.get(), outbox_.get(), &key_, kProgram, open_exchange},
                             project_.services.at("s"));
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    control_ = std::move(*opened);
  }
  /// The id of the approval that a command asked for, or of the error.
  static std::string asked(const Result<Asked>& reply) {
    return reply.ok() ? reply->approval : reply.error().id;
  }
  std::string ask(int bundle, const std::string& slot = "primary", bool again = false) {
    return asked(
        control_->promote(bundles_[static_cast<std::size_t>(bundle)], slot, 0, kBen, again));
  }
  /// Ada's yes and what it allows; the error's id, or empty.
  std::string yes(const std::string& approval) {
    const auto found = policy_->approval(approval);
    if (!found.ok()) return found.error().id;
    const auto given = policy_->approve(approval, "ada", ada_->sign(found->statement));
    if (!given.ok()) return given.error().id;
    const auto applied = control_->resume_promotion(approval);
    return applied.ok() ? "" : applied.error().id;
  }
  bool promote(int bundle, const std::string& slot = "primary") {
    return yes(ask(bundle, slot)).empty();
  }
  policy::Approval::Status status(const std::string& approval) {
    return policy_->approval(approval)->status;
  }

  recover::Outcome recover(recover::What what, const std::string& incident = "incident-0001") {
    recover::Action action;
    action.op_id = fmt::format("{}/{}", incident, type_of(what));
    action.what = std::move(what);
    action.incident = incident;
    action.target = "service/s";
    action.evidence = {sha256("finding")};
    action.reason = "because";
    return performed(std::move(action));
  }
  /// What becomes of it; a promotion has its comparison at the tick after.
  recover::Outcome performed(recover::Action action) {
    auto outcome = control_->effects().perform(action);
    const bool compares = std::holds_alternative<recover::PromoteCandidate>(action.what);
    if (compares && outcome.ok() && outcome->status == recover::Outcome::Status::kRunning) {
      ++action.event_time;
      outcome = control_->effects().perform(action);
    }
    EXPECT_TRUE(outcome.ok()) << outcome.error().str();
    return outcome.ok() ? *outcome : recover::Outcome{};
  }
  recover::Outcome swap() { return recover(recover::SwapToStandby{}); }
  recover::Outcome repair() {
    return recover(recover::ProposeTransform{"shift", "distance", 0, "distance + 1"});
  }
  recover::Outcome promote_retrained() {
    return recover(recover::PromoteCandidate{bundles_[3].str()});
  }
  std::string newest() { return policy_->approvals()->back().id; }

  static inline std::unique_ptr<policy::SshKey> ada_;
  const policy::Actor kBen{policy::ActorType::kPerson, "ben", {"os-user:ben"}};
  StandingClock clock_;
  std::optional<Home> home_;
  spec::Project project_;
  std::unique_ptr<store::State> state_;
  WatchedState* disk_ = nullptr;  ///< of `state_`
  Outbox::Receivers receivers_;   ///< who is told: nobody
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<store::Git> git_;
  std::optional<Workers> workers_;
  jobs::Runner* runner_ = nullptr;  ///< `workers_`, or a test's own
  Ed25519Key key_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<policy::LocalEngine> policy_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<ServiceControl> control_;
  std::vector<Digest> bundles_;
};

}  // namespace heddle::control::fixture
