#pragma once

#include <functional>
#include <string>

namespace heddle::cli {

/// A check of an option (`CLI::Option::check`): a number from `low` to `high`, both inclusive. What
/// it gives is what is wrong, empty when nothing is. `CLI::Range` takes `nan`, which is neither
/// below nor above a bound and then passes every comparison with the option.
[[nodiscard]] std::function<std::string(const std::string&)> number_from(double low, double high);

}  // namespace heddle::cli
