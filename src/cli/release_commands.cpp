#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>

#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "control/canary_reply.hpp"
#include "control/show_replies.hpp"
#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "policy/statement.hpp"
#include "spec/shares.hpp"
#include "watch/judgement.hpp"

namespace heddle::cli {
namespace {

/// The lines of a statement: name, value.
std::vector<std::vector<std::string>> statement_rows(const policy::Statement& statement) {
  std::vector<std::vector<std::string>> rows{{"you sign", statement.approval}};
  const auto put = [&](std::string name, std::string value) {
    if (!value.empty()) rows.push_back({"  " + std::move(name), std::move(value)});
  };
  put("action", statement.action);
  put("target", statement.target);
  put("slot", statement.slot);
  for (const auto& item : statement.subjects) put(item.name, item.digest.str());
  for (const auto& [name, value] : statement.binds.as_object()) {
    put("as long as " + name, value.is_string()
                                  ? value.as_string().empty() ? "none" : value.as_string()
                                  : doc::to_json(value));
  }
  put("evidence root", statement.evidence_root.empty() ? "" : statement.evidence_root.str());
  put("policy", statement.policy.str());
  put("asked by", statement.requester);
  put("in the name of", statement.claimed);
  put("event time", statement.asked_event_time);
  put("expires", format_time(statement.expires));
  return rows;
}

/// What a person is about to sign, on stderr. The statement is the server's: it is read here, and
/// no statement is signed that is not about this approval.
Result<void> show_statement(const Console& console, const std::string& id,
                            const std::string& text) {
  const auto statement = policy::parse_statement(text);
  if (!statement.ok() || statement->approval != id) {
    return Error{ErrorKind::kCorrupt, "approval-statement-malformed",
                 fmt::format("what came back is no statement about `{}`{}", id,
                             statement.ok() ? "" : ": " + statement.error().message),
                 "nothing was signed; see `heddle approval show`"};
  }
  if (!console.json())  // stderr is an error's JSON then, or empty
    console.message(format_rows(statement_rows(*statement)));
  return {};
}

std::string number_of(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

/// Both sides of each metric, the difference and where it lies with 95 % confidence.
std::string differences_table(const std::vector<evaluate::Difference>& metrics) {
  std::vector<std::vector<std::string>> rows{
      {"METRIC", "PRIMARY", "CANDIDATE", "DIFFERENCE", "95 % INTERVAL"}};
  for (const auto& item : metrics) {
    const auto margin = item.margin_of_error();
    const double change = item.difference();
    rows.push_back(
        {item.metric, number_of(item.base), number_of(item.candidate), number_of(change),
         margin && std::isfinite(change)
             ? fmt::format("{} to {}", number_of(change - *margin), number_of(change + *margin))
             : "-"});
  }
  return format_rows(rows);
}

/// A comparison as a table, or why there is none.
std::vector<std::string> comparison_lines(const control::Comparison& comparison) {
  if (!comparison.compared)
    return {"not compared with the primary: " + comparison.why.value_or("")};
  const auto& of = *comparison.rows;
  std::vector<std::string> lines{
      fmt::format("on {} rows of {}{}{}", of.count, of.of,
                  of.from.empty() ? "" : fmt::format(" from {} to {}", of.from, of.to),
                  of.positive ? fmt::format(", {} of them positive", *of.positive) : "")};
  if (comparison.why_not_traffic)
    lines.push_back("not on recorded traffic: " + *comparison.why_not_traffic);
  if (!of.note.empty()) lines.push_back(of.note);
  if (of.refused_by_base + of.refused_by_candidate > 0) {
    lines.push_back(fmt::format("refused, and not compared: {} by the primary, {} by the candidate",
                                of.refused_by_base, of.refused_by_candidate));
  }
  lines.push_back(differences_table(*comparison.metrics));
  lines.push_back(fmt::format("by its {} the candidate is {}", *comparison.loss,
                              *comparison.verdict == "unclear"
                                  ? "not told apart from the primary"
                                  : *comparison.verdict + " than the primary"));
  return lines;
}

/// What the gates held the candidate against, or why nothing.
std::vector<std::string> base_lines(const evaluate::BaseEvidence& base) {
  if (!base.missing.why.empty())
    return {"its gates held it against no primary: " + base.missing.why};
  std::vector<std::string> lines{fmt::format(
      "its gates held it against {} on {} held-out rows ({} without an answer there, {} learned "
      "from there)",
      beginning(base.bundle), base.rows, base.refused, base.learned)};
  if (!base.note.empty()) lines.push_back(base.note);
  lines.push_back(differences_table(base.metrics));
  return lines;
}

/// What a gate read, or why it could not be judged.
std::string gate_values(const evaluate::GateResult& gate) {
  std::string values;
  for (const auto& [name, value] : gate.values)
    values += fmt::format("{}{} {}", values.empty() ? "" : ", ", name, number_of(value));
  for (const auto& why : {gate.error, gate.not_judged}) {
    if (!why.empty()) values += (values.empty() ? "" : "; ") + why;
  }
  return values;
}

/// What a release does to repairs of what it replaces.
template <class Reply>
std::vector<std::string> repair_lines(const Reply& shown) {
  std::vector<std::string> lines;
  const auto add = [&](const std::optional<std::vector<std::string>>& repairs, const char* words) {
    if (!repairs) return;
    for (const auto& repair : *repairs) lines.push_back(words + repair);
  };
  add(shown.drops_repairs, "drops a repair: ");
  add(shown.revives_repairs, "brings back a repair that was taken back: ");
  return lines;
}

std::string metrics_table(const evaluate::Numbers& metrics) {
  std::vector<std::vector<std::string>> rows{{"METRIC", "CANDIDATE'S OWN HELD-OUT ROWS"}};
  for (const auto& [name, value] : metrics) rows.push_back({name, number_of(value)});
  return format_rows(rows);
}

/// Each gate and whether it passed; empty: there was none.
std::string gates_table(const std::vector<evaluate::GateResult>& gates) {
  std::vector<std::vector<std::string>> rows{{"GATE", "PASSED", "WHEN", "VALUES"}};
  for (const auto& gate : gates) {
    const bool is_open = !gate.not_judged.empty();
    const char* const passed = gate.passed ? "yes" : is_open ? "not judged" : "no";
    rows.push_back({gate.id, passed, gate.when, gate_values(gate)});
  }
  return rows.size() > 1 ? format_rows(rows) : std::string();
}

void add_evaluation(const evaluate::Evidence& evaluation, std::vector<std::string>& lines) {
  lines.push_back(metrics_table(evaluation.metrics));
  if (auto gates = gates_table(evaluation.gates); !gates.empty()) lines.push_back(std::move(gates));
  if (!evaluation.base) return;
  for (auto& line : base_lines(*evaluation.base)) lines.push_back(std::move(line));
}

/// What the evidence of a release says: repairs, gates, metrics, comparison.
std::vector<std::string> evidence_lines(const control::ApprovalReply& shown) {
  std::vector<std::string> lines = repair_lines(shown);
  if (shown.evaluation) add_evaluation(*shown.evaluation, lines);
  if (shown.comparison) {
    for (auto& line : comparison_lines(*shown.comparison)) lines.push_back(std::move(line));
  }
  if (shown.unread) lines.push_back(*shown.unread);
  return lines;
}

/// The facts of an approval, a line each.
doc::Value approval_facts(const control::ApprovalReply& reply,
                          const std::optional<policy::Statement>& statement) {
  auto facts = doc::Value::object({{"action", reply.action},
                                   {"target", reply.target},
                                   {"slot", statement ? statement->slot : ""},
                                   {"asked by", reply.requester},
                                   {"in the name of", reply.claimed},
                                   {"event time", reply.asked_event_time},
                                   {"expires", reply.expires},
                                   {"rejected by", reply.rejected_by},
                                   {"rejected because", reply.rejected_because},
                                   {"void because", reply.void_because}});
  if (statement) {
    facts.set("policy", statement->policy.str());
    if (!statement->evidence_root.empty())
      facts.set("evidence root", statement->evidence_root.str());
  }
  facts.set("ledger entry", reply.entry);
  return facts;
}

/// A titled table of the approval, unless it is empty.
void print_section(const Console& console, const char* title,
                   const std::vector<std::vector<std::string>>& rows) {
  if (!rows.empty()) console.data(fmt::format("\n{}\n{}", title, indented(format_rows(rows), 1)));
}

std::vector<std::vector<std::string>> named_rows(const std::vector<policy::Named>& items) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& item : items) rows.push_back({item.name, item.digest.str()});
  return rows;
}

/// Who asked for what, on which evidence, what it binds and what can be done.
void print_approval(const Console& console, const control::ApprovalReply& reply) {
  console.data(fmt::format("{} ({}): {}", reply.id, reply.state, reply.reason));
  // What cannot be read is not shown here, and not signed either.
  const auto parsed = policy::parse_statement(reply.statement);
  const auto statement = parsed.ok() ? std::optional(*parsed) : std::nullopt;
  console.data(format_members(approval_facts(reply, statement), 1));
  if (statement) print_section(console, "what is asked for", named_rows(statement->subjects));
  std::vector<std::vector<std::string>> binds;
  if (reply.binds.is_object()) {
    for (const auto& [name, value] : reply.binds.as_object())
      binds.push_back({name, in_words(value)});
  }
  print_section(console, "it holds as long as", binds);
  print_section(console, "evidence", named_rows(reply.evidence));
  for (const auto& line : evidence_lines(reply)) console.data("\n" + indented(line, 1));
  std::vector<std::string> people;
  for (const auto& signature : reply.signatures) people.push_back(signature.person);
  console.data(fmt::format("\nsigned by {}", !people.empty()
                                                 ? fmt::to_string(fmt::join(people, ", "))
                                             : reply.state == "pending" ? "nobody so far"
                                                                        : "nobody"));
  print_next(console, reply.next);
}

void print_release(const Console& console, const control::AskedReply& reply) {
  const auto& asked = *reply.asked;
  if (!asked.applied) return print_waiting(console, asked.approval, asked.reason);
  if (asked.bundle.empty()) {
    console.message(fmt::format("the {} is empty (ledger entry {})", asked.slot, asked.entry));
    return;
  }
  console.message(fmt::format("released `{}` as {} (ledger entry {})", beginning(asked.bundle),
                              asked.slot, asked.entry));
  // Of one that waits the reason says it.
  for (const auto& line : repair_lines(asked)) console.message("it " + line);
}

/// `5%` in ten-thousandths.
Result<std::int64_t> weight_of(const std::string& text) {
  if (text.empty()) return 0;
  const auto share = spec::parse_share(text);
  if (!share || *share == 0 || *share > 5'000) {
    return Error{ErrorKind::kInvalid, "weight-malformed",
                 fmt::format("`{}` is no weight of a canary", text),
                 "write a step of the service, as `5%`; 50% is the most"};
  }
  return static_cast<std::int64_t>(*share);
}

std::string percent(double ten_thousandths) { return fmt::format("{:g}%", ten_thousandths / 100); }

void print_canary(const Console& console, const control::CanaryReply& reply) {
  if (!reply.running) {
    console.data(fmt::format("no canary of `{}` runs{}", reply.service,
                             reply.shadow.empty() ? "" : "; shadow " + beginning(reply.shadow)));
    return;
  }
  const auto& run = *reply.run;
  std::string steps;
  for (const auto step : run.steps)
    steps += (steps.empty() ? "" : ", ") + percent(static_cast<double>(step));
  console.data(fmt::format("canary {} answers {} (steps {}), beside {}", beginning(run.bundle),
                           percent(run.weight), steps, beginning(run.baseline)));
  std::vector<std::vector<std::string>> rows{{"", "CANARY", "BASELINE", ""},
                                             {"rows", fmt::to_string(run.cohorts.canary_rows),
                                              fmt::to_string(run.cohorts.baseline_rows), ""}};
  for (const auto& measure : run.cohorts.measures) {
    // A cohort without such rows has no number.
    const bool known = std::isfinite(measure.canary) && std::isfinite(measure.baseline);
    rows.push_back({measure.name, number_of(measure.canary), number_of(measure.baseline),
                    known ? std::string(watch::verdict_name(measure.verdict)) : "not measured"});
  }
  console.data(format_rows(rows));
  const auto& judged = run.judgement;
  console.data(judged ? fmt::format("judged {} (ledger entry {})",
                                    watch::verdict_name(judged->judgement->verdict), judged->entry)
                      : "not judged yet at this weight");
  for (const auto& reason : (judged ? *judged->judgement : run.cohorts).reasons)
    console.data("  " + reason);
  print_next(console, run.next);
}

/// What the commands about a service's slots take; each command has one of its own.
struct ReleaseOptions {
  std::string service{};
  std::string slot = "primary";
  std::string bundle{};
  std::string weight{};
  bool again = false;
  bool clear = false;
};
using Options = std::shared_ptr<ReleaseOptions>;

/// A subcommand about one service.
CLI::App* add_service_command(CLI::App& group, const char* name, const char* about,
                              const Options& options) {
  auto* command = group.add_subcommand(name, about);
  command->add_option("service", options->service, "name of the service")->required();
  return command;
}

void add_again(CLI::App& command, const Options& options) {
  command.add_flag("--again", options->again,
                   "ask again for what a person rejected; somebody other than you has to say yes");
}

void add_promote(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command =
      add_service_command(release, "promote", "put a candidate into a slot of a service", options);
  command->add_option("--slot", options->slot, "primary, standby, canary or shadow")
      ->check(CLI::IsMember({"primary", "standby", "canary", "shadow"}));
  command->add_option("--weight", options->weight,
                      "canary share, one of the service's steps, e.g. `5%` (default: first step, "
                      "or the running canary's next)");
  command->add_option(
      "--bundle", options->bundle,
      "digest of the bundle, or its beginning; default: the newest candidate for the slot (for "
      "`standby` its standby)");
  add_again(*command, options);
  command->callback([&invocation, options, by = add_asked_by(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto share = weight_of(options->weight);
      if (!share.ok()) return console.fail(share.error());
      auto request = doc::Value::object({{"service", options->service},
                                         {"slot", options->slot},
                                         {"bundle", options->bundle},
                                         {"weight", *share},
                                         {"again", options->again}});
      return cli::show(
          console,
          call_as<control::AskedReply>(invocation, "release.promote", std::move(request), *by),
          print_release);
    };
  });
}

void add_rollback(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command =
      add_service_command(release, "rollback", "go back to the release before", options);
  add_again(*command, options);
  command->callback([&invocation, options, by = add_asked_by(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto request = doc::Value::object({{"service", options->service}, {"again", options->again}});
      return cli::show(
          console,
          call_as<control::AskedReply>(invocation, "release.rollback", std::move(request), *by),
          print_release);
    };
  });
}

void print_comparison(const Console& console, const control::CompareReply& reply) {
  const auto& made = *reply.comparison;
  console.data(fmt::format("candidate {}, primary {}", beginning(made.candidate.str()),
                           made.base.empty() ? "none" : beginning(made.base.str())));
  for (const auto& line : comparison_lines(made)) console.data(line);
}

void add_compare(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(
      release, "compare", "a candidate and the primary on the same newest labelled rows", options);
  command->add_option("--bundle", options->bundle,
                      "digest of the bundle, or its beginning; default: the newest candidate");
  command->callback([&invocation, options] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request =
          doc::Value::object({{"service", options->service}, {"bundle", options->bundle}});
      return cli::show(console,
                       call_for<control::CompareReply>(invocation, "release.compare", request),
                       print_comparison);
    };
  });
}

void add_canary(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(
      release, "canary", "the running canary: cohorts side by side, judgement, next step", options);
  command->callback([&invocation, options] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"service", options->service}});
      return cli::show(console,
                       call_for<control::CanaryReply>(invocation, "release.canary", request),
                       print_canary);
    };
  });
}

void print_abort(const Console& console, const control::AskedReply& reply) {
  if (!reply.asked->applied) return print_release(console, reply);
  console.message(fmt::format("ended the canary `{}` (ledger entry {})",
                              beginning(reply.asked->bundle), reply.asked->entry));
}

void add_abort(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(release, "abort",
                                      "end the canary: the primary answers everything", options);
  add_again(*command, options);
  command->callback([&invocation, options, by = add_asked_by(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto request = doc::Value::object({{"service", options->service}, {"again", options->again}});
      return cli::show(
          console,
          call_as<control::AskedReply>(invocation, "release.abort", std::move(request), *by),
          print_abort);
    };
  });
}

void add_shadow(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(
      release, "shadow", "score a bundle beside the primary; it never answers", options);
  auto* bundle =
      command->add_option("--bundle", options->bundle, "digest of the bundle, or its beginning");
  command->add_flag("--clear", options->clear, "take the shadow away")->excludes(bundle);
  add_again(*command, options);
  command->callback([&invocation, options, by = add_asked_by(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      // An empty bundle clears the slot: that must be meant.
      if (options->bundle.empty() && !options->clear)
        return console.fail({ErrorKind::kInvalid, "shadow-what",
                             "it is not said what the shadow is to be",
                             "name a bundle with `--bundle`, or say `--clear`"});
      auto request = doc::Value::object(
          {{"service", options->service}, {"bundle", options->bundle}, {"again", options->again}});
      return cli::show(
          console,
          call_as<control::AskedReply>(invocation, "release.shadow", std::move(request), *by),
          print_release);
    };
  });
}

std::string beginning_of(const Digest& digest) {
  return digest.empty() ? std::string() : beginning(digest.str());
}

void print_history(const Console& console, const control::HistoryReply& reply) {
  std::vector<std::vector<std::string>> rows{
      {"ROUTE", "EVENT TIME", "ACTION", "PRIMARY", "STANDBY", "CANARY", "ENTRY"}};
  for (const auto& item : reply.releases) {
    const auto& route = item.route;
    rows.push_back({fmt::to_string(route.version), item.event_time, route.action,
                    beginning_of(route.primary), beginning_of(route.standby),
                    route.canary.empty()
                        ? ""
                        : fmt::format("{} {}", beginning_of(route.canary), percent(route.weight)),
                    fmt::to_string(item.entry)});
  }
  console.data(format_rows(rows));
}

void add_history(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(release, "history", "every release of a service", options);
  command->callback([&invocation, options] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"service", options->service}});
      return cli::show(console,
                       call_for<control::HistoryReply>(invocation, "release.history", request),
                       print_history);
    };
  });
}

void print_approvals(const Console& console, const control::ApprovalsReply& reply) {
  std::vector<std::vector<std::string>> rows{
      {"ID", "STATE", "ACTION", "TARGET", "ASKED BY", "ASKED AT", "WHY"}};
  for (const auto& item : reply.approvals) {
    rows.push_back({item.id, item.state, item.action, item.target, item.requester,
                    item.asked_event_time, item.reason});
  }
  console.data(rows.size() == 1 ? "nothing waits for approval" : format_rows(rows));
}

void add_approval(CLI::App& app, Invocation& invocation) {
  auto* approval =
      app.add_subcommand("approval", "what waits for a person's yes")->require_subcommand(1);
  auto* list = approval->add_subcommand("list", "approvals that were asked for");
  const auto all = std::make_shared<bool>(false);
  list->add_flag("--all", *all, "also those that were answered or expired");
  list->callback([&invocation, all] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"all", *all}});
      return cli::show(console,
                       call_for<control::ApprovalsReply>(invocation, "approval.list", request),
                       print_approvals);
    };
  });
  auto* show = approval->add_subcommand("show", "one approval with the statement a person signs");
  const auto id = std::make_shared<std::string>();
  show->add_option("id", *id, "id of the approval")->required();
  show->callback([&invocation, id] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"id", *id}});
      return cli::show(console,
                       call_for<control::ApprovalReply>(invocation, "approval.show", request),
                       print_approval);
    };
  });
}

/// What `approve` takes.
struct Approver {
  std::string id{};
  std::string person{};
  std::string key{};
};

/// Shows what is to be signed and signs it; empty for what waits no more, which is not signed: the
/// server's answer says what became of it.
Result<std::string> sign_shown(const Console& console, const Approver& approver,
                               const control::ApprovalReply& shown) {
  if (shown.state != "pending") return std::string();
  HEDDLE_TRY(show_statement(console, shown.id, shown.statement));
  if (!console.json()) {
    for (const auto& line : evidence_lines(shown)) console.message(line);
  }
  return sign_statement(shown.statement, approver.key, "heddle-approval");
}

int run_approve(const Invocation& invocation, const Console& console, const Approver& approver) {
  const auto shown = call_for<control::ApprovalReply>(invocation, "approval.show",
                                                      doc::Value::object({{"id", approver.id}}));
  if (!shown.ok()) return console.fail(shown.error());
  // Asked for by the beginning of its id, it is signed by the whole: what comes back has to be one
  // of those.
  if (!shown->id.starts_with(approver.id)) {
    return console.fail({ErrorKind::kCorrupt, "approval-statement-malformed",
                         fmt::format("what came back is not about `{}`", approver.id),
                         "nothing was signed"});
  }
  const auto signature = sign_shown(console, approver, *shown);
  if (!signature.ok()) return console.fail(signature.error());
  const auto reply = call_for<control::ApproveReply>(
      invocation, "approval.approve",
      doc::Value::object(
          {{"id", shown->id}, {"person", approver.person}, {"signature", *signature}}));
  if (!reply.ok()) return console.fail(reply.error());
  if (console.json()) {
    // With what was signed.
    console.document(
        control::ApproveReply::schema().print(*reply).set("statement", shown->statement));
    return 0;
  }
  console.message(fmt::format("`{}` approved by `{}` (ledger entry {})", shown->id, approver.person,
                              reply->entry));
  if (reply->applied) console.message("and done: it was waiting for this");
  print_next(console, reply->next);
  return 0;
}

void add_approve(CLI::App& app, Invocation& invocation) {
  auto* approve = app.add_subcommand("approve", "say yes as a person, with your SSH key");
  const auto approver = std::make_shared<Approver>();
  approve->add_option("id", approver->id, "id of the approval")->required();
  approve->add_option("--person", approver->person, "your name in people.yaml")->required();
  approve->add_option("--key", approver->key, "your private SSH key")->required();
  approve->callback([&invocation, approver] {
    invocation.run = [=, &invocation](const Console& console) {
      return run_approve(invocation, console, *approver);
    };
  });
}

void print_rejection(const Console& console, const control::ApprovalReply& reply) {
  console.message(fmt::format("`{}` rejected by `{}`", reply.id, reply.rejected_by));
  for (const auto& item : reply.next)
    console.message(fmt::format("to ask again: {}  ({})", item.command, item.why));
}

void add_reject(CLI::App& app, Invocation& invocation) {
  auto* reject = app.add_subcommand("reject", "say no to what was asked");
  const auto id = std::make_shared<std::string>();
  const auto reason = std::make_shared<std::string>();
  reject->add_option("id", *id, "id of the approval")->required();
  reject->add_option("--reason", *reason, "why, one sentence")->required();
  reject->callback([&invocation, id, reason, by = add_asked_by(*reject, "--person")] {
    invocation.run = [=, &invocation](const Console& console) {
      auto request = doc::Value::object({{"id", *id}, {"reason", *reason}});
      return cli::show(console,
                       call_as<control::ApprovalReply>(invocation, "approval.reject",
                                                       std::move(request), *by, "person"),
                       print_rejection);
    };
  });
}

}  // namespace

void add_release_commands(CLI::App& app, Invocation& invocation) {
  auto* release =
      app.add_subcommand("release", "promote, roll back and list releases")->require_subcommand(1);
  add_promote(*release, invocation);
  add_rollback(*release, invocation);
  add_compare(*release, invocation);
  add_canary(*release, invocation);
  add_abort(*release, invocation);
  add_shadow(*release, invocation);
  add_history(*release, invocation);
  add_approval(app, invocation);
  add_approve(app, invocation);
  add_reject(app, invocation);
}

}  // namespace heddle::cli
