#include "trainer/parameter.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/diagnostic.hpp"
#include "trainer/trainer.hpp"

namespace heddle::trainer {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

using Kind = Parameter::Kind;

template <class T>
std::optional<T> whole(std::string_view text) {
  T out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

const Parameter* find(const Trainer& trainer, stats::TaskKind task, std::string_view name) {
  const auto table = trainer.parameters(task);
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Parameter& known) { return known.name == name; });
  return found == table.end() ? nullptr : &*found;
}

/// What values there are, for a hint.
std::string range_of(const Parameter& known) {
  const std::string_view kind = known.kind == Kind::kInteger ? "a whole number" : "a number";
  if (known.low == -kInf) return fmt::format("it is {}", kind);
  if (known.low_open)
    return fmt::format("it is {} above {} and at most {}", kind, known.low, known.high);
  if (known.high == kInf) return fmt::format("it is {}, {} or more", kind, known.low);
  return fmt::format("it is {} from {} to {}", kind, known.low, known.high);
}

std::optional<ParameterFault> check_number(const Parameter& known, std::string_view value) {
  std::optional<double> number;
  if (known.kind == Kind::kInteger) {
    if (const auto integer = parse_integer(value)) number = static_cast<double>(*integer);
  } else {
    number = parse_real(value);
  }
  const bool is_valid = number && (known.low_open ? *number > known.low : *number >= known.low) &&
                        *number <= known.high && *number < kInf && *number > -kInf;
  if (is_valid) return std::nullopt;
  return ParameterFault{"bad-parameter",
                        fmt::format("parameter `{}` cannot be `{}`", known.name, value),
                        range_of(known)};
}

std::optional<ParameterFault> check_text(const Parameter& known, std::string_view value) {
  if (known.words.empty()) return std::nullopt;
  std::vector<std::string> words;
  for (std::string_view rest = known.words; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (std::find(words.begin(), words.end(), value) != words.end()) return std::nullopt;
  ParameterFault fault{"bad-parameter",
                       fmt::format("parameter `{}` cannot be `{}`", known.name, value),
                       fmt::format("it is `{}`", fmt::join(words, "`, `"))};
  if (!known.hint.empty()) fault.hint += fmt::format("; {}", known.hint);
  return fault;
}

}  // namespace

std::optional<double> parse_real(std::string_view text) { return whole<double>(text); }
std::optional<std::int64_t> parse_integer(std::string_view text) {
  return whole<std::int64_t>(text);
}

std::optional<ParameterFault> check_parameter(const Trainer& trainer, stats::TaskKind task,
                                              std::string_view name, std::string_view value) {
  if (const Parameter* const known = find(trainer, task, name)) {
    return known->kind == Kind::kText ? check_text(*known, value) : check_number(*known, value);
  }
  const auto refusals = trainer.refused(task);
  const auto refused =
      std::find_if(refusals.begin(), refusals.end(),
                   [&](const RefusedParameter& each) { return each.name == name; });
  // Known, and set by Heddle itself: this says why, and not that there is none.
  if (refused != refusals.end()) {
    return ParameterFault{"fixed-parameter",
                          fmt::format("parameter `{}` cannot be set: {}", name, refused->why),
                          std::string(refused->hint)};
  }
  // A program of one's own takes what it likes.
  if (trainer.is_own()) return std::nullopt;
  std::vector<std::string> names;
  for (const Parameter& known : trainer.parameters(task)) names.emplace_back(known.name);
  const std::string near = doc::nearest(std::string(name), names);
  return ParameterFault{"unknown-parameter",
                        fmt::format("trainer `{}` has no parameter `{}`", trainer.name(), name),
                        near.empty() ? fmt::format("it has `{}`", fmt::join(names, "`, `"))
                                     : fmt::format("did you mean `{}`?", near)};
}

bool is_integer_parameter(const Trainer& trainer, stats::TaskKind task, std::string_view name) {
  const Parameter* const known = find(trainer, task, name);
  return known != nullptr && known->kind == Kind::kInteger;
}

std::string_view canonical_parameter(const Trainer& trainer, stats::TaskKind task,
                                     std::string_view name) {
  const Parameter* const known = find(trainer, task, name);
  return known == nullptr ? name : known->canonical;
}

}  // namespace heddle::trainer
