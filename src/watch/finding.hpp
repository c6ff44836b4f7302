#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/value.hpp"

namespace heddle::watch {

/// What a number is about: it decides who may explain it.
enum class Subject : std::uint8_t {
  kContract,
  kColumn,
  kPrediction,
  kQuality,
  kPrior,
  kRule,
  kMonitor,
  kAnswers,
  kLabels,
  kJournal,
  kCoverage,
  kOther  ///< of a detector that none of these describes
};

[[nodiscard]] std::string_view subject_name(Subject subject) noexcept;

/// One metric of one window, with the threshold it was held against. A value type; its digest names
/// it as evidence.
struct Finding {
  std::string
      key;  ///< one alert a key: `column/hour_of_day`, `contract/app/carrier-3`, `quality/ratio`
  Subject subject = Subject::kColumn;
  std::string column{};   ///< kColumn
  std::string source{};   ///< kContract, kAnswers of a quarantine
  std::string account{};  ///< kContract, kAnswers: who sent the rows of `source`, kJournal: whose
                          ///< records they were, empty: nobody knows; else the only account whose
                          ///< rows show it, empty: several do
  std::string label_account{};  ///< kQuality, kPrior: the only account whose labels show it, where
                                ///< several send labels; empty: those of several do
  double value = 0;
  double threshold = 0;
  bool alert = false;     ///< past the threshold: confirms an alert that was raised
  bool raises = false;    ///< strong enough to raise one
  bool confirms = false;  ///< persistence is part of the metric: raised and confirmed at once
  Micros from = 0;        ///< event time of the window, half open
  Micros to = 0;
  std::int64_t rows = 0;  ///< rows in the window
  std::uint64_t epoch = 0;
  doc::Value detail{};  ///< object: what a diagnosis needs and a page shows

  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] Digest digest() const;  ///< of the canonical JSON; holds no row values
};

/// Where an alert stands.
enum class AlertStage : std::uint8_t { kRaised, kConfirmed, kCleared };

[[nodiscard]] std::string_view stage_name(AlertStage stage) noexcept;

/// An alert as it moves: `first` raised it, `last` is the finding that brought it here.
struct Alert {
  AlertStage stage = AlertStage::kRaised;
  Finding first;
  Finding last;
  Micros at = 0;                 ///< event time of this move
  std::int64_t rows_seen = 0;    ///< rows observed by then, over all traffic
  std::int64_t raised_rows = 0;  ///< `rows_seen` when it was raised
};

}  // namespace heddle::watch
