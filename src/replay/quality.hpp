#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "replay/replayer.hpp"
#include "replay/truth.hpp"

namespace heddle::replay {

/// A row that was served, with what three models said of it: Heddle as it answered, the model that
/// was never updated, and the oracle. All probabilities.
struct ScoredRow {
  Micros event_time = 0;
  std::uint8_t label = 0;
  float heddle = 0;
  float never = 0;
  float oracle = 0;
};

struct Quality {
  double auc = 0;
  double log_loss = 0;
};

/// The three over the same rows.
struct PeriodQuality {
  std::string name;  ///< `2001-05`, `2001-05-11`
  std::int64_t rows = 0;
  double positive_share = 0;
  Quality heddle;
  Quality never;
  Quality oracle;
};

/// `rows` in any order; periods ascending, without empty ones.
[[nodiscard]] std::vector<PeriodQuality> quality_by_month(std::span<const ScoredRow> rows);
[[nodiscard]] std::vector<PeriodQuality> quality_by_day(std::span<const ScoredRow> rows);
/// One period over the rows with `event_time >= from`.
[[nodiscard]] PeriodQuality quality_since(std::span<const ScoredRow> rows, Micros from);

/// How well refusing rows met one fault. Recall: of its rows, those refused. Precision: of all rows
/// refused in the whole replay, those that any of the `refusable` faults had touched: the same for
/// each of them.
struct RefusalScore {
  std::string fault;
  std::int64_t faulty = 0;
  std::int64_t faulty_refused = 0;
  std::int64_t refused = 0;          ///< whole replay
  std::int64_t wrongly_refused = 0;  ///< of those, touched by no refusable fault
  double precision = 0;
  double recall = 0;
};

/// A fault as reports name it, and the names of the catalogue it covers.
struct FaultGroup {
  std::string name;
  std::vector<std::string> members;
};

/// `truth.rows[i]` is about `answers[i]`; unequal lengths are our own mistake.
[[nodiscard]] std::vector<RefusalScore> score_refusals(const Truth& truth,
                                                       std::span<const RowAnswer> answers,
                                                       std::span<const FaultGroup> refusable);

/// Rows sent with event times in [from, to).
[[nodiscard]] std::int64_t rows_between(const Truth& truth, Micros from, Micros to);

}  // namespace heddle::replay
