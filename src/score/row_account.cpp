#include "score/row_account.hpp"

#include <cmath>

#include "base/clock.hpp"
#include "runtime/spec.hpp"

namespace heddle::score {
namespace {

/// The changed values of a checked row: each field once, with all that changed it.
std::vector<ChangedField> changed_fields(const contract::Contract& contract,
                                         const contract::RowCheck& check,
                                         std::span<const expr::Datum> raw) {
  std::vector<ChangedField> out;
  const auto fields = contract.request_fields();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    ChangedField changed{fields[i].name};
    for (const std::uint16_t repair : check.repaired) {
      const auto& info = contract.repairs()[repair];
      if (info.field == changed.field) changed.by.push_back(info.id);
    }
    if (changed.by.empty()) continue;
    if (i < raw.size()) changed.from = value_of(raw[i]);
    changed.to = value_of(check.row[i]);
    out.push_back(std::move(changed));
  }
  return out;
}

}  // namespace

doc::Value value_of(const expr::Datum& datum) {
  using Kind = expr::Datum::Kind;
  switch (datum.kind) {
    case Kind::kBool: return datum.b;
    case Kind::kInt: return datum.i;
    case Kind::kDouble: return datum.d;
    case Kind::kString: return datum.str();
    case Kind::kTimestamp: return format_time(datum.i);
    default: return nullptr;
  }
}

Result<RowAccounts> RowAccounts::of(const bundle::Bundle& bundle) {
  HEDDLE_ASSIGN_OR_RETURN(const auto stored, bundle.json(bundle::kContract));
  HEDDLE_ASSIGN_OR_RETURN(auto contract, contract::Contract::from_value(stored));
  HEDDLE_ASSIGN_OR_RETURN(const auto written, bundle.json(bundle::kFeatures));
  HEDDLE_ASSIGN_OR_RETURN(auto program, feature::Program::from_value(written));
  RowAccounts out(std::move(contract), std::move(program));
  if (bundle.has(bundle::kRuntime)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto described, bundle.json(bundle::kRuntime));
    HEDDLE_ASSIGN_OR_RETURN(const auto runtime, runtime::parse(described));
    // What is sent the fields reads no feature, whatever the program could compute.
    if (runtime.inputs == runtime::Runtime::Inputs::kFeatures)
      out.names_ = out.program_.feature_names();
    return out;
  }
  out.names_ = out.program_.feature_names();
  HEDDLE_ASSIGN_OR_RETURN(out.plan_, Plan::load(bundle));
  return out;
}

RowAccount RowAccounts::account(std::span<const expr::Datum> raw) {
  RowAccount out;
  contract_.check(raw, check_);
  out.refused = check_.refused;
  for (const std::uint16_t rule : check_.broken) out.broken.push_back(contract_.rules()[rule]);
  out.changed = changed_fields(contract_, check_, raw);
  if (out.refused) return out;
  if (!names_.empty()) {
    out.features.resize(names_.size());
    program_.apply_row(check_.row, out.features, *features_);
  }
  explain(raw, out);
  return out;
}

void RowAccounts::explain(std::span<const expr::Datum> raw, RowAccount& out) {
  if (plan_ == nullptr) {
    out.not_explained = "a runtime scores these rows: it says nothing of its features";
    return;
  }
  out.contributions.resize(plan_->task().outputs() * plan_->contribution_names().size());
  const auto explained = plan_->explain_row(raw, out.contributions, scratch_);
  if (explained.ok()) return;
  out.contributions.clear();
  out.not_explained = explained.error().message;
}

}  // namespace heddle::score
