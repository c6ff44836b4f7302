#include "model/forest.hpp"

#include <chrono>
#include <cstdlib>
#include <limits>
#include <random>

#include "model/explain.hpp"
#include "model/layout.hpp"

namespace heddle::model {
namespace {

/// Rows at a time that a layout is chosen for: up to 1, up to 64, more.
constexpr std::int64_t kClassRows[] = {1, 64, 1024};
constexpr std::size_t kClasses = std::size(kClassRows);
std::size_t class_of(std::int64_t n) noexcept { return n <= 1 ? 0 : n <= 64 ? 1 : 2; }

/// A threshold, or what lies between two of them; now and then missing.
float synthetic_value(const std::vector<float>& kept, std::size_t pick) {
  if (pick % 16 == 0) return std::numeric_limits<float>::quiet_NaN();
  if (kept.empty()) return static_cast<float>(pick % 8);
  if (pick % 2 == 0) return kept[pick % kept.size()];
  return 0.5F * (kept[pick % kept.size()] + kept[pick / 7 % kept.size()]);
}

/// Rows with values at and between the thresholds of the model and some missing; the same for the
/// same model.
std::vector<float> synthetic_rows(const ParsedForest& parsed, std::int64_t count) {
  std::vector<std::vector<float>> values(static_cast<std::size_t>(parsed.features));
  constexpr std::size_t kKept = 64;
  for (const auto& tree : parsed.trees) {
    for (const auto& node : tree.nodes) {
      if (node.leaf() || node.categorical()) continue;
      auto& kept = values[static_cast<std::size_t>(node.feature)];
      if (kept.size() < kKept) kept.push_back(node.threshold);
    }
  }
  std::minstd_rand random(1);
  std::vector<float> rows;
  rows.reserve(static_cast<std::size_t>(count * parsed.features));
  for (std::int64_t i = 0; i < count; ++i) {
    for (const auto& kept : values) {
      rows.push_back(synthetic_value(kept, static_cast<std::size_t>(random())));
    }
  }
  return rows;
}

template <class Sum>
class Forest final : public Scorer {
 public:
  Forest(ParsedForest parsed, Compiled compiled)
      : parsed_(std::move(parsed)), compiled_(std::move(compiled)) {}
  Forest(const Forest&) = delete;
  Forest& operator=(const Forest&) = delete;

  void lay_out(const LoadOptions& options) {
    // The only layout that takes every forest: there is always one to choose.
    layouts_.push_back(make_interleaved<Sum>(compiled_));
    if (options.layout == Layout::kMeasured || options.layout == Layout::kPerfect) {
      if (auto perfect = make_perfect<Sum>(compiled_)) layouts_.push_back(std::move(perfect));
    }
    if (options.layout == Layout::kMeasured || options.layout == Layout::kLanes) {
      if (auto lanes = make_lanes<Sum>(compiled_)) layouts_.push_back(std::move(lanes));
    }
    // A layout that was asked for and cannot hold this forest leaves the interleaved one here.
    for (auto& choice : chosen_) choice = layouts_.back().get();
    if (options.layout == Layout::kMeasured && layouts_.size() > 1) measure();
    // A layout that no size of batch uses would only hold memory.
    std::erase_if(layouts_, [&](const auto& layout) {
      return std::find(std::begin(chosen_), std::end(chosen_), layout.get()) == std::end(chosen_);
    });
  }

  int features() const noexcept override { return compiled_.features; }
  int outputs() const noexcept override { return compiled_.outputs; }
  Link link() const noexcept override { return parsed_.link; }
  const Use& use() const noexcept override { return parsed_.use; }
  std::string_view format() const noexcept override { return parsed_.format; }
  int trees() const noexcept override { return static_cast<int>(compiled_.trees.size()); }
  std::string layouts() const override {
    return fmt::format("{}, {}, {}", chosen_[0]->name(), chosen_[1]->name(), chosen_[2]->name());
  }

  void margins(const float* rows, std::int64_t n, Sum* out) const noexcept override {
    chosen_[class_of(n)]->margins(rows, n, out);
  }
  /// The other type: by way of a block of sums.
  template <class Other>
  void converted(const float* rows, std::int64_t n, Other* out) const noexcept {
    Sum sums[kMostOutputs];
    const std::int64_t outputs = compiled_.outputs;
    const std::int64_t block = std::max<std::int64_t>(1, kMostOutputs / outputs);
    const auto& layout = *chosen_[class_of(n)];
    for (std::int64_t done = 0; done < n; done += block) {
      const std::int64_t count = std::min(block, n - done);
      layout.margins(rows + done * compiled_.features, count, sums);
      for (std::int64_t i = 0; i < count * outputs; ++i)
        out[done * outputs + i] = static_cast<Other>(sums[i]);
    }
  }
  using OtherSum = std::conditional_t<std::is_same_v<Sum, float>, double, float>;
  void margins(const float* rows, std::int64_t n, OtherSum* out) const noexcept override {
    converted(rows, n, out);
  }

  Result<void> contributions(std::span<const float> row, std::span<double> out) const override {
    return explain(parsed_, compiled_.depth, row, out);
  }

 private:
  /// Best of five short runs a layout and class, layouts taking turns; one that is far behind after
  /// two is not asked again: once may be the scheduler's doing.
  void measure() {
    using Clock = std::chrono::steady_clock;
    const auto work =
        static_cast<std::int64_t>(compiled_.trees.size() + 1) * std::max(1, compiled_.depth);
    const std::int64_t most = std::clamp<std::int64_t>(600'000 / work, 1, kClassRows[2]);
    const std::int64_t count = std::clamp<std::int64_t>(
        std::min<std::int64_t>(most, 4'000'000 / std::max(1, compiled_.features)), 1,
        kClassRows[2]);
    const std::vector<float> rows = synthetic_rows(parsed_, count);
    std::vector<Sum> out(static_cast<std::size_t>(count * compiled_.outputs));
    for (std::size_t c = 0; c < kClasses; ++c) {
      const std::int64_t at_a_time = std::min(kClassRows[c], count);
      const std::int64_t in_all =
          std::min<std::int64_t>(count, std::max<std::int64_t>(at_a_time, c == 0 ? 64 : 128));
      auto best = Clock::duration::max();
      std::vector<Clock::duration> own(layouts_.size(), Clock::duration::max());
      for (int run = 0; run < 5; ++run) {
        for (std::size_t l = 0; l < layouts_.size(); ++l) {
          if (run >= 2 && own[l] / 2 > best) continue;
          const auto& layout = layouts_[l];
          const auto start = Clock::now();
          for (std::int64_t done = 0; done + at_a_time <= in_all; done += at_a_time) {
            layout->margins(rows.data() + done * compiled_.features, at_a_time, out.data());
          }
          const auto took = Clock::now() - start;
          own[l] = std::min(own[l], took);
          if (took < best) {
            best = took;
            chosen_[c] = layout.get();
          }
        }
      }
    }
  }

  ParsedForest parsed_;
  Compiled compiled_;
  std::vector<std::unique_ptr<TreeLayout<Sum>>> layouts_{};
  const TreeLayout<Sum>* chosen_[kClasses] = {};
};

Layout layout_of_environment() {
  const char* const text = std::getenv("HEDDLE_TREE_LAYOUT");
  const std::string_view name = text == nullptr ? "" : text;
  return name == "interleaved" ? Layout::kInterleaved
         : name == "perfect"   ? Layout::kPerfect
         : name == "lanes"     ? Layout::kLanes
                               : Layout::kMeasured;
}

template <class Sum>
std::unique_ptr<Scorer> make(ParsedForest parsed, Compiled compiled, const LoadOptions& options) {
  auto forest = std::make_unique<Forest<Sum>>(std::move(parsed), std::move(compiled));
  forest->lay_out(options);
  return forest;
}

}  // namespace

Result<std::unique_ptr<Scorer>> build_forest(ParsedForest parsed, const LoadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(Compiled compiled, compile(parsed));
  const LoadOptions chosen{options.layout == Layout::kMeasured ? layout_of_environment()
                                                               : options.layout};
  return parsed.exact_double ? make<double>(std::move(parsed), std::move(compiled), chosen)
                             : make<float>(std::move(parsed), std::move(compiled), chosen);
}

}  // namespace heddle::model
