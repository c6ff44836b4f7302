#pragma once

#include <string_view>

#include <fmt/format.h>

namespace heddle::log {

enum class Level { kDebug, kInfo, kWarn, kError };

/// One line to stderr, `HH:MM:SS.mmm level message`; secrets never go in. Thread-safe.
/// `HEDDLE_LOG=debug|info|warn|error`.
void write(Level level, std::string_view message);
[[nodiscard]] bool enabled(Level level) noexcept;

/// While it lives, a thread of its own writes the lines: whoever reads stderr may stop doing so (a
/// paused terminal, a pipe that nobody empties) without stopping who says something. 1,000 lines
/// wait at most; what comes then is dropped, and a line says how many. One at a time in a process.
class Background {
 public:
  Background();
  ~Background();  ///< what waits is written, for a second at most
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
};

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug))
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarn)) write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError))
    write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace heddle::log
