#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "contract/code.hpp"
#include "table/table.hpp"

namespace heddle::contract {

// Checking by columns. Private to this module. What a value is judged by is written once, in
// `Contract::Code::check_field`: it is asked once for each distinct text, and row by row where a
// column is rare. The loops here are for numbers and times that have their field's type.

/// The columns of a contract's fields over a table, those with repairs repaired; nullptr for a
/// label field that the table does not have. Borrows the others from the table.
class RepairedRows {
 public:
  /// kUnprocessable where a request field has no column.
  [[nodiscard]] static Result<RepairedRows> of(const Contract::Code& code,
                                               const table::Table& rows);
  [[nodiscard]] std::span<const table::Column* const> columns() const noexcept { return columns_; }
  /// Values that each repair changed.
  [[nodiscard]] std::vector<std::int64_t> counts() && { return std::move(counts_); }

 private:
  std::vector<const table::Column*> columns_{};
  std::vector<std::unique_ptr<const table::Column>> repaired_{};
  std::vector<std::int64_t> counts_{};
};

/// Rows that are judged at a time.
inline constexpr std::int64_t kBlock = 1 << 16;

/// The rules of a field that a row breaks, a bit each.
using Mask = std::uint8_t;
inline constexpr Mask kTypeBit = 1;
inline constexpr Mask kRequiredBit = 2;
inline constexpr Mask kRangeBit = 8;
inline constexpr std::size_t kFieldRules = 8;

/// One field of a contract over one column, a block after the other. One thread.
class FieldColumn {
 public:
  FieldColumn(const Contract::Code& code, std::size_t field, const table::Column& column);

  /// Judges rows [begin, end) of the column.
  void judge(std::int64_t begin, std::int64_t end);

  /// Of the block: the values as the contract types them, row 0 being its first one.
  [[nodiscard]] const expr::ColumnView& view() const noexcept { return view_; }
  /// Of the block, one a row; meaningless unless `any_broken`.
  [[nodiscard]] std::span<const Mask> masks() const noexcept { return masks_; }
  [[nodiscard]] bool any_broken() const noexcept { return any_ != 0; }
  /// Whether a cell of the block is malformed.
  [[nodiscard]] bool any_malformed() const noexcept { return (any_ & kTypeBit) != 0; }
  /// The rule of a bit, or -1.
  [[nodiscard]] int rule(std::size_t bit) const noexcept { return rules_[bit]; }

 private:
  /// What one distinct text is to the field.
  struct Text {
    std::uint8_t state = 0;  ///< 0: not looked at yet; 1: a value; 2: none
    Mask mask = 0;
    std::int64_t value = 0;  ///< of a timestamp
  };

  void judge_texts();
  void judge_rows();
  void judge_reals();
  template <class Judge>
  void judge_whole(const Judge& judge);
  void judge_integers();
  void judge_times();
  /// Asks the row's own check; the value, null where there is none.
  expr::Datum ask(const expr::Datum& raw, Mask& mask);
  /// What the row has that the column has no value for.
  [[nodiscard]] Mask mask_of_missing(std::size_t i) const noexcept;
  void finish_validity();
  [[nodiscard]] std::size_t at(std::size_t i) const noexcept {
    return static_cast<std::size_t>(begin_) + i;
  }

  const Contract::Code& code_;
  std::size_t field_;
  const table::Column& column_;
  expr::ColumnView raw_;
  std::array<int, kFieldRules> rules_;
  Mask required_ = 0;  ///< kRequiredBit where the field has that rule
  Mask range_ = 0;
  bool is_quick_ = false;  ///< a loop of its own judges it
  std::int64_t begin_ = 0;
  std::size_t rows_ = 0;
  Mask any_ = 0;
  std::vector<Mask> masks_;
  std::vector<std::uint8_t> valid_;
  std::vector<std::int64_t> ints_;
  std::vector<double> doubles_;
  std::vector<std::int32_t> codes_;
  std::vector<Text> texts_;
  RowCheck row_;
  expr::ColumnView view_;
};

}  // namespace heddle::contract
