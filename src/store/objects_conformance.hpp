#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "store/store.hpp"

namespace heddle::store {

/// An adapter of store::Objects under test.
struct ObjectsAdapter {
  /// Two opened on one directory are two processes' views of the same objects.
  std::function<std::unique_ptr<Objects>(const std::string& directory)> open;
  /// Puts `bytes` in the place of an object, as a failing disk does.
  std::function<void(Objects& objects, const std::string& directory, const Digest& digest,
                     std::string_view bytes)>
      damage;
};

/// What every adapter of store::Objects must do. For tests only:
///
///   INSTANTIATE_TEST_SUITE_P(Layout, ObjectsConformance, testing::Values(ObjectsAdapter{...}));
class ObjectsConformance : public testing::TestWithParam<ObjectsAdapter> {
 protected:
  void SetUp() override {
    objects_ = open();
    ASSERT_NE(objects_, nullptr);
  }
  [[nodiscard]] std::unique_ptr<Objects> open() const { return GetParam().open(folder_.path()); }
  void damage(const Digest& digest, std::string_view bytes) {
    GetParam().damage(*objects_, folder_.path(), digest, bytes);
  }

  heddle::fixture::Folder folder_;
  std::unique_ptr<Objects> objects_;
};

TEST_P(ObjectsConformance, AnyBytesAreReadAsTheyWerePut) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (const std::string& bytes : {std::string(), std::string("\0", 1), all,
                                   std::string(3 << 20, 'x'), std::string("hello")}) {
    const auto digest = objects_->put(bytes);
    ASSERT_TRUE(digest.ok()) << digest.error().str();
    EXPECT_EQ(*digest, sha256(bytes));
    EXPECT_TRUE(objects_->has(*digest));
    const auto got = objects_->get(*digest);
    ASSERT_TRUE(got.ok()) << got.error().str();
    EXPECT_EQ(*got, bytes);
  }
  // The digest of `hello`, by sha256sum.
  EXPECT_EQ(objects_->put("hello")->hex(),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

TEST_P(ObjectsConformance, WhatIsNotThereSaysSo) {
  const Digest absent = sha256("never put");
  EXPECT_FALSE(objects_->has(absent));
  const auto got = objects_->get(absent);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(got.error().message.find(absent.str()), std::string::npos);
  EXPECT_FALSE(got.error().hint.empty());
}

TEST_P(ObjectsConformance, DamageIsRefusedAndPuttingItAgainHealsIt) {
  const Digest digest = *objects_->put("hello");
  for (const char* bytes : {"hellp", "hell", "", "hello!"}) {
    damage(digest, bytes);
    const auto got = objects_->get(digest);
    ASSERT_FALSE(got.ok()) << bytes;
    EXPECT_EQ(got.error().kind, ErrorKind::kCorrupt) << bytes;
    EXPECT_FALSE(got.error().hint.empty());
    ASSERT_TRUE(objects_->put("hello").ok());
    EXPECT_EQ(*objects_->get(digest), "hello") << bytes;
  }
}

TEST_P(ObjectsConformance, FilesBecomeObjectsAndObjectsFiles) {
  const heddle::fixture::Folder files;
  const std::string from = files.path() + "/from", to = files.path() + "/to";
  for (const std::string& bytes :
       {std::string(), std::string("hello"), std::string(3 << 20, 'x')}) {
    ASSERT_TRUE(write_file_atomic(from, bytes).ok());
    const auto digest = objects_->add_file(from);
    ASSERT_TRUE(digest.ok()) << digest.error().str();
    EXPECT_EQ(*digest, sha256(bytes));
    EXPECT_EQ(*objects_->add_file(from), *digest) << "it is there already";
    EXPECT_EQ(*read_file(from), bytes) << "the name stays the caller's";
    std::filesystem::remove(from);
    EXPECT_EQ(*objects_->get(*digest), bytes);
    const auto placed = objects_->place(*digest, to);
    ASSERT_TRUE(placed.ok()) << placed.error().str();
    EXPECT_EQ(*read_file(to), bytes);
    const auto mode = std::filesystem::status(to).permissions();
    EXPECT_EQ(mode & std::filesystem::perms::owner_write, std::filesystem::perms::none);
    std::filesystem::remove(to);
    EXPECT_EQ(*objects_->get(*digest), bytes) << "the file went, the object stays";
  }
  const auto absent = objects_->place(sha256("never put"), to);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(to));
  EXPECT_FALSE(objects_->place(*objects_->put("hello"), files.path() + "/no/such/folder").ok());
  EXPECT_EQ(objects_->add_file(files.path() + "/absent").error().kind, ErrorKind::kNotFound);
}

TEST_P(ObjectsConformance, AFileTakesTheDamagedObjectsPlace) {
  const heddle::fixture::Folder files;
  const Digest digest = *objects_->put("hello");
  damage(digest, "hellp");
  ASSERT_TRUE(write_file_atomic(files.path() + "/again", "hello").ok());
  EXPECT_EQ(*objects_->add_file(files.path() + "/again"), digest);
  EXPECT_EQ(*objects_->get(digest), "hello");
}

TEST_P(ObjectsConformance, TheNewestTagWins) {
  EXPECT_TRUE(objects_->tags()->empty());
  const Digest first = *objects_->put("1");
  const Digest second = *objects_->put("2");
  const auto tag = [&](std::string_view name, const Digest& digest) {
    ASSERT_TRUE(objects_->tag(name, digest, "application/json", 1).ok());
  };
  tag("latest", first);
  tag("other", first);
  tag("latest", second);
  const auto tags = objects_->tags();
  ASSERT_TRUE(tags.ok());
  ASSERT_EQ(tags->size(), 2U);
  // The one that was given last stands last.
  EXPECT_EQ((*tags)[0], std::pair(std::string("other"), first));
  EXPECT_EQ((*tags)[1], std::pair(std::string("latest"), second));
}

TEST_P(ObjectsConformance, NamesOfTagsAreText) {
  const Digest digest = *objects_->put("1");
  for (const char* name : {"a b", "a\"b\\c", "délai", "../up", "x/y:z@1"}) {
    ASSERT_TRUE(objects_->tag(name, digest, "application/json", 1).ok()) << name;
    EXPECT_EQ(objects_->tags()->back().first, name);
  }
  EXPECT_EQ(objects_->tags()->size(), 5U);
}

TEST_P(ObjectsConformance, WritersOfManyThreadsAgree) {
  const Digest digest = *objects_->put("x");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(objects_->tag(fmt::format("t{}-{}", t, i), digest, "application/json", 1).ok());
        // All put the same ones.
        const auto put = objects_->put(fmt::format("{}", i));
        ASSERT_TRUE(put.ok());
        EXPECT_EQ(*objects_->get(*put), fmt::format("{}", i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(objects_->tags()->size(), 20U);
}

}  // namespace heddle::store
