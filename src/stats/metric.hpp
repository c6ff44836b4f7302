#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/registry.hpp"

namespace heddle::stats {

/// What a model answered to labelled rows; all of one length.
struct Answers {
  std::span<const float> margins{};        ///< log odds
  std::span<const float> probabilities{};  ///< of the same
  std::span<const std::uint8_t> labels{};
};

/// A number that says how good answers are. A constant object without state; one class, one file,
/// one row in `metrics()`.
class Metric {
 public:
  virtual ~Metric() = default;
  /// As an Evaluation and its gates name it.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual bool lower_is_better() const noexcept = 0;
  /// The values that it can take, for gates that can never pass or never fail.
  [[nodiscard]] virtual double low() const noexcept { return 0; }
  [[nodiscard]] virtual double high() const noexcept {
    return std::numeric_limits<double>::infinity();
  }
  /// NaN where the rows cannot tell.
  [[nodiscard]] virtual double value(const Answers& answers) const = 0;
  /// Standard error of the difference of two models on the same rows, paired by row; nullopt: it is
  /// not known.
  [[nodiscard]] virtual std::optional<double> difference_error(const Answers& base,
                                                               const Answers& candidate) const = 0;
};

/// The table of metrics.
[[nodiscard]] Registry<Metric>& metrics();

/// Standard error of the mean of the differences; nullopt for less than two rows.
[[nodiscard]] std::optional<double> error_of_mean(const std::vector<double>& differences);
/// The same of a loss a row.
[[nodiscard]] std::optional<double> error_of_loss(const Answers& base, const Answers& candidate,
                                                  double (*loss)(double margin, bool label));

// The rows of the table.
[[nodiscard]] const Metric& auc_metric();
[[nodiscard]] const Metric& log_loss_metric();
[[nodiscard]] const Metric& calibration_error_metric();
[[nodiscard]] const Metric& accuracy_metric();

}  // namespace heddle::stats
