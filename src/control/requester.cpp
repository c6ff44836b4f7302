#include "control/requester.hpp"

#include <algorithm>

#include "policy/request.hpp"

namespace heddle::control {
namespace {

const std::string kOsUser = "os-user:";
const std::string kSudo = "sudo:";

constexpr const char* kNonces =
    "requests.used";  ///< collection: time and nonce of each signed request that was taken

const spec::Person* person_named(const spec::Project& project, std::string_view name) {
  for (const auto& person : project.people) {
    if (person.name == name) return &person;
  }
  return nullptr;
}

const spec::Person* person_of(const spec::Project& project, std::string_view os_user) {
  for (const auto& person : project.people) {
    if (std::find(person.os_users.begin(), person.os_users.end(), os_user) != person.os_users.end())
      return &person;
  }
  return nullptr;
}

std::string names_of(const spec::Project& project) {
  std::vector<std::string> names;
  for (const auto& person : project.people) names.push_back(person.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Error invalid_request(std::string message, std::string hint) {
  return {ErrorKind::kDenied, "request-signature-invalid", std::move(message), std::move(hint)};
}

/// Takes the nonce: a signed request serves once. Those past the window are forgotten, their time
/// refuses them.
Result<void> take_nonce(Control::Core& core, Micros at, const std::string& nonce, Micros now) {
  return core.state->write([&](store::Txn& txn) -> Result<void> {
    const auto key_of = [](Micros time) {
      return fmt::format("{:020}/", std::max<Micros>(time, 0));
    };
    // By time first: those that are past the window stand together at the beginning.
    const auto key = key_of(at) + nonce;
    HEDDLE_ASSIGN_OR_RETURN(const auto used, txn.get(kNonces, key));
    if (used)
      return invalid_request("this signed request was used", "sign it again: each serves once");
    std::vector<std::string> old;
    const auto oldest = key_of(now - policy::kRequestWindow);
    HEDDLE_TRY(txn.scan(kNonces, "", [&](std::string_view each, std::string_view) {
      // Keys are in order of time: the rest is within the window.
      if (each >= oldest) return false;
      old.emplace_back(each);
      return true;
    }));
    for (const auto& each : old) HEDDLE_TRY(txn.erase(kNonces, each));
    return txn.put(kNonces, key, "");
  });
}

Result<policy::Actor> signed_by(Control::Core& core, const Call& call, const SignedStatement& proof,
                                const spec::Person& person) {
  const auto& [text, armored] = proof;
  HEDDLE_ASSIGN_OR_RETURN(const auto statement, policy::signed_request_schema().parse_text(text));
  const Micros at = statement.at;
  const std::string& nonce = statement.nonce;
  const char* again = "let `heddle` sign it: `--key FILE`, the private key of that person";
  const policy::SignedRequest about{core.project.name, std::string(call.operation), person.name, at,
                                    nonce};
  // Written anew from the call: a signature for one request must not serve for another.
  if (policy::request_statement(about, call.request) != text) {
    return invalid_request(fmt::format("the signed statement is not about this `{}` of `{}`",
                                       call.operation, person.name),
                           again);
  }
  const Micros now = core.wiring.clock->wall();
  if (at < now - policy::kRequestWindow || at > now + policy::kRequestWindow) {
    return invalid_request(fmt::format("the request was signed at {}, it is {} now",
                                       format_time(at), format_time(now)),
                           "sign it again; a signed request is taken for ten minutes");
  }
  HEDDLE_TRY(policy::verify_signature(person, text, armored, policy::kRequestNamespace));
  // Only what verifies uses its nonce up: a stranger cannot use up somebody else's.
  HEDDLE_TRY(take_nonce(core, at, nonce, now));
  return policy::Actor{policy::ActorType::kPerson, person.name, {"signature", "", text, armored}};
}

Result<policy::Actor> identify(Control::Core& core, const Call& call, const AskedBy& by,
                               const char* unknown_id) {
  const auto& name = by.name;
  const auto& caller = call.caller;
  const auto* named = name.empty() ? nullptr : person_named(core.project, name);
  if (!name.empty() && named == nullptr) {
    return Error{ErrorKind::kDenied, unknown_id,
                 fmt::format("`{}` is no person of people.yaml", name.substr(0, 100)),
                 fmt::format("its people are: {}", names_of(core.project))};
  }
  if (by.proof) {
    if (named == nullptr)
      return invalid_request("a signed request names its person",
                             "say who signs with `--requester NAME` or `--person NAME`");
    return signed_by(core, call, *by.proof, *named);
  }
  // By a token over the network: an account is no person, and the name that it gives is a claim.
  if (!caller.owner)
    return policy::Actor{
        policy::ActorType::kSystem, "system:" + caller.account, {"token:" + caller.account, name}};
  // Who typed the command, not whoever root may be: else everybody with `sudo` is root's person.
  const auto& user = caller.sudo_user.empty() ? caller.os_user : caller.sudo_user;
  const auto* person = person_of(core.project, user);
  policy::Proof proof{(caller.sudo_user.empty() ? kOsUser : kSudo) + user, name};
  if (person == nullptr)
    return policy::Actor{policy::ActorType::kSystem, "system:" + user, std::move(proof)};
  // Who gives their own name claims nothing.
  if (proof.claimed == person->name) proof.claimed.clear();
  return policy::Actor{policy::ActorType::kPerson, person->name, std::move(proof)};
}

}  // namespace

Result<policy::Actor> requester(Control::Core& core, const Call& call, const AskedBy& by) {
  return identify(core, call, by, "requester-unknown");
}

Result<policy::Actor> proven_person(Control::Core& core, const Call& call, const AskedBy& by) {
  const char* unknown = call.operation == "resume"            ? "resume-not-a-person"
                        : call.operation == "approval.reject" ? "approval-unknown-person"
                                                              : "person-unknown";
  HEDDLE_ASSIGN_OR_RETURN(auto actor, identify(core, call, by, unknown));
  if (actor.type != policy::ActorType::kPerson) {
    const auto how = how_to_be_a_person(actor);
    return Error{ErrorKind::kDenied, "person-unproven",
                 fmt::format("`{}` needs a person, and `{}` is none", call.operation, actor.id),
                 how.empty() ? "sign the request: `--person NAME --key FILE`" : how};
  }
  if (!actor.proof.claimed.empty()) {
    return Error{
        ErrorKind::kDenied, "person-unproven",
        fmt::format("the user of the system that asks is `{}`, not `{}`", actor.id,
                    actor.proof.claimed),
        fmt::format("leave `--person` away to act as `{}`, or sign as `{}` with `--key FILE`",
                    actor.id, actor.proof.claimed)};
  }
  return actor;
}

std::string how_to_be_a_person(const policy::Actor& actor) {
  const auto& how = actor.proof.how;
  const bool is_user = how.starts_with(kOsUser) || how.starts_with(kSudo);
  if (actor.type != policy::ActorType::kSystem || !is_user) return {};
  std::string user = how.substr(how.find(':') + 1);
  // YAML reads a bare number as one.
  if (std::all_of(user.begin(), user.end(), [](char c) { return c >= '0' && c <= '9'; }))
    user = "\"" + user + "\"";
  const auto whose = actor.proof.claimed.empty()
                         ? std::string("your entry")
                         : fmt::format("the entry of `{}`", actor.proof.claimed);
  return fmt::format(
      "add `os_users: [{}]` to {} in people.yaml, commit and run `heddle apply`; or sign: name "
      "yourself and your SSH key "
      "with `--key FILE`",
      user, whose);
}

}  // namespace heddle::control
