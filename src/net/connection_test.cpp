// What a connection is made of, each by itself: phases, ids, units of limits, the reading of
// HTTP/1.
#include "net/connection.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

#include "net/acceptor.hpp"
#include "net/byte_budget.hpp"
#include "net/connections.hpp"
#include "net/http1_session.hpp"

namespace heddle::net {
namespace {

using Phase = Connection::Phase;

constexpr std::array kPhases{Phase::kHandshake, Phase::kIdle,   Phase::kReading,
                             Phase::kDeferred,  Phase::kEnding, Phase::kDraining};

TEST(Connection, EachPhaseHasThoseThatMayFollowIt) {
  const std::set<std::pair<Phase, Phase>> legal{
      {Phase::kHandshake, Phase::kIdle}, {Phase::kIdle, Phase::kIdle},
      {Phase::kIdle, Phase::kReading},   {Phase::kIdle, Phase::kEnding},
      {Phase::kReading, Phase::kIdle},   {Phase::kReading, Phase::kReading},
      {Phase::kReading, Phase::kEnding}, {Phase::kReading, Phase::kDeferred},
      {Phase::kDeferred, Phase::kIdle},  {Phase::kEnding, Phase::kEnding},
      {Phase::kEnding, Phase::kDraining}};
  for (const Phase before : kPhases) {
    for (const Phase after : kPhases) {
      EXPECT_EQ(Connection::may_follow(before, after), legal.contains({before, after}))
          << static_cast<int>(before) << " to " << static_cast<int>(after);
    }
  }
}

TEST(ByteBudget, AShareGivesBackWhatItCountsForAtItsEnd) {
  ByteBudget budget;
  budget.set_most(100);
  {
    ByteBudget::Share one(budget);
    one.hold(60);
    {
      ByteBudget::Share other(budget);
      other.hold(41);
      EXPECT_EQ(budget.held(), 101U);
      EXPECT_TRUE(budget.over());
      other.hold(40);
      EXPECT_FALSE(budget.over());
    }
    EXPECT_EQ(budget.held(), 60U);
    one.hold(0);
    EXPECT_EQ(budget.held(), 0U);
    one.hold(7);
  }
  EXPECT_EQ(budget.held(), 0U);
}

/// Connections over one end of a socket pair each.
class ConnectionsTest : public testing::Test {
 protected:
  ~ConnectionsTest() override {
    for (const int fd : others_) ::close(fd);
  }
  std::uint64_t add() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    others_.push_back(fds[1]);
    const std::uint64_t id = connections_.next_id();
    connections_.add(std::make_unique<Connection>(fds[0], id, Connection::Origin{.address = 9},
                                                  admission_.take(9), budget_, Phase::kIdle));
    return id;
  }
  Admission admission_;
  ByteBudget budget_;
  Connections connections_;
  std::vector<int> others_;
};

TEST_F(ConnectionsTest, AnIdIsOfOneConnectionOnly) {
  const std::uint64_t first = add();
  const std::uint64_t second = add();
  EXPECT_NE(first, second);
  EXPECT_GE(first, Connections::kFirstId);
  EXPECT_EQ(connections_.find(first)->id(), first);
  connections_.remove(first);
  EXPECT_EQ(connections_.find(first), nullptr);
  const std::uint64_t third = add();  // in the same place
  EXPECT_EQ(connections_.find(first), nullptr);
  EXPECT_EQ(connections_.find(third)->id(), third);
  std::set<std::uint64_t> seen;
  connections_.each([&](Connection& one) { seen.insert(one.id()); });
  EXPECT_EQ(seen, (std::set<std::uint64_t>{second, third}));
}

TEST_F(ConnectionsTest, WhatOneCountsForEndsWithIt) {
  const std::uint64_t one = add();
  const std::uint64_t other = add();
  EXPECT_EQ(admission_.open(), 2U);
  EXPECT_EQ(admission_.of(9), 2U);
  Connection& connection = *connections_.find(one);
  connection.out().assign(1000, 'x');
  connection.account();
  EXPECT_EQ(budget_.held(), 1000U);
  connections_.remove(one);
  EXPECT_EQ(budget_.held(), 0U);
  EXPECT_EQ(admission_.of(9), 1U);
  connections_.remove(other);
  EXPECT_EQ(admission_.open(), 0U);
}

class Http1SessionTest : public testing::Test {
 protected:
  Http1Session::State feed(std::string_view bytes) {
    in_.reserve(in_.size() + bytes.size() + Request::kBodyPadding);
    bytes.copy(in_.free_space(), bytes.size());
    in_.added(bytes.size());
    return read();
  }
  Http1Session::State read() {
    incoming_ = {};
    return session_.read(in_, {1024, 16, 100}, {}, incoming_, headers_, refusal_);
  }
  Http1Session session_;
  InBuffer in_;
  Incoming incoming_;
  std::vector<Header> headers_;
  Refusal refusal_;
};

TEST_F(Http1SessionTest, RequestsBecomeWholeByteByByte) {
  const std::string first = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
  const std::string second =
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (std::size_t i = 0; i < first.size(); ++i) {
    const auto state = feed(first.substr(i, 1));
    EXPECT_EQ(state,
              i + 1 == first.size() ? Http1Session::State::kWhole : Http1Session::State::kNeedMore)
        << i;
  }
  EXPECT_EQ(incoming_.head.target, "/a");
  EXPECT_EQ(incoming_.body, "body");
  EXPECT_EQ(incoming_.bytes, first.size());
  session_.begin_answer(incoming_.head);
  in_.consume(incoming_.bytes);
  session_.next();
  EXPECT_EQ(session_.request(), 1U);
  for (std::size_t i = 0; i + 1 < second.size(); ++i)
    EXPECT_EQ(feed(second.substr(i, 1)), Http1Session::State::kNeedMore) << i;
  EXPECT_EQ(feed(second.substr(second.size() - 1)), Http1Session::State::kWhole);
  EXPECT_EQ(incoming_.head.target, "/b");
  EXPECT_EQ(incoming_.body, "abc");
  EXPECT_EQ(incoming_.bytes, second.size());
}

TEST_F(Http1SessionTest, AskedToContinueItGoesOnWithTheBody) {
  EXPECT_EQ(
      feed("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
      Http1Session::State::kContinue);
  EXPECT_EQ(read(), Http1Session::State::kNeedMore) << "it is said once";
  EXPECT_EQ(feed("ok"), Http1Session::State::kWhole);
  EXPECT_EQ(incoming_.body, "ok");
}

TEST_F(Http1SessionTest, WhatIsPastABoundIsRefusedBeforeItComes) {
  EXPECT_EQ(feed("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"),
            Http1Session::State::kRefused);
  EXPECT_EQ(refusal_.status, 413);
  EXPECT_EQ(refusal_.id, "http-too-large");
}

TEST(Listener, ItsFileGoesWithItUnlessASuccessorHasTheSocket) {
  const std::string file = testing::TempDir() + "/heddle-listener.sock";
  for (const bool handed_over : {false, true}) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ::close(fds[1]);
    ::close(::creat(file.c_str(), 0600));
    {
      Listener listener;
      EXPECT_FALSE(listener.open());
      listener.use(fds[0]);
      listener.remove_at_end(file);
      if (handed_over) listener.hand_over();
      EXPECT_TRUE(listener.open());
    }
    EXPECT_EQ(std::filesystem::exists(file), handed_over);
  }
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace heddle::net
