#include <algorithm>
#include <limits>
#include <set>

#include "spec/check_upstream.hpp"
#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/load.hpp"
#include "spec/odcs.hpp"

namespace heddle::spec {
namespace {

constexpr const char* kContract = "DataContract";

class ContractChecker : public Checking {
 public:
  explicit ContractChecker(const Checking& all) : Checking(all) {}

  void check(Contract& contract) {
    const std::string& file = contract.identity.file;
    std::set<std::string> seen;
    std::map<std::string, std::string> folds;
    for (const auto& field : contract.fields) {
      check_column_name(field, file, folds);
      unique(file, seen, field.name, field.position, "field");
      check_field(contract, field);
    }
    // Rules of rows and of sets share their ids: a refusal names a rule by nothing else.
    std::set<std::string> ids;
    for (const auto& rule : contract.row_rules) {
      unique(file, ids, rule.id, rule.position, "rule");
      check_row_rule(contract, rule);
    }
    for (const auto& rule : contract.set_rules) {
      unique(file, ids, rule.id, rule.position, "rule");
      for (const auto& name : rule.properties)
        need_field(file, rule.position, contract, name, fmt::format("rule `{}`", rule.id));
      check_set_rule(contract, rule);
    }
    for (const auto& transform : contract.transforms) {
      unique(file, ids, transform.id, transform.expression.position, "transform");
      check_transform(contract, transform);
    }
    if (contract.deduplicate) check_deduplicate(contract, *contract.deduplicate);
  }

  void check_field(const Contract& contract, const Field& field) {
    const std::string& file = contract.identity.file;
    // The rest of Unicode is fine: backticks quote such a name in expressions. These would need an
    // escape in each of the many places where a rule is named.
    const bool plain = std::none_of(field.name.begin(), field.name.end(), [](char c) {
      return c == '"' || c == '\\' || c == '`' || (static_cast<unsigned char>(c) < 0x20);
    });
    if (!plain) {
      report(file, field.position, "bad-name",
             "a field's name holds a quote, a backslash, a backtick or a control character",
             "rename the column at the source");
    }
    const bool is_open = field.minimum_excluded || field.maximum_excluded;
    // `minimum: 5` with `maximum: 5` allows 5, unless a bound leaves itself out.
    const auto allows_none = [&](const auto& low, const auto& high) {
      return low && high && (*low > *high || (is_open && *low == *high));
    };
    if (allows_none(field.minimum, field.maximum)) {
      report(file, field.position, "out-of-range",
             fmt::format("field `{}` allows no value: minimum {} is above maximum {}", field.name,
                         *field.minimum, *field.maximum),
             "swap the two");
    }
    if (allows_none(field.earliest, field.latest)) {
      report(
          file, field.position, "out-of-range",
          fmt::format("field `{}` allows no value: its minimum is above its maximum", field.name),
          "swap the two");
    }
    if (!field.enum_file.empty()) check_enum(contract, field);
    if (const auto repairs = check_repairs(field); !repairs.ok()) {
      const Error& error = repairs.error();
      report(file, field.repairs.position, error.id, error.message, error.hint);
    }
    UpstreamChecker(*this).check(contract, field);
  }

  void check_deduplicate(const Contract& contract, const Deduplicate& dedup) {
    const std::string& file = contract.identity.file;
    if (dedup.key.empty())
      report(file, dedup.position, "repair-value", "`deduplicate` has no key",
             "name the fields that say which rows are the same");
    auto names = dedup.key;
    names.push_back(dedup.by);
    for (const auto& name : names) {
      need_field(file, dedup.position, contract, name, "`deduplicate`");
      const auto field = std::find_if(contract.fields.begin(), contract.fields.end(),
                                      [&](const Field& each) { return each.name == name; });
      // `need_field` reported it.
      if (field == contract.fields.end()) continue;
      if (field->label_time) {
        report(
            file, dedup.position, "repair-label",
            fmt::format("`deduplicate` names the label `{}`: rows to score do not have it", name),
            "name fields that a request carries");
      } else if (name == dedup.by && field->type != expr::Type::kTimestamp) {
        report(
            file, dedup.position, "repair-type",
            fmt::format("`by` of `deduplicate` is `{}`, a {}", name, expr::type_name(field->type)),
            "name the timestamp that says which row is first");
      }
    }
  }

  void check_row_rule(const Contract& contract, const RowRule& rule) {
    const std::string& file = contract.identity.file;
    const std::string name = fmt::format("rule `{}`", rule.id);
    // A dependency has no expression: what determines what is learned from the rows.
    if (rule.kind != RowRule::Kind::kExpression) {
      for (const auto& field : rule.determinant)
        need_field(file, rule.position, contract, field, name);
      need_field(file, rule.position, contract, rule.dependent, name);
      return;
    }
    // A row is checked before its label is known, so that no rule of a row can read one.
    if (reads_label(contract, rule.expression.text, file, rule.expression.position, name)) return;
    check_unread(contract, rule.expression.text, file, rule.expression.position, name);
    const expr::Environment environment = request_environment(contract.fields);
    const Use use = rule.effect == RuleEffect::kRefuse ? Use::kRefusal : Use::kWarning;
    compile(file, name, rule.expression,
            {environment, row_domains(environment, contract.fields, false), use},
            expr::Type::kBool);
  }

  /// A transform gives a value of its field's own type: features and rules after it rely on that.
  void check_transform(const Contract& contract, const Transform& transform) {
    const std::string& file = contract.identity.file;
    const std::string name = fmt::format("transform `{}`", transform.id);
    need_field(file, transform.expression.position, contract, transform.field, name);
    const auto field =
        std::find_if(contract.fields.begin(), contract.fields.end(),
                     [&](const Field& each) { return each.name == transform.field; });
    const expr::Environment environment = request_environment(contract.fields);
    compile(file, name, transform.expression,
            {environment, row_domains(environment, contract.fields, false)},
            // Of a field that is not there any type will do: the name was reported.
            field == contract.fields.end() ? expr::Type::kDyn : field->type);
  }

  /// No file is read whose columns have such a name (`table-column-unnamed`, `-spaces`, `-case`),
  /// so a contract cannot ask for one.
  void check_column_name(const Field& field, const std::string& file,
                         std::map<std::string, std::string>& folds) {
    const std::string& name = field.name;
    constexpr const char* kSpaces = " \t\r\n";
    if (name.empty()) return;  // said where it was read
    if (name.find_first_not_of(kSpaces) == std::string::npos) {
      report(file, field.position, "bad-name", "a field's name is blank",
             "write the column's name");
      return;
    }
    if (name.find_first_of(kSpaces) == 0 || name.find_last_of(kSpaces) == name.size() - 1) {
      report(file, field.position, "bad-name",
             fmt::format("the name of field `{}` has spaces around it", name),
             "remove them here and from the column's name");
    }
    // ASCII only, as the reader of tables folds the names of columns.
    std::string folded = name;
    for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto [first, is_fresh] = folds.emplace(std::move(folded), name);
    if (!is_fresh && first->second != name) {
      report(file, field.position, "bad-name",
             fmt::format("fields `{}` and `{}` differ only by case", first->second, name),
             "rename one of the two columns at the source");
    }
  }

  /// A rule of a set of rows that every set keeps or breaks.
  void check_set_rule(const Contract& contract, const SetRule& rule) {
    const std::string& file = contract.identity.file;
    const std::string what = fmt::format("rule `{}`", rule.id);
    if (!rule.condition.empty()) {
      // Unlike a rule of a row, the condition may read labels: a set that is trained on has them.
      const expr::Environment rows = target_environment(contract.fields);
      check_outcome(file, fmt::format("the condition of {}", what), {rule.condition, rule.position},
                    {rows, row_domains(rows, contract.fields, false), Use::kCount});
    }
    const auto measured = measure_of(rule);
    if (!measured) return;
    // What is asked of the number is judged as an expression of `n`, over every number that a count
    // or a share can be.
    const expr::Environment value{{{"n", rule.percent ? expr::Type::kDouble : expr::Type::kInt}},
                                  {}};
    const double most = rule.percent ? 100 : std::numeric_limits<double>::infinity();
    check_outcome(file, what, {*measured, rule.position},
                  {value,
                   {{0, most, false, {}}},
                   rule.effect == RuleEffect::kRefuse ? Use::kSet : Use::kSetWarning});
  }

  /// What a set rule asks of its number `n`; nothing where it is no count and no share.
  static std::optional<std::string> measure_of(const SetRule& rule) {
    const bool is_count = rule.metric.ends_with("Values") || rule.metric == "rowCount";
    if (!is_count || rule.operands.empty()) return std::nullopt;
    // 17 digits are exact, the exponent makes it a double however whole it is, and the brackets are
    // for a sign.
    const auto number = [&](std::size_t i) { return fmt::format("({:.17e})", rule.operands[i]); };
    const std::pair<std::string_view, const char*> operations[] = {
        {"mustBe", "=="},           {"mustNotBe", "!="},
        {"mustBeGreaterThan", ">"}, {"mustBeGreaterOrEqualTo", ">="},
        {"mustBeLessThan", "<"},    {"mustBeLessOrEqualTo", "<="}};
    for (const auto& [operation, symbol] : operations) {
      if (rule.operation == operation) return fmt::format("n {} {}", symbol, number(0));
    }
    // What is left are the two ranges, the only operators with two operands.
    if (rule.operands.size() < 2) return std::nullopt;
    const std::string between = fmt::format("n >= {} && n <= {}", number(0), number(1));
    return rule.operation == "mustNotBeBetween" ? fmt::format("!({})", between) : between;
  }

  void check_enum(const Contract& contract, const Field& field) {
    if (files_.has_data()) {
      auto values = load_enum(project_, field.enum_file, field.enum_column);
      if (!values.ok()) {
        const Error& error = values.error();
        report(contract.identity.file, field.position, error.id, error.message, error.hint);
      }
      for (std::size_t i = 0; values.ok() && i < values->size(); ++i) {
        const auto value = typed_value(field, doc::Value((*values)[i]));
        if (value.ok()) continue;
        report(contract.identity.file, field.position, value.error().id,
               fmt::format("`{}`: {}", field.enum_file, value.error().message), value.error().hint);
        // One finding a file: where the column is the wrong one, every line of it has the fault.
        break;
      }
      return;
    }
    // A commit holds no data: a source may lie elsewhere. A file of the project's own has to be in
    // it.
    if (project_.sources.contains(field.enum_file)) return;
    const std::string path = path_in_project(project_, field.enum_file);
    if (path.empty()) return;
    if (const auto text = files_.read(path); !text.ok()) {
      report(contract.identity.file, field.position, "file-missing",
             fmt::format("the commit has no file `{}` to read the enum from", path),
             text.error().kind == ErrorKind::kNotFound ? "commit it too" : text.error().message);
    }
  }
};

/// A document of the standard may have several objects: each is a contract.
class ContractKind final : public BuiltInKind<Contract, ContractChecker> {
 public:
  ContractKind() : BuiltInKind(kContract, "contracts", odcs::document_keys, &Project::contracts) {}
  void read(const DefinitionFile& file, Project& project) const override {
    for (Contract& contract : contracts_of(file))
      add_definition(file, kContract, std::move(contract), project.contracts);
  }
};

}  // namespace

std::vector<Contract> contracts_of(const DefinitionFile& file) {
  Reader reader(file.text, file.path, file.diagnostics);
  auto contracts = read_contracts(file.value, reader);
  for (Contract& contract : contracts) identify(file, kContract, contract.identity);
  return contracts;
}

const Kind& contract_kind() {
  static const ContractKind kind;
  return kind;
}

}  // namespace heddle::spec
