#include "adapters/objects/layout.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "doc/json.hpp"

namespace heddle::adapters {
namespace {

class LayoutTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "heddle-layout-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    auto opened = open_layout(directory_);
    ASSERT_TRUE(opened.ok()) << opened.error().str();
    objects_ = std::move(*opened);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
  std::unique_ptr<store::Objects> objects_;
};

TEST_F(LayoutTest, IsAnOciImageLayout) {
  EXPECT_EQ(*read_file(directory_ + "/oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  const auto index = doc::parse_json(*read_file(directory_ + "/index.json"));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->int_or("schemaVersion"), 2);
}

TEST_F(LayoutTest, WhatWasPutIsRead) {
  const auto digest = objects_->put("hello");
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(digest->hex(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_TRUE(objects_->has(*digest));
  EXPECT_EQ(*objects_->get(*digest), "hello");
  EXPECT_EQ(objects_->get(sha256("other")).error().kind, ErrorKind::kNotFound);
}

TEST_F(LayoutTest, AFlippedByteIsRefusedAndPutHealsIt) {
  const Digest digest = *objects_->put("hello");
  const std::string path = directory_ + "/blobs/sha256/" + digest.hex();
  ASSERT_TRUE(write_file_atomic(path, "hellp").ok());
  EXPECT_EQ(objects_->get(digest).error().kind, ErrorKind::kCorrupt);
  ASSERT_TRUE(objects_->put("hello").ok());
  EXPECT_EQ(*objects_->get(digest), "hello");
}

TEST_F(LayoutTest, TheNewestTagWins) {
  const Digest first = *objects_->put("1");
  const Digest second = *objects_->put("2");
  ASSERT_TRUE(objects_->tag("latest", first, "application/json", 1).ok());
  ASSERT_TRUE(objects_->tag("other", first, "application/json", 1).ok());
  ASSERT_TRUE(objects_->tag("latest", second, "application/json", 1).ok());
  const auto tags = objects_->tags();
  ASSERT_TRUE(tags.ok());
  ASSERT_EQ(tags->size(), 2U);
  EXPECT_EQ((*tags)[0], std::pair(std::string("other"), first));
  EXPECT_EQ((*tags)[1], std::pair(std::string("latest"), second));
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
