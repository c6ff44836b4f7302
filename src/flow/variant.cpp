#include "flow/variant.hpp"

#include <algorithm>
#include <cmath>

#include "contract/contract.hpp"
#include "evaluate/evidence_format.hpp"
#include "feature/program.hpp"
#include "flow/assemble.hpp"
#include "runtime/spec.hpp"
#include "score/plan.hpp"

namespace heddle::flow {
namespace {

/// A bundle taken apart.
struct OpenedBase {
  bundle::Bundle bundle;
  doc::Value contract_value;
  contract::Contract contract;
  feature::Program features;
  stats::Task task;
  score::Calibration calibration;
};

Result<OpenedBase> take_apart(store::Objects& objects, const Digest& digest) {
  HEDDLE_ASSIGN_OR_RETURN(auto bundle, bundle::open(objects, digest));
  HEDDLE_ASSIGN_OR_RETURN(auto contract_value, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::from_value(contract_value));
  HEDDLE_ASSIGN_OR_RETURN(const auto features_value, bundle.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(auto features, feature::Program::from_value(features_value));
  HEDDLE_ASSIGN_OR_RETURN(const auto written, bundle.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(auto calibration, score::calibration_schema().parse(written));
  auto task = bundle.config().task;
  return OpenedBase{std::move(bundle),   std::move(contract_value), std::move(contract),
                    std::move(features), std::move(task),           std::move(calibration)};
}

Result<std::string> text_layer(const bundle::Bundle& bundle, std::string_view title) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view bytes, bundle.layer(title));
  return std::string(bytes);
}

/// The config of what is made from `base`.
bundle::Config derived(const OpenedBase& base, const Digest& digest, const std::string& commit,
                       bundle::Change change) {
  bundle::Config config = base.bundle.config();
  config.commit = commit;
  config.dirty = base.bundle.dirty() || commit.empty();
  config.derived_from = digest;
  config.change = std::move(change);
  return config;
}

/// The base's own parts, ready to be changed.
Result<Assembly> same_as(const OpenedBase& base, const contract::Contract& contract,
                         bundle::Config config) {
  Assembly assembly;
  assembly.contract = &contract;
  assembly.features = &base.features;
  assembly.task = base.task;
  assembly.calibration = base.calibration;
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
  if (base.bundle.has(bundle::kTrainer)) {
    HEDDLE_ASSIGN_OR_RETURN(assembly.trainer, text_layer(base.bundle, bundle::kTrainer));
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto proof, base.bundle.json(bundle::kReference));
  HEDDLE_ASSIGN_OR_RETURN(const auto reference, score::reference_schema().parse(proof));
  HEDDLE_ASSIGN_OR_RETURN(
      assembly.reference_rows,
      score::table_of(reference.kept, base.contract.request_fields(), score::reference_schema()));
  assembly.config = std::move(config);
  return assembly;
}

/// The evaluation of a bundle with what its interval was fitted to since.
Result<std::string> with_refit(const bundle::Bundle& bundle,
                               const std::optional<evaluate::IntervalRefit>& refit) {
  HEDDLE_ASSIGN_OR_RETURN(const auto evaluation, bundle.json(bundle::kEvaluation));
  HEDDLE_ASSIGN_OR_RETURN(auto evidence, evaluate::evidence_schema().parse(evaluation));
  evidence.interval_refit = refit;
  return doc::to_json(evaluate::evidence_schema().print(evidence));
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

}  // namespace

Result<Digest> with_transform(store::Objects& objects, const Digest& base_digest,
                              const spec::Transform& transform, const std::string& commit) {
  HEDDLE_ASSIGN_OR_RETURN(const OpenedBase base, take_apart(objects, base_digest));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_with(base.contract_value, transform));
  bundle::Change change{.kind = bundle::Change::Kind::kTransform,
                        .id = transform.id,
                        .field = transform.field,
                        .expression = transform.expression.text};
  HEDDLE_ASSIGN_OR_RETURN(
      const auto assembly,
      same_as(base, contract, derived(base, base_digest, commit, std::move(change))));
  return assemble(objects, assembly);
}

Result<Digest> without_transform(store::Objects& objects, const Digest& base_digest,
                                 const std::string& id, const std::string& commit) {
  HEDDLE_ASSIGN_OR_RETURN(const OpenedBase base, take_apart(objects, base_digest));
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
  bundle::Change change{.kind = bundle::Change::Kind::kTransformWithdrawn, .id = id};
  HEDDLE_ASSIGN_OR_RETURN(
      const auto assembly,
      same_as(base, contract, derived(base, base_digest, commit, std::move(change))));
  return assemble(objects, assembly);
}

Result<Digest> with_calibration(store::Objects& objects, const Digest& base_digest,
                                const score::Calibration& calibration, const std::string& commit,
                                const std::optional<evaluate::IntervalRefit>& refit) {
  const auto& offsets = calibration.offsets;
  const bool is_finite =
      std::all_of(offsets.begin(), offsets.end(), [](double each) { return std::isfinite(each); });
  if (!is_finite || (calibration.interval && !std::isfinite(calibration.interval->quantile)))
    return Error{ErrorKind::kInvalid, "calibration-not-finite",
                 "each offset of a calibration, and the quantile of its interval, must be a number",
                 "give them in logits, of a regression in the target's unit"};
  HEDDLE_ASSIGN_OR_RETURN(const OpenedBase base, take_apart(objects, base_digest));
  HEDDLE_TRY(score::check_calibration(calibration, base.task));
  bundle::Change change{.kind = bundle::Change::Kind::kCalibration,
                        .to = score::calibration_schema().print(calibration)};
  HEDDLE_ASSIGN_OR_RETURN(
      auto assembly,
      same_as(base, base.contract, derived(base, base_digest, commit, std::move(change))));
  if (calibration.interval != base.calibration.interval) {
    HEDDLE_ASSIGN_OR_RETURN(assembly.evaluation, with_refit(base.bundle, refit));
  }
  assembly.calibration = calibration;
  return assemble(objects, assembly);
}

}  // namespace heddle::flow
