#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "doc/schema.hpp"

namespace heddle::control {

/// A time as replies have it: ISO 8601 in UTC; empty: there is none.
[[nodiscard]] inline std::string time_or_empty(Micros time) {
  return time == INT64_MIN || time == 0 ? "" : format_time(time);
}

/// Adds the keys of `whole` to `t`: they are there together, where `member` is, or none of them.
template <class T, class U>
void add_form(doc::Schema<T>& t, std::optional<U> T::* member, const doc::Schema<U>& whole) {
  for (const doc::Key& of_whole : whole.keys) {
    doc::Key key = of_whole;
    key.is_required = false;
    key.set = [member, set = of_whole.set](void* into, const doc::Value& value,
                                           doc::Reader& reader) {
      auto& form = static_cast<T*>(into)->*member;
      if (!form) form.emplace();
      set(&*form, value, reader);
    };
    key.get = [member, get = of_whole.get](const void* from) -> std::optional<doc::Value> {
      const auto& form = static_cast<const T*>(from)->*member;
      if (!form) return std::nullopt;
      return get(&*form);
    };
    t.keys.push_back(std::move(key));
  }
}

/// Refuses the first member of `whole` that is not there, for a reply that has this form.
inline void need_form(const doc::ObjectSchema& whole, const doc::Value& value,
                      doc::Reader& reader) {
  for (const doc::Key& key : whole.keys) {
    if (key.is_required && value.find(key.name) == nullptr)
      return reader.refuse(key.name, "is missing");
  }
}

}  // namespace heddle::control
