#pragma once

#include <string>

#include "base/digest.hpp"
#include "doc/value.hpp"

namespace heddle::spec {

/// Which definition: kind and name, the file it was read from (relative to the project) and the
/// digest of its bytes.
struct Identity {
  std::string kind;
  std::string name;
  std::string file;
  Digest digest{};
  doc::Value content{};  ///< the document as read; what steps are keyed by, so that a comment
                         ///< changes nothing
};

/// An expression with the place it stands, for diagnostics.
struct Expression {
  std::string text;
  doc::Position position{};
};

}  // namespace heddle::spec
