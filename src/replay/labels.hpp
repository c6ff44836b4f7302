#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "expr/datum.hpp"
#include "stats/task.hpp"
#include "table/table.hpp"

namespace heddle::replay {

/// What became of each row: a true-or-false value, a class or a number; nothing where the target is
/// null, fails or is no finite number. A value type; reading is thread-safe.
class Labels {
 public:
  Labels() = default;  ///< of no rows
  /// The target over recorded rows, an expression over their columns. kInvalid (`replay-target`)
  /// when it is of another type.
  [[nodiscard]] static Result<Labels> open(const std::string& target, const table::Table& rows);

  [[nodiscard]] expr::Type type() const noexcept { return type_; }
  [[nodiscard]] std::optional<stats::Label> at(std::size_t row) const;
  /// The same as a value of an expression; null where nobody knows. A string is borrowed until the
  /// next `set`.
  [[nodiscard]] expr::Datum value(std::size_t row) const;
  void set(std::size_t row, const expr::Datum& value);
  /// Leaves the other rows out; `rows` ascend.
  void keep(std::span<const std::int64_t> rows);
  [[nodiscard]] std::int64_t unknown() const noexcept;  ///< rows of which nobody knows

 private:
  expr::Type type_ = expr::Type::kBool;
  /// 0 or 1 of a true-or-false target, a position in `words_` of one of strings, else the number;
  /// NaN: none.
  std::vector<double> codes_;
  std::vector<std::string> words_;  ///< in order of first use
  std::unordered_map<std::string, std::size_t> places_;
};

/// A label as JSON: of a true-or-false target 1 or 0.
void append_label(const stats::Label& label, std::string& out);

}  // namespace heddle::replay
