#include "watch/unknown_classes.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "stats/conformal.hpp"

namespace heddle::watch {

namespace {

constexpr double kShare = 0.01;  ///< of the labels; fewer are somebody's slips
constexpr std::int64_t kLeast = 20;
constexpr double kChance = 0.01;  ///< that so many come where the share is `kShare`

/// Labels that the join took, whatever became of them.
std::int64_t known_of(const LabelJoin& join) {
  return join.counts().joined + join.counts().unsampled + join.counts().forgotten +
         static_cast<std::int64_t>(join.waiting());
}

}  // namespace

void UnknownClasses::begin(Micros at, const LabelJoin& join) {
  from_ = at;
  known_ = known_of(join);
  unknown_ = join.counts().unknown_class;
  by_class_ = join.unknown_classes();
}

void UnknownClasses::tick(const SeenTick& tick, std::vector<Finding>& out) {
  // Another task began, or the clock was set back: what was counted is gone.
  if (from_ == INT64_MIN || tick.join.counts().unknown_class < unknown_) begin(tick.at, tick.join);
  if (tick.at < from_ + duration_) return;
  const std::int64_t unknown = tick.join.counts().unknown_class - unknown_;
  const std::int64_t all = unknown + std::max<std::int64_t>(0, known_of(tick.join) - known_);
  // Nothing is said of a service that gets no such labels.
  const bool is_known = tick.latest.contains(std::string(kUnknownClassKey));
  if (all > 0 && (unknown > 0 || is_known)) {
    Finding f;
    f.key = kUnknownClassKey;
    f.subject = Subject::kOther;
    f.value = static_cast<double>(unknown) / static_cast<double>(all);
    f.threshold = kShare;
    f.alert = unknown >= kLeast && stats::coverage_tail(all - unknown, all, 1 - kShare) < kChance;
    f.raises = f.confirms = f.alert;
    f.from = from_;
    f.to = tick.at;
    f.rows = all;
    std::string most;
    std::int64_t labels = 0;
    for (const auto& [name, count] : tick.join.unknown_classes()) {
      // Counts are of all time; news is what came since the last finding.
      const auto before = by_class_.find(name);
      const std::int64_t fresh = count - (before == by_class_.end() ? 0 : before->second);
      if (fresh > labels) most = name;
      labels = std::max(labels, fresh);
    }
    f.detail = doc::Value::object(
        {{"class", most},
         {"labels", labels},
         {"why", fmt::format("{} of {} labels are of a class that the model does not have, {} of "
                             "them of `{}`",
                             unknown, all, labels, most)}});
    out.push_back(std::move(f));
  }
  begin(tick.at, tick.join);
}

void UnknownClasses::save(StateWriter& out) const {
  out.put(from_);
  out.put(known_);
  out.put(unknown_);
  out.put(std::uint64_t{by_class_.size()});
  for (const auto& [name, count] : by_class_) {
    out.put(name);
    out.put(count);
  }
}

void UnknownClasses::load(StateReader& in) {
  from_ = in.i64();
  known_ = in.i64();
  unknown_ = in.i64();
  by_class_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string name = in.text();
    by_class_[std::move(name)] = in.i64();
  }
}

const DetectorKind& unknown_classes() {
  static constexpr DetectorKind row("unknown-classes", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(std::make_unique<UnknownClasses>(options.monitor));
  });
  return row;
}

}  // namespace heddle::watch
