#include "serve/metrics.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace heddle::serve {

void Metrics::answered(int status, std::int64_t ns) noexcept {
  ++statuses_[status];
  ++requests_;
  const double seconds = static_cast<double>(ns) * 1e-9;
  seconds_ += seconds;
  ++buckets_[static_cast<std::size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin())];
}

std::string Metrics::text(std::string_view service, const Gauges& gauges) const {
  std::string out;
  const auto line = [&](std::string_view name, std::string_view labels, auto value) {
    fmt::format_to(std::back_inserter(out), "{}{{service=\"{}\"{}{}}} {}\n", name, service, labels.empty() ? "" : ",", labels, value);
  };
  const auto head = [&](std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  };
  head("heddle_requests_total", "counter", "Predict requests answered, by HTTP status");
  for (const auto& [status, count] : statuses_) line("heddle_requests_total", fmt::format("status=\"{}\"", status), count);
  head("heddle_rows_total", "counter", "Rows answered, by outcome");
  line("heddle_rows_total", "outcome=\"served\"", served_);
  line("heddle_rows_total", "outcome=\"refused\"", refused_);
  line("heddle_rows_total", "outcome=\"quarantined\"", quarantined_);
  head("heddle_labels_total", "counter", "Labels taken");
  line("heddle_labels_total", "", labels_);
  head("heddle_request_seconds", "histogram", "Time in the handler of a predict request");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    sum += buckets_[i];
    line("heddle_request_seconds_bucket", fmt::format("le=\"{}\"", kBounds[i]), sum);
  }
  line("heddle_request_seconds_bucket", "le=\"+Inf\"", requests_);
  line("heddle_request_seconds_sum", "", seconds_);
  line("heddle_request_seconds_count", "", requests_);
  head("heddle_routes_applied_total", "counter", "Route tables put in force");
  line("heddle_routes_applied_total", "", applied_);
  head("heddle_routes_refused_total", "counter", "Looks at a route table or bundle that could not be used");
  line("heddle_routes_refused_total", "", gauges.route_refused);
  head("heddle_journal_dropped_total", "counter", "Requests and labels that went unrecorded since the start");
  line("heddle_journal_dropped_total", "", gauges.journal_dropped);
  head("heddle_route_version", "gauge", "Version of the route table in force");
  line("heddle_route_version", "", gauges.route_version);
  head("heddle_ready", "gauge", "1: requests are answered");
  line("heddle_ready", "", gauges.ready ? 1 : 0);
  head("heddle_stopped", "gauge", "1: in the declared safe state");
  line("heddle_stopped", "", gauges.stopped ? 1 : 0);
  head("heddle_failed_over", "gauge", "1: the standby answers by the data plane's own act");
  line("heddle_failed_over", "", gauges.failed_over ? 1 : 0);
  head("heddle_connections", "gauge", "Open connections");
  line("heddle_connections", "", gauges.connections);
  return out;
}

}  // namespace heddle::serve
