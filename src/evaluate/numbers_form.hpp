#pragma once

#include <optional>
#include <string>
#include <utility>

#include "doc/schema.hpp"
#include "evaluate/evaluate.hpp"

namespace heddle::evaluate {

/// {NAME: NUMBER}; null: not known.
[[nodiscard]] doc::Value print_numbers(const Numbers& numbers);
/// Refuses what is neither a number nor null.
[[nodiscard]] Numbers read_numbers(const doc::Value& value, doc::Reader& reader);

/// Adds a member that holds numbers by name.
template <class T>
doc::Schema<T>& numbers(doc::Schema<T>& t, std::string key, Numbers T::* member,
                        std::string about) {
  return t.custom(
      std::move(key), doc::Shape::kMap, std::move(about),
      [member](T& into, const doc::Value& value, doc::Reader& reader) {
        into.*member = read_numbers(value, reader);
      },
      [member](const T& from) -> std::optional<doc::Value> { return print_numbers(from.*member); });
}

}  // namespace heddle::evaluate
