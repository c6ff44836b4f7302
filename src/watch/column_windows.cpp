#include "watch/column_windows.hpp"

#include <algorithm>
#include <utility>

namespace heddle::watch {

namespace {

std::int64_t index_of(Micros time, Micros length) {
  return time >= 0 ? time / length : -((-time + length - 1) / length);
}

}  // namespace

void ColumnWindows::start(const spec::Monitor& monitor, std::uint64_t epoch, Micros from) {
  *this = {};
  length_ = monitor.window;
  least_rows_ = monitor.window_rows;
  epoch_ = epoch;
  epoch_from_ = from;
}

bool ColumnWindows::add(const Baseline& baseline, Micros event_time,
                        std::span<const expr::Datum> values) {
  const std::int64_t index = index_of(event_time, length_);
  if (index < next_ || (index + 1) * length_ <= epoch_from_) return false;
  Window& window = open_[index];
  if (window.counts.empty()) {
    window.from = std::max(index * length_, epoch_from_);
    for (const MetricReference& metric : baseline.metrics)
      window.counts.emplace_back(metric.binning.size());
  }
  ++window.rows;
  for (std::size_t i = 0; i < values.size() && i < window.counts.size(); ++i) {
    if (const auto bin = baseline.metrics[i].bin_of(values[i])) window.counts[i].add(*bin);
  }
  return true;
}

Finding ColumnWindows::finding_of(const MetricReference& reference, const stats::Histogram& counts,
                                  const Window& window, Micros to) const {
  Finding f;
  f.subject = reference.metric.column == "prediction" ? Subject::kPrediction : Subject::kColumn;
  f.key = "column/" + reference.metric.name;
  f.column = reference.metric.column;
  f.value = reference.statistic(counts);
  f.threshold = reference.threshold();
  f.alert = f.raises = f.value > f.threshold;
  f.from = window.from;
  f.to = to;
  f.rows = counts.total();
  f.epoch = epoch_;
  f.detail =
      doc::Value::object({{"reference_mean", reference.mean}, {"reference_sd", reference.sd}});
  if (reference.metric.kind == spec::DistributionMetric::Kind::kHourOfDay) {
    const stats::LagFit fit =
        stats::explain_by_lag(reference.reference.present(), counts.present());
    f.detail.set("lag_hours", fit.lag);
    f.detail.set("residual", fit.residual);
    f.detail.set("residual_d", fit.residual_d);
  }
  return f;
}

std::int64_t ColumnWindows::open_rows() const noexcept {
  std::int64_t rows = 0;
  for (const auto& [index, window] : open_) rows += window.rows;
  return rows;
}

std::int64_t ColumnWindows::close(const Baseline& baseline, Micros watermark,
                                  std::vector<Finding>& out) {
  std::int64_t dropped = 0;
  while (!open_.empty()) {
    const auto it = open_.begin();
    const Micros to = (it->first + 1) * length_;
    if (to > watermark) return dropped;
    Window window = std::move(it->second);
    next_ = it->first + 1;
    open_.erase(it);
    if (to - window.from < length_ / 10 * 9) {
      dropped += window.rows;
      continue;
    }
    if (window.rows < least_rows_) {  // join to the next window, which may not exist yet
      auto [after, fresh] = open_.try_emplace(next_, window);
      if (!fresh) {
        after->second.rows += window.rows;
        after->second.from = window.from;
        for (std::size_t i = 0; i < window.counts.size(); ++i)
          after->second.counts[i].merge(window.counts[i]);
      }
      if ((next_ + 1) * length_ > watermark) return dropped;
      continue;
    }
    for (std::size_t i = 0; i < window.counts.size() && i < baseline.metrics.size(); ++i) {
      if (window.counts[i].total() > 0)
        out.push_back(finding_of(baseline.metrics[i], window.counts[i], window, to));
    }
  }
  return dropped;
}

void ColumnWindows::save(StateWriter& out) const {
  out.put(length_);
  out.put(least_rows_);
  out.put(epoch_);
  out.put(epoch_from_);
  out.put(next_);
  out.put(std::uint64_t{open_.size()});
  for (const auto& [index, window] : open_) {
    out.put(index);
    out.put(window.rows);
    out.put(window.from);
    out.put(std::uint64_t{window.counts.size()});
    for (const stats::Histogram& h : window.counts) {
      out.put(std::uint64_t{h.counts().size()});
      for (const std::int64_t count : h.counts()) out.put(count);
    }
  }
}

void ColumnWindows::load(StateReader& in) {
  *this = {};
  length_ = std::max<Micros>(in.i64(), 1);
  least_rows_ = in.i64();
  epoch_ = in.u64();
  epoch_from_ = in.i64();
  next_ = in.i64();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::int64_t index = in.i64();
    Window& window = open_[index];
    window.rows = in.i64();
    window.from = in.i64();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      std::vector<std::int64_t> counts(in.count());
      for (std::int64_t& count : counts) count = in.i64();
      window.counts.emplace_back(std::move(counts));
    }
  }
}

}  // namespace heddle::watch
