#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "spec/kinds.hpp"
#include "stats/metric.hpp"

namespace heddle::spec {
namespace {

/// A host name or an address without scheme, port and path, or `*.` before a name.
bool is_host_pattern(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.size() > 253 || name.starts_with('.') || name.ends_with('.'))
    return false;
  if (name.find("..") != std::string_view::npos) return false;
  if (name.starts_with('['))
    return name.find_first_not_of("0123456789abcdefABCDEF:.", 1) == name.size() - 1 &&
           name.ends_with(']');
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

/// What every Heddle kind begins with; `read` fills the name.
template <class T>
void add_head(Table<T>& table, const char* kind) {
  table
      .custom("apiVersion", Shape::kText, "version of the format",
              [](T&, const doc::Value&, Reader&) {})
      .one_of({"heddle/v1"})
      .required();
  table.custom("kind", Shape::kText, "the kind", [](T&, const doc::Value&, Reader&) {})
      .one_of({kind})
      .required();
  table.describes({"description"});
}

template <class T>
void add_named_head(Table<T>& table, const char* kind) {
  add_head(table, kind);
  table
      .custom(
          "name", Shape::kText, "the name other definitions use",
          [](T& into, const doc::Value& value, Reader&) { into.identity.name = value.as_string(); })
      .required();
}

struct Encoder {
  std::vector<std::string> inputs{};
  double smoothing = 20;
};

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

}  // namespace

const Object& feature_set_kind() {
  static const Table<Encoder> encoder = [] {
    Table<Encoder> t("an encoder",
                     "a number fitted on training rows, cross-fitted in time-ordered folds");
    t.texts("inputs", &Encoder::inputs, "fields or features whose combination is encoded")
        .required();
    t.number("smoothing", &Encoder::smoothing, "target encoding: weight of the prior, in rows");
    return t;
  }();
  static const Table<Feature> feature = [] {
    Table<Feature> t("a feature",
                     "one column the model may see: an expression, or a fitted encoder");
    t.text("name", &Feature::name, "its name").required();
    t.expression("expression", &Feature::expression,
                 "CEL over the contract's fields and other features; null is missing");
    const auto encode = [](Feature::Kind kind) {
      return [kind](Feature& into, const doc::Value& value, Reader& reader) {
        Encoder read;
        reader.read(encoder, value, &read);
        into.kind = kind;
        into.inputs = std::move(read.inputs);
        into.smoothing = read.smoothing;
      };
    };
    t.custom("target_encoding", Shape::kObject, "smoothed mean of the target",
             encode(Feature::Kind::kTargetEncoding));
    t.keys.back().object = &encoder;
    t.custom("frequency_encoding", Shape::kObject, "share of the training rows",
             encode(Feature::Kind::kFrequencyEncoding));
    t.keys.back().object = &encoder;
    t.boolean("hidden", &Feature::hidden, "computed for others, not given to the model");
    t.describes({"description"});
    t.finally([](Feature& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      int ways = 0;
      for (const char* key : {"expression", "target_encoding", "frequency_encoding"})
        ways += value.find(key) != nullptr ? 1 : 0;
      if (ways != 1) {
        reader.report(
            value.position(), "bad-feature",
            fmt::format("feature `{}` is computed in {} ways, one is needed", into.name, ways),
            "give it one of `expression`, `target_encoding`, `frequency_encoding`");
      }
    });
    return t;
  }();
  static const Table<FeatureSet> table = [] {
    Table<FeatureSet> t("FeatureSet", "what a model sees of a row");
    add_named_head(t, "FeatureSet");
    t.text("contract", &FeatureSet::contract, "name of the contract the rows keep").required();
    t.integer("folds", &FeatureSet::folds, "time-ordered folds of the cross-fitted encoders", 2);
    t.objects("features", &FeatureSet::features, feature,
              "the features, in any order without cycles")
        .required();
    return t;
  }();
  return table;
}

const Object& model_kind() {
  static const Table<SearchDimension> dimension = [] {
    using Kind = SearchDimension::Kind;
    Table<SearchDimension> t("a dimension", "one parameter the search varies");
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
  static const Table<Search> search = [] {
    Table<Search> t("search", "seeded TPE over the trainer's parameters");
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
  static const Table<Model> train = [] {
    Table<Model> t(
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
  static const Table<Model> standby = [] {
    Table<Model> t("standby", "the simpler model of the same run");
    t.text("trainer", &Model::standby_trainer, "its trainer")
        .one_of({"logistic", "xgboost"})
        .required();
    t.custom("parameters", Shape::kMap, "parameters of its trainer",
             [](Model& into, const doc::Value& value, Reader& reader) {
               set_parameters(into.standby_parameters, value, reader);
             });
    return t;
  }();
  static const Table<Runtime> runtime = [] {
    Table<Runtime> t("runtime",
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
  static const Table<Model> table = [] {
    Table<Model> t("Model", "what is trained, from which rows, for which target, by which search");
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
    t.text("trainer", &Model::trainer, "the trainer").one_of({"xgboost", "logistic"});
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

const Object& evaluation_kind() {
  static const Table<Metric> metric = [] {
    Table<Metric> t("a metric",
                    fmt::format("built in (`{}`), or a row expression with an aggregation",
                                fmt::join(stats::metrics().names(), "`, `")));
    t.text("name", &Metric::name, "its name").required();
    t.expression("expression", &Metric::expression,
                 "CEL over `probability`, `label` and the contract's fields");
    t.text("aggregation", &Metric::aggregation, "of the rows' values").one_of({"mean", "sum"});
    t.text("unit", &Metric::unit, "for people");
    t.boolean("lower_is_better", &Metric::lower_is_better, "the direction");
    t.finally([](Metric& into, const doc::Value& value, Reader& reader) {
      const stats::Metric* built_in = stats::metrics().find(into.name);
      if (into.expression.text.empty()) {
        if (built_in != nullptr) {
          into.lower_is_better = into.lower_is_better && built_in->lower_is_better();
        } else {
          const std::string near = doc::nearest(into.name, stats::metrics().names());
          reader.report(value.position(), "unknown-value",
                        fmt::format("metric `{}` is not built in and has no expression", into.name),
                        near.empty() ? "add `expression` and `aggregation`"
                                     : fmt::format("did you mean `{}`?", near));
        }
      } else if (into.aggregation.empty()) {
        reader.report(value.position(), "missing-key",
                      fmt::format("metric `{}` has no aggregation", into.name),
                      "add `aggregation: mean` or `sum`");
      }
    });
    return t;
  }();
  static const Table<Slice> slice = [] {
    Table<Slice> t("a slice", "the metrics once for each value of a field");
    t.text("name", &Slice::name, "its name").required();
    t.text("field", &Slice::field, "the field").required();
    t.integer("minimum_rows", &Slice::minimum_rows, "values with fewer rows are left out", 1);
    return t;
  }();
  static const Table<Gate> gate = [] {
    Table<Gate> t("a gate", "a threshold fixed before the run; null or error fails it");
    t.text("id", &Gate::id, "permanent id").required();
    t.expression(
         "when", &Gate::when,
         "passes when true: `metrics.NAME`, `standby.NAME`, `base.NAME` (what serves, on the "
         "same rows), `slices.NAME.METRIC_min|_max`, `leakage.NAME`")
        .required();
    t.text("description", &Gate::description, "why it is there");
    return t;
  }();
  static const Table<Evaluation> leakage = [] {
    Table<Evaluation> t("leakage", "checks that the past is told apart from the future");
    t.number("single_feature_auc_max", &Evaluation::single_feature_auc_max,
             "a feature that alone predicts better than this is suspect");
    return t;
  }();
  static const Table<Evaluation> table = [] {
    Table<Evaluation> t(
        "Evaluation", "how a model is judged on rows it has not seen, and the gates it must pass");
    add_named_head(t, "Evaluation");
    t.text("model", &Evaluation::model, "name of the model").required();
    t.objects("metrics", &Evaluation::metrics, metric, "what is measured").required();
    t.objects("slices", &Evaluation::slices, slice, "where it is measured apart");
    t.objects("gates", &Evaluation::gates, gate, "what must hold").required();
    t.text(
        "base_service", &Evaluation::base_service,
        "the service whose primary is `base.*`, where services of the model have different ones");
    t.within("leakage", leakage, "leakage checks");
    return t;
  }();
  return table;
}

namespace {

void need_share(const doc::Value& value, std::string_view key, double share, Reader& reader) {
  const doc::Value* at = value.find(key);
  if (at == nullptr || (share >= 0 && share <= 1)) return;
  reader.report(at->position(), "bad-share", fmt::format("`{}` must be from 0 to 1", key),
                "it is a share: 5 % is 0.05");
}

/// `5%` in ten-thousandths; at most two digits after the point.
std::optional<std::uint32_t> parse_share(std::string_view text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || end != text.data() + text.size() || percent < 0 || percent > 100)
    return std::nullopt;
  const double parts = percent * 100;
  if (std::abs(parts - std::round(parts)) > 1e-6) return std::nullopt;
  return static_cast<std::uint32_t>(std::lround(parts));
}

}  // namespace

const Object& policy_kind() {
  static const Table<PolicyRule> needs = [] {
    Table<PolicyRule> t("needs", "whose yes is needed");
    t.integer("approvals", &PolicyRule::approvals, "how many persons", 1);
    t.text("role", &PolicyRule::approver_role, "of which role").required();
    t.duration("within", &PolicyRule::approval_within, "wall time until the request expires");
    return t;
  }();
  static const Table<PolicyRule> rule = [] {
    using Effect = PolicyRule::Effect;
    Table<PolicyRule> t(
        "a rule",
        "deny comes before require_approval comes before allow; what no rule names is denied");
    t.text("id", &PolicyRule::id, "permanent id").required();
    t.choice("effect", &PolicyRule::effect,
             {{"allow", Effect::kAllow},
              {"deny", Effect::kDeny},
              {"require_approval", Effect::kRequireApproval}},
             "the verdict")
        .required();
    t.texts("who", &PolicyRule::who, "`person:*`, `role:NAME`, `agent:NAME`, `system:*`")
        .required();
    t.texts("action", &PolicyRule::actions, "actions, `*` allowed").required();
    t.texts("target", &PolicyRule::targets, "targets, `*` allowed; none: any");
    t.expression("when", &PolicyRule::when, "CEL, bool, over `attributes.NAME`");
    t.within("needs", needs, "of require_approval: the approvals");
    t.describes({"description"});
    t.finally([](PolicyRule& into, const doc::Value& value, Reader& reader) {
      into.position = value.position();
      if (into.effect == Effect::kRequireApproval && into.approver_role.empty() &&
          value.find("needs") == nullptr) {
        reader.report(value.position(), "missing-key",
                      fmt::format("rule `{}` asks for approval and does not say whose", into.id),
                      "add `needs: {role: ml-engineer}`");
      }
    });
    return t;
  }();
  static const Table<Budget> budget = [] {
    Table<Budget> t("a budget",
                    "at most `limit` applied decisions of an action within a window of event time");
    t.text("id", &Budget::id, "permanent id").required();
    t.text("action", &Budget::action, "the action").required();
    t.integer("limit", &Budget::limit, "how many").required();
    t.duration("window", &Budget::window, "of event time; without it, ever");
    return t;
  }();
  static const Table<Policy> failover = [] {
    Table<Policy> t("failover", "the data plane's own switch to the standby");
    using Get = void (*)(FailOverRule&, const doc::Value&);
    const auto more = [&](std::string key, Shape shape, double at_least, std::string about,
                          Get set) {
      t.custom(
          std::move(key), shape, std::move(about),
          [set](Policy& into, const doc::Value& value, Reader&) { set(into.fail_over, value); });
      t.keys.back().at_least = at_least;
    };
    t.boolean("allowed", &Policy::fail_over_allowed, "authorised beforehand").required();
    more("requests", Shape::kInteger, 1,
         "looked at together: the last so many that the primary answered",
         [](FailOverRule& into, const doc::Value& value) { into.requests = value.as_int(); });
    more(
        "failed_share", Shape::kNumber, 0,
        "share of them without an answer that changes to the standby",
        [](FailOverRule& into, const doc::Value& value) { into.failed_share = value.as_double(); });
    more("refused_share", Shape::kNumber, 0, "share of their rows refused that does; 1: never",
         [](FailOverRule& into, const doc::Value& value) {
           into.refused_share = value.as_double();
         });
    more("most", Shape::kInteger, 1, "changes in a row before the control plane has settled them",
         [](FailOverRule& into, const doc::Value& value) { into.most = value.as_int(); });
    t.finally([](Policy& into, const doc::Value& value, Reader& reader) {
      need_share(value, "failed_share", into.fail_over.failed_share, reader);
      need_share(value, "refused_share", into.fail_over.refused_share, reader);
    });
    return t;
  }();
  static const Table<Policy> retrain = [] {
    Table<Policy> t("retrain", "bounds of a retrain");
    t.integer("max_rows", &Policy::retrain_max_rows, "the most labelled rows it may use", 1)
        .required();
    t.duration("event_time_cost", &Policy::retrain_event_time_cost,
               "one started at t is usable at exactly t + this")
        .required();
    return t;
  }();
  static const Table<Policy> recalibrate = [] {
    Table<Policy> t("recalibrate", "bounds of recalibrations that no person sees, in logits");
    const auto bound = [&](std::string key, std::optional<double> Policy::* member,
                           std::string about) {
      t.custom(std::move(key), Shape::kNumber, std::move(about),
               [member](Policy& into, const doc::Value& value, Reader&) {
                 into.*member = value.as_double();
               });
      t.keys.back().at_least = 0;
    };
    bound("step", &Policy::recalibrate_step,
          "one that adds or takes more needs a person; without it, 1");
    bound("sum", &Policy::recalibrate_sum,
          "more than that in sum, since a person signed a release or the model was trained, needs "
          "one; without it, 1.5");
    return t;
  }();
  static const Table<Policy> quarantine = [] {
    Table<Policy> t("quarantine", "bounds of a quarantine that no person sees");
    t.custom("good_rows", Shape::kInteger,
             "one that would hold back more rows a day that break no rule needs a person; without "
             "it, 1000",
             [](Policy& into, const doc::Value& value, Reader&) {
               into.quarantine_good_rows = value.as_int();
             });
    t.keys.back().at_least = 0;
    return t;
  }();
  static const Table<Policy> recovery = [] {
    Table<Policy> t("recovery", "bounds of recovery");
    t.within("retrain", retrain, "bounds of a retrain");
    t.within("recalibrate", recalibrate, "bounds of recalibrations that no person sees");
    t.within("quarantine", quarantine, "bounds of a quarantine that no person sees");
    return t;
  }();
  static const Table<Policy> table = [] {
    Table<Policy> t("Policy", "who and what may do which action");
    add_named_head(t, "Policy");
    t.texts("services", &Policy::services, "the services it is for; without it, every one");
    t.objects("rules", &Policy::rules, rule, "the rules").required();
    t.objects("budgets", &Policy::budgets, budget, "the budgets, of each service by itself");
    t.within("failover", failover, "the data plane's own switch");
    t.within("recovery", recovery, "bounds of recovery");
    return t;
  }();
  return table;
}

const Object& monitor_kind() {
  static const Table<DistributionMetric> distribution = [] {
    Table<DistributionMetric> t(
        "a distribution",
        "distance of a column from its reference; alert above max(floor, mean + sds * sd)");
    t.text("name", &DistributionMetric::name, "its name").required();
    t.text("column", &DistributionMetric::column, "a field of the requests, or `prediction`")
        .required();
    std::vector<std::pair<std::string, const statistic::Statistic*>> statistics;
    std::string of;
    for (const statistic::Statistic* each : statistic::statistics().rows()) {
      statistics.emplace_back(each->name(), each);
      of += fmt::format("{}`{}` of {}", of.empty() ? "" : ", ", each->name(), each->of());
    }
    t.choice("kind", &DistributionMetric::kind, statistics,
             fmt::format("the distance: {}; rows without a value are part of each", of))
        .required();
    t.number("floor", &DistributionMetric::floor,
             "an effect smaller than this never alerts; 0 to below 1");
    t.number("sds", &DistributionMetric::sds, "standard deviations above the reference mean");
    return t;
  }();
  static const Table<QualityMetric> quality = [] {
    Table<QualityMetric> t(
        "quality",
        "log loss after refitting the intercept, over the label entropy, in chunks of event time");
    t.duration("chunk_duration", &QualityMetric::chunk_duration, "a chunk spans at least this");
    t.integer("chunk_rows", &QualityMetric::chunk_rows, "and has at least so many labels", 1);
    t.number("alert_twice", &QualityMetric::alert_twice, "above this in two chunks in a row");
    t.number("alert_once", &QualityMetric::alert_once, "above this in one");
    t.number("sds", &QualityMetric::sds,
             "standard deviations above the reference mean, when that is higher than alert_twice");
    t.number("prior_shift", &QualityMetric::prior_shift,
             "an intercept (logits) that counts as prior shift");
    t.integer("prior_shift_chunks", &QualityMetric::prior_shift_chunks, "over so many chunks", 1);
    return t;
  }();
  static const Table<MonitorRule> rule = [] {
    Table<MonitorRule> t("a rule", "alert on the share of rows for which an expression holds");
    t.text("id", &MonitorRule::id, "permanent id").required();
    t.expression("expression", &MonitorRule::expression,
                 "CEL over the contract's fields and `event_time`; true is bad")
        .required();
    t.number("threshold", &MonitorRule::threshold, "share of rows");
    t.integer("window_rows", &MonitorRule::window_rows, "rows looked at together", 1);
    return t;
  }();
  static const Table<Notification> notification = [] {
    Table<Notification> t("a notification", "a webhook that is told of incidents and approvals");
    t.text("url", &Notification::url, "where; `${env:NAME}` allowed").required();
    t.text("secret", &Notification::secret, "HMAC key: `${env:NAME}` or `${file:PATH}`").required();
    t.integer("attempts", &Notification::attempts, "how often it is tried", 1);
    t.finally([](Notification& into, const doc::Value& value, Reader& reader) {
      const doc::Value* secret = value.find("secret");
      if (secret != nullptr && !into.secret.starts_with("${env:") &&
          !into.secret.starts_with("${file:")) {
        reader.report(secret->position(), "secret-in-file", "a secret stands in a definition",
                      "write `${env:NAME}` or `${file:PATH}`");
      }
    });
    return t;
  }();
  static const Table<Monitor> table = [] {
    Table<Monitor> t("Monitor", "what is watched of a service and when that is an alert");
    add_named_head(t, "Monitor");
    t.text("service", &Monitor::service, "name of the service").required();
    t.duration("window", &Monitor::window, "of event time, for distributions");
    t.integer("window_rows", &Monitor::window_rows, "rows of a window, at least", 1);
    t.duration("label_delay", &Monitor::label_delay,
               "a label comes so long after its row, in event time");
    t.duration("label_retention", &Monitor::label_retention,
               "how long rows and labels wait for each other; at least label_delay and a chunk");
    t.objects("distributions", &Monitor::distributions, distribution,
              "distances from the reference");
    t.object("quality", &Monitor::quality, quality,
             "labelled quality; without it labelled quality is not watched");
    t.number("refused_share", &Monitor::refused_share,
             "contract alert: share of a source's rows that were refused");
    t.integer("refused_rows", &Monitor::refused_rows, "a source's rows looked at together", 1);
    t.integer("quarantined_good_rows", &Monitor::quarantined_good_rows,
              "rows that break no rule which one quarantine may hold back; past it recovery "
              "proposes its release");
    t.objects("rules", &Monitor::rules, rule, "rules of the project's own");
    t.objects("notifications", &Monitor::notifications, notification, "who is told");
    t.duration("cool_down", &Monitor::cool_down,
               "after a recovery, before the same metric may open an incident");
    t.finally([](Monitor& into, const doc::Value& value, Reader&) {
      into.labelled_quality = value.find("quality") != nullptr;
    });
    return t;
  }();
  return table;
}

const Object& service_kind() {
  static const Table<JudgementRules> judgement = [] {
    Table<JudgementRules> t("judgement",
                            "by how much a canary may be worse than the baseline beside it");
    t.number("error_rate", &JudgementRules::error_rate,
             "chance that one that is no worse is judged bad, over all steps");
    t.number("failed_share", &JudgementRules::failed_share, "by which more requests may fail");
    t.number("refused_share", &JudgementRules::refused_share,
             "by which more requests may have a refused row");
    t.number("latency_ratio", &JudgementRules::latency_ratio,
             "by which median and 99th percentile may be longer");
    t.number("score_shift", &JudgementRules::score_shift,
             "largest Kolmogorov-Smirnov distance of the scores; 1: any");
    t.number("disagreement", &JudgementRules::disagreement,
             "by which it may be farther from the shadow's or standby's score; 1: any");
    t.number("loss", &JudgementRules::loss,
             "by which the squared error against labels may be larger");
    t.finally([](JudgementRules& into, const doc::Value& value, Reader& reader) {
      need_share(value, "failed_share", into.failed_share, reader);
      need_share(value, "refused_share", into.refused_share, reader);
      need_share(value, "score_shift", into.score_shift, reader);
      need_share(value, "disagreement", into.disagreement, reader);
      need_share(value, "loss", into.loss, reader);
      need_share(value, "error_rate", into.error_rate, reader);
      if (into.error_rate == 0) {
        reader.report(value.find("error_rate")->position(), "bad-share",
                      "`error_rate` 0 judges nothing bad", "write `0.01`: one canary in a hundred");
      }
      if (const doc::Value* ratio = value.find("latency_ratio");
          ratio != nullptr && into.latency_ratio < 1) {
        reader.report(ratio->position(), "bad-value", "`latency_ratio` must be 1 or more",
                      "1.5 lets a canary take half as long again");
      }
    });
    return t;
  }();
  static const Table<CanaryRules> canary = [] {
    Table<CanaryRules> t("canary", "how a canary takes over and when it is judged");
    t.custom(
        "steps", Shape::kTexts, "shares of the requests, rising, as `[1%, 5%, 25%]`; 50% at most",
        [](CanaryRules& into, const doc::Value& value, Reader& reader) {
          into.steps.clear();
          const auto add = [&](const doc::Value& item) {
            const auto share = parse_share(item.as_string());
            if (!share || *share == 0 || *share > 5'000 ||
                (!into.steps.empty() && *share <= into.steps.back())) {
              reader.report(
                  item.position().line > 0 ? item.position() : value.position(), "bad-share",
                  fmt::format("`{}` is no share that rises above the step before, up to 50%",
                              item.as_string()),
                  "write `steps: [1%, 5%, 25%]`: the other half of the traffic is the baseline");
              return;
            }
            into.steps.push_back(*share);
          };
          if (value.is_string()) add(value);
          if (value.is_array()) {
            for (const auto& item : value.as_array()) add(item);
          }
          if (into.steps.empty()) into.steps = CanaryRules{}.steps;
        });
    t.custom("minimum_rows", Shape::kInteger,
             "rows of canary and of baseline before a step is judged good",
             [](CanaryRules& into, const doc::Value& value, Reader&) {
               into.judgement.minimum_rows = value.as_int();
             });
    t.keys.back().at_least = 1;
    t.duration("interval", &CanaryRules::interval, "of event time between judgements");
    t.duration("patience", &CanaryRules::patience,
               "of event time without a good or bad judgement, before a person is asked");
    t.text(
        "sticky", &CanaryRules::sticky,
        "key of the draw, `source`, `header:NAME` or `field:NAME`, so that a client stays with one "
        "bundle: who may choose the key chooses the side; without it, the server draws each "
        "request");
    t.text("header", &CanaryRules::header, "requests with this header always go to the canary");
    t.text("header_value", &CanaryRules::header_value, "and this value of it");
    t.object("judgement", &CanaryRules::judgement, judgement, "how much worse is bad");
    t.finally([](CanaryRules& into, const doc::Value& value, Reader& reader) {
      const bool known = into.sticky.empty() || into.sticky == "source" ||
                         (into.sticky.starts_with("header:") && into.sticky.size() > 7) ||
                         (into.sticky.starts_with("field:") && into.sticky.size() > 6);
      if (!known) {
        reader.report(value.find("sticky")->position(), "unknown-value",
                      fmt::format("`{}` is no key to draw by", into.sticky),
                      "write `source`, `header:NAME` or `field:NAME`");
      }
      if (into.header.empty() != into.header_value.empty()) {
        reader.report(value.position(), "missing-key",
                      "`header` and `header_value` belong together", "give both or none");
      }
    });
    return t;
  }();
  static const Table<ServiceLimits> limits = [] {
    Table<ServiceLimits> t("limits", "bounds of a request");
    t.integer("body_bytes", &ServiceLimits::body_bytes, "largest body", 1024);
    t.integer("batch_rows", &ServiceLimits::batch_rows, "most rows of a request", 1);
    t.integer("header_bytes", &ServiceLimits::header_bytes, "largest head", 1024);
    t.integer("read_timeout_ms", &ServiceLimits::read_timeout_ms, "for a whole request", 1);
    t.integer("idle_timeout_ms", &ServiceLimits::idle_timeout_ms, "between requests", 1);
    t.integer("connections", &ServiceLimits::connections, "at once", 1);
    t.integer("connections_per_address", &ServiceLimits::connections_per_address,
              "of one client address at once", 1);
    t.integer("drain_ms", &ServiceLimits::drain_ms,
              "how long requests in flight may take when the data plane ends or is replaced", 0);
    t.integer("queue_ms", &ServiceLimits::queue_ms,
              "how long a predict request may wait for its turn while a queue stands; past it, it "
              "is shed with 503",
              1);
    t.integer("batch_ms", &ServiceLimits::batch_ms,
              "with a runtime: what a batch of several requests may take", 1);
    t.integer("queue_rows", &ServiceLimits::queue_rows,
              "with a runtime: rows that may wait for it; past it requests are shed with 503", 1);
    t.integer("requests_per_second", &ServiceLimits::requests_per_second,
              "predict requests of one account; past it 429; 0: no limit", 0);
    return t;
  }();
  static const Table<ServiceTls> tls = [] {
    Table<ServiceTls> t("tls", "what the endpoint shows of itself");
    t.text("certificate", &ServiceTls::certificate,
           "PEM file of the chain, leaf first, relative to the project")
        .required();
    t.text("key", &ServiceTls::key, "PEM file of the private key").required();
    t.text("client_ca", &ServiceTls::client_ca,
           "PEM file of authorities; a client must show a certificate that one of them signed");
    return t;
  }();
  static const Table<AccessLog> access_log = [] {
    Table<AccessLog> t("access_log", "what is kept of every request");
    t.integer("bytes", &AccessLog::bytes,
              "of the log; past it the oldest segments go; 0: no access log", 0);
    t.boolean("fields", &AccessLog::fields, "the values of the request fields too");
    return t;
  }();
  static const Table<Traces> traces = [] {
    Table<Traces> t("traces", "OpenTelemetry spans of requests");
    t.text("endpoint", &Traces::endpoint,
           "`http://host:port/v1/traces` of a collector; empty: no traces");
    t.number("share", &Traces::share,
             "of the requests that come without a trace of their caller's, 0 to 1");
    return t;
  }();
  static const Table<Telemetry> telemetry = [] {
    Table<Telemetry> t("telemetry", "what the data plane tells others of itself");
    t.object("traces", &Telemetry::traces, traces, "OpenTelemetry spans of requests");
    return t;
  }();
  static const Table<Service> table = [] {
    Table<Service> t("Service", "an endpoint: model, sources, limits, autonomy");
    add_named_head(t, "Service");
    t.text("model", &Service::model, "name of the model").required();
    t.text("monitor", &Service::monitor, "name of the monitor").required();
    t.texts("sources", &Service::sources,
            "upstreams a request may name; one that names none is from `default`");
    t.text("host", &Service::host, "address to listen on");
    t.texts("hosts", &Service::hosts,
            "further host names clients call it by, for example `models.example.com` or "
            "`*.example.com`; loopback, `host` and the machine's own address always count");
    t.integer("port", &Service::port, "port to listen on");
    t.integer("grpc_port", &Service::grpc_port,
              "port of the Open Inference Protocol over gRPC, 8001 by convention; -1: none", -1);
    t.object("tls", &Service::tls, tls,
             "HTTPS and gRPC over TLS; without it plain, for loopback and behind a proxy");
    t.object("limits", &Service::limits, limits, "bounds of a request");
    t.object("access_log", &Service::access_log, access_log, "what is kept of every request");
    t.object("telemetry", &Service::telemetry, telemetry,
             "what the data plane tells others of itself");
    t.text("autonomy", &Service::autonomy, "what agents may do")
        .one_of({"observe", "propose", "act"});
    t.integer("readmit_after", &Service::readmit_after,
              "clean rows in a row that let a quarantined source in again");
    t.object("canary", &Service::canary, canary, "how a canary takes over");
    t.finally([](Service& into, const doc::Value& value, Reader& reader) {
      for (const std::string& host : into.hosts) {
        if (is_host_pattern(host)) continue;
        reader.report(value.find("hosts")->position(), "bad-host",
                      fmt::format("`{}` is not a host name", host),
                      "write the name alone, without scheme, port and path: `models.example.com`, "
                      "or `*.example.com` for every name below");
      }
    });
    return t;
  }();
  return table;
}

const Object& project_kind() {
  static const Table<ProjectFile> table = [] {
    Table<ProjectFile> t("Project", "heddle.yaml: the project's name and where its data is");
    add_head(t, "Project");
    t.text("name", &ProjectFile::name, "the project's name").required();
    t.texts("owners", &ProjectFile::owners, "who answers for it");
    t.custom("sources", Shape::kMap,
             "name: path of a Parquet, CSV or NDJSON file, relative to the project",
             [](ProjectFile& into, const doc::Value& value, Reader& reader) {
               for (const auto& [name, path] : value.as_object()) {
                 if (!path.is_string()) {
                   reader.report(path.position(), "wrong-type",
                                 fmt::format("source `{}` must be a path", name),
                                 "write `NAME: data/FILE.parquet`");
                   continue;
                 }
                 into.sources[name] = path.as_string();
                 into.source_positions[name] = path.position();
               }
             });
    t.integer("control_port", &ProjectFile::control_port, "port of the control plane");
    return t;
  }();
  return table;
}

namespace {

/// Where the member `key` of `object` stands; the object itself where it has none.
doc::Position position_of(const doc::Value& object, std::string_view key) {
  const doc::Value* member = object.find(key);
  return member == nullptr ? object.position() : member->position();
}

/// Where each text of the list `key` stands; one text alone is a list of one.
std::vector<doc::Position> positions_of(const doc::Value& object, std::string_view key) {
  const doc::Value* member = object.find(key);
  if (member == nullptr) return {};
  if (!member->is_array()) return {member->position()};
  std::vector<doc::Position> positions;
  for (const doc::Value& item : member->as_array()) {
    if (item.is_string()) positions.push_back(item.position());
  }
  return positions;
}

}  // namespace

const Object& people_kind() {
  static const Table<Person> person = [] {
    Table<Person> t("a person", "somebody who may approve");
    t.text("name", &Person::name, "as in approvals and the ledger").required();
    t.texts("roles", &Person::roles, "what policy rules ask for").required();
    t.texts("keys", &Person::keys, "SSH public keys, `ssh-ed25519 AAAA...`");
    t.texts("os_users", &Person::os_users,
            "users of the operating system that are this person: their commands are this person's");
    t.finally([](Person& into, const doc::Value& value, Reader&) {
      into.position = position_of(value, "name");
      into.key_positions = positions_of(value, "keys");
      into.os_user_positions = positions_of(value, "os_users");
    });
    return t;
  }();
  static const Table<ServiceAccount> account = [] {
    Table<ServiceAccount> t("a service account", "a program that may call the endpoints");
    t.text("name", &ServiceAccount::name,
           "its name; its token is the file `.heddle/tokens/NAME`, which `heddle up` makes")
        .required();
    t.texts("permissions", &ServiceAccount::permissions, "predict, label, replay, read, stop")
        .required();
    t.texts(
        "sources", &ServiceAccount::sources,
        "sources that it may name, and no others; of one, all its requests are; without it, any "
        "of the Service");
    t.finally([](ServiceAccount& into, const doc::Value& value, Reader& reader) {
      into.source_positions = positions_of(value, "sources");
      into.position = position_of(value, "name");
      static const std::vector<std::string> known = {"predict", "label", "replay", "read", "stop"};
      const auto positions = positions_of(value, "permissions");
      for (std::size_t i = 0; i < into.permissions.size(); ++i) {
        if (std::find(known.begin(), known.end(), into.permissions[i]) != known.end()) continue;
        reader.report(i < positions.size() ? positions[i] : value.position(), "unknown-value",
                      fmt::format("there is no permission `{}`", into.permissions[i]),
                      "the permissions are `predict`, `label`, `replay`, `read`, `stop`");
      }
    });
    return t;
  }();
  static const Table<PeopleFile> table = [] {
    Table<PeopleFile> t("People", "people.yaml: who may approve, which programs may call");
    add_head(t, "People");
    t.objects("people", &PeopleFile::people, person, "the persons");
    t.objects("service_accounts", &PeopleFile::service_accounts, account, "the programs");
    return t;
  }();
  return table;
}

}  // namespace heddle::spec
