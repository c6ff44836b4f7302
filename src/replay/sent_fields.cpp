#include "replay/sent_fields.hpp"

#include <memory>
#include <utility>

#include "replay/json_value.hpp"
#include "table/cell.hpp"

namespace heddle::replay {
namespace {

using expr::Datum;
using table::Type;

bool is_number(const Datum& value) {
  return value.kind == Datum::Kind::kInt || value.kind == Datum::Kind::kDouble;
}

/// Whether a field that understands `value` as `held` sends it as any other of its values.
bool is_of_its_form(const Datum& value, const Datum& held) {
  if (held.is_error()) return false;
  return held.is_null() || held.kind == value.kind || (is_number(held) && is_number(value));
}

std::string json_of(const Datum& value) {
  std::string text;
  append_value(value, text);
  return text;
}

}  // namespace

SentFields::Texts::Texts(const table::Dictionary* known) {
  if (known == nullptr) return;
  for (const std::string_view text : known->views()) {
    places_.try_emplace(std::string(text), texts_.size());
    texts_.emplace_back(text);
  }
}

std::size_t SentFields::Texts::place_of(std::string text) {
  const auto [at, is_new] = places_.try_emplace(text, texts_.size());
  if (is_new) texts_.push_back(std::move(text));
  return at->second;
}

Result<SentFields> SentFields::open(std::span<const std::string> names,
                                    const table::Table& recorded) {
  SentFields out;
  for (const std::string& name : names) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, recorded.column(name));
    Field& field = out.fields_.emplace_back(Field{*column, {}});
    append_string(name, field.key);
    field.key.push_back(':');
  }
  return out;
}

void SentFields::set_form(Field& field, std::size_t row, std::uint32_t form) {
  if (form == kAsHeld && field.forms.empty()) return;
  field.forms.resize(static_cast<std::size_t>(field.column.length()), kAsHeld);
  field.forms[row] = form;
}

void SentFields::hold_value(Field& field, std::size_t row, const Datum& value) {
  table::Column& column = field.column;
  switch (column.type) {
    case Type::kDouble: column.doubles[row] = value.d; break;
    case Type::kString: {
      // The dictionary is shared by all slices of the file: it is copied once a fault adds to it.
      if (field.values.all().empty()) field.values = Texts(column.dictionary.get());
      const std::size_t known = field.values.all().size();
      const std::size_t place = field.values.place_of(std::string(value.str()));
      field.has_grown = field.has_grown || place == known;
      column.codes[row] = static_cast<std::int32_t>(place);
      break;
    }
    case Type::kBool: column.ints[row] = value.b ? 1 : 0; break;
    default: column.ints[row] = value.i;
  }
}

void SentFields::hold(Field& field, std::size_t row, const Datum& held, std::string_view text) {
  table::Column& column = field.column;
  const auto rows = static_cast<std::size_t>(column.length());
  const bool has_value = !held.is_null() && !held.is_error();
  if (!has_value || !column.valid.empty()) {
    column.valid.resize(rows, 1);
    column.valid[row] = has_value ? 1 : 0;
  }
  if (has_value) hold_value(field, row, held);
  if (!column.malformed.empty()) column.malformed[row] = 0;
  if (!held.is_error()) return;
  if (field.malformed.all().empty()) field.malformed = Texts(column.malformed_texts.get());
  column.malformed.resize(rows, 0);
  column.malformed[row] =
      static_cast<std::uint32_t>(1 + field.malformed.place_of(std::string(text)));
  field.has_grown = true;
}

void SentFields::set(std::size_t at, std::size_t row, const Datum& value) {
  Field& field = fields_[at];
  if (value.is_error()) return set(at, row, Datum::null());
  const Datum held = table::as_type(field.column.type, value);
  if (is_of_its_form(value, held)) {
    set_form(field, row, kAsHeld);
    return hold(field, row, held, {});
  }
  // No column of the field's type can hold it: its text is kept for the row.
  std::string json = json_of(value);
  hold(field, row, held, value.kind == Datum::Kind::kString ? value.str() : json);
  set_form(field, row, kTexts + static_cast<std::uint32_t>(field.sent.place_of(std::move(json))));
}

void SentFields::leave_out(std::size_t at, std::size_t row) {
  hold(fields_[at], row, Datum::null(), {});
  set_form(fields_[at], row, kLeftOut);
}

void SentFields::rename(std::size_t at, std::size_t row, const std::string& name) {
  Field& field = fields_[at];
  std::string key;
  append_string(name, key);
  key.push_back(':');
  field.names.resize(static_cast<std::size_t>(field.column.length()), 0);
  field.names[row] = static_cast<std::uint8_t>(1 + field.keys.place_of(std::move(key)));
}

void SentFields::settle() {
  for (Field& field : fields_) {
    if (!std::exchange(field.has_grown, false)) continue;
    if (!field.values.all().empty())
      field.column.dictionary = std::make_shared<const table::Dictionary>(field.values.all());
    if (!field.malformed.all().empty())
      field.column.malformed_texts =
          std::make_shared<const table::Dictionary>(field.malformed.all());
  }
}

/// Nobody looks for it under its other name: the service has no value of the field.
void SentFields::take_renamed(Field& field) {
  for (std::size_t row = 0; row < field.names.size(); ++row) {
    if (field.names[row] == 0) continue;
    if (field.forms.empty() || field.forms[row] == kAsHeld) {
      std::string json;
      append_held(field.column, row, json);
      set_form(field, row,
               kTexts + static_cast<std::uint32_t>(field.sent.place_of(std::move(json))));
    }
    hold(field, row, Datum::null(), {});
  }
}

Result<void> SentFields::finish() {
  settle();
  std::vector<table::Column> columns;
  for (Field& field : fields_) {
    take_renamed(field);
    columns.push_back(std::move(field.column));
    field.values = {};
    field.malformed = {};
  }
  HEDDLE_ASSIGN_OR_RETURN(table_, table::Table::make(std::move(columns)));
  return {};
}

void SentFields::append_held(const table::Column& column, std::size_t row, std::string& out) {
  if (const auto text = column.malformed_text(row)) return append_string(*text, out);
  append_value(column.view().at(static_cast<std::int64_t>(row)), out);
}

void SentFields::append_json(std::size_t row, std::string& out) const {
  out.push_back('{');
  bool is_first = true;
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const Field& field = fields_[i];
    const std::uint32_t form = field.forms.empty() ? kAsHeld : field.forms[row];
    if (form == kLeftOut) continue;
    if (!std::exchange(is_first, false)) out.push_back(',');
    const std::uint8_t name = field.names.empty() ? 0 : field.names[row];
    out.append(name == 0 ? field.key : field.keys.at(name - 1U));
    if (form == kAsHeld)
      append_held(table_.columns()[i], row, out);
    else
      out.append(field.sent.at(form - kTexts));
  }
  out.push_back('}');
}

}  // namespace heddle::replay
