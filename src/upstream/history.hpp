#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "contract/contract.hpp"
#include "spec/upstream.hpp"
#include "table/input.hpp"
#include "table/key_column.hpp"
#include "table/lookup.hpp"
#include "table/table.hpp"
#include "upstream/series.hpp"

namespace heddle::upstream {

/// A column of a source that is needed, as values of a field's type; kDyn: of whatever type it is.
struct NeededColumn {
  std::string name;
  expr::Type type = expr::Type::kDouble;
  bool operator==(const NeededColumn&) const = default;
};

/// The rows of one source in the order of their key and time, as far as fields need them. Rows of
/// one key and one time stay in the order of the file. Immutable once read; reading is thread-safe.
class History {
 public:
  struct Options {
    std::string source{};  ///< for people
    table::Input input{};
    std::vector<NeededColumn> key{};
    std::string time{};
    std::vector<NeededColumn> values{};
    /// Of rows that this contract describes: its fields' columns are read as it repairs them. Null:
    /// the source is another table. Borrowed for the call.
    const contract::Contract* of_rows = nullptr;
  };
  /// kNotFound and kUnprocessable: the source, or a column of it, is not there or cannot be read as
  /// what is needed; `upstream-no-time` when it has rows and none has a time.
  [[nodiscard]] static Result<History> read(const Options& options);

  /// Its column for `values[i]` of the options, one value a row in the history's order.
  [[nodiscard]] const table::Column& value(std::size_t i) const noexcept { return values_[i]; }
  [[nodiscard]] std::span<const table::KeyPart> key_parts() const noexcept { return parts_; }
  /// The code of a key; nothing: no row has it.
  [[nodiscard]] std::optional<std::int32_t> find(std::span<const std::int64_t> key) const noexcept;
  /// Rows of a key with `from <= time < before`.
  [[nodiscard]] Range between(std::int32_t code, Micros from, Micros before) const noexcept;
  /// What could not be read, in words.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
  [[nodiscard]] std::int64_t rows() const noexcept { return std::ssize(times_); }

 private:
  /// The code of each row's key; -1 where a part of it, or the time, is missing.
  [[nodiscard]] std::vector<std::int32_t> number(const std::vector<table::Column>& keys,
                                                 const table::Column& time);
  /// Where the rows with these codes stand in order, by their places in the file.
  [[nodiscard]] std::vector<std::int64_t> order(const std::vector<std::int32_t>& codes,
                                                const table::Column& time);

  std::vector<table::KeyPart> parts_{};
  table::TupleIndex keys_{};
  std::vector<std::size_t> ends_{};  ///< row after the last one of each key
  std::vector<Micros> times_{};
  std::vector<table::Column> values_{};
  std::vector<std::string> notes_{};
};

/// A column as values of `type`, by `table::as_type`; what is none of it is missing. `lost`: how
/// many there are of these.
[[nodiscard]] table::Column column_as(const table::Column& column, expr::Type type,
                                      std::int64_t& lost);

}  // namespace heddle::upstream
