#include <algorithm>
#include <set>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "spec/check_upstream.hpp"
#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/load.hpp"
#include "spec/task.hpp"
#include "stats/class_index.hpp"
#include "trainer/trainer.hpp"

namespace heddle::spec {
namespace {

constexpr stats::TaskKind kTasks[] = {stats::TaskKind::kBinary, stats::TaskKind::kClasses,
                                      stats::TaskKind::kRegression};

/// Parameters of a trainer of one's own keep their types: a text that would read as a number, true,
/// false or null stands in quotes, as JSON has it.
void set_typed_parameters(TrainerParameters& into, const doc::Value& value) {
  into.values.clear();
  for (const auto& [name, parameter] : value.as_object()) {
    const bool is_word = parameter.is_string() && !doc::parse_json(parameter.as_string()).ok();
    into.values.emplace_back(name, is_word ? parameter.as_string() : doc::to_json(parameter));
  }
}

void set_parameters(TrainerParameters& into, const doc::Value& value, Reader& reader) {
  for (const auto& [name, parameter] : value.as_object()) {
    std::string text;
    if (parameter.is_string())
      text = parameter.as_string();
    else if (parameter.is_int())
      text = fmt::format("{}", parameter.as_int());
    else if (parameter.is_double())
      text = fmt::format("{}", parameter.as_double());
    else if (parameter.is_bool())
      // Trainers read true and false as 1 and 0.
      text = fmt::format("{:d}", parameter.as_bool());
    else
      reader.report(parameter.position(), "wrong-type",
                    fmt::format("parameter `{}` must be a scalar", name),
                    "write a number or a string");
    into.values.emplace_back(name, std::move(text));
  }
}

/// The classes as a Model lists them: all texts, or all whole numbers.
void set_classes(Model& into, const doc::Value& value, Reader& reader) {
  const auto wrong = [&](doc::Position at, std::string what, std::string hint) {
    reader.report(at, "bad-classes", std::move(what), std::move(hint));
  };
  constexpr const char* kForm = "for example `classes: [low, middle, high]` or `[0, 1, 2]`";
  if (!value.is_array() || value.size() < 2 || value.size() > kMostClasses)
    return wrong(value.position(),
                 fmt::format("`classes` must be a list of 2 to {} classes", kMostClasses), kForm);
  // The first one says which of the two all must be.
  into.whole_classes = value.as_array().front().is_int();
  std::set<std::string> seen;
  for (const auto& item : value.as_array()) {
    if (item.is_string() && item.as_string().find_first_not_of(" \t\r\n") == std::string::npos)
      return wrong(item.position(), "a class is blank", "write its text, or leave it out");
    if (into.whole_classes ? !item.is_int() : !item.is_string() || item.as_string().empty())
      return wrong(item.position(), "the classes must be texts, or whole numbers, all alike",
                   kForm);
    if (into.whole_classes && !stats::can_be_class(item.as_int()))
      return wrong(item.position(),
                   fmt::format("class {} is not between -{} and {}", item.as_int(),
                               stats::kLargestClass, stats::kLargestClass),
                   "make the target and its classes texts");
    auto name = into.whole_classes ? fmt::to_string(item.as_int()) : item.as_string();
    if (!seen.insert(name).second)
      wrong(item.position(), fmt::format("class `{}` appears more than once", name),
            "remove one of the two");
    into.classes.push_back(std::move(name));
  }
}

const Schema<Model>& interval_keys() {
  static const Schema<Model> interval = [] {
    Schema<Model> t("interval",
                    "a split-conformal interval of each value, or set of classes, from the "
                    "validation rows");
    t.custom("coverage", Shape::kNumber,
             "the share of true values that it is to hold, above 0 and below 1",
             [](Model& into, const doc::Value& value, Reader& reader) {
               const double coverage = value.as_double();
               if (!(coverage > 0 && coverage < 1))
                 return reader.report(value.position(), "bad-interval",
                                      fmt::format("`coverage` is {}", coverage),
                                      "give a share above 0 and below 1, for example 0.9");
               into.coverage = coverage;
             })
        .required();
    return t;
  }();
  return interval;
}

const Schema<SearchDimension>& dimension_keys() {
  static const Schema<SearchDimension> dimension = [] {
    using Kind = SearchDimension::Kind;
    Schema<SearchDimension> t("a dimension", "one parameter the search varies");
    t.text("name", &SearchDimension::name, "a parameter of the trainer").required();
    t.choice("kind", &SearchDimension::kind,
             {{"uniform", Kind::kUniform},
              {"log_uniform", Kind::kLogUniform},
              {"integer", Kind::kInteger},
              {"log_integer", Kind::kLogInteger},
              {"choice", Kind::kChoice}},
             "how it varies")
        .required();
    t.number("low", &SearchDimension::low, "smallest value");
    t.number("high", &SearchDimension::high, "largest value");
    t.numbers("choices", &SearchDimension::choices, "of `choice`: the values");
    t.finally([](SearchDimension& into, const doc::Value& value, Reader& reader) {
      const bool choice = into.kind == Kind::kChoice;
      const bool log = into.kind == Kind::kLogUniform || into.kind == Kind::kLogInteger;
      if (choice ? into.choices.empty() : into.low >= into.high) {
        reader.report(value.position(), "bad-search",
                      fmt::format("dimension `{}` has nothing to vary", into.name),
                      choice ? "add `choices: [...]`" : "`low` must be below `high`");
      } else if (log && into.low <= 0) {
        reader.report(
            value.position(), "bad-search",
            fmt::format("dimension `{}` varies by its logarithm from {}", into.name, into.low),
            "`low` must be above 0");
      }
    });
    return t;
  }();
  return dimension;
}

const Schema<Search>& search_keys() {
  static const Schema<Search> search = [] {
    Schema<Search> t("search", "seeded TPE over the trainer's parameters");
    t.integer("trials", &Search::trials, "trainings in all", 1);
    t.integer("parallel", &Search::parallel,
              "trials at once; trial k is proposed from trials 0..k-1-parallel", 1);
    t.integer("startup", &Search::startup, "random trials before TPE", 1);
    t.integer("early_stopping_rounds", &Search::early_stopping_rounds,
              "stop a trial after so many rounds without gain", 1);
    t.integer("max_rounds", &Search::max_rounds, "most rounds of a trial", 1);
    t.integer("rows", &Search::rows, "training rows of a trial, evenly spaced in time; 0: all");
    t.objects("space", &Search::space, dimension_keys(), "what varies").required();
    return t;
  }();
  return search;
}

/// Which rows, by their time: all, a span that stands still, or a window up to the newest.
void check_times(const Model& into, const doc::Value& value, Reader& reader) {
  const bool from = value.find("from") != nullptr;
  const bool to = value.find("to") != nullptr;
  const doc::Value* const window = value.find("window");
  if (into.time_field.empty() && (from || to || window != nullptr)) {
    reader.report(value.position(), "time-field-missing",
                  "`from`, `to` and `window` bound a time, and no `time_field` is named",
                  "add `time_field`, or leave them out");
  }
  if (from != to) {
    reader.report(
        value.position(), "missing-key",
        fmt::format("`{}` stands without `{}`", from ? "from" : "to", from ? "to" : "from"),
        "give both, or neither for all rows");
  } else if (to && into.train_to <= into.train_from) {
    reader.report(value.position(), "out-of-range", "`to` is not after `from`",
                  "give the training rows a time span");
  }
  if (window == nullptr) return;
  if (from || to) {
    reader.report(window->position(), "window-and-times",
                  "`window` moves with the newest row, `from` and `to` stand still",
                  "give `window` or both times");
  } else if (into.train_window <= 0) {
    reader.report(window->position(), "out-of-range", "`window` holds no row",
                  "write how long, for example `60d`");
  }
}

const Schema<Model>& train_keys() {
  static const Schema<Model> train = [] {
    Schema<Model> t(
        "train", "the rows, split in time order; without `time_field` in an order drawn by `seed`");
    t.text("source", &Model::source, "name of a source of heddle.yaml").required();
    t.text("time_field", &Model::time_field,
           "the timestamp field that orders the rows; leave it out when they have none");
    t.time("from", &Model::train_from, "first moment, with `time_field`; default: all rows");
    t.time("to", &Model::train_to, "end, not included, with `time_field`; default: all rows");
    t.duration("window", &Model::train_window,
               "in place of `from` and `to`: so long up to the newest row, with `time_field`");
    t.number("validation_fraction", &Model::validation_fraction,
             "share of the rows, after training, for the search");
    t.number("test_fraction", &Model::test_fraction,
             "share of the rows, last in their order, for evaluation");
    t.finally([](Model& into, const doc::Value& value, Reader& reader) {
      check_times(into, value, reader);
      // At least a tenth is left to train on. Neither part may be empty: the search is measured on
      // the one, the gates on the other.
      if (into.validation_fraction <= 0 || into.test_fraction <= 0 ||
          into.validation_fraction + into.test_fraction >= 0.9) {
        reader.report(value.position(), "out-of-range",
                      "the fractions leave too little to train on",
                      "each must be above 0 and both together below 0.9");
      }
    });
    return t;
  }();
  return train;
}

const Schema<Model>& standby_keys() {
  static const Schema<Model> standby = [] {
    Schema<Model> t("standby", "the simpler model of the same run");
    t.text("trainer", &Model::standby_trainer,
           "its trainer; default: `logistic`, of a regression `ridge`")
        .one_of(trainer::trainers().names());
    t.custom("parameters", Shape::kMap, "parameters of its trainer",
             [](Model& into, const doc::Value& value, Reader& reader) {
               set_parameters(into.standby_parameters, value, reader);
             });
    return t;
  }();
  return standby;
}

/// A worker and an upstream server have members of their own; which belong together is said at
/// once, not when the bundle is started.
void check_runtime(Runtime& into, const doc::Value& value, Reader& reader) {
  const auto wrong = [&](std::string what, std::string hint) {
    reader.report(value.position(), "bad-runtime", std::move(what), std::move(hint));
  };
  const bool process = into.kind == Runtime::Kind::kProcess;
  if (process && (into.files.empty() || into.command.empty()))
    wrong("a `process` needs its files and its command",
          "add `files: worker/` and `command: [python3, serve.py]`");
  if (process && !(into.url.empty() && into.model.empty() && into.token.empty()))
    wrong("`url`, `model` and `token` are of an `upstream`",
          "remove them, or set `kind: upstream`");
  if (!process && (into.url.empty() || into.model.empty()))
    wrong("an `upstream` needs its address and its model",
          "add `url: http://host:port` and `model: NAME`");
  if (!process && !(into.files.empty() && into.command.empty()))
    wrong("`files` and `command` are of a `process`", "remove them, or set `kind: process`");
  // A definition is committed: only where a secret is found may stand in it.
  if (!into.token.empty() && !into.token.starts_with("${")) {
    reader.report(value.find("token")->position(), "secret-in-file",
                  "a secret stands in a definition", "write `${env:NAME}` or `${file:PATH}`");
  }
  if (!(into.tolerance >= 0 && into.tolerance <= 0.1))
    wrong("`tolerance` is a difference of probabilities, or a share of a value",
          "give it from 0 to 0.1");
}

const Schema<Runtime>& runtime_keys() {
  static const Schema<Runtime> runtime = [] {
    Schema<Runtime> t("runtime",
                      "what scores the rows of a model that Heddle does not train: over the Open "
                      "Inference Protocol, version 2");
    t.choice(
         "kind", &Runtime::kind,
         {{"process", Runtime::Kind::kProcess}, {"upstream", Runtime::Kind::kUpstream}},
         "`process`: a worker whose files go into the bundle; `upstream`: a server that is there")
        .required();
    t.choice("inputs", &Runtime::inputs,
             {{"fields", Runtime::Inputs::kFields}, {"features", Runtime::Inputs::kFeatures}},
             "what is sent: the contract's fields, or the feature set's columns");
    t.text("output", &Runtime::output,
           "name of the tensor that is read; default: `probability`, of `task: classes` "
           "`probabilities`, of `task: regression` `value`");
    t.integer("timeout_ms", &Runtime::timeout_ms, "for one answer", 1);
    t.integer("connections", &Runtime::connections, "batches under way at once", 1);
    t.number(
        "tolerance", &Runtime::tolerance,
        "largest difference to the reference predictions, in probability; of `task: regression` "
        "as a share of the value, or of 1 where that is larger");
    t.text("files", &Runtime::files, "of `process`: the worker's folder");
    t.texts("command", &Runtime::command,
            "of `process`: program and arguments; `${env:NAME}` is resolved where it runs");
    t.integer("memory_bytes", &Runtime::memory_bytes,
              "of `process`: memory of all its processes; files that it writes may take a quarter "
              "as much again",
              16 << 20);
    t.choice("sandbox", &Runtime::sandbox,
             {{"available", Runtime::Sandbox::kAvailable}, {"full", Runtime::Sandbox::kFull}},
             "of `process`: `available`: the layers that the machine gives, and what is missing is "
             "said; `full`: it is not started when one is missing");
    t.integer("start_timeout_ms", &Runtime::start_timeout_ms, "of `process`: until it is ready", 1);
    t.text("url", &Runtime::url, "of `upstream`: `http://host:port` or `https://...`");
    t.text("model", &Runtime::model, "of `upstream`: the model's name there");
    t.text("token", &Runtime::token,
           "of `upstream`: `${env:NAME}` or `${file:PATH}`, sent as a bearer token");
    t.finally(check_runtime);
    return t;
  }();
  return runtime;
}

const Schema<Exec>& exec_keys() {
  static const Schema<Exec> exec = [] {
    constexpr Runtime::Inputs kFields = Runtime::Inputs::kFields;
    Schema<Exec> t("exec", "of `trainer: exec`: a trainer of the project's own");
    t.text("file", &Exec::file, "the Python file with a function under `@heddle.train`").required();
    t.texts("files", &Exec::files, "other files of the project that it imports or reads");
    t.text(
         "python", &Exec::python,
         "the interpreter or its environment's folder: a path, `${project:.venv}`, `${env:NAME}`, "
         "or a name on PATH")
        .required();
    t.text("lock", &Exec::lock,
           "what is installed there: the file that `heddle trainer lock` writes")
        .required();
    t.choice("inputs", &Exec::inputs,
             {{"fields", kFields}, {"features", Runtime::Inputs::kFeatures}},
             "the columns of its rows: the contract's fields, or the feature set's columns");
    t.integer("timeout_s", &Exec::timeout_s, "seconds for one training", 1);
    // A worker's options stand beside the trainer's and belong to another struct, which the
    // schema's own methods cannot reach.
    const auto of_worker = [](auto Runtime::* member) {
      return [member](Exec& into, const doc::Value& value, Reader&) {
        using M = std::remove_reference_t<decltype(into.worker.*member)>;
        if constexpr (std::is_same_v<M, double>)
          into.worker.*member = value.as_double();
        else
          into.worker.*member = value.as_int();
      };
    };
    t.custom("memory_bytes", Shape::kInteger,
             "memory of all its processes, of a worker too; files may take a quarter as much again",
             of_worker(&Runtime::memory_bytes));
    // A custom key gets its bounds by itself.
    t.keys.back().at_least = 16 << 20;
    t.custom("sandbox", Shape::kText,
             "`available`: behind what this machine has of the sandbox; `full`: not without all",
             [](Exec& into, const doc::Value& value, Reader&) {
               into.worker.sandbox = value.as_string() == "full" ? Runtime::Sandbox::kFull
                                                                 : Runtime::Sandbox::kAvailable;
             })
        .one_of({"available", "full"});
    t.custom("scored_by", Shape::kText,
             "`best`: Heddle's engine where it answers what the library answers, else a worker; "
             "`worker`: always a worker",
             [](Exec& into, const doc::Value& value, Reader&) {
               into.may_use_engine = value.as_string() != "worker";
             })
        .one_of({"best", "worker"});
    t.custom("tolerance", Shape::kNumber,
             "largest difference of the engine, and of a worker, to the model's own answers: in "
             "probability, of `task: regression` as a share of the value, or of 1 where that is "
             "larger",
             of_worker(&Runtime::tolerance));
    t.keys.back().at_least = 0;
    t.keys.back().at_most = 0.1;
    t.custom("timeout_ms", Shape::kInteger, "of a worker: for one answer",
             of_worker(&Runtime::timeout_ms));
    t.keys.back().at_least = 1;
    t.custom("connections", Shape::kInteger, "of a worker: batches under way at once",
             of_worker(&Runtime::connections));
    t.keys.back().at_least = 1;
    t.custom("start_timeout_ms", Shape::kInteger, "of a worker: until it is ready",
             of_worker(&Runtime::start_timeout_ms));
    t.keys.back().at_least = 1;
    return t;
  }();
  return exec;
}

/// `trainer: exec` and `exec` stand together, and then parameters have types.
void settle_own_trainer(Model& into, const doc::Value& value, Reader& reader) {
  const bool is_own = into.trainer == "exec";
  // All were read as texts before it was known whose parameters they are.
  const doc::Value* const parameters = value.find("parameters");
  if (is_own && parameters != nullptr && parameters->is_object())
    set_typed_parameters(into.parameters, *parameters);
  // Both or neither is right; each of the others has its own message.
  if (is_own == into.exec.has_value()) return;
  if (is_own) {
    return reader.report(value.find("trainer")->position(), "bad-exec",
                         "a trainer of your own needs its file and its environment",
                         "add `exec: {file: ..., python: ..., lock: ...}`");
  }
  reader.report(
      value.find("exec")->position(), "bad-exec",
      fmt::format("`exec` is of a trainer of your own, and the trainer is `{}`", into.trainer),
      "set `trainer: exec`, or remove `exec`");
}

const Schema<Model>& model_keys() {
  static const Schema<Model> table = [] {
    Schema<Model> t("Model", "what is trained, from which rows, for which target, by which search");
    add_named_head(t, "Model");
    t.text("features", &Model::features, "name of the feature set").required();
    t.expression("target", &Model::target,
                 "CEL over the contract's fields, label fields too: a bool, a string, a whole "
                 "number or a number")
        .required();
    t.custom("task", Shape::kText,
             "what is predicted: the probability of `true`, the probability of each of several "
             "classes, or a number; default: as the target's type says",
             [](Model& into, const doc::Value& value, Reader&) {
               for (const auto kind : kTasks) {
                 if (value.as_string() == stats::task_name(kind)) into.task = kind;
               }
               into.is_task_declared = true;
             })
        .one_of({"binary", "classes", "regression"});
    t.custom("classes", Shape::kAny,
             "of `task: classes`: a list of texts or whole numbers, in the order of the answers; "
             "default: those of the training rows, sorted",
             set_classes);
    t.within("interval", interval_keys(),
             "of `classes` and `regression`: answers have an interval or a set of classes");
    t.within("train", train_keys(), "which rows").required();
    t.custom("runtime", Shape::kObject, "what scores the rows in place of a trained model",
             [](Model& into, const doc::Value& value, Reader& reader) {
               reader.read(runtime_keys(), value, &into.runtime.emplace());
             });
    t.keys.back().object = &runtime_keys();
    t.text("trainer", &Model::trainer, "the trainer").one_of(trainer::trainers().names());
    t.custom("parameters", Shape::kMap, "fixed parameters of the trainer, shared by all trials",
             [](Model& into, const doc::Value& value, Reader& reader) {
               set_parameters(into.parameters, value, reader);
             });
    t.object("exec", &Model::exec, exec_keys(), "of `trainer: exec`");
    t.object("search", &Model::search, search_keys(), "the search");
    t.within("standby", standby_keys(), "the simpler model");
    t.integer("seed", &Model::seed, "seed of everything random");
    t.finally([](Model& into, const doc::Value& value, Reader& reader) {
      settle_own_trainer(into, value, reader);
      for (const char* key : {"trainer", "parameters", "search", "exec"}) {
        // Only what is written contradicts it; nobody wrote a default.
        const doc::Value* found = into.runtime.has_value() ? value.find(key) : nullptr;
        if (found != nullptr)
          reader.report(found->position(), "bad-runtime",
                        fmt::format("with a `runtime` nothing is trained, and `{}` is", key),
                        "remove one of them");
      }
    });
    return t;
  }();
  return table;
}

class ModelChecker : public Checking {
  /// A trainer of the table, and what it is to train.
  struct Training {
    const trainer::Trainer* of = nullptr;
    stats::TaskKind task = stats::TaskKind::kBinary;
  };

 public:
  explicit ModelChecker(const Checking& all) : Checking(all) {}

  void check(Model& model) {
    const std::string& file = model.identity.file;
    refer(model.identity, "features", model.features, project_.feature_sets, "feature set");
    // `source` stands in `train`, where `refer` does not look.
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
    const Contract* contract = contract_of(model);
    if (contract != nullptr) check_target(model, *contract);
    // Known only now: the simple trainer is of the task, which the target may say.
    if (model.standby_trainer.empty())
      model.standby_trainer = trainer::simple_trainer(model.task).name();
    // What follows from a task that nobody knows would be said of the wrong one.
    const bool is_task_known =
        model.is_task_declared || contract == nullptr ||
        expr::Program::compile(model.target.text, target_environment(contract->fields)).ok();
    if (is_task_known) check_task(model);
    check_runtime(model);
    check_exec(model);
    check_trainers(model);
    // What follows needs its fields; an unknown feature set or contract was reported.
    if (contract == nullptr) return;
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
    UpstreamChecker(*this).check(model, *contract);
  }

  /// What the target's type says of the task, and whether it is what was declared.
  void check_target(Model& model, const Contract& contract) {
    const std::string& file = model.identity.file;
    const expr::Environment targets = target_environment(contract.fields);
    const auto typed = expr::Program::compile(model.target.text, targets);
    const auto type = typed.ok() ? typed->type() : expr::Type::kNull;
    // What does not compile is compiled again below, for the finding with its place.
    const bool is_bool = !typed.ok() || type == expr::Type::kBool;
    // Only a bool has two outcomes that can be judged; a number or a text may come out as it likes.
    if (compile(file, "the target", model.target,
                {targets, row_domains(targets, contract.fields, true),
                 is_bool ? Use::kTarget : Use::kValue},
                is_bool ? expr::Type::kBool : type) == expr::Type::kNull)
      return;
    if (!model.is_task_declared) {
      infer_task(model, type);
      return check_class_types(model, type);
    }
    const auto suits = [&](stats::TaskKind kind) {
      switch (kind) {
        case stats::TaskKind::kBinary: return type == expr::Type::kBool;
        case stats::TaskKind::kClasses:
          return type == expr::Type::kString || type == expr::Type::kInt;
        case stats::TaskKind::kRegression:
          return type == expr::Type::kInt || type == expr::Type::kDouble;
      }
      return false;
    };
    // A whole number suits two tasks, and a declared one says which is meant.
    if (suits(model.task)) return check_class_types(model, type);
    std::vector<std::string_view> possible;
    for (const auto kind : kTasks) {
      if (suits(kind)) possible.push_back(stats::task_name(kind));
    }
    report(file, model.target.position, "task-target",
           fmt::format("the target is a {}, and the task is `{}`", expr::type_name(type),
                       stats::task_name(model.task)),
           possible.empty()
               ? "the target of a model is a bool, a string or a number: write it so"
               : fmt::format("set `task: {}`, or write another target", possible.front()));
  }

  void infer_task(Model& model, expr::Type type) {
    switch (type) {
      case expr::Type::kBool: model.task = stats::TaskKind::kBinary; return;
      case expr::Type::kString: model.task = stats::TaskKind::kClasses; return;
      case expr::Type::kDouble: model.task = stats::TaskKind::kRegression; return;
      case expr::Type::kInt:
        report(model.identity.file, model.target.position, "task-unclear",
               "the target is a whole number: it may be a class or an amount",
               "add `task: classes` or `task: regression`; of 0 and 1 write the target as `... == "
               "1`");
        return;
      default:
        report(model.identity.file, model.target.position, "task-target",
               fmt::format("the target is a {}", expr::type_name(type)),
               "the target of a model is a bool, a string or a number: write it so");
    }
  }

  /// Whether the declared classes are of the target's type.
  void check_class_types(const Model& model, expr::Type type) {
    const bool is_int = type == expr::Type::kInt;
    // Classes that are learned are of the target's type by themselves.
    if (model.task != stats::TaskKind::kClasses || model.classes.empty() ||
        model.whole_classes == is_int)
      return;
    report(model.identity.file, at(model.identity, "classes"), "bad-classes",
           fmt::format("the target is a {}, and the classes are {}", expr::type_name(type),
                       model.whole_classes ? "whole numbers" : "texts"),
           is_int ? "write the classes as whole numbers, without quotes"
                  : "write the classes as texts, in quotes");
  }

  /// What the task does not have.
  void check_task(const Model& model) {
    const std::string& file = model.identity.file;
    if (model.task != stats::TaskKind::kClasses && !model.classes.empty()) {
      report(file, at(model.identity, "classes"), "bad-classes",
             fmt::format("a model of task `{}` has no classes", stats::task_name(model.task)),
             "remove `classes`, or set `task: classes` and a target that is a class");
    }
    if (model.task == stats::TaskKind::kBinary && model.coverage) {
      report(file, at(model.identity, "interval"), "bad-interval",
             "a probability of true or false has no interval",
             "remove `interval`: it belongs to `classes` and `regression`");
    }
    if (model.task == stats::TaskKind::kClasses) check_encoders(model);
  }

  /// What a runtime answers depends on the task: the tensor that is read, and its columns.
  void check_runtime(Model& model) {
    if (!model.runtime.has_value()) return;
    const doc::Value* written = model.identity.content.find("runtime");
    // The default depends on the task, which the target may have said only now.
    if (written == nullptr || written->find("output") == nullptr)
      model.runtime->output = output_name(model.task);
    // Sorted classes of the training rows need not be the order of somebody else's columns.
    if (model.task == stats::TaskKind::kClasses && model.classes.empty()) {
      report(model.identity.file, at(model.identity, "runtime"), "bad-runtime",
             "the columns of a runtime are classes, and which ones is not said",
             "add `classes: [...]`, in the order of the runtime's columns");
    }
  }

  /// Reads the files of a trainer of one's own: they decide as the definition does.
  void check_exec(Model& model) {
    if (!model.exec) return;
    Exec& exec = *model.exec;
    const doc::Value* const written = model.identity.content.find("exec");
    const auto place = [&](std::string_view key) {
      const doc::Value* found = written == nullptr ? nullptr : written->find(key);
      return found == nullptr ? at(model.identity, "exec") : found->position();
    };
    if (!exec.file.empty() && !exec.file.ends_with(".py")) {
      report(model.identity.file, place("file"), "bad-exec",
             fmt::format("`{}` is no Python file", exec.file), "its name ends in `.py`");
    }
    exec.sources.clear();
    const auto read = [&](std::string_view key, const std::string& path, std::string hint) {
      if (path.empty()) return;  // missing-key says it
      // Normalised: `a/../b` or an absolute path is another text than the file's path in the
      // project.
      const std::string plain = path_in_project(project_, path);
      // The files are part of the bundle, and of a commit: a path that leads elsewhere would be of
      // one machine.
      if (plain != path || plain.starts_with("..")) {
        report(model.identity.file, place(key), "bad-exec",
               fmt::format("`{}` is no plain path below the project", path),
               "write it relative to the project, for example `trainers/late.py`");
        return;
      }
      const bool is_twice =
          std::any_of(exec.sources.begin(), exec.sources.end(),
                      [&](const Exec::Source& each) { return each.path == path; });
      // The trainer's own file may be listed among the others.
      if (is_twice) return;
      auto bytes = files_.read(path);
      if (bytes.ok()) {
        exec.sources.push_back({path, std::move(*bytes)});
        return;
      }
      report(model.identity.file, place(key), "exec-file-missing",
             fmt::format("`{}` cannot be read: {}", path, bytes.error().message), std::move(hint));
    };
    constexpr const char* kWrite = "write it there, or name the file that is there";
    read("file", exec.file, kWrite);
    for (const auto& each : exec.files) read("files", each, kWrite);
    read("lock", exec.lock,
         fmt::format("`heddle trainer lock --model {}` writes down what is installed",
                     model.identity.name));
    check_unused_search(model);
  }

  /// Rounds are of Heddle's own trainers.
  void check_unused_search(const Model& model) {
    const doc::Value* const search = model.identity.content.find("search");
    for (const char* key : {"early_stopping_rounds", "max_rounds"}) {
      const doc::Value* const found = search == nullptr ? nullptr : search->find(key);
      if (found == nullptr) continue;
      report(model.identity.file, found->position(), "unused-parameter",
             fmt::format("`search.{}` changes nothing: a trainer of your own stops by itself", key),
             "remove it, and stop early in the trainer, by `valid`");
    }
  }

  /// A mean of the target is a number of one target, not of several classes.
  void check_encoders(const Model& model) {
    const auto set = project_.feature_sets.find(model.features);
    if (set == project_.feature_sets.end()) return;
    for (const auto& feature : set->second.features) {
      if (feature.kind != Feature::Kind::kTargetEncoding) continue;
      report(
          model.identity.file, at(model.identity, "features"), "encoder-of-classes",
          fmt::format("feature `{}` of `{}` is a `target_encoding`, which encodes by the mean of "
                      "one target, and the task is `classes`",
                      feature.name, model.features),
          "use `frequency_encoding`, or an expression of each value, for example `place == "
          "\"A\"`");
      return;
    }
  }

  /// Whether the trainer does the task. Null, with a finding, when it does not.
  const trainer::Trainer* trainer_of(const Model& model, const std::string& name,
                                     std::string_view key) {
    const trainer::Trainer* found = trainer::trainers().find(name);
    // A standby has to answer when an environment or a worker is what broke.
    if (found != nullptr && found->is_own() && key == "standby") {
      report(model.identity.file, at(model.identity, key), "bad-exec",
             "a standby answers when the rest fails, and a trainer of your own is of the rest",
             fmt::format("use `{}`", fmt::join(trainer::trainers_of(model.task), "` or `")));
      return nullptr;
    }
    if (found == nullptr || found->does(model.task)) return found;  // the choices say it
    report(model.identity.file, at(model.identity, key), "trainer-task",
           fmt::format("trainer `{}` does not train a model of task `{}`", name,
                       stats::task_name(model.task)),
           fmt::format("use `{}`", fmt::join(trainer::trainers_of(model.task), "` or `")));
    return nullptr;
  }

  /// Reports what is wrong with `name` = `value` of a trainer.
  void check_value(const std::string& file, doc::Position position, const Training& training,
                   const std::string& name, const std::string& value) {
    const auto fault = trainer::check_parameter(*training.of, training.task, name, value);
    if (!fault) return;
    report(file, position, std::string(fault->id), fault->message, fault->hint);
  }

  /// Fixed parameters of a trainer, and that none is given under two names.
  void check_fixed(const std::string& file, const Training& training,
                   const TrainerParameters& parameters, const doc::Value* written,
                   std::set<std::string>& taken) {
    for (const auto& [name, value] : parameters.values) {
      const doc::Value* const place = written == nullptr ? nullptr : written->find(name);
      const doc::Position position = place == nullptr ? doc::Position{} : place->position();
      check_value(file, position, training, name, value);
      check_once(file, training, name, position, taken);
    }
  }

  /// A parameter is set once: fixed or searched, and by one of its names.
  void check_once(const std::string& file, const Training& training, const std::string& name,
                  doc::Position position, std::set<std::string>& taken) {
    const std::string canonical(trainer::canonical_parameter(*training.of, training.task, name));
    // By the canonical name: `eta` and `learning_rate` are one parameter.
    if (taken.insert(canonical).second) return;
    report(file, position, "duplicate-name",
           name == canonical
               ? fmt::format("parameter `{}` is set twice", name)
               : fmt::format("parameter `{}`, which is `{}`, is set twice", name, canonical),
           "fix it or search it, not both, and use one of its names");
  }

  /// What the others that are set leave without effect. `place` says where a parameter stands.
  template <class Place>
  void check_unused(const std::string& file, const Training& training,
                    const std::vector<trainer::SetParameter>& parameters, const Place& place) {
    for (const auto& [name, fault] : training.of->unused(parameters))
      report(file, place(name), std::string(fault.id), fault.message, fault.hint);
  }

  static std::vector<trainer::SetParameter> fixed_parameters(const TrainerParameters& parameters) {
    std::vector<trainer::SetParameter> out;
    for (const auto& [name, value] : parameters.values) out.push_back({name, value});
    return out;
  }

  void check_trainers(const Model& model) {
    const std::string& file = model.identity.file;
    const doc::Value& content = model.identity.content;
    const doc::Value* const standby = content.find("standby");
    std::set<std::string> standby_taken;
    // A standby is trained beside any model, one with a runtime too.
    const Training of_standby{trainer_of(model, model.standby_trainer, "standby"), model.task};
    if (of_standby.of != nullptr) {
      check_fixed(file, of_standby, model.standby_parameters,
                  standby == nullptr ? nullptr : standby->find("parameters"), standby_taken);
    }
    const auto place_in = [](const doc::Value* section, const std::string& name) {
      const doc::Value* found = section == nullptr ? nullptr : section->find(name);
      return found == nullptr ? doc::Position{} : found->position();
    };
    if (of_standby.of != nullptr) {
      check_unused(file, of_standby, fixed_parameters(model.standby_parameters),
                   [&](const std::string& name) {
                     return place_in(standby == nullptr ? nullptr : standby->find("parameters"),
                                     name);
                   });
    }
    if (model.runtime.has_value()) return;  // nothing else is trained
    const Training training{trainer_of(model, model.trainer, "trainer"), model.task};
    // It does not train this task, which was reported.
    if (training.of == nullptr) return;
    std::set<std::string> taken;
    check_fixed(file, training, model.parameters, content.find("parameters"), taken);
    const doc::Value* const search = content.find("search");
    const doc::Value* const space = search == nullptr ? nullptr : search->find("space");
    for (std::size_t i = 0; i < model.search.space.size(); ++i) {
      const bool written = space != nullptr && space->is_array() && i < space->size();
      check_dimension(file, training, model.search.space[i],
                      written ? space->as_array()[i].position() : doc::Position{}, taken);
    }
    std::vector<trainer::SetParameter> set = fixed_parameters(model.parameters);
    // Without a value: what a search sets has an effect for some of the values that it may draw.
    for (const auto& dimension : model.search.space) set.push_back({dimension.name, ""});
    check_unused(file, training, set, [&](const std::string& name) {
      // A parameter of the search stands in its space, any other among the fixed ones.
      for (std::size_t i = 0; i < model.search.space.size(); ++i) {
        const bool is_here = model.search.space[i].name == name && space != nullptr &&
                             space->is_array() && i < space->size();
        if (is_here) return space->as_array()[i].position();
      }
      return place_in(content.find("parameters"), name);
    });
  }

  /// Every value that the search may draw must be one that the trainer takes.
  void check_dimension(const std::string& file, const Training& training,
                       const SearchDimension& dimension, doc::Position position,
                       std::set<std::string>& taken) {
    using Kind = SearchDimension::Kind;
    if (dimension.name.empty()) return;  // missing-key says it
    // A trainer of one's own may take `rounds` like every other parameter.
    if (dimension.name == "rounds" && !training.of->is_own()) {
      report(file, position, "fixed-parameter",
             "the search cannot vary `rounds`: early stopping finds it", "set `search.max_rounds`");
      return;
    }
    check_once(file, training, dimension.name, position, taken);
    // Choices are drawn as they are written; each is looked at below.
    const bool draws_integers = dimension.kind == Kind::kInteger ||
                                dimension.kind == Kind::kLogInteger ||
                                dimension.kind == Kind::kChoice;
    if (!draws_integers &&
        trainer::is_integer_parameter(*training.of, training.task, dimension.name)) {
      report(file, position, "bad-search",
             fmt::format("parameter `{}` is a whole number", dimension.name),
             "set `kind: integer` or `kind: log_integer`");
      return;
    }
    std::vector<double> values = dimension.choices;
    // Between two bounds that the trainer takes, it takes every value.
    if (dimension.kind != Kind::kChoice) values = {dimension.low, dimension.high};
    for (const double value : values) {
      const auto fault = trainer::check_parameter(*training.of, training.task, dimension.name,
                                                  fmt::format("{}", value));
      if (!fault) continue;
      report(file, position, std::string(fault->id), fault->message, fault->hint);
      return;
    }
  }
};

}  // namespace

const Kind& model_kind() {
  static const BuiltInKind<Model, ModelChecker> kind("Model", "models", model_keys,
                                                     &Project::models);
  return kind;
}

}  // namespace heddle::spec
