#include <CLI/CLI.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/file.hpp"
#include "base/signature.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "control/act_replies.hpp"
#include "control/home.hpp"
#include "control/replies.hpp"
#include "ledger/verify.hpp"
#include "telemetry/access_log.hpp"

namespace heddle::cli {
namespace {

/// The published files and git's anchor as they lie there, before anything opens the project: to
/// open it writes damaged tiles again, and what was done to them would go unseen. The key is the
/// project's own, never the one beside the tiles, unless that is all there is.
struct AsFound {
  ledger::Audit audit;
  bool looked = false;
  bool own_key = true;
};
Result<AsFound> audit_as_found(const Invocation& invocation, const std::string& root) {
  const control::Home home(root);
  AsFound found;
  const std::string tiles = home.dir() + "/tiles";
  // A control plane that runs has the ledger open already and verifies it itself.
  if (path_exists(home.socket()) || !path_exists(tiles + "/checkpoint")) return found;
  HEDDLE_ASSIGN_OR_RETURN(auto text, read_file(tiles + "/vkey"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  auto parsed = ledger::VerifierKey::parse(text);
  if (!parsed.ok()) {
    return Error{
        ErrorKind::kCorrupt, parsed.error().id,
        fmt::format("`{}/vkey` is not the ledger's verifier key", tiles),
        "remove it and run `heddle status`: it is written again from the project's own key"};
  }
  ledger::VerifierKey& key = *parsed;
  found.own_key = path_exists(home.ledger_key());
  if (found.own_key) {
    HEDDLE_ASSIGN_OR_RETURN(const auto own, Ed25519Key::load_or_create(home.ledger_key()));
    key.key = own.public_key;
  }
  const auto git = invocation.wiring->open_git(root);
  // Without git there is no anchor to compare with; the files are verified all the same.
  HEDDLE_ASSIGN_OR_RETURN(found.audit,
                          ledger::verify({tiles, key, nullptr, git.ok() ? git->get() : nullptr}));
  found.looked = true;
  return found;
}

/// Nothing can be written there: a copy that was put aside, or one on a medium. Root may write
/// where the permissions say no; what they say counts.
bool is_read_only(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 &&
         ((info.st_mode & 0222) == 0 || (::access(path.c_str(), W_OK) != 0 && errno == EROFS) ||
          (::access(path.c_str(), W_OK) != 0 && errno == EACCES));
}

int say_as_found(const Console& console, const AsFound& found) {
  const auto& audit = found.audit;
  std::vector<std::string> said;
  for (const auto& finding : audit.findings)
    said.push_back(fmt::format("{}: {}", finding.id, finding.message));
  if (console.json()) {
    auto value = audit.to_value();
    value.set("audit", audit.ok() ? "ok" : "failed");
    value.set("state", "not looked at");
    value.set("key", found.own_key ? "the project's" : "beside the tiles");
    console.document(value);
  } else {
    console.data(fmt::format("audit {}: {} entries, root {}, {}", audit.ok() ? "ok" : "failed",
                             audit.entries, audit.root.str().substr(0, 19),
                             audit.anchored ? fmt::format("anchored at {}", *audit.anchored)
                                            : std::string("not anchored")));
    for (const auto& finding : said) console.message(finding);
  }
  return audit.ok() ? 0 : error_kind_info(ErrorKind::kCorrupt).exit_code;
}

/// A segment that gave no root: of another version, or damaged.
std::string of_unread(const Error& error) {
  if (error.kind == ErrorKind::kConflict)
    return fmt::format("{}: {}; {}", error.id, error.message, error.hint);
  return fmt::format("access-segment-changed: {}", error.message);
}

/// The access logs against their roots in the ledger. Read here, not in the control plane: a long
/// log takes its time. Adds what is wrong to `reply`, returns what was counted. Segments that are
/// gone were pruned where an `access.prune` says so, else somebody removed them. Ones that say
/// something else are damage.
Result<doc::Value> audit_access(const Invocation& invocation, control::AuditReply& reply) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  HEDDLE_ASSIGN_OR_RETURN(const auto list,
                          call_for<control::AccessReply>(invocation, "access.list"));
  const control::Home home(root);
  std::int64_t verified = 0, rows = 0, pruned = 0;
  std::map<std::string, std::vector<std::int64_t>> removed;  // by service
  for (const auto& segment : list.segments) {
    const auto folder = home.access(segment.service);
    const auto number = static_cast<std::uint64_t>(segment.segment);
    const auto found = telemetry::read_access(folder, number);
    if (!found.ok() && found.error().kind == ErrorKind::kNotFound) {
      if (segment.pruned)
        ++pruned;
      else
        removed[segment.service].push_back(segment.segment);
      continue;
    }
    // Rows are compared by their root alone: it is over every one of them.
    if (found.ok() && found->root.str() == segment.root) {
      ++verified;
      rows += found->rows;
      continue;
    }
    reply.audit = "failed";
    reply.findings.push_back(
        found.ok() ? fmt::format("access-segment-changed: `{}` has {} rows and is not what "
                                 "entry {} says: {} rows, root {}",
                                 telemetry::access_path(folder, number), found->rows, segment.entry,
                                 segment.rows, segment.root)
                   : of_unread(found.error()));
  }
  std::int64_t gone = 0;
  for (const auto& [service, segments] : removed) {
    gone += static_cast<std::int64_t>(segments.size());
    reply.audit = "failed";
    reply.findings.push_back(
        fmt::format("access-segment-missing: {} segments of the access log of `{}` are gone, "
                    "the first is {}, and no `access.prune` says that Heddle removed them",
                    segments.size(), service, segments.front()));
  }
  return doc::Value::object(
      {{"verified", verified}, {"rows", rows}, {"pruned", pruned}, {"removed", gone}});
}

/// Who did it; with the name that was only claimed, where one was.
std::string who_of(const control::DecisionItem& entry) {
  const auto claimed = entry.attributes.string_or("claimed");
  const auto& actor = entry.actor;
  return claimed.empty() || claimed == actor ? actor : fmt::format("{} as {}", actor, claimed);
}

/// What to do about files that are gone; nothing where `findings` are of another kind.
void hint_rebuild(const Console& console, const std::vector<std::string>& findings) {
  const bool back = std::any_of(findings.begin(), findings.end(), [](const std::string& each) {
    return each.starts_with("ledger-rolled-back") || each.starts_with("ledger-anchor");
  });
  if (back) {
    console.message(
        "hint: an older copy was put back, or git's anchor is gone: bring the newest one back. "
        "Where it is lost, a person says so: `heddle audit restore --reason TEXT --person NAME "
        "--key FILE`");
  }
  const bool gone = std::any_of(findings.begin(), findings.end(), [](const std::string& each) {
    return each.starts_with("ledger-journal-missing") || each.starts_with("ledger-tile") ||
           each.starts_with("ledger-entries-missing") ||
           each.starts_with("ledger-history-missing") ||
           each.starts_with("ledger-checkpoint-missing");
  });
  if (gone) {
    console.message(
        "hint: `heddle audit verify --rebuild` writes tiles and checkpoint again from the state "
        "and "
        "records that it did; a lost history does not come back");
  }
}

/// What `.heddle` holds where the ledger is not as it should be, or where nothing can be written.
int say_damaged(const Console& console, const AsFound& found) {
  const int code = say_as_found(console, found);
  std::vector<std::string> ids;
  for (const auto& finding : found.audit.findings) ids.push_back(finding.id);
  if (!console.json()) hint_rebuild(console, ids);
  return code;
}

void print_audit(const Console& console, const control::AuditReply& reply,
                 const doc::Value& access) {
  if (console.json()) {
    console.document(control::AuditReply::schema().print(reply).set("access", access));
    return;
  }
  console.data(fmt::format("audit {}: {} entries, root {}, anchored at {}", reply.audit,
                           reply.entries, reply.root.substr(0, 19), reply.anchored));
  if (access.int_or("verified") + access.int_or("pruned") > 0) {
    console.data(fmt::format(
        "access log: {} segments with {} rows are as they were recorded, {} were pruned, {} "
        "removed by hand",
        access.int_or("verified"), access.int_or("rows"), access.int_or("pruned"),
        access.int_or("removed")));
  }
  if (!reply.not_anchored.empty())
    console.message("warning: the newest checkpoint is not kept in git: " + reply.not_anchored);
  for (const auto& finding : reply.findings) console.message(finding);
  hint_rebuild(console, reply.findings);
}

/// The files are looked at before a control plane is asked: it would not open a ledger that is
/// damaged.
int run_verify(const Invocation& invocation, const Console& console, bool rebuild) {
  // First, or the look below would end at what this writes again.
  if (rebuild) {
    const auto done = call_for<control::RebuildReply>(invocation, "audit.rebuild");
    if (!done.ok()) return console.fail(done.error());
  }
  const auto root = find_project(invocation.project);
  if (!root.ok()) return console.fail(root.error());
  const auto found = audit_as_found(invocation, *root);
  if (!found.ok()) return console.fail(found.error());
  if (!found->audit.ok()) return say_damaged(console, *found);
  if (found->looked && is_read_only(control::Home(*root).dir())) {
    console.message(fmt::format(
        "nothing can be written here: the published files{} were verified{}, the state was not "
        "looked at",
        found->audit.anchored ? " and git's anchor" : "",
        found->own_key ? "" : " by the key beside them"));
    return say_as_found(console, *found);
  }
  auto reply = call_for<control::AuditReply>(invocation, "audit.verify");
  if (!reply.ok()) return console.fail(reply.error());
  const auto access = audit_access(invocation, *reply);
  if (!access.ok()) return console.fail(access.error());
  print_audit(console, *reply, *access);
  return reply->audit == "ok" ? 0 : error_kind_info(ErrorKind::kCorrupt).exit_code;
}

void add_verify(CLI::App& audit, Invocation& invocation) {
  auto rebuild = std::make_shared<bool>(false);
  auto* verify = audit.add_subcommand("verify", "recompute everything from the bytes and compare");
  verify->add_flag("--rebuild", *rebuild,
                   "first write what is missing again from the state, with an entry that says so");
  verify->callback([&invocation, rebuild] {
    invocation.run = [&invocation, rebuild](const Console& console) {
      return run_verify(invocation, console, *rebuild);
    };
  });
}

void print_restore(const Console& console, const control::RestoreReply& reply) {
  console.message(fmt::format("this state counts from now on (ledger entry {})", reply.entry));
}

void add_restore(CLI::App& audit, Invocation& invocation) {
  auto reason = std::make_shared<std::string>();
  auto* restore = audit.add_subcommand(
      "restore", "say that the older state that was put back counts; only a person does, signed");
  restore->add_option("--reason", *reason, "why, in one line")->required();
  restore->callback([&invocation, reason, by = add_asked_by(*restore, "--person")] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto reply = call_as<control::RestoreReply>(
          invocation, "audit.restore", doc::Value::object({{"reason", *reason}}), *by, "person");
      return show(console, reply, print_restore);
    };
  });
}

void add_log(CLI::App& audit, Invocation& invocation) {
  auto from = std::make_shared<std::int64_t>(0);
  auto* log = audit.add_subcommand("log", "entries of the ledger, oldest first");
  log->add_option("--from", *from, "first entry");
  log->callback([&invocation, from] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto reply = call_for<control::DecisionsReply>(invocation, "decision.list",
                                                           doc::Value::object({{"from", *from}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(control::DecisionsReply::schema().print(*reply));
        return 0;
      }
      std::vector<std::vector<std::string>> rows{
          {"SEQ", "EVENT TIME", "WHO", "ACTION", "TARGET", "DECISION", "RULE", "WHY"}};
      for (const auto& item : reply->decisions) {
        rows.push_back({fmt::to_string(item.seq), item.event_time, who_of(item), item.action,
                        item.target, item.decision, item.rule, item.reason});
      }
      console.data(format_rows(rows));
      return 0;
    };
  });
}

void add_prove(CLI::App& audit, Invocation& invocation) {
  auto seq = std::make_shared<std::int64_t>(0);
  auto* prove = audit.add_subcommand("prove", "inclusion proof of one entry (tlog-proof)");
  prove->add_option("seq", *seq, "number of the entry")->required();
  prove->callback([&invocation, seq] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto reply = call_for<control::ProofReply>(invocation, "audit.prove",
                                                       doc::Value::object({{"seq", *seq}}));
      if (!reply.ok()) return console.fail(reply.error());
      console.document(control::ProofReply::schema().print(*reply));
      return 0;
    };
  });
}

}  // namespace

void add_ledger_commands(CLI::App& app, Invocation& invocation) {
  auto* audit = app.add_subcommand("audit", "the ledger: every decision, tamper-evident")
                    ->require_subcommand(1);
  add_verify(*audit, invocation);
  add_restore(*audit, invocation);
  add_log(*audit, invocation);
  add_prove(*audit, invocation);
}

}  // namespace heddle::cli
