#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "base/folder_fixture.hpp"
#include "doc/json.hpp"
#include "replay/fault.hpp"
#include "replay/fault_fixture.hpp"
#include "replay/flights_fixture.hpp"
#include "replay/recording.hpp"
#include "spec/load.hpp"

namespace heddle::replay {
namespace {

/// A day of flights, every ten minutes, with faults laid over it.
class LaidFaults : public testing::Test {
 protected:
  static constexpr int kRows = 144;

  void SetUp() override { file_ = write_flights(folder_, kStart, kRows); }

  Result<Recording> try_open(std::vector<spec::Fault> faults, const std::string& target = {}) {
    Recording::Options options = recording_options(file_);
    options.faults = std::move(faults);
    if (!target.empty()) options.target = target;
    return Recording::open(options);
  }
  Recording open(std::vector<spec::Fault> faults, const std::string& target = {}) {
    auto recording = try_open(std::move(faults), target);
    if (!recording.ok()) {
      ADD_FAILURE() << recording.error().str();
      std::abort();
    }
    return std::move(*recording);
  }
  static std::string sent(const Recording& recording, std::int64_t row) {
    std::string json;
    recording.append_json(row, json);
    return json;
  }
  /// One field of a row as it is sent; nothing where it is left out.
  static std::optional<doc::Value> sent_field(const Recording& recording, std::int64_t row,
                                              const std::string& field) {
    const auto value = doc::parse_json(sent(recording, row));
    EXPECT_TRUE(value.ok()) << sent(recording, row);
    const doc::Value* const found = value->find(field);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  static table::Table all_received(const Recording& recording) {
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < recording.rows(); ++row) rows.push_back(row);
    return recording.received(rows);
  }
  /// What a service reads from what is sent is what `received` says, cell by cell.
  static void expect_received_as_sent(const Recording& recording) {
    const table::Table received = all_received(recording);
    for (const table::Column& column : received.columns()) {
      for (std::int64_t row = 0; row < recording.rows(); ++row) {
        const auto value = sent_field(recording, row, column.name);
        const expr::Datum cell = column.cell(column.view(), row);
        if (cell.is_null()) {
          EXPECT_TRUE(!value || value->is_null()) << column.name << " of " << row;
          continue;
        }
        ASSERT_TRUE(value && !cell.is_error()) << column.name << " of " << row;
        switch (column.type) {
          case table::Type::kString: EXPECT_EQ(value->as_string(), cell.str()); break;
          case table::Type::kTimestamp:
            EXPECT_EQ(parse_time(value->as_string()), cell.i) << row;
            break;
          default: EXPECT_EQ(value->as_double(), cell.number()) << row;
        }
      }
    }
  }

  const fixture::Folder folder_;
  std::string file_;
};

TEST(Faults, AreChosenByName) {
  spec::Project project;
  for (const char* name : {"a", "b-code", "b-date"})
    project.faults[name] = fault_of(name, "drop: true\n");
  project.faults["other"] = fault_of("other", "drop: true\n");
  project.faults["other"].contract = "trips";
  const auto names = [&](const std::string& text) {
    std::vector<std::string> out;
    const auto faults = faults_named(project, "flights", text);
    EXPECT_TRUE(faults.ok()) << text;
    for (const spec::Fault& fault : *faults) out.push_back(fault.identity.name);
    return out;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names("none"), Names{});
  EXPECT_EQ(names("all"), (Names{"a", "b-code", "b-date"}));
  EXPECT_EQ(names("b-date,a"), (Names{"b-date", "a"})) << "in the order in which they are named";
  const auto near = faults_named(project, "flights", "a,b-dat");
  ASSERT_FALSE(near.ok());
  EXPECT_EQ(near.error().id, "replay-unknown-fault");
  EXPECT_NE(near.error().hint.find("did you mean `b-date`?"), std::string::npos);
  EXPECT_NE(near.error().hint.find("`a`, `b-code`, `b-date`"), std::string::npos);
  for (const char* text : {"other", "", "a,", "zebra"})
    EXPECT_EQ(faults_named(project, "flights", text).error().id, "replay-unknown-fault") << text;
  EXPECT_NE(faults_named(project, "ships", "a").error().hint.find("`faults/`"), std::string::npos);
}

TEST_F(LaidFaults, AreWhereTheirDefinitionSaysTheyAre) {
  const Recording recording =
      open({fault_of("hours",
                     "from: \"2001-04-10T06:00:00Z\"\nto: \"2001-04-10T12:00:00Z\"\n"
                     "missing: [distance]\n"),
            fault_of("source", "sources: [s2, s4]\nmissing: [distance]\n"),
            fault_of("unknown", "sources: [nobody]\nmissing: [distance]\n"),
            fault_of("late", "where: delay > 15 && label\nmissing: [distance]\n"),
            fault_of("odd", "where: 10 / (distance - 103) > 0\nmissing: [distance]\n"),
            fault_of("low", "share: [0, 0.3]\nmissing: [distance]\n"),
            fault_of("high", "share: [0.3, 1]\nmissing: [distance]\n")});
  std::map<int, int> rows;
  for (std::int64_t row = 0; row < recording.rows(); ++row) {
    const FaultBits bits = recording.fault_bits(row);
    const int source = recording.source(row);
    EXPECT_EQ((bits & 1) != 0, row >= 36 && row < 72) << row;
    EXPECT_EQ((bits & 2) != 0, source == 2 || source == 4) << row;
    EXPECT_EQ(bits & 4, 0u) << row;
    EXPECT_EQ((bits & 8) != 0, row % 5 == 0) << row;
    // A distance of 103 fails: it is not known to be one of them.
    EXPECT_EQ((bits & 16) != 0, row % 7 > 3) << row;
    // Each row has one draw: the two share none, and leave none over.
    EXPECT_EQ((bits & 32) != 0, (bits & 64) == 0) << row;
    for (int bit = 0; bit < 7; ++bit) rows[bit] += (bits >> bit & 1) != 0 ? 1 : 0;
  }
  EXPECT_GT(rows[1], 0) << "no airport of the recording hashes to the sources";
  EXPECT_NEAR(rows[5], 0.3 * kRows, 20);
  for (int bit = 0; bit < 7; ++bit)
    EXPECT_EQ(recording.touched()[static_cast<std::size_t>(bit)], rows[bit]) << bit;
}

TEST_F(LaidFaults, RowsOfAServiceWithoutSourcesAreOfDefault) {
  Recording::Options options = recording_options(file_);
  options.sources.clear();
  options.faults = {fault_of("d", "sources: [default]\nmissing: [distance]\n")};
  const auto recording = Recording::open(options);
  ASSERT_TRUE(recording.ok()) << recording.error().str();
  EXPECT_EQ(recording->touched()[0], kRows);
}

TEST_F(LaidFaults, AChangeOfTheFieldsTypeIsUnderstood) {
  const Recording recording = open({fault_of("f",
                                             "where: distance >= 103\nchange:\n"
                                             "  distance: round(distance * 1.609344)\n"
                                             "  date: date + duration('5h')\n"
                                             "  origin: origin + 'Q'\n")});
  for (std::int64_t row = 0; row < recording.rows(); ++row) {
    const int miles = 100 + static_cast<int>(row % 7);
    const bool is_touched = miles >= 103;
    EXPECT_EQ(recording.fault_bits(row), is_touched ? 1u : 0u);
    EXPECT_EQ(sent_field(recording, row, "distance")->as_int(),
              is_touched ? std::llround(miles * 1.609344) : miles);
    EXPECT_EQ(sent_field(recording, row, "origin")->as_string().size(), is_touched ? 4u : 3u);
    // Its event time stays the true one.
    EXPECT_EQ(recording.event_time(row), kStart + row * 10 * kMinute);
    EXPECT_EQ(parse_time(sent_field(recording, row, "date")->as_string()),
              recording.event_time(row) + (is_touched ? 5 * kHour : 0));
  }
  // 23:10 becomes 04:10 of the next day.
  EXPECT_NE(sent(recording, 142).find("\"2001-04-10T23:40:00Z\""), std::string::npos);
  EXPECT_NE(sent(recording, 139).find("\"2001-04-11T04:10:00Z\""), std::string::npos);
  expect_received_as_sent(recording);
}

TEST_F(LaidFaults, AChangeToAnotherTypeIsSentAsItIs) {
  const Recording recording = open({fault_of("f",
                                             "change:\n"
                                             "  date: \"'04/20/01'\"\n"
                                             "  distance: distance / 2.0\n"
                                             "  origin: distance > 103\n"
                                             "  destination: distance\n")});
  EXPECT_EQ(sent(recording, 0),
            R"({"date":"04/20/01","distance":50,"origin":false,"destination":100})");
  EXPECT_EQ(sent(recording, 5),
            R"({"date":"04/20/01","distance":52.5,"origin":true,"destination":105})");
  const table::Table received = all_received(recording);
  const auto is_malformed = [&](const char* field, std::size_t row) {
    return received.find(field)->malformed_text(row).has_value();
  };
  // A number without a fraction is one of the field's own values.
  EXPECT_EQ(received.find("distance")->ints[0], 50);
  EXPECT_FALSE(is_malformed("distance", 0));
  EXPECT_TRUE(is_malformed("distance", 5) && is_malformed("date", 0) && is_malformed("origin", 0) &&
              is_malformed("destination", 5));
  EXPECT_EQ(received.find("date")->malformed_text(0), "04/20/01");
  // A text that says a time is a time to whoever reads it, and is sent as it stands.
  const Recording times = open({fault_of("f", "change: {date: \"'2001-04-20'\"}\n")});
  EXPECT_EQ(sent_field(times, 0, "date")->as_string(), "2001-04-20");
  EXPECT_EQ(all_received(times).find("date")->ints[0], from_civil({2001, 4, 20}));
}

TEST_F(LaidFaults, NothingIsSentAsNull) {
  const Recording recording = open({fault_of("f",
                                             "change:\n"
                                             "  date: \"null\"\n"
                                             "  distance: 100 / (distance - 103)\n")});
  EXPECT_EQ(sent(recording, 3),
            R"({"date":null,"distance":null,"origin":"LAX","destination":"SFO"})");
  EXPECT_EQ(sent_field(recording, 4, "distance")->as_int(), 100);
  expect_received_as_sent(recording);
}

TEST_F(LaidFaults, AllChangesOfAFaultReadTheRowBeforeIt) {
  const Recording recording =
      open({fault_of("swap", "change: {origin: destination, destination: origin}\n")});
  EXPECT_EQ(sent_field(recording, 0, "origin")->as_string(), "ORD");
  EXPECT_EQ(sent_field(recording, 0, "destination")->as_string(), "ATL");
  expect_received_as_sent(recording);
}

TEST_F(LaidFaults, MissingFieldsAreNotSent) {
  const Recording recording =
      open({fault_of("f", "where: distance >= 103\nmissing: [date, distance]\n")});
  EXPECT_EQ(sent(recording, 3), R"({"origin":"LAX","destination":"SFO"})");
  EXPECT_EQ(sent(recording, 1),
            R"({"date":"2001-04-10T00:10:00Z","distance":101,"origin":"ORD","destination":"JFK"})");
  expect_received_as_sent(recording);
  const Recording nothing =
      open({fault_of("f", "missing: [date, distance, origin, destination]\n")});
  EXPECT_EQ(sent(nothing, 0), "{}");
}

TEST_F(LaidFaults, RenamedFieldsAreSentUnderTheirOtherName) {
  const Recording recording =
      open({fault_of("f",
                     "where: distance >= 103\n"
                     "rename: {distance: \"miles \\\"as flown\\\"\", origin: from}\n")});
  EXPECT_EQ(sent(recording, 3), R"({"date":"2001-04-10T00:30:00Z",)"
                                R"("miles \"as flown\"":103,"from":"LAX","destination":"SFO"})");
  EXPECT_EQ(sent_field(recording, 1, "distance")->as_int(), 101);
  // Whoever looks for the field finds nothing.
  const table::Table received = all_received(recording);
  EXPECT_TRUE(received.find("distance")->view().at(3).is_null());
  EXPECT_TRUE(received.find("origin")->view().at(3).is_null());
  EXPECT_EQ(received.find("distance")->ints[1], 101);
  EXPECT_EQ(received.find("origin")->malformed_text(3), std::nullopt);
}

TEST_F(LaidFaults, ActOneAfterAnother) {
  const Recording recording = open({
      fault_of("first", "where: distance >= 101\nchange: {distance: distance + 100}\n"),
      fault_of("second", "where: distance >= 102\nchange: {distance: distance * 2}\n"),
      // The recorded distance: what was changed does not count.
      fault_of("third", "where: distance == 103\nmissing: [distance]\n"),
      fault_of("fourth", "where: distance == 104\nchange: {distance: \"'far'\"}\n"),
      // No number stands there any more.
      fault_of("fifth", "where: distance == 104\nchange: {distance: distance + 1}\n"),
      fault_of("sixth", "where: distance == 105\nmissing: [distance]\n"),
      fault_of("seventh", "where: distance == 105\nchange: {distance: \"7\"}\n"),
  });
  EXPECT_EQ(sent_field(recording, 0, "distance")->as_int(), 100);
  EXPECT_EQ(sent_field(recording, 1, "distance")->as_int(), 201);
  EXPECT_EQ(sent_field(recording, 2, "distance")->as_int(), 404);
  EXPECT_EQ(sent_field(recording, 3, "distance"), std::nullopt);
  EXPECT_TRUE(sent_field(recording, 4, "distance")->is_null());
  EXPECT_EQ(sent_field(recording, 5, "distance")->as_int(), 7) << "it is sent again";
  EXPECT_EQ(recording.fault_bits(5), 0b1100011u);
  expect_received_as_sent(recording);
}

TEST_F(LaidFaults, TheWorldChangesByTheRecordedRow) {
  const Recording recording =
      open({fault_of("mornings",
                     "where: date.getHours() >= 6 && date.getHours() < 12\n"
                     "label: \"!label\"\n"),
            // Each is laid over what stands: what was turned over twice is as it was.
            fault_of("again", "where: date.getHours() == 7\nlabel: \"!label\"\n"),
            fault_of("unknown", "where: date.getHours() == 20\nlabel: 1 / delay > 0\n")});
  std::int64_t unknown = 0;
  for (std::int64_t row = 0; row < recording.rows(); ++row) {
    const std::int64_t hour = row * 10 / 60;
    const bool is_inverted = hour >= 6 && hour < 12 && hour != 7;
    const bool was_late = row % 5 == 0;
    if (hour == 20 && !was_late) {
      EXPECT_EQ(recording.label(row), std::nullopt) << row;
      ++unknown;
      continue;
    }
    const bool expected = hour == 20 ? false : was_late != is_inverted;
    EXPECT_EQ(recording.label(row), stats::Label(expected)) << row;
    EXPECT_EQ(recording.sent_label(row), recording.label(row)) << row;
  }
  EXPECT_EQ(recording.unlabelled(), unknown);
}

TEST_F(LaidFaults, SentLabelsAreWrongAndTheWorldStaysAsItWas) {
  const Recording recording =
      open({fault_of("said", "sources: [s2]\nsent_label: \"!label\"\n"),
            fault_of("world", "where: distance == 100\nlabel: \"true\"\n")});
  int wrong = 0;
  for (std::int64_t row = 0; row < recording.rows(); ++row) {
    EXPECT_EQ(recording.label(row), stats::Label(row % 5 == 0 || row % 7 == 0)) << row;
    EXPECT_EQ(recording.sent_label(row) != recording.label(row), recording.source(row) == 2) << row;
    wrong += recording.source(row) == 2 ? 1 : 0;
  }
  EXPECT_GT(wrong, 0);
}

TEST_F(LaidFaults, LabelsMayBeClassesAndNumbers) {
  const Recording classes = open({fault_of("f",
                                           "where: label == 'late'\nlabel: \"label + 'st'\"\n"
                                           "sent_label: \"distance > 103 ? 'late' : 'early'\"\n")},
                                 "delay > 15 ? 'late' : 'early'");
  EXPECT_EQ(classes.label(0), stats::Label(std::string("latest")));
  EXPECT_EQ(classes.label(1), stats::Label(std::string("early")));
  EXPECT_EQ(classes.sent_label(0), stats::Label(std::string("early"))) << "a distance of 100";
  EXPECT_EQ(classes.sent_label(5), stats::Label(std::string("late"))) << "of 105";
  EXPECT_EQ(classes.sent_label(1), classes.label(1));

  const Recording numbers =
      open({fault_of("f", "where: label > 15\nlabel: label + delay\nsent_label: label * 60\n")},
           "delay");
  EXPECT_EQ(numbers.label(0), stats::Label(60.0));
  EXPECT_EQ(numbers.sent_label(0), stats::Label(3600.0)) << "it begins with what became of it";
  EXPECT_EQ(numbers.label(1), stats::Label(0.0));

  // A label is of the target's type.
  const auto wrong = try_open({fault_of("f", "label: \"!label\"\n")}, "delay");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().id, "replay-fault");
  EXPECT_NE(wrong.error().message.find("fault `f`: `label`"), std::string::npos)
      << wrong.error().message;
  EXPECT_EQ(try_open({fault_of("f", "sent_label: \"'late'\"\n")}).error().id, "replay-fault");
}

TEST_F(LaidFaults, DroppedRowsAreLeftOut) {
  const Recording recording =
      open({fault_of("fewer", "where: label\nto: \"2001-04-10T12:00:00Z\"\ndrop: true\n"),
            fault_of("half", "share: [0, 0.5]\nmissing: [distance]\n")});
  const Recording whole = open({fault_of("half", "share: [0, 0.5]\nmissing: [distance]\n")});
  EXPECT_EQ(recording.touched()[0], 15);
  EXPECT_EQ(recording.rows(), kRows - 15);
  int late = 0;
  for (std::int64_t row = 0; row < recording.rows(); ++row) {
    const bool is_late = recording.label(row) == stats::Label(true);
    EXPECT_FALSE(is_late && recording.event_time(row) < kStart + 12 * kHour);
    late += is_late ? 1 : 0;
    EXPECT_EQ(parse_time(sent_field(recording, row, "date")->as_string()),
              recording.event_time(row))
        << "rows and their fields go together";
    // A row's draw is its own, whatever else is left out.
    const std::int64_t recorded = (recording.event_time(row) - kStart) / (10 * kMinute);
    EXPECT_EQ(recording.fault_bits(row) >> 1, whole.fault_bits(recorded)) << row;
    EXPECT_EQ(recording.source(row), whole.source(recorded)) << row;
  }
  EXPECT_GT(late, 0) << "after the fault they come again";
  EXPECT_EQ(try_open({fault_of("whole", "drop: true\n")}).error().id, "replay-empty");
}

TEST_F(LaidFaults, WhatDoesNotFitTheRecordingIsTold) {
  for (const auto& [keys, what] : std::map<std::string, std::string>{
           {"missing: [speed]\n", "`missing` names `speed`"},
           {"change: {delay: \"1\"}\n", "`change` names `delay`"},
           {"change: {distance: delay + 1}\n", "`change.distance`"},
           {"where: origin\ndrop: true\n", "`where`"},
           {"where: lable\ndrop: true\n", "nothing is named `lable`"}}) {
    const auto recording = try_open({fault_of("f", keys)});
    ASSERT_FALSE(recording.ok()) << keys;
    EXPECT_EQ(recording.error().id, "replay-fault") << keys;
    EXPECT_EQ(recording.error().where, "faults/test.yaml");
    EXPECT_NE(recording.error().message.find(what), std::string::npos) << recording.error().message;
    EXPECT_FALSE(recording.error().hint.empty()) << keys;
  }
  const std::vector<spec::Fault> many(kMostFaults + 1, fault_of("f", "missing: [distance]\n"));
  EXPECT_EQ(try_open(many).error().id, "replay-options");
  const Recording most =
      open(std::vector<spec::Fault>(kMostFaults, fault_of("f", "missing: [distance]\n")));
  EXPECT_EQ(most.fault_bits(0), ~FaultBits{0});
}

/// The demo's four, as they were measured: docs/adr/0009.
TEST(ExampleFaults, TouchWhatTheySay) {
  const auto loaded = spec::load_project("examples/flights");
  ASSERT_TRUE(loaded.ok());
  std::map<std::string, spec::Fault> faults = loaded->project.faults;
  const auto opened = [&](const std::string& name, int month, int day) {
    const fixture::Folder folder;
    Recording::Options options =
        recording_options(write_flights(folder, from_civil({2001, month, day}), 144));
    options.sources = loaded->project.services.at("delay").sources;
    options.faults = {faults.at(name)};
    auto recording = Recording::open(options);
    EXPECT_TRUE(recording.ok()) << recording.error().str();
    return std::move(*recording);
  };
  const auto touched = [&](const std::string& name, int month, int day) {
    return opened(name, month, day).touched()[0];
  };
  const Recording a = opened("a", 4, 10);
  for (std::int64_t row = 0; row < a.rows(); ++row)
    EXPECT_EQ(a.fault_bits(row) != 0, a.source(row) == 2) << row;
  EXPECT_EQ(touched("a", 4, 9), 0);
  EXPECT_GT(touched("a", 4, 11), 0);
  EXPECT_EQ(touched("a", 4, 12), 0);
  EXPECT_EQ(touched("b-date", 4, 19) + touched("b-code", 4, 21), 0);
  EXPECT_GT(touched("b-date", 4, 20), 0);
  EXPECT_GT(touched("b-code", 4, 20), 0);
  EXPECT_LT(touched("b-date", 4, 20) + touched("b-code", 4, 20), 40) << "a tenth of the rows";
  EXPECT_EQ(touched("c", 5, 10) + touched("c", 5, 30), 0) << "one of the faults ends";
  EXPECT_EQ(touched("c", 5, 11), 144);
  EXPECT_EQ(touched("d", 6, 7), 0);
  const Recording d = opened("d", 6, 8);
  for (std::int64_t row = 0; row < d.rows(); ++row) {
    const bool is_inverted = row >= 36 && row < 72;
    EXPECT_EQ(d.label(row), stats::Label((row % 5 == 0) != is_inverted)) << row;
  }
  EXPECT_EQ(faults.at("b-date").reported_as(), "b");
  EXPECT_EQ(faults.at("a").reported_as(), "a");
}

}  // namespace
}  // namespace heddle::replay
