#include <CLI/CLI.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"

namespace heddle::cli {
namespace {

/// Signs `statement` as `ssh-keygen -Y sign` does, with the person's own key; the key never leaves that process.
Result<std::string> sign_statement(const std::string& statement, const std::string& key) {
  const char* tmp = std::getenv("TMPDIR");
  const std::string path = fmt::format("{}/heddle-approval-{}", tmp == nullptr ? "/tmp" : tmp, uuid7());
  HEDDLE_TRY(write_file_atomic(path, statement, 0600));
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execlp("ssh-keygen", "ssh-keygen", "-q", "-Y", "sign", "-f", key.c_str(), "-n", "heddle-approval", path.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) status = 1 << 8;
  ::unlink(path.c_str());
  auto signature = read_file(path + ".sig");
  ::unlink((path + ".sig").c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !signature.ok()) {
    return Error{ErrorKind::kInvalid, "approval-sign-failed", fmt::format("`ssh-keygen` could not sign with `{}`", key),
                 "give the private key of a person named in people.yaml with --key"};
  }
  return signature;
}

int print_release(const Console& console, const doc::Value& reply) {
  if (console.json()) {
    console.document(reply);
  } else if (reply.bool_or("applied")) {
    console.message(fmt::format("released `{}` as {} (ledger entry {})", reply.string_or("bundle").substr(0, 19),
                                reply.string_or("slot"), reply.int_or("entry")));
  } else {
    const auto id = reply.string_or("approval");
    console.message(fmt::format("waits for approval `{}` ({})", id, reply.string_or("reason")));
    console.message(fmt::format("next: heddle approve {} --person NAME --key FILE", id));
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
  auto as_person = std::make_shared<std::string>();
  promote->add_option("service", *service, "name of the service")->required();
  promote->add_option("--slot", *slot, "primary or standby")->check(CLI::IsMember({"primary", "standby"}));
  promote->add_option("--bundle", *bundle, "digest of the bundle; default: the newest candidate for the slot");
  promote->add_option("--requester", *as_person, "who asks, a name of people.yaml; default: the system's user");
  promote->callback([&invocation, service, slot, bundle, as_person] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "release.promote",
                        doc::Value::object(
                            {{"service", *service}, {"slot", *slot}, {"bundle", *bundle}, {"requester", *as_person}}));
      return reply.ok() ? print_release(console, *reply) : console.fail(reply.error());
    };
  });

  auto* rollback = release->add_subcommand("rollback", "go back to the release before");
  rollback->add_option("service", *service, "name of the service")->required();
  rollback->callback([&invocation, service] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "release.rollback", doc::Value::object({{"service", *service}}));
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
      std::vector<std::vector<std::string>> rows{{"ROUTE", "EVENT TIME", "ACTION", "PRIMARY", "STANDBY", "ENTRY"}};
      for (const auto& item : reply->find("releases")->as_array()) {
        rows.push_back({fmt::to_string(item.int_or("version")), item.string_or("event_time"), item.string_or("action"),
                        item.string_or("primary").substr(0, 19), item.string_or("standby").substr(0, 19),
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
      auto signature = sign_statement(shown->string_or("statement"), *key);
      if (!signature.ok()) return console.fail(signature.error());
      auto reply = call_operation(invocation, "approval.approve",
                        doc::Value::object({{"id", *id}, {"person", *person}, {"signature", *signature}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
      } else {
        console.message(fmt::format("`{}` approved by `{}` (ledger entry {})", *id, *person, reply->int_or("entry")));
        if (reply->bool_or("applied")) console.message("and done: it was waiting for this");
      }
      return 0;
    };
  });
  auto* reject = app.add_subcommand("reject", "say no to what was asked");
  reject->add_option("id", *id, "id of the approval")->required();
  reject->add_option("--person", *person, "your name in people.yaml")->required();
  reject->add_option("--reason", *reason, "why, one sentence")->required();
  reject->callback([&invocation, id, person, reason] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "approval.reject",
                        doc::Value::object({{"id", *id}, {"person", *person}, {"reason", *reason}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
      } else {
        console.message(fmt::format("`{}` rejected by `{}`", *id, *person));
      }
      return 0;
    };
  });
}

}  // namespace heddle::cli
