#include "score/plan.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "doc/json.hpp"
#include "feature/program.hpp"
#include "model/scorer.hpp"
#include "stats/scalar.hpp"

namespace heddle::score {
namespace {

constexpr std::string_view kReferenceFormat = "heddle.reference/1";
constexpr std::int64_t kMostReferenceRows = 1000;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Error corrupt(std::string_view what) {
  return Error{ErrorKind::kCorrupt, "score-bundle", fmt::format("the bundle cannot be scored: {}", what), "build it again with `heddle run`"};
}

doc::Value to_json_value(const expr::Datum& datum) {
  using Kind = expr::Datum::Kind;
  switch (datum.kind) {
    case Kind::kBool: return datum.b;
    case Kind::kInt: return datum.i;
    case Kind::kDouble: return datum.d;
    case Kind::kString: return datum.str();
    case Kind::kTimestamp: return format_time(datum.i);
    default: return nullptr;
  }
}

expr::Datum to_datum(const doc::Value& value) {
  if (value.is_bool()) return expr::Datum::boolean(value.as_bool());
  if (value.is_int()) return expr::Datum::integer(value.as_int());
  if (value.is_double()) return expr::Datum::real(value.as_double());
  if (value.is_string()) return expr::Datum::string(value.as_string());
  return expr::Datum::null();
}

/// Equal in every bit; one NaN is like another.
bool same(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b)); }

}  // namespace

struct Scratch::Buffers {
  std::vector<float> features;
  feature::Program::Scratch program;
};

Scratch::Scratch() : buffers(std::make_unique<Buffers>()) {}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;
Scratch& Scratch::operator=(Scratch&&) noexcept = default;

struct Plan::Parts {
  contract::Contract contract;
  feature::Program features;
  std::unique_ptr<model::Scorer> model;

  /// The uncalibrated margin of a typed row.
  [[nodiscard]] float margin(std::span<const expr::Datum> typed, Scratch::Buffers& buffers) const noexcept {
    buffers.features.resize(features.feature_names().size());
    features.apply_row(typed, buffers.features, buffers.program);
    float out = 0;
    model->margins(buffers.features.data(), 1, &out);
    return out;
  }
};

namespace {

/// The one place where a margin becomes a probability.
void calibrate(float margin, double intercept, float& calibrated, float& probability) noexcept {
  const double moved = static_cast<double>(margin) + intercept;
  calibrated = static_cast<float>(moved);
  probability = static_cast<float>(stats::sigmoid(moved));
}

}  // namespace

Plan::Plan(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Plan::~Plan() = default;

Result<std::unique_ptr<const Plan>> Plan::from_parts(const doc::Value& contract, const doc::Value& features, std::string_view model,
                                                     double intercept) {
  HEDDLE_ASSIGN_OR_RETURN(auto plan, build(contract, features, model, intercept));
  return std::unique_ptr<const Plan>(std::move(plan));
}

Result<std::unique_ptr<Plan>> Plan::build(const doc::Value& contract, const doc::Value& features, std::string_view model, double intercept) {
  if (!std::isfinite(intercept)) return corrupt("the calibration intercept is no number");
  HEDDLE_ASSIGN_OR_RETURN(auto compiled, contract::Contract::from_value(contract));
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::from_value(features));
  HEDDLE_ASSIGN_OR_RETURN(auto scorer, model::Scorer::load(model));
  if (scorer->outputs() != 1) {
    return Error{ErrorKind::kInvalid, "score-outputs", fmt::format("the model has {} margins a row, a service answers one", scorer->outputs()),
                 "train a model of two classes or one target"};
  }
  if (static_cast<std::size_t>(scorer->features()) != program.feature_names().size()) {
    return corrupt(fmt::format("the model reads {} features, the program makes {}", scorer->features(), program.feature_names().size()));
  }
  auto parts = std::make_unique<Parts>(Parts{std::move(compiled), std::move(program), std::move(scorer)});
  std::unique_ptr<Plan> plan(new Plan(std::move(parts)));
  plan->intercept_ = intercept;
  return plan;
}

Result<std::unique_ptr<const Plan>> Plan::load(const bundle::Bundle& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(const auto features, bundle.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(const auto model, bundle.layer(bundle::kModel));
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration, bundle.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(const auto reference, bundle.json(bundle::kReference));
  const doc::Value* intercept = calibration.find("intercept");
  if (intercept == nullptr || !intercept->is_number()) return corrupt("`calibration.json` has no `intercept`");
  HEDDLE_ASSIGN_OR_RETURN(auto plan, build(contract, features, model, intercept->as_double()));
  plan->bundle_ = bundle.digest();
  HEDDLE_ASSIGN_OR_RETURN(plan->reference_rows_, plan->prove(reference));
  return std::unique_ptr<const Plan>(std::move(plan));
}

Result<std::int64_t> Plan::prove(const doc::Value& reference) const {
  const doc::Value* fields = reference.find("fields");
  const doc::Value* rows = reference.find("rows");
  const doc::Value* margins = reference.find("margins");
  if (reference.string_or("format") != kReferenceFormat || fields == nullptr || rows == nullptr || margins == nullptr ||
      !fields->is_array() || !rows->is_array() || !margins->is_array() || rows->size() != margins->size() || rows->size() == 0) {
    return corrupt("`reference.json` is malformed or empty: nothing proves what the model should answer");
  }
  const auto order = parts_->contract.request_fields();
  if (fields->size() != order.size()) return corrupt("`reference.json` has other fields than the contract");
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (fields->as_array()[i] != doc::Value(order[i].name)) return corrupt("`reference.json` has other fields than the contract");
  }
  Scratch scratch;
  contract::RowCheck check;
  std::vector<expr::Datum> raw(order.size());
  std::int64_t served = 0;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    const doc::Value& values = rows->as_array()[row];
    if (!values.is_array() || values.size() != order.size()) return corrupt("`reference.json` has a row of another length");
    for (std::size_t i = 0; i < order.size(); ++i) raw[i] = to_datum(values.as_array()[i]);
    parts_->contract.check(raw, check);
    const float got = check.refused ? kNaN : parts_->margin(check.row, *scratch.buffers);
    const doc::Value& written = margins->as_array()[row];
    const float expected = written.is_number() ? static_cast<float>(written.as_double()) : kNaN;
    if (!same(got, expected)) {
      return Error{ErrorKind::kCorrupt, "score-no-parity",
                   fmt::format("reference row {} scores {:.9g}, the training library had {:.9g}", row, got, expected),
                   "do not serve this bundle: build it again with `heddle run` on the version that serves it"};
    }
    if (!check.refused) ++served;
  }
  if (served == 0) return corrupt("every row of `reference.json` is refused by the contract");
  return static_cast<std::int64_t>(rows->size());
}

void Plan::score_row(std::span<const expr::Datum> raw, RowResult& out, Scratch& scratch) const noexcept {
  parts_->contract.check(raw, out.check);
  if (out.check.refused) {
    out.margin = out.probability = kNaN;
    return;
  }
  calibrate(parts_->margin(out.check.row, *scratch.buffers), intercept_, out.margin, out.probability);
}

Result<TableResult> Plan::score_table(const table::Table& rows) const {
  HEDDLE_ASSIGN_OR_RETURN(auto check, parts_->contract.check_table(rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, parts_->features.apply(check.accepted));
  std::vector<float> raw(static_cast<std::size_t>(matrix.rows));
  parts_->model->margins(matrix.values.data(), matrix.rows, raw.data());
  TableResult result;
  result.margins.resize(check.refused.size(), kNaN);
  result.probabilities.resize(check.refused.size(), kNaN);
  std::size_t next = 0;
  for (std::size_t row = 0; row < check.refused.size(); ++row) {
    if (check.refused[row] == 0) calibrate(raw[next++], intercept_, result.margins[row], result.probabilities[row]);
  }
  result.refused = std::move(check.refused);
  return result;
}

const contract::Contract& Plan::contract() const noexcept { return parts_->contract; }
int Plan::feature_count() const noexcept { return parts_->model->features(); }

Result<doc::Value> Plan::make_reference(std::span<const spec::Field> fields, const table::Table& rows,
                                        std::span<const float> expected_margins) {
  if (rows.rows() != static_cast<std::int64_t>(expected_margins.size()) || rows.rows() == 0 || rows.rows() > kMostReferenceRows) {
    return Error{ErrorKind::kInvalid, "score-reference", fmt::format("{} reference rows with {} margins", rows.rows(), expected_margins.size()),
                 fmt::format("give 1 to {} rows, one margin each", kMostReferenceRows)};
  }
  doc::Value names = doc::Value::array();
  std::vector<expr::ColumnView> columns;
  for (const spec::Field& field : fields) {
    names.push(field.name);
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(field.name));
    columns.push_back(column->view());
  }
  doc::Value values = doc::Value::array();
  doc::Value margins = doc::Value::array();
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    doc::Value cells = doc::Value::array();
    for (const auto& column : columns) cells.push(to_json_value(column.at(row)));
    values.push(std::move(cells));
    const float margin = expected_margins[static_cast<std::size_t>(row)];
    // A double holds every float: written and read back, the bits are the same.
    if (std::isnan(margin)) margins.push(nullptr);
    else margins.push(static_cast<double>(margin));
  }
  return doc::Value::object({{"format", kReferenceFormat}, {"fields", std::move(names)}, {"rows", std::move(values)}, {"margins", std::move(margins)}});
}

}  // namespace heddle::score
