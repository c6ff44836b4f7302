#pragma once

#include <optional>
#include <string>
#include <vector>

#include "expr/datum.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

/// What a broken rule does: refuse the row, or let it pass and say so (ODCS severity error, warning).
enum class RuleEffect { kRefuse, kWarn };

/// One property of the contract's schema object (ODCS 3.2).
struct Field {
  std::string name;
  expr::Type type = expr::Type::kString;  ///< logicalType: boolean, integer, number, string, timestamp
  bool required = false;
  std::vector<std::string> enum_values{};
  std::string enum_file{};                ///< heddle property `enumFile`: a CSV or text file of the project or of `sources`
  std::string enum_column{};
  std::optional<double> minimum{};        ///< logicalTypeOptions, numbers only
  std::optional<double> maximum{};
  std::string pattern{};                  ///< RE2, full match, strings only
  bool label_time = false;              ///< heddle property `role: label`: known only later, absent in requests
  std::string description{};
  doc::Position position{};
};

/// A row rule beyond the fields' own: `type: custom, engine: heddle`.
struct RowRule {
  enum class Kind { kExpression, kDependency };
  std::string id;
  Kind kind = Kind::kExpression;
  Expression expression{};                     ///< true when the row keeps the rule; null or error breaks it
  std::vector<std::string> determinant{};      ///< kDependency: these fields fix `dependent`, learned from a snapshot
  std::string dependent{};
  RuleEffect effect = RuleEffect::kRefuse;
  std::string description{};
  doc::Position position{};
};

/// A rule over a set of rows: one of ODCS's five library metrics.
struct SetRule {
  std::string id;
  std::string metric;        ///< nullValues missingValues invalidValues duplicateValues rowCount
  std::string field{};         ///< empty for rowCount and table-level duplicateValues
  std::vector<std::string> properties{};  ///< duplicateValues over several fields
  std::string operation;     ///< mustBe, mustBeLessThan, mustBeBetween, ...
  std::vector<double> operands;
  bool percent = false;      ///< unit: percent of rows, else rows
  RuleEffect effect = RuleEffect::kRefuse;
  std::vector<std::string> arguments{};  ///< missingValues or validValues
  std::string pattern{};
  doc::Position position{};
};

/// A repair applied to a field before features, batch and request alike: `field = expression`, the row's own fields in scope.
struct Transform {
  std::string id;
  std::string field;
  Expression expression;
  std::string reason{};
};

struct Contract {
  Identity identity;
  std::string version;       ///< semantic version of the contract itself
  std::string status;
  std::vector<Field> fields;
  std::vector<RowRule> row_rules;
  std::vector<SetRule> set_rules;
  std::vector<Transform> transforms;
};

}  // namespace heddle::spec
