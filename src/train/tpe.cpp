#include "train/tpe.hpp"

#include <charconv>
#include <cmath>
#include <numeric>

#include "stats/scalar.hpp"

namespace heddle::train {
namespace {

using Kind = spec::SearchDimension::Kind;
constexpr int kCandidates = 24;

/// SplitMix64 (Steele, Lea, Flood 2014): one stream a trial.
class Random {
 public:
  Random(std::int64_t seed, int number)
      : state_(static_cast<std::uint64_t>(seed) * 0x9e3779b97f4a7c15ULL +
               static_cast<std::uint64_t>(number) * 0xd1342543de82ef95ULL) {
    (void)next();
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  std::size_t below(std::size_t n) {
    return std::min(n - 1, static_cast<std::size_t>(uniform() * static_cast<double>(n)));
  }
  /// Marsaglia's polar method.
  double normal() {
    for (;;) {
      const double u = 2 * uniform() - 1;
      const double v = 2 * uniform() - 1;
      const double s = u * u + v * v;
      if (s > 0 && s < 1) return u * std::sqrt(-2 * stats::log(s) / s);
    }
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

bool is_log(Kind kind) { return kind == Kind::kLogUniform || kind == Kind::kLogInteger; }
bool is_integer(Kind kind) { return kind == Kind::kInteger || kind == Kind::kLogInteger; }

/// A numeric dimension as the estimator sees it: a plain interval. Integers own half a unit on
/// either side.
struct Interval {
  double low;
  double high;
};
Interval interval_of(const spec::SearchDimension& dimension) {
  const double edge = is_integer(dimension.kind) ? 0.5 : 0;
  const double low = dimension.low - edge;
  const double high = dimension.high + edge;
  return is_log(dimension.kind) ? Interval{stats::log(low), stats::log(high)} : Interval{low, high};
}
double inward(const spec::SearchDimension& dimension, double value) {
  return is_log(dimension.kind) ? stats::log(value) : value;
}
/// The value as the trainer will read it: rounded, in range.
double outward(const spec::SearchDimension& dimension, double x) {
  double value = is_log(dimension.kind) ? stats::exp(x) : x;
  if (is_integer(dimension.kind)) {
    value = std::round(value);
  } else {
    const std::string digits = fmt::format("{:.6g}", value);
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
  }
  return std::min(std::max(value, dimension.low), dimension.high);
}

/// P(Z < z), absolute error below 1e-7 (Abramowitz and Stegun 7.1.26).
double normal_below(double z) {
  const double x = std::abs(z) / 1.4142135623730951;
  const double t = 1 / (1 + 0.3275911 * x);
  const double tail =
      t *
      (0.254829592 +
       t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
      stats::exp(-x * x);
  return z < 0 ? tail / 2 : 1 - tail / 2;
}

/// A mixture of normals cut at the interval's ends; the last kernel is the prior.
struct Mixture {
  Interval interval{};
  std::vector<double> means{};
  std::vector<double> sigmas{};
  std::vector<double> weights{};  ///< sum 1

  double draw(Random& random) const {
    double u = random.uniform();
    std::size_t k = 0;
    while (k + 1 < weights.size() && u >= weights[k]) u -= weights[k++];
    for (int i = 0; i < 1000; ++i) {
      const double x = means[k] + sigmas[k] * random.normal();
      if (x >= interval.low && x <= interval.high) return x;
    }
    return means[k];
  }
  double density(double x) const {
    double sum = 0;
    for (std::size_t k = 0; k < means.size(); ++k) {
      const double z = (x - means[k]) / sigmas[k];
      const double inside = normal_below((interval.high - means[k]) / sigmas[k]) -
                            normal_below((interval.low - means[k]) / sigmas[k]);
      sum += weights[k] * stats::exp(-0.5 * z * z) / (sigmas[k] * std::max(inside, 1e-12));
    }
    return sum + 1e-300;
  }
};

/// Weights of n observations in time order and, last, of the prior; they sum to 1.
std::vector<double> kernel_weights(std::size_t n) {
  std::vector<double> weights(n + 1, 1.0);
  if (n > 25) {
    const std::size_t old = n - 25;
    const double first = 1 / static_cast<double>(n);
    for (std::size_t i = 0; i < old; ++i) {
      weights[i] =
          old == 1 ? first
                   : first + (1 - first) * static_cast<double>(i) / static_cast<double>(old - 1);
    }
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return weights;
}

Mixture mixture_of(Interval interval, std::vector<double> points) {
  const std::size_t n = points.size();
  const double range = interval.high - interval.low;
  const double prior = interval.low + range / 2;
  Mixture mixture{interval, std::move(points), {}, kernel_weights(n)};
  mixture.means.push_back(prior);
  std::vector<std::size_t> order(n + 1);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return mixture.means[a] < mixture.means[b];
  });
  mixture.sigmas.assign(n + 1, range);
  const double least = range / std::min(100.0, 1.0 + static_cast<double>(n + 1));
  for (std::size_t i = 0; i <= n; ++i) {
    const double here = mixture.means[order[i]];
    const bool first = i == 0;
    const bool last = i == n;
    const double left = here - (first ? interval.low : mixture.means[order[i - 1]]);
    const double right = (last ? interval.high : mixture.means[order[i + 1]]) - here;
    double sigma = std::max(left, right);
    if (n >= 1 && first) sigma = right;  // the ends of the range are no neighbours
    if (n >= 1 && last) sigma = left;
    mixture.sigmas[order[i]] = std::min(std::max(sigma, least), range);
  }
  mixture.sigmas[n] = range;
  return mixture;
}

/// P(choice) under the observations' one-hot kernels, each mixed with 1/kernels of every choice,
/// and the uniform prior.
std::vector<double> choice_shares(const std::vector<double>& choices,
                                  const std::vector<double>& points) {
  const std::vector<double> weights = kernel_weights(points.size());
  const double mix = 1 / static_cast<double>(weights.size());
  const auto count = static_cast<double>(choices.size());
  std::vector<double> shares(choices.size(), weights.back() / count);
  for (std::size_t k = 0; k < points.size(); ++k) {
    for (std::size_t c = 0; c < choices.size(); ++c) {
      shares[c] += weights[k] * ((choices[c] == points[k] ? 1 : 0) + mix) / (1 + count * mix);
    }
  }
  return shares;
}

/// The candidate whose density among good trials is the largest, relative to that among bad ones.
class BestOf {
 public:
  void offer(double value, double score) {
    if (!any_ || score > score_) {
      score_ = score;
      value_ = value;
    }
    any_ = true;
  }
  [[nodiscard]] double value() const noexcept { return value_; }

 private:
  double value_ = 0;
  double score_ = 0;
  bool any_ = false;
};

double propose_choice(const std::vector<double>& choices, const std::vector<double>& good,
                      const std::vector<double>& bad, Random& random) {
  const std::vector<double> l = choice_shares(choices, good);
  const std::vector<double> g = choice_shares(choices, bad);
  BestOf best;
  for (int i = 0; i < kCandidates; ++i) {
    double u = random.uniform();
    std::size_t c = 0;
    while (c + 1 < l.size() && u >= l[c]) u -= l[c++];
    best.offer(choices[c], l[c] / g[c]);
  }
  return best.value();
}

double propose_one(const spec::SearchDimension& dimension, const std::vector<double>& good,
                   const std::vector<double>& bad, Random& random) {
  if (dimension.kind == Kind::kChoice) return propose_choice(dimension.choices, good, bad, random);
  const Interval interval = interval_of(dimension);
  const auto inside = [&](const std::vector<double>& values) {
    std::vector<double> points;
    for (const double value : values) points.push_back(inward(dimension, value));
    return points;
  };
  const Mixture l = mixture_of(interval, inside(good));
  const Mixture g = mixture_of(interval, inside(bad));
  BestOf best;
  for (int i = 0; i < kCandidates; ++i) {
    const double value = outward(dimension, l.draw(random));
    const double x = inward(dimension, value);
    best.offer(value, stats::log(l.density(x)) - stats::log(g.density(x)));
  }
  return best.value();
}

}  // namespace

namespace {

/// What is wrong with a dimension; empty: nothing.
std::string fault_of(const spec::SearchDimension& d) {
  if (d.kind == Kind::kChoice) return d.choices.empty() ? "has no choices" : "";
  const bool whole = is_integer(d.kind);
  if (!std::isfinite(d.low) || !std::isfinite(d.high) || d.low > d.high ||
      (d.low == d.high && !whole))
    return fmt::format("ranges from {} to {}", d.low, d.high);
  // A whole number stands for all that round to it.
  if (is_log(d.kind) && !(d.low - (whole ? 0.5 : 0) > 0))
    return fmt::format("is on a log scale from {}", d.low);
  const bool is_whole = d.low == std::floor(d.low) && d.high == std::floor(d.high);
  return whole && !is_whole ? "has a bound that is no integer" : "";
}

}  // namespace

Result<Tpe> Tpe::open(std::vector<spec::SearchDimension> space, std::int64_t seed, int startup) {
  for (const auto& d : space) {
    if (const std::string fault = fault_of(d); !fault.empty()) {
      return Error{ErrorKind::kInvalid, "search-space",
                   fmt::format("search dimension `{}` {}", d.name, fault),
                   "give it `low` below `high`, above 0 on a log scale, or a list of `choices`"};
    }
  }
  return Tpe(std::move(space), seed, startup);
}

std::vector<double> Tpe::propose(int number, std::span<const Observation> history) const {
  Random random(seed_, number);
  std::vector<double> values;
  if (history.size() < static_cast<std::size_t>(std::max(startup_, 2))) {
    for (const auto& d : space_) {
      if (d.kind == Kind::kChoice) {
        values.push_back(d.choices[random.below(d.choices.size())]);
      } else {
        const Interval interval = interval_of(d);
        values.push_back(
            outward(d, interval.low + random.uniform() * (interval.high - interval.low)));
      }
    }
    return values;
  }
  std::vector<std::size_t> order(history.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return history[a].loss < history[b].loss; });
  const std::size_t n = std::min<std::size_t>((history.size() + 9) / 10, 25);
  std::vector<std::uint8_t> is_good(history.size(), 0);
  for (std::size_t i = 0; i < n; ++i) is_good[order[i]] = 1;
  for (std::size_t d = 0; d < space_.size(); ++d) {
    std::vector<double> good;
    std::vector<double> bad;
    for (std::size_t i = 0; i < history.size(); ++i)
      (is_good[i] != 0 ? good : bad).push_back(history[i].values[d]);
    values.push_back(propose_one(space_[d], good, bad, random));
  }
  return values;
}

std::string Tpe::text(std::size_t dimension, double value) const {
  if (is_integer(space_[dimension].kind) || value == std::floor(value))
    return fmt::format("{}", static_cast<std::int64_t>(value));
  return fmt::format("{}", value);
}

}  // namespace heddle::train
