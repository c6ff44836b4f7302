#pragma once

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "doc/diagnostic.hpp"
#include "doc/value.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

/// What a key may hold.
enum class Shape {
  kText,
  kInteger,
  kNumber,
  kBoolean,
  kDuration,
  kTime,
  kExpression,
  kTexts,
  kNumbers,
  kObject,
  kObjects,
  kMap,
  kAny
};

/// What Heddle does with a key. kReported: it says something of the rows or of how to treat them
/// that Heddle does not act on; a warning tells so, once a file. kDescriptive: it says nothing that
/// a row could break.
enum class Treatment { kEnforced, kReported, kDescriptive };

class Reader;
struct Object;

/// One key of an object of a definition: the single source of its parser, its diagnostics, its JSON
/// Schema and its line in the reference page.
struct Key {
  std::string name;
  Shape shape = Shape::kText;
  std::string about;
  bool is_required = false;
  std::vector<std::string> choices{};  ///< kText: the only values
  std::optional<double> at_least{};    ///< kInteger, kNumber
  const Object* object = nullptr;      ///< kObject, kObjects: of what
  std::function<void(void* into, const doc::Value&, Reader&)>
      set{};  ///< the value has the shape already; empty: kept as read
  Treatment treatment = Treatment::kEnforced;
};

/// The table of keys of one object. Immutable once built; lives as long as the program.
struct Object {
  std::string name;
  std::string about;
  std::vector<Key> keys{};
  std::function<void(void* into, const doc::Value&, Reader&)>
      finish{};                 ///< after the keys: what concerns several
  bool null_is_absent = false;  ///< `key:` without a value counts as if the key were not there
};

/// Reads values by tables and collects findings. One a file; not thread-safe.
class Reader {
 public:
  Reader(std::string_view text, std::string_view file, std::vector<doc::Diagnostic>& diagnostics)
      : text_(text), file_(file), diagnostics_(diagnostics) {}

  void read(const Object& object, const doc::Value& value, void* into);
  void report(doc::Position at, std::string id, std::string message, std::string hint,
              int length = 1);
  void warn(doc::Position at, std::string id, std::string message, std::string hint);
  /// A warning that is given once a file: at the first place where `topic` arises, with the number
  /// of the others.
  void warn_once(std::string topic, doc::Position at, std::string id, std::string message,
                 std::string hint);
  /// That `key` says something which Heddle does not act on; `instead`: what to do about it.
  void not_enforced(std::string_view key, doc::Position at, std::string instead);
  /// Hands over what `warn_once` collected. Call it when the file has been read.
  void finish();
  /// Where key `key` stands, whose value stands at `value`.
  [[nodiscard]] doc::Position key_position(std::string_view key, doc::Position value) const;
  [[nodiscard]] const std::string& file() const noexcept { return file_; }

 private:
  struct Once {
    doc::Diagnostic diagnostic;
    int more = 0;
  };
  [[nodiscard]] bool has_shape(const Key& key, const doc::Value& value);
  void read_member(const Object& object, const std::string& name, const doc::Value& member,
                   void* into);
  [[nodiscard]] doc::Diagnostic diagnostic(doc::Position at, std::string id, std::string message,
                                           std::string hint) const;
  [[nodiscard]] std::string_view line(int number) const;

  std::map<std::string, Once> once_;
  std::string_view text_;
  std::string file_;
  std::vector<doc::Diagnostic>& diagnostics_;
};

/// Builds the table of a struct `T`. Every method adds one key; `required()` marks the last one.
template <class T>
class Table : public Object {
 public:
  Table(std::string object_name, std::string object_about)
      : Object{std::move(object_name), std::move(object_about)} {}

  Table& text(std::string key, std::string T::* member, std::string key_about) {
    return add(
        std::move(key), Shape::kText, std::move(key_about),
        [member](T& into, const doc::Value& value, Reader&) { into.*member = value.as_string(); });
  }
  template <class E>
  Table& choice(std::string key, E T::* member, std::vector<std::pair<std::string, E>> choices,
                std::string key_about) {
    std::vector<std::string> names;
    for (const auto& [name_of, unused] : choices) names.push_back(name_of);
    add(std::move(key), Shape::kText, std::move(key_about),
        [member, choices](T& into, const doc::Value& value, Reader&) {
          for (const auto& [name_of, chosen] : choices) {
            if (value.as_string() == name_of) into.*member = chosen;
          }
        });
    keys.back().choices = std::move(names);
    return *this;
  }
  template <class I>
  Table& integer(std::string key, I T::* member, std::string key_about, double at_least = 0) {
    static_assert(std::is_integral_v<I>);
    add(std::move(key), Shape::kInteger, std::move(key_about),
        [member](T& into, const doc::Value& value, Reader& reader) {
          if (std::in_range<I>(value.as_int())) {
            into.*member = static_cast<I>(value.as_int());
            return;
          }
          reader.report(value.position(), "out-of-range",
                        "the number is above " + std::to_string(std::numeric_limits<I>::max()),
                        "write a smaller one");
        });
    keys.back().at_least = at_least;
    return *this;
  }
  template <class D>
  Table& number(std::string key, D T::* member, std::string key_about) {
    return add(
        std::move(key), Shape::kNumber, std::move(key_about),
        [member](T& into, const doc::Value& value, Reader&) { into.*member = value.as_double(); });
  }
  Table& boolean(std::string key, bool T::* member, std::string key_about) {
    return add(
        std::move(key), Shape::kBoolean, std::move(key_about),
        [member](T& into, const doc::Value& value, Reader&) { into.*member = value.as_bool(); });
  }
  Table& duration(std::string key, Micros T::* member, std::string key_about) {
    return add(std::move(key), Shape::kDuration, std::move(key_about),
               [member](T& into, const doc::Value& value, Reader&) {
                 into.*member = *parse_duration(value.as_string());
               });
  }
  Table& time(std::string key, Micros T::* member, std::string key_about) {
    return add(std::move(key), Shape::kTime, std::move(key_about),
               [member](T& into, const doc::Value& value, Reader&) {
                 into.*member = *parse_time(value.as_string());
               });
  }
  template <class X>
  Table& expression(std::string key, X T::* member, std::string key_about) {
    return add(std::move(key), Shape::kExpression, std::move(key_about),
               [member](T& into, const doc::Value& value, Reader&) {
                 into.*member = Expression{value.as_string(), value.position()};
               });
  }
  Table& texts(std::string key, std::vector<std::string> T::* member, std::string key_about) {
    return add(std::move(key), Shape::kTexts, std::move(key_about),
               [member](T& into, const doc::Value& value, Reader&) {
                 into.*member = {};
                 if (value.is_string()) (into.*member).push_back(value.as_string());
                 if (value.is_array()) {
                   for (const auto& item : value.as_array())
                     (into.*member).push_back(item.as_string());
                 }
               });
  }
  Table& numbers(std::string key, std::vector<double> T::* member, std::string key_about) {
    return add(std::move(key), Shape::kNumbers, std::move(key_about),
               [member](T& into, const doc::Value& value, Reader&) {
                 (into.*member).clear();
                 for (const auto& item : value.as_array())
                   (into.*member).push_back(item.as_double());
               });
  }
  template <class U>
  Table& object(std::string key, U T::* member, const Table<U>& table, std::string key_about) {
    add(std::move(key), Shape::kObject, std::move(key_about),
        [member, &table](T& into, const doc::Value& value, Reader& reader) {
          reader.read(table, value, &(into.*member));
        });
    keys.back().object = &table;
    return *this;
  }
  /// A nested object whose keys fill the same struct.
  Table& within(std::string key, const Table<T>& table, std::string key_about) {
    add(std::move(key), Shape::kObject, std::move(key_about),
        [&table](T& into, const doc::Value& value, Reader& reader) {
          reader.read(table, value, &into);
        });
    keys.back().object = &table;
    return *this;
  }
  template <class U>
  Table& objects(std::string key, std::vector<U> T::* member, const Table<U>& table,
                 std::string key_about) {
    add(std::move(key), Shape::kObjects, std::move(key_about),
        [member, &table](T& into, const doc::Value& value, Reader& reader) {
          for (const auto& item : value.as_array()) {
            U element{};
            reader.read(table, item, &element);
            (into.*member).push_back(std::move(element));
          }
        });
    keys.back().object = &table;
    return *this;
  }
  /// Keys of the standard that say nothing which a row could break: kept as written, whatever they
  /// hold.
  Table& describes(std::vector<std::string> names) {
    for (auto& each : names) {
      keys.push_back(Key{std::move(each), Shape::kAny, "describes; kept as written"});
      keys.back().treatment = Treatment::kDescriptive;
    }
    return *this;
  }
  /// A key of the standard that Heddle does not act on and says so; `instead`: what to do about it.
  Table& reported(std::string key, std::string instead) {
    keys.push_back(Key{std::move(key), Shape::kAny, std::move(instead)});
    keys.back().treatment = Treatment::kReported;
    return *this;
  }
  Table& custom(std::string key, Shape shape, std::string key_about,
                std::function<void(T&, const doc::Value&, Reader&)> set) {
    return add(std::move(key), shape, std::move(key_about), std::move(set));
  }
  /// The last key's own treatment: for one that is read and not, or not always, acted upon.
  Table& treated(Treatment treatment) {
    keys.back().treatment = treatment;
    return *this;
  }
  Table& required() {
    keys.back().is_required = true;
    return *this;
  }
  Table& one_of(std::vector<std::string> choices) {
    keys.back().choices = std::move(choices);
    return *this;
  }
  Table& finally(std::function<void(T&, const doc::Value&, Reader&)> check) {
    finish = [check = std::move(check)](void* into, const doc::Value& value, Reader& reader) {
      check(*static_cast<T*>(into), value, reader);
    };
    return *this;
  }

 private:
  Table& add(std::string key, Shape shape, std::string key_about,
             std::function<void(T&, const doc::Value&, Reader&)> set) {
    keys.push_back(Key{std::move(key), shape, std::move(key_about)});
    keys.back().set = [set = std::move(set)](void* into, const doc::Value& value, Reader& reader) {
      set(*static_cast<T*>(into), value, reader);
    };
    return *this;
  }
};

/// JSON Schema of an object's table, and its section of the reference page.
[[nodiscard]] doc::Value schema_of(const Object& object);
[[nodiscard]] std::string reference_of(const Object& object);

}  // namespace heddle::spec
