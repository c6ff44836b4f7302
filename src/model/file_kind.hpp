#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace heddle::model {

/// What people pass for a model and is none: a pickle, an archive, a dump, a Git LFS pointer, a web
/// page. Told by the first bytes; the error says what the file is and how to write a model file.
/// Nothing for what may be a model, damaged or not.
[[nodiscard]] std::optional<Error> not_a_model(std::string_view bytes);

/// A short piece of a file for a message: what is not printable ASCII becomes `?`.
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace heddle::model
