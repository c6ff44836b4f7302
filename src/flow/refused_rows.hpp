#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "contract/contract.hpp"
#include "table/table.hpp"

namespace heddle::flow {

/// What `validate.rows` leaves of the rows that it refused.
inline constexpr std::string_view kRefusedFile = "refused.csv";
/// So many: of a wrong file there is no end of them.
inline constexpr std::int64_t kMostRefusedKept = 1000;

/// Writes the first refused rows as they came, with what each broke and what was repaired, in the
/// form of `heddle score`: what shows and settles the rows of that file does so with these. Where
/// none was refused, nothing.
[[nodiscard]] Result<void> keep_refused(const table::Table& rows,
                                        const contract::Contract& contract,
                                        std::span<const std::uint8_t> refused,
                                        const std::string& directory);

}  // namespace heddle::flow
