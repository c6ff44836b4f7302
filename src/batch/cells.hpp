#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::batch {

/// A value of CSV: what `type` makes of its text, else the text itself. Strict: nothing before or after a number.
[[nodiscard]] expr::Datum datum_of_text(std::string_view text, expr::Type type) noexcept;

/// Where in a file the request fields of a contract are: turns its rows into what a request would bring. Immutable.
class Cells {
 public:
  /// kUnprocessable `score-contract-mismatch`: see batch.hpp.
  [[nodiscard]] static Result<Cells> match(std::span<const spec::Field> fields, const table::TableReader& file, const std::string& path);

  /// The views of one chunk, in the order of the request fields; a field without a column has an empty one.
  [[nodiscard]] std::vector<expr::ColumnView> of(const table::Table& chunk) const;
  void row(std::span<const expr::ColumnView> views, std::int64_t row, std::vector<expr::Datum>& out) const noexcept;

 private:
  std::vector<int> column_;        ///< of each field; -1: none
  std::vector<expr::Type> type_;   ///< of each field
  bool text_ = false;
};

}  // namespace heddle::batch
