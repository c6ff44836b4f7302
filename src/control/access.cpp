#include "control/access.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>

#include <fmt/ranges.h>

#include "base/failpoint.hpp"
#include "base/file_port.hpp"
#include "base/log.hpp"
#include "control/row_lineage.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"
#include "plane/segment.hpp"
#include "store/stored_number.hpp"
#include "telemetry/access_log.hpp"

namespace heddle::control {
namespace {

using Core = Control::Core;

constexpr std::string_view kAction = "access.segment";
constexpr std::string_view kPrune = "access.prune";
constexpr auto kSlice = std::chrono::milliseconds(200);
/// Where so many segments wait, their room in the journal counts more than an operation's time.
constexpr std::size_t kFarBehind = 4;

std::string done_key(const std::string& service) { return service + "/access"; }
std::string pruned_key(const std::string& service) { return service + "/access-pruned"; }

Result<std::uint64_t> last_done(store::Txn& txn, const std::string& service) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", done_key(service)));
  if (!row) return std::uint64_t{0};
  return store::stored_number(*row, "control/" + done_key(service));
}

/// The ids of the repairs of a recorded row.
std::optional<std::string> repaired_of(RowLineage& lineage, const std::string& bundle,
                                       const plane::RowRecord& row,
                                       std::span<const std::string> names) {
  const auto made = lineage.repairs(bundle, [&](const std::string& field) {
    const auto at =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), field) - names.begin());
    return at < row.fields.size() ? row.fields[at].datum() : expr::Datum::null();
  });
  if (!made) return std::nullopt;
  return fmt::format("{}", fmt::join(*made, ","));
}

ledger::Entry entry_of(const std::string& service, const telemetry::AccessSegment& made) {
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/{}/{:08}", service, kAction, made.segment);
  entry.actor = "system:control";
  entry.action = kAction;
  entry.target = "service/" + service;
  entry.evidence.emplace_back("root", made.root);
  entry.attributes = doc::Value::object(
      {{"segment", made.segment},
       {"requests", made.requests},
       {"rows", made.rows},
       {"served", made.served},
       {"refused", made.refused},
       {"first_arrival", made.requests == 0 ? "" : format_time(made.first_arrival)},
       {"last_arrival", made.requests == 0 ? "" : format_time(made.last_arrival)}});
  entry.result = "recorded";
  entry.reason =
      fmt::format("the access log of {} requests with {} rows", made.requests, made.rows);
  return entry;
}

/// In the transaction: all segments up to `through` are removed by the product itself from now on.
Result<void> note_pruned(Core& core, store::Txn& txn, const std::string& service,
                         std::uint64_t through, std::string reason) {
  ledger::Entry entry;
  entry.op_id = fmt::format("{}/{}/{:08}", service, kPrune, through);
  entry.actor = "system:control";
  entry.action = kPrune;
  entry.target = "service/" + service;
  entry.attributes = doc::Value::object({{"through", through}});
  entry.result = "recorded";
  entry.reason = std::move(reason);
  HEDDLE_TRY(core.ledger->append(txn, std::move(entry)));
  return txn.put("control", pruned_key(service), fmt::to_string(through));
}

/// What was pruned before prunings were recorded: once, what lies before the oldest that is left.
Result<void> take_over(Core& core, const std::string& service, std::uint64_t done) {
  bool known = false;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get("control", pruned_key(service)));
    known = row.has_value();
    return {};
  }));
  if (known) return {};
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    const auto left = telemetry::list_access(core.home.access(service));
    const auto through = left.empty() || done == 0 ? 0 : left.front() - 1;
    if (through == 0) return txn.put("control", pruned_key(service), "0");
    return note_pruned(core, txn, service, through,
                       "removed before removals were recorded, as far as is known");
  });
}

/// The entry comes before the files go: a kill in between leaves more than the entry says.
Result<void> prune(Core& core, const spec::Service& service) {
  const std::string& name = service.identity.name;
  const std::string folder = core.home.access(name);
  const auto bound = service.access_log.bytes;
  // The bound of the definition, or less where the disk is small or nearly full.
  const auto [bytes, old] =
      telemetry::past_bound(folder, bound, system_files().free_bytes(folder.c_str()));
  if (old.empty()) return {};
  const auto why = bytes == bound
                       ? fmt::format("the access log is past its {} bytes", bytes)
                       : fmt::format(
                             "the access log is past the {} bytes that it may take of its "
                             "disk",
                             bytes);
  HEDDLE_TRY(core.state->write(
      [&, last = old.back()](store::Txn& txn) { return note_pruned(core, txn, name, last, why); }));
  HEDDLE_TRY(telemetry::remove_access(folder, old));
  log::info("service `{}`: the oldest {} segments of the access log were removed: {}", name,
            old.size(), why);
  return {};
}

/// Segments after the last one that was turned are the product's to remove only after it turned
/// them, and the one that is being written is always there.
Result<void> look_for_holes(Core& core, const std::string& service, std::uint64_t done) {
  // Nothing was turned yet: where the journal begins is not a hole.
  if (done == 0) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, plane::list_segments(core.home.spool(service)));
  // The newest segment is not newer than what was turned: the
  // journal was removed, and the numbers of a new one start again.
  const bool gone = segments.empty() || segments.back() <= done;
  if (!gone && segments.front() <= done + 1) return {};
  HEDDLE_TRY(core.ledger->record_missing("journal", "service/" + service));
  return core.state->write([&](store::Txn& txn) {
    // Past the hole, so that one loss is recorded once and not at every tick.
    return txn.put("control", done_key(service), fmt::to_string(gone ? 0 : segments.front() - 1));
  });
}

/// Without an access log: what is finished now is not turned later, and not missed.
Result<void> pass_over(Core& core, const std::string& service, std::uint64_t done) {
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, plane::list_segments(core.home.spool(service)));
  // The last segment is still written; the one before it is the newest that is finished.
  if (segments.size() < 2 || segments[segments.size() - 2] <= done) return {};
  return core.state->write([&](store::Txn& txn) {
    return txn.put("control", done_key(service), fmt::to_string(segments[segments.size() - 2]));
  });
}

Result<void> write_one(Core& core, const spec::Service& service, std::uint64_t segment) {
  const std::string& name = service.identity.name;
  HEDDLE_ASSIGN_OR_RETURN(auto lineage, RowLineage::of(*core.state, *core.objects, name));
  telemetry::AccessSource source;
  source.spool = core.home.spool(name);
  source.segment = segment;
  source.fields = service.access_log.fields;
  source.bundle_of = [&](std::uint64_t version, std::string_view slot) {
    return lineage.bundle(version, slot);
  };
  source.repairs_of = [&](const std::string& bundle, const plane::RowRecord& row,
                          std::span<const std::string> names) {
    return repaired_of(lineage, bundle, row, names);
  };
  HEDDLE_ASSIGN_OR_RETURN(const auto made, telemetry::write_access(source, core.home.access(name)));
  // A crash here turns the same segment again: `done` moves with the entry, in one transaction.
  failpoint("control-access-written");
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    // A segment with ticks and labels alone has nothing to be proven, and gets no entry.
    if (made.rows > 0) HEDDLE_TRY(core.ledger->append(txn, entry_of(name, made)));
    return txn.put("control", done_key(name), std::to_string(segment));
  });
}

}  // namespace

Result<void> write_access_log(Core& core, const std::string& name, ServiceControl& control) {
  const spec::Service& service = control.service();
  std::uint64_t done = 0;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(done, last_done(txn, name));
    return {};
  }));
  if (service.access_log.bytes == 0) {
    // Recorded traffic is kept for the access log; without one its own bound alone counts.
    control.archived(UINT64_MAX);
    return pass_over(core, name, done);
  }
  control.archived(done);
  HEDDLE_TRY(take_over(core, name, done));
  HEDDLE_ASSIGN_OR_RETURN(const auto segments, plane::list_segments(core.home.spool(name)));
  HEDDLE_TRY(look_for_holes(core, name, done));
  const auto waiting = std::count_if(segments.begin(), segments.end(),
                                     [&](std::uint64_t segment) { return segment > done; });
  const bool far_behind = static_cast<std::size_t>(waiting) > kFarBehind;
  // The loop of the control plane serves requests between
  // its ticks: the slice bounds how long they wait.
  const auto until = std::chrono::steady_clock::now() + (far_behind ? 3 * kSlice : kSlice);
  bool made = false;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {  // the last one is being written
    if (segments[i] <= done) continue;
    if (std::chrono::steady_clock::now() > until) break;
    // On a full disk room is made first: then there is some to write in.
    if (!made) HEDDLE_TRY(prune(core, service));
    HEDDLE_TRY(write_one(core, service, segments[i]));
    control.archived(segments[i]);
    made = true;
  }
  return made ? prune(core, service) : Result<void>();
}

Result<void> look_for_lost_journal(Core& core, const spec::Service& service) {
  if (service.access_log.bytes == 0) return {};
  std::uint64_t done = 0;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(done, last_done(txn, service.identity.name));
    return {};
  }));
  return look_for_holes(core, service.identity.name, done);
}

namespace {

/// What the entry of a segment says of it; times are for people.
struct SegmentFacts {
  std::int64_t segment = 0;
  std::int64_t requests = 0;
  std::int64_t rows = 0;
  std::int64_t served = 0;
  std::int64_t refused = 0;
  std::string first_arrival{};
  std::string last_arrival{};
};

template <class T>
doc::Schema<T> facts_of(std::string name) {
  auto t = doc::Schema<T>::record(std::move(name), "what an entry of the ledger says");
  t.refused_as(ErrorKind::kCorrupt, "ledger-entry", "verify the ledger: `heddle audit verify`");
  return t;
}

const doc::Schema<SegmentFacts>& segment_facts_schema() {
  using S = SegmentFacts;
  static const auto schema = [] {
    auto t = facts_of<S>("the segment of an access log");
    t.integer("segment", &S::segment, "its number");
    t.integer("requests", &S::requests, "in it");
    t.integer("rows", &S::rows, "of them");
    t.integer("served", &S::served, "rows");
    t.integer("refused", &S::refused, "rows");
    t.text("first_arrival", &S::first_arrival, "empty: there is none");
    t.text("last_arrival", &S::last_arrival, "likewise");
    return t;
  }();
  return schema;
}

struct PruneFacts {
  std::int64_t through = 0;  ///< the last segment that was removed
};

const doc::Schema<PruneFacts>& prune_facts_schema() {
  static const auto schema = [] {
    auto t = facts_of<PruneFacts>("the removal of access logs");
    t.integer("through", &PruneFacts::through, "the last segment that was removed");
    return t;
  }();
  return schema;
}

/// The same error with the entry that it is about.
Error in_entry(const ledger::Entry& entry, Error error) {
  error.message = fmt::format("entry {}: {}", entry.seq, error.message);
  return error;
}

}  // namespace

Result<AccessReply> list_access_logs(Core& core, const std::string& wanted) {
  std::map<std::pair<std::string, std::int64_t>, AccessSegmentItem> found;
  std::map<std::string, std::int64_t> pruned;  // by service: through which
  std::optional<Error> unread;
  HEDDLE_TRY(core.ledger->read(0, [&](const ledger::Entry& entry) {
    if (!entry.target.starts_with("service/")) return true;
    const auto service = entry.target.substr(8);
    if (entry.action == kPrune) {
      auto facts = prune_facts_schema().parse(entry.attributes);
      if (facts.ok()) pruned[service] = facts->through;
      if (!facts.ok()) unread = in_entry(entry, std::move(facts.error()));
    } else if (entry.action == kAction && !entry.evidence.empty() &&
               (wanted.empty() || service == wanted)) {
      auto facts = segment_facts_schema().parse(entry.attributes);
      if (facts.ok()) {
        found[{service, facts->segment}] = {service,
                                            facts->segment,
                                            facts->requests,
                                            facts->rows,
                                            entry.evidence.front().second.str(),
                                            entry.seq,
                                            false};
      } else {
        unread = in_entry(entry, std::move(facts.error()));
      }
    }
    return !unread;
  }));
  if (unread) return *unread;
  AccessReply reply;
  for (auto& [of, segment] : found) {
    segment.pruned = of.second <= pruned[of.first];
    reply.segments.push_back(std::move(segment));
  }
  return reply;
}

}  // namespace heddle::control
