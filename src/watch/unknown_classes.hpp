#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spec/monitor.hpp"
#include "watch/detector.hpp"

namespace heddle::watch {

inline constexpr std::string_view kUnknownClassKey = "labels/unknown-class";

/// Labels of a class that the model does not have: the world has a new one, or somebody sends
/// something else. `labels/unknown-class` is their share of the labels that came in one chunk of
/// event time; it names the class of most of them. Single-threaded.
class UnknownClasses final : public Detector {
 public:
  explicit UnknownClasses(const spec::Monitor& monitor)
      : duration_(monitor.quality.chunk_duration) {}

  void tick(const SeenTick& tick, std::vector<Finding>& out) override;
  void set_back(Micros to, RowCounts&) override { from_ = to; }
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  void begin(Micros at, const LabelJoin& join);

  Micros duration_;
  Micros from_ = INT64_MIN;  ///< of the open chunk
  // What had come when it began.
  std::int64_t known_ = 0;
  std::int64_t unknown_ = 0;
  std::map<std::string, std::int64_t> by_class_;
};

}  // namespace heddle::watch
