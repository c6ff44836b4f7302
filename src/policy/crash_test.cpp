// A process that acts and publishes is killed at random moments: what it had said is there once,
// and the audit holds.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <random>

#include "adapters/sqlite/state.hpp"
#include "ledger/verify.hpp"
#include "policy/engine.hpp"

namespace heddle::policy {
namespace {

struct Opened {
  std::unique_ptr<store::State> state;
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<LocalEngine> engine;
};

Result<Opened> open(const std::string& root) {
  Opened opened;
  HEDDLE_ASSIGN_OR_RETURN(opened.state, adapters::open_sqlite_state(root + "/state.db"));
  ledger::Ledger::Options options{root + "/tiles", "flights",
                                  Ed25519Key::from_seed(std::string(32, '\3')).value(), nullptr};
  HEDDLE_ASSIGN_OR_RETURN(opened.ledger, ledger::Ledger::open(*opened.state, options));
  spec::Project project;
  spec::PolicyRule rule;
  rule.id = "allow";
  rule.effect = spec::PolicyRule::Effect::kAllow;
  rule.who = rule.actions = {"*"};
  project.policies["default"].rules = {rule};
  HEDDLE_ASSIGN_OR_RETURN(opened.engine, LocalEngine::open(*opened.state, *opened.ledger, project));
  return opened;
}

/// Proposes op 0, 1, 2, ... from the first that may not have been done; says each number once it
/// was applied.
[[noreturn]] void act_until_killed(const std::string& root, std::uint64_t from, int out) {
  auto opened = open(root);
  if (!opened) ::_exit(1);
  for (std::uint64_t number = from;; ++number) {
    Proposal proposal;
    proposal.op_id = fmt::format("op-{}", number);
    proposal.action = "source.quarantine";
    proposal.target = "source/carrier-3";
    proposal.actor = {ActorType::kAgent, "agent:recover"};
    const auto decision = opened->engine->act(proposal, [&](store::Txn& txn) {
      return txn.put("test", fmt::format("{:06}", number), "done");
    });
    if (!decision || !decision->applied || ::write(out, &number, sizeof number) != sizeof number)
      ::_exit(2);
    if (number % 3 == 0 && !opened->ledger->publish()) ::_exit(3);
  }
}

TEST(Crash, AKilledControlPlaneLosesAndRepeatsNothing) {
  constexpr int kKills = 30;
  const auto seed =
      static_cast<unsigned>(std::chrono::steady_clock::now().time_since_epoch().count());
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  std::string root = testing::TempDir() + "/crash.XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  std::uint64_t acknowledged = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    // One before the last that was acknowledged: it is proposed a second time, and must not be done
    // a second time.
    const std::uint64_t from = acknowledged == 0 ? 0 : acknowledged - 1;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(fds[0]);
      act_until_killed(root, from, fds[1]);
    }
    ::close(fds[1]);
    std::uint64_t number = 0;
    for (unsigned n = 2 + random() % 12;
         n > 0 && ::read(fds[0], &number, sizeof number) == sizeof number; --n)
      acknowledged = number + 1;
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 20000);
    while (std::chrono::steady_clock::now() < until) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    while (::read(fds[0], &number, sizeof number) == sizeof number) acknowledged = number + 1;
    ::close(fds[0]);

    auto opened = open(root);
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    ASSERT_TRUE(opened->ledger->publish().ok());
    std::map<std::string, int> seen;
    ASSERT_TRUE(opened->ledger
                    ->read(0,
                           [&](const ledger::Entry& entry) {
                             ++seen[entry.op_id];
                             return true;
                           })
                    .ok());
    ASSERT_GE(seen.size(), acknowledged);
    ASSERT_LE(seen.size(), acknowledged + 1);
    for (const auto& [op_id, times] : seen) ASSERT_EQ(times, 1) << op_id;
    std::uint64_t applied = 0;
    ASSERT_TRUE(opened->state
                    ->read([&](store::Txn& txn) {
                      return txn.scan("test", "", [&](std::string_view, std::string_view) {
                        return ++applied > 0;
                      });
                    })
                    .ok());
    ASSERT_EQ(applied, seen.size());  // no change without its record, no record without its change
    ledger::VerifyOptions options{root + "/tiles", opened->ledger->verifier_key(),
                                  opened->state.get(), nullptr};
    const auto audit = ledger::verify(options).value();
    ASSERT_TRUE(audit.ok()) << audit.str();
    acknowledged = seen.size();
  }
  EXPECT_GE(acknowledged, static_cast<std::uint64_t>(kKills));
}

}  // namespace
}  // namespace heddle::policy
