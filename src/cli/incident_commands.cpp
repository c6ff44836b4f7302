#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "doc/json.hpp"

namespace heddle::cli {
namespace {

int print_incidents(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "STATE", "CAUSE", "RESPONSE", "OPENED", "CLOSED"}};
  for (const auto& item : reply.find("incidents")->as_array()) {
    rows.push_back({item.string_or("id"), item.string_or("state"), item.string_or("cause"),
                    item.string_or("response"), item.string_or("opened"),
                    item.string_or("closed")});
  }
  console.data(rows.size() == 1 ? "no incident so far" : format_rows(rows));
  return 0;
}

int print_incident(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  console.data(fmt::format("{} of `{}`: {} ({})", reply.string_or("id"), reply.string_or("service"),
                           reply.string_or("cause"), reply.string_or("state")));
  // What stands elsewhere on the screen is not said twice.
  auto facts = reply;
  for (const char* shown : {"id", "service", "state", "cause", "timeline", "page", "next", "ratio",
                            "ratio_name", "lag_hours"})
    facts.set(shown, doc::Value());
  if (const auto ratio = reply.string_or("ratio_name"); !ratio.empty())
    facts.set(ratio, reply.double_or("ratio"));
  if (reply.int_or("lag_hours") != 0) facts.set("lag_hours", reply.int_or("lag_hours"));
  console.data(format_members(facts, 1));
  if (const auto* timeline = reply.find("timeline"); timeline != nullptr && timeline->size() > 0) {
    std::vector<std::vector<std::string>> rows{{"EVENT TIME", "ENTRY", "WHAT"}};
    for (const auto& item : timeline->as_array()) {
      const auto entry = item.int_or("entry");
      rows.push_back(
          {item.string_or("at"), entry == 0 ? "" : fmt::to_string(entry), item.string_or("what")});
    }
    console.data("\ntimeline\n" + indented(format_rows(rows), 1));
  }
  if (const auto page = reply.string_or("page"); !page.empty()) console.data("\n" + page);
  print_next(console, reply);
  return 0;
}

}  // namespace

void add_incident_commands(CLI::App& app, Invocation& invocation) {
  auto* incident =
      app.add_subcommand("incident", "what went wrong and what was done")->require_subcommand(1);
  incident->add_subcommand("list", "every incident")->callback([&invocation] {
    invocation.run = [&invocation](const Console& console) {
      auto reply = call_operation(invocation, "incident.list", doc::Value::object());
      return reply.ok() ? print_incidents(console, *reply) : console.fail(reply.error());
    };
  });
  auto id = std::make_shared<std::string>();
  auto* show =
      incident->add_subcommand("show", "one incident: timeline, evidence, cause, what was done");
  show->add_option("id", *id, "id of the incident")->required();
  show->callback([&invocation, id] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "incident.show", doc::Value::object({{"id", *id}}));
      return reply.ok() ? print_incident(console, *reply) : console.fail(reply.error());
    };
  });

  auto* quarantine =
      app.add_subcommand("quarantine", "sources whose rows are refused")->require_subcommand(1);
  quarantine->add_subcommand("list", "quarantined sources of every service")
      ->callback([&invocation] {
        invocation.run = [&invocation](const Console& console) {
          auto reply = call_operation(invocation, "quarantine.list", doc::Value::object());
          if (!reply.ok()) return console.fail(reply.error());
          if (console.json()) {
            console.document(*reply);
            return 0;
          }
          std::vector<std::vector<std::string>> rows{
              {"SERVICE", "SOURCE", "ACCOUNT", "RULE", "LET IN AFTER"}};
          for (const auto& item : reply->find("sources")->as_array()) {
            rows.push_back({item.string_or("service"), item.string_or("source"),
                            item.string_or("account").empty() ? "all" : item.string_or("account"),
                            item.string_or("rule"),
                            fmt::format("{} clean rows", item.int_or("readmit_after"))});
          }
          console.data(rows.size() == 1 ? "no source is quarantined" : format_rows(rows));
          return 0;
        };
      });

  auto service = std::make_shared<std::string>();
  auto source = std::make_shared<std::string>();
  auto limit = std::make_shared<std::int64_t>(20);
  auto* rows =
      quarantine->add_subcommand("show", "the newest refused rows, with the rules they broke");
  rows->add_option("service", *service, "name of the service")->required();
  rows->add_option("--source", *source, "of this source only");
  rows->add_option("--limit", *limit, "how many")->check(CLI::Range(1, 10'000));
  rows->callback([&invocation, service, source, limit] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(
          invocation, "quarantine.show",
          doc::Value::object({{"service", *service}, {"source", *source}, {"limit", *limit}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
        return 0;
      }
      std::vector<std::vector<std::string>> table{
          {"EVENT TIME", "SOURCE", "ACCOUNT", "OUTCOME", "RULES", "ROW"}};
      for (const auto& item : reply->find("rows")->as_array()) {
        table.push_back({item.string_or("event_time"), item.string_or("source"),
                         item.string_or("account"), item.string_or("outcome"),
                         doc::to_json(*item.find("rules")), doc::to_json(*item.find("fields"))});
      }
      console.data(table.size() == 1 ? "no row was refused" : format_rows(table));
      return 0;
    };
  });
}

}  // namespace heddle::cli
