#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/file.hpp"
#include "jobs/jobs.hpp"
#include "stats/quality.hpp"
#include "train/own.hpp"
#include "train/rows_file.hpp"
#include "train/search.hpp"
#include "train/trial_files.hpp"

namespace heddle::train {
namespace {

struct Finished {
  Trained trained;
  double seconds = 0;
};

/// A trial of a trainer of one's own: what its model answers on the validation rows is judged, and
/// no model is kept.
Result<Finished> train_own_trial(const std::string& dir, const TrialParams& params,
                                 const RowsFile& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(dir + "/" + params.own));
  HEDDLE_ASSIGN_OR_RETURN(OwnTraining training, own_training_schema().parse_text(text));
  training.packed = dir + "/" + training.packed;
  training.rows = dir + "/" + training.rows;
  training.directory = dir + "/sandbox";
  // The project's own environment is found from it (`${project:.venv}`).
  HEDDLE_ASSIGN_OR_RETURN(training.hidden, jobs::state_here());
  HEDDLE_ASSIGN_OR_RETURN(const OwnFitted fitted, fit_own(training, [](std::string_view line) {
                            std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
                          }));
  Finished out;
  out.trained.validation_loss = stats::mean_loss(
      params.task, stats::margins_of(params.task, fitted.predictions),
      {rows.validation().labels, static_cast<std::size_t>(rows.validation().count)});
  return out;
}

Result<Finished> train_trial(const std::string& dir) {
  const auto start = std::chrono::steady_clock::now();
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(dir + "/params.json"));
  HEDDLE_ASSIGN_OR_RETURN(const TrialParams params, trial_params_schema().parse_text(text));
  HEDDLE_ASSIGN_OR_RETURN(const RowsFile rows, RowsFile::open(dir + "/" + params.rows));
  if (!params.own.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(Finished finished, train_own_trial(dir, params, rows));
    finished.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return finished;
  }
  TrainInput input;
  input.trainer = params.trainer;
  input.task = params.task;
  input.train = rows.train();
  input.validation = rows.validation();
  input.max_rounds = params.max_rounds;
  input.early_stopping_rounds = params.early_stopping_rounds;
  input.seed = params.seed;
  input.feature_names = params.feature_names;
  input.parameters = params.parameters;
  HEDDLE_ASSIGN_OR_RETURN(Trained trained, train(input));
  return Finished{std::move(trained),
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

Result<void> write_result(const std::string& dir, const Finished& finished) {
  if (!std::isfinite(finished.trained.validation_loss)) {
    return Error{ErrorKind::kInvalid, "trial-no-loss",
                 "the loss on the validation rows is no number", "give the search validation rows"};
  }
  return write_file_atomic(dir + "/result.json",
                           to_json(TrialOutcome{.loss = finished.trained.validation_loss,
                                                .rounds = finished.trained.rounds,
                                                .seconds = finished.seconds}));
}

}  // namespace

int run_trial(const std::string& dir) {
  Result<Finished> finished = train_trial(dir);
  Result<void> written;
  if (finished.ok()) written = write_result(dir, *finished);
  if (finished.ok() && written.ok()) return 0;
  const Error& error = finished.ok() ? written.error() : finished.error();
  std::fprintf(stderr, "%s\n", error.str().c_str());
  TrialOutcome failed;
  failed.error = error.message;
  failed.error_id = error.id;
  failed.error_hint = error.hint;
  (void)write_file_atomic(dir + "/result.json", to_json(failed));
  return 1;
}

}  // namespace heddle::train
