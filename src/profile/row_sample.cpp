#include "profile/row_sample.hpp"

#include <algorithm>

#include "profile/distinct.hpp"

namespace heddle::profile {
namespace {

constexpr std::size_t kMostParts = 64;

/// The same rows with dictionaries of the texts that they have: what was cut from a large chunk
/// must not keep all texts of that chunk in memory.
table::Table compact(const table::Table& rows) {
  std::vector<table::Column> columns(rows.columns().begin(), rows.columns().end());
  for (table::Column& column : columns) {
    column.malformed.clear();
    column.malformed_texts.reset();
    if (column.type != expr::Type::kString) continue;
    const auto& texts = column.dictionary->views();
    std::vector<std::int32_t> moved(texts.size(), -1);
    std::vector<std::string> used;
    for (std::size_t row = 0; row < column.codes.size(); ++row) {
      if (!column.valid.empty() && column.valid[row] == 0) {
        column.codes[row] = 0;
        continue;
      }
      std::int32_t& code = moved[static_cast<std::size_t>(column.codes[row])];
      if (code < 0) {
        code = static_cast<std::int32_t>(used.size());
        used.emplace_back(texts[static_cast<std::size_t>(column.codes[row])]);
      }
      column.codes[row] = code;
    }
    // A code of a row without a value still has to lie in the dictionary.
    if (used.empty()) used.emplace_back();
    column.dictionary = std::make_shared<const table::Dictionary>(std::move(used));
  }
  auto made = table::Table::make(std::move(columns));
  return made.ok() ? *std::move(made) : rows;
}

}  // namespace

bool RowSample::keeps(std::int64_t row) const noexcept {
  return level_ == 0 || (mixed(static_cast<std::uint64_t>(row)) >> (64 - level_)) == 0;
}

std::int64_t RowSample::size() const noexcept {
  std::int64_t out = 0;
  for (const Part& part : parts_) out += std::ssize(part.numbers);
  return out;
}

void RowSample::add(const table::Table& rows, std::int64_t first_row) {
  std::vector<std::int64_t> chosen;
  Part part;
  for (std::int64_t i = 0; i < rows.rows(); ++i) {
    if (!keeps(first_row + i)) continue;
    chosen.push_back(i);
    part.numbers.push_back(first_row + i);
  }
  if (chosen.empty()) return;
  part.rows = compact(rows.take(chosen));
  parts_.push_back(std::move(part));
  settle();
}

void RowSample::merge(const RowSample& later) {
  while (level_ < later.level_) thin();
  for (const Part& part : later.parts_) parts_.push_back(part);
  // Those may have been kept at a lower level.
  --level_;
  thin();
  settle();
}

/// One level up: about every other row goes.
void RowSample::thin() {
  ++level_;
  for (Part& part : parts_) {
    std::vector<std::int64_t> chosen;
    std::vector<std::int64_t> numbers;
    for (std::size_t i = 0; i < part.numbers.size(); ++i) {
      if (!keeps(part.numbers[i])) continue;
      chosen.push_back(static_cast<std::int64_t>(i));
      numbers.push_back(part.numbers[i]);
    }
    if (chosen.size() == part.numbers.size()) continue;
    part.rows = compact(part.rows.take(chosen));
    part.numbers = std::move(numbers);
  }
  std::erase_if(parts_, [](const Part& part) { return part.numbers.empty(); });
}

void RowSample::settle() {
  while (size() > capacity_) thin();
  if (parts_.size() <= kMostParts) return;
  // Many small tables hold each text many times.
  Part whole{rows(), numbers()};
  parts_.clear();
  parts_.push_back(std::move(whole));
}

table::Table RowSample::rows() const {
  std::vector<table::Table> tables;
  for (const Part& part : parts_) tables.push_back(part.rows);
  if (tables.empty()) return {};
  auto whole = table::Table::concat(tables);
  return whole.ok() ? compact(*whole) : table::Table();
}

std::vector<std::int64_t> RowSample::numbers() const {
  std::vector<std::int64_t> out;
  for (const Part& part : parts_) out.insert(out.end(), part.numbers.begin(), part.numbers.end());
  return out;
}

}  // namespace heddle::profile
