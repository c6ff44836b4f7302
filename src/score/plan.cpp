#include "score/plan.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "bundle/parity.hpp"
#include "doc/json.hpp"
#include "feature/program.hpp"
#include "model/scorer.hpp"
#include "model/task_link.hpp"
#include "spec/task.hpp"
#include "stats/scalar.hpp"

namespace heddle::score {
namespace {

constexpr std::int64_t kMostReferenceRows = 1000;
constexpr std::size_t kBatch = 256;  ///< rows of a table that a runtime is asked at once
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Error corrupt(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "score-bundle",
               fmt::format("the bundle cannot be scored: {}", what),
               "build it again with `heddle run`"};
}

/// Whether the program was written for the rows that the contract gives: its expressions take each
/// value for what its type says.
bool same_fields(const contract::Contract& contract, const feature::Program& features) {
  const auto given = contract.request_fields();
  const auto taken = features.fields();
  return std::equal(given.begin(), given.end(), taken.begin(), taken.end(),
                    [](const spec::Field& a, const spec::Field& b) {
                      return a.name == b.name && a.type == b.type;
                    });
}

/// Whether the model reads the columns that the program makes: where the file names its features,
/// they are the program's, in its order.
Result<void> check_columns(const model::Scorer& scorer, std::span<const std::string> made) {
  const model::Use& use = scorer.use();
  if (static_cast<std::size_t>(scorer.features()) != made.size()) {
    return corrupt(fmt::format("the model reads {} features, the program makes {}",
                               scorer.features(), made.size()));
  }
  for (std::size_t i = 0; i < use.feature_names.size(); ++i) {
    if (use.feature_names[i] == made[i]) continue;
    return Error{
        ErrorKind::kInvalid, "score-feature-names",
        fmt::format("feature {} of the model is `{}`, the feature program makes `{}` there", i,
                    use.feature_names[i], made[i]),
        "give the feature set the model's names in the model's order, or train on the feature "
        "set's"};
  }
  // Scored by codes, it would answer every row, and wrongly.
  if (use.named_categories) {
    return Error{ErrorKind::kInvalid, "score-categories",
                 "the model was trained on categories with names, and which code each name has is "
                 "known to its training frame only",
                 "train on the feature set's own numbers, or serve the model by a `runtime` with "
                 "the frame's categories"};
  }
  return {};
}

/// The margins of one row of `reference.json`; NaN where the contract refuses it.
Result<std::vector<float>> written_margins(const std::optional<std::vector<double>>& written,
                                           std::size_t outputs) {
  if (!written) return std::vector<float>(outputs, kNaN);
  if (written->size() != outputs)
    return corrupt("`reference.json` has margins of another count than the task");
  return std::vector<float>(written->begin(), written->end());
}

/// Equal in every bit; one NaN is like another.
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

}  // namespace

struct Scratch::Buffers {
  std::vector<float> features;
  std::vector<float> margins;  ///< of `features`, before calibration
  std::vector<float> beside;   ///< features of a plan that scores beside: those above stay
  feature::Program::Scratch program;
};

Scratch::Scratch() : buffers(std::make_unique<Buffers>()) {}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;

struct Plan::Parts {
  contract::Contract contract;
  feature::Program features;
  std::unique_ptr<model::Scorer> model;  ///< null when there is an endpoint
  std::unique_ptr<runtime::Endpoint> endpoint{};
  std::vector<std::string> contribution_names{};

  /// A typed row as the runtime is sent it.
  void put(std::span<const expr::Datum> typed, Scratch::Buffers& buffers,
           runtime::Rows& rows) const {
    if (endpoint->runtime().inputs == runtime::Runtime::Inputs::kFields)
      return rows.add_fields(typed);
    buffers.features.resize(features.feature_names().size());
    features.apply_row(typed, buffers.features, buffers.program);
    rows.add_features(buffers.features);
  }
  /// The uncalibrated margins of a typed row, whose features go into `columns`.
  void margins(std::span<const expr::Datum> typed, feature::Program::Scratch& program,
               std::vector<float>& columns, std::span<float> out) const noexcept {
    columns.resize(features.feature_names().size());
    features.apply_row(typed, columns, program);
    model->margins(columns.data(), 1, out.data());
  }
};

namespace {

/// The one place where a margin becomes a probability.
void calibrate(float margin, double intercept, float& calibrated, float& probability) noexcept {
  const double moved = static_cast<double>(margin) + intercept;
  calibrated = static_cast<float>(moved);
  probability = static_cast<float>(stats::sigmoid(moved));
}

/// The same of every task: `margins` become the calibrated ones.
void calibrate(const stats::Task& task, std::span<const double> offsets, std::span<float> margins,
               std::span<float> prediction) noexcept {
  // Of binary from the double, so that nothing is rounded twice.
  if (task.kind == stats::TaskKind::kBinary)
    return calibrate(margins[0], offsets[0], margins[0], prediction[0]);
  for (std::size_t k = 0; k < margins.size(); ++k)
    margins[k] = static_cast<float>(static_cast<double>(margins[k]) + offsets[k]);
  task.predict(margins, prediction);
}

}  // namespace

namespace {

/// The answers to any number of rows, asked in batches one after the other. A batch without an
/// answer is an error.
Result<std::vector<float>> ask_all(const runtime::Endpoint& endpoint, runtime::Rows rows) {
  std::vector<float> answers;
  const std::size_t batch = std::min(kBatch, endpoint.batch_rows());
  for (std::size_t begin = 0; begin < rows.count(); begin += batch) {
    HEDDLE_ASSIGN_OR_RETURN(
        const auto some, endpoint.score(rows.slice(begin, std::min(rows.count(), begin + batch))));
    answers.insert(answers.end(), some.begin(), some.end());
  }
  return answers;
}

/// A runtime's answer as margins, and calibrated. Without offsets the prediction stays as it came.
void calibrate_answer(const stats::Task& task, std::span<const float> answer,
                      std::span<const double> offsets, std::span<float> margins,
                      std::span<float> prediction) noexcept {
  margins_of(task, answer, margins);
  calibrate(task, offsets, margins, prediction);
  // To its margin and back, a probability may differ in the last bit from what the runtime said.
  if (std::ranges::all_of(offsets, [](double offset) { return offset == 0; }))
    std::ranges::copy(answer, prediction.begin());
}

/// A row whose prediction is not finite was not answered.
void keep_answered(RowResult& out) noexcept {
  if (std::ranges::all_of(out.prediction, [](float number) { return std::isfinite(number); }))
    return;
  out.margins.clear();
  out.prediction.clear();
}

}  // namespace

Plan::Plan(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Plan::~Plan() = default;

Result<std::unique_ptr<const Plan>> Plan::from_parts(const doc::Value& contract,
                                                     const doc::Value& features,
                                                     std::string_view model,
                                                     const stats::Task& task,
                                                     const Calibration& calibration) {
  HEDDLE_ASSIGN_OR_RETURN(auto plan, build(contract, features, model, task, calibration));
  return std::unique_ptr<const Plan>(std::move(plan));
}

Result<std::unique_ptr<Plan>> Plan::build(const doc::Value& contract, const doc::Value& features,
                                          std::string_view model, const stats::Task& task,
                                          const Calibration& calibration) {
  HEDDLE_TRY(check_calibration(calibration, task));
  HEDDLE_ASSIGN_OR_RETURN(auto compiled, contract::Contract::from_value(contract));
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::from_value(features));
  if (!same_fields(compiled, program))
    return corrupt("the feature program was written for other fields than the contract's");
  auto read = model::Scorer::load(model);
  if (!read.ok()) {
    Error error = std::move(read).error();
    error.message = fmt::format("`{}`: {}", bundle::kModel, error.message);
    return error;
  }
  auto scorer = *std::move(read);
  HEDDLE_TRY(check_columns(*scorer, program.feature_names()));
  HEDDLE_TRY(model::check_task(*scorer, task));
  auto parts =
      std::make_unique<Parts>(Parts{std::move(compiled), std::move(program), std::move(scorer)});
  const auto& names = parts->features.feature_names();
  parts->contribution_names.assign(names.begin(), names.end());
  parts->contribution_names.emplace_back("bias");
  std::unique_ptr<Plan> plan(new Plan(std::move(parts)));
  plan->task_ = task;
  plan->calibration_ = calibration;
  return plan;
}

Result<std::unique_ptr<Plan>> Plan::build_external(const doc::Value& contract,
                                                   const doc::Value& features,
                                                   runtime::Runtime runtime, std::string_view files,
                                                   const stats::Task& task,
                                                   const Calibration& calibration,
                                                   const runtime::Host& host) {
  HEDDLE_TRY(check_calibration(calibration, task));
  HEDDLE_ASSIGN_OR_RETURN(auto compiled, contract::Contract::from_value(contract));
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::from_value(features));
  if (!same_fields(compiled, program))
    return corrupt("the feature program was written for other fields than the contract's");
  runtime::Shape shape = shape_of(compiled, program, runtime.inputs, task);
  HEDDLE_ASSIGN_OR_RETURN(
      auto endpoint, runtime::Endpoint::start(std::move(runtime), std::move(shape), files, host));
  auto parts = std::make_unique<Parts>(
      Parts{std::move(compiled), std::move(program), nullptr, std::move(endpoint)});
  std::unique_ptr<Plan> plan(new Plan(std::move(parts)));
  plan->task_ = task;
  plan->calibration_ = calibration;
  return plan;
}

Result<std::unique_ptr<const Plan>> Plan::from_runtime(
    const doc::Value& contract, const doc::Value& features, runtime::Runtime runtime,
    std::string_view files, const stats::Task& task, const Calibration& calibration,
    const runtime::Host& host) {
  HEDDLE_ASSIGN_OR_RETURN(auto plan, build_external(contract, features, std::move(runtime), files,
                                                    task, calibration, host));
  return std::unique_ptr<const Plan>(std::move(plan));
}

Result<std::unique_ptr<const Plan>> Plan::load(const bundle::Bundle& bundle,
                                               const runtime::Host& host) {
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(const auto features, bundle.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(const auto written, bundle.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration, calibration_schema().parse(written));
  HEDDLE_ASSIGN_OR_RETURN(const auto proof, bundle.json(bundle::kReference));
  HEDDLE_ASSIGN_OR_RETURN(const auto reference, reference_schema().parse(proof));
  HEDDLE_TRY(bundle::check_parity(bundle));
  const auto& task = bundle.config().task;
  std::unique_ptr<Plan> plan;
  if (bundle.has(bundle::kRuntime)) {
    // Which of them answers would depend on who reads it.
    if (bundle.has(bundle::kModel)) return corrupt("it has both a model and a runtime");
    HEDDLE_ASSIGN_OR_RETURN(const auto described, bundle.json(bundle::kRuntime));
    HEDDLE_ASSIGN_OR_RETURN(auto runtime, runtime::parse(described));
    std::string_view files;
    if (runtime.kind == runtime::Runtime::Kind::kProcess) {
      HEDDLE_ASSIGN_OR_RETURN(files, bundle.layer(bundle::kRuntimeFiles));
    }
    HEDDLE_ASSIGN_OR_RETURN(plan, build_external(contract, features, std::move(runtime), files,
                                                 task, calibration, host));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto model, bundle.layer(bundle::kModel));
    HEDDLE_ASSIGN_OR_RETURN(plan, build(contract, features, model, task, calibration));
  }
  plan->bundle_ = bundle.digest();
  if (plan->endpoint() == nullptr) {
    const auto digest_of = [&](std::string_view layer) { return sha256(*bundle.layer(layer)); };
    plan->sources_ = {digest_of(bundle::kContract), digest_of(bundle::kFeatures),
                      digest_of(bundle::kModel)};
  }
  HEDDLE_ASSIGN_OR_RETURN(plan->reference_rows_, plan->prove(reference));
  return std::unique_ptr<const Plan>(std::move(plan));
}

namespace {

/// The reference is of the rows that the contract takes.
Result<void> check_fields(const Reference& reference, std::span<const spec::Field> order) {
  const bool is_same = std::equal(
      order.begin(), order.end(), reference.kept.fields.begin(), reference.kept.fields.end(),
      [](const spec::Field& field, const std::string& name) { return name == field.name; });
  if (!is_same) return corrupt("`reference.json` has other fields than the contract");
  return {};
}

/// A native model gives the same bits everywhere: one that does not is another model.
Result<void> same_margins(std::size_t row, std::span<const float> got,
                          std::span<const float> expected) {
  for (std::size_t k = 0; k < got.size(); ++k) {
    if (same(got[k], expected[k])) continue;
    return Error{ErrorKind::kCorrupt, "score-no-parity",
                 fmt::format("reference row {} scores {:.9g} in output {}, the training library "
                             "had {:.9g}",
                             row, got[k], k, expected[k]),
                 "do not serve this bundle: build it again with `heddle run` on the version that "
                 "serves it"};
  }
  return {};
}

}  // namespace

Result<std::int64_t> Plan::prove(const Reference& reference) const {
  const auto order = parts_->contract.request_fields();
  HEDDLE_TRY(check_fields(reference, order));
  Scratch scratch;
  Scratch::Buffers& buffers = *scratch.buffers;
  contract::RowCheck check;
  std::vector<expr::Datum> raw(order.size());
  std::int64_t served = 0;
  runtime::Rows asked;  // with a runtime: what it is asked, and what it is to say
  std::vector<float> wanted;
  std::vector<float> got(task_.outputs());
  const auto& rows = reference.kept.rows;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t i = 0; i < order.size(); ++i)
      raw[i] = kept_value(rows[row].as_array()[i], order[i].type);
    parts_->contract.check(raw, check);
    HEDDLE_ASSIGN_OR_RETURN(const auto expected,
                            written_margins(reference.margins[row], task_.outputs()));
    if (!check.refused) ++served;
    if (parts_->endpoint != nullptr && !check.refused) {
      // All together after the loop: a runtime answers batches.
      parts_->put(check.row, buffers, asked);
      wanted.insert(wanted.end(), expected.begin(), expected.end());
      continue;
    }
    // A refused row has no margins, and its reference says so too.
    std::fill(got.begin(), got.end(), kNaN);
    if (!check.refused) parts_->margins(check.row, buffers.program, buffers.features, got);
    HEDDLE_TRY(same_margins(row, got, expected));
  }
  if (served == 0) return corrupt("every row of `reference.json` is refused by the contract");
  if (parts_->endpoint != nullptr) HEDDLE_TRY(agree(std::move(asked), wanted));
  return std::ssize(rows);
}

/// Another library on another machine need not give the same bits: what it says must be as near as
/// the bundle demands.
Result<void> Plan::agree(runtime::Rows asked, std::span<const float> wanted) const {
  const double tolerance = parts_->endpoint->runtime().tolerance;
  const std::size_t outputs = task_.outputs();
  HEDDLE_ASSIGN_OR_RETURN(const auto got, ask_all(*parts_->endpoint, std::move(asked)));
  std::vector<float> expected(outputs);
  for (std::size_t at = 0; at < wanted.size(); ++at) {
    const std::size_t k = at % outputs;
    if (k == 0) task_.predict(wanted.subspan(at, outputs), expected);
    const double given = static_cast<double>(got[at]), before = static_cast<double>(expected[k]);
    // A probability is at most 1: only values of a regression widen it.
    const double may_differ = tolerance * std::max(1.0, std::abs(before));
    if (std::abs(given - before) <= may_differ) continue;  // false for NaN
    return Error{ErrorKind::kCorrupt, "score-no-parity",
                 fmt::format("reference row {} is given {:.9g} in output {} by the runtime, it was "
                             "{:.9g} when the bundle was made (tolerance {:g})",
                             at / outputs, given, k, before, tolerance),
                 "do not serve this bundle: the runtime is another one than it was, or build it "
                 "again with `heddle run`"};
  }
  return {};
}

void margins_of(const stats::Task& task, std::span<const float> prediction,
                std::span<float> margins) noexcept {
  constexpr double kLeast = 1e-15;  // as `logit` clips
  for (std::size_t k = 0; k < prediction.size(); ++k) {
    const auto number = static_cast<double>(prediction[k]);
    switch (task.kind) {
      case stats::TaskKind::kBinary: margins[k] = static_cast<float>(stats::logit(number)); break;
      case stats::TaskKind::kClasses:
        margins[k] =
            std::isnan(number) ? kNaN : static_cast<float>(stats::log(std::max(number, kLeast)));
        break;
      case stats::TaskKind::kRegression: margins[k] = prediction[k]; break;
    }
  }
}

void Plan::prepare(std::span<const expr::Datum> raw, RowResult& out, Scratch& scratch,
                   runtime::Rows& rows) const {
  parts_->contract.check(raw, out.check);
  out.margins.clear();
  out.prediction.clear();
  if (!out.check.refused) parts_->put(out.check.row, *scratch.buffers, rows);
}

void Plan::finish(std::span<const float> answer, RowResult& out) const {
  if (answer.empty()) {
    out.margins.clear();
    out.prediction.clear();
    return;
  }
  out.margins.resize(answer.size());
  out.prediction.resize(answer.size());
  calibrate_answer(task_, answer, calibration_.offsets, out.margins, out.prediction);
  keep_answered(out);
}

const std::vector<std::string>& Plan::contribution_names() const noexcept {
  return parts_->contribution_names;
}

Result<void> Plan::explain_row(std::span<const expr::Datum> raw, std::span<float> out,
                               Scratch& scratch) const {
  const std::size_t line = parts_->contribution_names.size();
  if (out.size() != task_.outputs() * line)
    return Error{ErrorKind::kInternal, "score-explain", "a row of contributions of another length"};
  if (parts_->model == nullptr) {
    return Error{ErrorKind::kInvalid, "explain-runtime",
                 "a runtime scores these rows: it says nothing of its features",
                 "ask for the other outputs"};
  }
  Scratch::Buffers& buffers = *scratch.buffers;
  contract::RowCheck check;
  parts_->contract.check(raw, check);
  if (check.refused) {
    std::fill(out.begin(), out.end(), kNaN);
    return {};
  }
  buffers.features.resize(parts_->features.feature_names().size());
  parts_->features.apply_row(check.row, buffers.features, buffers.program);
  std::vector<double> exact(out.size());
  HEDDLE_TRY(parts_->model->contributions(buffers.features, exact));
  for (std::size_t k = 0; k < task_.outputs(); ++k)
    exact[(k + 1) * line - 1] += calibration_.offsets[k];
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(exact[i]);
  return {};
}

void Plan::score_row(std::span<const expr::Datum> raw, RowResult& out,
                     Scratch& scratch) const noexcept {
  parts_->contract.check(raw, out.check);
  score_checked(out, scratch);
}

void Plan::score_accepted(std::span<const expr::Datum> raw, RowResult& out,
                          Scratch& scratch) const noexcept {
  parts_->contract.check(raw, out.check);
  (void)parts_->contract.accept(out.check);  // else it stays refused
  score_checked(out, scratch);
}

void Plan::score_checked(RowResult& out, Scratch& scratch) const noexcept {
  if (out.check.refused) {
    out.margins.clear();
    out.prediction.clear();
    return;
  }
  if (parts_->endpoint != nullptr) {
    runtime::Rows rows;
    parts_->put(out.check.row, *scratch.buffers, rows);
    const auto answer = parts_->endpoint->score(std::move(rows));
    return finish(answer.ok() ? std::span<const float>(*answer) : std::span<const float>(), out);
  }
  Scratch::Buffers& buffers = *scratch.buffers;
  buffers.margins.resize(task_.outputs());
  parts_->margins(out.check.row, buffers.program, buffers.features, buffers.margins);
  answer(buffers.margins, out);
}

/// `margins` calibrated, and the prediction that follows.
void Plan::answer(std::span<const float> margins, RowResult& out) const noexcept {
  out.margins.assign(margins.begin(), margins.end());
  out.prediction.resize(margins.size());
  calibrate(task_, calibration_.offsets, out.margins, out.prediction);
  keep_answered(out);
}

Shared Plan::shared_with(const Plan& other) const noexcept {
  const auto same = [](const Digest& a, const Digest& b) { return !a.empty() && a == b; };
  // The task is part of what margins mean, and no layer says it.
  if (task_ != other.task_ || !same(sources_.contract, other.sources_.contract))
    return Shared::kNothing;
  if (!same(sources_.features, other.sources_.features)) return Shared::kCheck;
  return same(sources_.model, other.sources_.model) ? Shared::kMargins : Shared::kFeatures;
}

void Plan::score_beside(Shared shared, std::span<const expr::Datum> raw, const RowResult& first,
                        RowResult& out, Scratch& scratch) const noexcept {
  Scratch::Buffers& buffers = *scratch.buffers;
  if (shared == Shared::kMargins) return answer(buffers.margins, out);
  out.margins.resize(task_.outputs());
  out.prediction.resize(task_.outputs());
  const contract::RowCheck* check = &first.check;
  if (shared == Shared::kNothing) {
    parts_->contract.check(raw, out.check);
    check = &out.check;
    if (check->refused) {
      out.margins.clear();
      out.prediction.clear();
      return;
    }
  }
  if (shared == Shared::kFeatures)
    parts_->model->margins(buffers.features.data(), 1, out.margins.data());
  else
    parts_->margins(check->row, buffers.program, buffers.beside, out.margins);
  calibrate(task_, calibration_.offsets, out.margins, out.prediction);
  keep_answered(out);
}

Result<TableResult> Plan::score_table(const table::Table& rows) const {
  HEDDLE_ASSIGN_OR_RETURN(auto check, parts_->contract.check_table(rows));
  std::vector<float> raw;
  if (parts_->endpoint != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(
        raw, ask(*parts_->endpoint, parts_->contract, parts_->features, check.accepted));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto matrix, parts_->features.apply(check.accepted));
    raw.resize(static_cast<std::size_t>(matrix.rows) * task_.outputs());
    parts_->model->margins(matrix.values.data(), matrix.rows, raw.data());
  }
  TableResult result;
  const std::size_t outputs = task_.outputs();
  result.outputs = outputs;
  result.margins.resize(check.refused.size() * outputs, kNaN);
  result.predictions.resize(check.refused.size() * outputs, kNaN);
  std::size_t next = 0;
  for (std::size_t row = 0; row < check.refused.size(); ++row) {
    if (check.refused[row] != 0) continue;
    const auto margins = std::span(result.margins).subspan(row * outputs, outputs);
    const auto prediction = std::span(result.predictions).subspan(row * outputs, outputs);
    const auto scored = std::span(raw).subspan(outputs * next++, outputs);
    if (parts_->endpoint != nullptr) {
      calibrate_answer(task_, scored, calibration_.offsets, margins, prediction);
      continue;
    }
    std::ranges::copy(scored, margins.begin());
    calibrate(task_, calibration_.offsets, margins, prediction);
  }
  result.refused = std::move(check.refused);
  return result;
}

const contract::Contract& Plan::contract() const noexcept { return parts_->contract; }
int Plan::feature_count() const noexcept {
  return static_cast<int>(parts_->features.feature_names().size());
}
const runtime::Endpoint* Plan::endpoint() const noexcept { return parts_->endpoint.get(); }

runtime::Shape Plan::shape_of(const contract::Contract& contract, const feature::Program& features,
                              runtime::Runtime::Inputs inputs, const stats::Task& task) {
  runtime::Shape shape{.inputs = inputs, .task = task};
  const auto fields = contract.request_fields();
  if (inputs == runtime::Runtime::Inputs::kFields)
    shape.fields.assign(fields.begin(), fields.end());
  else
    shape.features = features.feature_names();
  return shape;
}

Result<std::vector<float>> Plan::ask(const runtime::Endpoint& endpoint,
                                     const contract::Contract& contract,
                                     const feature::Program& features,
                                     const table::Table& accepted) {
  runtime::Rows rows;
  if (endpoint.runtime().inputs == runtime::Runtime::Inputs::kFeatures) {
    HEDDLE_ASSIGN_OR_RETURN(const auto matrix, features.apply(accepted));
    for (std::int64_t i = 0; i < matrix.rows; ++i)
      rows.add_features({matrix.row(i), static_cast<std::size_t>(matrix.columns)});
  } else {
    std::vector<expr::ColumnView> columns;
    for (const spec::Field& field : contract.request_fields()) {
      HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, accepted.column(field.name));
      columns.push_back(column->view());
    }
    std::vector<expr::Datum> row(columns.size());
    for (std::int64_t i = 0; i < accepted.rows(); ++i) {
      for (std::size_t column = 0; column < columns.size(); ++column)
        row[column] = columns[column].at(i);
      rows.add_fields(row);
    }
  }
  return ask_all(endpoint, std::move(rows));
}

Result<doc::Value> Plan::make_reference(std::span<const spec::Field> fields,
                                        const table::Table& rows,
                                        std::span<const float> expected_margins,
                                        std::size_t outputs) {
  const auto count = static_cast<std::size_t>(rows.rows());
  if (count * outputs != expected_margins.size() || count == 0 ||
      rows.rows() > kMostReferenceRows) {
    return Error{
        ErrorKind::kInvalid, "score-reference",
        fmt::format("{} reference rows with {} margins", rows.rows(), expected_margins.size()),
        fmt::format("give 1 to {} rows, the margins of each", kMostReferenceRows)};
  }
  Reference out;
  HEDDLE_ASSIGN_OR_RETURN(out.kept, keep_rows(fields, rows));
  for (std::size_t row = 0; row < count; ++row) {
    const auto of_row = expected_margins.subspan(row * outputs, outputs);
    auto& margins = out.margins.emplace_back();
    // A double holds every float: written and read back, the bits are the same.
    if (!std::isnan(of_row[0])) margins.emplace(of_row.begin(), of_row.end());
  }
  return reference_schema().print(out);
}

}  // namespace heddle::score
