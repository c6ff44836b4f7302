#include "control/watched_route.hpp"

#include <memory>

#include "bundle/bundle.hpp"
#include "contract/contract.hpp"
#include "score/calibration.hpp"
#include "spec/service_bounds.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::control {
namespace {

/// A value of a typed row as the journal holds values.
plane::FieldValue to_field_value(const expr::Datum& datum) {
  plane::FieldValue value;
  value.kind = datum.kind;
  switch (datum.kind) {
    case expr::Datum::Kind::kString: value.s = std::string(datum.str()); break;
    case expr::Datum::Kind::kDouble: value.d = datum.d; break;
    case expr::Datum::Kind::kBool: value.i = datum.b ? 1 : 0; break;
    case expr::Datum::Kind::kNull:
    case expr::Datum::Kind::kError: break;
    default: value.i = datum.i;
  }
  return value;
}

}  // namespace

Result<watch::Route> read_watched_route(store::Objects& objects, const Digest& primary) {
  watch::Route route;
  route.primary = primary;
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(objects, primary));
  HEDDLE_ASSIGN_OR_RETURN(const auto profile, bundle.layer(bundle::kBaseline));
  HEDDLE_ASSIGN_OR_RETURN(auto baseline, watch::baseline_schema().parse_text(profile));
  route.baseline = std::make_shared<const watch::Baseline>(std::move(baseline));
  route.task = bundle.config().task;
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration_value, bundle.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration,
                          score::calibration_schema().parse(calibration_value));
  route.interval = calibration.interval;
  HEDDLE_ASSIGN_OR_RETURN(const auto contract_value, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::from_value(contract_value));
  for (const auto& repair : contract.repairs())
    route.repair += (route.repair.empty() ? "" : ",") + repair.id;
  // Without a repair the rows of the journal are what the model saw.
  if (route.repair.empty()) return route;
  auto shared = std::make_shared<const contract::Contract>(std::move(contract));
  auto check = std::make_shared<contract::RowCheck>();
  auto raw = std::make_shared<std::vector<expr::Datum>>();
  route.apply_repair = [shared, check, raw](std::vector<plane::FieldValue>& fields) {
    raw->clear();
    for (const auto& field : fields) raw->push_back(field.datum());
    shared->check(*raw, *check);
    for (std::size_t i = 0; i < check->row.size() && i < fields.size(); ++i) {
      // Of a refused row what is malformed stays as it came: it is not missing.
      if (check->refused && check->row[i].is_null()) continue;
      fields[i] = to_field_value(check->row[i]);
    }
  };
  return route;
}

Result<watch::Route> watched_or_not(Result<watch::Route> route, const Digest& primary,
                                    std::uint64_t version, const stats::Task& task) {
  // A bundle that is gone or damaged is a route that is
  // not watched; a fault of the disk is tried again.
  if (!route.ok() && route.error().kind != ErrorKind::kCorrupt &&
      route.error().kind != ErrorKind::kNotFound)
    return route;
  if (!route.ok()) {
    watch::Route bare;
    bare.primary = primary;
    bare.unwatched = route.error().message;
    bare.task = task;
    route = std::move(bare);
  }
  route->version = version;
  return route;
}

std::vector<std::string> journal_fields(const spec::Contract& contract) {
  std::vector<std::string> fields;
  for (const auto& field : contract.fields) {
    if (!field.label_time) fields.push_back(field.name);
  }
  return fields;
}

recover::Ladder::Options ladder_options(const spec::Project& project,
                                        const spec::Service& service) {
  const auto& model = project.models.at(service.model);
  recover::Ladder::Options options;
  options.service = service.identity.name;
  options.monitor = project.monitors.at(service.monitor);
  options.contract = project.contracts.at(project.feature_sets.at(model.features).contract);
  options.fields = journal_fields(options.contract);
  options.readmit_after = service.readmit_after;
  for (const auto& [name, evaluation] : project.evaluations) {
    if (evaluation.model == service.model) options.evaluation_file = evaluation.identity.file;
  }
  const auto bounds = spec::bounds_of(project, service.identity.name);
  if (bounds.retrain_max_rows > 0) options.retrain_rows = bounds.retrain_max_rows;
  return options;
}

}  // namespace heddle::control
