#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "doc/schema.hpp"

namespace heddle::doc {

// Lists and maps of forms that replies have, on top of `Schema::custom`.

/// A list that may be absent, which is not the same as one without items.
template <class T, class U>
Schema<T>& objects_or_absent(Schema<T>& t, std::string key,
                             std::optional<std::vector<U>> T::* member, const Schema<U>& schema,
                             std::string about) {
  t.custom(
      std::move(key), Shape::kObjects, std::move(about),
      [member, &schema](T& into, const Value& value, Reader& reader) {
        auto& items = (into.*member).emplace();
        for (const auto& item : value.as_array()) {
          const std::size_t index = items.size();
          reader.read_item(schema, item, index, &items.emplace_back());
        }
      },
      [member, &schema](const T& from) -> std::optional<Value> {
        if (!(from.*member)) return std::nullopt;
        return to_list(*(from.*member), [&schema](const U& item) { return schema.print(item); });
      });
  t.keys.back().object = &schema;
  return t.optional();
}
template <class T>
Schema<T>& texts_or_absent(Schema<T>& t, std::string key,
                           std::optional<std::vector<std::string>> T::* member, std::string about) {
  t.custom(
      std::move(key), Shape::kTexts, std::move(about),
      [member](T& into, const Value& value, Reader&) {
        into.*member =
            list_of<std::string>(value, [](const Value& item) { return item.as_string(); });
      },
      [member](const T& from) -> std::optional<Value> {
        if (!(from.*member)) return std::nullopt;
        return to_list(*(from.*member), [](const std::string& item) { return Value(item); });
      });
  return t.optional();
}

/// Numbers by name, as an object.
[[nodiscard]] inline Value counts_of(const std::map<std::string, std::int64_t>& numbers) {
  auto out = Value::object();
  for (const auto& [name, number] : numbers) out.set(name, number);
  return out;
}

/// Numbers by names that nobody listed before, for example of accounts.
template <class T>
Schema<T>& counts(Schema<T>& t, std::string key, std::map<std::string, std::int64_t> T::* member,
                  std::string about) {
  return t.custom(
      std::move(key), Shape::kMap, std::move(about),
      [member](T& into, const Value& value, Reader& reader) {
        for (const auto& [name, count] : value.as_object()) {
          if (!count.is_int()) return reader.refuse(name, "must be an integer");
          (into.*member)[name] = count.as_int();
        }
      },
      [member](const T& from) -> std::optional<Value> { return counts_of(from.*member); });
}

/// Objects by names that nobody listed before.
template <class T, class U>
Schema<T>& objects_by_name(Schema<T>& t, std::string key, std::map<std::string, U> T::* member,
                           const Schema<U>& schema, std::string about) {
  return t.custom(
      std::move(key), Shape::kMap, std::move(about),
      [member, &schema](T& into, const Value& value, Reader& reader) {
        for (const auto& [name, item] : value.as_object())
          reader.read_named(schema, item, name, &(into.*member)[name]);
      },
      [member, &schema](const T& from) -> std::optional<Value> {
        auto out = Value::object();
        for (const auto& [name, item] : from.*member) out.set(name, schema.print(item));
        return out;
      });
}

}  // namespace heddle::doc
