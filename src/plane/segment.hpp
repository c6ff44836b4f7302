#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plane/journal.hpp"

namespace heddle::plane {

/// Bytes of a journal segment (docs/formats/journal.md): a magic, then records of length, CRC-32C
/// and payload; the first payload is the head.
inline constexpr std::string_view kSegmentMagic = "HEDLJRN1";
inline constexpr std::size_t kRecordHead = 8;
inline constexpr std::size_t kMaxPayload = 64 << 20;

enum class PayloadType : std::uint8_t {
  kHead,
  kRequest,
  kLabel,
  kApplied,
  kAct,
  kTick,
  kStop,
  kGap
};

struct SegmentHead {
  std::uint64_t segment = 0;
  std::uint64_t previous_end = 0;  ///< where the segment before ended; 0: there was none
  std::vector<std::string> fields;
};

[[nodiscard]] std::string segment_path(const std::string& dir, std::uint64_t segment);
/// The numbers of the segments in `dir`, ascending.
[[nodiscard]] std::vector<std::uint64_t> list_segments(const std::string& dir);

/// Says below which segment no reader needs any (`consumed`): a decimal number.
[[nodiscard]] std::string consumed_path(const std::string& dir);

/// Append one record, framed.
void append_head(const SegmentHead& head, std::string& out);
void append_record(const Record& record, std::string& out);
void append_request(const RequestView& request, std::string& out);

[[nodiscard]] std::optional<SegmentHead> decode_head(std::string_view payload);
[[nodiscard]] std::optional<Record> decode_record(std::string_view payload);

/// What stands at the front of `bytes`, the rest of a segment as far as it is written.
struct Framed {
  enum class State { kWhole, kTorn, kCorrupt } state = State::kTorn;
  std::string_view payload{};
  std::size_t bytes = 0;  ///< of the whole record
};
/// `at_end`: nothing follows `bytes` in the file. kTorn without `at_end` means that `bytes` is too
/// short a window.
[[nodiscard]] Framed read_frame(std::string_view bytes, bool at_end) noexcept;

}  // namespace heddle::plane
