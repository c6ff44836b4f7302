#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/forest.hpp"

namespace heddle::model {

/// One tree as XGBoost writes it: arrays by node number. A leaf has no children (-1) and its value
/// in `conditions`.
struct XgboostTree {
  std::vector<std::int32_t> left{};
  std::vector<std::int32_t> right{};
  std::vector<std::int32_t> features{};
  std::vector<std::int32_t> default_left{};
  std::vector<std::int32_t> split_type{};  ///< 1: a set of categories; may be empty
  std::vector<std::int32_t> categories{};  ///< those that go right, node after node
  std::vector<std::int32_t> category_nodes{};
  std::vector<std::int32_t> category_segments{};
  std::vector<std::int32_t> category_sizes{};
  std::vector<float> conditions{};
  std::vector<float> covers{};

  /// Where an array of a tree is kept, by its key; null for keys that scoring does not need.
  [[nodiscard]] std::vector<std::int32_t>* integers(std::string_view key) noexcept;
  [[nodiscard]] std::vector<float>* floats(std::string_view key) noexcept;
};

/// What is read of a model, from JSON or UBJSON.
/// https://xgboost.readthedocs.io/en/release_3.2.0/tutorials/saving_model.html
/// ("JSON Schema"). `weight_drop` stands at any of three levels: beside `gbtree` (to 3.2), beside
/// `model` (3.3), in `model` (3.4).
struct XgboostParts {
  std::string base_score{};  ///< numbers as text, as XGBoost keeps its parameters
  std::string num_class{};
  std::string num_feature{};
  std::string num_target{};
  std::string objective{};
  std::string booster{};
  std::string parallel_trees{};         ///< trees of a round and class
  std::string best_iteration{};         ///< an attribute that early stopping leaves
  std::string wrapper{};                ///< an attribute of its scikit-learn wrapper: JSON
  std::vector<std::int32_t> version{};  ///< of the library that wrote the file: major, minor, patch
  std::vector<std::string> feature_names{};
  bool has_trees = false;
  bool vector_leaves = false;
  bool named_categories = false;  ///< from 3.1 on: categories come with their names
  std::vector<std::int32_t> tree_info{};
  std::vector<float> weight_drop{};
  std::vector<XgboostTree> trees{};

  /// The parameter of learner_model_param of that name; null for others.
  [[nodiscard]] std::string* parameter(std::string_view name) noexcept;
  /// The attribute of that name; null for others.
  [[nodiscard]] std::string* attribute(std::string_view name) noexcept;
};

/// The newest XGBoost whose files were compared with ours, major and minor.
inline constexpr std::array<std::int32_t, 2> kNewestXgboost = {3, 4};

[[nodiscard]] Error xgboost_corrupt(std::string what);
[[nodiscard]] Error xgboost_unsupported(std::string what);

/// The whole of `text` as a number, spaces at its end apart.
template <class T>
[[nodiscard]] bool parse_number(std::string_view text, T& out);

[[nodiscard]] Result<XgboostParts> parse_xgboost_json(std::string_view bytes);
/// Universal Binary JSON as XGBoost 1.6 to 3 write it, strongly typed arrays included.
[[nodiscard]] Result<XgboostParts> parse_xgboost_ubjson(std::string_view bytes);
[[nodiscard]] Result<ParsedForest> xgboost_forest(XgboostParts parts);

}  // namespace heddle::model
