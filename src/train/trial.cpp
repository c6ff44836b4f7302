#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "spec/task.hpp"
#include "train/rows_file.hpp"
#include "train/search.hpp"

namespace heddle::train {
namespace {

struct Finished {
  Trained trained;
  double seconds = 0;
};

Result<Finished> train_trial(const std::string& dir) {
  const auto start = std::chrono::steady_clock::now();
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(dir + "/params.json"));
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value params, doc::parse_json(text));
  if (params.string_or("format") != "heddle.trial/2") {
    return Error{ErrorKind::kInvalid, "trial-params",
                 fmt::format("`{}/params.json` is no trial of this version", dir),
                 "start the search again"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const RowsFile rows,
                          RowsFile::open(dir + "/" + params.string_or("rows", "../rows.bin")));
  TrainInput input;
  input.trainer = params.string_or("trainer");
  const doc::Value* task = params.find("task");
  HEDDLE_ASSIGN_OR_RETURN(input.task,
                          spec::task_schema().parse(task == nullptr ? doc::Value() : *task));
  input.train = rows.train();
  input.validation = rows.validation();
  input.max_rounds = static_cast<int>(params.int_or("max_rounds", 1));
  input.early_stopping_rounds = static_cast<int>(params.int_or("early_stopping_rounds"));
  input.seed = params.int_or("seed");
  if (const doc::Value* names = params.find("feature_names");
      names != nullptr && names->is_array()) {
    for (const auto& name : names->as_array())
      input.feature_names.push_back(name.is_string() ? name.as_string() : "");
  }
  if (const doc::Value* pairs = params.find("parameters"); pairs != nullptr && pairs->is_array()) {
    for (const auto& pair : pairs->as_array())
      input.parameters.values.emplace_back(pair.string_or("name"), pair.string_or("value"));
  }
  HEDDLE_ASSIGN_OR_RETURN(Trained trained, train(input));
  return Finished{std::move(trained),
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

Result<void> write_result(const std::string& dir, const Finished& finished) {
  if (!std::isfinite(finished.trained.validation_loss)) {
    return Error{ErrorKind::kInvalid, "trial-no-loss",
                 "the loss on the validation rows is no number", "give the search validation rows"};
  }
  HEDDLE_TRY(write_file_atomic(dir + "/model.json", finished.trained.model));
  return write_file_atomic(
      dir + "/result.json",
      doc::to_json(doc::Value::object({{"format", "heddle.trial-result/2"},
                                       {"loss", finished.trained.validation_loss},
                                       {"rounds", finished.trained.rounds},
                                       {"seconds", finished.seconds}})));
}

}  // namespace

int run_trial(const std::string& dir) {
  Result<Finished> finished = train_trial(dir);
  Result<void> written;
  if (finished.ok()) written = write_result(dir, *finished);
  if (finished.ok() && written.ok()) return 0;
  const Error& error = finished.ok() ? written.error() : finished.error();
  std::fprintf(stderr, "%s\n", error.str().c_str());
  (void)write_file_atomic(dir + "/result.json",
                          doc::to_json(doc::Value::object(
                              {{"format", "heddle.trial-result/2"}, {"error", error.message}})));
  return 1;
}

}  // namespace heddle::train
