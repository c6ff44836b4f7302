// Every state that the releases of a service can reach, alone and together with a data plane that
// applies tables late, out of order or never, fails over, ends canaries, stops and restarts by
// itself.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "doc/json.hpp"
#include "release/exploration_fixture.hpp"
#include "release/release.hpp"

namespace heddle::release {
namespace {

using fixture::Exploration;
using fixture::explore;

constexpr std::size_t kBundles = 4;
constexpr std::size_t kNone = kBundles;  ///< no bundle
const std::array<Digest, kBundles + 1> kBundle{sha256("a"), sha256("b"), sha256("c"), sha256("d"),
                                               Digest{}};
constexpr const char* kName[] = {"A", "B", "C", "D", "none"};
const std::vector<std::uint32_t> kSteps{100, 2'500};

std::size_t index_of(const Digest& bundle) {
  return static_cast<std::size_t>(std::find(kBundle.begin(), kBundle.end(), bundle) -
                                  kBundle.begin());
}

CanaryPlan plan() { return {kSteps, "source", "", ""}; }

std::string joined(const std::vector<std::string>& steps) {
  return fmt::format("{}", fmt::join(steps, " -> "));
}

/// Invariants of any state, whatever led to it.
template <class Machine>
std::string broken_state(const Machine& m) {
  const auto serves = [&](const Digest& bundle) {
    return bundle.empty() || (m.standing(bundle).approved && m.standing(bundle).ready);
  };
  const auto table = m.route("");
  if (!serves(table.primary) || !serves(table.standby) || !serves(table.canary.bundle)) {
    return "a slot that answers holds a bundle that is unapproved or unready";
  }
  if (!table.shadow.empty() && !m.standing(table.shadow).ready) return "the shadow is not ready";
  if (!serves(m.rollback_target())) return "the rollback target is unapproved or unready";
  std::vector<Digest> slots;
  for (const Digest& slot : {table.primary, table.standby, table.canary.bundle, table.shadow}) {
    if (!slot.empty()) slots.push_back(slot);
  }
  std::sort(slots.begin(), slots.end());
  if (std::adjacent_find(slots.begin(), slots.end()) != slots.end())
    return "a bundle is in two slots";
  if (!m.primary().empty() && m.primary() == m.rollback_target())
    return "the rollback target is the primary";
  if (m.canary().running()) {
    if (m.primary().empty()) return "a canary without a primary beside it";
    if (std::find(kSteps.begin(), kSteps.end(), table.canary.weight) == kSteps.end())
      return "the weight is no step";
    if (m.canary().started > m.canary().stepped || m.canary().stepped > m.version())
      return "the canary's versions are wrong";
    Machine aborted = m;
    if (!aborted.abort_canary().ok() || aborted.canary().running() ||
        aborted.primary() != m.primary())
      return "a canary cannot be ended";
  }
  if (!m.rollback_target().empty()) {
    Machine back = m;
    if (!back.rollback().ok() || back.primary() != m.rollback_target())
      return "the rollback is not usable";
    if (back.canary().running()) return "a rollback leaves a canary of another primary";
    if (!m.primary().empty() && back.rollback_target() != m.primary())
      return "a rollback cannot be undone";
  }
  Machine safe = m;
  safe.stop();
  if (!safe.route("").stopped) return "the safe state is not reachable";
  const auto again = Releases::from_value(*doc::parse_json(doc::to_json(m.to_value())));
  if (!again.ok() || !(*again == static_cast<const Releases&>(m)))
    return "a restart changes the state";
  return {};
}

bool same_answers(const plane::RouteTable& a, const plane::RouteTable& b) {
  return a.primary == b.primary && a.standby == b.standby && a.canary.bundle == b.canary.bundle &&
         a.canary.weight == b.canary.weight && a.shadow == b.shadow && a.stopped == b.stopped &&
         a.acknowledged == b.acknowledged;
}

/// Invariants of a step of the machine.
template <class Machine>
std::string broken_step(const Machine& before, const std::string& step, const Machine& after,
                        bool accepted) {
  if (!accepted) {
    return static_cast<const Releases&>(before) == static_cast<const Releases&>(after)
               ? ""
               : "a refused command changed the state";
  }
  const auto is = [&](std::string_view prefix) { return step.starts_with(prefix); };
  if (after.version() < before.version()) return "the version fell";
  if (!same_answers(before.route(""), after.route("")) && after.version() == before.version())
    return "two tables of one version";
  if (before.stopped() && !after.stopped() && !is("resume"))
    return "a stop was left without a resume";
  if (!before.primary().empty() && after.primary().empty() && !is("unready"))
    return "the primary was lost";
  if (!before.rollback_target().empty() && after.rollback_target().empty() && !is("unready"))
    return "the rollback target was lost";
  if (before.primary() != after.primary()) {
    if (!before.primary().empty() && !is("unready") && after.rollback_target() != before.primary())
      return "the way back is not armed";
    if (after.canary().running()) return "a canary is mixed with another primary";
  }
  if (after.canary().running()) {
    const auto& was = before.canary();
    const auto& now = after.canary();
    const bool other = was.canary.bundle != now.canary.bundle;
    if (other && !is("canary ")) return "a canary started by itself";
    if ((other || now.canary.weight != was.canary.weight) && before.stopped())
      return "a canary rose while stopped";
    if (!other && now.canary.weight != was.canary.weight &&
        (!is("raise") || now.canary.weight < was.canary.weight)) {
      return "the weight changed otherwise than by a rise";
    }
    if (!other && was.started != now.started) return "a canary changed its age";
  }
  return {};
}

/// The machine alone: four bundles with every standing, every command.
template <class Machine>
struct Alone {
  Machine m{"s"};

  [[nodiscard]] std::uint64_t key() const {
    std::uint64_t packed = 0;
    for (std::size_t b = 0; b < kBundles; ++b) {
      const Standing standing = m.standing(kBundle[b]);
      packed = packed << 2 | (standing.approved ? 1U : 0U) | (standing.ready ? 2U : 0U);
    }
    for (const Digest& slot :
         {m.primary(), m.standby(), m.canary().canary.bundle, m.shadow(), m.rollback_target()}) {
      packed = packed << 3 | index_of(slot);
    }
    const std::uint64_t weight = m.canary().canary.weight == 0           ? 0
                                 : m.canary().canary.weight == kSteps[0] ? 1
                                                                         : 2;
    return packed << 3 | weight << 1 | (m.stopped() ? 1U : 0U);
  }

  template <class Visit>
  void each(const Visit& visit) const {
    const auto with = [&](const std::string& name, const auto& command) {
      Alone next = *this;
      const bool accepted = command(next.m);
      visit(name, std::move(next), accepted);
    };
    for (std::size_t b = 0; b < kBundles; ++b) {
      const Digest& bundle = kBundle[b];
      const std::string of = fmt::format(" {}", kName[b]);
      with("ready" + of, [&](Machine& n) {
        n.mark_ready(bundle);
        return true;
      });
      with("unready" + of, [&](Machine& n) {
        n.mark_unready(bundle);
        return true;
      });
      with("approve" + of, [&](Machine& n) {
        n.approve(bundle, "x");
        return true;
      });
      with("revoke" + of, [&](Machine& n) { return n.revoke(bundle).ok(); });
      with("promote" + of, [&](Machine& n) { return n.promote(bundle).ok(); });
      with("standby" + of, [&](Machine& n) { return n.set_standby(bundle).ok(); });
      with("canary" + of, [&](Machine& n) { return n.start_canary(bundle, plan(), 0, 7).ok(); });
      with("canary at 25%" + of,
           [&](Machine& n) { return n.start_canary(bundle, plan(), 2'500, 7).ok(); });
      with("shadow" + of, [&](Machine& n) { return n.set_shadow(bundle).ok(); });
      with("replace primary" + of, [&](Machine& n) { return n.replace("primary", bundle).ok(); });
      with("replace standby" + of, [&](Machine& n) { return n.replace("standby", bundle).ok(); });
      with("failed over from" + of, [&](Machine& n) {
        n.acknowledge_fail_over(fmt::format("f{}", n.version()), bundle);
        return true;
      });
      with("canary ended of" + of, [&](Machine& n) {
        n.acknowledge_canary_abort(fmt::format("c{}", n.version()), bundle);
        return true;
      });
    }
    with("no standby", [](Machine& n) { return n.set_standby({}).ok(); });
    with("no shadow", [](Machine& n) { return n.set_shadow({}).ok(); });
    with("canary at 3%",
         [](Machine& n) { return n.start_canary(kBundle[0], plan(), 300, 7).ok(); });
    with("raise", [](Machine& n) { return n.raise_canary(8).ok(); });
    with("abort", [](Machine& n) { return n.abort_canary().ok(); });
    with("swap", [](Machine& n) { return n.swap().ok(); });
    with("rollback", [](Machine& n) { return n.rollback().ok(); });
    with("stop", [](Machine& n) {
      n.stop();
      return true;
    });
    with("resume", [](Machine& n) {
      n.resume();
      return true;
    });
  }

  [[nodiscard]] std::string unsafe() const { return broken_state(m); }

  [[nodiscard]] std::string broken(const std::string& step, const Alone& next,
                                   bool accepted) const {
    if (auto found = broken_step(m, step, next.m, accepted); !found.empty()) return found;
    if (step.starts_with("failed over from")) {
      const Digest& failed = kBundle[static_cast<std::size_t>(step.back() - 'A')];
      if (failed == next.m.primary() && !m.standby().empty()) return "what failed is primary again";
      if (failed != m.primary() && next.m.primary() != m.primary())
        return "a late fail-over undid a decision";
    }
    if (step == "canary at 3%" && accepted) return "a weight that is no step was accepted";
    return {};
  }
};

/// The machine and a data plane. Three bundles, approved and ready; what is explored is the order
/// of things: a table may be applied late, after a newer one (refused) or never; acts of the data
/// plane are read late; it restarts with nothing in force.
template <class Machine>
struct Planes {
  static constexpr std::size_t kUsed = 3;
  static constexpr std::size_t kUnread =
      2;  ///< acts that the control plane has not read yet, at most
  enum class Kind : std::uint8_t { kFailOver, kCanaryAbort, kStop };
  struct Act {
    Kind kind;
    int id;
    std::size_t bundle;  ///< that failed
  };
  /// What a data plane sees of a table.
  struct Table {
    std::uint64_t version = 0;
    std::size_t primary = kNone, standby = kNone, canary = kNone;
    std::uint32_t weight = 0;
    bool stopped = false;
    std::uint64_t acknowledged = 0;  ///< bit i: act i
    [[nodiscard]] bool knows(int id) const { return id >= 0 && (acknowledged >> id & 1U) != 0; }
  };

  Machine m{"s"};
  Table file{};      ///< published last; a control plane that dies before that is a data plane that
                     ///< comes late to it
  Table late{};      ///< published before it, still under way to a replica
  Table in_force{};  ///< of the data plane
  bool has_table = false;  ///< false after a restart, until one is applied
  int failed_over = -1;    ///< ids of standing acts
  int canary_ended = -1;
  int stopped = -1;
  int acts = 0;
  std::vector<Act> unread{};
  bool owed = false;  ///< a stop of the data plane that no person has cleared

  static Planes start() {
    Planes planes;
    for (std::size_t b = 0; b < kUsed; ++b) {
      planes.m.mark_ready(kBundle[b]);
      planes.m.approve(kBundle[b], "x");
    }
    planes.m.allow_fail_over(true);
    (void)planes.m.promote(kBundle[0]);
    (void)planes.m.set_standby(kBundle[1]);
    planes.publish();
    planes.apply(planes.file);
    return planes;
  }

  static std::string name_of(const Act& act) {
    return fmt::format("{}{}",
                       act.kind == Kind::kFailOver      ? "f"
                       : act.kind == Kind::kCanaryAbort ? "c"
                                                        : "s",
                       act.id);
  }

  [[nodiscard]] Table table() const {
    const auto route = m.route("");
    Table out;
    out.version = route.version;
    out.primary = index_of(route.primary);
    out.standby = index_of(route.standby);
    out.canary = index_of(route.canary.bundle);
    out.weight = route.canary.weight;
    out.stopped = route.stopped;
    for (const std::string& id : route.acknowledged)
      out.acknowledged |= std::uint64_t{1} << std::stoi(id.substr(1));
    return out;
  }

  /// Bundles that may answer a request now.
  [[nodiscard]] std::vector<std::size_t> answering() const {
    if (!has_table || stopped >= 0 || in_force.stopped) return {};
    std::vector<std::size_t> out;
    const bool over = failed_over >= 0 && in_force.standby != kNone;
    if (over || in_force.primary != kNone)
      out.push_back(over ? in_force.standby : in_force.primary);
    if (in_force.canary != kNone && canary_ended < 0) out.push_back(in_force.canary);
    return out;
  }

  void apply(const Table& next) {
    if (next.version < in_force.version || (has_table && next.version == in_force.version)) return;
    if (stopped >= 0 && !next.knows(stopped)) return;
    for (int* act : {&failed_over, &canary_ended, &stopped}) {
      if (next.knows(*act)) *act = -1;
    }
    in_force = next;
    has_table = true;
  }

  void read() {
    const Act act = unread.front();
    unread.erase(unread.begin());
    if (act.kind == Kind::kFailOver) m.acknowledge_fail_over(name_of(act), kBundle[act.bundle]);
    if (act.kind == Kind::kCanaryAbort)
      m.acknowledge_canary_abort(name_of(act), kBundle[act.bundle]);
    if (act.kind == Kind::kStop) {
      m.acknowledge(name_of(act));
      m.stop();
    }
    publish();
  }

  void publish() {
    if (m.version() == file.version) return;
    late = file;
    file = table();
  }

  [[nodiscard]] std::uint64_t key() const {
    std::string bytes;
    const auto put = [&](std::size_t value) { bytes.push_back(static_cast<char>(value)); };
    const auto known = [&](std::uint64_t mask, int id) {
      return id >= 0 && (mask >> id & 1U) != 0;
    };
    const auto put_table = [&](const Table& t) {
      for (const std::size_t slot : {t.primary, t.standby, t.canary}) put(slot);
      put(t.weight / 100);
      put(t.stopped ? 1 : 0);
      for (const int act : {failed_over, canary_ended, stopped})
        put(known(t.acknowledged, act) ? 1 : 0);
      put(t.version < in_force.version ? 0 : t.version == in_force.version ? 1 : 2);
    };
    put_table(file);
    put(index_of(m.rollback_target()));
    if (late.version < in_force.version || (has_table && late.version == in_force.version))
      put(9);  // it will be refused whatever it says
    else
      put_table(late);
    if (has_table) put_table(in_force);  // after a restart only its version counts
    put(has_table ? 1 : 0);
    for (const int act : {failed_over, canary_ended, stopped}) put(act >= 0 ? 1 : 0);
    for (const Act& act : unread) {
      put(static_cast<std::size_t>(act.kind) + 10);
      put(act.bundle);
      put((act.id == failed_over ? 1U : 0U) + (act.id == canary_ended ? 2U : 0U) +
          (act.id == stopped ? 4U : 0U) + (known(file.acknowledged, act.id) ? 8U : 0U));
    }
    put(owed ? 1 : 0);
    return std::hash<std::string>()(
        bytes);  // 64 bits: two of a million states collide with a chance of 3e-8
  }

  template <class Visit>
  void each(const Visit& visit) const {
    const auto with = [&](const std::string& name, const auto& event) {
      Planes next = *this;
      const bool accepted = event(next);
      visit(name, std::move(next), accepted);
    };
    const auto command = [&](const std::string& name, const auto& change) {
      with(name, [&](Planes& n) {
        const bool accepted = change(n.m).ok();
        n.publish();
        return accepted;
      });
    };
    command("promote C", [](Machine& n) { return n.promote(kBundle[2]); });
    command("canary C", [](Machine& n) { return n.start_canary(kBundle[2], plan(), 0, 7); });
    command("raise", [](Machine& n) { return n.raise_canary(8); });
    command("no standby", [](Machine& n) { return n.set_standby({}); });
    command("swap", [](Machine& n) { return n.swap(); });
    command("rollback", [](Machine& n) { return n.rollback(); });
    command("abort", [](Machine& n) { return n.abort_canary(); });
    with("stop", [](Planes& n) {
      n.m.stop();
      n.publish();
      return true;
    });
    with("resume", [](Planes& n) {
      n.m.resume();
      n.publish();
      const bool read = std::none_of(n.unread.begin(), n.unread.end(),
                                     [](const Act& act) { return act.kind == Kind::kStop; });
      if (read) n.owed = false;
      return true;
    });
    with("apply the newest table", [](Planes& n) {
      n.apply(n.file);
      return true;
    });
    with("apply a late table", [](Planes& n) {
      n.apply(n.late);
      return true;
    });
    with("restart the data plane", [](Planes& n) {
      n.has_table = false;
      return true;
    });
    if (unread.size() < kUnread) {
      const auto now = answering();
      if (!now.empty() && in_force.standby != kNone && failed_over < 0) {
        with("the data plane fails over", [](Planes& n) {
          n.unread.push_back({Kind::kFailOver, n.acts, n.in_force.primary});
          n.failed_over = n.acts++;
          return true;
        });
      }
      if (!now.empty() && in_force.canary != kNone && canary_ended < 0) {
        with("the data plane ends the canary", [](Planes& n) {
          n.unread.push_back({Kind::kCanaryAbort, n.acts, n.in_force.canary});
          n.canary_ended = n.acts++;
          return true;
        });
      }
      if (stopped < 0) {
        with("the data plane is stopped", [](Planes& n) {
          n.unread.push_back({Kind::kStop, n.acts, kNone});
          n.stopped = n.acts++;
          n.owed = true;
          return true;
        });
      }
    }
    if (!unread.empty())
      with("the control plane reads", [](Planes& n) {
        n.read();
        return true;
      });
  }

  [[nodiscard]] std::string broken(const std::string& step, const Planes& next,
                                   bool accepted) const {
    const bool reads = step == "the control plane reads";
    const std::string kind = reads && unread.front().kind == Kind::kStop ? "stop" : step;
    if (auto found = broken_step(m, kind, next.m, accepted); !found.empty()) return found;
    if (next.acts >= 64) return "more acts than this model can tell apart";
    if (next.in_force.version < in_force.version)
      return "the data plane went back to an older table";
    if (next.in_force.version > in_force.version && next.in_force.version > next.m.version())
      return "a table that nobody decided";
    const auto answers = next.answering();
    if (next.owed && !answers.empty()) return "answers although it was stopped and nobody resumed";
    if (answers.size() == 2 && answers[0] == answers[1])
      return "the canary answers for the primary too";
    if (reads && unread.front().kind == Kind::kFailOver && !m.standby().empty() &&
        next.m.primary() == kBundle[unread.front().bundle]) {
      return "what failed is primary again";
    }
    if (reads && unread.front().kind == Kind::kCanaryAbort && next.m.canary().running() &&
        next.m.canary().canary.bundle == kBundle[unread.front().bundle]) {
      return "a canary that the data plane ended goes on";
    }
    return {};
  }

  /// Whatever happened: when both have caught up, the data plane does what was decided and nothing
  /// of its own stands.
  [[nodiscard]] std::string unsafe() const {
    Planes settled = *this;
    while (!settled.unread.empty()) settled.read();
    settled.apply(settled.file);
    const Table decided = settled.table();
    if (settled.failed_over >= 0 || settled.canary_ended >= 0 || settled.stopped >= 0)
      return "an act of the data plane is never settled";
    if (!settled.has_table || settled.in_force.version != decided.version ||
        settled.in_force.primary != decided.primary || settled.in_force.canary != decided.canary ||
        settled.in_force.stopped != decided.stopped) {
      return "the planes never agree";
    }
    return {};
  }
};

/// Machines with one deliberate fault each: the right command, then a look at the saved state that
/// should not have been possible.
doc::Value edited(doc::Value state, std::string key, doc::Value value) {
  state.set(std::move(key), std::move(value));
  return state;
}

struct PromotesUnready : Releases {
  using Releases::Releases;
  Result<void> promote(Digest bundle) {
    if (standing(bundle).ready || !standing(bundle).approved) return Releases::promote(bundle);
    mark_ready(bundle);
    HEDDLE_TRY(Releases::promote(bundle));
    auto state = to_value();
    for (auto& item : state.find("bundles")->as_array()) {
      if (item.string_or("bundle") == bundle.str()) item.set("ready", false);
    }
    static_cast<Releases&>(*this) = *Releases::from_value(state);
    return {};
  }
};

struct SwapForgetsTheWayBack : Releases {
  using Releases::Releases;
  Result<void> swap() {
    const Digest before = rollback_target();
    HEDDLE_TRY(Releases::swap());
    static_cast<Releases&>(*this) = *Releases::from_value(
        edited(to_value(), "rollback", before == primary() || before.empty() ? "" : before.str()));
    return {};
  }
};

struct PromotedCanaryLosesTheStop : Releases {
  using Releases::Releases;
  Result<void> promote(Digest bundle) {
    const bool was_canary = canary().running() && canary().canary.bundle == bundle;
    HEDDLE_TRY(Releases::promote(bundle));
    if (was_canary) Releases::resume();
    return {};
  }
};

struct SwapKeepsTheCanary : Releases {
  using Releases::Releases;
  Result<void> swap() {
    const auto canary = *to_value().find("canary");
    HEDDLE_TRY(Releases::swap());
    static_cast<Releases&>(*this) = *Releases::from_value(edited(to_value(), "canary", canary));
    return {};
  }
};

struct LateFailOverSwapsAgain : Releases {
  using Releases::Releases;
  void acknowledge_fail_over(const std::string& act, const Digest&) {
    Releases::acknowledge_fail_over(act, primary());
  }
};

struct AbortForgetsTheAct : Releases {
  using Releases::Releases;
  void acknowledge_canary_abort(const std::string&, const Digest& bundle) {
    if (canary().canary.bundle == bundle) (void)abort_canary();
  }
};

struct StopIsAcknowledgedAndNotTaken : Releases {
  using Releases::Releases;
  void stop() {}
};

void report(const char* what, const Exploration& seen) {
  fmt::print(
      "[ exploration ] {}: {} states, {} transitions ({} refused), {} steps deep, violations: {}\n",
      what, seen.states, seen.transitions, seen.refused, seen.depth,
      seen.violation.empty() ? "0" : seen.violation + " by " + joined(seen.trace));
}

TEST(Exploration, EveryStateOfTheMachineIsSafe) {
  const auto seen = explore(Alone<Releases>{});
  report("the machine", seen);
  EXPECT_EQ(seen.violation, "") << joined(seen.trace);
  EXPECT_GT(seen.states, 10'000U);
}

TEST(Exploration, EveryOrderOfTwoPlanesIsSafe) {
  const auto seen = explore(Planes<Releases>::start());
  report("two planes", seen);
  EXPECT_EQ(seen.violation, "") << joined(seen.trace);
  EXPECT_GT(seen.states, 10'000U);
}

/// Explores a machine with a seeded fault: it must be found, by the steps named.
template <class State>
void finds(const char* what, State start, const std::string& violation, const std::string& trace) {
  const auto seen = explore(std::move(start));
  report(what, seen);
  EXPECT_EQ(seen.violation, violation) << what;
  EXPECT_EQ(joined(seen.trace), trace) << what;
}

const std::string kReleased = "ready A -> approve A -> promote A -> ready B -> approve B -> ";

TEST(Exploration, FaultsInTheMachineAreFound) {
  finds("a promotion without the ready check", Alone<PromotesUnready>{},
        "a slot that answers holds a bundle that is unapproved or unready",
        "approve A -> promote A");
  finds("a swap that forgets the way back", Alone<SwapForgetsTheWayBack>{},
        "the way back is not armed", kReleased + "standby B -> swap");
  finds("a promoted canary that loses the stop", Alone<PromotedCanaryLosesTheStop>{},
        "a stop was left without a resume", kReleased + "canary B -> stop -> promote B");
  finds("a swap that keeps the canary", Alone<SwapKeepsTheCanary>{},
        "a canary is mixed with another primary",
        kReleased + "standby B -> ready C -> approve C -> canary C -> swap");
  finds("a late fail-over that swaps again", Alone<LateFailOverSwapsAgain>{},
        "what failed is primary again", kReleased + "standby B -> failed over from B");
  finds("a safe state that is none", Alone<StopIsAcknowledgedAndNotTaken>{},
        "the safe state is not reachable", "ready A");
}

TEST(Exploration, FaultsBetweenThePlanesAreFound) {
  finds("a late fail-over that swaps again", Planes<LateFailOverSwapsAgain>::start(),
        "what failed is primary again",
        "swap -> the data plane fails over -> the control plane reads");
  finds("an ended canary that is never acknowledged", Planes<AbortForgetsTheAct>::start(),
        "an act of the data plane is never settled",
        "canary C -> apply the newest table -> the data plane ends the canary");
  finds("a stop that is acknowledged and not taken", Planes<StopIsAcknowledgedAndNotTaken>::start(),
        "answers although it was stopped and nobody resumed",
        "the data plane is stopped -> the control plane reads -> apply the newest table");
}

}  // namespace
}  // namespace heddle::release
