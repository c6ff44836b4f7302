#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
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
  float margin = 0;           ///< of the primary; NaN when the standby answered
  float standby_margin = 0;   ///< NaN without standby
  std::int8_t label = -1;     ///< -1: not yet
  Micros label_time = 0;
  std::string source{};       ///< who sent it
  /// Trials this row belongs to, by number, with the margin of the alternative.
  std::vector<std::pair<std::uint32_t, float>> alternatives{};
};

/// Rows and labels brought together by row id. An equal repeat is ignored; of two that differ the later event time wins.
/// Labels of unknown rows wait for their row as long as rows are kept. Single-threaded; deterministic in its input order.
class LabelJoin {
 public:
  enum class Outcome { kJoined, kWaiting, kRepeated, kChanged, kIgnored };

  void add_row(JoinedRow row);
  /// Rows whose first label came since the last call, in that order.
  [[nodiscard]] std::vector<JoinedRow> take_joined() { return std::exchange(joined_, {}); }
  Outcome add_label(const std::string& id, double label, Micros event_time);
  /// Forgets rows and waiting labels older than `before`, by event time.
  void prune(Micros before);

  struct Chunk {
    std::vector<float> margins;
    std::vector<float> standby;   ///< as long as `margins`; NaN where there is none
    std::vector<std::uint8_t> labels;
    Micros first = 0;             ///< event time of its first row of the epoch, labelled or not
  };
  /// Labelled rows of `epoch` answered by the primary with from <= event time < to, in order of arrival.
  [[nodiscard]] Chunk collect(Micros from, Micros to, std::uint64_t epoch) const;
  /// Margins and labels of the labelled rows with from <= event time < to, by who sent them.
  [[nodiscard]] std::map<std::string, Chunk> by_source(Micros from, Micros to, std::uint64_t epoch) const;
  /// Labelled rows, whoever answered, of event days from that of `from` on.
  [[nodiscard]] std::int64_t labelled_since(Micros from) const;
  [[nodiscard]] std::size_t rows() const noexcept { return rows_.size(); }

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  struct Waiting {
    double label = 0;
    Micros event_time = 0;
  };
  std::deque<JoinedRow> rows_;
  std::uint64_t first_ = 0;  ///< sequence number of rows_.front()
  std::unordered_map<std::string, std::uint64_t> index_;
  std::map<std::string, Waiting> waiting_;
  std::map<std::int64_t, std::int64_t> labelled_by_day_;
  std::vector<JoinedRow> joined_;   ///< only rows of a trial; empty between two records
};

}  // namespace heddle::watch
