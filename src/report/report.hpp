#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "draft/decision.hpp"
#include "profile/profile.hpp"
#include "report/comparison.hpp"
#include "table/input.hpp"

namespace heddle::report {

/// What one file says of a column.
struct Side {
  std::string kind{};             ///< as people say it: `whole numbers`
  std::int64_t missing = 0;       ///< rows without a value of the column's type
  std::int64_t distinct = 0;      ///< values; past some thousands an estimate
  std::optional<double> mean{};   ///< of numbers, with the next three
  std::optional<double> sd{};     ///< standard deviation
  std::optional<double> low{};    ///< the least
  std::optional<double> high{};   ///< the largest
  std::optional<Micros> first{};  ///< the earliest, of times
  std::optional<Micros> last{};   ///< the latest
};

/// How often a value came, in both files.
struct Frequency {
  std::string value{};  ///< cut to 200 bytes
  std::int64_t reference = 0;
  std::int64_t file = 0;
};

/// Counts over bins of one width: `from`, `from + width`, ...
struct Curve {
  double from = 0;   ///< of times, microseconds since 1970
  double width = 1;  ///< above 0
  std::vector<std::int64_t> reference{};
  std::vector<std::int64_t> file{};
  std::int64_t outside = 0;  ///< rows of both that lie in no bin
};

/// How a column of the file stands to the reference.
enum class State {
  kAlone,     ///< there is no reference
  kSame,      ///< no more apart than chance has it, or too little to matter
  kMoved,     ///< its values or their absence are distributed otherwise
  kAppeared,  ///< the reference has no such column
  kVanished,  ///< the file has none
  kRetyped    ///< it holds another type of values
};

struct ColumnReport {
  std::string name{};
  State state = State::kAlone;
  bool names_rows = false;  ///< a key or a row number: other rows have other values
  /// Its texts mostly come once: numbers and picture are of how many bytes each has.
  bool of_lengths = false;
  std::optional<Side> reference{};
  std::optional<Side> file{};
  std::string statistic{};             ///< that `values` is measured by; empty: it is not
  std::optional<Difference> values{};  ///< among the rows that have one
  std::optional<Difference> missing{};
  std::vector<std::string> says{};          ///< what changed, without a final period
  std::optional<Curve> curve{};             ///< of numbers and times
  std::vector<Frequency> frequent{};        ///< of texts and booleans, the most frequent first
  std::optional<Frequency> other_values{};  ///< of those, all that `frequent` does not have
};

/// What there is to say of a file of rows, alone or against a reference. A value type.
struct Report {
  std::string file{};       ///< for people
  std::string reference{};  ///< empty: there is none
  std::int64_t rows = 0;
  std::int64_t reference_rows = 0;
  /// With which chance each comparison may call a column moved that did not (docs/report.md).
  double chance = 0;
  std::vector<draft::Finding> findings{};  ///< of the file, without rows
  /// Those that changed type, vanished, appeared, moved (the farthest first), then the others in
  /// the order of the file.
  std::vector<ColumnReport> columns{};

  [[nodiscard]] std::int64_t count(State state) const noexcept;
  /// Some column changed type, vanished, appeared or moved.
  [[nodiscard]] bool has_drift() const noexcept;
};

/// Told after each chunk of a file that is read.
using Progress = std::function<void(const table::Input& of, const profile::Progress& so_far)>;

/// Reads each file twice, in memory that does not grow with their rows. `reference`: null for a
/// report of the file alone. kUnprocessable `report-no-rows`; the errors of `table::read_table`.
[[nodiscard]] Result<Report> make_report(const table::Input& file, const table::Input* reference,
                                         const Progress& progress = {});

/// The whole page, which begins with `kPageMark` and needs nothing beside it.
[[nodiscard]] std::string page_of(const Report& report);
inline constexpr std::string_view kPageMark = "<!-- heddle.report/1 -->";

}  // namespace heddle::report
