#include "watch/finding.hpp"

#include <array>

#include "doc/json.hpp"

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

doc::Value Finding::to_value() const {
  doc::Value out = doc::Value::object({{"metric", key},
                                       {"subject", subject_name(subject)},
                                       {"value", value},
                                       {"threshold", threshold},
                                       {"alert", alert},
                                       {"from", format_time(from)},
                                       {"to", format_time(to)},
                                       {"rows", rows},
                                       {"epoch", static_cast<std::int64_t>(epoch)}});
  if (!column.empty()) out.set("column", column);
  if (!source.empty()) out.set("source", source);
  if (!account.empty()) out.set("account", account);
  if (!label_account.empty()) out.set("label_account", label_account);
  if (!detail.is_null()) out.set("detail", detail);
  return out;
}

Digest Finding::digest() const { return sha256(doc::to_canonical_json(to_value())); }

}  // namespace heddle::watch
