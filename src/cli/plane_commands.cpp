#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/open_files.hpp"
#include "cli/commands.hpp"
#include "cli/data_plane_lock.hpp"
#include "cli/data_plane_probe.hpp"
#include "cli/planes.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "cli/stopping.hpp"
#include "cli/supervisor.hpp"
#include "cli/work_tree.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"
#include "control/status_reply.hpp"
#include "plane/route.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

/// A request to try, where the project has one (`heddle init` writes it). It waits for the planes
/// and the model; of tries that fail, curl tells only the status.
void tell_request(const std::string& root, const Console& console) {
  if (!path_exists(root + "/request.json")) return;
  const auto loaded = spec::load_project(root);
  if (!loaded.ok() || loaded->project.services.empty()) return;
  const auto& [name, service] = *loaded->project.services.begin();
  // curl may not trust its certificate.
  if (!service.tls.certificate.empty()) return;
  console.message(
      fmt::format("next: curl -sSf --retry 30 --retry-delay 1 --retry-connrefused -H "
                  "\"Authorization: Bearer $(cat "
                  ".heddle/tokens/caller)\" -d @request.json http://{}:{}/v1/services/{}/predict",
                  service.host, service.port, name));
}

int up(const Invocation& invocation, const Console& console, const std::string& only,
       bool lockstep) {
  auto root = find_project(invocation.project);
  if (!root.ok()) return console.fail(root.error());
  // Before the planes are started: they inherit the limit.
  raise_open_files();
  if (only == "control" || only == "data") {
    const auto ended = only == "control" ? run_control_plane(*root, *invocation.wiring)
                                         : run_data_plane(*root, *invocation.wiring, lockstep);
    return ended.ok() ? 0 : console.fail(ended.error());
  }
  const control::Home home(*root);
  if (auto made = make_dirs(home.dir()); !made.ok()) return console.fail(made.error());
  auto lock = FileLock::acquire(home.supervisor_lock());
  if (!lock.ok() && lock.error().kind == ErrorKind::kConflict) {
    return console.fail({ErrorKind::kConflict, "project-up",
                         fmt::format("project `{}` is up already", *root),
                         "run `heddle status`, or end the other `heddle up` first"});
  }
  // A disk that cannot be written must not keep what was released from being served.
  if (!lock.ok()) console.message(fmt::format("warning: {}", lock.error().message));
  // Both planes need the keys, the tokens and what was applied: once, before either starts.
  if (auto ready = prepare_project(*root, *invocation.wiring); !ready.ok()) {
    return console.fail(ready.error());
  }
  // That of a supervisor before this one may be ending still. Each start of the plane waits too: it
  // would be taken for one that fails.
  if (const auto free = DataPlaneLock::take(home); !free.ok()) return console.fail(free.error());
  // What is released has a route table.
  const bool released = !list_dir(home.routes()).empty();
  const auto plane = [&](const std::string& name) {
    Supervisor::Plane started{
        name, {invocation.wiring->executable, "--project", *root, "up", "--only", name}};
    // What was released is served, whatever keeps decisions from being made.
    started.may_fail_at_start = name == "control" && released;
    if (lockstep && name == "data") started.argv.push_back("--lockstep");
    return started;
  };
  tell_request(*root, console);
  const auto ended = Supervisor({plane("control"), plane("data")}).run();
  return ended.ok() ? 0 : console.fail(ended.error());
}

/// A service as the command shows it: what was decided, as far as that is known, and what runs.
struct ServiceNow {
  control::ServiceItem item{};
  std::string state{};  ///< as a data plane carries out what was decided
  DataPlaneNow data{};
};

struct StatusNow {
  control::StatusReply reply{};
  std::vector<ServiceNow> services{};  ///< of the reply, in its order
  bool controlled = false;             ///< a control plane runs
  std::optional<Error> locked{};  ///< why nothing can be decided; what runs is told all the same
};

/// What a service does now: what was decided, as far as a data plane carries it out.
std::string state_now(const std::string& decided, const DataPlaneNow& data) {
  // Any other word, for example `stopped`, is as true without a data plane.
  if (!data.running) return decided == "released" ? "not running" : decided;
  if (!data.told) return decided;  // it runs, and tells this machine's accounts nothing
  if (data.told->stopped) return "stopped";
  if (!data.told->ready) return decided == "released" ? "not ready" : decided;
  return data.told->failed_over ? "serving by its standby" : "serving";
}

/// What can be said where the control plane's part cannot be opened: what was applied and released.
control::StatusReply status_of_locked(const spec::Project& project, const Error& why) {
  const control::Home home(project.root);
  const auto key = read_control_public_key(home);
  const auto text_of = [](const Digest& digest) {
    return digest.empty() ? std::string() : digest.str();
  };
  control::StatusReply reply;
  reply.project = project.name;
  reply.applied = project.commit;
  for (const auto& [name, service] : project.services) {
    const auto route = key.ok() ? plane::read_route(home.route(name), *key)
                                : Result<plane::RouteTable>(key.error());
    auto& item = reply.services.emplace_back();
    item.name = name;
    item.state = path_exists(home.route(name)) ? "released" : "nothing released";
    item.autonomy = service.autonomy;
    item.locked = control::LockedItem{why.id, why.message, why.hint};
    if (!route.ok()) continue;
    item.state = route->stopped ? "stopped" : "released";
    auto& decided = item.decided.emplace();
    decided.primary = text_of(route->primary);
    decided.standby = text_of(route->standby);
    decided.route = route->version;
  }
  return reply;
}

Result<StatusNow> status_now(const Invocation& invocation) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const auto answered = ask(root, *invocation.wiring, "status", doc::Value::object());
  // The definitions that run; before the first apply nothing does.
  const auto project = control::applied_project(control::Home(root), *invocation.wiring);
  StatusNow now;
  if (answered.ok()) {
    HEDDLE_ASSIGN_OR_RETURN(now.reply, control::StatusReply::schema().parse(answered->reply));
    if (!project.ok() && project.error().id != "nothing-applied") return project.error();
  } else {
    // With neither a control plane nor what was applied there is nothing to tell.
    if (!project.ok()) return answered.error();
    now.locked = answered.error();
    now.reply = status_of_locked(*project, *now.locked);
  }
  now.controlled = answered.ok() && answered->session->remote();
  bool idle = !now.controlled && answered.ok();
  for (const auto& item : now.reply.services) {
    auto& service = now.services.emplace_back();
    service.item = item;
    service.data.problem = "nothing was applied yet";
    if (project.ok()) {
      const auto known = project->services.find(item.name);
      service.data.problem = "its definition is not there any more";
      if (known != project->services.end())
        service.data = probe_data_plane(*project, known->second);
    }
    idle = idle || !service.data.running;
    service.state = state_now(item.state, service.data);
  }
  if (idle) {
    now.reply.next.insert(now.reply.next.begin(), {"heddle up", "not every plane runs"});
  }
  return now;
}

/// A service of a project whose control plane's part cannot be opened.
doc::Value locked_document(const ServiceNow& service) {
  auto out = doc::Value::object({{"name", service.item.name}, {"state", service.state}});
  out.set("autonomy", service.item.autonomy);
  if (const auto& decided = service.item.decided) {
    out.set("primary", decided->primary);
    out.set("standby", decided->standby);
    out.set("route", decided->route);
  }
  out.set("applied", service.data.told ? service.data.told->route_version : 0);
  return out;
}

/// `heddle status --json`: the reply, with what runs beside what was decided.
doc::Value document_of(const StatusNow& now, const WorkTreeNote& note) {
  auto reply = control::StatusReply::schema().print(now.reply);
  auto& services = reply.find("services")->as_array();
  for (std::size_t i = 0; i < services.size(); ++i) {
    const auto& service = now.services[i];
    if (now.locked) services[i] = locked_document(service);
    services[i].set("state", service.state);
    services[i].set("data_plane", service.data.document());
  }
  if (now.locked) {
    reply.set("locked", doc::Value::object({{"id", now.locked->id},
                                            {"error", now.locked->message},
                                            {"hint", now.locked->hint}}));
  }
  reply.set("control_plane", now.controlled ? "running" : "not running");
  reply.set("work_tree", note.to_value());
  return reply;
}

/// `5,600 rows: 5,400 in windows, 200 late`: what is none is left out.
std::string watch_line(const control::WatchReply& watch) {
  std::string line = fmt::format("{} rows, {} in windows", watch.rows, watch.in_windows);
  const auto add = [&](std::int64_t count, std::string_view words) {
    if (count > 0) line += fmt::format(", {} {}", count, words);
  };
  add(watch.partial, "of part of a window");
  add(watch.late, "LATE");
  add(watch.ahead, "AHEAD OF IT");
  add(watch.unwatched, "UNWATCHED");
  add(watch.other_release, "of a release before");
  line += fmt::format("; {} labels joined", watch.labels_joined);
  add(watch.labels_waiting, "wait for an unknown row");
  add(watch.labels_forgotten, "OF UNKNOWN ROWS");
  add(watch.labels_malformed, "OF NO VALUE OF THE TARGET");
  add(watch.labels_unknown_class, "OF NO CLASS OF THE MODEL");
  for (const auto& [account, count] : watch.labels_given_up)
    line += fmt::format(", {} OF UNKNOWN ROWS BY `{}` GAVE WAY", count, account);
  if (watch.sample < 1)
    line += fmt::format("; ONE ROW IN {:.0f} IS KEPT FOR ITS LABEL", 1 / watch.sample);
  return line;
}

std::string watermark_line(const std::string& watermark) {
  const auto time = parse_time(watermark);
  if (!time) return "none";
  const bool ahead = *time > system_clock().wall() + kHour;
  return watermark + (ahead ? " (AHEAD OF THE CLOCK: nothing is decided until then)" : "");
}

/// By the data plane's own word at its last start.
std::string certificate_line(const control::TlsItem& tls) {
  return fmt::format("{}{} (since {}, ledger entry {})", tls.certificate,
                     tls.client_ca.empty() ? "" : ", clients by " + tls.client_ca, tls.since,
                     tls.entry);
}

std::string data_plane_line(const DataPlaneNow& data) {
  if (!data.running) return fmt::format("not running on {}", data.address);
  std::string line = fmt::format("running on {}", data.address);
  if (!data.told) return line + ": " + data.problem;
  line += fmt::format(", route {} in force", data.told->route_version);
  if (!data.told->slot.empty()) line += fmt::format(", {} answers", data.told->slot);
  if (!data.told->waits_for.empty())
    line += fmt::format("; waits since {} s: {}", data.told->waits_s, data.told->waits_for);
  return line;
}

using Rows = std::vector<std::vector<std::string>>;

/// What answers: the bundle of each slot that there is.
void add_slots(const control::ServiceItem::Decided& decided, Rows& rows) {
  const auto slot_of = [](const std::string& bundle) {
    return bundle.empty() ? std::string("none") : beginning(bundle);
  };
  rows.push_back({"  primary", slot_of(decided.primary)});
  rows.push_back({"  standby", slot_of(decided.standby)});
  if (!decided.canary.empty()) {
    rows.push_back({"  canary", fmt::format("{} answers {:g}%", beginning(decided.canary),
                                            static_cast<double>(decided.weight) / 100)});
  }
  if (!decided.shadow.empty()) rows.push_back({"  shadow", beginning(decided.shadow)});
}

void add_sandboxes(const control::ServiceItem::Decided& decided, Rows& rows) {
  for (const auto& worker : decided.sandboxes) {
    rows.push_back(
        {"  sandbox", fmt::format("of {}: {}", worker.slot,
                                  worker.missing.empty() ? "whole" : "lacks " + worker.missing)});
  }
}

void print_service(const Console& console, const StatusNow& now, const ServiceNow& service) {
  console.data(fmt::format("\nservice `{}` ({})", service.item.name, service.state));
  const control::ServiceItem::Decided nothing;
  const auto& decided = service.item.decided ? *service.item.decided : nothing;
  Rows rows;
  add_slots(decided, rows);
  // What is applied is known to the data plane too, where nothing of the control plane can be read.
  const auto applied =
      now.locked && service.data.told ? service.data.told->route_version : decided.applied;
  rows.push_back({"  route", fmt::format("{} (applied {})", decided.route, applied)});
  rows.push_back({"  data plane", data_plane_line(service.data)});
  rows.push_back({"  control plane", now.controlled ? "running" : "not running"});
  const auto& locked = service.item.locked;
  if (locked && !now.locked) {
    rows.push_back({"  LOCKED", "nothing of it is decided: " + locked->error});
    if (!locked->hint.empty()) rows.push_back({"  hint", locked->hint});
  }
  rows.push_back({"  watermark", watermark_line(decided.watermark)});
  if (!locked) {
    rows.push_back({"  watched", decided.watch.line});
    rows.push_back({"  watch", watch_line(decided.watch)});
  }
  rows.push_back({"  autonomy", service.item.autonomy});
  if (decided.tls) rows.push_back({"  certificate", certificate_line(*decided.tls)});
  add_sandboxes(decided, rows);
  console.data(format_rows(rows));
}

/// A list of the status, a line each.
template <class Item>
void print_lines(const Console& console, const char* title, const std::vector<Item>& items) {
  if (items.empty()) return;
  console.data(fmt::format("\n{}", title));
  for (const auto& item : items) {
    if constexpr (std::is_same_v<decltype(item.line), std::string>) {
      console.data("  " + item.line);
    } else if (item.line) {
      console.data("  " + *item.line);
    }
  }
}

int status(const Invocation& invocation, const Console& console) {
  const auto now = status_now(invocation);
  if (!now.ok()) return console.fail(now.error());
  const auto& reply = now->reply;
  const WorkTreeNote note = compare_with_applied(invocation, reply.applied);
  if (console.json()) {
    console.document(document_of(*now, note));
    return now->locked ? error_kind_info(now->locked->kind).exit_code : 0;
  }
  console.data(fmt::format("project `{}`, applied {}", reply.project,
                           reply.applied.empty() ? "nothing" : reply.applied));
  for (const auto& service : now->services) print_service(console, *now, service);
  print_lines(console, "quarantined", reply.quarantined);
  print_lines(console, "incidents", reply.incidents);
  print_lines(console, "approvals", reply.approvals);
  print_lines(console, "triggers", reply.triggers);
  note.tell(console);
  if (!reply.next.empty()) {
    console.message("");
    print_next(console, reply.next);
  }
  if (!now->locked) return 0;
  console.message("\nnothing can be decided:");
  return console.fail(*now->locked);
}

void print_clock(const Console& console, const control::AskedReply& reply) {
  const auto& asked = *reply.asked;
  if (!asked.applied) return print_waiting(console, asked.approval, asked.reason);
  console.message(fmt::format("event time follows its clock again (ledger entry {})", asked.entry));
}

void print_resumed(const Console& console, const control::AskedReply& reply) {
  const auto& asked = *reply.asked;
  if (!asked.applied) return print_waiting(console, asked.approval, asked.reason);
  console.message(fmt::format("resumed (ledger entry {})", asked.entry));
}

/// The jump that stands is looked up first, so that what is signed is about this one.
int set_clock(const Invocation& invocation, const Console& console, const std::string& service,
              const std::string& reason, const AskedBy& by) {
  const auto now = call_for<control::StatusReply>(invocation, "status");
  if (!now.ok()) return console.fail(now.error());
  std::string jump;
  for (const auto& each : now->services) {
    if (each.name != service || !each.decided || !each.decided->clock_jump) continue;
    const auto& found = *each.decided->clock_jump;
    jump = found.id;
    console.message(fmt::format("`{}` left its clock at {}: {}", service,
                                format_time(found.event_time), found.reason));
  }
  return show(console,
              call_as<control::AskedReply>(
                  invocation, "clock.set",
                  doc::Value::object({{"service", service}, {"jump", jump}, {"reason", reason}}),
                  by, "person"),
              print_clock);
}

void add_clock_commands(CLI::App& app, Invocation& invocation,
                        const std::shared_ptr<std::string>& service) {
  auto* clock = app.add_subcommand("clock", "the event time of a service")->require_subcommand(1);
  auto reason = std::make_shared<std::string>();
  auto* set = clock->add_subcommand(
      "set", "say that the clock is right that event time has left; only a person does");
  set->add_option("service", *service, "name of the service")->required();
  set->add_option("--reason", *reason, "why, in one line")->required();
  set->callback([&invocation, service, reason, by = add_asked_by(*set, "--person")] {
    invocation.run = [=, &invocation](const Console& console) {
      return set_clock(invocation, console, *service, *reason, *by);
    };
  });
}

}  // namespace

void add_plane_commands(CLI::App& app, Invocation& invocation) {
  auto only = std::make_shared<std::string>();
  auto lockstep = std::make_shared<bool>(false);
  auto* up_command = app.add_subcommand("up", "start the planes on this machine");
  up_command->add_option("--only", *only, "one plane only")
      ->check(CLI::IsMember({"data", "control"}));
  up_command->add_flag("--lockstep", *lockstep,
                       "every service's time is a replay's from the start: requests of people who "
                       "try it take that time");
  up_command->callback([&invocation, only, lockstep] {
    invocation.run = [=, &invocation](const Console& console) {
      return up(invocation, console, *only, *lockstep);
    };
  });

  app.add_subcommand("status", "services, slots, incidents, approvals, and what to do next")
      ->callback([&invocation] {
        invocation.run = [&invocation](const Console& console) {
          return status(invocation, console);
        };
      });

  auto service = std::make_shared<std::string>();
  auto all = std::make_shared<bool>(false);
  auto* stop = app.add_subcommand(
      "stop", "stop a service: requests get 503 until someone runs `heddle resume`");
  stop->add_option("service", *service, "name of the service");
  stop->add_flag("--all", *all, "everything");
  stop->callback([&invocation, service, all, by = add_asked_by(*stop)] {
    invocation.run = [=, &invocation](const Console& console) {
      if (service->empty() && !*all) {
        return console.fail({ErrorKind::kInvalid, "stop-what", "it is not said what to stop",
                             "name a service, or say `--all`"});
      }
      return stop_services(invocation, console, *all ? "*" : *service, *by);
    };
  });
  add_clock_commands(app, invocation, service);
  auto* resume = app.add_subcommand("resume", "clear a stop; only a person does");
  resume->add_option("service", *service, "name of the service; default: everything");
  resume->callback([&invocation, service, by = add_asked_by(*resume, "--person")] {
    invocation.run = [=, &invocation](const Console& console) {
      return show(
          console,
          call_as<control::AskedReply>(
              invocation, "resume",
              doc::Value::object({{"service", service->empty() ? "*" : *service}}), *by, "person"),
          print_resumed);
    };
  });
}

}  // namespace heddle::cli
