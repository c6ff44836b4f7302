#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heddle::page {

/// `<`, `>`, `&` and quotes as entities.
[[nodiscard]] std::string escape_html(std::string_view text);

/// A page that needs nothing beside it: its head, the one style of all pages, and its heading.
/// `title` and `heading` are text.
[[nodiscard]] std::string open_page(std::string_view title, std::string_view heading);
[[nodiscard]] std::string close_page();

/// A number that is read first, in a row of such (`<div class="facts">`). Both are text; `css`:
/// `good` or `bad`.
[[nodiscard]] std::string fact(std::string_view value, std::string_view label,
                               std::string_view css = {});
/// `content` is HTML, `caption` is text and may be empty.
[[nodiscard]] std::string figure(std::string_view caption, std::string_view content);

/// A table. A header cell that begins with `#` heads a column of numbers.
class HtmlTable {
 public:
  explicit HtmlTable(const std::vector<std::string>& head);
  /// Cells are HTML already.
  void row(const std::vector<std::string>& cells);
  [[nodiscard]] std::string str() const { return out_ + "</table></div>"; }

 private:
  std::string out_;
  std::vector<bool> numeric_;
};

}  // namespace heddle::page
