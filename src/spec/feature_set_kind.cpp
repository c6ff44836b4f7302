#include <algorithm>
#include <set>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"

namespace heddle::spec {
namespace {

struct Encoder {
  std::vector<std::string> inputs{};
  double smoothing = 20;
};

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
    t.boolean("hidden", &Feature::hidden, "computed for others, not given to the model");
    t.describes({"description"});
    t.finally([](Feature& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      int ways = 0;
      for (const char* key : {"expression", "target_encoding", "frequency_encoding"})
        ways += value.find(key) != nullptr ? 1 : 0;
      if (ways != 1) {
        reader.report(
            value.position(), "bad-feature",
            fmt::format("feature `{}` is computed in {} ways, one is needed", into.name, ways),
            "give it one of `expression`, `target_encoding`, `frequency_encoding`");
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
           fmt::format("{} encodes `{}`, which is known only after the answer", what, name),
           "encode what a request carries");
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
    report(file, feature.expression.position, "bad-feature",
           fmt::format("feature `{}` is a {}, a model needs numbers", feature.name,
                       expr::type_name(type)),
           "encode it, or mark it `hidden: true` when other features use it");
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
