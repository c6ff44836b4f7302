// Fields that are computed from a source: which rows a row sees, and what cannot be read.
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "table/table.hpp"
#include "upstream/joined_reader.hpp"
#include "upstream/joiner.hpp"

namespace heddle::upstream {
namespace {

using expr::Type;
using spec::Aggregate;
using testing::ElementsAre;
using testing::HasSubstr;

/// Flights of airports, with weather of stations.
class Upstreams : public testing::Test {
 protected:
  void SetUp() override {
    put("weather.csv",
        "station,observed,temp,sky\n"
        "A,2001-01-01T01:00:00Z,1,clear\n"
        "A,2001-01-01T03:00:00Z,3,rain\n"
        "B,2001-01-01T02:00:00Z,20,clear\n"
        "A,2001-01-01T02:00:00Z,2,\n"
        "A,2001-01-01T02:00:00Z,2.5,fog\n"
        "A,2001-01-01T04:00:00Z,,sun\n");
    add({.name = "at", .type = Type::kTimestamp});
    add({.name = "origin", .type = Type::kString});
  }
  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file_atomic(folder_ / name, text).ok());
    project_.sources[name.substr(0, name.find('.'))] = table::Input(folder_ / name);
  }
  void add(spec::Field field) { definition_.fields.push_back(std::move(field)); }
  static spec::Upstream weather(Aggregate aggregate, std::string value,
                                std::optional<Micros> window = {}) {
    return {.source = "weather",
            .key = {{"origin", "station"}},
            .time = "observed",
            .value = std::move(value),
            .aggregate = aggregate,
            .window = window};
  }
  void add(const std::string& name, Type type, spec::Upstream upstream) {
    spec::Field field{.name = name, .type = type};
    field.upstream = std::move(upstream);
    add(std::move(field));
  }
  Result<Joiner> open() {
    auto contract = contract::Contract::compile(
        definition_,
        [](const std::string&, const std::string&) { return std::vector<std::string>(); });
    contract_ = std::make_unique<contract::Contract>(std::move(*contract));
    Joiner::Options options;
    options.project = &project_;
    options.contract = contract_.get();
    options.fields = fields_to_join(contract_->fields(), {});
    options.time_field = "at";
    options.own_source = "rows";
    return Joiner::open(options);
  }
  /// The values of a joined column, each as text.
  std::vector<std::string> joined(const std::string& rows, const std::string& name) {
    put("rows.csv", rows);
    auto joiner = open();
    EXPECT_TRUE(joiner.ok()) << joiner.error().message;
    if (!joiner.ok()) return {joiner.error().message};
    table::ReadOptions reading;
    for (const auto& field : contract_->fields()) {
      if (!field.upstream) reading.types.emplace(field.name, field.type);
    }
    reading.as_text = contract_->text_fields();
    const auto table = joiner->join(table::read_table(folder_ / "rows.csv", reading).value());
    EXPECT_TRUE(table.ok()) << table.error().message;
    notes_ = joiner->notes();
    return shown(*table->find(name));
  }
  static std::vector<std::string> shown(const table::Column& column) {
    std::vector<std::string> out;
    const auto view = column.view();
    for (std::int64_t row = 0; row < view.length; ++row) {
      const auto value = view.at(row);
      out.push_back(value.is_null()                   ? "-"
                    : column.type == Type::kString    ? std::string(value.str())
                    : column.type == Type::kTimestamp ? format_time(value.i)
                                                      : fmt::format("{}", value.number()));
    }
    return out;
  }
  static constexpr const char* kFlights =
      "at,origin\n"
      "2001-01-01T02:30:00Z,A\n"
      "2001-01-01T02:00:00Z,A\n"
      "2001-01-01T00:30:00Z,A\n"
      "2001-01-02T00:00:00Z,B\n"
      "2001-01-01T03:00:00Z,C\n"
      ",A\n"
      "2001-01-01T05:00:00Z,\n"
      "2001-01-01T05:00:00Z,A\n";

  fixture::Folder folder_;
  spec::Project project_;
  spec::Contract definition_;
  std::unique_ptr<contract::Contract> contract_;
  std::vector<std::string> notes_;
};

TEST_F(Upstreams, TheLastIsThatBeforeNeverThatOfTheSameTime) {
  add("temp", Type::kDouble, weather(Aggregate::kLast, "temp"));
  // Of 02:00 twice the last in the file counts; the newest row's value may be missing.
  EXPECT_THAT(joined(kFlights, "temp"), ElementsAre("2.5", "1", "-", "20", "-", "-", "-", "-"));
  EXPECT_THAT(notes_, ElementsAre("`temp`: computed from source `weather`"));
}

TEST_F(Upstreams, TextsAreJoinedToo) {
  add("sky", Type::kString, weather(Aggregate::kLast, "sky"));
  EXPECT_THAT(joined(kFlights, "sky"),
              ElementsAre("fog", "clear", "-", "clear", "-", "-", "-", "sun"));
}

TEST_F(Upstreams, AWindowIsTheGreatestAge) {
  add("temp", Type::kDouble, weather(Aggregate::kLast, "temp", kHour));
  EXPECT_THAT(joined(kFlights, "temp"), ElementsAre("2.5", "1", "-", "-", "-", "-", "-", "-"));
}

TEST_F(Upstreams, ARowIsKnownAfterItsDelay) {
  auto late = weather(Aggregate::kLast, "temp");
  late.delay = kHour;
  add("temp", Type::kDouble, late);
  EXPECT_THAT(joined(kFlights, "temp"), ElementsAre("1", "-", "-", "20", "-", "-", "-", "3"));
}

TEST_F(Upstreams, AggregatesOfAWindow) {
  add("rows", Type::kInt, weather(Aggregate::kCount, "", 3 * kHour));
  add("known", Type::kDouble, weather(Aggregate::kCount, "temp", 3 * kHour));
  add("sum", Type::kDouble, weather(Aggregate::kSum, "temp", 3 * kHour));
  add("mean", Type::kDouble, weather(Aggregate::kMean, "temp", 3 * kHour));
  add("least", Type::kDouble, weather(Aggregate::kMin, "temp", 3 * kHour));
  add("largest", Type::kDouble, weather(Aggregate::kMax, "temp", 3 * kHour));
  // Of 05:00 rows of 02:00 to 04:00; where nothing is seen there is nothing but a count of 0.
  EXPECT_THAT(joined(kFlights, "rows"), ElementsAre("3", "1", "0", "0", "0", "0", "0", "4"));
  EXPECT_THAT(joined(kFlights, "known"), ElementsAre("3", "1", "0", "0", "0", "0", "0", "3"));
  EXPECT_THAT(joined(kFlights, "sum"), ElementsAre("5.5", "1", "-", "-", "-", "-", "-", "7.5"));
  EXPECT_THAT(joined(kFlights, "mean").back(), "2.5");
  EXPECT_THAT(joined(kFlights, "least").back(), "2");
  EXPECT_THAT(joined(kFlights, "largest").back(), "3");
}

TEST_F(Upstreams, WithoutAKeyEveryRowSeesAll) {
  auto all = weather(Aggregate::kMax, "temp", kDay);
  all.key.clear();
  add("temp", Type::kDouble, all);
  EXPECT_THAT(joined(kFlights, "temp"), ElementsAre("20", "1", "-", "20", "20", "-", "20", "20"));
}

TEST_F(Upstreams, TheSourceMayBeTheRowsThemselves) {
  add({.name = "delay", .type = Type::kInt, .label_time = true});
  add("lag", Type::kInt,
      {.source = "rows",
       .key = {{"origin", "origin"}},
       .time = "at",
       .value = "delay",
       .delay = 2 * kHour});
  add("before", Type::kInt,
      {.source = "rows",
       .key = {{"origin", "origin"}},
       .time = "at",
       .aggregate = Aggregate::kCount,
       .window = kDay});
  const std::string rows =
      "at,origin,delay\n"
      "2001-01-01T01:00:00Z,A,10\n"
      "2001-01-01T02:00:00Z,A,20\n"
      "2001-01-01T02:00:00Z,A,30\n"
      "2001-01-01T03:30:00Z,A,40\n"
      "2001-01-01T04:00:00Z,B,50\n";
  // At 03:30 the delay of 01:00 is known, that of 02:00 is not.
  EXPECT_THAT(joined(rows, "lag"), ElementsAre("-", "-", "-", "10", "-"));
  EXPECT_THAT(joined(rows, "before"), ElementsAre("0", "1", "1", "3", "0"));
}

TEST_F(Upstreams, KeysAndTimesAreThoseThatTheContractRepairs) {
  definition_.fields[0].repairs.dates = {"%d.%m.%Y %H:%M"};
  definition_.fields[1].repairs.trim = true;
  definition_.fields[1].repairs.letter_case = spec::LetterCase::kUpper;
  add("temp", Type::kDouble, weather(Aggregate::kLast, "temp"));
  add("before", Type::kInt,
      {.source = "rows",
       .key = {{"origin", "origin"}},
       .time = "at",
       .aggregate = Aggregate::kCount,
       .window = kDay});
  const std::string rows = "at,origin\n01.01.2001 02:30, a\n01.01.2001 02:00,A \n";
  EXPECT_THAT(joined(rows, "temp"), ElementsAre("2.5", "1"));
  EXPECT_THAT(joined(rows, "before"), ElementsAre("1", "0"));
}

TEST_F(Upstreams, AWholeNumberMayBeMadeOfAnother) {
  add("origin_no", Type::kInt, weather(Aggregate::kLast, "temp"));
  definition_.fields.pop_back();
  put("ids.csv", "id,seen,size\n7,2001-01-01,40\n7,2001-01-02,x\nseven,2001-01-01,3\n7,never,1\n");
  add({.name = "id", .type = Type::kInt});
  add("size", Type::kInt,
      {.source = "ids", .key = {{"id", "id"}}, .time = "seen", .value = "size"});
  EXPECT_THAT(joined("at,origin,id\n2001-01-02T00:00:00Z,A,7\n2001-01-03T00:00:00Z,A,7\n", "size"),
              ElementsAre("40", "-"));
  EXPECT_THAT(
      notes_,
      ElementsAre("`size`: computed from source `ids`",
                  "source `ids`: 1 rows have in `seen` no time that can be read: no row "
                  "sees them",
                  "source `ids`: 1 rows have in `id` what is no value of the key's type: no "
                  "row sees them",
                  "source `ids`: 1 rows have in `size` what is no value of the field's "
                  "type: it counts as missing"));
}

TEST_F(Upstreams, WhatCannotBeReadIsAnError) {
  const auto error_of = [&](spec::Upstream upstream, Type type = Type::kDouble) {
    const auto fields = definition_.fields;
    add("x", type, std::move(upstream));
    const auto joiner = open();
    definition_.fields = fields;
    return joiner.ok() ? std::string("none") : joiner.error().id + ": " + joiner.error().message;
  };
  EXPECT_EQ(error_of(weather(Aggregate::kLast, "temperature")),
            "column-missing: source `weather` has no column `temperature`, which `upstream` names");
  auto upstream = weather(Aggregate::kLast, "temp");
  upstream.time = "sky";
  EXPECT_EQ(error_of(upstream),
            "upstream-no-time: no row of source `weather` has a time that can be read in `sky`");
  upstream = weather(Aggregate::kLast, "station");
  EXPECT_THAT(error_of(upstream), HasSubstr("column-type: column `station` of source `weather` is "
                                            "read as a string and as a double"));
  project_.sources["weather"] = table::Input(folder_ / "gone.csv");
  EXPECT_THAT(error_of(weather(Aggregate::kLast, "temp")),
              HasSubstr("source-missing: source `weather`: "));
  put("weather.csv", "station,observed,temp\n");
  add("temp", Type::kDouble, weather(Aggregate::kLast, "temp"));
  EXPECT_THAT(joined(kFlights, "temp"), ElementsAre("-", "-", "-", "-", "-", "-", "-", "-"));
  EXPECT_THAT(notes_, testing::Contains("source `weather` has no row"));
}

TEST_F(Upstreams, RowsWithoutTheKeysColumnAreAnError) {
  add("temp", Type::kDouble, weather(Aggregate::kLast, "temp"));
  put("rows.csv", "at,from\n2001-01-01T02:30:00Z,A\n");
  const auto joiner = open();
  ASSERT_TRUE(joiner.ok());
  const auto joined = joiner->join(table::read_table(folder_ / "rows.csv").value());
  ASSERT_FALSE(joined.ok());
  EXPECT_EQ(joined.error().message,
            "the rows have no column `origin`, by which `temp` is computed");
}

/// Every aggregate of drawn rows against a loop over all rows of the source.
TEST_F(Upstreams, AnyRowSeesWhatTheRuleSays) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 draw(seed);
  struct Seen {
    std::string key;
    Micros time;
    int value;
  };
  const Micros begin = *parse_time("2001-01-01T00:00:00Z");
  const auto some_time = [&] { return begin + static_cast<Micros>(draw() % 50) * kHour; };
  const auto some_key = [&] { return std::string(1, static_cast<char>('A' + draw() % 3)); };
  std::vector<Seen> seen;
  std::string text = "station,observed,temp,sky\n";
  for (int i = 0; i < 300; ++i) {
    seen.push_back({some_key(), some_time(), static_cast<int>(draw() % 1000)});
    text += fmt::format("{},{},{},x\n", seen.back().key, format_time(seen.back().time),
                        seen.back().value);
  }
  put("weather.csv", text);
  const Micros window = 7 * kHour, delay = 2 * kHour;
  for (const auto& [name, aggregate] : {std::pair{"last", Aggregate::kLast},
                                        {"count", Aggregate::kCount},
                                        {"max", Aggregate::kMax},
                                        {"sum", Aggregate::kSum}}) {
    auto upstream = weather(aggregate, "temp", window);
    upstream.delay = delay;
    add(name, Type::kDouble, upstream);
  }
  std::string rows = "at,origin\n";
  std::vector<std::string> last, count, max, sum;
  for (int i = 0; i < 200; ++i) {
    const std::string key = some_key();
    const Micros t = some_time();
    rows += fmt::format("{},{}\n", format_time(t), key);
    const Seen* newest = nullptr;
    int n = 0, total = 0, largest = -1;
    for (const Seen& each : seen) {
      const bool is_seen =
          each.key == key && each.time + delay < t && each.time + delay >= t - window;
      if (!is_seen) continue;
      if (newest == nullptr || each.time >= newest->time) newest = &each;
      ++n, total += each.value, largest = std::max(largest, each.value);
    }
    last.push_back(newest == nullptr ? "-" : fmt::format("{}", newest->value));
    count.push_back(fmt::format("{}", n));
    max.push_back(n == 0 ? "-" : fmt::format("{}", largest));
    sum.push_back(n == 0 ? "-" : fmt::format("{}", total));
  }
  EXPECT_EQ(joined(rows, "last"), last);
  EXPECT_EQ(joined(rows, "count"), count);
  EXPECT_EQ(joined(rows, "max"), max);
  EXPECT_EQ(joined(rows, "sum"), sum);
}

TEST_F(Upstreams, AFileReadByChunksIsJoinedByChunks) {
  add("temp", Type::kDouble, weather(Aggregate::kLast, "temp"));
  std::string rows = "at,origin,note\n";
  std::vector<std::string> due;
  // More than a chunk of CSV, whose other columns make the main chunks shorter.
  for (int i = 0; i < 60'000; ++i) {
    rows += fmt::format("2001-01-01T0{}:30:00Z,A,{:0>100}\n", i % 3, i);
    due.push_back(i % 3 == 0 ? "-" : i % 3 == 1 ? "1" : "2.5");
  }
  put("rows.csv", rows);
  const auto joiner = open();
  ASSERT_TRUE(joiner.ok());
  table::ReadOptions as_written;
  as_written.as_written = true;
  const table::Input input(folder_ / "rows.csv");
  auto reader =
      with_joined(table::TableReader::open(input, as_written).value(), input, *joiner, *contract_);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ((*reader)->columns().back().name, "temp");
  std::vector<std::string> got;
  int chunks = 0;
  for (;; ++chunks) {
    const auto chunk = (*reader)->next();
    ASSERT_TRUE(chunk.ok()) << chunk.error().message;
    if (!*chunk) break;
    for (auto& each : shown(*(*chunk)->find("temp"))) got.push_back(std::move(each));
  }
  EXPECT_GT(chunks, 1);
  EXPECT_EQ(got, due);
}

}  // namespace
}  // namespace heddle::upstream
