#include <map>
#include <set>

#include "doc/diagnostic.hpp"
#include "feature/code.hpp"

namespace heddle::feature {
namespace {

using expr::Type;
using spec::Feature;

Error invalid(std::string id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, std::move(id), std::move(message), std::move(hint)};
}

/// The features in an order in which each follows what it reads; stable, so that the order of a
/// file is kept where it can be.
class Order {
 public:
  Order(const std::vector<Feature>& features, std::vector<std::vector<std::size_t>> reads)
      : features_(features), reads_(std::move(reads)) {}

  Result<std::vector<std::size_t>> sort() {
    std::vector<std::size_t> out;
    std::vector<char> done(features_.size(), 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t i = 0; i < features_.size(); ++i) {
        if (done[i] != 0 || !std::all_of(reads_[i].begin(), reads_[i].end(),
                                         [&](std::size_t j) { return done[j] != 0; }))
          continue;
        done[i] = 1;
        out.push_back(i);
        moved = true;
      }
    }
    if (out.size() == features_.size()) return out;
    return cycle(done);
  }

 private:
  /// From a feature that is left over, each step to one that is left over too, ends in a circle.
  Error cycle(const std::vector<char>& done) const {
    std::vector<std::size_t> path = {
        static_cast<std::size_t>(std::find(done.begin(), done.end(), 0) - done.begin())};
    for (;;) {
      const auto& next = reads_[path.back()];
      const std::size_t on =
          *std::find_if(next.begin(), next.end(), [&](std::size_t j) { return done[j] == 0; });
      const auto met = std::find(path.begin(), path.end(), on);
      const bool closed = met != path.end();
      if (closed) path.erase(path.begin(), met);
      path.push_back(on);
      if (closed) break;
    }
    std::vector<std::string> names;
    for (const std::size_t i : path) names.push_back(fmt::format("`{}`", features_[i].name));
    return invalid(
        "feature-cycle",
        fmt::format("features read each other in a circle: {}", fmt::join(names, " -> ")),
        "write one of them over the contract's fields alone");
  }

  const std::vector<Feature>& features_;
  std::vector<std::vector<std::size_t>> reads_;
};

}  // namespace

Program::Program(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Program::Program(Program&&) noexcept = default;
Program::~Program() = default;

Result<Program> Program::compile(const spec::FeatureSet& set, std::span<const spec::Field> fields) {
  if (set.features.empty())
    return invalid("feature-none",
                   fmt::format("feature set `{}` has no features", set.identity.name),
                   "add at least one");
  auto code = std::make_unique<Code>();
  code->definition = set;
  expr::Environment environment;
  std::map<std::string, int> slots;  // fields, then features
  std::set<std::string> labels;
  std::vector<std::string> known;
  for (const auto& field : fields) {
    if (field.label_time) {
      labels.insert(field.name);
      continue;
    }
    spec::Field kept;
    kept.name = field.name;
    kept.type = field.type;
    slots.emplace(field.name, static_cast<int>(code->fields.size()));
    code->fields.push_back(std::move(kept));
    environment.variables.push_back({field.name, field.type});
    known.push_back(field.name);
  }
  std::map<std::string, std::size_t> index;
  std::set<std::string> taken = labels;
  for (std::size_t i = 0; i < set.features.size(); ++i) {
    const std::string& name = set.features[i].name;
    if (!taken.insert(name).second) {
      return invalid("feature-name-twice", fmt::format("`{}` names two things", name),
                     "a feature's name differs from every label field and feature");
    }
    // A feature may have a field's name; that name then means the field wherever it is read.
    if (slots.contains(name)) continue;
    index.emplace(name, i);
    known.push_back(name);
  }
  std::vector<std::vector<std::size_t>> reads(set.features.size());
  for (std::size_t i = 0; i < set.features.size(); ++i) {
    const Feature& feature = set.features[i];
    std::vector<std::string> names = feature.inputs;
    if (feature.kind == Feature::Kind::kExpression) {
      auto parsed = expr::names_in(feature.expression.text);
      if (!parsed.ok()) {
        Error error = parsed.error();
        error.id = "feature-expression";
        error.message = fmt::format("feature `{}`: {}", feature.name, error.message);
        return error;
      }
      names = std::move(*parsed);
    } else if (names.empty() || names.size() > kMaxInputs) {
      return invalid("feature-inputs",
                     fmt::format("feature `{}` encodes {} inputs", feature.name, names.size()),
                     fmt::format("give 1 to {}", kMaxInputs));
    }
    for (const auto& name : names) {
      if (labels.contains(name)) {
        return invalid("feature-reads-label",
                       fmt::format("feature `{}` reads `{}`, which is known only after the answer",
                                   feature.name, name),
                       "only a fitted encoder may learn from the target, and it does so by itself");
      }
      if (const auto found = index.find(name); found != index.end()) {
        reads[i].push_back(found->second);
      } else if (feature.kind != Feature::Kind::kExpression && !slots.contains(name)) {
        const std::string near = doc::nearest(name, known);
        return invalid("feature-unknown-name",
                       fmt::format("feature `{}` encodes `{}`, which is neither field nor feature",
                                   feature.name, name),
                       near.empty() ? fmt::format("there are `{}`", fmt::join(known, "`, `"))
                                    : fmt::format("did you mean `{}`?", near));
      }
    }
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto order, Order(set.features, reads).sort());

  code->definition.features.clear();
  std::vector<char> encoded(set.features.size(), 0);  // reads an encoder, itself or through others
  std::map<int, int> input_of_slot;
  std::map<std::vector<int>, int> combination_of;
  for (const std::size_t i : order) {
    const Feature& feature = set.features[i];
    code->definition.features.push_back(feature);
    Step step;
    step.kind = feature.kind;
    step.smoothing = feature.smoothing;
    Type type = Type::kDouble;
    encoded[i] = feature.kind != Feature::Kind::kExpression ||
                 std::any_of(reads[i].begin(), reads[i].end(),
                             [&](std::size_t j) { return encoded[j] != 0; });
    if (feature.kind == Feature::Kind::kExpression) {
      auto program = expr::Program::compile(feature.expression.text, environment);
      if (!program.ok()) {
        Error error = program.error();
        error.kind = ErrorKind::kInvalid;
        error.id = "feature-expression";
        error.message = fmt::format("feature `{}`: {}", feature.name, error.message);
        return error;
      }
      type = program->type();
      const bool numeric = type == Type::kBool || type == Type::kInt || type == Type::kDouble;
      const bool usable =
          numeric || type == Type::kString || type == Type::kTimestamp || type == Type::kDuration;
      if (!usable || (!numeric && !feature.hidden)) {
        return invalid("feature-type",
                       fmt::format("feature `{}` is a {}, a model needs numbers", feature.name,
                                   expr::type_name(type)),
                       "encode it, or mark it `hidden: true` when other features use it");
      }
      step.program = std::move(*program);
    } else {
      if (!(feature.smoothing >= 0) || feature.smoothing > 1e12) {
        return invalid(
            "feature-smoothing",
            fmt::format("feature `{}` has smoothing {}", feature.name, feature.smoothing),
            "give a number of rows, 0 or more");
      }
      std::vector<int> inputs;
      for (const auto& name : feature.inputs) {
        if (const auto found = index.find(name);
            found != index.end() && encoded[found->second] != 0) {
          return invalid(
              "feature-nested-encoder",
              fmt::format("feature `{}` encodes `{}`, which is encoded itself", feature.name, name),
              "encode the fields that it is made of");
        }
        const int slot = slots.at(name);
        const auto [at, fresh] = input_of_slot.emplace(slot, static_cast<int>(code->inputs.size()));
        if (fresh)
          code->inputs.push_back(
              {slot, table::KeyPart(environment.variables[static_cast<std::size_t>(slot)].type)});
        if (std::find(inputs.begin(), inputs.end(), at->second) != inputs.end()) {
          return invalid("feature-inputs",
                         fmt::format("feature `{}` encodes `{}` twice", feature.name, name),
                         "name each input once");
        }
        inputs.push_back(at->second);
      }
      const auto [at, fresh] =
          combination_of.emplace(inputs, static_cast<int>(code->combinations.size()));
      if (fresh) code->combinations.push_back({inputs, table::TupleIndex(inputs.size()), {}, {}});
      step.combination = at->second;
    }
    if (!feature.hidden) {
      step.output = static_cast<int>(code->names.size());
      code->names.push_back(feature.name);
    }
    if (!index.contains(feature.name) && feature.hidden) {
      return invalid(
          "feature-name-twice",
          fmt::format("hidden feature `{}` has the name of a field, so nothing can read it",
                      feature.name),
          "give it another name, or remove `hidden`");
    }
    // Of two variables with one name the first, the field, is the one that is read.
    environment.variables.push_back({feature.name, type});
    if (index.contains(feature.name))
      slots.emplace(feature.name, static_cast<int>(environment.variables.size()) - 1);
    code->steps.push_back(std::move(step));
  }
  if (code->names.empty())
    return invalid("feature-none", "no feature is given to the model",
                   "remove `hidden` from at least one");
  return Program(std::move(code));
}

const std::vector<std::string>& Program::feature_names() const noexcept { return code_->names; }
std::span<const spec::Field> Program::fields() const noexcept { return code_->fields; }
bool Program::fitted() const noexcept { return code_->rows > 0; }

}  // namespace heddle::feature
