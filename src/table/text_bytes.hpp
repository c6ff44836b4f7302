#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "table/file_kind.hpp"
#include "table/input.hpp"

namespace arrow::io {
class InputStream;
}  // namespace arrow::io

namespace heddle::table {

/// The most bytes of a file that are looked at to decide how it is written.
inline constexpr std::size_t kSniffBytes = 256 << 10;

/// What went wrong below Arrow's parser, which only has a message for it. Thread-safe.
class TextFault {
 public:
  void set(Error error) {
    const std::lock_guard guard(mutex_);
    if (!error_) error_ = std::move(error);
  }
  [[nodiscard]] std::optional<Error> get() const {
    const std::lock_guard guard(mutex_);
    return error_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

/// The text of a file as UTF-8 without a byte order mark, whatever it is compressed with and
/// encoded in; read once, from the beginning, in bounded memory. Private to this module.
struct TextBytes {
  std::shared_ptr<arrow::io::InputStream> stream{};  ///< gives less than is asked at its end only
  std::shared_ptr<TextFault> fault{};  ///< `table-compressed`, `table-cut`: of the stream
  std::string head{};                  ///< its first bytes, at most `kSniffBytes`
  bool is_whole = false;               ///< `head` is all
  std::string words{};                 ///< "gzip, UTF-16"; empty: neither
};

/// `table-format` when what is in the compression is no text of the format, `table-encoding` when
/// the mark says another encoding than was declared, `table-empty-file`, `table-compressed`.
[[nodiscard]] Result<TextBytes> open_text(const std::string& path, Format format, const Form& form);

}  // namespace heddle::table
