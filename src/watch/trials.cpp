#include "watch/trials.hpp"

#include <algorithm>
#include <cmath>

#include "stats/quality.hpp"

namespace heddle::watch {
namespace {

constexpr std::size_t kLeastPairs = 300;
constexpr double kSameLoss = 1e-4;  ///< nats: rounding alone

double interval_loss_of(const stats::Task& task, const std::vector<float>& margins, double code,
                        const stats::Conformal& interval) {
  std::vector<float> prediction(task.outputs());
  task.predict(margins, prediction);
  return stats::interval_loss(stats::conformal_score(task, prediction, code), interval);
}

}  // namespace

void Trial::add(double difference, std::int64_t row_chunk) noexcept {
  // Only at the end of a chunk: the least sum over single rows would be a matter of luck, and what
  // was lost since then too large.
  if (row_chunk > chunk) {
    chunk = row_chunk;
    closed = sum;
    closed_squares = squares;
    if (closed < least) {
      least = closed;
      least_squares = closed_squares;
    }
  }
  ++rows;
  sum += difference;
  squares += difference * difference;
}

void Trial::add_label(const stats::Task& task, double code, double median) {
  if (task.kind == stats::TaskKind::kRegression)
    deviation += std::abs(code - median);
  else
    ++classes[static_cast<std::int32_t>(code)];
}

double Trial::constant_loss() const {
  if (rows == 0) return 0;
  // Only the intervals differ, so what they lose is measured in their own loss.
  if (interval > 0 && !predictions_differ) return interval / static_cast<double>(rows);
  double loss = (deviation + interval) / static_cast<double>(rows);
  for (const auto& [code, count] : classes) {
    const double share = static_cast<double>(count) / static_cast<double>(rows);
    loss -= share * std::log(share);
  }
  return loss;
}

double Trial::mean() const noexcept { return rows == 0 ? 0 : sum / static_cast<double>(rows); }

bool Trial::loses(double share, std::int64_t rows_of_chunk) const noexcept {
  if (rows == 0) return false;
  const double all = constant_loss() * static_cast<double>(rows_of_chunk);
  const auto beyond = [&](double loss, double variance, double allowed) {
    return loss > allowed * all && loss > 4 * std::sqrt(variance);
  };
  // Whole chunks are judged at the bound; within the open one, where there are few rows and many
  // looks, four times as much must be lost.
  return beyond(closed - least, closed_squares - least_squares, share) ||
         beyond(lost(), squares - least_squares, 4 * share);
}

bool Trial::pays() const noexcept { return -sum > 2 * std::sqrt(squares) && rows > 0; }

bool Trial::alternative_pays() const noexcept { return sum > 3 * std::sqrt(squares) && rows > 0; }

std::uint32_t Trials::number(const std::string& name, bool candidate,
                             const std::optional<TrialIntervals>& intervals) {
  const auto [at, fresh] = running_.try_emplace(name);
  if (fresh) at->second = {next_++, candidate, {}, intervals, {}, {}};
  return at->second.number;
}

void Trials::add(const stats::Task& task, const TrialRow& row, std::int64_t chunk, double median) {
  const double served = stats::row_loss(task, row.margins, row.code);
  for (const auto& [number, margins] : row.alternatives) {
    // The alternative refused this row: there is no difference to add.
    if (std::isnan(margins[0])) continue;
    const double other = stats::row_loss(task, margins, row.code);
    for (auto& [name, running] : running_) {
      if (running.number != number) continue;
      running.trial.add_label(task, row.code, median);
      double difference = served - other;
      if (running.intervals) {
        const TrialIntervals& both = *running.intervals;
        const double cost =
            interval_loss_of(task, margins, row.code, {both.served.coverage, both.alternative});
        running.trial.interval += cost;
        // Margins of classes that were recorded as probabilities are off by a constant.
        const double same = task.kind == stats::TaskKind::kRegression ? 0 : kSameLoss;
        if (std::abs(served - other) > same) running.trial.predictions_differ = true;
        difference += interval_loss_of(task, row.margins, row.code, both.served) - cost;
      }
      // A sum is the loss with the act less the loss without it. Of a candidate, what serves is
      // without.
      running.add(running.candidate ? -difference : difference, chunk, row);
    }
  }
}

void Trials::Running::add(double difference, std::int64_t chunk, const TrialRow& row) {
  const double before = trial.least;
  trial.add(difference, chunk);
  // It was worth most at the end of the chunk before this row.
  for (auto* of_accounts : {&shares, &label_shares}) {
    for (auto& [of, share] : *of_accounts) {
      if (trial.least == before) break;
      share.least = share.sum;
      share.least_squares = share.squares;
    }
    Share& share = (*of_accounts)[of_accounts == &shares ? row.account : row.label_account];
    share.sum += difference;
    share.squares += difference * difference;
  }
}

std::string Trials::only_account(const std::string& name) const {
  const auto at = running_.find(name);
  // With one account there is nobody else to show it: that says nothing against it.
  if (at == running_.end() || at->second.shares.size() < 2) return {};
  const Trial& trial = at->second.trial;
  for (const auto& [account, share] : at->second.shares) {
    if (!loses_without(trial, share)) return account;
  }
  return {};
}

bool Trials::loses_without(const Trial& trial, const Share& share) {
  const double others = trial.lost() - (share.sum - share.least);
  const double variance =
      trial.squares - trial.least_squares - (share.squares - share.least_squares);
  return others > 2 * std::sqrt(std::max(0.0, variance));
}

bool Trials::pays_without(const Trial& trial, const Share& share) {
  return share.sum - trial.sum > 2 * std::sqrt(std::max(0.0, trial.squares - share.squares));
}

std::string Trials::label_account_of_loss(const std::string& name) const {
  return label_account_of(name, loses_without);
}

std::string Trials::label_account_of_gain(const std::string& name) const {
  return label_account_of(name, pays_without);
}

std::string Trials::label_account_of(const std::string& name,
                                     bool (*stands_without)(const Trial&, const Share&)) const {
  const auto at = running_.find(name);
  if (at == running_.end()) return {};
  for (const auto& [account, share] : at->second.label_shares) {
    // Under the empty name is what several say alike.
    if (!account.empty() && !stands_without(at->second.trial, share)) return account;
  }
  return {};
}

const Trial* Trials::find(const std::string& name) const {
  const auto at = running_.find(name);
  return at == running_.end() ? nullptr : &at->second.trial;
}

void Trials::keep(const std::vector<std::string>& names) {
  // A name that comes back later is another trial, and begins with no rows.
  std::erase_if(running_, [&](const auto& item) {
    return std::find(names.begin(), names.end(), item.first) == names.end();
  });
}

void Trials::save(StateWriter& out) const {
  out.put(std::uint64_t{next_});
  out.put(std::uint64_t{running_.size()});
  for (const auto& [name, running] : running_) {
    const Trial& t = running.trial;
    out.put(name);
    out.put(std::uint64_t{running.number});
    out.put(running.candidate);
    out.put(t.rows);
    out.put(std::uint64_t{t.classes.size()});
    for (const auto& [code, count] : t.classes) {
      out.put(int{code});
      out.put(count);
    }
    out.put(t.chunk);
    out.put(t.predictions_differ);
    out.put(running.intervals.has_value());
    const TrialIntervals intervals = running.intervals.value_or(TrialIntervals{});
    for (const double value :
         {intervals.served.coverage, intervals.served.quantile, intervals.alternative, t.interval})
      out.put(value);
    for (const double value :
         {t.deviation, t.sum, t.squares, t.closed, t.closed_squares, t.least, t.least_squares})
      out.put(value);
    for (const auto* shares : {&running.shares, &running.label_shares}) {
      out.put(std::uint64_t{shares->size()});
      for (const auto& [account, share] : *shares) {
        out.put(account);
        for (const double value : {share.sum, share.squares, share.least, share.least_squares})
          out.put(value);
      }
    }
  }
}

void Trials::load(StateReader& in) {
  running_.clear();
  next_ = static_cast<std::uint32_t>(in.u64());
  for (std::uint64_t n = in.count(); n > 0; --n) {
    Running& running = running_[in.text()];
    running.number = static_cast<std::uint32_t>(in.u64());
    running.candidate = in.flag();
    Trial& t = running.trial;
    t.rows = in.i64();
    for (std::uint64_t m = in.count(); m > 0; --m) {
      const int code = in.small();
      t.classes[code] = in.i64();
    }
    t.chunk = in.i64();
    t.predictions_differ = in.flag();
    const bool compared = in.flag();
    TrialIntervals intervals;
    for (double* value : {&intervals.served.coverage, &intervals.served.quantile,
                          &intervals.alternative, &t.interval})
      *value = in.real();
    if (compared) running.intervals = intervals;
    for (double* value : {&t.deviation, &t.sum, &t.squares, &t.closed, &t.closed_squares, &t.least,
                          &t.least_squares})
      *value = in.real();
    for (auto* shares : {&running.shares, &running.label_shares}) {
      for (std::uint64_t m = in.count(); m > 0; --m) {
        Share& share = (*shares)[in.text()];
        for (double* value : {&share.sum, &share.squares, &share.least, &share.least_squares})
          *value = in.real();
      }
    }
  }
}

double paired_z(const std::vector<double>& differences) noexcept {
  if (differences.size() < kLeastPairs) return 0;
  const auto n = static_cast<double>(differences.size());
  double mean = 0;
  for (const double d : differences) mean += d / n;
  double variance = 0;
  for (const double d : differences) variance += (d - mean) * (d - mean) / (n - 1);
  return variance > 0 ? mean / std::sqrt(variance / n) : 0;
}

}  // namespace heddle::watch
