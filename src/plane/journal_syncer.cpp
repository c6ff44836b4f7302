#include "plane/journal_syncer.hpp"

#include <utility>

#include "base/log.hpp"
#include "plane/segment_file.hpp"

namespace heddle::plane {

JournalSyncer::JournalSyncer(FilePort& files, std::string dir)
    : files_(files), dir_(std::move(dir)), thread_([this] { run(); }) {}

JournalSyncer::~JournalSyncer() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void JournalSyncer::sync_and_close(int fd, bool new_name) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back({fd, new_name});
    busy_.store(true, std::memory_order_relaxed);
  }
  wake_.notify_one();
}

Result<void> JournalSyncer::finish() {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [this] { return tasks_.empty() && !working_; });
  if (!error_) return {};
  Error error = *std::move(error_);
  error_.reset();
  return error;
}

void JournalSyncer::sync(const Task& task) {
  std::optional<Error> error;
  if (files_.fdatasync(task.fd) != 0) error = journal_error("sync a segment of", dir_);
  files_.close(task.fd);
  if (task.new_name) {
    if (auto named = fsync_dir(files_, dir_); !named.ok() && !error) error = named.error();
  }
  if (!error) return;
  log::error("{}; what the journal took since the last sync may not survive a power loss",
             error->message);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!error_) error_ = std::move(error);
  failed_.store(true, std::memory_order_relaxed);
}

void JournalSyncer::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::vector<Task> tasks;
    tasks.swap(tasks_);
    working_ = true;
    lock.unlock();
    for (const Task& task : tasks) sync(task);
    lock.lock();
    working_ = false;
    busy_.store(!tasks_.empty(), std::memory_order_relaxed);
    idle_.notify_all();
  }
}

}  // namespace heddle::plane
