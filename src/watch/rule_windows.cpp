#include "watch/rule_windows.hpp"

#include <algorithm>
#include <utility>

namespace heddle::watch {

Result<RuleWindows> RuleWindows::open(const std::vector<spec::MonitorRule>& rules,
                                      const spec::Contract& contract,
                                      const std::vector<std::string>& fields) {
  expr::Environment environment;
  for (const std::string& name : fields) {
    const auto it = std::find_if(contract.fields.begin(), contract.fields.end(),
                                 [&](const spec::Field& field) { return field.name == name; });
    environment.variables.push_back(
        {name, it == contract.fields.end() ? expr::Type::kString : it->type});
  }
  // Last, as `row` gives it: values are found by their place.
  environment.variables.push_back({"event_time", expr::Type::kTimestamp});
  RuleWindows out;
  for (const spec::MonitorRule& rule : rules) {
    auto program = expr::Program::compile(rule.expression.text, environment, expr::Type::kBool);
    if (!program.ok()) {
      Error error = program.error();
      error.message = "monitor rule `" + rule.id + "`: " + error.message;
      return error;
    }
    Rule compiled;
    compiled.spec = rule;
    compiled.program = std::make_unique<expr::Program>(*std::move(program));
    out.rules_.push_back(std::move(compiled));
  }
  return out;
}

void RuleWindows::add(std::span<const expr::Datum> values, Micros event_time,
                      std::vector<Finding>& out) {
  for (Rule& rule : rules_) {
    if (rule.rows == 0) rule.from = rule.to = event_time;
    ++rule.rows;
    rule.from = std::min(rule.from, event_time);
    rule.to = std::max(rule.to, event_time + 1);
    // Null and error are not bad: a rule that cannot be told of a row says nothing of it.
    rule.bad += rule.program->evaluate(values, scratch_).is_true();
    if (rule.rows < rule.spec.window_rows) continue;
    Finding f;
    f.key = "rule/" + rule.spec.id;
    f.subject = Subject::kRule;
    f.value = static_cast<double>(rule.bad) / static_cast<double>(rule.rows);
    f.threshold = rule.spec.threshold;
    f.alert = f.raises = f.value > f.threshold;
    f.from = rule.from;
    f.to = rule.to;
    f.rows = rule.rows;
    f.detail = doc::Value::object({{"expression", rule.spec.expression.text}});
    out.push_back(std::move(f));
    rule.rows = rule.bad = 0;
  }
}

void RuleWindows::row(const SeenRow& row, std::vector<Finding>& out) {
  if (rules_.empty()) return;
  std::vector<expr::Datum> values;
  for (std::size_t i = 0; i < row.names.size(); ++i) values.push_back(row.field(i));
  values.push_back(expr::Datum::timestamp(row.request.event_time));
  add(values, row.request.event_time, out);
}

void RuleWindows::set_back(Micros, RowCounts&) {
  for (Rule& rule : rules_) rule.rows = rule.bad = 0;
}

void RuleWindows::save(StateWriter& out) const {
  out.put(std::uint64_t{rules_.size()});
  for (const Rule& rule : rules_) {
    out.put(rule.spec.id);
    out.put(rule.rows);
    out.put(rule.bad);
    out.put(rule.from);
    out.put(rule.to);
  }
}

void RuleWindows::load(StateReader& in) {
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::string id = in.text();
    // Read in any case: a rule that is not defined any more still has its bytes in the state.
    const std::int64_t rows = in.i64();
    const std::int64_t bad = in.i64();
    const Micros from = in.i64();
    const Micros to = in.i64();
    for (Rule& rule : rules_) {
      if (rule.spec.id != id) continue;
      rule.rows = rows;
      rule.bad = bad;
      rule.from = from;
      rule.to = to;
    }
  }
}

const DetectorKind& rule_windows() {
  static constexpr DetectorKind row(
      "rules", [](const WatchOptions& options) -> Result<std::unique_ptr<Detector>> {
        HEDDLE_ASSIGN_OR_RETURN(
            RuleWindows rules,
            RuleWindows::open(options.monitor.rules, options.contract, options.fields));
        return std::unique_ptr<Detector>(std::make_unique<RuleWindows>(std::move(rules)));
      });
  return row;
}

}  // namespace heddle::watch
