#include "parity/probes.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace heddle::parity {
namespace {

/// Rows of a kind of probe: more say little that the first do not.
constexpr std::int64_t kOfAKind = 5;

/// A text that no row of the column has.
std::string unseen_text(const table::Column& column) {
  std::string out = "a text never seen";
  const auto& known = column.dictionary->views();
  while (std::find(known.begin(), known.end(), out) != known.end()) out += "+";
  return out;
}

void make_missing(table::Column& column) {
  column.valid.assign(static_cast<std::size_t>(column.length()), 0);
}

void make_unseen(table::Column& column, const std::string& text) {
  std::vector<std::string> values{text};
  column.dictionary = std::make_shared<const table::Dictionary>(std::move(values));
  std::fill(column.codes.begin(), column.codes.end(), 0);
  column.valid.clear();
}

}  // namespace

std::string Probed::name_of(std::int64_t row) const {
  if (row < sampled) return fmt::format("reference row {}", row + 1);
  return fmt::format(
      "a row with {}",
      kinds[static_cast<std::size_t>(kind_of[static_cast<std::size_t>(row - sampled)])]);
}

Result<Probed> make_probes(std::span<const spec::Field> fields, const table::Table& sample,
                           std::int64_t most) {
  std::vector<table::Column> columns;
  for (const auto& field : fields) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, sample.column(field.name));
    columns.push_back(*column);
  }
  HEDDLE_ASSIGN_OR_RETURN(auto rows, table::Table::make(std::move(columns)));
  std::vector<std::int64_t> chosen;
  const std::int64_t taken = std::min(most, rows.rows());
  for (std::int64_t i = 0; i < taken; ++i) chosen.push_back(i * rows.rows() / taken);
  Probed out;
  out.sampled = taken;
  out.rows = rows.take(chosen);
  const table::Table base = out.rows.slice(0, std::min(kOfAKind, taken));
  const auto add = [&](const spec::Field& field, std::string what,
                       const auto& change) -> Result<void> {
    std::vector<table::Column> changed(base.columns().begin(), base.columns().end());
    for (auto& column : changed) {
      if (column.name == field.name) change(column);
    }
    HEDDLE_ASSIGN_OR_RETURN(auto more, table::Table::make(std::move(changed)));
    const std::vector<table::Table> parts{std::move(out.rows), std::move(more)};
    HEDDLE_ASSIGN_OR_RETURN(out.rows, table::Table::concat(parts));
    out.kind_of.insert(out.kind_of.end(), static_cast<std::size_t>(parts[1].rows()),
                       static_cast<std::int32_t>(out.kinds.size()));
    out.kinds.push_back(std::move(what));
    return {};
  };
  for (const auto& field : fields) {
    if (!field.required)
      HEDDLE_TRY(add(field, fmt::format("a missing value of `{}`", field.name), make_missing));
    if (field.type != expr::Type::kString) continue;
    const std::string text = unseen_text(*base.find(field.name));
    HEDDLE_TRY(add(field, fmt::format("a value of `{}` that no row has", field.name),
                   [&](table::Column& column) { make_unseen(column, text); }));
  }
  return out;
}

}  // namespace heddle::parity
