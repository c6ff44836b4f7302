#include <re2/re2.h>

#include <algorithm>
#include <set>

#include "contract/code.hpp"
#include "doc/diagnostic.hpp"

namespace heddle::contract {
namespace {

using expr::Type;

Error invalid(const std::string& id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, id, std::move(message), std::move(hint)};
}

/// Index of a request field; kInvalid with the nearest name.
Result<int> field_index(const spec::Contract& contract, std::size_t request_count,
                        const std::string& name, const std::string& rule) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < contract.fields.size(); ++i) {
    if (contract.fields[i].name == name) {
      if (i < request_count) return static_cast<int>(i);
      return invalid(
          "contract-reads-label",
          fmt::format("rule `{}` reads `{}`, which is known only after the answer", rule, name),
          "use fields that a request carries");
    }
    names.push_back(contract.fields[i].name);
  }
  const std::string near = doc::nearest(name, names);
  return invalid("contract-no-field",
                 fmt::format("rule `{}` names `{}`, which is no field of the contract", rule, name),
                 near.empty() ? fmt::format("the fields are `{}`", fmt::join(names, "`, `"))
                              : fmt::format("did you mean `{}`?", near));
}

Result<expr::Program> program_of(const spec::Expression& expression,
                                 const expr::Environment& environment, Type expected,
                                 const std::string& what) {
  auto program = expr::Program::compile(expression.text, environment, expected);
  if (program.ok()) return program;
  Error error = program.error();
  error.kind = ErrorKind::kInvalid;
  error.id = "contract-expression";
  error.message = fmt::format("{}: {}", what, error.message);
  return error;
}

}  // namespace

Contract::Code::Code() = default;
Contract::Code::~Code() = default;
Contract::Contract(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Contract::Contract(Contract&&) noexcept = default;
Contract::~Contract() = default;

Result<Contract> Contract::compile(const spec::Contract& contract, const LoadEnum& load_enum) {
  auto code = std::make_unique<Code>();
  code->definition = contract;
  auto& fields = code->definition.fields;
  std::stable_partition(fields.begin(), fields.end(),
                        [](const spec::Field& field) { return !field.label_time; });
  code->request_count = static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [](const spec::Field& field) { return !field.label_time; }));
  if (code->request_count == 0)
    return invalid("contract-no-fields", "the contract has no field that a request carries",
                   "add the fields of a row");

  std::set<std::string> ids;
  std::set<std::string> names;
  bool twice = false;
  std::string twice_id;
  const auto add_rule = [&](RuleInfo info) {
    if (!ids.insert(info.id).second) twice = true, twice_id = info.id;
    code->rules.push_back(std::move(info));
    return static_cast<int>(code->rules.size() - 1);
  };
  expr::Environment environment;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    spec::Field& field = fields[i];
    if (!names.insert(field.name).second)
      return invalid("contract-field-twice", fmt::format("field `{}` appears twice", field.name),
                     "rename one of the two");
    HEDDLE_ASSIGN_OR_RETURN(FieldCode out, compile_field(field, load_enum, add_rule));
    code->fields.push_back(std::move(out));
    if (i < code->request_count) environment.variables.push_back({field.name, field.type});
  }
  for (const auto& row_rule : code->definition.row_rules) {
    const std::string what = fmt::format("rule `{}`", row_rule.id);
    if (row_rule.kind == spec::RowRule::Kind::kExpression) {
      HEDDLE_ASSIGN_OR_RETURN(auto program,
                              program_of(row_rule.expression, environment, Type::kBool, what));
      const int rule = add_rule({row_rule.id, row_rule.effect, "", row_rule.description});
      code->expressions.push_back({rule, std::move(program)});
      continue;
    }
    if (row_rule.determinant.empty() || row_rule.determinant.size() > kMaxKey) {
      return invalid("contract-dependency",
                     fmt::format("{} has {} determinants", what, row_rule.determinant.size()),
                     fmt::format("give 1 to {}", kMaxKey));
    }
    DependencyCode out;
    for (const auto& name : row_rule.determinant) {
      HEDDLE_ASSIGN_OR_RETURN(
          const int index, field_index(code->definition, code->request_count, name, row_rule.id));
      out.determinant.push_back(index);
      out.parts.emplace_back(fields[static_cast<std::size_t>(index)].type);
    }
    HEDDLE_ASSIGN_OR_RETURN(out.dependent, field_index(code->definition, code->request_count,
                                                       row_rule.dependent, row_rule.id));
    out.dependent_part = table::KeyPart(fields[static_cast<std::size_t>(out.dependent)].type);
    out.tuples = table::TupleIndex(out.parts.size());
    out.rule = add_rule({row_rule.id, row_rule.effect, row_rule.dependent, row_rule.description});
    code->dependencies.push_back(std::move(out));
  }
  for (const auto& transform : code->definition.transforms) {
    HEDDLE_ASSIGN_OR_RETURN(const int index, field_index(code->definition, code->request_count,
                                                         transform.field, transform.id));
    HEDDLE_ASSIGN_OR_RETURN(auto program, program_of(transform.expression, environment,
                                                     fields[static_cast<std::size_t>(index)].type,
                                                     fmt::format("transform `{}`", transform.id)));
    code->transforms.push_back({index, std::move(program)});
  }
  expr::Environment all;
  for (const auto& field : fields) all.variables.push_back({field.name, field.type});
  for (const auto& set_rule : code->definition.set_rules) {
    if (!ids.insert(set_rule.id).second) twice = true, twice_id = set_rule.id;
    SetCode set;
    const std::string what = fmt::format("rule `{}`", set_rule.id);
    if (!set_rule.pattern.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(set.pattern, compile_pattern(set_rule.pattern, what));
    }
    if (!set_rule.condition.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(set.condition,
                              program_of({set_rule.condition, {}}, all, Type::kBool, what));
    }
    code->sets.push_back(std::move(set));
    auto used = set_rule.properties;
    if (!set_rule.field.empty()) used.push_back(set_rule.field);
    for (const auto& name : used) {
      if (!names.contains(name))
        HEDDLE_TRY(field_index(code->definition, code->request_count, name, set_rule.id));
    }
  }
  if (twice)
    return invalid("contract-rule-twice", fmt::format("two rules are called `{}`", twice_id),
                   "rename one; fields' own rules are `<field>-type` and so on");
  if (code->rules.size() > UINT16_MAX)
    return invalid("contract-too-many-rules", "a contract has at most 65535 rules", "split it");
  return Contract(std::move(code));
}

std::span<const spec::Field> Contract::request_fields() const noexcept {
  return fields().first(code_->request_count);
}
std::span<const spec::Field> Contract::fields() const noexcept { return code_->definition.fields; }
const std::vector<RuleInfo>& Contract::rules() const noexcept { return code_->rules; }
const std::vector<LearnedDependency>& Contract::learned() const noexcept { return code_->learned; }

std::vector<std::string> Contract::transform_ids() const {
  std::vector<std::string> out;
  for (const auto& transform : code_->definition.transforms) out.push_back(transform.id);
  return out;
}

}  // namespace heddle::contract
