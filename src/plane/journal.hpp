#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "expr/datum.hpp"
#include "stats/task.hpp"

namespace heddle::plane {

/// Event times that are taken from outside: nobody has recorded traffic of another time, and what
/// counts days up to one must end.
inline constexpr Micros kEarliestEvent = -25'567 * kDay;  ///< 1900-01-01
inline constexpr Micros kLatestEvent = 84'006 * kDay;     ///< 2200-01-01
[[nodiscard]] constexpr bool is_event_time(Micros time) noexcept {
  return time >= kEarliestEvent && time < kLatestEvent;
}
/// How far a row may be ahead of the last tick. Past it the watch does not take it.
inline constexpr Micros kFarthestAhead = 2 * kDay;

/// An owned value of one field of one row, as it was received.
struct FieldValue {
  expr::Datum::Kind kind = expr::Datum::Kind::kNull;
  std::int64_t i = 0;  ///< bool, int, timestamp (us)
  double d = 0;
  std::string s{};

  [[nodiscard]] expr::Datum datum() const noexcept;  ///< borrowed from this value
};

/// `kFailed`: the contract accepted the row, and what should have scored it gave no answer.
enum class RowOutcome : std::uint8_t { kServed, kRefused, kQuarantined, kFailed };

/// Which side of a canary's comparison a request was drawn for. Baseline and canary take equal
/// shares of the same traffic, so that they can be compared; the baseline is answered by the
/// primary.
enum class Cohort : std::uint8_t { kNone, kCanary, kBaseline };

/// One row of one request and what became of it.
struct RowRecord {
  RowOutcome outcome = RowOutcome::kServed;
  std::vector<std::string> rules{};  ///< ids of the contract rules it broke (refusals and
                                     ///< warnings), or `source-quarantined`
  std::vector<FieldValue> fields{};  ///< in the order of the request segment's field names; as
                                     ///< received, before transforms
  /// The numbers of a prediction (stats::Task), all finite: of the slot that answered, of the
  /// standby beside it and of the shadow slot. Empty: the row was not served, there is no such
  /// slot, or it gave no answer yet.
  std::vector<float> prediction{};
  std::vector<float> standby_prediction{};
  std::vector<float> shadow_prediction{};
};

struct RequestRecord {
  std::string request_id;
  std::string source;
  Micros event_time = 0;
  Micros arrival = 0;               ///< wall clock
  std::string slot;                 ///< primary, standby or canary: who answered
  std::uint64_t route_version = 0;  ///< names the bundles
  std::vector<RowRecord> rows{};
  Cohort cohort = Cohort::kNone;
  std::uint32_t micros = 0;  ///< from the whole request to its answer
  std::string account{};     ///< whose token it came by; empty: nobody knows
};

/// The same request, borrowed: what the hot path hands to the journal without copying.
struct RowView {
  RowOutcome outcome = RowOutcome::kServed;
  std::span<const std::string_view> rules{};
  std::span<const expr::Datum> fields{};
  std::span<const float> prediction{};
  std::span<const float> standby_prediction{};
  std::span<const float> shadow_prediction{};
};
struct RequestView {
  std::string_view request_id;
  std::string_view source;
  Micros event_time = 0;
  Micros arrival = 0;
  std::string_view slot;
  std::uint64_t route_version = 0;
  std::span<const RowView> rows{};
  Cohort cohort = Cohort::kNone;
  std::uint32_t micros = 0;
  std::string_view account{};
};

struct LabelRecord {
  std::string row_id;     ///< request_id#index
  stats::Label label{};   ///< as it came: which code it has is said by a service's task
  Micros event_time = 0;  ///< when the label became known
  std::string account{};  ///< whose token it came by; empty: nobody knows
};

/// A worker that a slot has, and the layers of the sandbox around it.
struct SandboxRecord {
  std::string slot;
  std::string bundle;
  std::string in_force;
  std::string missing{};  ///< of this machine; empty: none
  bool operator==(const SandboxRecord&) const = default;
};

/// The data plane now answers by this route table.
struct AppliedRecord {
  std::uint64_t route_version = 0;
  std::vector<std::string>
      standing{};  ///< ids of acts and stops that still stand: this table did not settle them
  std::vector<SandboxRecord> sandboxes{};
};

/// Acts that only tell, at a start with TLS: the digest of the certificate that is shown and of the
/// file of authorities that clients' certificates are held against (empty: they show none).
inline constexpr std::string_view kCertificateAct = "certificate";
inline constexpr std::string_view kClientCaAct = "client_ca";

/// A pre-authorised act of the data plane, journaled before it takes effect: `fail-over`,
/// `canary-abort` or `source-readmit`.
struct ActRecord {
  std::string act;
  std::string target;  ///< `fail-over`: the digest of the bundle that was left; of TLS files: their
                       ///< digest; else service or source
  Micros event_time = 0;
  std::string reason;
  std::string id{};  ///< what a route table names to acknowledge it
  std::string
      account{};  ///< `source-readmit`: of the quarantine that ended; empty: it held for all
};

/// Everything with an event time below this one has been journaled: the control plane may decide up
/// to here.
struct TickRecord {
  Micros event_time = 0;
};

struct StopRecord {
  std::string scope;  ///< service, or `*`
  std::string by;
  std::string id{};  ///< what a route table names to acknowledge it
};

/// What was answered and is not in the journal; never silent.
struct GapRecord {
  std::uint64_t requests = 0;
  std::string reason;
  std::uint64_t labels = 0;
  std::string account{};  ///< whose they were; empty: nobody knows
};

using Record = std::variant<RequestRecord, LabelRecord, AppliedRecord, ActRecord, TickRecord,
                            StopRecord, GapRecord>;

/// A place in the journal: everything before it has been read.
struct JournalPosition {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const JournalPosition&) const = default;
};

/// Bytes of a journal, and how much of it stays after all have read it: recorded traffic to learn
/// from. The rest is for what was not read yet.
inline constexpr std::uint64_t kJournalBytes = 1ull << 30;
inline constexpr std::uint64_t kTrafficBytes = kJournalBytes / 2;

/// How much of that a disk gives: on a small one, half of what the journal has of it or could have.
/// Else recorded traffic that all have read would take the room of what nobody has recorded yet.
[[nodiscard]] constexpr std::uint64_t traffic_bytes(std::uint64_t journal_bytes,
                                                    std::uint64_t free_bytes) noexcept {
  return std::min(kTrafficBytes, journal_bytes / 2 + free_bytes / 2);
}

/// What an account may fill a journal with: requests; labels; ticks of a replay.
enum class RecordKind : std::uint8_t { kRows, kLabels, kOthers };

/// Whether the journal takes a record now.
enum class Room : std::uint8_t {
  kYes,
  kShareUsed,  ///< the account holds its share of what is not read yet: later
  kFull        ///< nobody's is taken: the disk is full, or the whole journal
};

/// Requests and labels that were answered and not recorded.
struct Unrecorded {
  std::uint64_t requests = 0;
  std::uint64_t labels = 0;
};

/// Appends records to `<dir>/NNNNNNNN.seg` (docs/formats/journal.md): length, CRC-32C, payload. One
/// writer, confined to one thread. `commit` hands what was appended to the kernel (it survives kill
/// -9); `sync` makes it survive a power loss. Opening begins a new segment, so that what a killed
/// writer left torn is never written over. Requests of an account that holds its share
/// (plane/shares.hpp), and all requests and labels when the disk or `max_bytes` is full, are
/// dropped and counted; GapRecords say so as soon as they can. Acts and stops go into a segment
/// that was allocated beforehand. Who appends labels or ticks asks for `room` first.
class JournalWriter {
 public:
  struct Options {
    std::string dir;
    std::vector<std::string>
        fields;  ///< names of the request fields, written at the head of each segment
    std::uint64_t segment_bytes = 8 << 20;
    std::uint64_t max_bytes = kJournalBytes;  ///< of all segments
  };
  /// kConflict (`journal-version`): what is there is of another version, and is left as it is.
  [[nodiscard]] static Result<std::unique_ptr<JournalWriter>> open(Options options);
  virtual ~JournalWriter() = default;
  virtual void append(const Record& record) = 0;
  virtual void append(const RequestView& request) = 0;
  /// The names of the request fields from now on; begins a new segment when they are others.
  virtual void set_fields(std::vector<std::string> fields) = 0;
  [[nodiscard]] virtual Result<void> commit() = 0;
  [[nodiscard]] virtual Result<void> sync() = 0;
  /// The same on a thread of the writer's own, without waiting.
  virtual void sync_soon() = 0;
  [[nodiscard]] virtual JournalPosition position() const = 0;
  /// Whether a record of this kind and account would be taken. `account` means nothing to
  /// `kOthers`.
  [[nodiscard]] virtual Room room(RecordKind kind, std::string_view account) = 0;
  /// Since it was opened, by account.
  [[nodiscard]] virtual std::map<std::string, Unrecorded> unrecorded() const = 0;
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;  ///< of all segments
};

/// The segments below `segment` are needed by no reader any more: says so to the writer, and
/// removes the oldest of them until the journal has at most `keep` bytes; without it, what
/// `traffic_bytes` says of its disk. Called by who reads for the control plane, as often as the
/// answer changes.
[[nodiscard]] Result<void> consumed(const std::string& dir, std::uint64_t segment,
                                    std::optional<std::uint64_t> keep = std::nullopt);

/// Reads a journal that is being written. A torn record at the very end is "not yet there"; one in
/// the middle is kCorrupt.
class JournalReader {
 public:
  /// kConflict (`journal-version`): it is of another version.
  [[nodiscard]] static Result<std::unique_ptr<JournalReader>> open(const std::string& dir,
                                                                   JournalPosition from = {});
  virtual ~JournalReader() = default;
  /// The next record, or nullopt when there is none yet.
  [[nodiscard]] virtual Result<std::optional<Record>> next() = 0;
  [[nodiscard]] virtual JournalPosition position() const = 0;  ///< after the last record returned
  [[nodiscard]] virtual const std::vector<std::string>& fields() const = 0;
};

/// What a data plane must remember when it starts again.
struct Standing {
  std::vector<Record>
      acts{};  ///< ActRecords and StopRecords after the last AppliedRecord, and those it names
  std::uint64_t route_version = 0;  ///< of the last AppliedRecord
  Micros last_tick = INT64_MIN;     ///< the latest one; INT64_MIN: there is none
};
[[nodiscard]] Result<Standing> standing_acts(const std::string& dir);

}  // namespace heddle::plane
