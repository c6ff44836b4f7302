#include "table/cell.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace heddle::table {
namespace {

using expr::Datum;
using expr::Type;

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// `12.00` without `.00`, so that a large whole number is read as one and not as the nearest
/// double.
std::string_view without_zero_fraction(std::string_view text) noexcept {
  const auto point = text.find('.');
  if (point == 0 || point == std::string_view::npos) return text;
  return text.find_first_not_of('0', point + 1) == std::string_view::npos ? text.substr(0, point)
                                                                          : text;
}

Datum number_of(std::string_view text) noexcept {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const std::string_view whole = without_zero_fraction(text);
  std::int64_t integer = 0;
  const auto read = std::from_chars(whole.data(), whole.data() + whole.size(), integer);
  if (read.ec == std::errc() && read.ptr == whole.data() + whole.size())
    return Datum::integer(integer);
  double real = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), real);
  if (end.ptr != text.data() + text.size() || end.ec == std::errc::invalid_argument) {
    return Datum::error();
  }
  // Past a double's range the text says 0 or infinity, by the sign of its exponent.
  if (end.ec == std::errc::result_out_of_range) {
    real = text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos
               ? 0
               : std::numeric_limits<double>::infinity();
  }
  return Datum::real(real);
}

/// A number whose fraction stands after `decimal`: a point in it means something else.
Datum number_with(std::string_view text, char decimal) noexcept {
  constexpr std::size_t kLongest = 512;  // of a double written out whole, with room
  if (text.size() > kLongest || text.find('.') != std::string_view::npos) return Datum::error();
  char pointed[kLongest];
  std::replace_copy(text.begin(), text.end(), pointed, decimal, '.');
  return number_of({pointed, text.size()});
}

}  // namespace

Datum cell_of_text(std::string_view text, Type type, char decimal) noexcept {
  if (type == Type::kString) return Datum::string(text);
  text = trimmed(text);
  if (text.empty()) return Datum::null();
  if (type == Type::kTimestamp) return as_type(type, Datum::string(text));
  if (type == Type::kBool) {
    if (text == "true" || text == "True" || text == "TRUE") return Datum::boolean(true);
    if (text == "false" || text == "False" || text == "FALSE") return Datum::boolean(false);
  }
  if (decimal != '.') return as_type(type, number_with(text, decimal));
  return as_type(type, number_of(text));
}

}  // namespace heddle::table
