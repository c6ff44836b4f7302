#pragma once

#include "doc/value.hpp"

namespace heddle::doc {

/// The items of a list, and nothing where there is no value or it is no list. For documents that
/// others wrote: `Value::as_array` throws on another type.
[[nodiscard]] inline const Value::Array& items_of(const Value* value) {
  static const Value::Array kNone;
  return value != nullptr && value->is_array() ? value->as_array() : kNone;
}

/// The members of an object, and none where there is no value or it is no object.
[[nodiscard]] inline const Value::Object& members_of(const Value* value) {
  static const Value::Object kNone;
  return value != nullptr && value->is_object() ? value->as_object() : kNone;
}

/// The text of a string; empty for any other value.
[[nodiscard]] inline const std::string& text_of(const Value& value) {
  static const std::string kNone;
  return value.is_string() ? value.as_string() : kNone;
}

}  // namespace heddle::doc
