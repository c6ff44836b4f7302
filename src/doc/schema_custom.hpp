#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "doc/schema.hpp"

namespace heddle::doc {

// Members of forms that few records have, on top of `Schema::custom`.

/// A number that may be unknown: NaN, which is null.
template <class T>
Schema<T>& number_or_null(Schema<T>& t, std::string key, double T::* member, std::string about) {
  t.custom(
      std::move(key), Shape::kNumber, std::move(about),
      [member](T& into, const Value& value, Reader&) {
        into.*member =
            value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.as_double();
      },
      [member](const T& from) -> std::optional<Value> {
        const double held = from.*member;
        return std::isfinite(held) ? Value(held) : Value();
      });
  t.keys.back().may_be_null = true;
  return t;
}

/// A digest that is always there, as null where there is none.
template <class T>
Schema<T>& digest_or_null(Schema<T>& t, std::string key, Digest T::* member, std::string about) {
  t.custom(
      std::move(key), Shape::kDigest, std::move(about),
      [member](T& into, const Value& value, Reader& reader) {
        if (value.is_null()) return;
        if (value.as_string().empty()) return reader.refuse("", "must be a digest or null");
        into.*member = *Digest::parse(value.as_string());
      },
      [member](const T& from) -> std::optional<Value> {
        const Digest& held = from.*member;
        return held.empty() ? Value() : Value(held.str());
      });
  t.keys.back().may_be_null = true;
  return t;
}

/// An object that is always there, as null where there is none.
template <class T, class U>
Schema<T>& object_or_null(Schema<T>& t, std::string key, std::optional<U> T::* member,
                          const Schema<U>& schema, std::string about) {
  t.custom(
      std::move(key), Shape::kObject, std::move(about),
      [member, &schema](T& into, const Value& value, Reader& reader) {
        if (!value.is_null()) reader.read(schema, value, &(into.*member).emplace());
      },
      [member, &schema](const T& from) -> std::optional<Value> {
        return from.*member ? schema.print(*(from.*member)) : Value();
      });
  t.keys.back().may_be_null = true;
  t.keys.back().object = &schema;
  return t;
}

/// Members that no key names, because a row of a registry says which there are. `read` gets the
/// whole object after its keys and refuses what it does not know (`Reader::refuse_unknown`);
/// `print` adds them after those of the keys. The struct has no `finally` beside it.
template <class T>
Schema<T>& other_members(Schema<T>& t, std::string about,
                         std::function<void(T&, const Value&, Reader&)> read,
                         std::function<void(const T&, Value&)> print) {
  t.others_about = std::move(about);
  t.print_others = [print = std::move(print)](const void* from, Value& into) {
    print(*static_cast<const T*>(from), into);
  };
  return t.finally(std::move(read));
}

}  // namespace heddle::doc
