#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file_port.hpp"

namespace heddle::plane {

/// fsyncs files of a journal, and its folder where a name is new, on a thread of its own. All but
/// the constructor and destructor may be called from one thread beside it.
class JournalSyncer {
 public:
  JournalSyncer(FilePort& files, std::string dir);
  JournalSyncer(const JournalSyncer&) = delete;
  JournalSyncer& operator=(const JournalSyncer&) = delete;
  ~JournalSyncer();

  /// Takes over `fd`. `new_name`: the folder does not have its name for good yet.
  void sync_and_close(int fd, bool new_name);
  [[nodiscard]] bool busy() const noexcept { return busy_.load(std::memory_order_relaxed); }
  /// Whether one failed since this was asked last: the kernel does not write those bytes again, so
  /// what comes now belongs into another file.
  [[nodiscard]] bool take_failed() noexcept {
    return failed_.load(std::memory_order_relaxed) &&
           failed_.exchange(false, std::memory_order_relaxed);
  }
  /// Waits for all that was handed over; the first error since the last call.
  [[nodiscard]] Result<void> finish();

 private:
  struct Task {
    int fd;
    bool new_name;
  };
  void run();
  void sync(const Task& task);

  FilePort& files_;
  std::string dir_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::vector<Task> tasks_;
  std::optional<Error> error_;
  bool ending_ = false;
  bool working_ = false;
  std::atomic<bool> busy_{false};
  std::atomic<bool> failed_{false};
  std::thread thread_;  ///< last: it uses what stands above
};

}  // namespace heddle::plane
