#include <re2/re2.h>

#include <algorithm>
#include <cfloat>
#include <charconv>
#include <cmath>

#include "spec/odcs.hpp"
#include "table/cell.hpp"

namespace heddle::spec {
namespace {

using expr::Type;

/// Two digits at `at`, or -1.
int two_digits(std::string_view text, std::size_t at) {
  if (at + 2 > text.size()) return -1;
  const auto digit = [&](std::size_t i) {
    return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : -100;
  };
  // -100 makes any sum with it negative.
  const int number = digit(at) * 10 + digit(at + 1);
  return number >= 0 ? number : -1;
}

/// A part of a time of day: two digits that are at most `most`, or nothing.
std::optional<Micros> part(std::string_view text, std::size_t at, int most, Micros unit) {
  const int number = two_digits(text, at);
  if (number < 0 || number > most) return std::nullopt;
  return number * unit;
}

/// Microseconds of `.ffffff` at `at`, which moves past it; empty when malformed. Three more digits
/// may be zeros: polars writes nanoseconds, whatever the column holds.
std::optional<Micros> fraction(std::string_view text, std::size_t& at) {
  Micros out = 0;
  Micros unit = kSecond / 10;
  const std::size_t begin = ++at;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
    if (at - begin == 9 || (at - begin >= 6 && text[at] != '0')) return std::nullopt;
    out += (text[at] - '0') * unit;
  }
  return at == begin ? std::nullopt : std::optional(out);
}

/// `Z`, `+HH:MM` or `-HH:MM`: all that may follow a time of day.
std::optional<Micros> zone_offset(std::string_view text) {
  // No zone means UTC.
  if (text.empty() || text == "Z") return Micros{0};
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = part(text, 1, 23, kHour);
  const auto minutes = part(text, 4, 59, kMinute);
  if (!hours || !minutes) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (*hours + *minutes);
}

/// The whole text as a number, or nothing.
std::optional<int> number_in(const std::string& text) {
  int out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// Text as a row's cell of the field's type; other values are none.
expr::Datum cell_of(const Field& field, const doc::Value& value) {
  return value.is_string() ? table::cell_of_text(value.as_string(), field.type)
                           : expr::Datum::error();
}

Error no_value(const Field& field, const doc::Value& value) {
  const std::string text = value.is_string() ? fmt::format("`{}`", value.as_string())
                                             : fmt::format("a value of type {}", value.type_name());
  // Dates and times of day are no types here: the form has the word that was written.
  const std::string type = field.form == Form::kDate   ? "date"
                           : field.form == Form::kTime ? "time"
                                                       : std::string(expr::type_name(field.type));
  return Error{ErrorKind::kInvalid, "wrong-type",
               fmt::format("field `{}` is a {}: {} is none", field.name, type, text),
               "write values of the field's type"};
}

}  // namespace

std::optional<Micros> parse_time_of_day(std::string_view text) noexcept {
  // Two digits each: `7:05` is no time of day.
  const auto hours = part(text, 0, 23, kHour);
  if (!hours || text.size() < 5 || text[2] != ':') return std::nullopt;
  const auto minutes = part(text, 3, 59, kMinute);
  if (!minutes) return std::nullopt;
  Micros time = *hours + *minutes;
  std::size_t at = 5;
  if (at < text.size() && text[at] == ':') {
    // A leap second, `:60`, is not taken.
    const auto seconds = part(text, at + 1, 59, kSecond);
    if (!seconds) return std::nullopt;
    time += *seconds;
    at += 3;
    if (at < text.size() && text[at] == '.') {
      const auto micros = fraction(text, at);
      if (!micros) return std::nullopt;
      time += *micros;
    }
  }
  const auto offset = zone_offset(text.substr(at));
  if (!offset) return std::nullopt;
  // In UTC, so that bounds of two zones compare.
  return time - *offset;
}

std::string re2_pattern(std::string_view ecma) {
  std::string out;
  for (std::size_t i = 0; i < ecma.size(); ++i) {
    const bool unicode = ecma[i] == '\\' && i + 5 < ecma.size() && ecma[i + 1] == 'u' &&
                         std::all_of(ecma.begin() + static_cast<std::ptrdiff_t>(i) + 2,
                                     ecma.begin() + static_cast<std::ptrdiff_t>(i) + 6,
                                     [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (unicode) {
      out += fmt::format("\\x{{{}}}", ecma.substr(i + 2, 4));
      i += 5;
      continue;
    }
    out += ecma[i];
    // What follows a backslash is no escape of its own.
    if (ecma[i] == '\\' && i + 1 < ecma.size()) out += ecma[++i];
  }
  return out;
}

namespace {

// A value of YAML counts as it is, a text as the cell of a file is read.
std::optional<doc::Value> as_bool(const Field& field, const doc::Value& value) {
  if (value.is_bool()) return value;
  const auto cell = cell_of(field, value);
  if (cell.kind != expr::Datum::Kind::kBool) return std::nullopt;
  return doc::Value(cell.b);
}

std::optional<doc::Value> as_int(const Field& field, const doc::Value& value) {
  if (value.is_int()) return value;
  // YAML writes a large integer as it likes: 1e6 is one.
  if (value.is_double() && std::trunc(value.as_double()) == value.as_double() &&
      std::abs(value.as_double()) < 0x1p63)
    return doc::Value(static_cast<std::int64_t>(value.as_double()));
  const auto cell = cell_of(field, value);
  if (cell.kind != expr::Datum::Kind::kInt) return std::nullopt;
  return doc::Value(cell.i);
}

std::optional<doc::Value> as_double(const Field& field, const doc::Value& value) {
  // NaN equals nothing, so that no row could have it.
  if (value.is_number() && !std::isnan(value.as_double())) return doc::Value(value.as_double());
  const auto cell = cell_of(field, value);
  if (cell.kind != expr::Datum::Kind::kDouble) return std::nullopt;
  return doc::Value(cell.d);
}

std::optional<doc::Value> as_timestamp(const Field& field, const doc::Value& value) {
  const auto time = value.is_string() ? parse_time(value.as_string()) : std::nullopt;
  // A date with a time of day would never equal a value of the column.
  if (!time || (field.form == Form::kDate && *time % kDay != 0)) return std::nullopt;
  return doc::Value(format_time(*time));
}

std::optional<doc::Value> as_text(const Field& field, const doc::Value& value) {
  if (value.is_string() && (field.form != Form::kTime || parse_time_of_day(value.as_string())))
    return value;
  // A code that looks like a number is text in the data.
  if (value.is_int() && field.form == Form::kAny) return doc::Value(fmt::to_string(value.as_int()));
  return std::nullopt;
}

std::optional<doc::Value> as_type_of(const Field& field, const doc::Value& value) {
  switch (field.type) {
    case Type::kBool: return as_bool(field, value);
    case Type::kInt: return as_int(field, value);
    case Type::kDouble: return as_double(field, value);
    case Type::kTimestamp: return as_timestamp(field, value);
    default: return as_text(field, value);
  }
}

}  // namespace

Result<doc::Value> typed_value(const Field& field, const doc::Value& value) {
  auto typed = as_type_of(field, value);
  if (!typed) return no_value(field, value);
  return *std::move(typed);
}

namespace odcs {
namespace {

/// Names of column types in the databases and formats that contracts are written for, by the
/// logical type they hold.
const std::map<std::string, std::vector<std::string>>& physical_types() {
  static const std::map<std::string, std::vector<std::string>> names = {
      {"string",
       {"string", "varchar", "varchar2", "nvarchar", "nvarchar2", "char", "nchar", "bpchar",
        "character", "character varying", "text", "tinytext", "mediumtext", "longtext", "ntext",
        "clob", "uuid", "uniqueidentifier"}},
      {"integer",
       {"int", "integer", "bigint", "smallint", "tinyint", "mediumint", "int2", "int4", "int8",
        "int16", "int32", "int64", "long", "short", "serial", "bigserial"}},
      {"number",
       {"number", "double", "double precision", "float", "float4", "float8", "float32", "float64",
        "real", "decimal", "dec", "numeric", "bignumeric", "money"}},
      {"boolean", {"boolean", "bool"}},
      {"date", {"date"}},
      {"timestamp",
       {"timestamp", "timestamptz", "timestamp_ntz", "timestamp_ltz", "timestamp_tz", "datetime",
        "datetime2", "smalldatetime", "datetimeoffset", "timestamp with time zone",
        "timestamp without time zone"}},
      {"time", {"time", "time with time zone", "time without time zone"}},
      {"object", {"object", "struct", "record", "row", "json", "jsonb", "variant", "super"}},
      {"array", {"array", "list"}},
      {"map", {"map"}}};
  return names;
}

/// `VARCHAR(18)` is `varchar`, `array<string>` is `array`, `timestamp(6) with time zone` keeps its
/// words.
std::string base_name(const std::string& physical) {
  std::string out;
  int depth = 0;
  for (const char c : physical) {
    // What is inside does not matter: such a property is not read.
    if (c == '<') break;
    if (c == '(') ++depth;
    if (depth == 0) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == ')') --depth;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string logical_of(const std::string& physical) {
  const std::string base = base_name(physical);
  for (const auto& [logical, names] : physical_types()) {
    if (std::find(names.begin(), names.end(), base) != names.end()) return logical;
  }
  return "";
}

std::optional<FieldType> field_type(const std::string& logical) {
  static const std::map<std::string, FieldType> types = {
      {"string", {Type::kString, Form::kAny}},       {"boolean", {Type::kBool, Form::kAny}},
      {"integer", {Type::kInt, Form::kAny}},         {"number", {Type::kDouble, Form::kAny}},
      {"timestamp", {Type::kTimestamp, Form::kAny}}, {"date", {Type::kTimestamp, Form::kDate}},
      {"time", {Type::kString, Form::kTime}}};
  const auto found = types.find(logical);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

/// What a layout of times has, where ISO 8601 has it.
struct Layout {
  bool date = false;
  bool time = false;
};

/// Layouts of the JDK's DateTimeFormatter that ISO 8601 has, and the names that JSON Schema and
/// others give it. Quotes around `T` and `Z` do not matter.
std::optional<Layout> iso_layout(std::string layout) {
  std::string name = layout;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::erase_if(name, [](char c) { return c == '-' || c == '_' || c == ' '; });
  if (name == "datetime" || name == "iso8601" || name == "rfc3339") return Layout{true, true};
  if (name == "date") return Layout{true, false};
  if (name == "time") return Layout{false, true};
  std::erase(layout, '\'');
  const auto take = [&](std::string_view prefix) {
    if (!layout.starts_with(prefix)) return false;
    layout.erase(0, prefix.size());
    return true;
  };
  Layout out;
  // To the JDK, `YYYY` and `DD` are the week-based year and the day of the year; contracts that
  // write them mean the calendar.
  out.date = take("yyyy-MM-dd") || take("uuuu-MM-dd") || take("YYYY-MM-DD");
  if (out.date && layout.empty()) return out;
  if (out.date && !take("T") && !take(" ")) return std::nullopt;
  // What is left is a time of day, alone or behind a date.
  if (!take("HH:mm")) return std::nullopt;
  out.time = true;
  if (take(":ss") && take(".")) {
    while (take("S") || take("n")) continue;
  }
  // Letters of a zone in any number: `XXX`, `Z`, `VV`.
  take(" ");
  return layout.find_first_not_of("ZXxVOz") == std::string::npos ? std::optional(out)
                                                                 : std::nullopt;
}

/// Reads the options of one field; its type says which there are.
class OptionReader {
 public:
  OptionReader(const Property& property, Field& field, Reader& reader)
      : property_(property), field_(field), reader_(reader) {}

  void read() {
    for (const auto& [key, value] : property_.options.values) {
      const Option option = option_of(key);
      if (fits(option)) {
        read_option(option, key, value);
      } else {
        refuse(value,
               fmt::format("field `{}` has `{}`, which is none of its type's options", field_.name,
                           key),
               "remove it, or change `logicalType`");
      }
    }
    check_lengths();
  }

 private:
  enum class Option { kDigits, kBound, kMultiple, kText, kZone, kFormat, kNone };

  static Option option_of(std::string_view key) {
    if (key == "precision" || key == "scale") return Option::kDigits;
    if (key == "minimum" || key == "maximum" || key.starts_with("exclusive")) return Option::kBound;
    if (key == "multipleOf") return Option::kMultiple;
    if (key == "minLength" || key == "maxLength" || key == "pattern") return Option::kText;
    // `timezone` and `defaultTimezone`.
    if (key.ends_with("imezone")) return Option::kZone;
    return key == "format" ? Option::kFormat : Option::kNone;
  }

  [[nodiscard]] bool is_number() const {
    return field_.type == Type::kInt || field_.type == Type::kDouble;
  }
  [[nodiscard]] bool is_time() const {
    return field_.type == Type::kTimestamp || field_.form == Form::kTime;
  }

  /// Whether fields of this type have the option.
  [[nodiscard]] bool fits(Option option) const {
    switch (option) {
      case Option::kDigits:
      case Option::kMultiple: return is_number();
      case Option::kBound: return is_number() || is_time();
      // A time of day is held as text, and has bounds like a time instead of lengths.
      case Option::kText: return field_.type == Type::kString && !is_time();
      case Option::kZone: return is_time();
      case Option::kFormat: return field_.type != Type::kBool;
      case Option::kNone: break;
    }
    return false;
  }

  void read_option(Option option, const std::string& key, const doc::Value& value) {
    switch (option) {
      case Option::kDigits:
        return reader_.not_enforced(key, reader_.key_position(key, value.position()),
                                    "write `minimum`, `maximum` or `multipleOf`");
      case Option::kBound: return read_bound(key, value, is_time());
      case Option::kMultiple: return read_multiple(value);
      case Option::kText: return read_text_option(key, value);
      case Option::kZone: return read_zone(key, value);
      case Option::kFormat: return read_format(value, is_number(), is_time());
      case Option::kNone: return;
    }
  }

  void refuse(const doc::Value& value, std::string message, std::string hint) {
    reader_.report(value.position(), "bad-field", std::move(message), std::move(hint));
  }

  /// `exclusiveMinimum: true` is how 3.0 says that `minimum` itself is out.
  void read_bound(const std::string& key, const doc::Value& value, bool time) {
    // `minimum` and `exclusiveMinimum`.
    const bool low = key.ends_with("inimum");
    const bool exclusive = key.starts_with("exclusive");
    // `is_flag` reads it where the bound itself is read.
    if (exclusive && value.is_bool()) {
      if (value.as_bool() && property_.options.values.count(low ? "minimum" : "maximum") == 0) {
        refuse(value, fmt::format("field `{}` has `{}: true` and no bound", field_.name, key),
               "write the bound itself");
      }
      return;
    }
    if (time) return read_time_bound(key, value, low, exclusive);
    if (!value.is_number() || std::isnan(value.as_double())) {
      refuse(value, fmt::format("`{}` of field `{}` must be a number", key, field_.name),
             "remove the quotes, or write a plain number");
      return;
    }
    // The largest integer bounds nothing, so that it may be rounded.
    const bool is_none = key == "maximum" && value == doc::Value(INT64_MAX);
    if (field_.type == Type::kInt && value.is_int() && !is_none && !is_exact(value.as_int())) {
      refuse(value,
             fmt::format("`{}` of field `{}` is beyond 2^53 and has no exact double", key,
                         field_.name),
             "write a bound that a double holds, for example a power of two");
      return;
    }
    auto& bound = low ? field_.minimum : field_.maximum;
    tighten(bound, value.as_double(), low, exclusive || is_flag(low));
  }

  static bool is_exact(std::int64_t value) {
    const auto real = static_cast<double>(value);
    // INT64_MAX becomes 2^63, which no longer fits and must not be cast back.
    return real < 0x1p63 && static_cast<std::int64_t>(real) == value;
  }

  void read_time_bound(const std::string& key, const doc::Value& value, bool low, bool exclusive) {
    std::optional<Micros> time;
    if (value.is_string()) {
      time = field_.form == Form::kTime ? parse_time_of_day(value.as_string())
                                        : parse_time(value.as_string());
    }
    if (!time) {
      refuse(value,
             fmt::format("`{}` of field `{}` is no {}", key, field_.name, property_.logical_type),
             field_.form == Form::kTime ? "write it like `23:59:59`"
                                        : "write it like `2020-01-31` or `2020-01-31T12:00:00Z`");
      return;
    }
    tighten(low ? field_.earliest : field_.latest, *time, low, exclusive || is_flag(low));
  }

  /// Both `minimum` and `exclusiveMinimum` may stand: the stricter one counts.
  template <class T>
  void tighten(std::optional<T>& bound, T value, bool low, bool is_excluded) {
    bool& excluded = low ? field_.minimum_excluded : field_.maximum_excluded;
    const bool is_stricter = !bound || (low ? value > *bound : value < *bound);
    if (!is_stricter && value != *bound) return;
    // Of two equal bounds the one that leaves the bound itself out is the stricter.
    excluded = is_excluded || (!is_stricter && excluded);
    bound = value;
  }

  [[nodiscard]] bool is_flag(bool low) const {
    const auto found = property_.options.values.find(low ? "exclusiveMinimum" : "exclusiveMaximum");
    return found != property_.options.values.end() && found->second == doc::Value(true);
  }

  void read_multiple(const doc::Value& value) {
    const double multiple = value.as_double();
    if (!(multiple > 0) || std::isinf(multiple)) {
      refuse(value, fmt::format("`multipleOf` of field `{}` must be above 0", field_.name),
             "write a number above 0");
      return;
    }
    field_.multiple_of = multiple;
  }

  void read_text_option(const std::string& key, const doc::Value& value) {
    if (key == "pattern") {
      field_.pattern = read_pattern(value, fmt::format("field `{}`", field_.name), reader_);
      return;
    }
    if (value.as_int() < 0) {
      refuse(value, fmt::format("`{}` of field `{}` is below 0", key, field_.name),
             "write 0 or more");
      return;
    }
    (key == "minLength" ? field_.min_length : field_.max_length) = value.as_int();
  }

  void read_format(const doc::Value& value, bool number, bool time) {
    const std::string& format = value.as_string();
    if (time) {
      const auto layout = iso_layout(format);
      if (!layout) {
        reader_.report(
            value.position(), "unknown-format",
            fmt::format("field `{}`: times written as `{}` are not read", field_.name, format),
            "Heddle reads ISO 8601, for example `2020-01-31T12:00:00Z`: convert at the source "
            "and write `format: yyyy-MM-dd`, or remove it");
      } else if (layout->date != (field_.form != Form::kTime)) {
        reader_.report(
            value.position(), "unknown-format",
            fmt::format("field `{}` is a {}, and `{}` is the layout of a {}", field_.name,
                        property_.logical_type, format, layout->date ? "date" : "time of day"),
            "correct the layout or `logicalType`");
      }
      return;
    }
    if (number ? read_number_format(format) : read_text_format(format)) return;
    reader_.not_enforced(fmt::format("format: {}", format), value.position(),
                         number
                             ? "the formats of numbers are i8 to u128, f32 and f64"
                             : "enforced are email, uuid, uri, hostname, ipv4, ipv6 and byte; for "
                               "another write a `pattern`");
  }

  /// The width of a number bounds it. What 64 bits hold anyway needs no bound.
  bool read_number_format(const std::string& format) {
    if (format == "f64") return true;
    if (format == "f32") {
      tighten(field_.minimum, -double{FLT_MAX}, true, false);
      tighten(field_.maximum, double{FLT_MAX}, false, false);
      return true;
    }
    if (format.size() < 2 || (format[0] != 'i' && format[0] != 'u')) return false;
    const auto bits = number_in(format.substr(1));
    if (!bits || (*bits != 8 && *bits != 16 && *bits != 32 && *bits != 64 && *bits != 128))
      return false;
    const bool is_signed = format[0] == 'i';
    // Whole numbers have 64 bits here: wider types are bounded by that alone.
    if (*bits < 64) {
      // For example -128 to 127 of `i8`, 0 to 255 of `u8`.
      const double most = std::ldexp(1.0, is_signed ? *bits - 1 : *bits) - 1;
      tighten(field_.minimum, is_signed ? -most - 1 : 0.0, true, false);
      tighten(field_.maximum, most, false, false);
    } else if (!is_signed) {
      tighten(field_.minimum, 0.0, true, false);
    }
    return true;
  }

  bool read_text_format(const std::string& format) {
    static const std::map<std::string, Form> forms = {
        {"email", Form::kEmail},       {"uuid", Form::kUuid}, {"uri", Form::kUri},
        {"hostname", Form::kHostname}, {"ipv4", Form::kIpv4}, {"ipv6", Form::kIpv6},
        {"byte", Form::kByte}};
    const auto found = forms.find(format);
    if (found == forms.end()) return false;
    field_.form = found->second;
    return true;
  }

  void read_zone(const std::string& key, const doc::Value& value) {
    // What UTC and "no zone" say is what happens.
    if (value == doc::Value(false)) return;
    if (value.is_string()) {
      for (const char* same : {"UTC", "Etc/UTC", "Z", "GMT", "Etc/GMT"}) {
        if (value.as_string() == same) return;
      }
    }
    reader_.not_enforced(
        key, reader_.key_position(key, value.position()),
        "a time without a zone is read as UTC: write the zone or convert at the source");
  }

  void check_lengths() {
    if (field_.min_length && field_.max_length && *field_.min_length > *field_.max_length) {
      reader_.report(field_.position, "out-of-range",
                     fmt::format("field `{}` allows no value: minLength {} is above maxLength {}",
                                 field_.name, *field_.min_length, *field_.max_length),
                     "swap the two");
    }
  }

  const Property& property_;
  Field& field_;
  Reader& reader_;
};

/// 3.0 has no `timestamp`: there a `date` has a time of day when its `format` has one, or else its
/// `physicalType`. A layout that is not read is an error of its own.
bool has_time_of_day(const Property& property, Reader& reader) {
  const auto format = property.options.values.find("format");
  if (format != property.options.values.end()) {
    const auto layout = iso_layout(format->second.as_string());
    return layout && layout->time;
  }
  if (logical_of(property.physical_type) != "timestamp") return false;
  reader.warn_once("a date with a time", property.physical_type_position, "type-from-physical",
                   fmt::format("`{}` is a date whose physical type is `{}`: times of day are taken",
                               property.name, property.physical_type),
                   "write `logicalType: timestamp`, or `format: yyyy-MM-dd` where it is a date");
  return true;
}

}  // namespace

std::string read_pattern(const doc::Value& value, const std::string& what, Reader& reader) {
  std::string pattern = re2_pattern(value.as_string());
  RE2::Options options;
  // The diagnostic says it, with its place.
  options.set_log_errors(false);
  const RE2 compiled(pattern, options);
  if (!compiled.ok()) {
    reader.report(value.position(), "bad-pattern",
                  fmt::format("{}: `{}` is no regular expression that RE2 can compile: {}", what,
                              value.as_string(), compiled.error()),
                  "look-around and back-references are not in RE2: write the rule as an expression",
                  static_cast<int>(value.as_string().size()));
  }
  // The error reported keeps a bad pattern from ever being run.
  return pattern;
}

std::optional<FieldType> type_of(const Property& property, Reader& reader) {
  if (property.semantic_type == "measure") {
    reader.warn_once(
        "measure", property.position, "not-enforced",
        fmt::format("`{}` is a measure: it is computed from many rows, no field of one",
                    property.name),
        "its rules are not enforced; check it where it is computed");
    return std::nullopt;
  }
  // Reported when the key was read.
  if (property.has_unknown_type) return std::nullopt;
  std::string logical = property.logical_type;
  if (logical.empty()) {
    logical = logical_of(property.physical_type);
    if (logical.empty()) {
      const std::string why = property.physical_type.empty()
                                  ? "has no `logicalType`"
                                  : fmt::format("has no `logicalType` and the physical type `{}`",
                                                property.physical_type);
      reader.warn_once(
          "untyped", property.position, "field-not-read",
          fmt::format("`{}` {}: it is not read, its rules are not enforced", property.name, why),
          "add `logicalType`");
      return std::nullopt;
    }
    reader.warn_once("inferred", property.position, "type-from-physical",
                     fmt::format("`{}` has no `logicalType`: `{}` is read as {}", property.name,
                                 property.physical_type, logical),
                     "add `logicalType`, so that nothing depends on a name of a database");
  } else if (!property.physical_type.empty()) {
    reader.not_enforced(
        "physicalType", property.physical_type_position,
        "`logicalType` and its options are enforced: write lengths and bounds there");
  }
  auto type = field_type(logical);
  // Every date of 3.0 may turn out to be a timestamp.
  if (logical == "date" && has_time_of_day(property, reader)) type->form = Form::kAny;
  if (!type) {
    reader.warn_once(
        "nested", property.position, "field-not-read",
        fmt::format(
            "`{}` is of type {}: a row is flat, so it is not read and its rules are not enforced",
            property.name, logical),
        "leave it out of requests and features, or flatten it at the source");
  }
  return type;
}

void read_options(const Property& property, Field& field, Reader& reader) {
  OptionReader(property, field, reader).read();
}

}  // namespace odcs
}  // namespace heddle::spec
