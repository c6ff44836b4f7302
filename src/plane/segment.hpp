#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_port.hpp"
#include "plane/journal.hpp"

namespace heddle::plane {

/// Bytes of a journal segment (docs/formats/journal.md): a magic, then records of length, CRC-32C
/// and payload; the first payload is the head.
inline constexpr std::string_view kSegmentMagic = "HEDLJRN2";
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
  std::vector<std::string> fields{};
  /// Xored into the checksums behind the head, so that no bytes that a client sent can pass for a
  /// record. Never 0.
  std::uint32_t seed = 0;
};

[[nodiscard]] std::string segment_path(const std::string& dir, std::uint64_t segment);
/// The numbers of the segments in `dir`, ascending; none where there is no such folder. kIo when it
/// cannot be listed, which is no proof that there are none.
[[nodiscard]] Result<std::vector<std::uint64_t>> list_segments(const std::string& dir,
                                                               FilePort& files = system_files());

/// Says below which segment no reader needs any (`consumed`): a decimal number.
[[nodiscard]] std::string consumed_path(const std::string& dir);

/// Append one record, framed; `seed` of the segment it goes to.
void append_head(const SegmentHead& head, std::string& out);
void append_record(const Record& record, std::string& out, std::uint32_t seed = 0);
void append_request(const RequestView& request, std::string& out, std::uint32_t seed = 0);

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
[[nodiscard]] Framed read_frame(std::string_view bytes, bool at_end, std::uint32_t seed) noexcept;

/// The head of a segment, from its first bytes.
struct HeadFound {
  enum class State {
    kWhole,
    kTorn,
    kDamaged,
    kOtherVersion  ///< not `heddle.journal/2`: its records may have another form
  } state = State::kTorn;
  SegmentHead head{};
  std::size_t bytes = 0;  ///< up to the first record
};
[[nodiscard]] HeadFound read_head(std::string_view bytes, std::uint64_t segment);

/// What to do with a journal of another version: kConflict `journal-version`.
[[nodiscard]] Error other_version(const std::string& dir);

/// Where the next whole record begins in `bytes`, at whose front there is none; npos: nowhere.
[[nodiscard]] std::size_t find_record(std::string_view bytes, std::uint32_t seed) noexcept;

/// Where the whole records of a segment end, whatever is damaged before; its size where its head
/// cannot be read.
[[nodiscard]] Result<std::uint64_t> records_end(FilePort& files, const std::string& path,
                                                std::uint64_t segment);

}  // namespace heddle::plane
