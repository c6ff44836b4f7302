#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "control/applied.hpp"
#include "replay/replayer.hpp"

namespace heddle::cli {
namespace {

struct ReplayArguments {
  std::string file;
  std::string service;
  std::string from;
  std::string to;
  std::string faults = "none";
  std::string truth;
  std::string source_field;
  int every = 1;
  int block_rows = 128;
  double speed = 0;
  double pause_hours = 0;
  bool lockstep = false;
  std::uint64_t seed = 1;
};

Result<Micros> time_option(const std::string& text, Micros fallback) {
  if (text.empty()) return fallback;
  const auto time = parse_time(text);
  if (!time) return Error{ErrorKind::kInvalid, "time-malformed", fmt::format("`{}` is not a time", text), "write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"};
  return *time;
}

/// Says on stdout where the replay is and waits for a line on stdin; false when that has ended.
bool wait_for_word(Micros event_time) {
  std::printf("at %s\n", format_time(event_time).c_str());
  std::fflush(stdout);
  char line[256];
  return std::fgets(line, sizeof line, stdin) != nullptr;
}

Result<replay::Replayed> run_replay(const Invocation& invocation, const Console& console, const ReplayArguments& arguments) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  // The service that answers is the applied one, whatever the work tree says by now.
  HEDDLE_ASSIGN_OR_RETURN(const auto project, control::applied_project(control::Home(root), *invocation.wiring));
  const auto service = project.services.find(arguments.service);
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown", fmt::format("no service `{}`", arguments.service), "see `heddle status`"};
  }
  const auto& model = project.models.at(service->second.model);
  const auto& contract = project.contracts.at(project.feature_sets.at(model.features).contract);

  replay::Options options;
  options.file = arguments.file;
  options.service = arguments.service;
  options.host = service->second.host;
  options.port = service->second.port;
  options.time_field = model.time_field;
  for (const auto& field : contract.fields) {
    if (!field.label_time) options.fields.push_back(field.name);
  }
  options.target = model.target.text;
  options.sources = service->second.sources;
  options.source_field = arguments.source_field;
  HEDDLE_ASSIGN_OR_RETURN(options.from, time_option(arguments.from, INT64_MIN));
  HEDDLE_ASSIGN_OR_RETURN(options.to, time_option(arguments.to, INT64_MAX));
  HEDDLE_ASSIGN_OR_RETURN(options.faults, replay::faults_from_text(arguments.faults));
  options.every = arguments.every;
  options.block_rows = arguments.block_rows;
  options.speed = arguments.speed;
  options.lockstep = arguments.lockstep;
  options.seed = arguments.seed;
  options.truth_path = arguments.truth;
  const control::Home home(root);
  for (const auto& account : project.service_accounts) {
    if (std::find(account.permissions.begin(), account.permissions.end(), "replay") == account.permissions.end()) continue;
    HEDDLE_ASSIGN_OR_RETURN(options.token, read_file(home.token(account.name)));
    while (!options.token.empty() && options.token.back() == '\n') options.token.pop_back();
    break;
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto session, Session::open(root, *invocation.wiring));
  if (!session->remote()) {
    return Error{ErrorKind::kUnavailable, "control-not-up", "no control plane runs for this project", "start one: heddle up"};
  }
  options.wait_watermark = [&](Micros at_least) -> Result<void> {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    const auto request = doc::Value::object({{"service", arguments.service}, {"at_least", at_least}});
    auto pause = std::chrono::microseconds(200);
    for (;;) {
      auto reply = session->call("watermark", request);
      if (reply.ok() && reply->int_or("event_time", INT64_MIN) >= at_least) return {};
      if (std::chrono::steady_clock::now() > deadline) {
        return reply.ok() ? Error{ErrorKind::kTimeout, "watermark-timeout", "the control plane did not get there in 5 minutes"}
                          : reply.error();
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds(20'000));
    }
  };
  auto shown = std::chrono::steady_clock::now();
  Micros paused = INT64_MIN;
  options.progress = [&](Micros event_time, std::int64_t rows) {
    if (arguments.pause_hours > 0 && (paused == INT64_MIN || event_time - paused >= static_cast<Micros>(arguments.pause_hours * kHour))) {
      paused = event_time;
      if (!wait_for_word(event_time)) return false;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - shown > std::chrono::seconds(2)) {
      shown = now;
      console.message(fmt::format("  {}  {} rows", format_time(event_time), rows));
    }
    return true;
  };
  return replay::replay(options);
}

}  // namespace

void add_traffic_commands(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ReplayArguments>();
  auto* replay = app.add_subcommand("replay", "send recorded traffic and, later, its labels through the real endpoint");
  replay->add_option("file", arguments->file, "recorded rows, Parquet or CSV, with the target's columns")->required();
  replay->add_option("--service", arguments->service, "name of the service")->required();
  replay->add_option("--from", arguments->from, "first event time");
  replay->add_option("--to", arguments->to, "event time after the last");
  replay->add_option("--every", arguments->every, "every n-th row")->check(CLI::PositiveNumber);
  replay->add_option("--source-field", arguments->source_field, "column whose hash names the source of a row");
  replay->add_option("--faults", arguments->faults, "`none`, `flights`, or names of its faults");
  replay->add_option("--truth", arguments->truth, "write each row's truth there, for a scorer");
  replay->add_option("--seed", arguments->seed, "of batch sizes and draws");
  replay->add_flag("--lockstep", arguments->lockstep, "wait for the control plane after each block (needs `up --lockstep`)");
  replay->add_option("--block-rows", arguments->block_rows, "rows of a lockstep block")->check(CLI::Range(1, 1000));
  replay->add_option("--pause-every", arguments->pause_hours, "event hours after which to say `at TIME` and wait for a line on stdin");
  replay->add_option("--speed", arguments->speed, "event seconds a second; 0: as fast as answers come");
  replay->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      auto done = run_replay(invocation, console, *arguments);
      if (!done.ok()) return console.fail(done.error());
      const auto value = doc::Value::object({{"requests", done->requests},
                                             {"rows", static_cast<std::int64_t>(done->rows.size())},
                                             {"answered", done->answered},
                                             {"failed", done->failed},
                                             {"retried", done->retried},
                                             {"labels", done->labels},
                                             {"seconds", done->seconds}});
      if (console.json()) {
        console.document(value);
      } else {
        console.data(fmt::format("{} requests with {} rows in {:.1f}s: {} answered, {} failed, {} sent again", done->requests,
                                 done->rows.size(), done->seconds, done->answered, done->failed, done->retried));
      }
      return done->failed == 0 ? 0 : error_kind_info(ErrorKind::kUnavailable).exit_code;
    };
  });
}

}  // namespace heddle::cli
