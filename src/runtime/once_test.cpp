#include "runtime/once.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder_fixture.hpp"
#include "runtime/spec.hpp"
#include "runtime/tar.hpp"

namespace heddle::runtime {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A shell script that runs once, and what it left as `out/left`.
struct Ran {
  Result<OnceEnd> end = Error{};
  std::vector<std::string> lines{};
  std::string left{};
};

class OnceTest : public ::testing::Test {
 protected:
  Ran run(const std::string& script, std::int64_t timeout_ms = 20'000) {
    const std::string files = folder_ / "files";
    fs::create_directories(files);
    std::ofstream(files + "/run.sh") << script;
    const auto packed = pack_folder(files);
    Once once;
    once.place.command = {"/bin/sh", "run.sh"};
    once.place.files = *packed;
    once.place.directory = folder_ / "runtime";
    once.place.hidden = folder_.path();
    once.place.memory_bytes = 64 << 20;
    std::ofstream(folder_ / "rows") << "of the machine";
    once.place.linked = {{"rows", folder_ / "rows"}};
    once.timeout_ms = timeout_ms;
    Ran ran;
    ran.end = run_once(
        once, [&](std::string_view line) { ran.lines.emplace_back(line); },
        [&](int scratch) -> Result<void> {
          auto left = read_below(scratch, "out/left", 1000);
          ran.left = left.ok() ? *left : left.error().id;
          return {};
        });
    return ran;
  }
  fixture::Folder folder_;
};

TEST_F(OnceTest, WhatItLeftIsReadWhenItHasEnded) {
  const Ran ran = run("cat rows; echo; mkdir $TMPDIR/out; printf done > $TMPDIR/out/left; exit 3");
  ASSERT_TRUE(ran.end.ok()) << ran.end.error().str();
  EXPECT_EQ(ran.end->exit_code, 3);
  EXPECT_THAT(ran.lines, ElementsAre("of the machine"));
  EXPECT_EQ(ran.left, "done");
  EXPECT_TRUE(fs::is_empty(folder_ / "runtime")) << "its folder is gone with it";
}

TEST_F(OnceTest, ItsTimeIsBoundedWithAllThatItStarted) {
  const auto begin = std::chrono::steady_clock::now();
  const Ran ran = run("(while :; do sleep 1; done) & while :; do echo again; done", 1000);
  ASSERT_TRUE(ran.end.ok()) << ran.end.error().str();
  EXPECT_TRUE(ran.end->timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_LE(ran.lines.size(), 1001U) << "lines without end are counted, not told";
}

TEST_F(OnceTest, GarbageIsMadePrintableAndLongLinesAreCut) {
  const Ran ran =
      run(R"(printf '\001\377\033[31mred\302\251\r'; head -c 100000 /dev/zero | tr '\0' x)");
  ASSERT_TRUE(ran.end.ok());
  ASSERT_EQ(ran.lines.size(), 2U);
  EXPECT_EQ(ran.lines[0], " ? [31mred\302\251");
  EXPECT_EQ(ran.lines[1].size(), 500U);
}

TEST_F(OnceTest, NoLinkOfItsIsFollowedOutOfItsFolder) {
  const Ran ran = run("mkdir $TMPDIR/out; ln -s /etc/passwd $TMPDIR/out/left");
  ASSERT_TRUE(ran.end.ok());
  EXPECT_EQ(ran.left, "once-output");
  EXPECT_EQ(run("ln -s /etc $TMPDIR/out").left, "once-output");
}

TEST_F(OnceTest, AProgramThatIsNotThereIsSaid) {
  const auto files = pack_folder([&] {
    fs::create_directories(folder_ / "f");
    std::ofstream(folder_ / "f/a") << "a";
    return folder_ / "f";
  }());
  Once once;
  once.place.command = {"${project:.venv}"};
  once.place.files = *files;
  once.place.directory = folder_ / "runtime";
  fs::create_directories(folder_ / "project/.heddle");
  once.place.hidden = folder_ / "project/.heddle";
  const auto absent = run_once(once, {}, {});
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().id, "runtime-program");
  EXPECT_THAT(absent.error().message, HasSubstr("/project/.venv"));
}

TEST(Resolve, APlaceOfTheProjectIsBelowIt) {
  EXPECT_EQ(*resolve("${project:.venv/bin/python}", "/p"), "/p/.venv/bin/python");
  EXPECT_EQ(resolve("${project:.venv}").error().id, "secret-form") << "where there is none";
}

TEST(Place, AFolderStandsForTheInterpreterInIt) {
  const fixture::Folder folder;
  fs::create_directories(folder / "env/bin");
  std::ofstream(folder / "env/bin/python") << "#!/bin/sh\nexit 0\n";
  ::chmod((folder / "env/bin/python").c_str(), 0755);
  fs::create_directories(folder / "files");
  std::ofstream(folder / "files/a") << "a";
  const auto packed = pack_folder(folder / "files");
  const auto place = Place::make(
      {.command = {folder / "env", "x.py"}, .files = *packed, .directory = folder / "runtime"});
  ASSERT_TRUE(place.ok()) << place.error().str();
  EXPECT_EQ(place->launch().program, folder / "env/bin/python");
  EXPECT_EQ(place->launch().arguments[0], folder / "env/bin/python")
      << "by which Python finds its environment";
}

}  // namespace
}  // namespace heddle::runtime
