#include "contract/written.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "table/date_format.hpp"
#include "table/lookup.hpp"

namespace heddle::contract {
namespace {

/// Writes values of one field as its repairs read them.
class FieldWriter {
 public:
  static Result<FieldWriter> of(const spec::Field& field) {
    FieldWriter out;
    for (const auto& layout : field.repairs.dates) {
      HEDDLE_ASSIGN_OR_RETURN(auto format, table::DateFormat::compile(layout));
      out.dates_.push_back(std::move(format));
    }
    if (!field.repairs.decimal.empty()) out.decimal_ = field.repairs.decimal.front();
    return out;
  }

  /// Nothing where no text says it.
  [[nodiscard]] std::optional<std::string> text_of(const expr::Datum& value) const {
    using Kind = expr::Datum::Kind;
    if (value.kind == Kind::kInt) return fmt::format("{}", value.i);
    if (value.kind == Kind::kDouble) {
      std::string out = fmt::format("{}", value.d);  // the shortest that is this number
      std::replace(out.begin(), out.end(), '.', decimal_);
      return out;
    }
    if (value.kind != Kind::kTimestamp) return std::nullopt;
    for (const auto& format : dates_) {
      if (auto out = format.format(value.i)) return out;
    }
    return std::nullopt;
  }

 private:
  std::vector<table::DateFormat> dates_{};
  char decimal_ = '.';
};

table::Column written_column(const FieldWriter& writer, const table::Column& column,
                             std::vector<std::uint8_t>& unwritable) {
  table::Column out{.name = column.name, .type = expr::Type::kString};
  table::StringIndex texts;
  const auto view = column.view();
  for (std::int64_t row = 0; row < view.length; ++row) {
    const expr::Datum value = view.at(row);
    std::optional<std::string> text;
    if (!value.is_null()) {
      text = writer.text_of(value);
      if (!text) unwritable[static_cast<std::size_t>(row)] = 1;
    }
    out.valid.push_back(text ? 1 : 0);
    out.codes.push_back(texts.insert(text.value_or("")));
  }
  // A column of texts has a dictionary, if with nothing to say.
  if (texts.size() == 0) texts.insert("");
  out.dictionary = std::make_shared<const table::Dictionary>(texts.values());
  return out;
}

}  // namespace

Result<WrittenRows> written_rows(std::span<const spec::Field> fields, const table::Table& rows) {
  WrittenRows out;
  out.unwritable.assign(static_cast<std::size_t>(rows.rows()), 0);
  std::vector<table::Column> columns(rows.columns().begin(), rows.columns().end());
  for (auto& column : columns) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const spec::Field& each) {
      return each.name == column.name;
    });
    const bool is_text = column.type == expr::Type::kString;
    if (field == fields.end() || is_text || !field->repairs.reads_text()) continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto writer, FieldWriter::of(*field));
    column = written_column(writer, column, out.unwritable);
  }
  HEDDLE_ASSIGN_OR_RETURN(out.rows, table::Table::make(std::move(columns)));
  return out;
}

}  // namespace heddle::contract
