#include "watch/watch.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "doc/json.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using fixture::Stream;

struct Session {
  Watch watch;
  Output out;
  std::vector<Diagnosis> confirmed;
  std::vector<Alert> confirmed_alerts;

  void feed(const std::vector<plane::Record>& records) {
    for (const auto& record : records) {
      const std::size_t before = out.moves.size();
      watch.observe(record, out);
      for (std::size_t i = before; i < out.moves.size(); ++i) {
        if (out.moves[i].stage != AlertStage::kConfirmed) continue;
        confirmed.push_back(watch.diagnose(out.moves[i]));
        confirmed_alerts.push_back(out.moves[i]);
      }
    }
  }
};

Route route_of(const Baseline& baseline, std::uint64_t version = 1, std::string_view model = "primary") {
  return {version, sha256(model), "", std::make_shared<const Baseline>(baseline)};
}

Session start(Stream& stream) {
  Session run{*Watch::open(Stream::options()), {}, {}, {}};
  run.watch.register_route(route_of(stream.baseline()));
  return run;
}

void play(Session& run, Stream& stream, int from, int to, const Stream::Fault& fault, std::uint64_t version = 1) {
  for (int day = from; day < to; ++day) {
    std::vector<plane::Record> records;
    stream.day(day, fault, records, version);
    run.feed(records);
  }
}

TEST(Trial, CountsWhatWasLostSinceItWasWorthMost) {
  Trial trial;
  for (int i = 0; i < 1000; ++i) trial.add(i % 2 == 0 ? -0.3 : -0.1, i % 4 == 0, 0);  // it pays
  EXPECT_TRUE(trial.pays());
  EXPECT_FALSE(trial.loses(0.05, 1000));
  for (int i = 0; i < 300; ++i) trial.add(i % 2 == 0 ? 0.3 : 0.1, i % 4 == 0, 1);     // then it does not
  EXPECT_NEAR(trial.lost(), 60, 1e-9);
  EXPECT_TRUE(trial.pays()) << "over all rows it still does";
  // Of 1,000 labels with a share of a quarter the entropy is 562 nats: 60 are above 5 % at the end of a chunk, not within one.
  EXPECT_FALSE(trial.loses(0.05, 1000));
  trial.add(0.1, false, 2);
  EXPECT_TRUE(trial.loses(0.05, 1000));
}

TEST(Trial, HoursOfADayAreNoLoss) {
  Trial trial;
  for (int day = 0; day < 20; ++day) {
    for (int i = 0; i < 1000; ++i) trial.add(i < 600 ? -0.2 : 0.2, i % 4 == 0, day);
    EXPECT_FALSE(trial.loses(0.05, 1000)) << day;
  }
}

TEST(Trial, ChanceIsNoLoss) {
  std::mt19937 random(5);
  std::normal_distribution<double> noise(0, 0.5);
  int lost = 0;
  for (int run = 0; run < 200; ++run) {
    Trial trial;
    bool ever = false;
    for (int i = 0; i < 20'000; ++i) {
      trial.add(noise(random), i % 4 == 0, i / 1000);
      ever = ever || trial.loses(0.001, 1000);  // the standard error alone
    }
    lost += ever ? 1 : 0;
  }
  EXPECT_LE(lost, 8);
}

TEST(PairedZ, IsTheStatisticOfScipysPairedTest) {
  std::vector<double> differences;
  for (int i = 0; i < 400; ++i) differences.push_back(0.1 * (i % 7) - 0.25);
  EXPECT_NEAR(paired_z(differences), 4.911207, 1e-5);  // scipy.stats.ttest_1samp, 1.14.1
  differences.resize(48);
  EXPECT_EQ(paired_z(differences), 0) << "48 rows decide nothing";
}

TEST(ClockRuns, ReadsAClockThatRowsAgreeOn) {
  ClockRuns clocks;
  for (int i = 0; i < 199; ++i) clocks.add("at", i * kMinute + 5 * kHour, i * kMinute);
  EXPECT_FALSE(clocks.offset("at"));
  clocks.add("at", 5 * kHour, 0);
  EXPECT_EQ(clocks.offset("at"), 5 * kHour);
  for (int i = 0; i < 100; ++i) clocks.add("at", i * kMinute, i * kMinute);
  EXPECT_FALSE(clocks.offset("at")) << "half of the rows say this, half that";
  for (int i = 0; i < 90; ++i) clocks.add("at", i * kMinute, i * kMinute);
  EXPECT_EQ(clocks.offset("at"), 0);
  StateWriter out;
  clocks.save(out);
  const std::string bytes = out.take();
  StateReader in(bytes);
  ClockRuns again;
  again.load(in);
  EXPECT_TRUE(in.done());
  EXPECT_EQ(again.offset("at"), 0);
}

TEST(Watch, CleanTrafficConfirmsNothing) {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    SCOPED_TRACE(seed);
    Stream stream(seed);
    Session run = start(stream);
    play(run, stream, 100, 140, {});
    for (const Diagnosis& d : run.confirmed) EXPECT_EQ(d.cause, Cause::kPriorShift) << d.reason;
    EXPECT_GT(run.out.findings.size(), 40U * 4);
  }
}

TEST(Watch, UnitChangeOfOneSourceIsNamed) {
  Stream stream(5);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  play(run, stream, 103, 104, {.distance_ratio = 1.609344});
  ASSERT_FALSE(run.confirmed.empty());
  EXPECT_EQ(run.confirmed[0].cause, Cause::kUnitChange);
  EXPECT_EQ(run.confirmed[0].source, "s1");
  EXPECT_EQ(run.confirmed[0].column, "distance");
  EXPECT_EQ(run.confirmed[0].ratio_name, "miles to kilometres");
  EXPECT_LE(run.confirmed_alerts[0].rows_seen - 3 * Stream::kRows, 1000);  // 150 rows of the source at most
  for (const Diagnosis& d : run.confirmed) EXPECT_EQ(d.cause, Cause::kUnitChange) << d.reason;
}

TEST(Watch, QuarantinedRowsRaiseNoFurtherAlert) {
  Stream stream(6);
  Session run = start(stream);
  play(run, stream, 100, 103, {.distance_ratio = 1.609344, .quarantined = true});
  EXPECT_TRUE(run.confirmed.empty());
}

TEST(Watch, MalformedRowsAreAContractFaultInEverySource) {
  Stream stream(7);
  Session run = start(stream);
  play(run, stream, 100, 102, {});
  play(run, stream, 102, 103, {.malformed = 0.1});
  std::set<std::string> sources;
  for (const Diagnosis& d : run.confirmed) {
    EXPECT_EQ(d.cause, Cause::kContractFault) << d.reason;
    EXPECT_EQ(d.rule, "at.required");
    sources.insert(d.source);
  }
  EXPECT_GE(sources.size(), 4U);
  play(run, stream, 103, 105, {});
  EXPECT_FALSE(run.watch.alerts().standing(Subject::kContract));  // cleared by quiet rows
}

TEST(Watch, TimeShiftIsToldByItsLag) {
  Stream stream(8);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  play(run, stream, 103, 106, {.shift_hours = 5});
  ASSERT_FALSE(run.confirmed.empty());
  EXPECT_EQ(run.confirmed[0].cause, Cause::kTimeShift) << run.confirmed[0].reason;
  EXPECT_EQ(run.confirmed[0].lag_hours, 5);
  EXPECT_EQ(run.confirmed[0].column, "at");
  EXPECT_EQ(run.confirmed[0].change_from / kDay, 103);
  EXPECT_EQ(run.confirmed_alerts[0].at, 105 * kDay);  // the second whole day confirms
  ASSERT_TRUE(run.watch.comparison().has_value());
  EXPECT_LT(run.watch.comparison()->standby_log_loss, run.watch.comparison()->primary_log_loss);
}

TEST(Watch, InvertedMorningsAreConceptShift) {
  Stream stream(9);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  play(run, stream, 103, 107, {.inverted = true});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, Cause::kConceptShift) << run.confirmed[0].reason;
  EXPECT_EQ(run.confirmed[0].change_from / kDay, 103);
  EXPECT_EQ(run.confirmed_alerts[0].at, 106 * kDay);  // day 104 complete with its labels one day later
}

TEST(Watch, MovedBaseRateIsPriorShiftAndNothingElse) {
  Stream stream(10);
  Session run = start(stream);
  play(run, stream, 100, 112, {.prior = -1.2});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, Cause::kPriorShift);
  EXPECT_NEAR(run.confirmed[0].intercept, -1.2, 0.4);
}

TEST(Watch, ARepairInForceStartsAnEpochInWhichTheShiftIsGone) {
  Stream stream(11);
  Session run = start(stream);
  const Baseline baseline = Stream(11).baseline();
  play(run, stream, 100, 103, {.shift_hours = 5});
  Route repaired = route_of(baseline, 2);
  repaired.repair = "at-minus-5h";
  repaired.apply_repair = [](std::vector<plane::FieldValue>& fields) {
    if (fields[0].kind == expr::Datum::Kind::kTimestamp) fields[0].i -= 5 * kHour;
  };
  run.watch.register_route(repaired);
  const std::uint64_t before = run.watch.epoch();
  std::vector<plane::Record> records;
  stream.day(103, {.shift_hours = 5}, records, 2);
  run.feed(records);
  EXPECT_EQ(run.watch.epoch(), before + 1);
  EXPECT_FALSE(run.watch.alerts().standing(Subject::kColumn));
  const auto& latest = run.watch.latest();
  ASSERT_TRUE(latest.contains("column/hour_of_day"));
  EXPECT_FALSE(latest.at("column/hour_of_day").alert);
}

TEST(Watch, PartOfADayIsNoWindow) {
  Stream stream(12);
  Session run = start(stream);
  std::vector<plane::Record> records;
  stream.day(100, {}, records);
  run.watch.register_route(route_of(Stream(12).baseline(), 2, "other"));
  for (auto& record : records) {  // the other model takes over at 14:00
    if (auto* request = std::get_if<plane::RequestRecord>(&record);
        request != nullptr && request->event_time >= 100 * kDay + 14 * kHour) {
      request->route_version = 2;
    }
  }
  run.feed(records);
  EXPECT_FALSE(run.watch.latest().contains("column/hour_of_day"));
}

TEST(Watch, StateSavedAndRestoredAnywhereGivesTheSameFindings) {
  Stream stream(13);
  std::vector<plane::Record> records;
  const Baseline baseline = stream.baseline();
  for (int day = 100; day < 104; ++day) stream.day(day, {}, records);
  for (int day = 104; day < 108; ++day) {
    stream.day(day, {.distance_ratio = 1.609344, .shift_hours = 5, .malformed = 0.05}, records);
  }
  const auto journal = [](const Output& out) {
    std::string text;
    for (const Finding& f : out.findings) text += f.digest().hex();
    for (const Alert& a : out.moves) text += std::string(stage_name(a.stage)) + a.first.digest().hex();
    return text;
  };
  Session whole{*Watch::open(Stream::options()), {}, {}, {}};
  whole.watch.register_route(route_of(baseline));
  whole.feed(records);
  for (std::size_t cut = 1; cut < records.size(); cut += records.size() / 23) {
    Session first{*Watch::open(Stream::options()), {}, {}, {}};
    first.watch.register_route(route_of(baseline));
    first.feed({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(cut)});
    const std::string saved = first.watch.save();
    Session second{*Watch::open(Stream::options()), first.out, {}, {}};
    second.watch.register_route(route_of(baseline));
    ASSERT_TRUE(second.watch.restore(saved).ok());
    ASSERT_EQ(second.watch.save(), saved);
    second.feed({records.begin() + static_cast<std::ptrdiff_t>(cut), records.end()});
    ASSERT_EQ(journal(second.out), journal(whole.out)) << "cut at record " << cut;
  }
}

TEST(Watch, TornStateIsRefused) {
  Stream stream(14);
  Session run = start(stream);
  play(run, stream, 100, 101, {});
  const std::string saved = run.watch.save();
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, saved.size() / 2, saved.size() - 1}) {
    Watch fresh = *Watch::open(Stream::options());
    EXPECT_FALSE(fresh.restore(std::string_view(saved).substr(0, size)).ok()) << size;
  }
}

TEST(Baseline, SurvivesItsJson) {
  Stream stream(15);
  const Baseline built = stream.baseline();
  const std::string text = doc::to_json(built.to_value());
  const auto read = Baseline::from_value(*doc::parse_json(text));
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(read->to_value()), text);
  EXPECT_EQ(read->metrics.size(), 4U);
  EXPECT_EQ(read->dependencies.at(0).expected.size(), 40U);
  EXPECT_GT(read->ratio_chunks, 30);
  EXPECT_FALSE(Baseline::from_value(doc::Value::object({{"format", "heddle.baseline/1"}})).ok());
}

TEST(Baseline, AMonitorOfAnUnknownColumnIsRefused) {
  spec::Monitor monitor = Stream::monitor();
  monitor.distributions[0].column = "hour";
  EXPECT_EQ(build_baseline(monitor, Stream::contract(), {}).error().id, "watch-column");
}

TEST(LabelJoin, RepeatsChangesAndEarlyLabels) {
  LabelJoin join;
  EXPECT_EQ(join.add_label("a#0", 1, 20), LabelJoin::Outcome::kWaiting);
  join.add_row({"a#0", 10, 1, 0.5F, 0.1F});
  join.add_row({"b#0", 11, 1, 0.5F, 0.1F});
  EXPECT_EQ(join.labelled_since(0), 1);
  EXPECT_EQ(join.add_label("a#0", 1, 30), LabelJoin::Outcome::kRepeated);
  EXPECT_EQ(join.add_label("a#0", 0, 10), LabelJoin::Outcome::kIgnored);
  EXPECT_EQ(join.add_label("a#0", 0, 31), LabelJoin::Outcome::kChanged);
  EXPECT_EQ(join.collect(0, 100, 1).labels, (std::vector<std::uint8_t>{0}));
  join.prune(11);
  EXPECT_EQ(join.rows(), 1U);
  EXPECT_EQ(join.add_label("b#0", 1, 40), LabelJoin::Outcome::kJoined);
  EXPECT_EQ(join.labelled_since(0), 2);
}

}  // namespace
}  // namespace heddle::watch
