#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "contract/contract.hpp"
#include "expr/datum.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// What recorded rows of a service met: the bundle of their slot, and the repairs that its contract
/// made, worked out again from the values as they came. One thread; `objects` outlives it.
class RowLineage {
 public:
  [[nodiscard]] static Result<RowLineage> of(store::State& state, store::Objects& objects,
                                             const std::string& service);

  /// Digest of the bundle that `slot` had in that route table; empty when it is not known.
  [[nodiscard]] std::string bundle(std::uint64_t route_version, std::string_view slot) const;

  /// What arrived for a field; a text is borrowed until `repairs` returns.
  using ValueOf = std::function<expr::Datum(const std::string& field)>;
  /// Ids of the repairs that changed a value of a row, in their order. Nothing where the bundle is
  /// not known or cannot be read any more.
  [[nodiscard]] std::optional<std::vector<std::string>> repairs(const std::string& bundle,
                                                                const ValueOf& value);

 private:
  using Routes = std::map<std::pair<std::uint64_t, std::string>, std::string, std::less<>>;
  RowLineage(store::Objects& objects, Routes routes)
      : objects_(&objects), routes_(std::move(routes)) {}
  /// Null where it cannot be read.
  [[nodiscard]] const contract::Contract* contract_of(const std::string& bundle);

  store::Objects* objects_;
  Routes routes_;
  std::map<std::string, std::unique_ptr<const contract::Contract>> contracts_{};
  contract::RowCheck check_{};
  std::vector<expr::Datum> raw_{};
};

}  // namespace heddle::control
