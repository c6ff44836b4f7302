#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "doc/schema.hpp"
#include "doc/value.hpp"
#include "spec/model.hpp"
#include "stats/task.hpp"

namespace heddle::bundle {

/// What the search of a model's run found best.
struct Search {
  Digest bundle{};  ///< the release that it was accepted with; empty: of the bundle's own run
  std::string trainer{};
  spec::TrainerParameters parameters{};
  std::int64_t rounds = 0;  ///< of the model that the search ended with
  std::int64_t trials = 0;
  double loss = 0;  ///< of the best trial, on the validation rows
  bool operator==(const Search&) const = default;
};

/// Digests of what a bundle was built from.
struct Lineage {
  Digest source{};
  Digest snapshot{};
  Digest contract{};
  Digest features{};
  Digest model{};
  Digest evaluation{};
  Digest held_out{};  ///< rows that nothing was learned from; empty: none were kept
  bool operator==(const Lineage&) const = default;
};

/// Up to which event time a bundle learned, rows that guided its search included.
struct Learned {
  enum class Kind : std::uint8_t { kNoTime, kUnknown, kUntil };
  Kind kind = Kind::kNoTime;  ///< kNoTime: its rows have none
  Micros until = 0;           ///< kUntil
  bool operator==(const Learned&) const = default;
};

/// What was done to make a bundle of another one.
struct Change {
  enum class Kind : std::uint8_t { kRetrain, kTransform, kTransformWithdrawn, kCalibration };
  Kind kind = Kind::kRetrain;
  std::int64_t rows = 0;     ///< kRetrain: recorded rows
  Digest data{};             ///< kRetrain: of them
  std::string id{};          ///< of the transform
  std::string field{};       ///< kTransform
  std::string expression{};  ///< kTransform
  doc::Value to{};           ///< kCalibration: the new `calibration.json`
  bool operator==(const Change&) const = default;
};

/// How a bundle was made: `heddle.json`, docs/formats/bundle.md.
struct Config {
  std::string model{};   ///< name of the model definition
  std::string role{};    ///< `primary` or `standby`: what the run made it for
  std::string commit{};  ///< of its definitions; empty: of no commit
  bool dirty = true;     ///< what it was built from differed from that commit
  std::string trainer{};
  std::optional<spec::TrainerParameters> parameters{};
  std::int64_t rounds = 0;
  std::int64_t seed = 0;
  std::string target{};  ///< the label's expression
  stats::Task task{};
  std::string time_field{};  ///< orders the rows; empty: they have no order
  std::vector<std::string> features{};
  Lineage lineage{};
  Learned learned{};
  std::optional<Search> search{};  ///< none with a runtime
  Digest derived_from{};           ///< the bundle it was made of; empty: it was built
  std::optional<Change> change{};
  bool operator==(const Config&) const = default;

  [[nodiscard]] bool is_retrained() const noexcept {
    return change && change->kind == Change::Kind::kRetrain;
  }
};

[[nodiscard]] const doc::Schema<Config>& config_schema();
/// `search` of a config, of the accepted search of a model, and of a retrain's request.
[[nodiscard]] const doc::Schema<Search>& search_schema();
/// {NAME: TEXT}, in the order of the parameters; and of the member that is being read.
[[nodiscard]] doc::Value print_parameters(const spec::TrainerParameters& parameters);
void read_parameters(const doc::Value& value, doc::Reader& reader, spec::TrainerParameters& into);

}  // namespace heddle::bundle
