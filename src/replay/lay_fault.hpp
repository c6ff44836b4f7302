#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "replay/fault.hpp"
#include "replay/labels.hpp"
#include "replay/sent_fields.hpp"
#include "table/table.hpp"

namespace heddle::replay {

/// Recorded rows, before faults: one item a row in each. Borrowed.
struct RecordedRows {
  const table::Table& table;  ///< every column that an expression of a fault names
  std::span<const Micros> times;
  std::span<const std::uint8_t> sources;  ///< by place in `source_names`
  std::span<const std::string> source_names;
  const Labels& labels;
  std::uint64_t seed;  ///< of the draws
};

/// A fault of a replay and the bit that stands for it.
struct NumberedFault {
  const spec::Fault& fault;
  std::size_t number;

  [[nodiscard]] FaultBits bit() const noexcept { return FaultBits{1} << number; }
};

/// Sets the fault's bit for each row that it touches; the number of them. Here and below kInvalid
/// (`replay-fault`) names the fault and what of it does not fit the recording.
[[nodiscard]] Result<std::int64_t> mark_rows(const NumberedFault& fault, const RecordedRows& rows,
                                             std::span<FaultBits> bits);

/// Lays `change`, `missing` and `rename` over the rows that have the fault's bit. `names`: of the
/// fields.
[[nodiscard]] Result<void> lay_on_fields(const NumberedFault& fault,
                                         std::span<const std::string> names,
                                         std::span<const FaultBits> bits, SentFields& fields);

/// Lays `expression`, the fault's `label` or `sent_label`, as `key` says, over the labels of those
/// rows.
[[nodiscard]] Result<void> lay_on_labels(const NumberedFault& fault, std::string_view key,
                                         const spec::Expression& expression,
                                         const table::Table& recorded,
                                         std::span<const FaultBits> bits, Labels& labels);

}  // namespace heddle::replay
