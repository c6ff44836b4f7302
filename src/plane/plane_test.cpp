#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"
#include "plane/crc32c.hpp"
#include "plane/journal.hpp"
#include "plane/journal_fixture.hpp"
#include "plane/route_schema.hpp"
#include "plane/segment.hpp"

namespace heddle::plane {
namespace {

using namespace fixture;  // NOLINT(google-build-using-namespace): this test is what it is for

TEST(Crc32c, AgreesWithRfc3720) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720 B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

TEST(Journal, GivesBackEveryRecord) {
  const Folder folder;
  auto writer = open_writer(folder.path());
  const std::vector<SandboxRecord> sandboxes{{"primary", "sha256:aa", "user, mount", "pid"},
                                             {"shadow", "sha256:bb", "none", ""}};
  writer->append(AppliedRecord{7, {"act-1"}, sandboxes});
  writer->append(request(1));
  writer->append(LabelRecord{"r-1#0", true, 99});
  writer->append(ActRecord{"source-readmit", "source-1", 5, "5 clean rows", "act-2"});
  writer->append(StopRecord{"flights", "ops", "stop-1"});
  writer->append(TickRecord{-3});
  writer->append(GapRecord{4, "why"});
  ASSERT_TRUE(writer->commit().ok());
  const auto records = read_all(folder.path());
  ASSERT_EQ(records.size(), 7u);
  EXPECT_EQ(std::get<AppliedRecord>(records[0]).standing, std::vector<std::string>{"act-1"});
  EXPECT_EQ(std::get<AppliedRecord>(records[0]).sandboxes, sandboxes);
  const auto& got = std::get<RequestRecord>(records[1]);
  EXPECT_EQ(got.request_id, "r-1");
  EXPECT_EQ(got.arrival, 1'700'000'000'000'001);
  EXPECT_EQ(got.route_version, 7u);
  ASSERT_EQ(got.rows.size(), 2u);
  EXPECT_EQ(got.rows[0].fields[0].datum().str(), "ABQ-0");
  EXPECT_EQ(got.rows[0].fields[1].datum().i, -1);
  EXPECT_TRUE(got.rows[0].fields[2].datum().is_null());
  EXPECT_EQ(got.rows[1].outcome, RowOutcome::kRefused);
  EXPECT_EQ(got.rows[1].rules, (std::vector<std::string>{"distance-range", "origin-enum"}));
  EXPECT_EQ(got.rows[0].prediction, std::vector<float>{0.25f});
  EXPECT_TRUE(got.rows[1].prediction.empty());
  EXPECT_TRUE(got.rows[1].shadow_prediction.empty());
  EXPECT_EQ(got.cohort, Cohort::kBaseline);
  EXPECT_EQ(got.micros, 300u);
  EXPECT_EQ(std::get<LabelRecord>(records[2]).row_id, "r-1#0");
  EXPECT_EQ(std::get<ActRecord>(records[3]).id, "act-2");
  EXPECT_EQ(std::get<StopRecord>(records[4]).by, "ops");
  EXPECT_EQ(std::get<TickRecord>(records[5]).event_time, -3);
  EXPECT_EQ(std::get<GapRecord>(records[6]).requests, 4u);
  EXPECT_TRUE(writer->sync().ok());
}

TEST(Journal, ABorrowedRequestHasTheSameBytes) {
  const RequestRecord owned = request(3);
  std::vector<std::vector<expr::Datum>> fields;
  std::vector<std::vector<std::string_view>> rules;
  std::vector<RowView> rows;
  for (const RowRecord& row : owned.rows) {
    fields.emplace_back();
    for (const auto& field : row.fields) fields.back().push_back(field.datum());
    rules.emplace_back(row.rules.begin(), row.rules.end());
  }
  for (std::size_t i = 0; i < owned.rows.size(); ++i) {
    rows.push_back({owned.rows[i].outcome, rules[i], fields[i], owned.rows[i].prediction,
                    owned.rows[i].standby_prediction, owned.rows[i].shadow_prediction});
  }
  std::string a;
  std::string b;
  append_record(owned, a);
  append_request({owned.request_id, owned.source, owned.event_time, owned.arrival, owned.slot,
                  owned.route_version, rows, owned.cohort, owned.micros, owned.account},
                 b);
  EXPECT_EQ(a, b);
}

TEST(Journal, NewFieldNamesBeginASegment) {
  const Folder folder;
  auto writer = open_writer(folder.path());
  writer->append(request(1));
  writer->set_fields({"a", "b"});
  writer->set_fields({"a", "b"});
  writer->append(request(2));
  ASSERT_TRUE(writer->commit().ok());
  EXPECT_EQ(writer->position().segment, 2u);
  auto reader = JournalReader::open(folder.path());
  ASSERT_TRUE((*(*reader)->next()).has_value());
  EXPECT_EQ((*reader)->fields().size(), 3u);
  ASSERT_TRUE((*(*reader)->next()).has_value());
  EXPECT_EQ((*reader)->fields().size(), 2u);
}

TEST(Journal, ReaderFollowsAWriterOverSegmentsAndGoesOnFromAPosition) {
  const Folder folder;
  auto writer = open_writer(folder.path(), 4096);
  auto reader = JournalReader::open(folder.path());
  JournalPosition half;
  for (int i = 0; i < 500; ++i) {
    EXPECT_FALSE((*(*reader)->next()).has_value());
    writer->append(request(i));
    EXPECT_FALSE((*(*reader)->next()).has_value()) << "visible before commit";
    ASSERT_TRUE(writer->commit().ok());
    auto record = (*reader)->next();
    ASSERT_TRUE(record.ok()) << record.error().str();
    ASSERT_TRUE(record->has_value()) << i;
    EXPECT_EQ(std::get<RequestRecord>(**record).request_id, fmt::format("r-{}", i));
    if (i == 249) half = (*reader)->position();
  }
  EXPECT_GT(writer->position().segment, 5u);
  EXPECT_EQ((*reader)->fields(), (std::vector<std::string>{"origin", "distance", "date"}));
  const auto rest = read_all(folder.path(), half);
  ASSERT_EQ(rest.size(), 250u);
  EXPECT_EQ(std::get<RequestRecord>(rest[0]).request_id, "r-250");
}

TEST(Journal, ATornTailIsNotYetThereAndANewWriterGoesOnBehindIt) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path());
    for (int i = 0; i < 10; ++i) writer->append(request(i));
    ASSERT_TRUE(writer->commit().ok());
  }
  const std::string path = segment_path(folder.path(), 1);
  const std::string whole = slurp(path);
  std::string one;
  append_record(request(9), one);
  for (std::size_t cut = 1; cut <= one.size(); cut += 3) {
    spill(path, std::string_view(whole).substr(0, whole.size() - cut));
    ASSERT_EQ(read_all(folder.path()).size(), 9u) << cut;
  }
  {
    auto writer = open_writer(folder.path());
    writer->append(request(10));
    ASSERT_TRUE(writer->commit().ok());
  }
  const auto records = read_all(folder.path());
  ASSERT_EQ(records.size(), 10u);
  EXPECT_EQ(std::get<RequestRecord>(records.back()).request_id, "r-10");
}

TEST(Journal, ALostEndIsAGap) {
  const Folder folder;
  {
    auto writer = open_writer(folder.path(), 4096);
    for (int i = 0; i < 100; ++i) {
      writer->append(request(i));
      ASSERT_TRUE(writer->commit().ok());
    }
  }
  const std::string path = segment_path(folder.path(), 2);
  const std::string whole = slurp(path);
  spill(path,
        whole.substr(0, whole.size() / 2) + std::string(whole.size() - whole.size() / 2, '\0'));
  const auto records = read_all(folder.path());
  EXPECT_LT(records.size(), 100u);
  int gaps = 0;
  for (const auto& record : records) gaps += std::holds_alternative<GapRecord>(record) ? 1 : 0;
  EXPECT_EQ(gaps, 1);
}

TEST(Journal, AKilledWriterLosesNothingItCommitted) {
  for (int round = 0; round < 20; ++round) {
    const Folder folder;
    int pipe_fds[2];
    ASSERT_EQ(::pipe(pipe_fds), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto writer = JournalWriter::open({folder.path(), {"a"}, 16 << 10, 1 << 30});
      for (int i = 0;; ++i) {
        (*writer)->append(request(i));
        if (!(*writer)->commit().ok()) ::_exit(1);
        (void)!::write(pipe_fds[1], &i, sizeof i);
      }
    }
    ::close(pipe_fds[1]);
    int last = -1;
    for (int i = 0; i < 50 + round * 37; ++i)
      ASSERT_EQ(::read(pipe_fds[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    int value = 0;
    while (::read(pipe_fds[0], &value, sizeof value) == static_cast<ssize_t>(sizeof value))
      last = value;
    ::close(pipe_fds[0]);
    {
      auto writer = open_writer(folder.path());
      writer->append(TickRecord{1});
      ASSERT_TRUE(writer->commit().ok());
    }
    const auto records = read_all(folder.path());
    ASSERT_GE(static_cast<int>(records.size()), last + 2);
    for (int i = 0; i <= last; ++i)
      EXPECT_EQ(std::get<RequestRecord>(records[static_cast<std::size_t>(i)]).request_id,
                fmt::format("r-{}", i));
    EXPECT_TRUE(std::holds_alternative<TickRecord>(records.back()));
  }
}

TEST(Journal, WhenFullItDropsRequestsCountsThemAndKeepsActs) {
  const Folder folder;
  std::uint64_t dropped = 0;
  {
    auto writer = open_writer(folder.path(), 8 << 20, 64 << 10);
    for (int i = 0; i < 3000; ++i) {
      writer->append(request(i));
      ASSERT_TRUE(writer->commit().ok()) << i;
    }
    writer->append(ActRecord{"fail-over", "flights", 1, "the primary cannot score", "act-1"});
    ASSERT_TRUE(writer->commit().ok());
    dropped = lost_of(*writer);
    EXPECT_GT(dropped, 1000u);
  }
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    bytes += entry.file_size();
  EXPECT_LE(bytes, (64u << 10) + (64u << 10)) << "max_bytes and the reserve";
  std::uint64_t kept = 0;
  std::uint64_t said = 0;
  bool act = false;
  for (const auto& record : read_all(folder.path())) {
    if (std::holds_alternative<RequestRecord>(record)) ++kept;
    if (const auto* gap = std::get_if<GapRecord>(&record)) said += gap->requests;
    if (std::holds_alternative<ActRecord>(record)) act = true;
  }
  EXPECT_TRUE(act);
  EXPECT_EQ(said, dropped);
  EXPECT_EQ(kept + dropped, 3000u);
}

TEST(Journal, TakesUpRequestsAgainOnceThereIsRoom) {
  const Folder folder;
  auto writer = open_writer(folder.path(), 8 << 20, 64 << 10);
  for (int i = 0; i < 3000; ++i) {
    writer->append(request(i));
    ASSERT_TRUE(writer->commit().ok());
  }
  const std::vector<std::uint64_t> segments = list_segments(folder.path()).value();
  for (const std::uint64_t segment : segments) {
    if (segment != writer->position().segment)
      std::filesystem::remove(segment_path(folder.path(), segment));
  }
  const std::uint64_t segment = writer->position().segment;
  for (int i = 0; writer->position().segment == segment; ++i) {  // it looks again after a while
    writer->append(request(i));
    ASSERT_TRUE(writer->commit().ok());
  }
  const std::uint64_t dropped = lost_of(*writer);
  writer->append(request(1));
  EXPECT_EQ(lost_of(*writer), dropped);
}

TEST(Journal, TellsWhichActsStand) {
  const Folder folder;
  auto writer = open_writer(folder.path());
  writer->append(ActRecord{"source-readmit", "s1", 1, "", "a1"});
  writer->append(ActRecord{"source-readmit", "s2", 1, "", "a2"});
  writer->append(StopRecord{"flights", "ops", "s1"});
  writer->append(AppliedRecord{8, {"a2", "s1"}});
  writer->append(AppliedRecord{9, {"s1"}});
  writer->append(ActRecord{"fail-over", "flights", 1, "", "a3"});
  ASSERT_TRUE(writer->commit().ok());
  const auto acts = standing_acts(folder.path());
  ASSERT_TRUE(acts.ok());
  ASSERT_EQ(acts->acts.size(), 2u);
  EXPECT_EQ(acts->route_version, 9u);
  EXPECT_EQ(std::get<StopRecord>(acts->acts[0]).id, "s1");
  EXPECT_EQ(std::get<ActRecord>(acts->acts[1]).id, "a3");
  EXPECT_TRUE(standing_acts(folder.path() + "/none")->acts.empty());
}

TEST(Journal, GarbageBehindAValidChecksumIsCorruptNotACrash) {
  std::mt19937 random(7);
  std::string whole;
  append_record(request(1), whole);
  for (int i = 0; i < 20000; ++i) {
    std::string payload = whole.substr(kRecordHead);
    for (int k = 0; k < 3; ++k) payload[random() % payload.size()] = static_cast<char>(random());
    payload.resize(random() % (payload.size() + 1));
    (void)decode_record(payload);
    (void)decode_head(payload);
  }
}

RouteTable table() {
  RouteTable t;
  t.version = 41;
  t.service = "flights";
  t.primary = sha256("a");
  t.standby = sha256("b");
  t.fail_over_allowed = true;
  t.canary = {sha256("c"), 500, "source", "x-canary", "yes"};
  t.shadow = sha256("d");
  t.fail_over = {20, 0.25, 0.5, 3};
  t.quarantined = {{"source-2", "distance-of-route", 20, "app"},
                   {"source-3", "distance-of-route", 20}};
  t.acknowledged = {"act-1"};
  t.decision = "ledger/17";
  return t;
}

TEST(Journal, KeepsWhoSentARequestAndWhoseQuarantineEnded) {
  const auto read = [](const Record& record) {
    std::string framed;
    append_record(record, framed);
    return decode_record(std::string_view(framed).substr(kRecordHead));
  };
  EXPECT_EQ(std::get<RequestRecord>(*read(request(3))).account, "app");
  EXPECT_EQ(std::get<RequestRecord>(*read(request(1))).account, "");
  EXPECT_EQ(std::get<RequestRecord>(*read(request(1))).micros, 300u);
  EXPECT_EQ(
      std::get<ActRecord>(*read(ActRecord{"source-readmit", "s1", 5, "why", "a", "app"})).account,
      "app");
  EXPECT_EQ(std::get<ActRecord>(*read(ActRecord{"source-readmit", "s1", 5, "why", "a"})).account,
            "");
}

TEST(Journal, KeepsPredictionsOfAnyNumberOfOutputsAndLabelsAsTheyCame) {
  const auto read = [](const Record& record) {
    std::string framed;
    append_record(record, framed);
    return *decode_record(std::string_view(framed).substr(kRecordHead));
  };
  RequestRecord several = request(3);
  several.rows[0].prediction = {0.125f, 0.25f, 0.625f};
  several.rows[0].standby_prediction = {-1e30f};
  several.rows[1].shadow_prediction.assign(1000, 0.001f);
  const auto got = std::get<RequestRecord>(read(several));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(got.rows[i].prediction, several.rows[i].prediction) << i;
    EXPECT_EQ(got.rows[i].standby_prediction, several.rows[i].standby_prediction) << i;
    EXPECT_EQ(got.rows[i].shadow_prediction, several.rows[i].shadow_prediction) << i;
  }
  for (const stats::Label& label :
       {stats::Label(true), stats::Label(false), stats::Label(1.0), stats::Label(-0.1),
        stats::Label(std::string("late")), stats::Label(std::string())})
    EXPECT_EQ(std::get<LabelRecord>(read(LabelRecord{"r-1#0", label, 7, "app"})).label, label)
        << stats::to_string(label);
}

/// As `heddle.journal/1` began: magic, and a head record whose checksum has no seed.
std::string segment_of(char version) {
  std::string bytes(kSegmentMagic);
  append_head({1, 0, {"a"}, 7}, bytes);
  bytes[7] = version;
  return bytes;
}

TEST(Journal, OneOfAnotherVersionIsRefusedWithWhatToDoAndLeftAsItIs) {
  for (const auto& [version, only_magic] :
       {std::pair{'1', false}, {'1', true}, {'3', false}, {'3', true}, {'a', false}}) {
    const Folder folder;
    const std::string path = segment_path(folder.path(), 1);
    const std::string bytes =
        only_magic ? segment_of(version).substr(0, kSegmentMagic.size() + 1) : segment_of(version);
    spill(path, bytes);
    const auto written = JournalWriter::open({.dir = folder.path(), .fields = {"a"}});
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().id, "journal-version");
    EXPECT_NE(written.error().hint.find("mv " + folder.path()), std::string::npos)
        << written.error().hint;
    EXPECT_EQ(JournalReader::open(folder.path()).error().id, "journal-version");
    EXPECT_EQ(standing_acts(folder.path()).error().id, "journal-version");
    EXPECT_EQ(slurp(path), bytes);
    EXPECT_EQ(list_dir(folder.path()).size(), 1U) << "nothing was added";
  }
}

TEST(Route, ReadsWhatItWrote) {
  const Folder folder;
  const auto key = Ed25519Key::generate();
  const std::string path = folder.path() + "/flights.json";
  EXPECT_EQ(read_route(path, key->public_key).error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(write_route(path, table(), *key).ok());
  const auto read = read_route(path, key->public_key);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_TRUE(*read == table());
  EXPECT_EQ(read_route_file(path, key->public_key)->draw_secret, "");  // no canary's
}

TEST(Route, TheFileHasTheSecretOfTheDraw) {
  const Folder folder;
  const auto key = Ed25519Key::from_seed(std::string(32, '\1'));
  const auto other = Ed25519Key::from_seed(std::string(32, '\2'));
  const std::string path = folder.path() + "/flights.json";
  const std::string secret = draw_secret(*key, "flights", 12);
  EXPECT_EQ(draw_secret(*key, "flights", 12), secret);
  EXPECT_NE(draw_secret(*key, "flights", 13), secret);
  EXPECT_NE(draw_secret(*key, "flights1", 2), secret);
  EXPECT_NE(draw_secret(*other, "flights", 12), secret);
  ASSERT_TRUE(write_route_file(path, {table(), secret}, *key).ok());
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  const auto read = read_route_file(path, key->public_key);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(read->draw_secret, secret);
  EXPECT_TRUE(read->table == table());
  for (const auto* bad : {"a", "16 bytes and more"}) {
    ASSERT_TRUE(write_route_file(path, {table(), bad}, *key).ok());
    EXPECT_EQ(read_route_file(path, key->public_key).error().id, "route-corrupt") << bad;
  }
}

TEST(Route, TheTableOfAFileIsARecord) {
  doc::RecordConformance<RouteFile>(route_file_schema(), {table(), std::string(16, 's')})
      .run("docs/formats/route.md");
}

TEST(Route, AMissingMemberIsNoDefault) {
  auto value = route_schema().print(table());
  std::erase_if(value.find("canary")->as_object(),
                [](const auto& member) { return member.first == "sticky"; });
  const auto read = route_schema().parse(value);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, "the route table: `canary.sticky` is missing");
  EXPECT_EQ(read.error().hint, "the control plane writes a new one when it starts: `heddle up`");
}

TEST(Route, AQuarantineWithoutAnAccountHoldsForAll) {
  const QuarantinedSource of_all{"s", "r", 3};
  EXPECT_TRUE(of_all.holds("app", "s"));
  EXPECT_TRUE(of_all.holds("", "s"));
  EXPECT_FALSE(of_all.holds("app", "t"));
  const QuarantinedSource of_app = table().quarantined.at(0);
  EXPECT_TRUE(of_app.holds("app", "source-2"));
  EXPECT_FALSE(of_app.holds("other", "source-2"));
  EXPECT_FALSE(of_app.holds("", "source-2"));
}

TEST(Route, RefusesEveryFlippedByteAndForeignKeys) {
  const Folder folder;
  const auto key = Ed25519Key::generate();
  const auto other = Ed25519Key::generate();
  const std::string path = folder.path() + "/flights.json";
  ASSERT_TRUE(write_route(path, table(), *key).ok());
  EXPECT_EQ(read_route(path, other->public_key).error().id, "route-unsigned");
  const std::string good = slurp(path);
  for (std::size_t at = 0; at + 1 < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x04);
    spill(path, bytes);
    const auto read = read_route(path, key->public_key);
    ASSERT_FALSE(read.ok()) << at;
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt);
  }
  spill(path, good.substr(0, good.size() / 2));
  EXPECT_FALSE(read_route(path, key->public_key).ok());
}

TEST(Route, RefusesSignedNonsense) {
  const Folder folder;
  const auto key = Ed25519Key::generate();
  const std::string path = folder.path() + "/flights.json";
  for (const std::string payload :
       {R"({})", R"([])", R"({"format":"heddle.route/1","version":-1,"service":"a"})",
        R"({"format":"heddle.route/2","version":1,"service":"a"})"}) {
    const auto envelope = doc::Value::object(
        {{"payload", base64_encode(payload)}, {"signature", base64_encode(key->sign(payload))}});
    spill(path, doc::to_json(envelope));
    EXPECT_EQ(read_route(path, key->public_key).error().id, "route-corrupt") << payload;
  }
}

}  // namespace
}  // namespace heddle::plane
