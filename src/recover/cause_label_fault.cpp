#include <tuple>

#include <fmt/format.h>

#include "plane/route.hpp"
#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "stats/quality.hpp"

namespace heddle::recover {
namespace {

using watch::LabelJoin;
using watch::Subject;

/// Senders of rows whose labels are the opposite of what they should be: turned over they fit as
/// usual, as they are they do not. `chunk`: a finding of the quality ratio.
std::vector<LabelJoin::Sender> turned_labels(const watch::Finding& chunk_of,
                                             const watch::Watch& watch) {
  // What the opposite of a label is, only true and false say.
  if (watch.task().kind != stats::TaskKind::kBinary) return {};
  const double threshold = chunk_of.threshold;
  std::vector<LabelJoin::Sender> turned;
  LabelJoin::Chunk rest;
  for (const auto& [sender, chunk] : watch.by_sender(chunk_of.from, chunk_of.to)) {
    std::vector<double> differences;
    std::vector<float> opposite;
    for (std::size_t i = 0; i < chunk.codes.size(); ++i) {
      opposite.push_back(-chunk.margins[i]);
      differences.push_back(stats::row_loss(watch.task(), chunk.row(i), chunk.codes[i]) -
                            stats::row_loss(watch.task(), {&opposite.back(), 1}, chunk.codes[i]));
    }
    const double over = stats::quality_ratio(watch.task(), opposite, chunk.codes).ratio;
    const double as_is = stats::quality_ratio(watch.task(), chunk.margins, chunk.codes).ratio;
    if (watch::paired_z(differences) > watch::kPairedZ && as_is > threshold && over <= threshold) {
      turned.push_back(sender);
      continue;
    }
    rest.append(chunk);
  }
  // Only if it explains everything: what is bad beside it is no matter of these labels.
  const bool explained =
      rest.codes.empty() ||
      stats::quality_ratio(watch.task(), rest.margins, rest.codes).ratio <= threshold;
  return explained ? turned : std::vector<LabelJoin::Sender>{};
}

/// Labels look turned over: ask a person; until they say that the labels are right, learn nothing
/// from them.
class LabelFault final : public Cause {
 public:
  std::string_view name() const noexcept override { return "label fault"; }

  std::optional<Diagnosis> match(const watch::Alert& alert,
                                 const watch::Watch& watch) const override {
    std::vector<LabelJoin::Sender> turned;
    if (alert.first.subject == Subject::kQuality) {
      // Labels may be right again before a second chunk confirms: the first one then tells.
      turned = turned_labels(alert.last, watch);
      if (turned.empty()) turned = turned_labels(alert.first, watch);
    } else if (alert.first.subject == Subject::kPrior) {
      // By the newest chunk: of the days that the intercept is averaged over, some may be from
      // before.
      const auto quality = watch.latest().find("quality/ratio");
      if (quality != watch.latest().end()) turned = turned_labels(quality->second, watch);
    }
    if (turned.empty()) return std::nullopt;
    const bool one = turned.size() == 1;
    Diagnosis out;
    out.change_from = alert.first.from;
    if (one) std::tie(out.account, out.source) = turned.front();
    out.reason =
        fmt::format("labels of {} look turned over: the opposite of them fits the scores as usual",
                    one ? "source " + plane::source_text(out.account, out.source)
                        : fmt::format("{} sources", turned.size()));
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
