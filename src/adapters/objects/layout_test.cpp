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

TEST_F(LayoutTest, WhatIsDamagedOrOfAnotherVersionIsRefusedAtOnceAndLeftAsItIs) {
  const auto refusal = [&](const std::string& file, const std::string& text) {
    const std::string path = directory_ + "/" + file;
    const std::string before = *read_file(path);
    EXPECT_TRUE(write_file_atomic(path, text).ok());
    const auto opened = open_layout(directory_);
    EXPECT_EQ(*read_file(path), text);
    EXPECT_TRUE(write_file_atomic(path, before).ok());
    if (opened.ok()) return std::string();
    EXPECT_NE(opened.error().message.find(file), std::string::npos) << opened.error().message;
    return opened.error().id;
  };
  EXPECT_EQ(refusal("oci-layout", R"({"imageLayoutVersion":"2.0.0"})"), "layout-version");
  for (const char* text : {"", "{}", "{\"imageLayout", "[]"})
    EXPECT_EQ(refusal("oci-layout", text), "layout-corrupt") << text;
  EXPECT_EQ(refusal("index.json", R"({"schemaVersion":9,"manifests":[]})"), "layout-version");
  for (const char* text :
       {"", "{}", R"({"schemaVersion":2,"mani)", R"({"schemaVersion":2,"manifests":{}})",
        R"({"manifests":[]})", R"({"schemaVersion":2,"manifests":[null]})",
        R"({"schemaVersion":2,"manifests":[7]})", R"({"schemaVersion":2,"manifests":[{}]})",
        R"({"schemaVersion":2,"manifests":[{"digest":"sha256:za"}]})"})
    EXPECT_EQ(refusal("index.json", text), "layout-corrupt") << text;
  const std::string digest = objects_->put("x")->str();
  EXPECT_EQ(refusal("index.json", fmt::format(R"({{"schemaVersion":2,"manifests":[{{"digest":"{}",)"
                                              R"("annotations":[]}}]}})",
                                              digest)),
            "layout-corrupt");
  EXPECT_EQ(
      refusal("index.json",
              fmt::format(R"({{"schemaVersion":2,"manifests":[{{"digest":"{}"}}]}})", digest)),
      "");
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
