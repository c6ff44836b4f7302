#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>

#include "base/file.hpp"
#include "base/signature.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "control/home.hpp"
#include "ledger/verify.hpp"
#include "telemetry/access_log.hpp"

namespace heddle::cli {
namespace {

/// The published files as they lie there, before anything opens the project: to open it writes
/// damaged tiles again, and what was done to them would go unseen. The key is the project's own,
/// never the one beside the tiles.
Result<ledger::Audit> audit_as_found(const Invocation& invocation) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const control::Home home(root);
  const std::string tiles = home.dir() + "/tiles";
  if (path_exists(home.socket()) || !path_exists(tiles + "/checkpoint") ||
      !path_exists(home.ledger_key()))
    return ledger::Audit{};
  HEDDLE_ASSIGN_OR_RETURN(auto text, read_file(tiles + "/vkey"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  HEDDLE_ASSIGN_OR_RETURN(auto key, ledger::VerifierKey::parse(text));
  HEDDLE_ASSIGN_OR_RETURN(const auto own, Ed25519Key::load_or_create(home.ledger_key()));
  key.key = own.public_key;
  return ledger::verify({tiles, key, nullptr, nullptr});
}

/// The access logs against their roots in the ledger. Read here, not in the control plane: a long
/// log takes its time. Adds `access` and what is wrong to `reply`. Segments that are gone were
/// pruned; where an older one is still there, which pruning would have taken first, somebody
/// removed them. Ones that say something else are damage.
Result<void> audit_access(const Invocation& invocation, doc::Value& reply) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  HEDDLE_ASSIGN_OR_RETURN(const auto list,
                          call_operation(invocation, "access.list", doc::Value::object()));
  const control::Home home(root);
  std::int64_t verified = 0, rows = 0, pruned = 0, removed = 0;
  std::set<std::string> begun;  // services whose oldest segment was met
  for (const auto& segment : list.find("segments")->as_array()) {
    const auto folder = home.access(segment.string_or("service"));
    const auto number = static_cast<std::uint64_t>(segment.int_or("segment"));
    const auto found = telemetry::read_access(folder, number);
    if (!found.ok() && found.error().kind == ErrorKind::kNotFound) {
      ++(begun.contains(segment.string_or("service")) ? removed : pruned);
      continue;
    }
    begun.insert(segment.string_or("service"));
    if (found.ok() && found->root.str() == segment.string_or("root")) {
      ++verified;
      rows += found->rows;
      continue;
    }
    reply.set("audit", "failed");
    reply.find("findings")
        ->push(found.ok() ? fmt::format("access-segment-changed: `{}` has {} rows and is not what "
                                        "entry {} says: {} rows, root {}",
                                        telemetry::access_path(folder, number), found->rows,
                                        segment.int_or("entry"), segment.int_or("rows"),
                                        segment.string_or("root"))
                          : fmt::format("access-segment-changed: {}", found.error().message));
  }
  reply.set(
      "access",
      doc::Value::object(
          {{"verified", verified}, {"rows", rows}, {"pruned", pruned}, {"removed", removed}}));
  return {};
}

/// Who did it; with the name that was only claimed, where one was.
std::string who_of(const doc::Value& entry) {
  const auto* attributes = entry.find("attributes");
  const auto claimed = attributes == nullptr || !attributes->is_object()
                           ? std::string()
                           : attributes->string_or("claimed");
  const auto actor = entry.string_or("actor");
  return claimed.empty() || claimed == actor ? actor : fmt::format("{} as {}", actor, claimed);
}

/// What to do about files that are gone; nothing where `findings` are of another kind.
void hint_rebuild(const Console& console, const std::vector<std::string>& findings) {
  const bool gone = std::any_of(findings.begin(), findings.end(), [](const std::string& each) {
    return each.starts_with("ledger-tile") || each.starts_with("ledger-entries-missing") ||
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

}  // namespace

void add_ledger_commands(CLI::App& app, Invocation& invocation) {
  auto* audit = app.add_subcommand("audit", "the ledger: every decision, tamper-evident")
                    ->require_subcommand(1);

  auto rebuild = std::make_shared<bool>(false);
  auto* verify = audit->add_subcommand("verify", "recompute everything from the bytes and compare");
  verify->add_flag("--rebuild", *rebuild,
                   "first write what is missing again from the state, with an entry that says so");
  verify->callback([&invocation, rebuild] {
    invocation.run = [&invocation, rebuild](const Console& console) {
      if (*rebuild) {
        if (auto done = call_operation(invocation, "audit.rebuild", doc::Value::object());
            !done.ok())
          return console.fail(done.error());
      }
      const auto found = audit_as_found(invocation);
      if (!found.ok()) return console.fail(found.error());
      if (!found->ok()) {
        if (console.json()) {
          auto value = found->to_value();
          value.set("audit", "failed");
          console.document(value);
        } else {
          console.data(fmt::format("audit failed: {} entries, root {}", found->entries,
                                   found->root.str().substr(0, 19)));
          std::vector<std::string> said;
          for (const auto& finding : found->findings)
            said.push_back(fmt::format("{}: {}", finding.id, finding.message));
          for (const auto& finding : said) console.message(finding);
          hint_rebuild(console, said);
        }
        return error_kind_info(ErrorKind::kCorrupt).exit_code;
      }
      auto reply = call_operation(invocation, "audit.verify", doc::Value::object());
      if (!reply.ok()) return console.fail(reply.error());
      if (const auto access = audit_access(invocation, *reply); !access.ok())
        return console.fail(access.error());
      if (console.json()) {
        console.document(*reply);
      } else {
        console.data(fmt::format("audit {}: {} entries, root {}, anchored at {}",
                                 reply->string_or("audit"), reply->int_or("entries"),
                                 reply->string_or("root").substr(0, 19),
                                 reply->int_or("anchored")));
        if (const auto* access = reply->find("access");
            access->int_or("verified") + access->int_or("pruned") > 0) {
          console.data(
              fmt::format("access log: {} segments with {} rows are as they were recorded, {} "
                          "were pruned, {} removed by hand",
                          access->int_or("verified"), access->int_or("rows"),
                          access->int_or("pruned"), access->int_or("removed")));
        }
        std::vector<std::string> said;
        for (const auto& finding : reply->find("findings")->as_array())
          said.push_back(finding.as_string());
        for (const auto& finding : said) console.message(finding);
        hint_rebuild(console, said);
      }
      return reply->string_or("audit") == "ok" ? 0 : error_kind_info(ErrorKind::kCorrupt).exit_code;
    };
  });

  auto from = std::make_shared<std::int64_t>(0);
  auto* log = audit->add_subcommand("log", "entries of the ledger, oldest first");
  log->add_option("--from", *from, "first entry");
  log->callback([&invocation, from] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply =
          call_operation(invocation, "decision.list", doc::Value::object({{"from", *from}}));
      if (!reply.ok()) return console.fail(reply.error());
      if (console.json()) {
        console.document(*reply);
        return 0;
      }
      std::vector<std::vector<std::string>> rows{
          {"SEQ", "EVENT TIME", "WHO", "ACTION", "TARGET", "DECISION", "RULE", "WHY"}};
      for (const auto& item : reply->find("decisions")->as_array()) {
        rows.push_back({fmt::to_string(item.int_or("seq")), item.string_or("event_time"),
                        who_of(item), item.string_or("action"), item.string_or("target"),
                        item.string_or("decision"), item.string_or("rule"),
                        item.string_or("reason")});
      }
      console.data(format_rows(rows));
      return 0;
    };
  });

  auto seq = std::make_shared<std::int64_t>(0);
  auto* prove = audit->add_subcommand("prove", "inclusion proof of one entry (tlog-proof)");
  prove->add_option("seq", *seq, "number of the entry")->required();
  prove->callback([&invocation, seq] {
    invocation.run = [=, &invocation](const Console& console) {
      auto reply = call_operation(invocation, "audit.prove", doc::Value::object({{"seq", *seq}}));
      if (!reply.ok()) return console.fail(reply.error());
      console.document(*reply);
      return 0;
    };
  });
}

}  // namespace heddle::cli
