#include "bundle/bundle.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "doc/json.hpp"

namespace heddle::bundle {
namespace {

/// Objects in memory that hold nothing against its digest, so that the bundle must; `full_after`
/// writes the disk is full.
class UnverifiedObjects : public store::Objects {
 public:
  Result<Digest> put(std::string_view bytes) override {
    if (writes++ >= full_after)
      return Error{ErrorKind::kIo, "disk-full", "no space left on device", "free some"};
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
  Result<void> tag(std::string_view name, const Digest& manifest, std::string_view,
                   std::uint64_t) override {
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
  return {{.title = "model.json", .bytes = R"({"trees":[]})"},
          {.title = "calibration.json", .bytes = R"({"intercept":0.5})"}};
}
doc::Value config() { return doc::Value::object({{"model", "delay"}, {"trainer", "xgboost"}}); }

TEST(Bundle, PackingTwiceGivesOneDigest) {
  UnverifiedObjects here;
  UnverifiedObjects there;
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

TEST(Bundle, IsFoundByTheBeginningOfItsDigest) {
  UnverifiedObjects objects;
  const auto digest = *pack(objects, layers(), config());
  const auto hex = digest.hex();
  for (const auto& text :
       {digest.str(), digest.str().substr(0, 19), hex, hex.substr(0, 12), hex.substr(0, 4)}) {
    const auto found = find(objects, text);
    ASSERT_TRUE(found.ok()) << text;
    EXPECT_EQ(*found, digest);
  }
  // A whole digest is taken as it is: whether the bundle is there is for who opens it.
  EXPECT_EQ(*find(objects, sha256("other").str()), sha256("other"));
  for (const char* bad : {"", "sha256:", "abc", "primary", "sha512:abcdef", "ABCDEF"})
    EXPECT_EQ(find(objects, bad).error().id, "digest-malformed") << bad;
  EXPECT_EQ(find(objects, hex + "0").error().id, "digest-malformed");
  const std::string unknown = hex.substr(0, 11) + (hex[11] == '0' ? '1' : '0');
  EXPECT_EQ(find(objects, unknown).error().id, "bundle-unknown");
  Digest near = digest;
  near.bytes[31] ^= 1U;
  ASSERT_TRUE(objects.tag(near.hex(), near, "", 1).ok());
  const auto ambiguous = find(objects, hex.substr(0, 12));
  ASSERT_FALSE(ambiguous.ok());
  EXPECT_EQ(ambiguous.error().id, "digest-ambiguous");
  for (const auto& each : {digest, near})
    EXPECT_NE(ambiguous.error().message.find(each.str()), std::string::npos);
  EXPECT_EQ(*find(objects, hex), digest);
}

TEST(Bundle, WhatWasPackedIsOpened) {
  UnverifiedObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  const auto bundle = open(objects, digest);
  ASSERT_TRUE(bundle.ok()) << bundle.error().str();
  EXPECT_EQ(bundle->config(), config());
  EXPECT_EQ(bundle->json(kCalibration)->double_or("intercept"), 0.5);
  EXPECT_EQ(bundle->layers()[1].media_type, "application/vnd.cncf.model.weight.v1.raw");
  EXPECT_EQ(bundle->layer("policy.json").error().kind, ErrorKind::kNotFound);
}

std::set<std::string> keys_of(const doc::Value& object) {
  std::set<std::string> out;
  for (const auto& [key, value] : object.as_object()) out.insert(key);
  return out;
}

/// The manifest's config blob.
doc::Value config_blob(UnverifiedObjects& objects, const Digest& digest) {
  const auto manifest = doc::parse_json(*objects.get(digest));
  return *doc::parse_json(
      *objects.get(*Digest::parse(manifest->find("config")->string_or("digest"))));
}

/// Every object of ModelPack's schema is closed (schema/config-schema.json of modelpack/model-spec,
/// v0.0.7): these are its members, and what it asks of them.
TEST(Bundle, TheConfigKeepsModelPacksSchema) {
  const std::map<std::string, std::set<std::string>> members = {
      {"descriptor",
       {"createdAt", "authors", "family", "name", "docURL", "sourceURL", "datasetsURL", "version",
        "revision", "vendor", "licenses", "title", "description"}},
      {"config",
       {"architecture", "format", "paramSize", "precision", "quantization", "transformerConfig",
        "capabilities"}},
      {"modelfs", {"type", "diffIds"}},
  };
  for (const auto& given :
       {config(),
        doc::Value::object(
            {{"model", ""}, {"trainer", "linear"}, {"more", doc::Value::object({{"a", 1}})}})}) {
    UnverifiedObjects objects;
    const Digest digest = *pack(objects, layers(), given);
    const doc::Value written = config_blob(objects, digest);
    EXPECT_EQ(keys_of(written), (std::set<std::string>{"descriptor", "config",
                                                       "modelfs"}));  // all three are required
    for (const auto& [name, allowed] : members) {
      for (const std::string& key : keys_of(*written.find(name)))
        EXPECT_TRUE(allowed.contains(key)) << name << "." << key;
    }
    EXPECT_GE(written.find("descriptor")->string_or("name").size(), 1U);
    EXPECT_EQ(written.find("modelfs")->string_or("type"), "layers");
    // One entry a layer, in the manifest's order.
    const auto manifest = doc::parse_json(*objects.get(digest));
    const auto& entries = manifest->find("layers")->as_array();
    const auto& ids = written.find("modelfs")->find("diffIds")->as_array();
    ASSERT_EQ(ids.size(), entries.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
      EXPECT_EQ(ids[i].as_string(), entries[i].string_or("digest"));
    EXPECT_EQ(doc::to_canonical_json(open(objects, digest)->config()),
              doc::to_canonical_json(given));
    EXPECT_EQ(open(objects, digest)->layers().size(), 2U);
  }
}

/// Before, Heddle's config was a member of ModelPack's.
TEST(Bundle, AnOlderBundleIsOpened) {
  UnverifiedObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  auto manifest = *doc::parse_json(*objects.get(digest));
  doc::Value old_config = config_blob(objects, digest);
  old_config.set("heddle", config());
  const std::string bytes = doc::to_canonical_json(old_config);
  doc::Value entry = *manifest.find("config");
  entry.set("digest", objects.put(bytes)->str());
  entry.set("size", static_cast<std::int64_t>(bytes.size()));
  manifest.set("config", entry);
  // With both, which counts would be up to the reader.
  EXPECT_EQ(open(objects, *objects.put(doc::to_canonical_json(manifest))).error().kind,
            ErrorKind::kCorrupt);
  doc::Value kept = doc::Value::array();
  for (const auto& layer : manifest.find("layers")->as_array()) {
    if (layer.find("annotations")->string_or("org.opencontainers.image.title") != kConfig)
      kept.push(layer);
  }
  manifest.set("layers", kept);
  const auto old = open(objects, *objects.put(doc::to_canonical_json(manifest)));
  ASSERT_TRUE(old.ok()) << old.error().str();
  EXPECT_EQ(old->config(), config());
  EXPECT_EQ(old->layers().size(), 2U);
  manifest.set("config", *doc::parse_json(*objects.get(digest))->find("config"));
  EXPECT_EQ(open(objects, *objects.put(doc::to_canonical_json(manifest))).error().kind,
            ErrorKind::kCorrupt);  // neither
}

TEST(Bundle, EveryFlippedByteIsRefused) {
  UnverifiedObjects objects;
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
  UnverifiedObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  objects.blobs.erase(sha256(R"({"trees":[]})"));
  EXPECT_EQ(open(objects, digest).error().kind, ErrorKind::kNotFound);
}

TEST(Bundle, AFullDiskLeavesNoManifest) {
  for (int space = 0; space < 5; ++space) {
    UnverifiedObjects objects;
    objects.full_after = space;
    EXPECT_EQ(pack(objects, layers(), config()).error().kind, ErrorKind::kIo);
    EXPECT_TRUE(objects.named.empty());
    for (const auto& [digest, bytes] : objects.blobs) EXPECT_FALSE(open(objects, digest).ok());
  }
}

TEST(Bundle, EqualTitlesAreRefused) {
  UnverifiedObjects objects;
  EXPECT_EQ(pack(objects, {{.title = "a", .bytes = "1"}, {.title = "a", .bytes = "2"}}, config())
                .error()
                .kind,
            ErrorKind::kInvalid);
  // Nor are they opened: which of the two counts would be up to the reader.
  const Digest digest =
      *pack(objects, {{.title = "a", .bytes = "1"}, {.title = "b", .bytes = "2"}}, config());
  std::string manifest = objects.blobs.at(digest);
  for (std::size_t at = 0; (at = manifest.find(R"("b")", at)) != std::string::npos;)
    manifest.replace(at, 3, R"("a")");
  EXPECT_EQ(open(objects, *objects.put(manifest)).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace heddle::bundle
