#include "batch/cells.hpp"

#include <charconv>

#include <fmt/ranges.h>

namespace heddle::batch {
namespace {

using expr::Datum;
using expr::Type;

bool number(Type type) { return type == Type::kInt || type == Type::kDouble; }

/// Whether a column of this type can hold values of that field at all. A whole number may stand as a double, a time as its text.
bool can_hold(Type column, Type field) {
  if (number(field)) return number(column);
  if (field == Type::kTimestamp) return column == Type::kTimestamp || column == Type::kString;
  return column == field;
}

template <class T>
bool whole(std::string_view text, T& out) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

}  // namespace

Datum datum_of_text(std::string_view text, Type type) noexcept {
  if (type == Type::kInt) {
    if (std::int64_t value = 0; whole(text, value)) return Datum::integer(value);
  }
  if (number(type)) {
    if (double value = 0; whole(text, value)) return Datum::real(value);
  }
  if (type == Type::kBool) {
    if (text == "true" || text == "True" || text == "TRUE") return Datum::boolean(true);
    if (text == "false" || text == "False" || text == "FALSE") return Datum::boolean(false);
  }
  return Datum::string(text);
}

Result<Cells> Cells::match(std::span<const spec::Field> fields, const table::TableReader& file, const std::string& path) {
  Cells out;
  out.text_ = file.text();
  std::vector<std::string> missing;
  for (const spec::Field& field : fields) {
    int at = -1;
    for (std::size_t i = 0; i < file.columns().size(); ++i) {
      if (file.columns()[i].name == field.name) at = static_cast<int>(i);
    }
    if (at < 0 && field.required) missing.push_back(field.name);
    if (at >= 0 && !out.text_) {
      const Type type = file.columns()[static_cast<std::size_t>(at)].type;
      if (!can_hold(type, field.type)) {
        return Error{ErrorKind::kUnprocessable, "score-contract-mismatch",
                     fmt::format("column `{}` of `{}` holds {} values, the contract wants {}", field.name, path, expr::type_name(type), expr::type_name(field.type)),
                     "write the column with its type; `heddle bundle inspect` shows the contract"};
      }
    }
    out.column_.push_back(at);
    out.type_.push_back(field.type);
  }
  if (!missing.empty()) {
    return Error{ErrorKind::kUnprocessable, "score-contract-mismatch", fmt::format("`{}` has no column `{}`, which the contract requires", path, fmt::join(missing, "`, `")),
                 "give the file the columns of the contract, by their names"};
  }
  return out;
}

std::vector<expr::ColumnView> Cells::of(const table::Table& chunk) const {
  std::vector<expr::ColumnView> out;
  for (const int at : column_) out.push_back(at < 0 ? expr::ColumnView{} : chunk.columns()[static_cast<std::size_t>(at)].view());
  return out;
}

void Cells::row(std::span<const expr::ColumnView> views, std::int64_t row, std::vector<Datum>& out) const noexcept {
  out.resize(views.size());
  for (std::size_t i = 0; i < views.size(); ++i) {
    out[i] = column_[i] < 0 ? Datum::null() : views[i].at(row);
    if (text_ && out[i].kind == Datum::Kind::kString) out[i] = datum_of_text(out[i].str(), type_[i]);
  }
}

}  // namespace heddle::batch
