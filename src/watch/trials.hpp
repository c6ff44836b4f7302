#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stats/conformal.hpp"
#include "stats/task.hpp"
#include "watch/label_join.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Something on trial held against its alternative, on the same labelled rows: what is served with
/// a repair against what would be served without it, or a candidate against what is served. Loss is
/// that of `stats::row_loss`; a difference above zero says that the alternative is better.
struct Trial {
  std::int64_t rows = 0;
  std::map<std::int32_t, std::int64_t> classes{};  ///< rows by the code of their label
  double deviation = 0;  ///< of a regression's labels from the reference's median, in sum
  /// What the alternative's intervals cost, in sum; 0: they are not compared.
  double interval = 0;
  bool predictions_differ = false;  ///< of any row: else the intervals alone are on trial
  double sum = 0;                   ///< of the differences
  double squares = 0;
  std::int64_t chunk = INT64_MIN;  ///< the newest quality chunk that a row was of
  double closed = 0;               ///< `sum` when the chunk before it ended
  double closed_squares = 0;
  double least = 0;  ///< lowest that `sum` was at the end of a chunk: it was worth most then
  double least_squares = 0;

  /// `row_chunk`: of the row's event time. Hours of a day differ in what a model is good at, so
  /// losses count by whole chunks.
  void add(double difference, std::int64_t row_chunk) noexcept;
  /// The label of the same row.
  void add_label(const stats::Task& task, double code, double median);
  /// Mean loss of a constant answer: the entropy of the labels; of a regression their mean distance
  /// from the reference's median. Where intervals are compared, what these cost with it; where they
  /// alone are on trial, that alone.
  [[nodiscard]] double constant_loss() const;
  [[nodiscard]] double mean() const noexcept;
  /// What this instead of the alternative has lost since it was worth most.
  [[nodiscard]] double lost() const noexcept { return sum - least; }
  /// At the end of a chunk it had lost more than `share` of what a constant answer loses on
  /// `rows_of_chunk` rows, or within one four times as much; and more than chance explains: four
  /// standard errors
  /// of the differences since its best. Looking at every row is what four instead of two are for.
  [[nodiscard]] bool loses(double share, std::int64_t rows_of_chunk) const noexcept;
  /// Over all rows it is better than the alternative by more than two standard errors.
  [[nodiscard]] bool pays() const noexcept;
  /// Over all rows the alternative is better by more than three standard errors.
  [[nodiscard]] bool alternative_pays() const noexcept;
};

/// The intervals of what is served and of its alternative, whose coverage is the same.
struct TrialIntervals {
  stats::Conformal served{};
  double alternative = 0;  ///< quantile
};

/// The trials that run, by name. Bounded by their number and that of accounts: a few numbers each.
/// Single-threaded.
class Trials {
 public:
  /// The number by which rows refer to the trial `name`; begins it when there is none. With
  /// `intervals` their loss counts too.
  [[nodiscard]] std::uint32_t number(const std::string& name, bool candidate = false,
                                     const std::optional<TrialIntervals>& intervals = {});
  /// A row that was labelled, in each of its trials. A trial of a candidate takes the losses the
  /// other way round.
  void add(const stats::Task& task, const TrialRow& row, std::int64_t chunk, double median);
  [[nodiscard]] const Trial* find(const std::string& name) const;
  /// Of a trial that loses: the account without whose rows the loss is within two standard errors.
  /// Empty: there is none, or only one account has rows in it.
  [[nodiscard]] std::string only_account(const std::string& name) const;
  /// Of a trial that loses, and of one that pays: the account without whose labels it does so by no
  /// more than two standard errors. For where several accounts send labels; empty: there is none.
  [[nodiscard]] std::string label_account_of_loss(const std::string& name) const;
  [[nodiscard]] std::string label_account_of_gain(const std::string& name) const;
  /// Ends every trial but these.
  void keep(const std::vector<std::string>& names);

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  /// What the rows, or the labels, of one account are of a trial's sums, and were when it was worth
  /// most.
  struct Share {
    double sum = 0;
    double squares = 0;
    double least = 0;
    double least_squares = 0;
  };
  struct Running {
    std::uint32_t number = 0;
    bool candidate = false;
    Trial trial;
    std::optional<TrialIntervals> intervals{};
    std::map<std::string, Share> shares;        ///< by account
    std::map<std::string, Share> label_shares;  ///< by the account that alone labelled the rows
    void add(double difference, std::int64_t chunk, const TrialRow& row);
  };
  [[nodiscard]] static bool loses_without(const Trial& trial, const Share& share);
  [[nodiscard]] static bool pays_without(const Trial& trial, const Share& share);
  [[nodiscard]] std::string label_account_of(const std::string& name,
                                             bool (*stands_without)(const Trial&,
                                                                    const Share&)) const;

  std::map<std::string, Running> running_;
  std::uint32_t next_ = 1;
};

/// Mean of paired differences over its standard error. 0 below 300 of them, where losses are too
/// skewed for a normal approximation, and without spread. Held against four: rows of one day hang
/// together a little.
[[nodiscard]] double paired_z(const std::vector<double>& differences) noexcept;
inline constexpr double kPairedZ = 4;

}  // namespace heddle::watch
