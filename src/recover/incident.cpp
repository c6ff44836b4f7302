#include "recover/incident.hpp"

#include <algorithm>

namespace heddle::recover {

namespace {

doc::Value value_of(const std::vector<Failing>& failing) {
  doc::Value list = doc::Value::array();
  for (const Failing& each : failing) {
    doc::Value item = doc::Value::object({{"op_id", each.op_id},
                                          {"type", each.type},
                                          {"step", step_name(each.step)},
                                          {"tries", each.tries},
                                          {"since", each.since},
                                          {"again", each.again},
                                          {"error", each.error}});
    if (each.record) {
      item.set("record", attributes_of(*each.record));
      item.set("reason", each.reason);
    }
    list.push(std::move(item));
  }
  return list;
}

Error malformed_incident() {
  return Error{ErrorKind::kCorrupt, "recover-state", "a saved incident is malformed",
               "run `heddle audit verify`"};
}

Result<std::vector<Failing>> failing_from(const doc::Value* list) {
  std::vector<Failing> out;
  if (list == nullptr) return out;  // written before there were any
  if (!list->is_array()) return malformed_incident();
  for (const doc::Value& item : list->as_array()) {
    const auto step = step_from(item.string_or("step"));
    Failing each{item.string_or("op_id"),    item.string_or("type"),
                 step.value_or(Step::kOpen), static_cast<int>(item.int_or("tries")),
                 item.int_or("since"),       item.int_or("again"),
                 item.string_or("error")};
    if (!step || each.op_id.empty() || each.tries < 1) return malformed_incident();
    if (const doc::Value* record = item.find("record")) {
      HEDDLE_ASSIGN_OR_RETURN(each.record, what_of(each.type, *record));
      each.reason = item.string_or("reason");
    }
    out.push_back(std::move(each));
  }
  return out;
}

}  // namespace

const Failing* Incident::failing_as(const std::string& op_id) const {
  const auto at = std::find_if(failing.begin(), failing.end(),
                               [&](const Failing& each) { return each.op_id == op_id; });
  return at == failing.end() ? nullptr : &*at;
}

void Incident::leave_step() {
  std::erase_if(failing, [&](const Failing& each) { return each.step == step && !each.record; });
}

doc::Value Incident::to_value() const {
  doc::Value key_list = doc::Value::array();
  for (const std::string& key : keys) key_list.push(key);
  doc::Value digests = doc::Value::array();
  for (const Digest& digest : evidence) digests.push(digest.str());
  doc::Value events = doc::Value::array();
  for (const TimelineEntry& e : timeline) {
    events.push(
        doc::Value::object({{"at", e.at}, {"what", e.what}, {"entry", e.entry}, {"by", e.by}}));
  }
  doc::Value windows = doc::Value::array();
  for (const auto& [key, seen] : quiet) {
    windows.push(doc::Value::object(
        {{"key", key}, {"seen", seen.seen}, {"windows", seen.windows}, {"whole", seen.whole}}));
  }
  doc::Value out = doc::Value::object({{"id", id},
                                       {"step", step_name(step)},
                                       {"diagnosis", diagnosis.to_value()},
                                       {"keys", std::move(key_list)},
                                       {"evidence", std::move(digests)},
                                       {"timeline", std::move(events)},
                                       {"response", response},
                                       {"raised_at", raised_at},
                                       {"confirmed_at", confirmed_at},
                                       {"responded_at", responded_at},
                                       {"recovered_at", recovered_at},
                                       {"step_since", step_since},
                                       {"rows_raised", rows_raised},
                                       {"rows_confirmed", rows_confirmed},
                                       {"rows_responded", rows_responded},
                                       {"refused_share", refused_share},
                                       {"swapped", swapped},
                                       {"swap_refused", swap_refused},
                                       {"swap_asked", swap_asked},
                                       {"swaps", swaps},
                                       {"failing", value_of(failing)},
                                       {"opened_by", opened_by},
                                       {"acknowledged_by", acknowledged_by},
                                       {"closed_by", closed_by},
                                       {"closed_at", closed_at},
                                       {"page_due", page_due},
                                       {"shut_out", shut_out},
                                       {"release_refused", release_refused},
                                       {"repair_refused", repair_refused},
                                       {"compared_until", compared_until},
                                       {"candidate", candidate},
                                       {"candidate_metrics", candidate_metrics},
                                       {"retrain_started", retrain_started},
                                       {"quiet", std::move(windows)},
                                       {"stands", stands},
                                       {"unverified", unverified},
                                       {"reconsidered", reconsidered},
                                       {"let_in_at", let_in_at},
                                       {"escalations", escalations},
                                       {"why", why},
                                       {"act", act}});
  if (clock) out.set("clock", *clock);
  if (refit) {
    out.set("refit", doc::Value::object({{"quantile", refit->quantile},
                                         {"rows", refit->rows},
                                         {"held", refit->held},
                                         {"held_newer", refit->held_newer},
                                         {"is_stable", refit->is_stable}}));
  }
  return out;
}

Result<Incident> Incident::from_value(const doc::Value& value) {
  Incident out;
  out.id = value.string_or("id");
  const auto known = step_from(value.string_or("step"));
  out.step = known.value_or(Step::kOpen);
  const doc::Value* d = value.find("diagnosis");
  const doc::Value* keys = value.find("keys");
  const doc::Value* evidence = value.find("evidence");
  const doc::Value* timeline = value.find("timeline");
  if (!known || out.id.empty() || d == nullptr) return malformed_incident();
  for (const doc::Value* list : {keys, evidence, timeline}) {
    if (list == nullptr || !list->is_array()) return malformed_incident();
  }
  HEDDLE_ASSIGN_OR_RETURN(out.diagnosis, Diagnosis::from_value(*d));
  for (const doc::Value& key : keys->as_array()) {
    if (!key.is_string()) return malformed_incident();
    out.keys.push_back(key.as_string());
  }
  for (const doc::Value& text : evidence->as_array()) {
    if (!text.is_string()) return malformed_incident();
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, Digest::parse(text.as_string()));
    out.evidence.push_back(digest);
  }
  for (const doc::Value& e : timeline->as_array()) {
    out.timeline.push_back({e.int_or("at"), e.string_or("what"),
                            static_cast<std::uint64_t>(e.int_or("entry")), e.string_or("by")});
  }
  out.response = value.string_or("response");
  out.raised_at = value.int_or("raised_at");
  out.confirmed_at = value.int_or("confirmed_at");
  out.responded_at = value.int_or("responded_at");
  out.recovered_at = value.int_or("recovered_at");
  out.step_since = value.int_or("step_since");
  out.rows_raised = value.int_or("rows_raised");
  out.rows_confirmed = value.int_or("rows_confirmed");
  out.rows_responded = value.int_or("rows_responded");
  out.refused_share = value.double_or("refused_share");
  out.swapped = value.bool_or("swapped");
  out.swap_refused = value.bool_or("swap_refused");
  out.swap_asked = value.bool_or("swap_asked");
  out.swaps = static_cast<int>(value.int_or("swaps"));
  HEDDLE_ASSIGN_OR_RETURN(out.failing, failing_from(value.find("failing")));
  out.opened_by = value.string_or("opened_by");
  out.acknowledged_by = value.string_or("acknowledged_by");
  out.closed_by = value.string_or("closed_by");
  out.closed_at = value.int_or("closed_at");
  out.page_due = value.bool_or("page_due");
  out.shut_out = value.bool_or("shut_out");
  out.release_refused = value.bool_or("release_refused");
  out.repair_refused = value.bool_or("repair_refused");
  out.compared_until = value.int_or("compared_until");
  out.candidate = value.string_or("candidate");
  out.candidate_metrics = value.string_or("candidate_metrics");
  out.retrain_started = value.int_or("retrain_started");
  if (const doc::Value* windows = value.find("quiet"); windows != nullptr && windows->is_array()) {
    for (const doc::Value& w : windows->as_array()) {
      out.quiet[w.string_or("key")] = {w.int_or("seen"), static_cast<int>(w.int_or("windows")),
                                       static_cast<int>(w.int_or("whole"))};
    }
  }
  if (const doc::Value* refit = value.find("refit"); refit != nullptr) {
    out.refit = watch::IntervalRefit{refit->double_or("quantile"), refit->int_or("rows"),
                                     refit->double_or("held"), refit->double_or("held_newer"),
                                     refit->bool_or("is_stable")};
  }
  out.stands = value.bool_or("stands");
  out.unverified = value.bool_or("unverified");
  out.reconsidered = static_cast<int>(value.int_or("reconsidered"));
  out.let_in_at = value.int_or("let_in_at");
  out.escalations = static_cast<int>(value.int_or("escalations"));
  out.why = value.string_or("why");
  out.act = value.string_or("act");
  if (const doc::Value* at = value.find("clock"); at != nullptr && at->is_int())
    out.clock = at->as_int();
  return out;
}

}  // namespace heddle::recover
