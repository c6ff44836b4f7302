#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "control/operations.hpp"
#include "control/replies.hpp"
#include "control/requests.hpp"
#include "doc/schema.hpp"
#include "spec/contract.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// Collection of the state, keys `<service>/<time-ordered id>`: what people did with refused rows.
inline constexpr std::string_view kSettled = "settled";

/// One act of a person on refused rows. No values of rows: their ids.
struct SettledRows {
  std::string act{};                ///< `accept`, `reprocess` or `discard`
  std::string by{};                 ///< the person
  std::uint64_t entry = 0;          ///< ledger entry
  std::vector<std::string> rows{};  ///< ids
};
[[nodiscard]] const doc::Schema<SettledRows>& settled_rows_schema();

/// Ids of the rows of a service that somebody has settled. Of the newest acts: what is older has
/// left the journal too.
[[nodiscard]] Result<std::set<std::string>> settled_rows(store::State& state,
                                                         const std::string& service);

/// A person's `accept`, `reprocess` or `discard` of refused rows: a decision under policy
/// (`rows.accept`, `rows.reprocess`, `rows.discard` on `service/NAME`), which is in the ledger
/// before anything that came of it is visible. kDenied `rows-denied`.
[[nodiscard]] Result<SettleReply> settle_rows(Control::Core& core, const SettleRequest& request,
                                              const Call& call);

/// The fields that a rule of a contract is about, for a row that broke it: its field, those of a
/// dependency or of an expression. Empty where it is about none (`source-quarantined`).
[[nodiscard]] std::vector<std::string> fields_of_rule(const spec::Contract& contract,
                                                      const std::string& rule);

}  // namespace heddle::control
