#include <algorithm>
#include <set>

#include "base/file.hpp"
#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/trainer_parameters.hpp"

namespace heddle::spec {
namespace {

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
      text = fmt::format("{:d}", parameter.as_bool());
    else
      reader.report(parameter.position(), "wrong-type",
                    fmt::format("parameter `{}` must be a scalar", name),
                    "write a number or a string");
    into.values.emplace_back(name, std::move(text));
  }
}

const Schema<Model>& model_keys() {
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
    t.objects("space", &Search::space, dimension, "what varies").required();
    return t;
  }();
  static const Schema<Model> train = [] {
    Schema<Model> t(
        "train", "the rows, split in time order; without `time_field` in an order drawn by `seed`");
    t.text("source", &Model::source, "name of a source of heddle.yaml").required();
    t.text("time_field", &Model::time_field,
           "the timestamp field that orders the rows; leave it out when they have none");
    t.time("from", &Model::train_from, "first moment, with `time_field`; default: all rows");
    t.time("to", &Model::train_to, "end, not included, with `time_field`; default: all rows");
    t.number("validation_fraction", &Model::validation_fraction,
             "share of the rows, after training, for the search");
    t.number("test_fraction", &Model::test_fraction,
             "share of the rows, last in their order, for evaluation");
    t.finally([](Model& into, const doc::Value& value, Reader& reader) {
      const bool from = value.find("from") != nullptr, to = value.find("to") != nullptr;
      if (into.time_field.empty() && (from || to)) {
        reader.report(value.position(), "time-field-missing",
                      "`from` and `to` bound a time, and no `time_field` is named",
                      "add `time_field`, or leave both out");
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
      if (into.validation_fraction <= 0 || into.test_fraction <= 0 ||
          into.validation_fraction + into.test_fraction >= 0.9) {
        reader.report(value.position(), "out-of-range",
                      "the fractions leave too little to train on",
                      "each must be above 0 and both together below 0.9");
      }
    });
    return t;
  }();
  static const Schema<Model> standby = [] {
    Schema<Model> t("standby", "the simpler model of the same run");
    t.text("trainer", &Model::standby_trainer, "its trainer").one_of(trainer_names()).required();
    t.custom("parameters", Shape::kMap, "parameters of its trainer",
             [](Model& into, const doc::Value& value, Reader& reader) {
               set_parameters(into.standby_parameters, value, reader);
             });
    return t;
  }();
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
    t.text("output", &Runtime::output, "name of the tensor with the probabilities");
    t.integer("timeout_ms", &Runtime::timeout_ms, "for one answer", 1);
    t.integer("connections", &Runtime::connections, "batches under way at once", 1);
    t.number("tolerance", &Runtime::tolerance,
             "largest difference to the reference predictions, in probability");
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
    t.finally([](Runtime& into, const doc::Value& value, Reader& reader) {
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
      if (!into.token.empty() && !into.token.starts_with("${")) {
        reader.report(value.find("token")->position(), "secret-in-file",
                      "a secret stands in a definition", "write `${env:NAME}` or `${file:PATH}`");
      }
      if (!(into.tolerance >= 0 && into.tolerance <= 0.1))
        wrong("`tolerance` is a difference of probabilities", "give it from 0 to 0.1");
    });
    return t;
  }();
  static const Schema<Model> table = [] {
    Schema<Model> t("Model", "what is trained, from which rows, for which target, by which search");
    add_named_head(t, "Model");
    t.text("features", &Model::features, "name of the feature set").required();
    t.expression("target", &Model::target, "CEL over the contract's fields, label fields too; bool")
        .required();
    t.within("train", train, "which rows").required();
    t.custom("runtime", Shape::kObject, "what scores the rows in place of a trained model",
             [](Model& into, const doc::Value& value, Reader& reader) {
               reader.read(runtime, value, &into.runtime.emplace());
             });
    t.keys.back().object = &runtime;
    t.text("trainer", &Model::trainer, "the trainer").one_of(trainer_names());
    t.custom("parameters", Shape::kMap, "fixed parameters of the trainer, shared by all trials",
             [](Model& into, const doc::Value& value, Reader& reader) {
               set_parameters(into.parameters, value, reader);
             });
    t.object("search", &Model::search, search, "the search");
    t.within("standby", standby, "the simpler model");
    t.integer("seed", &Model::seed, "seed of everything random");
    t.finally([](Model& into, const doc::Value& value, Reader& reader) {
      for (const char* key : {"trainer", "parameters", "search"}) {
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
 public:
  explicit ModelChecker(const Checking& all) : Checking(all) {}

  void check(Model& model) {
    const std::string& file = model.identity.file;
    refer(model.identity, "features", model.features, project_.feature_sets, "feature set");
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
    check_trainers(model);
    const Contract* contract = contract_of(model);
    if (contract == nullptr) return;
    const expr::Environment targets = target_environment(contract->fields);
    compile(file, "the target", model.target,
            {targets, row_domains(targets, contract->fields, true), Use::kTarget},
            expr::Type::kBool);
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
  }

  /// Reports what is wrong with `name` = `value` of a trainer.
  void check_value(const std::string& file, doc::Position position, const std::string& trainer,
                   const std::string& name, const std::string& value) {
    const auto fault = check_parameter(trainer, name, value);
    if (!fault) return;
    report(file, position, std::string(fault->id), fault->message, fault->hint);
  }

  /// Fixed parameters of a trainer, and that none is given under two names.
  void check_fixed(const std::string& file, const std::string& trainer,
                   const TrainerParameters& parameters, const doc::Value* written,
                   std::set<std::string>& taken) {
    for (const auto& [name, value] : parameters.values) {
      const doc::Value* const place = written == nullptr ? nullptr : written->find(name);
      const doc::Position position = place == nullptr ? doc::Position{} : place->position();
      check_value(file, position, trainer, name, value);
      check_once(file, trainer, name, position, taken);
    }
  }

  /// A parameter is set once: fixed or searched, and by one of its names.
  void check_once(const std::string& file, const std::string& trainer, const std::string& name,
                  doc::Position position, std::set<std::string>& taken) {
    const std::string canonical(canonical_parameter(trainer, name));
    if (taken.insert(canonical).second) return;
    report(file, position, "duplicate-name",
           name == canonical
               ? fmt::format("parameter `{}` is set twice", name)
               : fmt::format("parameter `{}`, which is `{}`, is set twice", name, canonical),
           "fix it or search it, not both, and use one of its names");
  }

  /// What the others that are set leave without effect. `place` says where a parameter stands.
  template <class Place>
  void check_unused(const std::string& file, const std::string& trainer,
                    const std::vector<SetParameter>& parameters, const Place& place) {
    for (const auto& [name, fault] : unused_parameters(trainer, parameters))
      report(file, place(name), std::string(fault.id), fault.message, fault.hint);
  }

  static std::vector<SetParameter> fixed_parameters(const TrainerParameters& parameters) {
    std::vector<SetParameter> out;
    for (const auto& [name, value] : parameters.values) out.push_back({name, value});
    return out;
  }

  void check_trainers(const Model& model) {
    const std::string& file = model.identity.file;
    const doc::Value& content = model.identity.content;
    const doc::Value* const standby = content.find("standby");
    std::set<std::string> standby_taken;
    check_fixed(file, model.standby_trainer, model.standby_parameters,
                standby == nullptr ? nullptr : standby->find("parameters"), standby_taken);
    const auto place_in = [](const doc::Value* section, const std::string& name) {
      const doc::Value* found = section == nullptr ? nullptr : section->find(name);
      return found == nullptr ? doc::Position{} : found->position();
    };
    check_unused(file, model.standby_trainer, fixed_parameters(model.standby_parameters),
                 [&](const std::string& name) {
                   return place_in(standby == nullptr ? nullptr : standby->find("parameters"),
                                   name);
                 });
    if (model.runtime.has_value()) return;  // nothing else is trained
    std::set<std::string> taken;
    check_fixed(file, model.trainer, model.parameters, content.find("parameters"), taken);
    const doc::Value* const search = content.find("search");
    const doc::Value* const space = search == nullptr ? nullptr : search->find("space");
    for (std::size_t i = 0; i < model.search.space.size(); ++i) {
      const bool written = space != nullptr && space->is_array() && i < space->size();
      check_dimension(file, model.trainer, model.search.space[i],
                      written ? space->as_array()[i].position() : doc::Position{}, taken);
    }
    std::vector<SetParameter> set = fixed_parameters(model.parameters);
    for (const auto& dimension : model.search.space) set.push_back({dimension.name, ""});
    check_unused(file, model.trainer, set, [&](const std::string& name) {
      for (std::size_t i = 0; i < model.search.space.size(); ++i) {
        const bool is_here = model.search.space[i].name == name && space != nullptr &&
                             space->is_array() && i < space->size();
        if (is_here) return space->as_array()[i].position();
      }
      return place_in(content.find("parameters"), name);
    });
  }

  /// Every value that the search may draw must be one that the trainer takes.
  void check_dimension(const std::string& file, const std::string& trainer,
                       const SearchDimension& dimension, doc::Position position,
                       std::set<std::string>& taken) {
    using Kind = SearchDimension::Kind;
    if (dimension.name.empty()) return;  // missing-key says it
    if (dimension.name == "rounds") {
      report(file, position, "fixed-parameter",
             "the search cannot vary `rounds`: early stopping finds it", "set `search.max_rounds`");
      return;
    }
    check_once(file, trainer, dimension.name, position, taken);
    const bool draws_integers = dimension.kind == Kind::kInteger ||
                                dimension.kind == Kind::kLogInteger ||
                                dimension.kind == Kind::kChoice;
    if (!draws_integers && is_integer_parameter(trainer, dimension.name)) {
      report(file, position, "bad-search",
             fmt::format("parameter `{}` is a whole number", dimension.name),
             "set `kind: integer` or `kind: log_integer`");
      return;
    }
    std::vector<double> values = dimension.choices;
    if (dimension.kind != Kind::kChoice) values = {dimension.low, dimension.high};
    for (const double value : values) {
      const auto fault = check_parameter(trainer, dimension.name, fmt::format("{}", value));
      if (!fault) continue;
      report(file, position, std::string(fault->id), fault->message, fault->hint);
      return;
    }
  }
};

}  // namespace

Kind model_kind() {
  return definition_kind<Model, ModelChecker>("Model", "models", model_keys(), &Project::models);
}

}  // namespace heddle::spec
