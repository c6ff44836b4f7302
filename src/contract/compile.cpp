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

/// Makes the code of a contract, part by part.
class Contract::Code::Compiler {
 public:
  Compiler(Code& code, const LoadEnum& load_enum) : code_(code), load_enum_(load_enum) {}

  Result<void> run() {
    HEDDLE_TRY(add_fields());
    for (const auto& rule : code_.definition.row_rules) {
      HEDDLE_TRY(rule.kind == spec::RowRule::Kind::kExpression ? add_expression(rule)
                                                               : add_dependency(rule));
    }
    for (const auto& transform : code_.definition.transforms) HEDDLE_TRY(add_transform(transform));
    for (const auto& rule : code_.definition.set_rules) HEDDLE_TRY(add_set(rule));
    if (code_.definition.deduplicate) HEDDLE_TRY(add_deduplicate(*code_.definition.deduplicate));
    if (!twice_.empty())
      return invalid("contract-rule-twice", fmt::format("two rules are called `{}`", twice_),
                     "rename one; fields' own rules are `<field>-type` and so on");
    // `RowCheck::broken` has 16 bits for each.
    if (code_.rules.size() > UINT16_MAX)
      return invalid("contract-too-many-rules", "a contract has at most 65535 rules", "split it");
    return {};
  }

 private:
  void take_id(const std::string& id) {
    if (!ids_.insert(id).second) twice_ = id;
  }

  int add_rule(RuleInfo info) {
    take_id(info.id);
    code_.rules.push_back(std::move(info));
    return static_cast<int>(code_.rules.size() - 1);
  }

  /// The place of a field of a request.
  Result<int> place_of(const std::string& name, const std::string& rule) const {
    return field_index(code_.definition, code_.request_count, name, rule);
  }
  [[nodiscard]] Type type_at(int place) const {
    return code_.definition.fields[static_cast<std::size_t>(place)].type;
  }

  /// Those that a request carries come first.
  Result<void> add_fields() {
    auto& fields = code_.definition.fields;
    // Stable: both groups keep the order of the document, which is the order of a row.
    std::stable_partition(fields.begin(), fields.end(),
                          [](const spec::Field& field) { return !field.label_time; });
    code_.request_count = static_cast<std::size_t>(std::count_if(
        fields.begin(), fields.end(), [](const spec::Field& field) { return !field.label_time; }));
    if (code_.request_count == 0)
      return invalid("contract-no-fields", "the contract has no field that a request carries",
                     "add the fields of a row");
    for (std::size_t i = 0; i < fields.size(); ++i) {
      spec::Field& field = fields[i];
      if (!names_.insert(field.name).second)
        return invalid("contract-field-twice", fmt::format("field `{}` appears twice", field.name),
                       "rename one of the two");
      HEDDLE_ASSIGN_OR_RETURN(FieldCode out,
                              compile_field(field, load_enum_, [this](RuleInfo info) {
                                return add_rule(std::move(info));
                              }));
      code_.fields.push_back(std::move(out));
      HEDDLE_TRY(add_repairs(field));
      if (i < code_.request_count) request_.variables.push_back({field.name, field.type});
      all_.variables.push_back({field.name, field.type});
    }
    return {};
  }

  int add_repair(RepairInfo info) {
    code_.repairs.push_back(std::move(info));
    return static_cast<int>(code_.repairs.size() - 1);
  }

  Result<void> add_repairs(const spec::Field& field) {
    auto& made = code_.field_repairs.emplace_back();
    if (!field.repairs.any()) return {};
    HEDDLE_ASSIGN_OR_RETURN(auto repairs, FieldRepairs::compile(field, [this](RepairInfo info) {
                              return add_repair(std::move(info));
                            }));
    made = std::make_unique<FieldRepairs>(std::move(repairs));
    code_.is_repairing = true;
    return {};
  }

  Result<void> add_expression(const spec::RowRule& rule) {
    HEDDLE_ASSIGN_OR_RETURN(auto program, program_of(rule.expression, request_, Type::kBool,
                                                     fmt::format("rule `{}`", rule.id)));
    const int number = add_rule({rule.id, rule.effect, "", rule.description});
    code_.expressions.push_back({number, std::move(program)});
    return {};
  }

  Result<void> add_dependency(const spec::RowRule& rule) {
    if (rule.determinant.empty() || rule.determinant.size() > kMaxKey) {
      return invalid("contract-dependency",
                     fmt::format("rule `{}` has {} determinants", rule.id, rule.determinant.size()),
                     fmt::format("give 1 to {}", kMaxKey));
    }
    DependencyCode out;
    for (const auto& name : rule.determinant) {
      HEDDLE_ASSIGN_OR_RETURN(const int place, place_of(name, rule.id));
      out.determinant.push_back(place);
      out.parts.emplace_back(type_at(place));
    }
    HEDDLE_ASSIGN_OR_RETURN(out.dependent, place_of(rule.dependent, rule.id));
    out.dependent_part = table::KeyPart(type_at(out.dependent));
    out.tuples = table::TupleIndex(out.parts.size());
    out.rule = add_rule({rule.id, rule.effect, rule.dependent, rule.description});
    code_.dependencies.push_back(std::move(out));
    return {};
  }

  Result<void> add_transform(const spec::Transform& transform) {
    HEDDLE_ASSIGN_OR_RETURN(const int place, place_of(transform.field, transform.id));
    HEDDLE_ASSIGN_OR_RETURN(auto program, program_of(transform.expression, request_, type_at(place),
                                                     fmt::format("transform `{}`", transform.id)));
    const int number = add_repair({transform.id, transform.field, transform.reason});
    code_.transforms.push_back({place, number, std::move(program)});
    return {};
  }

  Result<void> add_deduplicate(const spec::Deduplicate& dedup) {
    if (dedup.key.empty() || dedup.key.size() > kMaxKey) {
      return invalid("contract-deduplicate",
                     fmt::format("`deduplicate` has a key of {} fields", dedup.key.size()),
                     fmt::format("give 1 to {}", kMaxKey));
    }
    for (const auto& name : dedup.key) HEDDLE_TRY(place_of(name, "deduplicate"));
    HEDDLE_ASSIGN_OR_RETURN(const int by, place_of(dedup.by, "deduplicate"));
    if (type_at(by) == Type::kTimestamp) return {};
    return invalid("contract-deduplicate",
                   fmt::format("`by` of `deduplicate` is `{}`, which is no timestamp", dedup.by),
                   "name the time that says which row is first");
  }

  /// A rule of sets of rows may read fields of labels too.
  Result<void> add_set(const spec::SetRule& rule) {
    take_id(rule.id);
    SetCode set;
    const std::string what = fmt::format("rule `{}`", rule.id);
    if (!rule.pattern.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(set.pattern, compile_pattern(rule.pattern, what));
    }
    if (!rule.condition.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(set.condition,
                              program_of({rule.condition, {}}, all_, Type::kBool, what));
    }
    code_.sets.push_back(std::move(set));
    auto used = rule.properties;
    if (!rule.field.empty()) used.push_back(rule.field);
    for (const auto& name : used) {
      // Called for its error: no field has the name.
      if (!names_.contains(name)) HEDDLE_TRY(place_of(name, rule.id));
    }
    return {};
  }

  Code& code_;
  const LoadEnum& load_enum_;
  expr::Environment request_;  ///< fields of a request
  expr::Environment all_;      ///< those of labels too
  std::set<std::string> names_;
  std::set<std::string> ids_;
  std::string twice_;  ///< an id that two rules have
};

Result<Contract> Contract::compile(const spec::Contract& contract, const LoadEnum& load_enum) {
  auto code = std::make_unique<Code>();
  code->definition = contract;
  HEDDLE_TRY(Code::Compiler(*code, load_enum).run());
  return Contract(std::move(code));
}

std::span<const spec::Field> Contract::request_fields() const noexcept {
  return fields().first(code_->request_count);
}
std::span<const spec::Field> Contract::fields() const noexcept { return code_->definition.fields; }
const std::vector<RuleInfo>& Contract::rules() const noexcept { return code_->rules; }
const std::vector<LearnedDependency>& Contract::learned() const noexcept { return code_->learned; }

const std::vector<RepairInfo>& Contract::repairs() const noexcept { return code_->repairs; }
const std::optional<spec::Deduplicate>& Contract::deduplicate() const noexcept {
  return code_->definition.deduplicate;
}

std::set<std::string, std::less<>> Contract::text_fields() const {
  std::set<std::string, std::less<>> out;
  for (const auto& field : code_->definition.fields) {
    if (field.repairs.reads_text()) out.insert(field.name);
  }
  return out;
}

}  // namespace heddle::contract
