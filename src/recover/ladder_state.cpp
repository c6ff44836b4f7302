// The ladder as a value: what a restart needs to go on, and what is over.
#include <algorithm>
#include <utility>

#include "recover/ladder.hpp"

namespace heddle::recover {

std::vector<std::string> Ladder::finished() const {
  std::vector<std::string> ids;
  // An act in force looks back at what happened since it began, for example a clock that moved
  // again.
  const Micros acting_since = acts_.empty() ? INT64_MAX : acts_.front().since;
  for (const Incident& incident : incidents_) {
    const bool cooled = last_tick_ >= incident.recovered_at + options_.monitor.cool_down;
    const bool has_more_to_do =
        incident.open() || incident.page_due || incident.shut_out || !incident.failing.empty();
    if (!has_more_to_do && cooled && incident.confirmed_at < acting_since)
      ids.push_back(incident.id);
  }
  return ids;
}

void Ladder::let_go(std::span<const std::string> ids) {
  std::erase_if(incidents_, [&](const Incident& incident) {
    return std::find(ids.begin(), ids.end(), incident.id) != ids.end();
  });
}

doc::Value Ladder::to_value() const {
  doc::Value list = doc::Value::array();
  for (const Incident& incident : incidents_) list.push(incident.to_value());
  doc::Value sources = doc::Value::array();
  for (const Readmitted& item : readmitted_) {
    sources.push(doc::Value::object({{"source", item.source}, {"account", item.account}}));
  }
  doc::Value in_force = doc::Value::array();
  for (const Act& act : acts_) in_force.push(act.to_value());
  doc::Value waiting = doc::Value::array();
  for (const std::string& key : deferred_) waiting.push(key);
  return doc::Value::object({{"format", "heddle.recovery/1"},
                             {"last_tick", last_tick_},
                             {"opened", opened_},
                             {"by_hand", by_hand_},
                             {"incidents", std::move(list)},
                             {"acts", std::move(in_force)},
                             {"recalibrations_taken_back", recalibrations_taken_back_},
                             {"recalibrate_again", recalibrate_again_},
                             {"deferred", std::move(waiting)},
                             {"readmitted", std::move(sources)}});
}

Result<void> Ladder::restore(const doc::Value& value) {
  const doc::Value* list = value.find("incidents");
  const doc::Value* sources = value.find("readmitted");
  const doc::Value* waiting = value.find("deferred");
  if (value.string_or("format") != "heddle.recovery/1" || list == nullptr || !list->is_array() ||
      sources == nullptr || !sources->is_array() || waiting == nullptr || !waiting->is_array()) {
    return Error{ErrorKind::kCorrupt, "recover-state", "the saved recovery state is malformed",
                 "run `heddle audit verify`"};
  }
  incidents_.clear();
  acts_.clear();
  if (const doc::Value* in_force = value.find("acts");
      in_force != nullptr && in_force->is_array()) {
    for (const doc::Value& item : in_force->as_array()) {
      HEDDLE_ASSIGN_OR_RETURN(Act act, Act::from_value(item));
      acts_.push_back(std::move(act));
    }
  }
  recalibrations_taken_back_ = static_cast<int>(value.int_or("recalibrations_taken_back"));
  recalibrate_again_ = value.int_or("recalibrate_again", INT64_MIN);
  readmitted_.clear();
  deferred_.clear();
  for (const doc::Value& item : list->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(Incident incident, Incident::from_value(item));
    incidents_.push_back(std::move(incident));
  }
  for (const doc::Value& source : sources->as_array()) {
    // States of before accounts hold the name alone.
    if (source.is_string()) readmitted_.push_back({"", source.as_string()});
    if (source.is_object())
      readmitted_.push_back({source.string_or("account"), source.string_or("source")});
  }
  for (const doc::Value& key : waiting->as_array()) {
    if (key.is_string()) deferred_.push_back(key.as_string());
  }
  by_hand_ = static_cast<std::uint64_t>(value.int_or("by_hand"));
  opened_ = value.int_or("opened", static_cast<std::int64_t>(incidents_.size()));
  last_tick_ = value.int_or("last_tick", INT64_MIN);
  return {};
}

}  // namespace heddle::recover
