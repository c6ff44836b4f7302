#include "watch/label_sources.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace heddle::watch {

namespace {

constexpr double kContestedShare = 0.05;  ///< of the labelled rows of a chunk
constexpr double kLeastEffect = 0.05;     ///< share of true labels
constexpr std::int64_t kLeastOfStratum = 5;
constexpr double kStandardErrors = 4;  ///< rows of one day hang together a little
constexpr std::uint64_t kTimes = 8;    ///< parts of a chunk
constexpr std::size_t kQuarters = 4;

Micros floor_to(Micros time, Micros step) { return time - (time % step + step) % step; }

/// Upper ends of all quarters of the values but the last.
std::array<float, kQuarters - 1> quarters_of(std::vector<float> values) {
  std::array<float, kQuarters - 1> ends{};
  for (std::size_t i = 0; i < ends.size() && !values.empty(); ++i) {
    const auto at =
        values.begin() + static_cast<std::ptrdiff_t>((i + 1) * values.size() / kQuarters);
    std::nth_element(values.begin(), at, values.end());
    ends[i] = *at;
  }
  return ends;
}

std::uint64_t quarter_of(const std::array<float, kQuarters - 1>& ends, float value) {
  return static_cast<std::uint64_t>(std::upper_bound(ends.begin(), ends.end(), value) -
                                    ends.begin());
}

/// What rows that are alike share: source, sender, chunk, part of the chunk, score.
std::vector<std::uint64_t> strata_of(const stats::Task& task,
                                     std::span<const LabelJoin::Labelled> rows, Micros duration) {
  std::vector<float> scores;
  for (const LabelJoin::Labelled& row : rows) scores.push_back(row.score);
  const auto quarters = quarters_of(std::move(scores));
  std::vector<std::uint64_t> out;
  for (const LabelJoin::Labelled& row : rows) {
    const Micros begin = floor_to(row.event_time, duration);
    const auto time = static_cast<std::uint64_t>(row.event_time - begin) * kTimes /
                      static_cast<std::uint64_t>(duration);
    const auto chunk = static_cast<std::uint64_t>(begin / duration);
    // Of more than 256 classes some share a stratum, which hides nothing of a lie.
    const std::uint64_t score = task.kind == stats::TaskKind::kClasses
                                    ? static_cast<std::uint64_t>(row.score) & 0xff
                                    : quarter_of(quarters, row.score);
    const std::uint64_t sender = std::uint64_t{row.source} << 16 | row.account;
    out.push_back(sender << 32 | (chunk & 0xffff) << 16 | time << 8 | score);
  }
  return out;
}

/// The kind of each row's label: its class; of a regression its quarter among the labels of its
/// stratum, for what is large in one is not in another.
std::vector<std::int32_t> kinds_of(const stats::Task& task,
                                   std::span<const LabelJoin::Labelled> rows,
                                   std::span<const std::uint64_t> strata) {
  std::vector<std::int32_t> out;
  std::map<std::uint64_t, std::vector<float>> labels;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (task.kind == stats::TaskKind::kRegression)
      labels[strata[i]].push_back(rows[i].opinion.label);
    else
      out.push_back(static_cast<std::int32_t>(rows[i].opinion.label));
  }
  std::map<std::uint64_t, std::array<float, kQuarters - 1>> ends;
  for (auto& [stratum, values] : labels) ends[stratum] = quarters_of(std::move(values));
  for (std::size_t i = out.size(); i < rows.size(); ++i)
    out.push_back(static_cast<std::int32_t>(quarter_of(ends[strata[i]], rows[i].opinion.label)));
  return out;
}

}  // namespace

LabelDistance label_distance(std::vector<StratumRow> rows) {
  struct Table {
    double rows[2] = {};                                  // of the others, own
    std::map<std::int32_t, std::array<double, 2>> kinds;  // of these
  };
  std::map<std::uint64_t, Table> tables;
  for (const StratumRow& row : rows) {
    Table& table = tables[row.stratum];
    table.rows[row.own ? 1 : 0] += 1;
    table.kinds[row.label][row.own ? 1 : 0] += 1;
  }
  LabelDistance out;
  double weights = 0;
  double squares = 0;   // of the differences, less what chance adds, weighted
  double variance = 0;  // of that sum
  for (const auto& [stratum, table] : tables) {
    const auto [others, own] = table.rows;
    // Of fewer on a side its own estimate of chance is too rough.
    if (std::min(others, own) < static_cast<double>(kLeastOfStratum)) continue;
    out.rows += static_cast<std::int64_t>(own);
    ++out.strata;
    const double all = others + own;
    // Half of the sum of squared differences, and what it and its variance are where there is no
    // difference: the shares of a sample have the covariance of a multinomial.
    double difference = 0;
    double chance = 0;
    double second = 0;  // sums of powers of the shares
    double third = 0;
    for (const auto& [kind, counts] : table.kinds) {
      const double share = (counts[0] + counts[1]) / all;
      const double apart = counts[1] / own - counts[0] / others;
      difference += apart * apart / 2;
      chance += share * (1 - share) / 2;
      second += share * share;
      third += share * share * share;
    }
    const double spread = (1 / own + 1 / others) * all / (all - 1);
    const double weight = own * others / all;
    weights += weight;
    squares += weight * (difference - chance * spread);
    variance += weight * weight * spread * spread * (second - 2 * third + second * second) / 2;
  }
  if (weights == 0) return out;
  const double effect = squares / weights;
  out.standard_error = std::sqrt(variance) / weights;
  out.effect = std::sqrt(std::max(0.0, effect));
  out.at_least = std::sqrt(std::max(0.0, effect - kStandardErrors * out.standard_error));
  return out;
}

/// The open chunk may have grown for weeks, for want of rows: its end would be waited for again.
void LabelSources::set_back(Micros, RowCounts&) { from_ = to_ = INT64_MIN; }

void LabelSources::close(const LabelJoin& join, Micros watermark, std::vector<Finding>& out) {
  if (to_ == INT64_MIN) {
    from_ = floor_to(watermark, duration_);
    to_ = from_ + duration_;
  }
  while (to_ + delay_ <= watermark) {
    const auto rows = join.labelled(from_, to_);
    const bool enough = static_cast<std::int64_t>(rows.size()) >= least_rows_;
    // With one account there is nobody to hold it against.
    if (enough && join.label_accounts(least_rows_) > 1) {
      for (Finding finding : {on_same_rows(join, rows), on_like_rows(join, rows)}) {
        finding.subject = Subject::kLabels;
        finding.raises = finding.alert;
        finding.from = from_;
        finding.to = to_;
        out.push_back(std::move(finding));
      }
    }
    // Too few rows widen the chunk, as far back as rows are kept.
    if (enough) from_ = to_;
    // Ends between here and the last that is due change nothing where there is no row: years
    // without one are one step.
    const Micros due = floor_to(watermark - delay_, duration_);
    to_ = rows.empty() ? std::max(due, to_ + duration_) : to_ + duration_;
    if (rows.empty()) from_ = to_ - duration_;
    from_ = std::max(from_, to_ - std::max(retention_, duration_));
  }
}

Finding LabelSources::on_same_rows(const LabelJoin& join,
                                   std::span<const LabelJoin::Labelled> rows) const {
  std::map<std::pair<std::string, std::string>, std::int64_t> pairs;
  std::int64_t contested = 0;
  for (const LabelJoin::Labelled& row : rows) {
    if (!row.opinion.contested()) continue;
    ++contested;
    ++pairs[std::minmax(join.name(row.opinion.by), join.name(row.opinion.other_by))];
  }
  Finding f;
  f.key = "labels/same-rows";
  f.rows = static_cast<std::int64_t>(rows.size());
  f.value = static_cast<double>(contested) / static_cast<double>(rows.size());
  f.threshold = kContestedShare;
  f.alert = f.value > f.threshold;
  f.detail = doc::Value::object({{"contested", contested}});
  const auto most = std::max_element(
      pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == pairs.end()) return f;
  f.detail.set("one", most->first.first);
  f.detail.set("other", most->first.second);
  f.detail.set("why", fmt::format("label accounts `{}` and `{}` contradict each other on {} of {} "
                                  "labelled rows",
                                  most->first.first, most->first.second, most->second, f.rows));
  return f;
}

Finding LabelSources::on_like_rows(const LabelJoin& join,
                                   std::span<const LabelJoin::Labelled> all) const {
  std::vector<LabelJoin::Labelled> rows;
  std::set<std::uint16_t> accounts;
  for (const LabelJoin::Labelled& row : all) {
    // What two say alike is of neither alone.
    if (!row.opinion.stands() || row.opinion.confirmed() || std::isnan(row.score)) continue;
    rows.push_back(row);
    accounts.insert(row.opinion.by);
  }
  const auto strata = strata_of(join.task(), rows, duration_);
  const auto kinds = kinds_of(join.task(), rows, strata);
  Finding f;
  f.key = "labels/like-rows";
  f.threshold = kLeastEffect;
  LabelDistance most;
  for (const std::uint16_t account : accounts) {
    std::vector<StratumRow> compared;
    for (std::size_t i = 0; i < rows.size(); ++i)
      compared.push_back({strata[i], rows[i].opinion.by == account, kinds[i]});
    const LabelDistance distance = label_distance(std::move(compared));
    f.rows = std::max(f.rows, distance.rows);
    // Nobody can be asked about labels without an account.
    if (distance.at_least <= most.at_least || join.name(account).empty()) continue;
    most = distance;
    f.rows = distance.rows;
    f.value = distance.at_least;
    f.detail = doc::Value::object(
        {{"one", join.name(account)},
         {"effect", distance.effect},
         {"square_standard_error", distance.standard_error},
         {"strata", distance.strata},
         {"why",
          fmt::format("the labels of account `{}` differ from those of the others on rows of "
                      "one source, time of day and score: by at least {:.0f} points of 100, "
                      "on {} rows",
                      join.name(account), 100 * distance.at_least, distance.rows)}});
  }
  f.alert = f.value > f.threshold;
  return f;
}

void LabelSources::save(StateWriter& out) const {
  out.put(from_);
  out.put(to_);
}

void LabelSources::load(StateReader& in) {
  from_ = in.i64();
  to_ = in.i64();
}

const DetectorKind& label_sources() {
  static constexpr DetectorKind row("label-sources", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<LabelSources>(options.monitor));
  });
  return row;
}

}  // namespace heddle::watch
