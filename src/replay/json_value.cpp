#include "replay/json_value.hpp"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "table/cell.hpp"

namespace heddle::replay {
namespace {

void two_digits(int value, std::string& out) {
  out.push_back(static_cast<char>('0' + value / 10 % 10));
  out.push_back(static_cast<char>('0' + value % 10));
}

void append_time(Micros time, std::string& out) {
  // Four digits cannot write its year: it is sent as it is, and refused.
  if (!table::is_time(time)) return append_string(format_time(time), out);
  const CivilDate date = civil_date(time);
  Micros rest = time - from_civil(date);
  out.push_back('"');
  two_digits(date.year / 100, out);
  two_digits(date.year % 100, out);
  out.push_back('-');
  two_digits(date.month, out);
  out.push_back('-');
  two_digits(date.day, out);
  out.push_back('T');
  two_digits(static_cast<int>(rest / kHour), out);
  rest %= kHour;
  out.push_back(':');
  two_digits(static_cast<int>(rest / kMinute), out);
  rest %= kMinute;
  out.push_back(':');
  two_digits(static_cast<int>(rest / kSecond), out);
  // A whole second is sent without a fraction, as most senders write it.
  if (rest % kSecond != 0) fmt::format_to(std::back_inserter(out), ".{:06}", rest % kSecond);
  out.append("Z\"");
}

}  // namespace

void append_string(std::string_view text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      // RFC 8259, section 7: control characters must be escaped; other UTF-8 stands as it is.
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_value(const expr::Datum& value, std::string& out) {
  switch (value.kind) {
    case expr::Datum::Kind::kBool: out.append(value.b ? "true" : "false"); break;
    case expr::Datum::Kind::kInt: fmt::format_to(std::back_inserter(out), "{}", value.i); break;
    case expr::Datum::Kind::kDouble:
      if (std::isfinite(value.d))
        fmt::format_to(std::back_inserter(out), "{}", value.d);
      else
        // JSON has no such numbers: they go as texts, and the contract decides.
        out.append(std::isnan(value.d) ? "null" : value.d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
      break;
    case expr::Datum::Kind::kTimestamp: append_time(value.i, out); break;
    case expr::Datum::Kind::kString: append_string(value.str(), out); break;
    default: out.append("null");
  }
}

}  // namespace heddle::replay
