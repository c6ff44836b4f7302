#include <algorithm>
#include <set>

#include "doc/json.hpp"
#include "flow/assemble.hpp"
#include "flow/bodies.hpp"
#include "flow/recorded.hpp"
#include "flow/step.hpp"
#include "runtime/tar.hpp"
#include "spec/load.hpp"

namespace heddle::flow {
namespace {

Digest digest_of_text(std::string_view text) { return sha256(text); }

/// The member of a definition's document, or null: steps are keyed by the parts they use.
Digest part(const spec::Identity& identity, std::string_view key) {
  const doc::Value* value = identity.content.find(key);
  return digest_of(value == nullptr ? doc::Value() : *value);
}

/// A part of a definition that a step reads: `FILE: NAME` and its digest.
StepInput part_of(const spec::Identity& identity, std::string_view name, Digest digest) {
  return {fmt::format("`{}`: {}", identity.file, name), std::move(digest)};
}

/// What a trainer of one's own reads beside features: its definition and files, the lock among
/// them, and the contract's rows. `searches`: the search step runs it too.
void add_own(const spec::Model& model, bool searches, Step& search, Step& train) {
  std::vector<Step*> readers = {&train};
  if (searches) readers.push_back(&search);
  for (Step* step : readers) {
    step->needs.push_back({"validate.rows", "accepted"});
    step->needs.push_back({"validate.rows", "contract"});
    step->inputs.push_back(
        {fmt::format("`{}`: `exec`", model.identity.file), part(model.identity, "exec")});
    for (const auto& source : model.exec->sources)
      step->inputs.push_back({fmt::format("`{}`", source.path), digest_of_text(source.bytes)});
  }
}

std::string text_of(std::string_view trainer, const spec::Model& model, bool standby) {
  return std::string(trainer) + doc::to_canonical_json(bundle::print_parameters(
                                    standby ? model.standby_parameters : model.parameters));
}

/// Builds the graph of one model step by step, in an order in which they could run.
///
/// The inputs of a step are what its key is made of: all that its result depends on, and nothing
/// else. What is missing here lets a run take an old result for a new one; what is too much makes
/// it compute again what has not changed.
class GraphBuilder {
 public:
  GraphBuilder(const Definitions& d, const Host& host, const Source& source)
      : d_(d),
        model_(*d.model),
        host_(host),
        source_(source),
        target_(part_of(model_.identity, "the target and its task",
                        digest_of_text(fmt::format(
                            "{}\n{} {} {}", model_.target.text, stats::task_name(model_.task),
                            model_.whole_classes, fmt::join(model_.classes, "\n"))))),
        seed_(part_of(model_.identity, "the seed", digest_of_text(fmt::to_string(model_.seed)))) {}

  Result<std::vector<Step>> build() && {
    steps_.push_back({.name = "source",
                      .version = 2,
                      .inputs = {{source_.what, source_.content}},
                      .body = run_source});
    HEDDLE_TRY(add_rows());
    add_snapshot_and_split();
    add_features();
    add_standby();
    if (model_.runtime.has_value()) {
      HEDDLE_TRY(add_runtime(*model_.runtime));
    } else {
      add_search();
      add_train();
    }
    add_evaluation();
    for (const bool primary : roles()) add_baseline(primary);
    for (const bool primary : roles()) add_bundle(primary);
    return std::move(steps_);
  }

 private:
  [[nodiscard]] bool is_recorded() const noexcept { return source_.recorded != nullptr; }
  /// Primary and standby. That of recorded traffic is evaluated, for gates that read it; nobody
  /// releases it.
  [[nodiscard]] std::vector<bool> roles() const {
    return is_recorded() ? std::vector{true} : std::vector{true, false};
  }
  [[nodiscard]] std::string trained(bool primary) const {
    return primary ? primary_step(model_) : "standby";
  }
  [[nodiscard]] static std::string profile(bool primary) {
    return primary ? "baseline" : "baseline.standby";
  }

  Result<void> add_rows();
  Result<void> add_enums(Step& rows) const;
  static void add_sources(Step& step, const std::vector<Source>& sources);
  void add_snapshot_and_split();
  void add_features();
  void add_standby();
  Result<void> add_runtime(const spec::Runtime& runtime);
  void add_search();
  void add_train();
  void add_evaluation();
  void add_baseline(bool primary);
  void add_bundle(bool primary);

  const Definitions& d_;
  const spec::Model& model_;
  const Host& host_;
  const Source& source_;
  StepInput target_;
  StepInput seed_;
  std::vector<StepNeed> rows_and_labels_{{"features", "matrices"},
                                         {"features", "program"},
                                         {"split", "split"},
                                         {"split", "labels"},
                                         {"split", "task"}};
  std::vector<Step> steps_{};
};

Result<void> GraphBuilder::add_rows() {
  const spec::Identity& contract = d_.contract->identity;
  Step rows{
      .name = "validate.rows",
      .version = 6,
      .needs = {{"source", "file"}},
      .inputs = {part_of(contract, "the schema", part(contract, "schema")),
                 part_of(d_.features->identity, "the object", digest_of_text(d_.contract->object)),
                 part_of(contract, "the transforms", part(contract, "customProperties")),
                 part_of(model_.identity, "the time range",
                         digest_of_text(fmt::format(
                             "{} {} {}{}", model_.time_field, model_.train_from, model_.train_to,
                             model_.train_window == 0 ? ""
                                                      : fmt::format(" {}", model_.train_window))))},
      .body = run_validate_rows};
  // The same bytes are other rows when they are read in another way.
  if (!source_.form.empty())
    rows.inputs.push_back({"`heddle.yaml`: how the source is written", source_.form});
  add_sources(rows, source_.upstream);
  const bool learns = std::any_of(d_.contract->fields.begin(), d_.contract->fields.end(),
                                  [](const spec::Field& field) {
                                    return field.repairs.impute == spec::Impute::kMedian ||
                                           field.repairs.impute == spec::Impute::kMode;
                                  });
  // Medians and modes are of the rows to train on.
  if (learns)
    rows.inputs.push_back(part_of(
        model_.identity, "the split",
        digest_of_text(fmt::format("{} {}", model_.validation_fraction, model_.test_fraction))));
  if (is_recorded()) rows.inputs.push_back({"what serves", source_.recorded->base});
  if (model_.time_field.empty()) {
    rows.inputs.push_back(seed_);
    // The order of rows without a time spreads the classes evenly.
    rows.inputs.push_back(target_);
  }
  HEDDLE_TRY(add_enums(rows));
  steps_.push_back(std::move(rows));
  return {};
}

/// The values of each enumeration once, however many fields use it.
Result<void> GraphBuilder::add_enums(Step& rows) const {
  std::set<std::string> seen;
  for (const auto& field : d_.contract->fields) {
    if (field.enum_file.empty() || !seen.insert(field.enum_file + "\n" + field.enum_column).second)
      continue;
    std::vector<std::string> values;
    // A retrain elsewhere was given them.
    for (const auto& value : field.enum_values) values.push_back(value.as_string());
    if (values.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(values,
                              spec::load_enum(*d_.project, field.enum_file, field.enum_column));
    }
    rows.inputs.push_back({fmt::format("enum `{}` column `{}`", field.enum_file, field.enum_column),
                           digest_of_text(fmt::to_string(fmt::join(values, "\n")))});
  }
  return {};
}

/// Other rows than those of the model: their bytes, and how they are written.
void GraphBuilder::add_sources(Step& step, const std::vector<Source>& sources) {
  for (const Source& each : sources) {
    step.inputs.push_back({fmt::format("source `{}`, {}", each.name, each.what), each.content});
    if (!each.form.empty())
      step.inputs.push_back(
          {fmt::format("`heddle.yaml`: how source `{}` is written", each.name), each.form});
  }
}

void GraphBuilder::add_snapshot_and_split() {
  Step snapshot{
      .name = "snapshot",
      .needs = {{"source", "file"}, {"validate.rows", "accepted"}, {"validate.rows", "contract"}},
      .body = run_snapshot};
  // It names them.
  add_sources(snapshot, source_.upstream);
  steps_.push_back(std::move(snapshot));
  Step split{.name = "split",
             .version = 2,
             .needs = {{"validate.rows", "accepted"}},
             .inputs = {target_, part_of(model_.identity, "the fractions",
                                         digest_of_text(fmt::format("{} {} {}", model_.time_field,
                                                                    model_.validation_fraction,
                                                                    model_.test_fraction)))},
             .body = run_split};
  // What is recorded has its labels and times beside the rows.
  if (is_recorded()) {
    split.needs.push_back({"source", "file"});
    split.needs.push_back({"validate.rows", "kept"});
  }
  steps_.push_back(std::move(split));
  steps_.push_back({.name = "validate.set",
                    .needs = {{"validate.rows", "accepted"}, {"validate.rows", "contract"}},
                    .body = run_validate_set});
}

/// Each feature is an input of its own, so that `heddle plan` says which one changed; without its
/// description, which changes no value.
void GraphBuilder::add_features() {
  const spec::Identity& identity = d_.features->identity;
  Step features{
      .name = "features",
      .version = 3,
      .needs = {{"validate.rows", "accepted"}, {"split", "split"}, {"split", "labels"}},
      .inputs = {part_of(identity, "folds", digest_of_text(fmt::to_string(d_.features->folds)))},
      .body = run_features};
  add_sources(features, source_.tables);
  const bool looks_up = std::any_of(
      d_.features->features.begin(), d_.features->features.end(),
      [](const spec::Feature& each) { return each.kind == spec::Feature::Kind::kLookup; });
  // A retrain takes the tables of what serves.
  if (looks_up && is_recorded()) features.inputs.push_back({"what serves", source_.recorded->base});
  std::string order;
  if (const doc::Value* list = identity.content.find("features");
      list != nullptr && list->is_array()) {
    for (const auto& feature : list->as_array()) {
      const auto name = feature.string_or("name");
      doc::Value used = feature;
      used.set("description", nullptr);
      order += name + "\n";
      features.inputs.push_back(
          part_of(identity, fmt::format("feature `{}`", name), digest_of(used)));
    }
  }
  // The columns of a matrix are in this order.
  features.inputs.push_back(part_of(identity, "the order of features", digest_of_text(order)));
  steps_.push_back(std::move(features));
}

void GraphBuilder::add_standby() {
  steps_.push_back(
      {.name = "standby",
       .needs = rows_and_labels_,
       .inputs = {seed_, part_of(model_.identity, "the standby",
                                 digest_of_text(text_of(model_.standby_trainer, model_, true)))},
       .body = run_standby});
}

Result<void> GraphBuilder::add_runtime(const spec::Runtime& runtime) {
  Step asks{.name = "runtime",
            .needs = rows_and_labels_,
            .inputs = {part_of(model_.identity, "the runtime", part(model_.identity, "runtime"))},
            .body = run_runtime};
  // A runtime may take the fields of a row in place of its features.
  asks.needs.push_back({"validate.rows", "accepted"});
  asks.needs.push_back({"validate.rows", "contract"});
  if (runtime.kind == spec::Runtime::Kind::kProcess) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string files,
                            runtime::pack_folder(d_.project->root + "/" + runtime.files));
    asks.inputs.push_back({fmt::format("the files in `{}`", runtime.files), digest_of_text(files)});
  }
  steps_.push_back(std::move(asks));
  return {};
}

/// The trials; of a refit the accepted search's result in their place.
void GraphBuilder::add_search() {
  if (source_.recipe != nullptr) {
    steps_.push_back({.name = "search",
                      .inputs = {{"the accepted search",
                                  digest_of(bundle::search_schema().print(*source_.recipe))}},
                      .body = run_recipe});
    return;
  }
  steps_.push_back(
      {.name = "search",
       .version = 3,
       .needs = rows_and_labels_,
       .inputs = {seed_,
                  part_of(model_.identity, "the trainer and its parameters",
                          digest_of_text(text_of(model_.trainer, model_, false))),
                  part_of(model_.identity, "the search", part(model_.identity, "search"))},
       .body = run_search});
}

void GraphBuilder::add_train() {
  Step train{.name = "train",
             .needs = rows_and_labels_,
             .inputs = {seed_,
                        part_of(model_.identity, "the trainer and its parameters",
                                digest_of_text(text_of(model_.trainer, model_, false))),
                        part_of(model_.identity, "rounds",
                                digest_of_text(fmt::format("{} {}", model_.search.max_rounds,
                                                           model_.search.early_stopping_rounds)))},
             .body = run_train};
  train.needs.push_back({"search", "best"});
  if (model_.exec) add_own(model_, source_.recipe == nullptr, steps_.back(), train);
  steps_.push_back(std::move(train));
}

void GraphBuilder::add_evaluation() {
  Step evaluates{.name = "evaluate",
                 .needs = {{primary_step(model_), "model"},
                           {"standby", "model"},
                           {"features", "matrices"},
                           {"features", "program"},
                           {"validate.rows", "accepted"},
                           {"split", "split"},
                           {"split", "labels"},
                           {"split", "task"}},
                 .inputs = {{fmt::format("`{}`", d_.evaluation->identity.file),
                             digest_of(d_.evaluation->identity.content)},
                            part_of(model_.identity, "the interval",
                                    digest_of_text(fmt::to_string(model_.coverage.value_or(0))))},
                 .body = run_evaluate};
  if (is_recorded()) {
    // Who labelled the rows, and rows from before the change.
    evaluates.needs.push_back({"source", "file"});
    evaluates.needs.push_back({"validate.rows", "contract"});
  }
  if (is_recorded() || evaluate::reads_base(*d_.evaluation)) {
    // What serves is not a definition: without a gate on it, a release changes nothing of a run.
    steps_.push_back({.name = "base",
                      .needs = {{primary_step(model_), "model"},
                                {"features", "program"},
                                {"validate.rows", "contract"}},
                      .inputs = {{"what serves", digest_of(what_serves(d_, host_, source_))}},
                      .body = run_base});
    evaluates.needs.push_back({"base", "base"});
  }
  steps_.push_back(std::move(evaluates));
  steps_.push_back({.name = "gates", .needs = {{"evaluate", "evidence"}}, .body = run_gates});
}

void GraphBuilder::add_baseline(bool primary) {
  const spec::Monitor& monitor = *d_.monitor;
  const std::string model_step = trained(primary);
  Step watches{
      .name = profile(primary),
      .version = 3,
      .needs = {{model_step, "model"},
                {"features", "matrices"},
                {"validate.rows", "accepted"},
                {"validate.rows", "contract"},
                {"split", "split"},
                {"split", "labels"},
                {"split", "task"}},
      .inputs = {part_of(monitor.identity, "the distributions",
                         part(monitor.identity, "distributions")),
                 part_of(monitor.identity, "quality", part(monitor.identity, "quality")),
                 part_of(monitor.identity, "the window",
                         digest_of_text(fmt::format("{} {}", monitor.window, monitor.window_rows))),
                 part_of(model_.identity, "the time field", digest_of_text(model_.time_field))},
      .body = [model_step](Work& work, const std::string& directory) {
        return run_baseline(work, directory, model_step);
      }};
  if (is_recorded()) watches.needs.push_back({"source", "file"});
  steps_.push_back(std::move(watches));
}

void GraphBuilder::add_bundle(bool primary) {
  const auto whole = [](const spec::Identity& identity) {
    return StepInput{fmt::format("`{}`", identity.file), digest_of(identity.content)};
  };
  const std::string model_step = trained(primary);
  Step bundle{.name = primary ? "bundle" : "bundle.standby",
              .version = 4,
              .needs = {{"gates", "passed"},
                        {"validate.set", "report"},
                        {"validate.rows", "contract"},
                        {"validate.rows", "reference"},
                        {"features", "program"},
                        {model_step, "model"},
                        {model_step, "how"},
                        {profile(primary), "baseline"},
                        {"evaluate", "evidence"},
                        {"evaluate", "statements"},
                        {"snapshot", "snapshot"},
                        {"source", "file"},
                        {"split", "split"},
                        {"split", "labels"},
                        {"split", "task"}},
              .inputs = {part_of(model_.identity, "target and time field",
                                 digest_of_text(model_.target.text + "\n" + model_.time_field)),
                         whole(d_.contract->identity), whole(d_.features->identity),
                         whole(model_.identity), whole(d_.evaluation->identity)}};
  // A bundle names what it was built from: the same definitions under another commit are another
  // bundle.
  bundle.inputs.push_back(
      {"the commit", digest_of_text(fmt::format("{} {}", d_.project->commit, d_.project->dirty))});
  if (!model_.runtime) bundle.needs.push_back({"search", "best"});
  bundle.body = [model_step, profile = profile(primary),
                 role = std::string(primary ? "primary" : "standby")](
                    Work& work, const std::string& directory) {
    return run_bundle(work, directory, model_step, profile, role);
  };
  steps_.push_back(std::move(bundle));
}

}  // namespace

std::string primary_step(const spec::Model& model) {
  return model.runtime.has_value() ? "runtime" : "train";
}

Result<std::vector<Step>> graph_of(const Definitions& d, const Host& host, const Source& source) {
  return GraphBuilder(d, host, source).build();
}

}  // namespace heddle::flow
