#include "contract/repair.hpp"

#include <algorithm>
#include <cmath>

#include "base/clock.hpp"
#include "contract/code.hpp"
#include "table/cell.hpp"

namespace heddle::contract {
namespace {

using expr::Datum;
using expr::Type;
using spec::Impute;

/// In the order in which they are applied, which is documented (docs/cleaning.md).
enum Kind : std::size_t { kTrim, kCase, kNulls, kDecimal, kDates, kScale, kClip, kImpute };

Made bit(Kind kind) noexcept { return static_cast<Made>(1U << kind); }

constexpr std::string_view kBlanks = " \t\r\n\f\v";
constexpr std::string_view kNoBreakSpace = "\xC2\xA0";

/// What spreadsheets and fixed-width exports leave around a text.
std::string_view trimmed(std::string_view text) noexcept {
  for (;;) {
    const std::size_t before = text.size();
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    text.remove_prefix(first);
    text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    if (text.starts_with(kNoBreakSpace)) text.remove_prefix(kNoBreakSpace.size());
    if (text.ends_with(kNoBreakSpace)) text.remove_suffix(kNoBreakSpace.size());
    if (text.size() == before) return text;
  }
}

char in_case(char c, spec::LetterCase wanted) noexcept {
  if (wanted == spec::LetterCase::kLower)
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string cased(std::string_view text, spec::LetterCase wanted) {
  std::string out(text);
  if (wanted == spec::LetterCase::kAny) return out;
  for (char& c : out) c = in_case(c, wanted);
  return out;
}

Datum datum_of(const doc::Value& value, Type type) noexcept {
  if (value.is_bool()) return Datum::boolean(value.as_bool());
  if (value.is_int()) return table::as_type(type, Datum::integer(value.as_int()));
  if (value.is_double()) return table::as_type(type, Datum::real(value.as_double()));
  return Datum::null();
}

}  // namespace

/// Gives each repair that is declared its number, in their order.
void FieldRepairs::number_all(const std::string& name, const AddRepair& add) {
  const spec::Repairs& r = repairs_;
  numbers_.fill(-1);
  const auto number = [&](Kind kind, bool is_declared, const char* suffix, std::string about) {
    if (is_declared)
      numbers_[kind] = add({fmt::format("{}-{}", name, suffix), name, std::move(about)});
  };
  number(kTrim, r.trim, "trim", "spaces around it removed");
  number(kCase, r.letter_case != spec::LetterCase::kAny, "case",
         r.letter_case == spec::LetterCase::kLower ? "lower case" : "upper case");
  number(kNulls, !r.nulls.empty(), "nulls",
         fmt::format("missing: `{}`", fmt::join(r.nulls, "`, `")));
  number(kDecimal, !r.decimal.empty(), "decimal", "decimal comma");
  number(kDates, !r.dates.empty(), "dates",
         fmt::format("written as `{}`", fmt::join(r.dates, "`, `")));
  number(kScale, r.scale || r.offset, "scale",
         fmt::format("value * {} + {}", r.scale.value_or(1), r.offset.value_or(0)));
  number(kClip, r.clip_minimum || r.clip_maximum, "clip",
         fmt::format("{} to {}", r.clip_minimum.value_or(-HUGE_VAL),
                     r.clip_maximum.value_or(HUGE_VAL)));
  number(kImpute, r.impute != Impute::kNone, "impute",
         r.impute == Impute::kConstant ? "a constant"
         : r.impute == Impute::kMedian ? "the median of the rows to train on"
                                       : "the most frequent value of the rows to train on");
}

Result<FieldRepairs> FieldRepairs::compile(const spec::Field& field, const AddRepair& add) {
  HEDDLE_TRY(spec::check_repairs(field));
  FieldRepairs out;
  const spec::Repairs& r = field.repairs;
  out.repairs_ = r;
  out.type_ = field.type;
  out.number_all(field.name, add);
  for (const auto& layout : r.dates) {
    HEDDLE_ASSIGN_OR_RETURN(auto format, table::DateFormat::compile(layout));
    out.dates_.push_back(std::move(format));
  }
  const table::KeyPart part(field.type);
  for (const auto& text : r.nulls) {
    // A text is compared as the repairs before this one leave it.
    out.nulls_.insert(
        cased(r.trim || field.type != Type::kString ? trimmed(text) : text, r.letter_case));
    Made ignored = 0;
    if (field.type == Type::kString) continue;
    // `-999` is also what a file or a request has as a number.
    const Datum read = out.typed(text, ignored);
    const Datum value = read.is_error() ? table::cell_of_text(text, field.type) : read;
    if (const auto key = part.find(value)) out.null_keys_.push_back(*key);
  }
  if (!r.imputed.is_null()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto value, spec::typed_value(field, r.imputed));
    out.set_imputed(value);
  }
  return out;
}

void FieldRepairs::set_imputed(const doc::Value& value) {
  imputed_text_ = value.is_string() ? value.as_string() : std::string();
  imputed_ = value.is_string() ? table::as_type(type_, Datum::string(imputed_text_))
                               : datum_of(value, type_);
}

bool FieldRepairs::learns() const noexcept {
  return repairs_.impute == Impute::kMedian || repairs_.impute == Impute::kMode;
}

/// What a text says where it is no value of a string field.
Datum FieldRepairs::typed(std::string_view text, Made& made) const noexcept {
  if (!repairs_.reads_text()) return table::as_type(type_, Datum::string(text));
  // Blanks say nothing.
  if (trimmed(text).empty()) return Datum::null();
  if (!dates_.empty()) {
    for (const auto& format : dates_) {
      const auto time = format.parse(text);
      if (!time) continue;
      // How times are written anyway is nothing to repair.
      if (!format.is_iso()) made |= bit(kDates);
      return Datum::timestamp(*time);
    }
    return Datum::error();
  }
  const Datum value = table::cell_of_text(text, type_, repairs_.decimal.front());
  // A number without a comma needed no repair.
  if (!value.is_error() && text.find(repairs_.decimal.front()) != std::string_view::npos)
    made |= bit(kDecimal);
  return value;
}

Datum FieldRepairs::of_text(const Datum& raw, std::string& buffer, Made& made) const noexcept {
  std::string_view text = raw.str();
  if (type_ != Type::kString) {
    if (nulls_.find(trimmed(text)) < 0) return typed(text, made);
    made |= bit(kNulls);
    return Datum::null();
  }
  if (repairs_.trim) {
    const std::string_view inner = trimmed(text);
    if (inner.size() != text.size()) made |= bit(kTrim);
    text = inner;
  }
  const auto wanted = repairs_.letter_case;
  const bool changes =
      wanted != spec::LetterCase::kAny &&
      std::any_of(text.begin(), text.end(), [&](char c) { return in_case(c, wanted) != c; });
  if (changes) {
    made |= bit(kCase);
    buffer.assign(text);
    for (char& c : buffer) c = in_case(c, wanted);
    text = buffer;
  }
  if (nulls_.find(text) < 0) return Datum::string(text);
  made |= bit(kNulls);
  return Datum::null();
}

bool FieldRepairs::is_null(const Datum& value) const noexcept {
  if (null_keys_.empty()) return false;
  const auto key = table::KeyPart(type_).find(value);
  return key && std::find(null_keys_.begin(), null_keys_.end(), *key) != null_keys_.end();
}

Datum FieldRepairs::scaled(const Datum& value) const noexcept {
  if (type_ == Type::kInt) {
    std::int64_t out = value.i;
    // By whole numbers only (`check_repairs`), so that nothing is rounded.
    const bool is_past =
        (repairs_.scale &&
         __builtin_mul_overflow(out, static_cast<std::int64_t>(*repairs_.scale), &out)) ||
        (repairs_.offset &&
         __builtin_add_overflow(out, static_cast<std::int64_t>(*repairs_.offset), &out));
    return is_past ? Datum::error() : Datum::integer(out);
  }
  double out = value.d;
  if (repairs_.scale) out *= *repairs_.scale;
  if (repairs_.offset) out += *repairs_.offset;
  return std::isfinite(out) ? Datum::real(out) : Datum::error();
}

Datum FieldRepairs::clipped(const Datum& value) const noexcept {
  const auto& [low, high] = std::pair(repairs_.clip_minimum, repairs_.clip_maximum);
  const double number = value.number();
  const bool is_below = low && number < *low;
  if (!is_below && !(high && number > *high)) return value;
  const double bound = is_below ? *low : *high;
  return type_ == Type::kInt ? Datum::integer(static_cast<std::int64_t>(bound))
                             : Datum::real(bound);
}

Datum FieldRepairs::apply(const Datum& raw, Upto upto, std::string& buffer,
                          Made& made) const noexcept {
  made = 0;
  Datum value =
      raw.kind == Datum::Kind::kString ? of_text(raw, buffer, made) : table::as_type(type_, raw);
  // No later repair has a value to go on with; the type's own rule refuses it.
  if (value.is_error()) return value;
  if (!value.is_null() && is_null(value)) {
    made |= bit(kNulls);
    value = Datum::null();
  }
  if (upto == Upto::kText) return value;
  if (!value.is_null() && numbers_[kScale] >= 0) {
    const Datum before = value;
    value = scaled(value);
    if (value.is_error()) return value;
    if (differ(value, before)) made |= bit(kScale);
  }
  if (!value.is_null() && numbers_[kClip] >= 0) {
    const Datum before = value;
    value = clipped(value);
    if (differ(value, before)) made |= bit(kClip);
  }
  if (value.is_null() && !imputed_.is_null()) {
    made |= bit(kImpute);
    // Not kept as a view: this object may have been moved.
    value = type_ == Type::kString ? Datum::string(imputed_text_) : imputed_;
  }
  return value;
}

namespace {

/// Stands for what is malformed and was no text: nothing that a repair could be declared for.
constexpr std::string_view kNoText = "\x01";

/// What one raw value became.
struct Cell {
  enum class State : std::uint8_t { kUnknown, kValue, kMissing, kMalformed };
  State state = State::kUnknown;
  Made made = 0;
  std::int32_t code = 0;  ///< of a text
  std::int64_t whole = 0;
  double real = 0;
};

/// A column of repaired values, row by row. One thread.
class RepairedColumn {
 public:
  RepairedColumn(const FieldRepairs& repairs, const table::Column& from, Type type,
                 FieldRepairs::Upto upto, std::vector<std::int64_t>& counts)
      : repairs_(repairs), from_(from), upto_(upto), counts_(counts) {
    out_.name = from.name;
    out_.type = type;
  }

  table::Column run() {
    const expr::ColumnView view = from_.view();
    const bool has_texts = from_.type == Type::kString;
    if (has_texts)
      by_code_.resize(view.dictionary == nullptr ? 0 : from_.dictionary->views().size());
    if (from_.malformed_texts != nullptr)
      by_malformed_.resize(from_.malformed_texts->views().size());
    for (std::int64_t row = 0; row < view.length; ++row) {
      const auto i = static_cast<std::size_t>(row);
      if (const auto text = from_.malformed_text(i)) {
        // In a column of texts it is no text, and must not become one by being written again.
        add(malformed(from_.malformed[i] - 1, *text), has_texts ? kNoText : *text);
      } else if (has_texts && (view.valid == nullptr || view.valid[i] != 0)) {
        const std::string_view word = view.dictionary[view.codes[i]];
        add(once(by_code_[static_cast<std::size_t>(view.codes[i])], Datum::string(word)), word);
      } else {
        add(cell_of(view.at(row)), kNoText);
      }
    }
    return finish();
  }

 private:
  Cell cell_of(const Datum& raw) {
    Cell out;
    const Datum value = repairs_.apply(raw, upto_, buffer_, out.made);
    out.state = value.is_error()  ? Cell::State::kMalformed
                : value.is_null() ? Cell::State::kMissing
                                  : Cell::State::kValue;
    if (out.state != Cell::State::kValue) return out;
    switch (value.kind) {
      case Datum::Kind::kString: out.code = strings_.insert(value.str()); break;
      case Datum::Kind::kDouble: out.real = value.d; break;
      case Datum::Kind::kBool: out.whole = value.b ? 1 : 0; break;
      default: out.whole = value.i;
    }
    return out;
  }

  const Cell& once(Cell& known, const Datum& raw) {
    if (known.state == Cell::State::kUnknown) known = cell_of(raw);
    return known;
  }

  /// What the reader of a file could make nothing of. In a column of texts it is no text at all.
  const Cell& malformed(std::uint32_t at, std::string_view text) {
    return once(by_malformed_[at],
                from_.type == Type::kString ? Datum::error() : Datum::string(text));
  }

  void add(const Cell& cell, std::string_view text) {
    switch (out_.type) {
      case Type::kDouble: out_.doubles.push_back(cell.real); break;
      case Type::kString: out_.codes.push_back(cell.code); break;
      default: out_.ints.push_back(cell.whole);
    }
    out_.valid.push_back(cell.state == Cell::State::kValue ? 1 : 0);
    has_missing_ = has_missing_ || cell.state != Cell::State::kValue;
    const bool is_malformed = cell.state == Cell::State::kMalformed;
    out_.malformed.push_back(
        is_malformed ? static_cast<std::uint32_t>(malformed_texts_.insert(text)) + 1 : 0);
    for (unsigned rest = cell.made; rest != 0; rest &= rest - 1) {
      const int number = repairs_.number(static_cast<std::size_t>(__builtin_ctz(rest)));
      ++counts_[static_cast<std::size_t>(number)];
    }
  }

  table::Column finish() {
    // Readers skip a look at each row where there is no mask.
    if (!has_missing_) out_.valid.clear();
    if (malformed_texts_.size() == 0) {
      out_.malformed.clear();
    } else {
      out_.malformed_texts = std::make_shared<const table::Dictionary>(malformed_texts_.values());
    }
    if (out_.type == Type::kString) {
      // A column of texts has a dictionary, if with nothing to say.
      if (strings_.size() == 0) strings_.insert("");
      out_.dictionary = std::make_shared<const table::Dictionary>(strings_.values());
    }
    return std::move(out_);
  }

  const FieldRepairs& repairs_;
  const table::Column& from_;
  FieldRepairs::Upto upto_;
  std::vector<std::int64_t>& counts_;
  table::Column out_{};
  table::StringIndex strings_{}, malformed_texts_{};
  std::vector<Cell> by_code_{}, by_malformed_{};
  std::string buffer_{};
  bool has_missing_ = false;
};

}  // namespace

table::Column repaired_column(const FieldRepairs& repairs, const table::Column& column, Type type,
                              FieldRepairs::Upto upto, std::vector<std::int64_t>& counts) {
  return RepairedColumn(repairs, column, type, upto, counts).run();
}

}  // namespace heddle::contract
