#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/rows_input.hpp"
#include "cli/session.hpp"
#include "contract/contract.hpp"
#include "control/applied.hpp"
#include "control/replies.hpp"
#include "control/status_reply.hpp"
#include "doc/schema.hpp"
#include "replay/replayer.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

struct ReplayArguments {
  std::string file;
  std::string service;
  std::string from;
  std::string to;
  std::string faults = "none";
  std::string as;
  std::string truth;
  std::string source_field;
  std::string label_delay;
  int every = 1;
  int block_rows = 128;
  double speed = 0;
  double pause_hours = 0;
  bool lockstep = true;
  std::uint64_t seed = 1;
};

/// Says on stdout where the replay is and waits for a line on stdin; false when that has ended.
bool wait_for_word(Micros event_time) {
  std::printf("at %s\n", format_time(event_time).c_str());
  // Who drives the replay waits for the line, and a pipe is buffered.
  std::fflush(stdout);
  char line[256];
  return std::fgets(line, sizeof line, stdin) != nullptr;
}

/// What the watch of a service made of its rows and labels so far: `watch` of `status`; of a locked
/// service nothing.
Result<control::WatchReply> watched(Session& session, const std::string& service) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  auto told = session.call("status", doc::Value::object());
  // The supervisor starts a control plane again that ended.
  while (!told.ok() && told.error().kind == ErrorKind::kUnavailable &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    told = session.call("status", doc::Value::object());
  }
  HEDDLE_TRY(told);
  HEDDLE_ASSIGN_OR_RETURN(const auto status, control::StatusReply::schema().parse(*told));
  for (const auto& item : status.services) {
    if (item.name == service && item.decided) return item.decided->watch;
  }
  return control::WatchReply{};
}

/// How much each count of `after` grew.
doc::Value grown(const doc::Value& before, const doc::Value& after) {
  auto out = doc::Value::object();
  for (const auto& [name, value] : after.as_object()) {
    if (value.is_int()) out.set(name, value.as_int() - before.find(name)->as_int());
  }
  return out;
}

/// What the watch made of a replay.
struct Growth {
  std::int64_t rows = 0;
  std::int64_t in_windows = 0;
  std::int64_t late = 0;
  std::int64_t ahead = 0;
  std::int64_t unwatched = 0;
  std::int64_t labels_joined = 0;
  std::int64_t labels_forgotten = 0;
  doc::Value counts{};  ///< all of them, by name
};

Growth growth_of(const control::WatchReply& before, const control::WatchReply& after) {
  const auto& schema = control::watch_reply_schema();
  return {after.rows - before.rows,
          after.in_windows - before.in_windows,
          after.late - before.late,
          after.ahead - before.ahead,
          after.unwatched - before.unwatched,
          after.labels_joined - before.labels_joined,
          after.labels_forgotten - before.labels_forgotten,
          grown(schema.print(before), schema.print(after))};
}

struct Done {
  replay::Replayed replayed;
  std::vector<std::string> faults;  ///< names, in order of `replayed.touched`
  Growth watch;                     ///< what the service's watch made of it
  std::vector<std::string> notes;   ///< of fields that were computed for the rows
};

/// Rows are sent as they stand; when they happened and what became of them is read from what the
/// contract makes of them. What a client's systems would add to them (`upstream`) and the file
/// lacks is computed. Returns what is to be said of that.
Result<std::vector<std::string>> set_contract(const spec::Project& project,
                                              const spec::Contract& definition,
                                              replay::Options& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto compiled,
                          contract::Contract::compile(
                              definition, [&](const std::string& file, const std::string& column) {
                                return spec::load_enum(project, file, column);
                              }));
  const auto contract = std::make_shared<const contract::Contract>(std::move(compiled));
  // Where nothing is repaired, what the contract makes of a row is the row.
  if (!contract->repairs().empty()) {
    options.as_text = contract->text_fields();
    options.repaired = [contract](const table::Table& rows, const std::string& field) {
      return contract->repaired(rows, field);
    };
  }
  HEDDLE_ASSIGN_OR_RETURN(FileJoin join, join_of(project, options.service, *contract,
                                                 options.time_field, options.file));
  if (!join.joiner) return std::vector<std::string>{};
  for (const auto& field : join.joiner->fields()) options.joined_fields.insert(field.name);
  auto notes = join.joiner->notes();
  options.join = [contract,
                  joiner = std::make_shared<const upstream::Joiner>(std::move(*join.joiner))](
                     table::Table rows) { return joiner->join(std::move(rows)); };
  return notes;
}

/// What is sent: the file by the applied definitions of the service that answers, whatever the work
/// tree says by now.
Result<replay::Options> options_of(const spec::Project& project, const ReplayArguments& arguments,
                                   std::vector<std::string>& notes) {
  const auto service = project.services.find(arguments.service);
  if (service == project.services.end()) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("no service `{}`", arguments.service), "see `heddle status`"};
  }
  // What is applied was checked: its names lead somewhere.
  const auto& model = project.models.at(service->second.model);
  const std::string& named = project.feature_sets.at(model.features).contract;
  const auto& contract = project.contracts.at(named);
  replay::Options options;
  HEDDLE_ASSIGN_OR_RETURN(options.file,
                          input_as(project, arguments.service, arguments.file, arguments.as));
  options.service = arguments.service;
  options.host = service->second.host;
  options.port = service->second.port;
  options.time_field = model.time_field;
  for (const auto& field : contract.fields) {
    if (!field.label_time) options.fields.push_back(field.name);
    options.types.emplace(field.name, field.type);
  }
  HEDDLE_ASSIGN_OR_RETURN(notes, set_contract(project, contract, options));
  options.target = model.target.text;
  options.label_delay = project.monitors.at(service->second.monitor).label_delay;
  if (!arguments.label_delay.empty()) {
    const auto delay = parse_duration(arguments.label_delay);
    if (!delay) {
      return Error{ErrorKind::kInvalid, "duration-malformed",
                   fmt::format("`{}` is not a duration", arguments.label_delay),
                   "write it as in a Monitor: `36h`, `1d`, `90m`"};
    }
    options.label_delay = *delay;
  }
  options.sources = service->second.sources;
  options.source_field = arguments.source_field;
  HEDDLE_ASSIGN_OR_RETURN(options.from, time_option(arguments.from, INT64_MIN));
  HEDDLE_ASSIGN_OR_RETURN(options.to, time_option(arguments.to, INT64_MAX));
  HEDDLE_ASSIGN_OR_RETURN(options.faults, replay::faults_named(project, named, arguments.faults));
  options.every = arguments.every;
  options.block_rows = arguments.block_rows;
  options.speed = arguments.speed;
  options.lockstep = arguments.lockstep;
  options.seed = arguments.seed;
  options.truth_path = arguments.truth;
  return options;
}

/// The token of the first service account that may replay.
Result<std::string> replay_token(const spec::Project& project, const control::Home& home) {
  for (const auto& account : project.service_accounts) {
    if (std::find(account.permissions.begin(), account.permissions.end(), "replay") ==
        account.permissions.end())
      continue;
    HEDDLE_ASSIGN_OR_RETURN(std::string token, read_file(home.token(account.name)));
    while (!token.empty() && token.back() == '\n') token.pop_back();
    return token;
  }
  return Error{
      ErrorKind::kDenied, "replay-no-account", "no service account of people.yaml may replay",
      "give one the permissions `predict`, `label` and `replay`, then start `heddle up` again"};
}

/// Until the control plane has decided up to `at_least`; pauses grow, for it may be a millisecond
/// or the time of a retrain.
Result<void> wait_watermark(Session& session, const std::string& service, Micros at_least) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  const auto request = doc::Value::object({{"service", service}});
  auto pause = std::chrono::microseconds(200);
  for (;;) {
    const auto told = session.call("watermark", request);
    if (told.ok()) {
      HEDDLE_ASSIGN_OR_RETURN(const auto reply, control::WatermarkReply::schema().parse(*told));
      if (reply.event_time >= at_least) return {};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return told.ok() ? Error{ErrorKind::kTimeout, "watermark-timeout",
                               "the control plane did not get there in 5 minutes"}
                       : told.error();
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(20'000));
  }
}

/// Says how far the replay is, every two seconds, and stops at each pause that was asked for.
class ReplayProgress {
 public:
  ReplayProgress(const Console& console, const ReplayArguments& arguments)
      : console_(console), arguments_(arguments) {}

  /// False: a person ended it at a pause.
  bool operator()(Micros event_time, std::int64_t rows) {
    if (is_pause_due(event_time)) {
      paused_ = event_time;
      if (!wait_for_word(event_time)) return false;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ > std::chrono::seconds(2)) {
      shown_ = now;
      console_.message(fmt::format("  {}  {} rows", format_time(event_time), rows));
    }
    return true;
  }

 private:
  [[nodiscard]] bool is_pause_due(Micros event_time) const {
    if (arguments_.pause_hours <= 0) return false;
    // The first call is a pause too.
    return paused_ == INT64_MIN ||
           event_time - paused_ >= static_cast<Micros>(arguments_.pause_hours * kHour);
  }

  const Console& console_;
  const ReplayArguments& arguments_;
  std::chrono::steady_clock::time_point shown_ = std::chrono::steady_clock::now();
  Micros paused_ = INT64_MIN;
};

Result<Done> run_replay(const Invocation& invocation, const Console& console,
                        const ReplayArguments& arguments) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const control::Home home(root);
  HEDDLE_ASSIGN_OR_RETURN(const auto project, control::applied_project(home, *invocation.wiring));
  Done done;
  HEDDLE_ASSIGN_OR_RETURN(replay::Options options, options_of(project, arguments, done.notes));
  HEDDLE_ASSIGN_OR_RETURN(options.token, replay_token(project, home));
  HEDDLE_ASSIGN_OR_RETURN(const auto session, Session::open(root, *invocation.wiring));
  if (!session->remote()) {
    return Error{ErrorKind::kUnavailable, "control-not-up",
                 "no control plane runs for this project", "start one: heddle up"};
  }
  options.wait_watermark = [&](Micros at_least) {
    return wait_watermark(*session, arguments.service, at_least);
  };
  ReplayProgress progress(console, arguments);
  options.progress = std::ref(progress);
  HEDDLE_ASSIGN_OR_RETURN(const auto before, watched(*session, arguments.service));
  for (const auto& fault : options.faults) done.faults.push_back(fault.identity.name);
  HEDDLE_ASSIGN_OR_RETURN(done.replayed, replay::replay(options));
  // Without lockstep the control plane may have records left to read; what it is asked for here is
  // up to the last tick.
  if (!arguments.lockstep) HEDDLE_TRY(options.wait_watermark(done.replayed.last_tick));
  HEDDLE_ASSIGN_OR_RETURN(const auto after, watched(*session, arguments.service));
  done.watch = growth_of(before, after);
  return done;
}

/// Whatever nobody looked at, and faults that show nowhere, one line each; empty: the watch took
/// everything.
std::vector<std::string> losses(const Done& done) {
  const replay::Replayed& replayed = done.replayed;
  const Growth& watch = done.watch;
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < done.faults.size(); ++i) {
    if (replayed.touched[i] == 0)
      lines.push_back(fmt::format("fault `{}` touched no row", done.faults[i]));
  }
  const auto say = [&](std::int64_t count, std::string_view what) {
    if (count > 0) lines.push_back(fmt::format("{} {}", count, what));
  };
  say(watch.late,
      "rows came late: their window was closed, no distribution or quality was computed of them");
  say(watch.ahead, "rows were too far ahead of the watch, which did not take them");
  say(watch.unwatched, "rows were answered by a release without a baseline, which is not watched");
  say(watch.labels_forgotten, "labels were of rows that the service does not know");
  say(replayed.labels_refused, "labels were refused");
  say(replayed.unlabelled, "rows have no label: their target is missing in the file, or fails");
  say(replayed.untimed,
      "rows have no time in the file: they were sent with that of the row before them");
  say(replayed.rejected, "requests were refused as a whole");
  return lines;
}

int print_replayed(const Console& console, const Done& done) {
  const auto& replayed = done.replayed;
  const auto lines = losses(done);
  if (console.json()) {
    auto faults = doc::Value::object();
    for (std::size_t i = 0; i < done.faults.size(); ++i)
      faults.set(done.faults[i], replayed.touched[i]);
    console.document(doc::Value::object(
        {{"requests", replayed.requests},
         {"rows", static_cast<std::int64_t>(replayed.rows.size())},
         {"answered", replayed.answered},
         {"failed", replayed.failed},
         {"retried", replayed.retried},
         {"rejected", replayed.rejected},
         {"labels", replayed.labels},
         {"labels_refused", replayed.labels_refused},
         {"unlabelled", replayed.unlabelled},
         {"untimed", replayed.untimed},
         {"faults", std::move(faults)},
         {"notes", doc::to_list(done.notes, [](const auto& note) { return doc::Value(note); })},
         {"watch", done.watch.counts},
         {"seconds", replayed.seconds}}));
  } else {
    console.data(
        fmt::format("{} requests with {} rows in {:.1f}s: {} answered, {} failed, {} sent again",
                    replayed.requests, replayed.rows.size(), replayed.seconds, replayed.answered,
                    replayed.failed, replayed.retried));
    console.data(fmt::format("watched: {} of {} rows in windows, {} of {} labels met their row",
                             done.watch.in_windows, done.watch.rows, done.watch.labels_joined,
                             replayed.labels));
    for (const auto& note : done.notes) console.data(note);
    for (std::size_t i = 0; i < done.faults.size(); ++i)
      console.data(fmt::format("fault `{}`: {} rows", done.faults[i], replayed.touched[i]));
  }
  for (const auto& line : lines) console.message("warning: " + line);
  for (const auto& error : replayed.errors) console.message("  " + error);
  if (replayed.failed > 0) return error_kind_info(ErrorKind::kUnavailable).exit_code;
  // A replay that nobody watched is for nothing.
  const bool watched = done.watch.in_windows > 0 || replayed.rows.empty();
  return watched ? 0 : error_kind_info(ErrorKind::kUnprocessable).exit_code;
}

}  // namespace

void add_traffic_commands(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ReplayArguments>();
  auto* replay = app.add_subcommand(
      "replay", "send recorded traffic and, later, its labels through the real endpoint");
  replay
      ->add_option("file", arguments->file,
                   "recorded rows, Parquet, CSV or NDJSON, with the target's columns")
      ->required();
  replay->add_option("--service", arguments->service, "name of the service")->required();
  add_as(*replay, arguments->as);
  replay->add_option("--from", arguments->from, "first event time");
  replay->add_option("--to", arguments->to, "event time after the last");
  replay->add_option("--every", arguments->every, "every n-th row")->check(CLI::PositiveNumber);
  replay->add_option("--source-field", arguments->source_field,
                     "column whose hash names the source of a row");
  replay->add_option(
      "--faults", arguments->faults,
      "definitions of `faults/` to lay over the rows, names with commas between: `none` "
      "(default), `all`");
  replay->add_option("--truth", arguments->truth, "write each row's truth there, for a scorer");
  replay->add_option("--seed", arguments->seed, "of batch sizes and draws");
  replay->add_flag("--lockstep,!--no-lockstep", arguments->lockstep,
                   "wait after each block until the control plane has decided on it (default), so "
                   "that two replays decide alike");
  replay->add_option("--label-delay", arguments->label_delay,
                     "event time from a row to its label; default: the Monitor's `label_delay`");
  replay->add_option("--block-rows", arguments->block_rows, "rows between two ticks")
      ->check(CLI::Range(1, 1000));
  replay->add_option("--pause-every", arguments->pause_hours,
                     "event hours after which to say `at TIME` and wait for a line on stdin");
  replay->add_option("--speed", arguments->speed,
                     "event seconds a second at most; 0: as fast as answers come");
  replay->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      auto done = run_replay(invocation, console, *arguments);
      if (!done.ok()) return console.fail(done.error());
      return print_replayed(console, *done);
    };
  });
}

}  // namespace heddle::cli
