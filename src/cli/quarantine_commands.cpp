// Refused rows: what they are, and what a person does with them. What would change is shown first;
// `--yes` does it.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <fmt/ranges.h>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "batch/batch.hpp"
#include "bundle/bundle.hpp"
#include "cli/commands.hpp"
#include "cli/quarantine_commands.hpp"
#include "cli/refused_file.hpp"
#include "cli/rows_input.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "control/home.hpp"
#include "control/replies.hpp"
#include "control/series_reply.hpp"
#include "doc/json.hpp"
#include "doc/schema_lists.hpp"

namespace heddle::cli {
namespace {

/// Some rows stay: as of `heddle score`, some were refused (docs/exit-codes.md).
constexpr int kSomeStay = 20;
constexpr std::size_t kMostShown = 20;

/// The newest refused rows. The control plane reads so much of its journal for one answer; what is
/// older is asked for anew.
Result<std::vector<control::RefusedRowItem>> refused_rows(const Invocation& invocation,
                                                          const std::string& service,
                                                          const std::string& source,
                                                          std::int64_t limit, bool settled) {
  auto request = doc::Value::object(
      {{"service", service}, {"source", source}, {"limit", limit}, {"settled", settled}});
  std::vector<control::RefusedRowItem> rows;  // oldest first
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(
        auto reply, call_for<control::RefusedRowsReply>(invocation, "quarantine.show", request));
    if (!reply.rows)
      return Error{ErrorKind::kConflict, "reply-of-another-version",
                   "the control plane's reply to `quarantine.show` has no rows",
                   "the control plane that runs is of another version: start it again"};
    rows.insert(rows.begin(), std::move_iterator(reply.rows->begin()),
                std::move_iterator(reply.rows->end()));
    const std::int64_t left = limit - std::ssize(rows);
    // It stopped at its own bound, and `before` is where the rest begins.
    if (reply.before && left > 0) {
      request.set("before", *reply.before);
      request.set("limit", left);
      continue;
    }
    return rows;
  }
}

/// `distance = 2770 (route-fixes-distance)`, for each value that failed; rules that are about none
/// by their names.
std::string failing_in_words(const control::RefusedRowItem& row) {
  std::string out;
  for (const auto& each : row.failing) {
    out += fmt::format("{}{} = {} ({})", out.empty() ? "" : ", ", each.field,
                       doc::to_json(each.value), each.rule);
  }
  if (!out.empty()) return out;
  return doc::to_json(
      doc::to_list(row.rules, [](const std::string& rule) { return doc::Value(rule); }));
}

void print_rows(const Console& console, std::span<const control::RefusedRowItem> rows) {
  std::vector<std::vector<std::string>> table{
      {"ROW ID", "EVENT TIME", "SOURCE", "ACCOUNT", "OUTCOME", "FAILING", "ROW"}};
  for (const auto& item : rows) {
    const std::string settled = item.settled.empty() ? "" : fmt::format(" ({})", item.settled);
    table.push_back({item.id(), item.event_time, item.source, item.account, item.outcome + settled,
                     failing_in_words(item), doc::to_json(item.fields)});
  }
  console.data(format_rows(table));
}

/// Requests break rules that no contract has: what they sent beside its fields is not recorded.
bool can_be_answered(const control::RefusedRowItem& row, const std::string& act) {
  return std::none_of(row.rules.begin(), row.rules.end(), [&](const std::string& rule) {
    // An array or an object where a value should be: there is no value to go on with.
    if (rule.starts_with("not-a-scalar/")) return true;
    // A field under a name that the contract does not have: only a person knows that it is none.
    return act == "reprocess" && rule.starts_with("unknown-field/");
  });
}

void print_refused_rows(const Console& console, const control::RefusedRowsReply& reply) {
  if (reply.rows->empty()) return console.data("no row was refused");
  print_rows(console, *reply.rows);
}

struct ShowArguments {
  std::string service;
  std::string source;
  std::int64_t limit = 20;
  bool settled = false;
  std::string file;
  std::string as;
};

Result<control::RefusedRowsReply> shown_rows(const Invocation& invocation,
                                             const ShowArguments& arguments) {
  if (arguments.file.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(auto rows, refused_rows(invocation, arguments.service, arguments.source,
                                                    arguments.limit, arguments.settled));
    return control::RefusedRowsReply{.service = arguments.service, .rows = std::move(rows)};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  return rows_of_file(*invocation.wiring, root, {arguments.service, arguments.file, arguments.as},
                      arguments.limit);
}

struct SettleArguments {
  std::string act;
  std::string service;
  std::vector<std::string> rows;
  std::string rule;
  std::string source;
  bool all = false;
  std::int64_t limit = 1000;
  std::string file;
  std::string as;
  std::string output;
  std::string reason;
  bool yes = false;
  std::shared_ptr<AskedBy> by;
};

/// Whether rows are answered by what is done with them.
bool is_answering(const SettleArguments& arguments) {
  return arguments.act == "accept" || arguments.act == "reprocess";
}

Error none_named(const SettleArguments& arguments) {
  return Error{ErrorKind::kInvalid, "rows-none", "no rows are named",
               fmt::format("name some by --row, --rule or --source, or --all{}",
                           is_answering(arguments) ? ", or a file of refused rows by --file" : "")};
}

/// The refused rows of the journal that are meant.
Result<std::vector<control::RefusedRowItem>> chosen_rows(const Invocation& invocation,
                                                         const Console& console,
                                                         const SettleArguments& arguments) {
  const bool is_restored = arguments.act == "restore";
  HEDDLE_ASSIGN_OR_RETURN(auto rows, refused_rows(invocation, arguments.service, arguments.source,
                                                  arguments.limit, is_restored));
  // With `--json` an error is the only thing on the messages' side.
  if (std::ssize(rows) == arguments.limit && !console.json())
    console.message(
        fmt::format("only the newest {} rows were looked at (--limit)", arguments.limit));
  const auto has = [](const std::vector<std::string>& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
  };
  std::erase_if(rows, [&](const control::RefusedRowItem& row) {
    const bool is_named = arguments.rows.empty() || has(arguments.rows, row.id());
    const bool broke_it = arguments.rule.empty() || has(row.rules, arguments.rule);
    const bool is_of_act = row.settled.empty() != is_restored;
    return !is_named || !broke_it || !is_of_act;
  });
  if (rows.empty()) {
    return Error{ErrorKind::kNotFound, "rows-unknown",
                 fmt::format("no row that {} in the quarantine of `{}` is meant",
                             is_restored ? "somebody settled" : "waits", arguments.service),
                 fmt::format("see `heddle quarantine show {}{}`", arguments.service,
                             is_restored ? " --settled" : "")};
  }
  return rows;
}

/// A file that is there for one command, beside what else the project keeps of rows.
class RowsFile {
 public:
  static Result<RowsFile> write(const std::string& root,
                                std::span<const control::RefusedRowItem> rows,
                                const std::string& id_column) {
    std::string text;
    for (const auto& row : rows) {
      auto line = doc::Value::object({{id_column, row.id()}});
      for (const auto& [name, value] : row.fields.as_object()) line.set(name, value);
      text += doc::to_json(line) + "\n";
    }
    RowsFile out(fmt::format("{}/quarantine-{}.ndjson", control::Home(root).dir(), uuid7()));
    HEDDLE_TRY(write_file_atomic(out.path(), text, 0600));
    return out;
  }
  RowsFile(RowsFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  RowsFile& operator=(RowsFile&&) = delete;
  ~RowsFile() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  explicit RowsFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

struct RowAnswers {
  control::OpenScoreReply by;
  batch::Report report;
};

/// The rows by what serves now; nothing of it is visible yet.
Result<RowAnswers> answered(const Invocation& invocation, const std::string& root,
                            const SettleArguments& arguments, batch::Options options) {
  RowAnswers out;
  HEDDLE_ASSIGN_OR_RETURN(
      out.by, call_for<control::OpenScoreReply>(
                  invocation, "score.open", doc::Value::object({{"service", arguments.service}})));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects,
                          invocation.wiring->open_objects(control::Home(root).objects()));
  HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*objects, out.by.bundle));
  HEDDLE_ASSIGN_OR_RETURN(const auto plan, score::Plan::load(bundle));
  options.output = arguments.output;
  options.slot = out.by.slot;
  options.accepts = arguments.act == "accept";
  HEDDLE_ASSIGN_OR_RETURN(out.report, batch::score_file(*plan, options));
  return out;
}

/// `ids`: of rows of requests; none: they are of a file.
doc::Value settle_request(const SettleArguments& arguments, const std::vector<std::string>& ids,
                          std::int64_t count) {
  return doc::Value::object(
      {{"service", arguments.service},
       {"act", arguments.act},
       {"rows", doc::to_list(ids, [](const std::string& id) { return doc::Value(id); })},
       {"count", count},
       {"reason", arguments.reason}});
}

/// The ledger's entry that says so.
Result<std::uint64_t> settle(const Invocation& invocation, const SettleArguments& arguments,
                             doc::Value request) {
  HEDDLE_ASSIGN_OR_RETURN(
      const auto reply, call_as<control::SettleReply>(invocation, "quarantine.settle",
                                                      std::move(request), *arguments.by, "person"));
  return reply.entry;
}

void say_how(const Console& console) {
  console.message("\nhint: nothing was changed; --yes does it");
}

/// `discard` and `restore`: no row is answered.
int settle_unanswered(const Invocation& invocation, const Console& console,
                      const SettleArguments& arguments) {
  const auto rows = chosen_rows(invocation, console, arguments);
  if (!rows.ok()) return console.fail(rows.error());
  const std::int64_t count = std::ssize(*rows);
  const bool is_restored = arguments.act == "restore";
  std::optional<std::uint64_t> entry;  // none: nothing was done
  if (arguments.yes) {
    std::vector<std::string> ids;
    for (const auto& row : *rows) ids.push_back(row.id());
    const auto done = settle(invocation, arguments, settle_request(arguments, ids, count));
    if (!done.ok()) return console.fail(done.error());
    entry = *done;
  }
  if (console.json()) {
    auto reply = doc::Value::object(
        {{"act", arguments.act}, {"rows", count}, {"applied", entry.has_value()}});
    if (entry) reply.set("entry", *entry);
    console.document(reply);
    return 0;
  }
  if (entry) {
    console.message(fmt::format("{} {} rows (ledger entry {})",
                                is_restored ? "restored" : "discarded", count, *entry));
    return 0;
  }
  console.message(fmt::format(
      "{} rows would {}", count,
      is_restored ? "wait in the quarantine again" : "leave the quarantine without an answer"));
  print_rows(console, std::span(*rows).first(std::min(rows->size(), kMostShown)));
  say_how(console);
  return 0;
}

/// What came of the rows, in words or as a document; the exit code. `entry`: of the ledger; none:
/// nothing was done.
int print_answered(const Console& console, const SettleArguments& arguments, const RowAnswers& done,
                   std::optional<std::uint64_t> entry) {
  const batch::Report& report = done.report;
  const bool is_done = entry.has_value();
  // Before anything is done, rows that would stay are no failure.
  const int code = is_done && report.refused > 0 ? kSomeStay : 0;
  if (console.json()) {
    auto reply = doc::Value::object({{"act", arguments.act},
                                     {"rows", report.rows},
                                     {"answered", report.served},
                                     {"stay", report.refused},
                                     {"rules", doc::counts_of(report.rules)},
                                     {"bundle", done.by.bundle.str()},
                                     {"applied", is_done}});
    if (entry) reply.set("entry", *entry);
    console.document(reply);
    return code;
  }
  console.message(fmt::format("of {} refused rows {} {} answered by `{}` ({}), {} {}", report.rows,
                              report.served, is_done ? "were" : "would be",
                              done.by.bundle.short_str(), done.by.slot, report.refused,
                              is_done ? "stay" : "would stay"));
  for (const auto& [rule, rows] : report.rules)
    console.message(fmt::format("  {} rows break `{}`", rows, rule));
  for (const auto& [repair, values] : report.repaired)
    console.message(fmt::format("  {} values were changed by repair `{}`", values, repair));
  if (!is_done) {
    say_how(console);
  } else if (report.refused > 0) {
    console.message(
        fmt::format("\nhint: see why they stay in `{}`", batch::refused_path(arguments.output)));
  }
  return code;
}

/// Takes the rows out that cannot be answered.
std::vector<control::RefusedRowItem> keep_back(const std::string& act,
                                               std::vector<control::RefusedRowItem>& rows) {
  const auto middle = std::stable_partition(
      rows.begin(), rows.end(), [&](const auto& row) { return can_be_answered(row, act); });
  std::vector<control::RefusedRowItem> out(std::make_move_iterator(middle),
                                           std::make_move_iterator(rows.end()));
  rows.erase(middle, rows.end());
  return out;
}

Error none_answerable(std::span<const control::RefusedRowItem> rows,
                      const SettleArguments& arguments) {
  return Error{ErrorKind::kUnprocessable, "rows-unanswerable",
               fmt::format("none of {} rows can be answered: the first broke `{}`", rows.size(),
                           rows.front().rules.front()),
               fmt::format("have them sent again, and let these go: `heddle quarantine discard {}`",
                           arguments.service)};
}

void count_kept_back(std::span<const control::RefusedRowItem> rows, batch::Report& report) {
  report.rows += std::ssize(rows);
  report.refused += std::ssize(rows);
  for (const auto& row : rows) {
    for (const auto& rule : row.rules) ++report.rules[rule];
  }
}

/// The rows of a file of refused ones.
Result<void> take_file(const control::Wiring& wiring, const std::string& root,
                       const SettleArguments& arguments, batch::Options& options) {
  HEDDLE_ASSIGN_OR_RETURN(
      options.input, refused_file(wiring, root, {arguments.service, arguments.file, arguments.as}));
  HEDDLE_ASSIGN_OR_RETURN(options.columns, own_columns(options.input));
  // Who accepts a row says that it is one of its own.
  options.keeps_duplicates = arguments.act == "accept";
  if (options.keeps_duplicates) return {};
  HEDDLE_ASSIGN_OR_RETURN(options.duplicates_column, column_of_rules(options.input));
  return {};
}

/// `accept` and `reprocess`: shown, and with `--yes` recorded and then written.
Result<int> answer_rows(const Invocation& invocation, const Console& console,
                        const SettleArguments& arguments) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  batch::Options options;
  std::optional<RowsFile> file;
  std::vector<control::RefusedRowItem> kept_back;  // that stay, whatever the contract says
  if (arguments.file.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(auto rows, chosen_rows(invocation, console, arguments));
    kept_back = keep_back(arguments.act, rows);
    if (rows.empty()) return none_answerable(kept_back, arguments);
    if (!arguments.yes && !console.json())
      print_rows(console, std::span(rows).first(std::min(rows.size(), kMostShown)));
    // A field of the rows may have that name.
    options.id_column = rows.front().fields.find("row_id") != nullptr ? "heddle_row_id" : "row_id";
    // Requests do not know each other: each is answered.
    options.keeps_duplicates = true;
    HEDDLE_ASSIGN_OR_RETURN(auto written, RowsFile::write(root, rows, options.id_column));
    options.input = written.path();
    file.emplace(std::move(written));
  } else {
    HEDDLE_TRY(take_file(*invocation.wiring, root, arguments, options));
  }
  HEDDLE_ASSIGN_OR_RETURN(auto done, answered(invocation, root, arguments, std::move(options)));
  count_kept_back(kept_back, done.report);
  const batch::Report& report = done.report;
  // Without an answered row there is nothing to record and no file to write.
  if (!arguments.yes || report.served == 0) return print_answered(console, arguments, done, {});
  auto request = settle_request(arguments, report.served_ids, report.served);
  request.set("stay", report.refused);
  request.set("bundle", done.by.bundle.str());
  request.set("input", report.input.str());
  request.set("output", report.output.str());
  // Recorded before it is visible: what policy denies leaves no file.
  HEDDLE_ASSIGN_OR_RETURN(const auto entry, settle(invocation, arguments, std::move(request)));
  HEDDLE_TRY(report.publish());
  return print_answered(console, arguments, done, entry);
}

int settle_command(const Invocation& invocation, const Console& console,
                   const SettleArguments& arguments) {
  const bool is_named = !arguments.rows.empty() || !arguments.rule.empty() ||
                        !arguments.source.empty() || arguments.all;
  if (!is_named && arguments.file.empty()) return console.fail(none_named(arguments));
  if (!is_answering(arguments)) return settle_unanswered(invocation, console, arguments);
  const auto code = answer_rows(invocation, console, arguments);
  return code.ok() ? *code : console.fail(code.error());
}

void add_settle(CLI::App& quarantine, Invocation& invocation, const char* act, const char* help) {
  auto arguments = std::make_shared<SettleArguments>();
  arguments->act = act;
  auto* command = quarantine.add_subcommand(act, help);
  command->add_option("service", arguments->service, "name of the service")->required();
  auto* row =
      command->add_option("--row", arguments->rows, "id of a row, `q-17#0`; may be repeated");
  auto* rule = command->add_option("--rule", arguments->rule, "rows that broke this rule");
  auto* source = command->add_option("--source", arguments->source, "rows of this source");
  auto* all = command->add_flag(
      "--all", arguments->all,
      arguments->act == "restore" ? "every row that somebody settled" : "every row that waits");
  command->add_option("--limit", arguments->limit, "the newest rows that are looked at")
      ->check(CLI::Range(1, 10'000));
  if (is_answering(*arguments)) {
    auto* file = command->add_option("--file", arguments->file,
                                     "in place of rows of requests: the refused rows of a scored "
                                     "file");
    for (auto* other : {row, rule, source, all}) file->excludes(other);
    add_as(*command, arguments->as);
    command
        ->add_option("-o,--output", arguments->output,
                     "the rows with their answers, Parquet or CSV; those that stay beside it")
        ->required();
  }
  command->add_option("--reason", arguments->reason, "why, one line: it stands in the ledger")
      ->required();
  command->add_flag("--yes", arguments->yes, "do what is shown without it");
  arguments->by = add_asked_by(*command, "--person");
  command->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      return settle_command(invocation, console, *arguments);
    };
  });
}

}  // namespace

void add_quarantine_rows(CLI::App& quarantine, Invocation& invocation) {
  auto arguments = std::make_shared<ShowArguments>();
  auto* command =
      quarantine.add_subcommand("show", "the newest refused rows, with the values that failed");
  command->add_option("service", arguments->service, "name of the service")->required();
  auto* source = command->add_option("--source", arguments->source, "of this source only");
  command->add_option("--limit", arguments->limit, "how many")->check(CLI::Range(1, 10'000));
  auto* settled = command->add_flag("--settled", arguments->settled,
                                    "also rows that were accepted, reprocessed or discarded");
  auto* file = command->add_option("--file", arguments->file,
                                   "in place of rows of requests: the first refused rows of a "
                                   "scored file");
  for (auto* other : {source, settled}) file->excludes(other);
  add_as(*command, arguments->as);
  command->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      return cli::show(console, shown_rows(invocation, *arguments), print_refused_rows);
    };
  });
  add_settle(quarantine, invocation, "accept",
             "answer refused rows as they are, whatever rules they break");
  add_settle(quarantine, invocation, "reprocess",
             "answer refused rows that the contract accepts by now");
  add_settle(quarantine, invocation, "discard", "let refused rows go without an answer");
  add_settle(quarantine, invocation, "restore",
             "let rows that were accepted, reprocessed or discarded wait again");
}

}  // namespace heddle::cli
