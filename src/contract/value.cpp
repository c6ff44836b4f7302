#include "contract/code.hpp"
#include "contract/stored.hpp"
#include "doc/json.hpp"

namespace heddle::contract {
namespace {

using doc::Value;

/// Before, a pattern had to match the whole value.
constexpr const char* kFormatBefore = "heddle.contract/1";

Error malformed(const std::string& what) {
  return Error{ErrorKind::kCorrupt, "contract-malformed",
               fmt::format("the contract is malformed: {}", what), "make the bundle anew"};
}

/// Patterns of the format before, which had to match the whole value.
void match_whole(StoredContract& contract) {
  const auto whole = [](std::string& pattern) {
    if (!pattern.empty()) pattern = fmt::format("^(?:{})$", pattern);
  };
  for (auto& field : contract.fields) whole(field.pattern);
  for (auto& rule : contract.set_rules) whole(rule.pattern);
}

/// Tuples as arrays of their components and then the dependent value, in the order of their text:
/// how they were met does not count.
Value tuples_to_value(const DependencyCode& rule) {
  struct Row {
    std::string order;
    Value value;
  };
  std::vector<Row> rows;
  for (std::size_t tuple = 0; tuple < rule.values.size(); ++tuple) {
    Row row;
    const auto key = rule.tuples.tuple(static_cast<std::int32_t>(tuple));
    for (std::size_t i = 0; i < key.size(); ++i) row.value.push(rule.parts[i].to_value(key[i]));
    row.value.push(rule.dependent_part.to_value(rule.values[tuple]));
    row.order = doc::to_json(row.value);
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.order < b.order; });
  Value out = Value::array();
  for (auto& row : rows) out.push(std::move(row.value));
  return out;
}

}  // namespace

Value Contract::to_value() const {
  const spec::Contract& c = code_->definition;
  StoredContract stored{c.identity.name, c.version,    c.fields, c.row_rules,
                        c.set_rules,     c.transforms, {},       c.deduplicate};
  for (std::size_t i = 0; i < code_->learned.size(); ++i) {
    stored.learned.push_back({code_->learned[i].rule, code_->learned[i].conflicting,
                              tuples_to_value(code_->dependencies[i])});
  }
  return contract_schema().print(stored);
}

Result<Contract> Contract::from_value(const Value& value) {
  const bool is_before = value.string_or("format") == kFormatBefore;
  Value renamed;
  if (is_before) (renamed = value).set("format", contract_schema().format);
  HEDDLE_ASSIGN_OR_RETURN(auto stored, contract_schema().parse(is_before ? renamed : value));
  if (is_before) match_whole(stored);
  spec::Contract c;
  c.identity.kind = "DataContract";
  c.identity.name = stored.name;
  c.version = stored.version;
  c.fields = std::move(stored.fields);
  c.row_rules = std::move(stored.row_rules);
  c.set_rules = std::move(stored.set_rules);
  c.transforms = std::move(stored.transforms);
  c.deduplicate = std::move(stored.deduplicate);
  // It has all that it needs: what it refers to cannot be read here.
  auto contract = compile(
      c, [](const std::string& file, const std::string&) -> Result<std::vector<std::string>> {
        return malformed(fmt::format("it refers to `{}`", file));
      });
  if (!contract.ok()) return malformed(contract.error().message);
  Code& code = *contract->code_;
  const auto& learned = stored.learned;
  // Nothing is there where it was stored before it learned.
  if (!learned.empty() && learned.size() != code.dependencies.size())
    return malformed("what was learned does not match its rules");
  for (std::size_t i = 0; i < learned.size(); ++i) {
    DependencyCode& rule = code.dependencies[i];
    LearnedDependency report{code.rules[static_cast<std::size_t>(rule.rule)].id, 0,
                             learned[i].conflicting};
    if (learned[i].rule != report.rule)
      return malformed(
          fmt::format("`{}` was learned where `{}` is due", learned[i].rule, report.rule));
    for (const auto& tuple : learned[i].tuples.as_array()) {
      if (!tuple.is_array() || tuple.size() != rule.parts.size() + 1)
        return malformed(fmt::format("a tuple of `{}` has {} values", report.rule, tuple.size()));
      std::int64_t key[kMaxKey];
      for (std::size_t k = 0; k < rule.parts.size(); ++k) {
        HEDDLE_ASSIGN_OR_RETURN(key[k], rule.parts[k].insert_value(tuple.as_array()[k]));
      }
      HEDDLE_ASSIGN_OR_RETURN(const std::int64_t dependent,
                              rule.dependent_part.insert_value(tuple.as_array().back()));
      // A tuple that is new has the next number.
      if (static_cast<std::size_t>(rule.tuples.insert({key, rule.parts.size()})) !=
          rule.values.size()) {
        return malformed(fmt::format("a tuple of `{}` appears twice", report.rule));
      }
      rule.values.push_back(dependent);
      ++report.tuples;
    }
    code.learned.push_back(std::move(report));
  }
  return contract;
}

}  // namespace heddle::contract
