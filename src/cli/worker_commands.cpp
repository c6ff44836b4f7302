#include <CLI/CLI.hpp>

#include <filesystem>

#include "cli/commands.hpp"
#include "control/compare.hpp"
#include "control/postmortem.hpp"
#include "control/retrain.hpp"
#include "train/search.hpp"

namespace heddle::cli {
namespace {

std::string folder_of(const std::string& dir) {
  return std::filesystem::absolute(dir).lexically_normal().string();
}

}  // namespace

void add_worker_commands(CLI::App& app, Invocation& invocation) {
  auto* worker = app.add_subcommand("worker", "a process that Heddle starts for itself")
                     ->require_subcommand(1)
                     ->group("");
  auto dir = std::make_shared<std::string>();

  auto* trial = worker->add_subcommand("trial", "one training of a search");
  trial->add_option("dir", *dir)->required();
  trial->callback([&invocation, dir] {
    invocation.run = [=](const Console&) { return train::run_trial(folder_of(*dir)); };
  });

  auto* retrain = worker->add_subcommand("retrain", "one bounded retrain on recorded traffic");
  retrain->add_option("dir", *dir)->required();
  retrain->callback([&invocation, dir] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto done = control::run_retrain(folder_of(*dir), *invocation.wiring);
      return done.ok() ? 0 : console.fail(done.error());
    };
  });

  auto* compare = worker->add_subcommand("compare", "two bundles on the same labelled rows");
  compare->add_option("dir", *dir)->required();
  compare->callback([&invocation, dir] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto done = control::run_comparison(folder_of(*dir), *invocation.wiring);
      return done.ok() ? 0 : console.fail(done.error());
    };
  });

  auto* postmortem =
      worker->add_subcommand("postmortem", "the page of an incident, with its proof");
  postmortem->add_option("dir", *dir)->required();
  postmortem->callback([&invocation, dir] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto done = control::run_postmortem(folder_of(*dir), *invocation.wiring);
      return done.ok() ? 0 : console.fail(done.error());
    };
  });
}

}  // namespace heddle::cli
