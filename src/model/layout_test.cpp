// All layouts against the definition of a split (goes_right) on random forests: deep and shallow
// trees, both ways of missing, sets of categories, infinities, several outputs.
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/forest.hpp"

namespace heddle::model {
namespace {

constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  int features, trees, depth, outputs;
  double stop;     ///< chance of a leaf before the depth
  int thresholds;  ///< distinct ones a feature
  bool sets, zeros, exact_double, base_last, capped, weighted;
};

class Grower {
 public:
  Grower(const Shape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {}

  ParsedForest forest() {
    ParsedForest out;
    out.format = "xgboost";
    out.features = shape_.features;
    out.outputs = shape_.outputs;
    out.exact_double = shape_.exact_double;
    out.base_last = shape_.base_last;
    out.capped = shape_.capped;
    if (shape_.base_last) out.divisor = 3;
    for (int k = 0; k < shape_.outputs; ++k) out.base.push_back(static_cast<double>(normal()));
    for (int t = 0; t < shape_.trees; ++t) {
      ParsedTree& tree = out.trees.emplace_back();
      tree.output = static_cast<int>(random_() % static_cast<std::uint64_t>(shape_.outputs));
      if (shape_.weighted) tree.weight = 0.25F + std::abs(normal());
      grow(out, tree, 0);
    }
    return out;
  }
  std::vector<float> rows(int count) {
    std::vector<float> out;
    for (int i = 0; i < count * shape_.features; ++i) {
      switch (random_() % 12) {
        case 0: out.push_back(kMissing); break;
        case 1: out.push_back(random_() % 2 == 0 ? kInfinite : -kInfinite); break;
        case 2: out.push_back(random_() % 2 == 0 ? 1e-36F : -0.0F); break;
        case 3: out.push_back(static_cast<float>(random_() % 80)); break;
        case 4: out.push_back(-0.5F); break;
        case 5: out.push_back(std::numeric_limits<float>::max()); break;
        default: out.push_back(threshold()); break;
      }
    }
    return out;
  }

 private:
  float normal() { return std::normal_distribution<float>()(random_); }
  float threshold() {
    return static_cast<float>(
               static_cast<int>(random_() % static_cast<std::uint64_t>(shape_.thresholds)) -
               shape_.thresholds / 2) *
           0.125F;
  }

  std::int32_t grow(ParsedForest& forest, ParsedTree& tree, int depth) {
    const auto at = tree.nodes.size();
    tree.nodes.emplace_back();
    if (depth == shape_.depth || std::uniform_real_distribution<double>()(random_) < shape_.stop) {
      tree.nodes[at].value = shape_.exact_double ? std::normal_distribution<double>()(random_)
                                                 : static_cast<double>(normal());
      return static_cast<std::int32_t>(at);
    }
    Node node;
    node.feature =
        static_cast<std::int32_t>(random_() % static_cast<std::uint64_t>(shape_.features));
    node.missing_left = random_() % 2 == 0;
    node.threshold = threshold();
    if (shape_.capped && random_() % 8 == 0) node.threshold = kInfinite;
    if (shape_.zeros && random_() % 2 == 0) node.input = Input::kNumberZeroMissing;
    if (shape_.sets && random_() % 3 == 0) {
      node.input =
          static_cast<Input>(static_cast<int>(Input::kCategory) + static_cast<int>(random_() % 3));
      node.members_left = random_() % 2 == 0;
      node.set_begin = static_cast<std::uint32_t>(forest.categories.size());
      node.set_size = static_cast<std::uint32_t>(random_() % 20);
      for (std::uint32_t i = 0; i < node.set_size; ++i)
        forest.categories.push_back(static_cast<std::uint32_t>(random_() % 70));
    }
    node.left = grow(forest, tree, depth + 1);
    node.right = grow(forest, tree, depth + 1);
    tree.nodes[at] = node;
    return static_cast<std::int32_t>(at);
  }

  const Shape shape_;
  std::mt19937_64 random_;
};

/// What Scorer::margins promises, word for word.
template <class Sum>
std::vector<double> by_definition(const ParsedForest& forest, const std::vector<float>& rows) {
  std::vector<double> out;
  for (std::size_t r = 0; r * static_cast<std::size_t>(forest.features) < rows.size(); ++r) {
    for (int k = 0; k < forest.outputs; ++k) {
      Sum sum =
          forest.base_last ? Sum{0} : static_cast<Sum>(forest.base[static_cast<std::size_t>(k)]);
      for (const auto& tree : forest.trees) {
        if (tree.output != k) continue;
        std::size_t at = 0;
        while (!tree.nodes[at].leaf()) {
          const Node& node = tree.nodes[at];
          const float x = rows[r * static_cast<std::size_t>(forest.features) +
                               static_cast<std::size_t>(node.feature)];
          at = static_cast<std::size_t>(goes_right(forest, node, x) ? node.right : node.left);
        }
        sum += tree.weight == 1
                   ? static_cast<Sum>(tree.nodes[at].value)
                   : static_cast<Sum>(static_cast<float>(tree.nodes[at].value) * tree.weight);
      }
      if (forest.base_last)
        sum = static_cast<Sum>(static_cast<double>(sum) / forest.divisor) +
              static_cast<Sum>(forest.base[static_cast<std::size_t>(k)]);
      out.push_back(static_cast<double>(sum));
    }
  }
  return out;
}

TEST(Layouts, AllGiveTheBitsOfTheDefinition) {
  const std::vector<Shape> shapes = {
      // features, trees, depth, outputs, stop, thresholds, sets, zeros, double, base last, capped,
      // weighted
      {5, 70, 6, 1, 0.0, 40, false, false, false, false, false, false},
      {28, 130, 6, 1, 0.1, 900, false, false, false, false, false,
       false},  // several ranks' bytes a feature, two registers
      {3, 20, 3, 4, 0.2, 10, false, true, true, true, false, false},
      {9, 65, 8, 3, 0.15, 300, false, true, false, false, false, true},
      {6, 33, 7, 1, 0.1, 64, true, true, true, false, false, false},
      {4, 19, 14, 2, 0.15, 50, true, false, false, true, false, false},
      {4, 64, 5, 1, 0.1, 50, false, false, true, false, true, false},
      {200, 40, 6, 1, 0.0, 30, false, false, false, false, false,
       false},  // too many features for the registers
      {1, 1, 0, 1, 0.0, 2, false, false, false, false, false, false},  // one leaf
      {2, 3, 1, 1, 0.0, 2, false, false, false, false, false, false},
  };
  std::uint64_t seed = 977;
  bool lanes_seen = false;
  for (const Shape& shape : shapes) {
    for (int again = 0; again < 3; ++again, ++seed) {
      Grower grower(shape, seed);
      const ParsedForest forest = grower.forest();
      const std::vector<float> rows = grower.rows(141);
      const std::vector<double> expected = shape.exact_double ? by_definition<double>(forest, rows)
                                                              : by_definition<float>(forest, rows);
      for (const Layout layout :
           {Layout::kMeasured, Layout::kInterleaved, Layout::kPerfect, Layout::kLanes}) {
        SCOPED_TRACE(fmt::format("seed {}, {} features, {} trees, layout {}", seed, shape.features,
                                 shape.trees, static_cast<int>(layout)));
        const auto built = build_forest(forest, {layout});
        ASSERT_TRUE(built.ok()) << built.error().str();
        const Scorer& scorer = **built;
        lanes_seen = lanes_seen || scorer.layouts().starts_with("lanes");
        for (const std::int64_t n : {1, 7, 8, 33, 141}) {
          const auto count = static_cast<std::size_t>(n * shape.outputs);
          std::vector<double> ours(count);
          scorer.margins(rows.data(), n, ours.data());
          for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(std::bit_cast<std::uint64_t>(ours[i]),
                      std::bit_cast<std::uint64_t>(expected[i]))
                << "of " << n << " rows, margin " << i;
          }
        }
      }
    }
  }
#if defined(__x86_64__)
  EXPECT_EQ(lanes_seen, __builtin_cpu_supports("avx512vbmi") != 0);
#endif
}

TEST(Layouts, ANamedLayoutIsTakenWhereTheModelAdmitsIt) {
  const Shape shape{4, 12, 5, 1, 0.0, 20, false, false, false, false, false, false};
  const ParsedForest forest = Grower(shape, 5).forest();
  const auto name_of = [&](Layout layout) { return (*build_forest(forest, {layout}))->layouts(); };
  EXPECT_EQ(name_of(Layout::kInterleaved), "interleaved, interleaved, interleaved");
  EXPECT_EQ(name_of(Layout::kPerfect), "perfect, perfect, perfect");
  const Shape deep{4, 12, 12, 1, 0.2, 20, true, false, false, false, false, false};
  const auto built = build_forest(Grower(deep, 6).forest(), {Layout::kPerfect});
  ASSERT_TRUE(built.ok());
  EXPECT_EQ((*built)->layouts(), "interleaved, interleaved, interleaved");
}

}  // namespace
}  // namespace heddle::model
