#pragma once

#include <cstdint>
#include <vector>

#include "feature/code.hpp"
#include "table/key_column.hpp"

namespace heddle::feature {

/// Rows that are computed at a time.
inline constexpr std::int64_t kBlock = 1 << 15;

/// A fitted program over columns, a block of rows after the other: the same bits as `apply_row`.
/// Private to this module; one thread.
class Columns {
 public:
  /// `fields`: the columns of the fields, whole.
  Columns(const Program::Code& code, std::vector<expr::ColumnView> fields);

  /// Rows [begin, end) into `out`, one after the other, from its first place on.
  void apply(std::int64_t begin, std::int64_t end, float* out);

 private:
  /// What one step made of a block.
  struct Values {
    std::vector<std::int64_t> ints;
    std::vector<double> doubles;
    std::vector<std::int32_t> codes;
    std::vector<std::uint8_t> valid;
    table::StringIndex texts;  ///< of all blocks: a text keeps its code
    std::vector<std::string_view> dictionary;
    expr::ColumnView view;
  };

  void compute(std::size_t step, std::size_t rows);
  void take(const expr::Batch& batch, Values& to);
  static void add(const expr::Datum& value, Values& to);
  void encode(const Step& step, std::size_t rows, Values& to);
  void look_up(const Step& step, std::size_t rows, Values& to);
  /// The tuple of each row of a combination, found once a block.
  const std::vector<std::int32_t>& tuples_of(std::size_t combination, std::size_t rows);
  void write(std::size_t step, std::size_t rows, float* out) const;

  const Program::Code& code_;
  std::vector<expr::ColumnView> fields_;
  std::vector<expr::ColumnView> slots_;                     ///< of the block: fields, then steps
  std::vector<Values> values_;                              ///< of each step
  std::vector<table::KeyColumn> keys_;                      ///< of each input
  std::vector<std::vector<table::KeyColumn>> lookup_keys_;  ///< of each part of each lookup
  std::vector<std::vector<std::int32_t>> tuples_;
  std::vector<std::uint8_t> has_tuples_;  ///< of the block
  expr::Program::Scratch scratch_;
};

}  // namespace heddle::feature
