#include "table/csv_scan.hpp"

#include <algorithm>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

namespace heddle::table {
namespace {

class Scanned final : public arrow::io::InputStream {
 public:
  Scanned(std::shared_ptr<arrow::io::InputStream> file, std::shared_ptr<CsvScan> scan)
      : file_(std::move(file)), scan_(std::move(scan)) {}

  arrow::Result<std::int64_t> Read(std::int64_t bytes, void* out) override {
    if (is_ended_ || bytes <= 0) return 0;
    ARROW_ASSIGN_OR_RAISE(const std::int64_t read, file_->Read(bytes, out));
    scan_->scan({static_cast<const char*>(out), static_cast<std::size_t>(read)});
    if (read == bytes) return read;
    // A file gives less than is asked for at its end only. The line end belongs to the same block:
    // Arrow takes the header from the first one.
    is_ended_ = true;
    if (scan_->ends_line()) return read;
    static_cast<char*>(out)[read] = '\n';
    return read + 1;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(std::int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(bytes));
    ARROW_ASSIGN_OR_RAISE(const std::int64_t read, Read(bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read, /*shrink_to_fit=*/false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Status Close() override { return file_->Close(); }
  [[nodiscard]] bool closed() const override { return file_->closed(); }
  [[nodiscard]] arrow::Result<std::int64_t> Tell() const override { return file_->Tell(); }

 private:
  std::shared_ptr<arrow::io::InputStream> file_;
  std::shared_ptr<CsvScan> scan_;
  bool is_ended_ = false;
};

}  // namespace

CsvScan::Fault CsvScan::fault() const noexcept {
  if (is_text_after_) return Fault::kTextAfterQuote;
  return is_quoted_ && !is_after_quote_ ? Fault::kNotClosed : Fault::kNone;
}

void CsvScan::count_lines(std::string_view block, std::size_t end) {
  line_ += std::count(block.begin() + static_cast<std::ptrdiff_t>(counted_),
                      block.begin() + static_cast<std::ptrdiff_t>(end), '\n');
  counted_ = end;
}

/// Whether an odd run of escapes stands before the quote.
bool CsvScan::is_escaped(std::string_view block, std::size_t quote) const {
  std::size_t begin = quote;
  while (begin > 0 && block[begin - 1] == escape_) --begin;
  return ((quote - begin) % 2 == 1) != (begin == 0 && is_escaping_);
}

/// What stands behind a quote in a quoted cell says what it was. True where the quote was the first
/// of two, which are one of the text; else it was the cell's end, and a separator has to follow.
bool CsvScan::is_doubled(char next) {
  is_after_quote_ = false;
  if (next == quote_) return true;
  is_quoted_ = false;
  is_text_after_ = next != delimiter_ && next != '\n' && next != '\r';
  return false;
}

/// A quote, and the character before it.
void CsvScan::take_quote(std::string_view block, std::size_t quote, char before) {
  if (is_quoted_) {
    is_after_quote_ = escape_ == '\0' || !is_escaped(block, quote);
    return;
  }
  is_quoted_ = before == delimiter_ || before == '\n' || before == '\r';
  if (!is_quoted_) return;
  // Lines are counted only as far as somebody may have to be told of them.
  count_lines(block, quote);
  opened_line_ = line_;
}

/// Goes from quote to quote. One opens a cell at its beginning only; elsewhere it is a character.
void CsvScan::scan(std::string_view block) {
  if (block.empty() || is_text_after_) return;
  if (quote_ == '\0') {
    last_ = block.back();
    return;
  }
  std::size_t at = is_first_ && block.starts_with("\xef\xbb\xbf") ? 3 : 0;
  const std::size_t begin = at;
  is_first_ = false;
  counted_ = 0;
  while (at < block.size()) {
    if (is_after_quote_ && is_doubled(block[at])) {
      ++at;
      continue;
    }
    if (is_text_after_) return;
    const std::size_t quote = block.find(quote_, at);
    if (quote == std::string_view::npos) break;
    take_quote(block, quote, quote == begin ? last_ : block[quote - 1]);
    at = quote + 1;
  }
  count_lines(block, block.size());
  is_escaping_ = escape_ != '\0' && is_escaped(block, block.size());
  last_ = block.back();
}

std::shared_ptr<arrow::io::InputStream> scanned(std::shared_ptr<arrow::io::InputStream> file,
                                                std::shared_ptr<CsvScan> scan) {
  return std::make_shared<Scanned>(std::move(file), std::move(scan));
}

}  // namespace heddle::table
