// A clock that jumped, as the journal has it: said once, standing until it is settled, also across
// a start.
#include <gtest/gtest.h>

#include <cstdlib>

#include "plane/journal.hpp"
#include "serve/engine.hpp"
#include "serve/world_fixture.hpp"

namespace heddle::serve {
namespace {

constexpr Micros kThen = 11'382 * kDay;

class FixedClock final : public Clock {
 public:
  Micros at = 20'000 * kDay;
  [[nodiscard]] Micros wall() const override { return at; }
  [[nodiscard]] std::int64_t mono_ns() const override { return at * 1000; }
};

class ClockTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/clock.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    service_.identity.name = "trips";
    up();
  }
  void up() {
    engine_.reset();
    journal_.reset();
    standing_ = plane::standing_acts(dir_).value();
    journal_ = plane::JournalWriter::open({.dir = dir_, .fields = {"a"}}).value();
    Engine::Options options;
    options.service = &service_;
    options.clock = &clock_;
    options.journal = journal_.get();
    options.lockstep = true;
    engine_ = std::make_unique<Engine>(options, standing_);
  }
  /// What the control plane publishes.
  void settle(const std::string& act) {
    auto next = std::make_shared<Serving>();
    next->route.service = "trips";
    next->route.version = ++version_;
    if (!act.empty()) next->route.acknowledged = {act};
    engine_->apply(next);
  }
  std::vector<plane::ActRecord> acts() {
    engine_->commit();
    std::vector<plane::ActRecord> found;
    const auto reader = plane::JournalReader::open(dir_).value();
    while (auto record = reader->next().value()) {
      if (auto* act = std::get_if<plane::ActRecord>(&*record)) found.push_back(*act);
    }
    return found;
  }

  FixedClock clock_;
  std::string dir_;
  spec::Service service_;
  plane::Standing standing_;
  std::unique_ptr<plane::JournalWriter> journal_;
  std::unique_ptr<Engine> engine_;
  std::uint64_t version_ = 0;
};

TEST_F(ClockTest, AJumpStandsUntilARouteTableSettlesItAndLeadsBack) {
  ASSERT_TRUE(engine_->tick(kThen).ok());
  ASSERT_TRUE(engine_->tick(kThen + 30 * kDay).ok());
  ASSERT_TRUE(engine_->tick(kThen + 31 * kDay).ok());
  ASSERT_EQ(acts().size(), 1U) << "said once";
  const auto jump = acts().front();
  EXPECT_EQ(jump.act, "clock-jump");
  EXPECT_EQ(jump.event_time, kThen);
  settle("");  // a table of something else
  EXPECT_EQ(engine_->acts().ids(), std::vector<std::string>{jump.id});
  up();  // and a start
  EXPECT_EQ(engine_->acts().ids(), std::vector<std::string>{jump.id});
  EXPECT_EQ(engine_->event_clock().last_tick(), kThen + 31 * kDay);
  settle(jump.id);
  ASSERT_EQ(acts().size(), 2U);
  EXPECT_EQ(acts().back().act, "clock-set");
  EXPECT_EQ(acts().back().id, jump.id);
  EXPECT_EQ(acts().back().event_time, kThen);
  EXPECT_EQ(engine_->event_clock().last_tick(), kThen);
  EXPECT_TRUE(engine_->tick(kThen + kDay).ok());
  EXPECT_EQ(acts().size(), 2U);
  up();  // ticks of before the way back do not count any more
  EXPECT_EQ(engine_->event_clock().last_tick(), kThen + kDay);
  EXPECT_TRUE(engine_->acts().ids().empty());
  EXPECT_TRUE(engine_->tick(kThen + 2 * kDay).ok());
}

// By gRPC: surfaces_test.cpp.
TEST(WaysIn, NoSurfaceTakesATimeThatIsNone) {
  fixture::World world;
  world.up();
  world.publish_and_wait();
  auto http = world.replayer();
  const std::string v1 = R"({{"event_time":{},"rows":[)" + std::string("{{") +
                         R"("date":"2001-04-10T05:00:00Z","origin":"LAX","distance":400}}]}})";
  const std::string v2 =
      R"({{"parameters":{{"event_time":{}}},"inputs":[{{"name":"distance","shape":[1],)"
      R"("datatype":"INT64","data":[400]}}]}})";
  const std::string label = R"({{"labels":[{{"row_id":"q#0","label":1,"event_time":{}}}]}})";
  const std::string tick = R"({{"event_time":{}}})";
  ASSERT_EQ(http.post("/v1/services/trips/tick", R"({"event_time":"2001-04-10"})")->status, 200);
  int tried = 0;
  for (const char* time :
       {"9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e300", "-1e18",
        "\"9999-12-31\"", "\"NaN\"", "\"2001-02-30\"", "\"0001-01-01\"", "true", "[]", "{}", "1.5",
        "-9223372036854775807", "7258118400000000"}) {
    for (const auto& [path, body] :
         std::vector<std::pair<std::string, std::string>>{{"/v1/services/trips/predict", v1},
                                                          {"/v2/models/trips/infer", v2},
                                                          {"/v1/services/trips/labels", label},
                                                          {"/v1/services/trips/tick", tick}}) {
      const auto reply = http.post(path, fmt::format(fmt::runtime(body), time));
      SCOPED_TRACE(fmt::format("{} {}: {} {}", path, time, reply->status, reply->body));
      const bool refused_label =
          reply->status == 422 && reply->body.find("\"accepted\":0") != std::string::npos;
      EXPECT_TRUE(reply->status == 400 || refused_label);
      ++tried;
    }
  }
  EXPECT_EQ(tried, 60);
  // A bare NaN is how some clients write null: it says nothing, and the row is of now.
  EXPECT_EQ(http.post("/v1/services/trips/predict", fmt::format(fmt::runtime(v1), "NaN"))->status,
            200);
  world.down();
  for (const auto& record : world.of<plane::TickRecord>())
    EXPECT_EQ(record.event_time, *parse_time("2001-04-10"));
  const auto requests = world.of<plane::RequestRecord>();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests.front().event_time, *parse_time("2001-04-10"));
  EXPECT_TRUE(world.of<plane::LabelRecord>().empty());
}

}  // namespace
}  // namespace heddle::serve
