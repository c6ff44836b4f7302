#include "watch/finding.hpp"

#include <array>

#include "doc/json.hpp"
#include "watch/finding_format.hpp"

namespace heddle::watch {

std::string_view subject_name(Subject subject) noexcept {
  constexpr std::array<std::string_view, 12> kNames{"contract", "column",  "prediction", "quality",
                                                    "prior",    "rule",    "monitor",    "answers",
                                                    "labels",   "journal", "coverage",   "other"};
  return kNames[static_cast<std::size_t>(subject)];
}

std::string_view stage_name(AlertStage stage) noexcept {
  constexpr std::array<std::string_view, 3> kNames{"raised", "confirmed", "cleared"};
  return kNames[static_cast<std::size_t>(stage)];
}

doc::Value Finding::to_value() const { return finding_schema().print(*this); }

Digest Finding::digest() const { return sha256(doc::to_canonical_json(to_value())); }

}  // namespace heddle::watch
