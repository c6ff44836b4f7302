#include "spec/repairs.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "doc/schema.hpp"
#include "spec/contract.hpp"
#include "table/date_format.hpp"

namespace heddle::spec {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;
using expr::Type;

bool is_of_numbers(Type type) { return type == Type::kInt || type == Type::kDouble; }

Error cannot(const Field& field, std::string_view repair, std::string_view why, std::string hint) {
  return Error{ErrorKind::kInvalid, "repair-type",
               fmt::format("repair `{}` of field `{}`: {}", repair, field.name, why),
               std::move(hint)};
}

Error wrong_type(const Field& field, std::string_view repair, std::string_view due) {
  return cannot(field, repair,
                fmt::format("it is of {}, and the field is a {}", due, expr::type_name(field.type)),
                "remove it, or correct `logicalType`");
}

/// An integer stays one only where the numbers are whole.
bool is_whole_or_none(const std::optional<double>& number) {
  return !number || std::trunc(*number) == *number;
}

Result<void> check_texts(const Field& field) {
  const Repairs& r = field.repairs;
  if (r.trim && field.type != Type::kString) return wrong_type(field, "trim", "texts");
  if (r.letter_case != LetterCase::kAny && field.type != Type::kString)
    return wrong_type(field, "case", "texts");
  if (!r.decimal.empty() && !is_of_numbers(field.type))
    return wrong_type(field, "decimal", "numbers");
  if (r.dates.empty()) return {};
  if (field.type != Type::kTimestamp) return wrong_type(field, "dates", "dates and times");
  for (const auto& layout : r.dates) {
    const auto format = table::DateFormat::compile(layout);
    if (format.ok()) continue;
    Error error = format.error();
    error.message = fmt::format("repair `dates` of field `{}`: {}", field.name, error.message);
    return error;
  }
  return {};
}

Result<void> check_numbers(const Field& field) {
  const Repairs& r = field.repairs;
  const bool scales = r.scale || r.offset;
  const bool clips = r.clip_minimum || r.clip_maximum;
  if (scales && !is_of_numbers(field.type)) return wrong_type(field, "scale", "numbers");
  if (clips && !is_of_numbers(field.type)) return wrong_type(field, "clip", "numbers");
  if (r.scale && *r.scale == 0)
    return cannot(field, "scale", "it would make every value the same", "write another factor");
  if (r.clip_minimum && r.clip_maximum && *r.clip_minimum > *r.clip_maximum) {
    return cannot(
        field, "clip",
        fmt::format("its minimum {} is above its maximum {}", *r.clip_minimum, *r.clip_maximum),
        "swap the two");
  }
  // What is made of an integer has to be one.
  if (field.type != Type::kInt) return {};
  if (!is_whole_or_none(r.scale) || !is_whole_or_none(r.offset))
    return cannot(field, "scale", "the field is an integer, and what it gives is none",
                  "make its `logicalType` a `number`, or write whole numbers");
  if (!is_whole_or_none(r.clip_minimum) || !is_whole_or_none(r.clip_maximum))
    return cannot(field, "clip", "the field is an integer, and a bound is none",
                  "write whole numbers");
  return {};
}

Result<void> check_impute(const Field& field) {
  const Repairs& r = field.repairs;
  if (r.impute == Impute::kMedian && !is_of_numbers(field.type))
    return wrong_type(field, "impute", "numbers where it is a median");
  // A median or a mode is learned from rows; only a constant can be checked now.
  if (r.imputed.is_null()) return {};
  const auto value = typed_value(field, r.imputed);
  if (value.ok()) return {};
  return Error{ErrorKind::kInvalid, "repair-value",
               fmt::format("repair `impute`: {}", value.error().message), value.error().hint};
}

const std::vector<std::pair<std::string, LetterCase>>& cases() {
  static const std::vector<std::pair<std::string, LetterCase>> names = {
      {"any", LetterCase::kAny}, {"lower", LetterCase::kLower}, {"upper", LetterCase::kUpper}};
  return names;
}

void read_nulls(Repairs& into, const Value& value, Reader& reader) {
  if (!value.is_array() || value.size() == 0)
    return reader.report(value.position(), "repair-value", "`nulls` lists nothing",
                         "list what means \"missing\": `nulls: [\"NA\", \"-\"]`");
  for (const auto& item : value.as_array()) {
    if (item.is_string()) {
      into.nulls.push_back(item.as_string());
    } else if (item.is_int() || item.is_double()) {
      // As texts: a cell is compared as it is written.
      into.nulls.push_back(item.is_int() ? fmt::to_string(item.as_int())
                                         : fmt::to_string(item.as_double()));
    } else {
      reader.report(item.position(), "repair-value", "`nulls` holds neither a text nor a number",
                    "write each as a text: `nulls: [\"NA\", \"-999\"]`");
    }
  }
}

std::optional<Value> print_nulls(const Repairs& from) {
  Value out = Value::array();
  for (const auto& text : from.nulls) out.push(text);
  return out;
}

const Schema<Repairs>& clip_keys(bool is_record) {
  const auto make = [](Schema<Repairs> t) {
    t.number("minimum", &Repairs::clip_minimum, "lower values become it");
    t.number("maximum", &Repairs::clip_maximum, "higher values become it");
    t.finally([](Repairs& into, const Value& value, Reader& reader) {
      // A bound that was refused was written: it is not told of as missing too.
      if (!into.clip_minimum && !into.clip_maximum && value.size() == 0)
        reader.report(value.position(), "repair-value", "`clip` has no bound",
                      "write `clip: {minimum: 0, maximum: 100}`, or one of the two");
    });
    return t;
  };
  static const auto definition = make(Schema<Repairs>("a range", "the bounds of a clip"));
  static const auto record = make(Schema<Repairs>::record("the range", "the bounds of a clip"));
  return is_record ? record : definition;
}

void read_impute(Repairs& into, const Value& value, bool may_have_both, Reader& reader) {
  const auto refuse = [&](std::string what) {
    reader.report(
        value.position(), "repair-value", std::move(what),
        "write `impute: {value: 0}`, `impute: {learn: median}` or `impute: {learn: mode}`");
  };
  const Value* constant = value.find("value");
  const Value* learn = value.find("learn");
  const std::string how = value.string_or("learn");
  const std::size_t known = (constant != nullptr ? 1 : 0) + (learn != nullptr ? 1 : 0);
  // A record has the value that was learned beside the way it was learned.
  if (known == 0 || value.size() != known || (known == 2 && !may_have_both))
    return refuse("`impute` has either `value` or `learn`, and nothing else");
  if (learn != nullptr && how != "median" && how != "mode")
    return refuse("`impute` learns a `median` or a `mode`");
  if (constant != nullptr && constant->is_null()) return refuse("`impute` has an empty `value`");
  into.impute = learn == nullptr  ? Impute::kConstant
                : how == "median" ? Impute::kMedian
                                  : Impute::kMode;
  if (constant != nullptr) into.imputed = *constant;
}

std::optional<Value> print_impute(const Repairs& from) {
  if (from.impute == Impute::kNone) return std::nullopt;
  Value out = Value::object();
  if (from.impute != Impute::kConstant)
    out.set("learn", from.impute == Impute::kMedian ? "median" : "mode");
  if (!from.imputed.is_null()) out.set("value", from.imputed);
  return out;
}

void read_decimal(Repairs& into, const Value& value, Reader& reader) {
  if (!value.is_string() || value.as_string() != ",")
    return reader.report(value.position(), "repair-value", "`decimal` can only be a comma",
                         "write `decimal: \",\"`; a point needs no repair");
  into.decimal = value.as_string();
}

/// The keys, in the order in which they are applied.
Schema<Repairs> with_keys(Schema<Repairs> t, bool is_record) {
  t.boolean("trim", &Repairs::trim, "texts: spaces, tabs and line ends around them are removed")
      .optional();
  t.choice("case", &Repairs::letter_case, cases(),
           "texts: `lower` or `upper`, ASCII letters only; `any`: as they come")
      .optional();
  t.custom("nulls", Shape::kAny,
           "a list of texts and numbers that mean \"missing\"; a number also as another text of it",
           read_nulls, print_nulls)
      .optional();
  t.custom("decimal", Shape::kAny, "numbers: `,` reads texts with a decimal comma", read_decimal,
           [](const Repairs& from) -> std::optional<Value> {
             return from.decimal.empty() ? std::nullopt : std::optional<Value>(from.decimal);
           })
      .optional();
  t.texts("dates", &Repairs::dates,
          "timestamps: layouts of texts in the directives of strptime (`%d.%m.%Y`), or `ISO 8601`; "
          "the first that fits")
      .optional();
  t.number("scale", &Repairs::scale, "numbers: value * scale + offset");
  t.number("offset", &Repairs::offset, "numbers: value * scale + offset");
  t.within("clip", clip_keys(is_record), "numbers: values outside become the nearest bound")
      .optional();
  t.custom(
       "impute", Shape::kObject,
       "what a missing value becomes: `value`, a constant, or `learn`, the `median` or `mode` "
       "of the rows to train on",
       [is_record](Repairs& into, const Value& value, Reader& reader) {
         read_impute(into, value, is_record, reader);
       },
       print_impute)
      .optional();
  t.finally([](Repairs& into, const Value& value, Reader&) { into.position = value.position(); });
  return t;
}

Schema<Deduplicate> with_deduplicate_keys(Schema<Deduplicate> t) {
  t.texts("key", &Deduplicate::key, "fields: rows that have all of them alike are one row")
      .required();
  t.text("by", &Deduplicate::by, "the timestamp field that says which is first").required();
  t.choice("keep", &Deduplicate::keep_last, {{"first", false}, {"last", true}},
           "which of them stays")
      .required();
  t.finally(
      [](Deduplicate& into, const Value& value, Reader&) { into.position = value.position(); });
  return t;
}

}  // namespace

bool Repairs::any() const noexcept {
  return trim || !nulls.empty() || letter_case != LetterCase::kAny || reads_text() || scale ||
         offset || clip_minimum || clip_maximum || impute != Impute::kNone;
}

const Schema<Repairs>& repair_keys() {
  static const auto schema =
      with_keys({"repairs", "what is done to a value before it is checked, in this order"}, false);
  return schema;
}

const Schema<Repairs>& stored_repairs() {
  static const auto schema = with_keys(
      Schema<Repairs>::record("the repairs", "what is done to a value before it is checked"), true);
  return schema;
}

const Schema<Deduplicate>& deduplicate_keys() {
  static const auto schema =
      with_deduplicate_keys({"deduplicate", "of the rows of one key one stays"});
  return schema;
}

const Schema<Deduplicate>& stored_deduplicate() {
  static const auto schema = with_deduplicate_keys(Schema<Deduplicate>::record(
      "the deduplication", "of the rows of one key one stays; of sets of rows only"));
  return schema;
}

Result<void> check_repairs(const Field& field) {
  const Repairs& r = field.repairs;
  // A label is told of later, past the contract: a value of another unit or one that nobody
  // measured would be another label in training than in traffic.
  if (field.label_time &&
      (r.scale || r.offset || r.clip_minimum || r.clip_maximum || r.impute != Impute::kNone)) {
    return Error{ErrorKind::kInvalid, "repair-label",
                 fmt::format("field `{}` is a label: `scale`, `clip` and `impute` would make it "
                             "another one than is reported later",
                             field.name),
                 "repair how it is written only, or give the model's target as an expression"};
  }
  HEDDLE_TRY(check_texts(field));
  HEDDLE_TRY(check_numbers(field));
  return check_impute(field);
}

void add_for_all(const Repairs& all, Field& field) {
  Repairs& own = field.repairs;
  const bool had = own.any();
  // What stands on the object is for the fields that can have it, so that another type is no error.
  if (field.type == Type::kString) {
    own.trim = own.trim || all.trim;
    if (own.letter_case == LetterCase::kAny) own.letter_case = all.letter_case;
  }
  if (own.nulls.empty()) own.nulls = all.nulls;
  if (is_of_numbers(field.type) && own.decimal.empty()) own.decimal = all.decimal;
  if (field.type == Type::kTimestamp && own.dates.empty()) own.dates = all.dates;
  if (!had) own.position = all.position;
}

}  // namespace heddle::spec
