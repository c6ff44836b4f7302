#include "watch/quality_windows.hpp"

#include <algorithm>
#include <cmath>

#include "stats/quality.hpp"
#include "watch/trials.hpp"

namespace heddle::watch {

namespace {

/// Labels of others that tell whether they show what one account's do: less than a chunk wants, for
/// they are only asked whether it is so with them too.
constexpr std::int64_t kLeastOfOthers = 500;
constexpr double kAgreement = 0.8;      ///< share of chunks that move the way of their mean
constexpr std::size_t kMostShown = 20;  ///< offsets in a finding of the ratio

/// The first multiple of `step` at or after `time`.
Micros align_up(Micros time, Micros step) {
  const Micros rest = (time % step + step) % step;
  return rest == 0 ? time : time + step - rest;
}

/// Of the mean loss of the chunk's rows.
double standard_error_of_loss(const stats::Task& task, const LabelJoin::Chunk& chunk) {
  const auto n = static_cast<double>(chunk.rows());
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
    const double loss = stats::row_loss(task, chunk.row(i), chunk.codes[i]);
    sum += loss;
    squares += loss * loss;
  }
  return n < 2 ? 0 : std::sqrt(std::max(0.0, squares - sum * sum / n) / (n - 1) / n);
}

LabelJoin::Chunk all_but(const LabelJoin::Chunks& accounts, const std::string& one) {
  LabelJoin::Chunk out;
  for (const auto& [account, chunk] : accounts) {
    if (account != one) out.append(chunk);
  }
  return out;
}

/// Losses where both slots answered.
struct Paired {
  std::vector<double> differences;  ///< of the primary less of the standby
  double primary = 0;               ///< in sum
  double standby = 0;
};

Paired losses_of(const stats::Task& task, const LabelJoin::Chunk& chunk) {
  Paired out;
  for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
    // Both must have answered the row, or the one that refuses the difficult ones looks better.
    if (std::isnan(chunk.standby_row(i)[0])) continue;
    const double primary = stats::row_loss(task, chunk.row(i), chunk.codes[i]);
    const double standby = stats::row_loss(task, chunk.standby_row(i), chunk.codes[i]);
    out.differences.push_back(primary - standby);
    out.primary += primary;
    out.standby += standby;
  }
  return out;
}

bool is_seen_in(const stats::Task& task, const LabelJoin::Chunk& rows, const Finding& finding) {
  if (finding.subject == Subject::kQuality)
    return stats::quality_ratio(task, rows.margins, rows.codes).ratio > finding.threshold;
  if (finding.subject == Subject::kCoverage) {
    const ChunkCoverage seen =
        coverage_of(task, rows, {0, finding.detail.double_or("quantile", 0)});
    return static_cast<double>(seen.rows - seen.held) >
           finding.threshold * static_cast<double>(seen.rows);
  }
  return moved_along(task, rows, finding) > finding.threshold;
}

}  // namespace

void QualityWindows::start(const Epoch& epoch) {
  last_above_ = false;
  chunks_.clear();
  coverage_.clear();
  comparison_.reset();
  epoch_ = epoch.number;
  from_ = epoch.from;
  // The first chunk has nine tenths of its duration at least: where an epoch begins later in a
  // chunk, it lasts to the end of the next.
  to_ = align_up(epoch.from + metric_.chunk_duration / 10 * 9, metric_.chunk_duration);
}

void QualityWindows::tick(const SeenTick& tick, std::vector<Finding>& out) {
  if (!is_watched_ || tick.baseline == nullptr) return;
  // A column that moved explains an intercept that moved with it. One that has stood for longer
  // than the intercept is averaged over is how things are now, and no reason to leave the base
  // rate wrong.
  const Micros fresh =
      tick.at - label_delay_ - (metric_.prior_shift_chunks + 1) * metric_.chunk_duration;
  const bool quiet =
      !tick.alerts.standing(Subject::kColumn, fresh) && !tick.alerts.confirmed(Subject::kQuality);
  // Intervals are off with predictions that are: nothing is said of them until these are mended.
  const bool is_moved =
      tick.alerts.confirmed(Subject::kPrior) || tick.alerts.confirmed(Subject::kQuality);
  close(tick.join, *tick.baseline, is_moved ? nullptr : tick.interval, tick.at, quiet, tick.several,
        tick.several_label, out);
}

void QualityWindows::close(const LabelJoin& join, const Baseline& baseline,
                           const stats::Conformal* interval, Micros watermark, bool quiet,
                           bool several, bool several_label, std::vector<Finding>& out) {
  while (started() && to_ + label_delay_ <= watermark) {
    const LabelJoin::Chunk chunk = join.collect(from_, to_, epoch_);
    // Too few rows widen the chunk: `from_` stays and `to_` goes on.
    if (chunk.rows() >= metric_.chunk_rows) {
      const std::size_t first = out.size();
      judge(join.task(), chunk, baseline, to_, quiet, out);
      if (interval != nullptr) {
        // What moved the predictions moves their intervals with them: that is told first.
        const bool is_told = std::any_of(out.begin() + static_cast<std::ptrdiff_t>(first),
                                         out.end(), [](const Finding& f) { return f.alert; });
        judge_coverage(chunk, join.task(), baseline, *interval, quiet && !is_told, out);
      }
      if (several) {
        name_accounts(join, std::span(out).subspan(first));
        if (comparison_ && comparison_->to == to_)
          comparison_->only_account =
              who_favours_standby(join.task(), join.by_account(from_, to_, epoch_));
      }
      if (several_label) name_label_accounts(join, std::span(out).subspan(first));
      from_ = to_;
    }
    // Ends between here and the next row change nothing: years without one are one step, not a
    // thousand.
    const Micros due = watermark - label_delay_;
    const Micros next = std::min(join.first_from(to_, epoch_).value_or(due), due);
    to_ += ((next - to_) / metric_.chunk_duration + 1) * metric_.chunk_duration;
  }
}

void QualityWindows::name_accounts(const LabelJoin& join, std::span<Finding> findings) const {
  for (Finding& finding : findings) {
    if (finding.alert)
      finding.account = only_one(join.task(), join.by_account(finding.from, finding.to, epoch_),
                                 metric_.chunk_rows, finding);
  }
}

void QualityWindows::name_label_accounts(const LabelJoin& join, std::span<Finding> findings) {
  for (Finding& finding : findings) {
    const auto accounts = join.by_label_account(finding.from, finding.to, epoch_);
    if (finding.subject == Subject::kQuality && comparison_)
      comparison_->label_account = who_favours_standby(join.task(), accounts);
    if (finding.alert)
      finding.label_account = only_one(join.task(), accounts, kLeastOfOthers, finding);
  }
}

/// The first of the accounts without which the finding would not stand.
std::string QualityWindows::only_one(const stats::Task& task, const LabelJoin::Chunks& accounts,
                                     std::int64_t least, const Finding& finding) {
  for (const auto& [account, own] : accounts) {
    if (account.empty()) continue;  // of nobody alone, or of somebody who is not known
    const LabelJoin::Chunk others = all_but(accounts, account);
    // Too few labels of the others say nothing, and what nobody else shows is this one's.
    if (others.rows() >= least && is_seen_in(task, others, finding)) continue;
    return account;
  }
  return {};
}

/// The first of the accounts without which the standby would not be the better one; empty where
/// there is none, or where the standby is no better.
std::string QualityWindows::who_favours_standby(const stats::Task& task,
                                                const LabelJoin::Chunks& accounts) const {
  if (!comparison_ || comparison_->z <= kPairedZ) return {};
  for (const auto& [account, own] : accounts) {
    if (!account.empty() &&
        paired_z(losses_of(task, all_but(accounts, account)).differences) <= kPairedZ)
      return account;
  }
  return {};
}

void QualityWindows::judge(const stats::Task& task, const LabelJoin::Chunk& chunk,
                           const Baseline& baseline, Micros to, bool quiet,
                           std::vector<Finding>& out) {
  const stats::Quality quality = stats::quality_ratio(task, chunk.margins, chunk.codes);
  // All labels of the chunk are alike: the best constant loses nothing, and there is no ratio to
  // it.
  if (std::isnan(quality.ratio)) return;

  comparison_.reset();
  const Paired paired = losses_of(task, chunk);
  if (!paired.differences.empty()) {
    const auto rows = static_cast<double>(paired.differences.size());
    comparison_ = Comparison{paired.primary / rows,
                             paired.standby / rows,
                             static_cast<std::int64_t>(paired.differences.size()),
                             to,
                             paired_z(paired.differences),
                             {},
                             {}};
  }

  Finding f;
  f.key = "quality/ratio";
  f.subject = Subject::kQuality;
  f.value = quality.ratio;
  f.threshold =
      std::max(metric_.alert_twice, baseline.ratio_chunks < kFewestChunks
                                        ? 0
                                        : baseline.ratio_mean + metric_.sds * baseline.ratio_sd);
  f.alert = f.value > f.threshold;
  // One chunk that is far off, or two in a row past the lower threshold.
  f.raises = f.value > metric_.alert_once || (f.alert && last_above_);
  last_above_ = f.alert;
  f.from = from_;
  f.to = to;
  f.rows = chunk.rows();
  f.epoch = epoch_;
  f.detail = doc::Value::object({{"loss", quality.loss}});
  if (quality.offsets.size() <= kMostShown) f.detail.set("offsets", list_of(quality.offsets));
  if (comparison_) f.detail.set("standby_loss", comparison_->standby_loss);
  if (chunk.sample < 1) {
    // What is said of a sample is said with how far it may be off.
    f.detail.set("sample", chunk.sample);
    f.detail.set("loss_standard_error", standard_error_of_loss(task, chunk));
  }
  out.push_back(f);

  // Where the predictions do not tell the labels apart, offsets say nothing about the base rate:
  // labels that were turned over have some too.
  if (!f.alert)
    chunks_.push_back({quality.offsets, stats::class_rows(task, chunk.margins, chunk.codes)});
  judge_prior(task, baseline, f, quiet, out);
}

void QualityWindows::judge_prior(const stats::Task& task, const Baseline& baseline,
                                 const Finding& quality, bool quiet, std::vector<Finding>& out) {
  const auto wanted = static_cast<std::size_t>(std::max(1, metric_.prior_shift_chunks));
  if (chunks_.size() < wanted) return;
  if (chunks_.size() > wanted) chunks_.erase(chunks_.begin());
  const PriorShift shift = prior_shift(task, chunks_, baseline.label_scale);
  Finding prior = quality;
  prior.key = "prior/offsets";
  prior.subject = Subject::kPrior;
  prior.value = shift.size;
  prior.threshold = metric_.prior_shift;
  prior.alert =
      quiet && !quality.alert && prior.value > prior.threshold && shift.agreement >= kAgreement;
  prior.raises = prior.confirms = prior.alert;
  prior.from = quality.to - static_cast<Micros>(wanted) * metric_.chunk_duration;
  prior.detail = doc::Value::object({{"offsets", list_of(shift.offsets)},
                                     {"scale", baseline.label_scale},
                                     {"chunks", metric_.prior_shift_chunks}});
  if (prior.alert) chunks_.clear();  // the next judgement needs as many fresh chunks
  out.push_back(std::move(prior));
}

void QualityWindows::judge_coverage(const LabelJoin::Chunk& chunk, const stats::Task& task,
                                    const Baseline& baseline, const stats::Conformal& interval,
                                    bool quiet, std::vector<Finding>& out) {
  const auto wanted = static_cast<std::size_t>(std::max(1, metric_.prior_shift_chunks));
  coverage_.push_back(coverage_of(task, chunk, interval));
  if (coverage_.size() > wanted) coverage_.erase(coverage_.begin());
  if (coverage_.size() < wanted) return;
  const Coverage coverage =
      watch::judge_coverage(coverage_, interval.coverage, baseline, metric_.sds);
  Finding f;
  f.key = "quality/coverage";
  f.subject = Subject::kCoverage;
  f.value = coverage.missed;
  f.threshold = coverage.threshold;
  f.alert = f.raises = f.confirms = quiet && coverage.is_low;
  f.from = to_ - static_cast<Micros>(wanted) * metric_.chunk_duration;
  f.to = to_;
  for (const ChunkCoverage& each : coverage_) f.rows += each.rows;
  f.epoch = epoch_;
  f.detail = doc::Value::object({{"declared", interval.coverage},
                                 {"quantile", interval.quantile},
                                 {"chunks", metric_.prior_shift_chunks}});
  if (f.alert) coverage_.clear();  // the next judgement needs as many fresh chunks
  out.push_back(std::move(f));
}

void QualityWindows::save(StateWriter& out) const {
  out.put(epoch_);
  out.put(from_);
  out.put(to_);
  out.put(last_above_);
  out.put(std::uint64_t{chunks_.size()});
  for (const ChunkOffsets& chunk : chunks_) {
    for (const std::vector<double>* numbers : {&chunk.offsets, &chunk.weights}) {
      out.put(std::uint64_t{numbers->size()});
      for (const double number : *numbers) out.put(number);
    }
  }
  out.put(std::uint64_t{coverage_.size()});
  for (const ChunkCoverage& chunk : coverage_) {
    out.put(chunk.held);
    out.put(chunk.rows);
  }
  out.put(comparison_.has_value());
  const Comparison c = comparison_.value_or(Comparison{});
  out.put(c.primary_loss);
  out.put(c.standby_loss);
  out.put(c.rows);
  out.put(c.to);
  out.put(c.z);
  out.put(c.label_account);
  out.put(c.only_account);
}

void QualityWindows::load(StateReader& in) {
  epoch_ = in.u64();
  from_ = in.i64();
  to_ = in.i64();
  last_above_ = in.flag();
  chunks_.assign(in.count(), {});
  for (ChunkOffsets& chunk : chunks_) {
    for (std::vector<double>* numbers : {&chunk.offsets, &chunk.weights}) {
      numbers->assign(in.count(), 0);
      for (double& number : *numbers) number = in.real();
    }
  }
  coverage_.assign(in.count(), {});
  for (ChunkCoverage& chunk : coverage_) {
    chunk.held = in.i64();
    chunk.rows = in.i64();
  }
  const bool compared = in.flag();
  Comparison c;
  c.primary_loss = in.real();
  c.standby_loss = in.real();
  c.rows = in.i64();
  c.to = in.i64();
  c.z = in.real();
  c.label_account = in.text();
  c.only_account = in.text();
  comparison_.reset();
  if (compared) comparison_ = c;
}

const DetectorKind& quality_windows() {
  static constexpr DetectorKind row("quality", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<QualityWindows>(options.monitor));
  });
  return row;
}

}  // namespace heddle::watch
