#include <CLI/CLI.hpp>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/planes.hpp"
#include "cli/session.hpp"
#include "cli/signing.hpp"
#include "cli/supervisor.hpp"
#include "control/home.hpp"

namespace heddle::cli {
namespace {

int up(const Invocation& invocation, const Console& console, const std::string& only, bool lockstep) {
  auto root = find_project(invocation.project);
  if (!root.ok()) return console.fail(root.error());
  if (only == "control" || only == "data") {
    const auto ended = only == "control" ? run_control_plane(*root, *invocation.wiring)
                                         : run_data_plane(*root, *invocation.wiring, lockstep);
    return ended.ok() ? 0 : console.fail(ended.error());
  }
  const control::Home home(*root);
  if (auto made = make_dirs(home.dir()); !made.ok()) return console.fail(made.error());
  auto lock = FileLock::acquire(home.supervisor_lock());
  if (!lock.ok()) {
    return console.fail({ErrorKind::kConflict, "project-up", fmt::format("project `{}` is up already", *root),
                         "run `heddle status`, or end the other `heddle up` first"});
  }
  // Both planes need the keys and tokens: they are made once, before either starts.
  if (auto ready = prepare_project(*root); !ready.ok()) return console.fail(ready.error());
  const auto plane = [&](const std::string& name) {
    Supervisor::Plane started{name, {invocation.wiring->executable, "--project", *root, "up", "--only", name}};
    if (lockstep && name == "data") started.argv.push_back("--lockstep");
    return started;
  };
  const auto ended = Supervisor({plane("control"), plane("data")}).run();
  return ended.ok() ? 0 : console.fail(ended.error());
}

int status(const Invocation& invocation, const Console& console) {
  auto reply = call_operation(invocation, "status", doc::Value::object());
  if (!reply.ok()) return console.fail(reply.error());
  if (console.json()) {
    console.document(*reply);
    return 0;
  }
  console.data(fmt::format("project `{}`, applied {}", reply->string_or("project"), reply->string_or("applied", "nothing")));
  for (const auto& service : reply->find("services")->as_array()) {
    console.data(fmt::format("\nservice `{}` ({})", service.string_or("name"), service.string_or("state")));
    std::vector<std::vector<std::string>> slots{{"  primary", service.string_or("primary", "none").substr(0, 19)},
                                                {"  standby", service.string_or("standby", "none").substr(0, 19)}};
    if (const auto canary = service.string_or("canary"); !canary.empty()) {
      slots.push_back({"  canary", fmt::format("{} answers {:g}%", canary.substr(0, 19), static_cast<double>(service.int_or("weight")) / 100)});
    }
    if (const auto shadow = service.string_or("shadow"); !shadow.empty()) slots.push_back({"  shadow", shadow.substr(0, 19)});
    slots.push_back({"  route", fmt::format("{} (applied {})", service.int_or("route"), service.int_or("applied"))});
    slots.push_back({"  watermark", service.string_or("watermark", "none")});
    slots.push_back({"  autonomy", service.string_or("autonomy")});
    console.data(format_rows(slots));
  }
  for (const char* list : {"quarantined", "incidents", "approvals"}) {
    const auto* items = reply->find(list);
    if (items == nullptr || items->size() == 0) continue;
    console.data(fmt::format("\n{}", list));
    for (const auto& item : items->as_array()) console.data("  " + item.string_or("line"));
  }
  if (const auto* next = reply->find("next"); next != nullptr && next->size() > 0) {
    console.message("");
    for (const auto& item : next->as_array()) {
      console.message(fmt::format("next: {}  ({})", item.string_or("command"), item.string_or("why")));
    }
  }
  return 0;
}

}  // namespace

void add_plane_commands(CLI::App& app, Invocation& invocation) {
  auto only = std::make_shared<std::string>();
  auto lockstep = std::make_shared<bool>(false);
  auto* up_command = app.add_subcommand("up", "start the planes on this machine");
  up_command->add_option("--only", *only, "one plane only")->check(CLI::IsMember({"data", "control"}));
  up_command->add_flag("--lockstep", *lockstep, "ticks come from `heddle replay --lockstep`, not from the clock");
  up_command->callback([&invocation, only, lockstep] {
    invocation.run = [=, &invocation](const Console& console) { return up(invocation, console, *only, *lockstep); };
  });

  app.add_subcommand("status", "services, slots, incidents, approvals, and what to do next")->callback([&invocation] {
    invocation.run = [&invocation](const Console& console) { return status(invocation, console); };
  });

  auto service = std::make_shared<std::string>();
  auto all = std::make_shared<bool>(false);
  auto* stop = app.add_subcommand("stop", "the declared safe state, at once");
  stop->add_option("service", *service, "name of the service");
  stop->add_flag("--all", *all, "everything");
  stop->callback([&invocation, service, all, by = add_asked_by(*stop)] {
    invocation.run = [=, &invocation](const Console& console) {
      if (service->empty() && !*all) {
        return console.fail({ErrorKind::kInvalid, "stop-what", "name a service, or say `--all`"});
      }
      auto reply = call_as(invocation, "stop", doc::Value::object({{"service", *all ? "*" : *service}}), *by);
      if (!reply.ok()) return console.fail(reply.error());
      console.message(fmt::format("stopped `{}` (ledger entry {})", *all ? "everything" : *service, reply->int_or("entry")));
      console.message("next: heddle resume");
      return 0;
    };
  });
  auto* resume = app.add_subcommand("resume", "clear a stop; only a person does");
  resume->add_option("service", *service, "name of the service; default: everything");
  resume->callback([&invocation, service, by = add_asked_by(*resume, "--person")] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_as(invocation, "resume", doc::Value::object({{"service", service->empty() ? "*" : *service}}), *by, "person");
      if (!reply.ok()) return console.fail(reply.error());
      if (!reply->bool_or("applied")) return print_waiting(console, *reply);
      console.message(fmt::format("resumed (ledger entry {})", reply->int_or("entry")));
      return 0;
    };
  });
}

}  // namespace heddle::cli
