#include "flow/refused_rows.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "table/lookup.hpp"
#include "table/stream.hpp"

namespace heddle::flow {
namespace {

/// A column of texts, row by row.
class TextColumn {
 public:
  explicit TextColumn(std::string name) {
    column_.name = std::move(name);
    column_.type = expr::Type::kString;
  }
  /// An empty text is nothing.
  void add(std::string_view text) {
    column_.codes.push_back(texts_.insert(text));
    column_.valid.push_back(text.empty() ? 0 : 1);
  }
  table::Column finish() && {
    if (texts_.size() == 0) texts_.insert("");
    column_.dictionary = std::make_shared<const table::Dictionary>(texts_.values());
    return std::move(column_);
  }

 private:
  table::Column column_{};
  table::StringIndex texts_{};
};

std::string text_of(const table::Column& column, std::int64_t row) {
  if (const auto text = column.malformed_text(static_cast<std::size_t>(row)))
    return std::string(*text);
  const expr::Datum value = column.view().at(row);
  using Kind = expr::Datum::Kind;
  switch (value.kind) {
    case Kind::kBool: return value.b ? "true" : "false";
    case Kind::kInt: return fmt::format("{}", value.i);
    case Kind::kDouble: return fmt::format("{}", value.d);
    case Kind::kString: return std::string(value.str());
    case Kind::kTimestamp: return format_time(value.i);
    default: return {};
  }
}

/// The ids of what counts, comma-separated.
template <class Known>
std::string ids_of(const std::vector<Known>& known, const std::vector<std::int64_t>& counts) {
  std::string out;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (counts[i] > 0) out += (out.empty() ? "" : ",") + known[i].id;
  }
  return out;
}

}  // namespace

Result<void> keep_refused(const table::Table& rows, const contract::Contract& contract,
                          std::span<const std::uint8_t> refused, const std::string& directory) {
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < rows.rows() && std::ssize(kept) < kMostRefusedKept; ++row) {
    if (refused[static_cast<std::size_t>(row)] != 0) kept.push_back(row);
  }
  if (kept.empty()) return {};
  TextColumn rules("validation");
  TextColumn repairs("repairs");
  for (const std::int64_t row : kept) {
    // By itself: labels are checked too, which no request has.
    HEDDLE_ASSIGN_OR_RETURN(const auto check, contract.check_table(rows.slice(row, row + 1)));
    rules.add(ids_of(contract.rules(), check.counts));
    repairs.add(ids_of(contract.repairs(), check.repaired));
  }
  std::vector<table::Column> columns;
  for (const auto& column : rows.columns()) {
    TextColumn texts(column.name);
    for (const std::int64_t row : kept) texts.add(text_of(column, row));
    columns.push_back(std::move(texts).finish());
  }
  columns.push_back(std::move(rules).finish());
  if (!contract.repairs().empty()) columns.push_back(std::move(repairs).finish());
  std::vector<table::ColumnInfo> infos;
  for (const auto& column : columns) infos.push_back({column.name, column.type});
  HEDDLE_ASSIGN_OR_RETURN(const auto out, table::Table::make(std::move(columns)));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto writer,
      table::TableWriter::open(fmt::format("{}/{}", directory, kRefusedFile), std::move(infos)));
  HEDDLE_TRY(writer->append(out));
  HEDDLE_TRY(writer->finish());
  return writer->publish();
}

}  // namespace heddle::flow
