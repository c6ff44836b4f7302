#include "profile/association.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

#include "stats/association.hpp"
#include "stats/metrics.hpp"

namespace heddle::profile {
namespace {

using stats::TaskKind;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kBins = 32;
constexpr int kMostCodes = 256;              ///< values with a bin of their own; the rest share one
constexpr std::size_t kMostInFormula = 200;  ///< columns of which pairs are tried

/// The bin of each row: of numbers between quantiles, of other values by value; the last bin is of
/// rows without one.
std::vector<std::size_t> bins_of(const table::Column& rows, const Reading& reading,
                                 std::span<const double> numbers) {
  std::vector<std::size_t> out(static_cast<std::size_t>(rows.length()), 0);
  if (reading.kind == Kind::kCategory || reading.kind == Kind::kText) {
    const auto codes = codes_of(rows);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = codes[i] < 0 ? 0 : static_cast<std::size_t>(std::min(codes[i], kMostCodes)) + 1;
    return out;
  }
  std::vector<double> sorted;
  for (const double x : numbers) {
    if (!std::isnan(x)) sorted.push_back(x);
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> edges;
  for (std::size_t i = 1; i < kBins && !sorted.empty(); ++i) {
    const double edge = sorted[i * sorted.size() / kBins];
    if (edges.empty() || edge > edges.back()) edges.push_back(edge);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isnan(numbers[i])) continue;
    out[i] = static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), numbers[i]) -
                                      edges.begin()) +
             1;
  }
  return out;
}

/// Sums of the target by bin, over one half of the rows.
struct Fitted {
  std::vector<std::vector<double>> sums;  ///< by bin: of each class, or of the target
  std::vector<double> counts;
  std::vector<double> whole;  ///< over all bins
  double count = 0;
};

std::size_t outputs_of(const Target& target) {
  return target.task == TaskKind::kRegression ? 1 : std::max<std::size_t>(target.classes, 2);
}

Fitted fit_half(std::span<const std::size_t> bins, const Target& target, std::size_t parity) {
  const std::size_t outputs = outputs_of(target);
  const std::size_t count = *std::max_element(bins.begin(), bins.end()) + 1;
  Fitted out;
  out.sums.assign(count, std::vector<double>(outputs, 0));
  out.counts.assign(count, 0);
  out.whole.assign(outputs, 0);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double code = target.codes[i];
    if (mixed(i) % 2 != parity || std::isnan(code)) continue;
    const std::size_t output =
        target.task == TaskKind::kRegression ? 0 : static_cast<std::size_t>(code);
    const double amount = target.task == TaskKind::kRegression ? code : 1;
    out.sums[bins[i]][output] += amount;
    out.whole[output] += amount;
    ++out.counts[bins[i]];
    ++out.count;
  }
  return out;
}

/// What the other half says of a row: its bin's mean or share, drawn to that of all by one row.
double said_of(const Fitted& fitted, std::size_t bin, std::size_t output, std::size_t outputs) {
  const double prior =
      outputs == 1 ? fitted.whole[0] / std::max(fitted.count, 1.0)
                   : (fitted.whole[output] + 1) / (fitted.count + static_cast<double>(outputs));
  return (fitted.sums[bin][output] + prior) / (fitted.counts[bin] + 1);
}

/// Loss of the bins and of a constant over the rows of the other half, added up.
void judge_half(std::span<const std::size_t> bins, const Target& target, std::size_t parity,
                double& loss, double& constant_loss) {
  const Fitted fitted = fit_half(bins, target, 1 - parity);
  if (fitted.count == 0) return;
  const std::size_t outputs = outputs_of(target);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double code = target.codes[i];
    if (mixed(i) % 2 != parity || std::isnan(code)) continue;
    if (outputs == 1) {
      const double mean = fitted.whole[0] / fitted.count;
      loss += std::pow(code - said_of(fitted, bins[i], 0, 1), 2);
      constant_loss += std::pow(code - mean, 2);
    } else {
      const auto output = static_cast<std::size_t>(code);
      const double share =
          (fitted.whole[output] + 1) / (fitted.count + static_cast<double>(outputs));
      loss -= std::log(said_of(fitted, bins[i], output, outputs));
      constant_loss -= std::log(share);
    }
  }
}

/// As the gate `leakage-single-feature` measures a feature that is the column itself.
double alone_of(std::span<const double> numbers, const Target& target) {
  std::vector<float> x;
  std::vector<double> y;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i]) || std::isnan(target.codes[i])) continue;
    x.push_back(static_cast<float>(numbers[i]));
    y.push_back(target.codes[i]);
  }
  double out = kNone;
  switch (target.task) {
    case TaskKind::kBinary: {
      const double auc = stats::auc(x, y);
      out = std::max(auc, 1 - auc);
      break;
    }
    case TaskKind::kClasses: out = stats::pairwise_auc(x, y, target.classes); break;
    case TaskKind::kRegression: out = std::abs(stats::rank_correlation(x, y)); break;
  }
  return std::isnan(out) ? 0 : out;
}

bool is_close(double a, double b, double scale) { return std::abs(a - b) <= 1e-9 * scale; }

/// `f(a, b)` equals the target in every row that has all three, and there are enough of those.
template <class F>
bool holds(std::span<const double> a, std::span<const double> b, std::span<const double> target,
           const F& f) {
  constexpr std::size_t kFewest = 20;
  std::size_t rows = 0;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i]) || std::isnan(target[i])) continue;
    const double scale = std::max({std::abs(a[i]), std::abs(b[i]), std::abs(target[i]), 1e-300});
    const double said = f(a[i], b[i]);
    if (!(std::isfinite(said) && is_close(said, target[i], scale))) return false;
    ++rows;
  }
  return rows >= kFewest;
}

bool varies(std::span<const double> x) {
  double first = kNone;
  for (const double each : x) {
    if (std::isnan(each)) continue;
    if (std::isnan(first)) first = each;
    if (each != first) return true;
  }
  return false;
}

/// The line through the rows with the least and the largest value, if all others are on it.
std::string line_of(const std::string& name, std::span<const double> x,
                    std::span<const double> target) {
  std::size_t low = target.size();
  std::size_t high = target.size();
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (std::isnan(x[i]) || std::isnan(target[i])) continue;
    if (low == target.size() || x[i] < x[low]) low = i;
    if (high == target.size() || x[i] > x[high]) high = i;
  }
  if (low == target.size() || x[low] == x[high]) return "";
  const double slope = (target[high] - target[low]) / (x[high] - x[low]);
  const double start = target[low] - slope * x[low];
  if (slope == 0 || !holds(x, x, target, [&](double a, double) { return start + slope * a; }))
    return "";
  if (std::abs(start) < 1e-9 * std::abs(target[high]))
    return slope == 1 ? name : fmt::format("{} * {:.6g}", name, slope);
  return fmt::format("{} * {:.6g} {} {:.6g}", name, slope, start < 0 ? "-" : "+", std::abs(start));
}

std::string pair_of(const std::string& a, const std::string& b, std::span<const double> x,
                    std::span<const double> y, std::span<const double> target) {
  if (holds(x, y, target, [](double p, double q) { return p + q; }))
    return fmt::format("{} + {}", a, b);
  if (holds(x, y, target, [](double p, double q) { return p - q; }))
    return fmt::format("{} - {}", a, b);
  if (holds(x, y, target, [](double p, double q) { return q - p; }))
    return fmt::format("{} - {}", b, a);
  if (holds(x, y, target, [](double p, double q) { return p * q; }))
    return fmt::format("{} * {}", a, b);
  if (holds(x, y, target, [](double p, double q) { return p / q; }))
    return fmt::format("{} / {}", a, b);
  if (holds(x, y, target, [](double p, double q) { return q / p; }))
    return fmt::format("{} / {}", b, a);
  return "";
}

int values_in(const std::vector<int>& codes) {
  return codes.empty() ? 0 : 1 + *std::max_element(codes.begin(), codes.end());
}

/// Whether each of `values` values of `from` goes with one value of `to`.
bool fixes(const std::vector<int>& from, const std::vector<int>& to, int values) {
  constexpr int kUnseen = -2;
  std::vector<int> fixed(static_cast<std::size_t>(values), kUnseen);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] < 0) continue;
    int& of = fixed[static_cast<std::size_t>(from[i])];
    if (of == kUnseen) of = to[i];
    if (of != to[i]) return false;
  }
  return true;
}

}  // namespace

std::vector<double> numbers_of(const table::Column& rows, const Reading& reading) {
  std::vector<double> out(static_cast<std::size_t>(rows.length()), kNone);
  const auto is_there = [&](std::size_t i) { return rows.valid.empty() || rows.valid[i] != 0; };
  const Micros start = reading.column->times > 0 ? reading.column->earliest : 0;
  if (rows.type != expr::Type::kString) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!is_there(i)) continue;
      out[i] = rows.type == expr::Type::kDouble ? rows.doubles[i]
                                                : static_cast<double>(rows.ints[i] - start);
    }
    return out;
  }
  const auto& texts = rows.dictionary->views();
  std::vector<double> numbers(texts.size(), kNone);
  for (std::size_t code = 0; code < texts.size(); ++code) {
    const Seen seen = look_at(texts[code]);
    switch (seen.look) {
      case Look::kInteger:
      case Look::kNumber:
      case Look::kComma: numbers[code] = seen.number; break;
      case Look::kTime: numbers[code] = static_cast<double>(seen.time - start); break;
      case Look::kBoolean: numbers[code] = texts[code].find_first_of("tT") == 0 ? 1 : 0; break;
      default: break;
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (is_there(i)) out[i] = numbers[static_cast<std::size_t>(rows.codes[i])];
  }
  return out;
}

std::vector<int> codes_of(const table::Column& rows) {
  std::vector<int> out(static_cast<std::size_t>(rows.length()), -1);
  std::unordered_map<std::int64_t, int> seen;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!rows.valid.empty() && rows.valid[i] == 0) continue;
    std::int64_t key = 0;
    if (rows.type == expr::Type::kString)
      key = rows.codes[i];
    else if (rows.type == expr::Type::kDouble)
      // 0.0 and -0.0 are one value to people, and have one hash.
      key = static_cast<std::int64_t>(std::hash<double>{}(rows.doubles[i]));
    else
      key = rows.ints[i];
    out[i] = seen.try_emplace(key, static_cast<int>(seen.size())).first->second;
  }
  return out;
}

Association associate(const table::Column& rows, const Reading& reading, const Target& target) {
  Association out;
  const auto numbers = numbers_of(rows, reading);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    out.rows += (rows.valid.empty() || rows.valid[i] != 0) && !std::isnan(target.codes[i]) ? 1 : 0;
  const auto bins = bins_of(rows, reading, numbers);
  if (bins.empty()) return out;
  double loss = 0;
  double constant = 0;
  // Each half is judged by the other: a column with a value of its own in each row explains nothing
  // so.
  for (const std::size_t parity : {0, 1}) judge_half(bins, target, parity, loss, constant);
  out.explained = constant > 0 ? 1 - loss / constant : 0;
  out.alone = alone_of(numbers, target);
  return out;
}

Formula find_formula(std::span<const std::string> names,
                     std::span<const std::vector<double>> columns, std::span<const double> target) {
  // A constant is a formula of everything.
  if (!varies(target)) return {};
  std::vector<std::size_t> tried;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!varies(columns[i])) continue;
    if (const auto text = line_of(names[i], columns[i], target); !text.empty()) return {{i}, text};
    // Every pair is tried, which is the square of them.
    if (tried.size() < kMostInFormula) tried.push_back(i);
  }
  for (std::size_t a = 0; a < tried.size(); ++a) {
    for (std::size_t b = a + 1; b < tried.size(); ++b) {
      const auto text =
          pair_of(names[tried[a]], names[tried[b]], columns[tried[a]], columns[tried[b]], target);
      if (!text.empty()) return {{tried[a], tried[b]}, text};
    }
  }
  return {};
}

std::vector<Dependency> find_dependencies(std::span<const std::vector<int>> columns) {
  std::vector<Dependency> out;
  for (std::size_t a = 0; a < columns.size(); ++a) {
    const int values = values_in(columns[a]);
    // One value fixes only what never differs.
    if (values < 2) continue;
    for (std::size_t b = 0; b < columns.size(); ++b) {
      if (a != b && values_in(columns[b]) >= 2 && fixes(columns[a], columns[b], values))
        out.push_back({a, b, values});
    }
  }
  return out;
}

}  // namespace heddle::profile
