#include "bundle/bundle.hpp"

#include <algorithm>
#include <set>

#include "doc/json.hpp"

namespace heddle::bundle {
namespace {

constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kArtifactType = "application/vnd.cncf.model.manifest.v1+json";
constexpr std::string_view kConfigType = "application/vnd.cncf.model.config.v1+json";
constexpr std::string_view kTitle = "org.opencontainers.image.title";
constexpr std::string_view kFilepath = "org.cncf.model.filepath";

constexpr std::string_view kSha256 = "sha256:";
constexpr std::size_t kFewestDigits = 4;  ///< of a digest's beginning; as git has it

doc::Value descriptor(std::string_view media_type, const Digest& digest, std::size_t size) {
  return doc::Value::object({{"mediaType", media_type},
                             {"digest", digest.str()},
                             {"size", static_cast<std::int64_t>(size)}});
}

Error corrupt(const Digest& digest, std::string_view what) {
  return Error{ErrorKind::kCorrupt, "bundle-corrupt",
               fmt::format("bundle `{}`: {}", digest.str(), what),
               "build it again with `heddle run`, or copy it from another store"};
}

/// Reads one described blob; digest and size must agree.
Result<std::string> read_part(store::Objects& objects, const Digest& bundle,
                              const doc::Value& description) {
  const auto digest = Digest::parse(description.string_or("digest"));
  if (!digest.ok()) return corrupt(bundle, "a descriptor has no digest");
  HEDDLE_ASSIGN_OR_RETURN(std::string bytes, objects.get(*digest));
  // The store checks what it reads; a bundle does not rely on which store it is.
  if (sha256(bytes) != *digest)
    return corrupt(bundle, fmt::format("the bytes of `{}` do not match", digest->str()));
  if (static_cast<std::int64_t>(bytes.size()) != description.int_or("size", -1))
    return corrupt(bundle, "a size differs");
  return bytes;
}

/// Takes Heddle's own config out of the layers. Older bundles have it as the
/// member `heddle` of ModelPack's config, and are still opened.
Result<Config> take_config(std::vector<Layer>& layers, const doc::Value& document,
                           const Digest& bundle) {
  const doc::Value* const member = document.find("heddle");
  const auto layer = std::find_if(layers.begin(), layers.end(),
                                  [](const Layer& each) { return each.title == kConfig; });
  // Exactly one of the two places: with both it would be chance which config counts.
  if ((member == nullptr) == (layer == layers.end())) {
    return corrupt(bundle, member == nullptr ? "it is not Heddle's: it has no `heddle.json`"
                                             : "it has two configs of Heddle's");
  }
  auto config =
      member != nullptr ? config_schema().parse(*member) : config_schema().parse_text(layer->bytes);
  if (!config.ok()) return corrupt(bundle, config.error().message);
  if (member == nullptr) layers.erase(layer);
  return config;
}

}  // namespace

std::string media_type_of(std::string_view title) {
  if (title == kModel) return "application/vnd.cncf.model.weight.v1.raw";
  // The nearest of ModelPack's media types.
  if (title == kFeatures || title == kCalibration || title == kConfig)
    return "application/vnd.cncf.model.weight.config.v1.raw";
  if (title == kReference || title == kBaseline) return "application/vnd.cncf.model.dataset.v1.raw";
  if (title == kContract) return "application/vnd.cncf.model.code.v1.raw";
  if (title == kRuntime) return "application/vnd.heddle.runtime.v1+json";
  if (title == kRuntimeFiles) return "application/vnd.heddle.runtime.files.v1.tar";
  return "application/vnd.cncf.model.doc.v1.raw";
}

Result<std::string_view> Bundle::layer(std::string_view title) const {
  for (const auto& each : layers_) {
    if (each.title == title) return std::string_view(each.bytes);
  }
  std::vector<std::string> titles;
  for (const auto& each : layers_) titles.push_back(each.title);
  return Error{ErrorKind::kNotFound, "bundle-layer",
               fmt::format("bundle `{}` has no layer `{}`", digest_.str(), title),
               fmt::format("it has `{}`", fmt::join(titles, "`, `"))};
}

Result<doc::Value> Bundle::json(std::string_view title) const {
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view bytes, layer(title));
  auto value = doc::parse_json(bytes);
  if (!value.ok())
    return corrupt(digest_, fmt::format("layer `{}` is no JSON: {}", title, value.error().message));
  return value;
}

bool Bundle::has(std::string_view title) const noexcept {
  return std::any_of(layers_.begin(), layers_.end(),
                     [&](const Layer& each) { return each.title == title; });
}

Result<Digest> pack(store::Objects& objects, std::vector<Layer> layers, const Config& config) {
  layers.push_back(
      // Canonical, so that equal configs have equal bytes and thus one digest.
      {std::string(kConfig), {}, doc::to_canonical_json(config_schema().print(config))});
  // By title, so that the same parts are the same bundle in whatever order they came.
  std::sort(layers.begin(), layers.end(),
            [](const Layer& a, const Layer& b) { return a.title < b.title; });
  doc::Value descriptors = doc::Value::array();
  doc::Value diff_ids = doc::Value::array();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    // Sorted by title, so that two of one title are neighbours.
    if (i > 0 && layer.title == layers[i - 1].title) {
      return Error{ErrorKind::kInvalid, "bundle-title",
                   fmt::format("two layers have the title `{}`", layer.title), "give each its own"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, objects.put(layer.bytes));
    doc::Value entry =
        descriptor(layer.media_type.empty() ? media_type_of(layer.title) : layer.media_type, digest,
                   layer.bytes.size());
    // Clients of OCI read the title, those of ModelPack the path: both are the layer's name.
    entry.set("annotations", doc::Value::object({{std::string(kTitle), layer.title},
                                                 {std::string(kFilepath), layer.title}}));
    descriptors.push(std::move(entry));
    // No layer is compressed, so that the digest of the content is that of the blob.
    diff_ids.push(digest.str());
  }
  doc::Value document = doc::Value::object();
  // Members of ModelPack's schema only (schema/config-schema.json of modelpack/model-spec, v0.0.7):
  // it is closed.
  document.set("descriptor", doc::Value::object({{"name", config.model}, {"vendor", "heddle"}}));
  document.set("modelfs",
               doc::Value::object({{"type", "layers"}, {"diffIds", std::move(diff_ids)}}));
  document.set("config", doc::Value::object({{"format", config.trainer}}));
  const std::string config_bytes = doc::to_canonical_json(document);
  HEDDLE_ASSIGN_OR_RETURN(const Digest config_digest, objects.put(config_bytes));
  doc::Value manifest = doc::Value::object(
      {{"schemaVersion", 2}, {"mediaType", kManifestType}, {"artifactType", kArtifactType}});
  manifest.set("config", descriptor(kConfigType, config_digest, config_bytes.size()));
  manifest.set("layers", std::move(descriptors));
  const std::string manifest_bytes = doc::to_canonical_json(manifest);
  HEDDLE_ASSIGN_OR_RETURN(const Digest digest, objects.put(manifest_bytes));
  // Last: a bundle that is listed is whole.
  HEDDLE_TRY(tag(objects, digest, manifest_bytes.size()));
  return digest;
}

Result<void> tag(store::Objects& objects, const Digest& digest, std::size_t manifest_bytes) {
  return objects.tag(digest.hex(), digest, kManifestType, manifest_bytes);
}

Result<std::vector<Digest>> parts(store::Objects& objects, const Digest& digest) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, objects.get(digest));
  const auto manifest = doc::parse_json(bytes);
  const doc::Value* const layers = manifest.ok() ? manifest->find("layers") : nullptr;
  if (layers == nullptr || !layers->is_array())
    return corrupt(digest, "its manifest is incomplete");
  // The manifest first: whoever copies the parts must have it to open the bundle.
  std::vector<Digest> out{digest};
  const auto add = [&](const doc::Value* part) -> Result<void> {
    auto named = Digest::parse(part == nullptr ? "" : part->string_or("digest"));
    if (!named.ok()) return corrupt(digest, "a descriptor has no digest");
    out.push_back(*named);
    return {};
  };
  HEDDLE_TRY(add(manifest->find("config")));
  for (const doc::Value& layer : layers->as_array()) HEDDLE_TRY(add(&layer));
  return out;
}

Result<Digest> find(store::Objects& objects, std::string_view text) {
  // A whole digest need not be tagged here: opening it says whether it is there.
  if (auto whole = Digest::parse(text); whole.ok()) return whole;
  std::string_view digits = text;
  if (digits.starts_with(kSha256)) digits.remove_prefix(kSha256.size());
  const bool is_hex = digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  // Fewer digits would soon name several bundles, and more than 64 are no digest.
  if (!is_hex || digits.size() < kFewestDigits || digits.size() > 2 * sizeof(Digest::bytes)) {
    return Error{
        ErrorKind::kInvalid, "digest-malformed",
        fmt::format("`{}` is not a digest", text.substr(0, 100)),
        fmt::format("a digest is `sha256:` and 64 lower-case hex digits, or its first {} and more",
                    kFewestDigits)};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto tags, objects.tags());
  std::set<Digest> found;
  for (const auto& [name, digest] : tags) {
    // Several tags may name one bundle.
    if (digest.hex().starts_with(digits)) found.insert(digest);
  }
  if (found.size() == 1) return *found.begin();
  if (found.empty()) {
    return Error{ErrorKind::kNotFound, "bundle-unknown",
                 fmt::format("there is no bundle whose digest begins with `{}`", text),
                 "`heddle run` and `heddle release history SERVICE` name the bundles there are"};
  }
  std::vector<std::string> names;
  for (const auto& digest : found) names.push_back(digest.str());
  return Error{ErrorKind::kConflict, "digest-ambiguous",
               fmt::format("`{}` begins the digests of {} bundles: `{}`", text, found.size(),
                           fmt::join(names, "`, `")),
               "give more digits"};
}

Result<Bundle> open(store::Objects& objects, const Digest& digest) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string manifest_bytes, objects.get(digest));
  // The manifest names all other digests: once it is
  // checked, the digest of a bundle covers every byte.
  if (sha256(manifest_bytes) != digest)
    return corrupt(digest, "the bytes of the manifest do not match");
  auto manifest = doc::parse_json(manifest_bytes);
  if (!manifest.ok() || manifest->string_or("artifactType") != kArtifactType)
    return corrupt(digest, "its manifest is no model manifest");
  const doc::Value* version = manifest->find("schemaVersion");
  if (version == nullptr || *version != doc::Value(2)) {
    return Error{
        ErrorKind::kConflict, "bundle-version",
        fmt::format("the manifest of bundle {} has `schemaVersion` {}, this program reads "
                    "2",
                    digest.short_str(), version == nullptr ? "none" : doc::to_json(*version)),
        "use the program that wrote it, or build it again with `heddle run`"};
  }
  const doc::Value* config = manifest->find("config");
  const doc::Value* layers = manifest->find("layers");
  if (config == nullptr || layers == nullptr || !layers->is_array())
    return corrupt(digest, "its manifest is incomplete");
  // Before the layers: what is no bundle is told without reading a large model.
  HEDDLE_ASSIGN_OR_RETURN(const std::string config_bytes, read_part(objects, digest, *config));
  auto document = doc::parse_json(config_bytes);
  if (!document.ok()) return corrupt(digest, "its config is no JSON");
  Bundle bundle;
  bundle.digest_ = digest;
  for (const auto& entry : layers->as_array()) {
    const doc::Value* annotations = entry.find("annotations");
    Layer layer;
    layer.title = annotations == nullptr ? "" : annotations->string_or(kTitle);
    layer.media_type = entry.string_or("mediaType");
    if (layer.title.empty()) return corrupt(digest, "a layer has no title");
    // Which of the two would be read would be chance.
    if (bundle.has(layer.title))
      return corrupt(digest, fmt::format("two layers have the title `{}`", layer.title));
    HEDDLE_ASSIGN_OR_RETURN(layer.bytes, read_part(objects, digest, entry));
    bundle.layers_.push_back(std::move(layer));
  }
  HEDDLE_ASSIGN_OR_RETURN(bundle.config_, take_config(bundle.layers_, *document, digest));
  return bundle;
}

bool complete(store::Objects& objects, const Digest& digest) {
  if (!objects.has(digest)) return false;
  const auto bytes = objects.get(digest);
  const auto manifest = bytes.ok() ? doc::parse_json(*bytes) : Result<doc::Value>(bytes.error());
  if (!manifest.ok()) return false;
  // The parts are looked for and not read: a bundle may be large, and `open` checks the bytes.
  const auto there = [&](const doc::Value* part) {
    const auto named = Digest::parse(part == nullptr ? "" : part->string_or("digest"));
    return named.ok() && objects.has(*named);
  };
  const doc::Value* layers = manifest->find("layers");
  if (!there(manifest->find("config")) || layers == nullptr || !layers->is_array()) return false;
  return std::all_of(layers->as_array().begin(), layers->as_array().end(),
                     [&](const doc::Value& layer) { return there(&layer); });
}

}  // namespace heddle::bundle
