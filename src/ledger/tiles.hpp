#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/file_port.hpp"
#include "base/result.hpp"
#include "ledger/tree.hpp"

namespace heddle::ledger {

inline constexpr std::uint64_t kTileWidth = 256;

/// C2SP tlog-tiles: `tile/<L>/<N>` or `tile/<L>/<N>.p/<W>`, N as `x001/x234/067`. `width` 256 is a
/// full tile.
[[nodiscard]] std::string tile_path(int level, std::uint64_t index, std::uint64_t width);
[[nodiscard]] std::string entries_path(std::uint64_t index, std::uint64_t width);
/// Hashes that level `level` holds in a tree of `size`, and how many of them are in tile `index`.
[[nodiscard]] std::uint64_t level_size(int level, std::uint64_t size) noexcept;
[[nodiscard]] std::uint64_t tile_width(int level, std::uint64_t index, std::uint64_t size) noexcept;

/// kCorrupt `ledger-tile-malformed` unless it is a whole number of hashes (entries); the caller
/// checks how many.
[[nodiscard]] Result<std::vector<Digest>> parse_tile(std::string_view bytes);
[[nodiscard]] Result<std::vector<std::string_view>> parse_entries(std::string_view bytes);
void append_entry(std::string& bundle, std::string_view entry);
/// The root of 2^k hashes.
[[nodiscard]] Digest fold(const Digest* hashes, std::size_t count);

/// Reads hashes of a published tree of `size` from its tiles; keeps the tiles it met. Not
/// thread-safe.
class TileReader {
 public:
  TileReader(FilePort& files, std::string directory, std::uint64_t size)
      : files_(&files), directory_(std::move(directory)), size_(size) {}
  [[nodiscard]] Result<Digest> node(int level, std::uint64_t index);
  [[nodiscard]] NodeReader reader() {
    return [this](int level, std::uint64_t index) { return node(level, index); };
  }
  [[nodiscard]] Result<const std::vector<Digest>*> tile(int level, std::uint64_t index);

 private:
  FilePort* files_;
  std::string directory_;
  std::uint64_t size_;
  std::map<std::pair<int, std::uint64_t>, std::vector<Digest>> tiles_;
};

/// Writes the tiles of a growing tree: full ones as they fill, partial ones at `flush`. Remembers
/// its right edge only. Not thread-safe. After an error it has to be loaded again.
class TileWriter {
 public:
  TileWriter(FilePort& files, std::string directory)
      : files_(&files), directory_(std::move(directory)) {}
  /// Goes on from a tree of `size` whose tiles are on disk; kNotFound or kCorrupt when they are
  /// not.
  [[nodiscard]] Result<void> load(std::uint64_t size);
  [[nodiscard]] Result<void> append(std::string_view entry);
  /// Partial tiles of every level that grew since the last one; those of before are removed by
  /// `sweep`.
  [[nodiscard]] Result<void> flush();
  void sweep();
  [[nodiscard]] std::uint64_t size() const noexcept { return range_.size(); }
  [[nodiscard]] const CompactRange& range() const noexcept { return range_; }

 private:
  [[nodiscard]] Result<void> push(std::size_t level, const Digest& hash);
  [[nodiscard]] Result<void> write(const std::string& path, std::string_view bytes);
  /// The entries behind the last full bundle, held against their hashes.
  [[nodiscard]] Result<void> load_bundle(std::uint64_t size);

  FilePort* files_;
  std::string directory_;
  CompactRange range_;
  std::string bundle_;                     ///< of the entries since the last full one
  std::vector<std::vector<Digest>> edge_;  ///< of each level, the hashes of its last, not full tile
  std::uint64_t flushed_ = 0;
  std::vector<std::string> stale_;
};

}  // namespace heddle::ledger
