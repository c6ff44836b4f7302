#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/journal.hpp"
#include "recover/incident.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/watch.hpp"

namespace heddle::recover {

/// What happened, as far as it was recorded.
class Recording {
 public:
  virtual ~Recording() = default;
  /// The journal's records with event times in [from, to), ticks included, in their order, until
  /// `sink` says that it wants no more. Called anew for each measurement.
  [[nodiscard]] virtual Result<void> records(
      Micros from, Micros to, const std::function<bool(const plane::Record&)>& sink) = 0;
  /// Every route version there was, as the watch knows it.
  [[nodiscard]] virtual std::vector<watch::Route> routes() = 0;
};

struct PostmortemInput {
  const Incident& incident;
  const spec::Monitor& monitor;
  const spec::Contract& contract;
  const std::vector<std::string>& fields;
  const std::string& service;
  const std::string& evaluation_file;
};

/// What an incident leaves behind. `addition` is YAML to stand at `addition_path` of
/// `addition_file` (`rules[]` appends to a list, anything else sets a value); empty when the
/// definitions would not have done better.
struct Postmortem {
  std::string page;  ///< Markdown
  std::string addition_file;
  std::string addition_path;
  std::string addition;
  doc::Value proof{};  ///< {"without": {detected, rows, false_alerts}, "with": {...}}
};

/// A CEL expression that undoes a time shift of a field: `date - duration("5h")`.
[[nodiscard]] std::string repair_expression(const Diagnosis& diagnosis);

/// How a monitor does on recorded traffic: rows from the change to the confirmed alert, and
/// confirmed alerts before it.
struct Detection {
  bool detected = false;
  std::int64_t rows = 0;
  std::int64_t false_alerts = 0;
};
/// Replays records through a fresh watch with `monitor`, from `from` until the first confirmed
/// alert after `change_from`, or `to`.
[[nodiscard]] Result<Detection> measure(const spec::Monitor& monitor, const PostmortemInput& input,
                                        Micros from, Micros change_from, Micros to,
                                        Recording& recording);

/// Writes the page and proves the addition by replaying the recorded traffic without and with it. A
/// change of the monitor that is not faster, or that alarms more before the change, is dropped and
/// the page says so; an evaluation case stands on its own, since it stops releases and detects
/// nothing.
/// Memory: that of two watches, whatever the length of the recording.
[[nodiscard]] Postmortem postmortem_of(const PostmortemInput& input, Recording& recording);
/// The page alone, where nothing could be measured.
[[nodiscard]] Postmortem postmortem_without(const PostmortemInput& input, const std::string& why);

}  // namespace heddle::recover
