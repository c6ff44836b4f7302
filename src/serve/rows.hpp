#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "expr/datum.hpp"
#include "serve/outputs.hpp"
#include "spec/contract.hpp"
#include "stats/task.hpp"

namespace heddle::serve {

/// The fields of a contract's rows by name.
class FieldNames {
 public:
  FieldNames() = default;
  explicit FieldNames(std::span<const spec::Field> fields);
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  /// The place of `name`, looked for at `hint` first: fields mostly come in their order. -1: there
  /// is none.
  [[nodiscard]] int find(std::string_view name, std::size_t hint) const noexcept;
  [[nodiscard]] std::string list() const;  ///< for a message: "`a`, `b`"

 private:
  std::vector<std::string> names_;
  std::vector<std::uint32_t> by_name_;  ///< places, in the order of the names
};

/// A body that was understood: rows x fields of what arrived, nulls where nothing did. Strings are
/// borrowed from the body and the reader.
struct Rows {
  std::string_view request_id{};  ///< empty: none given
  std::string_view source{};
  std::string_view model{};  ///< as the body names it; empty: it does not
  std::optional<Micros> event_time{};
  std::int64_t timeout_us = 0;  ///< how long the client waits for an answer; 0: it did not say
  std::size_t count = 0;
  std::vector<expr::Datum> values{};  ///< count x fields, row-major
  OutputSpecs outputs{};

  /// Rules that rows break before the contract sees them: `unknown-field/NAME` for a field that the
  /// contract does not have, `not-a-scalar/NAME` for an array or an object. By row, at most
  /// `kMostStray` a row.
  struct Stray {
    std::uint32_t row = 0;
    std::string rule{};
  };
  std::vector<Stray> stray{};

  void clear();
  /// Notes that `row` breaks `rule` on the field `name`, of which what a rule id may hold is kept.
  void add_stray(std::size_t row, std::string_view rule, std::string_view name);
  /// Those of one row; `stray` is in the order of the rows.
  [[nodiscard]] std::span<const Stray> stray_of(std::size_t row) const noexcept;
  [[nodiscard]] std::span<const expr::Datum> row(std::size_t i, std::size_t fields) const noexcept {
    return {values.data() + i * fields, fields};
  }
};

inline constexpr std::string_view kUnknownField = "unknown-field";
inline constexpr std::string_view kNotAScalar = "not-a-scalar";
inline constexpr std::size_t kMostStray = 4;

struct LabelIn {
  std::string_view row_id{};            ///< empty: none, or none that a row could have
  std::optional<stats::Label> label{};  ///< none: it is missing, null, an array or an object
  std::optional<Micros> event_time{};
  std::optional<Error> fault{};  ///< of a member that means nothing: this label is refused
};

/// Whether this can be the label of a row: its `fault`; `label-value` where there is none, and of a
/// binary task where it is no value of the target; of the others the ids of `Task::code_of`;
/// `label-row-id` when no row can have the id.
[[nodiscard]] Result<void> check_label(const LabelIn& label, const stats::Task& task);
/// Whether a row can have its id.
[[nodiscard]] bool is_of_a_row(const LabelIn& label) noexcept;
/// Of a label that `check_label` refused: whether it names a class, not longer than a message
/// quotes it, that the model does not have. The journal keeps it, for the watch to count: it is no
/// label.
[[nodiscard]] bool is_of_a_new_class(const LabelIn& label, const Error& refused) noexcept;

/// Longer than any client waits: a timeout past it is one of it, which no arithmetic overflows.
inline constexpr std::int64_t kLongestTimeoutUs = 86'400'000'000;

/// What a message quotes of a name that a client chose, however long it is.
inline constexpr std::size_t kMostShown = 100;
[[nodiscard]] std::string_view shown(std::string_view name) noexcept;

/// `request-repeated`: a request gives `name` twice.
[[nodiscard]] Error repeated(std::string_view name);

inline constexpr std::size_t kLongestId = 128;
inline constexpr std::size_t kLongestIndex = 11;  ///< `#` and a place

/// Request ids go into row ids, logs and answers as they are: 1 to 128 printable characters without
/// quotes and backslashes; `#` only in row ids, which are longer by it and the place.
[[nodiscard]] bool is_id(std::string_view text, bool with_hash = false) noexcept;

}  // namespace heddle::serve
