// What of the ladder is over.
#include <algorithm>
#include <utility>

#include "recover/ladder.hpp"

namespace heddle::recover {

std::vector<std::string> Ladder::finished() const {
  std::vector<std::string> ids;
  // An act in force looks back at what happened since it began, for example a clock that moved
  // again.
  const Micros acting_since = state_.acts.empty() ? INT64_MAX : state_.acts.front().since;
  for (const Incident& incident : state_.incidents) {
    const bool cooled = state_.last_tick >= incident.recovered_at + options_.monitor.cool_down;
    const bool has_more_to_do =
        incident.open() || incident.page_due || incident.shut_out || !incident.failing.empty();
    if (!has_more_to_do && cooled && incident.confirmed_at < acting_since)
      ids.push_back(incident.id);
  }
  return ids;
}

void Ladder::let_go(std::span<const std::string> ids) {
  std::erase_if(state_.incidents, [&](const Incident& incident) {
    return std::find(ids.begin(), ids.end(), incident.id) != ids.end();
  });
}

}  // namespace heddle::recover
