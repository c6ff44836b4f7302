#pragma once

// Workers without a process: what `heddle worker` does, in the test's own. For tests only.
#include <memory>
#include <string>
#include <vector>

#include "adapters/objects/layout.hpp"
#include "base/file.hpp"
#include "control/compare.hpp"
#include "control/postmortem.hpp"
#include "doc/json.hpp"
#include "jobs/jobs.hpp"

namespace heddle::control::fixture {

/// Runs comparisons and pages when somebody asks whether they have ended, and not while `held`:
/// they run as long as that. Another worker ends without a result.
class Workers final : public jobs::Runner {
 public:
  Workers(const Home& home, const spec::Project& project) : home_(home), project_(project) {}
  bool held = false;
  std::vector<std::string> started{};  ///< commands, in order
  int stopped = 0;

  Result<std::int64_t> start(const jobs::Job& job) override {
    started.push_back(job.argv.at(4));
    jobs_.push_back(job);
    if (!held) run(job);
    return static_cast<std::int64_t>(jobs_.size()) - 1;
  }
  Result<bool> finished(std::int64_t handle) override {
    if (held) return false;
    run(jobs_.at(static_cast<std::size_t>(handle)));
    return true;
  }
  Result<jobs::Outcome> wait(std::int64_t) override { return jobs::Outcome{1}; }
  void stop(std::int64_t) override { ++stopped; }

 private:
  void run(const jobs::Job& job) {
    const std::string& dir = job.argv.back();
    if (path_exists(dir + "/result.json")) return;
    if (job.argv.at(4) == "compare") {
      Wiring wiring;
      wiring.open_objects = [](const std::string& at) { return adapters::open_layout(at); };
      (void)run_comparison(home_.root(), dir, wiring);
    }
    if (job.argv.at(4) != "postmortem") return;
    const auto objects = adapters::open_layout(home_.objects()).value();
    const auto request =
        PostmortemRequest::schema().parse_text(read_file(dir + "/request.json").value());
    const auto page = write_postmortem(project_, *objects, home_, request.value());
    (void)write_file_atomic(dir + "/result.json",
                            doc::to_json(postmortem_schema().print(page.value())));
  }

  const Home& home_;
  const spec::Project& project_;
  std::vector<jobs::Job> jobs_;
};

}  // namespace heddle::control::fixture
