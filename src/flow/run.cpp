#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <set>
#include <thread>

#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "doc/items.hpp"
#include "evaluate/evidence_format.hpp"
#include "flow/documents.hpp"
#include "flow/facts.hpp"
#include "flow/flow.hpp"
#include "flow/refused_rows.hpp"
#include "flow/step.hpp"

namespace heddle::flow {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

/// What a step reads, with digests, once every step it needs has finished; nullopt before.
std::optional<std::vector<StepInput>> inputs_of(const Step& step,
                                                const std::map<std::string, StepRecord>& finished) {
  std::vector<StepInput> inputs = step.inputs;
  for (const auto& need : step.needs) {
    const auto found = finished.find(need.step);
    // A digest is not known yet, so neither is the key: nobody can say whether it is cached.
    if (found == finished.end()) return std::nullopt;
    const auto output = found->second.outputs.find(need.output);
    inputs.push_back({fmt::format("{} of step `{}`", need.output, need.step),
                      // An output that a step may leave out, for example the files of a runtime:
                      // that it is not there is part of the key too.
                      output == found->second.outputs.end() ? Digest{} : output->second});
  }
  return inputs;
}

doc::Value to_value(const std::vector<StepInput>& inputs) {
  doc::Value out = doc::Value::object();
  for (const auto& input : inputs) out.set(input.what, input.digest.hex());
  return out;
}

/// Why a step whose inputs are these has no result yet, in one clause.
std::string reason_of(const std::vector<StepInput>& inputs, const doc::Value* before) {
  // Of the last run of this model, whatever came of it.
  if (before == nullptr || !before->is_object()) return "it never ran";
  std::vector<std::string> moved;
  std::set<std::string> names;
  for (const auto& input : inputs) {
    names.insert(input.what);
    const doc::Value* old = before->find(input.what);
    if (old == nullptr)
      moved.push_back(input.what + " is new");
    else if (doc::text_of(*old) != input.digest.hex())
      moved.push_back(input.what + " changed");
  }
  for (const auto& [name, digest] : before->as_object()) {
    if (!names.contains(name)) moved.push_back(name + " is gone");
  }
  if (moved.empty()) return "its last run did not finish, or its result was removed";
  // Three are enough to see what somebody changed; a new contract would name every column.
  const std::size_t more = moved.size() > 3 ? moved.size() - 3 : 0;
  moved.resize(moved.size() - more);
  return more == 0 ? fmt::to_string(fmt::join(moved, ", "))
                   : fmt::format("{} and {} more", fmt::join(moved, ", "), more);
}

std::vector<std::string> names_needed(const Step& step) {
  std::vector<std::string> names;
  for (const auto& need : step.needs) {
    if (std::find(names.begin(), names.end(), need.step) == names.end()) names.push_back(need.step);
  }
  return names;
}

/// A finished bundle counts only while its objects are there.
bool usable(const Step& step, const StepRecord& record, const Host& host) {
  // Other results lie in the cache itself, which has looked at their files.
  if (!step.name.starts_with("bundle")) return true;
  const auto found = record.outputs.find("bundle");
  return found != record.outputs.end() && host.objects != nullptr &&
         bundle::complete(*host.objects, found->second);
}

PlannedStep look(const Step& step, const Cache& cache, const Host& host,
                 const std::map<std::string, StepRecord>& finished, const doc::Value& last,
                 std::optional<StepRecord>& record) {
  PlannedStep planned;
  planned.name = step.name;
  planned.needs = names_needed(step);
  const auto inputs = inputs_of(step, finished);
  if (!inputs) {
    std::vector<std::string> waiting;
    for (const auto& need : planned.needs) {
      if (!finished.contains(need)) waiting.push_back(need);
    }
    planned.reason = fmt::format("it waits for `{}`", fmt::join(waiting, "`, `"));
    return planned;
  }
  planned.key = key_of(step.name, step.version, *inputs);
  record = cache.find(planned.key);
  if (record && !usable(step, *record, host)) record.reset();
  planned.cached = record.has_value();
  planned.reason =
      planned.cached ? "nothing it reads changed" : reason_of(*inputs, last.find(step.name));
  return planned;
}

struct Planned {
  Plan plan;
  std::map<std::string, StepRecord> finished;
};

Planned plan_graph(const std::vector<Step>& steps, const Definitions& definitions,
                   const Cache& cache, const Host& host) {
  Planned out;
  out.plan.model = definitions.model->identity.name;
  const doc::Value last = cache.last_inputs(out.plan.model);
  for (const auto& step : steps) {
    std::optional<StepRecord> record;
    out.plan.steps.push_back(look(step, cache, host, out.finished, last, record));
    if (record) out.finished[step.name] = std::move(*record);
  }
  return out;
}

Result<Candidate> candidate_of(const std::map<std::string, StepRecord>& finished) {
  Candidate out;
  const auto bundle = finished.find("bundle");
  const auto standby = finished.find("bundle.standby");
  const auto evaluated = finished.find("evaluate");
  // A run with `until` ends before there is a candidate.
  if (bundle == finished.end() || standby == finished.end() || evaluated == finished.end())
    return out;
  out.bundle = bundle->second.outputs.at("bundle");
  out.standby = standby->second.outputs.at("bundle");
  HEDDLE_ASSIGN_OR_RETURN(const auto facts, evaluation_facts(evaluated->second));
  out.metrics = evaluate::print_numbers(facts.metrics);
  out.standby_metrics = evaluate::print_numbers(facts.standby);
  if (facts.base) out.base = evaluate::print_base(*facts.base);
  // The step fails where a gate does, so that it has a result says that all passed.
  out.gates_passed = finished.contains("gates");
  if (const auto rows = finished.find("validate.rows"); rows != finished.end()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto found, rows_facts(rows->second));
    out.rows = found.accepted;
  }
  if (const auto search = finished.find("search"); search != finished.end()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto found, search_facts(search->second));
    out.trials = static_cast<int>(found.trials);
  }
  return out;
}

/// Runs what has no result, `parallel` steps at once, each as soon as what it needs is there. After
/// a failure nothing new starts; what runs is waited for, and kept.
class Scheduler {
 public:
  Scheduler(const std::vector<Step>& steps, Work& work, const doc::Value& last)
      : steps_(steps), work_(work), last_(last), inputs_(last) {
    if (!inputs_.is_object()) inputs_ = doc::Value::object();
  }

  Result<void> run(const std::set<std::string>& wanted) {
    for (const auto& step : steps_) {
      if (wanted.contains(step.name)) open_.push_back(&step);
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < std::max(1, work_.host().parallel); ++i) {
      threads.emplace_back([this] { loop(); });
    }
    for (auto& thread : threads) thread.join();
    if (failure_) return *failure_;
    return {};
  }

  [[nodiscard]] const std::map<std::string, StepRecord>& finished() const noexcept {
    return finished_;
  }
  int ran = 0;
  int cached = 0;

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (failure_ || open_.empty()) return;
      const auto ready = std::find_if(open_.begin(), open_.end(), [&](const Step* step) {
        return inputs_of(*step, finished_).has_value();
      });
      // What it waits for is running in another thread: every step that is needed is in `open_` or
      // was taken from it.
      if (ready == open_.end()) {
        changed_.wait(lock);
        continue;
      }
      const Step& step = **ready;
      // With the lock, before it is given back: no other thread takes the same step.
      open_.erase(ready);
      std::optional<StepRecord> record;
      const PlannedStep planned = look(step, work_.cache(), work_.host(), finished_, last_, record);
      const auto inputs = inputs_of(step, finished_);
      lock.unlock();
      Result<StepRecord> done =
          record ? kept(step, planned, *std::move(record)) : execute(step, planned);
      lock.lock();
      if (done.ok()) {
        note_finished(step, planned, *inputs, *std::move(done));
        // Of several that fail at once the first is told; the others are found again by the next
        // run.
      } else if (!failure_) {
        failure_ = done.error();
      }
      changed_.notify_all();
    }
  }

  Result<StepRecord> kept(const Step& step, const PlannedStep& planned, StepRecord record) {
    work_.tell({Progress::Kind::kStepCached, step.name, planned.reason, record.seconds});
    return record;
  }

  /// With the lock. What the step read is remembered for the next plan, which says what changed.
  void note_finished(const Step& step, const PlannedStep& planned,
                     const std::vector<StepInput>& inputs, StepRecord record) {
    planned.cached ? ++cached : ++ran;
    work_.finished(step.name, planned.key, record);
    finished_[step.name] = std::move(record);
    inputs_.set(step.name, to_value(inputs));
    // A step that was cached has read what the file says already.
    if (planned.cached) return;
    const auto remembered =
        work_.cache().remember_inputs(work_.definitions().model->identity.name, inputs_);
    if (!remembered.ok() && !failure_) failure_ = remembered.error();
  }

  Result<StepRecord> execute(const Step& step, const PlannedStep& planned) {
    const auto begin = SteadyClock::now();
    work_.tell({Progress::Kind::kStepStarted, step.name, planned.reason, 0});
    auto done = body(step, planned, begin);
    if (done.ok()) {
      work_.tell({Progress::Kind::kStepFinished, step.name, "", done->seconds});
    } else {
      done.error().message = fmt::format("step `{}`: {}", step.name, done.error().message);
      if (done.error().hint.empty()) done.error().hint = "then `heddle run` goes on from this step";
      work_.tell(
          {Progress::Kind::kStepFailed, step.name, done.error().message, seconds_since(begin)});
    }
    return done;
  }

  Result<StepRecord> body(const Step& step, const PlannedStep& planned,
                          SteadyClock::time_point begin) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string directory, work_.cache().begin(step.name));
    HEDDLE_ASSIGN_OR_RETURN(StepRecord record, step.body(work_, directory));
    record.seconds = seconds_since(begin);
    HEDDLE_TRY(work_.cache().commit(planned.key, directory, record));
    if (const std::string refused(kRefusedFile); record.files.contains(refused))
      work_.note(step.name, fmt::format("the first refused rows, with what each broke, are in `{}`",
                                        work_.cache().directory(planned.key) + "/" + refused));
    return record;
  }

  const std::vector<Step>& steps_;
  Work& work_;
  const doc::Value& last_;
  doc::Value inputs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const Step*> open_;
  std::map<std::string, StepRecord> finished_;
  std::optional<Error> failure_;
};

/// `until` and what it needs; every step when it is empty.
Result<std::set<std::string>> wanted_steps(const std::vector<Step>& steps,
                                           const std::string& until) {
  std::set<std::string> wanted;
  std::vector<std::string> names;
  for (const auto& step : steps) names.push_back(step.name);
  if (until.empty()) return std::set<std::string>(names.begin(), names.end());
  if (std::find(names.begin(), names.end(), until) == names.end()) {
    return Error{ErrorKind::kNotFound, "step-unknown", fmt::format("there is no step `{}`", until),
                 fmt::format("the steps are `{}`", fmt::join(names, "`, `"))};
  }
  wanted.insert(until);
  // Backwards, since steps stand behind what they need: one pass finds all of it.
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (!wanted.contains(step->name)) continue;
    for (const auto& need : step->needs) wanted.insert(need.step);
  }
  return wanted;
}

}  // namespace

bool Plan::nothing_to_do() const noexcept {
  return std::all_of(steps.begin(), steps.end(),
                     [](const PlannedStep& step) { return step.cached; });
}

Result<void> check_recipe(const spec::Model& model, const Recipe& recipe) {
  if (model.runtime) {
    return Error{ErrorKind::kInvalid, "refit-no-trainer",
                 fmt::format("model `{}` is not trained by Heddle", model.identity.name),
                 "train it where it is trained, then `heddle run`"};
  }
  if (recipe.trainer == model.trainer) return {};
  return Error{ErrorKind::kInvalid, "refit-other-trainer",
               fmt::format("the last accepted search of model `{}` is of trainer `{}`, its "
                           "definition names `{}`",
                           model.identity.name, recipe.trainer, model.trainer),
               "run `heddle run` and release what it gives: a refit uses what that search finds"};
}

namespace {

/// Where the rows of a run come from, and what it trains with.
Result<Source> source_of(const Definitions& definitions, const Cache& cache,
                         const RunOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto source, source_of(definitions, cache));
  if (options.recipe) {
    HEDDLE_TRY(check_recipe(*definitions.model, *options.recipe));
    source.recipe = &*options.recipe;
  }
  return source;
}

}  // namespace

Result<Plan> plan(const spec::Project& project, const Host& host, const RunOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(const auto definitions, Definitions::of(project, options.model));
  const Cache cache(host.state_dir);
  HEDDLE_ASSIGN_OR_RETURN(const auto source, source_of(definitions, cache, options));
  HEDDLE_ASSIGN_OR_RETURN(const auto steps, graph_of(definitions, host, source));
  return plan_graph(steps, definitions, cache, host).plan;
}

Result<GraphRun> run_graph(const Definitions& definitions, const Host& host, const Source& source,
                           const std::string& until, const ProgressSink& progress) {
  const Cache cache(host.state_dir);
  HEDDLE_ASSIGN_OR_RETURN(const auto steps, graph_of(definitions, host, source));
  HEDDLE_ASSIGN_OR_RETURN(const auto wanted, wanted_steps(steps, until));
  HEDDLE_TRY(make_dirs(cache.root()));
  // Two runs would write the same search folder. `plan` takes no lock: it only reads.
  auto lock = FileLock::acquire(cache.root() + "/lock");
  if (!lock.ok()) {
    return Error{ErrorKind::kConflict, "run-in-progress", "another run of this project is going on",
                 "wait for it, or stop it; what it finished is kept"};
  }
  HEDDLE_TRY(cache.sweep());
  HEDDLE_TRY(remember(source, cache));
  GraphRun out;
  // A step's file that is not what the step left is found when it is read. Its result is gone then,
  // and another pass makes it again: at most once for each step, unless the disk loses what it was
  // just given.
  for (std::size_t pass = 0;; ++pass) {
    const doc::Value last = cache.last_inputs(definitions.model->identity.name);
    Work work(definitions, host, source, cache, progress);
    Scheduler scheduler(steps, work, last);
    const auto done = scheduler.run(wanted);
    out.ran += scheduler.ran;
    out.cached = scheduler.cached;
    if (done.ok()) {
      out.finished = scheduler.finished();
      break;
    }
    if (done.error().id != kCacheDamaged || pass == steps.size()) return done.error();
    work.note("run", done.error().message + ": that step runs again");
  }
  // As a next run would find it, the steps that were not wanted included.
  out.plan = plan_graph(steps, definitions, cache, host).plan;
  return out;
}

Result<RunResult> run(const spec::Project& project, const Host& host, const RunOptions& options,
                      const ProgressSink& progress) {
  const auto begin = SteadyClock::now();
  HEDDLE_ASSIGN_OR_RETURN(const auto definitions, Definitions::of(project, options.model));
  const Cache cache(host.state_dir);
  HEDDLE_ASSIGN_OR_RETURN(const auto source, source_of(definitions, cache, options));
  HEDDLE_ASSIGN_OR_RETURN(auto done, run_graph(definitions, host, source, options.until, progress));
  RunResult result;
  result.plan = std::move(done.plan);
  result.ran = done.ran;
  result.cached = done.cached;
  if (options.until.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(result.candidate, candidate_of(done.finished));
    HEDDLE_TRY(cache.write_candidate(definitions.model->identity.name,
                                     candidate_schema().print(result.candidate)));
  }
  result.seconds = seconds_since(begin);
  return result;
}

Result<Candidate> last_candidate(const Host& host, const std::string& model) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, Cache(host.state_dir).read_candidate(model));
  auto candidate = candidate_schema().parse(value);
  // A whole run writes the file only with both.
  if (candidate.ok() && (candidate->bundle.empty() || candidate->standby.empty())) {
    return Error{ErrorKind::kCorrupt, "candidate-damaged",
                 fmt::format("the last candidate of model `{}` names no bundles", model),
                 "run `heddle run`: it writes the file anew"};
  }
  return candidate;
}

}  // namespace heddle::flow
