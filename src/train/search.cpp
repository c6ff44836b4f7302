#include "train/search.hpp"

#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <limits>
#include <mutex>
#include <thread>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "spec/task.hpp"
#include "train/own_parts.hpp"
#include "train/rows_file.hpp"
#include "train/tpe.hpp"
#include "train/trial_files.hpp"

namespace heddle::train {
namespace {

namespace fs = std::filesystem;

// A trial's own folder.
constexpr const char* kRows = "rows.bin";
constexpr const char* kOwn = "own.json";
constexpr const char* kOwnFiles = "own/files.tar";
constexpr const char* kOwnRows = "own/rows";
constexpr const char* kResult = "result.json";

/// A search in progress. One thread proposes and records; one thread a running trial only waits for
/// its process.
class Run {
 public:
  /// `shared`: inputs of every trial.
  Run(const SearchInput& input, const Tpe& tpe, std::map<std::string, Digest> shared,
      const TrialSink& sink, int total)
      : input_(input),
        tpe_(tpe),
        shared_(std::move(shared)),
        sink_(sink),
        total_(total),
        trials_(static_cast<std::size_t>(total)),
        state_(static_cast<std::size_t>(total), kWaiting) {}

  Result<std::vector<Trial>> go() {
    const int parallel = std::max(1, input_.search.parallel);
    int next = 0;
    int done = 0;
    int running = 0;
    std::vector<std::jthread> waiters;
    Result<void> failure;
    while (done < total_ || running > 0) {
      // Trial k needs the results of 0..k-1-P; a free slot alone is not enough, or the order of
      // ends would decide.
      while (failure.ok() && next < total_ && running < parallel && all_done(next - 1 - parallel)) {
        auto started = prepare(next);
        if (!started.ok()) {
          failure = started.error();
          break;
        }
        if (*started) {
          ++running;
          waiters.emplace_back([this, number = next] { wait_for(number); });
        } else {
          record(next, ++done);
        }
        ++next;
      }
      if (running == 0) {
        if (!failure.ok()) return failure.error();
        continue;
      }
      std::vector<int> ended;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !ended_.empty(); });
        ended.swap(ended_);
      }
      // By number, so that what is told does not depend on which thread woke first.
      std::sort(ended.begin(), ended.end());
      for (const int number : ended) {
        --running;
        record(number, ++done);
      }
    }
    return std::move(trials_);
  }

 private:
  enum State : std::uint8_t { kWaiting, kDone };

  std::string folder(int number) const {
    return fmt::format("{}/trial-{:04}", input_.directory, number);
  }
  bool all_done(int last) const {
    for (int i = 0; i <= last; ++i) {
      if (state_[static_cast<std::size_t>(i)] != kDone) return false;
    }
    return true;
  }

  void record(int number, int done) {
    state_[static_cast<std::size_t>(number)] = kDone;
    if (sink_) sink_(trials_[static_cast<std::size_t>(number)], done, total_);
  }

  /// Proposes trial `number` and writes its folder; true when a process is to run, false when its
  /// result is there already.
  Result<bool> prepare(int number) {
    Trial& trial = trials_[static_cast<std::size_t>(number)];
    trial.number = number;
    std::vector<Tpe::Observation> history;
    // Only those that every machine has by now, whatever
    // the order of their ends: the proposals are the same.
    for (int i = 0; i <= number - 1 - std::max(1, input_.search.parallel); ++i) {
      const Trial& earlier = trials_[static_cast<std::size_t>(i)];
      if (earlier.state == Trial::State::kFinished)
        history.push_back({earlier.values, earlier.loss});
    }
    trial.values = tpe_.propose(number, history);
    trial.parameters = input_.parameters;
    for (std::size_t d = 0; d < trial.values.size(); ++d) {
      trial.parameters.values.emplace_back(input_.search.space[d].name,
                                           tpe_.text(d, trial.values[d]));
    }
    const std::string params = doc::to_json(trial_params_schema().print(
        {input_.task, input_.trainer, trial.parameters, input_.feature_names,
         input_.search.max_rounds, input_.search.early_stopping_rounds, input_.seed, kRows,
         input_.own ? kOwn : "", input_.own ? input_.own_digest.str() : ""}));
    const std::string dir = folder(number);
    const auto before = read_file(dir + "/params.json");
    // A result counts only for the same parameters: a changed search tries anew.
    if (before.ok() && *before == params && read_result(trial).ok() &&
        trial.state == Trial::State::kFinished) {
      trial.resumed = true;
      return false;
    }
    std::error_code ignored;
    fs::remove_all(dir, ignored);
    HEDDLE_TRY(make_dirs(dir));
    HEDDLE_TRY(write_file_atomic(dir + "/params.json", params));
    return true;
  }

  /// What a trial is given, beside the rows that all share.
  Result<std::map<std::string, Digest>> inputs_of(const Trial& trial) const {
    std::map<std::string, Digest> inputs = shared_;
    HEDDLE_ASSIGN_OR_RETURN(const auto params, read_file(folder(trial.number) + "/params.json"));
    HEDDLE_ASSIGN_OR_RETURN(inputs["params.json"], input_.objects->put(params));
    if (!input_.own) return inputs;
    OwnTraining own = *input_.own;
    own.parameters = own_parameters(trial.parameters, input_.search.space);
    // Where the files of its machine are is the trial's to say.
    own.packed = kOwnFiles;
    own.rows = kOwnRows;
    own.directory = own.hidden = {};
    HEDDLE_ASSIGN_OR_RETURN(inputs[kOwn],
                            input_.objects->put(doc::to_json(own_training_schema().print(own))));
    return inputs;
  }

  /// Takes what the trial's process wrote; an error when it wrote nothing that can be read.
  Result<void> read_result(Trial& trial) const {
    HEDDLE_ASSIGN_OR_RETURN(const std::string text,
                            read_file(folder(trial.number) + "/result.json"));
    HEDDLE_ASSIGN_OR_RETURN(const TrialOutcome outcome, parse_trial_outcome(text));
    if (!outcome.error.empty()) {
      fail(trial, outcome.error);
      trial.error_id = outcome.error_id;
      trial.error_hint = outcome.error_hint;
      return {};
    }
    trial.state = Trial::State::kFinished;
    trial.loss = outcome.loss;
    trial.rounds = outcome.rounds;
    trial.seconds = outcome.seconds;
    trial.error.clear();
    return {};
  }

  static void fail(Trial& trial, std::string why) {
    trial.state = Trial::State::kFailed;
    trial.loss = std::numeric_limits<double>::quiet_NaN();
    trial.error = std::move(why);
  }

  void wait_for(int number) {
    Trial& trial = trials_[static_cast<std::size_t>(
        number)];  // nobody else touches it until it is in `ended_`
    run_process(trial);
    const std::lock_guard lock(mutex_);
    ended_.push_back(number);
    changed_.notify_one();
  }

  /// Puts what a trial left where a search that goes on looks for it, the result last.
  Result<void> keep_outputs(const Trial& trial, const jobs::Outcome& outcome) const {
    for (const auto& [output, name] : {std::pair{std::string(jobs::kLog), "output.txt"},
                                       std::pair{std::string(kResult), kResult}}) {
      const auto found = outcome.outputs.find(output);
      if (found == outcome.outputs.end()) continue;
      HEDDLE_ASSIGN_OR_RETURN(const auto bytes, input_.objects->get(found->second));
      HEDDLE_TRY(write_file_atomic(fmt::format("{}/{}", folder(trial.number), name), bytes));
    }
    return {};
  }

  void run_process(Trial& trial) const {
    jobs::Job job;
    job.name = fmt::format("trial {}", trial.number);
    job.program = input_.worker;
    job.arguments = {"worker", "trial", "."};
    job.outputs = {kResult};
    job.timeout_ms = input_.trial_timeout_ms;
    auto inputs = inputs_of(trial);
    if (!inputs.ok()) return fail(trial, inputs.error().message);
    job.inputs = *std::move(inputs);
    const auto handle = input_.runner->start(job, *input_.objects);
    if (!handle.ok()) return fail(trial, handle.error().message);
    const auto outcome = input_.runner->wait(*handle);
    if (!outcome.ok()) return fail(trial, outcome.error().message);
    if (const auto kept = keep_outputs(trial, *outcome); !kept.ok())
      return fail(trial, kept.error().message);
    const auto read = read_result(trial);
    if (outcome->timed_out) {
      fail(trial, fmt::format("took longer than {} s", input_.trial_timeout_ms / 1000));
    } else if (!read.ok()) {
      fail(trial, outcome->exit_code == 128 + 9
                      ? "was killed: by a person, or by the kernel for want of memory"
                      : fmt::format("ended with exit code {} and no result", outcome->exit_code));
    } else if (outcome->exit_code != 0 && trial.state == Trial::State::kFinished) {
      fail(trial, fmt::format("ended with exit code {}", outcome->exit_code));
    }
    trial.seconds = outcome->seconds;
  }

  const SearchInput& input_;
  const Tpe& tpe_;
  std::map<std::string, Digest> shared_;
  const TrialSink& sink_;
  int total_;
  std::vector<Trial> trials_;
  std::vector<std::uint8_t> state_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> ended_;
};

/// Puts what all trials share among the objects, by its place in a trial's folder; what another
/// search left in the folder is removed first.
Result<std::map<std::string, Digest>> share(const SearchInput& input) {
  const std::int64_t wanted = input.search.rows;
  const std::string rows =
      encode_rows(input.train, evenly_spaced(input.train.count, wanted), input.validation,
                  evenly_spaced(input.validation.count,
                                wanted > 0 ? std::max<std::int64_t>(wanted / 2, 1) : 0));
  std::map<std::string, Digest> shared;
  HEDDLE_TRY(make_dirs(input.directory));
  HEDDLE_ASSIGN_OR_RETURN(shared[kRows], input.objects->put(rows));
  if (input.own) {
    HEDDLE_ASSIGN_OR_RETURN(shared[kOwnFiles], input.objects->add_file(input.own->packed));
    for (const char* name : kOwnRowFiles) {
      HEDDLE_ASSIGN_OR_RETURN(shared[fmt::format("{}/{}", kOwnRows, name)],
                              input.objects->add_file(input.own->rows + "/" + name));
    }
  }
  // The folder's key is its rows: parameters are compared trial by trial.
  const std::string key = fmt::format("heddle.search/3 {}\n", shared[kRows].str());
  const auto before = read_file(input.directory + "/search.key");
  if (before.ok() && *before == key) return shared;
  for (const auto& name : list_dir(input.directory)) {
    std::error_code ignored;
    if (name.starts_with("trial-") || name == kRows)
      fs::remove_all(input.directory + "/" + name, ignored);
  }
  HEDDLE_TRY(write_file_atomic(input.directory + "/search.key", key));
  return shared;
}

}  // namespace

doc::Value Trial::to_value() const {
  doc::Value value =
      doc::Value::object({{"number", number},
                          {"state", state == State::kFinished ? "finished" : "failed"},
                          {"parameters", pairs_of(parameters)}});
  if (state == State::kFinished) {
    value.set("loss", loss);
    value.set("rounds", rounds);
  } else {
    value.set("error", error);
  }
  return value;
}

doc::Value SearchResult::to_value() const {
  doc::Value::Array items;
  for (const auto& trial : trials) items.push_back(trial.to_value());
  return doc::Value::object({{"best", best}, {"trials", std::move(items)}});
}

Result<SearchResult> search(const SearchInput& input, const TrialSink& on_trial) {
  if (input.search.trials < 1) {
    return Error{ErrorKind::kInvalid, "search-trials",
                 fmt::format("a search of {} trials", input.search.trials),
                 "set `trials` to 1 or more"};
  }
  if (input.validation.count < 1) {
    return Error{ErrorKind::kInvalid, "search-no-validation",
                 "a search compares trials on validation rows, and there are none",
                 "set `validation_fraction` above 0"};
  }
  if (input.train.count < 1 || input.train.columns < 1 ||
      input.validation.columns != input.train.columns) {
    return Error{ErrorKind::kInvalid, "train-shape",
                 "a search needs training and validation rows with the same features",
                 "apply the same feature program to both"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const Tpe tpe,
                          Tpe::open(input.search.space, input.seed, input.search.startup));
  HEDDLE_ASSIGN_OR_RETURN(auto shared, share(input));
  const int total = input.search.space.empty()
                        ? 1
                        : input.search.trials;  // nothing to vary: one is as good as all
  SearchResult result;
  HEDDLE_ASSIGN_OR_RETURN(result.trials, Run(input, tpe, std::move(shared), on_trial, total).go());
  result.best = -1;
  for (const auto& trial : result.trials) {
    if (trial.state != Trial::State::kFinished) continue;
    if (result.best < 0 || trial.loss < result.trials[static_cast<std::size_t>(result.best)].loss)
      result.best = trial.number;
  }
  if (result.best < 0) {
    const Trial& first = result.trials.front();
    // A trainer of one's own says itself what is wrong with it.
    if (input.own && first.error_id.starts_with("own-")) {
      return Error{ErrorKind::kUnprocessable, first.error_id,
                   result.trials.size() == 1 ? first.error
                                             : fmt::format("all {} trials failed; the first: {}",
                                                           result.trials.size(), first.error),
                   fmt::format("{}; `{}/trial-0000/output.txt` has all that it printed",
                               first.error_hint, input.directory)};
    }
    return Error{ErrorKind::kUnprocessable, "search-all-failed",
                 fmt::format("all {} trials failed; the first: {}", result.trials.size(),
                             result.trials.front().error),
                 fmt::format("see `{}/trial-0000/output.txt`", input.directory)};
  }
  return result;
}

}  // namespace heddle::train
