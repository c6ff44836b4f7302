#include "profile/column.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

namespace heddle::profile {
namespace {

using expr::Type;

constexpr std::uint64_t kNothing = 0x6e756c6c;  ///< what a row without a value adds to its hash
constexpr std::size_t kMostOffsets = 16;
constexpr std::size_t kMostText = 200;  ///< bytes of a value that are kept

/// The value of a whole number as a step can be told from; none beyond what a double holds.
std::optional<std::int64_t> whole(double number) {
  if (!(std::abs(number) < 0x1p53) || std::trunc(number) != number) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

/// A value that is no text, as people write it.
std::string text_of(const table::Column& column, std::size_t i) {
  switch (column.type) {
    case Type::kDouble: return fmt::to_string(column.doubles[i]);
    case Type::kTimestamp: return format_time(column.ints[i]);
    case Type::kBool: return column.ints[i] != 0 ? "true" : "false";
    default: return fmt::to_string(column.ints[i]);
  }
}

std::string shortened(std::string_view text) {
  std::string out(text.substr(0, kMostText));
  // Not in the middle of a character.
  while (out.size() < text.size() && !out.empty() &&
         (static_cast<unsigned char>(text[out.size()]) & 0xc0) == 0x80)
    out.pop_back();
  return out;
}

}  // namespace

void Moments::add(double x) noexcept {
  ++count;
  const double delta = x - mean;
  mean += delta / static_cast<double>(count);
  m2 += delta * (x - mean);
  low = std::min(low, x);
  high = std::max(high, x);
  whole += std::trunc(x) == x ? 1 : 0;
  negative += x < 0 ? 1 : 0;
}

void Moments::merge(const Moments& other) noexcept {
  if (other.count == 0) return;
  const auto n = static_cast<double>(count);
  const auto m = static_cast<double>(other.count);
  const double delta = other.mean - mean;
  m2 += other.m2 + delta * delta * n * m / (n + m);
  mean += delta * m / (n + m);
  count += other.count;
  low = std::min(low, other.low);
  high = std::max(high, other.high);
  whole += other.whole;
  negative += other.negative;
}

double Moments::sd() const noexcept {
  return count < 2 ? 0 : std::sqrt(m2 / static_cast<double>(count - 1));
}

void Order::add(std::int64_t value, std::int64_t row) {
  if (last_row < 0) {
    first_row = row;
    first = value;
  } else {
    // Of values at both ends of the range the difference is no number: such a column has no steps.
    std::int64_t size = 0;
    const bool is_known = !__builtin_sub_overflow(value, last, &size);
    is_ascending = is_ascending && value >= last;
    is_strict = is_strict && value > last;
    is_descending = is_descending && value <= last;
    if (is_known && size > 0) {
      if (size > largest.size) largest = {last_row, row, size};
      steps.add(mixed(static_cast<std::uint64_t>(size)), row, [&] { return fmt::to_string(size); });
    }
  }
  last_row = row;
  last = value;
}

void Order::merge(const Order& later) {
  if (later.first_row < 0) return;
  if (last_row < 0) {
    *this = later;
    return;
  }
  // The step from the last row of these to the first of those.
  add(later.first, later.first_row);
  is_ascending = is_ascending && later.is_ascending;
  is_strict = is_strict && later.is_strict;
  is_descending = is_descending && later.is_descending;
  if (later.largest.size > largest.size) largest = later.largest;
  steps.merge(later.steps);
  last_row = later.last_row;
  last = later.last;
}

ColumnProfile::ColumnProfile(std::string of, Type as, std::size_t capacity)
    : name(std::move(of)), type(as), values(capacity) {
  look_rows.fill(-1);
}

void ColumnProfile::add(const table::Column& column, std::int64_t first_row,
                        std::span<std::uint64_t> hashes) {
  rows += column.length();
  if (column.type == Type::kString)
    add_texts(column, first_row, hashes);
  else
    add_numbers(column, first_row, hashes);
}

void ColumnProfile::add_texts(const table::Column& column, std::int64_t first_row,
                              std::span<std::uint64_t> hashes) {
  // What a text is, is asked once a distinct text of the chunk that a row has.
  const auto& texts = column.dictionary->views();
  std::vector<Seen> seen(texts.size());
  std::vector<std::uint64_t> codes(texts.size(), 0);
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (!column.valid.empty() && column.valid[i] == 0) {
      ++missing;
      hashes[i] = mixed(hashes[i] ^ kNothing);
      continue;
    }
    const auto code = static_cast<std::size_t>(column.codes[i]);
    const std::int64_t row = first_row + static_cast<std::int64_t>(i);
    if (codes[code] == 0) {
      codes[code] = hash_of(texts[code]) | 1;
      seen[code] = look_at(texts[code]);
    }
    hashes[i] = mixed(hashes[i] ^ codes[code]);
    values.add(codes[code], row, [&] { return shortened(texts[code]); });
    add_text(seen[code], texts[code], row);
  }
}

void ColumnProfile::add_text(const Seen& seen, std::string_view text, std::int64_t row) {
  const auto look = static_cast<std::size_t>(seen.look);
  if (looks[look]++ == 0) {
    look_rows[look] = row;
    look_texts[look] = shortened(text);
  }
  leading_zeros += seen.leading_zero ? 1 : 0;
  with_spaces += seen.has_spaces ? 1 : 0;
  lengths.add(static_cast<double>(text.size()));
  switch (seen.look) {
    case Look::kMissing: words.add(hash_of(text), row, [&] { return std::string(text); }); break;
    case Look::kInteger:
      if (const auto number = whole(seen.number)) order.add(*number, row);
      [[fallthrough]];
    case Look::kNumber:
    case Look::kComma: numbers.add(seen.number); break;
    case Look::kTime:
      add_time(seen.time, row);
      zoned += seen.is_zoned ? 1 : 0;
      if (seen.is_zoned && offsets.size() < kMostOffsets) offsets.insert(seen.offset_minutes);
      break;
    default:
      if (text.size() <= 40) {
        const std::string shape = shape_of(text, true);
        shapes.add(hash_of(shape), row, [&] { return shape; });
      } else {
        shapes.add(1, row, [] { return std::string("long"); });
      }
  }
}

void ColumnProfile::add_numbers(const table::Column& column, std::int64_t first_row,
                                std::span<std::uint64_t> hashes) {
  const bool is_real = column.type == Type::kDouble;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const bool is_there = (column.valid.empty() || column.valid[i] != 0) &&
                          !(is_real && std::isnan(column.doubles[i]));
    if (!is_there) {
      ++missing;
      hashes[i] = mixed(hashes[i] ^ kNothing);
      continue;
    }
    // + 0.0: -0 is 0.
    const std::uint64_t bits = is_real ? std::bit_cast<std::uint64_t>(column.doubles[i] + 0.0)
                                       : static_cast<std::uint64_t>(column.ints[i]);
    const std::uint64_t hash = mixed(bits) | 1;
    hashes[i] = mixed(hashes[i] ^ hash);
    const std::int64_t row = first_row + static_cast<std::int64_t>(i);
    values.add(hash, row, [&] { return text_of(column, i); });
    add_number(column, i, row);
  }
}

void ColumnProfile::add_number(const table::Column& column, std::size_t i, std::int64_t row) {
  switch (column.type) {
    case Type::kTimestamp: return add_time(column.ints[i], row);
    case Type::kDouble: return numbers.add(column.doubles[i]);
    default: numbers.add(static_cast<double>(column.ints[i])); order.add(column.ints[i], row);
  }
}

void ColumnProfile::add_time(Micros time, std::int64_t row) {
  ++times;
  earliest = std::min(earliest, time);
  latest = std::max(latest, time);
  midnights += time % kDay == 0 ? 1 : 0;
  order.add(time, row);
}

void ColumnProfile::merge(const ColumnProfile& later) {
  rows += later.rows;
  missing += later.missing;
  for (std::size_t i = 0; i < kLooks; ++i) {
    if (looks[i] == 0 && later.looks[i] > 0) {
      look_rows[i] = later.look_rows[i];
      look_texts[i] = later.look_texts[i];
    }
    looks[i] += later.looks[i];
  }
  leading_zeros += later.leading_zeros;
  with_spaces += later.with_spaces;
  numbers.merge(later.numbers);
  lengths.merge(later.lengths);
  values.merge(later.values);
  words.merge(later.words);
  shapes.merge(later.shapes);
  order.merge(later.order);
  times += later.times;
  earliest = std::min(earliest, later.earliest);
  latest = std::max(latest, later.latest);
  midnights += later.midnights;
  zoned += later.zoned;
  for (const int offset : later.offsets) {
    if (offsets.size() < kMostOffsets) offsets.insert(offset);
  }
}

bool ColumnProfile::is_unique() const noexcept {
  if (values.is_exact()) return std::ssize(values.entries()) == present();
  // A sample of the values, and none of it came more than once.
  return values.singletons() == values.entries().size() &&
         values.estimate() > .9 * static_cast<double>(present());
}

std::int64_t ColumnProfile::distinct() const noexcept {
  return is_unique() ? present() : std::llround(values.estimate());
}

}  // namespace heddle::profile
