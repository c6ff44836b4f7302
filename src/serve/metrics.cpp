#include "serve/metrics.hpp"

#include <utility>

#include <fmt/format.h>

namespace heddle::serve {

void Metrics::Histogram::add(std::int64_t ns) noexcept {
  const double value = static_cast<double>(ns) * 1e-9;
  ++count;
  seconds += value;
  std::size_t i = 0;
  // The last bucket has no bound. Each holds its own until it is printed, so that an answer touches
  // one counter.
  while (i < kBounds.size() && kBounds[i] < value) ++i;  // most are in the first few
  ++buckets[i];
}

void Metrics::answered(int status, std::int64_t ns) noexcept {
  ++statuses_[status];
  requests_.add(ns);
}

namespace {

/// Ids are our own, a few dozen: what a client sends cannot make such a map grow.
void count(std::map<std::string, std::uint64_t, std::less<>>& counts, std::string_view id) {
  const auto found = counts.find(id);
  if (found != counts.end())
    ++found->second;
  else
    counts.emplace(id, 1);
}

}  // namespace

void Metrics::refused(std::string_view id) { count(errors_, id); }
void Metrics::repaired(std::string_view id) { count(repaired_, id); }

doc::Value Metrics::errors_by_id() const {
  doc::Value counts = doc::Value::object();
  for (const auto& [id, count] : errors_) counts.set(id, static_cast<std::int64_t>(count));
  return counts;
}

void Metrics::stages(const Stages& ns) noexcept {
  for (std::size_t i = 0; i < kStages; ++i) stages_[i].add(ns[i]);
}

void Metrics::scored(SlotId slot, std::size_t rows, std::int64_t before_ns, std::int64_t score_ns,
                     Micros arrival) noexcept {
  SlotStatistics& statistics = slots_[static_cast<std::size_t>(slot)];
  ++statistics.requests;
  statistics.rows += rows;
  statistics.before_ns += static_cast<std::uint64_t>(before_ns);
  statistics.score_ns += static_cast<std::uint64_t>(score_ns);
  statistics.last = arrival;
}

std::uint64_t Metrics::errors() const noexcept {
  std::uint64_t count = 0;
  // What was shed or refused is an error to who asked, whoever is at fault.
  for (const auto& [status, n] : statuses_) count += status >= 400 ? n : 0;
  return count;
}

/// Writes the text format of Prometheus, version 0.0.4, about one service.
class Metrics::Exposition {
 public:
  explicit Exposition(std::string_view service) : service_(service) {}

  void head(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                   type);
  }
  template <class T>
  void line(std::string_view name, std::string_view labels, T value) {
    fmt::format_to(std::back_inserter(out_), "{}{{service=\"{}\"{}{}}} {}\n", name, service_,
                   labels.empty() ? "" : ",", labels, value);
  }
  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  std::string_view service_;
  std::string out_{};
};

template <class Out, class Bounds, class Histogram>
void put_histogram(Out& out, const Bounds& bounds, std::string_view name, const std::string& labels,
                   const Histogram& h) {
  const std::string comma = labels.empty() ? "" : labels + ",";
  std::uint64_t sum = 0;  // a bucket holds all below its bound
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    sum += h.buckets[i];
    out.line(fmt::format("{}_bucket", name), fmt::format("{}le=\"{}\"", comma, bounds[i]), sum);
  }
  out.line(fmt::format("{}_bucket", name), fmt::format("{}le=\"+Inf\"", comma), h.count);
  out.line(fmt::format("{}_sum", name), labels, h.seconds);
  out.line(fmt::format("{}_count", name), labels, h.count);
}

void Metrics::put_counts(Exposition& out) const {
  out.head("heddle_requests_total", "counter", "Predict requests answered, by HTTP status");
  for (const auto& [status, count] : statuses_)
    out.line("heddle_requests_total", fmt::format("status=\"{}\"", status), count);
  // A family without a line would be an error to strict readers of the format.
  if (!errors_.empty())
    out.head("heddle_request_errors_total", "counter", "Requests refused as a whole, by error id");
  for (const auto& [id, count] : errors_)
    out.line("heddle_request_errors_total", fmt::format("id=\"{}\"", id), count);
  out.head("heddle_rows_total", "counter", "Rows answered, by outcome");
  out.line("heddle_rows_total", "outcome=\"served\"", served_);
  out.line("heddle_rows_total", "outcome=\"refused\"", refused_);
  out.line("heddle_rows_total", "outcome=\"failed\"", failed_);
  out.line("heddle_rows_total", "outcome=\"quarantined\"", quarantined_);
  if (!repaired_.empty())
    out.head("heddle_repairs_total", "counter", "Values that a repair of the contract changed");
  for (const auto& [id, values] : repaired_)
    out.line("heddle_repairs_total", fmt::format("repair=\"{}\"", id), values);
  out.head("heddle_labels_total", "counter", "Labels taken");
  out.line("heddle_labels_total", "", labels_);
  out.head("heddle_labels_refused_total", "counter", "Labels that no row can have, refused");
  out.line("heddle_labels_refused_total", "", refused_labels_);
  out.head("heddle_request_seconds", "histogram", "Time in the handler of a predict request");
  put_histogram(out, kBounds, "heddle_request_seconds", "", requests_);
  out.head("heddle_stage_seconds", "histogram", "Time of a predict request by stage");
  constexpr std::array<std::string_view, kStages> kStageNames = {"queue", "read", "score", "write"};
  for (std::size_t i = 0; i < kStages; ++i)
    put_histogram(out, kBounds, "heddle_stage_seconds", fmt::format("stage=\"{}\"", kStageNames[i]),
                  stages_[i]);
}

void Metrics::put_slots(Exposition& out, const Gauges& gauges) const {
  out.head("heddle_slot_rows_total", "counter", "Rows scored as the answer, by slot");
  for (std::size_t i = 0; i < kSlots; ++i)
    out.line("heddle_slot_rows_total", fmt::format("slot=\"{}\"", name_of(static_cast<SlotId>(i))),
             slots_[i].rows);
  out.head("heddle_shed_total", "counter", "Predict requests that waited too long and were shed");
  out.line("heddle_shed_total", "", shed_);
  out.head("heddle_routes_applied_total", "counter", "Route tables put in force");
  out.line("heddle_routes_applied_total", "", applied_);
  out.head("heddle_routes_refused_total", "counter",
           "Failed attempts to load a route table or bundle");
  out.line("heddle_routes_refused_total", "", gauges.route_refused);
}

void Metrics::put_journal(Exposition& out, const Gauges& gauges) {
  out.head(
      "heddle_journal_unrecorded_total", "counter",
      "Requests and labels of an account that were answered and not recorded, since the start");
  for (const auto& [account, lost] : gauges.unrecorded) {
    out.line("heddle_journal_unrecorded_total",
             fmt::format("account=\"{}\",kind=\"requests\"", account), lost.requests);
    out.line("heddle_journal_unrecorded_total",
             fmt::format("account=\"{}\",kind=\"labels\"", account), lost.labels);
  }
  out.head("heddle_journal_recording", "gauge", "0: the journal is full, nothing is recorded");
  out.line("heddle_journal_recording", "", gauges.recording ? 1 : 0);
  out.head("heddle_journal_bytes", "gauge", "Bytes of the journal");
  out.line("heddle_journal_bytes", "", gauges.journal_bytes);
}

void Metrics::put_state(Exposition& out, const Gauges& gauges) {
  out.head("heddle_route_version", "gauge", "Version of the route table in force");
  out.line("heddle_route_version", "", gauges.route_version);
  out.head("heddle_ready", "gauge", "1: requests are answered");
  out.line("heddle_ready", "", gauges.ready ? 1 : 0);
  out.head("heddle_stopped", "gauge", "1: in the declared safe state");
  out.line("heddle_stopped", "", gauges.stopped ? 1 : 0);
  out.head("heddle_failed_over", "gauge", "1: the standby answers by the data plane's own act");
  out.line("heddle_failed_over", "", gauges.failed_over ? 1 : 0);
  // Before the first tick there is no event time, and 0 would be one.
  if (gauges.last_tick != INT64_MIN) {
    out.head("heddle_event_time_seconds", "gauge",
             "Event time of the last tick: the watch has all rows before it");
    out.line("heddle_event_time_seconds", "", static_cast<double>(gauges.last_tick) * 1e-6);
  }
  out.head("heddle_event_clock_held", "gauge",
           "1: the wall clock jumped ahead, and the watch does not follow yet");
  out.line("heddle_event_clock_held", "", gauges.clock_held ? 1 : 0);
  out.head("heddle_connections", "gauge", "Open connections");
  out.line("heddle_connections", "", gauges.connections);
  out.head("heddle_connections_closed_total", "counter",
           "Connections closed to make room for others, by what had none left; `refused`: new ones "
           "for which nobody could go");
  const auto closed = [&](std::string_view what, std::uint64_t count) {
    out.line("heddle_connections_closed_total", fmt::format("room=\"{}\"", what), count);
  };
  closed("all", gauges.closed.for_all);
  closed("address", gauges.closed.for_address);
  closed("handshakes", gauges.closed.for_handshake);
  closed("refused", gauges.closed.refused);
}

void Metrics::put_runtimes(Exposition& out, const Gauges& gauges) {
  if (gauges.runtimes.empty()) return;
  const auto runtimes = [&](std::string_view name, std::string_view type, std::string_view help,
                            auto value) {
    out.head(name, type, help);
    for (const Gauges::Runtime& each : gauges.runtimes)
      out.line(name, fmt::format("slot=\"{}\"", name_of(each.slot)), value(each.condition));
  };
  runtimes("heddle_runtime_up", "gauge", "1: the slot's worker is ready; an upstream always",
           [](const auto& c) { return c.up ? 1 : 0; });
  runtimes("heddle_runtime_restarts_total", "counter",
           "Starts of the slot's worker after it ended by itself",
           [](const auto& c) { return c.restarts; });
  runtimes("heddle_runtime_batches_total", "counter", "Batches sent to the slot's runtime",
           [](const auto& c) { return c.batches; });
  runtimes("heddle_runtime_waiting_rows", "gauge", "Rows that wait for the slot's runtime",
           [](const auto& c) { return c.waiting_rows; });
}

/// What slots with a runtime said beside the answers, as far as they were asked.
void Metrics::put_beside(Exposition& out) const {
  const auto beside = [&](std::string_view name, std::string_view help, auto value) {
    bool first = true;
    for (const SlotId slot : {SlotId::kStandby, SlotId::kShadow}) {
      const Compared& compared = beside_[static_cast<std::size_t>(slot)];
      if (compared.rows + compared.failed == 0) continue;
      // The head comes once, before the first slot that has something to say.
      if (std::exchange(first, false)) out.head(name, "counter", help);
      out.line(name, fmt::format("slot=\"{}\"", name_of(slot)), value(compared));
    }
  };
  beside("heddle_beside_rows_total", "Rows that the slot's runtime scored beside the answer",
         [](const Compared& c) { return c.rows; });
  beside("heddle_beside_failed_total", "Rows or requests that it gave no answer for",
         [](const Compared& c) { return c.failed; });
  beside("heddle_beside_difference_sum",
         "Sum of the differences to the answers, in probability or value",
         [](const Compared& c) { return c.difference; });
}

std::string Metrics::text(std::string_view service, const Gauges& gauges) const {
  Exposition out(service);
  put_counts(out);
  put_slots(out, gauges);
  put_journal(out, gauges);
  put_state(out, gauges);
  put_runtimes(out, gauges);
  put_beside(out);
  return std::move(out).take();
}

}  // namespace heddle::serve
