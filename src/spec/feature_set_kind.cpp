#include <algorithm>
#include <set>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/load.hpp"
#include "table/cell.hpp"
#include "table/table.hpp"

namespace heddle::spec {
namespace {

struct Encoder {
  std::vector<std::string> inputs{};
  double smoothing = 20;
};

/// Of a compiled program: `kMaxInputs` of feature/code.hpp.
constexpr std::size_t kMostKeyParts = 8;

void read_lookup_key(Feature& into, const doc::Value& value, Reader& reader) {
  if (value.size() == 0 || value.size() > kMostKeyParts) {
    return reader.report(value.position(), "bad-feature",
                         fmt::format("a lookup has a key of {} parts", value.size()),
                         fmt::format("name 1 to {} fields or features", kMostKeyParts));
  }
  // In whatever order they are written, it is one key.
  std::map<std::string, std::string> key;
  for (const auto& [input, column] : value.as_object()) {
    if (column.is_string() && !column.as_string().empty()) {
      key.emplace(input, column.as_string());
      continue;
    }
    reader.report(column.position(), "bad-feature",
                  fmt::format("`key` of a lookup names no column for `{}`", input),
                  "write the field and the column of the table: `key: {origin: code}`");
  }
  for (auto& [input, column] : key) {
    into.inputs.push_back(input);
    into.columns.push_back(column);
  }
}

const Schema<Feature>& lookup_keys() {
  static const Schema<Feature> schema = [] {
    Schema<Feature> t("a lookup", "what a reference table says of a key; it travels in the bundle");
    t.text("source", &Feature::source, "a source of heddle.yaml: the table").required().filled();
    t.custom("key", Shape::kMap,
             "fields and earlier features, each with the column of the table that is equal to it",
             read_lookup_key)
        .required();
    t.text("value", &Feature::value, "the column that is looked up").required().filled();
    t.choice("type", &Feature::type,
             {{"number", expr::Type::kDouble},
              {"integer", expr::Type::kInt},
              {"boolean", expr::Type::kBool},
              {"string", expr::Type::kString}},
             "of the value; default: `number`. A `string` is for other features");
    return t;
  }();
  return schema;
}

const Schema<FeatureSet>& feature_set_keys() {
  static const Schema<Encoder> encoder = [] {
    Schema<Encoder> t("an encoder",
                      "a number fitted on training rows, cross-fitted in time-ordered folds");
    t.texts("inputs", &Encoder::inputs, "fields or features whose combination is encoded")
        .required();
    t.number("smoothing", &Encoder::smoothing, "target encoding: weight of the prior, in rows");
    return t;
  }();
  static const Schema<Feature> feature = [] {
    Schema<Feature> t("a feature",
                      "one column the model may see: an expression, or a fitted encoder");
    t.text("name", &Feature::name, "its name").required();
    t.expression("expression", &Feature::expression,
                 "CEL over the contract's fields and other features; null is missing");
    const auto encode = [](Feature::Kind kind) {
      return [kind](Feature& into, const doc::Value& value, Reader& reader) {
        Encoder read;
        reader.read(encoder, value, &read);
        into.kind = kind;
        into.inputs = std::move(read.inputs);
        into.smoothing = read.smoothing;
      };
    };
    t.custom("target_encoding", Shape::kObject, "smoothed mean of the target",
             encode(Feature::Kind::kTargetEncoding));
    t.keys.back().object = &encoder;
    t.custom("frequency_encoding", Shape::kObject, "share of the training rows",
             encode(Feature::Kind::kFrequencyEncoding));
    t.keys.back().object = &encoder;
    t.custom("lookup", Shape::kObject, "what a reference table says of a key",
             [](Feature& into, const doc::Value& value, Reader& reader) {
               into.kind = Feature::Kind::kLookup;
               reader.read(lookup_keys(), value, &into);
             });
    t.keys.back().object = &lookup_keys();
    t.boolean("hidden", &Feature::hidden, "computed for others, not given to the model");
    t.describes({"description"});
    t.finally([](Feature& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      int ways = 0;
      for (const char* key : {"expression", "target_encoding", "frequency_encoding", "lookup"})
        ways += value.find(key) != nullptr ? 1 : 0;
      if (ways != 1) {
        reader.report(
            value.position(), "bad-feature",
            fmt::format("feature `{}` is computed in {} ways, one is needed", into.name, ways),
            "give it one of `expression`, `target_encoding`, `frequency_encoding`, `lookup`");
      }
    });
    return t;
  }();
  static const Schema<FeatureSet> table = [] {
    Schema<FeatureSet> t("FeatureSet", "what a model sees of a row");
    add_named_head(t, "FeatureSet");
    t.text("contract", &FeatureSet::contract, "name of the contract the rows keep").required();
    t.integer("folds", &FeatureSet::folds, "time-ordered folds of the cross-fitted encoders", 2);
    t.objects("features", &FeatureSet::features, feature,
              "the features, in any order without cycles")
        .required();
    return t;
  }();
  return table;
}

class FeatureSetChecker : public Checking {
 public:
  explicit FeatureSetChecker(const Checking& all) : Checking(all) {}

  void check(FeatureSet& set) {
    const Contract* contract =
        refer(set.identity, "contract", set.contract, project_.contracts, "contract");
    if (contract == nullptr) return;
    Scope scope{*contract, {}, {}, std::vector<char>(set.features.size(), 1)};
    take_names(set, scope);
    std::vector<std::vector<std::size_t>> reads(set.features.size());
    for (std::size_t i = 0; i < set.features.size(); ++i) {
      for (const auto& name : names_of(set, i, scope)) {
        if (const auto found = scope.index.find(name); found != scope.index.end())
          reads[i].push_back(found->second);
      }
    }
    std::vector<char> done(set.features.size(), 0);
    const std::vector<std::size_t> order = order_of(reads, done);
    if (order.size() != set.features.size()) {
      report_cycle(set, reads, done);
      return;
    }
    check_encoded(set, reads, order);
    std::vector<Feature> sorted;
    for (const std::size_t i : order) sorted.push_back(set.features[i]);
    set.features = std::move(sorted);
    check_types(set, scope, order);
    if (std::all_of(set.features.begin(), set.features.end(),
                    [](const Feature& feature) { return feature.hidden; })) {
      report(set.identity.file, at(set.identity, "features"), "bad-feature",
             "no feature is given to the model", "remove `hidden` from at least one");
    }
  }

 private:
  /// What the names of one set mean.
  struct Scope {
    const Contract& contract;
    std::set<std::string> requested;           ///< fields of a request
    std::map<std::string, std::size_t> index;  ///< features that are read by their names
    std::vector<char> usable;                  ///< of each feature: its expression can be compiled
  };

  void take_names(const FeatureSet& set, Scope& scope) {
    std::set<std::string> seen;
    for (const auto& field : scope.contract.fields)
      (field.label_time ? seen : scope.requested).insert(field.name);
    for (std::size_t i = 0; i < set.features.size(); ++i) {
      const Feature& feature = set.features[i];
      unique(set.identity.file, seen, feature.name, feature.position, "label field or feature");
      // A feature may have a field's name. In expressions that name means the field, so nothing
      // reads the feature.
      if (!scope.requested.contains(feature.name)) {
        scope.index.emplace(feature.name, i);
      } else if (feature.hidden) {
        report(set.identity.file, feature.position, "bad-feature",
               fmt::format("hidden feature `{}` has the name of a field, so nothing can read it",
                           feature.name),
               "give it another name, or remove `hidden`");
      }
    }
  }

  /// The names that a feature reads; those that it must not are reported.
  std::vector<std::string> names_of(const FeatureSet& set, std::size_t i, Scope& scope) {
    const Feature& feature = set.features[i];
    const std::string& file = set.identity.file;
    const std::string what = fmt::format("feature `{}`", feature.name);
    if (feature.kind != Feature::Kind::kExpression) {
      for (const auto& name : feature.inputs) {
        if (!scope.index.contains(name)) check_input(file, feature, name, scope.contract, what);
      }
      return feature.inputs;
    }
    const std::string& text = feature.expression.text;
    const auto& position = feature.expression.position;
    auto parsed = expr::names_in(text);
    check_unread(scope.contract, text, file, position, what);
    if (reads_label(scope.contract, text, file, position, what)) scope.usable[i] = 0;
    return parsed.ok() ? std::move(*parsed) : feature.inputs;
  }

  void check_input(const std::string& file, const Feature& feature, const std::string& name,
                   const Contract& contract, const std::string& what) {
    const bool is_label =
        std::any_of(contract.fields.begin(), contract.fields.end(),
                    [&](const Field& field) { return field.label_time && field.name == name; });
    if (!is_label) {
      need_field(file, feature.position, contract, name, what);
      return;
    }
    report(file, feature.position, "reads-label",
           fmt::format("{} {} `{}`, which is known only after the answer", what,
                       feature.kind == Feature::Kind::kLookup ? "looks up by" : "encodes", name),
           "name what a request carries");
  }

  /// What is encoded, itself or through what it reads, differs from fold to fold: no encoder and no
  /// lookup may have it as a key.
  void check_encoded(const FeatureSet& set, const std::vector<std::vector<std::size_t>>& reads,
                     const std::vector<std::size_t>& order) {
    std::vector<char> encoded(set.features.size(), 0);
    for (const std::size_t i : order) {
      const Feature& feature = set.features[i];
      const bool is_expression = feature.kind == Feature::Kind::kExpression;
      const bool is_lookup = feature.kind == Feature::Kind::kLookup;
      encoded[i] = !is_expression && !is_lookup;
      for (const std::size_t j : reads[i]) {
        if (encoded[j] == 0) continue;
        encoded[i] = 1;
        if (is_expression) continue;
        report(set.identity.file, feature.position, "bad-feature",
               fmt::format("feature `{}` {} `{}`, which is encoded", feature.name,
                           is_lookup ? "looks up by" : "encodes", set.features[j].name),
               "name the fields that it is made of");
      }
    }
  }

  /// A stable topological order; what is left over, and not `done`, is in a cycle.
  static std::vector<std::size_t> order_of(const std::vector<std::vector<std::size_t>>& reads,
                                           std::vector<char>& done) {
    std::vector<std::size_t> order;
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t i = 0; i < reads.size(); ++i) {
        if (done[i] != 0 || !std::all_of(reads[i].begin(), reads[i].end(),
                                         [&](std::size_t j) { return done[j] != 0; }))
          continue;
        done[i] = 1;
        order.push_back(i);
        moved = true;
      }
    }
    return order;
  }

  void check_types(const FeatureSet& set, const Scope& scope,
                   const std::vector<std::size_t>& order) {
    expr::Environment environment = request_environment(scope.contract.fields);
    for (std::size_t k = 0; k < set.features.size(); ++k) {
      const Feature& feature = set.features[k];
      expr::Type type = expr::Type::kDouble;
      if (feature.kind == Feature::Kind::kExpression && scope.usable[order[k]] != 0) {
        type = compile(
            set.identity.file, fmt::format("feature `{}`", feature.name), feature.expression,
            {environment, row_domains(environment, scope.contract.fields, true)}, expr::Type::kDyn);
        check_type(set.identity.file, feature, type);
      } else if (feature.kind == Feature::Kind::kLookup) {
        type = feature.type;
        check_type(set.identity.file, feature, type);
        check_lookup(set.identity.file, feature, environment);
      }
      if (scope.requested.contains(feature.name)) continue;
      environment.variables.push_back(
          {feature.name, type == expr::Type::kNull ? expr::Type::kDouble : type});
    }
  }

  void check_type(const std::string& file, const Feature& feature, expr::Type type) {
    const bool numeric =
        type == expr::Type::kBool || type == expr::Type::kInt || type == expr::Type::kDouble;
    // kNull: it does not compile, which is reported already.
    if (numeric || feature.hidden || type == expr::Type::kNull) return;
    const bool is_lookup = feature.kind == Feature::Kind::kLookup;
    report(file, is_lookup ? feature.position : feature.expression.position, "bad-feature",
           fmt::format("feature `{}` is a {}, a model needs numbers", feature.name,
                       expr::type_name(type)),
           "encode it, or mark it `hidden: true` when other features use it");
  }

  /// A lookup's key and value against the columns of its table.
  void check_lookup(const std::string& file, const Feature& feature,
                    const expr::Environment& environment) {
    const auto found = [&](std::string message, std::string hint, std::string id = "bad-feature") {
      report(file, feature.position, std::move(id),
             fmt::format("lookup `{}` {}", feature.name, message), std::move(hint));
    };
    const auto types = lookup_types(feature, environment, found);
    if (types.empty() || feature.source.empty()) return;
    if (!project_.sources.contains(feature.source)) {
      std::vector<std::string> names;
      for (const auto& [name, input] : project_.sources) names.push_back(name);
      const std::string near = doc::nearest(feature.source, names);
      found(fmt::format("names the source `{}`, which is none", feature.source),
            near.empty() ? "add it to `sources` of heddle.yaml"
                         : fmt::format("did you mean `{}`?", near),
            "unknown-name");
      return;
    }
    // A commit holds no data, and a source that is not there yet is told where it is read.
    if (!files_.has_data()) return;
    const auto columns = table::read_schema(input_of(project_, feature.source));
    if (!columns.ok()) return;
    for (const auto& [column, type] : types) check_column(feature, *columns, column, type, found);
  }

  using Types = std::map<std::string, expr::Type>;

  /// The columns that a lookup reads, with their types; empty: it cannot be, and that is reported.
  template <class Found>
  static Types lookup_types(const Feature& feature, const expr::Environment& environment,
                            const Found& found) {
    // A key that could not be read is told where it was.
    if (feature.inputs.empty()) return {};
    Types types{{feature.value, feature.type}};
    for (std::size_t i = 0; i < feature.inputs.size(); ++i) {
      const expr::Type type = type_in(environment, feature.inputs[i]);
      if (type == expr::Type::kDuration) {
        found(fmt::format("has the duration `{}` in its key", feature.inputs[i]),
              "look up by a number, a text, a boolean or a time");
        return {};
      }
      // An input that there is not is told elsewhere.
      if (type == expr::Type::kDyn) continue;
      const auto [at, is_new] = types.emplace(feature.columns[i], type);
      if (is_new || at->second == type) continue;
      found(fmt::format("reads column `{}` of source `{}` as a {} and as a {}", at->first,
                        feature.source, expr::type_name(at->second), expr::type_name(type)),
            "let all that is read of one column have one type", "column-type");
      return {};
    }
    return types;
  }

  /// kDyn: nothing has that name.
  static expr::Type type_in(const expr::Environment& environment, const std::string& name) {
    for (const auto& variable : environment.variables) {
      if (variable.name == name) return variable.type;
    }
    return expr::Type::kDyn;
  }

  template <class Found>
  static void check_column(const Feature& feature, const std::vector<table::ColumnInfo>& columns,
                           const std::string& name, expr::Type type, const Found& found) {
    const auto at = std::find_if(columns.begin(), columns.end(),
                                 [&](const auto& column) { return column.name == name; });
    if (at == columns.end()) {
      std::vector<std::string> names;
      for (const auto& column : columns) names.push_back(column.name);
      const std::string near = doc::nearest(name, names);
      found(fmt::format("names column `{}`, which source `{}` does not have", name, feature.source),
            near.empty() ? fmt::format("its columns are `{}`", fmt::join(names, "`, `"))
                         : fmt::format("did you mean `{}`?", near),
            "column-missing");
      return;
    }
    // Texts are read by the type that is asked for.
    if (at->type == expr::Type::kString || table::can_hold(at->type, type)) return;
    found(fmt::format("reads column `{}` of source `{}`, a {}, as a {}", name, feature.source,
                      at->type == expr::Type::kDyn ? "column of a type that no field has"
                                                   : expr::type_name(at->type),
                      expr::type_name(type)),
          "name a column of that type, or correct `type`, or the type of the key's field",
          "column-type");
  }

  void report_cycle(const FeatureSet& set, const std::vector<std::vector<std::size_t>>& reads,
                    const std::vector<char>& done) {
    std::size_t at_feature =
        static_cast<std::size_t>(std::find(done.begin(), done.end(), 0) - done.begin());
    std::vector<std::size_t> path;
    while (std::find(path.begin(), path.end(), at_feature) == path.end()) {
      path.push_back(at_feature);
      at_feature = *std::find_if(reads[at_feature].begin(), reads[at_feature].end(),
                                 [&](std::size_t j) { return done[j] == 0; });
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), at_feature));
    std::string way;
    for (const std::size_t i : path) way += fmt::format("`{}` -> ", set.features[i].name);
    way += fmt::format("`{}`", set.features[path[0]].name);
    report(set.identity.file, set.features[path[0]].position, "feature-cycle",
           fmt::format("features read each other in a circle: {}", way),
           "compute one of them from fields alone");
  }
};

}  // namespace

const Kind& feature_set_kind() {
  static const BuiltInKind<FeatureSet, FeatureSetChecker> kind(
      "FeatureSet", "features", feature_set_keys, &Project::feature_sets);
  return kind;
}

}  // namespace heddle::spec
