#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include <sys/stat.h>

#include "base/file.hpp"
#include "contract/contract.hpp"
#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "feature/program.hpp"
#include "flow/assemble.hpp"
#include "flow/step.hpp"
#include "model/scorer.hpp"
#include "spec/load.hpp"
#include "train/search.hpp"
#include "train/train.hpp"
#include "watch/baseline.hpp"

namespace heddle::flow {
namespace {

constexpr std::int64_t kReferenceRows = 64;

Digest digest_of(const doc::Value& value) { return sha256(doc::to_canonical_json(value)); }
Digest digest_of_text(std::string_view text) { return sha256(text); }

/// The member of a definition's document, or null: steps are keyed by the parts they use.
Digest part(const spec::Identity& identity, std::string_view key) {
  const doc::Value* value = identity.content.find(key);
  return digest_of(value == nullptr ? doc::Value() : *value);
}

Result<doc::Value> read_json(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return doc::parse_json(text);
}

Result<Digest> write_output(const std::string& directory, const std::string& name, std::string_view bytes) {
  HEDDLE_TRY(write_file_atomic(directory + "/" + name, bytes));
  return sha256(bytes);
}

Result<Digest> write_json(const std::string& directory, const std::string& name, const doc::Value& value) {
  return write_output(directory, name, doc::to_json(value));
}

Result<Parts> parts_of(const Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, read_json(work.file("split", "split.json")));
  return Parts::from_value(value);
}

Result<contract::Contract> contract_of(const Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, read_json(work.file("validate.rows", "contract.json")));
  return contract::Contract::from_value(value);
}

Result<feature::Program> program_of(const Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, read_json(work.file("features", "features.json")));
  return feature::Program::from_value(value);
}

train::RowsView view(const table::Matrix& matrix, const std::uint8_t* labels) {
  return {matrix.values.data(), labels, matrix.rows, matrix.columns};
}

std::vector<std::string> names_of(const feature::Program& program) {
  return {program.feature_names().begin(), program.feature_names().end()};
}

std::string percent(std::int64_t part_of, std::int64_t whole) {
  return whole == 0 ? "0 %" : fmt::format("{:.2f} %", 100.0 * static_cast<double>(part_of) / static_cast<double>(whole));
}

// --- source, validate.rows, snapshot, validate.set -------------------------------------------------------------------

Result<StepRecord> run_source(Work& work, const std::string&) {
  HEDDLE_ASSIGN_OR_RETURN(const Digest digest, sha256_file(work.definitions().source_path()));
  StepRecord record;
  record.outputs["file"] = digest;
  return record;
}

/// Rows of [from, to) as they are in the source, in time order.
Result<table::Table> read_source(const Definitions& definitions) {
  const std::string path = definitions.source_path();
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, table::read_schema(path));
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  table::ReadOptions options;
  for (const auto& field : definitions.contract->fields) {
    if (std::find(names.begin(), names.end(), field.name) == names.end()) {
      const std::string near = doc::nearest(field.name, names);
      return Error{ErrorKind::kUnprocessable, field.label_time ? "target-absent" : "column-missing",
                   fmt::format("`{}` has no column `{}`, which contract `{}` asks for", path, field.name, definitions.contract->identity.name),
                   near.empty() ? fmt::format("its columns are `{}`", fmt::join(names, "`, `"))
                                : fmt::format("did the column change its name to `{}`?", near)};
    }
    options.columns.push_back(field.name);
  }
  options.time_column = definitions.model->time_field;
  options.time_from = definitions.model->train_from;
  options.time_to = definitions.model->train_to;
  HEDDLE_ASSIGN_OR_RETURN(auto rows, table::read_table(path, options));
  if (rows.rows() == 0) {
    return Error{ErrorKind::kUnprocessable, "data-empty",
                 fmt::format("`{}` has no row from {} to {}", path, format_date(options.time_from), format_date(options.time_to)),
                 "change `train.from` and `train.to` of the model, or the source"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* time, rows.column(options.time_column));
  if (std::is_sorted(time->ints.begin(), time->ints.end())) return rows;
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows.rows()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return time->ints[static_cast<std::size_t>(a)] < time->ints[static_cast<std::size_t>(b)];
  });
  return rows.take(order);
}

Result<StepRecord> run_validate_rows(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const table::Table rows, read_source(d));
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::compile(*d.contract, [&](const std::string& file, const std::string& column) {
                            return spec::load_enum(*d.project, file, column);
                          }));
  HEDDLE_TRY(contract.learn(rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto check, contract.check_table(rows));
  std::int64_t refused = 0;
  for (const auto flag : check.refused) refused += flag != 0 ? 1 : 0;
  doc::Value broken = doc::Value::object();
  std::vector<std::pair<std::int64_t, std::string>> worst;
  for (std::size_t i = 0; i < contract.rules().size(); ++i) {
    if (check.counts[i] == 0) continue;
    broken.set(contract.rules()[i].id, check.counts[i]);
    worst.emplace_back(-check.counts[i], contract.rules()[i].id);
  }
  std::sort(worst.begin(), worst.end());
  if (check.accepted.rows() == 0) {
    return Error{ErrorKind::kUnprocessable, "every-row-refused",
                 fmt::format("contract `{}` refuses every one of {} rows, most by rule `{}`", d.contract->identity.name, rows.rows(),
                             worst.empty() ? "?" : worst[0].second),
                 "the contract and the source do not speak of the same data: compare the rule with a few rows"};
  }
  HEDDLE_TRY(table::write_parquet(check.accepted, directory + "/accepted.parquet"));
  // Rows as received, for the reference predictions: before transforms, label fields left out.
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    if (check.refused[static_cast<std::size_t>(row)] == 0) kept.push_back(row);
  }
  std::vector<std::int64_t> chosen;
  for (const auto i : spread(0, static_cast<std::int64_t>(kept.size()), kReferenceRows)) chosen.push_back(kept[static_cast<std::size_t>(i)]);
  HEDDLE_TRY(table::write_parquet(rows.take(chosen), directory + "/reference.parquet"));
  StepRecord record;
  record.outputs["accepted"] = check.accepted.content_digest();
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["contract"], write_json(directory, "contract.json", contract.to_value()));
  record.outputs["reference"] = rows.take(chosen).content_digest();
  record.facts = doc::Value::object({{"rows", rows.rows()}, {"accepted", check.accepted.rows()}, {"refused", refused}, {"broken", std::move(broken)}});
  work.note("validate.rows", fmt::format("{} rows, {} refused ({})", rows.rows(), refused, percent(refused, rows.rows())));
  return record;
}

Result<StepRecord> run_snapshot(Work& work, const std::string& directory) {
  const StepRecord rows = work.record("validate.rows");
  const auto snapshot = doc::Value::object({{"format", "heddle.snapshot/1"},
                                            {"rows", rows.outputs.at("accepted").str()},
                                            {"count", rows.facts.int_or("accepted")},
                                            {"refused", rows.facts.int_or("refused")},
                                            {"contract", rows.outputs.at("contract").str()},
                                            {"source", work.record("source").outputs.at("file").str()}});
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["snapshot"], write_json(directory, "snapshot.json", snapshot));
  HEDDLE_ASSIGN_OR_RETURN(const Digest stored, work.host().objects->put(doc::to_json(snapshot)));
  record.facts = doc::Value::object({{"snapshot", stored.str()}});
  return record;
}

Result<StepRecord> run_validate_set(Work& work, const std::string& directory) {
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto results, contract.check_set(*rows));
  doc::Value report = doc::Value::array();
  std::vector<std::string> refused;
  for (const auto& result : results) {
    report.push(doc::Value::object({{"rule", result.rule}, {"passed", result.passed}, {"value", result.value}}));
    if (result.passed) continue;
    const std::string text = fmt::format("rule `{}` is broken: {}", result.rule, result.value);
    if (result.effect == spec::RuleEffect::kRefuse) refused.push_back(text);
    else work.note("validate.set", "warning: " + text);
  }
  if (!refused.empty()) {
    return Error{ErrorKind::kUnprocessable, "set-refused", fmt::format("the snapshot breaks its contract: {}", fmt::join(refused, "; ")),
                 "fix the source, or the bound of the rule"};
  }
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["report"], write_json(directory, "report.json", report));
  return record;
}

// --- split, features ---------------------------------------------------------------------------------------------------

Result<StepRecord> run_split(Work& work, const std::string& directory) {
  const spec::Model& model = *work.definitions().model;
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, labels_of(model, *rows));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* time, rows->column(model.time_field));
  Parts parts;
  parts.rows = rows->rows();
  // A boundary moves on to the next distinct time: no moment is on both sides.
  const auto boundary = [&](double fraction) {
    auto row = static_cast<std::int64_t>(static_cast<double>(parts.rows) * fraction);
    while (row > 0 && row < parts.rows && time->ints[static_cast<std::size_t>(row)] == time->ints[static_cast<std::size_t>(row - 1)]) ++row;
    return row;
  };
  parts.train_end = boundary(1 - model.validation_fraction - model.test_fraction);
  parts.validation_end = boundary(1 - model.test_fraction);
  if (parts.train_end == 0 || parts.validation_end <= parts.train_end || parts.validation_end >= parts.rows) {
    return Error{ErrorKind::kUnprocessable, "split-empty", fmt::format("{} rows are too few to split in three by time", parts.rows),
                 "widen `train.from` and `train.to` of the model"};
  }
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["split"], write_json(directory, "split.json", parts.to_value()));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["labels"],
                          write_output(directory, "labels.u8", std::string_view(reinterpret_cast<const char*>(labels.data()), labels.size())));
  record.facts = parts.to_value();
  work.note("split", fmt::format("{} to train, {} to search, {} to test", parts.train_end, parts.validation_end - parts.train_end,
                                 parts.rows - parts.validation_end));
  return record;
}

Result<StepRecord> run_features(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const Parts parts, parts_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::compile(*d.features, contract.request_fields()));
  const std::span<const std::uint8_t> all(*labels);
  HEDDLE_ASSIGN_OR_RETURN(const auto fitted, program.fit(rows->slice(0, parts.train_end), all.first(static_cast<std::size_t>(parts.train_end))));
  HEDDLE_ASSIGN_OR_RETURN(const auto validation, program.apply(rows->slice(parts.train_end, parts.validation_end)));
  HEDDLE_ASSIGN_OR_RETURN(const auto test, program.apply(rows->slice(parts.validation_end, parts.rows)));
  Hasher hasher;
  for (const auto* matrix : {&fitted.train, &validation, &test}) {
    hasher.update_field(std::string_view(reinterpret_cast<const char*>(matrix->values.data()), matrix->values.size() * sizeof(float)));
  }
  HEDDLE_TRY(write_matrix(directory + "/train.f32", fitted.train));
  HEDDLE_TRY(write_matrix(directory + "/validation.f32", validation));
  HEDDLE_TRY(write_matrix(directory + "/test.f32", test));
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["program"], write_json(directory, "features.json", program.to_value()));
  record.outputs["matrices"] = hasher.finish();
  return record;
}

// --- search, train, standby ----------------------------------------------------------------------------------------------

Result<StepRecord> run_search(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.matrix("train"));
  HEDDLE_ASSIGN_OR_RETURN(const auto held, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const Parts parts, parts_of(work));
  train::SearchInput input;
  input.search = d.model->search;
  input.trainer = d.model->trainer;
  input.parameters = d.model->parameters;
  input.feature_names = names_of(program);
  input.train = view(*rows, labels->data());
  input.validation = view(*held, labels->data() + parts.train_end);
  input.seed = d.model->seed;
  // Kept between runs, so that a killed search goes on; it is emptied by `search` itself when its inputs differ.
  input.directory = fmt::format("{}/search/{}", work.cache().root(), d.model->identity.name);
  input.worker = work.host().worker;
  input.runner = work.host().runner;
  HEDDLE_TRY(make_dirs(input.directory));
  double best = std::numeric_limits<double>::infinity();
  HEDDLE_ASSIGN_OR_RETURN(const auto result, train::search(input, [&](const train::Trial& trial, int done, int total) {
                            if (trial.log_loss < best) best = trial.log_loss;
                            work.note("search", trial.state == train::Trial::State::kFailed
                                                    ? fmt::format("trial {} of {} failed: {}", done, total, trial.error)
                                                    : fmt::format("trial {} of {}: log loss {:.4f}, best {:.4f}{}", done, total, trial.log_loss, best,
                                                                  trial.resumed ? " (from before)" : ""));
                          }));
  const train::Trial& winner = result.trials[static_cast<std::size_t>(result.best)];
  StepRecord record;
  const auto chosen = doc::Value::object({{"parameters", parameters_to_value(winner.parameters)}, {"rounds", winner.rounds}, {"log_loss", winner.log_loss}});
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["best"], write_json(directory, "best.json", chosen));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["trials"], write_json(directory, "trials.json", result.to_value()));
  record.facts = doc::Value::object({{"trials", result.trials.size()}, {"best", result.best}, {"log_loss", winner.log_loss}});
  return record;
}

/// Writes model, its margins on validation and test rows, and how it was trained.
Result<StepRecord> finish_training(Work& work, const std::string& directory, const std::string& step, const train::TrainInput& input) {
  HEDDLE_ASSIGN_OR_RETURN(const auto trained, train::train(input));
  HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(trained.model));
  HEDDLE_ASSIGN_OR_RETURN(const auto validation, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto test, work.matrix("test"));
  std::vector<float> margins(static_cast<std::size_t>(validation->rows + test->rows));
  scorer->margins(validation->values.data(), validation->rows, margins.data());
  scorer->margins(test->values.data(), test->rows, margins.data() + validation->rows);
  HEDDLE_TRY(write_floats(directory + "/margins.f32", margins));
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["model"], write_output(directory, "model.json", trained.model));
  const auto how = doc::Value::object({{"trainer", input.trainer}, {"parameters", parameters_to_value(input.parameters)}, {"rounds", trained.rounds}, {"seed", input.seed}});
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["how"], write_json(directory, "how.json", how));
  record.facts = how;
  work.note(step, std::isnan(trained.validation_log_loss) ? fmt::format("{} rounds", trained.rounds)
                                                          : fmt::format("{} rounds, validation log loss {:.4f}", trained.rounds, trained.validation_log_loss));
  return record;
}

Result<StepRecord> run_train(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.matrix("train"));
  HEDDLE_ASSIGN_OR_RETURN(const auto held, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const Parts parts, parts_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto best, read_json(work.file("search", "best.json")));
  train::TrainInput input;
  input.trainer = d.model->trainer;
  if (const doc::Value* parameters = best.find("parameters")) input.parameters = parameters_from_value(*parameters);
  input.feature_names = names_of(program);
  input.train = view(*rows, labels->data());
  input.validation = view(*held, labels->data() + parts.train_end);
  input.max_rounds = d.model->search.max_rounds;
  input.early_stopping_rounds = d.model->search.early_stopping_rounds;
  input.seed = d.model->seed;
  return finish_training(work, directory, "train", input);
}

Result<StepRecord> run_standby(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.matrix("train"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  train::TrainInput input;
  input.trainer = d.model->standby_trainer;
  input.max_rounds = 50;
  for (const auto& [name, value] : d.model->standby_parameters.values) {
    if (name == "rounds") input.max_rounds = std::max(1, std::atoi(value.c_str()));
    else input.parameters.values.emplace_back(name, value);
  }
  input.feature_names = names_of(program);
  input.train = view(*rows, labels->data());
  input.early_stopping_rounds = 0;
  input.seed = d.model->seed;
  return finish_training(work, directory, "standby", input);
}

// --- evaluate, gates, baseline, bundle ---------------------------------------------------------------------------------

std::span<const float> test_margins(const std::vector<float>& margins, const Parts& parts) {
  return std::span(margins).subspan(static_cast<std::size_t>(parts.validation_end - parts.train_end));
}

Result<StepRecord> run_evaluate(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const Parts parts, parts_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto features, work.matrix("test"));
  HEDDLE_ASSIGN_OR_RETURN(const auto margins, read_floats(work.file("train", "margins.f32")));
  HEDDLE_ASSIGN_OR_RETURN(const auto standby_margins, read_floats(work.file("standby", "margins.f32")));
  const table::Table train_rows = rows->slice(0, parts.train_end);
  const table::Table test_rows = rows->slice(parts.validation_end, parts.rows);
  const auto names = names_of(program);
  evaluate::EvaluateInput input;
  input.definition = d.evaluation;
  input.predictions = {&test_rows, test_margins(margins, parts), std::span(*labels).subspan(static_cast<std::size_t>(parts.validation_end))};
  input.split = {&train_rows, &test_rows, d.model->time_field, features.get(), names, input.predictions.labels};
  evaluate::Predictions standby = input.predictions;
  standby.margins = test_margins(standby_margins, parts);
  HEDDLE_ASSIGN_OR_RETURN(input.standby, evaluate::metrics(*d.evaluation, standby));
  HEDDLE_ASSIGN_OR_RETURN(const auto evidence, evaluate::evaluate(input));
  const std::vector<evaluate::Resource> subjects = {{"model.json", work.record("train").outputs.at("model")},
                                                    {"features.json", work.record("features").outputs.at("program")}};
  const std::vector<evaluate::Resource> configuration = {{d.evaluation->identity.name, digest_of(d.evaluation->identity.content)}};
  StepRecord record;
  const doc::Value value = evidence.to_value();
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["evidence"], write_json(directory, "evaluation.json", value));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["statements"], write_output(directory, "statements.json", evaluate::to_statement(evidence, subjects, configuration)));
  doc::Value metrics = doc::Value::object();
  for (const auto& [name, number] : evidence.metrics) metrics.set(name, number);
  doc::Value standby_metrics = doc::Value::object();
  for (const auto& [name, number] : input.standby) standby_metrics.set(name, number);
  doc::Value failed = doc::Value::array();
  for (const auto& gate : evidence.gates) {
    if (gate.passed) continue;
    std::vector<std::string> values;
    for (const auto& [name, number] : gate.values) values.push_back(fmt::format("{} = {:.4g}", name, number));
    failed.push(fmt::format("`{}` ({}; {})", gate.id, gate.when, gate.error.empty() ? fmt::to_string(fmt::join(values, ", ")) : gate.error));
  }
  record.facts = doc::Value::object({{"metrics", std::move(metrics)}, {"standby", std::move(standby_metrics)}, {"failed", std::move(failed)}, {"gates", evidence.gates.size()}});
  work.note("evaluate", fmt::format("auc {:.4f}, log loss {:.4f}; standby {:.4f}, {:.4f}", evidence.metrics.at("auc"), evidence.metrics.at("log_loss"),
                                    input.standby.at("auc"), input.standby.at("log_loss")));
  return record;
}

Result<StepRecord> run_gates(Work& work, const std::string& directory) {
  const StepRecord evaluated = work.record("evaluate");
  const doc::Value* failed = evaluated.facts.find("failed");
  if (failed != nullptr && failed->size() > 0) {
    std::vector<std::string> texts;
    for (const auto& each : failed->as_array()) texts.push_back(each.as_string());
    return Error{ErrorKind::kUnprocessable, "gates-failed", fmt::format("{} of {} gates failed: {}", texts.size(), evaluated.facts.int_or("gates"), fmt::join(texts, "; ")),
                 "nothing was bundled: improve the model, or change the gate in `evaluations/` with a reason"};
  }
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["passed"], write_json(directory, "passed.json", doc::Value::object({{"evidence", evaluated.outputs.at("evidence").str()}})));
  work.note("gates", fmt::format("all {} passed", evaluated.facts.int_or("gates")));
  return record;
}

Result<StepRecord> run_baseline(Work& work, const std::string& directory, const std::string& trained) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const Parts parts, parts_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto held, read_floats(work.file(trained, "margins.f32")));
  // The model learned from the training rows: what it says of them is no reference for what it will say.
  std::vector<float> margins(static_cast<std::size_t>(parts.rows), std::numeric_limits<float>::quiet_NaN());
  std::copy(held.begin(), held.end(), margins.begin() + static_cast<std::ptrdiff_t>(parts.train_end));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* time, rows->column(d.model->time_field));
  watch::BaselineInput input;
  for (const auto& column : rows->columns()) {
    input.names.push_back(column.name);
    input.columns.push_back(column.view());
  }
  input.event_time = time->ints;
  input.margins = margins;
  input.labels = *labels;
  HEDDLE_ASSIGN_OR_RETURN(const auto baseline, watch::build_baseline(*d.monitor, *d.contract, input));
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["baseline"], write_json(directory, "baseline.json", baseline.to_value()));
  return record;
}

Result<StepRecord> run_bundle(Work& work, const std::string& trained, const std::string& profile, const std::string& role) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto how, read_json(work.file(trained, "how.json")));
  Assembly assembly;
  assembly.contract = &contract;
  assembly.features = &program;
  HEDDLE_ASSIGN_OR_RETURN(assembly.model, read_file(work.file(trained, "model.json")));
  HEDDLE_ASSIGN_OR_RETURN(assembly.baseline, read_file(work.file(profile, "baseline.json")));
  HEDDLE_ASSIGN_OR_RETURN(assembly.evaluation, read_file(work.file("evaluate", "evaluation.json")));
  HEDDLE_ASSIGN_OR_RETURN(assembly.statements, read_file(work.file("evaluate", "statements.json")));
  HEDDLE_ASSIGN_OR_RETURN(assembly.reference_rows, table::read_table(work.file("validate.rows", "reference.parquet")));
  doc::Value names = doc::Value::array();
  for (const auto& name : program.feature_names()) names.push(std::string(name));
  assembly.config = doc::Value::object(
      {{"format", "heddle.bundle/1"},
       {"model", d.model->identity.name},
       {"role", role},
       {"trainer", how.string_or("trainer")},
       {"parameters", how.find("parameters") == nullptr ? doc::Value() : *how.find("parameters")},
       {"rounds", how.int_or("rounds")},
       {"seed", how.int_or("seed")},
       {"target", d.model->target.text},
       {"time_field", d.model->time_field},
       {"features", std::move(names)},
       {"lineage", doc::Value::object({{"source", work.record("source").outputs.at("file").str()},
                                       {"snapshot", work.record("snapshot").outputs.at("snapshot").str()},
                                       {"contract", digest_of(d.contract->identity.content).str()},
                                       {"features", digest_of(d.features->identity.content).str()},
                                       {"model", digest_of(d.model->identity.content).str()},
                                       {"evaluation", digest_of(d.evaluation->identity.content).str()}})}});
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["bundle"], assemble(*work.host().objects, assembly));
  work.note(role == "standby" ? "bundle.standby" : "bundle", record.outputs["bundle"].short_str());
  return record;
}

}  // namespace

Result<std::vector<Step>> graph_of(const Definitions& d, const Host& host) {
  const std::string path = d.source_path();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return Error{ErrorKind::kNotFound, "source-missing", fmt::format("source `{}`: there is no file `{}`", d.model->source, path),
                 "put the file there, or change `sources` in heddle.yaml; then run `heddle run`, which goes on where it was"};
  }
  const Digest stamp = digest_of_text(fmt::format("{}|{}|{}|{}.{:09}", path, status.st_size, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec));

  std::vector<Step> steps;
  steps.push_back({.name = "source", .inputs = {{fmt::format("file `{}`", d.project->sources.at(d.model->source)), stamp}}, .body = run_source});

  Step rows{.name = "validate.rows", .needs = {{"source", "file"}}, .body = run_validate_rows};
  const std::string& contract_file = d.contract->identity.file;
  rows.inputs = {{fmt::format("`{}`: the schema", contract_file), part(d.contract->identity, "schema")},
                 {fmt::format("`{}`: the transforms", contract_file), part(d.contract->identity, "customProperties")},
                 {fmt::format("`{}`: the time range", d.model->identity.file), digest_of_text(fmt::format("{} {} {}", d.model->time_field, d.model->train_from, d.model->train_to))}};
  std::set<std::string> enums;
  for (const auto& field : d.contract->fields) {
    if (field.enum_file.empty() || !enums.insert(field.enum_file + "\n" + field.enum_column).second) continue;
    HEDDLE_ASSIGN_OR_RETURN(const auto values, spec::load_enum(*d.project, field.enum_file, field.enum_column));
    rows.inputs.push_back({fmt::format("enum `{}` column `{}`", field.enum_file, field.enum_column), digest_of_text(fmt::to_string(fmt::join(values, "\n")))});
  }
  steps.push_back(std::move(rows));
  steps.push_back({.name = "snapshot", .needs = {{"source", "file"}, {"validate.rows", "accepted"}, {"validate.rows", "contract"}}, .body = run_snapshot});

  const std::string& model_file = d.model->identity.file;
  Step split{.name = "split", .needs = {{"validate.rows", "accepted"}}, .body = run_split};
  split.inputs = {{fmt::format("`{}`: the target", model_file), digest_of_text(d.model->target.text)},
                  {fmt::format("`{}`: the fractions", model_file), digest_of_text(fmt::format("{} {} {}", d.model->time_field, d.model->validation_fraction, d.model->test_fraction))}};
  steps.push_back(std::move(split));
  steps.push_back({.name = "validate.set", .needs = {{"validate.rows", "accepted"}, {"validate.rows", "contract"}}, .body = run_validate_set});

  Step features{.name = "features", .needs = {{"validate.rows", "accepted"}, {"split", "split"}, {"split", "labels"}}, .body = run_features};
  features.inputs = {{fmt::format("`{}`: folds", d.features->identity.file), digest_of_text(fmt::to_string(d.features->folds))}};
  std::string order;
  if (const doc::Value* list = d.features->identity.content.find("features"); list != nullptr && list->is_array()) {
    for (const auto& feature : list->as_array()) {
      doc::Value used = feature;
      used.set("description", nullptr);
      order += feature.string_or("name") + "\n";
      features.inputs.push_back({fmt::format("`{}`: feature `{}`", d.features->identity.file, feature.string_or("name")), digest_of(used)});
    }
  }
  features.inputs.push_back({fmt::format("`{}`: the order of features", d.features->identity.file), digest_of_text(order)});
  steps.push_back(std::move(features));

  const std::vector<StepNeed> rows_and_labels = {{"features", "matrices"}, {"features", "program"}, {"split", "split"}, {"split", "labels"}};
  const StepInput seed{fmt::format("`{}`: the seed", model_file), digest_of_text(fmt::to_string(d.model->seed))};
  const StepInput trainer{fmt::format("`{}`: the trainer and its parameters", model_file),
                          digest_of_text(d.model->trainer + doc::to_canonical_json(parameters_to_value(d.model->parameters)))};
  steps.push_back({.name = "search", .needs = rows_and_labels,
                   .inputs = {seed, trainer, {fmt::format("`{}`: the search", model_file), part(d.model->identity, "search")}}, .body = run_search});
  Step standby{.name = "standby", .needs = rows_and_labels, .body = run_standby};
  standby.inputs = {seed, {fmt::format("`{}`: the standby", model_file),
                           digest_of_text(d.model->standby_trainer + doc::to_canonical_json(parameters_to_value(d.model->standby_parameters)))}};
  steps.push_back(std::move(standby));
  Step train{.name = "train", .needs = rows_and_labels, .body = run_train};
  train.needs.push_back({"search", "best"});
  train.inputs = {seed, trainer, {fmt::format("`{}`: rounds", model_file), digest_of_text(fmt::format("{} {}", d.model->search.max_rounds, d.model->search.early_stopping_rounds))}};
  steps.push_back(std::move(train));

  steps.push_back({.name = "evaluate",
                   .needs = {{"train", "model"}, {"standby", "model"}, {"features", "matrices"}, {"features", "program"}, {"validate.rows", "accepted"}, {"split", "split"}, {"split", "labels"}},
                   .inputs = {{fmt::format("`{}`", d.evaluation->identity.file), digest_of(d.evaluation->identity.content)}},
                   .body = run_evaluate});
  steps.push_back({.name = "gates", .needs = {{"evaluate", "evidence"}}, .body = run_gates});

  const std::string& monitor_file = d.monitor->identity.file;
  const std::vector<StepInput> watched = {{fmt::format("`{}`: the distributions", monitor_file), part(d.monitor->identity, "distributions")},
                                          {fmt::format("`{}`: quality", monitor_file), part(d.monitor->identity, "quality")},
                                          {fmt::format("`{}`: the window", monitor_file), digest_of_text(fmt::format("{} {}", d.monitor->window, d.monitor->window_rows))},
                                          {fmt::format("`{}`: the time field", model_file), digest_of_text(d.model->time_field)}};
  for (const bool primary : {true, false}) {
    const std::string trained = primary ? "train" : "standby";
    const std::string profile = primary ? "baseline" : "baseline.standby";
    steps.push_back({.name = profile,
                     .needs = {{trained, "model"}, {"features", "matrices"}, {"validate.rows", "accepted"}, {"validate.rows", "contract"}, {"split", "split"}, {"split", "labels"}},
                     .inputs = watched,
                     .body = [trained](Work& work, const std::string& directory) { return run_baseline(work, directory, trained); }});
  }
  for (const bool primary : {true, false}) {
    const std::string trained = primary ? "train" : "standby";
    const std::string profile = primary ? "baseline" : "baseline.standby";
    Step bundle{.name = primary ? "bundle" : "bundle.standby"};
    bundle.needs = {{"gates", "passed"}, {"validate.set", "report"}, {"validate.rows", "contract"}, {"validate.rows", "reference"}, {"features", "program"}, {trained, "model"}, {trained, "how"},
                    {profile, "baseline"}, {"evaluate", "evidence"}, {"evaluate", "statements"}, {"snapshot", "snapshot"}, {"source", "file"}};
    bundle.inputs = {{fmt::format("`{}`: target and time field", model_file), digest_of_text(d.model->target.text + "\n" + d.model->time_field)},
                     {fmt::format("`{}`", contract_file), digest_of(d.contract->identity.content)},
                     {fmt::format("`{}`", d.features->identity.file), digest_of(d.features->identity.content)},
                     {fmt::format("`{}`", model_file), digest_of(d.model->identity.content)},
                     {fmt::format("`{}`", d.evaluation->identity.file), digest_of(d.evaluation->identity.content)}};
    const std::string role = primary ? "primary" : "standby";
    bundle.body = [trained, profile, role](Work& work, const std::string&) { return run_bundle(work, trained, profile, role); };
    steps.push_back(std::move(bundle));
  }
  (void)host;
  return steps;
}

}  // namespace heddle::flow
