#include "watch/silence.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace heddle::watch {

namespace {

/// How long a metric of such windows or chunks may take until it reports. Four of them, for one may
/// be cut by a change of the route and one be joined to the next because it has too few rows; four
/// days at least, for short windows are joined over nights and weekends.
Micros patience_of(Micros window) { return 4 * std::max(window, kDay); }

constexpr std::string_view kContract = "contract";

Finding of_monitor(std::string key, Micros from, Micros to) {
  Finding f;
  f.key = std::move(key);
  f.subject = Subject::kMonitor;
  f.from = from;
  f.to = to;
  return f;
}

}  // namespace

Silence::Silence(const spec::Monitor& monitor) {
  const std::string window = fmt::format("a window of {} with {} rows",
                                         format_duration(monitor.window), monitor.window_rows);
  for (const auto& metric : monitor.distributions) {
    metrics_["column/" + metric.name] = {.waits_for = window,
                                         .deadline = patience_of(monitor.window)};
  }
  for (const auto& rule : monitor.rules) {
    metrics_["rule/" + rule.id] = {.waits_for = fmt::format("{} rows", rule.window_rows),
                                   .deadline = patience_of(monitor.window)};
  }
  metrics_[std::string(kContract)] = {
      .waits_for = fmt::format("{} rows of one source", monitor.refused_rows),
      .deadline = patience_of(monitor.window)};
  if (monitor.labelled_quality) {
    const Micros chunk = monitor.quality.chunk_duration;
    // A chunk with too few labels widens; past the retention its first rows are forgotten, and it
    // widens in vain.
    metrics_["quality/ratio"] = {
        .waits_for =
            fmt::format("a chunk of {} with {} labels, {} after its rows", format_duration(chunk),
                        monitor.quality.chunk_rows, format_duration(monitor.label_delay)),
        .deadline =
            std::max(monitor.label_retention, monitor.label_delay + patience_of(chunk)) + chunk,
        .labelled = true,
        .unlabelled_deadline = monitor.label_delay + patience_of(chunk)};
  }
}

void Silence::row(const SeenRow& row, std::vector<Finding>&) {
  for (auto& [key, metric] : metrics_) {
    // The wait begins with a row: a service without traffic has nothing to report.
    if (metric.since == INT64_MAX) metric.since = row.request.event_time;
    ++metric.rows;
  }
}

void Silence::tick(const SeenTick& tick, std::vector<Finding>& out) {
  const bool is_watched = tick.baseline != nullptr;
  const bool unwatched_alert = tick.alerts.find(std::string(kUnwatchedKey)) != nullptr;
  if (tick.is_routed && !is_watched != unwatched_alert) {
    out.push_back(is_watched ? heard_again("service", tick.at)
                             : unwatched(tick.unwatched.empty() ? "its bundle has no baseline"
                                                                : tick.unwatched,
                                         tick.at));
  }
  // Without a baseline no metric can report: that alert says it for all of them.
  for (Finding& finding : is_watched ? overdue(tick.at) : std::vector<Finding>{}) {
    // One that stands is not told again at every tick.
    if (tick.alerts.find(finding.key) == nullptr) out.push_back(std::move(finding));
  }
  const auto clock = tick.latest.find(std::string(kClockKey));
  if (clock != tick.latest.end() && !clock->second.alert &&
      tick.alerts.find(clock->first) != nullptr)
    out.push_back(clock_agrees(tick.at));
}

void Silence::set_back(Micros, RowCounts&) {
  labels_ = 0;
  for (auto& [key, metric] : metrics_) {
    metric.since = INT64_MAX;
    metric.rows = metric.labels_before = 0;
  }
}

std::string Silence::report(const std::string& key) {
  const auto it = metrics_.find(key.starts_with("contract/") ? std::string(kContract) : key);
  if (it == metrics_.end()) return {};
  it->second.since = INT64_MAX;
  it->second.rows = 0;
  it->second.labels_before = labels_;
  return it->first;
}

std::vector<Finding> Silence::overdue(Micros now) const {
  std::vector<Finding> out;
  for (const auto& [key, metric] : metrics_) {
    if (metric.since == INT64_MAX) continue;
    const std::int64_t labels = labels_ - metric.labels_before;
    // Where no label came at all, it is over sooner: there is no chunk that could still be filling.
    const Micros deadline =
        metric.labelled && labels == 0 ? metric.unlabelled_deadline : metric.deadline;
    const Micros silent = now - metric.since;
    if (silent <= deadline) continue;
    Finding f = of_monitor(silent_key(key), metric.since, now);
    f.value = static_cast<double>(silent) / static_cast<double>(deadline);
    f.threshold = 1;
    f.alert = f.raises = f.confirms = true;
    f.rows = metric.rows;
    std::string came = fmt::format("{} rows", metric.rows);
    if (metric.labelled) came += labels == 0 ? ", no label" : fmt::format(", {} labels", labels);
    f.detail = doc::Value::object(
        {{"monitor", key},
         {"why", fmt::format("`{}` has said nothing for {} of event time ({}); it waits for {}",
                             key, format_duration(silent), came, metric.waits_for)}});
    out.push_back(std::move(f));
  }
  return out;
}

std::vector<Silence::Waiting> Silence::metrics() const {
  std::vector<Waiting> out;
  for (const auto& [name, metric] : metrics_)
    out.push_back({name, metric.waits_for, metric.deadline, metric.since, metric.rows});
  return out;
}

void Silence::save(StateWriter& out) const {
  out.put(labels_);
  out.put(std::uint64_t{metrics_.size()});
  for (const auto& [key, metric] : metrics_) {
    out.put(key);
    out.put(metric.since);
    out.put(metric.rows);
    out.put(metric.labels_before);
  }
}

void Silence::load(StateReader& in) {
  labels_ = in.i64();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::string key = in.text();
    Metric saved;
    saved.since = in.i64();
    saved.rows = in.i64();
    saved.labels_before = in.i64();
    // A metric that the definition has no more is forgotten; one that it has now begins with its
    // first row.
    const auto it = metrics_.find(key);
    if (it == metrics_.end()) continue;
    it->second.since = saved.since;
    it->second.rows = saved.rows;
    it->second.labels_before = saved.labels_before;
  }
}

std::string silent_key(std::string_view key) { return fmt::format("silent/{}", key); }

Finding heard_again(const std::string& key, Micros at) {
  return of_monitor(silent_key(key), at, at);
}

Finding unwatched(std::string_view why, Micros at) {
  Finding f = of_monitor(std::string(kUnwatchedKey), at, at);
  f.value = 1;
  f.alert = f.raises = f.confirms = true;
  f.detail = doc::Value::object(
      {{"monitor", "service"}, {"why", fmt::format("nothing of the service is watched: {}", why)}});
  return f;
}

Finding clock_jumped(std::string_view why, Micros from, Micros at) {
  Finding f = of_monitor(std::string(kClockKey), std::min(from, at), at);
  f.value = 1;
  f.alert = f.raises = f.confirms = true;
  f.detail = doc::Value::object({{"monitor", kClockKey}, {"why", why}});
  return f;
}

Finding clock_agrees(Micros at) { return of_monitor(std::string(kClockKey), at, at); }

const DetectorKind& silence() {
  static constexpr DetectorKind row("silence", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<Silence>(options.monitor));
  });
  return row;
}

}  // namespace heddle::watch
