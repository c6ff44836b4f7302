#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "plane/journal.hpp"

namespace heddle::plane {

/// How much of a journal each account holds, so that what one of them sends takes the record from
/// nobody else. The limit of an account is a multiple of the room that is left (dynamic thresholds:
/// Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998): whoever floods stops
/// before the room is used up, and who comes then finds some. What the readers are done with may
/// stay, but is in nobody's way. Owned by the writer, confined to its thread.
class Shares {
 public:
  /// `bytes`: of the whole journal.
  explicit Shares(std::uint64_t bytes) : bytes_(bytes) {}

  /// The number of an account; the same for as long as this lives.
  [[nodiscard]] std::size_t account(std::string_view name);
  [[nodiscard]] const std::string& name(std::size_t account) const { return accounts_[account]; }
  [[nodiscard]] std::size_t accounts() const noexcept { return accounts_.size(); }

  /// Whether a record of this account may come.
  [[nodiscard]] bool takes(RecordKind kind, std::size_t account) const noexcept;
  /// Bytes of a record in the segment that is being written. `account` is not looked at for
  /// `kOthers`.
  void add(RecordKind kind, std::size_t account, std::uint64_t bytes);
  /// The next segment is being written.
  void begin_segment(std::uint64_t number);

  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
  };
  /// What there is on the disk now but for the segment being written, ascending; readers are done
  /// with those below `consumed`.
  void measure(const std::vector<Segment>& there, std::uint64_t consumed);

  /// Bytes of all segments.
  [[nodiscard]] std::uint64_t held() const noexcept { return held_; }

 private:
  struct Use {
    std::uint64_t rows = 0;
    std::uint64_t labels = 0;
  };
  static void add(const Use& from, Use& to);

  /// What this writer put into a segment. Of one that another wrote, nobody knows whose it is.
  struct Written {
    std::uint64_t number = 0;
    std::vector<Use> by_account{};
    std::uint64_t others = 0;
  };
  void forget_gone(const std::vector<Segment>& there, std::uint64_t current);
  [[nodiscard]] std::uint64_t room() const noexcept { return bytes_ > held_ ? bytes_ - held_ : 0; }

  std::uint64_t bytes_;
  std::vector<std::string> accounts_;
  std::size_t last_ = 0;  ///< the account asked for last
  std::deque<Written> written_;
  std::vector<Use> unread_;  ///< by account
  std::vector<Use> there_;   ///< by account, with what was read and stays
  Use all_unread_{};
  std::uint64_t all_rows_ = 0;  ///< that are there
  std::uint64_t unread_others_ = 0;
  std::uint64_t held_ = 0;
  std::uint64_t kept_ = 0;  ///< of `held_`: readers are done with it
};

}  // namespace heddle::plane
