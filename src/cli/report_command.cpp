#include <CLI/CLI.hpp>

#include <fmt/ranges.h>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/reading_progress.hpp"
#include "cli/rows_input.hpp"
#include "cli/session.hpp"
#include "report/report.hpp"
#include "report/report_format.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

using report::ColumnReport;
using report::Report;
using report::State;

struct ReportArguments {
  std::vector<std::string> files{};
  std::vector<std::string> reference{};
  std::string as{};
  std::string out = "report.html";
  bool fail_on_drift = false;
};

/// Files as they are named; one word that is no file may be a source of the project that one stands
/// in.
Result<table::Input> report_rows(const Invocation& invocation,
                                 const std::vector<std::string>& named, const std::string& as) {
  const bool may_be_source = as.empty() && named.size() == 1 && !path_exists(named.front());
  if (as.empty() && !may_be_source) return table::Input(named, {});
  const auto root = find_project(invocation.project);
  if (!root.ok()) {
    // Without a project a name can only be a file's.
    if (as.empty()) return table::Input(named, {});
    return root.error();
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded, spec::load_project(*root));
  const auto& sources = loaded.project.sources;
  if (as.empty()) {
    return sources.contains(named.front()) ? spec::input_of(loaded.project, named.front())
                                           : table::Input(named, {});
  }
  HEDDLE_ASSIGN_OR_RETURN(table::Input input, input_as(loaded.project, "", named.front(), as));
  // Its form is what `--as` asks for; the files are those that were named.
  input.paths = named;
  return input;
}

/// What is there and no report of ours is somebody's.
Result<void> check_report_output(const std::string& path) {
  if (!path_exists(path)) return {};
  const auto text = read_file(path);
  if (text.ok() && text->starts_with(report::kPageMark)) return {};
  return Error{ErrorKind::kConflict, "report-would-overwrite",
               fmt::format("`{}` is there already, and is no report", path),
               "name another file with --out"};
}

Result<Report> make_page(const Invocation& invocation, const Console& console,
                         const ReportArguments& arguments) {
  // First, for reading the files may take long.
  HEDDLE_TRY(check_report_output(arguments.out));
  HEDDLE_ASSIGN_OR_RETURN(const auto file, report_rows(invocation, arguments.files, arguments.as));
  std::optional<table::Input> reference;
  if (!arguments.reference.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(reference, report_rows(invocation, arguments.reference, arguments.as));
  }
  std::optional<ReadingProgress> progress;
  auto made = report::make_report(file, reference ? &*reference : nullptr,
                                  [&](const table::Input& of, const profile::Progress& so_far) {
                                    // Each reading of a file begins anew.
                                    if (so_far.chunks == 1)
                                      progress.emplace(console, of.paths.front());
                                    progress->tell(so_far);
                                  });
  // The hint of the table names heddle.yaml, and there need be none.
  if (!made.ok() && made.error().id == "table-missing")
    made.error().hint = "check the path, or name a source of the project that you stand in";
  if (!made.ok()) return made;
  HEDDLE_TRY(write_file_atomic(arguments.out, report::page_of(*made)));
  return made;
}

void print_report_findings(const Console& console, const Report& made) {
  if (made.findings.empty()) return console.data("nothing suspicious was found");
  console.data("look at this first:");
  for (const auto& finding : made.findings)
    console.data(fmt::format("  {}: {}", console.paint("33", finding.id), finding.text));
}

void print_report_changes(const Console& console, const Report& made) {
  if (!made.has_drift()) return console.data("every column is as in the reference");
  for (const ColumnReport& column : made.columns) {
    if (column.state == State::kSame) continue;
    std::string line = fmt::format(
        "  `{}` {}", column.name,
        column.state == State::kRetyped ? "changed type" : report::state_name(column.state));
    if (column.state == State::kMoved && column.values)
      line += fmt::format(" ({} {:.3f}, by chance below {:.3f})", column.statistic,
                          column.values->size, column.values->by_chance);
    if (!column.says.empty()) line += fmt::format(": {}", fmt::join(column.says, "; "));
    console.data(line);
  }
}

void print_report(const Console& console, const ReportArguments& arguments, const Report& made) {
  console.data(made.reference.empty()
                   ? fmt::format("{}: {} rows, {} columns", made.file, draft::counted(made.rows),
                                 made.columns.size())
                   : fmt::format("{} ({} rows) against {} ({} rows), {} columns", made.file,
                                 draft::counted(made.rows), made.reference,
                                 draft::counted(made.reference_rows), made.columns.size()));
  print_report_findings(console, made);
  if (!made.reference.empty()) print_report_changes(console, made);
  console.message(fmt::format("wrote {}", arguments.out));
}

int report_file(const Invocation& invocation, const Console& console,
                const ReportArguments& arguments) {
  /// As a gate that failed ends (docs/exit-codes.md).
  constexpr int kDrift = 3;
  const auto made = make_page(invocation, console, arguments);
  if (!made.ok()) return console.fail(made.error());
  if (console.json())
    console.document(report::report_schema().print(*made));
  else
    print_report(console, arguments, *made);
  return arguments.fail_on_drift && made->has_drift() ? kDrift : 0;
}

}  // namespace

void add_report_command(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ReportArguments>();
  auto* command = app.add_subcommand("report",
                                     "a page of what a file of rows holds, and what "
                                     "changed against another one");
  command
      ->add_option(
          "file", arguments->files,
          "rows: files, a folder or a pattern of CSV, Parquet, NDJSON or Arrow, compressed "
          "or not; or a source of the project")
      ->required();
  auto* reference = command->add_option("--reference", arguments->reference,
                                        "what it is held against, named as the file is; may be "
                                        "given again for several files");
  // Else it would take the file's name after it.
  reference->allow_extra_args(false);
  command->add_option("--as", arguments->as,
                      "the files are written as this source of heddle.yaml declares (delimiter, "
                      "encoding, ...); default: what is found in them");
  command->add_option("-o,--out", arguments->out, "the page; default: report.html");
  command
      ->add_flag("--fail-on-drift", arguments->fail_on_drift,
                 "exit code 3 when a column moved, appeared, vanished or changed type")
      ->needs(reference);
  command->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      return report_file(invocation, console, *arguments);
    };
  });
}

}  // namespace heddle::cli
