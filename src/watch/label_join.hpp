#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// One served row that waits for its label.
struct JoinedRow {
  std::string id;
  Micros event_time = 0;
  std::uint64_t epoch = 0;
  float margin = 0;          ///< of the primary; NaN when the standby answered
  float standby_margin = 0;  ///< NaN without standby
  std::int8_t label = -1;    ///< -1: not yet
  Micros label_time = 0;
  std::string source{};   ///< where it came from
  std::string account{};  ///< who sent it
  /// Trials this row belongs to, by number, with the margin of the alternative.
  std::vector<std::pair<std::uint32_t, float>> alternatives{};
};

/// Rows and labels brought together by row id. An equal repeat is ignored; of two that differ the
/// later event time wins. Labels of unknown rows wait for their row as long as rows are kept.
/// Single-threaded; deterministic in its input order.
///
/// Its state is a small head and numbered pieces: each piece holds what changed since the piece
/// before, so that what is written follows from what came and not from what is kept.
class LabelJoin {
 public:
  enum class Outcome { kJoined, kWaiting, kRepeated, kChanged, kIgnored, kMalformed };
  struct Counts {
    std::int64_t joined = 0;     ///< labels that met their row
    std::int64_t malformed = 0;  ///< values that no target has; the data plane lets none in
    std::int64_t forgotten = 0;  ///< labels whose row never came within the time that rows are kept
  };

  void add_row(JoinedRow row);
  /// Rows whose first label came since the last call, in that order.
  [[nodiscard]] std::vector<JoinedRow> take_joined() { return std::exchange(joined_, {}); }
  Outcome add_label(const std::string& id, double label, Micros event_time);
  /// Forgets rows and waiting labels older than `before`, by event time.
  void prune(Micros before);

  struct Chunk {
    std::vector<float> margins;
    std::vector<float> standby;  ///< as long as `margins`; NaN where there is none
    std::vector<std::uint8_t> labels;
    Micros first = 0;  ///< event time of its first row of the epoch, labelled or not
  };
  /// Labelled rows of `epoch` answered by the primary with from <= event time < to, in order of
  /// arrival.
  [[nodiscard]] Chunk collect(Micros from, Micros to, std::uint64_t epoch) const;
  /// Event time of the earliest row of `epoch` at or after `from`.
  [[nodiscard]] std::optional<Micros> first_from(Micros from, std::uint64_t epoch) const;
  /// Margins and labels of the labelled rows with from <= event time < to, by where they came from.
  [[nodiscard]] std::map<std::string, Chunk> by_source(Micros from, Micros to,
                                                       std::uint64_t epoch) const;
  /// The same, by who sent them.
  [[nodiscard]] std::map<std::string, Chunk> by_account(Micros from, Micros to,
                                                        std::uint64_t epoch) const;
  /// Labelled rows, whoever answered, of event days from that of `from` on.
  [[nodiscard]] std::int64_t labelled_since(Micros from) const;
  [[nodiscard]] std::size_t rows() const noexcept { return rows_.size(); }
  [[nodiscard]] std::size_t waiting() const noexcept {
    return waiting_.size();
  }  ///< labels without a row so far
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

  void save_head(StateWriter& out) const;
  /// Before the first piece.
  void load_head(StateReader& in);
  /// Rows and labels that changed since the last piece.
  [[nodiscard]] std::size_t changed() const noexcept;
  /// What changed since the last piece; nothing when nothing did.
  [[nodiscard]] std::optional<std::string> changes() const;
  /// `changes` are kept as piece `number`, which is higher than any before.
  void kept(std::uint64_t number);
  /// Pieces that hold nothing any more: rows and labels in them were all forgotten.
  [[nodiscard]] std::vector<std::uint64_t> spent() const;
  void dropped(std::span<const std::uint64_t> numbers);
  /// In the order of their numbers. False: not whole.
  [[nodiscard]] bool load_piece(std::uint64_t number, std::string_view bytes);
  /// After the last piece: no row of the head is missing.
  [[nodiscard]] bool loaded() const noexcept { return first_ + rows_.size() == loaded_end_; }
  /// As one piece that holds everything: two joins with equal bytes are alike.
  void save_whole(StateWriter& out) const;

 private:
  using Chunks = std::map<std::string, Chunk>;
  [[nodiscard]] Chunks by(std::string JoinedRow::* key, Micros from, Micros to,
                          std::uint64_t epoch) const;
  struct Waiting {
    std::int8_t label = 0;
    Micros event_time = 0;
  };
  /// Until when a piece is needed: for rows below `rows_end`, and waiting labels up to
  /// `waiting_end`.
  struct Lifetime {
    std::uint64_t rows_end = 0;
    Micros waiting_end = INT64_MIN;
  };
  void save_rows(StateWriter& out, std::uint64_t from) const;
  [[nodiscard]] Lifetime lifetime_of_changes() const;
  void relabelled(std::uint64_t sequence);
  void touch(const std::string& id, Micros event_time);
  std::deque<JoinedRow> rows_;
  std::uint64_t first_ = 0;  ///< sequence number of rows_.front()
  std::unordered_map<std::string, std::uint64_t> index_;
  std::map<std::string, Waiting> waiting_;
  std::map<std::int64_t, std::int64_t> labelled_by_day_;
  Micros pruned_before_ = INT64_MIN;  ///< waiting labels of an earlier event time were forgotten
  Counts counts_;
  std::uint64_t loaded_end_ =
      0;  ///< sequence number after the last row, by the head that was loaded

  std::map<std::uint64_t, Lifetime> pieces_;  ///< that are kept
  std::uint64_t kept_rows_ = 0;               ///< rows below this sequence number are in a piece
  std::set<std::uint64_t> relabelled_;        ///< of those: labelled since the last piece
  std::map<std::string, Micros>
      touched_;  ///< waiting labels that came, changed or went since: their latest event time
  std::vector<JoinedRow> joined_;  ///< only rows of a trial; empty between two records
};

}  // namespace heddle::watch
