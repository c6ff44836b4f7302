#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "doc/schema.hpp"
#include "evaluate/difference.hpp"

namespace heddle::control {

/// Labelled rows that two bundles were compared on.
struct ComparedRows {
  std::string of{};    ///< `recorded traffic`, `the candidate's held-out rows`
  std::string from{};  ///< empty: they have no times
  std::string to{};
  std::int64_t count = 0;
  std::int64_t refused_by_base = 0;
  std::int64_t refused_by_candidate = 0;
  std::optional<std::int64_t> positive{};  ///< of a binary task
  std::string note{};                      ///< empty: there is nothing to be known
};

/// How far the journal was read.
struct ComparedTraffic {
  std::uint64_t bytes_read = 0;
  bool read_to_its_end = false;
};

/// `heddle.comparison/1`: two bundles on the same labelled rows, or why not. It is evidence of a
/// release, and the reply of `release.compare`.
struct Comparison {
  Digest base{};  ///< what serves; empty: nothing does
  Digest candidate{};
  bool compared = false;
  std::optional<std::string> why{};          ///< not compared
  std::optional<ComparedTraffic> traffic{};  ///< where it was read
  std::optional<std::string> loss{};         ///< what the loss of the task is called
  std::optional<ComparedRows> rows{};
  std::optional<std::vector<evaluate::Difference>> metrics{};
  std::optional<std::string> verdict{};  ///< of the loss: `better`, `worse`, `unclear`
  std::optional<std::string> why_not_traffic{};

  /// What rules see as `attributes.comparison`.
  [[nodiscard]] std::string verdict_or_none() const { return verdict.value_or("none"); }
};
[[nodiscard]] const doc::Schema<Comparison>& comparison_schema();

/// How far a comparison is that goes on.
struct ComparisonProgress {
  std::uint64_t read = 0;  ///< bytes of the journal
  std::uint64_t of = 0;
  std::int64_t rows = 0;  ///< labelled ones found
};
[[nodiscard]] const doc::Schema<ComparisonProgress>& comparison_progress_schema();

}  // namespace heddle::control
