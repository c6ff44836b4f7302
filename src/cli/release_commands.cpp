#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>

#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/signing.hpp"
#include "doc/json.hpp"

namespace heddle::cli {
namespace {

/// What a person is about to sign, on stderr. The statement is the server's: it is read here, and no statement is signed that is
/// not about this approval.
Result<void> show_statement(const Console& console, const std::string& id, const std::string& text) {
  const auto statement = doc::parse_json(text);
  const bool known = statement.ok() && statement->string_or("format") == "heddle.approval/2" && statement->string_or("approval") == id &&
                     doc::to_canonical_json(*statement) == text;
  if (!known) {
    return Error{ErrorKind::kCorrupt, "approval-statement-malformed", fmt::format("what came back is no statement about `{}`", id),
                 "nothing was signed; see `heddle approval show`"};
  }
  std::vector<std::vector<std::string>> rows{{"you sign", id}};
  const auto put = [&](std::string name, std::string value) {
    if (!value.empty()) rows.push_back({"  " + std::move(name), std::move(value)});
  };
  put("action", statement->string_or("action"));
  put("target", statement->string_or("target"));
  put("slot", statement->string_or("slot"));
  if (const auto* subjects = statement->find("subjects"); subjects != nullptr && subjects->is_array()) {
    for (const auto& item : subjects->as_array()) put(item.string_or("name"), item.string_or("digest"));
  }
  if (const auto* binds = statement->find("binds"); binds != nullptr && binds->is_object()) {
    for (const auto& [name, value] : binds->as_object()) {
      put("as long as " + name, value.is_string() ? value.as_string().empty() ? "none" : value.as_string() : doc::to_json(value));
    }
  }
  put("evidence root", statement->string_or("evidence_root", ""));
  put("policy", statement->string_or("policy"));
  put("asked by", statement->string_or("requester"));
  put("in the name of", statement->string_or("claimed"));
  put("event time", statement->string_or("asked_event_time"));
  put("expires", statement->string_or("expires"));
  console.message(format_rows(rows));
  return {};
}

int print_release(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
  } else if (reply.bool_or("applied") && reply.string_or("bundle").empty()) {
    console.message(fmt::format("the {} is empty (ledger entry {})", reply.string_or("slot"), reply.int_or("entry")));
  } else if (reply.bool_or("applied")) {
    console.message(fmt::format("released `{}` as {} (ledger entry {})", reply.string_or("bundle").substr(0, 19),
                                reply.string_or("slot"), reply.int_or("entry")));
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
    return Error{ErrorKind::kInvalid, "weight-malformed", fmt::format("`{}` is no weight of a canary", text), "write a step of the service, as `5%`; 50% is the most"};
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
    console.data(fmt::format("no canary of `{}` runs{}", reply.string_or("service"), shadow.empty() ? "" : "; shadow " + shadow.substr(0, 19)));
    return 0;
  }
  std::string steps;
  for (const auto& step : reply.find("steps")->as_array()) steps += fmt::format("{}{:g}%", steps.empty() ? "" : ", ", step.as_double() / 100);
  console.data(fmt::format("canary {} answers {:g}% (steps {}), beside {}", reply.string_or("bundle").substr(0, 19),
                           static_cast<double>(reply.int_or("weight")) / 100, steps, reply.string_or("baseline").substr(0, 19)));
  const auto* cohorts = reply.find("cohorts");
  std::vector<std::vector<std::string>> rows{{"", "CANARY", "BASELINE", ""},
                                             {"rows", fmt::to_string(cohorts->int_or("canary_rows")), fmt::to_string(cohorts->int_or("baseline_rows")), ""}};
  for (const auto& measure : cohorts->find("measures")->as_array()) {
    const auto number = [&](const char* side) {
      const auto* value = measure.find(side);
      return value == nullptr || !value->is_number() ? std::string("-") : fmt::format("{:.4g}", value->as_double());
    };
    const bool known = measure.find("canary")->is_number() && measure.find("baseline")->is_number();
    rows.push_back({measure.string_or("name"), number("canary"), number("baseline"), known ? measure.string_or("verdict") : "not measured"});
  }
  console.data(format_rows(rows));
  const auto* judgement = reply.find("judgement");
  const bool judged = judgement != nullptr && judgement->is_object();
  console.data(judged ? fmt::format("judged {} (ledger entry {})", judgement->string_or("verdict"), judgement->int_or("entry")) : "not judged yet at this weight");
  for (const auto& reason : (judged ? judgement : cohorts)->find("reasons")->as_array()) console.data("  " + reason.as_string());
  for (const auto& item : reply.find("next")->as_array()) {
    console.message(fmt::format("next: {}  ({})", item.string_or("command"), item.string_or("why")));
  }
  return 0;
}

}  // namespace

void add_release_commands(CLI::App& app, Invocation& invocation) {
  auto* release = app.add_subcommand("release", "promote, roll back and list releases")->require_subcommand(1);

  auto* promote = release->add_subcommand("promote", "put a candidate into a slot of a service");
  auto service = std::make_shared<std::string>();
  auto slot = std::make_shared<std::string>("primary");
  auto bundle = std::make_shared<std::string>();
  auto again = std::make_shared<bool>(false);
  const auto add_again = [again](CLI::App* command) {
    command->add_flag("--again", *again, "also what a person rejected before; somebody else than you has to say yes");
  };
  promote->add_option("service", *service, "name of the service")->required();
  promote->add_option("--slot", *slot, "primary, standby, canary or shadow")->check(CLI::IsMember({"primary", "standby", "canary", "shadow"}));
  auto weight = std::make_shared<std::string>();
  promote->add_option("--weight", *weight, "of a canary, one of its steps, as `5%`; default: the first, of the one that runs the next");
  promote->add_option("--bundle", *bundle, "digest of the bundle; default: the newest candidate for the slot");
  add_again(promote);
  promote->callback([&invocation, service, slot, bundle, weight, again, by = add_asked_by(*promote)] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto share = weight_of(*weight);
      if (!share.ok()) return console.fail(share.error());
      auto request = doc::Value::object(
          {{"service", *service}, {"slot", *slot}, {"bundle", *bundle}, {"weight", *share}, {"again", *again}});
      auto reply = call_as(invocation, "release.promote", std::move(request), *by);
      return reply.ok() ? print_release(console, *reply) : console.fail(reply.error());
    };
  });

  auto* rollback = release->add_subcommand("rollback", "go back to the release before");
  rollback->add_option("service", *service, "name of the service")->required();
  add_again(rollback);
  rollback->callback([&invocation, service, again, by = add_asked_by(*rollback)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_as(invocation, "release.rollback", doc::Value::object({{"service", *service}, {"again", *again}}), *by);
      return reply.ok() ? print_release(console, *reply) : console.fail(reply.error());
    };
  });

  auto* canary = release->add_subcommand("canary", "the canary that runs: cohorts side by side, judgement, what next");
  canary->add_option("service", *service, "name of the service")->required();
  canary->callback([&invocation, service] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "release.canary", doc::Value::object({{"service", *service}}));
      return reply.ok() ? print_canary(console, *reply) : console.fail(reply.error());
    };
  });

  auto* abort = release->add_subcommand("abort", "end the canary: the primary answers everything");
  abort->add_option("service", *service, "name of the service")->required();
  add_again(abort);
  abort->callback([&invocation, service, again, by = add_asked_by(*abort)] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_as(invocation, "release.abort", doc::Value::object({{"service", *service}, {"again", *again}}), *by);
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json() || !reply->bool_or("applied")) return print_release(console, *reply);
      console.message(fmt::format("ended the canary `{}` (ledger entry {})", reply->string_or("bundle").substr(0, 19), reply->int_or("entry")));
      return 0;
    };
  });

  auto* shadow = release->add_subcommand("shadow", "score a bundle beside, without an answer of its own");
  auto clear = std::make_shared<bool>(false);
  shadow->add_option("service", *service, "name of the service")->required();
  auto* shadow_bundle = shadow->add_option("--bundle", *bundle, "digest of the bundle");
  shadow->add_flag("--clear", *clear, "take the shadow away")->excludes(shadow_bundle);
  add_again(shadow);
  shadow->callback([&invocation, service, bundle, clear, again, by = add_asked_by(*shadow)] {
    invocation.run = [=, &invocation](const Console& console) {
      if (bundle->empty() && !*clear) return console.fail({ErrorKind::kInvalid, "shadow-what", "name a bundle, or say `--clear`"});
      auto request = doc::Value::object({{"service", *service}, {"bundle", *bundle}, {"again", *again}});
      auto reply = call_as(invocation, "release.shadow", std::move(request), *by);
      return reply.ok() ? print_release(console, *reply) : console.fail(reply.error());
    };
  });

  auto* history = release->add_subcommand("history", "every release of a service");
  history->add_option("service", *service, "name of the service")->required();
  history->callback([&invocation, service] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "release.history", doc::Value::object({{"service", *service}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
        return 0;
      }
      std::vector<std::vector<std::string>> rows{{"ROUTE", "EVENT TIME", "ACTION", "PRIMARY", "STANDBY", "CANARY", "ENTRY"}};
      for (const auto& item : reply->find("releases")->as_array()) {
        rows.push_back({fmt::to_string(item.int_or("version")), item.string_or("event_time"), item.string_or("action"),
                        item.string_or("primary").substr(0, 19), item.string_or("standby").substr(0, 19),
                        item.string_or("canary").empty() ? "" : fmt::format("{} {:g}%", item.string_or("canary").substr(0, 19), static_cast<double>(item.int_or("weight")) / 100),
                        fmt::to_string(item.int_or("entry"))});
      }
      console.data(format_rows(rows));
      return 0;
    };
  });

  auto* approval = app.add_subcommand("approval", "what waits for a person's yes")->require_subcommand(1);
  auto* list = approval->add_subcommand("list", "approvals that were asked for");
  auto all = std::make_shared<bool>(false);
  list->add_flag("--all", *all, "also those that were answered or expired");
  list->callback([&invocation, all] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "approval.list", doc::Value::object({{"all", *all}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
        return 0;
      }
      std::vector<std::vector<std::string>> rows{{"ID", "STATE", "ACTION", "TARGET", "ASKED BY", "ASKED AT", "WHY"}};
      for (const auto& item : reply->find("approvals")->as_array()) {
        rows.push_back({item.string_or("id"), item.string_or("state"), item.string_or("action"), item.string_or("target"),
                        item.string_or("requester"), item.string_or("asked_event_time"), item.string_or("reason")});
      }
      console.data(rows.size() == 1 ? "nothing waits for approval" : format_rows(rows));
      return 0;
    };
  });
  auto id = std::make_shared<std::string>();
  auto* show = approval->add_subcommand("show", "one approval with the statement a person signs");
  show->add_option("id", *id, "id of the approval")->required();
  show->callback([&invocation, id] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "approval.show", doc::Value::object({{"id", *id}}));
      if (!reply.ok()) return console.fail(reply.error());
      console.document(*reply);
      return 0;
    };
  });

  auto person = std::make_shared<std::string>();
  auto key = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  auto* approve = app.add_subcommand("approve", "say yes as a person, with your SSH key");
  approve->add_option("id", *id, "id of the approval")->required();
  approve->add_option("--person", *person, "your name in people.yaml")->required();
  approve->add_option("--key", *key, "your private SSH key")->required();
  approve->callback([&invocation, id, person, key] {
    invocation.run = [=, &invocation](const Console& console) {
      auto shown = call_operation(invocation, "approval.show", doc::Value::object({{"id", *id}}));
      if (!shown.ok()) return console.fail(shown.error());
      // What waits no more is not signed: the answer says what became of it.
      Result<std::string> signature = std::string();
      if (shown->string_or("state") == "pending") {
        if (const auto seen = show_statement(console, *id, shown->string_or("statement")); !seen.ok()) return console.fail(seen.error());
        signature = sign_statement(shown->string_or("statement"), *key, "heddle-approval");
        if (!signature.ok()) return console.fail(signature.error());
      }
      auto reply = call_operation(invocation, "approval.approve",
                        doc::Value::object({{"id", *id}, {"person", *person}, {"signature", *signature}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
      } else {
        console.message(fmt::format("`{}` approved by `{}` (ledger entry {})", *id, *person, reply->int_or("entry")));
        if (reply->bool_or("applied")) console.message("and done: it was waiting for this");
        for (const auto& item : reply->find("next")->as_array()) {
          console.message(fmt::format("next: {}  ({})", item.string_or("command"), item.string_or("why")));
        }
      }
      return 0;
    };
  });
  auto* reject = app.add_subcommand("reject", "say no to what was asked");
  reject->add_option("id", *id, "id of the approval")->required();
  reject->add_option("--reason", *reason, "why, one sentence")->required();
  reject->callback([&invocation, id, reason, by = add_asked_by(*reject, "--person")] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_as(invocation, "approval.reject", doc::Value::object({{"id", *id}, {"reason", *reason}}), *by, "person");
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
      } else {
        console.message(fmt::format("`{}` rejected by `{}`", *id, reply->string_or("rejected_by")));
        for (const auto& item : reply->find("next")->as_array()) {
          console.message(fmt::format("to ask again: {}  ({})", item.string_or("command"), item.string_or("why")));
        }
      }
      return 0;
    };
  });
}

}  // namespace heddle::cli
