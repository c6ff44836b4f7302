#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "table/input.hpp"
#include "table/text_bytes.hpp"

namespace heddle::table {

/// How the text of one file is written, decided. Private to this module.
struct TextForm {
  char delimiter = ',';
  char decimal = '.';
  char quote = '"';           ///< `\0`: none
  char escape = '\0';         ///< `\0`: none
  bool has_sep_line = false;  ///< Excel's `sep=;` stands before the header
  std::vector<std::string> names{};
  std::vector<std::string> nulls{"", "NULL", "null"};

  /// What is not usual, for people; empty: nothing.
  [[nodiscard]] std::string words() const;
};

/// Decides what `form` leaves open by the beginning of a file, as UTF-8 without a mark; `is_whole`:
/// there is no more. The delimiter: the one of `,` `;` tab `|` that stands in the header outside
/// quotes and by which every row has as many cells as the header; of several that which makes most
/// columns (`sep=;` before the header says it); `table-delimiter` when two make as many; where none
/// does, the one that the header has most of. The decimal comma: only where cells are separated by
/// `;`, some number of a numeric column has a comma and none has a point. A column is numeric when
/// `types` says so; without `types` when each of its cells is a number.
[[nodiscard]] Result<TextForm> text_form(
    const std::string& path, std::string_view head, bool is_whole, const Form& form,
    const std::map<std::string, expr::Type, std::less<>>& types);

/// The same of a file that was opened, with what its name says: `x.tsv`.
[[nodiscard]] Result<TextForm> csv_form(
    const std::string& path, const TextBytes& bytes, const Form& form,
    const std::map<std::string, expr::Type, std::less<>>& types);

/// "tabs", "`;`".
[[nodiscard]] std::string name_of_delimiter(char delimiter);

}  // namespace heddle::table
