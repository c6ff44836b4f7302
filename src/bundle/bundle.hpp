#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/config.hpp"
#include "doc/value.hpp"
#include "store/store.hpp"

namespace heddle::bundle {

/// One file of a bundle. `media_type` may stay empty: then it is the one `media_type_of(title)`
/// names.
struct Layer {
  std::string title;
  std::string media_type{};
  std::string bytes;
};

/// The titles every Heddle bundle may have (docs/formats/bundle.md).
inline constexpr std::string_view kModel = "model.json";
inline constexpr std::string_view kFeatures = "features.json";
inline constexpr std::string_view kContract = "contract.json";
inline constexpr std::string_view kCalibration = "calibration.json";
inline constexpr std::string_view kReference = "reference.json";
inline constexpr std::string_view kBaseline = "baseline.json";
inline constexpr std::string_view kEvaluation = "evaluation.json";
inline constexpr std::string_view kStatements = "statements.json";

/// Of a bundle whose model a trainer of the project's own fitted: `heddle.trainer/1`.
inline constexpr std::string_view kTrainer = "trainer.json";

/// The `Config`: a layer, since ModelPack's schema of a config admits no member of ours.
inline constexpr std::string_view kConfig = "heddle.json";

/// Of a bundle without `model.json`, whose rows something else scores (docs/formats/runtime.md).
inline constexpr std::string_view kRuntime = "runtime.json";
inline constexpr std::string_view kRuntimeFiles = "runtime.files.tar";

[[nodiscard]] std::string media_type_of(std::string_view title);

/// An opened bundle: every byte of it was checked against its digest. A value type; reading is
/// thread-safe.
class Bundle {
 public:
  [[nodiscard]] const Digest& digest() const noexcept { return digest_; }
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  /// The commit it names; empty when it was built from none.
  [[nodiscard]] const std::string& commit() const noexcept { return config_.commit; }
  /// Its definitions were not that commit's.
  [[nodiscard]] bool dirty() const noexcept { return config_.commit.empty() || config_.dirty; }
  /// All but the one that holds `config()`.
  [[nodiscard]] const std::vector<Layer>& layers() const noexcept { return layers_; }
  /// kNotFound names the titles there are.
  [[nodiscard]] Result<std::string_view> layer(std::string_view title) const;
  /// The layer parsed as JSON; kCorrupt when it is none.
  [[nodiscard]] Result<doc::Value> json(std::string_view title) const;
  [[nodiscard]] bool has(std::string_view title) const noexcept;

 private:
  friend Result<Bundle> open(store::Objects&, const Digest&);
  Digest digest_{};
  Config config_{};
  std::vector<Layer> layers_{};
};

/// Packs an OCI image manifest with CNCF ModelPack media types and raw layers, sorted by title; the
/// manifest is written last, so that a full disk or a kill leaves unreferenced blobs at worst. The
/// same layers and config give the same digest, anywhere, always: no times, no paths, no names of
/// machines. kInvalid on equal titles, `heddle.json` among them.
[[nodiscard]] Result<Digest> pack(store::Objects& objects, std::vector<Layer> layers,
                                  const Config& config);

/// Reads and verifies manifest, config and every layer. kNotFound when a part is not there,
/// kCorrupt when a byte differs, the manifest is no bundle of ours, or a member of its config is
/// not as it must be.
[[nodiscard]] Result<Bundle> open(store::Objects& objects, const Digest& digest);

/// The bundle that a person names: a whole digest as it is, whether the bundle is there or not; or
/// the beginning of the digest of one that was packed here, four hex digits at least, with
/// `sha256:` or without, as commands print it. Errors: kInvalid `digest-malformed`, kNotFound
/// `bundle-unknown`, kConflict `digest-ambiguous` with the digests it could be.
[[nodiscard]] Result<Digest> find(store::Objects& objects, std::string_view text);

/// The objects that a bundle is made of, its manifest first. Nothing but the manifest is read.
[[nodiscard]] Result<std::vector<Digest>> parts(store::Objects& objects, const Digest& digest);

/// Names a bundle among the objects, so that `find` finds it; `pack` does.
[[nodiscard]] Result<void> tag(store::Objects& objects, const Digest& digest,
                               std::size_t manifest_bytes);

/// Whether manifest, config and every layer are there; of the layers no byte is read.
[[nodiscard]] bool complete(store::Objects& objects, const Digest& digest);

}  // namespace heddle::bundle
