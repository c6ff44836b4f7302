#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "doc/schema_reader.hpp"

namespace heddle::spec {

/// A finding where `key` of a definition is no share, from 0 to 1.
void need_share(const doc::Value& value, std::string_view key, double share, doc::Reader& reader);
/// `5%` in ten-thousandths; at most two digits after the point.
[[nodiscard]] std::optional<std::uint32_t> parse_share(std::string_view text);

}  // namespace heddle::spec
