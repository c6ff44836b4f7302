#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle::spec {

/// A `sql` rule's query in terms of a set rule.
struct SqlMeasure {
  std::string metric;     ///< rowCount, average, sum, minimum or maximum
  std::string field;      ///< of all but rowCount
  std::string condition;  ///< an expression (docs/expressions.md); empty: every row
};

/// Reads `SELECT <aggregate> FROM <object> [WHERE <condition>]`, where the aggregate is COUNT(*),
/// COUNT(c), AVG(c), SUM(c), MIN(c) or MAX(c) and the condition compares fields with fields or
/// constants (`=`, `<>`, `<`, ..., IS [NOT] NULL, [NOT] IN, [NOT] BETWEEN) under AND, OR, NOT. That
/// much means the same in every dialect of SQL; what is beyond is kInvalid and says what. Strings
/// compare by their bytes.
struct SqlNames {
  std::vector<std::string>
      objects;  ///< names under which the object may be named; `{object}` is one of them
  std::vector<std::string> fields;
  std::string field{};  ///< what `{property}` stands for; empty for rules of the object
};
[[nodiscard]] Result<SqlMeasure> read_sql(std::string_view query, const SqlNames& names);

}  // namespace heddle::spec
