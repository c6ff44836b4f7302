#include "ledger/tiles.hpp"

namespace heddle::ledger {
namespace {

std::string index_path(std::uint64_t index) {
  // Groups of three digits, the upper ones with `x` (C2SP tlog-tiles): no folder holds more than a
  // thousand names.
  std::string path = fmt::format("{:03}", index % 1000);
  while (index >= 1000) {
    index /= 1000;
    path = fmt::format("x{:03}/{}", index % 1000, path);
  }
  return path;
}

std::string with_width(std::string path, std::uint64_t width) {
  return width == kTileWidth ? path : fmt::format("{}.p/{}", path, width);
}

std::string tile_bytes(const std::vector<Digest>& hashes) {
  std::string bytes;
  bytes.reserve(32 * hashes.size());
  for (const auto& hash : hashes) bytes.append(hash.bytes.begin(), hash.bytes.end());
  return bytes;
}

Error tile_error(std::string_view path, std::string_view why) {
  return {ErrorKind::kCorrupt, "ledger-tile-malformed", fmt::format("`{}` {}", path, why),
          "tiles are derived: remove them and start the control plane, which writes them again "
          "from the state"};
}

}  // namespace

std::string tile_path(int level, std::uint64_t index, std::uint64_t width) {
  return with_width(fmt::format("tile/{}/{}", level, index_path(index)), width);
}

std::string entries_path(std::uint64_t index, std::uint64_t width) {
  return with_width("tile/entries/" + index_path(index), width);
}

std::uint64_t level_size(int level, std::uint64_t size) noexcept {
  // A shift by 64 is undefined, and no log of 64-bit size has a ninth level.
  return level >= 8 ? 0 : size >> (8 * level);
}

std::uint64_t tile_width(int level, std::uint64_t index, std::uint64_t size) noexcept {
  const auto count = level_size(level, size);
  const auto begin = index * kTileWidth;
  return count <= begin ? 0 : std::min(kTileWidth, count - begin);
}

Result<std::vector<Digest>> parse_tile(std::string_view bytes) {
  // Bounded before anything is made of it: a tile may come from somebody else's server.
  if (bytes.size() % 32 != 0 || bytes.size() > 32 * kTileWidth)
    return tile_error("a tile", "is no whole number of hashes");
  std::vector<Digest> hashes(bytes.size() / 32);
  for (std::size_t i = 0; i < hashes.size(); ++i)
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(32 * i), 32, hashes[i].bytes.begin());
  return hashes;
}

Result<std::vector<std::string_view>> parse_entries(std::string_view bytes) {
  std::vector<std::string_view> entries;
  while (!bytes.empty()) {
    if (bytes.size() < 2) return tile_error("a bundle of entries", "ends inside a length");
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) << 8 |
                             static_cast<unsigned char>(bytes[1]);
    if (bytes.size() < 2 + size) return tile_error("a bundle of entries", "ends inside an entry");
    entries.push_back(bytes.substr(2, size));
    bytes.remove_prefix(2 + size);
  }
  return entries;
}

void append_entry(std::string& bundle, std::string_view entry) {
  // Two bytes of length, as the format has it.
  bundle.push_back(static_cast<char>(entry.size() >> 8 & 0xff));
  bundle.push_back(static_cast<char>(entry.size() & 0xff));
  bundle += entry;
}

Digest fold(const Digest* hashes, std::size_t count) {
  // `count` is a power of two: a subtree of full tiles is complete.
  if (count == 1) return hashes[0];
  return node_hash(fold(hashes, count / 2), fold(hashes + count / 2, count / 2));
}

Result<const std::vector<Digest>*> TileReader::tile(int level, std::uint64_t index) {
  const auto key = std::pair(level, index);
  if (const auto found = tiles_.find(key); found != tiles_.end()) return &found->second;
  const auto width = tile_width(level, index, size_);
  const auto path = tile_path(level, index, width);
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, read_file(*files_, directory_ + "/" + path));
  HEDDLE_ASSIGN_OR_RETURN(auto hashes, parse_tile(bytes));
  // A longer one than the log's size asks for is of another log.
  if (hashes.size() != width)
    return tile_error(path, fmt::format("holds {} hashes", hashes.size()));
  return &tiles_.emplace(key, std::move(hashes)).first->second;
}

Result<Digest> TileReader::node(int level, std::uint64_t index) {
  // Each tile holds eight levels. Only every eighth is stored: those between are hashed anew.
  const std::uint64_t first = index << (level % 8);
  const std::size_t count = std::size_t{1} << (level % 8);
  HEDDLE_ASSIGN_OR_RETURN(const auto* hashes, tile(level / 8, first / kTileWidth));
  const std::size_t offset = first % kTileWidth;
  if (offset + count > hashes->size())
    return tile_error(tile_path(level / 8, first / kTileWidth, kTileWidth), "is too short");
  return fold(hashes->data() + offset, count);
}

Result<void> TileWriter::load(std::uint64_t size) {
  range_ = {};
  bundle_.clear();
  edge_.clear();
  stale_.clear();
  flushed_ = size;
  TileReader tiles(*files_, directory_, size);
  std::vector<Digest> peaks;  // of the compact range, largest first
  for (int level = 7; level >= 0; --level) {
    const auto count = level_size(level, size) % kTileWidth;
    if (count == 0) {
      // Levels above the highest one that has hashes do not exist; one between them may be empty.
      if (!edge_.empty()) edge_.emplace_back();
      continue;
    }
    HEDDLE_ASSIGN_OR_RETURN(const auto* hashes,
                            tiles.tile(level, level_size(level, size) / kTileWidth));
    edge_.push_back(*hashes);
    std::size_t begin = 0;
    // The bits of the width are the complete subtrees of it, the largest first.
    for (std::size_t bit = kTileWidth / 2; bit > 0; bit /= 2) {
      if ((count & bit) == 0) continue;
      peaks.push_back(fold(hashes->data() + begin, bit));
      begin += bit;
    }
  }
  std::reverse(edge_.begin(), edge_.end());
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(size >> shift & 0xff));
  HEDDLE_ASSIGN_OR_RETURN(range_, CompactRange::from_bytes(bytes + tile_bytes(peaks)));
  return size % kTileWidth > 0 ? load_bundle(size) : Result<void>{};
}

Result<void> TileWriter::load_bundle(std::uint64_t size) {
  const auto width = size % kTileWidth;
  const std::string path = entries_path(size / kTileWidth, width);
  HEDDLE_ASSIGN_OR_RETURN(bundle_, read_file(*files_, directory_ + "/" + path));
  HEDDLE_ASSIGN_OR_RETURN(const auto entries, parse_entries(bundle_));
  if (entries.size() != width) return tile_error(path, "has another number of entries");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    // The bundle and the tile are two files: a crash between them, or damage, shows here and not in
    // a later proof.
    if (leaf_hash(entries[i]) != edge_[0][i]) return tile_error(path, "does not fit its hashes");
  }
  return {};
}

Result<void> TileWriter::write(const std::string& path, std::string_view bytes) {
  const std::string full = directory_ + "/" + path;
  HEDDLE_TRY(make_dirs(*files_, full.substr(0, full.find_last_of('/'))));
  return write_file_atomic(*files_, full, bytes);
}

Result<void> TileWriter::append(std::string_view entry) {
  const auto leaf = leaf_hash(entry);
  range_.append(leaf);
  append_entry(bundle_, entry);
  // A full bundle is written once and never again; a part of one waits for `flush`.
  if (range_.size() % kTileWidth == 0) {
    HEDDLE_TRY(write(entries_path(range_.size() / kTileWidth - 1, kTileWidth), bundle_));
    bundle_.clear();
  }
  return push(0, leaf);
}

Result<void> TileWriter::push(std::size_t level, const Digest& hash) {
  if (edge_.size() <= level) edge_.resize(level + 1);
  edge_[level].push_back(hash);
  // A full tile becomes one hash of the level above.
  if (edge_[level].size() < kTileWidth) return {};
  const auto index = level_size(static_cast<int>(level), range_.size()) / kTileWidth - 1;
  HEDDLE_TRY(
      write(tile_path(static_cast<int>(level), index, kTileWidth), tile_bytes(edge_[level])));
  const auto root = fold(edge_[level].data(), kTileWidth);
  edge_[level].clear();
  return push(level + 1, root);
}

Result<void> TileWriter::flush() {
  const auto size = range_.size();
  if (size == flushed_) return {};
  for (std::size_t i = 0; i < edge_.size(); ++i) {
    const int level = static_cast<int>(i);
    const auto before = level_size(level, flushed_);
    const auto after = level_size(level, size);
    if (before == after) continue;
    // The partial tile of before is not needed once the larger one is there. It goes only with
    // `sweep`, when the checkpoint that names the new size is written.
    if (before % kTileWidth != 0)
      stale_.push_back(tile_path(level, before / kTileWidth, before % kTileWidth));
    if (!edge_[i].empty())
      HEDDLE_TRY(
          write(tile_path(level, after / kTileWidth, after % kTileWidth), tile_bytes(edge_[i])));
  }
  if (flushed_ % kTileWidth != 0)
    stale_.push_back(entries_path(flushed_ / kTileWidth, flushed_ % kTileWidth));
  if (!bundle_.empty())
    HEDDLE_TRY(write(entries_path(size / kTileWidth, size % kTileWidth), bundle_));
  flushed_ = size;
  return {};
}

void TileWriter::sweep() {
  for (const auto& path : stale_) {
    const std::string full = directory_ + "/" + path;
    // One that stays is in nobody's way, and the folder goes only when it is empty.
    (void)files_->unlink(full.c_str());
    (void)files_->rmdir(full.substr(0, full.find_last_of('/')).c_str());
  }
  stale_.clear();
}

}  // namespace heddle::ledger
