#include "table/text_bytes.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/result.h>
#include <arrow/status.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>

namespace heddle::table {
namespace {

constexpr std::size_t kBlock = 256 << 10;  ///< bytes that are transcoded at once

enum class Encoding { kUtf8, kUtf16Little, kUtf16Big, kLatin1, kWindows1252 };

/// What Windows-1252 has in the place of Latin-1's control characters; 0: nothing.
constexpr std::array<char16_t, 32> kWindows = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/// A lone half of a pair is written as if it were a character: it is none, so that its cell is no
/// text and is refused where it stands.
void append_utf8(char32_t c, std::string& out) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6)), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3F)), put(0x80 | ((c >> 6) & 0x3F)),
        put(0x80 | (c & 0x3F));
  }
}

/// Turns bytes of an encoding into UTF-8, block by block.
class Transcoder {
 public:
  explicit Transcoder(Encoding encoding) : encoding_(encoding) {}
  [[nodiscard]] bool is_needed() const noexcept { return encoding_ != Encoding::kUtf8; }
  /// Ends within a character.
  [[nodiscard]] bool is_cut() const noexcept { return has_byte_; }

  void convert(std::string_view bytes, std::string& out) {
    const bool is_wide = encoding_ == Encoding::kUtf16Little || encoding_ == Encoding::kUtf16Big;
    for (const char c : bytes) {
      const auto byte = static_cast<unsigned char>(c);
      if (is_wide) {
        add_half(byte, out);
      } else if (encoding_ == Encoding::kWindows1252 && byte >= 0x80 && byte < 0xA0) {
        // Five bytes of the table are no character: their cell is no text.
        if (kWindows[byte - 0x80] != 0)
          append_utf8(kWindows[byte - 0x80], out);
        else
          out.push_back(c);
      } else {
        append_utf8(byte, out);
      }
    }
  }
  void finish(std::string& out) {
    if (high_ != 0) append_utf8(std::exchange(high_, 0), out);
  }

 private:
  void add_half(unsigned char byte, std::string& out) {
    if (!has_byte_) {
      byte_ = byte, has_byte_ = true;
      return;
    }
    has_byte_ = false;
    const char32_t unit =
        encoding_ == Encoding::kUtf16Big ? (byte_ << 8) | byte : (byte << 8) | byte_;
    if (unit >= 0xDC00 && unit < 0xE000 && high_ != 0) {
      append_utf8(0x10000 + ((high_ - 0xD800) << 10) + (unit - 0xDC00), out);
      high_ = 0;
      return;
    }
    finish(out);
    if (unit >= 0xD800 && unit < 0xDC00)
      high_ = unit;
    else
      append_utf8(unit, out);
  }

  Encoding encoding_;
  char32_t high_ = 0;  ///< the first half of a pair
  unsigned char byte_ = 0;
  bool has_byte_ = false;
};

class Text final : public arrow::io::InputStream {
 public:
  Text(std::shared_ptr<arrow::io::InputStream> bytes, std::string path, std::string_view packed,
       std::shared_ptr<TextFault> fault)
      : bytes_(std::move(bytes)),
        path_(std::move(path)),
        packed_(packed),
        fault_(std::move(fault)) {}

  /// Bytes as they are, before `set_encoding`, to look at; they are read again.
  arrow::Result<std::string_view> peek(std::size_t size) {
    while (pending_.size() < size) {
      const std::size_t had = pending_.size();
      pending_.resize(size);
      const auto read = raw_read(static_cast<std::int64_t>(size - had), pending_.data() + had);
      pending_.resize(had + static_cast<std::size_t>(read.ok() ? *read : 0));
      ARROW_RETURN_NOT_OK(read);
      if (pending_.size() == had) break;
    }
    return std::string_view(pending_);
  }
  /// After `peek`: what is pending becomes text, without `mark` bytes before it.
  void set_encoding(Encoding encoding, std::size_t mark) {
    coder_ = Transcoder(encoding);
    pending_.erase(0, mark);
    if (!coder_.is_needed()) return;
    std::string raw;
    raw.swap(pending_);
    coder_.convert(raw, pending_);
  }

  arrow::Result<std::int64_t> Read(std::int64_t size, void* out) override {
    auto* to = static_cast<char*>(out);
    std::int64_t done = 0;
    while (done < size) {
      if (at_ < pending_.size()) {
        const auto part =
            std::min<std::size_t>(static_cast<std::size_t>(size - done), pending_.size() - at_);
        std::memcpy(to + done, pending_.data() + at_, part);
        at_ += part, done += static_cast<std::int64_t>(part);
        continue;
      }
      pending_.clear(), at_ = 0;
      if (!coder_.is_needed()) {
        ARROW_ASSIGN_OR_RAISE(const std::int64_t read, raw_read(size - done, to + done));
        done += read;
        if (read == 0) break;
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(const bool more, fill());
      if (!more) break;
    }
    told_ += done;
    return done;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(std::int64_t size) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(size));
    ARROW_ASSIGN_OR_RAISE(const std::int64_t read, Read(size, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read, /*shrink_to_fit=*/false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Status Close() override { return bytes_->Close(); }
  [[nodiscard]] bool closed() const override { return bytes_->closed(); }
  [[nodiscard]] arrow::Result<std::int64_t> Tell() const override { return told_; }

 private:
  arrow::Result<std::int64_t> raw_read(std::int64_t size, char* out) {
    auto read = bytes_->Read(size, out);
    if (!packed_.empty() && read.ok()) {
      unpacked_ += *read;
      lines_ += std::count(out, out + *read, '\n');
    }
    if (read.ok()) return read;
    if (packed_.empty()) {
      fault_->set({ErrorKind::kIo, "file-read-failed",
                   fmt::format("cannot read `{}`: {}", path_, read.status().message()),
                   "check the disk"});
    } else {
      fault_->set({ErrorKind::kCorrupt, "table-compressed",
                   fmt::format("`{}` is damaged or cut off: its {} cannot be unpacked past line {} "
                               "({} bytes of text): {}",
                               path_, packed_, lines_ + 1, unpacked_, read.status().message()),
                   "copy the file again from where it came, or write it anew"});
    }
    return read;
  }

  arrow::Result<bool> fill() {
    std::string raw(kBlock, '\0');
    ARROW_ASSIGN_OR_RAISE(const std::int64_t read,
                          raw_read(static_cast<std::int64_t>(kBlock), raw.data()));
    if (read > 0) {
      coder_.convert({raw.data(), static_cast<std::size_t>(read)}, pending_);
      return true;
    }
    if (coder_.is_cut()) {
      fault_->set({ErrorKind::kCorrupt, "table-cut",
                   fmt::format("`{}` ends within a character: it is cut off", path_),
                   "copy the file again from where it came, or write it anew"});
      return arrow::Status::IOError("ends within a character");
    }
    coder_.finish(pending_);
    return !pending_.empty();
  }

  std::shared_ptr<arrow::io::InputStream> bytes_;
  std::string path_;
  std::string_view packed_;  ///< the name of the compression; empty: none
  std::shared_ptr<TextFault> fault_;
  Transcoder coder_{Encoding::kUtf8};
  std::string pending_;
  std::size_t at_ = 0;  ///< of `pending_`, what is not given yet
  std::int64_t told_ = 0;
  std::int64_t unpacked_ = 0;
  std::int64_t lines_ = 0;
};

arrow::Compression::type codec_of(Packing packing) {
  switch (packing) {
    case Packing::kGzip: return arrow::Compression::GZIP;
    case Packing::kZstd: return arrow::Compression::ZSTD;
    case Packing::kBzip2: return arrow::Compression::BZ2;
    case Packing::kLz4: return arrow::Compression::LZ4_FRAME;
    default: return arrow::Compression::UNCOMPRESSED;
  }
}

/// The encoding, and how long its mark is. A mark that contradicts the declaration is an error.
struct Marked {
  Encoding encoding = Encoding::kUtf8;
  std::size_t mark = 0;
};

Result<Marked> encoding_of(const std::string& path, std::string_view head,
                           const std::string& declared) {
  Marked found;
  std::string_view said;
  if (head.starts_with("\xef\xbb\xbf")) found = {Encoding::kUtf8, 3}, said = "utf-8";
  if (head.starts_with("\xff\xfe")) found = {Encoding::kUtf16Little, 2}, said = "utf-16";
  if (head.starts_with("\xfe\xff")) found = {Encoding::kUtf16Big, 2}, said = "utf-16";
  if (!said.empty()) {
    if (declared.empty() || declared == said) return found;
    return Error{ErrorKind::kInvalid, "table-encoding",
                 fmt::format("`{}` begins with the byte order mark of {}, its source declares {}",
                             path, said, declared),
                 "change or remove `encoding` of the source in heddle.yaml"};
  }
  if (declared == "utf-16") {
    return Error{ErrorKind::kInvalid, "table-encoding",
                 fmt::format("`{}` has no byte order mark, without which UTF-16 is not read", path),
                 "write it as UTF-8, or with a mark"};
  }
  if (declared == "latin-1") found.encoding = Encoding::kLatin1;
  if (declared == "windows-1252") found.encoding = Encoding::kWindows1252;
  return found;
}

std::string_view name_of(Encoding encoding) {
  switch (encoding) {
    case Encoding::kUtf16Little:
    case Encoding::kUtf16Big: return "UTF-16";
    case Encoding::kLatin1: return "Latin-1";
    case Encoding::kWindows1252: return "Windows-1252";
    default: return "";
  }
}

}  // namespace

Result<TextBytes> open_text(const std::string& path, Format format, const Form& form) {
  const auto cannot = [&](const arrow::Status& status) {
    return Error{ErrorKind::kIo, "file-read-failed",
                 fmt::format("cannot read `{}`: {}", path, status.message()), "check the disk"};
  };
  const Packing packing = packing_of(head_of(path));
  auto opened = arrow::io::ReadableFile::Open(path);
  if (!opened.ok()) return cannot(opened.status());
  std::shared_ptr<arrow::io::InputStream> bytes = *opened;
  if (packing != Packing::kNone) {
    auto codec = arrow::util::Codec::Create(codec_of(packing));
    if (!codec.ok()) return cannot(codec.status());
    // The stream keeps no codec: it has made its decompressor once it is there.
    auto unpacked = arrow::io::CompressedInputStream::Make(codec->get(), bytes);
    if (!unpacked.ok()) return cannot(unpacked.status());
    bytes = *unpacked;
  }
  TextBytes out;
  out.fault = std::make_shared<TextFault>();
  const auto text = std::make_shared<Text>(bytes, path, name_of(packing), out.fault);
  const auto head = text->peek(kSniffBytes);
  if (!head.ok()) return out.fault->get().value_or(cannot(head.status()));
  if (head->empty()) {
    return Error{ErrorKind::kInvalid, "table-empty-file",
                 fmt::format("`{}` holds nothing, compressed", path),
                 "write it again; the writer may have been cut off"};
  }
  if (packing != Packing::kNone) {
    if (auto other = not_a_table(path, *head, format, packing)) return std::move(*other);
  }
  out.is_whole = head->size() < kSniffBytes;
  HEDDLE_ASSIGN_OR_RETURN(const auto marked, encoding_of(path, *head, form.encoding));
  text->set_encoding(marked.encoding, marked.mark);
  const auto readable = text->peek(0);
  if (readable.ok()) out.head = *readable;
  out.stream = text;
  out.words = std::string(name_of(packing));
  if (const auto encoding = name_of(marked.encoding); !encoding.empty())
    out.words += (out.words.empty() ? "" : ", ") + std::string(encoding);
  return out;
}

}  // namespace heddle::table
