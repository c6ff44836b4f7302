#include "bundle/bundle.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "bundle/config_fixture.hpp"
#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"

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
Config config() { return fixture::config("delay"); }

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
  Config linear = config();
  linear.trainer = "linear";
  for (const auto& given : {config(), linear}) {
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
    EXPECT_EQ(open(objects, digest)->config(), given);
    EXPECT_EQ(open(objects, digest)->layers().size(), 2U);
  }
}

/// Before, Heddle's config was a member of ModelPack's.
TEST(Bundle, AnOlderBundleIsOpened) {
  UnverifiedObjects objects;
  const Digest digest = *pack(objects, layers(), config());
  auto manifest = *doc::parse_json(*objects.get(digest));
  doc::Value old_config = config_blob(objects, digest);
  old_config.set("heddle", config_schema().print(config()));
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

TEST(Bundle, AManifestOfAnotherVersionIsRefused) {
  UnverifiedObjects objects;
  const Digest packed = pack(objects, layers(), config()).value();
  for (const char* version : {"3", "\"2\"", "null"}) {
    auto manifest = doc::parse_json(objects.blobs.at(packed)).value();
    manifest.set("schemaVersion", doc::parse_json(version).value());
    const auto opened = open(objects, objects.put(doc::to_json(manifest)).value());
    ASSERT_FALSE(opened.ok()) << version;
    EXPECT_EQ(opened.error().id, "bundle-version") << opened.error().str();
  }
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

/// Every member, and each kind of change.
std::vector<Config> full_configs() {
  Config built = config();
  built.parameters->values = {{"max_depth", "6"}, {"eta", "0.12"}};
  built.rounds = 94;
  built.seed = -3;
  built.task.kind = stats::TaskKind::kRegression;
  built.time_field = "at";
  built.features = {"hour", "far"};
  built.lineage.snapshot = sha256("snapshot");
  built.lineage.held_out = sha256("held");
  built.learned = {Learned::Kind::kUntil, 990000000000000};
  built.search = Search{{}, "xgboost", {{{"max_depth", "6"}}}, 94, 20, 0.4312};
  Config derived = built;
  derived.derived_from = sha256("base");
  derived.search->bundle = sha256("accepted");
  std::vector<Config> all{built};
  using Kind = Change::Kind;
  for (const Change& change :
       {Change{.kind = Kind::kRetrain, .rows = 2000, .data = sha256("rows")},
        Change{.kind = Kind::kTransform, .id = "shift", .field = "at", .expression = "at + 1"},
        Change{.kind = Kind::kTransformWithdrawn, .id = "shift"},
        Change{.kind = Kind::kCalibration,
               .to = doc::Value::object(
                   {{"format", "heddle.calibration/1"}, {"offsets", doc::Value::array({0.5})}})}}) {
    derived.change = change;
    all.push_back(derived);
  }
  return all;
}

TEST(BundleConfig, SchemaConformance) {
  for (const Config& each : full_configs())
    doc::RecordConformance<Config>(config_schema(), each).run("docs/formats/bundle.md");
  doc::RecordConformance<Search>(search_schema(), *full_configs()[1].search).run("");
}

/// As Heddle wrote them before there was a schema: a bundle's digest covers these bytes.
TEST(BundleConfig, BytesOfBeforeAreReadAndWrittenAgain) {
  const std::string digest = sha256("x").str();
  const std::string lineage =
      fmt::format(R"("lineage":{{"contract":"{0}","evaluation":"{0}","features":"{0}",)"
                  R"("held_out":"{0}","model":"{0}","snapshot":"{0}","source":"{0}"}},)",
                  digest);
  for (const std::string& before :
       {std::string(R"({"commit":"c0ffee","dirty":false,"features":["hour","far"],)") +
            R"("format":"heddle.bundle/2","learned_until":990000000000000,)" + lineage +
            R"("model":"delay","parameters":{"eta":"0.12","max_depth":"6"},"role":"primary",)" +
            R"("rounds":94,"search":{"loss":0.4312,"parameters":{"max_depth":"6"},"rounds":94,)" +
            R"("trainer":"xgboost","trials":20},"seed":42,"target":"arr_delay > 15",)" +
            R"("task":{"kind":"binary"},"time_field":"date","trainer":"xgboost"})",
        std::string(R"({"change":{"data":")") + digest + R"(","kind":"retrain","rows":2000},)" +
            R"("commit":"","derived_from":")" + digest + R"(","dirty":true,"features":["hour"],)" +
            R"("format":"heddle.bundle/2","learned_until":null,)" + lineage +
            R"("model":"delay","parameters":{},"role":"standby","rounds":0,"search":{"bundle":")" +
            digest +
            R"(","loss":0.25,"parameters":{},"rounds":1,"trainer":"xgboost","trials":1},)" +
            R"("seed":0,"target":"kind","task":{"classes":["1","2"],"kind":"classes",)" +
            R"("whole_classes":true},"time_field":"","trainer":"xgboost"})",
        std::string(R"({"change":{"expression":"at + 1","field":"at","id":"shift",)") +
            R"("kind":"transform"},"commit":"c0ffee","derived_from":")" + digest +
            R"(","dirty":false,"features":[],"format":"heddle.bundle/2",)" + lineage +
            R"("model":"delay","parameters":{},"role":"primary","rounds":0,"seed":0,)" +
            R"("target":"late","task":{"kind":"regression"},"time_field":"",)" +
            R"("trainer":"runtime:process"})"}) {
    const auto read = config_schema().parse_text(before);
    ASSERT_TRUE(read.ok()) << read.error().str();
    EXPECT_EQ(doc::to_canonical_json(config_schema().print(*read)), before);
  }
}

/// Each was read as something else: a bundle that says nothing of its commit as dirty, one without
/// a task as binary, a change that nobody knows as none.
TEST(BundleConfig, ABundleWhoseConfigIsNotWholeIsNotOpened) {
  const auto refusal = [](const char* member, std::optional<doc::Value> to) {
    UnverifiedObjects objects;
    auto value = config_schema().print(full_configs()[2]);
    std::erase_if(value.as_object(), [&](const auto& each) { return each.first == member; });
    if (to) value.set(member, *to);
    auto manifest = *doc::parse_json(*objects.get(*pack(objects, layers(), config())));
    for (auto& layer : manifest.find("layers")->as_array()) {
      if (layer.find("annotations")->string_or("org.opencontainers.image.title") != kConfig)
        continue;
      const auto bytes = doc::to_canonical_json(value);
      layer.set("digest", objects.put(bytes)->str());
      layer.set("size", static_cast<std::int64_t>(bytes.size()));
    }
    const auto opened = open(objects, *objects.put(doc::to_canonical_json(manifest)));
    return opened.ok() ? std::string("opened")
                       : opened.error().id + opened.error().message.substr(80);
  };
  EXPECT_EQ(refusal("dirty", {}), "bundle-corrupt: `heddle.json`: `dirty` is missing");
  EXPECT_EQ(refusal("task", {}), "bundle-corrupt: `heddle.json`: `task` is missing");
  EXPECT_EQ(refusal("derived_from", 7),
            "bundle-corrupt: `heddle.json`: `derived_from` must be a digest, found an integer");
  EXPECT_EQ(refusal("search", doc::Value::object({{"trainer", 7}})),
            "bundle-corrupt: `heddle.json`: `search.trainer` must be a string, found an integer, "
            "and 4 more");
  EXPECT_EQ(refusal("change", doc::Value::object({{"kind", "sale"}})),
            "bundle-corrupt: `heddle.json`: `change.kind` must be `retrain`, `transform`, "
            "`transform-withdrawn` or `calibration`");
}

}  // namespace
}  // namespace heddle::bundle
