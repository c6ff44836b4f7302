#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "spec/identity.hpp"
#include "spec/repairs.hpp"
#include "spec/upstream.hpp"

namespace heddle::spec {

/// What a broken rule does: refuse the row, or let it pass and say so (ODCS severity error,
/// warning).
enum class RuleEffect { kRefuse, kWarn };

/// What a value must be beyond its type. kDate: a timestamp at midnight. The others are of strings;
/// kTime is a time of day.
enum class Form { kAny, kDate, kTime, kEmail, kUuid, kUri, kHostname, kIpv4, kIpv6, kByte };

/// One property of the contract's schema object (ODCS 3.0 to 3.2) that rows have.
struct Field {
  std::string name;
  expr::Type type = expr::Type::kString;  ///< logicalType: boolean, integer, number, string,
                                          ///< timestamp (date, time: see `form`)
  bool required = false;
  std::vector<doc::Value> enum_values{};  ///< of the field's type; timestamps as ISO strings
  std::string enum_file{};  ///< heddle property `enumFile`: a CSV or text file of the project or of
                            ///< `sources`
  std::string enum_column{};
  std::optional<double> minimum{};  ///< logicalTypeOptions, numbers only
  std::optional<double> maximum{};
  bool minimum_excluded = false;  ///< also of `earliest`
  bool maximum_excluded = false;
  std::string pattern{};    ///< RE2, found anywhere in the value, strings only
  bool label_time = false;  ///< heddle property `role: label`: known only later, absent in requests
  std::string description{};
  doc::Position position{};
  Form form = Form::kAny;
  std::optional<Micros>
      earliest{};  ///< minimum and maximum of times; of times of day since midnight
  std::optional<Micros> latest{};
  std::optional<double> multiple_of{};       ///< numbers only
  std::optional<std::int64_t> min_length{};  ///< Unicode code points, strings only
  std::optional<std::int64_t> max_length{};
  Repairs repairs{};                   ///< heddle property `repairs`: before the value is checked
  std::optional<Upstream> upstream{};  ///< heddle property `upstream`: where its value comes from
};

/// A row rule beyond the fields' own: `type: custom, engine: heddle`.
struct RowRule {
  enum class Kind { kExpression, kDependency };
  std::string id;
  Kind kind = Kind::kExpression;
  Expression expression{};  ///< true when the row keeps the rule; null or error breaks it
  std::vector<std::string>
      determinant{};  ///< kDependency: these fields fix `dependent`, learned from a snapshot
  std::string dependent{};
  RuleEffect effect = RuleEffect::kRefuse;
  std::string description{};
  doc::Position position{};
};

/// A rule over a set of rows: one of ODCS's five library metrics, or a `sql` rule that could be
/// read.
struct SetRule {
  std::string id;
  std::string metric;  ///< nullValues missingValues invalidValues duplicateValues rowCount; of sql:
                       ///< average sum minimum maximum
  std::string field{};                    ///< empty for rowCount and table-level duplicateValues
  std::vector<std::string> properties{};  ///< duplicateValues over several fields
  std::string operation;                  ///< mustBe, mustBeLessThan, mustBeBetween, ...
  std::vector<double> operands;
  bool percent = false;  ///< unit: percent of rows, else rows
  RuleEffect effect = RuleEffect::kRefuse;
  std::vector<doc::Value> arguments{};  ///< missingValues or validValues
  std::string pattern{};                ///< invalidValues: RE2, found anywhere in the value
  std::string condition{};  ///< of sql: an expression; rows for which it is not true do not count
  doc::Position position{};
};

/// A repair applied to a field of a row that was accepted, before features, batch and request
/// alike: `field = expression`, the row's own fields in scope.
struct Transform {
  std::string id;
  std::string field;
  Expression expression;
  std::string reason{};
};

struct Contract {
  Identity identity;
  std::string object{};  ///< name of its schema object
  std::string version;   ///< semantic version of the contract itself
  std::string status;
  std::vector<Field> fields;
  std::vector<RowRule> row_rules;
  std::vector<SetRule> set_rules;
  std::vector<Transform> transforms;
  std::optional<Deduplicate> deduplicate{};  ///< heddle property of the object; of sets of rows
  std::vector<std::string>
      unread{};  ///< properties that a row cannot hold: nested ones and those of no known type
};

/// `value` as a value of the field's type: a number where the text of one is written, a timestamp
/// as its ISO string; kInvalid when it is none. For enums.
[[nodiscard]] Result<doc::Value> typed_value(const Field& field, const doc::Value& value);
/// Microseconds since midnight of `HH:MM[:SS[.ffffff]]`, with or without `Z` or `±HH:MM` (which
/// shifts it, and may leave the day); empty when it is no time of day.
[[nodiscard]] std::optional<Micros> parse_time_of_day(std::string_view text) noexcept;
/// A regular expression as ECMA-262 writes it in RE2's syntax: `\uXXXX` becomes `\x{XXXX}`, the
/// rest is the same.
[[nodiscard]] std::string re2_pattern(std::string_view ecma);

}  // namespace heddle::spec
