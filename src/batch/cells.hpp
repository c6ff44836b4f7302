#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "table/stream.hpp"
#include "table/table.hpp"

namespace heddle::batch {

/// Where in a file the request fields of a contract are: turns its rows into what a request would
/// bring. Immutable.
class Cells {
 public:
  /// kUnprocessable `score-contract-mismatch`: see batch.hpp.
  [[nodiscard]] static Result<Cells> match(std::span<const spec::Field> fields,
                                           const table::TableReader& file, const std::string& path);

  /// What a text of a file becomes on its way to the contract.
  enum class Texts : std::uint8_t {
    kTyped,      ///< a value of its field's type, or none
    kTypedElse,  ///< that, and where it is none the text: the field's repairs may know it
    kAsTheyAre,  ///< only the field's repairs can read it
  };

  /// Fields that need not be there and have no column: missing in every row.
  [[nodiscard]] const std::vector<std::string>& absent() const noexcept { return absent_; }

  /// A column of one chunk; none for a field that the file does not have.
  struct Source {
    const table::Column* column = nullptr;
    expr::ColumnView view{};
  };
  /// In the order of the request fields; borrowed from the chunk.
  [[nodiscard]] std::vector<Source> of(const table::Table& chunk) const;
  void row(std::span<const Source> sources, std::int64_t row,
           std::vector<expr::Datum>& out) const noexcept;

 private:
  std::vector<std::string> absent_;
  std::vector<int> column_;       ///< of each field; -1: none
  std::vector<expr::Type> type_;  ///< of each field
  std::vector<Texts> texts_;      ///< likewise
  bool text_ = false;
  char decimal_ = '.';  ///< of numbers that are text
};

}  // namespace heddle::batch
