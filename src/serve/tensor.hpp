#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "serve/datatype.hpp"
#include "serve/rows.hpp"

namespace heddle::serve {

/// An element of BYTES. Bytes that are not UTF-8 are an error, which is a value of no field: they
/// refuse their row.
[[nodiscard]] expr::Datum bytes_element(std::string_view bytes) noexcept;

/// IEEE 754 binary16, and the upper half of a binary32.
[[nodiscard]] double from_fp16(std::uint16_t bits) noexcept;
[[nodiscard]] double from_bf16(std::uint16_t bits) noexcept;

/// Builds `Rows` from tensors, one a field, each [n] or [n,1], however they arrive (JSON, binary,
/// protobuf). Memory is taken only for a count of rows that was checked against the limit. Confined
/// to one thread; reused.
class TensorRows {
 public:
  void begin(const FieldNames& fields, std::size_t max_rows, Rows& rows);

  struct Input {
    std::size_t column = 0;  ///< past the fields: one that the contract does not have
    Datatype datatype = Datatype::kFp64;
    std::string_view name;  ///< borrowed
  };
  /// Checks name, datatype and shape of the next tensor. Errors name the input: `request-repeated`,
  /// `oip-datatype`, `oip-shape`, `request-too-many-rows`.
  [[nodiscard]] Result<Input> input(std::string_view name, std::string_view datatype,
                                    std::span<const std::int64_t> shape);
  [[nodiscard]] std::size_t count() const noexcept { return rows_->count; }
  /// One element; false when the value does not fit the datatype. NaN is a missing value.
  [[nodiscard]] bool put(const Input& input, std::size_t row, const expr::Datum& value) noexcept;
  /// The same of an integer past the signed ones, which only UINT64 and the real datatypes hold.
  [[nodiscard]] bool put_unsigned(const Input& input, std::size_t row,
                                  std::uint64_t value) noexcept;
  /// All elements from raw bytes: little-endian, BYTES each after a 4-byte length. `oip-data` when
  /// they are not exactly that many. Strings are borrowed from `bytes`.
  [[nodiscard]] Result<void> put_raw(const Input& input, std::string_view bytes);

  /// After the last tensor: each row breaks `unknown-field` for each input that the contract does
  /// not have.
  void finish();

  [[nodiscard]] static Error wrong_data(std::string_view name, std::string_view what);

 private:
  const FieldNames* fields_ = nullptr;
  Rows* rows_ = nullptr;
  std::size_t max_rows_ = 0;
  std::size_t expected_ = 0;
  std::vector<std::string> unknown_;  ///< inputs that are no fields, at most `kMostStray`
  std::vector<std::uint8_t> seen_;
};

}  // namespace heddle::serve
