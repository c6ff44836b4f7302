#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "net/echo_fixture.hpp"
#include "serve/overload_detector.hpp"
#include "serve/world_fixture.hpp"

namespace heddle::serve {
namespace {

using namespace fixture;  // NOLINT: a test

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + what.size()))
    ++found;
  return found;
}

constexpr std::int64_t kMs = 1'000'000;

TEST(OverloadDetector, OnePauseShedsNobody) {
  OverloadDetector queue(20 * kMs);
  std::int64_t now = 1'000 * kMs;
  EXPECT_FALSE(queue.sheds(500 * kMs, now)) << "the first that ever came";
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 200; ++i) EXPECT_FALSE(queue.sheds(0, now += kMs));
    for (int i = 0; i < 8; ++i)
      EXPECT_FALSE(queue.sheds(40 * kMs, now))
          << "eight clients who were there in a pause of 40 ms";
  }
  // Nor one that comes now and then, however late its turn is each time: too few say nothing.
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(queue.sheds(30 * kMs, now += 2'000 * kMs));
}

TEST(OverloadDetector, ShedsWhatWaitsTooLongUntilNobodyDoes) {
  OverloadDetector queue(20 * kMs);
  std::int64_t now = 1'000 * kMs, shed_from = 0;
  const std::int64_t began = now;
  // Twice as much comes as can be answered: each waits longer than the one before.
  while (shed_from == 0 && now < began + 1'000 * kMs) {
    now += kMs;
    if (queue.sheds((now - began) / 2, now)) shed_from = now;
  }
  EXPECT_LE(shed_from, began + 200 * kMs) << "within two windows";
  // While some wait too long, those do not get in, and the others do.
  for (int i = 0; i < 1'000; ++i) {
    now += kMs;
    EXPECT_FALSE(queue.sheds(19 * kMs, now));
    EXPECT_FALSE(queue.sheds(19 * kMs, now));
    EXPECT_TRUE(queue.sheds(21 * kMs, now)) << i;
  }
  // A window in which nobody did ends it.
  for (int i = 0; i < 300; ++i) EXPECT_FALSE(queue.sheds(kMs, now += kMs));
  EXPECT_FALSE(queue.sheds(40 * kMs, now += kMs));
}

TEST(OverloadDetector, IsForgottenWhenNothingComes) {
  OverloadDetector queue(20 * kMs);
  std::int64_t now = 1'000 * kMs;
  for (int i = 0; i < 300; ++i) (void)queue.sheds(50 * kMs, now += kMs);
  EXPECT_TRUE(queue.sheds(50 * kMs, now));
  EXPECT_FALSE(queue.sheds(50 * kMs, now + 3'600'000 * kMs));
}

TEST(Shedding, WhatWaitedTooLongIsAnswered503AndNothingIsLost) {
  constexpr std::size_t kConnections = 32, kEach = 64;
  World world;
  world.limits.queue_ms = 1;
  world.up();
  world.publish_and_wait();
  std::string rows = kGoodRow;
  for (int i = 1; i < 8; ++i) rows.append(",").append(kGoodRow);
  const std::string body =
      fmt::format(R"({{"rows":[{}],"event_time":"2001-04-10T06:00:00Z"}})", rows);
  const std::string one = fmt::format(
      "POST /v1/services/trips/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
      "replayer-secret-0001\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
  std::string all;
  for (std::size_t i = 0; i < kEach; ++i) all += one;
  all += "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

  std::vector<int> fds(kConnections);
  for (int& fd : fds) fd = net::raw_connect(world.plane->port());
  for (const int fd : fds) net::send_all(fd, all);
  std::size_t served = 0, shed = 0;
  for (const int fd : fds) {
    const std::string answers = net::receive(fd);
    ::close(fd);
    EXPECT_EQ(count(answers, "HTTP/1.1 "), kEach + 1) << "every request has an answer";
    EXPECT_EQ(count(answers, "HTTP/1.1 503 "), count(answers, "\r\nRetry-After: 1\r\n"));
    EXPECT_EQ(count(answers, "HTTP/1.1 503 "), count(answers, R"("id":"overloaded")"));
    const std::size_t last = answers.rfind("HTTP/1.1 ");
    ASSERT_NE(last, std::string::npos);
    EXPECT_EQ(answers.compare(last, 15, "HTTP/1.1 200 OK"), 0) << "health is not shed";
    shed += count(answers, "HTTP/1.1 503 ");
    served += count(answers, "HTTP/1.1 200 OK") - 1;
  }
  EXPECT_EQ(served + shed, kConnections * kEach);
  EXPECT_GT(shed, 0u);
  EXPECT_GT(served, 0u);
  EXPECT_EQ(world.of<plane::RequestRecord>().size(), served);
  EXPECT_NE(world.client("ops-secret-0000000003")
                .get("/metrics")
                ->body.find(fmt::format("heddle_shed_total{{service=\"trips\"}} {}\n", shed)),
            std::string::npos);
}

}  // namespace
}  // namespace heddle::serve
