// What a service's own definitions keep from ever being said is said.
#include "watch/silence.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "recover/cause.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using fixture::Stream;

/// A watch over the stream, with a monitor that was changed.
struct Session {
  explicit Session(const std::function<void(spec::Monitor&)>& change = {}, unsigned seed = 3)
      : stream(seed),
        baseline(std::make_shared<const Baseline>(stream.baseline())),
        watch(open(change)) {
    watch.register_route({1, sha256("primary"), "", baseline});
  }
  static Watch open(const std::function<void(spec::Monitor&)>& change) {
    Watch::Options options = Stream::options();
    if (change) change(options.monitor);
    return *Watch::open(std::move(options));
  }
  /// Plays days of clean traffic; `keep` says which records come and may change them.
  void play(int from, int to, const std::function<bool(plane::Record&)>& keep = {},
            std::uint64_t version = 1) {
    for (int day = from; day < to; ++day) {
      std::vector<plane::Record> records;
      stream.day(day, {}, records, version);
      for (plane::Record& record : records) {
        if (!keep || keep(record)) watch.observe(record, out);
      }
    }
  }
  /// Keys of the silent metrics whose alert was confirmed, with the event day on which it was.
  [[nodiscard]] std::map<std::string, std::int64_t> silent() const {
    std::map<std::string, std::int64_t> days;
    for (const Alert& move : out.moves) {
      if (move.stage != AlertStage::kConfirmed || move.first.subject != Subject::kMonitor) continue;
      EXPECT_EQ(recover::diagnose(watch, move).cause, &recover::monitor_silent());
      EXPECT_FALSE(recover::diagnose(watch, move).reason.empty());
      days.emplace(move.first.key, move.at / kDay);
    }
    return days;
  }

  Stream stream;
  std::shared_ptr<const Baseline> baseline;
  Watch watch;
  Output out;
};

bool is_label(const plane::Record& record) {
  return std::holds_alternative<plane::LabelRecord>(record);
}

TEST(Silence, CleanTrafficIsHeard) {
  Session run;
  run.play(100, 125);
  EXPECT_TRUE(run.silent().empty());
}

TEST(Silence, LabelsThatNeverComeAreMissed) {
  Session run;
  run.play(100, 110, [](plane::Record& record) { return !is_label(record); });
  EXPECT_EQ(run.silent(), (std::map<std::string, std::int64_t>{{"silent/quality/ratio", 105}}));
  // They come: two chunks are judged, and the alert is gone.
  run.play(110, 115);
  EXPECT_EQ(run.watch.alerts().find("silent/quality/ratio"), nullptr);
}

TEST(Silence, LabelsThatComeAfterTheirRowsAreForgottenAreMissed) {
  Session run;
  std::vector<plane::LabelRecord> late;
  run.play(100, 125, [&](plane::Record& record) {
    if (auto* label = std::get_if<plane::LabelRecord>(&record)) {
      label->event_time += 8 * kDay;  // rows are kept for 7
      late.push_back(*label);
      return false;
    }
    const auto* tick = std::get_if<plane::TickRecord>(&record);
    while (tick != nullptr && !late.empty() && late.front().event_time <= tick->event_time) {
      run.watch.observe(late.front(), run.out);
      late.erase(late.begin());
    }
    return true;
  });
  EXPECT_TRUE(run.silent().contains("silent/quality/ratio"));
  EXPECT_FALSE(run.watch.latest().contains("quality/ratio"));
}

TEST(Silence, AChunkThatLosesItsRowsBeforeItIsFullIsMissed) {
  Session run([](spec::Monitor& monitor) {
    monitor.quality.chunk_rows = 30'000;
  });  // ten days of them, kept for seven
  run.play(100, 115);
  EXPECT_TRUE(run.silent().contains("silent/quality/ratio"));
}

TEST(Silence, AWindowThatIsNeverFullIsMissed) {
  Session run([](spec::Monitor& monitor) {
    monitor.window_rows = 1'000'000;
    monitor.refused_rows = 1'000'000;
    monitor.rules = {{"far", {"distance > 100000", {}}, 0.01, 1'000'000}};
  });
  run.play(100, 107);
  std::set<std::string> keys;
  for (const auto& [key, day] : run.silent()) {
    keys.insert(key);
    EXPECT_EQ(day, 104) << key;
  }
  EXPECT_EQ(keys, (std::set<std::string>{"silent/column/distance", "silent/column/hour_of_day",
                                         "silent/column/place", "silent/column/score",
                                         "silent/contract", "silent/rule/far"}));
}

TEST(Silence, AMetricThatTheReleaseHasNoBaselineForIsMissed) {
  Session run([](spec::Monitor& monitor) {
    monitor.distributions.push_back({"new", "distance", {}, 0.1, 3});
  });
  run.play(100, 106);
  EXPECT_EQ(run.silent(), (std::map<std::string, std::int64_t>{{"silent/column/new", 104}}));
}

TEST(Silence, AServiceWithoutRowsIsIdleAndNotSilent) {
  Session run;
  run.play(100, 102);
  for (int day = 102; day < 130; ++day)
    run.watch.observe(plane::TickRecord{(day + 1) * kDay}, run.out);
  EXPECT_FALSE(run.silent().contains("silent/column/distance"));
}

TEST(Silence, AServiceThatIsNotWatchedSaysSoAtOnceAndOnce) {
  Session run;
  run.watch.register_route({2, sha256("other"), "", nullptr, "its baseline is malformed"});
  run.play(100, 102, {}, 2);
  ASSERT_EQ(run.silent(), (std::map<std::string, std::int64_t>{{std::string(kUnwatchedKey), 100}}));
  std::size_t raised = 0;
  for (const Finding& finding : run.out.findings) raised += finding.key == kUnwatchedKey ? 1 : 0;
  EXPECT_EQ(raised, 1U);
  EXPECT_NE(run.watch.alerts()
                .find(std::string(kUnwatchedKey))
                ->first.detail.string_or("why")
                .find("its baseline is malformed"),
            std::string::npos);
  run.watch.register_route({3, sha256("primary"), "", run.baseline});
  run.play(102, 103, {}, 3);
  EXPECT_EQ(run.watch.alerts().find(std::string(kUnwatchedKey)), nullptr);
}

TEST(Silence, MissingValuesOfRowsThatAreServedMoveTheColumn) {
  Session run;
  int row = 0;
  run.play(100, 103, [&](plane::Record& record) {
    auto* request = std::get_if<plane::RequestRecord>(&record);
    if (request != nullptr && ++row % 3 == 0) request->rows[0].fields[2] = {};
    return true;
  });
  ASSERT_TRUE(run.watch.latest().contains("column/distance"));
  EXPECT_TRUE(run.watch.latest().at("column/distance").alert);
  EXPECT_NEAR(run.watch.latest().at("column/distance").value, 1.0 / 3, 0.02);
}

TEST(Silence, NoQualitySectionIsNoQuality) {
  Session run([](spec::Monitor& monitor) { monitor.labelled_quality = false; });
  run.play(100, 110);
  EXPECT_FALSE(run.watch.latest().contains("quality/ratio"));
  EXPECT_TRUE(run.silent().empty());
}

}  // namespace
}  // namespace heddle::watch
