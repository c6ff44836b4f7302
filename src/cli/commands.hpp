#pragma once

#include <functional>
#include <string>

#include "cli/console.hpp"
#include "control/wiring.hpp"

namespace CLI {
class App;
}

namespace heddle::cli {

/// What every command gets: where it speaks, which project, how parts are opened. Filled by the
/// parser before a command runs.
struct Invocation {
  const control::Wiring* wiring = nullptr;
  std::string project{};  ///< `--project`; empty: found from the working directory
  bool json = false;
  std::string document{};  ///< `--document`, of a process that the control plane started
  std::function<int(const Console&)> run{};  ///< set by the subcommand that was named
};

/// Each adds its subcommands to the parser; one file a family.
void add_project_commands(CLI::App& app, Invocation& invocation);  // check plan run apply schema
void add_plane_commands(CLI::App& app, Invocation& invocation);    // up status stop resume
void add_release_commands(CLI::App& app,
                          Invocation& invocation);  // release approval approve reject
void add_incident_commands(CLI::App& app, Invocation& invocation);   // incident quarantine
void add_ledger_commands(CLI::App& app, Invocation& invocation);     // audit
void add_bundle_commands(CLI::App& app, Invocation& invocation);     // bundle
void add_score_commands(CLI::App& app, Invocation& invocation);      // score
void add_report_command(CLI::App& app, Invocation& invocation);      // report
void add_traffic_commands(CLI::App& app, Invocation& invocation);    // replay label
void add_skew_command(CLI::App& app, Invocation& invocation);        // skew
void add_why_command(CLI::App& app, Invocation& invocation);         // why
void add_doctor_command(CLI::App& app, Invocation& invocation);      // doctor
void add_completion_command(CLI::App& app, Invocation& invocation);  // completion
void add_dev_commands(CLI::App& app, Invocation& invocation);        // dev demo bench
void add_bench_command(CLI::App& dev, Invocation& invocation);       // of `dev`
void add_trainer_commands(CLI::App& app, Invocation& invocation);    // trainer
void add_worker_commands(CLI::App& app, Invocation& invocation);     // worker (not for people)

}  // namespace heddle::cli
