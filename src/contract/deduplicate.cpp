#include "contract/deduplicate.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "table/key_column.hpp"

namespace heddle::contract {
namespace {

constexpr std::size_t kMostParts = 8;  // the compiler refuses longer keys

Result<const table::Column*> column_of(const table::Table& rows, const std::string& name) {
  auto column = rows.column(name);
  if (column.ok()) return column;
  Error error = column.error();
  error.kind = ErrorKind::kUnprocessable;
  error.message = fmt::format("the rows have no column `{}`, by which they are deduplicated", name);
  return error;
}

}  // namespace

Deduplicator::Deduplicator(const spec::Deduplicate& rule) : rule_(rule), keys_(rule.key.size()) {}

Result<void> Deduplicator::add(const table::Table& accepted,
                               std::span<const std::int64_t> numbers) {
  std::vector<expr::ColumnView> views;
  for (const auto& name : rule_.key) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, column_of(accepted, name));
    // By the first part: all parts are of one table.
    if (!is_begun_) parts_.emplace_back(column->type);
    views.push_back(column->view());
  }
  is_begun_ = true;
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* by, column_of(accepted, rule_.by));
  const expr::ColumnView times = by->view();
  // Codes of texts are of this part's dictionaries.
  std::vector<table::KeyColumn> columns;
  for (auto& part : parts_) columns.emplace_back(part, &part);
  std::array<std::int64_t, kMostParts> key{};
  for (std::int64_t row = 0; row < accepted.rows(); ++row) {
    // A row without its whole key or its time is no other row's repetition: it stays.
    bool is_whole = times.valid == nullptr || times.valid[row] != 0;
    for (std::size_t i = 0; i < columns.size() && is_whole; ++i) {
      const auto part = columns[i].at(views[i], row);
      is_whole = part.has_value();
      key[i] = part.value_or(0);
    }
    if (!is_whole) continue;
    const Kept mine{numbers[static_cast<std::size_t>(row)], times.ints[row]};
    const auto at = static_cast<std::size_t>(keys_.insert({key.data(), columns.size()}));
    // A key that is new has the next number.
    if (at == kept_.size()) {
      kept_.push_back(mine);
      continue;
    }
    Kept& there = kept_[at];
    // At equal times the first row of the file stays, or the last one where the last is kept.
    const bool is_better = rule_.keep_last ? mine.time >= there.time : mine.time < there.time;
    dropped_.push_back(is_better ? std::exchange(there, mine).number : mine.number);
  }
  return {};
}

std::vector<std::int64_t> Deduplicator::finish() && {
  std::sort(dropped_.begin(), dropped_.end());
  return std::move(dropped_);
}

}  // namespace heddle::contract
