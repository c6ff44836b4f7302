#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "spec/model.hpp"

namespace heddle::runtime {

using spec::Runtime;

/// `runtime.json` (docs/formats/runtime.md), strictly: an unknown member, a wrong type or a value
/// out of its bounds is kCorrupt
/// (`runtime-spec`). `files` stays empty: they are a layer of their own.
[[nodiscard]] Result<Runtime> parse(const doc::Value& value);
[[nodiscard]] doc::Value to_value(const Runtime& runtime);

/// Replaces `${env:NAME}` and `${file:PATH}` (a trailing line break is dropped), and
/// `${project:PATH}` where there is a project; any other text stands for itself. Called at use,
/// never stored. kNotFound names the variable or file, never its value.
[[nodiscard]] Result<std::string> resolve(std::string_view text, const std::string& project = {});

[[nodiscard]] std::string_view name_of(Runtime::Kind kind) noexcept;      ///< `process`, `upstream`
[[nodiscard]] std::string_view name_of(Runtime::Inputs inputs) noexcept;  ///< `fields`, `features`

}  // namespace heddle::runtime
