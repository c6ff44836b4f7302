#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace arrow::io {
class InputStream;
}  // namespace arrow::io

namespace heddle::table {

/// Looks at the quotes of a CSV on its way to Arrow's parser, which takes whatever there is: of a
/// file that is cut off inside a quoted cell it makes one long cell of the rest, and of `"a\"b"`
/// the text `a\b"`. One thread at a time; the answers hold once the file was read to its end.
class CsvScan {
 public:
  enum class Fault { kNone, kNotClosed, kTextAfterQuote };
  /// How cells are separated and quoted; `\0`: not at all. See `TextForm`.
  explicit CsvScan(char delimiter = ',', char quote = '"', char escape = '\0')
      : delimiter_(delimiter), quote_(quote), escape_(escape) {}
  [[nodiscard]] Fault fault() const noexcept;
  /// The line of the file, from 1, in which the cell of the fault begins.
  [[nodiscard]] std::int64_t line() const noexcept { return opened_line_; }
  /// Whether the last row so far has its line end.
  [[nodiscard]] bool ends_line() const noexcept { return last_ == '\n' || last_ == '\r'; }

  void scan(std::string_view block);

 private:
  void count_lines(std::string_view block, std::size_t end);
  [[nodiscard]] bool is_doubled(char next);
  void take_quote(std::string_view block, std::size_t quote, char before);
  [[nodiscard]] bool is_escaped(std::string_view block, std::size_t quote) const;

  char delimiter_, quote_, escape_;

  std::size_t counted_ = 0;  ///< bytes of the present block whose line ends are in `line_`
  std::int64_t line_ = 1;
  std::int64_t opened_line_ = 0;
  char last_ = '\n';          ///< the byte before the next block
  bool is_escaping_ = false;  ///< the block before ended with an escape that the next byte is of
  bool is_first_ = true;
  bool is_quoted_ = false;       ///< inside a quoted cell
  bool is_after_quote_ = false;  ///< the last byte was a quote in one: its end, or half of two
  bool is_text_after_ = false;
};

/// `file` as it is read, each byte seen by `scan`. A line end is added where the last row has none:
/// Arrow calls a header without one an empty file.
[[nodiscard]] std::shared_ptr<arrow::io::InputStream> scanned(
    std::shared_ptr<arrow::io::InputStream> file, std::shared_ptr<CsvScan> scan);

}  // namespace heddle::table
