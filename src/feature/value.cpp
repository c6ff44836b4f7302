#include "doc/json.hpp"
#include "feature/code.hpp"
#include "feature/stored.hpp"

namespace heddle::feature {
namespace {

using doc::Value;

Error malformed(const std::string& what) {
  return Error{ErrorKind::kCorrupt, "feature-malformed",
               fmt::format("the feature program is malformed: {}", what), "make the bundle anew"};
}

/// What training rows said of each tuple of a combination, as `to_value` gave it.
Result<void> read_combination(const Value& rows, std::vector<Input>& inputs,
                              Combination& combination) {
  if (!rows.is_array()) return malformed("a combination is no list");
  const std::size_t width = combination.inputs.size();
  for (const auto& row : rows.as_array()) {
    if (!row.is_array() || row.size() != width + 2)
      return malformed("a tuple has the wrong number of values");
    const auto& parts = row.as_array();
    if (!parts[width].is_int() || !parts[width + 1].is_number())
      return malformed("a count is no integer, or a sum no number");
    std::int64_t key[kMaxInputs];
    for (std::size_t k = 0; k < width; ++k) {
      Input& input = inputs[static_cast<std::size_t>(combination.inputs[k])];
      HEDDLE_ASSIGN_OR_RETURN(key[k], input.part.insert_value(parts[k]));
    }
    if (static_cast<std::size_t>(combination.tuples.insert({key, width})) !=
        combination.counts.size())
      return malformed("a tuple appears twice");
    combination.counts.push_back(parts[width].as_int());
    combination.sums.push_back(parts[width + 1].as_double());
  }
  return {};
}

}  // namespace

Value Program::to_value() const {
  const Code& code = *code_;
  // Tuples in the order of their text: the order in which training met them does not count.
  Value combinations = Value::array();
  for (const Combination& c : code.combinations) {
    std::vector<std::pair<std::string, Value>> rows;
    for (std::size_t i = 0; i < c.counts.size(); ++i) {
      Value row = Value::array();
      const auto tuple = c.tuples.tuple(static_cast<std::int32_t>(i));
      for (std::size_t k = 0; k < tuple.size(); ++k)
        row.push(code.inputs[static_cast<std::size_t>(c.inputs[k])].part.to_value(tuple[k]));
      std::string order = doc::to_json(row);
      row.push(c.counts[i]);
      row.push(c.sums[i]);
      rows.emplace_back(std::move(order), std::move(row));
    }
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    Value tuples = Value::array();
    for (auto& [order, row] : rows) tuples.push(std::move(row));
    combinations.push(std::move(tuples));
  }
  Value lookups = Value::array();
  for (const Lookup& lookup : code.lookups) lookups.push(lookup.to_value());
  return program_schema().print({code.definition, code.fields, code.rows, code.sum,
                                 std::move(combinations), std::move(lookups)});
}

Result<Program> Program::from_value(const Value& value) {
  HEDDLE_ASSIGN_OR_RETURN(const auto stored, program_schema().parse(value));
  auto program = compile(stored.set, stored.fields);
  if (!program.ok()) return malformed(program.error().message);
  Code& code = *program->code_;
  code.rows = stored.rows;
  code.sum = stored.sum;
  if (stored.lookups.size() != code.lookups.size())
    return malformed("its lookups do not match its features");
  for (std::size_t i = 0; i < code.lookups.size(); ++i) {
    const auto read = code.lookups[i].from_value(stored.lookups.as_array()[i]);
    if (!read.ok()) return malformed(read.error().message);
  }
  const auto& combinations = stored.combinations.as_array();
  if (combinations.size() != code.combinations.size())
    return malformed("its combinations do not match its features");
  for (std::size_t c = 0; c < combinations.size(); ++c)
    HEDDLE_TRY(read_combination(combinations[c], code.inputs, code.combinations[c]));
  if (code.rows > 0) code.finish();
  return program;
}

}  // namespace heddle::feature
