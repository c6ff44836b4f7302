#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "spec/contract.hpp"
#include "table/table.hpp"

namespace heddle::parity {

/// Rows of a sample, and behind them rows made from it.
struct Probed {
  table::Table rows{};               ///< request fields, as received
  std::int64_t sampled = 0;          ///< of them are the sample's; the rest are probes
  std::vector<std::string> kinds{};  ///< what was changed, for example `a missing value of `age``
  std::vector<std::int32_t> kind_of{};  ///< of each probe's row: a place in `kinds`

  /// How people find a row: `reference row 17`, or what was changed.
  [[nodiscard]] std::string name_of(std::int64_t row) const;
};

/// At most `most` rows of `sample`, evenly spaced; of each field that may be missing, rows without
/// it; of each text field, rows with a text that no row has. kInvalid: a field has no column.
[[nodiscard]] Result<Probed> make_probes(std::span<const spec::Field> fields,
                                         const table::Table& sample, std::int64_t most);

}  // namespace heddle::parity
