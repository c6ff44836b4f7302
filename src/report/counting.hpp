#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "profile/profile.hpp"
#include "profile/reading.hpp"
#include "report/report.hpp"
#include "statistic/statistic.hpp"
#include "stats/binning.hpp"

namespace heddle::report {

/// A file after the first pass. `readings` borrow from `profile`.
struct Read {
  profile::Profile profile{};
  std::vector<profile::Reading> readings{};
  table::Table sample{};  ///< columns as in `readings`
  std::unordered_map<std::string, std::size_t> places{};

  [[nodiscard]] const profile::Reading* find(const std::string& name) const;
  [[nodiscard]] const table::Column* sampled(const std::string& name) const;
};

/// How the values of a column are read and into what they are counted: the same for both files.
struct CountingPlan {
  /// Bins of one width for a picture.
  struct Grid {
    double from = 0;
    double width = 1;
    std::size_t bins = 1;
  };

  std::string name{};
  expr::Type type = expr::Type::kString;
  /// Of texts of which most come once, how many bytes each has: a whole number is counted.
  bool of_lengths = false;
  const statistic::Statistic* statistic = nullptr;
  stats::Binning bins = stats::Binning::from_points({});
  std::optional<Grid> grid{};  ///< of numbers and times
  /// What the reference's values lie between; a file's others are counted.
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// What of a file's column was counted.
struct Counted {
  stats::Histogram bins{};
  std::vector<std::int64_t> grid{};
  std::int64_t outside = 0;    ///< rows with a value that lies beside the grid
  std::int64_t missing = 0;    ///< rows without a value of the type
  std::int64_t below = 0;      ///< rows below the plan's `low`
  std::int64_t above = 0;      ///< and above its `high`
  profile::Moments numbers{};  ///< of numbers and times
};

/// What a column is compared as, where that is one type. `a` and `b` may each be null.
[[nodiscard]] std::optional<expr::Type> common_type(const profile::Reading* a,
                                                    const profile::Reading* b, bool a_is_csv,
                                                    bool b_is_csv) noexcept;

/// Whether texts of the column mostly come once, or name the rows.
[[nodiscard]] bool is_free_text(const profile::Reading& reading) noexcept;

/// Bins out of the sampled rows of the reference, of texts and booleans of both: what is frequent
/// in one by chance would tell them apart. `reference` may be null.
[[nodiscard]] CountingPlan plan_column(const std::string& name, expr::Type type, bool of_lengths,
                                       const Read* reference, const Read& file);

/// Counts every row, chunk by chunk. A plan whose column the file does not have counts nothing.
[[nodiscard]] Result<std::vector<Counted>> count_rows(const Read& file,
                                                      std::span<const CountingPlan> plans,
                                                      const Progress& progress);

}  // namespace heddle::report
