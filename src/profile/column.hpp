#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "profile/distinct.hpp"
#include "profile/look.hpp"
#include "table/table.hpp"

namespace heddle::profile {

/// Count, mean and spread of numbers; merged by Chan, Golub, LeVeque 1983, eq. 2.1.
struct Moments {
  std::int64_t count = 0;
  double mean = 0;
  double m2 = 0;  ///< sum of squared differences from the mean
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  std::int64_t whole = 0;  ///< without a fraction
  std::int64_t negative = 0;

  void add(double x) noexcept;
  void merge(const Moments& other) noexcept;
  [[nodiscard]] double sd() const noexcept;
};

/// Whether the values of a column ascend from row to row, and by what steps. Values are numbers or
/// microseconds; rows without one are passed over.
struct Order {
  struct Step {
    std::int64_t from_row = -1;
    std::int64_t to_row = -1;
    std::int64_t size = 0;
  };

  bool is_ascending = true;   ///< no value is below the one before
  bool is_strict = true;      ///< and none equals it
  bool is_descending = true;  ///< no value is above the one before
  std::int64_t first_row = -1;
  std::int64_t last_row = -1;
  std::int64_t first = 0;
  std::int64_t last = 0;
  Step largest{};             ///< of an ascending column
  DistinctSample steps{256};  ///< sizes of steps that are not 0

  void add(std::int64_t value, std::int64_t row);
  void merge(const Order& later);
};

/// What is known of one column after one pass. A value type; `merge` of two is what one pass over
/// the rows of both would have given, but for the last bits of `numbers`.
struct ColumnProfile {
  std::string name;
  expr::Type type = expr::Type::kString;  ///< as the file has it; of a CSV always a string
  std::int64_t rows = 0;
  std::int64_t missing = 0;  ///< rows without a value: null, or an empty cell of a CSV
  std::array<std::int64_t, kLooks> looks{};  ///< of values that are texts
  /// The first row of each look, for showing one.
  std::array<std::int64_t, kLooks> look_rows{};
  std::array<std::string, kLooks> look_texts{};
  std::int64_t leading_zeros = 0;  ///< whole numbers written with zeros before
  std::int64_t with_spaces = 0;    ///< texts with spaces before or after
  Moments numbers{};               ///< of numbers, whether typed or written as text
  Moments lengths{};               ///< of texts, in bytes
  DistinctSample values;
  DistinctSample words{32};   ///< texts that look like a word for no value
  DistinctSample shapes{64};  ///< `shape_of` of texts, exact
  Order order{};              ///< of whole numbers and times
  std::int64_t times = 0;
  Micros earliest = std::numeric_limits<Micros>::max();
  Micros latest = std::numeric_limits<Micros>::min();
  std::int64_t midnights = 0;
  std::int64_t zoned = 0;   ///< times in text that name their offset
  std::set<int> offsets{};  ///< of those, in minutes; at most 16

  ColumnProfile(std::string of, expr::Type as, std::size_t capacity);
  /// Rows [first_row, ...) of the file. `hashes`, one a row, are mixed with each row's value.
  void add(const table::Column& column, std::int64_t first_row, std::span<std::uint64_t> hashes);
  void merge(const ColumnProfile& later);

  [[nodiscard]] std::int64_t present() const noexcept { return rows - missing; }
  [[nodiscard]] std::int64_t looks_like(Look look) const noexcept {
    return looks[static_cast<std::size_t>(look)];
  }
  [[nodiscard]] bool is_text() const noexcept { return type == expr::Type::kString; }
  /// Every value differs from the others, as far as is known.
  [[nodiscard]] bool is_unique() const noexcept;
  /// Distinct values, rounded.
  [[nodiscard]] std::int64_t distinct() const noexcept;

 private:
  void add_texts(const table::Column& column, std::int64_t first_row,
                 std::span<std::uint64_t> hashes);
  void add_text(const Seen& seen, std::string_view text, std::int64_t row);
  void add_numbers(const table::Column& column, std::int64_t first_row,
                   std::span<std::uint64_t> hashes);
  void add_number(const table::Column& column, std::size_t i, std::int64_t row);
  void add_time(Micros time, std::int64_t row);
};

}  // namespace heddle::profile
