#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doc/json.hpp"
#include "loadgen/knee.hpp"
#include "loadgen/load.hpp"
#include "loadgen/reply.hpp"
#include "loadgen/report.hpp"
#include "loadgen/schedule.hpp"
#include "net/listener.hpp"
#include "net/server.hpp"

namespace heddle::loadgen {
namespace {

constexpr std::int64_t kMs = 1'000'000;

/// A server of ours on a thread of its own; the handler may stall, as a server that loads a model
/// on its serving thread does.
class World {
 public:
  explicit World(net::HttpServer::Handler handler, net::ServerLimits limits = {}) {
    net::HttpServer::Options options;
    options.host = "127.0.0.1";
    options.limits = limits;
    options.handler = std::move(handler);
    auto opened = net::HttpServer::open(std::move(options));
    EXPECT_TRUE(opened.ok()) << opened.error().str();
    server_ = std::move(*opened);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~World() {
    server_->stop();
    thread_.join();
  }
  Options load(double rate, std::int64_t duration_ms) const {
    Options options;
    options.target.port = server_->port();
    options.target.bodies = {"{}"};
    options.connections = 4;
    options.rate = rate;
    options.warmup_ns = 0;
    options.duration_ns = duration_ms * kMs;
    options.timeout_ns = 5'000 * kMs;
    return options;
  }
  int port() const { return server_->port(); }

 private:
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

void accounts_for_every_request(const Outcome& o) {
  EXPECT_EQ(o.scheduled, o.served + o.shed + o.failed());
  EXPECT_EQ(o.every_ns.count(), o.scheduled);
  EXPECT_EQ(o.served_ns.count(), o.served);
  EXPECT_EQ(o.shed_ns.count(), o.shed);
  std::uint64_t in_slices = 0;
  for (const Slice& slice : o.slices) in_slices += slice.served + slice.shed + slice.failed;
  EXPECT_EQ(in_slices, o.scheduled);
}

TEST(Schedule, ConstantIsExactAndPoissonHasItsRateAndSpread) {
  Schedule constant(3, Arrival::kConstant, 1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(constant.next(), static_cast<std::int64_t>(i * 1e9 / 3));
  Schedule poisson(10'000, Arrival::kPoisson, 7), same(10'000, Arrival::kPoisson, 7),
      other(10'000, Arrival::kPoisson, 8);
  std::vector<double> gaps;
  std::int64_t last = 0;
  bool differs = false;
  for (int i = 0; i < 100'000; ++i) {
    const std::int64_t at = poisson.next();
    EXPECT_EQ(at, same.next());
    differs = differs || at != other.next();
    ASSERT_GE(at, last);
    gaps.push_back(static_cast<double>(at - last));
    last = at;
  }
  EXPECT_TRUE(differs);
  double mean = 0, square = 0;
  for (const double gap : gaps) mean += gap / 1e5;
  for (const double gap : gaps) square += (gap - mean) * (gap - mean) / 1e5;
  EXPECT_NEAR(mean, 100'000, 1'500);               // 4.7 standard errors of 100 us / sqrt(1e5)
  EXPECT_NEAR(std::sqrt(square) / mean, 1, 0.03);  // an exponential's deviation is its mean
}

TEST(ReplyReader, ReadsAnswersAtEveryCut) {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
      "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nConnection: "
      "close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
      "HTTP/1.1 204 No Content\r\n\r\n";
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    std::string buffer = bytes;
    ReplyReader reader;
    std::size_t begin = 0, have = cut;
    std::vector<std::tuple<int, std::string, bool>> seen;
    while (true) {
      Reply reply;
      std::size_t consumed = 0;
      const auto state = reader.read(buffer.data() + begin, have - begin, false, reply, consumed);
      ASSERT_NE(state, ReplyReader::State::kBad) << "cut at " << cut;
      if (state == ReplyReader::State::kDone) {
        seen.emplace_back(reply.status, std::string(reply.body), reply.keep_alive);
        begin += consumed;
        if (begin == bytes.size()) break;
        continue;
      }
      ASSERT_LT(have, bytes.size()) << "cut at " << cut;
      have = bytes.size();
    }
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[0], std::make_tuple(200, std::string("hello"), true));
    EXPECT_EQ(seen[1], std::make_tuple(503, std::string("abcde"), false));
    EXPECT_EQ(seen[2], std::make_tuple(204, std::string(), true));
  }
}

TEST(ReplyReader, RefusesWhatIsNoAnswerAndTakesOneThatEndsWithItsConnection) {
  for (const std::string text :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", "HTTP/1.1 200 OK\r\nnocolon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"}) {
    std::string buffer = text;
    ReplyReader reader;
    Reply reply;
    std::size_t consumed = 0;
    EXPECT_EQ(reader.read(buffer.data(), buffer.size(), false, reply, consumed),
              ReplyReader::State::kBad)
        << text;
  }
  std::string buffer = "HTTP/1.0 200 OK\r\n\r\nto the end";
  ReplyReader reader;
  Reply reply;
  std::size_t consumed = 0;
  EXPECT_EQ(reader.read(buffer.data(), buffer.size(), false, reply, consumed),
            ReplyReader::State::kNeedMore);
  ASSERT_EQ(reader.read(buffer.data(), buffer.size(), true, reply, consumed),
            ReplyReader::State::kDone);
  EXPECT_EQ(reply.body, "to the end");
  EXPECT_FALSE(reply.keep_alive);
}

TEST(Load, OffersItsRateAndAccountsForEveryRequest) {
  World world(
      [](const net::Request& request, net::Response& response) { response.body = request.body; });
  Options options = world.load(2'000, 500);
  options.warmup_ns = 100 * kMs;
  std::uint64_t inspected = 0;
  options.target.bodies = {"a", "bb", "ccc"};
  options.inspect = [&](const Answer& answer) {
    ++inspected;
    return answer.text == std::string(answer.body + 1, static_cast<char>('a' + answer.body));
  };
  const auto outcome = run(options);
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  EXPECT_EQ(outcome->scheduled, 1'000u);
  EXPECT_EQ(outcome->served, 1'000u);
  EXPECT_EQ(outcome->statuses[200], 1'000u);
  EXPECT_EQ(inspected, 1'000u);
  EXPECT_EQ(outcome->wrong, 0u);
  EXPECT_EQ(outcome->failed(), 0u);
  accounts_for_every_request(*outcome);
}

/// The reason this generator exists. A server stalls once for 300 ms in a second; 30 % of the
/// requests of a fixed schedule were meant to leave during the stall, so the 90th percentile must
/// show it, while a closed loop sends only a handful into it and sees nothing there.
TEST(Load, AStallShowsInThePercentilesAndAClosedLoopWouldHideIt) {
  std::atomic<bool> stall{false};
  World world([&](const net::Request&, net::Response& response) {
    if (stall.exchange(false))
      std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the injected fault itself
    response.body = "{}";
  });
  for (const bool closed : {false, true}) {
    Options options = world.load(1'000, 1'000);
    options.closed = closed;
    std::uint64_t seen = 0;
    options.inspect = [&](const Answer&) {
      if (++seen == 200) stall = true;
      return true;
    };
    const auto outcome = run(options);
    ASSERT_TRUE(outcome.ok()) << outcome.error().str();
    accounts_for_every_request(*outcome);
    EXPECT_EQ(outcome->failed(), 0u);
    EXPECT_GE(outcome->served_ns.greatest(), 290u * kMs);
    if (closed) {
      EXPECT_LT(outcome->served_ns.quantile(0.99), 100u * kMs);
    } else {
      EXPECT_EQ(outcome->scheduled, 1'000u);
      EXPECT_GT(outcome->served_ns.quantile(0.9), 120u * kMs);
      EXPECT_GT(outcome->served_ns.quantile(0.99), 200u * kMs);
      // From when they left they look fast: what a generator sees that waits for its turn.
      EXPECT_LT(outcome->served_sent_ns.quantile(0.9), 100u * kMs);
    }
  }
}

TEST(Load, PipeliningOffersWhatASlowServerDoesNotTake) {
  // 2 ms a request: 500/s. Four connections without pipelining leave the rest in the generator;
  // with it, it is out.
  World world([](const net::Request&, net::Response& response) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the slow server itself
    response.status = 503;
    response.body = "{}";
  });
  Options options = world.load(1'000, 200);
  options.timeout_ns = 60'000 * kMs;
  const auto alone = run(options);
  options.pipeline = 400;
  const auto deep = run(options);
  ASSERT_TRUE(alone.ok() && deep.ok());
  EXPECT_EQ(deep->scheduled, 200u);
  EXPECT_EQ(deep->shed, 200u);
  EXPECT_LT(deep->late_ns.quantile(0.9), 100u * kMs);
  EXPECT_GT(alone->late_ns.quantile(0.9), 100u * kMs);
  EXPECT_GT(deep->shed_ns.quantile(0.99),
            150u * kMs);  // the last leaves after 200 ms and is 200th in a line of 2 ms each
  accounts_for_every_request(*alone);
  accounts_for_every_request(*deep);
}

TEST(Load, WhatHasNoAnswerIsCountedByKind) {
  // Never answered: the server defers for good.
  {
    std::vector<net::HttpServer::Responder> kept;
    net::HttpServer* server = nullptr;
    net::HttpServer::Options options;
    options.host = "127.0.0.1";
    options.handler = [&](const net::Request&, net::Response&) { kept.push_back(server->defer()); };
    auto opened = net::HttpServer::open(std::move(options));
    ASSERT_TRUE(opened.ok());
    server = opened->get();
    std::thread thread([&] { server->run(); });
    Options load;
    load.target.port = server->port();
    load.target.bodies = {"{}"};
    load.connections = 2;
    load.rate = 100;
    load.warmup_ns = 0;
    load.duration_ns = 100 * kMs;
    load.timeout_ns = 200 * kMs;
    const auto outcome = run(load);
    server->stop();
    thread.join();
    ASSERT_TRUE(outcome.ok());
    EXPECT_EQ(outcome->scheduled, 10u);
    EXPECT_EQ(outcome->timed_out + outcome->unsent, 10u);
    EXPECT_GE(outcome->timed_out, 2u);
    EXPECT_GE(outcome->every_ns.quantile(0.5), 190u * kMs);  // they count with the time they waited
    accounts_for_every_request(*outcome);
  }
  // Not HTTP, and closed without an answer: a listener of the test's own.
  for (const bool malformed : {true, false}) {
    const auto listener = net::listen_tcp("127.0.0.1", 0);
    ASSERT_TRUE(listener.ok());
    const int port = net::bound_port(*listener);
    std::atomic<bool> ending{false};
    std::thread thread([&] {
      while (!ending) {
        const int fd = ::accept(*listener, nullptr, nullptr);
        if (fd < 0) {
          std::this_thread::yield();
          continue;
        }
        char bytes[512];
        (void)!::recv(fd, bytes, sizeof bytes, 0);
        if (malformed) (void)!::send(fd, "garbage\r\n\r\n", 11, MSG_NOSIGNAL);
        ::close(fd);
      }
    });
    Options load;
    load.target.port = port;
    load.target.bodies = {"{}"};
    load.connections = 1;
    load.rate = 50;
    load.warmup_ns = 0;
    load.duration_ns = 200 * kMs;
    load.timeout_ns = 1'000 * kMs;
    const auto outcome = run(load);
    ending = true;
    thread.join();
    ::close(*listener);
    ASSERT_TRUE(outcome.ok()) << outcome.error().str();
    EXPECT_EQ(outcome->scheduled, 10u);
    EXPECT_EQ(malformed ? outcome->malformed : outcome->lost, 10u);
    EXPECT_GE(outcome->reconnects, 9u);
    accounts_for_every_request(*outcome);
  }
}

TEST(Report, SaysTheSameNumbersEverywhereAndHidesNoFailure) {
  std::atomic<int> asked{0};
  World world([&](const net::Request&, net::Response& response) {
    const int n = asked++;
    response.status = n % 10 == 0 ? 503 : n % 10 == 1 ? 422 : 200;
    response.body = "{}";
  });
  Options options = world.load(1'000, 200);
  options.target.path = "/a<b>";
  const auto outcome = run(options);
  ASSERT_TRUE(outcome.ok()) << outcome.error().str();
  EXPECT_EQ(outcome->served, 160u);
  EXPECT_EQ(outcome->shed, 20u);
  EXPECT_EQ(outcome->refused, 20u);
  const std::string text = to_text(options, *outcome);
  EXPECT_NE(text.find("status 200: 160, 422: 20, 503: 20"), std::string::npos) << text;
  EXPECT_NE(text.find("offered 1000.0/s, served 800.0/s, shed 100.0/s, failed 100.0/s"),
            std::string::npos)
      << text;
  const auto value = doc::parse_json(doc::to_json(to_value(options, *outcome)));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->int_or("scheduled"), 200);
  EXPECT_EQ(value->find("statuses")->int_or("422"), 20);
  EXPECT_DOUBLE_EQ(value->find("served_latency")->double_or("p99_us"),
                   static_cast<double>(outcome->served_ns.quantile(0.99)) / 1e3);
  const std::string page = to_page(options, *outcome);
  EXPECT_NE(page.find("status 422</td><td class=\"n\">20<"), std::string::npos);
  EXPECT_NE(page.find("/a&lt;b&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<b>/"), std::string::npos);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(format_ns(1'310'000), "1.31 ms");
  EXPECT_EQ(format_ns(52'000), "52.0 us");
  EXPECT_EQ(format_ns(999'600), "1.00 ms");
}

TEST(Knee, IsTheHighestRateUpToWhichEveryStepHolds) {
  // From its third open step on the server sheds: the knee is the second, and two misses in a row
  // end the ramp.
  std::atomic<bool> full{false};
  World world([&](const net::Request&, net::Response& response) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the server's work itself
    if (full) response.status = 503;
    response.body = "{}";
  });
  const Options options = world.load(1, 200);
  int steps = 0;
  const auto knee = find_knee(options, 5'000 * kMs, [&](const Step&) { full = ++steps >= 3; });
  ASSERT_TRUE(knee.ok()) << knee.error().str();
  EXPECT_GT(knee->capacity, 0);
  EXPECT_LE(knee->capacity, 1'000 + 4 / 0.2);  // and what was under way at the end
  ASSERT_EQ(knee->steps.size(), 4u);
  EXPECT_EQ(steps, 5);
  EXPECT_TRUE(knee->steps[0].holds && knee->steps[1].holds);
  EXPECT_FALSE(knee->steps[2].holds || knee->steps[3].holds);
  EXPECT_EQ(knee->steps[3].why, "served 0.0 % of what was offered");
  EXPECT_DOUBLE_EQ(knee->knee, knee->steps[1].rate);
  EXPECT_DOUBLE_EQ(knee->knee, 0.4 * knee->capacity);
  EXPECT_NE(to_text(options, *knee).find("holds up to"), std::string::npos);
  EXPECT_EQ(to_page(options, *knee).find("nan"), std::string::npos);

  Outcome shed;
  shed.scheduled = 100;
  shed.served = 98;
  shed.shed = 2;
  EXPECT_EQ(why_not_held(shed, kMs), "served 98.0 % of what was offered");
  shed.served = 99;
  shed.lost = 1;
  shed.shed = 0;
  shed.served_ns.record(kMs);
  EXPECT_EQ(why_not_held(shed, kMs), "1 failed");
  shed.served = 100;
  shed.lost = 0;
  EXPECT_EQ(why_not_held(shed, kMs), "");
  shed.served_ns.record(3 * kMs);
  EXPECT_EQ(why_not_held(shed, kMs), "p99 3.00 ms is over 1.00 ms");
}

TEST(Load, RefusesRemoteHostsAndNonsense) {
  Options options;
  options.target.host = "192.0.2.1";  // TEST-NET-1: nobody's
  options.target.port = 80;
  auto outcome = run(options);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().id, "loadgen-remote");
  options.target.host = "127.0.0.1";
  for (auto change : {+[](Options& o) { o.connections = 0; }, +[](Options& o) { o.rate = 0; },
                      +[](Options& o) { o.duration_ns = 0; }, +[](Options& o) { o.pipeline = 0; },
                      +[](Options& o) { o.target.headers = {{"a", "b\r\nc: d"}}; }}) {
    Options bad = options;
    change(bad);
    outcome = run(bad);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().id, "loadgen-options");
  }
  const auto listener = net::listen_tcp("127.0.0.1", 0);  // a port that was free a moment ago
  ASSERT_TRUE(listener.ok());
  options.target.port = net::bound_port(*listener);
  ::close(*listener);
  outcome = run(options);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().id, "loadgen-no-server");
}

}  // namespace
}  // namespace heddle::loadgen
