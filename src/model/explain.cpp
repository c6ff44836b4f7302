#include "model/explain.hpp"

// Path-dependent TreeSHAP: Lundberg, Erion, Lee, "Consistent Individualized Feature Attribution for
// Tree Ensembles" (2018), algorithm 2. The order of every multiplication and division follows what
// XGBoost (in float) and LightGBM (in double) do, since results are held equal to theirs.
namespace heddle::model {
namespace {

constexpr int kDeepestExplained = 512;

template <class T>
struct Step {
  int feature;
  T zero;    ///< share of the paths that flow through when the feature is not known
  T one;     ///< 1 when the row's own value flows through, else 0
  T weight;  ///< of the subsets that hold as many features as steps before
};

template <class T>
void extend(Step<T>* path, int depth, T zero, T one, int feature) {
  path[depth] = {feature, zero, one, depth == 0 ? T{1} : T{0}};
  const T count = static_cast<T>(depth + 1);
  // From the last step down: each weight is read by its neighbour before it changes.
  for (int i = depth - 1; i >= 0; --i) {
    path[i + 1].weight += one * path[i].weight * static_cast<T>(i + 1) / count;
    path[i].weight = zero * path[i].weight * static_cast<T>(depth - i) / count;
  }
}

template <class T>
void unwind(Step<T>* path, int depth, int index) {
  const T one = path[index].one;
  const T zero = path[index].zero;
  const T count = static_cast<T>(depth + 1);
  T next = path[depth].weight;
  for (int i = depth - 1; i >= 0; --i) {
    // With `one` 0 the row leaves the path at this feature: what is left is a share of `zero`.
    if (one != 0) {
      const T before = path[i].weight;
      path[i].weight = next * count / (static_cast<T>(i + 1) * one);
      next = before - path[i].weight * zero * static_cast<T>(depth - i) / count;
    } else {
      path[i].weight = path[i].weight * count / (zero * static_cast<T>(depth - i));
    }
  }
  // Weights stay at their places: they belong to a count of features and not to a feature.
  for (int i = index; i < depth; ++i) {
    path[i].feature = path[i + 1].feature;
    path[i].zero = path[i + 1].zero;
    path[i].one = path[i + 1].one;
  }
}

/// The sum of the weights that `unwind` would leave.
template <class T>
T unwound_sum(const Step<T>* path, int depth, int index) {
  const T one = path[index].one;
  const T zero = path[index].zero;
  const T count = static_cast<T>(depth + 1);
  T next = path[depth].weight;
  T total = 0;
  for (int i = depth - 1; i >= 0; --i) {
    if (one != 0) {
      const T weight = next * count / (static_cast<T>(i + 1) * one);
      total += weight;
      next = path[i].weight - weight * zero * (static_cast<T>(depth - i) / count);
    } else if (zero != 0) {
      total += (path[i].weight / zero) / (static_cast<T>(depth - i) / count);
    }
  }
  return total;
}

template <class T>
struct Walk {
  const ParsedForest& forest;
  const ParsedTree& tree;
  std::span<const float> row;
  T* phi;

  void visit(std::size_t index, int depth, const Step<T>* parent, T zero, T one,
             int feature) const {
    Step<T>* path = const_cast<Step<T>*>(parent) + depth +
                    1;  // each level has its own copy behind the one above
    std::copy(parent, parent + depth + 1, path);
    extend(path, depth, zero, one, feature);
    const Node& node = tree.nodes[index];
    if (node.leaf()) {
      // Step 0 is the root's, which belongs to no feature.
      for (int i = 1; i <= depth; ++i) {
        const T weight = unwound_sum(path, depth, i);
        phi[path[i].feature] += weight * (path[i].one - path[i].zero) * static_cast<T>(node.value);
      }
      return;
    }
    const bool right = goes_right(forest, node, row[static_cast<std::size_t>(node.feature)]);
    const auto hot = static_cast<std::size_t>(right ? node.right : node.left);
    const auto cold = static_cast<std::size_t>(right ? node.left : node.right);
    const T cover = static_cast<T>(node.cover);
    const T hot_share = static_cast<T>(tree.nodes[hot].cover) / cover;
    const T cold_share = static_cast<T>(tree.nodes[cold].cover) / cover;
    T zero_so_far = 1;
    T one_so_far = 1;
    int again = 0;  // a feature met a second time replaces its first step
    while (again <= depth && path[again].feature != node.feature) ++again;
    if (again <= depth) {
      zero_so_far = path[again].zero;
      one_so_far = path[again].one;
      unwind(path, depth, again);
      --depth;
    }
    visit(hot, depth + 1, path, hot_share * zero_so_far, one_so_far, node.feature);
    visit(cold, depth + 1, path, cold_share * zero_so_far, 0, node.feature);
  }
};

/// XGBoost's expected value of a tree: children first, each weighted by its cover.
float mean_of(const ParsedTree& tree, std::size_t index) {
  const Node& node = tree.nodes[index];
  if (node.leaf()) return static_cast<float>(node.value);
  const auto left = static_cast<std::size_t>(node.left);
  const auto right = static_cast<std::size_t>(node.right);
  float sum = mean_of(tree, left) * static_cast<float>(tree.nodes[left].cover);
  sum += mean_of(tree, right) * static_cast<float>(tree.nodes[right].cover);
  return sum / static_cast<float>(node.cover);
}

/// LightGBM's: leaves in their order, each weighted by its share of the root.
double mean_of_leaves(const ParsedTree& tree) {
  if (tree.nodes[0].leaf()) return tree.nodes[0].value;
  double sum = 0;
  for (const Node& node : tree.nodes) {
    if (node.leaf()) sum += node.cover / tree.nodes[0].cover * node.value;
  }
  return sum;
}

template <class T>
std::vector<Step<T>> path_room(int depth) {
  // Each level keeps a copy of the path above it, one step longer: the copies form a triangle.
  const auto levels = static_cast<std::size_t>(depth) + 3;
  return std::vector<Step<T>>(levels * (levels + 1) / 2);
}

void explain_float(const ParsedForest& forest, int depth, std::span<const float> row,
                   std::span<double> out) {
  const auto columns = static_cast<std::size_t>(forest.features) + 1;
  auto room = path_room<float>(depth);
  std::vector<float> sums(columns * static_cast<std::size_t>(forest.outputs));
  std::vector<float> phi(columns);
  for (const auto& tree : forest.trees) {
    std::fill(phi.begin(), phi.end(), 0.0F);
    phi.back() += mean_of(tree, 0);
    Walk<float>{forest, tree, row, phi.data()}.visit(0, 0, room.data(), 1, 1, -1);
    float* const line = sums.data() + static_cast<std::size_t>(tree.output) * columns;
    for (std::size_t i = 0; i < columns; ++i) line[i] += phi[i] * tree.weight;
  }
  for (std::size_t k = 0; k < static_cast<std::size_t>(forest.outputs); ++k)
    sums[(k + 1) * columns - 1] += static_cast<float>(forest.base[k]);
  std::copy(sums.begin(), sums.end(), out.begin());
}

void explain_double(const ParsedForest& forest, int depth, std::span<const float> row,
                    std::span<double> out) {
  const auto columns = static_cast<std::size_t>(forest.features) + 1;
  auto room = path_room<double>(depth);
  std::fill(out.begin(), out.end(), 0.0);
  for (const auto& tree : forest.trees) {
    double* const line = out.data() + static_cast<std::size_t>(tree.output) * columns;
    line[columns - 1] += mean_of_leaves(tree);
    if (!tree.nodes[0].leaf())
      Walk<double>{forest, tree, row, line}.visit(0, 0, room.data(), 1, 1, -1);
  }
  for (std::size_t k = 0; k < static_cast<std::size_t>(forest.outputs); ++k) {
    double* const line = out.data() + k * columns;
    if (forest.divisor != 1) {
      for (std::size_t i = 0; i < columns; ++i) line[i] /= forest.divisor;
    }
    line[columns - 1] += forest.base[k];
  }
}

Error refusal(std::string what, std::string hint) {
  return Error{ErrorKind::kInvalid, "model-no-contributions", std::move(what), std::move(hint)};
}

}  // namespace

Result<void> explain(const ParsedForest& forest, int depth, std::span<const float> row,
                     std::span<double> out) {
  if (!forest.covers) {
    return refusal(
        "the model does not say how many rows reached each node, so contributions cannot be "
        "computed",
        "serve the model in the format of the library that trained it: XGBoost or LightGBM");
  }
  // The walk recurses once for each level, and its room grows with the square of the depth.
  if (depth > kDeepestExplained)
    return refusal(
        fmt::format("a tree is {} deep, contributions go to {}", depth, kDeepestExplained),
        "train shallower trees");
  const auto columns = static_cast<std::size_t>(forest.features) + 1;
  if (row.size() + 1 != columns ||
      out.size() != columns * static_cast<std::size_t>(forest.outputs)) {
    return refusal(fmt::format("a row of {} features and room for {} contributions were given, the "
                               "model has {} features and {} outputs",
                               row.size(), out.size(), forest.features, forest.outputs),
                   "give features() floats and outputs() x (features() + 1) doubles");
  }
  if (forest.exact_double)
    explain_double(forest, depth, row, out);
  else
    explain_float(forest, depth, row, out);
  return {};
}

}  // namespace heddle::model
