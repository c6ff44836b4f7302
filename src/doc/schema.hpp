#pragma once

#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/json.hpp"
#include "doc/schema_reader.hpp"

namespace heddle::doc {

/// Describes a struct `T` that is written in a definition, stored or spoken: one key a member.
/// Parser, printer, JSON Schema and reference page come from it. Every method adds one key;
/// `required()`, `optional()`, `filled()`, `between()` and `one_of()` are about the last one.
///
/// The struct's own `operator==` compares: defaulted, the compiler completes it.
template <class T>
class Schema : public ObjectSchema {
 public:
  template <class M>
  using Bare = typename MemberType<M>::Bare;

  Schema(std::string object_name, std::string object_about)
      : ObjectSchema{std::move(object_name), std::move(object_about)} {}

  /// Of a struct that programs store or speak (see ObjectSchema).
  [[nodiscard]] static Schema record(std::string object_name, std::string object_about) {
    Schema schema(std::move(object_name), std::move(object_about));
    schema.is_record = true;
    return schema;
  }
  /// The member `format`, which a record begins with: `heddle.NAME/1`. Another one is refused
  /// before anything else is looked at.
  Schema& of_format(std::string value) {
    format = std::move(value);
    return *this;
  }
  /// The error that a record is refused with.
  Schema& refused_as(ErrorKind kind, std::string id, std::string hint) {
    error_kind = kind;
    error_id = std::move(id);
    error_hint = std::move(hint);
    return *this;
  }

  template <class M>
  Schema& text(std::string key, M T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kText, std::move(key_about), member,
        [](const Value& value) { return Bare<M>(value.as_string()); },
        [](const Bare<M>& held) { return Value(held); });
  }
  template <class E>
  Schema& choice(std::string key, E T::* member,
                 std::vector<std::pair<std::string, Bare<E>>> choices, std::string key_about) {
    std::vector<std::string> names;
    for (const auto& [name_of, unused] : choices) names.push_back(name_of);
    scalar(
        std::move(key), Shape::kText, std::move(key_about), member,
        [choices](const Value& value) {
          for (const auto& [name_of, chosen] : choices) {
            if (value.as_string() == name_of) return chosen;
          }
          return Bare<E>{};  // never: only the choices have the key's shape
        },
        [choices](const Bare<E>& held) {
          for (const auto& [name_of, chosen] : choices) {
            if (held == chosen) return Value(name_of);
          }
          return Value();  // a value without a name: no reader takes null for one
        });
    keys.back().choices = std::move(names);
    return *this;
  }
  template <class M>
  Schema& integer(std::string key, M T::* member, std::string key_about, double at_least = 0) {
    using I = Bare<M>;
    static_assert(std::is_integral_v<I>);
    scalar(
        std::move(key), Shape::kInteger, std::move(key_about), member,
        [](const Value& value) { return static_cast<I>(value.as_int()); },
        [](const I& held) { return Value(static_cast<std::int64_t>(held)); });
    return bounded<I>(at_least);
  }
  /// A point of time in microseconds since 1970, which may be before it.
  template <class M>
  Schema& micros(std::string key, M T::* member, std::string key_about) {
    static_assert(std::is_same_v<Bare<M>, Micros>);
    integer(std::move(key), member, std::move(key_about));
    keys.back().at_least.reset();
    return *this;
  }
  template <class M>
  Schema& number(std::string key, M T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kNumber, std::move(key_about), member,
        [](const Value& value) { return static_cast<Bare<M>>(value.as_double()); },
        [](const Bare<M>& held) { return Value(static_cast<double>(held)); });
  }
  template <class M>
  Schema& boolean(std::string key, M T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kBoolean, std::move(key_about), member,
        [](const Value& value) { return value.as_bool(); },
        [](const Bare<M>& held) { return Value(static_cast<bool>(held)); });
  }
  /// Of definitions: never printed, as `format_duration` is for people.
  template <class M>
  Schema& duration(std::string key, M T::* member, std::string key_about) {
    return add(std::move(key), Shape::kDuration, std::move(key_about), MemberType<M>::kMayBeAbsent,
               [member](T& into, const Value& value, Reader&) {
                 into.*member = *parse_duration(value.as_string());
               },
               {});
  }
  template <class M>
  Schema& time(std::string key, M T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kTime, std::move(key_about), member,
        [](const Value& value) { return *parse_time(value.as_string()); },
        [](const Micros& held) { return Value(format_time(held)); });
  }
  /// A text with the place where it stands.
  template <class M>
  Schema& expression(std::string key, M T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kExpression, std::move(key_about), member,
        [](const Value& value) { return Bare<M>{value.as_string(), value.position()}; },
        [](const Bare<M>& held) { return Value(held.text); });
  }
  /// `sha256:` and 64 hex digits; the empty text is no digest, and allowed unless `filled()`.
  Schema& digest(std::string key, Digest T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kDigest, std::move(key_about), member,
        [](const Value& value) {
          return value.as_string().empty() ? Digest{} : *Digest::parse(value.as_string());
        },
        [](const Digest& held) { return Value(held.empty() ? std::string() : held.str()); });
  }
  Schema& texts(std::string key, std::vector<std::string> T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kTexts, std::move(key_about), member,
        [](const Value& value) {
          if (value.is_string()) return std::vector<std::string>{value.as_string()};
          return list_of<std::string>(value, [](const Value& item) { return item.as_string(); });
        },
        [](const auto& held) { return to_list(held, [](const auto& item) { return item; }); });
  }
  Schema& numbers(std::string key, std::vector<double> T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kNumbers, std::move(key_about), member,
        [](const Value& value) {
          return list_of<double>(value, [](const Value& item) { return item.as_double(); });
        },
        [](const auto& held) { return to_list(held, [](const auto& item) { return item; }); });
  }
  Schema& digests(std::string key, std::vector<Digest> T::* member, std::string key_about) {
    return scalar(
        std::move(key), Shape::kDigests, std::move(key_about), member,
        [](const Value& value) {
          return list_of<Digest>(
              value, [](const Value& item) { return *Digest::parse(item.as_string()); });
        },
        [](const auto& held) {
          return to_list(held, [](const Digest& item) { return item.str(); });
        });
  }
  template <class I>
  Schema& integers(std::string key, std::vector<I> T::* member, std::string key_about,
                   double at_least = 0) {
    scalar(
        std::move(key), Shape::kIntegers, std::move(key_about), member,
        [](const Value& value) {
          return list_of<I>(value, [](const Value& item) { return static_cast<I>(item.as_int()); });
        },
        [](const auto& held) {
          return to_list(held, [](const I& item) { return static_cast<std::int64_t>(item); });
        });
    return bounded<I>(at_least);
  }
  /// Any value of the shape kObject, kMap or kAny, kept as it is.
  Schema& value(std::string key, Value T::* member, Shape shape, std::string key_about) {
    return scalar(
        std::move(key), shape, std::move(key_about), member, [](const Value& read) { return read; },
        [](const Value& held) { return held; });
  }
  template <class U>
  Schema& object(std::string key, U T::* member, const Schema<Bare<U>>& schema,
                 std::string key_about) {
    add(
        std::move(key), Shape::kObject, std::move(key_about), MemberType<U>::kMayBeAbsent,
        [member, &schema](T& into, const Value& value, Reader& reader) {
          if constexpr (MemberType<U>::kMayBeAbsent) {
            reader.read(schema, value, &(into.*member).emplace());
          } else {
            reader.read(schema, value, &(into.*member));
          }
        },
        printer(member, [&schema](const Bare<U>& held) { return schema.print(held); }));
    keys.back().object = &schema;
    return *this;
  }
  /// A nested object whose keys fill the same struct.
  Schema& within(std::string key, const Schema<T>& schema, std::string key_about) {
    add(
        std::move(key), Shape::kObject, std::move(key_about), false,
        [&schema](T& into, const Value& value, Reader& reader) {
          reader.read(schema, value, &into);
        },
        [&schema](const T& from) { return std::optional<Value>(schema.print(from)); });
    keys.back().object = &schema;
    return *this;
  }
  /// The keys of a member stand in this object itself, beside its own.
  template <class U>
  Schema& flattened(U T::* member, const Schema<U>& schema) {
    for (Key key : schema.keys) {
      key.set = [member, set = key.set](void* into, const Value& value, Reader& reader) {
        set(&(static_cast<T*>(into)->*member), value, reader);
      };
      key.get = [member, get = key.get](const void* from) {
        return get(&(static_cast<const T*>(from)->*member));
      };
      keys.push_back(std::move(key));
    }
    if (schema.finish) {
      finish = [member, check = schema.finish](void* into, const Value& value, Reader& reader) {
        check(&(static_cast<T*>(into)->*member), value, reader);
      };
    }
    if (schema.format.empty()) return *this;
    return of_format(schema.format)
        .refused_as(schema.error_kind, schema.error_id, schema.error_hint);
  }
  template <class U>
  Schema& objects(std::string key, std::vector<U> T::* member, const Schema<U>& schema,
                  std::string key_about) {
    return objects_as(
        std::move(key), schema, std::move(key_about),
        [member](const T& from) -> const std::vector<U>& { return from.*member; },
        [member](T& into, std::vector<U> items) { into.*member = std::move(items); });
  }
  /// A list of objects that the struct holds in another form, for example in a map.
  template <class U, class ToList, class FromList>
  Schema& objects_as(std::string key, const Schema<U>& schema, std::string key_about,
                     ToList to_items, FromList from_items) {
    add(
        std::move(key), Shape::kObjects, std::move(key_about), false,
        [&schema, from_items](T& into, const Value& value, Reader& reader) {
          std::vector<U> items;
          for (const auto& item : value.as_array()) {
            const std::size_t index = items.size();
            reader.read_item(schema, item, index, &items.emplace_back());
          }
          from_items(into, std::move(items));
        },
        [&schema, to_items](const T& from) {
          return std::optional<Value>(
              to_list(to_items(from), [&schema](const U& item) { return schema.print(item); }));
        });
    keys.back().object = &schema;
    return *this;
  }
  /// Keys of the standard that say nothing which a row could break: kept as written, whatever they
  /// hold.
  Schema& describes(std::vector<std::string> names) {
    for (auto& each : names) {
      keys.push_back(Key{std::move(each), Shape::kAny, "describes; kept as written"});
      keys.back().treatment = Treatment::kDescriptive;
    }
    return *this;
  }
  /// A key of the standard that Heddle does not act on and says so; `instead`: what to do about it.
  Schema& reported(std::string key, std::string instead) {
    keys.push_back(Key{std::move(key), Shape::kAny, std::move(instead)});
    keys.back().treatment = Treatment::kReported;
    return *this;
  }
  Schema& custom(std::string key, Shape shape, std::string key_about,
                 std::function<void(T&, const Value&, Reader&)> set,
                 std::function<std::optional<Value>(const T&)> get = {}) {
    return add(std::move(key), shape, std::move(key_about), false, std::move(set), std::move(get));
  }
  /// The last key's own treatment: for one that is read and not, or not always, acted upon.
  Schema& treated(Treatment treatment) {
    keys.back().treatment = treatment;
    return *this;
  }
  Schema& required() {
    keys.back().is_required = true;
    return *this;
  }
  /// Of a record: absent, the member is what a new `T` has; what a new `T` has is left out.
  Schema& optional() {
    keys.back().is_required = false;
    if (keys.back().get) {
      const T blank{};
      keys.back().blank = keys.back().get(&blank);
    }
    return *this;
  }
  /// Not the empty text.
  Schema& filled() {
    keys.back().is_filled = true;
    return *this;
  }
  Schema& between(double low, double high) {
    keys.back().at_least = low;
    keys.back().at_most = high;
    return *this;
  }
  Schema& one_of(std::vector<std::string> choices) {
    keys.back().choices = std::move(choices);
    return *this;
  }
  Schema& finally(std::function<void(T&, const Value&, Reader&)> check) {
    finish = [check = std::move(check)](void* into, const Value& value, Reader& reader) {
      check(*static_cast<T*>(into), value, reader);
    };
    return *this;
  }

  /// Of a record. The error has the schema's kind and id, and the path to the first member that is
  /// not as it must be.
  [[nodiscard]] Result<T> parse(const Value& value) const {
    T out{};
    std::vector<Diagnostic> found;
    Reader reader({}, {}, found);
    reader.read(*this, value, &out);
    if (!found.empty()) return error_of(*this, found);
    return out;
  }
  /// The same of its text; one that is no JSON (cut, for example) is refused alike.
  [[nodiscard]] Result<T> parse_text(std::string_view json, JsonLimits limits = {}) const {
    const auto value = parse_json(json, limits);
    if (value.ok()) return parse(*value);
    return Error{error_kind, error_id, fmt::format("{}: {}", name, value.error().message),
                 error_hint};
  }
  [[nodiscard]] Value print(const T& from) const { return doc::print(*this, &from); }

 private:
  template <class M, class F>
  [[nodiscard]] static std::function<std::optional<Value>(const T&)> printer(M T::* member,
                                                                             F value_of) {
    return [member, value_of](const T& from) -> std::optional<Value> {
      if constexpr (MemberType<M>::kMayBeAbsent) {
        if (!(from.*member)) return std::nullopt;
        return value_of(*(from.*member));
      } else {
        return value_of(from.*member);
      }
    };
  }
  /// The last key holds what an `I` holds. A double has every bound of the narrower types.
  template <class I>
  Schema& bounded(double at_least) {
    keys.back().at_least = at_least;
    if constexpr (sizeof(I) < sizeof(std::int64_t))
      keys.back().at_most = static_cast<double>(std::numeric_limits<I>::max());
    return *this;
  }
  template <class M, class From, class To>
  Schema& scalar(std::string key, Shape shape, std::string key_about, M T::* member, From from,
                 To to) {
    return add(
        std::move(key), shape, std::move(key_about), MemberType<M>::kMayBeAbsent,
        [member, from](T& into, const Value& value, Reader&) { into.*member = from(value); },
        printer(member, to));
  }
  Schema& add(std::string key, Shape shape, std::string key_about, bool may_be_absent,
              std::function<void(T&, const Value&, Reader&)> set,
              std::function<std::optional<Value>(const T&)> get) {
    keys.push_back(Key{std::move(key), shape, std::move(key_about)});
    keys.back().is_required = is_record && !may_be_absent;
    keys.back().set = [set = std::move(set)](void* into, const Value& value, Reader& reader) {
      set(*static_cast<T*>(into), value, reader);
    };
    if (get) {
      keys.back().get = [get = std::move(get)](const void* from) {
        return get(*static_cast<const T*>(from));
      };
    }
    return *this;
  }
};

}  // namespace heddle::doc
