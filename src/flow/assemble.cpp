#include "flow/assemble.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "base/clock.hpp"
#include "bundle/parity.hpp"
#include "doc/json.hpp"
#include "expr/program.hpp"
#include "model/scorer.hpp"
#include "runtime/spec.hpp"
#include "score/plan.hpp"
#include "spec/task.hpp"
#include "stats/class_index.hpp"
#include "trainer/trainer.hpp"
#include "watch/baseline.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::flow {
namespace {

/// Margins of the reference rows, by the library that trained the model where there is one; NaN
/// where the contract refuses the row.
Result<std::vector<float>> reference_margins(const Assembly& assembly,
                                             const model::Scorer& scorer) {
  HEDDLE_ASSIGN_OR_RETURN(const auto check,
                          assembly.contract->check_table(assembly.reference_rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, assembly.features->apply(check.accepted));
  const std::size_t outputs = assembly.task.outputs();
  std::optional<std::vector<float>> scored;
  const auto* trainer = trainer::trainers().find(assembly.config.trainer);
  // The library's own answers, where it can be asked: the engine is held against them, and not
  // against itself.
  if (trainer != nullptr && matrix.rows > 0) {
    HEDDLE_ASSIGN_OR_RETURN(
        scored, trainer->margins(assembly.model, matrix.values, matrix.rows, matrix.columns));
  }
  // A trainer without a library to ask, for example the linear ones, whose model is only read by
  // the engine.
  if (!scored) {
    scored.emplace(static_cast<std::size_t>(matrix.rows) * outputs);
    scorer.margins(matrix.values.data(), matrix.rows, scored->data());
  }
  if (scored->size() != static_cast<std::size_t>(matrix.rows) * outputs) {
    return Error{ErrorKind::kInternal, "train-margins",
                 fmt::format("the library gives {} margins for {} rows of {} outputs",
                             scored->size(), matrix.rows, outputs)};
  }
  std::vector<float> margins(static_cast<std::size_t>(assembly.reference_rows.rows()) * outputs,
                             std::numeric_limits<float>::quiet_NaN());
  std::size_t next = 0;
  for (std::size_t row = 0; row < check.refused.size(); ++row) {
    // Refused rows have no features. They are kept in the reference, so that the data plane is
    // tested on refusing them.
    if (check.refused[row] != 0) continue;
    std::copy_n(scored->data() + outputs * next++, outputs, margins.data() + row * outputs);
  }
  return margins;
}

}  // namespace

namespace {

/// The same by asking the runtime. It must answer every row.
Result<std::vector<float>> asked_margins(const Assembly& assembly) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto plan,
      score::Plan::from_runtime(assembly.contract->to_value(), assembly.features->to_value(),
                                *assembly.runtime, assembly.files, assembly.task,
                                score::uncalibrated(assembly.task), assembly.host));
  HEDDLE_ASSIGN_OR_RETURN(auto scored, plan->score_table(assembly.reference_rows));
  for (std::size_t row = 0; row < scored.refused.size(); ++row) {
    if (scored.refused[row] != 0 || std::isfinite(scored.margins[row * scored.outputs])) continue;
    return Error{ErrorKind::kUnprocessable, "runtime-no-answer",
                 fmt::format("the runtime gives no answer for reference row {}", row),
                 "it must answer every row that the contract accepts, missing values included"};
  }
  return std::move(scored.margins);
}

}  // namespace

Result<Digest> assemble(store::Objects& objects, const Assembly& assembly) {
  std::vector<float> margins;
  if (assembly.runtime.has_value()) {
    HEDDLE_ASSIGN_OR_RETURN(margins, asked_margins(assembly));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(assembly.model));
    HEDDLE_ASSIGN_OR_RETURN(margins, reference_margins(assembly, *scorer));
  }
  HEDDLE_ASSIGN_OR_RETURN(
      const auto reference,
      score::Plan::make_reference(assembly.contract->request_fields(), assembly.reference_rows,
                                  margins, assembly.task.outputs()));
  std::vector<bundle::Layer> layers;
  const auto add = [&](std::string_view title, std::string bytes) {
    layers.push_back({std::string(title), {}, std::move(bytes)});
  };
  if (assembly.runtime.has_value()) {
    add(bundle::kRuntime, doc::to_json(runtime::to_value(*assembly.runtime)));
    if (assembly.runtime->kind == spec::Runtime::Kind::kProcess)
      add(bundle::kRuntimeFiles, assembly.files);
  } else {
    add(bundle::kModel, assembly.model);
  }
  add(bundle::kFeatures, doc::to_json(assembly.features->to_value()));
  add(bundle::kContract, doc::to_json(assembly.contract->to_value()));
  add(bundle::kCalibration, doc::to_json(score::calibration_schema().print(assembly.calibration)));
  add(bundle::kReference, doc::to_json(reference));
  add(bundle::kBaseline, assembly.baseline);
  add(bundle::kEvaluation, assembly.evaluation);
  add(bundle::kStatements, assembly.statements);
  if (!assembly.trainer.empty()) add(bundle::kTrainer, assembly.trainer);
  if (!assembly.parity.empty()) add(bundle::kParity, assembly.parity);
  HEDDLE_ASSIGN_OR_RETURN(const Digest digest,
                          bundle::pack(objects, std::move(layers), assembly.config));
  // From the store: a bundle that nobody could load would be found at its release, when it is
  // needed.
  HEDDLE_ASSIGN_OR_RETURN(const auto packed, bundle::open(objects, digest));
  // What was packed is read as those read it that will use it: the data plane, and the watch.
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, score::Plan::load(packed, assembly.host));
  HEDDLE_ASSIGN_OR_RETURN(const auto baseline, packed.layer(bundle::kBaseline));
  HEDDLE_TRY(watch::baseline_schema().parse_text(baseline));
  return digest;
}

namespace {

/// The classes of the rows, sorted: texts by their bytes, whole numbers by size.
Result<std::vector<std::string>> learned_classes(const spec::Model& model, bool is_whole,
                                                 const std::vector<stats::Label>& labels) {
  std::set<std::string> texts;
  std::set<double> numbers;
  for (const auto& label : labels) {
    if (const auto* number = std::get_if<double>(&label))
      numbers.insert(*number);
    else
      texts.insert(std::get<std::string>(label));
    if (texts.size() + numbers.size() > spec::kMostClasses) {
      return Error{ErrorKind::kUnprocessable, "target-many-classes",
                   fmt::format("the target `{}` has more than {} classes", model.target.text,
                               spec::kMostClasses),
                   "group them, or predict a number with `task: regression`"};
    }
  }
  if (!is_whole) return std::vector<std::string>(texts.begin(), texts.end());
  std::vector<std::string> out;
  for (const double number : numbers) out.push_back(stats::whole_class(number));
  return out;
}

/// The value of a target, as the task reads it; nullopt: it is missing.
std::optional<stats::Label> label_of(const expr::Datum& value) {
  using Kind = expr::Datum::Kind;
  switch (value.kind) {
    case Kind::kBool: return value.b;
    case Kind::kInt:
    case Kind::kDouble: return value.number();
    case Kind::kString: return std::string(value.str());
    default: return std::nullopt;
  }
}

/// The code of a label, which is finite also as a float: what is answered is one.
Result<double> finite_code(const stats::ClassIndex& index, const stats::Label& label) {
  auto code = index.code_of(label);
  if (!code.ok() || std::isfinite(static_cast<float>(*code))) return code;
  return Error{ErrorKind::kInvalid, "label-not-finite",
               fmt::format("`{}` is past the range of a float", *code)};
}

/// `rows` of `all` have a target that is no label, the first of them for `why`. No row is named by
/// its number: rows are no longer in the order of their source, and refused ones are left out.
Error no_code(const spec::Model& model, const Error& why, std::size_t rows, std::size_t all) {
  const bool is_class = why.id == "label-class-unknown";
  return {ErrorKind::kUnprocessable, is_class ? "target-class-unknown" : "target-not-finite",
          fmt::format("the target `{}` is no label in {} of {} rows, for example: {}",
                      model.target.text, rows, all, why.message),
          is_class ? "add the class to `classes` of the model, or refuse such rows by the contract"
                   : "refuse such rows by the contract, or bound what the target computes with"};
}

/// Codes of `values`; the error of those that have none.
Result<std::vector<double>> codes_of(const spec::Model& model, const stats::Task& task,
                                     const std::vector<stats::Label>& values) {
  std::vector<double> codes;
  codes.reserve(values.size());
  const stats::ClassIndex index(task);
  std::optional<Error> first;
  std::size_t faulty = 0;
  for (const auto& value : values) {
    auto code = finite_code(index, value);
    if (code.ok()) {
      codes.push_back(*code);
    } else {
      ++faulty;
      if (!first) first = code.error();
    }
  }
  if (first) return no_code(model, *first, faulty, values.size());
  return codes;
}

/// A label is a double, in which a larger whole number is not told from its neighbours: two classes
/// would silently be one.
Error too_large(const spec::Model& model, std::int64_t number) {
  return {
      ErrorKind::kUnprocessable, "target-class-too-large",
      fmt::format("the target `{}` has the class {}: a class that is a whole number lies between "
                  "-{} and {}",
                  model.target.text, number, stats::kLargestClass, stats::kLargestClass),
      fmt::format("make the classes texts, for example with `target: string({})`",
                  model.target.text)};
}

Result<void> check_varies(const spec::Model& model, const Labels& labels) {
  const bool is_constant = std::all_of(labels.codes.begin(), labels.codes.end(),
                                       [&](double code) { return code == labels.codes.front(); });
  if (!is_constant) return {};
  return Error{ErrorKind::kUnprocessable, "target-constant",
               fmt::format("the target `{}` is {} in every one of {} rows", model.target.text,
                           labels.codes.empty()
                               ? "missing"
                               : stats::to_string(labels.task.label_of(labels.codes.front())),
                           labels.codes.size()),
               "there is nothing to learn: check the expression and the time range"};
}

}  // namespace

Result<Labels> labels_of(const spec::Model& model, const table::Table& rows) {
  expr::Environment environment;
  for (const auto& column : rows.columns())
    environment.variables.push_back({column.name, column.type});
  // A task that `check` has found for the definition; a source may have columns of other types.
  auto program =
      expr::Program::compile(model.target.text, environment,
                             model.task == stats::TaskKind::kBinary       ? expr::Type::kBool
                             : model.task == stats::TaskKind::kRegression ? expr::Type::kDouble
                                                                          : expr::Type::kDyn);
  if (!program.ok()) {
    return Error{
        ErrorKind::kInvalid, "target-absent",
        fmt::format("the target `{}` cannot be computed from the data: {}", model.target.text,
                    program.error().message),
        program.error().hint.empty() ? "change the target, or the source" : program.error().hint};
  }
  std::vector<stats::Label> values(static_cast<std::size_t>(rows.rows()));
  std::int64_t missing = 0;
  std::optional<std::int64_t> beyond;
  expr::Program::Scratch scratch;
  const auto views = rows.views();
  program->evaluate_columns(
      views, 0, rows.rows(), scratch, [&](std::int64_t row, expr::Datum value) {
        auto label = label_of(value);
        if (value.kind == expr::Datum::Kind::kInt && !stats::can_be_class(value.i))
          beyond = value.i;
        missing += label ? 0 : 1;
        if (label) values[static_cast<std::size_t>(row)] = std::move(*label);
      });
  if (missing > 0) {
    return Error{ErrorKind::kUnprocessable, "target-missing",
                 fmt::format("the target is missing in {} of {} rows", missing, rows.rows()),
                 "make its fields `required` in the contract, so that such rows are refused"};
  }
  if (beyond && model.task == stats::TaskKind::kClasses) return too_large(model, *beyond);
  Labels out{model.declared(), {}};
  if (model.task == stats::TaskKind::kClasses && model.classes.empty()) {
    out.task.whole_classes = program->type() == expr::Type::kInt;
    HEDDLE_ASSIGN_OR_RETURN(out.task.classes,
                            learned_classes(model, out.task.whole_classes, values));
  }
  HEDDLE_ASSIGN_OR_RETURN(out.codes, codes_of(model, out.task, values));
  HEDDLE_TRY(check_varies(model, out));
  return out;
}

Result<void> check_classes(const Labels& labels, std::int64_t train_end) {
  if (labels.task.kind == stats::TaskKind::kRegression) {
    const auto end = labels.codes.begin() + train_end;
    if (train_end == 0 || std::any_of(labels.codes.begin(), end,
                                      [&](double value) { return value != labels.codes.front(); }))
      return {};
    return Error{ErrorKind::kUnprocessable, "target-constant",
                 fmt::format("the target is {} in all {} rows to train on, so there is nothing to "
                             "learn",
                             labels.codes.front(), train_end),
                 "widen the rows that are trained on, or choose a target that varies"};
  }
  const std::size_t classes =
      labels.task.kind == stats::TaskKind::kBinary ? 2 : labels.task.classes.size();
  std::vector<std::int64_t> rows(classes, 0);
  std::vector<std::int64_t> trained(classes, 0);
  for (std::size_t row = 0; row < labels.codes.size(); ++row) {
    const auto k = static_cast<std::size_t>(labels.codes[row]);
    ++rows[k];
    if (static_cast<std::int64_t>(row) < train_end) ++trained[k];
  }
  for (std::size_t k = 0; k < classes; ++k) {
    if (rows[k] >= 2 && trained[k] >= 1) continue;
    return Error{ErrorKind::kUnprocessable, "target-class-rare",
                 fmt::format("class `{}` has {} of {} rows, {} of them to train on: a class needs "
                             "two, one of them to train on",
                             stats::to_string(labels.task.label_of(static_cast<double>(k))),
                             rows[k], labels.codes.size(), trained[k]),
                 rows[k] == 0 ? "widen the rows that are trained on, or leave the class out of "
                                "`classes`"
                              : "widen the rows that are trained on, or group the class with "
                                "another"};
  }
  return {};
}

std::vector<std::int64_t> stratified(const Labels& labels) {
  std::vector<std::int64_t> order(labels.codes.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  if (labels.task.kind == stats::TaskKind::kRegression) return order;
  std::map<double, std::int64_t> rows;
  for (const double code : labels.codes) ++rows[code];
  // Row i of the n of a class belongs at (i + 1/2) / n of the whole.
  std::map<double, std::int64_t> met;
  std::vector<double> places;
  for (const double code : labels.codes) {
    places.push_back((static_cast<double>(met[code]++) + .5) / static_cast<double>(rows[code]));
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return places[static_cast<std::size_t>(a)] < places[static_cast<std::size_t>(b)];
  });
  return order;
}

std::vector<std::int64_t> spread(std::int64_t begin, std::int64_t end, std::int64_t wanted) {
  std::vector<std::int64_t> rows;
  const std::int64_t total = end - begin;
  wanted = std::min(wanted, total);
  for (std::int64_t i = 0; i < wanted; ++i) rows.push_back(begin + i * total / wanted);
  return rows;
}

}  // namespace heddle::flow
