#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "net/echo_fixture.hpp"
#include "serve/world_fixture.hpp"

namespace heddle::serve {
namespace {

using namespace fixture;  // NOLINT: a test

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++found;
  return found;
}

TEST(Shedding, WhatWaitedTooLongIsAnswered503AndNothingIsLost) {
  constexpr std::size_t kConnections = 32, kEach = 64;
  World world;
  world.limits.queue_ms = 1;
  world.up();
  world.publish_and_wait();
  std::string rows = kGoodRow;
  for (int i = 1; i < 8; ++i) rows.append(",").append(kGoodRow);
  const std::string body = fmt::format(R"({{"rows":[{}],"event_time":"2001-04-10T06:00:00Z"}})", rows);
  const std::string one = fmt::format("POST /v1/services/trips/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer replayer-secret-0001\r\nContent-Length: {}\r\n\r\n{}",
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
  EXPECT_NE(world.client("ops-secret-0000000003").get("/metrics")->body.find(fmt::format("heddle_shed_total{{service=\"trips\"}} {}\n", shed)), std::string::npos);
}

}  // namespace
}  // namespace heddle::serve
