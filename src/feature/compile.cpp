#include <map>
#include <set>

#include "doc/diagnostic.hpp"
#include "feature/code.hpp"

namespace heddle::feature {
namespace {

/// Of the JSON of all tables, some 400,000 small rows: each bundle carries it, and everything that
/// serves has it in memory.
constexpr std::size_t kMostLookupBytes = 8 << 20;

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

/// Makes the code of a feature set, feature by feature.
class Program::Code::Compiler {
 public:
  Compiler(Code& code, const spec::FeatureSet& set)
      : code_(code), set_(set), reads_(set.features.size()), encoded_(set.features.size(), 0) {
    code_.definition = set;
  }

  Result<void> run(std::span<const spec::Field> fields) {
    take_fields(fields);
    HEDDLE_TRY(take_names());
    for (std::size_t i = 0; i < set_.features.size(); ++i) HEDDLE_TRY(find_reads(i));
    HEDDLE_ASSIGN_OR_RETURN(const auto order, Order(set_.features, reads_).sort());
    code_.definition.features.clear();
    for (const std::size_t i : order) HEDDLE_TRY(add(i));
    if (code_.names.empty())
      return invalid("feature-none", "no feature is given to the model",
                     "remove `hidden` from at least one");
    return {};
  }

 private:
  void take_fields(std::span<const spec::Field> fields) {
    for (const auto& field : fields) {
      if (field.label_time) {
        labels_.insert(field.name);
        continue;
      }
      spec::Field kept;
      kept.name = field.name;
      kept.type = field.type;
      slots_.emplace(field.name, static_cast<int>(code_.fields.size()));
      code_.fields.push_back(std::move(kept));
      environment_.variables.push_back({field.name, field.type});
      known_.push_back(field.name);
    }
  }

  Result<void> take_names() {
    std::set<std::string> taken = labels_;
    for (std::size_t i = 0; i < set_.features.size(); ++i) {
      const std::string& name = set_.features[i].name;
      if (!taken.insert(name).second) {
        return invalid("feature-name-twice", fmt::format("`{}` names two things", name),
                       "a feature's name differs from every label field and feature");
      }
      // A feature may have a field's name; that name then means the field wherever it is read.
      if (slots_.contains(name)) continue;
      index_.emplace(name, i);
      known_.push_back(name);
    }
    return {};
  }

  static Error expression_error(const Feature& feature, Error error) {
    error.id = "feature-expression";
    error.message = fmt::format("feature `{}`: {}", feature.name, error.message);
    return error;
  }

  /// The names that a feature reads.
  static Result<std::vector<std::string>> names_of(const Feature& feature) {
    if (feature.kind != Feature::Kind::kExpression) {
      if (!feature.inputs.empty() && feature.inputs.size() <= kMaxInputs) return feature.inputs;
      return invalid("feature-inputs",
                     fmt::format("feature `{}` {} {} inputs", feature.name,
                                 feature.kind == Feature::Kind::kLookup ? "looks up by" : "encodes",
                                 feature.inputs.size()),
                     fmt::format("give 1 to {}", kMaxInputs));
    }
    auto parsed = expr::names_in(feature.expression.text);
    if (!parsed.ok()) return expression_error(feature, parsed.error());
    return std::move(*parsed);
  }

  Result<void> find_reads(std::size_t i) {
    const Feature& feature = set_.features[i];
    HEDDLE_ASSIGN_OR_RETURN(const auto names, names_of(feature));
    for (const auto& name : names) {
      if (labels_.contains(name)) {
        return invalid("feature-reads-label",
                       fmt::format("feature `{}` reads `{}`, which is known only after the answer",
                                   feature.name, name),
                       "only a fitted encoder may learn from the target, and it does so by itself");
      }
      if (const auto found = index_.find(name); found != index_.end()) {
        reads_[i].push_back(found->second);
      } else if (feature.kind != Feature::Kind::kExpression && !slots_.contains(name)) {
        return unknown_name(feature, name);
      }
    }
    return {};
  }

  Error unknown_name(const Feature& feature, const std::string& name) const {
    const std::string near = doc::nearest(name, known_);
    return invalid("feature-unknown-name",
                   fmt::format("feature `{}` reads `{}`, which is neither field nor feature",
                               feature.name, name),
                   near.empty() ? fmt::format("there are `{}`", fmt::join(known_, "`, `"))
                                : fmt::format("did you mean `{}`?", near));
  }

  Result<void> add(std::size_t i) {
    const Feature& feature = set_.features[i];
    code_.definition.features.push_back(feature);
    Step step;
    step.kind = feature.kind;
    step.smoothing = feature.smoothing;
    Type type = Type::kDouble;
    const bool is_expression = feature.kind == Feature::Kind::kExpression;
    const bool is_lookup = feature.kind == Feature::Kind::kLookup;
    encoded_[i] = (!is_expression && !is_lookup) ||
                  std::any_of(reads_[i].begin(), reads_[i].end(),
                              [&](std::size_t j) { return encoded_[j] != 0; });
    if (is_expression) {
      HEDDLE_ASSIGN_OR_RETURN(step.program, compile_expression(feature));
      type = step.program->type();
    } else if (is_lookup) {
      HEDDLE_ASSIGN_OR_RETURN(step.lookup, add_lookup(feature));
      type = step.type = feature.type;
    } else {
      HEDDLE_ASSIGN_OR_RETURN(step.combination, add_combination(feature));
    }
    if (!feature.hidden) {
      step.output = static_cast<int>(code_.names.size());
      code_.names.push_back(feature.name);
    }
    const bool is_read_by_name = index_.contains(feature.name);
    if (!is_read_by_name && feature.hidden) {
      return invalid(
          "feature-name-twice",
          fmt::format("hidden feature `{}` has the name of a field, so nothing can read it",
                      feature.name),
          "give it another name, or remove `hidden`");
    }
    // Of two variables with one name the first, the field, is the one that is read.
    environment_.variables.push_back({feature.name, type});
    if (is_read_by_name)
      slots_.emplace(feature.name, static_cast<int>(environment_.variables.size()) - 1);
    code_.steps.push_back(std::move(step));
    return {};
  }

  Result<expr::Program> compile_expression(const Feature& feature) const {
    auto program = expr::Program::compile(feature.expression.text, environment_);
    if (!program.ok()) {
      Error error = expression_error(feature, program.error());
      error.kind = ErrorKind::kInvalid;
      return error;
    }
    const Type type = program->type();
    const bool numeric = type == Type::kBool || type == Type::kInt || type == Type::kDouble;
    const bool usable =
        numeric || type == Type::kString || type == Type::kTimestamp || type == Type::kDuration;
    if (!usable || (!numeric && !feature.hidden)) {
      return invalid("feature-type",
                     fmt::format("feature `{}` is a {}, a model needs numbers", feature.name,
                                 expr::type_name(type)),
                     "encode it, or mark it `hidden: true` when other features use it");
    }
    return program;
  }

  /// A table that is filled later, and what its key is read from.
  Result<int> add_lookup(const Feature& feature) {
    const Type type = feature.type;
    const bool is_numeric = type == Type::kBool || type == Type::kInt || type == Type::kDouble;
    if (!is_numeric && (type != Type::kString || !feature.hidden)) {
      return invalid("feature-type",
                     fmt::format("feature `{}` is a {}, a model needs numbers", feature.name,
                                 expr::type_name(type)),
                     "encode it, or mark it `hidden: true` when other features use it");
    }
    if (feature.columns.size() != feature.inputs.size()) {
      return invalid("feature-inputs",
                     fmt::format("feature `{}` looks {} inputs up in {} columns", feature.name,
                                 feature.inputs.size(), feature.columns.size()),
                     "name a column for each");
    }
    std::vector<Lookup::Part> parts;
    for (const auto& name : feature.inputs) {
      if (const auto found = index_.find(name);
          found != index_.end() && encoded_[found->second] != 0) {
        return invalid(
            "feature-nested-encoder",
            fmt::format("feature `{}` looks up by `{}`, which is encoded", feature.name, name),
            "look up by the fields that it is made of");
      }
      const int slot = slots_.at(name);
      const Type part = environment_.variables[static_cast<std::size_t>(slot)].type;
      if (part == Type::kDuration) {
        return invalid("feature-inputs",
                       fmt::format("feature `{}` looks up by `{}`, a duration, which no table has",
                                   feature.name, name),
                       "look up by a number, a text, a boolean or a time");
      }
      parts.push_back({slot, table::KeyPart(part)});
    }
    code_.lookups.emplace_back(std::move(parts), type);
    return static_cast<int>(code_.lookups.size()) - 1;
  }

  /// The combination of inputs that an encoder reads; encoders of the same inputs share one.
  Result<int> add_combination(const Feature& feature) {
    if (!(feature.smoothing >= 0) || feature.smoothing > 1e12) {
      return invalid("feature-smoothing",
                     fmt::format("feature `{}` has smoothing {}", feature.name, feature.smoothing),
                     "give a number of rows, 0 or more");
    }
    std::vector<int> inputs;
    for (const auto& name : feature.inputs) {
      HEDDLE_ASSIGN_OR_RETURN(const int input, add_input(feature, name));
      if (std::find(inputs.begin(), inputs.end(), input) != inputs.end()) {
        return invalid("feature-inputs",
                       fmt::format("feature `{}` encodes `{}` twice", feature.name, name),
                       "name each input once");
      }
      inputs.push_back(input);
    }
    const auto [at, fresh] =
        combination_of_.emplace(inputs, static_cast<int>(code_.combinations.size()));
    if (fresh) code_.combinations.push_back({inputs, table::TupleIndex(inputs.size()), {}, {}});
    return at->second;
  }

  Result<int> add_input(const Feature& feature, const std::string& name) {
    if (const auto found = index_.find(name);
        found != index_.end() && encoded_[found->second] != 0) {
      return invalid(
          "feature-nested-encoder",
          fmt::format("feature `{}` encodes `{}`, which is encoded itself", feature.name, name),
          "encode the fields that it is made of");
    }
    const int slot = slots_.at(name);
    const auto [at, fresh] = input_of_slot_.emplace(slot, static_cast<int>(code_.inputs.size()));
    if (fresh)
      code_.inputs.push_back(
          {slot, table::KeyPart(environment_.variables[static_cast<std::size_t>(slot)].type)});
    return at->second;
  }

  Code& code_;
  const spec::FeatureSet& set_;
  expr::Environment environment_;
  std::map<std::string, int> slots_;  ///< fields, then features
  std::set<std::string> labels_;
  std::vector<std::string> known_;
  std::map<std::string, std::size_t> index_;  ///< features that are read by their names
  std::vector<std::vector<std::size_t>> reads_;
  std::vector<char> encoded_;  ///< reads an encoder, itself or through others
  std::map<int, int> input_of_slot_;
  std::map<std::vector<int>, int> combination_of_;
};

Program::Program(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Program::Program(Program&&) noexcept = default;
Program::~Program() = default;

Result<Program> Program::compile(const spec::FeatureSet& set, std::span<const spec::Field> fields) {
  if (set.features.empty())
    return invalid("feature-none",
                   fmt::format("feature set `{}` has no features", set.identity.name),
                   "add at least one");
  auto code = std::make_unique<Code>();
  HEDDLE_TRY(Code::Compiler(*code, set).run(fields));
  return Program(std::move(code));
}

std::vector<NeededTable> Program::needed_tables() const {
  std::vector<NeededTable> out;
  for (std::size_t s = 0; s < code_->steps.size(); ++s) {
    const Step& step = code_->steps[s];
    if (step.lookup < 0) continue;
    const Feature& feature = code_->definition.features[s];
    NeededTable& table = out.emplace_back();
    table.feature = feature.name;
    table.source = feature.source;
    table.columns = feature.columns;
    for (const auto& part : code_->lookups[static_cast<std::size_t>(step.lookup)].parts())
      table.types.push_back(part.key.type());
    table.columns.push_back(feature.value);
    table.types.push_back(feature.type);
  }
  return out;
}

Result<std::int64_t> Program::add_to_lookup(std::size_t i, const table::Table& rows) {
  const std::string name = needed_tables().at(i).feature;
  HEDDLE_ASSIGN_OR_RETURN(const std::int64_t keyless, code_->lookups[i].add(rows, name));
  std::size_t bytes = 0;
  for (const Lookup& lookup : code_->lookups) bytes += lookup.bytes();
  if (bytes <= kMostLookupBytes) return keyless;
  return Error{ErrorKind::kUnprocessable, "lookup-too-large",
               fmt::format("lookup `{}`: the tables that features look up are more than {} MiB",
                           name, kMostLookupBytes >> 20),
               "they travel in every bundle: let clients send the value, by `upstream` of a field "
               "(docs/joins.md), or leave out rows that no request asks for"};
}

Result<void> Program::take_lookups(const Program& other) {
  const auto mine = needed_tables(), theirs = other.needed_tables();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const auto same = std::find_if(theirs.begin(), theirs.end(), [&](const NeededTable& each) {
      return each.source == mine[i].source && each.columns == mine[i].columns &&
             each.types == mine[i].types;
    });
    if (same == theirs.end()) {
      return Error{ErrorKind::kUnprocessable, "lookup-unknown",
                   fmt::format("what serves has no table of the lookup `{}`", mine[i].feature),
                   "run `heddle run` and release its candidate: it brings the table"};
    }
    const Lookup& table = other.code_->lookups[static_cast<std::size_t>(same - theirs.begin())];
    HEDDLE_TRY(code_->lookups[i].from_value(table.to_value()));
  }
  return {};
}

const std::vector<std::string>& Program::feature_names() const noexcept { return code_->names; }
std::span<const spec::Field> Program::fields() const noexcept { return code_->fields; }
bool Program::fitted() const noexcept { return code_->rows > 0; }

}  // namespace heddle::feature
