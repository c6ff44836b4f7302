#include "watch/row_sample.hpp"

#include <algorithm>

#include "base/digest.hpp"

namespace heddle::watch {

namespace {

constexpr int kMostHalvings = 40;  ///< one row of 10^12

}  // namespace

RowKey row_key(std::string_view secret, std::string_view row_id) {
  thread_local std::string bytes;  // one a row and one a label: it keeps its room
  bytes.assign(secret).append(row_id);
  const Digest digest = sha256(bytes);
  RowKey key;
  for (std::size_t i = 0; i < 8; ++i) {
    key.high = key.high << 8 | digest.bytes[i];
    key.low = key.low << 8 | digest.bytes[8 + i];
  }
  return key;
}

int RowSample::halvings_at(std::uint64_t sequence) const {
  const auto after = std::find_if(steps_.begin() + 1, steps_.end(),
                                  [&](const Step& step) { return step.from > sequence; });
  return std::prev(after)->halvings;
}

void RowSample::halve() {
  const int halvings = std::min(steps_.back().halvings + 1, kMostHalvings);
  std::uint64_t from = steps_.back().from;
  // Steps that are finer than the new one go: all rows since the first of them are held to it.
  while (!steps_.empty() && steps_.back().halvings <= halvings) {
    from = steps_.back().from;
    steps_.pop_back();
  }
  steps_.push_back({from, halvings});
}

void RowSample::refine(std::uint64_t sequence) {
  const int halvings = steps_.back().halvings - 1;
  if (halvings < 0) return;
  if (steps_.back().from == sequence) {
    steps_.back().halvings = halvings;
  } else {
    steps_.push_back({sequence, halvings});
  }
}

void RowSample::prune(std::uint64_t first) {
  while (steps_.size() > 1 && steps_[1].from <= first) steps_.pop_front();
}

void RowSample::save(StateWriter& out) const {
  out.put(std::uint64_t{steps_.size()});
  for (const Step& step : steps_) {
    out.put(step.from);
    out.put(step.halvings);
  }
}

void RowSample::load(StateReader& in) {
  steps_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    const std::uint64_t from = in.u64();
    steps_.push_back({from, std::clamp(in.small(), 0, kMostHalvings)});
  }
  if (steps_.empty()) steps_.push_back({});
}

}  // namespace heddle::watch
