#include "base/log.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "base/clock.hpp"

namespace heddle::log {
namespace {

Level level_from_environment() {
  const char* text = std::getenv("HEDDLE_LOG");
  const std::string_view name = text == nullptr ? "info" : text;
  if (name == "debug") return Level::kDebug;
  if (name == "warn") return Level::kWarn;
  if (name == "error") return Level::kError;
  return Level::kInfo;
}

}  // namespace

bool enabled(Level level) noexcept {
  static const Level minimum = level_from_environment();
  return level >= minimum;
}

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  static constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};
  const std::string line = fmt::format("{} {:<5} {}\n", format_time(system_clock().wall()).substr(11, 12),
                                       kNames[static_cast<std::size_t>(level)], message);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace heddle::log
