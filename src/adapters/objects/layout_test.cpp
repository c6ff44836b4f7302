#include "adapters/objects/layout.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "doc/json.hpp"
#include "store/objects_conformance.hpp"

namespace heddle::store {

INSTANTIATE_TEST_SUITE_P(
    Layout, ObjectsConformance,
    testing::Values(ObjectsAdapter{
        [](const std::string& directory) { return adapters::open_layout(directory).value(); },
        [](Objects&, const std::string& directory, const Digest& digest, std::string_view bytes) {
          ASSERT_TRUE(write_file_atomic(directory + "/blobs/sha256/" + digest.hex(), bytes).ok());
        }}));

}  // namespace heddle::store

namespace heddle::adapters {
namespace {

class LayoutTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_layout(directory_);
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    objects_ = std::move(*opened);
  }

  heddle::fixture::Folder folder_;
  const std::string& directory_ = folder_.path();
  std::unique_ptr<store::Objects> objects_;
};

TEST_F(LayoutTest, IsAnOciImageLayout) {
  EXPECT_EQ(*read_file(directory_ + "/oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  const auto index = doc::parse_json(*read_file(directory_ + "/index.json"));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->int_or("schemaVersion"), 2);
}

TEST_F(LayoutTest, WritersFromManyThreadsAndInstancesAgree) {
  auto other = open_layout(directory_);
  ASSERT_TRUE(other.ok());
  const Digest digest = *objects_->put("x");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto& objects = t % 2 == 0 ? *objects_ : **other;
      for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(objects.tag(fmt::format("t{}-{}", t, i), digest, "application/json", 1).ok());
        EXPECT_TRUE(objects.put(fmt::format("{}", i)).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(objects_->tags()->size(), 20U);
}

TEST_F(LayoutTest, AFullDiskLeavesNothingHalfWritten) {
  // A file size limit fails the write in its middle, as a full disk does, for root as well.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto result = objects_->put(std::string(100'000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kIo);
  EXPECT_TRUE(list_dir(directory_ + "/blobs/sha256").empty());
}

}  // namespace
}  // namespace heddle::adapters
