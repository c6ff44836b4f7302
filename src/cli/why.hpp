#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "cli/commands.hpp"
#include "doc/value.hpp"

namespace heddle::cli {

struct WhyArguments {
  std::string id{};         ///< of a request, or `REQUEST#ROW`
  std::string service{};    ///< empty: any that has it
  std::int64_t limit = 20;  ///< rows of a request that are told
  bool reproduce = false;
  bool without_values = false;  ///< nothing that follows from the values of a row
};

/// How an answer came about (docs/why.md).
struct Why {
  doc::Value document{};
  bool differs = false;         ///< a row that was worked out again is not what was answered
  bool not_reproduced = false;  ///< one could not be worked out again
};

/// Reads the journal's and the access log's files here, where who may not see values cannot read
/// them, and asks the control plane for the rest. kNotFound `request-unknown`, `row-unknown`,
/// `service-unknown`.
[[nodiscard]] Result<Why> find_why(const Invocation& invocation, const WhyArguments& arguments);

}  // namespace heddle::cli
