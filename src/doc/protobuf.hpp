#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::doc {

/// Reads the fields of one protobuf message in their order
/// (https://protobuf.dev/programming-guides/encoding). Views point into the bytes given; nothing is
/// allocated but what a caller's vector takes, which the bytes at hand bound. After anything
/// malformed `failed()` is true and there is no next field.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes) : bytes_(bytes) {}

  /// Goes to the next field; the content of the one before is skipped unless it was read.
  [[nodiscard]] bool next();
  [[nodiscard]] std::uint32_t field() const noexcept { return field_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  /// The content of the field, by its wire type; anything else fails.
  [[nodiscard]] std::uint64_t integer();
  [[nodiscard]] float real();
  [[nodiscard]] double wide_real();
  [[nodiscard]] std::string_view bytes();
  /// Repeated numbers, packed or one at a time: appended.
  void integers(std::vector<std::int64_t>& out);
  void reals(std::vector<float>& out);
  void wide_reals(std::vector<double>& out);

 private:
  enum Wire : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  [[nodiscard]] std::uint64_t varint();
  template <class T>
  [[nodiscard]] T fixed();
  void fail() noexcept {
    failed_ = true;
    bytes_ = {};
  }

  std::string_view bytes_;
  std::uint32_t field_ = 0;
  std::uint32_t wire_ = 0;
  bool unread_ = false;
  bool failed_ = false;
};

/// Appends fields of one protobuf message to a string. Zeros, false and empty strings are written
/// as given: a caller leaves out what proto3 leaves out where it matters.
class ProtoWriter {
 public:
  explicit ProtoWriter(std::string& out) : out_(out) {}

  void integer(std::uint32_t field, std::uint64_t value);
  void bytes(std::uint32_t field, std::string_view value);
  /// A message inside: `write(ProtoWriter&)` writes its fields.
  template <class Write>
  void message(std::uint32_t field, Write&& write) {
    tag(field, 2);
    const std::size_t at = out_.size();
    out_.push_back('\0');  // its length: nearly always one byte
    write(*this);
    close(at);
  }
  /// A packed field of `count` elements of `T`, whose bytes are `values`.
  template <class T>
  void packed_fixed(std::uint32_t field, const T* values, std::size_t count) {
    bytes(field, {reinterpret_cast<const char*>(values), count * sizeof(T)});
  }

 private:
  void tag(std::uint32_t field, std::uint32_t wire) { varint(std::uint64_t{field} << 3 | wire); }
  void varint(std::uint64_t value);
  void close(std::size_t at);

  std::string& out_;
};

}  // namespace heddle::doc
