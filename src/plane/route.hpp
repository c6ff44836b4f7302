#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "base/signature.hpp"

namespace heddle::plane {

/// A source whose rows are refused, as far as one account sends them: what one caller sends takes
/// a source that others use too from nobody else. Every row is still checked: after `readmit_after`
/// rows in a row that were positively found clean under `rule`, the data plane lets the source in
/// again (pre-authorised, journaled as `source-readmit`).
struct QuarantinedSource {
  std::string source;
  std::string
      rule;  ///< the contract rule whose breakage was confirmed; empty: whatever refuses a row
  std::uint32_t readmit_after = 5;  ///< 0: only a person or a decision lets it in
  std::string account{};            ///< whose rows of the source; empty: everybody's
  std::string by{};      ///< the person who shut it out; empty: recovery. Of the control plane
  std::string reason{};  ///< of that person. Of the control plane: no table has the two

  bool operator==(const QuarantinedSource&) const = default;
  [[nodiscard]] bool is(std::string_view of_account, std::string_view of_source) const noexcept {
    return source == of_source && account == of_account;
  }
  [[nodiscard]] bool holds(std::string_view of_account, std::string_view of_source) const noexcept {
    return source == of_source && (account.empty() || account == of_account);
  }
};

/// For people: "`SOURCE` of account `ACCOUNT`", or "`SOURCE`" where it is everybody's.
[[nodiscard]] std::string source_text(std::string_view account, std::string_view source);

/// Half of the traffic: the other half is its baseline.
inline constexpr std::uint32_t kMostCanaryWeight = 5'000;

/// A released bundle that answers a share of the traffic. A baseline of the same share is drawn
/// beside it (Cohort). The same sticky key always falls on the same side, and raising the weight
/// moves none away from the canary.
struct Canary {
  Digest bundle{};
  std::uint32_t weight = 0;  ///< share of the requests, in ten-thousandths; at most 5,000
  std::string sticky{};  ///< key of the draw: `source`, `header:NAME`, `field:NAME`; empty: each
                         ///< request for itself
  std::string header{};  ///< requests with this header of value `header_value` always go to the
                         ///< canary; empty: none
  std::string header_value{};
  bool operator==(const Canary&) const = default;
};

/// When the data plane changes to the standby by itself. Over the last `requests` answered by the
/// primary.
struct FailOver {
  std::uint32_t requests = 50;
  double failed_share =
      0.5;  ///< of the requests without an answer of the runtime (errors and timeouts)
  double refused_share = 1.0;  ///< of the rows refused by the contract; 1: never for this reason
  std::uint32_t most = 1;      ///< fail-overs in a row without a route table that settles them
  bool operator==(const FailOver&) const = default;
};

/// What the data plane does for one service (DESIGN 4, Route table). Strictly increasing version;
/// the data plane refuses lower ones and anything not signed by the control key.
struct RouteTable {
  std::uint64_t version = 0;
  std::string service;
  Digest primary{};                ///< answers
  Digest standby{};                ///< loaded, warmed, shadow-scored; empty: none
  Canary canary{};                 ///< `canary.bundle` empty: none
  Digest shadow{};                 ///< scored beside and compared, never answers; empty: none
  bool fail_over_allowed = false;  ///< policy authorised the switch to standby beforehand
  FailOver fail_over{};
  std::vector<QuarantinedSource> quarantined{};
  bool stopped = false;  ///< the declared safe state: requests are answered 503
  std::vector<std::string>
      acknowledged{};    ///< ids of data-plane acts and stops this table knows of
  std::string decision;  ///< ledger entry that made it, `ledger/<seq>`
  bool operator==(const RouteTable&) const = default;
};

/// `{"payload": base64(canonical JSON), "signature": base64}`; written with fsync and rename.
[[nodiscard]] Result<void> write_route(const std::string& path, const RouteTable& table,
                                       const Ed25519Key& key);
/// kCorrupt when the signature does not verify or the table is malformed, kNotFound when there is
/// no file.
[[nodiscard]] Result<RouteTable> read_route(const std::string& path, const Ed25519Public& key);

}  // namespace heddle::plane
