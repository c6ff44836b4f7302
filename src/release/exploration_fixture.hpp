#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace heddle::release::fixture {

/// What an exploration saw. `violation` empty: nothing broke an invariant.
struct Exploration {
  std::size_t states = 0;
  std::size_t transitions = 0;  ///< commands and events tried, refused ones too
  std::size_t refused = 0;
  std::size_t depth = 0;  ///< of the state farthest from the start
  std::string violation{};
  std::vector<std::string>
      trace{};  ///< the shortest way to it, the last step is the one that broke it
};

/// Breadth-first over every state that can be reached from `start`, until none is new or one breaks
/// an invariant: so the first trace found is a shortest one. `State` is a value with
///
///   std::uint64_t key() const                      equal for states that behave alike
///   void each(visit)                               visit(name, next, accepted) for every command
///   and event of this state std::string broken(name, next, accepted)       what the step broke, or
///   empty; asked for every step std::string unsafe() const                     what this state
///   breaks by itself, or empty; asked once a state
///
/// Memory is proportional to the number of states.
template <class State>
Exploration explore(State start, std::size_t most_states = 3'000'000) {
  struct Origin {
    std::size_t parent;
    std::string step;
    std::size_t depth;
  };
  Exploration out;
  std::vector<Origin> origins{{0, "", 0}};
  std::unordered_map<std::uint64_t, std::size_t> seen{{start.key(), 0}};
  std::deque<std::pair<State, std::size_t>> open;
  open.emplace_back(std::move(start), 0);
  while (!open.empty() && out.violation.empty()) {
    const State state = std::move(open.front().first);
    const std::size_t at = open.front().second;
    open.pop_front();
    state.each([&](const std::string& name, State next, bool accepted) {
      if (!out.violation.empty()) return;
      ++out.transitions;
      if (!accepted) ++out.refused;
      out.violation = state.broken(name, next, accepted);
      const bool is_new =
          out.violation.empty() && accepted && seen.emplace(next.key(), origins.size()).second;
      if (is_new) out.violation = next.unsafe();
      if (!out.violation.empty()) {
        out.trace = {name};
        for (std::size_t i = at; i != 0; i = origins[i].parent)
          out.trace.insert(out.trace.begin(), origins[i].step);
        return;
      }
      if (!is_new) return;
      origins.push_back({at, name, origins[at].depth + 1});
      out.depth = std::max(out.depth, origins.back().depth);
      open.emplace_back(std::move(next), origins.size() - 1);
    });
    if (seen.size() > most_states) out.violation = "more states than an exploration may have";
  }
  out.states = seen.size();
  return out;
}

}  // namespace heddle::release::fixture
