#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/disk_reserve.hpp"
#include "base/display_width.hpp"
#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/open_files.hpp"
#include "base/signature.hpp"
#include "base/yield_often.hpp"

namespace heddle {
namespace {

TEST(Digest, MatchesTheStandardsVector) {  // FIPS 180-4, "abc"
  EXPECT_EQ(sha256("abc").str(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*Digest::parse(sha256("abc").str()), sha256("abc"));
  EXPECT_FALSE(Digest::parse("sha256:BA").ok());
}

TEST(OpenFiles, AreRaisedToWhatTheSystemAllows) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit few{64, 96};
    const bool set = ::setrlimit(RLIMIT_NOFILE, &few) == 0;
    const bool raised = raise_open_files() == 96 && raise_open_files() == 96;
    rlimit now{};
    ::getrlimit(RLIMIT_NOFILE, &now);
    ::_exit(set && raised && now.rlim_cur == 96 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(DiskReserve, HoldsRoomUntilItIsReleased) {
  const std::string path = ::testing::TempDir() + "/reserve-" + uuid7();
  const auto blocks = [&] {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_blocks * 512 : -1;
  };
  {
    DiskReserve reserve(path, 1 << 20);
    EXPECT_FALSE(reserve.release());
    reserve.fill();
    EXPECT_GE(blocks(), 1 << 20);
    EXPECT_TRUE(reserve.release());
    EXPECT_EQ(blocks(), 0);
    EXPECT_FALSE(reserve.release()) << "it is used up";
    reserve.fill();
    EXPECT_GE(blocks(), 1 << 20);
  }
  EXPECT_GE(blocks(), 1 << 20) << "it is kept for the next process";
  DiskReserve nowhere(path + "/no/folder", 1 << 20);
  nowhere.fill();
  EXPECT_FALSE(nowhere.release());
  ::unlink(path.c_str());
}

TEST(Encoding, Base64RoundTripsAndIsStrict) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_EQ(*base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_encode("fooba"), "Zm9vYmE=");  // RFC 4648, section 10
  for (const char* bad : {"Zg", "Zg=", "Zh==", "Z===", "Zg==Zg==", "Z g="})
    EXPECT_FALSE(base64_decode(bad).ok()) << bad;
}

TEST(Clock, ParsesOnlyDatesThatExist) {
  EXPECT_EQ(*parse_time("1970-01-02"), kDay);
  EXPECT_EQ(format_time(*parse_time("2001-02-28T23:59:59.5Z")), "2001-02-28T23:59:59.500000Z");
  EXPECT_EQ(*parse_time("2001-01-01T05:00:00+05:00"), *parse_time("2001-01-01"));
  EXPECT_EQ(*parse_time("2001-01-01 00:01"), *parse_time("2001-01-01") + kMinute);
  EXPECT_EQ(*parse_time("2001-01-01T05:00:00+0500"), *parse_time("2001-01-01"));
  EXPECT_EQ(*parse_time("2001-01-01T05:00:00+05"), *parse_time("2001-01-01"));
  EXPECT_EQ(*parse_time("2000-12-31T18:30:00-0530"), *parse_time("2001-01-01"));
  // Nanoseconds, as pandas, Go and Java write them: what is past the microsecond is cut off.
  EXPECT_EQ(*parse_time("1970-01-01T00:00:00.123456789Z"), 123456);
  EXPECT_EQ(*parse_time("1969-12-31T23:59:59.999999999Z"), -1);
  EXPECT_EQ(*parse_time("1970-01-01T00:00:00.1234567"), 123456);
  for (const char* bad : {"2001-02-29", "04/20/01", "2001-4-1", "2001-01-01T24:00",
                          "2001-01-01T00:00x", "", "2001-01-01 "}) {
    EXPECT_FALSE(parse_time(bad).has_value()) << bad;
  }
  for (Micros day = -700'000; day < 800'000; day += 997) {
    EXPECT_EQ(from_civil(civil_date(day * kDay)), day * kDay);
    EXPECT_EQ(*parse_time(format_date(day * kDay)), day * kDay);
  }
  EXPECT_EQ(*parse_duration("1d12h"), 36 * kHour);
  EXPECT_FALSE(parse_duration("5").has_value());
  EXPECT_FALSE(parse_duration("999999999999d").has_value());
}

TEST(Signature, VerifiesOnlyTheSignedBytes) {
  const auto key = *Ed25519Key::generate();
  auto signature = key.sign("message");
  EXPECT_TRUE(ed25519_verify(key.public_key, "message", signature));
  EXPECT_FALSE(ed25519_verify(key.public_key, "messagf", signature));
  signature[3] = static_cast<char>(signature[3] ^ 1);
  EXPECT_FALSE(ed25519_verify(key.public_key, "message", signature));
}

TEST(File, AtomicWriteAndLock) {
  const std::string dir = ::testing::TempDir() + uuid7();
  ASSERT_TRUE(make_dirs(dir + "/a/b").ok());
  ASSERT_TRUE(write_file_atomic(dir + "/a/b/f", "text").ok());
  EXPECT_EQ(*read_file(dir + "/a/b/f"), "text");
  EXPECT_EQ(list_dir(dir + "/a/b"), std::vector<std::string>{"f"});
  EXPECT_EQ(read_file(dir + "/none").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(write_file_atomic(dir + "/none/f", "text").error().message,
            "there is no folder `" + dir + "/none` for `" + dir + "/none/f`");
  auto lock = FileLock::acquire(dir + "/lock");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(FileLock::acquire(dir + "/lock").error().kind, ErrorKind::kConflict);
}

TEST(Log, AReaderThatStopsStopsNobody) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  std::string read;
  std::thread reader;
  {
    const log::Background lines;
    for (int i = 0; i < 10'000; ++i)
      log::error("line {} with as much text as a usual one has, so that the pipe is full soon",
                 i);  // 900 KB; a pipe has 64
    reader = std::thread([&] {
      char buffer[65536];
      for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        read.append(buffer, static_cast<std::size_t>(n));
    });
  }
  ::dup2(before, STDERR_FILENO);
  ::close(ends[1]);
  reader.join();
  for (const int fd : {ends[0], before}) ::close(fd);
  EXPECT_NE(read.find("error line 0 with"), std::string::npos);
  EXPECT_NE(read.find("lines were dropped: stderr was not read"), std::string::npos);
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  // wcwidth 0.2.13 (PyPI), `wcswidth`; it answers -1 for a control character, which is not asked.
  const std::pair<const char*, std::size_t> widths[] = {
      {"", 0},         {"abc", 3},           {"Zürich", 6},       {"Zu\u0308rich", 6},
      {"Łódź", 4},     {"дом", 3},           {"東京", 4},         {"한국", 4},
      {"ｆｕｌｌ", 8}, {"e\u0301\u0323", 1}, {"…–“”", 4},         {"😀", 2},
      {"a\u200bb", 2}, {"שלום", 4},          {"\u0e01\u0e33", 2}, {"✓", 1}};
  for (const auto& [text, width] : widths) EXPECT_EQ(display_width(text), width) << text;
  // What is no UTF-8 is shown as one U+FFFD a byte.
  EXPECT_EQ(display_width("a\xff\xc3"), 3U);
  EXPECT_EQ(display_width("\xe6\x9d"), 2U);
}

TEST(YieldOften, DisturbsNoCallThatBlocks) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    (void)!::write(ends[1], "x", 1);
  });
  char byte = 0;
  {
    const YieldOften yields;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1) << "a signal every 200 us must not be seen";
  }
  writer.join();
  EXPECT_EQ(byte, 'x');
  for (const int fd : ends) ::close(fd);
}

struct StandingClock final : Clock {
  Micros now = 0;
  Micros wall() const override { return now; }
  std::int64_t mono_ns() const override { return 0; }
};

TEST(Ids, SortByTimeOfMakingToTheMicrosecond) {
  StandingClock clock;
  std::string before;
  for (const Micros at : {0, 1, 2, 998, 999, 1000, 1001, 1999, 2000}) {
    clock.now = from_civil({2026, 1, 1}) + at;
    const std::string id = uuid7(clock);
    EXPECT_LT(before, id) << at;
    EXPECT_EQ(id[14], '7') << "the version";
    EXPECT_NE(std::string_view("89ab").find(id[19]), std::string_view::npos) << "the variant";
    before = id;
  }
}

}  // namespace
}  // namespace heddle
