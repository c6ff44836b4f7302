#include "policy/approval.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "ledger/tree.hpp"

extern char** environ;

namespace heddle::policy {
namespace {

doc::Value named_value(const std::vector<Named>& items) {
  auto list = doc::Value::array();
  for (const auto& item : items)
    list.push(doc::Value::object({{"name", item.name}, {"digest", item.digest.str()}}));
  return list;
}

Result<std::vector<Named>> named_from(const doc::Value* list) {
  std::vector<Named> items;
  if (list == nullptr || !list->is_array()) return items;
  for (const auto& item : list->as_array()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto digest, Digest::parse(item.string_or("digest")));
    items.push_back({item.string_or("name"), digest});
  }
  return items;
}

/// A folder for the files of one verification, gone with them afterwards.
class Scratch {
 public:
  [[nodiscard]] static Result<Scratch> open() {
    const char* base = std::getenv("TMPDIR");
    std::string path =
        std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/heddle-approval.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      return Error{ErrorKind::kIo, "file-io-failed",
                   fmt::format("cannot make `{}`: {}", path, std::strerror(errno)),
                   "see that TMPDIR (or /tmp) has room and is yours to write"};
    }
    return Scratch(std::move(path));
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (path_.empty()) return;
    for (const char* name : {"statement", "signature", "allowed_signers"})
      ::unlink((path_ + "/" + name).c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] std::string file(std::string_view name) const {
    return fmt::format("{}/{}", path_, name);
  }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Runs a program with `input` as its stdin and nothing to say; its exit code.
Result<int> run(const std::vector<std::string>& arguments, const std::string& input) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int code = ::posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (code != 0) {
    return Error{ErrorKind::kUnavailable, "ssh-keygen-missing",
                 fmt::format("cannot run `{}`: {}", arguments[0], std::strerror(code)),
                 "install the package openssh-client"};
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      return Error{ErrorKind::kInternal, "process-lost", "a child process was lost"};
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// A principal in allowed_signers is a pattern list: a name that could be read as one matches
/// nobody.
bool plain_name(std::string_view name) {
  return !name.empty() && name.find_first_of(" \t\r\n*?,!\"\\#") == std::string_view::npos;
}

}  // namespace

std::string_view status_name(Approval::Status status) noexcept {
  switch (status) {
    case Approval::Status::kPending: return "pending";
    case Approval::Status::kApproved: return "approved";
    case Approval::Status::kRejected: return "rejected";
    case Approval::Status::kUsed: return "used";
    case Approval::Status::kVoid: return "void";
    default: return "expired";
  }
}

Digest evidence_root(const std::vector<Named>& evidence) {
  if (evidence.empty()) return {};
  ledger::CompactRange range;
  for (const auto& item : evidence)
    range.append(ledger::leaf_hash(item.name + '\0' + item.digest.str()));
  return range.root();
}

void write_statement(Approval& approval, const std::string& nonce) {
  std::string rollback;
  for (const auto& subject : approval.subjects) {
    if (subject.name == "rollback") rollback = subject.digest.str();
  }
  const Digest root = evidence_root(approval.evidence);
  approval.statement = doc::to_canonical_json(doc::Value::object(
      {{"format", "heddle.approval/2"},
       {"approval", approval.id},
       {"op_id", approval.op_id},
       {"action", approval.action},
       {"target", approval.target},
       {"slot", approval.slot},
       {"subjects", named_value(approval.subjects)},
       {"rollback", rollback},
       {"binds", approval.binds.is_object() ? approval.binds : doc::Value::object()},
       {"policy", approval.policy.str()},
       {"evidence_root", root.empty() ? "" : root.str()},
       {"requester", approval.requester},
       {"claimed", approval.claimed},
       {"expires", format_time(approval.expires)},
       {"nonce", nonce},
       {"asked_event_time",
        approval.asked_event_time == 0 ? "" : format_time(approval.asked_event_time)}}));
}

bool says_statement(const Approval& approval) {
  const auto statement = doc::parse_json(approval.statement);
  if (!statement.ok()) return false;
  Approval again = approval;
  write_statement(again, statement->string_or("nonce"));
  return again.statement == approval.statement;
}

bool asked_by(const Approval& approval, std::string_view person) noexcept {
  return person == approval.requester || (!approval.claimed.empty() && person == approval.claimed);
}

doc::Value to_value(const Approval& approval) {
  auto needs = doc::Value::array();
  for (const auto& need : approval.needs) {
    needs.push(doc::Value::object({{"rule", need.rule},
                                   {"approvals", need.approvals},
                                   {"role", need.role},
                                   {"within", need.within}}));
  }
  auto signatures = doc::Value::array();
  for (const auto& signature : approval.signatures) {
    signatures.push(doc::Value::object(
        {{"person", signature.person}, {"armored", signature.armored}, {"t", signature.t}}));
  }
  return doc::Value::object({{"id", approval.id},
                             {"op_id", approval.op_id},
                             {"requester", approval.requester},
                             {"claimed", approval.claimed},
                             {"status", status_name(approval.status)},
                             {"statement", approval.statement},
                             {"action", approval.action},
                             {"target", approval.target},
                             {"slot", approval.slot},
                             {"subjects", named_value(approval.subjects)},
                             {"evidence", named_value(approval.evidence)},
                             {"binds", approval.binds},
                             {"policy", approval.policy.str()},
                             {"needs", std::move(needs)},
                             {"signatures", std::move(signatures)},
                             {"asked", approval.asked},
                             {"expires", approval.expires},
                             {"asked_event_time", approval.asked_event_time},
                             {"reason", approval.reason},
                             {"rejected_by", approval.rejected_by},
                             {"rejected_because", approval.rejected_because},
                             {"void_because", approval.void_because},
                             {"entry", approval.entry}});
}

Result<Approval> approval_from_value(const doc::Value& value) {
  Approval approval;
  approval.id = value.string_or("id");
  approval.op_id = value.string_or("op_id");
  approval.requester = value.string_or("requester");
  approval.claimed = value.string_or("claimed");
  const auto status = value.string_or("status");
  bool known = false;
  for (const auto each :
       {Approval::Status::kPending, Approval::Status::kApproved, Approval::Status::kRejected,
        Approval::Status::kUsed, Approval::Status::kExpired, Approval::Status::kVoid}) {
    if (status_name(each) != status) continue;
    approval.status = each;
    known = true;
  }
  if (!known || approval.id.empty()) {
    return Error{ErrorKind::kCorrupt, "approval-malformed", "a stored approval cannot be read"};
  }
  approval.statement = value.string_or("statement");
  approval.action = value.string_or("action");
  approval.target = value.string_or("target");
  approval.slot = value.string_or("slot");
  HEDDLE_ASSIGN_OR_RETURN(approval.subjects, named_from(value.find("subjects")));
  HEDDLE_ASSIGN_OR_RETURN(approval.evidence, named_from(value.find("evidence")));
  if (const auto* binds = value.find("binds")) approval.binds = *binds;
  HEDDLE_ASSIGN_OR_RETURN(approval.policy, Digest::parse(value.string_or("policy")));
  if (const auto* needs = value.find("needs"); needs != nullptr && needs->is_array()) {
    for (const auto& need : needs->as_array()) {
      approval.needs.push_back({need.string_or("rule"),
                                static_cast<int>(need.int_or("approvals", 1)),
                                need.string_or("role"), need.int_or("within")});
    }
  }
  if (const auto* signatures = value.find("signatures");
      signatures != nullptr && signatures->is_array()) {
    for (const auto& signature : signatures->as_array()) {
      approval.signatures.push_back(
          {signature.string_or("person"), signature.string_or("armored"), signature.int_or("t")});
    }
  }
  approval.asked = value.int_or("asked");
  approval.expires = value.int_or("expires");
  approval.asked_event_time = value.int_or("asked_event_time");
  approval.reason = value.string_or("reason");
  approval.rejected_by = value.string_or("rejected_by");
  approval.rejected_because = value.string_or("rejected_because");
  approval.void_because = value.string_or("void_because");
  approval.entry = static_cast<std::uint64_t>(value.int_or("entry"));
  return approval;
}

std::string allowed_signers(const std::vector<spec::Person>& people) {
  std::string text;
  for (const auto& person : people) {
    if (!plain_name(person.name)) continue;
    for (const auto& key : person.keys) {
      if (key.empty() || key.find_first_of("\r\n") != std::string::npos) continue;
      text += fmt::format("{} namespaces=\"{},{}\" {}\n", person.name, kApprovalNamespace,
                          kRequestNamespace, key);
    }
  }
  return text;
}

namespace {

/// `ssh-keygen -Y ACTION` over `statement`; `signers` is the text of an allowed_signers file, empty
/// where none is asked.
Result<bool> ask_ssh_keygen(std::vector<std::string> action, std::string_view statement,
                            std::string_view armored, const std::string& signers,
                            const char* name_space) {
  HEDDLE_ASSIGN_OR_RETURN(const auto scratch, Scratch::open());
  HEDDLE_TRY(write_file_atomic(scratch.file("statement"), statement, 0600));
  HEDDLE_TRY(write_file_atomic(scratch.file("signature"), armored, 0600));
  std::vector<std::string> words{"ssh-keygen", "-Y"};
  words.insert(words.end(), std::make_move_iterator(action.begin()),
               std::make_move_iterator(action.end()));
  if (!signers.empty()) {
    HEDDLE_TRY(write_file_atomic(scratch.file("allowed_signers"), signers, 0600));
    words.insert(words.end(), {"-f", scratch.file("allowed_signers")});
  }
  words.insert(words.end(), {"-n", name_space, "-s", scratch.file("signature")});
  HEDDLE_ASSIGN_OR_RETURN(const int code, run(words, scratch.file("statement")));
  if (code == 127) {
    return Error{ErrorKind::kUnavailable, "ssh-keygen-missing", "cannot run `ssh-keygen`",
                 "install the package openssh-client"};
  }
  return code == 0;
}

constexpr std::size_t kMostSignature = 16 << 10;

}  // namespace

Result<void> verify_signature(const spec::Person& person, std::string_view statement,
                              std::string_view armored, const char* name_space) {
  const auto signers = allowed_signers({person});
  if (signers.empty()) {
    return Error{ErrorKind::kDenied, "approval-signature-invalid",
                 fmt::format("`{}` has no key in people.yaml", person.name),
                 "add the person's SSH public key there and run `heddle apply`"};
  }
  if (armored.size() <= kMostSignature) {
    HEDDLE_ASSIGN_OR_RETURN(
        const bool good,
        ask_ssh_keygen({"verify", "-I", person.name}, statement, armored, signers, name_space));
    if (good) return {};
  }
  return Error{
      ErrorKind::kDenied, "approval-signature-invalid",
      fmt::format("that is no signature by `{}` over this statement", person.name),
      fmt::format("sign the statement with a key of people.yaml: `ssh-keygen -Y sign -n {} -f KEY`",
                  name_space)};
}

Result<void> check_signature(std::string_view statement, std::string_view armored,
                             const char* name_space) {
  if (armored.size() <= kMostSignature) {
    HEDDLE_ASSIGN_OR_RETURN(
        const bool good, ask_ssh_keygen({"check-novalidate"}, statement, armored, "", name_space));
    if (good) return {};
  }
  return Error{ErrorKind::kDenied, "approval-signature-invalid",
               "that is no signature over this statement", ""};
}

}  // namespace heddle::policy
