#include "watch/source_windows.hpp"

#include <utility>

#include "stats/unit_ratio.hpp"
#include "stats/value_map.hpp"

namespace heddle::watch {

void SourceWindows::Days::add(Micros event_time) noexcept {
  const std::int64_t of = event_time >= 0 ? event_time / kDay : -((-event_time + kDay - 1) / kDay);
  if (of > day) {
    // A day without rows lies between: the day before had none.
    before = of == day + 1 ? rows : 0;
    day = of;
    rows = 0;
  }
  ++(of == day ? rows : before);
}

bool SourceWindows::is_about(const plane::RowRecord& row, const DependencyReference& dependency) {
  return std::any_of(row.rules.begin(), row.rules.end(), [&](const std::string& rule) {
    return rule == dependency.rule || rule == dependency.dependent + "-range";
  });
}

void SourceWindows::begin_row(Run& run, const plane::RowRecord& row, Micros event_time) {
  // The first row of a run; times may come out of order within one.
  if (run.rows == 0) {
    run.from = event_time;
    run.to = event_time;
  }
  ++run.rows;
  run.from = std::min(run.from, event_time);
  run.to = std::max(run.to, event_time + 1);
  // A quarantined row is none that a rule refused: counted as such, it would confirm its own
  // quarantine.
  if (row.outcome != plane::RowOutcome::kRefused) return;
  ++run.refused;
  for (const std::string& rule : row.rules) ++run.rules[rule];
}

void SourceWindows::compare(Run& run, const DependencyReference& dependency,
                            std::span<const expr::Datum> determinant, const expr::Datum& value) {
  // A ratio is of numbers. Whether a text differs is what the rule itself says.
  if (value.kind != expr::Datum::Kind::kInt && value.kind != expr::Datum::Kind::kDouble) return;
  // One column a run: the ratios of two have nothing in common.
  if (!run.column.empty() && run.column != dependency.dependent) return;
  std::string key;
  if (!dependency_key(determinant, key)) return;
  const auto it = dependency.expected.find(key);
  // A key that training never saw has nothing to be compared with.
  if (it == dependency.expected.end()) return;
  run.column = dependency.dependent;
  run.rule = dependency.rule;
  run.values.push_back(value.number());
  run.expected.push_back(it->second);
}

namespace {

/// How the values of a dependency's column differ from what they should be: by a factor, by a map
/// with an offset, by their grid. The diagnosis decides by the agreement.
void compare_values(const std::string& column, const std::string& rule,
                    std::span<const double> values, std::span<const double> expected,
                    doc::Value& detail) {
  const auto estimate = [&](doc::Value::Object members, double agreement, std::size_t rows) {
    doc::Value out = doc::Value::object({{"column", column}, {"rule", rule}});
    for (auto& [name, value] : members) out.set(name, std::move(value));
    out.set("agreement", agreement);
    out.set("rows", rows);
    return out;
  };
  const stats::RatioEstimate ratio = stats::estimate_ratio(values, expected);
  detail.set("ratio", estimate({{"ratio", ratio.ratio}}, ratio.agreement, ratio.rows));
  if (const auto map = stats::estimate_affine(values, expected)) {
    detail.set("affine",
               estimate({{"name", map->name}, {"slope", map->slope}, {"offset", map->offset}},
                        map->agreement, map->rows));
  }
  if (const auto grid = stats::estimate_rounding(values, expected))
    detail.set("rounding", estimate({{"step", grid->step}}, grid->agreement, grid->rows));
}

}  // namespace

Finding SourceWindows::finish(const std::string& account, const std::string& source, Run& run,
                              RowSigns& signs) const {
  Finding f;
  f.key = "contract/" + (account.empty() ? source : account + "/" + source);
  f.subject = Subject::kContract;
  f.source = source;
  f.account = account;
  f.value = static_cast<double>(run.refused) / static_cast<double>(run.rows);
  f.threshold = share_;
  // Three refused rows at least: in a small run one row is more than any share.
  f.alert = f.raises = run.refused >= std::min<std::int64_t>(3, size_) && f.value > share_;
  f.from = run.from;
  f.to = run.to;
  f.rows = run.rows;
  doc::Value rules = doc::Value::object();
  for (const auto& [rule, count] : run.rules) rules.set(rule, count);
  const auto days = days_.find({account, source});
  f.detail = doc::Value::object(
      {{"refused", run.refused},
       {"rules", std::move(rules)},
       {"rows_a_day",
        days == days_.end() ? run.rows : std::max(days->second.rows, days->second.before)}});
  if (doc::Value seen = signs.take(); seen.size() > 0) f.detail.set("signs", std::move(seen));
  if (!run.values.empty()) compare_values(run.column, run.rule, run.values, run.expected, f.detail);
  run = {};
  return f;
}

void SourceWindows::row(const SeenRow& row, std::vector<Finding>& out) {
  add(
      row.request.account, row.request.source, row.row, row.request.event_time, row.baseline,
      [&](const std::string& name) { return row.field(name); }, out);
}

/// What was counted may be of times that were not: the runs begin anew.
void SourceWindows::set_back(Micros, RowCounts&) {
  runs_.clear();
  signs_.clear();
  days_.clear();
}

void SourceWindows::save(StateWriter& out) const {
  out.put(std::uint64_t{runs_.size()});
  for (const auto& [key, run] : runs_) {
    out.put(key.first);
    out.put(key.second);
    out.put(run.rows);
    out.put(run.refused);
    out.put(run.from);
    out.put(run.to);
    out.put(std::uint64_t{run.rules.size()});
    for (const auto& [rule, count] : run.rules) {
      out.put(rule);
      out.put(count);
    }
    out.put(run.column);
    out.put(run.rule);
    out.put(std::uint64_t{run.values.size()});
    for (std::size_t i = 0; i < run.values.size(); ++i) {
      out.put(run.values[i]);
      out.put(run.expected[i]);
    }
  }
  out.put(std::uint64_t{signs_.size()});
  for (const auto& [key, signs] : signs_) {
    out.put(key.first);
    out.put(key.second);
    signs.save(out);
  }
  out.put(std::uint64_t{days_.size()});
  for (const auto& [key, days] : days_) {
    out.put(key.first);
    out.put(key.second);
    for (const std::int64_t value : {days.day, days.rows, days.before}) out.put(value);
  }
}

void SourceWindows::load(StateReader& in) {
  runs_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string account = in.text();
    std::string source = in.text();
    Run& run = runs_[{std::move(account), std::move(source)}];
    run.rows = in.i64();
    run.refused = in.i64();
    run.from = in.i64();
    run.to = in.i64();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      std::string rule = in.text();
      run.rules[rule] = in.i64();
    }
    run.column = in.text();
    run.rule = in.text();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      run.values.push_back(in.real());
      run.expected.push_back(in.real());
    }
  }
  signs_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string account = in.text();
    std::string source = in.text();
    RowSigns signs = no_signs_;
    signs.load(in);
    signs_.insert_or_assign({std::move(account), std::move(source)}, std::move(signs));
  }
  days_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string account = in.text();
    std::string source = in.text();
    Days& days = days_[{std::move(account), std::move(source)}];
    for (std::int64_t* value : {&days.day, &days.rows, &days.before}) *value = in.i64();
  }
}

const DetectorKind& source_windows() {
  static constexpr DetectorKind row("sources", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<SourceWindows>(
        options.monitor.refused_share, options.monitor.refused_rows, options.contract));
  });
  return row;
}

}  // namespace heddle::watch
