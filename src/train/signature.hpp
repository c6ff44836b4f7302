#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/schema.hpp"
#include "doc/value.hpp"
#include "spec/model.hpp"

namespace heddle::train {

/// One feature that a model reads.
struct SignatureFeature {
  std::string name{};
  /// `number`, `integer`, `boolean`, `string`, `timestamp`, `category`; empty: it does not say.
  std::string type{};
  std::vector<doc::Value> categories{};  ///< of `category`: texts or numbers, in the model's order
};

/// What a model that is there says of itself: `heddle.signature/1`.
struct Signature {
  std::string kind{};      ///< `xgboost`, `lightgbm`, `catboost`, `onnx`, `pickle`, `mlflow`, ...
  std::string of_class{};  ///< in its library
  std::string library{};   ///< with its version
  std::vector<SignatureFeature> features{};  ///< in the model's order
  bool is_named = true;                      ///< false: the names are the library's own numbers
  std::string task{};                 ///< `binary`, `classes`, `regression`; empty: it does not say
  std::vector<doc::Value> classes{};  ///< in the order of its answers; empty: it does not say
  bool is_coded = false;              ///< its classes are 0..K-1: what they stand for is not said
  std::vector<std::string> unsaid{};  ///< what it does not say, each as a noun clause

  [[nodiscard]] const SignatureFeature* find(std::string_view name) const noexcept;
};
[[nodiscard]] const doc::Schema<Signature>& signature_schema();

/// Opens the model `path`, one of `exec.sources`, in the sandbox of workers, with the interpreter
/// `exec.python`, and asks what it says. The other sources are what it imports. `directory`:
/// where sandboxes are; `hidden`: what they do not see. Errors: kUnprocessable `adopt-format` (no
/// known form), `adopt-damaged`, `adopt-raised` (what it holds raised), `adopt-package` (a module
/// is not installed), `adopt-unsupported` (its answers or features cannot be served),
/// `adopt-ended`; kNotFound `own-python`; kUnavailable `runtime-sandbox`.
[[nodiscard]] Result<Signature> signature_of(const spec::Exec& exec, const std::string& path,
                                             const std::string& directory,
                                             const std::string& hidden);

}  // namespace heddle::train
