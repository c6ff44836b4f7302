#include "runtime/sandbox.hpp"

#include <fmt/format.h>

namespace heddle::runtime {
namespace {

std::string names(const Layers& layers, bool in_force) {
  std::string out;
  const auto put = [&](std::string_view name, bool is) {
    if (is == in_force) out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
  };
  put("user", layers.user);
  put("mount", layers.mount);
  put("pid", layers.pid);
  put("proc", layers.proc);
  put("network", layers.network);
  put("ipc", layers.ipc);
  put("seccomp", layers.seccomp);
  put(in_force ? fmt::format("landlock {}", layers.landlock) : "landlock", layers.landlock > 0);
  return out;
}

}  // namespace

bool Layers::whole() const noexcept {
  return user && mount && pid && proc && network && ipc && seccomp && landlock > 0;
}

std::string text_of(const Layers& layers) {
  const std::string active = names(layers, true);
  return active.empty() ? "none" : active;
}

std::string missing_of(const Layers& layers) { return names(layers, false); }

}  // namespace heddle::runtime
