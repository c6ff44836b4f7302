#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include "plane/route.hpp"
#include "stats/metrics.hpp"
#include "stats/unit_ratio.hpp"
#include "watch/watch.hpp"

namespace heddle::watch {

namespace {

constexpr double kLagResidual = 0.05;    ///< Kolmogorov-Smirnov's D that a lag may leave
constexpr double kRatioAgreement = 0.8;  ///< share of broken rows that show the same factor
constexpr std::int64_t kRatioRows = 10;

Diagnosis contract_cause(const Alert& alert) {
  Diagnosis out;
  out.cause = Cause::kContractFault;
  out.source = alert.last.source;
  out.account = alert.last.account;
  const std::string from = plane::source_text(out.account, out.source);
  out.change_from = alert.first.from;
  // What a quarantine would cost: the share that is well now, of what comes in a day.
  out.good_rows = std::llround((1 - alert.last.value) *
                               static_cast<double>(alert.last.detail.int_or("rows_a_day")));
  if (const doc::Value* rules = alert.last.detail.find("rules");
      rules != nullptr && rules->is_object()) {
    std::int64_t most = 0;
    for (const auto& [rule, count] : rules->as_object()) {
      if (count.is_int() && count.as_int() > most) {
        most = count.as_int();
        out.rule = rule;
      }
    }
  }
  const doc::Value* ratio = alert.last.detail.find("ratio");
  if (ratio != nullptr && ratio->int_or("rows") >= kRatioRows &&
      ratio->double_or("agreement") >= kRatioAgreement) {
    if (const auto unit = stats::name_ratio(ratio->double_or("ratio"))) {
      out.cause = Cause::kUnitChange;
      out.rule = ratio->string_or("rule");
      out.column = ratio->string_or("column");
      out.ratio = unit->ratio;
      out.ratio_name = unit->name;
      out.reason = fmt::format("`{}` of source {} is {:.6g} times what its dependency says: {}",
                               out.column, from, unit->ratio, unit->name);
      return out;
    }
  }
  out.reason =
      fmt::format("{:.1f} % of the rows of source {} break the contract, most of them rule `{}`",
                  100 * alert.last.value, from, out.rule);
  return out;
}

Diagnosis label_fault(const std::vector<LabelJoin::Sender>& senders, Micros change_from) {
  const bool one = senders.size() == 1;
  Diagnosis out;
  out.cause = Cause::kLabelFault;
  out.change_from = change_from;
  if (one) std::tie(out.account, out.source) = senders.front();
  out.reason =
      fmt::format("labels of {} look turned over: the opposite of them fits the scores as usual",
                  one ? "source " + plane::source_text(out.account, out.source)
                      : fmt::format("{} sources", senders.size()));
  return out;
}

}  // namespace

Diagnosis Watch::diagnose(const Alert& alert) const {
  Diagnosis out = cause_of(alert);
  const Subject subject = alert.last.subject;
  const bool of_rows =
      subject == Subject::kColumn || subject == Subject::kQuality || subject == Subject::kPrior;
  if (of_rows && !alert.last.account.empty()) {
    out.only_account = alert.last.account;
    out.reason += fmt::format("; only the rows of account `{}` show it", out.only_account);
  }
  if (of_rows && !alert.last.label_account.empty()) {
    out.only_label_account = alert.last.label_account;
    out.reason += fmt::format("; only the labels of account `{}` show it", out.only_label_account);
  }
  return out;
}

Diagnosis Watch::cause_of(const Alert& alert) const {
  Diagnosis out;
  out.change_from = alert.first.from;
  switch (alert.first.subject) {
    case Subject::kContract: return contract_cause(alert);
    case Subject::kPrior: return prior_cause(alert);
    case Subject::kColumn: {
      bool others_quiet = true;
      for (const auto& [key, finding] : latest_) {
        if (finding.subject == Subject::kColumn && key != alert.first.key && finding.alert)
          others_quiet = false;
      }
      const doc::Value& detail = alert.last.detail;
      const auto lag = detail.int_or("lag_hours");
      if (lag != 0 && detail.double_or("residual_d", 1) < kLagResidual && others_quiet) {
        out.cause = Cause::kTimeShift;
        out.column = alert.first.column;
        out.lag_hours = static_cast<int>(lag);
        out.reason = fmt::format(
            "a shift of {:+d} h explains the hours of `{}` (D {:.3f} left), other columns are "
            "quiet",
            lag, out.column, detail.double_or("residual_d"));
        return out;
      }
      out.cause = Cause::kCovariateShift;
      out.column = alert.first.column;
      out.reason = fmt::format(
          "`{}` is {:.3f} away from its reference, above {:.3f}; no lag and no unit explains it",
          alert.first.key, alert.last.value, alert.last.threshold);
      return out;
    }
    case Subject::kQuality: return quality_cause(alert);
    case Subject::kMonitor:
      out.cause = alert.first.key == kClockKey ? Cause::kClockJump : Cause::kMonitorSilent;
      out.reason = alert.last.detail.string_or("why");
      return out;
    case Subject::kJournal:
      out.cause = Cause::kUnrecorded;
      out.account = alert.first.account;
      out.reason = alert.last.detail.string_or("why");
      return out;
    case Subject::kAnswers:
      // What holds rows back is of a source, what answers nobody is of the service.
      out.cause = alert.first.source.empty() ? Cause::kNoAnswers : Cause::kCostlyQuarantine;
      out.source = alert.first.source;
      out.account = alert.first.account;
      out.reason = alert.last.detail.string_or("why");
      return out;
    case Subject::kLabels:
      out.cause = Cause::kLabelConflict;
      out.reason = alert.last.detail.string_or("why");
      return out;
    case Subject::kRule:
    case Subject::kPrediction:
      out.reason = fmt::format("`{}` is {:.3f}, above {:.3f}", alert.first.key, alert.last.value,
                               alert.last.threshold);
      return out;
  }
  return out;
}

Diagnosis Watch::quality_cause(const Alert& alert) const {
  Diagnosis out;
  out.change_from = alert.first.from;
  // Labels may be right again before a second chunk confirms: the first one then tells.
  for (const Finding* chunk : {&alert.last, &alert.first}) {
    const auto turned = turned_labels(*chunk, chunk->threshold);
    if (!turned.empty()) return label_fault(turned, out.change_from);
  }
  if (alerts_.standing(Subject::kColumn)) {
    out.cause = Cause::kCovariateShift;
    out.reason = "labelled quality fell while a column moved";
    return out;
  }
  out.cause = Cause::kConceptShift;
  out.reason = fmt::format(
      "log loss with a refitted intercept is {:.2f} of the label entropy, above {:.2f}, while "
      "every "
      "column is quiet",
      alert.last.value, alert.last.threshold);
  return out;
}

Diagnosis Watch::prior_cause(const Alert& alert) const {
  Diagnosis out;
  out.change_from = alert.first.from;
  out.intercept = alert.last.detail.double_or("intercept");
  const auto quality = latest_.find("quality/ratio");
  // By the newest chunk: of the days that the intercept is averaged over, some may be from before.
  if (quality != latest_.end()) {
    const auto turned = turned_labels(quality->second, quality->second.threshold);
    if (!turned.empty()) return label_fault(turned, out.change_from);
  }
  // A base rate moves for everybody. What moves for few is theirs, and no intercept for all of them
  // mends it.
  std::int64_t rows = 0;
  std::int64_t moved = 0;
  LabelJoin::Sender most;
  double most_intercept = 0;
  for (const auto& [sender, chunk] : join_.by_sender(alert.last.from, alert.last.to, epoch_)) {
    const double intercept =
        stats::refit_intercept(chunk.margins, chunk.labels) * (out.intercept < 0 ? -1 : 1);
    rows += static_cast<std::int64_t>(chunk.labels.size());
    if (intercept > alert.last.threshold / 2)
      moved += static_cast<std::int64_t>(chunk.labels.size());
    if (intercept <= most_intercept) continue;
    most_intercept = intercept;
    most = sender;
  }
  if (2 * moved < rows) {
    std::tie(out.account, out.source) = most;
    out.reason = fmt::format(
        "the base rate moved where source {} sends, not for most rows: something of that source, "
        "or of its labels",
        plane::source_text(out.account, out.source));
    return out;
  }
  out.cause = Cause::kPriorShift;
  out.reason = fmt::format(
      "the refitted intercept stays at {:+.2f} logits while the order of the scores holds",
      out.intercept);
  return out;
}

std::vector<LabelJoin::Sender> Watch::turned_labels(const Finding& chunk_of,
                                                    double threshold) const {
  std::vector<LabelJoin::Sender> turned;
  LabelJoin::Chunk rest;
  for (const auto& [sender, chunk] : join_.by_sender(chunk_of.from, chunk_of.to, epoch_)) {
    std::vector<double> differences;
    std::vector<float> opposite;
    for (std::size_t i = 0; i < chunk.labels.size(); ++i) {
      const bool label = chunk.labels[i] != 0;
      differences.push_back(loss_of(chunk.margins[i], label) - loss_of(chunk.margins[i], !label));
      opposite.push_back(-chunk.margins[i]);
    }
    const double over = stats::quality_ratio(opposite, chunk.labels).ratio;
    const double as_is = stats::quality_ratio(chunk.margins, chunk.labels).ratio;
    if (paired_z(differences) > kPairedZ && as_is > threshold && over <= threshold) {
      turned.push_back(sender);
      continue;
    }
    rest.margins.insert(rest.margins.end(), chunk.margins.begin(), chunk.margins.end());
    rest.labels.insert(rest.labels.end(), chunk.labels.begin(), chunk.labels.end());
  }
  // Only if it explains everything: what is bad beside it is no matter of these labels.
  const bool explained =
      rest.labels.empty() || stats::quality_ratio(rest.margins, rest.labels).ratio <= threshold;
  return explained ? turned : std::vector<LabelJoin::Sender>{};
}

}  // namespace heddle::watch
