#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "expr/builtins.hpp"
#include "expr/code.hpp"

namespace heddle::expr {

// Evaluation of runs of rows at once. Private to this module.

/// Rows of a run: small enough that a handful of vectors stay in the first cache.
inline constexpr std::size_t kRun = 1024;

/// The values of one part of an expression over a run. Either packed by `kind`, or boxed (texts,
/// and whatever a host function mixes). `states` is nullptr where every row has a value. A constant
/// stands for itself in every row.
struct Vector {
  Datum::Kind kind = Datum::Kind::kNull;  ///< of the packed values; kNull: no row has one
  bool is_boxed = false;
  bool is_constant = false;
  const std::uint8_t* states = nullptr;
  const std::uint8_t* bools = nullptr;
  const std::int64_t* ints = nullptr;
  const double* doubles = nullptr;
  const Datum* boxed = nullptr;
  Datum constant{};

  [[nodiscard]] Datum at(std::size_t row) const noexcept;
  /// Packed values of this kind, or a constant of it.
  [[nodiscard]] bool holds(Datum::Kind wanted) const noexcept {
    return !is_boxed && (is_constant ? constant.kind : kind) == wanted;
  }
};

/// Memory of one place of the stack.
struct VectorBuffer {
  std::array<std::uint8_t, kRun> states{};
  std::array<std::uint8_t, kRun> bools{};
  std::array<std::int64_t, kRun> ints{};
  std::array<double, kRun> doubles{};
  std::vector<Datum> boxed{};  ///< kRun once it is asked for
};

/// What part of an expression gives for each distinct text of the one column it reads; the last
/// entry is what it gives where the text is missing.
struct TextTable {
  std::size_t begin = 0;  ///< instructions of the part
  std::size_t end = 0;
  int variable = 0;
  Datum::Kind kind = Datum::Kind::kNull;
  bool is_boxed = false;
  bool always = false;  ///< every text has a value
  std::vector<std::uint8_t> states;
  std::vector<std::int64_t> words;  ///< packed values: bools, integers, the bits of doubles
  std::vector<Datum> boxed;
};

/// What evaluating columns needs beyond a row's stack.
struct ColumnScratch {
  std::vector<std::unique_ptr<VectorBuffer>> buffers;
  std::vector<Vector> stack;
  std::vector<TextTable> tables;
  std::vector<Datum> arguments;
  std::vector<std::int32_t> codes;  ///< 0, 1, 2 ...: every text of a dictionary in its order
  std::vector<std::uint8_t> valid;  ///< all but the last, which is missing
  StringPool run_strings;           ///< made in this run
  StringPool table_strings;         ///< in `tables`
};

struct Program::Scratch::Buffers {
  std::vector<Datum> stack;
  StringPool strings;
  std::unique_ptr<ColumnScratch> columns;
};

/// A part of a program that reads one variable and does more than that.
struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;
  int variable = 0;
};
/// The largest parts that read one variable only, in their order.
[[nodiscard]] std::vector<Part> parts_of_one_variable(const Program::Code& code);

}  // namespace heddle::expr
