#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "spec/contract.hpp"
#include "table/table.hpp"

namespace heddle::contract {

/// Typed rows as somebody writes them who keeps the contract.
struct WrittenRows {
  table::Table rows{};
  /// One a row: 1 where a value can only be sent as a value, for no declared layout has room for
  /// it (a time of day where dates are days).
  std::vector<std::uint8_t> unwritable{};
};

/// The columns of fields with `dates` and `decimal` become texts which `check` reads as the same
/// values; of several layouts the first that holds a value. Other columns stay as they are.
[[nodiscard]] Result<WrittenRows> written_rows(std::span<const spec::Field> fields,
                                               const table::Table& rows);

}  // namespace heddle::contract
