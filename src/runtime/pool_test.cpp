#include "runtime/pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <set>

#include "runtime/cost.hpp"

namespace heddle::runtime {
namespace {

using Answer = Result<std::vector<float>>;
constexpr std::int64_t kSecond = 1'000'000'000;

Rows rows_of(float first, std::size_t count) {
  Rows rows;
  for (std::size_t i = 0; i < count; ++i)
    rows.add_features(std::vector<float>{first + static_cast<float>(i)});
  return rows;
}

/// Answers each row with its own feature.
std::vector<float> echo(std::span<const Rows* const> batch) {
  std::vector<float> out;
  for (const Rows* rows : batch)
    out.insert(out.end(), rows->features().begin(), rows->features().end());
  return out;
}

/// A gate that calls wait at until the test opens it.
struct Gate {
  std::promise<void> promise;
  std::shared_future<void> opened{promise.get_future().share()};
};

std::int64_t in(std::int64_t ns) { return system_clock().mono_ns() + ns; }

TEST(CostModel, FitsTheLineItIsFed) {
  CostModel model;
  EXPECT_EQ(model.rows_within(kSecond, 1000), 1u);  // nothing is known yet
  for (const std::size_t n : {1, 10, 50, 100, 7})
    model.add(n, 200'000 + 3'000 * static_cast<std::int64_t>(n));
  EXPECT_NEAR(model.fixed_ns(), 200'000, 1);
  EXPECT_NEAR(model.row_ns(), 3'000, 0.01);
  EXPECT_EQ(model.rows_within(500'500, 1000), 100u);
  EXPECT_EQ(model.rows_within(kSecond, 64), 64u);
  EXPECT_EQ(model.rows_within(100, 64), 1u);
  EXPECT_EQ(model.rows_within(-5, 64), 1u);
}

TEST(CostModel, ForgetsAfter64Batches) {
  CostModel model;
  for (std::size_t n = 1; n <= 64; ++n) model.add(n, 1'000'000'000);
  for (std::size_t n = 1; n <= 64; ++n) model.add(n, static_cast<std::int64_t>(n) * 1000);
  EXPECT_NEAR(model.row_ns(), 1000, 0.1);
  EXPECT_NEAR(model.fixed_ns(), 0, 1);
}

TEST(CostModel, IsNeverNegativeAndOneSizeIsTakenWithCare) {
  CostModel model;
  for (int i = 0; i < 10; ++i) model.add(8, 80'000);
  EXPECT_EQ(model.fixed_ns(), 0);
  EXPECT_NEAR(static_cast<double>(model.rows_within(400'000, 1000)), 40, 1);
  CostModel falling;  // larger batches that happened to be faster
  for (const std::size_t n : {1, 2, 3, 4, 5, 6})
    falling.add(n, 100'000 - 10'000 * static_cast<std::int64_t>(n));
  EXPECT_GE(falling.row_ns(), 0);
  EXPECT_GE(falling.fixed_ns(), 0);
}

TEST(Take, IsInOrderWithinBoundsAndNeverStarves) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 draw(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::size_t> waiting(draw() % 30);
    const std::size_t most = 1 + draw() % 200;
    for (auto& rows : waiting) rows = 1 + draw() % most;
    const std::size_t fit = 1 + draw() % 300;
    const std::size_t taken = take(waiting, fit, most);
    ASSERT_LE(taken, waiting.size());
    if (waiting.empty()) continue;
    ASSERT_GE(taken, 1u) << "the oldest must go";
    std::size_t rows = 0;
    for (std::size_t i = 0; i < taken; ++i) rows += waiting[i];
    ASSERT_LE(rows, most) << "never past batch_rows";
    ASSERT_TRUE(taken == 1 || rows <= fit);
    ASSERT_TRUE(taken == waiting.size() || rows + waiting[taken] > std::min(fit, most))
        << "no room may be left for the next in order";
  }
}

TEST(Pool, GivesEachRequestTheNumbersOfItsOwnRows) {
  Gate gate;
  std::atomic<int> calls{0};
  Pool::Options options{.connections = 1, .outputs = 2};
  options.connect = [&] {
    return [&](std::span<const Rows* const> batch, std::int64_t) -> Answer {
      if (calls++ == 0) gate.opened.wait();
      std::vector<float> out;
      for (const float value : echo(batch)) out.insert(out.end(), {value, -value});
      return out;
    };
  };
  Pool pool(std::move(options));
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 4; ++i) {
    auto promise = std::make_shared<std::promise<Answer>>();
    answers.push_back(promise->get_future());
    ASSERT_TRUE(pool.submit(rows_of(static_cast<float>(10 * i), 2), in(30 * kSecond),
                            [promise](Answer got) { promise->set_value(std::move(got)); })
                    .ok());
  }
  gate.promise.set_value();
  for (int i = 0; i < 4; ++i) {
    const auto first = static_cast<float>(10 * i);
    const Answer got = answers[static_cast<std::size_t>(i)].get();
    ASSERT_TRUE(got.ok()) << got.error().str();
    EXPECT_EQ(*got, (std::vector<float>{first, -first, first + 1, -first - 1}));
  }
}

TEST(Pool, SendsAtOnceWhenIdle) {
  Pool pool({.connections = 1, .connect = [] {
               return [](std::span<const Rows* const> batch, std::int64_t) -> Answer {
                 return echo(batch);
               };
             }});
  for (int i = 0; i < 20; ++i) {
    std::promise<Answer> done;
    ASSERT_TRUE(pool.submit(rows_of(static_cast<float>(i), 2), in(10 * kSecond),
                            [&](Answer answer) { done.set_value(std::move(answer)); })
                    .ok());
    auto answer = done.get_future().get();
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(*answer, (std::vector<float>{static_cast<float>(i), static_cast<float>(i) + 1}));
  }
  EXPECT_EQ(pool.batches(), 20u);
}

TEST(Pool, EveryRequestIsAnsweredOnceWithItsOwnRowsInOrder) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 draw(seed);
  std::mutex mutex;
  std::vector<float> order;  // first feature of each request as it was sent
  std::atomic<std::size_t> widest{0};
  const auto connect = [&]() -> Pool::Call {
    return [&](std::span<const Rows* const> batch, std::int64_t) -> Answer {
      std::size_t rows = 0;
      const std::lock_guard lock(mutex);
      for (const Rows* each : batch) {
        order.push_back(each->features()[0]);
        rows += each->count();
      }
      widest = std::max(widest.load(), rows);
      return echo(batch);
    };
  };
  constexpr int kRequests = 2000;
  std::atomic<int> answered{0};
  std::atomic<int> wrong{0};
  std::promise<void> all;
  {
    Pool pool({.connections = 1, .queue_rows = 1'000'000, .batch_rows = 32, .connect = connect});
    for (int i = 0; i < kRequests; ++i) {
      const std::size_t count = 1 + draw() % 32;
      const auto first = static_cast<float>(i * 100);
      ASSERT_TRUE(pool.submit(rows_of(first, count), in(60 * kSecond),
                              [&, first, count](Answer answer) {
                                if (!answer.ok() || answer->size() != count ||
                                    (*answer)[0] != first ||
                                    answer->back() != first + static_cast<float>(count - 1))
                                  ++wrong;
                                if (++answered == kRequests) all.set_value();
                              })
                      .ok());
    }
    ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
    EXPECT_LT(pool.batches(), static_cast<std::uint64_t>(kRequests)) << "nothing was batched";
  }
  EXPECT_EQ(answered, kRequests);
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(widest, 32u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end())) << "first come, first served";
}

TEST(Pool, AnswersAtTheDeadlineAndSendsNothingExpired) {
  Gate gate;
  std::atomic<int> calls{0};
  std::atomic<std::int64_t> waits_ms{0};
  Pool pool({.connections = 1, .connect = [&]() -> Pool::Call {
               return [&](std::span<const Rows* const> batch, std::int64_t timeout_ms) -> Answer {
                 ++calls;
                 waits_ms = timeout_ms;
                 gate.opened.wait();
                 return echo(batch);
               };
             }});
  std::promise<Answer> first, second, third;
  const std::int64_t begin = system_clock().mono_ns();
  ASSERT_TRUE(pool.submit(rows_of(1, 1), in(kSecond / 10),
                          [&](Answer answer) { first.set_value(std::move(answer)); })
                  .ok());
  ASSERT_TRUE(pool.submit(rows_of(2, 1), in(kSecond / 20),
                          [&](Answer answer) { second.set_value(std::move(answer)); })
                  .ok());
  // Both are answered although the only connection hangs: one under way, one still waiting.
  const auto late = second.get_future().get();
  const auto hung = first.get_future().get();
  ASSERT_FALSE(late.ok());
  ASSERT_FALSE(hung.ok());
  EXPECT_EQ(late.error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(hung.error().kind, ErrorKind::kTimeout);
  EXPECT_LT(system_clock().mono_ns() - begin, kSecond);
  EXPECT_LE(waits_ms, 100);
  EXPECT_EQ(pool.waiting_rows(), 0u);
  gate.promise.set_value();
  ASSERT_TRUE(pool.submit(rows_of(3, 1), in(10 * kSecond),
                          [&](Answer answer) { third.set_value(std::move(answer)); })
                  .ok());
  EXPECT_TRUE(third.get_future().get().ok());
  EXPECT_EQ(calls, 2) << "the expired one was sent";
}

TEST(Pool, BoundsItsQueueAndCancelsWhatWaitsAtTheEnd) {
  Gate gate;
  std::promise<void> begun;
  std::atomic<bool> said{false};
  std::atomic<int> cancelled{0};
  std::atomic<int> served{0};
  auto pool = std::make_unique<Pool>(Pool::Options{
      .connections = 1, .queue_rows = 10, .batch_rows = 8, .connect = [&]() -> Pool::Call {
        return [&](std::span<const Rows* const> batch, std::int64_t) -> Answer {
          if (!said.exchange(true)) begun.set_value();
          gate.opened.wait();
          return echo(batch);
        };
      }});
  const auto done = [&](Answer answer) {
    if (answer.ok())
      ++served;
    else if (answer.error().kind == ErrorKind::kCancelled)
      ++cancelled;
  };
  const auto too_wide = pool->submit(rows_of(0, 9), in(kSecond), done);
  ASSERT_FALSE(too_wide.ok());
  EXPECT_EQ(too_wide.error().kind, ErrorKind::kTooLarge);
  ASSERT_TRUE(pool->submit(rows_of(0, 1), in(60 * kSecond), done).ok());
  begun.get_future().wait();
  ASSERT_TRUE(pool->submit(rows_of(1, 8), in(60 * kSecond), done).ok());
  ASSERT_TRUE(pool->submit(rows_of(2, 2), in(60 * kSecond), done).ok());
  const auto full = pool->submit(rows_of(3, 1), in(60 * kSecond), done);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().id, "runtime-queue-full");
  EXPECT_EQ(full.error().kind, ErrorKind::kUnavailable);
  Pool* ending = pool.get();
  std::thread ends([&] { pool.reset(); });
  while (ending->submit(rows_of(4, 8), in(60 * kSecond), done).error().id != "runtime-closed")
    std::this_thread::yield();
  gate.promise.set_value();
  ends.join();
  EXPECT_EQ(served, 1) << "the one under way is waited for";
  EXPECT_EQ(cancelled, 2);
}

}  // namespace
}  // namespace heddle::runtime
