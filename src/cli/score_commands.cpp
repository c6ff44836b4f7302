#include <CLI/CLI.hpp>

#include <chrono>
#include <thread>

#include <fmt/ranges.h>

#include "batch/batch.hpp"
#include "bundle/bundle.hpp"
#include "cli/commands.hpp"
#include "cli/rows_input.hpp"
#include "cli/session.hpp"
#include "cli/signing.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"
#include "control/replies.hpp"
#include "watch/baseline_format.hpp"

namespace heddle::cli {
namespace {

/// OUT is whole, but more rows were refused than `--max-refused` lets through (docs/exit-codes.md).
constexpr int kPartlyRefused = 20;
constexpr unsigned kMostThreads = 16;

struct ScoreArguments {
  std::string file;
  std::string output;
  std::string service;
  std::string slot = "primary";
  std::string refused;
  std::string as;
  std::shared_ptr<AskedBy> by;
  std::vector<std::string> columns;
  double most_refused = 0;
  unsigned threads = 0;
};

struct Scored {
  batch::Report report;
  control::OpenScoreReply by;
  control::RecordScoreReply record;
  std::vector<std::string> notes;  ///< of what was computed for the rows
};

Result<Scored> score(const Invocation& invocation, const Console& console,
                     const ScoreArguments& arguments) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  Scored out;
  // A session at a time, not one throughout: without a control plane it holds the project's lock,
  // and one may want to start.
  HEDDLE_ASSIGN_OR_RETURN(
      out.by, call_for<control::OpenScoreReply>(
                  invocation, "score.open",
                  doc::Value::object({{"service", arguments.service}, {"slot", arguments.slot}})));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects,
                          invocation.wiring->open_objects(control::Home(root).objects()));
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*objects, out.by.bundle));
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, score::Plan::load(bundle));
  // Without a baseline there is nothing to hold the inputs against.
  std::optional<watch::Baseline> baseline;
  if (bundle.has(bundle::kBaseline)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto value, bundle.json(bundle::kBaseline));
    HEDDLE_ASSIGN_OR_RETURN(baseline, watch::baseline_schema().parse(value));
  }
  batch::Options options;
  HEDDLE_ASSIGN_OR_RETURN(const auto project,
                          control::applied_project(control::Home(root), *invocation.wiring));
  HEDDLE_ASSIGN_OR_RETURN(options.input,
                          input_as(project, arguments.service, arguments.file, arguments.as));
  HEDDLE_ASSIGN_OR_RETURN(const FileJoin join, join_of(project, arguments.service, plan->contract(),
                                                       bundle.config().time_field, options.input));
  if (join.joiner) {
    options.joiner = &*join.joiner;
    options.joined = join.sources;
    out.notes = join.joiner->notes();
  }
  options.output = arguments.output;
  options.refused = arguments.refused;
  options.columns = arguments.columns;
  options.slot = out.by.slot;
  // `hardware_concurrency` is 0 where it cannot tell.
  options.threads = arguments.threads > 0
                        ? arguments.threads
                        : std::clamp(std::thread::hardware_concurrency(), 1u, kMostThreads);
  options.baseline = baseline ? &*baseline : nullptr;
  const auto begun = std::chrono::steady_clock::now();
  auto shown = begun;
  options.progress = [&](std::int64_t rows) {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown < std::chrono::seconds(1)) return;
    shown = now;
    console.message(fmt::format(
        "  {} rows, {:.0f} a second", rows,
        static_cast<double>(rows) / std::chrono::duration<double>(now - begun).count()));
  };
  HEDDLE_ASSIGN_OR_RETURN(out.report, batch::score_file(*plan, options));
  // Recorded before it is visible: what nobody may score leaves no file, and no file is without its
  // record.
  auto record =
      doc::Value::object({{"service", arguments.service}, {"profile", out.report.profile}});
  HEDDLE_ASSIGN_OR_RETURN(
      out.record, call_as<control::RecordScoreReply>(invocation, "score.record", std::move(record),
                                                     *arguments.by));
  HEDDLE_TRY(out.report.publish());
  return out;
}

/// The report as JSON: what was scored by what, then the profile's own members.
doc::Value document_of(const ScoreArguments& arguments, const Scored& done,
                       const std::string& refused, double share) {
  const auto& report = done.report;
  const double speed = report.seconds > 0 ? static_cast<double>(report.rows) / report.seconds : 0;
  auto value = doc::Value::object({{"service", arguments.service},
                                   {"output_file", arguments.output},
                                   {"refused_file", refused},
                                   {"refused_share", share},
                                   {"entry", done.record.entry},
                                   {"profile", done.record.profile.str()},
                                   {"route", done.by.route},
                                   {"seconds", report.seconds},
                                   {"rows_per_second", speed}});
  auto left_out = doc::Value::array();
  for (const auto& name : report.left_out) left_out.push(name);
  value.set("left_out", std::move(left_out));
  auto absent = doc::Value::array();
  for (const auto& name : report.absent) absent.push(name);
  value.set("absent", std::move(absent));
  auto computed = doc::Value::array();
  for (const auto& name : report.computed) computed.push(name);
  value.set("computed", std::move(computed));
  auto notes = doc::Value::array();
  for (const auto& note : done.notes) notes.push(note);
  value.set("notes", std::move(notes));
  if (!report.written.empty()) value.set("written", report.written);
  for (const auto& [key, item] : report.profile.as_object()) {
    // The format is of the stored profile, not of this document.
    if (key != "format") value.set(key, item);
  }
  return value;
}

int print_score(const Console& console, const ScoreArguments& arguments, const Scored& done) {
  const auto& report = done.report;
  const double share =
      report.rows == 0 ? 0 : static_cast<double>(report.refused) / static_cast<double>(report.rows);
  const bool partly = share > arguments.most_refused;
  const std::string refused =
      arguments.refused.empty() ? batch::refused_path(arguments.output) : arguments.refused;
  if (console.json()) {
    console.document(document_of(arguments, done, refused, share));
    return partly ? kPartlyRefused : 0;
  }
  console.message(
      fmt::format("scored {} rows by `{}` ({}): {} served, {} of them with a warning, {} refused; "
                  "ledger entry {}",
                  report.rows, done.by.bundle.str().substr(0, 19), done.by.slot, report.served,
                  report.warned, report.refused, done.record.entry));
  if (!report.written.empty()) console.message(fmt::format("  read with {}", report.written));
  for (const auto& note : done.notes) console.message("  " + note);
  for (const auto& [rule, rows] : report.rules)
    console.message(fmt::format("  {} rows break `{}`", rows, rule));
  for (const auto& [repair, values] : report.repaired)
    console.message(fmt::format("  {} values were changed by repair `{}`", values, repair));
  if (!report.left_out.empty()) {
    console.message(fmt::format("  not carried, as no column of the output can hold its type: `{}`",
                                fmt::join(report.left_out, "`, `")));
  }
  if (!report.absent.empty()) {
    console.message(fmt::format("  no column `{}`: taken as missing in every row",
                                fmt::join(report.absent, "`, `")));
  }
  for (const auto& metric : report.profile.find("metrics")->as_array()) {
    if (metric.bool_or("past")) {
      console.message(fmt::format("  `{}` is not as in training: {:.3f}, the threshold is {:.3f}",
                                  metric.string_or("id"), metric.double_or("statistic"),
                                  metric.double_or("threshold")));
    }
  }
  if (partly) {
    console.message(fmt::format("{:.2f} % of the rows were refused, more than {:.2f} %",
                                share * 100, arguments.most_refused * 100));
    console.message(fmt::format(
        "\nhint: see them in `{}`; --max-refused SHARE says how many are fine", refused));
  }
  return partly ? kPartlyRefused : 0;
}

}  // namespace

void add_score_commands(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ScoreArguments>();
  auto* command = app.add_subcommand("score", "the same contract, features and model over a file");
  command
      ->add_option("file", arguments->file,
                   "rows with the contract's columns: Parquet, Arrow IPC, CSV or NDJSON; a file, a "
                   "folder or a pattern")
      ->required();
  command
      ->add_option("-o,--output", arguments->output,
                   "served rows with `probability`, `validation` and `bundle`, Parquet or CSV")
      ->required();
  command->add_option("--service", arguments->service, "name of the service")->required();
  add_as(*command, arguments->as);
  command->add_option("--slot", arguments->slot,
                      "`primary`, `standby` or the digest of a released bundle");
  command->add_option(
      "--refused", arguments->refused,
      "where the refused rows go; default: OUT with `.refused` before its extension");
  command
      ->add_option("--columns", arguments->columns,
                   "columns of the input that OUT carries; default: all")
      ->delimiter(',');
  command
      ->add_option("--max-refused", arguments->most_refused,
                   "share of refused rows past which the exit code is 20")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--threads", arguments->threads, "scoring threads (default: one per CPU)")
      ->check(CLI::Range(1, 256));
  arguments->by = add_asked_by(*command);
  command->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      auto done = score(invocation, console, *arguments);
      return done.ok() ? print_score(console, *arguments, *done) : console.fail(done.error());
    };
  });
}

}  // namespace heddle::cli
