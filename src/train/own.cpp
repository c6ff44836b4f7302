#include "train/own.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/file.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "spec/task.hpp"
#include "train/own_parts.hpp"

namespace heddle::train {
namespace {

constexpr std::int64_t kMostModel = std::int64_t{2} << 30;
constexpr std::int64_t kMostResult = 4 << 20;
constexpr std::size_t kMostTold = 500;

/// What the trainer's process left in its scratch folder.
struct Left {
  doc::Value result{};
  std::string predictions{};
  std::string engine_model{};
  std::vector<std::pair<std::string, std::string>> model{};
};

Result<Left> take_out(int scratch) {
  Left left;
  HEDDLE_ASSIGN_OR_RETURN(const std::string text,
                          runtime::read_below(scratch, "out/result.json", kMostResult));
  HEDDLE_ASSIGN_OR_RETURN(left.result, doc::parse_json(text));
  // Nothing else is there then.
  if (left.result.find("failed") != nullptr) return left;
  HEDDLE_ASSIGN_OR_RETURN(left.predictions,
                          runtime::read_below(scratch, "out/predictions.f64", kMostModel));
  if (left.result.find("engine_format") != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(left.engine_model,
                            runtime::read_below(scratch, "out/engine.model", kMostModel));
  }
  for (const char* name : {"how.json", "model.pickle", "model.pt", "model.onnx"}) {
    auto bytes = runtime::read_below(scratch, std::string("out/model/") + name, kMostModel);
    // Which of them there are depends on what the trainer returned.
    if (bytes.ok()) left.model.emplace_back(std::string("model/") + name, std::move(*bytes));
  }
  return left;
}

Error own_error(std::string id, std::string message, std::string hint) {
  return Error{ErrorKind::kUnprocessable, std::move(id), std::move(message), std::move(hint)};
}

std::string cut(std::string text) {
  if (text.size() > kMostTold) text.resize(kMostTold);
  return text;
}

/// The trainer's own words: what went wrong, and where in its files.
Error failure_of(const OwnTraining& training, const doc::Value& result,
                 const runtime::LineSink& said) {
  static constexpr std::string_view kKinds[] = {"raised",   "environment", "package",
                                                "returned", "answers",     "memory",
                                                "disk",     "outside",     "file"};
  const std::string what = result.string_or("failed");
  // The kind comes from the trainer's own process: what is not known becomes no id.
  const bool is_known = std::find(std::begin(kKinds), std::end(kKinds), what) != std::end(kKinds);
  const std::string type = cut(result.string_or("type"));
  const std::int64_t line = result.int_or("line");
  std::string place = cut(result.string_or("file", training.file));
  if (line > 0) place += fmt::format(":{}", line);
  const std::string function = cut(result.string_or("function"));
  // Code at the top of a file is in no function that a reader could look for.
  if (!function.empty() && function != "<module>") place += fmt::format(" in {}", function);
  // What Heddle's helper says itself holds no row; what a library says may.
  const bool is_helpers =
      what == "environment" || what == "file" || what == "returned" || what == "answers";
  const std::string words = cut(result.string_or("message"));
  std::string message = what == "environment" || what == "file" ? words
                        : is_helpers ? fmt::format("{}: {}", place, words)
                                     : fmt::format("{}: {}", place, type);
  if (!is_helpers && training.quotes_rows) message += ": " + words;
  if (training.quotes_rows && !is_helpers && said) {
    for (const auto& each : doc::items_of(result.find("trace"))) said(cut(doc::text_of(each)));
  }
  return own_error(fmt::format("own-{}", is_known ? what : "raised"), std::move(message),
                   cut(result.string_or("hint", "see the lines of the trace")));
}

/// It left no result: the process was ended, or ended itself.
Error ended(const OwnTraining& training, const runtime::OnceEnd& end) {
  std::string last;
  if (!end.last_lines.empty()) last = end.last_lines.back();
  // Before the timeout: a process that was ended for its memory may be past its time as well.
  if (last.find("more than `memory_bytes`") != std::string::npos)
    return own_error("own-memory", fmt::format("{}: {}", training.file, last),
                     "raise `exec.memory_bytes`, or train on fewer rows");
  if (end.timed_out)
    return own_error("own-deadline",
                     fmt::format("{}: the trainer had not ended after {} s and was stopped with "
                                 "all that it had started",
                                 training.file, training.timeout_s),
                     "raise `exec.timeout_s`, or find what it waits for");
  if (training.quotes_rows && !last.empty()) last = fmt::format("; its last line: {}", cut(last));
  return own_error("own-ended",
                   fmt::format("{}: its process ended ({}) without a result{}", training.file,
                               end.how, training.quotes_rows ? last : ""),
                   "it must return from `fit`: what a fork of it does counts for nothing");
}

Result<std::vector<float>> predictions_of(const OwnTraining& training, const std::string& bytes) {
  const std::size_t wanted =
      static_cast<std::size_t>(training.valid_rows) * training.task.outputs();
  // The process could write anything into its folder: nothing of it is believed.
  if (bytes.size() != wanted * sizeof(double)) {
    return own_error("own-answers",
                     fmt::format("{}: {} bytes of answers for {} rows of {} numbers", training.file,
                                 bytes.size(), training.valid_rows, training.task.outputs()),
                     "the trainer's process must not write what its helper writes");
  }
  std::vector<float> out(wanted);
  for (std::size_t i = 0; i < wanted; ++i) {
    double value = 0;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    out[i] = static_cast<float>(value);
    const bool is_probability = training.task.kind != stats::TaskKind::kRegression;
    if (std::isfinite(out[i]) && (!is_probability || (out[i] >= 0 && out[i] <= 1))) continue;
    if (training.may_lack && std::isnan(out[i])) continue;
    return own_error("own-answers",
                     fmt::format("{}: the model answers row {} with {}", training.file,
                                 i / training.task.outputs(), value),
                     "each row needs a finite number, or a probability");
  }
  return out;
}

std::string job_of(const OwnTraining& training) {
  const doc::Value whole = own_training_schema().print(training);
  doc::Value job = doc::Value::object({{"format", "heddle.exec-job/1"}});
  for (const char* key :
       {"file", "lock", "task", "columns", "parameters", "seed", "verify_files", "may_lack"})
    job.set(key, *whole.find(key));
  return doc::to_json(job);
}

}  // namespace

runtime::Once in_sandbox(const std::string& python, std::string_view program) {
  runtime::Once once;
  // Unbuffered: what it prints is told as it comes.
  once.place.command = {python, "-u", "-B", std::string(program)};
  // One thread each: trials run side by side, and sums of several threads differ from run to run.
  once.environment = {"OMP_NUM_THREADS=1",    "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1",
                      "NUMBA_CACHE_DIR=/tmp", "MPLCONFIGDIR=/tmp",      "PYTHONHASHSEED=0"};
  return once;
}

Error without_python(const std::string& python, const Error& error) {
  // Another error is of the sandbox and not of a missing environment.
  if (error.id != "runtime-program" && error.id != "secret-not-set") return error;
  return Error{
      ErrorKind::kNotFound, "own-python",
      fmt::format("the trainer's environment `{}` is not there: {}", python, error.message),
      "make it (`python3 -m venv .venv`, then pip install what its lock says), or name "
      "another in `exec.python`"};
}

Result<OwnFitted> fit_own(const OwnTraining& training, const runtime::LineSink& said) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string files, read_file(training.packed));
  HEDDLE_ASSIGN_OR_RETURN(const std::string packed,
                          with_files(files, {{"job.json", job_of(training)}}));
  runtime::Once once = in_sandbox(training.python, kFitFile);
  once.place.command.emplace_back("job.json");
  once.place.files = packed;
  for (const char* name : kOwnRowFiles)
    once.place.linked.emplace_back(name, training.rows + "/" + name);
  once.place.directory = training.directory;
  once.place.hidden = training.hidden;
  once.place.memory_bytes = training.memory_bytes;
  once.whole_sandbox = training.whole_sandbox;
  once.timeout_ms = training.timeout_s * 1000;
  // Not found until the process has ended and its folder was read.
  Result<Left> left = Error{ErrorKind::kNotFound, "once-output", "", ""};
  auto end = runtime::run_once(once, said, [&](int scratch) -> Result<void> {
    left = take_out(scratch);
    return {};
  });
  if (!end.ok()) return without_python(training.python, end.error());
  if (!left.ok()) return ended(training, *end);
  const doc::Value& result = left->result;
  if (result.find("failed") != nullptr) return failure_of(training, result, said);
  // `how.json` and the model itself: with fewer files than two there is nothing to serve.
  if (end->exit_code != 0 || left->model.size() < 2) return ended(training, *end);
  OwnFitted out;
  out.returned = cut(result.string_or("returned"));
  out.python = cut(result.string_or("python"));
  if (const doc::Value* packages = result.find("packages")) out.packages = *packages;
  out.engine_format = cut(result.string_or("engine_format"));
  out.engine_model = std::move(left->engine_model);
  out.no_engine = cut(result.string_or("no_engine"));
  if (const doc::Value* adopted = result.find("adopted")) out.adopted = *adopted;
  out.layers = end->layers;
  HEDDLE_ASSIGN_OR_RETURN(out.predictions, predictions_of(training, left->predictions));
  HEDDLE_ASSIGN_OR_RETURN(out.worker_files, with_files(files, left->model));
  return out;
}

Result<std::string> lock_of(const spec::Exec& exec, const std::string& directory,
                            const std::string& hidden) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string files, own_files(exec));
  runtime::Once once = in_sandbox(exec.python, kLockFile);
  once.place.files = files;
  once.place.directory = directory;
  once.place.hidden = hidden;
  once.place.memory_bytes = exec.worker.memory_bytes;
  std::string text;
  const auto end = runtime::run_once(
      once, [&](std::string_view line) { text += fmt::format("{}\n", line); },
      [](int) { return Result<void>(); });
  if (!end.ok()) return without_python(exec.python, end.error());
  // The first line says that the helper ran: an interpreter
  // that prints something else is no Python of ours.
  if (end->exit_code != 0 || !text.starts_with("# python "))
    return own_error("own-ended",
                     fmt::format("the environment's interpreter ended ({}): {}", end->how,
                                 end->last_lines.empty() ? "" : end->last_lines.back()),
                     "try it by hand");
  return text;
}

}  // namespace heddle::train
