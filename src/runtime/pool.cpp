#include "runtime/pool.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace heddle::runtime {
namespace {

Error timed_out() {
  return Error{ErrorKind::kTimeout, "runtime-timeout", "the runtime gave no answer in time",
               "see its log, or raise `timeout_ms`"};
}
Error closed() {
  return Error{ErrorKind::kCancelled, "runtime-closed", "the runtime is not used any more"};
}

}  // namespace

Pool::Pool(Options options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < options_.connections; ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { watch_deadlines(); });
}

Pool::~Pool() {
  std::deque<std::shared_ptr<Item>> left;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    // Answered below, without the lock: what is called may come back to this pool.
    left.swap(waiting_);
    waiting_rows_ = 0;
    for (const auto& item : left) item->over = true;
  }
  work_.notify_all();
  deadline_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (const auto& item : left) item->done(closed());
}

Result<void> Pool::submit(Rows rows, std::int64_t deadline_ns, Done done) {
  const std::size_t count = rows.count();
  if (count > options_.batch_rows) {
    return Error{ErrorKind::kTooLarge, "runtime-too-many-rows",
                 fmt::format("{} rows at once, at most {}", count, options_.batch_rows),
                 "send them in several requests"};
  }
  auto item = std::make_shared<Item>(Item{std::move(rows), deadline_ns, std::move(done)});
  bool sooner = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return closed();
    if (waiting_rows_ + count > options_.queue_rows) {
      return Error{ErrorKind::kUnavailable, "runtime-queue-full",
                   fmt::format("{} rows wait for the runtime already", waiting_rows_),
                   "try again after `Retry-After`, with fewer at once"};
    }
    waiting_.push_back(std::move(item));
    waiting_rows_ += count;
    // The watching thread sleeps until the first deadline that it knows.
    sooner = deadline_ns < watched_ns_;
  }
  work_.notify_one();
  if (sooner) deadline_.notify_one();
  return {};
}

std::size_t Pool::waiting_rows() const {
  const std::lock_guard lock(mutex_);
  return waiting_rows_;
}

/// Under the lock; something waits.
Pool::Batch Pool::next_batch() {
  const std::int64_t left = waiting_.front()->deadline_ns - options_.clock->mono_ns();
  // As many as the runtime is expected to answer in the time of a batch, or before the first one's
  // deadline.
  const std::size_t fit =
      cost_.rows_within(std::min(options_.batch_ms * kNanosPerMs, left), options_.batch_rows);
  sizes_.clear();
  std::size_t rows = 0;
  // No more are looked at than could go: under load thousands wait.
  for (auto it = waiting_.begin(); it != waiting_.end() && rows <= fit; ++it) {
    sizes_.push_back((*it)->rows.count());
    rows += sizes_.back();
  }
  const std::size_t taken = take(sizes_, fit, options_.batch_rows);
  Batch batch(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  for (const auto& item : batch) waiting_rows_ -= item->rows.count();
  under_way_.insert(under_way_.end(), batch.begin(), batch.end());
  return batch;
}

void Pool::finish(const Batch& batch, Result<std::vector<float>> answer) {
  std::vector<std::pair<std::shared_ptr<Item>, std::size_t>>
      mine;  // with the place of its first row
  std::size_t rows = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& item : batch) {
      std::erase(under_way_, item);
      // One that was over meanwhile has had its answer. Its rows were sent, so they count for the
      // place of those behind.
      if (!item->over) mine.emplace_back(item, rows);
      item->over = true;
      rows += item->rows.count();
    }
  }
  for (const auto& [item, begin] : mine) {
    if (!answer.ok()) {
      item->done(answer.error());
      continue;
    }
    const auto mine_of_all =
        std::span(*answer).subspan(begin * options_.outputs, item->rows.count() * options_.outputs);
    item->done(std::vector<float>(mine_of_all.begin(), mine_of_all.end()));
  }
}

void Pool::work() {
  // One connection a thread, for its life: a call is made by one thread at a time.
  const Call call = options_.connect();
  std::vector<const Rows*> views;
  while (true) {
    Batch batch;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
      if (closing_) return;
      // The watching thread answers what is past its deadline; here it is only not sent.
      if (waiting_.front()->deadline_ns <= options_.clock->mono_ns()) {
        auto item = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_rows_ -= item->rows.count();
        item->over = true;
        lock.unlock();
        item->done(timed_out());
        continue;
      }
      batch = next_batch();
    }
    views.clear();
    std::size_t rows = 0;
    std::int64_t last = 0;
    for (const auto& item : batch) {
      views.push_back(&item->rows);
      rows += item->rows.count();
      // The latest: who cannot wait that long is answered by the watching thread.
      last = std::max(last, item->deadline_ns);
    }
    const std::int64_t begin = options_.clock->mono_ns();
    Result<std::vector<float>> answer =
        call(views, std::max<std::int64_t>(1, (last - begin + kNanosPerMs - 1) / kNanosPerMs));
    const std::int64_t end = options_.clock->mono_ns();
    if (answer.ok() && answer->size() != rows * options_.outputs)
      answer = Error{ErrorKind::kInternal, "runtime-rows",
                     "the runtime's call gave another number of rows"};
    batches_.fetch_add(1, std::memory_order_relaxed);
    // A failure says nothing of what rows cost.
    if (answer.ok()) {
      const std::lock_guard lock(mutex_);
      cost_.add(rows, end - begin);
    }
    finish(batch, std::move(answer));
  }
}

void Pool::watch_deadlines() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    const std::int64_t now = options_.clock->mono_ns();
    std::vector<std::shared_ptr<Item>> expired;
    watched_ns_ = INT64_MAX;
    const auto look = [&](const std::shared_ptr<Item>& item) {
      if (item->over) return;
      if (item->deadline_ns <= now) {
        item->over = true;
        expired.push_back(item);
      } else {
        watched_ns_ = std::min(watched_ns_, item->deadline_ns);
      }
    };
    for (const auto& item : waiting_) look(item);
    for (const auto& item : under_way_) look(item);
    if (!expired.empty()) {
      std::erase_if(waiting_, [&](const auto& item) {
        if (item->over) waiting_rows_ -= item->rows.count();
        return item->over;
      });
      lock.unlock();
      for (const auto& item : expired) item->done(timed_out());
      lock.lock();
      continue;
    }
    if (watched_ns_ == INT64_MAX)
      deadline_.wait(lock);  // until something is submitted, or the end
    else
      deadline_.wait_for(lock, std::chrono::nanoseconds(watched_ns_ - now));
  }
}

}  // namespace heddle::runtime
