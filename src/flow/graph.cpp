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

}  // namespace

std::string primary_step(const spec::Model& model) {
  return model.runtime.has_value() ? "runtime" : "train";
}

Result<std::vector<Step>> graph_of(const Definitions& d, const Host& host, const Source& source) {
  std::vector<Step> steps;
  steps.push_back({.name = "source",
                   .version = 2,
                   .inputs = {{source.what, source.content}},
                   .body = run_source});

  Step rows{.name = "validate.rows",
            .version = 5,
            .needs = {{"source", "file"}},
            .body = run_validate_rows};
  const Recorded* recorded = source.recorded;
  const std::string& contract_file = d.contract->identity.file;
  rows.inputs = {
      {fmt::format("`{}`: the schema", contract_file), part(d.contract->identity, "schema")},
      {fmt::format("`{}`: the object", d.features->identity.file),
       digest_of_text(d.contract->object)},
      {fmt::format("`{}`: the transforms", contract_file),
       part(d.contract->identity, "customProperties")},
      {fmt::format("`{}`: the time range", d.model->identity.file),
       digest_of_text(
           fmt::format("{} {} {}", d.model->time_field, d.model->train_from, d.model->train_to))}};
  if (recorded != nullptr) rows.inputs.push_back({"what serves", recorded->base});
  const std::string& model_file = d.model->identity.file;
  const StepInput target{fmt::format("`{}`: the target and its task", model_file),
                         digest_of_text(fmt::format(
                             "{}\n{} {} {}", d.model->target.text, stats::task_name(d.model->task),
                             d.model->whole_classes, fmt::join(d.model->classes, "\n")))};
  if (d.model->time_field.empty()) {
    rows.inputs.push_back(
        {fmt::format("`{}`: the seed", model_file), digest_of_text(fmt::to_string(d.model->seed))});
    // The order of rows without a time spreads the classes evenly.
    rows.inputs.push_back(target);
  }
  std::set<std::string> enums;
  for (const auto& field : d.contract->fields) {
    if (field.enum_file.empty() || !enums.insert(field.enum_file + "\n" + field.enum_column).second)
      continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto values,
                            spec::load_enum(*d.project, field.enum_file, field.enum_column));
    rows.inputs.push_back({fmt::format("enum `{}` column `{}`", field.enum_file, field.enum_column),
                           digest_of_text(fmt::to_string(fmt::join(values, "\n")))});
  }
  steps.push_back(std::move(rows));
  steps.push_back(
      {.name = "snapshot",
       .needs = {{"source", "file"}, {"validate.rows", "accepted"}, {"validate.rows", "contract"}},
       .body = run_snapshot});

  Step split{
      .name = "split", .version = 2, .needs = {{"validate.rows", "accepted"}}, .body = run_split};
  split.inputs = {
      target,
      {fmt::format("`{}`: the fractions", model_file),
       digest_of_text(fmt::format("{} {} {}", d.model->time_field, d.model->validation_fraction,
                                  d.model->test_fraction))}};
  // What is recorded has its labels and times beside the rows.
  if (recorded != nullptr) {
    split.needs.push_back({"source", "file"});
    split.needs.push_back({"validate.rows", "kept"});
  }
  steps.push_back(std::move(split));
  steps.push_back({.name = "validate.set",
                   .needs = {{"validate.rows", "accepted"}, {"validate.rows", "contract"}},
                   .body = run_validate_set});

  Step features{.name = "features",
                .version = 3,
                .needs = {{"validate.rows", "accepted"}, {"split", "split"}, {"split", "labels"}},
                .body = run_features};
  features.inputs = {{fmt::format("`{}`: folds", d.features->identity.file),
                      digest_of_text(fmt::to_string(d.features->folds))}};
  std::string order;
  if (const doc::Value* list = d.features->identity.content.find("features");
      list != nullptr && list->is_array()) {
    for (const auto& feature : list->as_array()) {
      doc::Value used = feature;
      used.set("description", nullptr);
      order += feature.string_or("name") + "\n";
      features.inputs.push_back(
          {fmt::format("`{}`: feature `{}`", d.features->identity.file, feature.string_or("name")),
           digest_of(used)});
    }
  }
  features.inputs.push_back({fmt::format("`{}`: the order of features", d.features->identity.file),
                             digest_of_text(order)});
  steps.push_back(std::move(features));

  const std::vector<StepNeed> rows_and_labels = {{"features", "matrices"},
                                                 {"features", "program"},
                                                 {"split", "split"},
                                                 {"split", "labels"},
                                                 {"split", "task"}};
  const StepInput seed{fmt::format("`{}`: the seed", model_file),
                       digest_of_text(fmt::to_string(d.model->seed))};
  const StepInput trainer{
      fmt::format("`{}`: the trainer and its parameters", model_file),
      digest_of_text(d.model->trainer +
                     doc::to_canonical_json(bundle::print_parameters(d.model->parameters)))};
  Step standby{.name = "standby", .needs = rows_and_labels, .body = run_standby};
  standby.inputs = {
      seed,
      {fmt::format("`{}`: the standby", model_file),
       digest_of_text(d.model->standby_trainer + doc::to_canonical_json(bundle::print_parameters(
                                                     d.model->standby_parameters)))}};
  steps.push_back(std::move(standby));
  if (d.model->runtime.has_value()) {
    const spec::Runtime& runtime = *d.model->runtime;
    Step asks{.name = "runtime", .needs = rows_and_labels, .body = run_runtime};
    asks.needs.push_back({"validate.rows", "accepted"});
    asks.needs.push_back({"validate.rows", "contract"});
    asks.inputs = {
        {fmt::format("`{}`: the runtime", model_file), part(d.model->identity, "runtime")}};
    if (runtime.kind == spec::Runtime::Kind::kProcess) {
      HEDDLE_ASSIGN_OR_RETURN(const std::string files,
                              runtime::pack_folder(d.project->root + "/" + runtime.files));
      asks.inputs.push_back(
          {fmt::format("the files in `{}`", runtime.files), digest_of_text(files)});
    }
    steps.push_back(std::move(asks));
  } else {
    if (recorded != nullptr) {
      steps.push_back({.name = "search",
                       .inputs = {{"the accepted search",
                                   digest_of(bundle::search_schema().print(recorded->recipe))}},
                       .body = run_recipe});
    } else {
      steps.push_back({.name = "search",
                       .version = 3,
                       .needs = rows_and_labels,
                       .inputs = {seed,
                                  trainer,
                                  {fmt::format("`{}`: the search", model_file),
                                   part(d.model->identity, "search")}},
                       .body = run_search});
    }
    Step train{.name = "train", .needs = rows_and_labels, .body = run_train};
    train.needs.push_back({"search", "best"});
    train.inputs = {seed,
                    trainer,
                    {fmt::format("`{}`: rounds", model_file),
                     digest_of_text(fmt::format("{} {}", d.model->search.max_rounds,
                                                d.model->search.early_stopping_rounds))}};
    if (d.model->exec) add_own(*d.model, recorded == nullptr, steps.back(), train);
    steps.push_back(std::move(train));
  }

  Step evaluates{.name = "evaluate",
                 .needs = {{primary_step(*d.model), "model"},
                           {"standby", "model"},
                           {"features", "matrices"},
                           {"features", "program"},
                           {"validate.rows", "accepted"},
                           {"split", "split"},
                           {"split", "labels"},
                           {"split", "task"}},
                 .inputs = {{fmt::format("`{}`", d.evaluation->identity.file),
                             digest_of(d.evaluation->identity.content)},
                            {fmt::format("`{}`: the interval", model_file),
                             digest_of_text(fmt::to_string(d.model->coverage.value_or(0)))}},
                 .body = run_evaluate};
  if (recorded != nullptr) {
    // Who labelled the rows, and rows from before the change.
    evaluates.needs.push_back({"source", "file"});
    evaluates.needs.push_back({"validate.rows", "contract"});
  }
  if (recorded != nullptr || evaluate::reads_base(*d.evaluation)) {
    // What serves is no definition: without a gate on it, a release changes nothing of a run.
    steps.push_back({.name = "base",
                     .needs = {{primary_step(*d.model), "model"},
                               {"features", "program"},
                               {"validate.rows", "contract"}},
                     .inputs = {{"what serves", digest_of(what_serves(d, host, source))}},
                     .body = run_base});
    evaluates.needs.push_back({"base", "base"});
  }
  steps.push_back(std::move(evaluates));
  steps.push_back({.name = "gates", .needs = {{"evaluate", "evidence"}}, .body = run_gates});

  const std::string& monitor_file = d.monitor->identity.file;
  const std::vector<StepInput> watched = {
      {fmt::format("`{}`: the distributions", monitor_file),
       part(d.monitor->identity, "distributions")},
      {fmt::format("`{}`: quality", monitor_file), part(d.monitor->identity, "quality")},
      {fmt::format("`{}`: the window", monitor_file),
       digest_of_text(fmt::format("{} {}", d.monitor->window, d.monitor->window_rows))},
      {fmt::format("`{}`: the time field", model_file), digest_of_text(d.model->time_field)}};
  // The standby of recorded traffic is evaluated, for gates that read it; nobody releases it.
  const std::vector<bool> made = recorded != nullptr ? std::vector{true} : std::vector{true, false};
  for (const bool primary : made) {
    const std::string trained = primary ? primary_step(*d.model) : "standby";
    const std::string profile = primary ? "baseline" : "baseline.standby";
    Step watches{.name = profile,
                 .version = 3,
                 .needs = {{trained, "model"},
                           {"features", "matrices"},
                           {"validate.rows", "accepted"},
                           {"validate.rows", "contract"},
                           {"split", "split"},
                           {"split", "labels"},
                           {"split", "task"}},
                 .inputs = watched,
                 .body = [trained](Work& work, const std::string& directory) {
                   return run_baseline(work, directory, trained);
                 }};
    if (recorded != nullptr) watches.needs.push_back({"source", "file"});
    steps.push_back(std::move(watches));
  }
  for (const bool primary : made) {
    const std::string trained = primary ? primary_step(*d.model) : "standby";
    const std::string profile = primary ? "baseline" : "baseline.standby";
    Step bundle{.name = primary ? "bundle" : "bundle.standby", .version = 4};
    bundle.needs = {{"gates", "passed"},
                    {"validate.set", "report"},
                    {"validate.rows", "contract"},
                    {"validate.rows", "reference"},
                    {"features", "program"},
                    {trained, "model"},
                    {trained, "how"},
                    {profile, "baseline"},
                    {"evaluate", "evidence"},
                    {"evaluate", "statements"},
                    {"snapshot", "snapshot"},
                    {"source", "file"},
                    {"split", "split"},
                    {"split", "labels"},
                    {"split", "task"}};
    bundle.inputs = {
        {fmt::format("`{}`: target and time field", model_file),
         digest_of_text(d.model->target.text + "\n" + d.model->time_field)},
        {fmt::format("`{}`", contract_file), digest_of(d.contract->identity.content)},
        {fmt::format("`{}`", d.features->identity.file), digest_of(d.features->identity.content)},
        {fmt::format("`{}`", model_file), digest_of(d.model->identity.content)},
        {fmt::format("`{}`", d.evaluation->identity.file),
         digest_of(d.evaluation->identity.content)}};
    // A bundle names what it was built from: the same definitions under another commit are another
    // bundle.
    bundle.inputs.push_back(
        {"the commit", digest_of_text(fmt::format("{} {}", d.project->commit, d.project->dirty))});
    if (!d.model->runtime) bundle.needs.push_back({"search", "best"});
    const std::string role = primary ? "primary" : "standby";
    bundle.body = [trained, profile, role](Work& work, const std::string&) {
      return run_bundle(work, trained, profile, role);
    };
    steps.push_back(std::move(bundle));
  }
  return steps;
}

}  // namespace heddle::flow
