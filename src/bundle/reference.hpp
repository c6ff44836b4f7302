#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::bundle {

/// The layer `reference.json`: rows as a request carries them, and the model's margins for them (log odds, before the
/// calibration intercept). Whoever loads a bundle scores the rows and compares bit for bit before it answers anybody.
/// `{"format": "heddle.reference/1", "fields": [...], "rows": [[...], ...], "margins": [...]}`; a timestamp is its text form.
struct Reference {
  std::vector<std::string> fields;              ///< the contract's request fields, in order
  std::vector<doc::Value> rows;                 ///< arrays of scalars, one value a field
  std::vector<float> margins;                   ///< one a row; the JSON number is the float's exact value

  [[nodiscard]] std::string to_json() const;
  /// kCorrupt when the layer is no such document or its parts disagree.
  [[nodiscard]] static Result<Reference> parse(std::string_view json);
};

}  // namespace heddle::bundle
