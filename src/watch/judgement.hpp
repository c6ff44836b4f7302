#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "plane/journal.hpp"
#include "spec/service.hpp"
#include "stats/binning.hpp"
#include "watch/label_opinion.hpp"
#include "watch/names.hpp"
#include "watch/prediction_scale.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

enum class Verdict : std::uint8_t { kGood, kBad, kInconclusive };
[[nodiscard]] std::string_view verdict_name(Verdict verdict) noexcept;  ///< good, bad, inconclusive

/// One thing that canary and baseline are compared in. NaN where nothing is known of a side: such a
/// measure judges nothing.
struct Measure {
  std::string name;  ///< failed_share, refused_share, latency_p50, latency_p99, score_shift,
                     ///< disagreement, loss
  double canary = 0;
  double baseline = 0;
  Verdict verdict = Verdict::kInconclusive;
  std::string why{};  ///< one sentence when it is not good
};

/// What a look at a canary says, with its reasons.
struct Judgement {
  Verdict verdict = Verdict::kInconclusive;
  std::int64_t canary_rows = 0;
  std::int64_t baseline_rows = 0;
  std::int64_t look = 0;  ///< of this step, from 1
  std::vector<Measure> measures{};
  std::vector<std::string> reasons{};
};

/// Sums of a quantity in [0, 1].
struct Moments {
  std::int64_t n = 0;
  double sum = 0;
  double squares = 0;
  void add(double value) noexcept;
  void take_back(double value) noexcept;  ///< one that was added
  void add(const Moments& other) noexcept;
  [[nodiscard]] double mean() const noexcept;  ///< NaN without a value
  /// With probability 1 - delta the expectation is within this of the mean, on one side (Maurer,
  /// Pontil 2009, theorem 4).
  [[nodiscard]] double radius(double delta) const noexcept;
};

/// log of an e-value against "the canary does not fail more often", from pairs of one request of
/// each cohort of which exactly one failed: `canary` of them the canary's, `baseline` the
/// baseline's (Wald 1947, Sequential Analysis, 6.3: double dichotomies). Under that hypothesis each
/// is the canary's with a chance of 1/2 at most, so the mean over theta in (1/2, 1) of (2
/// theta)^canary (2 (1 - theta))^baseline is a supermartingale from 1; by Ville's inequality it
/// ever reaches 1/alpha with a probability of alpha at most, however often one looks.
[[nodiscard]] double log_e_value(std::int64_t canary, std::int64_t baseline) noexcept;

/// Chance that of `drawn` marked among `canary + baseline` at least `marked` fall on the canary's
/// when all are alike: upper tail of the hypergeometric distribution. For a quantile of the pooled
/// sample this is Mood's test (1950).
[[nodiscard]] double upper_tail(std::int64_t marked, std::int64_t drawn, std::int64_t canary,
                                std::int64_t baseline) noexcept;

/// The two cohorts of a running canary, from the journal's records: counts and sketches of bounded
/// size, whatever the traffic: predictions are compared as their task's `PredictionScale` has it.
/// Canary and baseline are drawn from the same traffic at the same
/// time; a canary is never compared with the past. The unit is the request: rows of one request are
/// not independent, so its first served row stands for it in scores, agreement and loss. What
/// accounts say of that row's label is a `LabelOpinion`, as everywhere in the watch: a row that two
/// contradict each other about has none, as long as it is among the newest that are kept.
///
/// `JudgementRules::error_rate` bounds the chance that a canary which is no worse is ever judged
/// bad. It is shared equally among steps and measures; failures and refusals are tested
/// sequentially, the others at look k with a share of 1/(k (k + 1)). Sticky draws with few keys
/// break the assumption behind it (requests are alike): they compare clients, not bundles.
///
/// A deterministic function of the records. Not thread-safe.
class CohortBook {
 public:
  /// The canary that started with route version `started`, at the weight set by `stepped`. Another
  /// canary forgets everything, another step all but what labels say.
  void follow(std::uint64_t started, std::uint64_t stepped, const stats::Task& task);
  void observe(const plane::RequestRecord& request);
  void observe(const plane::LabelRecord& label);

  /// Counts as a look. `steps`: how many the canary has.
  [[nodiscard]] Judgement judge(const spec::JudgementRules& rules, std::size_t steps);
  /// The same without counting, for people.
  [[nodiscard]] Judgement show(const spec::JudgementRules& rules, std::size_t steps) const;
  /// Whether failures alone make it bad already: asked as often as one likes.
  [[nodiscard]] bool failing(const spec::JudgementRules& rules, std::size_t steps) const;
  /// The account without whose labels it would not be judged good now; empty: there is none.
  [[nodiscard]] std::string label_account_of_good(const spec::JudgementRules& rules,
                                                  std::size_t steps) const;

  [[nodiscard]] std::uint64_t started() const noexcept { return started_; }
  [[nodiscard]] std::uint64_t stepped() const noexcept { return stepped_; }
  /// Rows that may be labelled, or labelled otherwise.
  [[nodiscard]] std::size_t rows() const noexcept { return order_.size(); }
  /// Rows that had a label which counts, in all steps.
  [[nodiscard]] std::int64_t labelled() const noexcept;

  [[nodiscard]] std::string save() const;
  /// What another version saved begins anew; kCorrupt on foreign bytes.
  [[nodiscard]] Result<void> restore(std::string_view bytes);

 private:
  struct Side {
    std::int64_t requests = 0;
    std::int64_t rows = 0;
    std::int64_t failed = 0;   ///< requests with a row that got no answer
    std::int64_t refused = 0;  ///< requests with a refused row
    stats::Histogram latency{};
    std::vector<stats::Histogram> scores{};  ///< of each output
    Moments distance{};  ///< from the prediction of the shadow, else the standby
    void clear(const PredictionScale& scale);
    void save(StateWriter& out) const;
    void load(StateReader& in, const PredictionScale& scale);
  };
  /// Pairs of which exactly one had it.
  struct Pairs {
    std::int64_t canary = 0;
    std::int64_t baseline = 0;
  };
  struct Row {
    bool canary = false;
    std::vector<float> prediction{};
    LabelOpinion opinion{};
  };
  /// What predictions of both sides lost (PredictionScale::loss).
  struct Losses {
    Moments canary, baseline;
  };
  void pair(bool canary, std::uint8_t outcome);
  void clear_step();
  void count_scores(Side& side, const plane::RowRecord& served);
  void remember(std::string id, bool canary, const std::vector<float>& prediction);
  [[nodiscard]] Moments& loss_of(const Row& row);
  /// The opinion of the row stands from now on, or is about not to.
  void add_loss(const Row& row);
  void take_back_loss(const Row& row);
  /// Of all rows but those that `without` alone labelled; empty: of all.
  [[nodiscard]] Losses losses(const std::string& without) const;
  [[nodiscard]] Judgement weigh(const spec::JudgementRules& rules, std::size_t steps,
                                const std::string& without) const;
  /// Its parts, one for each kind of measure.
  class Weighing;
  void weigh_outcomes(Weighing& weighing) const;
  void weigh_latency(Weighing& weighing) const;
  void weigh_scores(Weighing& weighing) const;
  void weigh_losses(Weighing& weighing, const std::string& without) const;

  std::uint64_t started_ = 0;
  std::uint64_t stepped_ = 0;
  PredictionScale scale_;
  std::int64_t looks_ = 0;  ///< of this step
  std::int64_t all_looks_ = 0;
  Side canary_;
  Side baseline_;
  Pairs failures_;
  Pairs refusals_;
  std::deque<std::uint8_t>
      unpaired_;  ///< outcomes of the cohort that is ahead, oldest first: 1 failed, 2 refused
  bool canary_ahead_ = false;
  std::deque<std::string> order_;  ///< ids of the newest rows, oldest first
  std::unordered_map<std::string, Row> rows_;
  /// By the account that alone labelled a row, over all steps; rows that several labelled alike are
  /// under the empty name.
  std::map<std::string, Losses> losses_;
  Names names_;  ///< of accounts
};

}  // namespace heddle::watch
