#include "watch/judgement.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace heddle::watch {
namespace {

constexpr std::string_view kFormat = "heddle.cohorts/3";
constexpr std::string_view kFormats = "heddle.cohorts/";
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kMeasures = 7;  ///< that share the error rate
constexpr std::size_t kMostUnpaired = 65'536;
/// Whose label may still come; the oldest go. Of many classes fewer, so that their predictions
/// take no more room.
constexpr std::size_t kMostJudged = 20'000;
constexpr std::size_t kMostNumbers = 200'000;
constexpr std::size_t kLeastRows = 200;
constexpr std::int64_t kLeastRequests =
    50;  ///< of a cohort, before it is judged good: rows of one request are not independent
constexpr std::int64_t kLeastLabels = 100;
constexpr std::size_t kPerOctave = 16;  ///< latency buckets: 4.4 % wide
constexpr std::size_t kLatencyBuckets = 32 * kPerOctave;
constexpr std::uint8_t kFailedBit = 1, kRefusedBit = 2;

std::size_t latency_bucket(std::uint32_t micros) {
  return std::min(kLatencyBuckets - 1,
                  static_cast<std::size_t>(std::log2(static_cast<double>(micros)) * kPerOctave));
}

/// The bucket in which the quantile lies.
std::size_t quantile_bucket(const stats::Histogram& histogram, double share) {
  const double rank = share * static_cast<double>(histogram.total());
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < histogram.counts().size(); ++i) {
    seen += histogram.counts()[i];
    // `seen > 0`: the quantile 0 lies in the first bucket that holds something.
    if (static_cast<double>(seen) >= rank && seen > 0) return i;
  }
  return histogram.counts().empty() ? 0 : histogram.counts().size() - 1;
}

double quantile(const stats::Histogram& histogram, double share) {
  if (histogram.total() == 0) return kNaN;
  // The middle of the bucket on the scale of the logarithm.
  return std::exp2((static_cast<double>(quantile_bucket(histogram, share)) + 0.5) / kPerOctave);
}

std::int64_t above(const stats::Histogram& histogram, std::size_t bucket) {
  std::int64_t count = 0;
  for (std::size_t i = bucket + 1; i < histogram.counts().size(); ++i)
    count += histogram.counts()[i];
  return count;
}

double share_of(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? kNaN : static_cast<double>(part) / static_cast<double>(whole);
}

/// Largest distance by which an empirical distribution is off, with probability 1 - delta (Massart
/// 1990).
double ks_radius(std::int64_t n, double delta) {
  return n == 0 ? 1.0 : std::sqrt(std::log(2 / delta) / (2 * static_cast<double>(n)));
}

void save_histogram(StateWriter& out, const stats::Histogram& histogram) {
  out.put(std::uint64_t{histogram.counts().size()});
  for (const std::int64_t count : histogram.counts()) out.put(count);
}

stats::Histogram load_histogram(StateReader& in, std::size_t size) {
  std::vector<std::int64_t> counts;
  for (std::uint64_t n = in.count(); n > 0; --n) counts.push_back(in.i64());
  // A state of other buckets counts what fits, rather than being no histogram at all.
  counts.resize(size);
  return stats::Histogram(std::move(counts));
}

void save_moments(StateWriter& out, const Moments& moments) {
  out.put(moments.n);
  out.put(moments.sum);
  out.put(moments.squares);
}

Moments load_moments(StateReader& in) {
  Moments out;
  out.n = in.i64();
  out.sum = in.real();
  out.squares = in.real();
  return out;
}

void save_task(StateWriter& out, const stats::Task& task) {
  out.put(std::uint64_t{static_cast<std::uint8_t>(task.kind)});
  out.put(task.whole_classes);
  out.put(std::uint64_t{task.classes.size()});
  for (const std::string& name : task.classes) out.put(name);
}

stats::Task load_task(StateReader& in) {
  stats::Task task;
  // An enum must not hold what it does not name, whatever the bytes are.
  task.kind = static_cast<stats::TaskKind>(std::min<std::uint64_t>(in.u64(), 2));
  task.whole_classes = in.flag();
  for (std::uint64_t n = in.count(); n > 0; --n) task.classes.push_back(in.text());
  return task;
}

/// The output whose distribution moved most, as a distance (Kolmogorov, Smirnov); NaN where a side
/// has no scores.
struct Shift {
  double distance = kNaN;
  std::size_t output = 0;
  std::int64_t canary = 0;  ///< scores of each side
  std::int64_t baseline = 0;
};
Shift shift_of(std::span<const stats::Histogram> canary,
               std::span<const stats::Histogram> baseline) {
  Shift out;
  for (std::size_t k = 0; k < canary.size() && k < baseline.size(); ++k) {
    // Every answer has all outputs: where one has no scores, no other has.
    if (canary[k].total() == 0 || baseline[k].total() == 0) return out;
    const double distance = stats::kolmogorov_smirnov(canary[k], baseline[k]);
    if (k == 0 || distance > out.distance)
      out = {distance, k, canary[k].total(), baseline[k].total()};
  }
  return out;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  return verdict == Verdict::kGood ? "good" : verdict == Verdict::kBad ? "bad" : "inconclusive";
}

void Moments::add(double value) noexcept {
  ++n;
  sum += value;
  squares += value * value;
}

void Moments::take_back(double value) noexcept {
  --n;
  sum -= value;
  squares -= value * value;
}

void Moments::add(const Moments& other) noexcept {
  n += other.n;
  sum += other.sum;
  squares += other.squares;
}

double Moments::mean() const noexcept { return n == 0 ? kNaN : sum / static_cast<double>(n); }

double Moments::radius(double delta) const noexcept {
  // No variance of one value. Losses and distances lie in [0, 1], so 1 bounds any of them.
  if (n < 2) return 1;
  const auto count = static_cast<double>(n);
  // Rounding may make it negative where all values are alike.
  const double variance = std::max(0.0, (squares - sum * sum / count) / (count - 1));
  const double l = std::log(2 / delta);
  return std::sqrt(2 * variance * l / count) + 7 * l / (3 * (count - 1));
}

double log_e_value(std::int64_t canary, std::int64_t baseline) noexcept {
  constexpr int kGrid = 20;
  double logs[kGrid];
  double most = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < kGrid; ++i) {
    const double theta = 0.5 + (i + 0.5) / (2 * kGrid);
    logs[i] = static_cast<double>(canary) * std::log(2 * theta) +
              static_cast<double>(baseline) * std::log(2 * (1 - theta));
    // The largest is taken out of the sum below: an exponential of thousands would be infinite.
    most = std::max(most, logs[i]);
  }
  double sum = 0;
  for (const double each : logs) sum += std::exp(each - most);
  return most + std::log(sum / kGrid);
}

double upper_tail(std::int64_t marked, std::int64_t drawn, std::int64_t canary,
                  std::int64_t baseline) noexcept {
  const auto choose = [](std::int64_t n, std::int64_t k) {
    return std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
           std::lgamma(static_cast<double>(n - k) + 1);
  };
  double tail = 0;
  for (std::int64_t x = std::max(marked, drawn - baseline); x <= std::min(drawn, canary); ++x) {
    const double term = std::exp(choose(canary, x) + choose(baseline, drawn - x) -
                                 choose(canary + baseline, drawn));
    tail += term;
    // Terms first rise: a small one at the beginning says nothing of those to come.
    if (term < tail * 1e-12 && x > marked + 10) break;
  }
  return std::min(1.0, tail);
}

void CohortBook::Side::clear(const PredictionScale& scale) {
  *this = {};
  latency = stats::Histogram(kLatencyBuckets);
  scores.assign(scale.task().outputs(), stats::Histogram(scale.buckets()));
}

void CohortBook::clear_step() {
  canary_.clear(scale_);
  baseline_.clear(scale_);
  failures_ = {};
  refusals_ = {};
  unpaired_.clear();
  looks_ = 0;
}

void CohortBook::follow(std::uint64_t started, std::uint64_t stepped, const stats::Task& task) {
  // Asked for each record; a canary begins or rises a few times a day.
  if (started == started_ && stepped == stepped_) return;
  if (started != started_) {
    *this = {};
    // Another canary: labels and scale of the one before are of other bundles.
    scale_ = PredictionScale(task);
  }
  started_ = started;
  stepped_ = stepped;
  clear_step();
}

void CohortBook::pair(bool canary, std::uint8_t outcome) {
  // The queue holds requests of one side only: those that wait for one of the other.
  if (unpaired_.empty() || canary_ahead_ == canary) {
    canary_ahead_ = canary;
    unpaired_.push_back(outcome);
    // Which ones go does not depend on how they ended, so the test stays valid.
    if (unpaired_.size() > kMostUnpaired) unpaired_.pop_front();
    return;
  }
  const std::uint8_t other = unpaired_.front();
  unpaired_.pop_front();
  const auto count = [&](std::uint8_t bit, Pairs& pairs) {
    // A pair that ended alike says nothing about which side is worse.
    if ((outcome & bit) == (other & bit)) return;
    ++(((outcome & bit) != 0) == canary ? pairs.canary : pairs.baseline);
  };
  count(kFailedBit, failures_);
  count(kRefusedBit, refusals_);
}

void CohortBook::observe(const plane::RequestRecord& request) {
  // Records of the canary before may still be read.
  if (request.cohort == plane::Cohort::kNone || started_ == 0 || request.route_version < started_)
    return;
  const bool is_canary = request.cohort == plane::Cohort::kCanary;
  Side& side = is_canary ? canary_ : baseline_;
  const auto served =
      std::find_if(request.rows.begin(), request.rows.end(), [&](const plane::RowRecord& row) {
        return row.outcome == plane::RowOutcome::kServed &&
               row.prediction.size() == scale_.task().outputs();
      });
  if (served != request.rows.end()) {
    // One row of a request: its rows are alike, and many of one would outweigh other requests.
    remember(fmt::format("{}#{}", request.request_id, served - request.rows.begin()), is_canary,
             served->prediction);
    // The scale is the baseline's: the canary must not choose what it is measured with.
    if (!is_canary && scale_.learn(served->prediction)) {
      // What was labelled before there was a scale counts from now on.
      for (const auto& [id, row] : rows_) add_loss(row);
    }
  }
  // Labels count over all steps, and were kept above. What follows is judged step by step.
  if (request.route_version < stepped_) return;
  std::uint8_t outcome = 0;
  bool all_quarantined = true;
  for (const plane::RowRecord& row : request.rows) {
    if (row.outcome == plane::RowOutcome::kFailed) outcome |= kFailedBit;
    if (row.outcome == plane::RowOutcome::kRefused) outcome |= kRefusedBit;
    all_quarantined = all_quarantined && row.outcome == plane::RowOutcome::kQuarantined;
  }
  if (all_quarantined) return;  // nobody's bundle was asked
  ++side.requests;
  side.rows += static_cast<std::int64_t>(request.rows.size());
  if ((outcome & kFailedBit) != 0) ++side.failed;
  if ((outcome & kRefusedBit) != 0) ++side.refused;
  pair(is_canary, outcome);
  if (request.micros > 0) side.latency.add(latency_bucket(request.micros));
  if (served != request.rows.end()) count_scores(side, *served);
}

void CohortBook::count_scores(Side& side, const plane::RowRecord& served) {
  if (!scale_.ready()) return;
  for (std::size_t k = 0; k < served.prediction.size(); ++k)
    side.scores[k].add(scale_.bucket(served.prediction[k]));
  const auto& reference =
      // A shadow is put there to be compared with; a standby is the next best.
      served.shadow_prediction.empty() ? served.standby_prediction : served.shadow_prediction;
  if (!reference.empty()) side.distance.add(scale_.difference(served.prediction, reference));
}

void CohortBook::remember(std::string id, bool canary, const std::vector<float>& prediction) {
  // An id that was used twice is of its first row, as everywhere.
  if (rows_.emplace(id, Row{canary, prediction}).second) order_.push_back(std::move(id));
  const std::size_t outputs = std::max<std::size_t>(1, scale_.task().outputs());
  if (order_.size() <= std::clamp(kMostNumbers / outputs, kLeastRows, kMostJudged)) return;
  rows_.erase(order_.front());
  order_.pop_front();
}

void CohortBook::add_loss(const Row& row) {
  if (scale_.ready() && row.opinion.stands())
    loss_of(row).add(scale_.loss(row.prediction, static_cast<double>(row.opinion.label)));
}

void CohortBook::take_back_loss(const Row& row) {
  if (scale_.ready() && row.opinion.stands())
    loss_of(row).take_back(scale_.loss(row.prediction, static_cast<double>(row.opinion.label)));
}

Moments& CohortBook::loss_of(const Row& row) {
  Losses& losses = losses_[row.opinion.confirmed() ? "" : names_.name(row.opinion.by)];
  return row.canary ? losses.canary : losses.baseline;
}

void CohortBook::observe(const plane::LabelRecord& label) {
  const auto found = rows_.find(label.row_id);
  const auto code = scale_.task().code_of(label.label);
  if (found == rows_.end() || !code.ok()) return;
  Row& row = found->second;
  // A label may change or be confirmed by another account: its loss moves from one sum to the
  // other.
  take_back_loss(row);
  row.opinion.add(static_cast<float>(*code), label.event_time, names_.number(label.account));
  add_loss(row);
}

CohortBook::Losses CohortBook::losses(const std::string& without) const {
  Losses all;
  for (const auto& [account, losses] : losses_) {
    if (!without.empty() && account == without) continue;
    all.canary.add(losses.canary);
    all.baseline.add(losses.baseline);
  }
  return all;
}

std::int64_t CohortBook::labelled() const noexcept {
  const Losses all = losses("");
  return all.canary.n + all.baseline.n;
}

std::string CohortBook::label_account_of_good(const spec::JudgementRules& rules,
                                              std::size_t steps) const {
  // What is not good by all labels needs no account to be so.
  if (weigh(rules, steps, "").verdict != Verdict::kGood) return {};
  for (const auto& [account, losses] : losses_) {
    if (!account.empty() && weigh(rules, steps, account).verdict != Verdict::kGood) return account;
  }
  return {};
}

bool CohortBook::failing(const spec::JudgementRules& rules, std::size_t steps) const {
  const double alpha =
      rules.error_rate / static_cast<double>(std::max<std::size_t>(1, steps) * kMeasures);
  return log_e_value(failures_.canary, failures_.baseline) >= -std::log(alpha);
}

Judgement CohortBook::judge(const spec::JudgementRules& rules, std::size_t steps) {
  ++looks_;
  ++all_looks_;
  return show(rules, steps);
}

Judgement CohortBook::show(const spec::JudgementRules& rules, std::size_t steps) const {
  return weigh(rules, steps, "");
}

/// The measures of one look, and why the canary is not good by them. Its error rate is what the
/// rules allow, in equal parts for steps and measures (Bonferroni).
class CohortBook::Weighing {
 public:
  Weighing(const spec::JudgementRules& rules, std::size_t steps, std::int64_t look)
      : rules_(rules),
        every_(rules.error_rate / kMeasures),
        alpha_(every_ / static_cast<double>(std::max<std::size_t>(1, steps))),
        at_look_(alpha_ / spent(look)) {}

  /// The share of the error rate that look k leaves is 1/(k (k + 1)): the sum over all looks is 1,
  /// so that looking again and again finds no more by chance than looking once.
  [[nodiscard]] static double spent(std::int64_t look) {
    const auto k = static_cast<double>(std::max<std::int64_t>(1, look));
    return k * (k + 1);
  }

  [[nodiscard]] const spec::JudgementRules& rules() const noexcept { return rules_; }
  [[nodiscard]] double every() const noexcept { return every_; }      ///< of a measure
  [[nodiscard]] double alpha() const noexcept { return alpha_; }      ///< and a step
  [[nodiscard]] double at_look() const noexcept { return at_look_; }  ///< and this look

  /// `within` what the rules allow is good, `proven` to be past it is bad.
  void add(std::string name, double canary, double baseline, bool within, bool proven,
           std::string why) {
    // A side without numbers judges nothing, and is no reason against the canary.
    if (std::isnan(canary) || std::isnan(baseline)) {
      measures_.push_back({std::move(name), canary, baseline, Verdict::kInconclusive, {}});
      return;
    }
    const Verdict verdict = proven   ? Verdict::kBad
                            : within ? Verdict::kGood
                                     : Verdict::kInconclusive;
    if (verdict == Verdict::kGood) why.clear();
    if (verdict == Verdict::kInconclusive) why += ", which so few requests do not prove";
    if (verdict != Verdict::kGood) reasons_.push_back(why);
    measures_.push_back({std::move(name), canary, baseline, verdict, std::move(why)});
  }

  /// Of two means, each with half of `delta` for its own error.
  void compare(const char* name, const Moments& canary, const Moments& baseline, double allowed,
               double delta, std::string why) {
    const double difference = canary.mean() - baseline.mean();
    add(name, canary.mean(), baseline.mean(), difference <= allowed,
        difference > allowed + canary.radius(delta / 2) + baseline.radius(delta / 2),
        std::move(why));
  }

  /// The judgement; `missing` says what there is not enough of, empty when there is enough.
  [[nodiscard]] Judgement conclude(const std::string& missing) && {
    Judgement out;
    out.measures = std::move(measures_);
    out.reasons = std::move(reasons_);
    const bool bad = std::any_of(out.measures.begin(), out.measures.end(),
                                 [](const Measure& m) { return m.verdict == Verdict::kBad; });
    // The first measure is the failures: `weigh` puts it there.
    const bool fails = out.measures.front().verdict == Verdict::kBad;
    // A measure that is past what is allowed and not proven so; one without numbers has no reason.
    const bool open = std::any_of(out.measures.begin(), out.measures.end(), [](const Measure& m) {
      return m.verdict == Verdict::kInconclusive && !m.why.empty();
    });
    // Before there is enough only failures tell, for their test may be looked at at any time.
    if (bad && (missing.empty() || fails)) {
      out.verdict = Verdict::kBad;
    } else if (!missing.empty()) {
      out.reasons.insert(out.reasons.begin(), missing);
    } else if (!open) {
      out.verdict = Verdict::kGood;
      out.reasons = {"no worse than the baseline in anything that is measured"};
    }
    return out;
  }

 private:
  const spec::JudgementRules& rules_;
  double every_;
  double alpha_;
  double at_look_;
  std::vector<Measure> measures_{};
  std::vector<std::string> reasons_{};
};

void CohortBook::weigh_outcomes(Weighing& weighing) const {
  const auto& rules = weighing.rules();
  // Both are tested by an e-value, which holds at every look: no share of the error rate is spent.
  const double threshold = -std::log(weighing.alpha());
  const double failed = share_of(canary_.failed, canary_.requests);
  const double failed_beside = share_of(baseline_.failed, baseline_.requests);
  weighing.add("failed_share", failed, failed_beside, failed <= failed_beside + rules.failed_share,
               log_e_value(failures_.canary, failures_.baseline) >= threshold,
               fmt::format("{:.2f} % of its requests fail, of the baseline's {:.2f} %",
                           100 * failed, 100 * failed_beside));

  const double refused = share_of(canary_.refused, canary_.requests);
  const double refused_beside = share_of(baseline_.refused, baseline_.requests);
  // A candidate with a stricter contract may refuse more, as far as the rules allow it: proof of
  // some difference is not enough, as it is for failures.
  const bool refuses = !(refused <= refused_beside + rules.refused_share);
  weighing.add(
      "refused_share", refused, refused_beside, !refuses,
      refuses && log_e_value(refusals_.canary, refusals_.baseline) >= threshold,
      fmt::format("{:.2f} % of its requests have a refused row, of the baseline's {:.2f} %",
                  100 * refused, 100 * refused_beside));
}

void CohortBook::weigh_latency(Weighing& weighing) const {
  stats::Histogram pooled(kLatencyBuckets);
  if (canary_.latency.total() > 0) pooled.merge(canary_.latency);
  if (baseline_.latency.total() > 0) pooled.merge(baseline_.latency);
  for (const auto& [name, word, share] : {std::tuple{"latency_p50", "median", 0.5},
                                          std::tuple{"latency_p99", "99th percentile", 0.99}}) {
    const double longer = quantile(canary_.latency, share);
    const double beside = quantile(baseline_.latency, share);
    const bool within = !(longer > beside * weighing.rules().latency_ratio);
    // Mood's test: were both alike, the requests above the pooled quantile would fall on the sides
    // by their sizes alone.
    const std::size_t cut = quantile_bucket(pooled, share);
    const std::int64_t marked = above(canary_.latency, cut);
    const bool proven = !within && upper_tail(marked, marked + above(baseline_.latency, cut),
                                              canary_.latency.total(),
                                              baseline_.latency.total()) < weighing.at_look();
    weighing.add(
        name, longer, beside, within, proven,
        fmt::format("its {} latency is {:.0f} us, the baseline's {:.0f} us", word, longer, beside));
  }
}

void CohortBook::weigh_scores(Weighing& weighing) const {
  const Shift shift = shift_of(canary_.scores, baseline_.scores);
  // Any of the outputs may be the one: each gets its part of the error rate.
  const double each_side =
      weighing.at_look() /
      (2 * static_cast<double>(std::max<std::size_t>(1, canary_.scores.size())));
  const double allowed = weighing.rules().score_shift;
  weighing.add("score_shift", shift.distance, std::isnan(shift.distance) ? kNaN : 0.0,
               shift.distance <= allowed,
               shift.distance > allowed + ks_radius(shift.canary, each_side) +
                                    ks_radius(shift.baseline, each_side),
               fmt::format("its scores {}are distributed otherwise: a distance of {:.2f}",
                           scale_.task().kind == stats::TaskKind::kClasses
                               ? fmt::format("of class `{}` ", scale_.task().classes[shift.output])
                               : std::string(),
                           shift.distance));
}

void CohortBook::weigh_losses(Weighing& weighing, const std::string& without) const {
  weighing.compare("disagreement", canary_.distance, baseline_.distance,
                   weighing.rules().disagreement, weighing.at_look(),
                   fmt::format("it is {:.3f} from the shadow's score on average, the baseline "
                               "{:.3f}",
                               canary_.distance.mean(), baseline_.distance.mean()));
  const Losses loss = losses(without);
  const bool labelled = loss.canary.n >= kLeastLabels && loss.baseline.n >= kLeastLabels;
  // Labels are kept over all steps, so the looks of all steps spend its part of the error rate.
  weighing.compare(
      "loss", labelled ? loss.canary : Moments{}, labelled ? loss.baseline : Moments{},
      weighing.rules().loss, weighing.every() / Weighing::spent(all_looks_),
      fmt::format("its {} against {} labels is {:.4f}, the baseline's {:.4f}", scale_.loss_text(),
                  loss.canary.n, loss.canary.mean(), loss.baseline.mean()));
}

Judgement CohortBook::weigh(const spec::JudgementRules& rules, std::size_t steps,
                            const std::string& without) const {
  Weighing weighing(rules, steps, looks_);
  weigh_outcomes(weighing);  // `conclude` takes its first measure for the failures
  weigh_latency(weighing);
  weigh_scores(weighing);
  weigh_losses(weighing, without);
  std::string missing;
  if (canary_.rows < rules.minimum_rows || baseline_.rows < rules.minimum_rows ||
      canary_.requests < kLeastRequests || baseline_.requests < kLeastRequests) {
    missing = fmt::format(
        "{} rows of the canary and {} of the baseline, in {} and {} requests; {} "
        "rows in {} requests are needed of each",
        canary_.rows, baseline_.rows, canary_.requests, baseline_.requests, rules.minimum_rows,
        kLeastRequests);
  }
  Judgement out = std::move(weighing).conclude(missing);
  out.canary_rows = canary_.rows;
  out.baseline_rows = baseline_.rows;
  out.look = looks_;
  return out;
}

void CohortBook::Side::save(StateWriter& out) const {
  for (const std::int64_t count : {requests, rows, failed, refused}) out.put(count);
  save_histogram(out, latency);
  out.put(std::uint64_t{scores.size()});  // none before the first canary
  for (const stats::Histogram& each : scores) save_histogram(out, each);
  save_moments(out, distance);
}

void CohortBook::Side::load(StateReader& in, const PredictionScale& scale) {
  for (std::int64_t* count : {&requests, &rows, &failed, &refused}) *count = in.i64();
  latency = load_histogram(in, kLatencyBuckets);
  scores.clear();
  for (std::uint64_t n = in.count(); n > 0; --n)
    scores.push_back(load_histogram(in, scale.buckets()));
  distance = load_moments(in);
}

std::string CohortBook::save() const {
  StateWriter out;
  out.put(kFormat);
  out.put(started_);
  out.put(stepped_);
  out.put(looks_);
  out.put(all_looks_);
  save_task(out, scale_.task());
  scale_.save(out);
  canary_.save(out);
  baseline_.save(out);
  for (const Pairs& pairs : {failures_, refusals_}) {
    out.put(pairs.canary);
    out.put(pairs.baseline);
  }
  out.put(canary_ahead_);
  out.put(std::string(unpaired_.begin(), unpaired_.end()));
  out.put(std::uint64_t{order_.size()});
  for (const std::string& id : order_) {
    const Row& row = rows_.at(id);
    out.put(id);
    out.put(row.canary);
    out.put(std::string_view(reinterpret_cast<const char*>(row.prediction.data()),
                             row.prediction.size() * sizeof(float)));
    save_opinion(out, row.opinion, names_);
  }
  out.put(std::uint64_t{losses_.size()});
  for (const auto& [account, losses] : losses_) {
    out.put(account);
    save_moments(out, losses.canary);
    save_moments(out, losses.baseline);
  }
  return out.take();
}

Result<void> CohortBook::restore(std::string_view bytes) {
  StateReader in(bytes);
  const std::string format = in.text();
  const bool known = format == kFormat;
  *this = {};
  // `follow` begins it at the next record: what its cohorts said so far is collected again.
  if (!known && format.starts_with(kFormats)) return {};
  if (known) {
    started_ = in.u64();
    stepped_ = in.u64();
    looks_ = in.i64();
    all_looks_ = in.i64();
    scale_ = PredictionScale(load_task(in));
    scale_.load(in);
    canary_.load(in, scale_);
    baseline_.load(in, scale_);
    for (Pairs* pairs : {&failures_, &refusals_}) {
      pairs->canary = in.i64();
      pairs->baseline = in.i64();
    }
    canary_ahead_ = in.flag();
    for (const char outcome : in.text()) unpaired_.push_back(static_cast<std::uint8_t>(outcome));
    for (std::uint64_t n = in.count(); n > 0; --n) {
      std::string id = in.text();
      const bool canary = in.flag();
      const std::string numbers = in.text();
      std::vector<float> prediction(numbers.size() / sizeof(float));
      std::memcpy(prediction.data(), numbers.data(), prediction.size() * sizeof(float));
      rows_[id] = {canary, std::move(prediction), load_opinion(in, names_)};
      order_.push_back(std::move(id));
    }
    for (std::uint64_t n = in.count(); n > 0; --n) {
      Losses& losses = losses_[in.text()];
      losses.canary = load_moments(in);
      losses.baseline = load_moments(in);
    }
  }
  const auto fits = [this](const Side& side) {
    return side.scores.empty() || side.scores.size() == scale_.task().outputs();
  };
  if (known && in.done() && fits(canary_) && fits(baseline_)) return {};
  *this = {};
  return Error{ErrorKind::kCorrupt, "cohort-state", "the saved cohorts of the canary are not whole",
               "end the canary and start it again"};
}

}  // namespace heddle::watch
