#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <vector>

#include "cli/commands.hpp"
#include "cli/quarantine_commands.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "plane/route.hpp"

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
  for (const char* shown : {"id", "service", "state", "cause", "timeline", "failing", "page",
                            "next", "ratio", "ratio_name", "lag_hours"})
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
  if (const auto* failing = reply.find("failing"); failing != nullptr && failing->size() > 0) {
    std::vector<std::vector<std::string>> rows{{"ACTION", "TRIES", "TRIED AGAIN AT", "ERROR"}};
    for (const auto& item : failing->as_array()) {
      rows.push_back({item.string_or("action"), fmt::to_string(item.int_or("tries")),
                      item.string_or("again"), item.string_or("error")});
    }
    console.data("\nfailing\n" + indented(format_rows(rows), 1));
  }
  if (const auto page = reply.string_or("page"); !page.empty()) console.data("\n" + page);
  print_next(console, reply);
  return 0;
}

/// What every command of a person's own act takes: why, and who.
struct ByHand {
  std::shared_ptr<std::string> reason = std::make_shared<std::string>();
  std::shared_ptr<bool> again = std::make_shared<bool>(false);
  std::shared_ptr<AskedBy> by;
};

ByHand add_by_hand(CLI::App& command) {
  ByHand asked;
  command.add_option("--reason", *asked.reason, "why, one line: it stands in the ledger")
      ->required();
  command.add_flag("--again", *asked.again,
                   "also what a person rejected before; somebody else than you has to say yes");
  asked.by = add_asked_by(command, "--person");
  return asked;
}

/// Runs `operation` as the person; `said` says what was done.
int run_by_hand(const Invocation& invocation, const Console& console, const char* operation,
                doc::Value request, const ByHand& asked,
                const std::function<std::string(const doc::Value&)>& said) {
  request.set("reason", *asked.reason);
  request.set("again", *asked.again);
  const auto reply = call_as(invocation, operation, std::move(request), *asked.by, "person");
  if (!reply.ok()) return console.fail(reply.error());
  if (!reply->bool_or("applied")) return print_waiting(console, *reply);
  if (console.json()) {
    console.document(*reply);
    return 0;
  }
  console.message(fmt::format("{} (ledger entry {})", said(*reply), reply->int_or("entry")));
  if (const auto* in_force = reply->find("in_force"); in_force != nullptr && in_force->is_array()) {
    for (const auto& each : in_force->as_array())
      console.message("stays in force: " + each.as_string());
  }
  print_next(console, *reply);
  return 0;
}

void add_open(CLI::App& incident, Invocation& invocation) {
  auto service = std::make_shared<std::string>();
  auto source = std::make_shared<std::string>();
  auto account = std::make_shared<std::string>();
  auto* open =
      incident.add_subcommand("open", "open one by hand: it waits until a person closes it");
  open->add_option("service", *service, "name of the service")->required();
  auto* of = open->add_option("--source", *source, "the source that it is about");
  open->add_option("--account", *account, "the account that sends its rows; default: every one")
      ->needs(of);
  open->callback([&invocation, service, source, account, asked = add_by_hand(*open)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto request =
          doc::Value::object({{"service", *service}, {"source", *source}, {"account", *account}});
      return run_by_hand(invocation, console, "incident.open", std::move(request), asked,
                         [](const doc::Value& reply) {
                           return fmt::format("opened `{}`", reply.string_or("incident"));
                         });
    };
  });
}

/// A command about one incident that there is.
void add_about(CLI::App& incident, Invocation& invocation, const char* name, const char* help,
               const char* operation, const char* said) {
  auto id = std::make_shared<std::string>();
  auto* command = incident.add_subcommand(name, help);
  command->add_option("id", *id, "id of the incident")->required();
  command->callback([&invocation, id, operation, said, asked = add_by_hand(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      return run_by_hand(invocation, console, operation, doc::Value::object({{"id", *id}}), asked,
                         [said](const doc::Value& reply) {
                           return fmt::format("`{}` {}", reply.string_or("incident"), said);
                         });
    };
  });
}

/// `quarantine add` and `quarantine release`.
void add_of_source(CLI::App& quarantine, Invocation& invocation, const char* name, const char* help,
                   const char* operation, const char* said) {
  auto service = std::make_shared<std::string>();
  auto source = std::make_shared<std::string>();
  auto account = std::make_shared<std::string>();
  auto* command = quarantine.add_subcommand(name, help);
  command->add_option("service", *service, "name of the service")->required();
  command
      ->add_option("source", *source, "name of the source; `default`: of requests that name none")
      ->required();
  command->add_option("--account", *account,
                      "the rows of this account only; default: the quarantine of everybody's");
  command->callback([&invocation, service, source, account, operation, said,
                     asked = add_by_hand(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto request =
          doc::Value::object({{"service", *service}, {"source", *source}, {"account", *account}});
      return run_by_hand(invocation, console, operation, std::move(request), asked,
                         [said](const doc::Value& reply) {
                           return fmt::format("source {} of `{}` {}",
                                              plane::source_text(reply.string_or("account"),
                                                                 reply.string_or("source")),
                                              reply.string_or("service"), said);
                         });
    };
  });
}

int print_quarantines(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"SERVICE", "SOURCE", "ACCOUNT", "WHY", "LET IN"}};
  for (const auto& item : reply.find("sources")->as_array()) {
    const auto by = item.string_or("by");
    const auto account = item.string_or("account");
    rows.push_back({item.string_or("service"), item.string_or("source"),
                    account.empty() ? "all" : account,
                    by.empty() ? fmt::format("breaks `{}`", item.string_or("rule"))
                               : fmt::format("by `{}`: {}", by, item.string_or("reason")),
                    item.int_or("readmit_after") == 0
                        ? std::string("by a person")
                        : fmt::format("after {} clean rows", item.int_or("readmit_after"))});
  }
  console.data(rows.size() == 1 ? "no source is quarantined" : format_rows(rows));
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

  add_open(*incident, invocation);
  add_about(*incident, invocation, "ack", "you know of it: nobody is told of it again",
            "incident.acknowledge", "acknowledged: nobody is told of it again");
  add_about(*incident, invocation, "comment", "a line in its timeline", "incident.comment",
            "has a comment");
  add_about(*incident, invocation, "close", "it is over, or is followed elsewhere",
            "incident.close", "closed");

  auto* quarantine =
      app.add_subcommand("quarantine", "sources that are shut out, and rows that were refused")
          ->require_subcommand(1);
  quarantine->add_subcommand("list", "quarantined sources of every service")
      ->callback([&invocation] {
        invocation.run = [&invocation](const Console& console) {
          auto reply = call_operation(invocation, "quarantine.list", doc::Value::object());
          return reply.ok() ? print_quarantines(console, *reply) : console.fail(reply.error());
        };
      });
  add_of_source(*quarantine, invocation, "add", "shut a source out until a person lets it in",
                "quarantine.add", "shut out");
  add_of_source(*quarantine, invocation, "release", "let a source in", "quarantine.release",
                "let in");

  add_quarantine_rows(*quarantine, invocation);
}

}  // namespace heddle::cli
