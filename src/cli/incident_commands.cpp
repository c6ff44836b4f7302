#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/session.hpp"

namespace heddle::cli {
namespace {

int print_incidents(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"ID", "STATE", "CAUSE", "RESPONSE", "OPENED", "CLOSED"}};
  for (const auto& item : reply.find("incidents")->as_array()) {
    rows.push_back({item.string_or("id"), item.string_or("state"), item.string_or("cause"), item.string_or("response"),
                    item.string_or("opened"), item.string_or("closed")});
  }
  console.data(rows.size() == 1 ? "no incident so far" : format_rows(rows));
  return 0;
}

}  // namespace

void add_incident_commands(CLI::App& app, Invocation& invocation) {
  auto* incident = app.add_subcommand("incident", "what went wrong and what was done")->require_subcommand(1);
  incident->add_subcommand("list", "every incident")->callback([&invocation] {
    invocation.run = [&invocation](const Console& console) {
      auto reply = call_operation(invocation, "incident.list", doc::Value::object());
      return reply.ok() ? print_incidents(console, *reply) : console.fail(reply.error());
    };
  });
  auto id = std::make_shared<std::string>();
  auto* show = incident->add_subcommand("show", "one incident: timeline, evidence, cause, what was done");
  show->add_option("id", *id, "id of the incident")->required();
  show->callback([&invocation, id] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "incident.show", doc::Value::object({{"id", *id}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json() || reply->string_or("page").empty()) {
        console.document(*reply);
      } else {
        console.document(reply->string_or("page"));
      }
      return 0;
    };
  });

  auto* quarantine = app.add_subcommand("quarantine", "sources whose rows are refused")->require_subcommand(1);
  quarantine->add_subcommand("list", "quarantined sources of every service")->callback([&invocation] {
    invocation.run = [&invocation](const Console& console) {
      auto reply = call_operation(invocation, "quarantine.list", doc::Value::object());
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
        return 0;
      }
      std::vector<std::vector<std::string>> rows{{"SERVICE", "SOURCE", "RULE", "LET IN AFTER"}};
      for (const auto& item : reply->find("sources")->as_array()) {
        rows.push_back({item.string_or("service"), item.string_or("source"), item.string_or("rule"),
                        fmt::format("{} clean rows", item.int_or("readmit_after"))});
      }
      console.data(rows.size() == 1 ? "no source is quarantined" : format_rows(rows));
      return 0;
    };
  });
}

}  // namespace heddle::cli
