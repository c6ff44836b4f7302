#include "watch/column_windows.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace heddle::watch {

namespace {

// Rounded down, also before 1970: windows are as long on both sides.
std::int64_t index_of(Micros time, Micros length) {
  return time >= 0 ? time / length : -((-time + length - 1) / length);
}

}  // namespace

void ColumnWindows::begin(Micros length, std::int64_t least_rows, std::uint64_t epoch,
                          Micros from) {
  *this = {};
  length_ = length;
  least_rows_ = least_rows;
  epoch_ = epoch;
  epoch_from_ = from;
}

void ColumnWindows::start(const Epoch& epoch) {
  const std::int64_t left_out = open_rows();
  epoch.counts.taken -= left_out;
  epoch.counts.partial += left_out;
  begin(length_, least_rows_, epoch.number, epoch.from);
}

void ColumnWindows::set_back(Micros to, RowCounts& counts) { start({epoch_, to, counts}); }

void ColumnWindows::row(const SeenRow& seen, std::vector<Finding>&) {
  if (seen.baseline == nullptr || !seen.of_epoch) {
    ++(seen.of_epoch ? seen.counts.unwatched : seen.counts.other_epoch);
    return;
  }
  std::vector<expr::Datum> values;
  for (const MetricReference& metric : seen.baseline->metrics) {
    if (metric.metric.column == "prediction") {
      const bool known =
          seen.served() && seen.by_primary && seen.row.prediction.size() == seen.task.outputs();
      values.push_back(known ? prediction_datum(seen.task, seen.row.prediction)
                             : expr::Datum::error());
      continue;
    }
    // What is missing in a row that was refused is the contract's to tell; the reference holds
    // accepted rows only.
    const expr::Datum value = seen.field(metric.metric.column);
    values.push_back(value.is_null() && !seen.served() ? expr::Datum::error() : value);
  }
  const bool is_taken = add(*seen.baseline, seen.request.account, seen.request.event_time, values);
  ++(is_taken ? seen.counts.taken : seen.counts.late);
}

void ColumnWindows::tick(const SeenTick& tick, std::vector<Finding>& out) {
  if (tick.baseline == nullptr) return;
  const std::int64_t left_out = close(*tick.baseline, tick.at, tick.several, out);
  tick.counts.taken -= left_out;
  tick.counts.partial += left_out;
}

bool ColumnWindows::add(const Baseline& baseline, const std::string& account, Micros event_time,
                        std::span<const expr::Datum> values) {
  const std::int64_t index = index_of(event_time, length_);
  // Its window has been judged, or is of the epoch before.
  if (index < next_ || (index + 1) * length_ <= epoch_from_) return false;
  Window& window = open_[index];
  if (window.counts.empty()) window.from = std::max(index * length_, epoch_from_);
  std::vector<stats::Histogram>& counts = window.counts[account];
  // By account, because the finding has to say whether one account alone makes it.
  if (counts.empty()) {
    for (const MetricReference& metric : baseline.metrics)
      counts.emplace_back(metric.binning.size());
  }
  ++window.rows;
  for (std::size_t i = 0; i < values.size() && i < counts.size(); ++i) {
    // A value without a bin is one that does not count, for example of a row that another slot
    // answered.
    if (const auto bin = baseline.metrics[i].bin_of(values[i])) counts[i].add(*bin);
  }
  return true;
}

std::string ColumnWindows::only_account(const MetricReference& reference, std::size_t i,
                                        const stats::Histogram& all, const Window& window) const {
  for (const auto& [account, counts] : window.counts) {
    std::vector<std::int64_t> rest = all.counts();
    for (std::size_t bin = 0; bin < rest.size(); ++bin) rest[bin] -= counts[i].counts()[bin];
    const stats::Histogram others(std::move(rest));
    // Too few rows of the others say nothing, and what nobody else shows is this one's.
    if (others.total() < least_rows_ || !(reference.statistic(others) > reference.threshold()))
      return account;
  }
  return {};
}

namespace {

/// The share of the window in its largest bin, and of the reference in that bin: a value that
/// stands still fills one.
void set_commonest(const stats::Histogram& reference, const stats::Histogram& window,
                   doc::Value& detail) {
  const auto& counts = window.counts();
  const auto largest = std::max_element(counts.begin(), counts.end());
  const auto bin = static_cast<std::size_t>(largest - counts.begin());
  // The first bin holds the rows without a value.
  if (bin == 0 || window.total() == 0 || reference.total() == 0) return;
  detail.set("commonest", static_cast<double>(*largest) / static_cast<double>(window.total()));
  detail.set("commonest_before",
             static_cast<double>(reference.counts()[bin]) / static_cast<double>(reference.total()));
}

}  // namespace

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
  reference.metric.kind->detail(reference.reference, counts, f.detail);
  if (f.alert) set_commonest(reference.reference, counts, f.detail);
  return f;
}

std::int64_t ColumnWindows::open_rows() const noexcept {
  std::int64_t rows = 0;
  for (const auto& [index, window] : open_) rows += window.rows;
  return rows;
}

/// A window of too few rows is joined to the next one with rows, or to the first that has not
/// ended: those between are empty, and centuries of them are one step. When that one ends.
Micros ColumnWindows::join_to_next(Window window, Micros watermark) {
  const std::int64_t not_ended = index_of(watermark, length_);
  next_ = open_.empty() ? not_ended : std::min(open_.begin()->first, not_ended);
  auto [after, fresh] = open_.try_emplace(next_, window);
  if (!fresh) {
    after->second.rows += window.rows;
    after->second.from = window.from;
    for (auto& [account, counts] : window.counts) {
      const auto [held, first] = after->second.counts.try_emplace(account, counts);
      for (std::size_t i = 0; !first && i < counts.size(); ++i) held->second[i].merge(counts[i]);
    }
  }
  return (next_ + 1) * length_;
}

void ColumnWindows::judge(const Baseline& baseline, const Window& window, Micros to, bool several,
                          std::vector<Finding>& out) const {
  for (std::size_t i = 0; i < baseline.metrics.size(); ++i) {
    const MetricReference& metric = baseline.metrics[i];
    stats::Histogram all(metric.binning.size());
    for (const auto& [account, counts] : window.counts) all.merge(counts[i]);
    if (all.total() == 0) continue;
    Finding finding = finding_of(metric, all, window, to);
    // It costs a comparison an account: only for what is to be told.
    if (several && finding.alert) finding.account = only_account(metric, i, all, window);
    out.push_back(std::move(finding));
  }
}

std::int64_t ColumnWindows::close(const Baseline& baseline, Micros watermark, bool several,
                                  std::vector<Finding>& out) {
  std::int64_t dropped = 0;
  while (!open_.empty()) {
    const auto it = open_.begin();
    const Micros to = (it->first + 1) * length_;
    // Rows of it may still come.
    if (to > watermark) return dropped;
    Window window = std::move(it->second);
    next_ = it->first + 1;
    open_.erase(it);
    // A window that an epoch cut short has other hours of the day than the reference: it would
    // differ by that alone.
    if (to - window.from < length_ / 10 * 9) {
      dropped += window.rows;
      continue;
    }
    if (window.rows < least_rows_) {
      // The window it was joined to may not be over.
      if (join_to_next(std::move(window), watermark) > watermark) return dropped;
      continue;
    }
    judge(baseline, window, to, several, out);
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
    for (const auto& [account, histograms] : window.counts) {
      out.put(account);
      out.put(std::uint64_t{histograms.size()});
      for (const stats::Histogram& h : histograms) {
        out.put(std::uint64_t{h.counts().size()});
        for (const std::int64_t count : h.counts()) out.put(count);
      }
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
    for (std::uint64_t a = in.count(); a > 0; --a) {
      std::vector<stats::Histogram>& histograms = window.counts[in.text()];
      for (std::uint64_t m = in.count(); m > 0; --m) {
        std::vector<std::int64_t> counts(in.count());
        for (std::int64_t& count : counts) count = in.i64();
        histograms.emplace_back(std::move(counts));
      }
    }
  }
}

const DetectorKind& column_windows() {
  static constexpr DetectorKind row("columns", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<ColumnWindows>(options.monitor));
  });
  return row;
}

}  // namespace heddle::watch
