#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "contract/contract.hpp"
#include "doc/json.hpp"
#include "net/server.hpp"
#include "replay/fault_fixture.hpp"
#include "replay/flights_fixture.hpp"
#include "replay/quality.hpp"
#include "replay/recording.hpp"
#include "replay/replayer.hpp"
#include "replay/truth.hpp"
#include "replay/wire.hpp"
#include "table/table.hpp"

namespace heddle::replay {
namespace {

using heddle::fixture::Folder;

TEST(Recording, SendsWhatStandsInTheFile) {
  const std::string folder = testing::TempDir() + "replay_odd";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(make_dirs(folder).ok());
  ASSERT_TRUE(write_file_atomic(folder + "/odd.csv",
                                "date,n,code,\"say \"\"x\"\"\",delay,list\n"
                                "2001-01-01T02:00:00Z,NA,001,1,20,a\n"
                                "noon,12.0,7,0,0,b\n"
                                "2001-01-01T01:00:00Z,,,,0,c\n")
                  .ok());
  Recording::Options options;
  options.file = folder + "/odd.csv";
  options.time_field = "date";
  options.fields = {"date", "n", "code", "say \"x\""};
  options.types = {{"date", table::Type::kTimestamp},
                   {"n", table::Type::kInt},
                   {"code", table::Type::kString},
                   {"say \"x\"", table::Type::kBool},
                   {"delay", table::Type::kInt}};
  options.target = "delay > 15";
  const auto recording = Recording::open(options);
  ASSERT_TRUE(recording.ok()) << recording.error().str();
  std::vector<std::string> sent(3);
  for (std::int64_t row = 0; row < 3; ++row)
    recording->append_json(row, sent[static_cast<std::size_t>(row)]);
  EXPECT_EQ(sent[0],
            "{\"date\":\"2001-01-01T01:00:00Z\",\"n\":null,\"code\":null,\"say \\\"x\\\"\":null}");
  EXPECT_EQ(
      sent[1],
      "{\"date\":\"2001-01-01T02:00:00Z\",\"n\":\"NA\",\"code\":\"001\",\"say \\\"x\\\"\":true}");
  // A row whose time cannot be read goes with the one before it.
  EXPECT_EQ(sent[2], "{\"date\":\"noon\",\"n\":12,\"code\":\"7\",\"say \\\"x\\\"\":false}");
  EXPECT_EQ(recording->event_time(2), *parse_time("2001-01-01T02:00:00Z"));
  options.time_field.clear();
  EXPECT_EQ(Recording::open(options).error().id, "replay-no-time");
}

TEST(Recording, SendsWhatTheFileLacksAsItWasComputed) {
  const fixture::Folder folder;
  ASSERT_TRUE(
      write_file_atomic(folder / "rows.csv", "date,n\n2001-01-02,2\n2001-01-01,1\n2001-01-03,3\n")
          .ok());
  Recording::Options options;
  options.file = folder / "rows.csv";
  options.time_field = "date";
  options.fields = {"date", "n", "wind"};
  options.types = {
      {"date", table::Type::kTimestamp}, {"n", table::Type::kInt}, {"wind", table::Type::kDouble}};
  options.joined_fields = {"wind"};
  options.join = [](table::Table rows) {
    table::Column wind{.name = "wind", .type = table::Type::kDouble};
    for (const auto n : rows.find("n")->ints) wind.doubles.push_back(static_cast<double>(n) / 3);
    wind.valid.assign(wind.doubles.size(), 1);
    wind.valid.back() = 0;
    return rows.with_column(std::move(wind));
  };
  options.target = "wind > 0.5";
  const auto recording = Recording::open(options);
  ASSERT_TRUE(recording.ok()) << recording.error().str();
  std::string sent;
  for (std::int64_t row = 0; row < 3; ++row) recording->append_json(row, sent);
  EXPECT_EQ(sent, R"({"date":"2001-01-01T00:00:00Z","n":1,"wind":0.3333333333333333})"
                  R"({"date":"2001-01-02T00:00:00Z","n":2,"wind":0.6666666666666666})"
                  R"({"date":"2001-01-03T00:00:00Z","n":3,"wind":null})");
  EXPECT_EQ(recording->label(1), stats::Label(true));
}

TEST(Recording, ReadsTimesAndLabelsAsTheContractRepairsThem) {
  const std::string folder = testing::TempDir() + "replay_repaired";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(make_dirs(folder).ok());
  ASSERT_TRUE(write_file_atomic(folder + "/rows.csv",
                                "date,n,delay\n"
                                "02.01.2001,\"1,5\",\"20,5\"\n"
                                "01.01.2001,2,\"0,5\"\n"
                                "2001-01-03,\"2,5\",30\n"
                                "04.01.2001,3,-\n"
                                "05.01.2001,3,40\n")
                  .ok());
  spec::Contract definition;
  definition.identity.name = "rows";
  definition.version = "1.0.0";
  definition.fields = {{.name = "date", .type = table::Type::kTimestamp},
                       {.name = "n", .type = table::Type::kDouble},
                       {.name = "delay", .type = table::Type::kDouble, .label_time = true}};
  definition.fields[0].repairs.dates = {"%d.%m.%Y"};
  definition.fields[1].repairs.decimal = ",";
  definition.fields[2].repairs.decimal = ",";
  definition.fields[2].repairs.nulls = {"-"};
  const auto contract = contract::Contract::compile(definition, {}).value();
  Recording::Options options;
  options.file = folder + "/rows.csv";
  options.time_field = "date";
  options.fields = {"date", "n"};
  for (const auto& field : definition.fields) options.types.emplace(field.name, field.type);
  options.as_text = contract.text_fields();
  options.repaired = [&](const table::Table& rows, const std::string& field) {
    return contract.repaired(rows, field);
  };
  options.target = "delay > 15.0";
  options.to = *parse_time("2001-01-05T00:00:00Z");
  const auto recording = Recording::open(options);
  ASSERT_TRUE(recording.ok()) << recording.error().str();
  ASSERT_EQ(recording->rows(), 4) << "the last is past the end";
  std::vector<std::string> sent(4);
  for (std::int64_t row = 0; row < 4; ++row)
    recording->append_json(row, sent[static_cast<std::size_t>(row)]);
  EXPECT_EQ(sent[0], R"({"date":"01.01.2001","n":"2"})") << "as it stands";
  // In no layout of the contract: it goes with the row before it in the file.
  EXPECT_EQ(sent[1], R"({"date":"2001-01-03","n":"2,5"})");
  EXPECT_EQ(recording->event_time(1), *parse_time("2001-01-01T00:00:00Z"));
  EXPECT_EQ(sent[2], R"({"date":"02.01.2001","n":"1,5"})");
  EXPECT_EQ(recording->event_time(2), *parse_time("2001-01-02T00:00:00Z"));
  EXPECT_EQ(recording->untimed(), 1);
  std::vector<std::optional<stats::Label>> labels;
  for (std::int64_t row = 0; row < 4; ++row) labels.push_back(recording->label(row));
  EXPECT_EQ(labels,
            (std::vector<std::optional<stats::Label>>{stats::Label(false), stats::Label(true),
                                                      stats::Label(true), std::nullopt}));
  // A fault chooses rows by what the contract reads, and changes what is sent.
  options.faults = {fault_of("x", "where: delay > 10.0\nchange: {n: \"'~' + n\"}\n")};
  const auto laid = Recording::open(options);
  ASSERT_TRUE(laid.ok()) << laid.error().str();
  EXPECT_EQ(laid->touched()[0], 2);
  std::string all;
  for (std::int64_t row = 0; row < 4; ++row) laid->append_json(row, all);
  EXPECT_EQ(all, R"({"date":"01.01.2001","n":"2"}{"date":"2001-01-03","n":"~2,5"})"
                 R"({"date":"02.01.2001","n":"~1,5"}{"date":"04.01.2001","n":"3"})");
}

TEST(Crc32, MatchesThePublishedCheckValue) { EXPECT_EQ(crc32("123456789"), 0xcbf43926u); }

TEST(Recording, TheTargetMayBeAClassOrANumber) {
  const Folder folder;
  Recording::Options options = recording_options(write_flights(folder, kStart, 144));
  options.target = R"(delay > 15 ? "late, \"very\"" : delay > 0 ? "late" : "early")";
  const auto classes = Recording::open(options);
  ASSERT_TRUE(classes.ok()) << classes.error().str();
  std::set<stats::Label> seen;
  for (std::int64_t row = 0; row < classes->rows(); ++row) {
    ASSERT_TRUE(classes->label(row).has_value()) << row;
    EXPECT_EQ(classes->label(row), classes->sent_label(row)) << row;
    seen.insert(*classes->label(row));
  }
  EXPECT_GE(seen.size(), 2U);
  EXPECT_TRUE(seen.contains(stats::Label(std::string("late, \"very\""))));
  options.target = "delay";
  const auto numbers = Recording::open(options);
  ASSERT_TRUE(numbers.ok()) << numbers.error().str();
  EXPECT_TRUE(std::holds_alternative<double>(*numbers->label(0)));
  std::string body;
  const std::vector<DueLabel> due = {{1, 0, *numbers->label(0), kStart},
                                     {1, 1, stats::Label(std::string("a\"b")), kStart},
                                     {1, 2, stats::Label(true), kStart}};
  write_labels(due, "r1.0", body);
  const auto sent = doc::parse_json(body);
  ASSERT_TRUE(sent.ok()) << body;
  const auto& labels = sent->find("labels")->as_array();
  EXPECT_EQ(labels[0].double_or("label"), std::get<double>(*numbers->label(0)));
  EXPECT_EQ(labels[1].string_or("label"), "a\"b");
  EXPECT_EQ(labels[2].int_or("label"), 1);
  options.target = "date";
  EXPECT_EQ(Recording::open(options).error().id, "replay-target");
}

TEST(AnswerReader, HasANumberOfEachTasksPrediction) {
  const auto read = [](const std::string& predictions) {
    static AnswerReader reader;
    const auto answer = reader.read(fmt::format(R"({{"predictions":[{},null]}})", predictions), 2);
    EXPECT_TRUE(answer.ok());
    EXPECT_TRUE(std::isnan((*answer)->predictions.at(1)));
    return (*answer)->predictions.at(0);
  };
  EXPECT_EQ(read(R"({"probability":0.25})"), 0.25F);
  EXPECT_EQ(read(R"({"value":-12.5,"lower":-13,"upper":0})"), -12.5F);
  EXPECT_EQ(read(R"({"label":"late","probabilities":{"early":0.25,"late":0.75}})"), 0.75F);
  EXPECT_TRUE(std::isnan(read(R"({"label":null,"validation":["a"]})")));
  EXPECT_TRUE(std::isnan(read(R"({"value":null,"validation":["a"]})")));
}

/// The flights with some cells missing.
std::string with_missing(const std::string& file, const std::string& column, int every) {
  const auto table = *table::read_table(file);
  table::Column changed = *table.find(column);
  changed.valid.assign(static_cast<std::size_t>(table.rows()), 1);
  for (std::size_t i = 0; i < changed.valid.size(); i += static_cast<std::size_t>(every))
    changed.valid[i] = 0;
  EXPECT_TRUE(table::write_parquet(*table.with_column(changed), file).ok());
  return file;
}

TEST(Recording, ARowWithoutATargetHasNoLabel) {
  const Folder folder;
  Recording::Options options =
      recording_options(with_missing(write_flights(folder, kStart, 144), "delay", 4));
  options.faults = {fault_of("inverted", "label: \"!label\"\n"),
                    fault_of("wrong", "sent_label: \"!label\"\n")};
  const auto recording = Recording::open(options);
  ASSERT_TRUE(recording.ok()) << recording.error().str();
  EXPECT_EQ(recording->unlabelled(), 36);
  for (std::int64_t row = 0; row < recording->rows(); ++row) {
    EXPECT_EQ(recording->label(row).has_value(), row % 4 != 0) << row;
    EXPECT_EQ(recording->sent_label(row).has_value(), row % 4 != 0) << row;
  }
  // An expression that fails says as little as a null does; a function in it is no column.
  options.faults.clear();
  options.target = "10 / (int(double(distance)) - 103) > 0";
  const auto failing = Recording::open(options);
  ASSERT_TRUE(failing.ok()) << failing.error().str();
  EXPECT_GT(failing->unlabelled(), 0);
  for (std::int64_t row = 0; row < failing->rows(); ++row)
    EXPECT_EQ(failing->label(row).has_value(), row % 7 != 3) << row;
}

TEST(Recording, RowsWithoutATimeAreCountedAndAFileOfThemIsRefused) {
  const Folder folder;
  const std::string file = with_missing(write_flights(folder, kStart, 60), "date", 6);
  const auto some = Recording::open(recording_options(file));
  ASSERT_TRUE(some.ok()) << some.error().str();
  EXPECT_EQ(some->untimed(), 10);
  const auto none = Recording::open(recording_options(with_missing(file, "date", 1)));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().id, "replay-no-time");
}

TEST(Recording, SaysWhichColumnIsMissing) {
  const Folder folder;
  Recording::Options options = recording_options(write_flights(folder, kStart, 10));
  options.source_field = "orgin";
  const auto recording = Recording::open(options);
  ASSERT_FALSE(recording.ok());
  EXPECT_EQ(recording.error().kind, ErrorKind::kUnprocessable);
}

TEST(Truth, ComesBackAsItWasWritten) {
  const Folder folder;
  const std::string path = folder / "truth.jsonl";
  std::vector<spec::Fault> faults;
  for (std::size_t i = 0; i < kMostFaults; ++i)
    faults.push_back(fault_of(fmt::format("f{}", i), "drop: true\n"));
  const std::vector<std::optional<stats::Label>> kLabels = {
      std::nullopt, 12.5, -0.1, std::string("late"), std::string("a \"quoted\" \\ one\\")};
  {
    auto writer = TruthWriter::open(path, faults);
    ASSERT_TRUE(writer.ok());
    writer->add(run_id(7, kStart), {.recorded = 3,
                                    .request = 12,
                                    .index = 4,
                                    .event_time = kStart,
                                    .source = 2,
                                    .label = true,
                                    .faults = 0x80000019});
    writer->add(run_id(7, kStart), {.recorded = 4,
                                    .request = 13,
                                    .index = 0,
                                    .event_time = kStart + 5,
                                    .source = 0,
                                    .label = false,
                                    .faults = 0});
    for (const auto& label : kLabels) writer->add(run_id(7, kStart), {.label = label});
    ASSERT_TRUE(writer->finish().ok());
  }
  const auto truth = read_truth(path);
  ASSERT_TRUE(truth.ok()) << truth.error().str();
  ASSERT_EQ(truth->faults.size(), kMostFaults);
  ASSERT_EQ(truth->rows.size(), 2u + kLabels.size());
  for (std::size_t i = 0; i < kLabels.size(); ++i) EXPECT_EQ(truth->rows[2 + i].label, kLabels[i]);
  EXPECT_EQ(truth->rows[0].recorded, 3);
  EXPECT_EQ(truth->rows[0].request, 12);
  EXPECT_EQ(truth->rows[0].index, 4);
  EXPECT_EQ(truth->rows[0].event_time, kStart);
  EXPECT_EQ(truth->rows[0].source, 2);
  EXPECT_EQ(truth->rows[0].label, stats::Label(true));
  EXPECT_EQ(truth->rows[0].faults, 0x80000019);
  EXPECT_EQ(truth->rows[1].faults, 0);
  ASSERT_TRUE(
      write_file_atomic(path, "{\"schema\":\"heddle.truth/2\",\"faults\":[]}\nnonsense\n").ok());
  EXPECT_EQ(read_truth(path).error().id, "replay-truth-line");
}

TEST(Quality, PeriodsAreByCalendarAndMetricsAreThoseOfStats) {
  std::vector<ScoredRow> rows;
  for (int i = 0; i < 40; ++i) {
    const auto label = static_cast<std::uint8_t>(i % 2);
    rows.push_back({from_civil({2001, 5, 31}) + i * kHour, label, label != 0 ? 0.9f : 0.1f, 0.5f,
                    label != 0 ? 0.8f : 0.2f});
  }
  const auto months = quality_by_month(rows);
  ASSERT_EQ(months.size(), 2u);
  EXPECT_EQ(months[0].name, "2001-05");
  EXPECT_EQ(months[0].rows, 24);
  EXPECT_EQ(months[1].rows, 16);
  EXPECT_DOUBLE_EQ(months[0].heddle.auc, 1.0);
  EXPECT_NEAR(months[0].heddle.log_loss, -std::log(0.9), 1e-6);
  EXPECT_NEAR(months[0].never.log_loss, std::log(2.0), 1e-6);
  EXPECT_NEAR(months[0].oracle.log_loss, -std::log(0.8), 1e-6);
  EXPECT_EQ(quality_by_day(rows).size(), 2u);
  EXPECT_EQ(quality_since(rows, from_civil({2001, 6, 1})).rows, 16);
}

TEST(Refusals, PrecisionCountsEveryRefusedRow) {
  Truth truth;
  truth.faults = {"a", "b-date", "b-code", "c", "d"};
  std::vector<RowAnswer> answers;
  const auto add = [&](FaultBits faults, Outcome outcome) {
    truth.rows.push_back({.faults = faults});
    answers.push_back({});
    answers.back().outcome = outcome;
  };
  for (int i = 0; i < 9; ++i) add(1, Outcome::kRefused);
  add(1, Outcome::kServed);
  add(2, Outcome::kRefused);
  add(4, Outcome::kRefused);
  add(8, Outcome::kRefused);  // a fault, but not one to refuse for
  add(0, Outcome::kServed);
  const std::vector<FaultGroup> groups{{"a", {"a"}}, {"b", {"b-date", "b-code"}}};
  const auto scores = score_refusals(truth, answers, groups);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_DOUBLE_EQ(scores[0].recall, 0.9);
  EXPECT_DOUBLE_EQ(scores[1].recall, 1.0);
  EXPECT_DOUBLE_EQ(scores[0].precision, 11.0 / 12);
  EXPECT_DOUBLE_EQ(scores[1].precision, 11.0 / 12);
  EXPECT_EQ(scores[0].wrongly_refused, 1);
}

/// Stands in for a data plane: answers every row with .25, refuses distances of 103, remembers what
/// came.
class FakePlane {
 public:
  explicit FakePlane(int fail_first = 0) : fail_(fail_first) {
    net::HttpServer::Options options;
    options.host = "127.0.0.1";
    options.handler = [this](const net::Request& request, net::Response& response) {
      handle(request, response);
    };
    auto opened = net::HttpServer::open(std::move(options));
    EXPECT_TRUE(opened.ok());
    server_ = std::move(*opened);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~FakePlane() { end(); }
  void end() {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
  }
  int port() const { return server_->port(); }

  std::vector<doc::Value> requests;
  std::vector<std::string> order;  ///< what came, in order
  std::map<std::string, double> labels;
  std::map<std::string, Micros> label_times;
  std::vector<Micros> ticks;
  Micros behind = INT64_MIN;  ///< ticks up to it are refused

 private:
  void handle(const net::Request& request, net::Response& response) {
    if (fail_-- > 0) {
      response.status = 503;
      response.body = "{}";
      return;
    }
    const auto body = doc::parse_json(request.body);
    ASSERT_TRUE(body.ok()) << request.body;
    if (request.path.ends_with("/predict")) {
      order.push_back("predict");
      requests.push_back(*body);
      doc::Value predictions = doc::Value::array();
      bool any = false;
      for (const doc::Value& row : body->find("rows")->as_array()) {
        if (row.int_or("distance") == 103) {
          predictions.push(doc::Value());
        } else {
          predictions.push(doc::Value::object({{"probability", 0.25}}));
          any = true;
        }
      }
      response.status = any ? 200 : 422;
      response.body = doc::to_json(doc::Value::object(
          {{"bundle", "sha256:aa"}, {"slot", "primary"}, {"predictions", predictions}}));
    } else if (request.path.ends_with("/labels")) {
      order.push_back("labels");
      for (const doc::Value& label : body->find("labels")->as_array()) {
        labels[label.string_or("row_id")] = label.double_or("label", -1);
        label_times[label.string_or("row_id")] =
            parse_time(label.string_or("event_time")).value_or(0);
      }
      response.body = "{}";
    } else {
      order.push_back("tick");
      ticks.push_back(parse_time(body->string_or("event_time")).value_or(0));
      response.body = "{}";
      if (ticks.back() <= behind) {
        response.status = 409;
        response.body =
            R"({"error":"the watch is past that","id":"replay-behind","hint":"later rows"})";
      }
    }
  }
  int fail_;
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

Options replay_options(const std::string& file, int port) {
  Options options;
  options.file = file;
  options.service = "delay";
  options.port = port;
  options.time_field = "date";
  options.fields = {"date", "distance", "origin", "destination"};
  options.types = recording_options(file).types;
  options.target = "delay > 15";
  options.sources = {"s0", "s1", "s2", "s3", "s4"};
  options.source_field = "origin";
  return options;
}

TEST(Replay, LockstepNeverRunsPastTheWatermark) {
  const Folder folder;
  FakePlane plane;
  Options options =
      replay_options(write_flights(folder, from_civil({2001, 3, 1}), 400), plane.port());
  options.lockstep = true;
  options.block_rows = 50;
  options.truth_path = folder / "truth.jsonl";
  std::vector<Micros> waited;
  options.wait_watermark = [&](Micros at) -> Result<void> {
    waited.push_back(at);
    return {};
  };
  const auto replayed = replay(options);
  ASSERT_TRUE(replayed.ok()) << replayed.error().str();
  plane.end();
  EXPECT_EQ(replayed->rows.size(), 400u);
  EXPECT_EQ(replayed->failed, 0);
  EXPECT_EQ(replayed->answered, replayed->requests);
  EXPECT_EQ(static_cast<std::size_t>(replayed->requests), plane.requests.size());
  EXPECT_EQ(plane.ticks, waited);
  EXPECT_TRUE(std::is_sorted(plane.ticks.begin(), plane.ticks.end()));
  EXPECT_EQ(plane.order.front(), "tick");  // before any row: the watch has its time
  EXPECT_EQ(plane.order.back(), "tick");
  // Every request holds rows of one source, 1 to 64 of them; its event time is within its block.
  for (const doc::Value& request : plane.requests) {
    const auto& rows = request.find("rows")->as_array();
    EXPECT_GE(rows.size(), 1u);
    EXPECT_LE(rows.size(), 64u);
    for (const doc::Value& row : rows)
      EXPECT_EQ(fmt::format("s{}", crc32(row.string_or("origin")) % 5),
                request.string_or("source"));
  }
  // A label for each row, one event day later.
  EXPECT_EQ(plane.labels.size(), 400u);
  const auto truth = read_truth(options.truth_path);
  ASSERT_TRUE(truth.ok());
  ASSERT_EQ(truth->rows.size(), replayed->rows.size());
  for (std::size_t i = 0; i < truth->rows.size(); ++i) {
    const TruthRow& row = truth->rows[i];
    const std::string id = fmt::format(
        "{}#{}", request_id(run_id(options.seed, from_civil({2001, 3, 1})), row.request),
        row.index);
    EXPECT_EQ(plane.labels.at(id), std::get<bool>(*row.label) ? 1 : 0);
    EXPECT_EQ(plane.label_times.at(id), row.event_time + kDay);
    const bool refused = row.recorded % 7 == 3;
    EXPECT_EQ(replayed->rows[i].outcome, refused ? Outcome::kRefused : Outcome::kServed);
    EXPECT_EQ(std::isnan(replayed->rows[i].prediction), refused);
    EXPECT_EQ(replayed->rows[i].recorded, row.recorded);
  }
}

TEST(Replay, IsTheSameTwice) {
  const Folder folder;
  const std::string file = write_flights(folder, from_civil({2001, 3, 1}), 300);
  std::vector<std::string> bodies[2];
  for (auto& one : bodies) {
    FakePlane plane;
    Options options = replay_options(file, plane.port());
    options.lockstep = true;
    options.wait_watermark = [](Micros) { return Result<void>(); };
    ASSERT_TRUE(replay(options).ok());
    plane.end();
    for (const doc::Value& request : plane.requests) one.push_back(doc::to_json(request));
  }
  EXPECT_EQ(bodies[0], bodies[1]);
}

TEST(Replay, EndsWithTheServicesOwnWordsWhenItsWatchIsPastTheRows) {
  const Folder folder;
  FakePlane plane;
  plane.behind = from_civil({2001, 6, 1});
  const auto replayed =
      replay(replay_options(write_flights(folder, from_civil({2001, 3, 1}), 60), plane.port()));
  plane.end();
  ASSERT_FALSE(replayed.ok());
  EXPECT_EQ(replayed.error().id, "replay-behind");
  EXPECT_EQ(replayed.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(replayed.error().message, "the watch is past that");
  EXPECT_TRUE(plane.requests.empty());
}

TEST(Replay, SendsNoLabelOfARowWithoutATargetAndSaysHowMany) {
  const Folder folder;
  FakePlane plane;
  Options options = replay_options(
      with_missing(write_flights(folder, from_civil({2001, 3, 1}), 200), "delay", 10),
      plane.port());
  options.truth_path = folder / "truth.jsonl";
  const auto replayed = replay(options);
  ASSERT_TRUE(replayed.ok()) << replayed.error().str();
  plane.end();
  EXPECT_EQ(replayed->unlabelled, 20);
  EXPECT_EQ(replayed->labels, 180);
  EXPECT_EQ(plane.labels.size(), 180U);
  const auto truth = read_truth(options.truth_path);
  ASSERT_TRUE(truth.ok()) << truth.error().str();
  EXPECT_EQ(std::count_if(truth->rows.begin(), truth->rows.end(),
                          [](const TruthRow& row) { return !row.label; }),
            20);
}

TEST(Replay, TicksWithoutLockstepToo) {
  const Folder folder;
  FakePlane plane;
  Options options =
      replay_options(write_flights(folder, from_civil({2001, 3, 1}), 200), plane.port());
  options.label_delay = 3 * kHour;
  ASSERT_TRUE(replay(options).ok());
  plane.end();
  ASSERT_GE(plane.ticks.size(), 3U);
  EXPECT_EQ(plane.ticks.front(), from_civil({2001, 3, 1}));
  EXPECT_TRUE(std::is_sorted(plane.ticks.begin(), plane.ticks.end()));
  Micros first_label = INT64_MAX;
  for (const auto& [id, time] : plane.label_times) first_label = std::min(first_label, time);
  EXPECT_EQ(first_label, from_civil({2001, 3, 1}) + 3 * kHour);
}

TEST(Replay, AnotherPartOfTheTrafficHasOtherIds) {
  EXPECT_EQ(run_id(1, kDay), run_id(1, kDay));
  EXPECT_NE(run_id(1, kDay), run_id(1, 2 * kDay));
  EXPECT_NE(run_id(1, kDay), run_id(2, kDay));
  EXPECT_EQ(run_id(1, -kDay).find('-'), std::string::npos);
}

TEST(Replay, CountsAnUnavailablePlaneAsFailedAndGoesOn) {
  const Folder folder;
  FakePlane plane(1);
  Options options =
      replay_options(write_flights(folder, from_civil({2001, 3, 1}), 60), plane.port());
  const auto replayed = replay(options);
  ASSERT_TRUE(replayed.ok()) << replayed.error().str();
  plane.end();
  EXPECT_EQ(replayed->failed, 1);
  EXPECT_EQ(replayed->answered, replayed->requests);
}

TEST(Replay, SaysThatNobodyListens) {
  const Folder folder;
  Options options = replay_options(write_flights(folder, from_civil({2001, 3, 1}), 10), 1);
  options.timeout_ms = 50;
  const auto replayed = replay(options);
  ASSERT_FALSE(replayed.ok());
  EXPECT_EQ(replayed.error().id, "replay-no-endpoint");
}

TEST(Replay, SourcesKeepToTheirConnection) {
  const Folder folder;
  FakePlane plane;
  Options options =
      replay_options(write_flights(folder, from_civil({2001, 3, 1}), 300), plane.port());
  options.connections = 3;
  const auto replayed = replay(options);
  ASSERT_TRUE(replayed.ok()) << replayed.error().str();
  plane.end();
  EXPECT_EQ(replayed->answered, replayed->requests);
  std::map<std::string, std::string> last;
  for (const doc::Value& request : plane.requests) {
    std::string& before = last[request.string_or("source")];
    EXPECT_LT(before, request.string_or("request_id"));
    before = request.string_or("request_id");
  }
}

}  // namespace
}  // namespace heddle::replay
