#pragma once

// Workers without a process: what `heddle worker` does, in the test's own. For tests only.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "adapters/objects/layout.hpp"
#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "control/compare.hpp"
#include "control/postmortem.hpp"
#include "doc/json.hpp"
#include "jobs/jobs.hpp"
#include "store/memory_fixture.hpp"

namespace heddle::control::fixture {

/// What names the program of jobs here.
inline const Digest kProgram = sha256("heddle");

/// What a job is given and leaves, in memory.
inline Result<std::unique_ptr<store::Objects>> open_exchange(const std::string&) {
  return std::unique_ptr<store::Objects>(std::make_unique<store::fixture::MemoryObjects>());
}

/// Runs comparisons and pages when somebody asks whether they have ended, and not while `held`:
/// they run as long as that. Another worker ends without a result.
class Workers final : public jobs::Runner {
 public:
  explicit Workers(const spec::Project& project) : project_(project) {}
  bool held = false;
  std::vector<std::string> started{};  ///< commands, in order
  int stopped = 0;

  Result<std::int64_t> start(const jobs::Job& job, store::Objects& objects) override {
    HEDDLE_TRY(jobs::check(job));
    started.push_back(job.arguments.at(1));
    jobs_.push_back({job, &objects});
    return static_cast<std::int64_t>(jobs_.size()) - 1;
  }
  Result<bool> finished(std::int64_t) override { return !held; }
  Result<jobs::Outcome> wait(std::int64_t handle) override {
    const auto& [job, objects] = jobs_.at(static_cast<std::size_t>(handle));
    jobs::Outcome outcome;
    outcome.exit_code = 1;
    HEDDLE_ASSIGN_OR_RETURN(outcome.outputs["log"], objects->put(""));
    if (held) return outcome;
    const heddle::fixture::Folder folder;
    for (const auto& [path, digest] : job.inputs) {
      std::filesystem::create_directories(
          std::filesystem::path(folder.path() + "/" + path).parent_path());
      HEDDLE_TRY(objects->place(digest, folder.path() + "/" + path));
    }
    run(job.arguments.at(1), folder.path());
    if (const auto result = read_file(folder.path() + "/result.json"); result.ok()) {
      HEDDLE_ASSIGN_OR_RETURN(outcome.outputs["result.json"], objects->put(*result));
    }
    return outcome;
  }
  Result<std::string> peek(std::int64_t, std::string_view) override {
    return Error{ErrorKind::kNotFound, "none", "nothing is there yet"};
  }
  void stop(std::int64_t) override { ++stopped; }

 private:
  struct Held {
    jobs::Job job;
    store::Objects* objects = nullptr;
  };

  void run(const std::string& command, const std::string& dir) const {
    Wiring wiring;
    wiring.open_objects = [](const std::string& at) { return adapters::open_layout(at); };
    if (command == "compare") (void)run_comparison(dir, wiring);
    if (command != "postmortem") return;
    const auto objects = adapters::open_layout(dir + "/objects").value();
    const auto request =
        PostmortemRequest::schema().parse_text(read_file(dir + "/request.json").value());
    // By the test's project, which is in no commit.
    const auto page = write_postmortem(project_, *objects, dir + "/journal", request.value());
    (void)write_file_atomic(dir + "/result.json",
                            doc::to_json(postmortem_schema().print(page.value())));
  }

  const spec::Project& project_;
  std::vector<Held> jobs_;
};

}  // namespace heddle::control::fixture
