#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "replay/fault.hpp"
#include "table/input.hpp"
#include "table/table.hpp"

namespace heddle::replay {

/// What to send, where, and how it is paced.
struct Options {
  table::Input file;  ///< recorded traffic, ordered by `time_field`
  std::string service;
  std::string host = "127.0.0.1";  ///< the data plane
  int port = 8000;
  std::string token{};              ///< bearer token with the permissions predict, label and replay
  std::string time_field;           ///< column that is the true event time
  std::vector<std::string> fields;  ///< request fields (the contract's, label fields left out)
  std::map<std::string, table::Type, std::less<>>
      types{};  ///< of the contract's fields, those of labels included
  std::set<std::string, std::less<>> as_text{};  ///< fields whose texts are sent as they stand
  /// A column as the contract repairs it, for times and labels. Unset: it repairs none.
  std::function<Result<table::Column>(const table::Table& rows, const std::string& field)>
      repaired{};
  std::set<std::string, std::less<>> joined_fields{};  ///< `fields` that the file lacks
  /// Adds their columns to rows as received.
  std::function<Result<table::Table>(table::Table rows)> join{};
  std::string target;  ///< CEL over the contract's fields: the label
  std::vector<std::string>
      sources;  ///< declared by the Service; a row's is chosen by CRC-32 of `source_field`
  std::string source_field{};  ///< string column; empty: everything from the first source
  Micros from = INT64_MIN;     ///< event times [from, to)
  Micros to = INT64_MAX;
  int every = 1;              ///< every n-th row of the selection
  int batch_max = 64;         ///< rows of a request: 1 to this, seeded
  Micros label_delay = kDay;  ///< event time from a row to its label
  std::uint64_t seed = 1;
  std::vector<spec::Fault> faults{};  ///< act one after another; at most `kMostFaults`
  std::string truth_path{};           ///< JSONL, one line a row, for the scorer only; empty: none
  bool lockstep = false;
  int block_rows = 128;  ///< rows between ticks; at most 1,000
  double speed = 0;      ///< event seconds per second at most; 0: as fast as answers come
  int connections = 1;   ///< keep-alive connections, one thread each; a source keeps to one of them
  int timeout_ms = 60'000;  ///< a request that has no answer by then, retries included, has failed
  /// Lockstep: returns once the control plane's watermark is at least this. Called from one thread.
  std::function<Result<void>(Micros)> wait_watermark{};
  /// Called after each block, from one thread; false ends the replay early.
  std::function<bool(Micros event_time, std::int64_t rows_sent)> progress{};
};

enum class Outcome : std::uint8_t { kServed, kRefused, kFailed };

/// What came back for one row, in order of sending (the order of the truth file's lines).
struct RowAnswer {
  std::int64_t recorded = 0;  ///< row of the recording
  std::int64_t request = 0;
  std::int32_t index = 0;    ///< within its request
  float prediction = 0;      ///< NaN unless served; of AnswerReader::Answer
  std::int16_t bundle = -1;  ///< index into `Replayed::bundles`; -1 unless served
  std::int8_t slot = -1;     ///< index into `Replayed::slots`; -1 unless served
  Outcome outcome = Outcome::kFailed;
};

struct Replayed {
  std::vector<RowAnswer> rows;
  std::vector<std::string> bundles;  ///< digests, in order of first answer
  std::vector<std::string> slots;
  std::int64_t requests = 0;
  std::int64_t label_requests = 0;
  std::int64_t labels = 0;
  std::int64_t labels_refused = 0;    ///< of those, by the service
  std::int64_t unlabelled = 0;        ///< rows whose target is null or fails: no label is sent
  std::int64_t untimed = 0;           ///< rows sent with the time of a row before them
  std::vector<std::int64_t> touched;  ///< rows that each fault touched, or left out
  std::int64_t answered = 0;          ///< predict requests that got an answer below 500 in the end
  std::int64_t failed = 0;    ///< requests that met a timeout or a 5xx, or had no answer in the end
  std::int64_t retried = 0;   ///< requests whose connection was lost before an answer, sent again
  std::int64_t rejected = 0;  ///< answered 4xx as a whole for another reason than refused rows
  std::vector<std::string> errors;  ///< the first few failures, in words
  std::vector<float> latency_us;    ///< of each answered predict request, retries included
  Micros last_tick = INT64_MIN;     ///< event time up to which everything was sent
  double seconds = 0;               ///< wall
  double waiting_seconds = 0;       ///< of those, for the watermark
};

/// What the ids of a replay begin with: the same for the same replay, another for another part of
/// the traffic. A row id that comes again is a retry to the watch, and its label would go to the
/// row before.
[[nodiscard]] std::string run_id(std::uint64_t seed, Micros first_event);
/// Request `request` of a replay: `<run>-<8 digits>`, a run has no `-`; a row's id is that, `#` and
/// its place.
[[nodiscard]] std::string request_id(std::string_view run, std::int64_t request);

/// Sends recorded traffic and, `label_delay` later in event time, its labels, through the real
/// endpoint. Order of event time, with a tick before the first row and after each block: the
/// service's event time is the replay's. With `lockstep` it waits for the watermark after each
/// tick, so two replays see the same decisions. kConflict (`replay-behind`, `replay-into-live`)
/// when the watch of the service is past the first row already. A request whose connection is lost
/// before the answer, or that meets 503, is sent again with the same id until `timeout_ms`; a lost
/// connection alone does not make it a failed one, a timeout or any 5xx does. kNotFound and
/// kInvalid for the file; the error of `wait_watermark` as it is.
[[nodiscard]] Result<Replayed> replay(const Options& options);

}  // namespace heddle::replay
