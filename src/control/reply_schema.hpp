#pragma once

#include <string>
#include <utility>

#include "doc/diagnostic.hpp"
#include "doc/schema.hpp"

namespace heddle::control {

/// Begins the schema of a reply: one that is not as it says is of a control plane of another
/// version.
template <class T>
[[nodiscard]] doc::Schema<T> reply_of(std::string about) {
  auto t = doc::Schema<T>::record("the reply", std::move(about));
  t.refused_as(ErrorKind::kConflict, "reply-of-another-version",
               "the control plane that runs is of another version: start it again");
  return t;
}

/// One thing to tell about a definition, as `check` does.
[[nodiscard]] const doc::Schema<doc::Diagnostic>& diagnostic_schema();

}  // namespace heddle::control
