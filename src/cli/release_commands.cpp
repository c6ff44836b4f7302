#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"

namespace heddle::cli {
namespace {

/// The lines of a statement: name, value.
std::vector<std::vector<std::string>> statement_rows(const doc::Value& statement, std::string title,
                                                     const std::string& id) {
  std::vector<std::vector<std::string>> rows{{std::move(title), id}};
  const auto put = [&](std::string name, std::string value) {
    if (!value.empty()) rows.push_back({"  " + std::move(name), std::move(value)});
  };
  put("action", statement.string_or("action"));
  put("target", statement.string_or("target"));
  put("slot", statement.string_or("slot"));
  if (const auto* subjects = statement.find("subjects");
      subjects != nullptr && subjects->is_array()) {
    for (const auto& item : subjects->as_array())
      put(item.string_or("name"), item.string_or("digest"));
  }
  if (const auto* binds = statement.find("binds"); binds != nullptr && binds->is_object()) {
    for (const auto& [name, value] : binds->as_object()) {
      put("as long as " + name, value.is_string()
                                    ? value.as_string().empty() ? "none" : value.as_string()
                                    : doc::to_json(value));
    }
  }
  put("evidence root", statement.string_or("evidence_root", ""));
  put("policy", statement.string_or("policy"));
  put("asked by", statement.string_or("requester"));
  put("in the name of", statement.string_or("claimed"));
  put("event time", statement.string_or("asked_event_time"));
  put("expires", statement.string_or("expires"));
  return rows;
}

/// What a person is about to sign, on stderr. The statement is the server's: it is read here, and
/// no statement is signed that is not about this approval.
Result<void> show_statement(const Console& console, const std::string& id,
                            const std::string& text) {
  const auto statement = doc::parse_json(text);
  const bool known = statement.ok() && statement->string_or("format") == "heddle.approval/2" &&
                     statement->string_or("approval") == id &&
                     doc::to_canonical_json(*statement) == text;
  if (!known) {
    return Error{ErrorKind::kCorrupt, "approval-statement-malformed",
                 fmt::format("what came back is no statement about `{}`", id),
                 "nothing was signed; see `heddle approval show`"};
  }
  if (!console.json())  // stderr is an error's JSON then, or empty
    console.message(format_rows(statement_rows(*statement, "you sign", id)));
  return {};
}

std::string number_of(const doc::Value* value) {
  return value == nullptr || !value->is_number() ? "-" : fmt::format("{:.4g}", value->as_double());
}

/// Both sides of each metric, the difference and where it lies with 95 % confidence.
std::string differences_table(const doc::Value* metrics) {
  std::vector<std::vector<std::string>> rows{
      {"METRIC", "PRIMARY", "CANDIDATE", "DIFFERENCE", "95 % INTERVAL"}};
  for (const auto& item : doc::items_of(metrics)) {
    const auto* low = item.find("low");
    const bool known = low != nullptr && low->is_number();
    rows.push_back(
        {item.string_or("name"), number_of(item.find("base")), number_of(item.find("candidate")),
         number_of(item.find("difference")),
         known ? fmt::format("{} to {}", number_of(low), number_of(item.find("high"))) : "-"});
  }
  return format_rows(rows);
}

/// A comparison as a table, or why there is none.
std::vector<std::string> comparison_lines(const doc::Value& comparison) {
  if (!comparison.bool_or("compared"))
    return {"not compared with the primary: " + comparison.string_or("why")};
  const auto* rows = comparison.find("rows");
  const doc::Value of = rows == nullptr ? doc::Value() : *rows;
  const auto from = of.string_or("from");
  std::vector<std::string> lines{
      fmt::format("on {} rows of {}{}{}", of.int_or("count"), of.string_or("of"),
                  from.empty() ? "" : fmt::format(" from {} to {}", from, of.string_or("to")),
                  of.find("positive") == nullptr
                      ? ""
                      : fmt::format(", {} of them positive", of.int_or("positive")))};
  if (const auto why = comparison.string_or("why_not_traffic"); !why.empty())
    lines.push_back("not on recorded traffic: " + why);
  if (const auto note = of.string_or("note"); !note.empty()) lines.push_back(note);
  if (of.int_or("refused_by_base") + of.int_or("refused_by_candidate") > 0) {
    lines.push_back(fmt::format("refused, and not compared: {} by the primary, {} by the candidate",
                                of.int_or("refused_by_base"), of.int_or("refused_by_candidate")));
  }
  lines.push_back(differences_table(comparison.find("metrics")));
  lines.push_back(fmt::format("by its {} the candidate is {}", comparison.string_or("loss", "loss"),
                              comparison.string_or("verdict") == "unclear"
                                  ? "not told apart from the primary"
                                  : comparison.string_or("verdict") + " than the primary"));
  return lines;
}

/// What the gates held the candidate against, or why nothing.
std::vector<std::string> base_lines(const doc::Value& base) {
  if (!base.bool_or("measured"))
    return {"its gates held it against no primary: " + base.string_or("why")};
  std::vector<std::string> lines{fmt::format(
      "its gates held it against {} on {} held-out rows ({} without an answer there, {} learned "
      "from there)",
      base.string_or("bundle").substr(0, 19), base.int_or("rows"), base.int_or("without_answer"),
      base.int_or("learned_from"))};
  if (const auto note = base.string_or("note"); !note.empty()) lines.push_back(note);
  lines.push_back(differences_table(base.find("metrics")));
  return lines;
}

/// What a gate read, or why it could not be judged.
std::string gate_values(const doc::Value& gate) {
  std::string values;
  if (const auto* read = gate.find("values"); read != nullptr && read->is_object()) {
    for (const auto& [name, value] : read->as_object())
      values += fmt::format("{}{} {}", values.empty() ? "" : ", ", name, number_of(&value));
  }
  for (const char* why : {"error", "not_judged"}) {
    if (const auto text = gate.string_or(why); !text.empty())
      values += (values.empty() ? "" : "; ") + text;
  }
  return values;
}

/// What a release does to repairs of what it replaces.
std::vector<std::string> repair_lines(const doc::Value& shown) {
  std::vector<std::string> lines;
  const std::pair<const char*, const char*> kinds[] = {
      {"drops_repairs", "drops a repair: "},
      {"revives_repairs", "brings back a repair that was taken back: "}};
  for (const auto& [member, words] : kinds) {
    const auto* repairs = shown.find(member);
    if (repairs == nullptr || !repairs->is_array()) continue;
    for (const auto& repair : repairs->as_array()) lines.push_back(words + doc::text_of(repair));
  }
  return lines;
}

std::string metrics_table(const doc::Value& metrics) {
  std::vector<std::vector<std::string>> rows{{"METRIC", "CANDIDATE'S OWN HELD-OUT ROWS"}};
  for (const auto& [name, value] : metrics.as_object()) rows.push_back({name, number_of(&value)});
  return format_rows(rows);
}

/// Each gate and whether it passed; empty: there was none.
std::string gates_table(const doc::Value* gates) {
  std::vector<std::vector<std::string>> rows{{"GATE", "PASSED", "WHEN", "VALUES"}};
  for (const auto& gate : doc::items_of(gates)) {
    const bool is_open = !gate.string_or("not_judged").empty();
    const char* const passed = gate.bool_or("passed") ? "yes" : is_open ? "not judged" : "no";
    rows.push_back({gate.string_or("id"), passed, gate.string_or("when"), gate_values(gate)});
  }
  return rows.size() > 1 ? format_rows(rows) : std::string();
}

void add_evaluation(const doc::Value& evaluation, std::vector<std::string>& lines) {
  if (const auto* metrics = evaluation.find("metrics"); metrics != nullptr && metrics->is_object())
    lines.push_back(metrics_table(*metrics));
  if (auto gates = gates_table(evaluation.find("gates")); !gates.empty())
    lines.push_back(std::move(gates));
  if (const auto* base = evaluation.find("base"); base != nullptr && base->is_object()) {
    for (auto& line : base_lines(*base)) lines.push_back(std::move(line));
  }
}

/// What the evidence of a release says: repairs, gates, metrics, comparison.
std::vector<std::string> evidence_lines(const doc::Value& shown) {
  std::vector<std::string> lines = repair_lines(shown);
  if (const auto* evaluation = shown.find("evaluation"); evaluation != nullptr)
    add_evaluation(*evaluation, lines);
  if (const auto* comparison = shown.find("comparison"); comparison != nullptr) {
    for (auto& line : comparison_lines(*comparison)) lines.push_back(std::move(line));
  }
  if (const auto unread = shown.string_or("unread"); !unread.empty()) lines.push_back(unread);
  return lines;
}

/// Who asked for what, on which evidence, what it binds and what can be done. Members that have no
/// place of their own here follow as they are.
int print_approval(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  console.data(fmt::format("{} ({}): {}", reply.string_or("id"), reply.string_or("state"),
                           reply.string_or("reason")));
  const auto statement = doc::parse_json(reply.string_or("statement"));
  const auto signed_text = [&](const char* name) {
    return statement.ok() ? statement->string_or(name) : std::string();
  };
  console.data(
      format_members(doc::Value::object({{"action", reply.string_or("action")},
                                         {"target", reply.string_or("target")},
                                         {"slot", signed_text("slot")},
                                         {"asked by", reply.string_or("requester")},
                                         {"in the name of", reply.string_or("claimed")},
                                         {"event time", reply.string_or("asked_event_time")},
                                         {"expires", reply.string_or("expires")},
                                         {"rejected by", reply.string_or("rejected_by")},
                                         {"rejected because", reply.string_or("rejected_because")},
                                         {"void because", reply.string_or("void_because")},
                                         {"policy", signed_text("policy")},
                                         {"evidence root", signed_text("evidence_root")},
                                         {"ledger entry", reply.int_or("entry")}}),
                     1));
  const auto section = [&](const char* title, const doc::Value* of) {
    if (of == nullptr || of->size() == 0) return;
    std::vector<std::vector<std::string>> rows;
    if (of->is_object()) {
      for (const auto& [name, value] : of->as_object()) rows.push_back({name, in_words(value)});
    } else {
      for (const auto& item : of->as_array())
        rows.push_back({item.string_or("name"), item.string_or("digest")});
    }
    console.data(fmt::format("\n{}\n{}", title, indented(format_rows(rows), 1)));
  };
  section("what is asked for", statement.ok() ? statement->find("subjects") : nullptr);
  section("it holds as long as", reply.find("binds"));
  section("evidence", reply.find("evidence"));
  for (const auto& line : evidence_lines(reply)) console.data("\n" + indented(line, 1));
  auto others = doc::Value::object();
  for (const auto& [name, value] : reply.as_object()) {
    static constexpr std::string_view kShown[] = {"id",
                                                  "state",
                                                  "op_id",
                                                  "action",
                                                  "target",
                                                  "requester",
                                                  "claimed",
                                                  "asked_event_time",
                                                  "expires",
                                                  "reason",
                                                  "statement",
                                                  "evidence",
                                                  "binds",
                                                  "rejected_by",
                                                  "rejected_because",
                                                  "void_because",
                                                  "signatures",
                                                  "entry",
                                                  "next",
                                                  "evaluation",
                                                  "comparison",
                                                  "drops_repairs",
                                                  "revives_repairs",
                                                  "unread"};
    if (std::find(std::begin(kShown), std::end(kShown), name) == std::end(kShown))
      others.set(name, value);
  }
  if (const auto text = format_members(others); !text.empty()) console.data("\n" + text);
  std::vector<std::string> people;
  for (const auto& signature : reply.find("signatures")->as_array())
    people.push_back(signature.string_or("person"));
  console.data(fmt::format("\nsigned by {}",
                           people.empty()
                               ? reply.string_or("state") == "pending" ? "nobody so far" : "nobody"
                               : fmt::to_string(fmt::join(people, ", "))));
  print_next(console, reply);
  return 0;
}

int print_release(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
  } else if (reply.bool_or("applied") && reply.string_or("bundle").empty()) {
    console.message(fmt::format("the {} is empty (ledger entry {})", reply.string_or("slot"),
                                reply.int_or("entry")));
  } else if (reply.bool_or("applied")) {
    console.message(fmt::format("released `{}` as {} (ledger entry {})",
                                reply.string_or("bundle").substr(0, 19), reply.string_or("slot"),
                                reply.int_or("entry")));
    // Of one that waits the reason says it.
    for (const auto& line : repair_lines(reply)) console.message("it " + line);
  } else {
    return print_waiting(console, reply);
  }
  return 0;
}

/// `5%` in ten-thousandths.
Result<std::int64_t> weight_of(const std::string& text) {
  if (text.empty()) return 0;
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  const bool rest = end == text.data() + text.size() - 1 && *end == '%';
  if (error != std::errc() || !rest || percent <= 0 || percent > 50) {
    return Error{ErrorKind::kInvalid, "weight-malformed",
                 fmt::format("`{}` is no weight of a canary", text),
                 "write a step of the service, as `5%`; 50% is the most"};
  }
  return std::llround(percent * 100);
}

int print_canary(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  const auto shadow = reply.string_or("shadow");
  if (!reply.bool_or("running")) {
    console.data(fmt::format("no canary of `{}` runs{}", reply.string_or("service"),
                             shadow.empty() ? "" : "; shadow " + shadow.substr(0, 19)));
    return 0;
  }
  std::string steps;
  for (const auto& step : reply.find("steps")->as_array())
    steps += fmt::format("{}{:g}%", steps.empty() ? "" : ", ", step.as_double() / 100);
  console.data(fmt::format("canary {} answers {:g}% (steps {}), beside {}",
                           reply.string_or("bundle").substr(0, 19),
                           static_cast<double>(reply.int_or("weight")) / 100, steps,
                           reply.string_or("baseline").substr(0, 19)));
  const auto* cohorts = reply.find("cohorts");
  std::vector<std::vector<std::string>> rows{
      {"", "CANARY", "BASELINE", ""},
      {"rows", fmt::to_string(cohorts->int_or("canary_rows")),
       fmt::to_string(cohorts->int_or("baseline_rows")), ""}};
  for (const auto& measure : cohorts->find("measures")->as_array()) {
    const auto number = [&](const char* side) {
      const auto* value = measure.find(side);
      return value == nullptr || !value->is_number() ? std::string("-")
                                                     : fmt::format("{:.4g}", value->as_double());
    };
    const bool known = measure.find("canary")->is_number() && measure.find("baseline")->is_number();
    rows.push_back({measure.string_or("name"), number("canary"), number("baseline"),
                    known ? measure.string_or("verdict") : "not measured"});
  }
  console.data(format_rows(rows));
  const auto* judgement = reply.find("judgement");
  const bool judged = judgement != nullptr && judgement->is_object();
  console.data(judged ? fmt::format("judged {} (ledger entry {})", judgement->string_or("verdict"),
                                    judgement->int_or("entry"))
                      : "not judged yet at this weight");
  for (const auto& reason : (judged ? judgement : cohorts)->find("reasons")->as_array())
    console.data("  " + reason.as_string());
  print_next(console, reply);
  return 0;
}

/// The reply as `print` shows it, or its error.
int finish(const Console& console, const Result<doc::Value>& reply,
           int (*print)(const Console&, const doc::Value&)) {
  return reply.ok() ? print(console, *reply) : console.fail(reply.error());
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
      "digest of the bundle, or its beginning; default: the newest candidate for the slot");
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
      return finish(console, call_as(invocation, "release.promote", std::move(request), *by),
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
      return finish(console, call_as(invocation, "release.rollback", std::move(request), *by),
                    print_release);
    };
  });
}

int print_comparison(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  const auto base = reply.string_or("base");
  console.data(fmt::format("candidate {}, primary {}", reply.string_or("candidate").substr(0, 19),
                           base.empty() ? "none" : base.substr(0, 19)));
  for (const auto& line : comparison_lines(reply)) console.data(line);
  return 0;
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
      return finish(console, call_operation(invocation, "release.compare", request),
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
      return finish(console, call_operation(invocation, "release.canary", request), print_canary);
    };
  });
}

int print_abort(const Console& console, const doc::Value& reply) {
  if (console.json() || !reply.bool_or("applied")) return print_release(console, reply);
  console.message(fmt::format("ended the canary `{}` (ledger entry {})",
                              reply.string_or("bundle").substr(0, 19), reply.int_or("entry")));
  return 0;
}

void add_abort(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(release, "abort",
                                      "end the canary: the primary answers everything", options);
  add_again(*command, options);
  command->callback([&invocation, options, by = add_asked_by(*command)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto request = doc::Value::object({{"service", options->service}, {"again", options->again}});
      return finish(console, call_as(invocation, "release.abort", std::move(request), *by),
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
      return finish(console, call_as(invocation, "release.shadow", std::move(request), *by),
                    print_release);
    };
  });
}

int print_history(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"ROUTE", "EVENT TIME", "ACTION", "PRIMARY", "STANDBY", "CANARY", "ENTRY"}};
  for (const auto& item : reply.find("releases")->as_array()) {
    const auto canary = item.string_or("canary");
    rows.push_back({fmt::to_string(item.int_or("version")), item.string_or("event_time"),
                    item.string_or("action"), item.string_or("primary").substr(0, 19),
                    item.string_or("standby").substr(0, 19),
                    canary.empty() ? ""
                                   : fmt::format("{} {:g}%", canary.substr(0, 19),
                                                 static_cast<double>(item.int_or("weight")) / 100),
                    fmt::to_string(item.int_or("entry"))});
  }
  console.data(format_rows(rows));
  return 0;
}

void add_history(CLI::App& release, Invocation& invocation) {
  const auto options = std::make_shared<ReleaseOptions>();
  auto* command = add_service_command(release, "history", "every release of a service", options);
  command->callback([&invocation, options] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"service", options->service}});
      return finish(console, call_operation(invocation, "release.history", request), print_history);
    };
  });
}

int print_approvals(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "STATE", "ACTION", "TARGET", "ASKED BY", "ASKED AT", "WHY"}};
  for (const auto& item : reply.find("approvals")->as_array()) {
    rows.push_back({item.string_or("id"), item.string_or("state"), item.string_or("action"),
                    item.string_or("target"), item.string_or("requester"),
                    item.string_or("asked_event_time"), item.string_or("reason")});
  }
  console.data(rows.size() == 1 ? "nothing waits for approval" : format_rows(rows));
  return 0;
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
      return finish(console, call_operation(invocation, "approval.list", request), print_approvals);
    };
  });
  auto* show = approval->add_subcommand("show", "one approval with the statement a person signs");
  const auto id = std::make_shared<std::string>();
  show->add_option("id", *id, "id of the approval")->required();
  show->callback([&invocation, id] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto request = doc::Value::object({{"id", *id}});
      return finish(console, call_operation(invocation, "approval.show", request), print_approval);
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
                               const std::string& id, const doc::Value& shown) {
  if (shown.string_or("state") != "pending") return std::string();
  HEDDLE_TRY(show_statement(console, id, shown.string_or("statement")));
  if (!console.json()) {
    for (const auto& line : evidence_lines(shown)) console.message(line);
  }
  return sign_statement(shown.string_or("statement"), approver.key, "heddle-approval");
}

int run_approve(const Invocation& invocation, const Console& console, const Approver& approver) {
  auto shown =
      call_operation(invocation, "approval.show", doc::Value::object({{"id", approver.id}}));
  if (!shown.ok()) return console.fail(shown.error());
  // Asked for by the beginning of its id, it is signed by the whole: what comes back has to be one
  // of those.
  const auto id = shown->string_or("id");
  if (!id.starts_with(approver.id)) {
    return console.fail({ErrorKind::kCorrupt, "approval-statement-malformed",
                         fmt::format("what came back is not about `{}`", approver.id),
                         "nothing was signed"});
  }
  const auto signature = sign_shown(console, approver, id, *shown);
  if (!signature.ok()) return console.fail(signature.error());
  auto reply = call_operation(
      invocation, "approval.approve",
      doc::Value::object({{"id", id}, {"person", approver.person}, {"signature", *signature}}));
  if (!reply.ok()) return console.fail(reply.error());
  if (console.json()) {
    reply->set("statement", shown->string_or("statement"));  // what was signed
    console.document(*reply);
    return 0;
  }
  console.message(fmt::format("`{}` approved by `{}` (ledger entry {})", id, approver.person,
                              reply->int_or("entry")));
  if (reply->bool_or("applied")) console.message("and done: it was waiting for this");
  print_next(console, *reply);
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

int print_rejection(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
    return 0;
  }
  console.message(
      fmt::format("`{}` rejected by `{}`", reply.string_or("id"), reply.string_or("rejected_by")));
  for (const auto& item : reply.find("next")->as_array()) {
    console.message(
        fmt::format("to ask again: {}  ({})", item.string_or("command"), item.string_or("why")));
  }
  return 0;
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
      return finish(console,
                    call_as(invocation, "approval.reject", std::move(request), *by, "person"),
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
