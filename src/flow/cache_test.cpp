// What is stored between runs: found again wherever the project lies, and never believed when it is
// damaged.
#include "flow/cache.hpp"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "flow/flow_fixture.hpp"

namespace heddle::flow {
namespace {

namespace fs = std::filesystem;

/// Every stored file of the runs of a project that flow reads again.
Names stored_files(const std::string& root) {
  Names out;
  for (const auto& entry : fs::recursive_directory_iterator(root + "/.heddle/runs")) {
    const std::string path = entry.path().string();
    const bool is_read = entry.is_regular_file() && !path.ends_with("/lock") &&
                         path.find("/trial-") == std::string::npos;
    if (is_read) out.push_back(path);
  }
  std::sort(out.begin(), out.end());
  return out;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

TEST(Cache, AProjectThatWasMovedOrCopiedRunsNothingAgain) {
  Scene scene(1500);
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  const std::string was = scene.root;
  const std::string moved = was + "-moved";
  fs::rename(was, moved);
  {
    Scene there{moved};
    EXPECT_EQ(there.to_run(), Names{});
    const auto again = there.run();
    ASSERT_TRUE(again.ok()) << again.error().str();
    EXPECT_EQ(again->ran, 0);
    EXPECT_EQ(again->candidate.bundle, first->candidate.bundle);
  }
  fs::copy(moved, was, fs::copy_options::recursive);
  fs::remove_all(moved);
  Scene copy{was};
  EXPECT_EQ(copy.to_run(), Names{});
  EXPECT_EQ(copy.run()->ran, 0);
  // The same bytes under another time are the same rows; other bytes are not.
  fs::last_write_time(was + "/data/rows.parquet", fs::file_time_type::clock::now());
  EXPECT_EQ(copy.to_run(), Names{});
  copy.write_rows(make_rows(1500, 8));
  EXPECT_FALSE(copy.to_run().empty());
}

TEST(Cache, HowASourceIsWrittenAndEachOfItsFilesAreInTheKeyOfItsRows) {
  Scene scene(600);
  const auto reads_rows = [&] {
    const auto steps = scene.to_run();
    return std::find(steps.begin(), steps.end(), "validate.rows") != steps.end();
  };
  ASSERT_TRUE(scene.run("snapshot").ok());
  EXPECT_FALSE(reads_rows());
  scene.change("heddle.yaml", "rows: data/rows.parquet",
               "rows: {path: data/rows.parquet, nulls: [NA]}");
  EXPECT_TRUE(reads_rows()) << "the bytes are the same, the rows need not be";
  // A folder of parts, one of which is in another folder.
  fs::create_directories(scene.root + "/data/rows/more");
  fs::rename(scene.root + "/data/rows.parquet", scene.root + "/data/rows/a.parquet");
  const auto write_part = [&](const std::string& name, std::uint64_t seed) {
    const auto wrote =
        table::write_parquet(make_rows(300, seed), scene.root + "/data/rows/more/" + name);
    ASSERT_TRUE(wrote.ok());
  };
  write_part("b.parquet", 8);
  scene.change("heddle.yaml", "{path: data/rows.parquet, nulls: [NA]}", "data/rows");
  const auto both = scene.run("snapshot");
  ASSERT_TRUE(both.ok()) << both.error().str();
  EXPECT_FALSE(reads_rows());
  write_part("c.parquet", 9);
  EXPECT_TRUE(reads_rows());
  fs::remove(scene.root + "/data/rows/more/c.parquet");
  EXPECT_FALSE(reads_rows());
  fs::rename(scene.root + "/data/rows/more", scene.root + "/data/rows/moved");
  EXPECT_TRUE(reads_rows()) << "a folder's name may be a column";
}

TEST(Cache, NoDamagedFileOfItEndsAPlanOrIsBelieved) {
  Scene scene(1200);
  const auto first = scene.run();
  ASSERT_TRUE(first.ok()) << first.error().str();
  const auto harm = [](const std::string& bytes) {
    std::string turned = bytes;
    turned[turned.size() / 2] = static_cast<char>(turned[turned.size() / 2] ^ 0x20);
    return std::vector<std::string>{"",
                                    bytes.substr(0, bytes.size() / 2),
                                    turned,
                                    "[1, 2]",
                                    "7",
                                    R"({"format": 1, "source": {"a": 1}, "split": 2})",
                                    R"({"bundle": 1, "format": "heddle.step-result/9"})"};
  };
  for (const auto& path : stored_files(scene.root)) {
    const std::string bytes = *read_file(path);
    for (const auto& damaged : harm(bytes)) {
      write(path, damaged);
      const auto planned = flow::plan(scene.project(), scene.host);
      EXPECT_TRUE(planned.ok()) << path << ": " << planned.error().str();
      const auto kept = last_candidate(scene.host, "m");
      EXPECT_TRUE(kept.ok() || kept.error().id == "candidate-damaged") << path;
    }
    // A run reads what it needs, and makes again what it cannot use.
    const auto again = scene.run();
    ASSERT_TRUE(again.ok()) << path << ": " << again.error().str();
    EXPECT_EQ(again->candidate.bundle, first->candidate.bundle) << path;
    if (path_exists(path)) write(path, bytes);
  }
}

TEST(Cache, AFileOfTheRightLengthThatSaysSomethingElseMakesItsStepRunAgain) {
  Scene scene(1200);
  const auto first = scene.run("features");
  ASSERT_TRUE(first.ok()) << first.error().str();
  for (const char* name : {"accepted.parquet", "train.f32", "labels.f64", "features.json"}) {
    for (const auto& path : stored_files(scene.root)) {
      if (!path.ends_with(std::string("/") + name)) continue;
      std::string bytes = *read_file(path);
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
      write(path, bytes);
    }
  }
  Scene clean(1200);
  const auto expected = clean.run();
  const auto result = scene.run();
  ASSERT_TRUE(result.ok()) << result.error().str();
  EXPECT_EQ(result->candidate.bundle, expected->candidate.bundle);
}

TEST(Cache, RowsAreTheSameWhetherARunWentThroughOrStoppedBetweenSteps) {
  Scene scene(1200);
  for (const char* until : {"validate.rows", "split", "features", "search", "train"})
    ASSERT_TRUE(scene.run(until).ok()) << until;
  Scene clean(1200);
  EXPECT_EQ(scene.run()->candidate.bundle, clean.run()->candidate.bundle);
}

}  // namespace
}  // namespace heddle::flow
