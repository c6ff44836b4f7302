#pragma once

#include "spec/checking.hpp"

namespace heddle::spec {

/// What of `upstream` cannot be: by the contract, by the sources that a project has, and by what is
/// known when (docs/joins.md). Findings are at the declaration.
class UpstreamChecker : public Checking {
 public:
  explicit UpstreamChecker(const Checking& all) : Checking(all) {}

  /// One field by itself and against the columns of its source.
  void check(const Contract& contract, const Field& field);
  /// The fields of a model's contract: what they need of the model, and that none of them sees a
  /// label before it is known.
  void check(const Model& model, const Contract& contract);

 private:
  void check_values(const Contract& contract, const Field& field);
  void check_key(const Contract& contract, const Field& field);
  void check_columns(const Contract& contract, const Field& field);
  void check_leak(const Model& model, const Contract& contract, const Field& field);
  void found(const Contract& contract, const Field& field, std::string message, std::string hint,
             std::string id = "bad-upstream");
};

}  // namespace heddle::spec
