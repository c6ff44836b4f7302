#include <fmt/format.h>

#include "table/input.hpp"
#include "table/one_file.hpp"
#include "table/text_bytes.hpp"
#include "table/text_form.hpp"

namespace heddle::table {

Result<std::string> form_in_words(const Input& input,
                                  const std::map<std::string, expr::Type, std::less<>>& types) {
  HEDDLE_ASSIGN_OR_RETURN(const auto parts, parts_of(input));
  const std::string& path = parts.front().path;
  HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(path, input.form));
  if (!is_text(format)) return std::string();
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, open_text(path, format, input.form));
  if (format != Format::kCsv) return bytes.words;
  HEDDLE_ASSIGN_OR_RETURN(const auto form, csv_form(path, bytes, input.form, types));
  const std::string words = form.words();
  return words.empty() || bytes.words.empty() ? words + bytes.words
                                              : fmt::format("{}, {}", words, bytes.words);
}

}  // namespace heddle::table
