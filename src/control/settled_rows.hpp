#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "control/operations.hpp"
#include "control/replies.hpp"
#include "control/requests.hpp"
#include "doc/schema.hpp"
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

/// The rows of a service that somebody has settled, by their ids: how. Of the newest acts: what is
/// older has left the journal too.
[[nodiscard]] Result<std::map<std::string, std::string>> settled_rows(store::State& state,
                                                                      const std::string& service);

/// A person's `accept`, `reprocess` or `discard` of refused rows, or the `restore` of settled ones,
/// which wait again then: a decision under policy (`rows.ACT` on `service/NAME`), which is in the
/// ledger before anything that came of it is visible. kDenied `rows-denied`; kConflict
/// `rows-settled`: one of them was settled meanwhile; `rows-not-settled`: one that is to be
/// restored is not.
[[nodiscard]] Result<SettleReply> settle_rows(Control::Core& core, const SettleRequest& request,
                                              const Call& call);

}  // namespace heddle::control
