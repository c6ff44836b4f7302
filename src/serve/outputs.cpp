#include "serve/outputs.hpp"

#include <algorithm>

#include <fmt/ranges.h>

#include "serve/rows.hpp"

namespace heddle::serve {
namespace {

constexpr std::array<std::string_view, kOutputs> kNames = {
    "probability", "probabilities", "label",      "set",     "value",
    "lower",       "upper",         "validation", "repairs", "contributions"};

constexpr Output output_at(std::size_t place) noexcept { return static_cast<Output>(place); }

}  // namespace

std::string_view name_of(Output output) noexcept {
  return kNames[static_cast<std::size_t>(output)];
}

Datatype datatype_of(const stats::Task& task, Output output) noexcept {
  switch (output) {
    case Output::kLabel: return task.whole_classes ? Datatype::kInt64 : Datatype::kBytes;
    case Output::kSet: return Datatype::kBool;
    case Output::kValidation:
    case Output::kRepairs: return Datatype::kBytes;
    default: return Datatype::kFp32;
  }
}

std::size_t columns_of(const stats::Task& task, Output output) noexcept {
  return output == Output::kProbabilities || output == Output::kSet ? task.outputs() : 0;
}

void OutputSpecs::clear() noexcept {
  each_ = {};
  (*this)[Output::kRepairs].wanted = false;
  (*this)[Output::kContributions].wanted = false;
  listed_ = false;
}

Result<OutputSpec*> OutputSpecs::list(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end())
    return Error{
        ErrorKind::kInvalid, "oip-output",
        fmt::format("the request asks for an unknown output `{}`", shown(name)),
        "see the outputs of the model's metadata; `repairs` and `contributions` are two more"};
  OutputSpec& output = each_[static_cast<std::size_t>(found - kNames.begin())];
  if (output.named) return repeated(name);
  if (!std::exchange(listed_, true)) {
    // `explain` asks for contributions beside what is listed.
    for (std::size_t i = 0; i < kOutputs; ++i)
      each_[i].wanted = each_[i].wanted && output_at(i) == Output::kContributions;
  }
  output.named = output.wanted = true;
  return &output;
}

Result<void> OutputSpecs::check(const stats::Task& task, bool has_interval) const {
  if (!listed_) return {};
  const auto has = [&](std::size_t i) { return has_output(task, has_interval, output_at(i)); };
  for (std::size_t i = 0; i < kOutputs; ++i) {
    if (!each_[i].named || has(i)) continue;
    std::vector<std::string_view> there;
    for (std::size_t other = 0; other < kOutputs; ++other)
      if (has(other)) there.push_back(kNames[other]);
    return Error{ErrorKind::kInvalid, "oip-output",
                 fmt::format("this model has no output `{}`", kNames[i]),
                 fmt::format("its outputs are `{}`", fmt::join(there, "`, `"))};
  }
  return {};
}

void OutputSpecs::all_binary(bool binary) noexcept {
  for (OutputSpec& output : each_) output.binary = binary;
}

}  // namespace heddle::serve
