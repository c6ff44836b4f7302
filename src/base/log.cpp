#include "base/log.hpp"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

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

constexpr std::size_t kMostWaiting = 1000;

std::string line_of(Level level, std::string_view message) {
  static constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};
  return fmt::format("{} {:<5} {}\n", format_time(system_clock().wall()).substr(11, 12),
                     kNames[static_cast<std::size_t>(level)], message);
}

void put(std::string_view line) {
  while (!line.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    if (n < 0 && errno != EINTR) return;
    if (n > 0) line.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Lines on their way to the background's thread. Never destroyed: a thread whose write does not
/// end may outlive everything else.
struct Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> lines;
  std::size_t dropped = 0;
  bool open = false;  ///< the thread runs
  bool ending = false;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || !lines.empty(); });
      if (lines.empty()) break;
      const auto some = std::exchange(lines, {});
      const std::size_t lost = std::exchange(dropped, 0);
      lock.unlock();
      for (const std::string& line : some) put(line);
      if (lost > 0)
        put(line_of(Level::kWarn, fmt::format("{} lines were dropped: stderr was not read", lost)));
      lock.lock();
    }
    open = false;
    changed.notify_all();
  }
};

Queue& queue() {
  static Queue& only = *new Queue;
  return only;
}

}  // namespace

Background::Background() {
  Queue& q = queue();
  const std::lock_guard lock(q.mutex);
  q.ending = false;
  if (q.open) return;  // the one before did not get rid of its lines: its thread goes on
  q.open = true;
  std::thread([&q] { q.run(); }).detach();
}

Background::~Background() {
  Queue& q = queue();
  std::unique_lock lock(q.mutex);
  q.ending = true;
  q.changed.notify_all();
  q.changed.wait_for(lock, std::chrono::seconds(1), [&q] { return !q.open; });
}

bool enabled(Level level) noexcept {
  static const Level minimum = level_from_environment();
  return level >= minimum;
}

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  std::string line = line_of(level, message);
  {
    Queue& q = queue();
    const std::lock_guard lock(q.mutex);
    if (q.open) {
      if (q.lines.size() < kMostWaiting)
        q.lines.push_back(std::move(line));
      else
        ++q.dropped;
      q.changed.notify_all();
      return;
    }
  }
  put(line);
}

}  // namespace heddle::log
