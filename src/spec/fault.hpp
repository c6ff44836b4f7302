#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "spec/identity.hpp"

namespace heddle::spec {

/// A fault that a replay lays over recorded rows: which rows of a contract it touches, and what
/// becomes of them. A row is touched when everything that says which holds.
struct Fault {
  Identity identity;
  std::string contract;
  Micros from = INT64_MIN;             ///< event time, inclusive
  Micros to = INT64_MAX;               ///< exclusive
  std::vector<std::string> sources{};  ///< of the service; empty: every one
  /// Rows whose seeded uniform draw in [0, 1) lies in [from, to). Each row has one draw, the same
  /// for all faults.
  double share_from = 0;
  double share_to = 1;
  /// Over the recorded row, label fields included, and `label`, what the target says of it; empty:
  /// every row.
  Expression where{};

  /// By field, over the fields of the request as they stand before this fault: what is sent.
  std::map<std::string, Expression> change{};
  std::vector<std::string> missing{};           ///< fields that are not sent
  std::map<std::string, std::string> rename{};  ///< field: the name it is sent under
  /// Over the recorded row and `label` as it stands before this fault: what becomes of the row;
  /// empty: what did.
  Expression label{};
  Expression sent_label{};  ///< what is sent as its label, while the world stays
  bool drop = false;        ///< the row is left out

  std::string cause{};  ///< that a diagnosis should name; empty: none is named
  std::string group{};  ///< what reports count it under; empty: its own name

  [[nodiscard]] const std::string& reported_as() const noexcept {
    return group.empty() ? identity.name : group;
  }
};

}  // namespace heddle::spec
