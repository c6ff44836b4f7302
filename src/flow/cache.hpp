#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::flow {

/// What a step left: named digests that later steps are keyed by, and facts for people.
struct StepRecord {
  std::map<std::string, Digest> outputs{};
  doc::Value facts{};
  double seconds = 0;
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
/// appears by one rename, whole. Half-made folders in `tmp/` are swept by the next run.
/// Thread-safe: every call touches its own paths.
class Cache {
 public:
  explicit Cache(const std::string& state_dir) : root_(state_dir + "/runs") {}

  [[nodiscard]] const std::string& root() const noexcept { return root_; }
  [[nodiscard]] std::optional<StepRecord> find(const Digest& key) const;
  [[nodiscard]] std::string directory(const Digest& key) const;
  /// An empty folder to work in.
  [[nodiscard]] Result<std::string> begin(const std::string& step) const;
  /// Publishes `work` as the result of `key`.
  [[nodiscard]] Result<void> commit(const Digest& key, const std::string& work,
                                    const StepRecord& record) const;
  /// Removes what killed runs left half-made; only under the run's lock.
  [[nodiscard]] Result<void> sweep() const;

  /// What the last run of `model` read, step by step: to say why a step runs. Null when there was
  /// none.
  [[nodiscard]] doc::Value last_inputs(const std::string& model) const;
  [[nodiscard]] Result<void> remember_inputs(const std::string& model,
                                             const doc::Value& inputs) const;
  [[nodiscard]] Result<void> write_candidate(const std::string& model,
                                             const doc::Value& candidate) const;
  [[nodiscard]] Result<doc::Value> read_candidate(const std::string& model) const;

 private:
  std::string root_;
};

}  // namespace heddle::flow
