#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

namespace heddle::model {

/// Reads the fields of one protobuf message in their order (https://protobuf.dev/programming-guides/encoding). Views point into the
/// bytes given; nothing is allocated. After anything malformed `failed()` is true and there is no next field.
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
  [[nodiscard]] std::string_view bytes();
  /// Repeated numbers, packed or one at a time: appended.
  void integers(std::vector<std::int64_t>& out);
  void reals(std::vector<float>& out);

 private:
  enum Wire : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  [[nodiscard]] std::uint64_t varint();
  [[nodiscard]] std::uint32_t fixed32();
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

}  // namespace heddle::model
