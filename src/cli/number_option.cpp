#include "cli/number_option.hpp"

#include <charconv>

#include <fmt/format.h>

namespace heddle::cli {

std::function<std::string(const std::string&)> number_from(double low, double high) {
  return [low, high](const std::string& text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    // Written so that NaN is refused too.
    if (error == std::errc() && at == end && number >= low && number <= high) return std::string();
    return fmt::format("`{}` is no number from {:g} to {:g}", text, low, high);
  };
}

}  // namespace heddle::cli
