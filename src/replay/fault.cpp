#include "replay/fault.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/diagnostic.hpp"

namespace heddle::replay {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t split_mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

Error unknown_fault(const std::string& name, const std::string& contract,
                    const std::vector<std::string>& known) {
  const std::string near = doc::nearest(name, known);
  const std::string there =
      known.empty()
          ? fmt::format("the applied project has none of contract `{}`: see `faults/`", contract)
          : fmt::format("there is `all`, `none` and `{}`", fmt::join(known, "`, `"));
  return Error{ErrorKind::kInvalid, "replay-unknown-fault",
               fmt::format("there is no fault `{}`", name),
               near.empty() ? there : fmt::format("did you mean `{}`? {}", near, there)};
}

}  // namespace

Result<std::vector<spec::Fault>> faults_named(const spec::Project& project,
                                              const std::string& contract,
                                              const std::string& text) {
  std::vector<spec::Fault> there;
  std::vector<std::string> names;
  for (const auto& [name, fault] : project.faults) {
    if (fault.contract != contract) continue;
    there.push_back(fault);
    names.push_back(name);
  }
  if (text == "none") return std::vector<spec::Fault>{};
  if (text == "all") return there;
  std::vector<spec::Fault> chosen;
  // Up to and with the size: a comma at the end is an empty name, and is refused as one.
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) return unknown_fault(name, contract, names);
    chosen.push_back(there[static_cast<std::size_t>(at - names.begin())]);
    begin = end + 1;
  }
  return chosen;
}

double seeded_draw(std::uint64_t seed, std::uint64_t row) noexcept {
  // 53 bits, as many as a double has, give a number in [0, 1).
  return static_cast<double>(split_mix(split_mix(seed) ^ row) >> 11) * 0x1.0p-53;
}

}  // namespace heddle::replay
