#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/difference.hpp"

namespace heddle::evaluate {

/// A candidate beside what serves, on the same labelled rows.
struct BesideBase {
  std::int64_t rows = 0;
  std::string verdict{};  ///< `better`, `worse`, `unclear`
  std::vector<Difference> metrics{};
};

/// The candidate on rows from before the change. `none`: it was not looked at, and `why`; else
/// `metrics` and `of`.
struct BeforeChange {
  std::int64_t rows = 0;
  std::string verdict{};  ///< `better`, `worse`, `unclear`, `none`
  std::optional<std::vector<Difference>> metrics{};
  std::optional<std::string> of{};  ///< which rows, in words
  std::optional<std::string> why{};
};

/// Whose labels a retrain rests on.
struct LabelBacking {
  std::string most{};           ///< who labelled most of the training rows; empty: not known
  std::int64_t train_rows = 0;  ///< how many of them
  std::string only{};  ///< that account, where others label but too few held-out rows to tell
  std::optional<BesideBase> others{};  ///< on held-out rows that others labelled
};

/// Labelled rows that it was not taught: what serves does not have their class.
struct LeftOutClass {
  std::string name{};
  std::int64_t rows = 0;
};

/// What is known of a retrained bundle beside its gates: `retrain` of `evaluation.json`
/// (docs/gates.md).
struct RetrainEvidence {
  BeforeChange before_change{};
  LabelBacking label_accounts{};
  std::vector<LeftOutClass> left_out{};
};

}  // namespace heddle::evaluate
