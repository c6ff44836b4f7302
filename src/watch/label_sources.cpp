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
constexpr std::size_t kScores = 4;     ///< parts of the scores

Micros floor_to(Micros time, Micros step) { return time - (time % step + step) % step; }

/// Upper ends of all quarters of the margins but the last.
std::array<float, kScores - 1> quarters_of(std::span<const LabelJoin::Labelled> rows) {
  std::vector<float> margins;
  for (const LabelJoin::Labelled& row : rows) margins.push_back(row.margin);
  std::array<float, kScores - 1> ends{};
  for (std::size_t i = 0; i < ends.size() && !margins.empty(); ++i) {
    const auto at =
        margins.begin() + static_cast<std::ptrdiff_t>((i + 1) * margins.size() / kScores);
    std::nth_element(margins.begin(), at, margins.end());
    ends[i] = *at;
  }
  return ends;
}

}  // namespace

LabelDistance label_distance(std::vector<StratumRow> rows) {
  struct Table {
    double rows[2] = {};      // of the others, own
    double positive[2] = {};  // of these
  };
  std::map<std::uint64_t, Table> tables;
  for (const StratumRow& row : rows) {
    Table& table = tables[row.stratum];
    table.rows[row.own ? 1 : 0] += 1;
    table.positive[row.own ? 1 : 0] += row.label ? 1 : 0;
  }
  LabelDistance out;
  double weights = 0;
  double squares = 0;   // of the differences, less what chance adds, weighted
  double variance = 0;  // of that sum
  for (const auto& [stratum, table] : tables) {
    const auto [others, own] = table.rows;
    if (std::min(others, own) < static_cast<double>(kLeastOfStratum)) continue;
    out.rows += static_cast<std::int64_t>(own);
    ++out.strata;
    const double all = others + own;
    const double share = (table.positive[0] + table.positive[1]) / all;
    const double difference = table.positive[1] / own - table.positive[0] / others;
    // Where there is no difference this is the mean of its square.
    const double chance = share * (1 - share) * (1 / own + 1 / others) * all / (all - 1);
    const double weight = own * others / all;
    weights += weight;
    squares += weight * (difference * difference - chance);
    variance += 2 * weight * weight * chance * chance;
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
    if (!row.opinion.stands() || row.opinion.confirmed() || std::isnan(row.margin)) continue;
    rows.push_back(row);
    accounts.insert(row.opinion.by);
  }
  const auto quarters = quarters_of(rows);
  Finding f;
  f.key = "labels/like-rows";
  f.threshold = kLeastEffect;
  LabelDistance most;
  for (const std::uint16_t account : accounts) {
    std::vector<StratumRow> compared;
    for (const LabelJoin::Labelled& row : rows) {
      const auto time =
          static_cast<std::uint64_t>(row.event_time - floor_to(row.event_time, duration_)) *
          kTimes / static_cast<std::uint64_t>(duration_);
      const auto chunk =
          static_cast<std::uint64_t>(floor_to(row.event_time, duration_) / duration_);
      const auto score = static_cast<std::uint64_t>(
          std::upper_bound(quarters.begin(), quarters.end(), row.margin) - quarters.begin());
      const std::uint64_t sender = std::uint64_t{row.source} << 16 | row.account;
      const std::uint64_t stratum = sender << 32 | (chunk & 0xffff) << 16 | time << 8 | score;
      compared.push_back({stratum, row.opinion.by == account, row.opinion.label != 0});
    }
    const LabelDistance distance = label_distance(std::move(compared));
    f.rows = std::max(f.rows, distance.rows);
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
