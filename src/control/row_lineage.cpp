#include "control/row_lineage.hpp"

#include "bundle/bundle.hpp"
#include "control/service_rows.hpp"
#include "control/stored_rows.hpp"

namespace heddle::control {

Result<RowLineage> RowLineage::of(store::State& state, store::Objects& objects,
                                  const std::string& service) {
  Routes routes;
  HEDDLE_TRY(state.read([&](store::Txn& txn) {
    return each_row(txn, kRoutes, service + "/", route_row_schema(),
                    [&](auto, auto, const RouteRow& route) {
                      const auto note = [&](const char* slot, const Digest& bundle) {
                        routes[{route.version, slot}] = bundle.empty() ? "" : bundle.str();
                      };
                      note("primary", route.primary);
                      note("standby", route.standby);
                      note("canary", route.canary);
                    });
  }));
  return RowLineage(objects, std::move(routes));
}

std::string RowLineage::bundle(std::uint64_t route_version, std::string_view slot) const {
  const auto at = routes_.find(std::pair(route_version, std::string(slot)));
  return at == routes_.end() ? std::string() : at->second;
}

const contract::Contract* RowLineage::contract_of(const std::string& bundle) {
  const auto known = contracts_.find(bundle);
  if (known != contracts_.end()) return known->second.get();
  auto& made = contracts_[bundle];
  const auto read = [&]() -> Result<contract::Contract> {
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, Digest::parse(bundle));
    HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*objects_, digest));
    HEDDLE_ASSIGN_OR_RETURN(const auto value, opened.json(bundle::kContract));
    return contract::Contract::from_value(value);
  };
  if (auto contract = read(); contract.ok())
    made = std::make_unique<const contract::Contract>(std::move(*contract));
  return made.get();
}

std::optional<std::vector<std::string>> RowLineage::repairs(const std::string& bundle,
                                                            const ValueOf& value) {
  const contract::Contract* const contract = bundle.empty() ? nullptr : contract_of(bundle);
  if (contract == nullptr) return std::nullopt;
  std::vector<std::string> out;
  if (contract->repairs().empty()) return out;
  raw_.clear();
  for (const auto& field : contract->request_fields()) raw_.push_back(value(field.name));
  contract->check(raw_, check_);
  for (const std::uint16_t repair : check_.repaired) out.push_back(contract->repairs()[repair].id);
  return out;
}

}  // namespace heddle::control
