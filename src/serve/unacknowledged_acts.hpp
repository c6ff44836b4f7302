#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plane/journal.hpp"
#include "plane/route.hpp"

namespace heddle::serve {

/// What the data plane did by itself and the control plane has not settled yet: stops, fail-overs,
/// an aborted canary, readmitted sources, a clock that jumped. A pure value; the caller journals
/// each act before it is added here.
class UnacknowledgedActs {
 public:
  [[nodiscard]] static UnacknowledgedActs from(std::span<const plane::Record> records);

  void add(const plane::ActRecord& act);
  void add(const plane::StopRecord& stop) { stops_.push_back(stop.id); }

  /// A table that does not acknowledge every stop is ignored whole (DESIGN 4, Stop).
  [[nodiscard]] bool allows(const plane::RouteTable& table) const;
  /// Forgets what the table settles: acknowledged acts, and readmissions of sources that it does
  /// not quarantine any more.
  void settle(const plane::RouteTable& table);

  [[nodiscard]] bool stopped() const noexcept { return !stops_.empty(); }
  [[nodiscard]] const std::string& standing_stop() const { return stops_.front(); }  ///< `stopped`
  /// The bundle that the last standing fail-over left: whatever the table in force says, it does
  /// not answer in the primary's place while there is another. Empty: none stands.
  [[nodiscard]] std::string_view left() const noexcept {
    return fail_overs_.empty() ? std::string_view{} : fail_overs_.back().left;
  }
  [[nodiscard]] std::size_t fail_overs() const noexcept { return fail_overs_.size(); }
  [[nodiscard]] bool canary_aborted() const noexcept { return !canary_abort_.empty(); }
  /// Id of the jump of a clock that nobody has settled; empty: none.
  [[nodiscard]] const std::string& clock_jump() const noexcept { return clock_jump_; }
  [[nodiscard]] bool readmitted(const plane::QuarantinedSource& quarantine) const noexcept;
  [[nodiscard]] std::vector<std::string> ids() const;

 private:
  struct Readmission {
    std::string account;  ///< of the quarantine that ended; empty: it held for all
    std::string source;
    std::string id;
  };
  std::vector<std::string> stops_;
  struct FailedOver {
    std::string left;
    std::string id;
  };
  std::vector<FailedOver> fail_overs_;
  std::string canary_abort_;
  std::vector<Readmission> readmissions_;
  std::string clock_jump_;
};

}  // namespace heddle::serve
