#include "flow/assemble.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.hpp"
#include "doc/json.hpp"
#include "doc/numbers.hpp"
#include "expr/program.hpp"
#include "model/scorer.hpp"
#include "runtime/spec.hpp"
#include "score/plan.hpp"
#include "spec/environment.hpp"
#include "table/cell.hpp"
#include "train/train.hpp"
#include "watch/baseline.hpp"

namespace heddle::flow {
namespace {

/// Margins of the reference rows, by the library that trained the model where there is one; NaN
/// where the contract refuses the row.
Result<std::vector<float>> reference_margins(const Assembly& assembly,
                                             const model::Scorer& scorer) {
  HEDDLE_ASSIGN_OR_RETURN(const auto check,
                          assembly.contract->check_table(assembly.reference_rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, assembly.features->apply(check.accepted));
  std::vector<float> scored(static_cast<std::size_t>(matrix.rows));
  if (scorer.format() == "xgboost" && matrix.rows > 0) {
    HEDDLE_ASSIGN_OR_RETURN(
        scored, train::xgboost_margins(assembly.model, matrix.values, matrix.rows, matrix.columns));
  } else {
    scorer.margins(matrix.values.data(), matrix.rows, scored.data());
  }
  std::vector<float> margins(static_cast<std::size_t>(assembly.reference_rows.rows()),
                             std::numeric_limits<float>::quiet_NaN());
  std::size_t next = 0;
  for (std::size_t row = 0; row < margins.size(); ++row) {
    if (check.refused[row] == 0) margins[row] = scored[next++];
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
                                *assembly.runtime, assembly.files, 0, assembly.host));
  HEDDLE_ASSIGN_OR_RETURN(auto scored, plan->score_table(assembly.reference_rows));
  for (std::size_t row = 0; row < scored.margins.size(); ++row) {
    if (scored.refused[row] != 0 || std::isfinite(scored.margins[row])) continue;
    return Error{ErrorKind::kUnprocessable, "runtime-no-answer",
                 fmt::format("the runtime gives no probability for reference row {}", row),
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
  HEDDLE_ASSIGN_OR_RETURN(const auto reference,
                          score::Plan::make_reference(assembly.contract->request_fields(),
                                                      assembly.reference_rows, margins));
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
  add(bundle::kCalibration, doc::to_json(doc::Value::object({{"intercept", assembly.intercept}})));
  add(bundle::kReference, doc::to_json(reference));
  add(bundle::kBaseline, assembly.baseline);
  add(bundle::kEvaluation, assembly.evaluation);
  add(bundle::kStatements, assembly.statements);
  HEDDLE_ASSIGN_OR_RETURN(const Digest digest,
                          bundle::pack(objects, std::move(layers), assembly.config));
  HEDDLE_ASSIGN_OR_RETURN(const auto packed, bundle::open(objects, digest));
  // What was packed is read as those read it that will use it: the data plane, and the watch.
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, score::Plan::load(packed, assembly.host));
  HEDDLE_ASSIGN_OR_RETURN(const auto baseline, packed.layer(bundle::kBaseline));
  HEDDLE_TRY(watch::Baseline::parse(baseline));
  return digest;
}

namespace {

expr::Datum datum_of(const doc::Value& value) {
  if (value.is_bool()) return expr::Datum::boolean(value.as_bool());
  if (value.is_int()) return expr::Datum::integer(value.as_int());
  if (value.is_number()) return expr::Datum::real(value.as_double());
  if (value.is_string()) return expr::Datum::string(value.as_string());
  return expr::Datum::null();
}

}  // namespace

Result<table::Table> rows_of(const doc::Value& reference, std::span<const spec::Field> fields) {
  const auto corrupt = [](std::string_view what) {
    return Error{ErrorKind::kCorrupt, "reference-corrupt",
                 fmt::format("the reference predictions are unreadable: {}", what),
                 "build the bundle again with `heddle run`"};
  };
  const doc::Value* names = reference.find("fields");
  const doc::Value* rows = reference.find("rows");
  if (names == nullptr || rows == nullptr || !names->is_array() || !rows->is_array())
    return corrupt("a part is missing");
  std::vector<table::Column> columns;
  for (const auto& field : fields) {
    const auto& list = names->as_array();
    const auto found = std::find(list.begin(), list.end(), doc::Value(field.name));
    if (found == list.end()) return corrupt(fmt::format("field `{}` is missing", field.name));
    const auto at = static_cast<std::size_t>(found - list.begin());
    table::Column column;
    column.name = field.name;
    column.type = field.type;
    std::vector<std::string> texts;
    std::map<std::string, std::int32_t> codes;
    for (const auto& row : rows->as_array()) {
      if (!row.is_array() || row.size() <= at) return corrupt("a row is too short");
      const expr::Datum value = table::as_type(field.type, datum_of(row.as_array()[at]));
      const bool valid = !value.is_null() && !value.is_error();
      if (field.type == expr::Type::kString) {
        const auto [code, inserted] =
            codes.emplace(valid ? value.str() : "", static_cast<std::int32_t>(texts.size()));
        if (inserted) texts.push_back(code->first);
        column.codes.push_back(code->second);
      } else if (field.type == expr::Type::kDouble) {
        column.doubles.push_back(valid ? value.d : 0);
      } else {
        const std::int64_t integer =
            field.type == expr::Type::kBool ? static_cast<std::int64_t>(value.b) : value.i;
        column.ints.push_back(valid ? integer : 0);
      }
      column.valid.push_back(valid ? 1 : 0);
    }
    if (field.type == expr::Type::kString)
      column.dictionary = std::make_shared<const table::Dictionary>(std::move(texts));
    columns.push_back(std::move(column));
  }
  return table::Table::make(std::move(columns));
}

Result<std::vector<std::uint8_t>> labels_of(const spec::Model& model, const table::Table& rows) {
  expr::Environment environment;
  for (const auto& column : rows.columns())
    environment.variables.push_back({column.name, column.type});
  auto program = expr::Program::compile(model.target.text, environment, expr::Type::kBool);
  if (!program.ok()) {
    return Error{
        ErrorKind::kInvalid, "target-absent",
        fmt::format("the target `{}` cannot be computed from the data: {}", model.target.text,
                    program.error().message),
        program.error().hint.empty() ? "change the target, or the source" : program.error().hint};
  }
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(rows.rows()));
  std::int64_t missing = 0;
  std::int64_t positive = 0;
  expr::Program::Scratch scratch;
  const auto views = rows.views();
  program->evaluate_columns(views, 0, rows.rows(), scratch,
                            [&](std::int64_t row, expr::Datum value) {
                              if (value.kind != expr::Datum::Kind::kBool) ++missing;
                              const bool late = value.is_true();
                              positive += late ? 1 : 0;
                              labels[static_cast<std::size_t>(row)] = late ? 1 : 0;
                            });
  if (missing > 0) {
    return Error{ErrorKind::kUnprocessable, "target-missing",
                 fmt::format("the target is missing in {} of {} rows", missing, rows.rows()),
                 "make its fields `required` in the contract, so that such rows are refused"};
  }
  if (positive == 0 || positive == rows.rows()) {
    return Error{ErrorKind::kUnprocessable, "target-constant",
                 fmt::format("the target `{}` is {} in every one of {} rows", model.target.text,
                             positive > 0, rows.rows()),
                 "there is nothing to learn: check the expression and the time range"};
  }
  return labels;
}

std::vector<std::int64_t> spread(std::int64_t begin, std::int64_t end, std::int64_t wanted) {
  std::vector<std::int64_t> rows;
  const std::int64_t total = end - begin;
  wanted = std::min(wanted, total);
  for (std::int64_t i = 0; i < wanted; ++i) rows.push_back(begin + i * total / wanted);
  return rows;
}

doc::Value parameters_to_value(const spec::TrainerParameters& parameters) {
  doc::Value out = doc::Value::object();
  for (const auto& [name, value] : parameters.values) out.set(name, value);
  return out;
}

spec::TrainerParameters parameters_from_value(const doc::Value& value) {
  spec::TrainerParameters out;
  if (!value.is_object()) return out;
  for (const auto& [name, each] : value.as_object()) {
    if (each.is_string()) out.values.emplace_back(name, each.as_string());
  }
  return out;
}

}  // namespace heddle::flow
