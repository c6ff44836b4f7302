#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "serve/datatype.hpp"
#include "stats/task.hpp"

namespace heddle::serve {

/// Every output that an answer can have over the Open Inference Protocol, in the order in which
/// they are written (docs/oip.md).
enum class Output : std::uint8_t {
  kProbability,    ///< of a binary task
  kProbabilities,  ///< of classes, one each
  kLabel,          ///< of classes: the most probable one
  kSet,            ///< of classes with an interval: whether each is in the row's set
  kValue,          ///< of a regression
  kLower,          ///< of a regression with an interval
  kUpper,
  kValidation,    ///< the rules that the row broke
  kRepairs,       ///< the repairs of the contract that changed a value of it; only when asked for
  kContributions  ///< what each feature added to each margin; only when asked for
};
inline constexpr std::size_t kOutputs = 10;
[[nodiscard]] std::string_view name_of(Output output) noexcept;

/// Whether answers of this task have the output. All can have `kRepairs` and
/// `kContributions`.
/// Here, for it is asked of each output of each request.
[[nodiscard]] inline bool has_output(const stats::Task& task, bool has_interval,
                                     Output output) noexcept {
  using stats::TaskKind;
  switch (output) {
    case Output::kProbability: return task.kind == TaskKind::kBinary;
    case Output::kProbabilities:
    case Output::kLabel: return task.kind == TaskKind::kClasses;
    case Output::kSet: return task.kind == TaskKind::kClasses && has_interval;
    case Output::kValue: return task.kind == TaskKind::kRegression;
    case Output::kLower:
    case Output::kUpper: return task.kind == TaskKind::kRegression && has_interval;
    case Output::kValidation:
    case Output::kRepairs:
    case Output::kContributions: break;
  }
  return true;
}
[[nodiscard]] Datatype datatype_of(const stats::Task& task, Output output) noexcept;
/// Numbers a row that stand in one dimension of their own: the classes of `probabilities` and
/// `set`; 0: the output is [n].
[[nodiscard]] std::size_t columns_of(const stats::Task& task, Output output) noexcept;

/// What a client asks back of one output.
struct OutputSpec {
  bool wanted = true;
  bool binary = false;  ///< as raw bytes behind the JSON (OIP, binary tensor data)
  bool named = false;   ///< in the request's list of outputs
};

/// What a client asks back: without a list all outputs that the task has, but for `kRepairs` and
/// `kContributions`.
class OutputSpecs {
 public:
  OutputSpecs() { clear(); }
  void clear() noexcept;
  [[nodiscard]] OutputSpec& operator[](Output output) noexcept {
    return each_[static_cast<std::size_t>(output)];
  }
  [[nodiscard]] const OutputSpec& operator[](Output output) const noexcept {
    return each_[static_cast<std::size_t>(output)];
  }
  /// Takes up that the client lists the output `name`: from then on only listed ones are given.
  /// Errors: `oip-output`, `request-repeated`.
  [[nodiscard]] Result<OutputSpec*> list(std::string_view name);
  /// kInvalid `oip-output`: an output is listed that answers of this task do not have.
  [[nodiscard]] Result<void> check(const stats::Task& task, bool has_interval) const;
  void all_binary(bool binary) noexcept;

 private:
  std::array<OutputSpec, kOutputs> each_;
  bool listed_ = false;
};

}  // namespace heddle::serve
