#include "flow/variant.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "contract/contract.hpp"
#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "evaluate/paired.hpp"
#include "feature/program.hpp"
#include "flow/assemble.hpp"
#include "flow/held_out.hpp"
#include "model/scorer.hpp"
#include "runtime/spec.hpp"
#include "stats/metrics.hpp"
#include "train/train.hpp"
#include "watch/baseline.hpp"

namespace heddle::flow {
namespace {

constexpr std::int64_t kLeastRows = 200;
constexpr std::int64_t kReferenceRows = 64;
constexpr double kStoppingFraction =
    0.1;  ///< of the rows that are not held out: decide when to stop

/// A bundle taken apart.
struct Base {
  bundle::Bundle bundle;
  doc::Value contract_value;
  contract::Contract contract;
  feature::Program features;
  double intercept = 0;
};

Result<Base> take_apart(store::Objects& objects, const Digest& digest) {
  HEDDLE_ASSIGN_OR_RETURN(auto bundle, bundle::open(objects, digest));
  HEDDLE_ASSIGN_OR_RETURN(auto contract_value, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::from_value(contract_value));
  HEDDLE_ASSIGN_OR_RETURN(const auto features_value, bundle.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(auto features, feature::Program::from_value(features_value));
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration, bundle.json(bundle::kCalibration));
  const double intercept = calibration.double_or("intercept");
  return Base{std::move(bundle), std::move(contract_value), std::move(contract),
              std::move(features), intercept};
}

Result<std::string> text_layer(const bundle::Bundle& bundle, std::string_view title) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view bytes, bundle.layer(title));
  return std::string(bytes);
}

/// The config of what is made from `base`.
doc::Value derived(const Base& base, const Digest& digest, const std::string& commit,
                   doc::Value change) {
  doc::Value config = base.bundle.config();
  config.set("commit", commit);
  config.set("dirty", base.bundle.dirty() || commit.empty());
  config.set("derived_from", digest.str());
  config.set("change", std::move(change));
  return config;
}

/// The base's own parts, ready to be changed.
Result<Assembly> same_as(const Base& base, const contract::Contract& contract, doc::Value config) {
  Assembly assembly;
  assembly.contract = &contract;
  assembly.features = &base.features;
  assembly.intercept = base.intercept;
  if (base.bundle.has(bundle::kRuntime)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto written, base.bundle.json(bundle::kRuntime));
    HEDDLE_ASSIGN_OR_RETURN(assembly.runtime, runtime::parse(written));
    if (base.bundle.has(bundle::kRuntimeFiles)) {
      HEDDLE_ASSIGN_OR_RETURN(assembly.files, text_layer(base.bundle, bundle::kRuntimeFiles));
    }
  } else {
    HEDDLE_ASSIGN_OR_RETURN(assembly.model, text_layer(base.bundle, bundle::kModel));
  }
  HEDDLE_ASSIGN_OR_RETURN(assembly.baseline, text_layer(base.bundle, bundle::kBaseline));
  HEDDLE_ASSIGN_OR_RETURN(assembly.evaluation, text_layer(base.bundle, bundle::kEvaluation));
  HEDDLE_ASSIGN_OR_RETURN(assembly.statements, text_layer(base.bundle, bundle::kStatements));
  HEDDLE_ASSIGN_OR_RETURN(const auto reference, base.bundle.json(bundle::kReference));
  HEDDLE_ASSIGN_OR_RETURN(assembly.reference_rows,
                          rows_of(reference, base.contract.request_fields()));
  assembly.config = std::move(config);
  return assembly;
}

/// The contract of a layer with one transform more; one of the same id is replaced in its place.
Result<contract::Contract> contract_with(doc::Value value, const spec::Transform& transform) {
  doc::Value added = doc::Value::object({{"id", transform.id},
                                         {"field", transform.field},
                                         {"expression", transform.expression.text},
                                         {"reason", transform.reason}});
  if (doc::Value* there = value.find("transforms"); there == nullptr || !there->is_array())
    value.set("transforms", doc::Value::array());
  auto& transforms = value.find("transforms")->as_array();
  const auto same = std::find_if(transforms.begin(), transforms.end(), [&](const doc::Value& each) {
    return each.string_or("id") == transform.id;
  });
  if (same == transforms.end())
    transforms.push_back(std::move(added));
  else
    *same = std::move(added);
  return contract::Contract::from_value(value);
}

/// Bounds of the parts of n rows: trained on, deciding when to stop, held out.
struct Cut {
  std::int64_t train = 0;
  std::int64_t stopping = 0;
};

Cut cut(std::int64_t rows, double holdout_fraction) {
  const double held = std::clamp(holdout_fraction, 0.05, 0.5);
  const auto learned = static_cast<std::int64_t>(static_cast<double>(rows) * (1 - held));
  return {static_cast<std::int64_t>(static_cast<double>(learned) * (1 - kStoppingFraction)),
          learned};
}

std::vector<spec::Gate> default_gates() {
  return {{"retrain-beats-base",
           {"metrics.log_loss < base.log_loss", {}},
           "on rows neither has learned from"},
          {"retrain-tells-apart", {"metrics.auc > 0.55", {}}, "random order is 0.5"}};
}

/// The candidate of a retrain and what serves.
struct Rivals {
  const Base& base;
  const model::Scorer& base_model;
  const feature::Program& features;
  const model::Scorer& model;
};

/// Log odds of both for the same rows.
struct Answers {
  std::vector<float> base;
  std::vector<float> candidate;
};

Result<std::vector<float>> margins_of(const model::Scorer& model, const feature::Program& features,
                                      double intercept, const table::Table& rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto matrix, features.apply(rows));
  std::vector<float> margins(static_cast<std::size_t>(matrix.rows));
  model.margins(matrix.values.data(), matrix.rows, margins.data());
  for (auto& margin : margins) margin += static_cast<float>(intercept);
  return margins;
}

Result<Answers> answers_of(const Rivals& rivals, const table::Table& rows) {
  Answers out;
  HEDDLE_ASSIGN_OR_RETURN(out.candidate, margins_of(rivals.model, rivals.features, 0, rows));
  HEDDLE_ASSIGN_OR_RETURN(
      out.base, margins_of(rivals.base_model, rivals.base.features, rivals.base.intercept, rows));
  return out;
}

/// {"rows", "verdict", "metrics"} of the candidate beside the base; `worse_by` becomes how much
/// worse its log loss is at least (95 %), or NaN where there is no telling.
Result<doc::Value> beside_base(const table::Table& rows, const Answers& answers,
                               std::span<const std::uint8_t> labels, double* worse_by = nullptr) {
  HEDDLE_ASSIGN_OR_RETURN(const auto differences,
                          evaluate::compare({}, {&rows, answers.base, answers.candidate, labels}));
  auto metrics = doc::Value::array();
  for (const auto& each : differences) {
    metrics.push(each.to_value());
    if (worse_by == nullptr || each.metric != "log_loss") continue;
    const auto margin = each.margin_of_error();
    *worse_by = margin ? each.difference() - *margin : std::numeric_limits<double>::quiet_NaN();
  }
  return doc::Value::object({{"rows", rows.rows()},
                             {"verdict", evaluate::verdict(differences)},
                             {"metrics", std::move(metrics)}});
}

/// How the candidate does on rows from before the change: what it forgot shows there, and what
/// labels that are no labels taught it.
Result<doc::Value> judge_before(const Rivals& rivals, const RowsBefore& before) {
  const auto none = [](std::string why) {
    return doc::Value::object({{"rows", 0}, {"verdict", "none"}, {"why", std::move(why)}});
  };
  if (!before.why_not.empty()) return none(before.why_not);
  const auto check = rivals.base.contract.check_table(before.rows);
  // Rows of an older contract: a retrain does not fail for what it is only to be told of.
  if (!check.ok()) return none(check.error().message);
  std::vector<std::uint8_t> labels;
  for (std::size_t row = 0; row < before.labels.size(); ++row) {
    if (check->refused[row] == 0) labels.push_back(before.labels[row]);
  }
  if (static_cast<std::int64_t>(labels.size()) < kLeastRows)
    return none(fmt::format("there are {}; {} are wanted", labels.size(), kLeastRows));
  HEDDLE_ASSIGN_OR_RETURN(const auto answers, answers_of(rivals, check->accepted));
  HEDDLE_ASSIGN_OR_RETURN(auto out, beside_base(check->accepted, answers, labels));
  out.set("of", before.of);
  return out;
}

/// Whose labels a retrain rests on.
struct Backing {
  std::string most{};                  ///< the account that labelled most of what is trained on
  std::vector<std::int64_t> others{};  ///< held-out rows that it did not label alone
  bool several = false;                ///< others have labelled rows at all
  std::int64_t trained = 0;            ///< rows that it labelled, of those that are trained on
};

/// `kept`: places of the accepted rows among those given; from `first_held` on they are held out.
Backing backing_of(const RetrainInput& input, std::span<const std::int64_t> kept,
                   std::int64_t first_held) {
  Backing out;
  if (input.label_accounts.empty()) return out;
  const auto of = [&](std::size_t row) {
    return input.label_accounts[static_cast<std::size_t>(kept[row])];
  };
  std::vector<std::int64_t> rows(input.accounts.size(), 0);
  for (std::size_t row = 0; row < static_cast<std::size_t>(first_held); ++row) ++rows[of(row)];
  const auto most = std::max_element(rows.begin() + 1, rows.end());
  if (most == rows.end() || *most == 0) return out;
  const auto number = static_cast<std::uint16_t>(most - rows.begin());
  out.most = input.accounts[number];
  out.trained = *most;
  for (std::size_t row = 0; row < kept.size(); ++row) {
    if (of(row) == number) continue;
    out.several = true;
    if (row >= static_cast<std::size_t>(first_held))
      out.others.push_back(static_cast<std::int64_t>(row) - first_held);
  }
  return out;
}

/// {"most", "train_rows", "only", "others"?}: `only` names the account on whose labels alone the
/// candidate rests although there are others.
Result<doc::Value> judge_backing(const Backing& backing, const table::Table& held_rows,
                                 const Answers& answers, std::span<const std::uint8_t> labels,
                                 double& worse_by) {
  const bool tells = static_cast<std::int64_t>(backing.others.size()) >= kLeastRows;
  auto out = doc::Value::object({{"most", backing.most},
                                 {"train_rows", backing.trained},
                                 {"only", backing.several && !tells ? backing.most : ""}});
  if (!tells) return out;
  const auto rows = held_rows.take(backing.others);
  Answers picked;
  std::vector<std::uint8_t> of_others;
  for (const auto row : backing.others) {
    const auto i = static_cast<std::size_t>(row);
    picked.base.push_back(answers.base[i]);
    picked.candidate.push_back(answers.candidate[i]);
    of_others.push_back(labels[i]);
  }
  HEDDLE_ASSIGN_OR_RETURN(auto others, beside_base(rows, picked, of_others, &worse_by));
  out.set("others", std::move(others));
  return out;
}

doc::Value to_value(const evaluate::Numbers& numbers) {
  doc::Value out = doc::Value::object();
  for (const auto& [name, number] : numbers) out.set(name, number);
  return out;
}

}  // namespace

Result<Digest> with_transform(store::Objects& objects, const Digest& base_digest,
                              const spec::Transform& transform, const std::string& commit) {
  HEDDLE_ASSIGN_OR_RETURN(const Base base, take_apart(objects, base_digest));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_with(base.contract_value, transform));
  auto change = doc::Value::object({{"kind", "transform"},
                                    {"id", transform.id},
                                    {"field", transform.field},
                                    {"expression", transform.expression.text}});
  HEDDLE_ASSIGN_OR_RETURN(
      const auto assembly,
      same_as(base, contract, derived(base, base_digest, commit, std::move(change))));
  return assemble(objects, assembly);
}

Result<Digest> without_transform(store::Objects& objects, const Digest& base_digest,
                                 const std::string& id, const std::string& commit) {
  HEDDLE_ASSIGN_OR_RETURN(const Base base, take_apart(objects, base_digest));
  doc::Value value = base.contract_value;
  doc::Value* transforms = value.find("transforms");
  const auto erased = transforms == nullptr || !transforms->is_array()
                          ? 0
                          : std::erase_if(transforms->as_array(), [&](const doc::Value& each) {
                              return each.string_or("id") == id;
                            });
  if (erased == 0) {
    return Error{ErrorKind::kNotFound, "transform-unknown",
                 fmt::format("bundle {} has no transform `{}`", base_digest.short_str(), id),
                 "see `heddle bundle inspect`"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract::Contract::from_value(value));
  auto change = doc::Value::object({{"kind", "transform-withdrawn"}, {"id", id}});
  HEDDLE_ASSIGN_OR_RETURN(
      const auto assembly,
      same_as(base, contract, derived(base, base_digest, commit, std::move(change))));
  return assemble(objects, assembly);
}

Result<Digest> with_calibration(store::Objects& objects, const Digest& base_digest,
                                double intercept, const std::string& commit) {
  if (!std::isfinite(intercept))
    return Error{ErrorKind::kInvalid, "intercept-not-finite",
                 "a calibration intercept must be a number", "give it in logits"};
  HEDDLE_ASSIGN_OR_RETURN(const Base base, take_apart(objects, base_digest));
  auto change = doc::Value::object({{"kind", "calibration"}, {"intercept", intercept}});
  HEDDLE_ASSIGN_OR_RETURN(
      auto assembly,
      same_as(base, base.contract, derived(base, base_digest, commit, std::move(change))));
  assembly.intercept = intercept;
  return assemble(objects, assembly);
}

Result<RetrainOutcome> retrain(const RetrainInput& input) {
  HEDDLE_ASSIGN_OR_RETURN(const Base base, take_apart(*input.objects, input.base));
  if (base.bundle.has(bundle::kRuntime)) {
    return Error{ErrorKind::kInvalid, "retrain-no-trainer",
                 "the model of this bundle is not trained by Heddle",
                 "train it where it is trained, then `heddle run`"};
  }
  if (static_cast<std::int64_t>(input.labels.size()) != input.rows.rows()) {
    return Error{ErrorKind::kInvalid, "retrain-labels",
                 fmt::format("{} labels for {} rows", input.labels.size(), input.rows.rows()),
                 "give one a row"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto check, base.contract.check_table(input.rows));
  std::vector<std::uint8_t> labels;
  std::vector<std::int64_t> kept;
  for (std::size_t row = 0; row < input.labels.size(); ++row) {
    if (check.refused[row] != 0) continue;
    labels.push_back(input.labels[row]);
    kept.push_back(static_cast<std::int64_t>(row));
  }
  const table::Table& rows = check.accepted;
  const Cut parts = cut(rows.rows(), input.holdout_fraction);
  const auto positive =
      std::count(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(parts.train), 1);
  if (rows.rows() < kLeastRows || positive == 0 || positive == parts.train) {
    return Error{ErrorKind::kInvalid, "retrain-too-little",
                 fmt::format("{} accepted rows, {} of them positive, are too little to retrain on",
                             rows.rows(), positive),
                 "wait for more labels"};
  }
  const std::span<const std::uint8_t> all(labels);
  const auto held_labels = all.subspan(static_cast<std::size_t>(parts.stopping));
  const table::Table held_rows = rows.slice(parts.stopping, rows.rows());

  // Features and model anew, with what the base's search found best.
  HEDDLE_ASSIGN_OR_RETURN(const auto features_value, base.bundle.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(auto features, feature::Program::from_value(features_value));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto fitted,
      features.fit(rows.slice(0, parts.train), all.first(static_cast<std::size_t>(parts.train))));
  HEDDLE_ASSIGN_OR_RETURN(const auto stopping,
                          features.apply(rows.slice(parts.train, parts.stopping)));
  const doc::Value& config = base.bundle.config();
  train::TrainInput training;
  training.trainer = config.string_or("trainer", "xgboost");
  if (const doc::Value* parameters = config.find("parameters"))
    training.parameters = parameters_from_value(*parameters);
  training.feature_names = {features.feature_names().begin(), features.feature_names().end()};
  training.train = {fitted.train.values.data(), labels.data(), fitted.train.rows,
                    fitted.train.columns};
  training.validation = {stopping.values.data(), labels.data() + parts.train, stopping.rows,
                         stopping.columns};
  training.max_rounds = static_cast<int>(std::max<std::int64_t>(1, config.int_or("rounds", 100)));
  training.early_stopping_rounds = 20;
  training.seed = input.seed != 0 ? input.seed : config.int_or("seed");
  HEDDLE_ASSIGN_OR_RETURN(const auto trained, train::train(training));

  // New and base on the same held-out rows.
  HEDDLE_ASSIGN_OR_RETURN(const auto scorer, model::Scorer::load(trained.model));
  HEDDLE_ASSIGN_OR_RETURN(const std::string base_model, text_layer(base.bundle, bundle::kModel));
  HEDDLE_ASSIGN_OR_RETURN(const auto base_scorer, model::Scorer::load(base_model));
  const Rivals rivals{base, *base_scorer, features, *scorer};
  HEDDLE_ASSIGN_OR_RETURN(const auto answers, answers_of(rivals, held_rows));
  const std::vector<float>& margins = answers.candidate;
  const std::vector<float>& base_margins = answers.base;
  spec::Evaluation definition;
  HEDDLE_ASSIGN_OR_RETURN(const auto metrics,
                          evaluate::metrics(definition, {&held_rows, margins, held_labels}));
  HEDDLE_ASSIGN_OR_RETURN(const auto base_metrics,
                          evaluate::metrics(definition, {&held_rows, base_margins, held_labels}));
  evaluate::Numbers numbers;
  for (const auto& [name, number] : metrics) numbers["metrics." + name] = number;
  for (const auto& [name, number] : base_metrics) numbers["base." + name] = number;
  numbers["metrics.label_entropy"] = stats::label_entropy(held_labels);
  std::vector<spec::Gate> gates = input.gates.empty() ? default_gates() : input.gates;
  RetrainOutcome outcome;
  const Backing backing = backing_of(input, kept, parts.stopping);
  double worse_by = std::numeric_limits<double>::quiet_NaN();
  HEDDLE_ASSIGN_OR_RETURN(auto label_accounts,
                          judge_backing(backing, held_rows, answers, held_labels, worse_by));
  if (label_accounts.find("others") != nullptr) {
    numbers["others.worse_by"] = worse_by;
    gates.push_back({"retrain-holds-for-other-labels",
                     {"others.worse_by <= 0.0", {}},
                     "on held-out rows that others labelled than who labelled most of what it "
                     "learned from"});
  }
  HEDDLE_ASSIGN_OR_RETURN(auto before, judge_before(rivals, input.before));
  outcome.judged = doc::Value::object(
      {{"before_change", std::move(before)}, {"label_accounts", std::move(label_accounts)}});
  evaluate::Evidence evidence;
  evidence.metrics = metrics;
  HEDDLE_ASSIGN_OR_RETURN(evidence.gates, evaluate::run_gates(gates, numbers));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto differences,
      evaluate::compare(definition, {&held_rows, base_margins, margins, held_labels}));
  evidence.base = evaluate::BaseEvidence{.bundle = input.base.str(), .rows = held_rows.rows()};
  evidence.base->metrics = doc::Value::array();
  for (const auto& each : differences) evidence.base->metrics.push(each.to_value());

  outcome.train_rows = parts.stopping;
  outcome.holdout_rows = held_rows.rows();
  outcome.metrics =
      doc::Value::object({{"new", to_value(metrics)}, {"base", to_value(base_metrics)}});
  for (const auto& gate : evidence.gates) {
    if (gate.failed()) outcome.failed_gates.push_back(gate.id);
  }
  outcome.gates_passed = evidence.passed = outcome.failed_gates.empty();
  if (!outcome.gates_passed) return outcome;

  Assembly assembly;
  assembly.contract = &base.contract;
  assembly.features = &features;
  assembly.model = trained.model;
  std::vector<std::int64_t> chosen;
  for (const auto i : spread(parts.stopping, rows.rows(), kReferenceRows))
    chosen.push_back(kept[static_cast<std::size_t>(i)]);
  assembly.reference_rows = input.rows.take(chosen);
  HEDDLE_ASSIGN_OR_RETURN(assembly.baseline, text_layer(base.bundle, bundle::kBaseline));
  if (input.monitor != nullptr && input.contract != nullptr) {
    std::vector<float> known(static_cast<std::size_t>(rows.rows()),
                             std::numeric_limits<float>::quiet_NaN());
    std::copy(margins.begin(), margins.end(),
              known.begin() + static_cast<std::ptrdiff_t>(parts.stopping));
    std::vector<Micros> times;
    for (const auto row : kept)
      times.push_back(input.event_times.empty() ? 0
                                                : input.event_times[static_cast<std::size_t>(row)]);
    if (input.event_times.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(const table::Column* time,
                              rows.column(config.string_or("time_field")));
      times = time->ints;
    }
    watch::BaselineInput profile;
    for (const auto& column : rows.columns()) {
      profile.names.push_back(column.name);
      profile.columns.push_back(column.view());
    }
    profile.event_time = times;
    profile.margins = known;
    profile.labels = labels;
    HEDDLE_ASSIGN_OR_RETURN(const auto baseline,
                            watch::build_baseline(*input.monitor, *input.contract, profile));
    assembly.baseline = doc::to_json(baseline.to_value());
  }
  doc::Value evaluation = evidence.to_value();
  evaluation.set("retrain", outcome.judged);
  assembly.evaluation = doc::to_json(evaluation);
  const std::vector<evaluate::Resource> subjects = {
      {"model.json", sha256(trained.model)},
      {"features.json", sha256(doc::to_json(features.to_value()))}};
  assembly.statements = evaluate::to_statement(evidence, subjects, {});
  auto change = doc::Value::object(
      {{"kind", "retrain"}, {"rows", rows.rows()}, {"data", input.rows.content_digest().str()}});
  assembly.config = derived(base, input.base, input.commit, std::move(change));
  // The base's own, if it has one, is of rows that this model may not have seen.
  const auto last = static_cast<std::size_t>(kept[static_cast<std::size_t>(parts.stopping - 1)]);
  assembly.config.set("learned_until", input.event_times.empty()
                                           ? doc::Value()
                                           : doc::Value(input.event_times[last]));
  HeldOut own;
  const auto kept_held =
      std::span<const std::int64_t>(kept).subspan(static_cast<std::size_t>(parts.stopping));
  own.rows = input.rows.take(kept_held);
  own.labels.assign(held_labels.begin(), held_labels.end());
  for (const auto row : kept_held) {
    if (!input.event_times.empty())
      own.times.push_back(input.event_times[static_cast<std::size_t>(row)]);
  }
  HEDDLE_ASSIGN_OR_RETURN(const Digest held_out,
                          keep_held_out(*input.objects, base.contract.request_fields(), own));
  const auto* lineage = config.find("lineage");
  doc::Value own_lineage = lineage == nullptr ? doc::Value::object() : *lineage;
  own_lineage.set("held_out", held_out.str());
  assembly.config.set("lineage", std::move(own_lineage));
  assembly.config.set("role", "primary");
  assembly.config.set("rounds", trained.rounds);
  assembly.config.set("seed", training.seed);
  HEDDLE_ASSIGN_OR_RETURN(outcome.bundle, assemble(*input.objects, assembly));
  return outcome;
}

}  // namespace heddle::flow
