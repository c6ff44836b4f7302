#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "doc/value.hpp"
#include "spec/contract.hpp"
#include "table/table.hpp"

namespace heddle::upstream {

/// A row whose value differs.
struct SkewExample {
  std::string row{};    ///< its id
  doc::Value served{};  ///< null: nothing was sent
  doc::Value computed{};
};

/// How the values of one field that were sent compare with those that its source gives. Rows that
/// have no value on either side are equal.
struct FieldSkew {
  std::string field{};
  std::string source{};
  std::int64_t rows = 0;
  std::int64_t equal = 0;
  std::int64_t different = 0;         ///< both have a value
  std::int64_t missing_served = 0;    ///< the source has one, and none was sent
  std::int64_t missing_computed = 0;  ///< one was sent, and the source has none
  /// The largest difference of two numbers, in seconds of two times; nothing: no two differ.
  std::optional<double> largest{};
  std::vector<SkewExample> examples{};  ///< the first rows that differ

  [[nodiscard]] bool differs() const noexcept { return equal != rows; }
};

/// Compares two columns of the field, one row of each with one of `ids`. Values are equal when they
/// are the same; sums and means when they are within 1e-9 of the larger, since others add in
/// another order.
[[nodiscard]] FieldSkew compare(const spec::Field& field, const table::Column& served,
                                const table::Column& computed, std::span<const std::string> ids,
                                std::size_t most_examples);

}  // namespace heddle::upstream
