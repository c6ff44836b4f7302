#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "jobs/jobs.hpp"
#include "spec/model.hpp"
#include "train/own.hpp"
#include "train/train.hpp"

namespace heddle::train {

/// One training in a search.
struct Trial {
  enum class State { kFinished, kFailed };
  int number = 0;
  State state = State::kFinished;
  std::vector<double> values{};          ///< one a dimension of the space
  spec::TrainerParameters parameters{};  ///< the fixed ones and this trial's
  double loss = 0;                       ///< the task's, on the validation rows; NaN when failed
  int rounds = 0;
  double seconds = 0;   ///< of wall time: for people, decides nothing
  std::string error{};  ///< why it failed
  std::string error_id{};
  std::string error_hint{};
  bool resumed = false;  ///< its result was there from an interrupted search

  [[nodiscard]] doc::Value to_value()
      const;  ///< without `seconds` and `resumed`: the same search gives the same bytes
};

struct SearchInput {
  spec::Search search{};
  stats::Task task{};
  std::string trainer = "xgboost";
  spec::TrainerParameters parameters{};  ///< fixed, shared by all trials
  std::vector<std::string> feature_names{};
  RowsView train{};       ///< all of them; `search.rows` evenly spaced ones are used
  RowsView validation{};  ///< at most `search.rows / 2` of them are used when `search.rows` is set
  std::int64_t seed = 0;
  std::string
      directory;  ///< the search's own folder; reused when the inputs are the same, else emptied
  /// What trials are given and leave. Needed again only by a search that goes on.
  store::Objects* objects = nullptr;
  /// Of a trainer of one's own: what a trial runs, with `packed` and `rows` in place already, and a
  /// digest of all of it. The trial sets the parameters.
  std::optional<OwnTraining> own{};
  Digest own_digest{};
  Digest worker{};  ///< the program `heddle`: a trial is `heddle worker trial DIR`
  jobs::Runner* runner = nullptr;
  std::int64_t trial_timeout_ms = 600'000;
};

struct SearchResult {
  std::vector<Trial> trials{};                ///< by number
  int best = 0;                               ///< the lowest loss; of equals the first
  [[nodiscard]] doc::Value to_value() const;  ///< {"best", "trials": [...]}
};

/// Called once a finished trial, from the calling thread: `done` of `total`.
using TrialSink = std::function<void(const Trial& trial, int done, int total)>;

/// Seeded TPE over the space, `search.parallel` trials at once, each in its own process. Trial k is
/// proposed from the results of trials 0..k-1-P only and from seed and k, so that the same inputs
/// give the same trials in whatever order they end. A trial that fails is recorded and the search
/// goes on; kUnprocessable when all fail. After a kill the same call goes on from the results in
/// `directory`.
[[nodiscard]] Result<SearchResult> search(const SearchInput& input, const TrialSink& on_trial = {});

/// The body of `heddle worker trial DIR`: reads DIR/params.json and the files that it names, all
/// below DIR, an absolute path, and writes DIR/result.json. Returns the process exit code: 0, or 1
/// with the reason in result.json and on stderr.
[[nodiscard]] int run_trial(const std::string& dir);

}  // namespace heddle::train
