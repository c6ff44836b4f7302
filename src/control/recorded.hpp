#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/journal.hpp"

namespace heddle::control {

/// What is read of a journal for one answer: a fraction of a second. Whoever wants more asks again.
inline constexpr std::uint64_t kMostReadAtOnce = 32ull << 20;

/// A value of a refused row that a rule is about which the row broke.
struct FailingValue {
  std::string rule{};
  std::string field{};
  doc::Value value{};  ///< as it was sent; null: nothing was
};
/// A row that the contract refused, or whose source was shut out.
struct RefusedRowItem {
  std::string request_id{};
  std::int64_t row = 0;  ///< of the request
  std::string event_time{};
  std::string source{};
  std::string account{};
  std::string outcome{};             ///< `refused`, `failed` or `quarantined`
  std::vector<std::string> rules{};  ///< that it broke
  std::vector<FailingValue> failing{};
  std::string slot{};                                 ///< whose contract it met
  std::uint64_t route_version = 0;                    ///< in which that slot had `bundle`
  std::string bundle{};                               ///< digest; empty: it is not known
  std::optional<std::vector<std::string>> repairs{};  ///< that changed a value; none: not known
  std::string settled{};  ///< what a person did with it: `discard`; empty: it waits
  doc::Value fields{};    ///< by name, as they were sent

  /// By which people and `settled` name it: `q-17#0`.
  [[nodiscard]] std::string id() const;
};
struct RefusedRows {
  std::vector<RefusedRowItem> rows{};  ///< oldest first
  /// Segments below this one were not looked at; none: there are none, or enough rows were found.
  std::optional<std::uint64_t> before{};
};

/// Which refused rows.
struct RefusedQuery {
  std::string source{};  ///< empty: of all
  std::size_t limit = 0;
  std::uint64_t before = UINT64_MAX;
  std::set<std::string, std::less<>> settled{};  ///< ids of rows that are left out
  [[nodiscard]] bool operator==(const RefusedQuery&) const = default;
};

/// The newest `limit` refused or quarantined rows of the segments below `before`. Reads
/// `most_bytes`, by whole segments and one always. Which of their values failed and what was
/// repaired is not known here: the journal has no contract.
[[nodiscard]] Result<RefusedRows> read_refused_rows(const std::string& spool,
                                                    const RefusedQuery& query,
                                                    std::uint64_t most_bytes = kMostReadAtOnce);

/// A request as the journal has it.
struct RecordedRequest {
  std::uint64_t segment = 0;
  plane::RequestRecord request{};
  std::vector<std::string> fields{};  ///< names of its rows' fields, in their order
};

/// The requests of that id in the newest segment that has one, in their order: a client may have
/// used it more than once. Reads from the newest segment back to it, all of the journal where there
/// is none: not for the control thread.
[[nodiscard]] Result<std::vector<RecordedRequest>> find_requests(const std::string& spool,
                                                                 std::string_view request_id);

/// The records with event times in [from, to) and those without one, in their order, of the journal
/// up to `end`; `sink` says whether it wants more. All that is kept of the time is read, one record
/// at a time: not for the control thread.
[[nodiscard]] Result<void> read_recorded(const std::string& spool, Micros from, Micros to,
                                         plane::JournalPosition end,
                                         const std::function<bool(const plane::Record&)>& sink);

}  // namespace heddle::control
