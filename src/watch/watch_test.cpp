#include "watch/watch.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "doc/json.hpp"
#include "recover/cause.hpp"
#include "watch/baseline_format.hpp"
#include "watch/stream_fixture.hpp"

namespace heddle::watch {
namespace {

using fixture::Stream;

struct Session {
  Watch watch;
  Output out;
  std::vector<recover::Diagnosis> confirmed;
  std::vector<Alert> confirmed_alerts;

  void feed(const std::vector<plane::Record>& records) {
    for (const auto& record : records) {
      const std::size_t before = out.moves.size();
      watch.observe(record, out);
      for (std::size_t i = before; i < out.moves.size(); ++i) {
        if (out.moves[i].stage != AlertStage::kConfirmed) continue;
        confirmed.push_back(recover::diagnose(watch, out.moves[i]));
        confirmed_alerts.push_back(out.moves[i]);
      }
    }
  }
};

/// The store that a watch is kept in.
struct Stored {
  std::map<std::string, std::string> parts;
  std::map<std::uint64_t, std::string> pieces;
  std::size_t piece_bytes = 0;  ///< ever written

  void take(Watch& watch) {
    const auto change = watch.change();
    for (const auto& [name, bytes] : change.parts) parts[name] = bytes;
    if (change.piece) {
      EXPECT_TRUE(pieces.insert(*change.piece).second);
      piece_bytes += change.piece->second.size();
    }
    for (const auto number : change.spent) EXPECT_EQ(pieces.erase(number), 1U);
    watch.stored(change);
  }
};

Route route_of(const Baseline& baseline, std::uint64_t version = 1,
               std::string_view model = "primary") {
  return {version, sha256(model), "", std::make_shared<const Baseline>(baseline)};
}

Session start(Stream& stream) {
  Session run{*Watch::open(Stream::options()), {}, {}, {}};
  run.watch.register_route(route_of(stream.baseline()));
  return run;
}

void play(Session& run, Stream& stream, int from, int to, const Stream::Fault& fault,
          std::uint64_t version = 1) {
  for (int day = from; day < to; ++day) {
    std::vector<plane::Record> records;
    stream.day(day, fault, records, version);
    run.feed(records);
  }
}

void add_row(Trial& trial, double difference, bool label, std::int64_t chunk) {
  trial.add(difference, chunk);
  trial.add_label({}, label ? 1 : 0, 0);
}

TEST(Trial, CountsWhatWasLostSinceItWasWorthMost) {
  Trial trial;
  for (int i = 0; i < 1000; ++i)
    add_row(trial, i % 2 == 0 ? -0.3 : -0.1, i % 4 == 0, 0);  // it pays
  EXPECT_TRUE(trial.pays());
  EXPECT_FALSE(trial.loses(0.05, 1000));
  for (int i = 0; i < 300; ++i)
    add_row(trial, i % 2 == 0 ? 0.3 : 0.1, i % 4 == 0, 1);  // then it does not
  EXPECT_NEAR(trial.lost(), 60, 1e-9);
  EXPECT_TRUE(trial.pays()) << "over all rows it still does";
  // Of 1,000 labels with a share of a quarter the entropy is 562 nats: 60 are above 5 % at the end
  // of a chunk, not within one.
  EXPECT_FALSE(trial.loses(0.05, 1000));
  add_row(trial, 0.1, false, 2);
  EXPECT_TRUE(trial.loses(0.05, 1000));
}

TEST(Trial, HoursOfADayAreNoLoss) {
  Trial trial;
  for (int day = 0; day < 20; ++day) {
    for (int i = 0; i < 1000; ++i) add_row(trial, i < 600 ? -0.2 : 0.2, i % 4 == 0, day);
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
      add_row(trial, noise(random), i % 4 == 0, i / 1000);
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
  for (int i = 0; i < 199; ++i) clocks.add("app", "at", i * kMinute + 5 * kHour, i * kMinute);
  EXPECT_FALSE(clocks.offset("at"));
  clocks.add("app", "at", 5 * kHour, 0);
  EXPECT_EQ(clocks.offset("at"), 5 * kHour);
  for (int i = 0; i < 100; ++i) clocks.add("app", "at", i * kMinute, i * kMinute);
  EXPECT_FALSE(clocks.offset("at")) << "half of the rows say this, half that";
  for (int i = 0; i < 90; ++i) clocks.add("app", "at", i * kMinute, i * kMinute);
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
    for (const recover::Diagnosis& d : run.confirmed)
      EXPECT_EQ(d.cause, &recover::prior_shift()) << d.reason;
    EXPECT_GT(run.out.findings.size(), 40U * 4);
  }
}

TEST(Watch, UnitChangeOfOneSourceIsNamed) {
  Stream stream(5);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  play(run, stream, 103, 104, {.distance_ratio = 1.609344});
  ASSERT_FALSE(run.confirmed.empty());
  EXPECT_EQ(run.confirmed[0].cause, &recover::unit_change());
  EXPECT_EQ(run.confirmed[0].source, "s1");
  EXPECT_EQ(run.confirmed[0].account, "app");
  EXPECT_NE(run.confirmed[0].reason.find("`s1` of account `app`"), std::string::npos)
      << run.confirmed[0].reason;
  EXPECT_EQ(run.confirmed[0].column, "distance");
  EXPECT_EQ(run.confirmed[0].ratio_name, "miles to kilometres");
  EXPECT_LE(run.confirmed_alerts[0].rows_seen - 3 * Stream::kRows,
            1000);  // 150 rows of the source at most
  for (const recover::Diagnosis& d : run.confirmed)
    EXPECT_EQ(d.cause, &recover::unit_change()) << d.reason;
}

TEST(Watch, OneAccountsBadRowsAreItsOwnInASourceThatOthersUseToo) {
  SourceWindows windows(0.02, 50, {});
  std::vector<Finding> out;
  const auto nothing = [](const std::string&) { return expr::Datum::null(); };
  plane::RowRecord good;
  plane::RowRecord bad{.outcome = plane::RowOutcome::kRefused, .rules = {"size.range"}};
  for (int i = 0; i < 150; ++i) {
    windows.add("bad", "default", bad, i, nullptr, nothing, out);
    windows.add("good", "default", good, i, nullptr, nothing, out);
    if (i != 75) continue;
    StateWriter state;
    windows.save(state);
    const std::string bytes = state.take();
    windows = SourceWindows(0.02, 50, {});
    StateReader in(bytes);
    windows.load(in);
    EXPECT_TRUE(in.done());
  }
  ASSERT_EQ(out.size(), 6U);
  for (const Finding& f : out) {
    EXPECT_EQ(f.source, "default");
    EXPECT_EQ(f.alert, f.account == "bad") << f.key;
    EXPECT_EQ(f.value, f.account == "bad" ? 1 : 0);
    EXPECT_EQ(f.key, "contract/" + f.account + "/default");
  }
}

TEST(Watch, AServiceThatAnswersNobodyIsAnAlertAtOnce) {
  Stream stream(6);
  Session run = start(stream);
  play(run, stream, 100, 101, {});
  EXPECT_TRUE(run.confirmed.empty());
  play(run, stream, 101, 102, {.nobody = true});
  const auto alert =
      std::find_if(run.confirmed.begin(), run.confirmed.end(),
                   [](const recover::Diagnosis& d) { return d.cause == &recover::no_answers(); });
  ASSERT_NE(alert, run.confirmed.end());
  EXPECT_NE(alert->reason.find("got an answer"), std::string::npos) << alert->reason;
  EXPECT_NE(run.watch.alerts().find("answers/service"), nullptr);
  play(run, stream, 102, 103, {});
  EXPECT_EQ(run.watch.alerts().find("answers/service"), nullptr);
}

TEST(Watch, GoodRowsThatAQuarantineHoldsBackHaveABudget) {
  spec::Monitor monitor;
  monitor.refused_rows = 50;
  monitor.quarantined_good_rows = 100;
  spec::Contract contract;
  contract.row_rules = {{.id = "round"}, {.id = "odd", .effect = spec::RuleEffect::kWarn}};
  Answers answers(monitor, contract);
  std::vector<Finding> out;
  plane::RequestRecord request;
  request.source = "default";
  request.account = "app";
  const auto send = [&](plane::RowOutcome outcome, std::vector<std::string> rules, int times) {
    for (int i = 0; i < times; ++i) answers.add(request, {.outcome = outcome, .rules = rules}, out);
  };
  using plane::RowOutcome;
  send(RowOutcome::kQuarantined, {"source-quarantined", "round"}, 300);
  send(RowOutcome::kQuarantined, {"source-quarantined"}, 60);
  send(RowOutcome::kQuarantined, {"source-quarantined", "odd"}, 40);  // a warning refuses nothing
  EXPECT_TRUE(out.empty());
  StateWriter state;
  answers.save(state);
  const std::string bytes = state.take();
  answers = Answers(monitor, contract);
  StateReader in(bytes);
  answers.load(in);
  EXPECT_TRUE(in.done());
  send(RowOutcome::kQuarantined, {"source-quarantined"}, 50);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].key, "quarantine/app/default");
  EXPECT_TRUE(out[0].alert && out[0].raises && out[0].confirms);
  EXPECT_EQ(out[0].value, 101);
  EXPECT_EQ(out[0].rows, 401);
  const auto quiet = [&] {  // besides those of the service as a whole
    return std::count_if(out.begin(), out.end(), [](const Finding& f) {
      return f.key == "quarantine/app/default" && !f.alert;
    });
  };
  send(RowOutcome::kServed, {}, 100);  // it was let in: two quiet findings end it, a day apart
  EXPECT_EQ(quiet(), 1);
  request.event_time += kDay;
  send(RowOutcome::kServed, {}, 100);
  EXPECT_EQ(quiet(), 2);
  request.event_time += kDay;
  send(RowOutcome::kServed, {}, 100);
  EXPECT_EQ(quiet(), 2);
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
  for (const recover::Diagnosis& d : run.confirmed) {
    EXPECT_EQ(d.cause, &recover::contract_fault()) << d.reason;
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
  EXPECT_EQ(run.confirmed[0].cause, &recover::time_shift()) << run.confirmed[0].reason;
  EXPECT_EQ(run.confirmed[0].lag_hours, 5);
  EXPECT_EQ(run.confirmed[0].column, "at");
  EXPECT_EQ(run.confirmed[0].change_from / kDay, 103);
  EXPECT_EQ(run.confirmed_alerts[0].at, 105 * kDay);  // the second whole day confirms
  ASSERT_TRUE(run.watch.comparison().has_value());
  EXPECT_LT(run.watch.comparison()->standby_loss, run.watch.comparison()->primary_loss);
}

TEST(Watch, InvertedMorningsAreConceptShift) {
  Stream stream(9);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  play(run, stream, 103, 107, {.inverted = true});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::concept_shift()) << run.confirmed[0].reason;
  EXPECT_EQ(run.confirmed[0].change_from / kDay, 103);
  EXPECT_EQ(run.confirmed_alerts[0].at,
            106 * kDay);  // day 104 complete with its labels one day later
}

TEST(Watch, MovedBaseRateIsPriorShiftAndNothingElse) {
  Stream stream(10);
  Session run = start(stream);
  play(run, stream, 100, 112, {.prior = -1.2});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed[0].cause, &recover::prior_shift());
  EXPECT_NEAR(run.confirmed[0].offsets.at(0), -1.2, 0.4);
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

TEST(Watch, AClockIsReadInTheLayoutsOfTheContract) {
  auto options = Stream::options();
  ASSERT_EQ(options.contract.fields[0].name, "at");
  options.contract.fields[0].repairs.dates = {"%d.%m.%Y %H:%M"};
  Watch watch = *Watch::open(options);
  watch.register_route(route_of(Stream(14).baseline()));
  Output out;
  for (int i = 0; i < 250; ++i) {
    plane::RequestRecord request;
    request.request_id = fmt::format("r-{}", i);
    request.account = "app";
    request.route_version = 1;
    request.event_time = 100 * kDay + i * kMinute;
    plane::FieldValue at;
    at.kind = expr::Datum::Kind::kString;
    at.s = *table::DateFormat::compile("%d.%m.%Y %H:%M")->format(request.event_time + 5 * kHour);
    request.rows.push_back({.fields = {at, {}, {}}});
    watch.observe(request, out);
  }
  EXPECT_EQ(watch.clock("at"), 5 * kHour);
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
    for (const Alert& a : out.moves)
      text += std::string(stage_name(a.stage)) + a.first.digest().hex();
    return text;
  };
  Session whole{*Watch::open(Stream::options()), {}, {}, {}};
  whole.watch.register_route(route_of(baseline));
  whole.feed(records);
  for (std::size_t cut = 1; cut < records.size(); cut += records.size() / 23) {
    Session first{*Watch::open(Stream::options()), {}, {}, {}};
    first.watch.register_route(route_of(baseline));
    first.feed({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(cut)});
    Stored stored;
    stored.take(first.watch);
    Session second{*Watch::open(Stream::options()), first.out, {}, {}};
    second.watch.register_route(route_of(baseline));
    ASSERT_TRUE(second.watch.restore(stored.parts, stored.pieces).ok());
    ASSERT_EQ(second.watch.save(), first.watch.save());
    second.feed({records.begin() + static_cast<std::ptrdiff_t>(cut), records.end()});
    ASSERT_EQ(journal(second.out), journal(whole.out)) << "cut at record " << cut;
  }
}

TEST(Watch, ItsStateIsStoredInPiecesOfWhatChanged) {
  Stream stream(31);
  const Route route = route_of(stream.baseline());
  Session run{*Watch::open(Stream::options()), {}, {}, {}};
  run.watch.register_route(route);
  Stored stored;
  std::size_t first_days = 0;
  for (int day = 100; day < 112; ++day) {
    const std::size_t before = stored.piece_bytes;
    std::vector<plane::Record> records;
    stream.day(day, {}, records);
    // Labels of rows that never come wait as long as rows are kept; some of theirs come late.
    for (int i = 0; i < 5; ++i)
      records.push_back(plane::LabelRecord{fmt::format("lost{}-{}#0", day, i), true, day * kDay});
    const std::size_t half = records.size() / 2;
    run.feed({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(half)});
    stored.take(run.watch);
    run.feed({records.begin() + static_cast<std::ptrdiff_t>(half), records.end()});
    stored.take(run.watch);
    const std::size_t written = stored.piece_bytes - before;
    // A row and its label, once each: it does not grow with the days that are kept.
    if (day == 102) first_days = written;
    if (day > 102) {
      EXPECT_LT(written, first_days + first_days / 10) << day;
    }
    Watch again = *Watch::open(Stream::options());
    again.register_route(route);
    ASSERT_TRUE(again.restore(stored.parts, stored.pieces).ok()) << day;
    ASSERT_EQ(again.save(), run.watch.save()) << day;
    // The copy goes on as the first one would: with pieces of its own behind those it read.
    if (day % 3 == 0) run.watch = std::move(again);
  }
  EXPECT_EQ(run.watch.labels().forgotten, 5 * 5);  // of days 100 to 104
  EXPECT_EQ(run.watch.labels_waiting(), 5U * 7);
  // Rows are kept for seven days, and nothing of older ones: two pieces a day.
  EXPECT_LE(stored.pieces.size(), 2U * 9);
  const auto nothing = run.watch.change();
  EXPECT_FALSE(nothing.piece.has_value());
  EXPECT_TRUE(nothing.spent.empty());
}

std::int64_t seen(const Watch& watch) {
  const RowCounts& rows = watch.row_counts();
  return rows.taken + rows.partial + rows.late + rows.ahead + rows.unwatched + rows.other_epoch;
}

TEST(Watch, EveryRowIsCountedAsWhatBecameOfIt) {
  Stream stream(33);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  // The first day begins with its first row, at five: part of a day is no day.
  EXPECT_EQ(run.watch.row_counts().taken, 2 * Stream::kRows);
  EXPECT_EQ(run.watch.row_counts().partial, Stream::kRows);
  play(run, stream, 101, 102, {});  // a day that is over
  EXPECT_EQ(run.watch.row_counts().late, Stream::kRows);
  std::vector<plane::Record> records;
  stream.day(110, {}, records);
  for (const auto& record : records) {
    if (std::holds_alternative<plane::RequestRecord>(record)) run.feed({record});
  }
  EXPECT_EQ(run.watch.row_counts().ahead, Stream::kRows);
  records.clear();
  stream.day(103, {}, records, 0);  // by a route that nobody registered
  run.feed(records);
  EXPECT_EQ(run.watch.row_counts().unwatched, Stream::kRows);
  EXPECT_EQ(seen(run.watch), run.watch.rows_seen());
  // And the windows go on as if nothing of this had come.
  play(run, stream, 104, 106, {});
  EXPECT_EQ(run.watch.row_counts().taken, 4 * Stream::kRows);
  EXPECT_EQ(seen(run.watch), run.watch.rows_seen());
  EXPECT_TRUE(run.confirmed.empty());
}

TEST(Watch, ARowOfTheFarFutureBlindsNothing) {
  // One row a year ahead, and one at the end of time: the shift that comes after them is seen on
  // the same day.
  for (const Micros far : {102 * kDay + 365 * kDay, std::numeric_limits<Micros>::max(),
                           std::numeric_limits<Micros>::min()}) {
    Stream stream(34);
    Session run = start(stream);
    play(run, stream, 100, 102, {});
    std::vector<plane::Record> records;
    stream.day(102, {}, records);
    for (auto& record : records) {
      if (auto* request = std::get_if<plane::RequestRecord>(&record)) {
        request->event_time = far;
        run.feed({record});
        break;
      }
    }
    run.feed({plane::TickRecord{std::numeric_limits<Micros>::max()}});
    EXPECT_EQ(run.watch.watermark(), 102 * kDay);
    play(run, stream, 102, 106, {.shift_hours = 5});
    ASSERT_FALSE(run.confirmed.empty()) << far;
    EXPECT_EQ(run.confirmed.front().cause, &recover::time_shift()) << far;
    EXPECT_EQ(run.watch.row_counts().ahead, 1);
  }
}

plane::ActRecord clock_act(const char* act, Micros at) {
  return {act, "wall", at, "the wall clock says another time", "jump-1"};
}

/// Poisoned ticks a century ahead, then a person's way back: what comes after is seen as if nothing
/// of it had been, also by a watch that was saved and restored in between.
TEST(Watch, AfterItWasSetBackItHearsAgain) {
  Stream stream(37);
  Session run = start(stream);
  play(run, stream, 100, 103, {});
  run.feed({clock_act("clock-jump", 103 * kDay)});
  ASSERT_EQ(run.confirmed.size(), 1U);
  EXPECT_EQ(run.confirmed.front().cause, &recover::clock_jump());
  run.feed({plane::TickRecord{40'000 * kDay}});
  std::vector<plane::Record> records;
  stream.day(103, {.distance_ratio = 1.6}, records);
  run.feed(records);
  EXPECT_EQ(run.watch.watermark(), 40'000 * kDay) << "no tick of now decides anything";
  Stored store;
  store.take(run.watch);
  run.watch.set_back(104 * kDay);
  run.feed({clock_act("clock-set", 104 * kDay)});
  EXPECT_EQ(run.watch.watermark(), 104 * kDay);
  EXPECT_EQ(run.watch.labels_waiting(), 0U);
  run.confirmed.clear();
  play(run, stream, 104, 108, {.shift_hours = 5});
  ASSERT_FALSE(run.confirmed.empty());
  EXPECT_EQ(run.confirmed.front().cause, &recover::time_shift());
  EXPECT_EQ(run.watch.alerts().find("clock"), nullptr) << "two ticks that agree clear it";
  EXPECT_EQ(seen(run.watch), run.watch.rows_seen());
  EXPECT_GT(run.watch.labels().joined, 0) << "labels join rows of after it";
  store.take(run.watch);
  Watch again = *Watch::open(Stream::options());
  again.register_route(route_of(stream.baseline()));
  ASSERT_TRUE(again.restore(store.parts, store.pieces).ok());
  EXPECT_EQ(again.save(), run.watch.save());
}

TEST(Watch, SomebodyWhoTriesItInThePresentDoesNotBlindAReplayOfThePast) {
  Stream stream(35);
  Session run = start(stream);
  std::vector<plane::Record> records;
  stream.day(20'000, {}, records);
  run.feed({*std::find_if(records.begin(), records.end(), [](const auto& record) {
    return std::holds_alternative<plane::RequestRecord>(record);
  })});
  play(run, stream, 100, 104, {});
  play(run, stream, 104, 108, {.shift_hours = 5});
  ASSERT_FALSE(run.confirmed.empty());
  EXPECT_EQ(run.confirmed.front().cause, &recover::time_shift());
  EXPECT_EQ(run.watch.row_counts().ahead, 1);
  EXPECT_EQ(run.watch.row_counts().late, 0);
  EXPECT_EQ(seen(run.watch), run.watch.rows_seen());
}

TEST(Watch, ALabelOfTheFarFutureIsForgottenAsAnyOther) {
  Stream stream(36);
  Session run = start(stream);
  play(run, stream, 100, 101, {});
  run.feed({plane::LabelRecord{"nobody#0", true, plane::kLatestEvent - 1}});
  EXPECT_EQ(run.watch.labels_waiting(), 1U);
  play(run, stream, 101, 111, {});
  EXPECT_EQ(run.watch.labels_waiting(), 0U);
  EXPECT_EQ(run.watch.labels().forgotten, 1);
}

TEST(Watch, ALabelOfTheFarFutureThatCameBeforeTheFirstTickToo) {
  Stream stream(36);
  Session run = start(stream);
  run.feed({plane::LabelRecord{"nobody#0", true, plane::kLatestEvent - 1}});
  play(run, stream, 100, 111, {});
  EXPECT_EQ(run.watch.labels_waiting(), 0U);
  EXPECT_EQ(run.watch.labels().forgotten, 1);
}

TEST(Watch, WhatCameBeforeTheFirstTickOfALaterTimeSilencesNothing) {
  Stream stream(35);
  Session run = start(stream);
  std::vector<plane::Record> records;
  stream.day(20'000, {}, records);
  const auto row = std::find_if(records.begin(), records.end(), [](const auto& record) {
    return std::holds_alternative<plane::RequestRecord>(record);
  });
  std::get<plane::RequestRecord>(*row).account = "tries";
  run.feed({*row, plane::GapRecord{1, "the disk was full", 0, "tries"}});
  play(run, stream, 100, 104, {});
  EXPECT_EQ(run.watch.clock("at"), Micros{0});
  EXPECT_EQ(run.watch.alerts().find("journal/tries"), nullptr) << "everything is recorded again";
}

TEST(Watch, YearsWithoutARowAreOneStep) {
  Stream stream(37);
  Session run = start(stream);
  play(run, stream, 100, 104, {});
  const std::size_t before = run.out.findings.size();
  run.feed({plane::TickRecord{plane::kLatestEvent - 1}});
  // The chunks whose labels were known are judged; then nothing is left to judge, however long the
  // time.
  EXPECT_LE(run.out.findings.size(), before + 12);
  EXPECT_EQ(run.watch.watermark(), plane::kLatestEvent - 1);
}

TEST(Watch, WhatWasNotStoredIsInTheNextChange) {
  Stream stream(32);
  Session run = start(stream);
  Stored stored;
  play(run, stream, 100, 101, {});
  stored.take(run.watch);
  play(run, stream, 101, 102, {});
  (void)run.watch.change();  // its transaction failed
  play(run, stream, 102, 103, {});
  stored.take(run.watch);
  Watch again = *Watch::open(Stream::options());
  ASSERT_TRUE(again.restore(stored.parts, stored.pieces).ok());
  EXPECT_EQ(again.save(), run.watch.save());
}

TEST(Watch, TornStateIsRefused) {
  Stream stream(14);
  Session run = start(stream);
  Stored whole;
  for (int day = 100; day < 103; ++day) {
    play(run, stream, day, day + 1, {});
    whole.take(run.watch);
  }
  ASSERT_EQ(whole.pieces.size(), 3U);
  const auto refused = [](const Stored& stored) {
    Watch fresh = *Watch::open(Stream::options());
    const auto restored = fresh.restore(stored.parts, stored.pieces);
    return restored.ok() ? std::string() : restored.error().id;
  };
  EXPECT_EQ(refused(whole), "");
  for (const auto& [name, bytes] : whole.parts) {
    for (const std::size_t size : {std::size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      Stored torn = whole;
      torn.parts[name].resize(size);
      EXPECT_EQ(refused(torn), name == "head" && size == 0 ? "watch-state-version" : "watch-state")
          << name << " " << size;
    }
    Stored without = whole;
    without.parts.erase(name);
    EXPECT_EQ(refused(without), "watch-state") << name;
  }
  for (const std::uint64_t number : {0, 1, 2}) {
    Stored torn = whole;
    torn.pieces[number].resize(torn.pieces[number].size() / 2);
    EXPECT_EQ(refused(torn), "watch-state") << number;
    Stored without = whole;
    without.pieces.erase(number);
    EXPECT_EQ(refused(without), "watch-state") << number;
  }
}

TEST(Baseline, SurvivesItsJson) {
  Stream stream(15);
  const Baseline built = stream.baseline();
  const std::string text = doc::to_json(baseline_schema().print(built));
  const auto read = baseline_schema().parse(*doc::parse_json(text));
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(baseline_schema().print(*read)), text);
  EXPECT_EQ(read->metrics.size(), 4U);
  EXPECT_EQ(read->dependencies.at(0).expected.size(), 40U);
  EXPECT_GT(read->ratio_chunks, 30);
}

TEST(Baseline, AMonitorOfAnUnknownColumnIsRefused) {
  spec::Monitor monitor = Stream::monitor();
  monitor.distributions[0].column = "hour";
  EXPECT_EQ(build_baseline(monitor, Stream::contract(), {}).error().id, "watch-column");
}

}  // namespace
}  // namespace heddle::watch
