#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "doc/schema.hpp"

namespace heddle::bundle {

/// `parity.json` of a bundle whose model was there before it: evidence that its answers are those
/// of the library that wrote the model.
inline constexpr std::string_view kParity = "parity.json";

/// One way in which rows reach the model, held against the library.
struct ParityPath {
  std::string name{};  ///< `csv`, `parquet`, `request`, `batch`, `zones`
  std::int64_t rows = 0;
  std::int64_t equal = 0;  ///< rows whose answers are the same floats
  double largest = 0;      ///< difference, as the tolerance is meant
  bool operator==(const ParityPath&) const = default;
};

/// What was changed of sample rows to make rows that the sample does not have.
struct ParityProbe {
  std::string what{};  ///< `a missing value of `age``
  std::int64_t rows = 0;
  std::int64_t refused = 0;     ///< by the contract
  std::int64_t unanswered = 0;  ///< by the library, and so by the service
  bool operator==(const ParityProbe&) const = default;
};

/// `heddle.parity/1`. Holds no value of a row.
struct ParityCertificate {
  Digest subject{};           ///< of what scores: `subject_of`
  std::string library{};      ///< that answered first, with its version
  std::string format{};       ///< of the model's file
  std::string scored_by{};    ///< `engine` or `worker`
  std::int64_t rows = 0;      ///< of the sample, and made from it
  std::int64_t answered = 0;  ///< by the library
  double tolerance = 0;  ///< in probability; of a regression a share of the value, or of 1 where
                         ///< that is larger
  std::vector<ParityPath> paths{};
  std::vector<ParityProbe> probes{};
  bool operator==(const ParityCertificate&) const = default;

  /// Every path answered every row within the tolerance.
  [[nodiscard]] bool holds() const noexcept;
  [[nodiscard]] std::string in_words() const;
};
[[nodiscard]] const doc::Schema<ParityCertificate>& parity_schema();

/// Of the model that scores a bundle's rows: `model`, or `runtime` and its `files`.
[[nodiscard]] Digest subject_of(std::string_view model, std::string_view runtime,
                                std::string_view files);

/// Whether its model was there before it: `trainer.json` says what the model said of itself.
[[nodiscard]] bool is_adopted(const Bundle& bundle);

/// Whether a bundle whose model was there has its certificate: for this model, and it holds.
/// kCorrupt (`parity-missing`, `parity-other`, `parity-broken`). Of other bundles nothing is asked.
[[nodiscard]] Result<void> check_parity(const Bundle& bundle);

}  // namespace heddle::bundle
