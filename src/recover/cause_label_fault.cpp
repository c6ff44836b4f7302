#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "stats/quality.hpp"

namespace heddle::recover {
namespace {

using watch::LabelJoin;
using watch::Subject;

constexpr double kLeastOfClass = 30;       ///< rows that say what a class is meant to be
constexpr std::size_t kMostClasses = 256;  ///< each row is held against each class
constexpr int kMostNamed = 3;
constexpr std::size_t kLeastOfThird = 100;
/// Ratio of mended numbers. What has nothing to do with its predictions comes to 1 at any scale.
constexpr double kMostOfNumbers = 0.9;

/// What fits the scores as usual.
std::string_view what_fits(stats::TaskKind task) {
  return task == stats::TaskKind::kBinary ? "the opposite of them fits" : "changed back they fit";
}

/// Labels as they may have been before something was done to them, and what that is.
struct Mended {
  LabelJoin::Chunk chunk;
  std::string what;  ///< of the labels: `turned over`
};

LabelJoin::Chunk with_codes(const LabelJoin::Chunk& chunk, std::vector<double> codes) {
  LabelJoin::Chunk out = chunk;
  out.codes = std::move(codes);
  return out;
}

/// Each true is false and the other way round.
Mended turned_over(const LabelJoin::Chunk& chunk) {
  std::vector<double> codes;
  for (const double code : chunk.codes) codes.push_back(1 - code);
  return {with_codes(chunk, std::move(codes)), "turned over"};
}

/// The class that rows labelled as each class are most, beyond what all rows are; empty where two
/// classes would be one. A class of few rows is what it is called.
std::vector<std::size_t> classes_meant(const stats::Task& task, const LabelJoin::Chunk& chunk) {
  const std::size_t classes = task.classes.size();
  std::vector<std::vector<double>> loss(classes, std::vector<double>(classes, 0.0));
  std::vector<double> all(classes, 0.0);
  std::vector<double> rows(classes, 0.0);
  for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
    const auto label = static_cast<std::size_t>(chunk.codes[i]);
    ++rows[label];
    for (std::size_t k = 0; k < classes; ++k) {
      const double one = stats::row_loss(task, chunk.row(i), static_cast<double>(k));
      loss[label][k] += one;
      all[k] += one / static_cast<double>(chunk.codes.size());
    }
  }
  std::vector<std::size_t> meant(classes);
  std::vector<bool> taken(classes, false);
  for (std::size_t label = 0; label < classes; ++label) {
    meant[label] = label;
    if (rows[label] >= kLeastOfClass) {
      const auto excess = [&](std::size_t k) { return loss[label][k] / rows[label] - all[k]; };
      for (std::size_t k = 0; k < classes; ++k) {
        if (excess(k) < excess(meant[label])) meant[label] = k;
      }
    }
    // Two labels would mean the same class: an exchange gives each its own, so this is something
    // else.
    if (taken[meant[label]]) return {};
    taken[meant[label]] = true;
  }
  return meant;
}

/// Classes have each other's names, by an encoder of another order for example.
std::optional<Mended> exchanged(const stats::Task& task, const LabelJoin::Chunk& chunk) {
  // The table of losses is of classes by classes.
  if (task.classes.size() > kMostClasses) return std::nullopt;
  const auto meant = classes_meant(task, chunk);
  std::string pairs;
  int named = 0;
  for (std::size_t label = 0; label < meant.size(); ++label) {
    // All are mended; the sentence names the first few.
    if (meant[label] == label || ++named > kMostNamed) continue;
    pairs += fmt::format("{}`{}` for `{}`", pairs.empty() ? "" : ", ", task.classes[label],
                         task.classes[meant[label]]);
  }
  if (pairs.empty()) return std::nullopt;
  std::vector<double> codes;
  for (const double code : chunk.codes)
    codes.push_back(static_cast<double>(meant[static_cast<std::size_t>(code)]));
  return Mended{with_codes(chunk, std::move(codes)), "exchanged, " + pairs};
}

/// A number is another one times a factor and plus another: its sign, or its unit. The line through
/// the medians of the outer thirds (Tukey 1977) does not follow single values.
std::optional<Mended> of_another_scale(const LabelJoin::Chunk& chunk) {
  const std::size_t third = chunk.codes.size() / 3;
  if (third < kLeastOfThird) return std::nullopt;
  std::vector<std::size_t> order(chunk.codes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(chunk.margins[a], a) < std::pair(chunk.margins[b], b);
  });
  const auto median = [&](std::size_t from, bool of_labels) {
    std::vector<double> values;
    for (std::size_t i = from; i < from + third; ++i)
      values.push_back(of_labels ? chunk.codes[order[i]]
                                 : static_cast<double>(chunk.margins[order[i]]));
    return stats::median(std::move(values));
  };
  const std::size_t last = order.size() - third;
  const double across = median(last, false) - median(0, false);
  const double slope = (median(last, true) - median(0, true)) / across;
  // Predictions that are all alike have no line through them.
  if (!(across > 0) || slope == 0 || !std::isfinite(slope)) return std::nullopt;
  std::vector<double> codes;
  for (const double code : chunk.codes) codes.push_back(code / slope);
  return Mended{with_codes(chunk, std::move(codes)),
                slope < 0 ? fmt::format("turned over ({:.3g} times what they were)", slope)
                          : fmt::format("in another unit ({:.3g} times what they were)", slope)};
}

std::optional<Mended> mended(const stats::Task& task, const LabelJoin::Chunk& chunk) {
  switch (task.kind) {
    case stats::TaskKind::kBinary: return turned_over(chunk);
    case stats::TaskKind::kClasses: return exchanged(task, chunk);
    case stats::TaskKind::kRegression: break;
  }
  return of_another_scale(chunk);
}

/// Whether the mended labels are clearly the likelier ones. Numbers of two scales have no common
/// loss: there the ratios have to say it, and plainly.
bool is_clear(const stats::Task& task, const LabelJoin::Chunk& chunk, const Mended& other,
              double ratio) {
  if (task.kind == stats::TaskKind::kRegression) return ratio < kMostOfNumbers;
  std::vector<double> differences;
  for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
    differences.push_back(stats::row_loss(task, chunk.row(i), chunk.codes[i]) -
                          stats::row_loss(task, chunk.row(i), other.chunk.codes[i]));
  }
  return watch::paired_z(differences) > watch::kPairedZ;
}

/// Senders of rows whose labels are not what they should be: mended they fit as usual, as they are
/// they do not; and what their labels are.
struct Faulty {
  std::vector<LabelJoin::Sender> senders{};
  std::string what{};
};

/// `chunk_of`: a finding of the quality ratio.
Faulty faulty_labels(const watch::Finding& chunk_of, const watch::Watch& watch) {
  const stats::Task& task = watch.task();
  const double threshold = chunk_of.threshold;
  const auto ratio_of = [&](const LabelJoin::Chunk& chunk) {
    return stats::quality_ratio(task, chunk.margins, chunk.codes).ratio;
  };
  Faulty out;
  LabelJoin::Chunk rest;
  for (const auto& [sender, chunk] : watch.by_sender(chunk_of.from, chunk_of.to)) {
    const auto other = mended(task, chunk);
    // Labels that fit as they are have nothing to be mended.
    if (other && ratio_of(chunk) > threshold) {
      const double ratio = ratio_of(other->chunk);
      if (ratio <= threshold && is_clear(task, chunk, *other, ratio)) {
        out.senders.push_back(sender);
        out.what = other->what;
        continue;
      }
    }
    rest.append(chunk);
  }
  // Only if it explains everything: what is bad beside it is no matter of these labels.
  const bool explained = rest.codes.empty() || ratio_of(rest) <= threshold;
  return explained ? out : Faulty{};
}

/// Labels look turned over, exchanged or of another unit: ask a person; until they say that the
/// labels are right, learn nothing from them.
class LabelFault final : public Cause {
 public:
  std::string_view name() const noexcept override { return "label fault"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    Faulty found;
    if (alert.first.subject == Subject::kQuality) {
      // Labels may be right again before a second chunk confirms: the first one then tells.
      found = faulty_labels(alert.last, watch);
      if (found.senders.empty()) found = faulty_labels(alert.first, watch);
    } else if (alert.first.subject == Subject::kPrior) {
      // By the newest chunk: of the days that the intercept is averaged over, some may be from
      // before.
      const auto quality = watch.latest().find("quality/ratio");
      if (quality != watch.latest().end()) found = faulty_labels(quality->second, watch);
    }
    if (found.senders.empty()) return std::nullopt;
    const bool one = found.senders.size() == 1;
    Diagnosis out;
    out.change_from = alert.first.from;
    if (one) std::tie(out.account, out.source) = found.senders.front();
    out.reason = fmt::format("labels of {} look {}: {} the scores as usual",
                             one ? "source " + plane::source_text(out.account, out.source)
                                 : fmt::format("{} sources", found.senders.size()),
                             found.what, what_fits(watch.task().kind));
    return out;
  }

  Step first_step(const Incident&) const override { return Step::kAskLabels; }

  std::string next(const Incident&) const override {
    return "find out who sent the labels and what happened to them; send the right ones again";
  }
};

}  // namespace

const Cause& label_fault() {
  static const LabelFault row;
  return row;
}

}  // namespace heddle::recover
