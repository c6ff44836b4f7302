#include "flow/judged.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "evaluate/paired.hpp"
#include "expr/program.hpp"
#include "flow/bodies.hpp"
#include "model/scorer.hpp"
#include "stats/metric.hpp"

namespace heddle::flow {
namespace {

constexpr std::int64_t kLeastRows = 200;  ///< of a comparison: fewer say little of either

/// Margins of both for the same rows.
struct Answers {
  const stats::Task* task = nullptr;
  std::vector<float> base{};
  std::vector<float> candidate{};
  std::vector<double> labels{};

  /// One row of each side; false, and nothing is added, where one does not answer.
  bool add(std::span<const float> of_base, std::span<const float> of_candidate, std::size_t row,
           double label) {
    const std::size_t outputs = task->outputs();
    const auto b = of_base.subspan(row * outputs, outputs);
    const auto c = of_candidate.subspan(row * outputs, outputs);
    if (!std::isfinite(b[0]) || !std::isfinite(c[0])) return false;
    base.insert(base.end(), b.begin(), b.end());
    candidate.insert(candidate.end(), c.begin(), c.end());
    labels.push_back(label);
    return true;
  }
};

/// The candidate beside the base; `worse_by` becomes how much worse its loss is at least (95 %), or
/// NaN where there is no telling.
Result<evaluate::BesideBase> beside_base(const table::Table& rows, const Answers& answers,
                                         double* worse_by = nullptr) {
  HEDDLE_ASSIGN_OR_RETURN(
      auto differences, evaluate::compare({}, {answers.task, &rows, answers.base, answers.candidate,
                                               answers.labels}));
  for (const auto& each : differences) {
    if (worse_by == nullptr || !each.is_loss) continue;
    const auto margin = each.margin_of_error();
    *worse_by = margin ? each.difference() - *margin : std::numeric_limits<double>::quiet_NaN();
  }
  std::string verdict(evaluate::verdict(differences));
  return evaluate::BesideBase{rows.rows(), std::move(verdict), std::move(differences)};
}

/// Margins of the candidate for rows as they were received; NaN where its contract refuses one.
Result<std::vector<float>> candidate_margins(Work& work, const table::Table& received) {
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto model, work.bytes("train", "model.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(model));
  HEDDLE_ASSIGN_OR_RETURN(const auto check, contract.check_table(received));
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, program.apply(check.accepted));
  const auto outputs = static_cast<std::size_t>(scorer->outputs());
  std::vector<float> scored(static_cast<std::size_t>(matrix.rows) * outputs);
  scorer->margins(matrix.values.data(), matrix.rows, scored.data());
  std::vector<float> margins(check.refused.size() * outputs,
                             std::numeric_limits<float>::quiet_NaN());
  std::size_t next = 0;
  for (std::size_t row = 0; row < check.refused.size(); ++row) {
    if (check.refused[row] != 0) continue;
    std::copy_n(scored.data() + outputs * next++, outputs, margins.data() + row * outputs);
  }
  return margins;
}

evaluate::BeforeChange none(std::string why) { return {.verdict = "none", .why = std::move(why)}; }

/// How the candidate does on rows from before the change: what it forgot shows there, and what
/// labels that are no labels taught it.
Result<evaluate::BeforeChange> judge_before(Work& work, const RowsBefore& before) {
  if (!before.why_not.empty()) return none(before.why_not);
  // Rows of an older contract: a retrain does not fail for what it is only to be told of.
  const auto candidate = candidate_margins(work, before.rows);
  if (!candidate.ok()) return none(candidate.error().message);
  HEDDLE_ASSIGN_OR_RETURN(const auto base, base_answers(work, before.rows, {}));
  if (!base.missing.why.empty()) return none(base.missing.why);
  Answers both{&work.source().recorded->task};
  std::vector<std::int64_t> common;
  for (std::size_t row = 0; row < before.labels.size(); ++row) {
    if (both.add(base.margins, *candidate, row, before.labels[row]))
      common.push_back(static_cast<std::int64_t>(row));
  }
  if (static_cast<std::int64_t>(common.size()) < kLeastRows)
    return none(fmt::format("there are {}; {} are wanted", common.size(), kLeastRows));
  HEDDLE_ASSIGN_OR_RETURN(auto compared, beside_base(before.rows.take(common), both));
  return evaluate::BeforeChange{.rows = compared.rows,
                                .verdict = std::move(compared.verdict),
                                .metrics = std::move(compared.metrics),
                                .of = before.of};
}

/// Whose labels a retrain rests on.
struct Backing {
  std::string most{};                  ///< the account that labelled most of what is trained on
  std::vector<std::int64_t> others{};  ///< held-out rows that it did not label alone
  bool several = false;                ///< others have labelled rows at all
  std::int64_t trained = 0;            ///< rows that it labelled, of those that are trained on
};

/// `kept`: places of the accepted rows among those recorded; from `first_held` on they are held
/// out.
Backing backing_of(const Recorded& recorded, std::span<const std::int64_t> kept,
                   std::int64_t first_held) {
  Backing out;
  if (recorded.label_accounts.empty()) return out;
  const auto of = [&](std::size_t row) {
    return recorded.label_accounts[static_cast<std::size_t>(kept[row])];
  };
  std::vector<std::int64_t> rows(recorded.accounts.size(), 0);
  for (std::size_t row = 0; row < static_cast<std::size_t>(first_held); ++row) ++rows[of(row)];
  const auto most = std::max_element(rows.begin() + 1, rows.end());
  if (most == rows.end() || *most == 0) return out;
  const auto number = static_cast<std::uint16_t>(most - rows.begin());
  out.most = recorded.accounts[number];
  out.trained = *most;
  for (std::size_t row = 0; row < kept.size(); ++row) {
    if (of(row) == number) continue;
    out.several = true;
    if (row >= static_cast<std::size_t>(first_held))
      out.others.push_back(static_cast<std::int64_t>(row) - first_held);
  }
  return out;
}

Result<evaluate::LabelBacking> judge_backing(const Backing& backing, const HeldOutAnswers& answers,
                                             double& worse_by) {
  Answers picked{answers.task};
  std::vector<std::int64_t> rows;
  for (const auto row : backing.others) {
    const auto i = static_cast<std::size_t>(row);
    if (picked.add(answers.base, answers.candidate, i, answers.labels[i])) rows.push_back(row);
  }
  const bool tells = static_cast<std::int64_t>(rows.size()) >= kLeastRows;
  evaluate::LabelBacking out;
  out.most = backing.most;
  out.train_rows = backing.trained;
  if (backing.several && !tells) out.only = backing.most;
  if (!tells) return out;
  HEDDLE_ASSIGN_OR_RETURN(out.others, beside_base(answers.rows->take(rows), picked, &worse_by));
  return out;
}

}  // namespace

Result<Judged> judge_retrain(Work& work, const RowSplit& parts, const HeldOutAnswers& answers) {
  const Recorded& recorded = *work.source().recorded;
  HEDDLE_ASSIGN_OR_RETURN(const auto kept, work.kept());
  Judged out;
  out.gates.push_back(
      {"retrain-beats-base",
       {fmt::format("metrics.{0} < base.{0}", stats::loss_metric(answers.task->kind).name()), {}},
       "on rows neither has learned from"});
  double worse_by = std::numeric_limits<double>::quiet_NaN();
  HEDDLE_ASSIGN_OR_RETURN(
      out.evidence.label_accounts,
      judge_backing(backing_of(recorded, *kept, parts.validation_end), answers, worse_by));
  if (out.evidence.label_accounts.others) {
    out.numbers["others.worse_by"] = worse_by;
    out.gates.push_back({"retrain-holds-for-other-labels",
                         {"others.worse_by <= 0.0", {}},
                         "on held-out rows that others labelled than who labelled most of what it "
                         "learned from"});
  }
  HEDDLE_ASSIGN_OR_RETURN(out.evidence.before_change, judge_before(work, recorded.before));
  for (const auto& [name, rows] : recorded.left_out) out.evidence.left_out.push_back({name, rows});
  return out;
}

namespace {

/// Fields that are known with the label only, and that these rows do not have.
std::set<std::string> lacking_fields(const spec::Contract& contract, const table::Table& rows) {
  std::set<std::string> lacking;
  for (const auto& field : contract.fields) {
    if (field.label_time && rows.find(field.name) == nullptr) lacking.insert(field.name);
  }
  return lacking;
}

/// The first lacking field that the metric reads; empty: it can be computed.
std::string lacks(const spec::Metric& metric, const std::set<std::string>& lacking) {
  const auto names = expr::names_in(metric.expression.text);
  if (metric.expression.text.empty() || !names.ok()) return {};
  const auto field = std::find_if(names->begin(), names->end(),
                                  [&](const std::string& name) { return lacking.contains(name); });
  return field == names->end() ? std::string() : *field;
}

/// Why values that gates may name are absent.
class AbsentValues {
 public:
  explicit AbsentValues(evaluate::Absent& absent) : absent_(absent) {}

  void metric(const std::string& name, const std::string& field) {
    for (const char* group : {"metrics", "base", "standby"})
      absent_.emplace(fmt::format("{}.{}", group, name), why(field));
  }
  void slice(const std::string& slice, const std::string& metric, const std::string& field) {
    for (const char* end : {"min", "max"})
      absent_.emplace(fmt::format("slices.{}.{}_{}", slice, metric, end), why(field));
  }

 private:
  static std::string why(const std::string& field) {
    return fmt::format("recorded traffic has no `{}`", field);
  }
  evaluate::Absent& absent_;
};

}  // namespace

spec::Evaluation without_label_fields(const spec::Evaluation& definition, const table::Table& rows,
                                      const spec::Contract& contract, const stats::Task& task,
                                      evaluate::Absent& absent) {
  const auto lacking = lacking_fields(contract, rows);
  AbsentValues values(absent);
  spec::Evaluation out = definition;
  std::erase_if(out.metrics, [&](const spec::Metric& metric) {
    const std::string field = lacks(metric, lacking);
    if (field.empty()) return false;
    values.metric(metric.name, field);
    for (const auto& slice : definition.slices) values.slice(slice.name, metric.name, field);
    return true;
  });
  std::set<std::string> names{"rows"};
  for (const auto& name : stats::metric_names(task, true)) names.insert(name);
  for (const auto& metric : definition.metrics) names.insert(metric.name);
  std::erase_if(out.slices, [&](const spec::Slice& slice) {
    if (!lacking.contains(slice.field)) return false;
    for (const auto& name : names) values.slice(slice.name, name, slice.field);
    return true;
  });
  return out;
}

}  // namespace heddle::flow
