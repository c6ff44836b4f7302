#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/scorer.hpp"

namespace heddle::model {

/// One tree as XGBoost's JSON holds it: arrays by node number, node 0 the root. A leaf has no children (-1) and its value in
/// `conditions`; an inner node sends a row left when `row[features[i]] < conditions[i]`, and where the feature is missing by
/// `default_left[i]`.
struct ParsedTree {
  std::vector<std::int32_t> left{};
  std::vector<std::int32_t> right{};
  std::vector<std::int32_t> features{};
  std::vector<float> conditions{};
  std::vector<std::uint8_t> default_left{};
};

struct ParsedForest {
  int features = 0;
  float base_margin = 0;
  std::vector<ParsedTree> trees{};
};

/// Reads XGBoost's model JSON without checking that trees are trees; see Scorer::load for the errors.
[[nodiscard]] Result<ParsedForest> parse_xgboost_json(std::string_view bytes);

/// The tree engine. Nodes of all trees lie in one array, 16 bytes each, children side by side. A row is first spread into two
/// copies, missing values as -inf in one and +inf in the other, so that a step is one load, one compare and one add whatever the
/// default direction; a leaf leads to itself, so that eight trees (one row) or eight rows (one tree) walk in lockstep
/// without a branch to mispredict. Leaf values are added in tree order, as XGBoost adds them.
class Forest final : public Scorer {
 public:
  /// Checks that every tree is one: children in range, no node reached twice, features in range, numbers finite. kCorrupt.
  [[nodiscard]] static Result<std::unique_ptr<Scorer>> build(const ParsedForest& parsed);

  [[nodiscard]] int features() const noexcept override { return features_; }
  [[nodiscard]] std::string_view format() const noexcept override { return "xgboost"; }
  [[nodiscard]] int trees() const noexcept override { return static_cast<int>(trees_.size()); }
  void margins(const float* rows, std::int64_t n, float* out) const noexcept override;

  static constexpr int kLanes = 8;
  static constexpr int kMaxFeatures = 4096;

 private:
  struct Node {
    float threshold;      ///< +inf at a leaf
    std::uint32_t child;  ///< the left one, the right one is next to it; a leaf: itself
    std::uint32_t slot;   ///< in the spread row
    float value;          ///< of a leaf
  };
  struct Tree {
    std::uint32_t root;
    std::int32_t depth;
  };

  Forest() = default;
  void spread(const float* row, std::size_t stride, float* slots) const noexcept;
  void one_row(const float* row, float* out) const noexcept;
  void block(const float* slots, std::int64_t rows, float* out) const noexcept;

  std::vector<Node> nodes_{};
  std::vector<Tree> trees_{};
  int features_ = 0;
  float base_margin_ = 0;
};

}  // namespace heddle::model
