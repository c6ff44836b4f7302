#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/session.hpp"

namespace heddle::cli {

void add_ledger_commands(CLI::App& app, Invocation& invocation) {
  auto* audit = app.add_subcommand("audit", "the ledger: every decision, tamper-evident")->require_subcommand(1);

  audit->add_subcommand("verify", "recompute everything from the bytes and compare")->callback([&invocation] {
    invocation.run = [&invocation](const Console& console) {
      auto reply = call_operation(invocation, "audit.verify", doc::Value::object());
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
      } else {
        console.data(fmt::format("audit {}: {} entries, root {}, anchored at {}", reply->string_or("audit"),
                                 reply->int_or("entries"), reply->string_or("root").substr(0, 19),
                                 reply->int_or("anchored")));
        for (const auto& finding : reply->find("findings")->as_array()) console.message(finding.as_string());
      }
      return reply->string_or("audit") == "ok" ? 0 : error_kind_info(ErrorKind::kCorrupt).exit_code;
    };
  });

  auto from = std::make_shared<std::int64_t>(0);
  auto* log = audit->add_subcommand("log", "entries of the ledger, oldest first");
  log->add_option("--from", *from, "first entry");
  log->callback([&invocation, from] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "decision.list", doc::Value::object({{"from", *from}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
        return 0;
      }
      std::vector<std::vector<std::string>> rows{{"SEQ", "EVENT TIME", "ACTION", "TARGET", "DECISION", "RULE", "WHY"}};
      for (const auto& item : reply->find("decisions")->as_array()) {
        rows.push_back({fmt::to_string(item.int_or("seq")), item.string_or("event_time"), item.string_or("action"),
                        item.string_or("target"), item.string_or("decision"), item.string_or("rule"),
                        item.string_or("reason")});
      }
      console.data(format_rows(rows));
      return 0;
    };
  });

  auto seq = std::make_shared<std::int64_t>(0);
  auto* prove = audit->add_subcommand("prove", "inclusion proof of one entry (tlog-proof)");
  prove->add_option("seq", *seq, "number of the entry")->required();
  prove->callback([&invocation, seq] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "audit.prove", doc::Value::object({{"seq", *seq}}));
      if (!reply.ok()) return console.fail(reply.error());
      console.document(*reply);
      return 0;
    };
  });
}

}  // namespace heddle::cli
