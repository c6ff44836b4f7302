#include <CLI/CLI.hpp>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/open_files.hpp"
#include "cli/commands.hpp"
#include "cli/data_plane_lock.hpp"
#include "cli/data_plane_probe.hpp"
#include "cli/planes.hpp"
#include "cli/session.hpp"
#include "cli/signing.hpp"
#include "cli/stopping.hpp"
#include "cli/supervisor.hpp"
#include "cli/work_tree.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"
#include "doc/items.hpp"
#include "plane/route.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

/// A request to try, where the project has one (`heddle init` writes it). It waits for the planes.
void tell_request(const std::string& root, const Console& console) {
  if (!path_exists(root + "/request.json")) return;
  const auto loaded = spec::load_project(root);
  if (!loaded.ok() || loaded->project.services.empty()) return;
  const auto& [name, service] = *loaded->project.services.begin();
  if (!service.tls.certificate.empty()) return;
  console.message(
      fmt::format("next: curl -s --retry 30 --retry-delay 1 --retry-connrefused -H "
                  "\"Authorization: Bearer $(cat "
                  ".heddle/tokens/caller)\" -d @request.json http://{}:{}/v1/services/{}/predict",
                  service.host, service.port, name));
}

int up(const Invocation& invocation, const Console& console, const std::string& only,
       bool lockstep) {
  auto root = find_project(invocation.project);
  if (!root.ok()) return console.fail(root.error());
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

/// What a service does now: what was decided, as far as a data plane carries it out.
std::string state_now(const doc::Value& service) {
  const auto decided = service.string_or("state");
  const auto* data = service.find("data_plane");
  if (!data->bool_or("running")) return decided == "released" ? "not running" : decided;
  if (data->find("ready") == nullptr)
    return decided;  // it runs, and tells this machine's accounts nothing
  if (data->bool_or("stopped")) return "stopped";
  if (!data->bool_or("ready")) return decided == "released" ? "not ready" : decided;
  return data->bool_or("failed_over") ? "serving by its standby" : "serving";
}

/// Adds what runs to what was decided: the reply's `control_plane`, each service's `data_plane` and
/// the `state` that follows.
struct Status {
  doc::Value reply{};
  std::optional<Error> locked{};  ///< why nothing can be decided; what runs is told all the same
};

/// What can be said where the control plane's part cannot be opened: what was applied and released.
doc::Value status_of_locked(const spec::Project& project, const Error& why) {
  const control::Home home(project.root);
  const auto key = read_control_public_key(home);
  const auto text_of = [](const Digest& digest) {
    return digest.empty() ? std::string() : digest.str();
  };
  auto services = doc::Value::array();
  for (const auto& [name, service] : project.services) {
    const auto route = key.ok() ? plane::read_route(home.route(name), *key)
                                : Result<plane::RouteTable>(key.error());
    auto told = doc::Value::object(
        {{"name", name},
         {"state", path_exists(home.route(name)) ? "released" : "nothing released"},
         {"autonomy", service.autonomy}});
    if (route.ok()) {
      told.set("state", route->stopped ? "stopped" : "released");
      told.set("primary", text_of(route->primary));
      told.set("standby", text_of(route->standby));
      told.set("route", route->version);
    }
    services.push(std::move(told));
  }
  auto reply = doc::Value::object(
      {{"project", project.name},
       {"applied", project.commit},
       {"services", std::move(services)},
       {"locked",
        doc::Value::object({{"id", why.id}, {"error", why.message}, {"hint", why.hint}})}});
  for (const char* list : {"quarantined", "incidents", "approvals", "next"})
    reply.set(list, doc::Value::array());
  return reply;
}

Result<Status> status_now(const Invocation& invocation) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  auto answered = ask(root, *invocation.wiring, "status", doc::Value::object());
  // The definitions that run; before the first apply nothing does.
  const auto project = control::applied_project(control::Home(root), *invocation.wiring);
  Status status;
  if (answered.ok()) {
    status.reply = std::move(answered->reply);
    if (!project.ok() && project.error().id != "nothing-applied") return project.error();
  } else {
    if (!project.ok()) return answered.error();
    status.locked = answered.error();
    status.reply = status_of_locked(*project, *status.locked);
  }
  doc::Value& reply = status.reply;
  const bool controlled = answered.ok() && answered->session->remote();
  reply.set("control_plane", controlled ? "running" : "not running");
  bool idle = !controlled && answered.ok();
  for (auto& service : reply.find("services")->as_array()) {
    auto data = doc::Value::object({{"running", false}, {"problem", "nothing was applied yet"}});
    if (project.ok()) {
      const auto known = project->services.find(service.string_or("name"));
      data = known == project->services.end()
                 ? doc::Value::object(
                       {{"running", false}, {"problem", "its definition is not there any more"}})
                 : probe_data_plane(*project, known->second);
    }
    idle = idle || !data.bool_or("running");
    if (status.locked) service.set("applied", data.int_or("route_version"));
    service.set("data_plane", std::move(data));
    service.set("state", state_now(service));
  }
  if (idle) {
    auto& next = reply.find("next")->as_array();
    next.insert(next.begin(),
                doc::Value::object({{"command", "heddle up"}, {"why", "not every plane runs"}}));
  }
  return status;
}

/// `5,600 rows: 5,400 in windows, 200 late`: what is none is left out.
std::string watch_line(const doc::Value& watch) {
  std::string line =
      fmt::format("{} rows, {} in windows", watch.int_or("rows"), watch.int_or("in_windows"));
  const std::pair<const char*, const char*> fates[] = {{"partial", "of part of a window"},
                                                       {"late", "LATE"},
                                                       {"ahead", "AHEAD OF IT"},
                                                       {"unwatched", "UNWATCHED"},
                                                       {"other_release", "of a release before"}};
  for (const auto& [name, words] : fates) {
    if (const auto count = watch.int_or(name); count > 0)
      line += fmt::format(", {} {}", count, words);
  }
  line += fmt::format("; {} labels joined", watch.int_or("labels_joined"));
  if (const auto count = watch.int_or("labels_waiting"); count > 0)
    line += fmt::format(", {} wait for an unknown row", count);
  if (const auto count = watch.int_or("labels_forgotten"); count > 0)
    line += fmt::format(", {} OF UNKNOWN ROWS", count);
  if (const auto count = watch.int_or("labels_malformed"); count > 0)
    line += fmt::format(", {} OF NO VALUE OF THE TARGET", count);
  if (const auto count = watch.int_or("labels_unknown_class"); count > 0)
    line += fmt::format(", {} OF NO CLASS OF THE MODEL", count);
  if (const doc::Value* given_up = watch.find("labels_given_up"); given_up != nullptr) {
    for (const auto& [account, count] : given_up->as_object())
      line += fmt::format(", {} OF UNKNOWN ROWS BY `{}` GAVE WAY", count.as_int(), account);
  }
  if (const double sample = watch.double_or("sample"); sample < 1)
    line += fmt::format("; ONE ROW IN {:.0f} IS KEPT FOR ITS LABEL", 1 / sample);
  return line;
}

std::string watermark_line(const std::string& watermark) {
  const auto time = parse_time(watermark);
  if (!time) return "none";
  const bool ahead = *time > system_clock().wall() + kHour;
  return watermark + (ahead ? " (AHEAD OF THE CLOCK: nothing is decided until then)" : "");
}

/// By the data plane's own word at its last start.
std::string certificate_line(const doc::Value& tls) {
  const auto client_ca = tls.string_or("client_ca");
  return fmt::format("{}{} (since {}, ledger entry {})", tls.string_or("certificate"),
                     client_ca.empty() ? "" : ", clients by " + client_ca, tls.string_or("since"),
                     tls.int_or("entry"));
}

std::string data_plane_line(const doc::Value& data) {
  if (!data.bool_or("running")) return fmt::format("not running on {}", data.string_or("address"));
  std::string line = fmt::format("running on {}", data.string_or("address"));
  if (const auto problem = data.string_or("problem"); !problem.empty())
    return line + ": " + problem;
  line += fmt::format(", route {} in force", data.int_or("route_version"));
  if (const auto slot = data.string_or("slot"); !slot.empty())
    line += fmt::format(", {} answers", slot);
  if (const auto waits_for = data.string_or("waits_for"); !waits_for.empty())
    line += fmt::format("; waits since {} s: {}", data.int_or("waits_s"), waits_for);
  return line;
}

using Rows = std::vector<std::vector<std::string>>;

/// What answers: the bundle of each slot that there is.
void add_slots(const doc::Value& service, Rows& rows) {
  const auto slot_of = [&](const char* name) {
    const auto bundle = service.string_or(name);
    return bundle.empty() ? std::string("none") : bundle.substr(0, 19);
  };
  rows.push_back({"  primary", slot_of("primary")});
  rows.push_back({"  standby", slot_of("standby")});
  if (const auto canary = service.string_or("canary"); !canary.empty()) {
    rows.push_back({"  canary", fmt::format("{} answers {:g}%", canary.substr(0, 19),
                                            static_cast<double>(service.int_or("weight")) / 100)});
  }
  if (const auto shadow = service.string_or("shadow"); !shadow.empty())
    rows.push_back({"  shadow", shadow.substr(0, 19)});
}

void add_lock(const doc::Value& service, Rows& rows) {
  const auto* locked = service.find("locked");
  if (locked == nullptr) return;
  rows.push_back({"  LOCKED", "nothing of it is decided: " + locked->string_or("error")});
  if (const auto hint = locked->string_or("hint"); !hint.empty()) rows.push_back({"  hint", hint});
}

void add_sandboxes(const doc::Value& service, Rows& rows) {
  for (const auto& worker : doc::items_of(service.find("sandboxes"))) {
    const std::string missing = worker.string_or("missing");
    rows.push_back({"  sandbox", fmt::format("of {}: {}", worker.string_or("slot"),
                                             missing.empty() ? "whole" : "lacks " + missing)});
  }
}

void print_service(const Console& console, const doc::Value& service,
                   const std::string& control_plane) {
  console.data(
      fmt::format("\nservice `{}` ({})", service.string_or("name"), service.string_or("state")));
  Rows rows;
  add_slots(service, rows);
  rows.push_back({"  route", fmt::format("{} (applied {})", service.int_or("route"),
                                         service.int_or("applied"))});
  rows.push_back({"  data plane", data_plane_line(*service.find("data_plane"))});
  rows.push_back({"  control plane", control_plane});
  add_lock(service, rows);
  rows.push_back({"  watermark", watermark_line(service.string_or("watermark"))});
  if (const auto* watch = service.find("watch")) {
    rows.push_back({"  watched", watch->string_or("line")});
    rows.push_back({"  watch", watch_line(*watch)});
  }
  rows.push_back({"  autonomy", service.string_or("autonomy")});
  if (const auto* tls = service.find("tls"); tls != nullptr && tls->is_object())
    rows.push_back({"  certificate", certificate_line(*tls)});
  add_sandboxes(service, rows);
  console.data(format_rows(rows));
}

void print_waiting_lists(const Console& console, const doc::Value& reply) {
  for (const char* list : {"quarantined", "incidents", "approvals"}) {
    const auto* items = reply.find(list);
    if (items == nullptr || items->size() == 0) continue;
    console.data(fmt::format("\n{}", list));
    for (const auto& item : items->as_array()) console.data("  " + item.string_or("line"));
  }
}

int status(const Invocation& invocation, const Console& console) {
  auto now = status_now(invocation);
  if (!now.ok()) return console.fail(now.error());
  doc::Value* const reply = &now->reply;
  const WorkTreeNote note = compare_with_applied(invocation, reply->string_or("applied"));
  reply->set("work_tree", note.to_value());
  if (console.json()) {
    console.document(*reply);
    return now->locked ? error_kind_info(now->locked->kind).exit_code : 0;
  }
  const auto applied = reply->string_or("applied");
  console.data(fmt::format("project `{}`, applied {}", reply->string_or("project"),
                           applied.empty() ? "nothing" : applied));
  for (const auto& service : reply->find("services")->as_array())
    print_service(console, service, reply->string_or("control_plane"));
  print_waiting_lists(console, *reply);
  note.tell(console);
  if (const auto* next = reply->find("next"); next != nullptr && next->size() > 0) {
    console.message("");
    for (const auto& item : next->as_array()) {
      console.message(
          fmt::format("next: {}  ({})", item.string_or("command"), item.string_or("why")));
    }
  }
  if (!now->locked) return 0;
  console.message("\nnothing can be decided:");
  return console.fail(*now->locked);
}

/// The jump that stands is looked up first, so that what is signed is about this one.
int set_clock(const Invocation& invocation, const Console& console, const std::string& service,
              const std::string& reason, const AskedBy& by) {
  const auto now = call_operation(invocation, "status", doc::Value::object());
  if (!now.ok()) return console.fail(now.error());
  std::string jump;
  for (const auto& each : now->find("services")->as_array()) {
    const auto* found = each.find("clock_jump");
    if (each.string_or("name") != service || found == nullptr || !found->is_object()) continue;
    jump = found->string_or("id");
    console.message(fmt::format("`{}` left its clock at {}: {}", service,
                                format_time(found->int_or("event_time")),
                                found->string_or("reason")));
  }
  auto reply = call_as(
      invocation, "clock.set",
      doc::Value::object({{"service", service}, {"jump", jump}, {"reason", reason}}), by, "person");
  if (!reply.ok()) return console.fail(reply.error());
  if (!reply->bool_or("applied")) return print_waiting(console, *reply);
  console.message(
      fmt::format("event time follows its clock again (ledger entry {})", reply->int_or("entry")));
  return 0;
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
      auto reply = call_as(invocation, "resume",
                           doc::Value::object({{"service", service->empty() ? "*" : *service}}),
                           *by, "person");
      if (!reply.ok()) return console.fail(reply.error());
      if (!reply->bool_or("applied")) return print_waiting(console, *reply);
      console.message(fmt::format("resumed (ledger entry {})", reply->int_or("entry")));
      return 0;
    };
  });
}

}  // namespace heddle::cli
