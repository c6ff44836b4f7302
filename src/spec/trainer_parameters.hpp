#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::spec {

/// The trainers that a definition can name, in the order of their table.
[[nodiscard]] std::vector<std::string> trainer_names();

/// Why a parameter of a trainer cannot be handed on.
struct ParameterFault {
  std::string_view id;  ///< `unknown-parameter`, `fixed-parameter`, `bad-parameter` or
                        ///< `unused-parameter`
  std::string message;
  std::string hint;
};

/// Nothing when `trainer` takes `name` = `value`. XGBoost itself passes over names that it does not
/// know and takes others whose model no service could answer with; both are faults here.
[[nodiscard]] std::optional<ParameterFault> check_parameter(std::string_view trainer,
                                                            std::string_view name,
                                                            std::string_view value);

/// A parameter as a definition sets it; of one that the search draws the value is empty.
struct SetParameter {
  std::string name;
  std::string value;
};
/// The parameters that change nothing of a model beside the others that are set, each with why.
[[nodiscard]] std::vector<std::pair<std::string, ParameterFault>> unused_parameters(
    std::string_view trainer, const std::vector<SetParameter>& parameters);

/// Whether `name` is a whole number, so that a search must draw whole numbers for it.
[[nodiscard]] bool is_integer_parameter(std::string_view trainer, std::string_view name);

/// One name for each parameter: `eta` of `learning_rate`.
[[nodiscard]] std::string_view canonical_parameter(std::string_view trainer, std::string_view name);

}  // namespace heddle::spec
