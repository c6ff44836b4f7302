// From an answer back to what it came from: the row as it was recorded, what its bundle made of it,
// and the decision by which that bundle served.
#include "cli/why.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fmt/ranges.h>

#include "bundle/bundle.hpp"
#include "cli/session.hpp"
#include "contract/definition.hpp"
#include "control/applied.hpp"
#include "control/failing_values.hpp"
#include "control/home.hpp"
#include "control/recorded.hpp"
#include "control/replies.hpp"
#include "control/reply_forms.hpp"
#include "control/show_replies.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "ledger/entry.hpp"
#include "score/row_account.hpp"
#include "telemetry/access_rows.hpp"

namespace heddle::cli {
namespace {

using doc::Value;

/// A request with where it is recorded.
struct Found {
  std::string service{};
  bool in_journal = true;
  std::uint64_t segment = 0;
  plane::RequestRecord request{};
  std::vector<std::string> names{};  ///< of the rows' fields; empty: no values are recorded
  std::string bundle{};              ///< of the access log: digest; empty: ask the routes
  std::vector<std::optional<std::vector<std::string>>> repairs{};  ///< of the access log
};

/// `q-17#3`: the request, and which of its rows.
struct WhyId {
  std::string request{};
  std::optional<std::size_t> row{};
};

WhyId why_id(const std::string& id) {
  // An id of a request has no `#`.
  const auto hash = id.find('#');
  WhyId out{id.substr(0, hash)};
  if (hash == std::string::npos) return out;
  std::size_t row = 0;
  const char* const end = id.data() + id.size();
  const auto [at, fault] = std::from_chars(id.data() + hash + 1, end, row);
  // What is no number is a row that no request has.
  out.row = fault == std::errc() && at == end ? row : SIZE_MAX;
  return out;
}

Result<std::vector<std::string>> services_of(const control::Home& home,
                                             const control::Wiring& wiring,
                                             const std::string& wanted) {
  HEDDLE_ASSIGN_OR_RETURN(const auto project, control::applied_project(home, wiring));
  std::vector<std::string> out;
  for (const auto& [name, unused] : project.services) {
    if (wanted.empty() || name == wanted) out.push_back(name);
  }
  if (out.empty()) {
    return Error{ErrorKind::kNotFound, "service-unknown", fmt::format("no service `{}`", wanted),
                 "see `heddle status`"};
  }
  return out;
}

Result<std::vector<Found>> find_recorded(const control::Home& home,
                                         const std::vector<std::string>& services,
                                         const std::string& request) {
  std::vector<Found> out;
  for (const auto& service : services) {
    HEDDLE_ASSIGN_OR_RETURN(auto found, control::find_requests(home.spool(service), request));
    for (auto& each : found)
      out.push_back({service, true, each.segment, std::move(each.request), std::move(each.fields)});
  }
  if (!out.empty()) return out;
  for (const auto& service : services) {
    HEDDLE_ASSIGN_OR_RETURN(auto found,
                            telemetry::find_access_request(home.access(service), request));
    if (!found) continue;
    out.push_back({service, false, found->segment, std::move(found->request),
                   std::move(found->fields), std::move(found->bundle), std::move(found->repairs)});
  }
  if (!out.empty()) return out;
  return Error{ErrorKind::kNotFound, "request-unknown",
               fmt::format("no request `{}` in the journal or the access log of `{}`", request,
                           fmt::join(services, "`, `")),
               "the id is the `request_id` of its answer; what is past the bounds of both is gone "
               "(docs/why.md)"};
}

// Documents.

Value of_texts(const std::vector<std::string>& texts) {
  return doc::to_list(texts, [](const std::string& each) { return Value(each); });
}

/// With the digits of the float: those of the double that it converts to are not what was answered.
Value of_float(float number) {
  if (!std::isfinite(number)) return nullptr;
  const auto text = fmt::format("{}", number);
  double out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Value of_floats(std::span<const float> numbers) {
  auto out = Value::array();
  for (const float number : numbers) out.push(of_float(number));
  return out;
}

/// As an answer of the service has it.
Value answer_of(const stats::Task& task, std::span<const float> prediction) {
  if (prediction.size() != task.outputs()) return of_floats(prediction);
  if (task.kind != stats::TaskKind::kClasses)
    return Value::object({{task.output_names().front(), of_float(prediction[0])}});
  auto probabilities = Value::object();
  for (std::size_t k = 0; k < prediction.size(); ++k)
    probabilities.set(task.classes[k], of_float(prediction[k]));
  return Value::object({{"label", task.classes[stats::Task::best(prediction)]},
                        {"probabilities", std::move(probabilities)}});
}

std::string_view outcome_name(plane::RowOutcome outcome) {
  switch (outcome) {
    case plane::RowOutcome::kServed: return "served";
    case plane::RowOutcome::kRefused: return "refused";
    case plane::RowOutcome::kQuarantined: return "quarantined";
    case plane::RowOutcome::kFailed: break;
  }
  return "failed";
}

// The slot, and the decision that filled it.

const Digest& bundle_in(const control::RouteRow& route, std::string_view slot) {
  if (slot == "standby") return route.standby;
  return slot == "canary" ? route.canary : route.primary;
}

/// Why this slot answered, of those that the route table had.
std::string_view why_slot(const plane::RequestRecord& request) {
  using plane::Cohort;
  if (request.cohort == Cohort::kCanary) return "the request was drawn for the canary";
  if (request.cohort == Cohort::kBaseline)
    return "the request was drawn for the canary's baseline, which the primary answers";
  if (request.slot == "primary")
    return "the primary answers what nothing else was drawn or asked for";
  if (request.slot == "standby")
    return "the data plane had failed over to the standby, or the request asked for it";
  return "the request asked for the canary, by its version or its header";
}

/// How many entries the tree of a proof has: the second line of its checkpoint.
std::uint64_t tree_size(std::string_view proof) {
  const auto checkpoint = proof.find("\n\n");
  const auto line =
      checkpoint == std::string_view::npos ? checkpoint : proof.find('\n', checkpoint + 2);
  std::uint64_t out = 0;
  if (line != std::string_view::npos)
    std::from_chars(proof.data() + line + 1, proof.data() + proof.size(), out);
  return out;
}

/// Who gave the yes that an act waited for.
Result<std::vector<std::string>> approvers(const Invocation& invocation, const std::string& id) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto approval,
      call_for<control::ApprovalReply>(invocation, "approval.show", Value::object({{"id", id}})));
  std::vector<std::string> out;
  for (const auto& signature : approval.signatures) out.push_back(signature.person);
  return out;
}

/// The ledger's entry of a decision, with what proves that it is there.
Result<Value> decision_of(const Invocation& invocation, std::uint64_t seq) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto proof,
      call_for<control::ProofReply>(invocation, "audit.prove", Value::object({{"seq", seq}})));
  HEDDLE_ASSIGN_OR_RETURN(const auto entry, ledger::parse_entry(proof.entry));
  auto out = Value::object({{"entry", seq},
                            {"tree_size", tree_size(proof.proof)},
                            {"prove", fmt::format("heddle audit prove {}", seq)},
                            {"at", format_time(entry.t)},
                            {"asked_by", entry.actor},
                            {"claimed", entry.attributes.string_or("claimed")},
                            {"proof", entry.attributes.string_or("proof")},
                            {"reason", entry.reason},
                            {"rule", entry.rules.empty() ? "" : entry.rules.front()},
                            {"incident", entry.incident},
                            {"approval", entry.approval}});
  std::vector<std::string> people;
  if (!entry.approval.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(people, approvers(invocation, entry.approval));
  }
  return out.set("approved_by", of_texts(people));
}

/// The slot that answered, since when it had its bundle, and by which decision.
Result<Value> slot_of(const Invocation& invocation, const Found& found) {
  const auto& request = found.request;
  constexpr std::string_view kCohorts[] = {"", "canary", "baseline"};
  auto out = Value::object({{"name", request.slot},
                            {"route_version", request.route_version},
                            {"cohort", kCohorts[static_cast<std::size_t>(request.cohort)]},
                            {"why", why_slot(request)},
                            {"bundle", found.bundle}});
  HEDDLE_ASSIGN_OR_RETURN(const auto history, call_for<control::HistoryReply>(
                                                  invocation, "release.history",
                                                  Value::object({{"service", found.service}})));
  // The oldest of the versions up to that one which all have this bundle there.
  const control::ReleaseItem* since = nullptr;
  for (const auto& item : history.releases) {
    if (item.route.version > request.route_version) break;
    const bool is_other = since == nullptr || bundle_in(since->route, request.slot) !=
                                                  bundle_in(item.route, request.slot);
    if (is_other) since = &item;
  }
  if (since == nullptr) return out;
  const Digest& bundle = bundle_in(since->route, request.slot);
  out.set("bundle", bundle.empty() ? found.bundle : bundle.str());
  auto decision = Value::object({{"route_version", since->route.version},
                                 {"action", since->route.action},
                                 {"event_time", since->event_time}});
  if (since->entry > 0) {
    HEDDLE_ASSIGN_OR_RETURN(const auto entry, decision_of(invocation, since->entry));
    for (const auto& [name, value] : entry.as_object()) decision.set(name, value);
  }
  return out.set("since", std::move(decision));
}

/// What an answer by this bundle rests on: data, training, gates.
Result<Value> bundle_facts(const bundle::Bundle& bundle) {
  const Value config = bundle::config_schema().print(bundle.config());
  auto out = Value::object({{"digest", bundle.digest().str()}});
  for (const char* name : {"model", "role", "commit", "dirty", "trainer", "lineage",
                           "learned_until", "derived_from", "change"}) {
    const Value* const value = config.find(name);
    if (value == nullptr) continue;
    const bool is_time = value->is_int() && std::string_view(name) == "learned_until";
    out.set(name, is_time ? Value(format_time(value->as_int())) : *value);
  }
  if (!bundle.has(bundle::kEvaluation)) return out;
  HEDDLE_ASSIGN_OR_RETURN(const auto evaluation, bundle.json(bundle::kEvaluation));
  out.set("gates_passed", evaluation.bool_or("passed"));
  return out.set("gates", Value(doc::items_of(evaluation.find("gates"))));
}

/// What tells of the rows of one request; parts are missing where the bundle is gone.
struct Teller {
  std::unique_ptr<score::RowAccounts> accounts{};
  spec::Contract contract{};  ///< the definition, as the bundle has it
  stats::Task task{};
  std::unique_ptr<const score::Plan> runtime{};  ///< started to work rows out again
  std::string not_started{};                     ///< why it is not, where that was wanted
  std::string failed{};                          ///< why there are no `accounts`

  [[nodiscard]] const score::Plan* plan() const {
    return runtime != nullptr ? runtime.get() : accounts->plan();
  }
};

Result<Teller> teller_of(const bundle::Bundle& bundle, bool reproduces) {
  Teller out;
  HEDDLE_ASSIGN_OR_RETURN(auto accounts, score::RowAccounts::of(bundle));
  out.accounts = std::make_unique<score::RowAccounts>(std::move(accounts));
  HEDDLE_ASSIGN_OR_RETURN(const auto stored, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(out.contract, contract::definition_of(stored));
  out.task = bundle.config().task;
  if (reproduces && out.accounts->plan() == nullptr) {
    auto started = score::Plan::load(bundle);
    if (started.ok())
      out.runtime = *std::move(started);
    else
      out.not_started =
          fmt::format("what scored the row cannot be started: {}", started.error().message);
  }
  return out;
}

/// One row of a request.
struct RowOf {
  const Found& found;
  std::size_t index;
  const plane::RowRecord& record;
  Value fields{};                  ///< by name; null: they are not recorded
  std::vector<expr::Datum> raw{};  ///< borrowed from the record, in the contract's order
  std::optional<score::RowAccount> account{};
};

RowOf row_of(const Found& found, std::size_t index, Teller& teller) {
  RowOf out{found, index, found.request.rows[index]};
  const auto& record = out.record;
  if (record.fields.empty()) return out;
  out.fields = Value::object();
  for (std::size_t i = 0; i < record.fields.size() && i < found.names.size(); ++i)
    out.fields.set(found.names[i], score::value_of(record.fields[i].datum()));
  if (!teller.accounts) return out;
  for (const auto& field : teller.accounts->contract().request_fields()) {
    const auto at = static_cast<std::size_t>(
        std::find(found.names.begin(), found.names.end(), field.name) - found.names.begin());
    out.raw.push_back(at < record.fields.size() ? record.fields[at].datum() : expr::Datum::null());
  }
  out.account = teller.accounts->account(out.raw);
  return out;
}

Value rule_facts(const RowOf& row, const Teller& teller, const std::string& rule, bool values) {
  // What no contract says, of a source that is shut out for example, refuses.
  auto out = Value::object({{"rule", rule}, {"effect", "refuse"}});
  if (!teller.accounts) return out;
  for (const auto& info : teller.accounts->contract().rules()) {
    if (info.id != rule) continue;
    if (info.effect == contract::RuleEffect::kWarn) out.set("effect", "warn");
    if (!info.description.empty()) out.set("description", info.description);
  }
  auto failing = Value::array();
  for (const auto& field : control::fields_of_rule(teller.contract, rule)) {
    auto item = Value::object({{"field", field}});
    const Value* const value = row.fields.find(field);
    if (values) item.set("value", value == nullptr ? Value() : *value);
    failing.push(std::move(item));
  }
  return out.set("values", std::move(failing));
}

/// Which repairs changed which field; null: not known.
Value repair_facts(const RowOf& row, bool values) {
  if (row.account) {
    auto out = Value::array();
    for (const auto& changed : row.account->changed) {
      auto item = Value::object({{"field", changed.field}});
      if (values) item.set("from", changed.from).set("to", changed.to);
      out.push(item.set("by", of_texts(changed.by)));
    }
    return out;
  }
  if (row.index >= row.found.repairs.size() || !row.found.repairs[row.index]) return nullptr;
  // The access log has their ids, not the fields.
  auto out = Value::array();
  for (const auto& id : *row.found.repairs[row.index])
    out.push(Value::object({{"by", of_texts({id})}}));
  return out;
}

/// What each feature is, and what it added to the margin of each output; the bias last.
Value feature_facts(const score::RowAccount& account, const std::vector<std::string>& names,
                    std::size_t outputs) {
  auto out = Value::array();
  const bool is_explained = !account.contributions.empty();
  const std::size_t width = names.size() + 1;
  const auto part = [&](std::size_t i) -> Value {
    if (outputs == 1) return of_float(account.contributions[i]);
    std::vector<float> parts;
    for (std::size_t k = 0; k < outputs; ++k) parts.push_back(account.contributions[k * width + i]);
    return of_floats(parts);
  };
  for (std::size_t i = 0; i < account.features.size(); ++i) {
    auto item = Value::object({{"name", names[i]}, {"value", of_float(account.features[i])}});
    if (is_explained) item.set("contribution", part(i));
    out.push(std::move(item));
  }
  if (is_explained) out.push(Value::object({{"name", "bias"}, {"contribution", part(width - 1)}}));
  return out;
}

// The row worked out again.

/// Why a row cannot be; empty: it can.
std::string_view not_again(const RowOf& row, const Teller& teller) {
  if (row.record.outcome == plane::RowOutcome::kQuarantined)
    return "nothing scored the row: its source was shut out";
  if (row.record.outcome == plane::RowOutcome::kFailed)
    return "what should have scored the row gave no answer";
  if (row.fields.is_null()) return "the values of the row are not recorded any more";
  if (!row.account) return teller.failed;
  if (teller.plan() == nullptr) return teller.not_started;
  const bool is_stray =
      std::any_of(row.record.rules.begin(), row.record.rules.end(),
                  [](const std::string& rule) { return rule.find('/') != std::string::npos; });
  return is_stray ? "what the row sent beside the contract's fields is not recorded" : "";
}

/// Whether two predictions are the same: bit for bit, of a runtime within its tolerance.
bool is_same(const score::Plan& plan, std::span<const float> recorded,
             std::span<const float> computed) {
  if (plan.endpoint() == nullptr) return std::ranges::equal(recorded, computed);
  const double tolerance = plan.endpoint()->runtime().tolerance;
  return std::ranges::equal(recorded, computed, [&](float a, float b) {
    const auto before = static_cast<double>(a), now = static_cast<double>(b);
    return std::abs(now - before) <= tolerance * std::max(1.0, std::abs(before));
  });
}

/// `equal`: null where the row cannot be worked out again, and `why` then.
Value reproduce(const RowOf& row, const Teller& teller, bool values) {
  if (const auto why = not_again(row, teller); !why.empty())
    return Value::object({{"equal", nullptr}, {"why", why}});
  std::vector<std::string> rules;
  for (const auto& info : row.account->broken) rules.push_back(info.id);
  std::vector<float> prediction;
  if (!row.account->refused) {
    score::Scratch scratch;
    score::RowResult result;
    teller.plan()->score_row(row.raw, result, scratch);
    prediction = result.prediction;
  }
  const bool same_rules = rules == row.record.rules;
  const bool same_answer = is_same(*teller.plan(), row.record.prediction, prediction);
  auto out = Value::object({{"equal", same_rules && same_answer}});
  auto differs = Value::array();
  if (!same_rules) {
    differs.push(Value::object({{"what", "rules"},
                                {"recorded", of_texts(row.record.rules)},
                                {"computed", of_texts(rules)}}));
  }
  if (!same_answer) {
    auto item = Value::object({{"what", "prediction"}});
    if (values)
      item.set("recorded", of_floats(row.record.prediction)).set("computed", of_floats(prediction));
    differs.push(std::move(item));
  }
  if (differs.size() > 0) out.set("differs", std::move(differs));
  if (teller.runtime != nullptr)
    out.set("tolerance", teller.runtime->endpoint()->runtime().tolerance);
  return out;
}

/// What a row met between its arrival and its answer.
Value row_facts(const RowOf& row, const Teller& teller, const WhyArguments& arguments) {
  const bool values = !arguments.without_values;
  auto out =
      Value::object({{"row_id", fmt::format("{}#{}", row.found.request.request_id, row.index)},
                     {"outcome", outcome_name(row.record.outcome)}});
  if (values && !row.record.prediction.empty())
    out.set("answer", teller.accounts ? answer_of(teller.task, row.record.prediction)
                                      : of_floats(row.record.prediction));
  auto rules = Value::array();
  for (const auto& rule : row.record.rules) rules.push(rule_facts(row, teller, rule, values));
  out.set("validation", std::move(rules));
  out.set("repairs", repair_facts(row, values));
  if (values && !row.fields.is_null()) out.set("fields", row.fields);
  // What was not served has no features that count.
  const bool is_served = row.record.outcome == plane::RowOutcome::kServed;
  if (values && is_served && row.account) {
    out.set("features",
            feature_facts(*row.account, teller.accounts->feature_names(), teller.task.outputs()));
    if (!row.account->not_explained.empty()) out.set("not_explained", row.account->not_explained);
  }
  if (row.fields.is_null())
    out.set("not_known", "the values of the row are not recorded any more");
  else if (!row.account)
    out.set("not_known", teller.failed);
  return out;
}

/// Where it is recorded, and of an access log what proves it.
Result<Value> record_facts(const Invocation& invocation, const Found& found) {
  auto out = Value::object(
      {{"from", found.in_journal ? "journal" : "access log"}, {"segment", found.segment}});
  if (found.in_journal) return out;
  out.set("note", found.names.empty()
                      ? "the journal does not have the request any more, and the access log of "
                        "this service keeps no values of rows"
                      : "the journal does not have the request any more: this is what the access "
                        "log says");
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, call_for<control::AccessReply>(
                                                   invocation, "access.list",
                                                   Value::object({{"service", found.service}})));
  for (const auto& segment : segments.segments) {
    if (static_cast<std::uint64_t>(segment.segment) != found.segment) continue;
    out.set("entry", segment.entry).set("root", segment.root);
  }
  return out;
}

/// The rows that are told: the one that was named, or the first ones.
Result<std::pair<std::size_t, std::size_t>> rows_told(const Found& found, const WhyId& id,
                                                      const WhyArguments& arguments) {
  const std::size_t count = found.request.rows.size();
  const auto limit = static_cast<std::size_t>(arguments.limit);
  if (!id.row) return std::pair(std::size_t{0}, std::min(count, limit));
  if (*id.row < count) return std::pair(*id.row, *id.row + 1);
  return Error{
      ErrorKind::kNotFound, "row-unknown",
      fmt::format("no row `{}`: request `{}` has {} rows", arguments.id, id.request, count),
      "rows are counted from 0; without `#ROW` all of them are told"};
}

Result<Value> request_facts(const Invocation& invocation, store::Objects& objects,
                            const Found& found, const WhyId& id, const WhyArguments& arguments,
                            Why& why) {
  const auto& request = found.request;
  HEDDLE_ASSIGN_OR_RETURN(const auto told, rows_told(found, id, arguments));
  auto out = Value::object({{"request_id", request.request_id},
                            {"service", found.service},
                            {"arrival", control::time_or_empty(request.arrival)},
                            {"event_time", format_time(request.event_time)},
                            {"source", request.source},
                            {"account", request.account},
                            {"micros", request.micros}});
  HEDDLE_ASSIGN_OR_RETURN(auto record, record_facts(invocation, found));
  out.set("record", std::move(record));
  HEDDLE_ASSIGN_OR_RETURN(auto slot, slot_of(invocation, found));
  const std::string bundle = slot.string_or("bundle");
  out.set("slot", std::move(slot));
  Teller teller;
  const auto tell = [&]() -> Result<Value> {
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, Digest::parse(bundle));
    HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(objects, digest));
    HEDDLE_ASSIGN_OR_RETURN(teller, teller_of(opened, arguments.reproduce));
    return bundle_facts(opened);
  };
  if (bundle.empty()) {
    teller.failed = "which bundle the slot had is not known";
  } else if (auto facts = tell(); facts.ok()) {
    out.set("bundle", *std::move(facts));
  } else {
    // The rest is known all the same.
    teller.accounts.reset();
    teller.failed = fmt::format("the bundle cannot be read: {}", facts.error().message);
    out.set("bundle", Value::object({{"digest", bundle}, {"unread", facts.error().str()}}));
  }
  auto rows = Value::array();
  for (std::size_t i = told.first; i < told.second; ++i) {
    const RowOf row = row_of(found, i, teller);
    auto facts = row_facts(row, teller, arguments);
    if (arguments.reproduce) {
      auto again = reproduce(row, teller, !arguments.without_values);
      const Value& equal = *again.find("equal");
      why.not_reproduced = why.not_reproduced || equal.is_null();
      why.differs = why.differs || (equal.is_bool() && !equal.as_bool());
      facts.set("reproduced", std::move(again));
    }
    rows.push(std::move(facts));
  }
  const bool is_cut = !id.row && told.second < request.rows.size();
  return out.set("rows", std::move(rows))
      .set("more_rows", is_cut ? request.rows.size() - told.second : std::size_t{0});
}

}  // namespace

Result<Why> find_why(const Invocation& invocation, const WhyArguments& arguments) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const control::Home home(root);
  const WhyId id = why_id(arguments.id);
  HEDDLE_ASSIGN_OR_RETURN(const auto services,
                          services_of(home, *invocation.wiring, arguments.service));
  HEDDLE_ASSIGN_OR_RETURN(const auto found, find_recorded(home, services, id.request));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, invocation.wiring->open_objects(home.objects()));
  Why out;
  auto requests = Value::array();
  for (const auto& each : found) {
    HEDDLE_ASSIGN_OR_RETURN(auto facts,
                            request_facts(invocation, *objects, each, id, arguments, out));
    requests.push(std::move(facts));
  }
  out.document = Value::object({{"id", arguments.id},
                                {"values", !arguments.without_values},
                                {"requests", std::move(requests)}});
  return out;
}

}  // namespace heddle::cli
