#include "control/audit.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "control/applied.hpp"
#include "doc/json.hpp"
#include "policy/request.hpp"
#include "policy/standing.hpp"
#include "release/release.hpp"

namespace heddle::control {
namespace {

/// One signature on record.
struct Signed {
  std::uint64_t entry = 0;
  std::string person;
  std::string commit;  ///< whose people.yaml counted; empty: none was applied
  std::string statement;
  std::string armored;
  bool is_yes = false;  ///< of an approval; else of a request
};

/// The commit that a first apply is about: nothing counted before it, and it speaks for itself.
std::string commit_of(const std::string& statement) {
  const auto value = doc::parse_json(statement);
  const auto* binds = value.ok() ? value->find("binds") : nullptr;
  return binds == nullptr ? "" : binds->string_or("commit");
}

class SignatureAudit {
 public:
  SignatureAudit(Control::Core& core, std::vector<ledger::Finding>& findings)
      : core_(core), findings_(findings) {}

  Result<void> run() {
    HEDDLE_TRY(core_.ledger->read(0, [&](const ledger::Entry& entry) {
      note(entry);
      // Who may apply is judged by what counted before.
      if (entry.action == kApplyAction && entry.result == "applied")
        applied_ = entry.attributes.string_or("commit");
      return true;
    }));
    for (const auto& each : signed_) HEDDLE_TRY(check(each));
    return {};
  }

 private:
  void note(const ledger::Entry& entry) {
    const auto text = [&](const char* name) { return entry.attributes.string_or(name); };
    // A yes and a request keep their proof under different names, in
    // different signature namespaces: one cannot pass for the other.
    const bool is_yes = entry.action == "approval.approve";
    const auto statement = text(is_yes ? "statement" : "request_statement");
    const auto armored = text(is_yes ? "signature" : "request_signature");
    if (!is_yes) return note_request(entry, statement, armored);
    if (statement.empty()) return;  // of before statements were recorded
    // The statement must be the one that the entry names by digest:
    // a valid signature over another statement is no yes to this.
    const auto named = std::pair<std::string, Digest>("statement", sha256(statement));
    if (std::find(entry.evidence.begin(), entry.evidence.end(), named) == entry.evidence.end())
      return report("approval-signature-invalid", entry.seq, entry.actor,
                    "the statement is not the one it names");
    signed_.push_back({entry.seq, entry.actor, applied_.empty() ? commit_of(statement) : applied_,
                       statement, armored, true});
  }

  /// What waited for a yes is signed where it was asked for, not again where it is carried out.
  void note_request(const ledger::Entry& entry, const std::string& statement,
                    const std::string& armored) {
    if (entry.attributes.string_or("proof") != "signature") return;
    if (!statement.empty()) {
      // By `op_id`, so that the entry that carries it out later is not reported as unsigned.
      asked_.insert(entry.op_id);
      const bool is_first = applied_.empty() && entry.action == kApplyAction;
      signed_.push_back({entry.seq, entry.actor,
                         is_first ? entry.attributes.string_or("commit") : applied_, statement,
                         armored, false});
    } else if (!asked_.contains(entry.op_id)) {
      report("request-signature-invalid", entry.seq, entry.actor, "there is no signature");
    }
  }

  void report(const char* id, std::uint64_t entry, const std::string& person,
              const std::string& why) {
    findings_.push_back({id, fmt::format("entry {}, signed by `{}`: {}", entry, person, why)});
  }

  Result<void> check(const Signed& each) {
    const char* id = each.is_yes ? "approval-signature-invalid" : "request-signature-invalid";
    const char* name_space = each.is_yes ? policy::kApprovalNamespace : policy::kRequestNamespace;
    const auto* people = people_of(each.commit);
    Result<void> good;
    if (people == nullptr) {
      // A copy without git's objects: that somebody signed it can be said, and not who.
      good = policy::check_signature(each.statement, each.armored, name_space);
    } else {
      const auto person = std::find_if(people->begin(), people->end(),
                                       [&](const auto& one) { return one.name == each.person; });
      if (person == people->end()) {
        report(id, each.entry, each.person,
               fmt::format("people.yaml of commit {} has nobody of that name",
                           each.commit.substr(0, 12)));
        return {};
      }
      good = policy::verify_signature(*person, each.statement, each.armored, name_space);
    }
    if (good.ok()) return {};
    // An error of I/O says nothing of the signature, and must not be a finding about a person.
    if (good.error().kind != ErrorKind::kDenied) return good.error();
    report(id, each.entry, each.person, good.error().message);
    return {};
  }

  /// Null where the repository does not have the commit.
  const std::vector<spec::Person>* people_of(const std::string& commit) {
    auto known = people_.find(commit);
    if (known == people_.end()) {
      std::optional<std::vector<spec::Person>> people;
      const bool is_there =
          core_.git != nullptr && !commit.empty() && core_.git->resolve(commit).ok();
      if (is_there) {
        if (auto loaded = spec::load_commit(*core_.git, core_.home.root(), commit); loaded.ok())
          people = std::move(loaded->project.people);
      }
      // Also a commit that is not there is kept: many signatures name the same one.
      known = people_.emplace(commit, std::move(people)).first;
    }
    return known->second ? &*known->second : nullptr;
  }

  Control::Core& core_;
  std::vector<ledger::Finding>& findings_;
  std::string applied_;  ///< the commit that counts at the entry that is read
  std::vector<Signed> signed_;
  std::set<std::string> asked_;  ///< op_ids of signed requests
  std::map<std::string, std::optional<std::vector<spec::Person>>> people_;  ///< by commit
};

/// Scopes that are stopped by the ledger, with the entry that did it.
Result<std::map<std::string, std::uint64_t>> stops_by_ledger(Control::Core& core) {
  constexpr std::string_view kService = "service/";
  std::map<std::string, std::uint64_t> stopped;
  HEDDLE_TRY(core.ledger->read(0, [&](const ledger::Entry& entry) {
    if (entry.result != "applied" || !entry.target.starts_with(kService)) return true;
    const std::string scope = entry.target.substr(kService.size());
    // The first entry of a stop that stands is its
    // cause; a stop of what is stopped changes nothing.
    if (entry.action == "service.stop") stopped.try_emplace(scope, entry.seq);
    // Who resumes everything resumes each service.
    if (entry.action == "service.resume" && scope == "*") stopped.clear();
    if (entry.action == "service.resume") stopped.erase(scope);
    return true;
  }));
  return stopped;
}

/// Scopes that are stopped by the state, and whether policy and releases both say so. Releases that
/// cannot be read say nothing, and are a finding.
Result<std::map<std::string, bool>> stops_by_state(Control::Core& core,
                                                   std::vector<ledger::Finding>& findings) {
  std::map<std::string, bool> standing;
  HEDDLE_TRY(core.state->read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto scopes, policy::stopped_scopes(txn));
    for (const auto& scope : scopes) standing[scope] = true;
    // The releases of a service say the same, and are what its route table follows from.
    return txn.scan("releases", "", [&](std::string_view name, std::string_view bytes) {
      const auto value = doc::parse_json(bytes);
      const auto releases = value.ok() ? release::Releases::from_value(*value)
                                       : Result<release::Releases>(value.error());
      if (!releases.ok()) {
        findings.push_back(
            {"releases-unreadable", fmt::format("what is released of `{}` cannot be read: {}", name,
                                                releases.error().message)});
        return true;
      }
      const bool is_stopped = releases->stopped();
      const auto at = standing.find(std::string(name));
      // Both must say it: a stop in one of the two alone is no stop that holds.
      if (at != standing.end()) at->second = is_stopped;
      if (at == standing.end() && is_stopped) standing[std::string(name)] = false;
      return true;
    });
  }));
  return standing;
}

/// Stops by the ledger against stops by the state.
Result<void> audit_stops(Control::Core& core, std::vector<ledger::Finding>& findings) {
  HEDDLE_ASSIGN_OR_RETURN(const auto stopped, stops_by_ledger(core));
  HEDDLE_ASSIGN_OR_RETURN(const auto standing, stops_by_state(core, findings));
  for (const auto& [scope, entry] : stopped) {
    const auto at = standing.find(scope);
    if (at != standing.end() && at->second) continue;
    findings.push_back({"stop-not-in-force",
                        fmt::format("entry {} stopped `{}`, no entry resumes it, and the state "
                                    "does not say that it is stopped",
                                    entry, scope)});
  }
  for (const auto& [scope, by_both] : standing) {
    if (stopped.contains(scope)) continue;
    findings.push_back(
        {"stop-not-decided",
         fmt::format("the state says that `{}` is stopped, and no entry does", scope)});
  }
  return {};
}

}  // namespace

Result<void> audit_decisions(Control::Core& core, std::vector<ledger::Finding>& findings) {
  HEDDLE_TRY(SignatureAudit(core, findings).run());
  HEDDLE_TRY(audit_stops(core, findings));
  HEDDLE_ASSIGN_OR_RETURN(const auto applied, applied_of(*core.state));
  const auto checked = check_applied(*core.state, applied);
  if (checked.ok()) return {};
  // Another kind of error means that it could not be checked, and is no finding.
  if (checked.error().kind != ErrorKind::kCorrupt) return checked.error();
  findings.push_back({checked.error().id, checked.error().message});
  return {};
}

}  // namespace heddle::control
