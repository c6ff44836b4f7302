#include "table/lookup.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace heddle::table {
namespace {

constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ull;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<unsigned __int128>(a ^ kOdd) * (b ^ 0xd6e8feb86659fd93ull);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t hash_of(std::string_view text) noexcept {
  // The length goes in first: the last word is padded with zeros, and a text may end with some.
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
    // An empty slot ends the walk. Nothing is ever removed, and half of the slots are empty at
    // least.
    if (slot.code < 0) return -1;
    if (slot.hash == hash && values_[static_cast<std::size_t>(slot.code)] == text) return slot.code;
  }
}

std::int32_t StringIndex::insert(std::string_view text) {
  // Room first: one walk then finds the text or its place.
  if (slots_.size() < 2 * (values_.size() + 1)) grow();
  const std::uint64_t hash = hash_of(text);
  std::size_t i = hash & (slots_.size() - 1);
  for (; slots_[i].code >= 0; i = (i + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[i];
    if (slot.hash == hash && values_[static_cast<std::size_t>(slot.code)] == text) return slot.code;
  }
  const auto code = static_cast<std::int32_t>(values_.size());
  values_.emplace_back(text);
  slots_[i] = {hash, code};
  return code;
}

void StringIndex::grow() {
  // A power of two: the place is the hash's low bits.
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
    if (std::memcmp(values_.data() + static_cast<std::size_t>(code) * width_, wanted.data(),
                    width_ * sizeof(std::int64_t)) == 0)
      return code;
  }
}

std::int32_t TupleIndex::insert(std::span<const std::int64_t> wanted) {
  if (slots_.size() < 2 * (size_ + 1)) grow();
  std::size_t i = hash_of(wanted) & (slots_.size() - 1);
  for (; slots_[i] >= 0; i = (i + 1) & (slots_.size() - 1)) {
    if (std::memcmp(values_.data() + static_cast<std::size_t>(slots_[i]) * width_, wanted.data(),
                    width_ * sizeof(std::int64_t)) == 0)
      return slots_[i];
  }
  const auto code = static_cast<std::int32_t>(size_++);
  values_.insert(values_.end(), wanted.begin(), wanted.end());
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

namespace {

using expr::Datum;
using expr::Type;

/// Everything but strings.
std::optional<std::int64_t> plain_key(Type type, const Datum& value) noexcept {
  switch (value.kind) {
    case Datum::Kind::kBool:
      return type == Type::kBool ? std::optional<std::int64_t>(value.b ? 1 : 0) : std::nullopt;
    case Datum::Kind::kInt:
      // JSON has one kind of number: `3` for a column of doubles is the 3.0 that was learned.
      if (type == Type::kDouble) return std::bit_cast<std::int64_t>(static_cast<double>(value.i));
      return type == Type::kInt ? std::optional<std::int64_t>(value.i) : std::nullopt;
    case Datum::Kind::kTimestamp:
      return type == Type::kTimestamp ? std::optional<std::int64_t>(value.i) : std::nullopt;
    case Datum::Kind::kDuration:
      return type == Type::kDuration ? std::optional<std::int64_t>(value.i) : std::nullopt;
    case Datum::Kind::kDouble:
      // NaN equals nothing, not even itself: it is no key.
      if (type != Type::kDouble || std::isnan(value.d)) return std::nullopt;
      // -0.0 equals 0.0 and has other bits.
      return std::bit_cast<std::int64_t>(value.d == 0 ? 0.0 : value.d);
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<std::int64_t> KeyPart::find(const Datum& value) const noexcept {
  if (type_ != Type::kString) return plain_key(type_, value);
  if (value.kind != Datum::Kind::kString) return std::nullopt;
  const std::int32_t code = strings_.find(value.str());
  return code < 0 ? std::nullopt : std::optional<std::int64_t>(code);
}

std::optional<std::int64_t> KeyPart::insert(const Datum& value) {
  if (type_ != Type::kString) return plain_key(type_, value);
  if (value.kind != Datum::Kind::kString) return std::nullopt;
  return strings_.insert(value.str());
}

doc::Value KeyPart::to_value(std::int64_t key) const {
  switch (type_) {
    case Type::kBool: return doc::Value(key != 0);
    case Type::kDouble: return doc::Value(std::bit_cast<double>(key));
    case Type::kString: return doc::Value(strings_.values()[static_cast<std::size_t>(key)]);
    default: return doc::Value(key);
  }
}

Result<std::int64_t> KeyPart::insert_value(const doc::Value& value) {
  std::optional<std::int64_t> key;
  switch (type_) {
    case Type::kBool:
      if (value.is_bool()) key = value.as_bool() ? 1 : 0;
      break;
    case Type::kDouble:
      if (value.is_number()) key = plain_key(type_, Datum::real(value.as_double()));
      break;
    case Type::kString:
      if (value.is_string()) key = strings_.insert(value.as_string());
      break;
    default:
      if (value.is_int()) key = value.as_int();
  }
  if (key) return *key;
  return Error{
      ErrorKind::kCorrupt, "table-key",
      fmt::format("a key is a {} where a {} is due", value.type_name(), expr::type_name(type_)),
      "make the bundle anew"};
}

}  // namespace heddle::table
