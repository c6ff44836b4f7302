#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "control/home.hpp"
#include "control/work_inputs.hpp"
#include "jobs/jobs.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// What jobs of the control plane stand on; owned by others and outliving them.
struct WorkParts {
  const Home* home = nullptr;
  store::Objects* objects = nullptr;
  store::Git* git = nullptr;  ///< nullptr: there is no repository
  jobs::Runner* runner = nullptr;
  Digest program{};
  std::function<Result<std::unique_ptr<store::Objects>>(const std::string& dir)> open_objects{};
  std::string service{};
};

/// One `heddle worker COMMAND` as a job: what it needs is gathered by digest, a large journal on a
/// thread of its own, and what it left is put where others look for it. Confined to one thread.
class WorkJob {
 public:
  struct Ask {
    std::string command{};
    std::string name{};
    std::string request{};  ///< its `request.json`
    std::string folder{};   ///< on this machine, for what is gathered; made when it is not there
    std::int64_t timeout_ms = 0;  ///< 0: none
  };
  struct End {
    int exit_code = 0;
    bool timed_out = false;
    std::optional<std::string> result{};  ///< its `result.json`
    std::string log{};
  };

  /// Begins to gather. kIo: try again; another error says why there is nothing to be run.
  [[nodiscard]] static Result<std::unique_ptr<WorkJob>> begin(const WorkParts& parts, Ask ask);
  WorkJob(const WorkJob&) = delete;
  WorkJob& operator=(const WorkJob&) = delete;
  /// Ends what runs.
  ~WorkJob();

  /// Moves on without waiting; whether it has ended. The error is one of `begin`, or of a job that
  /// cannot be started.
  [[nodiscard]] Result<bool> has_ended();
  /// Once it has ended: its objects are among the project's then.
  [[nodiscard]] Result<End> take();
  [[nodiscard]] Result<std::string> peek(std::string_view output);

 private:
  using Inputs = std::map<std::string, Digest>;

  WorkJob(const WorkParts& parts, Ask ask) : parts_(parts), ask_(std::move(ask)) {}
  [[nodiscard]] Result<void> gather();
  [[nodiscard]] Result<void> start(Inputs inputs);
  [[nodiscard]] std::string exchange() const { return ask_.folder + "/exchange"; }

  const WorkParts& parts_;
  Ask ask_;
  std::unique_ptr<store::Objects> objects_{};  ///< what it is given and leaves
  std::future<Result<Inputs>> gathered_{};     ///< uses `objects_`
  std::optional<std::int64_t> handle_{};
};

}  // namespace heddle::control
