#include "table/lookup.hpp"

#include <cstring>

namespace heddle::table {
namespace {

constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ull;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<unsigned __int128>(a ^ kOdd) * (b ^ 0xd6e8feb86659fd93ull);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t hash = text.size();
  while (text.size() > 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), 8);
    hash = mix(hash, word);
    text.remove_prefix(8);
  }
  std::uint64_t word = 0;
  if (!text.empty()) std::memcpy(&word, text.data(), text.size());
  return mix(hash, word);
}

std::uint64_t hash_of(std::span<const std::int64_t> tuple) noexcept {
  std::uint64_t hash = 0;
  for (const std::int64_t value : tuple) hash = mix(hash, static_cast<std::uint64_t>(value));
  return hash;
}

}  // namespace

std::int32_t StringIndex::find(std::string_view text) const noexcept {
  if (slots_.empty()) return -1;
  const std::uint64_t hash = hash_of(text);
  for (std::size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[i];
    if (slot.code < 0) return -1;
    if (slot.hash == hash && values_[static_cast<std::size_t>(slot.code)] == text) return slot.code;
  }
}

std::int32_t StringIndex::insert(std::string_view text) {
  if (const std::int32_t found = find(text); found >= 0) return found;
  if (slots_.size() < 2 * (values_.size() + 1)) grow();
  const auto code = static_cast<std::int32_t>(values_.size());
  values_.emplace_back(text);
  const std::uint64_t hash = hash_of(text);
  std::size_t i = hash & (slots_.size() - 1);
  while (slots_[i].code >= 0) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = {hash, code};
  return code;
}

void StringIndex::grow() {
  std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.code < 0) continue;
    std::size_t i = slot.hash & (slots_.size() - 1);
    while (slots_[i].code >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

std::int32_t TupleIndex::find(std::span<const std::int64_t> wanted) const noexcept {
  if (slots_.empty()) return -1;
  for (std::size_t i = hash_of(wanted) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    const std::int32_t code = slots_[i];
    if (code < 0) return -1;
    if (std::memcmp(values_.data() + static_cast<std::size_t>(code) * width_, wanted.data(), width_ * sizeof(std::int64_t)) == 0) return code;
  }
}

std::int32_t TupleIndex::insert(std::span<const std::int64_t> wanted) {
  if (const std::int32_t found = find(wanted); found >= 0) return found;
  if (slots_.size() < 2 * (size_ + 1)) grow();
  const auto code = static_cast<std::int32_t>(size_++);
  values_.insert(values_.end(), wanted.begin(), wanted.end());
  std::size_t i = hash_of(wanted) & (slots_.size() - 1);
  while (slots_[i] >= 0) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = code;
  return code;
}

void TupleIndex::grow() {
  slots_.assign(slots_.empty() ? 16 : slots_.size() * 2, -1);
  for (std::size_t code = 0; code < size_; ++code) {
    std::size_t i = hash_of(tuple(static_cast<std::int32_t>(code))) & (slots_.size() - 1);
    while (slots_[i] >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = static_cast<std::int32_t>(code);
  }
}

}  // namespace heddle::table
