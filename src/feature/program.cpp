#include "feature/program.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include "doc/diagnostic.hpp"
#include "expr/program.hpp"
#include "feature/encoder.hpp"
#include "table/lookup.hpp"

namespace heddle::feature {
namespace {

using expr::Datum;
using expr::Type;
using spec::Feature;

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

struct FieldCode {
  std::string name;
  Type type = Type::kString;
  bool label = false;
};

struct FeatureCode {
  Feature definition;
  Type type = Type::kDouble;
  std::optional<expr::Program> program{};
  std::vector<std::size_t> inputs{};  ///< encoders: places in the environment row
  std::optional<Encoder> encoder{};
  bool after_encoder = false;         ///< reads one, itself or through others
};

float to_float(const Datum& datum) {
  switch (datum.kind) {
    case Datum::Kind::kInt: return static_cast<float>(datum.i);
    case Datum::Kind::kDouble: return static_cast<float>(datum.d);
    case Datum::Kind::kBool: return datum.b ? 1.0F : 0.0F;
    default: return kMissing;
  }
}

}  // namespace

struct Scratch::Buffers {
  std::vector<Datum> row;                     ///< fields, then features
  std::vector<expr::Program::Scratch> programs;  ///< one a feature: a string result lives as long as its own scratch
  std::vector<std::int64_t> key;
};

Scratch::Scratch() : buffers(std::make_unique<Buffers>()) {}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;
Scratch& Scratch::operator=(Scratch&&) noexcept = default;

struct Program::Code {
  std::string name;
  int folds = 5;
  std::vector<FieldCode> fields;        ///< of the row, in order
  std::vector<FieldCode> labels;
  std::vector<FeatureCode> features;    ///< in the order of the definition
  std::vector<std::size_t> order;       ///< in which they can be evaluated
  std::vector<std::size_t> visible;     ///< those in the matrix
  std::vector<std::string> names;
  bool fitted = false;

  Result<void> build(const std::string& file);
  Error error_at(const Feature& feature, const std::string& file, std::string id, std::string message, std::string hint) const {
    return {ErrorKind::kInvalid, std::move(id), fmt::format("feature `{}`: {}", feature.name, message), std::move(hint),
            file.empty() ? "" : fmt::format("{}:{}:{}", file, feature.position.line, feature.position.column)};
  }

  void prepare(Scratch::Buffers& buffers) const {
    if (buffers.row.size() < fields.size() + features.size()) buffers.row.resize(fields.size() + features.size());
    while (buffers.programs.size() < features.size()) buffers.programs.emplace_back();
  }

  /// Fills the environment row's features; `encode(index, buffers)` gives an encoder's value.
  template <class Encode>
  void evaluate(Scratch::Buffers& buffers, Encode encode) const {
    for (const std::size_t index : order) {
      const auto& feature = features[index];
      Datum value;
      if (feature.program) {
        value = feature.program->evaluate({buffers.row.data(), fields.size() + features.size()}, buffers.programs[index]);
        if (value.is_error()) value = Datum::null();
      } else {
        value = encode(index, buffers);
      }
      buffers.row[fields.size() + index] = value;
    }
  }

  void write(const Scratch::Buffers& buffers, float* out) const {
    for (std::size_t i = 0; i < visible.size(); ++i) out[i] = to_float(buffers.row[fields.size() + visible[i]]);
  }

  /// The columns of the row's fields, in order; kInvalid names what does not fit.
  Result<std::vector<expr::ColumnView>> columns_of(const table::Table& rows) const {
    std::vector<expr::ColumnView> columns;
    for (const auto& field : fields) {
      HEDDLE_ASSIGN_OR_RETURN(const auto* column, rows.column(field.name));
      if (column->type != field.type && !(field.type == Type::kDouble && column->type == Type::kInt)) {
        return Error{ErrorKind::kInvalid, "feature-column-type",
                     fmt::format("column `{}` is {}, the features want {}", field.name, expr::type_name(column->type), expr::type_name(field.type)),
                     "check the rows against the contract first"};
      }
      columns.push_back(column->view());
    }
    return columns;
  }
};

Program::Program(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

const std::vector<std::string>& Program::feature_names() const noexcept { return code_->names; }
bool Program::fitted() const noexcept { return code_->fitted; }

/// Finds what each feature reads, orders them, compiles the expressions. Errors name the first that is wrong.
Result<void> Program::Code::build(const std::string& file) {
  std::map<std::string, std::size_t> feature_at;
  std::vector<std::string> known;
  for (const auto& field : fields) known.push_back(field.name);
  for (std::size_t i = 0; i < features.size(); ++i) {
    const auto& feature = features[i].definition;
    const bool is_field = std::any_of(fields.begin(), fields.end(), [&](const FieldCode& field) { return field.name == feature.name; });
    if (is_field || !feature_at.emplace(feature.name, i).second) {
      return error_at(feature, file, "feature-name-taken", "the name is taken", "give it another name");
    }
    known.push_back(feature.name);
  }

  std::vector<std::set<std::size_t>> reads(features.size());
  for (std::size_t i = 0; i < features.size(); ++i) {
    const auto& feature = features[i].definition;
    std::vector<std::string> read_names = feature.inputs;
    if (feature.kind == Feature::Kind::kExpression) {
      auto used = expr::names_in(feature.expression.text);
      if (!used.ok()) {
        return error_at(feature, file, used.error().id, used.error().message + " (" + used.error().where + ")", used.error().hint);
      }
      read_names = *std::move(used);
    }
    for (const auto& read : read_names) {
      const bool label = std::any_of(labels.begin(), labels.end(), [&](const FieldCode& field) { return field.name == read; });
      if (label) {
        return error_at(feature, file, "feature-reads-label", fmt::format("it reads `{}`, which is known only after the fact", read),
                        "use a target encoding: it is fitted on training rows only");
      }
      if (const auto at = feature_at.find(read); at != feature_at.end()) reads[i].insert(at->second);
    }
  }

  // Depth first, so that a circle can be shown as it is walked.
  std::vector<int> state(features.size(), 0);
  std::vector<std::size_t> path;
  Result<void> outcome;
  const std::function<bool(std::size_t)> visit = [&](std::size_t at) {
    if (state[at] == 2) return true;
    path.push_back(at);
    if (state[at] == 1) {
      std::string circle;
      for (auto it = std::find(path.begin(), path.end(), at); it != path.end(); ++it) {
        circle += (circle.empty() ? "`" : " -> `") + features[*it].definition.name + "`";
      }
      outcome = error_at(features[at].definition, file, "feature-cycle", fmt::format("it reads itself: {}", circle),
                         "break the circle: write one of them over fields");
      return false;
    }
    state[at] = 1;
    for (const std::size_t next : reads[at]) {
      if (!visit(next)) return false;
    }
    path.pop_back();
    state[at] = 2;
    order.push_back(at);
    return true;
  };
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (!visit(i)) return outcome;
  }

  expr::Environment environment;
  for (const auto& field : fields) environment.variables.push_back({field.name, field.type});
  for (const auto& feature : features) environment.variables.push_back({feature.definition.name, Type::kDouble});
  for (const std::size_t index : order) {
    auto& feature = features[index];
    const auto& definition = feature.definition;
    for (const std::size_t read : reads[index]) {
      feature.after_encoder = feature.after_encoder || features[read].after_encoder || features[read].encoder.has_value();
    }
    if (definition.kind == Feature::Kind::kExpression) {
      auto program = expr::Program::compile(definition.expression.text, environment);
      if (!program.ok()) {
        const auto id = program.error().id == "expression-unknown-name" ? "feature-unknown-name" : program.error().id;
        return error_at(definition, file, id, program.error().message + " (" + program.error().where + ")", program.error().hint);
      }
      feature.type = program->type();
      const bool number = feature.type == Type::kInt || feature.type == Type::kDouble || feature.type == Type::kBool;
      if (!number && !definition.hidden) {
        return error_at(definition, file, "feature-type", fmt::format("it gives {}, a model reads numbers", expr::type_name(feature.type)),
                        "encode it, or hide it with `hidden: true`");
      }
      feature.program = std::move(*program);
    } else {
      if (definition.inputs.empty()) return error_at(definition, file, "feature-no-input", "an encoder needs inputs", "name fields in `inputs`");
      std::vector<Type> types;
      for (const auto& input : definition.inputs) {
        const auto field = std::find_if(fields.begin(), fields.end(), [&](const FieldCode& item) { return item.name == input; });
        const auto other = feature_at.find(input);
        if (field != fields.end()) {
          feature.inputs.push_back(static_cast<std::size_t>(field - fields.begin()));
          types.push_back(field->type);
        } else if (other != feature_at.end()) {
          if (features[other->second].encoder || features[other->second].after_encoder) {
            return error_at(definition, file, "feature-nested-encoder", fmt::format("its input `{}` is encoded already", input),
                            "encode fields or expressions over fields");
          }
          feature.inputs.push_back(fields.size() + other->second);
          types.push_back(features[other->second].type);
        } else {
          const auto near = doc::nearest(input, known);
          return error_at(definition, file, "feature-unknown-name", fmt::format("nothing is named `{}`", input),
                          near.empty() ? fmt::format("names here: {}", fmt::join(known, ", ")) : fmt::format("did you mean `{}`?", near));
        }
      }
      feature.encoder.emplace(definition.kind, definition.smoothing, types);
    }
    environment.variables[fields.size() + index].type = feature.type;
  }
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (features[i].definition.hidden) continue;
    visible.push_back(i);
    names.push_back(features[i].definition.name);
  }
  if (visible.empty()) {
    return Error{ErrorKind::kInvalid, "feature-none", fmt::format("feature set `{}` gives a model nothing to read", name),
                 "define at least one feature that is not hidden", file};
  }
  return {};
}

Result<Program> Program::compile(const spec::FeatureSet& features, std::span<const spec::Field> fields) {
  auto code = std::make_unique<Code>();
  code->name = features.identity.name;
  code->folds = std::max(2, features.folds);
  for (const auto& field : fields) {
    (field.label_time ? code->labels : code->fields).push_back({field.name, field.type, field.label_time});
  }
  for (const auto& feature : features.features) code->features.push_back({feature});
  HEDDLE_TRY(code->build(features.identity.file));
  return Program(std::move(code));
}

Result<FitResult> Program::fit(const table::Table& rows, std::span<const std::uint8_t> labels) {
  const auto n = rows.rows();
  if (n == 0 || static_cast<std::int64_t>(labels.size()) != n) {
    return Error{ErrorKind::kUnprocessable, "feature-fit-empty", fmt::format("{} rows with {} labels to fit on", n, labels.size()),
                 "check the source and the training period of the model"};
  }
  const auto positive = std::count(labels.begin(), labels.end(), std::uint8_t{1});
  if (positive == 0 || positive == n) {
    return Error{ErrorKind::kUnprocessable, "target-constant", fmt::format("the target is {} in all {} training rows", positive == 0 ? "false" : "true", n),
                 "check the target's expression and the training period"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, code_->columns_of(rows));
  auto& code = *code_;
  const std::size_t field_count = code.fields.size();
  const auto folds = static_cast<std::int64_t>(code.folds);
  const auto fold_of = [&](std::int64_t row) { return static_cast<std::size_t>(row * folds / n); };

  Scratch scratch;
  auto& buffers = *scratch.buffers;
  code.prepare(buffers);
  std::vector<std::vector<std::int32_t>> keys(code.features.size());
  for (std::size_t i = 0; i < code.features.size(); ++i) {
    if (!code.features[i].encoder) continue;
    code.features[i].encoder->begin(static_cast<std::size_t>(folds));
    keys[i].resize(static_cast<std::size_t>(n));
  }
  // First pass: every combination gets a code and its counts, a fold apart.
  for (std::int64_t row = 0; row < n; ++row) {
    for (std::size_t i = 0; i < field_count; ++i) buffers.row[i] = columns[i].at(row);
    code.evaluate(buffers, [&](std::size_t index, Scratch::Buffers& at) {
      auto& feature = code.features[index];
      keys[index][static_cast<std::size_t>(row)] =
          feature.encoder->learn(at.row, feature.inputs, fold_of(row), labels[static_cast<std::size_t>(row)], at.key);
      return Datum::null();
    });
  }
  for (auto& feature : code.features) {
    if (feature.encoder) feature.encoder->finish();
  }
  code.fitted = true;

  // Second pass: each row encoded from the other folds.
  FitResult result;
  result.train.rows = n;
  result.train.columns = static_cast<int>(code.visible.size());
  result.train.values.resize(static_cast<std::size_t>(n) * code.visible.size());
  for (std::int64_t row = 0; row < n; ++row) {
    for (std::size_t i = 0; i < field_count; ++i) buffers.row[i] = columns[i].at(row);
    code.evaluate(buffers, [&](std::size_t index, Scratch::Buffers&) {
      return code.features[index].encoder->cross_fitted(keys[index][static_cast<std::size_t>(row)], fold_of(row));
    });
    code.write(buffers, result.train.values.data() + static_cast<std::size_t>(row) * code.visible.size());
  }
  for (auto& feature : code.features) {
    if (feature.encoder) feature.encoder->forget_folds();
  }
  std::int64_t row = 0;
  for (std::int64_t fold = 0; fold < folds; ++fold) {
    while (row < n && fold_of(row) == static_cast<std::size_t>(fold)) ++row;
    result.fold_ends.push_back(row);
  }
  return result;
}

void Program::apply_row(std::span<const Datum> typed, std::span<float> out, Scratch& scratch) const noexcept {
  auto& buffers = *scratch.buffers;
  code_->prepare(buffers);
  for (std::size_t i = 0; i < code_->fields.size(); ++i) buffers.row[i] = i < typed.size() ? typed[i] : Datum::null();
  code_->evaluate(buffers, [this](std::size_t index, Scratch::Buffers& at) {
    const auto& feature = code_->features[index];
    return feature.encoder->value(at.row, feature.inputs, at.key);
  });
  code_->write(buffers, out.data());
}

Result<Matrix> Program::apply(const table::Table& rows) const {
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, code_->columns_of(rows));
  Matrix matrix;
  matrix.rows = rows.rows();
  matrix.columns = static_cast<int>(code_->visible.size());
  matrix.values.resize(static_cast<std::size_t>(matrix.rows) * code_->visible.size());
  Scratch scratch;
  std::vector<Datum> typed(columns.size());
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::size_t i = 0; i < columns.size(); ++i) typed[i] = columns[i].at(row);
    apply_row(typed, {matrix.values.data() + static_cast<std::size_t>(row) * code_->visible.size(), code_->visible.size()}, scratch);
  }
  return matrix;
}

namespace {

constexpr const char* kFormat = "heddle.features/1";
constexpr std::string_view kKinds[] = {"expression", "target_encoding", "frequency_encoding"};

Error corrupt(std::string_view what) {
  return {ErrorKind::kCorrupt, "features-malformed", fmt::format("the feature program is malformed: {}", what), "take the bundle from its source again"};
}

}  // namespace

doc::Value Program::to_value() const {
  auto fields = doc::Value::array();
  for (const auto* list : {&code_->fields, &code_->labels}) {
    for (const auto& field : *list) {
      fields.push(doc::Value::object({{"name", field.name}, {"type", expr::type_name(field.type)}, {"label", field.label}}));
    }
  }
  auto features = doc::Value::array();
  for (const auto& feature : code_->features) {
    const auto& definition = feature.definition;
    auto value = doc::Value::object({{"name", definition.name},
                                     {"kind", kKinds[static_cast<std::size_t>(definition.kind)]},
                                     {"hidden", definition.hidden}});
    if (feature.program) {
      value.set("expression", definition.expression.text);
    } else {
      auto inputs = doc::Value::array();
      for (const auto& input : definition.inputs) inputs.push(input);
      value.set("inputs", std::move(inputs));
      value.set("smoothing", definition.smoothing);
      if (code_->fitted) value.set("fitted", feature.encoder->to_value());
    }
    features.push(std::move(value));
  }
  return doc::Value::object({{"format", kFormat}, {"name", code_->name}, {"folds", code_->folds}, {"fields", fields}, {"features", features}});
}

Result<Program> Program::from_value(const doc::Value& value) {
  if (value.string_or("format") != kFormat) return corrupt("its format is not `heddle.features/1`");
  auto code = std::make_unique<Code>();
  code->name = value.string_or("name");
  code->folds = static_cast<int>(value.int_or("folds", 5));
  const auto* fields = value.find("fields");
  const auto* features = value.find("features");
  if (fields == nullptr || !fields->is_array() || features == nullptr || !features->is_array()) return corrupt("fields or features are missing");
  for (const auto& item : fields->as_array()) {
    FieldCode field{item.string_or("name"), Type::kNull, item.bool_or("label")};
    for (const Type type : {Type::kBool, Type::kInt, Type::kDouble, Type::kString, Type::kTimestamp}) {
      if (expr::type_name(type) == item.string_or("type")) field.type = type;
    }
    if (field.name.empty() || field.type == Type::kNull) return corrupt("a field has no name or type");
    (field.label ? code->labels : code->fields).push_back(field);
  }
  for (const auto& item : features->as_array()) {
    Feature feature;
    feature.name = item.string_or("name");
    feature.hidden = item.bool_or("hidden");
    const auto kind = std::find(std::begin(kKinds), std::end(kKinds), item.string_or("kind"));
    if (kind == std::end(kKinds)) return corrupt("a feature has no kind");
    feature.kind = static_cast<Feature::Kind>(kind - std::begin(kKinds));
    feature.expression.text = item.string_or("expression");
    feature.smoothing = item.double_or("smoothing", 20);
    if (const auto* inputs = item.find("inputs"); inputs != nullptr && inputs->is_array()) {
      for (const auto& input : inputs->as_array()) feature.inputs.push_back(input.is_string() ? input.as_string() : "");
    }
    code->features.push_back({feature});
  }
  if (auto built = code->build(""); !built.ok()) return corrupt(built.error().message);
  for (std::size_t i = 0; i < code->features.size(); ++i) {
    const auto* fitted = features->as_array()[i].find("fitted");
    if (!code->features[i].encoder) continue;
    if (fitted == nullptr) continue;
    HEDDLE_TRY(code->features[i].encoder->load(*fitted));
    code->fitted = true;
  }
  return Program(std::move(code));
}

}  // namespace heddle::feature
