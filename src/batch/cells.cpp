#include "batch/cells.hpp"

#include <fmt/ranges.h>

#include "table/cell.hpp"

namespace heddle::batch {
namespace {

using expr::Datum;
using expr::Type;

Cells::Texts texts_of(const spec::Field& field) {
  // A field of texts has its value as it stands.
  if (!field.repairs.any() || field.type == Type::kString) return Cells::Texts::kTyped;
  return field.repairs.reads_text() ? Cells::Texts::kAsTheyAre : Cells::Texts::kTypedElse;
}

}  // namespace

Result<Cells> Cells::match(std::span<const spec::Field> fields, const table::TableReader& file,
                           const std::string& path) {
  Cells out;
  out.text_ = file.text();
  out.decimal_ = file.decimal();
  std::vector<std::string> missing;
  for (const spec::Field& field : fields) {
    int at = -1;
    for (std::size_t i = 0; i < file.columns().size(); ++i) {
      if (file.columns()[i].name == field.name) at = static_cast<int>(i);
    }
    // A field that may be missing may have no column.
    if (at < 0) (field.required ? missing : out.absent_).push_back(field.name);
    // The cells of a text file are of any type; a file with types must have one that fits.
    if (at >= 0 && !out.text_) {
      const Type type = file.columns()[static_cast<std::size_t>(at)].type;
      const bool reads_text = type == Type::kString && field.repairs.reads_text();
      if (!reads_text && !table::can_hold(type, field.type)) {
        return Error{
            ErrorKind::kUnprocessable, "column-type",
            fmt::format("column `{}` of `{}` holds {} values, the contract wants {}", field.name,
                        path, expr::type_name(type), expr::type_name(field.type)),
            "write the column with its type; `heddle bundle inspect` shows the contract"};
      }
    }
    out.column_.push_back(at);
    out.type_.push_back(field.type);
    out.texts_.push_back(texts_of(field));
  }
  if (!missing.empty()) {
    return Error{ErrorKind::kUnprocessable, "column-missing",
                 fmt::format("`{}` has no column `{}`, which the contract requires", path,
                             fmt::join(missing, "`, `")),
                 "give the file the columns of the contract, by their names"};
  }
  return out;
}

std::vector<Cells::Source> Cells::of(const table::Table& chunk) const {
  std::vector<Source> out;
  for (const int at : column_) {
    const table::Column* column = at < 0 ? nullptr : &chunk.columns()[static_cast<std::size_t>(at)];
    out.push_back({column, column == nullptr ? expr::ColumnView{} : column->view()});
  }
  return out;
}

void Cells::row(std::span<const Source> sources, std::int64_t row,
                std::vector<Datum>& out) const noexcept {
  out.resize(sources.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[i];
    if (source.column == nullptr) {
      out[i] = Datum::null();
      continue;
    }
    const bool is_typed = texts_[i] == Texts::kTyped;
    out[i] = is_typed ? source.column->cell(source.view, row)
                      : source.column->received(source.view, row);
    if (!text_ || out[i].kind != Datum::Kind::kString || texts_[i] == Texts::kAsTheyAre) continue;
    const Datum value = table::cell_of_text(out[i].str(), type_[i], decimal_);
    // A text that says no value stays one: a repair may read it.
    if (is_typed || !value.is_error()) out[i] = value;
  }
}

}  // namespace heddle::batch
