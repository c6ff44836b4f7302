#pragma once

#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// Name of the evidence that holds a comparison.
inline constexpr std::string_view kComparisonEvidence = "comparison.json";

/// Two bundles on the same newest labelled rows of a service's recorded traffic (docs/adr/0026), at
/// most 10,000 of them, all newer than what either says that it learned from.
/// `heddle.comparison/1`: {"base", "candidate", "compared"}; compared: "rows"
/// {"from", "to", "count", "positive", "refused_by_base", "refused_by_candidate"} and "metrics"[]
/// {"name", "base", "candidate", "difference" (candidate less base), "standard_error" (of the
/// difference, paired by row; null: not known)}; else "why" not. The error is of a candidate that
/// is not there or damaged. Reads the whole journal: memory in proportion to it.
[[nodiscard]] Result<doc::Value> compare_on_traffic(store::Objects& objects,
                                                    const std::string& spool, const Digest& base,
                                                    const Digest& candidate);

}  // namespace heddle::control
