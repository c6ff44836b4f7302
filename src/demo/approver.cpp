#include "demo/approver.hpp"

#include <fmt/format.h>

#include "base/file.hpp"

namespace heddle::demo {
namespace {

constexpr Micros kForTransform = 2 * kDay;
constexpr Micros kForOthers = 4 * kHour;
constexpr const char* kNamespace = "heddle-approval";

Micros patience(const std::string& action) {
  return action.starts_with("transform.") ? kForTransform : kForOthers;
}

}  // namespace

Approver::Approver(const DemoProject& project, std::string binary, Session& session,
                   Storyteller& story)
    : project_(project), binary_(std::move(binary)), session_(session), story_(story) {}

Result<int> Approver::look(Micros now) {
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value reply,
                          session_.call("approval.list", doc::Value::object()));
  int answered = 0;
  for (const doc::Value& value : list_of(reply, "approvals")) {
    const std::string id = value.string_or("id");
    if (value.string_or("state") != "pending" || answered_.contains(id)) continue;
    const auto [at, fresh] = seen_.try_emplace(id);
    ApprovalAccount& approval = at->second;
    if (fresh) {
      approval.id = id;
      approval.action = value.string_or("action");
      approval.target = value.string_or("target");
      approval.reason = value.string_or("reason");
      approval.requester = value.string_or("requester");
      approval.state = "pending";
      approval.asked_at = time_of(value, "asked_event_time");
      story_.event(now, "waits", fmt::format("{} asks for a person: {}", id, approval.action),
                   approval.reason);
    }
    // A person takes time to answer. Outside the replay (`now` is 0) no event time passes, so the
    // answer is given at once.
    if (now != 0 && approval.asked_at != 0 && now < approval.asked_at + patience(approval.action))
      continue;
    HEDDLE_TRY(approve(approval, now));
    answered_.insert(id);
    ++answered;
  }
  return answered;
}

Result<void> Approver::approve(ApprovalAccount& approval, Micros now) {
  story_.event(
      now, "person",
      fmt::format("`{}` says yes: heddle approve {} --person {} --key {}", project_.person,
                  approval.id, project_.person, project_.key.substr(project_.key.rfind('/') + 1)));
  HEDDLE_TRY(must_run(
      {{binary_, "approve", approval.id, "--person", project_.person, "--key", project_.key},
       project_.root}));
  approval.person = project_.person;
  approval.state = "approved";
  approval.answered_at = now;
  approval.verified = verify(approval.id);
  story_.event(now, "person",
               approval.verified ? "ssh-keygen -Y verify: good signature"
                                 : "the signature could not be checked from outside");
  return {};
}

bool Approver::verify(const std::string& id) {
  const auto shown = session_.call("approval.show", doc::Value::object({{"id", id}}));
  if (!shown.ok()) return false;
  const std::string file = project_.state_dir() + "/approval.sig";
  bool any = false;
  for (const doc::Value& signature : list_of(*shown, "signatures")) {
    const std::string armored =
        signature.is_string() ? signature.as_string() : signature.string_or("signature");
    if (!write_file_atomic(file, armored, 0600).ok()) return false;
    ProcessOptions verify{{"ssh-keygen", "-Y", "verify", "-f", project_.signers, "-I",
                           project_.person, "-n", kNamespace, "-s", file}};
    // `ssh-keygen -Y verify` reads what was signed from its standard input.
    const auto finished = run_command(std::move(verify), shown->string_or("statement"));
    if (!finished.ok() || !finished->exit.ok()) return false;
    any = true;
  }
  // An approval without any signature is not proved, though none of them failed.
  return any;
}

Result<void> Approver::finish() {
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value reply,
                          session_.call("approval.list", doc::Value::object({{"all", true}})));
  for (const doc::Value& value : list_of(reply, "approvals")) {
    // What was never told to the reader stays out of the account.
    if (const auto at = seen_.find(value.string_or("id")); at != seen_.end())
      at->second.state = value.string_or("state");
  }
  return {};
}

}  // namespace heddle::demo
