#include "cli/cli.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string_view>

#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/usage.hpp"
#include "doc/value.hpp"

namespace heddle::cli {
namespace {

/// An empty value, of a variable that a script never set for example, would be taken for the
/// default: of every command it is refused.
void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    option->check([](const std::string& value) {
      return value.empty() ? std::string("its value is empty: write one, or leave it out")
                           : std::string();
    });
  }
  for (CLI::App* command : app.get_subcommands(nullptr)) refuse_empty_values(*command);
}

}  // namespace

int run(int argc, char** argv, const control::Wiring& wiring) {
  CLI::App app(
      "Heddle takes machine learning from raw data to a served model, and keeps that model alive",
      "heddle");
  app.require_subcommand(1);
  app.set_version_flag("--version", HEDDLE_VERSION);
  Invocation invocation;
  invocation.wiring = &wiring;
  app.add_option("--project", invocation.project,
                 "folder of the project; default: found from the working directory");
  app.add_flag("--json", invocation.json, "data as JSON on stdout");
  app.add_option("--document", invocation.document, "where the JSON goes instead")->group("");
  // `--json` and `--project` may also stand behind the command's name.
  app.fallthrough();
  app.add_subcommand("version", "the version of this program")->callback([&invocation] {
    invocation.run = [](const Console& console) {
      if (console.json())
        console.document(doc::Value::object({{"version", HEDDLE_VERSION}}));
      else
        console.data("heddle " HEDDLE_VERSION);
      return 0;
    };
  });
  add_project_commands(app, invocation);
  add_plane_commands(app, invocation);
  add_release_commands(app, invocation);
  add_incident_commands(app, invocation);
  add_ledger_commands(app, invocation);
  add_bundle_commands(app, invocation);
  add_score_commands(app, invocation);
  add_report_command(app, invocation);
  add_traffic_commands(app, invocation);
  add_skew_command(app, invocation);
  add_why_command(app, invocation);
  add_doctor_command(app, invocation);
  add_completion_command(app, invocation);
  add_dev_commands(app, invocation);
  add_trainer_commands(app, invocation);
  add_worker_commands(app, invocation);
  refuse_empty_values(app);
  // Before the line is parsed: one that is still being written is no whole command.
  if (asks_for_candidates(argc, argv)) return print_candidates(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // `--help`, `--version`: of a command that there is.
    if (error.get_exit_code() == 0 && !names_unknown(app, argc, argv)) return app.exit(error);
    // The parser may have stopped before it set the flag.
    const bool json =
        std::any_of(argv + 1, argv + argc, [](std::string_view word) { return word == "--json"; });
    return Console(json).fail(usage_error(app, error, argc, argv));
  }
  // Errors are values here; what throws all the same is a fault of ours, or the memory's end. It is
  // told as any other error, and no open file or lock is lost to an abort.
  try {
    return invocation.run(Console(invocation.json, invocation.document));
  } catch (const std::exception& exception) {
    return Console(invocation.json, invocation.document)
        .fail({ErrorKind::kInternal, "internal",
               fmt::format("the command ended with `{}`", exception.what()),
               "this is a fault of Heddle: report it with the command and what it read"});
  }
}

}  // namespace heddle::cli
