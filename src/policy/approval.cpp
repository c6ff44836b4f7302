#include "policy/approval.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.hpp"
#include "base/process.hpp"
#include "ledger/tree.hpp"
#include "policy/statement.hpp"

namespace heddle::policy {
namespace {

/// A folder for the files of one verification, gone with them afterwards.
class Scratch {
 public:
  [[nodiscard]] static Result<Scratch> open() {
    const char* base = std::getenv("TMPDIR");
    std::string path =
        std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/heddle-approval.XXXXXX";
    // A folder that only this user can enter: nobody can put another signature in the place of the
    // one that is verified.
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

/// Runs `ssh-keygen` with the file `input` as its stdin; its exit code.
Result<int> run(std::vector<std::string> arguments, const std::string& input) {
  // What it prints is in the words of its version; its exit code is the answer.
  auto finished = run_process({.argv = std::move(arguments),
                               .in = StandardStream::read(input),
                               .out = StandardStream::null(),
                               .err = StandardStream::null()});
  if (finished.ok()) return finished->exit.status();
  Error error = finished.error();
  error.id = "ssh-keygen-missing";
  error.hint = "install the package openssh-client";
  return error;
}

/// A principal in allowed_signers is a pattern list: a name that could be read as one matches
/// nobody.
bool plain_name(std::string_view name) {
  return !name.empty() && name.find_first_of(" \t\r\n*?,!\"\\#") == std::string_view::npos;
}

}  // namespace

namespace {

using Status = Approval::Status;

const std::vector<std::pair<std::string, Status>>& statuses() {
  static const std::vector<std::pair<std::string, Status>> names = {
      {"pending", Status::kPending},   {"approved", Status::kApproved},
      {"rejected", Status::kRejected}, {"used", Status::kUsed},
      {"expired", Status::kExpired},   {"void", Status::kVoid}};
  return names;
}

const doc::Schema<Named>& named_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Named>::record("the digest", "a named digest");
    t.text("name", &Named::name, "what it is");
    t.digest("digest", &Named::digest, "its digest").filled();
    return t;
  }();
  return schema;
}

const doc::Schema<Need>& need_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Need>::record("the need", "what a rule asks for");
    t.text("rule", &Need::rule, "the rule's id");
    t.integer("approvals", &Need::approvals, "how many persons", 1);
    t.text("role", &Need::role, "of which role; empty: any person");
    t.integer("within", &Need::within, "wall time until the request expires, microseconds");
    return t;
  }();
  return schema;
}

const doc::Schema<Signature>& signature_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Signature>::record("the signature", "a person's yes");
    t.text("person", &Signature::person, "a name of people.yaml").filled();
    t.text("armored", &Signature::armored, "the SSH signature over `statement`");
    t.micros("t", &Signature::t, "wall time, microseconds");
    return t;
  }();
  return schema;
}

}  // namespace

std::string_view status_name(Approval::Status status) noexcept {
  for (const auto& [name, each] : statuses()) {
    if (each == status) return name;
  }
  return {};
}

const doc::Schema<Approval>& approval_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Approval>::record("the stored approval",
                                           "a request for a person's yes, and what became of it");
    t.refused_as(ErrorKind::kCorrupt, "approval-malformed",
                 "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
                 "backup");
    t.text("id", &Approval::id, "`approval-0001`").filled();
    t.text("op_id", &Approval::op_id, "the act it was asked for");
    t.text("requester", &Approval::requester, "who asked, proven");
    t.text("claimed", &Approval::claimed, "the name that was given, when it is another");
    t.choice("status", &Approval::status, statuses(), "what became of it");
    t.text("statement", &Approval::statement, "what is signed, byte for byte");
    t.text("action", &Approval::action, "as in the statement");
    t.text("target", &Approval::target, "as in the statement");
    t.text("slot", &Approval::slot, "as in the statement");
    t.objects("subjects", &Approval::subjects, named_schema(), "what it is about");
    t.objects("evidence", &Approval::evidence, named_schema(), "what was shown");
    t.value("binds", &Approval::binds, doc::Shape::kAny,
            "an object: what it was asked against; null: nothing");
    t.digest("policy", &Approval::policy, "of the rules it was asked under").filled();
    t.objects("needs", &Approval::needs, need_schema(), "whose yes is needed");
    t.objects("signatures", &Approval::signatures, signature_schema(), "whose yes is there");
    t.micros("asked", &Approval::asked, "wall time, microseconds");
    t.micros("expires", &Approval::expires, "wall time, microseconds");
    t.micros("asked_event_time", &Approval::asked_event_time, "microseconds; 0: not about traffic");
    t.text("reason", &Approval::reason, "of the proposal, for people");
    t.text("rejected_by", &Approval::rejected_by, "who said no; empty: nobody");
    t.text("rejected_because", &Approval::rejected_because, "why");
    t.text("void_because", &Approval::void_because, "what of the statement is not so any more");
    t.integer("entry", &Approval::entry, "ledger entry that records the request");
    t.finally([](Approval& into, const doc::Value&, doc::Reader& reader) {
      if (!into.binds.is_null() && !into.binds.is_object())
        reader.refuse("binds", "must be an object or null");
    });
    return t;
  }();
  return schema;
}

Digest evidence_root(const std::vector<Named>& evidence) {
  // The root of an empty tree is a digest like any other; none at all says that nothing was shown.
  if (evidence.empty()) return {};
  ledger::CompactRange range;
  for (const auto& item : evidence)
    range.append(ledger::leaf_hash(item.name + '\0' + item.digest.str()));
  return range.root();
}

void write_statement(Approval& approval, const std::string& nonce) {
  std::string rollback;
  for (const auto& subject : approval.subjects) {
    // Beside the list as a member of its own: who signs should see where it goes back to.
    if (subject.name == "rollback") rollback = subject.digest.str();
  }
  Statement out;
  out.approval = approval.id;
  out.op_id = approval.op_id;
  out.action = approval.action;
  out.target = approval.target;
  out.slot = approval.slot;
  out.subjects = approval.subjects;
  out.rollback = std::move(rollback);
  out.binds = approval.binds.is_object() ? approval.binds : doc::Value::object();
  out.policy = approval.policy;
  out.evidence_root = evidence_root(approval.evidence);
  out.requester = approval.requester;
  out.claimed = approval.claimed;
  out.expires = approval.expires;
  out.nonce = nonce;
  if (approval.asked_event_time != 0) out.asked_event_time = format_time(approval.asked_event_time);
  approval.statement = statement_text(out);
}

bool says_statement(const Approval& approval) {
  const auto statement = parse_statement(approval.statement);
  if (!statement.ok()) return false;
  // Written anew from what is stored beside it: a member that was changed in the state is not the
  // signed one any more.
  Approval again = approval;
  write_statement(again, statement->nonce);
  return again.statement == approval.statement;
}

bool asked_by(const Approval& approval, std::string_view person) noexcept {
  return person == approval.requester || (!approval.claimed.empty() && person == approval.claimed);
}

std::string allowed_signers(const std::vector<spec::Person>& people) {
  std::string text;
  for (const auto& person : people) {
    // `heddle check` refuses such names. A line of theirs could make another person's key count.
    if (!plain_name(person.name)) continue;
    for (const auto& key : person.keys) {
      // A line break in a key would be a second line, of anybody's choice.
      if (key.empty() || key.find_first_of("\r\n") != std::string::npos) continue;
      // A signature that somebody made for git or a file is of another namespace and counts for
      // nothing here.
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
  HEDDLE_ASSIGN_OR_RETURN(const int code, run(std::move(words), scratch.file("statement")));
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
