#include "watch/quality_windows.hpp"

#include <algorithm>
#include <cmath>

#include "stats/metrics.hpp"
#include "watch/trials.hpp"

namespace heddle::watch {

namespace {

/// Labels of others that tell whether they show what one account's do: less than a chunk wants, for
/// they are only asked whether it is so with them too.
constexpr std::int64_t kLeastOfOthers = 500;
constexpr double kAgreement = 0.8;  ///< share of chunks whose intercept has the sign of their mean

/// The first multiple of `step` at or after `time`.
Micros align_up(Micros time, Micros step) {
  const Micros rest = (time % step + step) % step;
  return rest == 0 ? time : time + step - rest;
}

/// Of the mean log loss of the chunk's rows.
double standard_error_of_loss(const LabelJoin::Chunk& chunk) {
  const auto n = static_cast<double>(chunk.labels.size());
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < chunk.labels.size(); ++i) {
    const double loss = loss_of(chunk.margins[i], chunk.labels[i] != 0);
    sum += loss;
    squares += loss * loss;
  }
  return n < 2 ? 0 : std::sqrt(std::max(0.0, squares - sum * sum / n) / (n - 1) / n);
}

LabelJoin::Chunk all_but(const LabelJoin::Chunks& accounts, const std::string& one) {
  LabelJoin::Chunk out;
  for (const auto& [account, chunk] : accounts) {
    if (account == one) continue;
    out.margins.insert(out.margins.end(), chunk.margins.begin(), chunk.margins.end());
    out.standby.insert(out.standby.end(), chunk.standby.begin(), chunk.standby.end());
    out.labels.insert(out.labels.end(), chunk.labels.begin(), chunk.labels.end());
  }
  return out;
}

/// Log loss of the primary less that of the standby, where both answered.
std::vector<double> losses_of(const LabelJoin::Chunk& chunk) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < chunk.labels.size(); ++i) {
    if (std::isnan(chunk.standby[i])) continue;
    const bool label = chunk.labels[i] != 0;
    differences.push_back(loss_of(chunk.margins[i], label) - loss_of(chunk.standby[i], label));
  }
  return differences;
}

bool is_seen_in(const LabelJoin::Chunk& rows, const Finding& finding) {
  if (finding.subject == Subject::kQuality)
    return stats::quality_ratio(rows.margins, rows.labels).ratio > finding.threshold;
  const double sign = finding.detail.double_or("intercept") < 0 ? -1 : 1;
  return sign * stats::refit_intercept(rows.margins, rows.labels) > finding.threshold;
}

}  // namespace

void QualityWindows::start(const Epoch& epoch) {
  last_above_ = false;
  intercepts_.clear();
  comparison_.reset();
  epoch_ = epoch.number;
  from_ = epoch.from;
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
  close(tick.join, *tick.baseline, tick.at, quiet, tick.several, tick.several_label, out);
}

void QualityWindows::close(const LabelJoin& join, const Baseline& baseline, Micros watermark,
                           bool quiet, bool several, bool several_label,
                           std::vector<Finding>& out) {
  while (started() && to_ + label_delay_ <= watermark) {
    const LabelJoin::Chunk chunk = join.collect(from_, to_, epoch_);
    if (static_cast<std::int64_t>(chunk.labels.size()) >= metric_.chunk_rows) {
      const std::size_t first = out.size();
      judge(chunk, baseline, to_, quiet, out);
      if (several) {
        name_accounts(join, std::span(out).subspan(first));
        if (comparison_ && comparison_->to == to_)
          comparison_->only_account = who_favours_standby(join.by_account(from_, to_, epoch_));
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
      finding.account =
          only_one(join.by_account(finding.from, finding.to, epoch_), metric_.chunk_rows, finding);
  }
}

void QualityWindows::name_label_accounts(const LabelJoin& join, std::span<Finding> findings) {
  for (Finding& finding : findings) {
    const auto accounts = join.by_label_account(finding.from, finding.to, epoch_);
    if (finding.subject == Subject::kQuality && comparison_)
      comparison_->label_account = who_favours_standby(accounts);
    if (finding.alert) finding.label_account = only_one(accounts, kLeastOfOthers, finding);
  }
}

/// The first of the accounts without which the finding would not stand.
std::string QualityWindows::only_one(const LabelJoin::Chunks& accounts, std::int64_t least,
                                     const Finding& finding) {
  for (const auto& [account, own] : accounts) {
    if (account.empty()) continue;  // of nobody alone, or of somebody who is not known
    const LabelJoin::Chunk others = all_but(accounts, account);
    // Too few labels of the others say nothing, and what nobody else shows is this one's.
    if (static_cast<std::int64_t>(others.labels.size()) >= least && is_seen_in(others, finding))
      continue;
    return account;
  }
  return {};
}

/// The first of the accounts without which the standby would not be the better one; empty where
/// there is none, or where the standby is no better.
std::string QualityWindows::who_favours_standby(const LabelJoin::Chunks& accounts) const {
  if (!comparison_ || comparison_->z <= kPairedZ) return {};
  for (const auto& [account, own] : accounts) {
    if (!account.empty() && paired_z(losses_of(all_but(accounts, account))) <= kPairedZ)
      return account;
  }
  return {};
}

void QualityWindows::judge(const LabelJoin::Chunk& chunk, const Baseline& baseline, Micros to,
                           bool quiet, std::vector<Finding>& out) {
  const stats::QualityRatio quality = stats::quality_ratio(chunk.margins, chunk.labels);
  if (std::isnan(quality.ratio)) return;

  std::vector<float> primary;
  std::vector<float> standby;
  std::vector<std::uint8_t> labels;
  for (std::size_t i = 0; i < chunk.labels.size(); ++i) {
    if (std::isnan(chunk.standby[i])) continue;
    primary.push_back(chunk.margins[i]);
    standby.push_back(chunk.standby[i]);
    labels.push_back(chunk.labels[i]);
  }
  comparison_.reset();
  if (!labels.empty()) {
    comparison_ = Comparison{stats::log_loss_of_margins(primary, labels),
                             stats::log_loss_of_margins(standby, labels),
                             static_cast<std::int64_t>(labels.size()),
                             to,
                             paired_z(losses_of(chunk)),
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
  f.raises = f.value > metric_.alert_once || (f.alert && last_above_);
  last_above_ = f.alert;
  f.from = from_;
  f.to = to;
  f.rows = static_cast<std::int64_t>(chunk.labels.size());
  f.epoch = epoch_;
  f.detail = doc::Value::object({{"log_loss", quality.log_loss}, {"intercept", quality.intercept}});
  if (comparison_) f.detail.set("standby_log_loss", comparison_->standby_log_loss);
  if (chunk.sample < 1) {
    // What is said of a sample is said with how far it may be off.
    f.detail.set("sample", chunk.sample);
    f.detail.set("log_loss_standard_error", standard_error_of_loss(chunk));
  }
  out.push_back(f);

  // Where the scores do not order the labels, an intercept says nothing about the base rate: labels
  // that were turned over have one too.
  if (!f.alert) intercepts_.push_back(quality.intercept);
  const auto wanted = static_cast<std::size_t>(std::max(1, metric_.prior_shift_chunks));
  if (intercepts_.size() < wanted) return;
  if (intercepts_.size() > wanted) intercepts_.erase(intercepts_.begin());
  double mean = 0;
  for (const double b : intercepts_) mean += b;
  mean /= static_cast<double>(wanted);
  const auto agreeing =
      std::count_if(intercepts_.begin(), intercepts_.end(), [&](double b) { return b * mean > 0; });
  Finding prior = f;
  prior.key = "prior/intercept";
  prior.subject = Subject::kPrior;
  prior.value = std::abs(mean);
  prior.threshold = metric_.prior_shift;
  prior.alert = quiet && !f.alert && prior.value > prior.threshold &&
                static_cast<double>(agreeing) >= kAgreement * static_cast<double>(wanted);
  prior.raises = prior.confirms = prior.alert;
  prior.from = to - static_cast<Micros>(wanted) * metric_.chunk_duration;
  prior.detail = doc::Value::object({{"intercept", mean}, {"chunks", metric_.prior_shift_chunks}});
  if (prior.alert) intercepts_.clear();  // the next judgement needs as many fresh chunks
  out.push_back(std::move(prior));
}

void QualityWindows::save(StateWriter& out) const {
  out.put(epoch_);
  out.put(from_);
  out.put(to_);
  out.put(last_above_);
  out.put(std::uint64_t{intercepts_.size()});
  for (const double b : intercepts_) out.put(b);
  out.put(comparison_.has_value());
  const Comparison c = comparison_.value_or(Comparison{});
  out.put(c.primary_log_loss);
  out.put(c.standby_log_loss);
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
  intercepts_.assign(in.count(), 0);
  for (double& b : intercepts_) b = in.real();
  const bool compared = in.flag();
  Comparison c;
  c.primary_log_loss = in.real();
  c.standby_log_loss = in.real();
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
