#include "model/layout.hpp"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

// Compares stay exact when every threshold of a feature is replaced by its rank among them and
// every value by how many of them it reaches: x >= cut[r - 1] exactly when rank(x) >= r. Ranks are
// bytes, so a row is one register or two, and a permutation of it by the feature numbers of 64
// trees' nodes fetches 64 values at once. Every node of a tree is compared and the path picked from
// the masks afterwards, which costs one permutation and one compare a node for 64 trees.
namespace heddle::model {
namespace {

constexpr int kTrees = 64;
constexpr int kDeepestOfLanes = 8;
constexpr int kRowBlock = 32;
constexpr int kSumRows =
    8;  ///< sums side by side, so that an addition need not wait for the one before it
constexpr std::size_t kMostCuts = 255;
constexpr std::uint8_t kHighest =
    255;  ///< the rank of what is missing and goes right: no rank is above it
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// At most 255 cuts of one feature, read one way.
struct Column {
  std::int32_t feature = 0;
  bool zero_missing = false;
  std::uint16_t low = 0;   ///< where in a row's bytes the rank goes with missing as 0
  std::uint16_t high = 0;  ///< ... and with missing as 255; a place past the end where unused
};

struct Cuts {
  alignas(64) float pivots[16];  ///< every sixteenth cut
  float all[256];                ///< ascending, then NaN, which no value reaches
};

struct Block {
  std::int32_t depth = 0;
  std::uint32_t first_tree = 0;
  std::uint32_t trees = 0;
  std::size_t nodes = 0;   ///< in `nodes_`: for each heap node 64 places and 64 ranks
  std::size_t leaves = 0;  ///< in `leaves_`: 2^depth a tree
};

#if defined(__clang__)
#pragma clang attribute push(                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi,bmi2,popcnt"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi,bmi2,popcnt")
#endif

// Not checked by sanitizers: 500 loads of fixed places each, which cost minutes to instrument.
template <int kWide>
[[gnu::always_inline, gnu::no_sanitize_address]] inline std::uint64_t passes(
    const std::uint8_t* node, __m512i low, __m512i high) noexcept {
  const __m512i places = _mm512_loadu_si512(node);
  const __m512i values = kWide == 1 ? _mm512_maskz_permutexvar_epi8(~0ULL, places, low)
                                    : _mm512_permutex2var_epi8(low, places, high);
  return _mm512_cmpge_epu8_mask(values, _mm512_loadu_si512(node + kTrees));
}

/// Of the nodes of a level, the test at each tree's own one, given the tests above.
template <int kAt, int kLevel, int kPrefix, int kWide>
[[gnu::always_inline, gnu::no_sanitize_address]] inline std::uint64_t pick(
    const std::uint8_t* nodes, __m512i low, __m512i high, const std::uint64_t* above) noexcept {
  if constexpr (kAt == kLevel) {
    return passes<kWide>(nodes + std::size_t{2 * kTrees} * ((1 << kLevel) - 1 + kPrefix), low,
                         high);
  } else {
    const std::uint64_t left = pick<kAt + 1, kLevel, 2 * kPrefix, kWide>(nodes, low, high, above);
    const std::uint64_t right =
        pick<kAt + 1, kLevel, 2 * kPrefix + 1, kWide>(nodes, low, high, above);
    return left ^ ((left ^ right) & above[kAt]);
  }
}

template <int kLevel, int kDepth, int kWide>
[[gnu::always_inline, gnu::no_sanitize_address]] inline __m512i descend(const std::uint8_t* nodes,
                                                                        __m512i low, __m512i high,
                                                                        std::uint64_t* tests,
                                                                        __m512i leaf) noexcept {
  if constexpr (kLevel == kDepth) {
    return leaf;
  } else {
    tests[kLevel] = pick<0, kLevel, 0, kWide>(nodes, low, high, tests);
    leaf = _mm512_mask_add_epi8(leaf, tests[kLevel], leaf,
                                _mm512_set1_epi8(static_cast<char>(1 << (kDepth - 1 - kLevel))));
    return descend<kLevel + 1, kDepth, kWide>(nodes, low, high, tests, leaf);
  }
}

/// For each of `count` rows the leaf that each of 64 trees ends in.
template <int kDepth, int kWide>
[[gnu::no_sanitize_address]] void find_leaves(const std::uint8_t* nodes, const std::uint8_t* bytes,
                                              std::size_t stride, int count,
                                              std::uint8_t* leaves) noexcept {
  for (int i = 0; i < count; ++i, bytes += stride, leaves += kTrees) {
    const __m512i low = _mm512_loadu_si512(bytes);
    const __m512i high = kWide == 1 ? low : _mm512_loadu_si512(bytes + 64);
    std::uint64_t tests[kDeepestOfLanes];
    _mm512_storeu_si512(leaves,
                        descend<0, kDepth, kWide>(nodes, low, high, tests, _mm512_setzero_si512()));
  }
}

void rank_row(const float* row, float highest, const Column* columns, const Cuts* cuts,
              std::size_t count, std::uint8_t* bytes) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const Column& column = columns[i];
    float value = row[column.feature];
    value = value > highest ? highest : value;
    if (column.zero_missing && !(std::abs(value) > kZero)) value = kNan;
    const __m512 x = _mm512_set1_ps(value);
    const auto reached = static_cast<unsigned>(
        _mm_popcnt_u32(_mm512_cmp_ps_mask(x, _mm512_load_ps(cuts[i].pivots), _CMP_GE_OQ)));
    const unsigned part = 16 * (reached - static_cast<unsigned>(reached != 0));
    const unsigned rank = part + static_cast<unsigned>(_mm_popcnt_u32(_mm512_cmp_ps_mask(
                                     x, _mm512_load_ps(cuts[i].all + part), _CMP_GE_OQ)));
    bytes[column.low] = static_cast<std::uint8_t>(rank);
    bytes[column.high] = value != value ? kHighest : static_cast<std::uint8_t>(rank);
  }
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

using FindLeaves = void (*)(const std::uint8_t*, const std::uint8_t*, std::size_t, int,
                            std::uint8_t*) noexcept;
template <int kWide>
FindLeaves finder(int depth) {
  switch (depth) {
    case 1: return find_leaves<1, kWide>;
    case 2: return find_leaves<2, kWide>;
    case 3: return find_leaves<3, kWide>;
    case 4: return find_leaves<4, kWide>;
    case 5: return find_leaves<5, kWide>;
    case 6: return find_leaves<6, kWide>;
    case 7: return find_leaves<7, kWide>;
    default: return find_leaves<8, kWide>;
  }
}

/// The cuts of every slot in use, chunked; and where in a row's bytes a test on a threshold lies.
struct Ranks {
  std::vector<Column> columns{};
  std::vector<Cuts> cuts{};
  std::size_t bytes = 0;

  struct Source {
    std::vector<float> thresholds{};  ///< ascending, each once
    std::size_t first_column = 0;
  };
  std::vector<Source> sources{};           ///< one for each feature and way of reading it
  std::vector<std::uint32_t> source_of{};  ///< of each slot

  explicit Ranks(const Compiled& forest) {
    number_sources(forest);
    for (std::size_t i = 0; i < forest.steps.size(); ++i) {
      if (is_inner(forest, i))
        sources[source_of[forest.steps[i].slot]].thresholds.push_back(forest.steps[i].threshold);
    }
    for (Source& source : sources) add_columns(source);
    describe_columns(forest);
    place_bytes(forest);
  }
  [[nodiscard]] std::size_t wide() const noexcept { return bytes <= 64 ? 1 : 2; }
  [[nodiscard]] std::size_t number_of(const Compiled::Step& step) const noexcept {
    const auto& cut = sources[source_of[step.slot]].thresholds;
    return static_cast<std::size_t>(std::lower_bound(cut.begin(), cut.end(), step.threshold) -
                                    cut.begin());
  }
  [[nodiscard]] std::size_t column_of(const Compiled::Step& step) const noexcept {
    return sources[source_of[step.slot]].first_column + number_of(step) / kMostCuts;
  }

 private:
  static bool is_inner(const Compiled& forest, std::size_t step) {
    return forest.steps[step].child != step;
  }

  void number_sources(const Compiled& forest) {
    source_of.resize(forest.slots.size());
    std::vector<std::int32_t> known(static_cast<std::size_t>(forest.features) * 2, -1);
    for (std::size_t s = 0; s < forest.slots.size(); ++s) {
      const auto& slot = forest.slots[s];
      auto& number = known[static_cast<std::size_t>(slot.feature) * 2 +
                           (slot.input == Input::kNumberZeroMissing ? 1 : 0)];
      if (number < 0) {
        number = static_cast<std::int32_t>(sources.size());
        sources.emplace_back();
      }
      source_of[s] = static_cast<std::uint32_t>(number);
    }
  }

  void add_columns(Source& source) {
    auto& cut = source.thresholds;
    std::sort(cut.begin(), cut.end());
    cut.erase(std::unique(cut.begin(), cut.end()), cut.end());
    source.first_column = columns.size();
    for (std::size_t begin = 0; begin < cut.size(); begin += kMostCuts) {
      columns.emplace_back();
      Cuts& part = cuts.emplace_back();
      // No value compares as at or above NaN, so places without a cut add nothing to a rank.
      std::fill(std::begin(part.all), std::end(part.all), kNan);
      std::copy(cut.begin() + static_cast<std::ptrdiff_t>(begin),
                cut.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kMostCuts, cut.size())),
                part.all);
      for (std::size_t p = 0; p < 16; ++p) part.pivots[p] = part.all[16 * p];
    }
  }

  void describe_columns(const Compiled& forest) {
    for (std::size_t s = 0; s < forest.slots.size(); ++s) {
      const Source& source = sources[source_of[s]];
      for (std::size_t c = 0; c * kMostCuts < source.thresholds.size(); ++c) {
        Column& column = columns[source.first_column + c];
        column.feature = forest.slots[s].feature;
        column.zero_missing = forest.slots[s].input == Input::kNumberZeroMissing;
      }
    }
  }

  /// Gives each column a byte for each way of reading it that a test uses: missing low, or high.
  void place_bytes(const Compiled& forest) {
    std::vector<std::uint8_t> used(columns.size(), 0);  // bit 0 low, bit 1 high
    for (std::size_t i = 0; i < forest.steps.size(); ++i) {
      if (!is_inner(forest, i)) continue;
      const auto& step = forest.steps[i];
      used[column_of(step)] |=
          static_cast<std::uint8_t>(forest.slots[step.slot].missing_high ? 2 : 1);
    }
    for (std::size_t c = 0; c < columns.size(); ++c) {
      if ((used[c] & 1) != 0)
        columns[c].low = static_cast<std::uint16_t>(std::min<std::size_t>(bytes++, 1024));
      if ((used[c] & 2) != 0)
        columns[c].high = static_cast<std::uint16_t>(std::min<std::size_t>(bytes++, 1024));
    }
    for (std::size_t c = 0; c < columns.size(); ++c) {  // past the end, where nobody reads
      if ((used[c] & 1) == 0) columns[c].low = static_cast<std::uint16_t>(wide() * 64);
      if ((used[c] & 2) == 0) columns[c].high = static_cast<std::uint16_t>(wide() * 64);
    }
  }
};

template <class Sum>
class Lanes final : public TreeLayout<Sum> {
 public:
  Lanes(const Compiled& forest, Ranks&& ranks)
      : forest_(forest), columns_(std::move(ranks.columns)), cuts_(std::move(ranks.cuts)) {
    wide_ = ranks.wide();
    std::vector<std::pair<std::uint8_t, std::uint8_t>> tests(
        forest.steps.size());  // place and rank of each node
    for (std::size_t i = 0; i < forest.steps.size(); ++i) {
      const auto& step = forest.steps[i];
      if (step.child == i) continue;
      const Column& column = columns_[ranks.column_of(step)];
      tests[i] = {static_cast<std::uint8_t>(forest.slots[step.slot].missing_high ? column.high
                                                                                 : column.low),
                  static_cast<std::uint8_t>(ranks.number_of(step) % kMostCuts + 1)};
    }
    for (std::size_t first = 0; first < forest.trees.size(); first += kTrees) {
      Block block;
      block.first_tree = static_cast<std::uint32_t>(first);
      block.trees =
          static_cast<std::uint32_t>(std::min<std::size_t>(kTrees, forest.trees.size() - first));
      block.depth = 1;
      for (std::uint32_t t = 0; t < block.trees; ++t)
        block.depth = std::max(block.depth, forest.trees[first + t].depth);
      block.nodes = nodes_.size();
      block.leaves = leaves_.size();
      const std::size_t inner = (std::size_t{1} << block.depth) - 1;
      nodes_.resize(nodes_.size() + inner * 2 * kTrees);
      leaves_.resize(leaves_.size() + (std::size_t{block.trees} << block.depth));
      for (std::uint32_t t = 0; t < block.trees; ++t)
        fill(block, t, 0, 0, forest.trees[first + t].root, tests);
      blocks_.push_back(block);
    }
  }
  std::string_view name() const noexcept override { return "lanes"; }

  void margins(const float* rows, std::int64_t n, Sum* out) const noexcept override {
    constexpr std::size_t kStride = 192;  // two registers and a place for what nobody reads
    alignas(64) std::uint8_t bytes[kRowBlock * kStride];
    alignas(64) std::uint8_t leaves[kRowBlock * kTrees];
    const std::int64_t outputs = forest_.outputs;
    for (std::int64_t done = 0; done < n; done += kRowBlock, out += kRowBlock * outputs) {
      const int count = static_cast<int>(std::min<std::int64_t>(kRowBlock, n - done));
      for (int i = 0; i < count; ++i) {
        rank_row(rows + (done + i) * forest_.features, forest_.highest, columns_.data(),
                 cuts_.data(), columns_.size(), bytes + static_cast<std::size_t>(i) * kStride);
        for (int k = 0; k < outputs; ++k) out[i * outputs + k] = first_of<Sum>(forest_, k);
      }
      for (const Block& block : blocks_) {
        const auto find = wide_ == 1 ? finder<1>(block.depth) : finder<2>(block.depth);
        find(nodes_.data() + block.nodes, bytes, kStride, count, leaves);
        add(block, leaves, count, out);
      }
      if (forest_.base_last || forest_.divisor != 1) {
        for (int i = 0; i < count; ++i) {
          for (int k = 0; k < outputs; ++k)
            out[i * outputs + k] = finish(forest_, k, out[i * outputs + k]);
        }
      }
    }
  }

 private:
  using Tests = std::vector<std::pair<std::uint8_t, std::uint8_t>>;
  void fill(const Block& block, std::uint32_t tree, std::int32_t level, std::size_t prefix,
            std::uint32_t at, const Tests& tests) {
    const auto& step = forest_.steps[at];
    if (level == block.depth) {
      leaves_[block.leaves + (std::size_t{tree} << block.depth) + prefix] =
          static_cast<Sum>(forest_.values[step.extra]);
      return;
    }
    const bool leaf = step.child == at;
    if (!leaf) {  // below a leaf both ways lead to copies of it: any test will do
      std::uint8_t* node =
          nodes_.data() + block.nodes + ((std::size_t{1} << level) - 1 + prefix) * 2 * kTrees;
      node[tree] = tests[at].first;
      node[kTrees + tree] = tests[at].second;
    }
    fill(block, tree, level + 1, 2 * prefix, step.child, tests);
    fill(block, tree, level + 1, 2 * prefix + 1, leaf ? at : step.child + 1, tests);
  }

  /// Adds the block's leaves to the sums, in tree order within each output.
  void add(const Block& block, const std::uint8_t* leaves, int count, Sum* out) const noexcept {
    const std::int64_t outputs = forest_.outputs;
    for (std::uint32_t t = 0; t < block.trees;) {
      const auto k = static_cast<std::size_t>(forest_.trees[block.first_tree + t].output);
      const std::uint32_t end = std::min(block.trees, forest_.first_tree[k + 1] - block.first_tree);
      const Sum* const first = leaves_.data() + block.leaves;
      int i = 0;
      for (; i + kSumRows <= count; i += kSumRows) {
        Sum sums[kSumRows];
        const std::uint8_t* const index = leaves + static_cast<std::size_t>(i) * kTrees;
        for (int r = 0; r < kSumRows; ++r)
          sums[r] = out[(i + r) * outputs + static_cast<std::int64_t>(k)];
        for (std::uint32_t u = t; u < end; ++u) {
          const Sum* const tree = first + (std::size_t{u} << block.depth);
#pragma GCC unroll 8
          for (int r = 0; r < kSumRows; ++r)
            sums[r] += tree[index[r * kTrees + static_cast<int>(u)]];
        }
        for (int r = 0; r < kSumRows; ++r)
          out[(i + r) * outputs + static_cast<std::int64_t>(k)] = sums[r];
      }
      for (; i < count; ++i) {
        Sum sum = out[i * outputs + static_cast<std::int64_t>(k)];
        const std::uint8_t* const index = leaves + static_cast<std::size_t>(i) * kTrees;
        for (std::uint32_t u = t; u < end; ++u)
          sum += first[(std::size_t{u} << block.depth) + index[u]];
        out[i * outputs + static_cast<std::int64_t>(k)] = sum;
      }
      t = end;
    }
  }

  const Compiled& forest_;
  std::vector<Column> columns_;
  std::vector<Cuts> cuts_;
  std::size_t wide_ = 1;
  std::vector<Block> blocks_{};
  std::vector<std::uint8_t> nodes_{};
  std::vector<Sum> leaves_{};
};

bool cpu_has_lanes() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
}

}  // namespace

template <class Sum>
std::unique_ptr<TreeLayout<Sum>> make_lanes(const Compiled& forest) {
  if (forest.categorical || forest.trees.empty() || forest.depth > kDeepestOfLanes ||
      !cpu_has_lanes())
    return nullptr;
  std::size_t padded = 0;
  for (std::size_t first = 0; first < forest.trees.size(); first += kTrees) {
    std::int32_t depth = 1;
    for (std::size_t t = first; t < std::min(forest.trees.size(), first + kTrees); ++t)
      depth = std::max(depth, forest.trees[t].depth);
    padded += std::size_t{kTrees} << depth;
  }
  // Trees are filled up to the depth of their block's deepest: where that would take many times
  // the forest's own memory, another layout serves it.
  if (padded > 8 * forest.steps.size() + (std::size_t{1} << 16)) return nullptr;
  Ranks ranks(forest);
  // A row's ranks must fit into two registers of 64 bytes. This also drops the forests whose places
  // `place_bytes` bounded.
  if (ranks.bytes > 128) return nullptr;
  return std::make_unique<Lanes<Sum>>(forest, std::move(ranks));
}

}  // namespace heddle::model

#else

namespace heddle::model {
template <class Sum>
std::unique_ptr<TreeLayout<Sum>> make_lanes(const Compiled&) {
  return nullptr;
}
}  // namespace heddle::model

#endif

namespace heddle::model {
template std::unique_ptr<TreeLayout<float>> make_lanes(const Compiled&);
template std::unique_ptr<TreeLayout<double>> make_lanes(const Compiled&);
}  // namespace heddle::model
