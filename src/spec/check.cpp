#include "spec/check.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/file.hpp"
#include "spec/check_monitor.hpp"
#include "spec/check_outcomes.hpp"
#include "spec/check_people.hpp"
#include "spec/check_policy.hpp"
#include "spec/check_services.hpp"
#include "spec/environment.hpp"
#include "spec/load.hpp"
#include "spec/trainer_parameters.hpp"

namespace heddle::spec {
namespace {

class Checker {
 public:
  Checker(Project& project, const Texts& texts, const Files& files,
          std::vector<doc::Diagnostic>& diagnostics)
      : project_(project), texts_(texts), files_(files), diagnostics_(diagnostics) {}

  void run() {
    for (auto& [name, contract] : project_.contracts) check(contract);
    for (auto& [name, features] : project_.feature_sets) check(features);
    for (auto& [name, model] : project_.models) check(model);
    for (auto& [name, evaluation] : project_.evaluations) check(evaluation);
    for (auto& [name, policy] : project_.policies) check(policy);
    for (auto& [name, monitor] : project_.monitors) check(monitor);
    for (auto& [name, service] : project_.services) check(service);
    check_people(project_, diagnostics_);
    check_services(project_, diagnostics_);
  }

 private:
  doc::Diagnostic& report(const std::string& file, doc::Position at, std::string id,
                          std::string message, std::string hint) {
    doc::Diagnostic diagnostic;
    diagnostic.id = std::move(id);
    diagnostic.message = std::move(message);
    diagnostic.file = file;
    diagnostic.position = at;
    diagnostic.hint = std::move(hint);
    diagnostics_.push_back(std::move(diagnostic));
    return diagnostics_.back();
  }

  /// The position of a top-level key's value in a definition.
  static doc::Position at(const Identity& identity, std::string_view key) {
    const doc::Value* value = identity.content.find(key);
    return value == nullptr ? identity.content.position() : value->position();
  }

  /// Where item `i` of the list `key` stands.
  static doc::Position at(const Identity& identity, std::string_view key, std::size_t i) {
    const doc::Value* list = identity.content.find(key);
    const bool is_there = list != nullptr && list->is_array() && i < list->size();
    return is_there ? list->as_array()[i].position() : at(identity, key);
  }

  /// Where offset `offset` of an expression stands, when it is written on one line.
  doc::Position inside(const std::string& file, const Expression& expression,
                       std::size_t offset) const {
    doc::Position at = expression.position;
    const auto text = texts_.find(file);
    if (text == texts_.end() || at.line < 1) return at;
    std::size_t begin = 0;
    for (int i = 1; i < at.line; ++i) begin = text->second.find('\n', begin) + 1;
    begin += static_cast<std::size_t>(at.column - 1);
    if (begin >= text->second.size()) return at;
    const char first = text->second[begin];
    if (first == '|' || first == '>') return at;
    if (first == '"' || first == '\'') ++begin, ++at.column;
    if (text->second.compare(begin, expression.text.size(), expression.text) != 0) return at;
    at.column += static_cast<int>(offset);
    return at;
  }

  /// How an expression is used, and what its variables may hold.
  struct Setting {
    const expr::Environment& environment;
    std::vector<expr::Domain> domains{};
    Use use = Use::kValue;
  };

  /// Compiles; a finding when it does not, or when it comes out the same whatever the rows are.
  /// `kNull` when it does not compile, else its type.
  expr::Type compile(const std::string& file, const std::string& what, const Expression& expression,
                     const Setting& setting, expr::Type expected) {
    auto program = expr::Program::compile(expression.text, setting.environment, expected);
    if (program.ok()) {
      check_outcome(file, what, expression, setting);
      return program->type();
    }
    const Error& error = program.error();
    std::size_t offset = 0;
    if (error.where.starts_with("offset ")) {
      std::from_chars(error.where.data() + 7, error.where.data() + error.where.size(), offset);
    }
    report(file, inside(file, expression, offset), "bad-expression",
           fmt::format("{}: {}", what, error.message),
           error.hint.empty() ? "`docs/expressions.md` has the language" : error.hint);
    return expr::Type::kNull;
  }

  void check_outcome(const std::string& file, const std::string& what, const Expression& expression,
                     const Setting& setting) {
    const auto outcomes = expr::outcomes_of(expression.text, setting.environment, setting.domains);
    for (auto& found : check_outcomes(setting.use, what, outcomes)) {
      report(file, inside(file, expression, found.offset), std::move(found.id),
             std::move(found.message), std::move(found.hint))
          .severity = found.severity;
    }
  }

  template <class Map>
  const typename Map::mapped_type* refer(const Identity& from, std::string_view key,
                                         const std::string& name, const Map& map,
                                         std::string_view kind) {
    const auto found = map.find(name);
    if (found != map.end()) return &found->second;
    if (name.empty()) return nullptr;  // missing-key says it
    std::vector<std::string> names;
    for (const auto& [each, value] : map) names.push_back(each);
    const std::string near = doc::nearest(name, names);
    report(from.file, at(from, key), "unknown-name", fmt::format("there is no {} `{}`", kind, name),
           !near.empty()   ? fmt::format("did you mean `{}`?", near)
           : names.empty() ? fmt::format("the project has no {} yet", kind)
                           : fmt::format("there is `{}`", fmt::join(names, "`, `")))
        .length = static_cast<int>(name.size());
    return nullptr;
  }

  void unique(const std::string& file, std::set<std::string>& seen, const std::string& name,
              doc::Position position, std::string_view what) {
    if (name.empty() || seen.insert(name).second) return;
    report(file, position, "duplicate-name", fmt::format("{} `{}` appears twice", what, name),
           "rename one of the two");
  }

  bool has_field(const Contract& contract, const std::string& name) const {
    return std::any_of(contract.fields.begin(), contract.fields.end(),
                       [&](const Field& field) { return field.name == name; });
  }

  void need_field(const std::string& file, doc::Position position, const Contract& contract,
                  const std::string& name, std::string_view what) {
    if (name.empty() || has_field(contract, name)) return;
    if (std::find(contract.unread.begin(), contract.unread.end(), name) != contract.unread.end()) {
      report(file, position, "field-not-read",
             fmt::format("{} names `{}`, which contract `{}` has and a flat row cannot hold", what,
                         name, contract.identity.name),
             "flatten it at the source, or give it a `logicalType` of a single value");
      return;
    }
    std::vector<std::string> names;
    for (const auto& field : contract.fields) names.push_back(field.name);
    const std::string near = doc::nearest(name, names);
    report(file, position, "unknown-name",
           fmt::format("{} names `{}`, which is no field of contract `{}`", what, name,
                       contract.identity.name),
           near.empty() ? fmt::format("the fields are `{}`", fmt::join(names, "`, `"))
                        : fmt::format("did you mean `{}`?", near));
  }

  /// Whether an expression names a property that rows do not have.
  void check_unread(const Contract& contract, const std::string& text, const std::string& file,
                    doc::Position position, const std::string& what) {
    const auto names = expr::names_in(text);
    if (!names.ok()) return;
    for (const auto& name : *names) {
      if (std::find(contract.unread.begin(), contract.unread.end(), name) != contract.unread.end())
        need_field(file, position, contract, name, what);
    }
  }

  /// No file is read whose columns have such a name (`table-column-unnamed`, `-spaces`, `-case`),
  /// so a contract cannot ask for one.
  void check_column_name(const Field& field, const std::string& file,
                         std::map<std::string, std::string>& folds) {
    const std::string& name = field.name;
    constexpr const char* kSpaces = " \t\r\n";
    if (name.empty()) return;  // said where it was read
    if (name.find_first_not_of(kSpaces) == std::string::npos) {
      report(file, field.position, "bad-name", "a field's name is blank",
             "write the column's name");
      return;
    }
    if (name.find_first_of(kSpaces) == 0 || name.find_last_of(kSpaces) == name.size() - 1) {
      report(file, field.position, "bad-name",
             fmt::format("the name of field `{}` has spaces around it", name),
             "remove them here and from the column's name");
    }
    std::string folded = name;
    for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto [first, is_fresh] = folds.emplace(std::move(folded), name);
    if (!is_fresh && first->second != name) {
      report(file, field.position, "bad-name",
             fmt::format("fields `{}` and `{}` differ only by case", first->second, name),
             "rename one of the two columns at the source");
    }
  }

  void check(Contract& contract) {
    const std::string& file = contract.identity.file;
    std::set<std::string> seen;
    std::map<std::string, std::string> folds;
    for (const auto& field : contract.fields) {
      check_column_name(field, file, folds);
      unique(file, seen, field.name, field.position, "field");
      // The rest of Unicode is fine: backticks quote such a name in expressions. These would need
      // an escape in each of the many places where a rule is named.
      const bool plain = std::none_of(field.name.begin(), field.name.end(), [](char c) {
        return c == '"' || c == '\\' || c == '`' || (static_cast<unsigned char>(c) < 0x20);
      });
      if (!plain) {
        report(file, field.position, "bad-name",
               "a field's name holds a quote, a backslash, a backtick or a control character",
               "rename the column at the source");
      }
      const bool is_open = field.minimum_excluded || field.maximum_excluded;
      const auto allows_none = [&](const auto& low, const auto& high) {
        return low && high && (*low > *high || (is_open && *low == *high));
      };
      if (allows_none(field.minimum, field.maximum)) {
        report(file, field.position, "out-of-range",
               fmt::format("field `{}` allows no value: minimum {} is above maximum {}", field.name,
                           *field.minimum, *field.maximum),
               "swap the two");
      }
      if (allows_none(field.earliest, field.latest)) {
        report(
            file, field.position, "out-of-range",
            fmt::format("field `{}` allows no value: its minimum is above its maximum", field.name),
            "swap the two");
      }
      if (!field.enum_file.empty()) check_enum(contract, field);
    }
    const expr::Environment environment = request_environment(contract.fields);
    std::set<std::string> ids;
    for (const auto& rule : contract.row_rules) {
      unique(file, ids, rule.id, rule.position, "rule");
      if (rule.kind == RowRule::Kind::kExpression) {
        if (reads_label(contract, rule.expression.text, file, rule.expression.position,
                        fmt::format("rule `{}`", rule.id)))
          continue;
        check_unread(contract, rule.expression.text, file, rule.expression.position,
                     fmt::format("rule `{}`", rule.id));
        const Use use = rule.effect == RuleEffect::kRefuse ? Use::kRefusal : Use::kWarning;
        compile(file, fmt::format("rule `{}`", rule.id), rule.expression,
                {environment, row_domains(environment, contract.fields, false), use},
                expr::Type::kBool);
        continue;
      }
      for (const auto& name : rule.determinant)
        need_field(file, rule.position, contract, name, fmt::format("rule `{}`", rule.id));
      need_field(file, rule.position, contract, rule.dependent, fmt::format("rule `{}`", rule.id));
    }
    for (const auto& rule : contract.set_rules) {
      unique(file, ids, rule.id, rule.position, "rule");
      for (const auto& name : rule.properties)
        need_field(file, rule.position, contract, name, fmt::format("rule `{}`", rule.id));
      check_set_rule(contract, rule);
    }
    for (const auto& transform : contract.transforms) {
      unique(file, ids, transform.id, transform.expression.position, "transform");
      need_field(file, transform.expression.position, contract, transform.field,
                 fmt::format("transform `{}`", transform.id));
      const auto field =
          std::find_if(contract.fields.begin(), contract.fields.end(),
                       [&](const Field& each) { return each.name == transform.field; });
      compile(file, fmt::format("transform `{}`", transform.id), transform.expression,
              {environment, row_domains(environment, contract.fields, false)},
              field == contract.fields.end() ? expr::Type::kDyn : field->type);
    }
  }

  /// A rule of a set of rows that every set keeps or breaks.
  void check_set_rule(const Contract& contract, const SetRule& rule) {
    const std::string& file = contract.identity.file;
    const std::string what = fmt::format("rule `{}`", rule.id);
    if (!rule.condition.empty()) {
      const expr::Environment rows = target_environment(contract.fields);
      check_outcome(file, fmt::format("the condition of {}", what), {rule.condition, rule.position},
                    {rows, row_domains(rows, contract.fields, false), Use::kCount});
    }
    const auto measured = measure_of(rule);
    if (!measured) return;
    const expr::Environment value{{{"n", rule.percent ? expr::Type::kDouble : expr::Type::kInt}},
                                  {}};
    const double most = rule.percent ? 100 : std::numeric_limits<double>::infinity();
    check_outcome(file, what, {*measured, rule.position},
                  {value,
                   {{0, most, false, {}}},
                   rule.effect == RuleEffect::kRefuse ? Use::kSet : Use::kSetWarning});
  }

  /// What a set rule asks of its number `n`; nothing where it is no count and no share.
  static std::optional<std::string> measure_of(const SetRule& rule) {
    const bool is_count = rule.metric.ends_with("Values") || rule.metric == "rowCount";
    if (!is_count || rule.operands.empty()) return std::nullopt;
    const auto number = [&](std::size_t i) { return fmt::format("({:.17e})", rule.operands[i]); };
    const std::pair<std::string_view, const char*> operations[] = {
        {"mustBe", "=="},           {"mustNotBe", "!="},
        {"mustBeGreaterThan", ">"}, {"mustBeGreaterOrEqualTo", ">="},
        {"mustBeLessThan", "<"},    {"mustBeLessOrEqualTo", "<="}};
    for (const auto& [operation, symbol] : operations) {
      if (rule.operation == operation) return fmt::format("n {} {}", symbol, number(0));
    }
    if (rule.operands.size() < 2) return std::nullopt;
    const std::string between = fmt::format("n >= {} && n <= {}", number(0), number(1));
    return rule.operation == "mustNotBeBetween" ? fmt::format("!({})", between) : between;
  }

  void check_enum(const Contract& contract, const Field& field) {
    if (files_.has_data()) {
      auto values = load_enum(project_, field.enum_file, field.enum_column);
      if (!values.ok()) {
        const Error& error = values.error();
        report(contract.identity.file, field.position, error.id, error.message, error.hint);
      }
      for (std::size_t i = 0; values.ok() && i < values->size(); ++i) {
        const auto value = typed_value(field, doc::Value((*values)[i]));
        if (value.ok()) continue;
        report(contract.identity.file, field.position, value.error().id,
               fmt::format("`{}`: {}", field.enum_file, value.error().message), value.error().hint);
        break;
      }
      return;
    }
    // A commit holds no data: a source may lie elsewhere. A file of the project's own has to be in
    // it.
    if (project_.sources.contains(field.enum_file)) return;
    const std::string path = path_in_project(project_, field.enum_file);
    if (path.empty()) return;
    if (const auto text = files_.read(path); !text.ok()) {
      report(contract.identity.file, field.position, "file-missing",
             fmt::format("the commit has no file `{}` to read the enum from", path),
             text.error().kind == ErrorKind::kNotFound ? "commit it too" : text.error().message);
    }
  }

  /// True, with a finding, when an expression names a field that is known only later.
  bool reads_label(const Contract& contract, const std::string& text, const std::string& file,
                   doc::Position position, const std::string& what) {
    const auto names = expr::names_in(text);
    if (!names.ok()) return false;
    for (const auto& field : contract.fields) {
      if (!field.label_time || std::find(names->begin(), names->end(), field.name) == names->end())
        continue;
      report(file, position, "reads-label",
             fmt::format("{} reads `{}`, which is known only after the answer", what, field.name),
             "use what a request carries; the target may enter only through `target_encoding`");
      return true;
    }
    return false;
  }

  void check(FeatureSet& set) {
    const std::string& file = set.identity.file;
    const Contract* contract =
        refer(set.identity, "contract", set.contract, project_.contracts, "contract");
    if (contract == nullptr) return;
    std::set<std::string> seen;
    std::set<std::string> requested;
    for (const auto& field : contract->fields)
      (field.label_time ? seen : requested).insert(field.name);
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < set.features.size(); ++i) {
      const Feature& feature = set.features[i];
      unique(file, seen, feature.name, feature.position, "label field or feature");
      // A feature may have a field's name. In expressions that name means the field, so nothing
      // reads the feature.
      if (!requested.contains(feature.name)) {
        index.emplace(feature.name, i);
      } else if (feature.hidden) {
        report(file, feature.position, "bad-feature",
               fmt::format("hidden feature `{}` has the name of a field, so nothing can read it",
                           feature.name),
               "give it another name, or remove `hidden`");
      }
    }
    // What each feature reads of the others.
    std::vector<std::vector<std::size_t>> reads(set.features.size());
    std::vector<char> usable(set.features.size(), 1);
    for (std::size_t i = 0; i < set.features.size(); ++i) {
      const Feature& feature = set.features[i];
      std::vector<std::string> names = feature.inputs;
      const std::string what = fmt::format("feature `{}`", feature.name);
      if (feature.kind == Feature::Kind::kExpression) {
        auto parsed = expr::names_in(feature.expression.text);
        if (parsed.ok()) names = std::move(*parsed);
        check_unread(*contract, feature.expression.text, file, feature.expression.position, what);
        if (reads_label(*contract, feature.expression.text, file, feature.expression.position,
                        what))
          usable[i] = 0;
      } else {
        for (const auto& name : names) {
          if (index.contains(name)) continue;
          const auto label = std::find_if(
              contract->fields.begin(), contract->fields.end(),
              [&](const Field& field) { return field.label_time && field.name == name; });
          if (label != contract->fields.end()) {
            report(file, feature.position, "reads-label",
                   fmt::format("{} encodes `{}`, which is known only after the answer", what, name),
                   "encode what a request carries");
          } else {
            need_field(file, feature.position, *contract, name, what);
          }
        }
      }
      for (const auto& name : names) {
        if (const auto found = index.find(name); found != index.end())
          reads[i].push_back(found->second);
      }
    }
    // A stable topological order; what is left over is in a cycle.
    std::vector<std::size_t> order;
    std::vector<char> done(set.features.size(), 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t i = 0; i < set.features.size(); ++i) {
        if (done[i] != 0 || !std::all_of(reads[i].begin(), reads[i].end(),
                                         [&](std::size_t j) { return done[j] != 0; }))
          continue;
        done[i] = 1;
        order.push_back(i);
        moved = true;
      }
    }
    if (order.size() != set.features.size()) {
      report_cycle(set, reads, done);
      return;
    }
    std::vector<Feature> sorted;
    for (const std::size_t i : order) sorted.push_back(set.features[i]);
    set.features = std::move(sorted);

    expr::Environment environment = request_environment(contract->fields);
    for (std::size_t k = 0; k < set.features.size(); ++k) {
      const Feature& feature = set.features[k];
      expr::Type type = expr::Type::kDouble;
      if (feature.kind == Feature::Kind::kExpression && usable[order[k]] != 0) {
        type = compile(file, fmt::format("feature `{}`", feature.name), feature.expression,
                       {environment, row_domains(environment, contract->fields, true)},
                       expr::Type::kDyn);
        const bool numeric =
            type == expr::Type::kBool || type == expr::Type::kInt || type == expr::Type::kDouble;
        if (!numeric && !feature.hidden && type != expr::Type::kNull) {
          report(file, feature.expression.position, "bad-feature",
                 fmt::format("feature `{}` is a {}, a model needs numbers", feature.name,
                             expr::type_name(type)),
                 "encode it, or mark it `hidden: true` when other features use it");
        }
      }
      if (requested.contains(feature.name)) continue;
      environment.variables.push_back(
          {feature.name, type == expr::Type::kNull ? expr::Type::kDouble : type});
    }
    if (std::all_of(set.features.begin(), set.features.end(),
                    [](const Feature& feature) { return feature.hidden; })) {
      report(file, at(set.identity, "features"), "bad-feature", "no feature is given to the model",
             "remove `hidden` from at least one");
    }
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

  const Contract* contract_of(const Model& model) const {
    const auto set = project_.feature_sets.find(model.features);
    if (set == project_.feature_sets.end()) return nullptr;
    const auto contract = project_.contracts.find(set->second.contract);
    return contract == project_.contracts.end() ? nullptr : &contract->second;
  }

  void check(Model& model) {
    const std::string& file = model.identity.file;
    refer(model.identity, "features", model.features, project_.feature_sets, "feature set");
    if (!model.source.empty() && !project_.sources.contains(model.source)) {
      std::vector<std::string> names;
      for (const auto& [name, path] : project_.sources) names.push_back(name);
      const std::string near = doc::nearest(model.source, names);
      const doc::Value* train = model.identity.content.find("train");
      const doc::Value* source = train == nullptr ? nullptr : train->find("source");
      report(file, source == nullptr ? doc::Position{} : source->position(), "unknown-name",
             fmt::format("there is no source `{}`", model.source),
             near.empty() ? "add it to `sources` of heddle.yaml"
                          : fmt::format("did you mean `{}`?", near));
    }
    // What a worker runs is in the bundle: where there is no data, nothing is built.
    if (files_.has_data() && model.runtime.has_value() && !model.runtime->files.empty() &&
        list_dir(project_.root + "/" + model.runtime->files).empty()) {
      report(file, at(model.identity, "runtime"), "bad-runtime",
             fmt::format("the worker's folder `{}` is empty or not there", model.runtime->files),
             "put the worker's program and model there");
    }
    check_trainers(model);
    const Contract* contract = contract_of(model);
    if (contract == nullptr) return;
    const expr::Environment targets = target_environment(contract->fields);
    compile(file, "the target", model.target,
            {targets, row_domains(targets, contract->fields, true), Use::kTarget},
            expr::Type::kBool);
    const doc::Value* train = model.identity.content.find("train");
    const doc::Value* time_field = train == nullptr ? nullptr : train->find("time_field");
    const doc::Position position = time_field == nullptr ? doc::Position{} : time_field->position();
    need_field(file, position, *contract, model.time_field, "`time_field`");
    for (const auto& field : contract->fields) {
      if (field.name != model.time_field || field.type == expr::Type::kTimestamp) continue;
      report(file, position, "bad-field",
             fmt::format("`time_field` `{}` is a {}", field.name, expr::type_name(field.type)),
             "name a field of `logicalType: timestamp`, or leave `time_field` out when the rows "
             "have no time");
    }
  }

  /// Reports what is wrong with `name` = `value` of a trainer.
  void check_value(const std::string& file, doc::Position position, const std::string& trainer,
                   const std::string& name, const std::string& value) {
    const auto fault = check_parameter(trainer, name, value);
    if (!fault) return;
    report(file, position, std::string(fault->id), fault->message, fault->hint);
  }

  /// Fixed parameters of a trainer, and that none is given under two names.
  void check_fixed(const std::string& file, const std::string& trainer,
                   const TrainerParameters& parameters, const doc::Value* written,
                   std::set<std::string>& taken) {
    for (const auto& [name, value] : parameters.values) {
      const doc::Value* const place = written == nullptr ? nullptr : written->find(name);
      const doc::Position position = place == nullptr ? doc::Position{} : place->position();
      check_value(file, position, trainer, name, value);
      check_once(file, trainer, name, position, taken);
    }
  }

  /// A parameter is set once: fixed or searched, and by one of its names.
  void check_once(const std::string& file, const std::string& trainer, const std::string& name,
                  doc::Position position, std::set<std::string>& taken) {
    const std::string canonical(canonical_parameter(trainer, name));
    if (taken.insert(canonical).second) return;
    report(file, position, "duplicate-name",
           name == canonical
               ? fmt::format("parameter `{}` is set twice", name)
               : fmt::format("parameter `{}`, which is `{}`, is set twice", name, canonical),
           "fix it or search it, not both, and use one of its names");
  }

  /// What the others that are set leave without effect. `place` says where a parameter stands.
  template <class Place>
  void check_unused(const std::string& file, const std::string& trainer,
                    const std::vector<SetParameter>& parameters, const Place& place) {
    for (const auto& [name, fault] : unused_parameters(trainer, parameters))
      report(file, place(name), std::string(fault.id), fault.message, fault.hint);
  }

  static std::vector<SetParameter> fixed_parameters(const TrainerParameters& parameters) {
    std::vector<SetParameter> out;
    for (const auto& [name, value] : parameters.values) out.push_back({name, value});
    return out;
  }

  void check_trainers(const Model& model) {
    const std::string& file = model.identity.file;
    const doc::Value& content = model.identity.content;
    const doc::Value* const standby = content.find("standby");
    std::set<std::string> standby_taken;
    check_fixed(file, model.standby_trainer, model.standby_parameters,
                standby == nullptr ? nullptr : standby->find("parameters"), standby_taken);
    const auto place_in = [](const doc::Value* section, const std::string& name) {
      const doc::Value* found = section == nullptr ? nullptr : section->find(name);
      return found == nullptr ? doc::Position{} : found->position();
    };
    check_unused(file, model.standby_trainer, fixed_parameters(model.standby_parameters),
                 [&](const std::string& name) {
                   return place_in(standby == nullptr ? nullptr : standby->find("parameters"),
                                   name);
                 });
    if (model.runtime.has_value()) return;  // nothing else is trained
    std::set<std::string> taken;
    check_fixed(file, model.trainer, model.parameters, content.find("parameters"), taken);
    const doc::Value* const search = content.find("search");
    const doc::Value* const space = search == nullptr ? nullptr : search->find("space");
    for (std::size_t i = 0; i < model.search.space.size(); ++i) {
      const bool written = space != nullptr && space->is_array() && i < space->size();
      check_dimension(file, model.trainer, model.search.space[i],
                      written ? space->as_array()[i].position() : doc::Position{}, taken);
    }
    std::vector<SetParameter> set = fixed_parameters(model.parameters);
    for (const auto& dimension : model.search.space) set.push_back({dimension.name, ""});
    check_unused(file, model.trainer, set, [&](const std::string& name) {
      for (std::size_t i = 0; i < model.search.space.size(); ++i) {
        const bool is_here = model.search.space[i].name == name && space != nullptr &&
                             space->is_array() && i < space->size();
        if (is_here) return space->as_array()[i].position();
      }
      return place_in(content.find("parameters"), name);
    });
  }

  /// Every value that the search may draw must be one that the trainer takes.
  void check_dimension(const std::string& file, const std::string& trainer,
                       const SearchDimension& dimension, doc::Position position,
                       std::set<std::string>& taken) {
    using Kind = SearchDimension::Kind;
    if (dimension.name.empty()) return;  // missing-key says it
    if (dimension.name == "rounds") {
      report(file, position, "fixed-parameter",
             "the search cannot vary `rounds`: early stopping finds it", "set `search.max_rounds`");
      return;
    }
    check_once(file, trainer, dimension.name, position, taken);
    const bool draws_integers = dimension.kind == Kind::kInteger ||
                                dimension.kind == Kind::kLogInteger ||
                                dimension.kind == Kind::kChoice;
    if (!draws_integers && is_integer_parameter(trainer, dimension.name)) {
      report(file, position, "bad-search",
             fmt::format("parameter `{}` is a whole number", dimension.name),
             "set `kind: integer` or `kind: log_integer`");
      return;
    }
    std::vector<double> values = dimension.choices;
    if (dimension.kind != Kind::kChoice) values = {dimension.low, dimension.high};
    for (const double value : values) {
      const auto fault = check_parameter(trainer, dimension.name, fmt::format("{}", value));
      if (!fault) continue;
      report(file, position, std::string(fault->id), fault->message, fault->hint);
      return;
    }
  }

  void check_base_service(const Evaluation& evaluation) {
    const auto& name = evaluation.base_service;
    const Service* service =
        refer(evaluation.identity, "base_service", name, project_.services, "service");
    if (service == nullptr || service->model == evaluation.model) return;
    report(evaluation.identity.file, at(evaluation.identity, "base_service"), "base-service-other",
           fmt::format("service `{}` serves model `{}`, and this is an evaluation of `{}`", name,
                       service->model, evaluation.model),
           "name a service of this model");
  }

  void check(Evaluation& evaluation) {
    const std::string& file = evaluation.identity.file;
    const Model* model =
        refer(evaluation.identity, "model", evaluation.model, project_.models, "model");
    check_base_service(evaluation);
    const expr::Environment gates = gate_environment(evaluation);
    std::set<std::string> seen;
    for (const auto& gate : evaluation.gates) {
      unique(file, seen, gate.id, gate.when.position, "gate");
      compile(file, fmt::format("gate `{}`", gate.id), gate.when,
              {gates, gate_domains(gates), Use::kGate}, expr::Type::kBool);
    }
    if (model != nullptr && model->time_field.empty()) {
      for (const auto& gate : evaluation.gates) {
        const auto read = expr::names_in(gate.when.text);
        if (!read.ok() ||
            std::find(read->begin(), read->end(), "leakage.time_order_violations") == read->end())
          continue;
        report(
            file, gate.when.position, "time-field-missing",
            fmt::format("gate `{}` is about the order of time, and model `{}` has no `time_field`",
                        gate.id, evaluation.model),
            "add `train.time_field` to the model, or remove the gate");
      }
    }
    const Contract* contract = model == nullptr ? nullptr : contract_of(*model);
    if (contract == nullptr) return;
    const expr::Environment metrics = metric_environment(contract->fields);
    std::set<std::string> names;
    for (std::size_t i = 0; i < evaluation.metrics.size(); ++i) {
      const auto& metric = evaluation.metrics[i];
      unique(file, names, metric.name, at(evaluation.identity, "metrics", i), "metric");
      if (!metric.expression.text.empty())
        compile(file, fmt::format("metric `{}`", metric.name), metric.expression,
                {metrics, row_domains(metrics, contract->fields, true)}, expr::Type::kDouble);
    }
    for (const auto& slice : evaluation.slices) {
      need_field(file, at(evaluation.identity, "slices"), *contract, slice.field,
                 fmt::format("slice `{}`", slice.name));
    }
  }

  void check(Policy& policy) {
    const std::string& file = policy.identity.file;
    std::set<std::string> seen;
    for (const auto& rule : policy.rules) {
      unique(file, seen, rule.id, rule.position, "rule");
      if (rule.when) {
        // The types of attributes belong to whoever proposes; here the text must parse.
        if (const auto names = expr::names_in(rule.when->text); !names.ok()) {
          std::size_t offset = 0;
          const std::string& where = names.error().where;
          if (where.starts_with("offset "))
            std::from_chars(where.data() + 7, where.data() + where.size(), offset);
          report(file, inside(file, *rule.when, offset), "bad-expression",
                 fmt::format("rule `{}`: {}", rule.id, names.error().message), names.error().hint);
        }
        static const expr::Environment unknown;
        check_outcome(file, fmt::format("the condition of rule `{}`", rule.id), *rule.when,
                      {unknown, {}, Use::kPolicyRule});
      }
      if (rule.effect != PolicyRule::Effect::kRequireApproval || rule.approver_role.empty())
        continue;
      const bool held =
          std::any_of(project_.people.begin(), project_.people.end(), [&](const Person& person) {
            return std::find(person.roles.begin(), person.roles.end(), rule.approver_role) !=
                   person.roles.end();
          });
      if (!held) {
        report(
            file, rule.position, "nobody-approves",
            fmt::format("rule `{}` asks role `{}`, which nobody has", rule.id, rule.approver_role),
            "give the role to a person in people.yaml");
      }
    }
    check_policy_numbers(policy, project_.people, diagnostics_);
    for (std::size_t i = 0; i < policy.budgets.size(); ++i)
      unique(file, seen, policy.budgets[i].id, at(policy.identity, "budgets", i), "budget");
  }

  const Contract* contract_of(const Service& service) const {
    const auto model = project_.models.find(service.model);
    return model == project_.models.end() ? nullptr : contract_of(model->second);
  }

  void check(Monitor& monitor) {
    const std::string& file = monitor.identity.file;
    check_monitor_numbers(monitor, diagnostics_);
    const Service* service =
        refer(monitor.identity, "service", monitor.service, project_.services, "service");
    if (service != nullptr && service->monitor != monitor.identity.name &&
        project_.monitors.contains(service->monitor)) {
      report(file, at(monitor.identity, "service"), "monitor-unused",
             fmt::format("service `{}` is watched by monitor `{}`: this one watches nothing",
                         monitor.service, service->monitor),
             fmt::format("set `monitor: {}` in `{}`, or remove this file", monitor.identity.name,
                         service->identity.file));
    }
    const Contract* contract = service == nullptr ? nullptr : contract_of(*service);
    if (contract == nullptr) return;
    const Model& model = project_.models.at(service->model);
    check_monitor_columns(monitor, *contract, project_.feature_sets.at(model.features),
                          model.time_field, diagnostics_);
    const expr::Environment environment = monitor_environment(contract->fields);
    for (const auto& rule : monitor.rules) {
      compile(file, fmt::format("rule `{}`", rule.id), rule.expression,
              {environment, row_domains(environment, contract->fields, false), Use::kMonitorRule},
              expr::Type::kBool);
    }
  }

  void check(Service& service) {
    refer(service.identity, "model", service.model, project_.models, "model");
    refer(service.identity, "monitor", service.monitor, project_.monitors, "monitor");
    const Contract* contract = contract_of(service);
    if (contract != nullptr && service.canary.sticky.starts_with("field:")) {
      const doc::Value* canary = service.identity.content.find("canary");
      const doc::Value* sticky = canary == nullptr ? nullptr : canary->find("sticky");
      need_field(service.identity.file, sticky == nullptr ? doc::Position{} : sticky->position(),
                 *contract, service.canary.sticky.substr(6), "`sticky`");
    }
    check_sources(service);
    const Traces& traces = service.telemetry.traces;
    if (!traces.endpoint.empty() && !traces.endpoint.starts_with("http://")) {
      report(service.identity.file, at(service.identity, "telemetry"), "traces-endpoint",
             fmt::format("`{}` is not an http URL", traces.endpoint),
             "name a collector on this machine or network, for example "
             "http://127.0.0.1:4318/v1/traces");
    }
    if (!(traces.share >= 0 && traces.share <= 1)) {
      report(service.identity.file, at(service.identity, "telemetry"), "traces-share",
             fmt::format("the share {} is not between 0 and 1", traces.share),
             "0: only what a caller traces; 1: every request");
    }
  }

  /// A request names its source, and so do rules, quarantines and the ledger.
  void check_sources(const Service& service) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < service.sources.size(); ++i) {
      const std::string& name = service.sources[i];
      const doc::Position position = at(service.identity, "sources", i);
      unique(service.identity.file, seen, name, position, "source");
      if (name == "default") {
        report(service.identity.file, position, "source-name",
               "`default` is the source of requests that name none",
               "leave it out, or give the source another name");
      } else if (!is_plain_name(name)) {
        report(service.identity.file, position, "source-name",
               fmt::format("`{}` cannot be the name of a source", name),
               "letters, digits and `.`, `_`, `-`, `@`, `+`");
      }
    }
  }

  Project& project_;
  const Texts& texts_;
  const Files& files_;
  std::vector<doc::Diagnostic>& diagnostics_;
};

}  // namespace

void check_project(Project& project, const Texts& texts, const Files& files,
                   std::vector<doc::Diagnostic>& diagnostics) {
  Checker(project, texts, files, diagnostics).run();
}

}  // namespace heddle::spec
