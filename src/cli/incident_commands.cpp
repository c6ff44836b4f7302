#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <vector>

#include "cli/commands.hpp"
#include "cli/quarantine_commands.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "control/show_replies.hpp"
#include "plane/route.hpp"

namespace heddle::cli {
namespace {

void print_incidents(const Console& console, const control::IncidentsReply& reply) {
  std::vector<std::vector<std::string>> rows{
      {"ID", "STATE", "CAUSE", "RESPONSE", "OPENED", "CLOSED"}};
  for (const auto& item : reply.incidents)
    rows.push_back({item.id, item.state, item.cause, item.response, item.opened, item.closed});
  console.data(rows.size() == 1 ? "no incident so far" : format_rows(rows));
}

/// The members of an incident that have no place of their own on the screen.
doc::Value incident_facts(const control::IncidentReply& reply) {
  auto facts = control::IncidentReply::schema().print(reply);
  // What is null is not printed.
  for (const char* shown : {"id", "service", "state", "cause", "timeline", "failing", "page",
                            "next", "ratio", "ratio_name", "lag_hours"})
    facts.set(shown, doc::Value());
  // Under the name that the reply gives it. Where a constant was added the name says all.
  if (!reply.ratio_name.empty() && reply.ratio != 1) facts.set(reply.ratio_name, reply.ratio);
  if (reply.lag_hours != 0) facts.set("lag_hours", reply.lag_hours);
  return facts;
}

void print_incident(const Console& console, const control::IncidentReply& reply) {
  console.data(
      fmt::format("{} of `{}`: {} ({})", reply.id, reply.service, reply.cause, reply.state));
  console.data(format_members(incident_facts(reply), 1));
  if (!reply.timeline.empty()) {
    std::vector<std::vector<std::string>> rows{{"EVENT TIME", "ENTRY", "WHAT"}};
    for (const auto& item : reply.timeline)
      rows.push_back({item.at, item.entry == 0 ? "" : fmt::to_string(item.entry), item.what});
    console.data("\ntimeline\n" + indented(format_rows(rows), 1));
  }
  if (!reply.failing.empty()) {
    std::vector<std::vector<std::string>> rows{{"ACTION", "TRIES", "TRIED AGAIN AT", "ERROR"}};
    for (const auto& item : reply.failing)
      rows.push_back({item.action, fmt::to_string(item.tries), item.again, item.error});
    console.data("\nfailing\n" + indented(format_rows(rows), 1));
  }
  if (reply.page) console.data("\n" + *reply.page);
  if (reply.next) print_next(console, *reply.next);
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
                const std::function<std::string(const control::ByHandReply&)>& said) {
  request.set("reason", *asked.reason);
  request.set("again", *asked.again);
  const auto reply =
      call_as<control::ByHandReply>(invocation, operation, std::move(request), *asked.by, "person");
  if (!reply.ok()) return console.fail(reply.error());
  if (console.json()) {
    console.document(control::ByHandReply::schema().print(*reply));
    return 0;
  }
  // Asked for, and not done yet: no error.
  if (!reply->applied) {
    print_waiting(console, *reply->approval, *reply->reason);
    return 0;
  }
  console.message(fmt::format("{} (ledger entry {})", said(*reply), reply->entry));
  for (const auto& each : reply->in_force.value_or(std::vector<std::string>{}))
    console.message("stays in force: " + each);
  if (reply->next) print_next(console, *reply->next);
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
                         [](const control::ByHandReply& reply) {
                           return fmt::format("opened `{}`", *reply.incident);
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
                         [said](const control::ByHandReply& reply) {
                           return fmt::format("`{}` {}", *reply.incident, said);
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
                         [said](const control::ByHandReply& reply) {
                           return fmt::format("source {} of `{}` {}",
                                              plane::source_text(*reply.account, *reply.source),
                                              *reply.service, said);
                         });
    };
  });
}

void print_quarantines(const Console& console, const control::QuarantinesReply& reply) {
  std::vector<std::vector<std::string>> rows{{"SERVICE", "SOURCE", "ACCOUNT", "WHY", "LET IN"}};
  for (const auto& item : reply.sources) {
    rows.push_back({item.service, item.source, item.account.empty() ? "all" : item.account,
                    item.by.empty() ? fmt::format("breaks `{}`", item.rule)
                                    : fmt::format("by `{}`: {}", item.by, item.reason),
                    item.readmit_after == 0
                        ? std::string("by a person")
                        : fmt::format("after {} clean rows", item.readmit_after)});
  }
  console.data(rows.size() == 1 ? "no source is quarantined" : format_rows(rows));
  print_next(console, reply.next);
}

}  // namespace

void add_incident_commands(CLI::App& app, Invocation& invocation) {
  auto* incident =
      app.add_subcommand("incident", "what went wrong and what was done")->require_subcommand(1);
  incident->add_subcommand("list", "every incident")->callback([&invocation] {
    invocation.run = [&invocation](const Console& console) {
      return cli::show(console, call_for<control::IncidentsReply>(invocation, "incident.list"),
                       print_incidents);
    };
  });
  auto id = std::make_shared<std::string>();
  auto* show =
      incident->add_subcommand("show", "one incident: timeline, evidence, cause, what was done");
  show->add_option("id", *id, "id of the incident")->required();
  show->callback([&invocation, id] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"id", *id}});
      return cli::show(console,
                       call_for<control::IncidentReply>(invocation, "incident.show", request),
                       print_incident);
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
          return cli::show(console,
                           call_for<control::QuarantinesReply>(invocation, "quarantine.list"),
                           print_quarantines);
        };
      });
  add_of_source(*quarantine, invocation, "add", "shut a source out until a person lets it in",
                "quarantine.add", "shut out");
  add_of_source(*quarantine, invocation, "release", "let a source in", "quarantine.release",
                "let in");

  add_quarantine_rows(*quarantine, invocation);
}

}  // namespace heddle::cli
