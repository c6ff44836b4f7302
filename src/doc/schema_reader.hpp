#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "doc/diagnostic.hpp"
#include "doc/value.hpp"

namespace heddle::doc {

/// What a key may hold.
enum class Shape {
  kText,
  kInteger,
  kNumber,
  kBoolean,
  kDuration,
  kTime,
  kExpression,
  kDigest,
  kTexts,
  kIntegers,
  kNumbers,
  kDigests,
  kLists,  ///< each item a list, or null where there is none
  kObject,
  kObjects,
  kMap,
  kAny
};

/// What Heddle does with a key. kReported: it says something of the rows or of how to treat them
/// that Heddle does not act on; a warning tells so, once a file. kDescriptive: it says nothing that
/// a row could break.
enum class Treatment { kEnforced, kReported, kDescriptive };

/// A member that may be absent is a `std::optional`; its key then is no required one.
template <class M>
struct MemberType {
  using Bare = M;
  static constexpr bool kMayBeAbsent = false;
};
template <class M>
struct MemberType<std::optional<M>> {
  using Bare = M;
  static constexpr bool kMayBeAbsent = true;
};

/// Each item of a list.
template <class X, class F>
[[nodiscard]] std::vector<X> list_of(const Value& value, F item_of) {
  std::vector<X> items;
  items.reserve(value.size());
  for (const auto& item : value.as_array()) items.push_back(item_of(item));
  return items;
}
template <class Items, class F>
[[nodiscard]] Value to_list(const Items& items, F value_of) {
  Value::Array list;
  list.reserve(items.size());
  for (const auto& item : items) list.push_back(value_of(item));
  return Value::array(std::move(list));
}

class Reader;
struct ObjectSchema;

/// One key of an object: the single source of its parser, its diagnostics, its printed form, its
/// JSON Schema and its line in the reference page.
struct Key {
  std::string name;
  Shape shape = Shape::kText;
  std::string about;
  bool is_required = false;
  bool is_filled = false;              ///< kText, kDigest: not the empty text
  std::vector<std::string> choices{};  ///< kText: the only values
  std::optional<double> at_least{};    ///< kInteger, kNumber
  std::optional<double> at_most{};
  const ObjectSchema* object = nullptr;  ///< kObject, kObjects: of what
  std::function<void(void* into, const Value&, Reader&)>
      set{};  ///< the value has the shape already; empty: kept as read
  std::function<std::optional<Value>(const void* from)>
      get{};                     ///< nothing: the key is left out; empty: it is never printed
  std::optional<Value> blank{};  ///< printed, this value is left out
  bool may_be_null = false;      ///< null says that there is none (doc/schema_custom.hpp)
  Treatment treatment = Treatment::kEnforced;
};

/// The keys of one object. Immutable once built; lives as long as the program.
///
/// A definition is written by people: keys may be left out unless they are required, one text
/// stands for a list of one, and a finding says line and column. A record (`is_record`) is stored
/// or spoken by programs: every key is there unless it is optional, a list is a list, and a finding
/// says the path to the member.
struct ObjectSchema {
  std::string name;  ///< as a sentence begins with it: "a feature", "the route table"
  std::string about;
  bool is_record = false;
  std::string format{};  ///< of a record: the value of its member `format`; empty: it has none
  ErrorKind error_kind = ErrorKind::kInvalid;  ///< of a record that cannot be read
  std::string error_id{};
  std::string unknown_id{};  ///< where the first finding is an unknown member; empty: `error_id`
  std::string error_hint{};
  std::vector<Key> keys{};
  std::function<void(void* into, const Value&, Reader&)>
      finish{};                ///< after the keys: what concerns several
  std::string others_about{};  ///< members that no key names, which `finish` reads; empty: none
  std::function<void(const void* from, Value& into)> print_others{};
  bool null_is_absent = false;  ///< `key:` without a value counts as if the key were not there
};

/// Reads values by schemas and collects findings. One a file; not thread-safe.
class Reader {
 public:
  Reader(std::string_view text, std::string_view file, std::vector<Diagnostic>& diagnostics)
      : text_(text), file_(file), diagnostics_(diagnostics) {}

  void read(const ObjectSchema& object, const Value& value, void* into);
  /// The same for item `index` of the list that is being read.
  void read_item(const ObjectSchema& object, const Value& value, std::size_t index, void* into);
  /// The same for the item of that name of the map that is being read.
  void read_named(const ObjectSchema& object, const Value& value, std::string_view name,
                  void* into);
  void report(Position at, std::string id, std::string message, std::string hint, int length = 1);
  /// A finding about the member `key` of the record that is being read. `what` goes on after the
  /// member's path: "must rise".
  void refuse(std::string_view key, std::string_view what);
  /// That the record which is being read has no member of that name.
  void refuse_unknown(std::string_view key);
  /// A warning that is given once a file: at the first place where `topic` arises, with the number
  /// of the others.
  void warn_once(std::string topic, Position at, std::string id, std::string message,
                 std::string hint);
  /// That `key` says something which Heddle does not act on; `instead`: what to do about it.
  void not_enforced(std::string_view key, Position at, std::string instead);
  /// Hands over what `warn_once` collected. Call it when the file has been read.
  void finish();
  /// Where key `key` stands, whose value stands at `value`.
  [[nodiscard]] Position key_position(std::string_view key, Position value) const;
  [[nodiscard]] const std::string& file() const noexcept { return file_; }

 private:
  struct Once {
    Diagnostic diagnostic;
    int more = 0;
  };
  [[nodiscard]] bool has_shape(const ObjectSchema& object, const Key& key, const Value& value);
  [[nodiscard]] bool has_format(const ObjectSchema& object, const Value& value);
  [[nodiscard]] bool in_bounds(const ObjectSchema& object, const Key& key, const Value& value);
  void read_member(const ObjectSchema& object, const std::string& name, const Value& member,
                   void* into);
  void unknown_key(const ObjectSchema& object, const std::string& name, const Value& member);
  /// What a finding calls the key: its name in a definition, its path in a record.
  [[nodiscard]] std::string named(const ObjectSchema& object, std::string_view key) const;
  [[nodiscard]] std::string path_to(std::string_view key) const;
  [[nodiscard]] Diagnostic diagnostic(Position at, std::string id, std::string message,
                                      std::string hint) const;
  [[nodiscard]] std::string_view line(int number) const;

  std::map<std::string, Once> once_;
  std::string_view text_;
  std::string file_;
  std::string path_{};  ///< of the object that is being read: `canary`, `quarantined[2]`
  std::vector<Diagnostic>& diagnostics_;
};

/// What was found as one error of the schema's kind and id: the first finding, how many more there
/// are, and what to do.
[[nodiscard]] Error error_of(const ObjectSchema& object,
                             const std::vector<Diagnostic>& diagnostics);

/// The object's keys in their order, each as its `get` has it.
[[nodiscard]] Value print(const ObjectSchema& object, const void* from);

/// JSON Schema of an object, and its reference page.
[[nodiscard]] Value schema_of(const ObjectSchema& object);
[[nodiscard]] std::string reference_of(const ObjectSchema& object);
/// The table of the keys alone, as a section of a page.
[[nodiscard]] std::string key_table(const ObjectSchema& object);

}  // namespace heddle::doc
