#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "doc/value.hpp"
#include "serve/engine.hpp"
#include "serve/tensor.hpp"

/// What the Open Inference Protocol says of a service, apart from how it is written: a model is a
/// service, a version is a slot or a bundle digest.
namespace heddle::serve::oip {

inline constexpr std::string_view kServer = "heddle";
inline constexpr std::string_view kPlatform = "heddle";
/// The protocol's extensions that are spoken.
[[nodiscard]] const std::vector<std::string_view>& extensions();
[[nodiscard]] std::string_view server_version();

struct Tensor {
  std::string name;
  Datatype datatype = Datatype::kBytes;
  std::vector<std::int64_t> shape;  ///< -1: any
};

struct Model {
  std::string name;
  std::vector<std::string> versions;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  /// Of the configuration: `task`, `classes` as a JSON array in the order of `probabilities`, the
  /// `coverage` of intervals or sets.
  std::vector<std::pair<std::string, std::string>> parameters;
};
/// The classes of a task as labels are written: strings, or whole numbers.
[[nodiscard]] doc::Value classes_of(const stats::Task& task);
/// kUnavailable while nothing is loaded; kNotFound for a version there is not.
[[nodiscard]] Result<Model> describe(const Engine& engine, std::string_view version);

/// One slot in the model repository's index.
struct IndexEntry {
  std::string name;
  std::string version;  ///< slot
  bool ready = false;
  std::string reason;  ///< why not
};
[[nodiscard]] std::vector<IndexEntry> index(const Engine& engine, bool only_ready);

/// `load` of the repository extension: what runs is decided by a release, so that a client only
/// learns whether it does. kUnavailable when the service is not ready; kInvalid when the request
/// brings files or a configuration of its own.
[[nodiscard]] Result<void> load(const Engine& engine, bool has_parameters);
/// `unload` is refused: kDenied, with what to do instead.
[[nodiscard]] Error unload(const Engine& engine);

/// A slot's statistics; the failures are of the service.
struct Statistics {
  std::string name;
  std::string version;
  Metrics::SlotStatistics success;
  std::uint64_t failures = 0;
};
[[nodiscard]] Result<std::vector<Statistics>> statistics(const Engine& engine,
                                                         std::string_view version);

}  // namespace heddle::serve::oip
