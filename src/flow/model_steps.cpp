// Steps from feature matrices to bundles.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "base/file.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "evaluate/evidence_format.hpp"
#include "evaluate/rivals.hpp"
#include "flow/assemble.hpp"
#include "flow/bodies.hpp"
#include "flow/facts.hpp"
#include "flow/held_out.hpp"
#include "flow/judged.hpp"
#include "flow/own.hpp"
#include "flow/recorded.hpp"
#include "model/scorer.hpp"
#include "runtime/endpoint.hpp"
#include "runtime/tar.hpp"
#include "score/plan.hpp"
#include "spec/task.hpp"
#include "stats/conformal.hpp"
#include "stats/metric.hpp"
#include "stats/quality.hpp"
#include "stats/scalar.hpp"
#include "train/search.hpp"
#include "train/train.hpp"
#include "watch/baseline.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::flow {
namespace {

train::RowsView view(const table::Matrix& matrix, const double* labels) {
  return {matrix.values.data(), labels, matrix.rows, matrix.columns};
}

std::vector<std::string> names_of(const feature::Program& program) {
  return {program.feature_names().begin(), program.feature_names().end()};
}

/// A metric's name as people say it: `log loss`.
std::string spoken(std::string_view metric) {
  std::string out(metric);
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

/// What the search found, or what was accepted of an earlier one.
Result<bundle::Search> best_of(Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto written, work.json("search", "best.json"));
  return bundle::search_schema().parse(written);
}

/// Writes model, its margins on validation and test rows, and how it was trained.
Result<StepRecord> finish_training(Work& work, const std::string& directory,
                                   const std::string& step, const train::TrainInput& input) {
  HEDDLE_ASSIGN_OR_RETURN(const auto trained, train::train(input));
  HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(trained.model));
  HEDDLE_ASSIGN_OR_RETURN(const auto validation, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto test, work.matrix("test"));
  const std::size_t outputs = input.task.outputs();
  const auto first = static_cast<std::size_t>(validation->rows) * outputs;
  std::vector<float> margins(first + static_cast<std::size_t>(test->rows) * outputs);
  scorer->margins(validation->values.data(), validation->rows, margins.data());
  scorer->margins(test->values.data(), test->rows, margins.data() + first);
  HEDDLE_TRY(write_floats(directory + "/margins.f32", margins));
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["model"],
                          write_output(directory, "model.json", trained.model));
  const auto how =
      how_schema().print({input.trainer, input.parameters, trained.rounds, input.seed});
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["how"], write_json(directory, "how.json", how));
  record.facts = how;
  work.note(step, std::isnan(trained.validation_loss)
                      ? fmt::format("{} rounds", trained.rounds)
                      : fmt::format("{} rounds, validation {} {:.4f}", trained.rounds,
                                    stats::loss_name(input.task.kind), trained.validation_loss));
  return record;
}

std::span<const float> test_margins(const std::vector<float>& margins, const RowSplit& parts,
                                    const stats::Task& task) {
  return std::span(margins).subspan(
      static_cast<std::size_t>(parts.validation_end - parts.train_end) * task.outputs());
}

/// The interval of a step's model, where the definition declares a coverage: from the validation
/// rows, which the model was not trained on.
Result<std::optional<stats::Conformal>> interval_of(Work& work, const std::string& trained) {
  const auto coverage = work.definitions().model->coverage;
  if (!coverage) return std::optional<stats::Conformal>();
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto margins, work.floats(trained, "margins.f32"));
  const stats::Task& task = labels->task;
  const auto rows = static_cast<std::size_t>(parts.validation_end - parts.train_end);
  std::vector<float> predictions(rows * task.outputs());
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t at = row * task.outputs();
    task.predict(std::span(margins).subspan(at, task.outputs()),
                 std::span(predictions).subspan(at, task.outputs()));
  }
  const auto codes =
      std::span(labels->codes).subspan(static_cast<std::size_t>(parts.train_end), rows);
  HEDDLE_ASSIGN_OR_RETURN(
      const double quantile,
      stats::conformal_quantile(stats::conformal_scores(task, predictions, codes), *coverage));
  return std::optional(stats::Conformal{*coverage, quantile});
}

/// The metrics of a task that people read first, each with its number.
std::string in_words(const evaluate::Numbers& numbers, stats::TaskKind task, bool are_named) {
  constexpr std::size_t kShown = 2;
  std::vector<std::string> out;
  for (const auto* metric : stats::metrics_of(task)) {
    if (out.size() == kShown) break;
    const double number = numbers.at(std::string(metric->name()));
    out.push_back(are_named ? fmt::format("{} {:.4f}", spoken(metric->name()), number)
                            : fmt::format("{:.4f}", number));
  }
  return fmt::to_string(fmt::join(out, ", "));
}

std::string in_words(const evaluate::GateResult& gate) {
  std::vector<std::string> values;
  for (const auto& [name, number] : gate.values)
    values.push_back(fmt::format("{} = {:.4g}", name, number));
  return fmt::format("`{}` ({}; {})", gate.id, gate.when,
                     gate.error.empty() ? fmt::to_string(fmt::join(values, ", ")) : gate.error);
}

/// What came of the base, in a line: for the person who watches the run.
std::string in_words(const evaluate::BaseEvidence& base) {
  if (!base.missing.why.empty()) return "not held against what serves: " + base.missing.why;
  std::string line = fmt::format("against {} on {} rows", base.bundle.substr(0, 19), base.rows);
  for (const auto& metric : base.metrics) {
    // One of each class would be a page.
    if (metric.metric.find('.') != std::string::npos) continue;
    line += fmt::format("; {} {:.4f}, there {:.4f}", metric.metric, metric.candidate, metric.base);
    if (const auto margin = metric.margin_of_error(); margin && std::isfinite(*margin))
      line += fmt::format(" (difference {:+.4f} to {:+.4f})", metric.difference() - *margin,
                          metric.difference() + *margin);
  }
  return base.note.empty() ? line : line + "; " + base.note;
}

}  // namespace

const doc::Schema<How>& how_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<How>::record("`how.json`", "how a model was trained");
    t.refused_as(ErrorKind::kCorrupt, "step-output", "run `heddle run` again");
    t.text("trainer", &How::trainer, "what fitted it").filled();
    t.custom(
        "parameters", doc::Shape::kMap, "of the trainer, as texts",
        [](How& into, const doc::Value& value, doc::Reader& reader) {
          bundle::read_parameters(value, reader, into.parameters);
        },
        [](const How& from) -> std::optional<doc::Value> {
          return bundle::print_parameters(from.parameters);
        });
    t.integer("rounds", &How::rounds, "rounds kept");
    t.integer("seed", &How::seed, "of what was drawn", std::numeric_limits<std::int64_t>::min());
    return t;
  }();
  return schema;
}

runtime::Host host_of(const Work& work) {
  // A retrain's state is a folder of its own. What no worker may see is the project's, beside which
  // its own environment lies (`${project:.venv}`).
  return {.directory = work.host().state_dir + "/runtime",
          .hidden = work.definitions().project->root + "/.heddle"};
}

Result<StepRecord> run_search(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.matrix("train"));
  HEDDLE_ASSIGN_OR_RETURN(const auto held, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  train::SearchInput input;
  input.search = d.model->search;
  input.task = labels->task;
  input.trainer = d.model->trainer;
  input.parameters = d.model->parameters;
  input.feature_names = names_of(program);
  input.train = view(*rows, labels->codes.data());
  input.validation = view(*held, labels->codes.data() + parts.train_end);
  input.seed = d.model->seed;
  // Kept between runs, so that a killed search goes on; it is emptied by `search` itself when its
  // inputs differ.
  input.directory = fmt::format("{}/search/{}", work.cache().root(), d.model->identity.name);
  input.worker = work.host().worker;
  input.runner = work.host().runner;
  HEDDLE_TRY(make_dirs(input.directory));
  const std::string exchange = input.directory + "/objects";
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, work.host().open_objects(exchange));
  input.objects = objects.get();
  if (d.model->exec) {
    HEDDLE_ASSIGN_OR_RETURN(input.own,
                            prepare_own(work, input.directory + "/own", d.model->search.rows));
    input.own_digest = digest_of_own(*d.model->exec, *input.own);
    // Who ends a training that takes too long says so; this is for one that nothing ends.
    input.trial_timeout_ms = d.model->exec->timeout_s * 1000 + 60'000;
  }
  double best = std::numeric_limits<double>::infinity();
  const std::string_view loss = stats::loss_name(labels->task.kind);
  HEDDLE_ASSIGN_OR_RETURN(
      const auto result, train::search(input, [&](const train::Trial& trial, int done, int total) {
        if (trial.loss < best) best = trial.loss;
        work.note("search",
                  trial.state == train::Trial::State::kFailed
                      ? fmt::format("trial {} of {} failed: {}", done, total, trial.error)
                      : fmt::format("trial {} of {}: {} {:.4f}, best {:.4f}{}", done, total, loss,
                                    trial.loss, best, trial.resumed ? " (from before)" : ""));
      }));
  // A search that has ended needs its rows no more, and they are as large as the data.
  std::error_code ignored;
  std::filesystem::remove_all(exchange, ignored);
  const train::Trial& winner = result.trials[static_cast<std::size_t>(result.best)];
  StepRecord record;
  const bundle::Search chosen{
      {}, input.trainer, winner.parameters, winner.rounds, std::ssize(result.trials), winner.loss};
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["best"],
      write_json(directory, "best.json", bundle::search_schema().print(chosen)));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["trials"],
                          write_json(directory, "trials.json", result.to_value()));
  record.facts = print_facts(SearchFacts{std::ssize(result.trials), result.best, winner.loss});
  return record;
}

Result<StepRecord> run_recipe(Work& work, const std::string& directory) {
  const Recipe& recipe = *work.source().recipe;
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["best"],
      write_json(directory, "best.json", bundle::search_schema().print(recipe)));
  record.facts = print_facts(SearchFacts{0, {}, recipe.loss});
  work.note("search", "as found by the search of " + recipe.bundle.short_str());
  return record;
}

Result<StepRecord> run_train(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  if (d.model->exec) return run_own_train(work, directory);
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.matrix("train"));
  HEDDLE_ASSIGN_OR_RETURN(const auto held, work.matrix("validation"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto best, best_of(work));
  train::TrainInput input;
  input.task = labels->task;
  input.trainer = d.model->trainer;
  input.parameters = best.parameters;
  input.feature_names = names_of(program);
  input.train = view(*rows, labels->codes.data());
  input.validation = view(*held, labels->codes.data() + parts.train_end);
  input.max_rounds = d.model->search.max_rounds;
  input.early_stopping_rounds = d.model->search.early_stopping_rounds;
  input.seed = d.model->seed;
  return finish_training(work, directory, "train", input);
}

Result<StepRecord> run_runtime(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  const spec::Runtime& definition = *d.model->runtime;
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  StepRecord record;
  std::string files;
  // There is no model file whose digest could name what answers: definition and files stand for it.
  std::string covered = doc::to_json(runtime::to_value(definition));
  if (definition.kind == spec::Runtime::Kind::kProcess) {
    HEDDLE_ASSIGN_OR_RETURN(files, runtime::pack_folder(d.project->root + "/" + definition.files));
    HEDDLE_ASSIGN_OR_RETURN(record.outputs["files"], write_output(directory, "files.tar", files));
    covered += record.outputs["files"].str();
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  const stats::Task& task = labels->task;
  HEDDLE_ASSIGN_OR_RETURN(
      const auto endpoint,
      runtime::Endpoint::start(definition,
                               score::Plan::shape_of(contract, program, definition.inputs, task),
                               files, host_of(work)));
  // Validation and test rows, as training leaves them.
  HEDDLE_ASSIGN_OR_RETURN(
      const auto answers,
      score::Plan::ask(*endpoint, contract, program, rows->slice(parts.train_end, parts.rows)));
  const std::size_t outputs = task.outputs();
  std::vector<float> margins(answers.size());
  for (std::size_t at = 0; at < answers.size(); at += outputs) {
    const auto answer = std::span(answers).subspan(at, outputs);
    // A metric over the rows that a runtime cares to answer would flatter it.
    if (std::isnan(answer[0])) {
      return Error{ErrorKind::kUnprocessable, "runtime-no-answer",
                   fmt::format("the runtime gives no answer for accepted row {}",
                               parts.train_end + static_cast<std::int64_t>(at / outputs)),
                   "it must answer every row that the contract accepts, missing values included"};
    }
    score::margins_of(task, answer, std::span(margins).subspan(at, outputs));
  }
  HEDDLE_TRY(write_floats(directory + "/margins.f32", margins));
  record.outputs["model"] = sha256(covered);
  record.facts = how_schema().print(
      {fmt::format("runtime:{}", runtime::name_of(definition.kind)), {}, 0, d.model->seed});
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["how"], write_json(directory, "how.json", record.facts));
  work.note("runtime", fmt::format("{} rows answered", answers.size() / outputs));
  return record;
}

Result<StepRecord> run_standby(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.matrix("train"));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  train::TrainInput input;
  input.task = labels->task;
  input.trainer = d.model->standby_trainer;
  input.max_rounds = 50;
  for (const auto& [name, value] : d.model->standby_parameters.values) {
    // Not a parameter of a trainer but of the training: it is passed on by itself.
    if (name == "rounds")
      input.max_rounds = std::max(1, std::atoi(value.c_str()));
    else
      input.parameters.values.emplace_back(name, value);
  }
  input.feature_names = names_of(program);
  input.train = view(*rows, labels->codes.data());
  // A standby is trained without validation rows, so it trains all of its rounds.
  input.early_stopping_rounds = 0;
  input.seed = d.model->seed;
  return finish_training(work, directory, "standby", input);
}

Result<StepRecord> run_evaluate(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto features, work.matrix("test"));
  const std::string primary = primary_step(*d.model);
  HEDDLE_ASSIGN_OR_RETURN(const auto margins, work.floats(primary, "margins.f32"));
  const Recorded* recorded = work.source().recorded;
  HEDDLE_ASSIGN_OR_RETURN(const auto times, work.times());
  HEDDLE_ASSIGN_OR_RETURN(const auto standby_margins, work.floats("standby", "margins.f32"));
  const table::Table train_rows = rows->slice(0, parts.train_end);
  const table::Table test_rows = rows->slice(parts.validation_end, parts.rows);
  const auto names = names_of(program);
  evaluate::EvaluateInput input;
  spec::Evaluation definition = *d.evaluation;
  if (recorded != nullptr) {
    // Recorded traffic has what a request carries and the label. Metrics and slices over other
    // label fields cannot be computed, and gates on them are told as not judged.
    definition = without_label_fields(definition, *rows, *d.contract, labels->task, input.absent);
    input.is_bounded = true;
  }
  input.definition = &definition;
  const stats::Task& task = labels->task;
  input.predictions = {
      &task, &test_rows, test_margins(margins, parts, task),
      std::span(labels->codes).subspan(static_cast<std::size_t>(parts.validation_end))};
  HEDDLE_ASSIGN_OR_RETURN(input.predictions.interval, interval_of(work, primary));
  const auto times_of = [&](std::int64_t begin, std::int64_t end) {
    return times->empty() ? std::span<const Micros>()
                          : std::span(*times).subspan(static_cast<std::size_t>(begin),
                                                      static_cast<std::size_t>(end - begin));
  };
  const auto test_times = times_of(parts.validation_end, parts.rows);
  input.split = {&task,      &train_rows,    &test_rows, times_of(0, parts.train_end),
                 test_times, features.get(), names,      input.predictions.labels};
  evaluate::Predictions standby = input.predictions;
  standby.margins = test_margins(standby_margins, parts, task);
  HEDDLE_ASSIGN_OR_RETURN(standby.interval, interval_of(work, "standby"));
  HEDDLE_ASSIGN_OR_RETURN(input.standby, evaluate::metrics(definition, standby));
  evaluate::BaseAnswers base;
  if (recorded != nullptr || evaluate::reads_base(definition)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto received, work.received());
    HEDDLE_ASSIGN_OR_RETURN(
        // As they were received: what serves has a contract and transforms of its own, which may
        // not be these.
        base, base_answers(work, received->slice(parts.validation_end, parts.rows), test_times));
    input.base = &base;
  }
  if (evaluate::reads_rivals(definition)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto train_features, work.matrix("train"));
    input.more_numbers =
        evaluate::rivals({&task, labels->codes, static_cast<std::size_t>(parts.train_end),
                          static_cast<std::size_t>(parts.validation_end), *times,
                          train_features.get(), features.get()});
  }
  Judged judged;
  if (recorded != nullptr) {
    // A run may go on without its base, and says so. A retrain exists to be better than what
    // serves.
    if (!base.missing.why.empty()) {
      return Error{ErrorKind::kUnprocessable, "retrain-no-base", base.missing.why,
                   "a retrain is held against what serves, which has to answer its rows"};
    }
    HEDDLE_ASSIGN_OR_RETURN(judged, judge_retrain(work, parts,
                                                  {&task, &test_rows, input.predictions.margins,
                                                   base.margins, input.predictions.labels}));
    input.more_gates = judged.gates;
    input.more_numbers.insert(judged.numbers.begin(), judged.numbers.end());
  }
  HEDDLE_ASSIGN_OR_RETURN(auto evidence, evaluate::evaluate(input));
  const StepRecord trained = work.record(primary);
  const bool is_outside = d.model->runtime.has_value() || trained.outputs.contains("runtime");
  const std::vector<evaluate::Resource> subjects = {
      {is_outside ? "runtime.json" : "model.json", trained.outputs.at("model")},
      {"features.json", work.record("features").outputs.at("program")}};
  // What the evidence depends on besides the model: an auditor sees that neither was another one.
  std::vector<evaluate::Resource> configuration = {
      {d.evaluation->identity.name, digest_of(d.evaluation->identity.content)}};
  if (const auto own = trained.outputs.find("trainer"); own != trained.outputs.end())
    configuration.push_back({std::string(bundle::kTrainer), own->second});
  StepRecord record;
  if (recorded != nullptr) evidence.retrain = judged.evidence;
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["evidence"],
      write_json(directory, "evaluation.json", evaluate::evidence_schema().print(evidence)));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["statements"],
                          write_output(directory, "statements.json",
                                       evaluate::to_statement(evidence, subjects, configuration)));
  EvaluationFacts facts;
  facts.metrics = evidence.metrics;
  facts.standby = input.standby;
  for (const auto& gate : evidence.gates) {
    if (gate.failed()) {
      facts.failed.push_back(in_words(gate));
      facts.failed_gates.push_back(gate.id);
    }
    if (!gate.not_judged.empty())
      facts.not_judged.push_back(fmt::format("`{}`: {}", gate.id, gate.not_judged));
  }
  facts.gates = std::ssize(evidence.gates);
  facts.base = evidence.base;
  if (evidence.base) work.note("evaluate", in_words(*evidence.base));
  if (recorded != nullptr) {
    auto& of_base = facts.base_metrics.emplace();
    for (const auto& metric : evidence.base->metrics) of_base[metric.metric] = metric.base;
    facts.retrain = evidence.retrain;
  }
  record.facts = print_facts(facts);
  work.note("evaluate", fmt::format("{}; standby {}", in_words(evidence.metrics, task.kind, true),
                                    in_words(input.standby, task.kind, false)));
  return record;
}

Result<StepRecord> run_gates(Work& work, const std::string& directory) {
  const StepRecord evaluated = work.record("evaluate");
  // Decided by `evaluate`, from the same record that the evidence was written from: nothing is
  // judged twice.
  HEDDLE_ASSIGN_OR_RETURN(const auto facts, evaluation_facts(evaluated));
  if (!facts.failed.empty()) {
    return Error{ErrorKind::kUnprocessable, "gates-failed",
                 fmt::format("{} of {} gates failed: {}", facts.failed.size(), facts.gates,
                             fmt::join(facts.failed, "; ")),
                 "nothing was bundled: improve the model, or change the gate in `evaluations/` "
                 "with a reason"};
  }
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["passed"],
      write_json(directory, "passed.json",
                 doc::Value::object({{"evidence", evaluated.outputs.at("evidence").str()}})));
  for (const auto& each : facts.not_judged) work.note("gates", "not judged: " + each);
  const auto left = std::ssize(facts.not_judged);
  work.note("gates", left == 0 ? fmt::format("all {} passed", facts.gates)
                               : fmt::format("{} passed, {} not judged", facts.gates - left, left));
  return record;
}

namespace {

/// Rows without a time are watched by their arrival; for the reference they arrive evenly, and as
/// fast as the monitor's windows and chunks need to be full.
std::vector<Micros> arrivals(const spec::Monitor& monitor, std::int64_t rows) {
  // Rows times microseconds of days may not fit into 64 bits.
  using Wide = __int128;
  Micros span = monitor.window;
  std::int64_t full = std::max<std::int64_t>(monitor.window_rows, 1);
  const auto& quality = monitor.quality;
  // Whichever needs rows faster: the window of a statistic, or a chunk of the quality.
  if (quality.chunk_duration > 0 &&
      Wide{quality.chunk_rows} * span > Wide{full} * quality.chunk_duration) {
    span = quality.chunk_duration;
    full = quality.chunk_rows;
  }
  std::vector<Micros> out;
  out.reserve(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) out.push_back(static_cast<Micros>(Wide{i} * span / full));
  return out;
}

}  // namespace

Result<StepRecord> run_baseline(Work& work, const std::string& directory,
                                const std::string& trained) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto held, work.floats(trained, "margins.f32"));
  // The model learned from the training rows: what it says of them is no reference for what it will
  // say.
  const std::size_t outputs = labels->task.outputs();
  std::vector<float> margins(static_cast<std::size_t>(parts.rows) * outputs,
                             std::numeric_limits<float>::quiet_NaN());
  std::copy(held.begin(), held.end(),
            margins.data() + static_cast<std::size_t>(parts.train_end) * outputs);
  HEDDLE_ASSIGN_OR_RETURN(const auto known_times, work.times());
  std::vector<Micros> arrived;
  // A model without a time field has rows in no order; windows need one.
  if (known_times->empty()) arrived = arrivals(*d.monitor, rows->rows());
  watch::BaselineInput input;
  for (const auto& column : rows->columns()) {
    input.names.push_back(column.name);
    input.columns.push_back(column.view());
  }
  input.event_time = known_times->empty() ? arrived : *known_times;
  input.task = labels->task;
  input.margins = margins;
  input.codes = labels->codes;
  HEDDLE_ASSIGN_OR_RETURN(input.interval, interval_of(work, trained));
  HEDDLE_ASSIGN_OR_RETURN(const auto baseline,
                          watch::build_baseline(*d.monitor, *d.contract, input));
  for (const auto& weak : watch::weak_points(*d.monitor, baseline)) work.note("baseline", weak);
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["baseline"],
      write_json(directory, "baseline.json", watch::baseline_schema().print(baseline)));
  return record;
}

namespace {

/// The rows of the test as an object: what is released later is compared on them where traffic has
/// too few labels.
Result<Digest> keep_test_rows(Work& work, const contract::Contract& contract,
                              const RowSplit& parts) {
  HEDDLE_ASSIGN_OR_RETURN(const auto received, work.received());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const auto times, work.times());
  HeldOut held;
  // As they were received, because a later bundle applies its own transforms to them.
  held.rows = received->slice(parts.validation_end, parts.rows);
  held.labels.assign(labels->codes.begin() + static_cast<std::ptrdiff_t>(parts.validation_end),
                     labels->codes.end());
  if (!times->empty())
    held.times.assign(times->begin() + static_cast<std::ptrdiff_t>(parts.validation_end),
                      times->end());
  return keep_held_out(*work.host().objects, contract.request_fields(), held);
}

}  // namespace

namespace {

/// What a retrained bundle says of where it is from. What was made beside a dirty bundle is dirty.
Result<void> name_base(store::Objects& objects, const Recorded& recorded, bundle::Config& config) {
  HEDDLE_ASSIGN_OR_RETURN(const auto base, bundle::open(objects, recorded.base));
  // Its definitions may be committed, and it still inherits what nobody can look up.
  config.dirty = config.dirty || base.dirty();
  config.derived_from = recorded.base;
  config.change = bundle::Change{.kind = bundle::Change::Kind::kRetrain,
                                 .rows = recorded.rows.rows(),
                                 .data = recorded.rows.content_digest()};
  return {};
}

}  // namespace

Result<StepRecord> run_bundle(Work& work, const std::string& directory, const std::string& trained,
                              const std::string& profile, const std::string& role) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto program, program_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto written, work.json(trained, "how.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto how, how_schema().parse(written));
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  Assembly assembly;
  assembly.task = labels->task;
  HEDDLE_ASSIGN_OR_RETURN(const auto interval, interval_of(work, trained));
  assembly.calibration = score::uncalibrated(labels->task, interval);
  assembly.contract = &contract;
  assembly.features = &program;
  if (trained == "runtime") {
    assembly.runtime = d.model->runtime;
    assembly.host = host_of(work);
    if (d.model->runtime->kind == spec::Runtime::Kind::kProcess) {
      HEDDLE_ASSIGN_OR_RETURN(assembly.files, work.bytes(trained, "files.tar"));
    }
    // A trainer of one's own whose model the engine could not score exactly: a worker answers with
    // it.
  } else if (work.record(trained).outputs.contains("runtime")) {
    HEDDLE_ASSIGN_OR_RETURN(const auto runtime, work.json(trained, "runtime.json"));
    HEDDLE_ASSIGN_OR_RETURN(assembly.runtime, runtime::parse(runtime));
    assembly.host = host_of(work);
    HEDDLE_ASSIGN_OR_RETURN(assembly.files, work.bytes(trained, "files.tar"));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(assembly.model, work.bytes(trained, "model.json"));
  }
  if (work.record(trained).outputs.contains("trainer")) {
    HEDDLE_ASSIGN_OR_RETURN(assembly.trainer, work.bytes(trained, "trainer.json"));
  }
  HEDDLE_ASSIGN_OR_RETURN(assembly.baseline, work.bytes(profile, "baseline.json"));
  HEDDLE_ASSIGN_OR_RETURN(assembly.evaluation, work.bytes("evaluate", "evaluation.json"));
  HEDDLE_ASSIGN_OR_RETURN(assembly.statements, work.bytes("evaluate", "statements.json"));
  HEDDLE_ASSIGN_OR_RETURN(const auto reference, work.reference());
  assembly.reference_rows = *reference;
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const Digest held_out, keep_test_rows(work, contract, parts));
  auto& config = assembly.config;
  config.model = d.model->identity.name;
  config.role = role;
  config.commit = d.project->commit;
  config.dirty = d.project->dirty;
  config.trainer = how.trainer;
  config.parameters = how.parameters;
  config.rounds = how.rounds;
  config.seed = how.seed;
  config.target = d.model->target.text;
  config.task = labels->task;
  config.time_field = d.model->time_field;
  for (const auto& name : program.feature_names()) config.features.emplace_back(name);
  config.lineage = {work.record("source").outputs.at("file"),
                    work.record("snapshot").outputs.at("snapshot"),
                    digest_of(d.contract->identity.content),
                    digest_of(d.features->identity.content),
                    digest_of(d.model->identity.content),
                    digest_of(d.evaluation->identity.content),
                    held_out};
  HEDDLE_ASSIGN_OR_RETURN(const auto times, work.times());
  if (!times->empty()) {
    // The rows that guided the search were learned from too.
    config.learned = {bundle::Learned::Kind::kUntil,
                      (*times)[static_cast<std::size_t>(parts.validation_end - 1)]};
  }
  // Of the model, whichever of the run's bundles serves.
  if (!d.model->runtime) {
    HEDDLE_ASSIGN_OR_RETURN(config.search, best_of(work));
  }
  if (work.source().recorded != nullptr)
    HEDDLE_TRY(name_base(*work.host().objects, *work.source().recorded, assembly.config));
  HEDDLE_ASSIGN_OR_RETURN(assembly.parity, certify_adopted(work, assembly, directory));
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["bundle"], assemble(*work.host().objects, assembly));
  work.note(role == "standby" ? "bundle.standby" : "bundle", record.outputs["bundle"].short_str());
  return record;
}

}  // namespace heddle::flow
