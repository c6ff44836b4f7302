#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::flow {

/// Id of the error that says that a finished step's file is not what the step left.
inline constexpr std::string_view kCacheDamaged = "run-cache-damaged";

/// A file in a step's folder, as the step left it.
struct StepFile {
  Digest digest{};
  std::uint64_t bytes = 0;
};

/// What a step left: named digests that later steps are keyed by, and facts for people.
struct StepRecord {
  std::map<std::string, Digest> outputs{};
  doc::Value facts{};
  double seconds = 0;
  std::map<std::string, StepFile> files{};  ///< filled by `Cache::commit`
};

/// A named thing a step's result depends on; the name is for people.
struct StepInput {
  std::string what;
  Digest digest{};
};

/// The key of a step: name, version of its code, and what it reads.
[[nodiscard]] Digest key_of(const std::string& step, int version,
                            const std::vector<StepInput>& inputs);

/// Results of steps under `.heddle/runs`: `steps/<key>/` holds a step's files and `step.json`; it
/// appears by one rename, whole. Half-made folders in `tmp/` are swept by the next run. Whatever is
/// damaged in it counts as not there: the step runs again. Thread-safe: every call touches its own
/// paths.
class Cache {
 public:
  explicit Cache(const std::string& state_dir) : root_(state_dir + "/runs") {}

  [[nodiscard]] const std::string& root() const noexcept { return root_; }
  /// A finished step; nullopt when there is none, its `step.json` is damaged or of another version,
  /// or a file of it is gone or has another length.
  [[nodiscard]] std::optional<StepRecord> find(const Digest& key) const;
  [[nodiscard]] std::string directory(const Digest& key) const;
  /// The bytes of a file of a finished step. `run-cache-damaged` when they are not those that it
  /// left: its result is removed then, and a run makes it again.
  [[nodiscard]] Result<std::string> read(const Digest& key, const StepRecord& record,
                                         const std::string& name) const;
  /// The same for a file that somebody else will read: its path.
  [[nodiscard]] Result<std::string> checked_path(const Digest& key, const StepRecord& record,
                                                 const std::string& name) const;
  /// An empty folder to work in.
  [[nodiscard]] Result<std::string> begin(const std::string& step) const;
  /// Publishes `work` as the result of `key`, and enters its files into `record`.
  [[nodiscard]] Result<void> commit(const Digest& key, const std::string& work,
                                    StepRecord& record) const;
  /// Removes what killed runs left half-made; only under the run's lock.
  [[nodiscard]] Result<void> sweep() const;

  /// What the last run of `model` read, step by step, as {step: {what: digest}}: to say why a step
  /// runs. Null when there was none, or it is damaged.
  [[nodiscard]] doc::Value last_inputs(const std::string& model) const;
  [[nodiscard]] Result<void> remember_inputs(const std::string& model,
                                             const doc::Value& inputs) const;
  [[nodiscard]] Result<void> write_candidate(const std::string& model,
                                             const doc::Value& candidate) const;
  [[nodiscard]] Result<doc::Value> read_candidate(const std::string& model) const;

  /// The digest of a source's file as it was read last, if its stamp is the same still.
  [[nodiscard]] std::optional<Digest> known_source(const std::string& name,
                                                   const std::string& stamp) const;
  [[nodiscard]] Result<void> remember_source(const std::string& name, const std::string& stamp,
                                             const Digest& digest) const;

 private:
  [[nodiscard]] Error damaged(const Digest& key, const std::string& name) const;

  std::string root_;
};

}  // namespace heddle::flow
