#include "replay/quality.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "stats/metrics.hpp"

namespace heddle::replay {
namespace {

struct Columns {
  std::vector<float> heddle, never, oracle;
  std::vector<double> labels;

  void add(const ScoredRow& row) {
    heddle.push_back(row.heddle);
    never.push_back(row.never);
    oracle.push_back(row.oracle);
    labels.push_back(row.label);
  }
};

PeriodQuality measure(std::string name, const Columns& columns) {
  const auto of = [&](std::span<const float> p) {
    return Quality{stats::auc(p, columns.labels), stats::log_loss(p, columns.labels)};
  };
  PeriodQuality out;
  out.name = std::move(name);
  out.rows = static_cast<std::int64_t>(columns.labels.size());
  const auto positive = std::count(columns.labels.begin(), columns.labels.end(), 1.0);
  out.positive_share =
      out.rows > 0 ? static_cast<double>(positive) / static_cast<double>(out.rows) : 0;
  out.heddle = of(columns.heddle);
  out.never = of(columns.never);
  out.oracle = of(columns.oracle);
  return out;
}

std::vector<PeriodQuality> by_name(std::span<const ScoredRow> rows, std::size_t length) {
  // A day's name begins with its month's: format each day once.
  std::map<Micros, Columns> days;
  for (const ScoredRow& row : rows)
    // Down also before 1970: the remainder of a negative time is negative.
    days[row.event_time - ((row.event_time % kDay) + kDay) % kDay].add(row);
  std::map<std::string, Columns> periods;
  for (auto& [day, columns] : days) {
    // 7 characters of `2001-04-10` are its month, all 10 its day.
    Columns& period = periods[format_date(day).substr(0, length)];
    const auto append = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(period.heddle, columns.heddle);
    append(period.never, columns.never);
    append(period.oracle, columns.oracle);
    append(period.labels, columns.labels);
  }
  std::vector<PeriodQuality> out;
  for (const auto& [name, columns] : periods) out.push_back(measure(name, columns));
  return out;
}

/// The bits of the faults that belong to a group.
FaultBits mask_of(const FaultGroup& group, const std::vector<std::string>& faults) {
  FaultBits mask = 0;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    if (std::find(group.members.begin(), group.members.end(), faults[i]) != group.members.end())
      mask |= FaultBits{1} << i;
  }
  return mask;
}

/// 1 of nothing: who refuses no row refuses none wrongly, and who sees no fault misses none.
double share_of(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 1;
}

}  // namespace

std::vector<PeriodQuality> quality_by_month(std::span<const ScoredRow> rows) {
  return by_name(rows, 7);
}
std::vector<PeriodQuality> quality_by_day(std::span<const ScoredRow> rows) {
  return by_name(rows, 10);
}

PeriodQuality quality_since(std::span<const ScoredRow> rows, Micros from) {
  Columns columns;
  for (const ScoredRow& row : rows) {
    if (row.event_time >= from) columns.add(row);
  }
  return measure(format_date(from), columns);
}

std::vector<RefusalScore> score_refusals(const Truth& truth, std::span<const RowAnswer> answers,
                                         std::span<const FaultGroup> refusable) {
  HEDDLE_CHECK(truth.rows.size() == answers.size(), "truth and answers are of different replays");
  std::vector<FaultBits> masks;
  FaultBits any = 0;
  for (const FaultGroup& group : refusable) any |= masks.emplace_back(mask_of(group, truth.faults));
  std::int64_t refused = 0;
  std::int64_t rightly = 0;
  std::vector<RefusalScore> out(refusable.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool was_refused = answers[i].outcome == Outcome::kRefused;
    const FaultBits bits = truth.rows[i].faults;
    refused += was_refused ? 1 : 0;
    // A refusal is right where any fault of the refusable
    // groups is in the row, whichever rule found it.
    rightly += was_refused && (bits & any) != 0 ? 1 : 0;
    for (std::size_t g = 0; g < masks.size(); ++g) {
      if ((bits & masks[g]) == 0) continue;
      ++out[g].faulty;
      out[g].faulty_refused += was_refused ? 1 : 0;
    }
  }
  for (std::size_t g = 0; g < out.size(); ++g) {
    RefusalScore& score = out[g];
    score.fault = refusable[g].name;
    score.refused = refused;
    score.wrongly_refused = refused - rightly;
    score.precision = share_of(rightly, refused);
    score.recall = share_of(score.faulty_refused, score.faulty);
  }
  return out;
}

std::int64_t rows_between(const Truth& truth, Micros from, Micros to) {
  return std::count_if(truth.rows.begin(), truth.rows.end(), [&](const TruthRow& row) {
    return row.event_time >= from && row.event_time < to;
  });
}

}  // namespace heddle::replay
