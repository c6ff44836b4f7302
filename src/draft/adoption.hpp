#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "draft/decision.hpp"
#include "profile/reading.hpp"
#include "train/signature.hpp"

namespace heddle::draft {

/// A sample read by the signature of a model that is there: which columns the model reads, and
/// which one is left to be predicted.
class Matching {
 public:
  /// Every feature of the model is a column of a kind that it can read, by name; of a model that
  /// names none, by place: the columns but the target. Errors: kUnprocessable
  /// `adopt-feature-absent`, `adopt-feature-count`, `adopt-feature-type`, `adopt-no-target`;
  /// kInvalid `adopt-target-is-feature`, `init-no-column`.
  [[nodiscard]] static Result<Matching> of(const train::Signature& signature,
                                           const std::vector<profile::Reading>& columns,
                                           const std::string& target);

  /// Places of the columns in the model's order.
  [[nodiscard]] const std::vector<std::size_t>& features() const noexcept { return features_; }

 private:
  std::vector<std::size_t> features_{};
};

/// Of a model of two classes, how the target says its second one; of several, the target's words
/// for them in the model's order. `values`: those of the target. kUnprocessable `adopt-classes`
/// where the two have nothing to do with one another.
struct ClassesOf {
  std::string positive{};              ///< a value of the target
  std::string model_positive{};        ///< the model's word for it; empty: it has none
  std::vector<std::string> classes{};  ///< of several
  std::string unsaid{};                ///< what was taken to be so, for a finding; empty: nothing
};
[[nodiscard]] Result<ClassesOf> match_classes(const train::Signature& signature,
                                              const std::string& target,
                                              const std::vector<std::string>& values);

/// Whether the engine may score it over features that are the fields themselves, and why.
struct Inputs {
  bool are_features = false;
  std::string why{};
};
[[nodiscard]] Inputs inputs_of(const train::Signature& signature,
                               const std::vector<const profile::Reading*>& columns);

/// Findings about what the model does not say, and about columns that it reads and a draft would
/// not have; for the head of the list.
[[nodiscard]] std::vector<Finding> findings_of(const train::Signature& signature,
                                               const Decisions& decisions,
                                               const std::vector<std::string>& kept);

}  // namespace heddle::draft
