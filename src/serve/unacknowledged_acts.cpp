#include "serve/unacknowledged_acts.hpp"

#include <algorithm>

namespace heddle::serve {
namespace {

bool names(const plane::RouteTable& table, const std::string& id) {
  return std::find(table.acknowledged.begin(), table.acknowledged.end(), id) !=
         table.acknowledged.end();
}

}  // namespace

UnacknowledgedActs UnacknowledgedActs::from(std::span<const plane::Record> records) {
  UnacknowledgedActs standing;
  for (const plane::Record& record : records) {
    if (const auto* act = std::get_if<plane::ActRecord>(&record)) standing.add(*act);
    if (const auto* stop = std::get_if<plane::StopRecord>(&record)) standing.add(*stop);
  }
  return standing;
}

void UnacknowledgedActs::add(const plane::ActRecord& act) {
  if (act.act == "fail-over") fail_overs_.push_back({act.target, act.id});
  if (act.act == "canary-abort") canary_abort_ = act.id;
  if (act.act == "source-readmit") readmissions_.push_back({act.account, act.target, act.id});
  if (act.act == "clock-jump") clock_jump_ = act.id;
  if (act.act == "clock-set") clock_jump_.clear();
}

bool UnacknowledgedActs::allows(const plane::RouteTable& table) const {
  return std::all_of(stops_.begin(), stops_.end(),
                     [&](const std::string& id) { return names(table, id); });
}

void UnacknowledgedActs::settle(const plane::RouteTable& table) {
  std::erase_if(stops_, [&](const std::string& id) { return names(table, id); });
  std::erase_if(fail_overs_, [&](const FailedOver& act) { return names(table, act.id); });
  // A table without a canary settles its end too.
  if (table.canary.bundle.empty() || names(table, canary_abort_)) canary_abort_.clear();
  if (names(table, clock_jump_)) clock_jump_.clear();
  std::erase_if(readmissions_, [&](const Readmission& item) {
    const bool quarantined = std::any_of(table.quarantined.begin(), table.quarantined.end(),
                                         [&](const plane::QuarantinedSource& source) {
                                           return source.is(item.account, item.source);
                                         });
    // A quarantine that is gone needs nobody let in.
    return !quarantined || names(table, item.id);
  });
}

bool UnacknowledgedActs::readmitted(const plane::QuarantinedSource& quarantine) const noexcept {
  // What only a person lets in is not let in by what was seen under an earlier quarantine.
  if (quarantine.readmit_after == 0) return false;
  return std::any_of(readmissions_.begin(), readmissions_.end(), [&](const Readmission& item) {
    return quarantine.is(item.account, item.source);
  });
}

std::vector<std::string> UnacknowledgedActs::ids() const {
  std::vector<std::string> ids = stops_;
  for (const FailedOver& act : fail_overs_) ids.push_back(act.id);
  if (!canary_abort_.empty()) ids.push_back(canary_abort_);
  for (const Readmission& item : readmissions_) ids.push_back(item.id);
  if (!clock_jump_.empty()) ids.push_back(clock_jump_);
  return ids;
}

}  // namespace heddle::serve
