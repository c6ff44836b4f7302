#include "cli/signing.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <cstdlib>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/process.hpp"
#include "base/signature.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "control/applied.hpp"
#include "doc/yaml.hpp"
#include "policy/request.hpp"

namespace heddle::cli {
namespace {

/// The project's name, which a signed request names: as the one that answers has it, from what was
/// applied, before that from HEAD. The work tree may say anything.
Result<std::string> project_name(const std::string& root, const control::Wiring& wiring) {
  HEDDLE_ASSIGN_OR_RETURN(const auto git, wiring.open_git(root));
  const auto applied = control::read_applied(control::Home(root));
  if (!applied.ok() && applied.error().kind != ErrorKind::kNotFound) return applied.error();
  HEDDLE_ASSIGN_OR_RETURN(const auto text,
                          git->read(applied.ok() ? applied->commit : "HEAD", "heddle.yaml"));
  HEDDLE_ASSIGN_OR_RETURN(const auto project, doc::parse_yaml(text, "heddle.yaml"));
  return project.string_or("name");
}

}  // namespace

Result<std::string> sign_statement(const std::string& statement, const std::string& key,
                                   const char* name_space) {
  const char* tmp = std::getenv("TMPDIR");
  const std::string path =
      fmt::format("{}/heddle-approval-{}", tmp == nullptr ? "/tmp" : tmp, uuid7());
  HEDDLE_TRY(write_file_atomic(path, statement, 0600));
  ProcessOptions keygen;
  keygen.argv = {"ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", name_space, path};
  // A person at a terminal is told by ssh-keygen itself (to touch a key, for one); elsewhere stderr
  // is ours, and may have to be JSON.
  if (::isatty(STDERR_FILENO) == 0) keygen.err = StandardStream::capture();
  const auto finished = run_process(std::move(keygen));
  // Both files go, whatever came of it; the signature is written beside the statement.
  ::unlink(path.c_str());
  auto signature = read_file(path + ".sig");
  ::unlink((path + ".sig").c_str());
  if (!finished.ok() || !finished->exit.ok() || !signature.ok()) {
    const std::string said = finished.ok() ? finished->err : finished.error().message;
    const auto why = said.substr(0, said.find_first_of("\r\n"));
    return Error{
        ErrorKind::kInvalid, "approval-sign-failed",
        fmt::format("`ssh-keygen` could not sign with `{}`{}{}", key, why.empty() ? "" : ": ", why),
        "give the private key of a person named in people.yaml with --key"};
  }
  return signature;
}

std::shared_ptr<AskedBy> add_asked_by(CLI::App& command, const char* option) {
  auto by = std::make_shared<AskedBy>();
  auto* name = command.add_option(
      option, by->name,
      "your name in people.yaml; default: the person whose `os_users` has the user of the system");
  command.add_option("--key", by->key, "your private SSH key: the request is signed with it")
      ->needs(name);
  return by;
}

Result<doc::Value> asked_as(const Invocation& invocation, std::string_view operation,
                            doc::Value request, const AskedBy& by, const char* member) {
  if (!by.name.empty()) request.set(member, by.name);
  if (!by.key.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
    HEDDLE_ASSIGN_OR_RETURN(const auto project, project_name(root, *invocation.wiring));
    // The time and the random text make each statement one of its kind.
    const policy::SignedRequest about{project, std::string(operation), by.name,
                                      invocation.wiring->clock->wall(),
                                      hex_encode(random_bytes(16))};
    const auto statement = policy::request_statement(about, request);
    HEDDLE_ASSIGN_OR_RETURN(const auto signature,
                            sign_statement(statement, by.key, "heddle-request"));
    request.set("signed", doc::Value::object({{"statement", statement}, {"signature", signature}}));
  }
  return request;
}

void print_waiting(const Console& console, const std::string& approval, const std::string& reason) {
  console.message(fmt::format("waits for approval `{}` ({})", approval, reason));
  console.message(fmt::format("next: heddle approve {} --person NAME --key FILE", approval));
}

}  // namespace heddle::cli
