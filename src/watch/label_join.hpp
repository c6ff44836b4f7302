#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "stats/task.hpp"
#include "watch/label_opinion.hpp"
#include "watch/names.hpp"
#include "watch/row_index.hpp"
#include "watch/row_outputs.hpp"
#include "watch/row_sample.hpp"
#include "watch/state_bytes.hpp"
#include "watch/waiting_labels.hpp"

namespace heddle::watch {

/// Rows that wait for their label are kept up to this number, of a model of one output; past it
/// they are sampled. Of a week of rows that is 150,000 a day: the standard error of a day's log
/// loss stays below .003 nats. A row costs about 128 bytes, 8 more for each further output (the
/// margins of both slots) and 4 for each further output of each trial; a label that waits costs
/// about 100. Models of more outputs have the same memory and so fewer rows: 670,000 of 10 classes,
/// 16,500 of 1,000.
inline constexpr std::size_t kMostRows = 1 << 20;
inline constexpr std::size_t kMostWaitingLabels = 1 << 18;
inline constexpr std::size_t kMostUnknownClasses = 20;

/// What the alternative of a trial, by its number, says of a row.
using TrialMargins = std::pair<std::uint32_t, std::vector<float>>;

/// One served row that waits for its label. Margins are as many as the task has outputs.
struct ServedRow {
  std::string_view id;
  Micros event_time = 0;
  std::uint64_t epoch = 0;
  std::span<const float> margins{};  ///< of the primary; none when the standby answered
  std::span<const float> standby{};  ///< margins of the standby; none without one
  std::string_view source{};         ///< where it came from
  std::string_view account{};        ///< who sent it
  /// Trials this row belongs to, by number, with the margins of the alternative.
  std::vector<TrialMargins> alternatives{};
};

/// A row of a trial whose first label came.
struct TrialRow {
  Micros event_time = 0;
  std::vector<float> margins{};  ///< NaN: the primary did not answer
  double code = 0;               ///< of its label
  std::string account{};
  std::string label_account{};  ///< who alone says so; empty: several do, or nobody knows
  std::vector<TrialMargins> alternatives{};
};

/// Rows and labels brought together by row id. What accounts say of one row is a `LabelOpinion`: of
/// one account's labels the later event time wins, and a row that two accounts contradict each
/// other about has no label. Labels of unknown rows wait for their row as long as rows are kept.
/// All rows and labels in it are of one task.
/// Its memory is bounded whatever comes: where there are more rows than `most_rows` a uniform
/// sample of them is kept (`RowSample`), and what it says is said of a sample. Single-threaded;
/// deterministic in its input order.
///
/// Its state is a small head and numbered pieces: each piece holds what changed since the piece
/// before, so that what is written follows from what came and not from what is kept.
class LabelJoin {
 public:
  enum class Outcome {
    kJoined,
    kWaiting,
    kRepeated,
    kChanged,
    kIgnored,
    kContested,  ///< another account says otherwise
    kUnsampled,
    kMalformed
  };
  struct Options {
    std::string secret{};  ///< of the row keys; a saved state keeps its own
    std::size_t most_rows = kMostRows;
    std::size_t most_waiting = kMostWaitingLabels;
  };
  struct Counts {
    std::int64_t joined = 0;         ///< labels that met their row
    std::int64_t malformed = 0;      ///< values that no target has; the data plane lets none in
    std::int64_t unknown_class = 0;  ///< labels of a class that the task does not have
    std::int64_t forgotten = 0;  ///< labels whose row never came within the time that rows are kept
    std::int64_t unsampled = 0;  ///< labels of rows that are not in the sample
    std::int64_t contested = 0;  ///< rows that two accounts came to contradict each other about
  };

  LabelJoin() : LabelJoin(Options{}) {}
  explicit LabelJoin(Options options)
      : options_(std::move(options)), waiting_(options_.most_waiting) {}

  /// What is served from now on. Where the task is another than before, all rows and waiting labels
  /// are forgotten: what was said of them means nothing to the new one.
  void begin(const stats::Task& task);
  void add_row(const ServedRow& row);
  /// Rows of a trial whose first label came since the last call, in that order.
  [[nodiscard]] std::vector<TrialRow> take_joined() { return std::exchange(joined_, {}); }
  /// `code`: of the label, by `task().code_of`.
  Outcome add_label(std::string_view id, double code, Micros event_time,
                    std::string_view account = {});
  void add_unknown_class(const std::string& name);
  /// Forgets rows and waiting labels older than `before`, by event time. Twice as many rows are
  /// taken again when a `before` ago there was room for eight times as many.
  void prune(Micros before);
  /// Labels that wait are of `latest` at most: they wait no longer than one of then.
  void cap_waiting(Micros latest) { waiting_.cap(latest); }
  /// Forgets all rows and waiting labels.
  void clear();

  struct Chunk {
    std::vector<float> margins;  ///< `outputs` a row, row-major
    std::vector<float> standby;  ///< as long as `margins`; NaN where there is none
    std::vector<double> codes;   ///< of the labels, one a row
    std::size_t outputs = 1;     ///< of the task
    Micros first = 0;            ///< event time of its first row of the epoch, labelled or not
    double sample = 1;           ///< share of the rows that are in it

    [[nodiscard]] std::int64_t rows() const noexcept {
      return static_cast<std::int64_t>(codes.size());
    }
    [[nodiscard]] std::span<const float> row(std::size_t i) const {
      return std::span(margins).subspan(i * outputs, outputs);
    }
    [[nodiscard]] std::span<const float> standby_row(std::size_t i) const {
      return std::span(standby).subspan(i * outputs, outputs);
    }
    void append(const Chunk& other);
  };
  /// Labelled rows of `epoch` answered by the primary with from <= event time < to, in order of
  /// arrival: a uniform sample of them.
  [[nodiscard]] Chunk collect(Micros from, Micros to, std::uint64_t epoch) const;
  /// Event time of the earliest row of `epoch` at or after `from`.
  [[nodiscard]] std::optional<Micros> first_from(Micros from, std::uint64_t epoch) const;
  /// An account and a source: what an account calls its source is no other account's.
  using Sender = std::pair<std::string, std::string>;
  /// Margins and labels of the labelled rows with from <= event time < to, by who sent them as
  /// which source.
  [[nodiscard]] std::map<Sender, Chunk> by_sender(Micros from, Micros to,
                                                  std::uint64_t epoch) const;
  using Chunks = std::map<std::string, Chunk>;
  /// The same by account alone, standby included.
  [[nodiscard]] Chunks by_account(Micros from, Micros to, std::uint64_t epoch) const;
  /// By the account that alone labelled them, standby included; rows that several label alike, or
  /// whose labels are nobody's known, are under the empty name.
  [[nodiscard]] Chunks by_label_account(Micros from, Micros to, std::uint64_t epoch) const;
  /// Accounts that labelled at least so many of the rows that are kept. Whose name is not known is
  /// none of them.
  [[nodiscard]] std::int64_t label_accounts(std::int64_t least_rows) const;
  /// A row that has a label, whatever its epoch.
  struct Labelled {
    Micros event_time = 0;
    /// The margin; of several classes the position of the largest. NaN: the primary did not answer.
    float score = 0;
    std::uint16_t source = 0, account = 0;
    LabelOpinion opinion{};
  };
  /// Those with from <= event time < to, contested ones too, in order of arrival.
  [[nodiscard]] std::vector<Labelled> labelled(Micros from, Micros to) const;
  [[nodiscard]] const std::string& name(std::uint16_t number) const { return names_.name(number); }
  /// Labelled rows, whoever answered, of event days from that of `from` on; where rows were
  /// sampled, how many that stands for.
  [[nodiscard]] std::int64_t labelled_since(Micros from) const;
  [[nodiscard]] std::size_t rows() const noexcept { return rows_.size(); }
  /// Labels without a row so far.
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
  /// Labels that gave way to newer ones of their account while they waited.
  [[nodiscard]] const std::map<std::string, std::int64_t>& given_up() const noexcept {
    return waiting_.given_up();
  }
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  /// Labels by the class that the task does not have: the first `kMostUnknownClasses` of them.
  [[nodiscard]] const std::map<std::string, std::int64_t>& unknown_classes() const noexcept {
    return unknown_classes_;
  }
  /// Share of the rows that come now which is kept: 1, 1/2, 1/4 ...
  [[nodiscard]] double sample() const noexcept;
  /// What the labels are codes of.
  [[nodiscard]] const stats::Task& task() const noexcept { return task_; }

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
  [[nodiscard]] bool loaded() const noexcept { return rows_.size() == loaded_rows_; }
  /// As one piece that holds everything: two joins with equal bytes are alike.
  void save_whole(StateWriter& out) const;

 private:
  struct Row {
    RowKey key;
    std::uint64_t sequence = 0;  ///< counts the rows that were taken; ascending, with gaps
    Micros event_time = 0;
    LabelOpinion opinion{};
    std::uint32_t epoch = 0;
    std::uint16_t source = 0;
    std::uint16_t account = 0;
  };
  /// What a trial's alternative says of a row. Few rows have one: it is kept beside them.
  struct Alternative {
    std::uint64_t sequence = 0;
    TrialMargins margins{};
  };
  /// Until when a piece is needed: for rows below `rows_end`, and waiting labels up to
  /// `waiting_end`.
  struct Lifetime {
    std::uint64_t rows_end = 0;
    Micros waiting_end = INT64_MIN;
  };
  using Rows = std::deque<Row>;
  [[nodiscard]] Rows::const_iterator from_sequence(std::uint64_t sequence) const;
  /// Its place in `rows_`.
  [[nodiscard]] std::optional<std::size_t> find(RowKey key) const;
  [[nodiscard]] std::uint32_t place_of(std::size_t at) const noexcept {
    return static_cast<std::uint32_t>(front_ + at);
  }
  [[nodiscard]] std::vector<TrialMargins> alternatives_of(std::uint64_t sequence) const;
  [[nodiscard]] bool is_too_large() const noexcept;
  /// The row at this place of `rows_` with its label; false: it has none, or no answer.
  bool add_to(Chunk& chunk, std::size_t at) const;
  void labelled(std::size_t at);
  void count_labels(const LabelOpinion& opinion, std::int64_t rows);
  void thin();
  void forget_front();
  template <class Key>
  [[nodiscard]] auto by(Key key, Micros from, Micros to, std::uint64_t epoch) const;
  template <class Take>
  double select(Micros from, Micros to, std::uint64_t epoch, Take take) const;
  void save_rows(StateWriter& out, std::uint64_t from) const;
  [[nodiscard]] Lifetime lifetime_of_changes() const;

  Options options_;
  stats::Task task_;
  RowSample sample_;
  Rows rows_;
  RowOutputs outputs_;                    ///< margins, a row each
  std::deque<Alternative> alternatives_;  ///< by sequence, then as given
  std::uint64_t first_ = 0;               ///< rows below this sequence number were forgotten
  std::uint64_t next_ = 0;                ///< sequence number of the next row
  std::uint32_t front_ = 0;               ///< place of the first of `rows_` in `index_`
  RowIndex index_;
  WaitingLabels waiting_;
  std::map<std::int64_t, std::int64_t> labelled_by_day_;
  std::map<std::uint16_t, std::int64_t> rows_of_label_account_;  ///< of the rows that are kept
  Micros refine_after_ = INT64_MIN;  ///< the sample stays as it is until this is forgotten
  Names names_;                      ///< of sources and accounts
  Counts counts_;
  std::map<std::string, std::int64_t> unknown_classes_;
  std::uint64_t loaded_rows_ = 0;  ///< by the head that was loaded

  std::map<std::uint64_t, Lifetime> pieces_;  ///< that are kept
  std::uint64_t kept_rows_ = 0;               ///< rows below this sequence number are in a piece
  std::set<std::uint64_t> relabelled_;        ///< of those: labelled since the last piece
  std::vector<TrialRow> joined_;              ///< empty between two records
};

}  // namespace heddle::watch
