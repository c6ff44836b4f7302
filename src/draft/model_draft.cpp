#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "draft/draft.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;
using profile::Reading;
using stats::TaskKind;

constexpr double kHeldOut = 0.15;      ///< of the rows, for validation and for test each
constexpr double kHeldOutOfFew = 0.2;  ///< of a file of so few rows that 0.15 would say little
constexpr std::int64_t kFewToHoldOut = 500;
constexpr std::int64_t kFew = 2000;
constexpr std::int64_t kTrialRows = 100'000;
constexpr std::int64_t kFewestForInterval = 40;  ///< validation rows

double held_out(const Decisions& decisions) {
  return decisions.labelled() < kFewToHoldOut ? kHeldOutOfFew : kHeldOut;
}

/// Rows that the test has.
double test_rows(const Decisions& decisions) {
  return held_out(decisions) * static_cast<double>(decisions.labelled());
}

/// The target as an expression.
std::string target_of(const Decisions& decisions) {
  const Reading& reading = decisions.target_column().reading;
  const std::string name = in_expression(reading.name());
  switch (decisions.task) {
    case TaskKind::kBinary:
      // A probability of `false` is one of the negation.
      if (reading.type == expr::Type::kBool)
        return profile::look_at(decisions.positive).look == profile::Look::kBoolean &&
                       decisions.positive.find_first_of("tT") == 0
                   ? name
                   : "!" + name;
      if (reading.type == expr::Type::kString)
        return fmt::format("{} == {}", name, literal(decisions.positive));
      // `1` of a column of doubles is written `1.0`, as its literals are.
      return fmt::format("{} == {}", name,
                         reading.type == expr::Type::kDouble &&
                                 decisions.positive.find_first_of(".eE") == std::string::npos
                             ? decisions.positive + ".0"
                             : decisions.positive);
    case TaskKind::kClasses: return name;
    case TaskKind::kRegression: break;
  }
  return number_of(reading);
}

std::string classes_of(const Decisions& decisions) {
  const bool is_whole = decisions.target_column().reading.type == expr::Type::kInt;
  std::string out;
  for (const auto& name : decisions.classes) {
    if (!out.empty()) out += ", ";
    out += is_whole ? name : quoted(name);
  }
  return "[" + out + "]";
}

/// Of numbers of which many are the same one, for example none, that one is the best answer by
/// absolute errors: what is asked of a model then is the mean.
bool is_of_means(const Decisions& decisions) {
  constexpr double kSameShare = 0.3;
  const auto values = decisions.target_column().reading.column->values.by_count();
  return static_cast<double>(values.front().count) >
         kSameShare * static_cast<double>(decisions.labelled());
}

std::string_view loss_of(const Decisions& decisions) {
  if (decisions.task != TaskKind::kRegression) return "log_loss";
  return is_of_means(decisions) ? "rmse" : "mae";
}

std::string search_of(const Decisions& decisions) {
  const std::int64_t rows = decisions.labelled();
  const bool is_few = rows < kFew;
  std::string out = fmt::format(
      "search:\n  trials: 20\n  parallel: 2\n  startup: 8\n  early_stopping_rounds: 20\n"
      "  max_rounds: {}  # the best round is kept\n",
      is_few ? 200 : 400);
  if (rows > kTrialRows)
    out += fmt::format("  rows: {}  # of {}: a trial tells as much from these, sooner\n",
                       kTrialRows, counted(rows));
  out += fmt::format(
      "  space:\n"
      "    - {{name: max_depth, kind: integer, low: {}, high: {}}}  # {} rows\n"
      "    - {{name: eta, kind: log_uniform, low: 0.03, high: 0.3}}\n"
      "    - {{name: min_child_weight, kind: log_uniform, low: 1, high: {}}}\n"
      "    - {{name: subsample, kind: uniform, low: 0.6, high: 1.0}}\n"
      "    - {{name: colsample_bytree, kind: uniform, low: 0.5, high: 1.0}}\n"
      "    - {{name: lambda, kind: log_uniform, low: 0.5, high: 20}}\n",
      is_few ? 1 : 3, is_few ? 5 : 9, counted(rows), is_few ? 10 : 50);
  return out;
}

/// What returns the model that is there, and how its rows are written.
std::string exec_of(const Decisions& decisions, const Names& names, const ModelFiles& model) {
  const Adoption& adopted = *decisions.adopted;
  std::string out = fmt::format(
      "# {} of {}, written by {}: it is served as it is.\ntrainer: exec\nexec:\n"
      "  file: {}\n  files:\n    - {}\n",
      comment(adopted.signature->of_class), comment(model.from),
      comment(adopted.signature->library), quoted("trainers/" + names.model + ".py"),
      quoted(model.main));
  for (const auto& file : model.more) out += fmt::format("    - {}\n", quoted(file));
  out += fmt::format("  python: {}\n  lock: {}\n  inputs: {}  # {}\n", quoted(model.python),
                     quoted("trainers/" + names.model + ".lock"),
                     adopted.are_features ? "features" : "fields", comment(adopted.inputs_reason));
  out += "search: {trials: 1, space: []}  # there is nothing to be searched for\n";
  return out;
}

/// A bound of what one feature may say: well above the best that is kept, and below what a leak
/// would.
double leak_bound(const Decisions& decisions) {
  const double best = decisions.best_alone;
  // What chance adds on so few test rows: three standard errors of about sqrt(p (1 - p) / n), n of
  // the smaller side.
  const double chance = 3 * std::sqrt(best * (1 - best) / std::max(test_rows(decisions) / 4, 1.0));
  const double bound = std::max(best + (1 - best) * .75, best + chance);
  // Never so low that an ordinary column passes for a leak.
  return std::clamp(std::ceil(bound * 1000) / 1000, .95, 1.0);
}

/// Held-out rows that equal a row to train on: as many as the file's own rows say, and half as many
/// again, with what chance adds.
double duplicate_bound(const Decisions& decisions) {
  const double share = decisions.repeated_share;
  const double chance = 3 * std::sqrt(share * (1 - share) / std::max(test_rows(decisions), 1.0));
  return std::clamp(std::ceil((1.5 * share + chance) * 1000) / 1000, .001, 1.0);
}

std::string metrics_of(TaskKind task) {
  switch (task) {
    case TaskKind::kBinary:
      return "  - name: auc\n  - name: log_loss\n  - name: calibration_error\n  - name: accuracy\n";
    case TaskKind::kClasses: return "  - name: log_loss\n  - name: accuracy\n  - name: macro_f1\n";
    case TaskKind::kRegression: break;
  }
  return "  - name: mae\n  - name: rmse\n  - name: r2\n";
}

std::string gate(std::string_view id, std::string_view when, std::string_view why,
                 std::string_view seen) {
  return fmt::format("  # {}\n  - id: {}\n    when: {}\n    description: {}\n", comment(seen), id,
                     when, why);
}

std::string slices_of(const Decisions& decisions) {
  // A slice of fewer rows says little.
  const auto rows = static_cast<std::int64_t>(test_rows(decisions) / 20);
  std::string out;
  int count = 0;
  for (const Column& column : decisions.columns) {
    const auto& values = column.reading.column->values;
    const bool is_slice = !column.is_label && column.left_out.empty() &&
                          column.reading.kind == Kind::kCategory && values.is_exact() &&
                          values.entries().size() <= 50;
    if (!is_slice || count == 3) continue;
    ++count;
    out += fmt::format("  - name: {}\n    field: {}  # {} values\n    minimum_rows: {}\n",
                       quoted(plain_name(column.name(), "slice")), quoted(column.name()),
                       values.entries().size(), std::max<std::int64_t>(rows, 30));
  }
  return out.empty() ? "" : "slices:\n" + out;
}

std::string base_rate_of(const Decisions& decisions) {
  if (decisions.task == TaskKind::kBinary)
    return fmt::format("`{}` is `{}` in {} of the rows", decisions.target_column().name(),
                       decisions.positive, percent(decisions.base_rate));
  if (decisions.task == TaskKind::kClasses) {
    const auto values = decisions.target_column().reading.column->values.by_count();
    return fmt::format("the most frequent class, `{}`, is {} of the rows", values.front().value,
                       percent(static_cast<double>(values.front().count) /
                               static_cast<double>(decisions.labelled())));
  }
  const auto& numbers = decisions.target_column().reading.column->numbers;
  return fmt::format("`{}` has mean {:.6g} and standard deviation {:.4g}",
                     decisions.target_column().name(), numbers.mean, numbers.sd());
}

std::string best_column_of(const Decisions& decisions) {
  const Column* best = nullptr;
  for (const Column& column : decisions.columns) {
    if (column.is_label || !column.left_out.empty()) continue;
    if (best == nullptr || column.association.explained > best->association.explained)
      best = &column;
  }
  return best == nullptr ? "no column says much alone"
                         : fmt::format("the best column alone, `{}`, explains {}", best->name(),
                                       percent(std::max(0.0, best->association.explained)));
}

}  // namespace

std::string draft_model(const Decisions& decisions, const Names& names, const Project& project) {
  const Column& target = decisions.target_column();
  std::string out = fmt::format(
      "# `{}` is the target: {}.\napiVersion: heddle/v1\nkind: Model\nname: {}\nfeatures: {}\n",
      comment(target.name()), comment(decisions.target_reason), names.model, names.rows);
  out += fmt::format("target: {}\ntask: {}  # {}\n", quoted(target_of(decisions)),
                     stats::task_name(decisions.task), comment(decisions.task_reason));
  if (decisions.task == TaskKind::kClasses)
    out += fmt::format("classes: {}\n", classes_of(decisions));
  if (decisions.task == TaskKind::kRegression && test_rows(decisions) >= kFewestForInterval)
    out += "interval: {coverage: 0.9}  # each answer with a range that holds 9 of 10 true values\n";
  out += fmt::format("train:\n  source: {}\n", names.rows);
  if (const Column* time = decisions.time_column())
    out += fmt::format("  time_field: {}  # {}: trained on the past, tested on what came after\n",
                       quoted(time->name()), comment(decisions.time_reason));
  else
    out += "  # no time orders the rows: they are split in an order that `seed` draws\n";
  const double share = held_out(decisions);
  out += fmt::format("  validation_fraction: {}  # of {} rows\n  test_fraction: {}\n", share,
                     counted(decisions.labelled()), share);
  if (project.model) {
    out += exec_of(decisions, names, *project.model);
  } else {
    out += "trainer: xgboost\nparameters:\n  tree_method: hist\n";
    if (decisions.task == TaskKind::kRegression) out += "  objective: reg:squarederror\n";
    out += search_of(decisions);
  }
  out += fmt::format("standby:  # what answers when the model cannot\n  trainer: {}\nseed: 1\n",
                     decisions.task == TaskKind::kRegression ? "ridge" : "logistic");
  return out;
}

std::string draft_trainer(const Decisions& decisions, const Project& project) {
  const Adoption& adopted = *decisions.adopted;
  std::string columns;
  for (const auto& name : adopted.columns) columns += fmt::format("    {},\n", quoted(name));
  const std::string model = project.model->main.substr(std::string_view("trainers/").size());
  return fmt::format(
      "# Returns the model in `{}` as it is: {}. To train it again from newer rows, fit one here\n"
      "# and return that (docs/own-trainer.md).\n"
      "import pathlib\n\nimport heddle\n\nHERE = pathlib.Path(__file__).parent\n"
      "# What it reads, in its order.\nCOLUMNS = [\n{}]\n\n\n"
      "@heddle.train\ndef fit(train, valid, params):\n"
      "    return heddle.adopted(HERE / {}, columns=COLUMNS{})\n",
      comment(model), comment(adopted.signature->library), columns, quoted(model),
      adopted.positive.empty() ? "" : fmt::format(", positive={}", quoted(adopted.positive)));
}

std::string draft_evaluation(const Decisions& decisions, const Names& names) {
  const std::string_view loss = loss_of(decisions);
  std::string out = fmt::format(
      "# How the model is judged on the rows that it has not seen: about {} of {}.\n"
      "apiVersion: heddle/v1\nkind: Evaluation\nname: {}\nmodel: {}\nmetrics:\n{}{}gates:\n",
      counted(std::llround(test_rows(decisions))), counted(decisions.labelled()), names.model,
      names.model, metrics_of(decisions.task), slices_of(decisions));
  out += gate("better-than-the-base-rate", fmt::format("metrics.{0} < constant.{0}", loss),
              "one answer for every row is no model", base_rate_of(decisions));
  out += gate("better-than-one-column", fmt::format("metrics.{0} < one_feature.{0}", loss),
              "a table over the best column alone would do as well", best_column_of(decisions));
  if (decisions.time)
    out += gate("better-than-the-last-value", fmt::format("metrics.{0} < last.{0}", loss),
                "what was true of the row before says more than the model",
                fmt::format("rows are in the order of `{}`", decisions.time_column()->name()));
  // What serves already is not refused for what a recalibration repairs.
  if (decisions.task == TaskKind::kBinary && !decisions.adopted) {
    // 15 bins of the error: about so much is chance.
    const double chance = std::sqrt(15 / std::max(test_rows(decisions), 15.0)) / 2;
    out += gate("calibrated", fmt::format("metrics.calibration_error < {:.2f}", .05 + chance),
                "a probability means what it says",
                fmt::format("0.05, and {:.2f} that so few test rows are off by chance", chance));
  }
  out += gate("no-worse-than-what-serves", fmt::format("metrics.{0} <= base.{0} * 1.02", loss),
              "what is released later answers no worse", "not judged until something serves");
  out +=
      fmt::format("# The best column kept has {} {:.3f}.\nleakage:\n  {}: {:.3f}\n",
                  decisions.task == TaskKind::kRegression ? "a rank correlation of" : "an AUC of",
                  decisions.best_alone,
                  decisions.task == TaskKind::kRegression ? "single_feature_correlation_max"
                                                          : "single_feature_auc_max",
                  leak_bound(decisions));
  if (decisions.repeated_share > 0)
    out += fmt::format(
        "  # Rows of the file that equal another: {} of the test rows are expected to have been "
        "trained on.\n  duplicate_share_max: {}\n",
        percent(decisions.repeated_share), duplicate_bound(decisions));
  return out;
}

}  // namespace heddle::draft
