#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/config.hpp"
#include "doc/diagnostic.hpp"
#include "doc/value.hpp"
#include "jobs/jobs.hpp"
#include "spec/project.hpp"
#include "store/store.hpp"

namespace heddle::flow {

/// What flow stands on; owned by the caller and outliving every call.
struct Host {
  store::Objects* objects = nullptr;
  jobs::Runner* runner = nullptr;
  Digest worker{};        ///< the program `heddle`: a trial is `heddle worker trial DIR`
  std::string state_dir;  ///< `.heddle`; flow keeps its cache under `runs/`
  int parallel = 2;       ///< steps at once
  /// The primary of each service that has one: what gates on `base.*` hold the candidate against.
  std::map<std::string, Digest> primaries{};
  /// A store in a folder of flow's own, for what a search's trials are given.
  std::function<Result<std::unique_ptr<store::Objects>>(const std::string& dir)> open_objects{};
};

/// What a refit trains with, in place of a search: what the accepted search of the model found.
using Recipe = bundle::Search;

/// One step of a plan. Steps are pure functions of their inputs' digests; equal inputs were
/// computed once.
struct PlannedStep {
  std::string name;  ///< `source`, `validate.rows`, `features`, `train`, `bundle`, ...
  std::vector<std::string> needs;  ///< names of the steps it reads
  bool cached = false;
  std::string
      reason;  ///< one clause: `nothing it reads changed`, `features.yaml: feature `route` changed`
  Digest key{};  ///< empty while an input is not known yet
};

struct Plan {
  std::string model;
  std::vector<PlannedStep> steps;  ///< in an order in which they could run one by one
  [[nodiscard]] bool nothing_to_do() const noexcept;
};

/// What a finished run leaves: nothing here is released yet.
struct Candidate {
  Digest bundle{};
  Digest standby{};
  doc::Value metrics{};  ///< {"auc", "log_loss", ...} on the test rows
  doc::Value standby_metrics{};
  bool gates_passed = false;
  doc::Value base{};      ///< what serves on the same rows (docs/gates.md); null: no gate reads it
  std::int64_t rows = 0;  ///< accepted rows of the snapshot
  int trials = 0;
  bool operator==(const Candidate&) const = default;
};

/// Told as things happen, from any thread, one call at a time.
struct Progress {
  enum class Kind { kStepStarted, kStepCached, kStepFinished, kStepFailed, kNote };
  Kind kind = Kind::kNote;
  std::string step;
  std::string text;  ///< `trial 3 of 20: log loss 0.4312`
  double seconds = 0;
};
using ProgressSink = std::function<void(const Progress&)>;

struct RunOptions {
  std::string model;               ///< empty: the only one
  std::string until;               ///< run this step and what it needs; empty: all
  std::optional<Recipe> recipe{};  ///< a refit: nothing is searched
};

struct RunResult {
  Plan plan;            ///< as it stands after the run
  Candidate candidate;  ///< empty bundle when `until` stopped before it
  int ran = 0;
  int cached = 0;
  double seconds = 0;
};

/// What `plan` and `run` need and do not find, of every model. Definitions that name one another
/// wrongly are not looked at again: spec/load.hpp reports them.
[[nodiscard]] std::vector<doc::Diagnostic> missing_definitions(const spec::Project& project);

/// What `run` would do and why, without doing it. Reads definitions, file stamps and the cache's
/// index only; of a file that no run knows by its stamp, for example in a copied project, the
/// bytes. kNotFound for an unknown model; kInvalid when there are several and none is named, and
/// for a recipe that is none of the model's. `until` is not looked at.
[[nodiscard]] Result<Plan> plan(const spec::Project& project, const Host& host,
                                const RunOptions& options = {});

/// Brings the project up to date. A step's result becomes visible whole or not at all; a run that
/// fails or is killed goes on where it was. kUnprocessable when a gate or a contract says no (the
/// evidence is in the message and in the cache).
[[nodiscard]] Result<RunResult> run(const spec::Project& project, const Host& host,
                                    const RunOptions& options, const ProgressSink& progress);

/// The candidate of the last finished run of a model; kNotFound with what to do.
[[nodiscard]] Result<Candidate> last_candidate(const Host& host, const std::string& model);

}  // namespace heddle::flow
