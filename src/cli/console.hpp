#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "doc/value.hpp"

namespace heddle::cli {

/// How a command speaks: data on stdout, messages on stderr, colour only for a person at a terminal
/// (`NO_COLOR` respected). A value type.
class Console {
 public:
  /// `document_file`: the JSON of the command, its data or its error, goes there instead; for a
  /// process that the control plane started.
  explicit Console(bool json, std::string document_file = {});
  [[nodiscard]] bool json() const noexcept { return json_; }
  [[nodiscard]] bool color() const noexcept { return color_; }

  void data(std::string_view text) const;        ///< a line to stdout
  void document(const doc::Value& value) const;  ///< pretty JSON to stdout, or to its file
  void message(std::string_view text) const;     ///< a line to stderr
  /// Prints the error (as JSON under `--json`) to stderr and returns its exit code.
  int fail(const Error& error) const;
  [[nodiscard]] std::string paint(std::string_view code,
                                  std::string_view text) const;  ///< ANSI code, or the text itself

 private:
  bool json_;
  std::string document_file_;
  bool color_;
};

/// Rows of text in columns as wide as their widest cell, two spaces apart; the first row is the
/// head.
[[nodiscard]] std::string format_rows(const std::vector<std::vector<std::string>>& rows);

}  // namespace heddle::cli
