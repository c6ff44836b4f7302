#include "bundle/bundle.hpp"

#include <map>

#include <gtest/gtest.h>

namespace heddle::bundle {
namespace {

/// Objects in memory; `full_after` writes a disk is full.
class MemoryObjects : public store::Objects {
 public:
  Result<Digest> put(std::string_view bytes) override {
    if (writes++ >= full_after) return Error{ErrorKind::kIo, "disk-full", "no space left on device", "free some"};
    const Digest digest = sha256(bytes);
    blobs[digest] = bytes;
    return digest;
  }
  Result<std::string> get(const Digest& digest) override {
    const auto found = blobs.find(digest);
    if (found == blobs.end()) return Error{ErrorKind::kNotFound, "object-not-found", "not there"};
    return found->second;
  }
  bool has(const Digest& digest) override { return blobs.contains(digest); }
  Result<void> tag(std::string_view name, const Digest& manifest, std::string_view, std::uint64_t) override {
    named.emplace_back(name, manifest);
    return {};
  }
  Result<std::vector<std::pair<std::string, Digest>>> tags() override { return named; }

  std::map<Digest, std::string> blobs;
  std::vector<std::pair<std::string, Digest>> named;
  int writes = 0;
  int full_after = 1000;
};

std::vector<Layer> layers() {
  return {{.title = "model.json", .bytes = R"({"trees":[]})"}, {.title = "calibration.json", .bytes = R"({"intercept":0.5})"}};
}
doc::Value config() { return doc::Value::object({{"model", "delay"}, {"trainer", "xgboost"}}); }

TEST(Bundle, PackingTwiceGivesOneDigest) {
  MemoryObjects here;
  MemoryObjects there;
  auto turned = layers();
  std::swap(turned[0], turned[1]);
  const auto first = pack(here, layers(), config());
  const auto second = pack(there, turned, config());
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(here.blobs, there.blobs);
  auto changed = layers();
  changed[1].bytes += ' ';
  EXPECT_NE(*pack(there, changed, config()), *first);
}

TEST(Bundle, WhatWasPackedIsOpened) {
  MemoryObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  const auto bundle = open(objects, digest);
  ASSERT_TRUE(bundle.ok()) << bundle.error().str();
  EXPECT_EQ(bundle->config(), config());
  EXPECT_EQ(bundle->json(kCalibration)->double_or("intercept"), 0.5);
  EXPECT_EQ(bundle->layers()[1].media_type, "application/vnd.cncf.model.weight.v1.raw");
  EXPECT_EQ(bundle->layer("policy.json").error().kind, ErrorKind::kNotFound);
}

TEST(Bundle, EveryFlippedByteIsRefused) {
  MemoryObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  for (auto& [key, bytes] : objects.blobs) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] ^= 1;
      const auto bundle = open(objects, digest);
      ASSERT_FALSE(bundle.ok()) << "byte " << i << " of " << key.str();
      EXPECT_EQ(bundle.error().kind, ErrorKind::kCorrupt);
      bytes[i] ^= 1;
    }
  }
  EXPECT_TRUE(open(objects, digest).ok());
}

TEST(Bundle, AMissingPartIsNotFound) {
  MemoryObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  objects.blobs.erase(sha256(R"({"trees":[]})"));
  EXPECT_EQ(open(objects, digest).error().kind, ErrorKind::kNotFound);
}

TEST(Bundle, AFullDiskLeavesNoManifest) {
  for (int space = 0; space < 4; ++space) {
    MemoryObjects objects;
    objects.full_after = space;
    EXPECT_EQ(pack(objects, layers(), config()).error().kind, ErrorKind::kIo);
    EXPECT_TRUE(objects.named.empty());
    for (const auto& [digest, bytes] : objects.blobs) EXPECT_FALSE(open(objects, digest).ok());
  }
}

TEST(Bundle, EqualTitlesAreRefused) {
  MemoryObjects objects;
  EXPECT_EQ(pack(objects, {{.title = "a", .bytes = "1"}, {.title = "a", .bytes = "2"}}, config()).error().kind,
            ErrorKind::kInvalid);
  // Nor are they opened: which of the two counts would be up to the reader.
  const Digest digest = *pack(objects, {{.title = "a", .bytes = "1"}, {.title = "b", .bytes = "2"}}, config());
  std::string manifest = objects.blobs.at(digest);
  for (std::size_t at = 0; (at = manifest.find(R"("b")", at)) != std::string::npos;) manifest.replace(at, 3, R"("a")");
  EXPECT_EQ(open(objects, *objects.put(manifest)).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace heddle::bundle
