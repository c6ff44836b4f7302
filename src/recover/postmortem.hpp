#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "doc/value.hpp"
#include "recover/effects.hpp"
#include "recover/incident.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"

namespace heddle::recover {

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
                                        Effects& effects);

/// Writes the page and proves the addition by replaying the recorded traffic without and with it. A
/// change of the monitor that is not faster, or that alarms more before the change, is dropped and
/// the page says so; an evaluation case stands on its own, since it stops releases and detects
/// nothing.
[[nodiscard]] Postmortem postmortem_of(const PostmortemInput& input, Effects& effects);

}  // namespace heddle::recover
