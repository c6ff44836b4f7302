#include <algorithm>
#include <cmath>

#include "doc/json.hpp"
#include "draft/draft.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;

double median_of(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  // Of an even count the upper one: a value that some row has.
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The most frequent value, as it stands in the file.
std::string frequent_of(const profile::ColumnProfile& column) {
  const auto values = column.values.by_count();
  return values.empty() ? "" : values.front().value;
}

doc::Value typical_of(const Column& column, const table::Table& rows) {
  const auto& profile = *column.reading.column;
  switch (column.reading.type) {
    case expr::Type::kInt:
      return static_cast<std::int64_t>(
          median_of(profile::numbers_of(*rows.find(column.name()), column.reading)));
    case expr::Type::kDouble:
      return median_of(profile::numbers_of(*rows.find(column.name()), column.reading));
    case expr::Type::kBool: {
      const std::string value = frequent_of(profile);
      return !value.empty() && (value[0] == 't' || value[0] == 'T');
    }
    case expr::Type::kTimestamp: {
      // As the contract has it, which asks for a date where no row has a time of day.
      const bool is_date = profile.midnights == profile.times;
      return is_date ? format_date(profile.latest) : format_time(profile.latest);
    }
    default: return frequent_of(profile);
  }
}

}  // namespace

std::string draft_request(const Decisions& decisions) {
  const table::Table rows = decisions.profile->sample.rows();
  doc::Value row = doc::Value::object();
  for (const Column& column : decisions.columns) {
    // A key may be left out, and one that comes again would be another row's.
    if (column.is_label || !column.in_contract || column.reading.is_key) continue;
    row.set(column.name(), typical_of(column, rows));
  }
  doc::Value list = doc::Value::array();
  list.push(std::move(row));
  return doc::to_json_pretty(doc::Value::object({{"rows", std::move(list)}}));
}

}  // namespace heddle::draft
