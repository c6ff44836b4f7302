#include "spec/shares.hpp"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace heddle::spec {

void need_share(const doc::Value& value, std::string_view key, double share, doc::Reader& reader) {
  const doc::Value* at = value.find(key);
  if (at == nullptr || (share >= 0 && share <= 1)) return;
  reader.report(at->position(), "bad-share", fmt::format("`{}` must be from 0 to 1", key),
                "it is a share: 5 % is 0.05");
}

std::optional<std::uint32_t> parse_share(std::string_view text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || end != text.data() + text.size() || percent < 0 || percent > 100)
    return std::nullopt;
  const double parts = percent * 100;
  // More digits than are kept are refused, not rounded; the rest is room for the product's own
  // error.
  if (std::abs(parts - std::round(parts)) > 1e-6) return std::nullopt;
  return static_cast<std::uint32_t>(std::lround(parts));
}

}  // namespace heddle::spec
