#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "draft/draft.hpp"
#include "draft/windows.hpp"
#include "statistic/statistic.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;
using stats::TaskKind;

constexpr std::size_t kMostWatched = 30;

std::string duration(Micros time) {
  if (time % kDay == 0) return fmt::format("{}d", time / kDay);
  return fmt::format("{}h", time / kHour);
}

std::string distributions(const Decisions& decisions, const Windows& windows) {
  std::vector<const Column*> columns;
  std::string left;
  for (const Column& column : decisions.columns) {
    if (column.is_label || !column.in_contract || !column.left_out.empty() || column.is_time_field)
      continue;
    if (const std::string why = windows.against(column); !why.empty())
      left += fmt::format("  # not `{}`: {}\n", comment(column.name()), comment(why));
    else
      columns.push_back(&column);
  }
  // Only so many are watched: those that say most of the target.
  std::stable_sort(columns.begin(), columns.end(), [](const Column* a, const Column* b) {
    return a->association.explained > b->association.explained;
  });
  if (columns.size() > kMostWatched) {
    left += fmt::format("  # not {} more, which say less of the target\n",
                        columns.size() - kMostWatched);
    columns.resize(kMostWatched);
  }
  std::string out;
  for (const Column* column : columns)
    out += fmt::format("  - {{name: {}, column: {}, kind: {}, floor: 0.1, sds: 3}}\n",
                       quoted(column->name()), quoted(column->name()),
                       statistic::reading(column->reading.type).front()->name());
  const auto type =
      decisions.task == TaskKind::kClasses ? expr::Type::kString : expr::Type::kDouble;
  // A field may have the name; of two metrics of one name an alert could not say which.
  std::string name = "prediction";
  while (decisions.profile->find(name) != nullptr) name += "_of_the_model";
  out += fmt::format("  - {{name: {}, column: prediction, kind: {}, floor: 0.3, sds: 3}}\n", name,
                     statistic::reading(type).front()->name());
  return out + left;
}

}  // namespace

std::string draft_monitor(const Decisions& decisions, const Names& names) {
  const Windows windows(decisions);
  std::string out = fmt::format(
      "# What is watched of the traffic, against the rows of the training.\napiVersion: heddle/v1\n"
      "kind: Monitor\nname: {}\nservice: {}\n",
      names.model, names.model);
  out += fmt::format("window: {}  # {}\nwindow_rows: {}\n", duration(windows.duration()),
                     comment(windows.reason()), windows.rows());
  // Longer than a chunk and the delay of its labels together, as the monitor's check asks.
  out += fmt::format(
      "label_delay: 1d  # yours to say: how long after its row a true value is known\n"
      "label_retention: {}\n",
      duration(windows.duration() + 8 * kDay));
  out += "distributions:\n" + distributions(decisions, windows);
  out += fmt::format(
      "quality:\n  chunk_duration: {}\n  chunk_rows: {}\n  alert_twice: 1.0  # no better than one "
      "answer for all rows\n  alert_once: 1.15\n  sds: 3\n  prior_shift: 0.5\n"
      "  prior_shift_chunks: 7\n",
      duration(windows.duration()), windows.chunk_rows());
  out += "refused_share: 0.02\nrefused_rows: 50\ncool_down: 1d\n";
  return out;
}

std::string draft_service(const Names& names, const Project& project) {
  return fmt::format(
      "# Answers requests. It begins at `observe`: agents say what they would do, and nobody acts "
      "but people.\napiVersion: heddle/v1\nkind: Service\nname: {0}\nmodel: {0}\nmonitor: {0}\n"
      "host: 127.0.0.1\nport: {1}\ngrpc_port: {2}\nautonomy: observe\n",
      names.model, project.port, project.grpc_port);
}

std::string draft_people(const Project& project) {
  const Person& person = project.person;
  std::string out =
      "# Who may approve, and which programs may call.\napiVersion: heddle/v1\nkind: People\n"
      "people:\n";
  out += fmt::format("  - name: {}\n    roles: [ml-engineer, approver]\n", quoted(person.name));
  if (person.keys.empty()) {
    out +=
        "    # No SSH key was found. To approve what agents ask, make one (`ssh-keygen -t "
        "ed25519`) and add\n    # keys: [\"ssh-ed25519 AAAA...\"]\n";
  } else {
    out += fmt::format("    keys:  # {}\n", comment(person.key_source));
    for (const auto& key : person.keys) out += fmt::format("      - {}\n", quoted(key));
  }
  out +=
      fmt::format("    os_users: [{}]  # commands of this user of the system are this person's\n",
                  quoted(person.os_user));
  out +=
      "service_accounts:\n"
      "  - name: caller  # its token is the file .heddle/tokens/caller, once `heddle up` ran\n"
      "    permissions: [predict, label]\n"
      "  - name: reader\n    permissions: [read]\n";
  return out;
}

std::string draft_policy(const Project& project) {
  return fmt::format(R"(# Who may do what. What no rule names is denied.
apiVersion: heddle/v1
kind: Policy
name: default
rules:
  - id: people-start-runs
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: [run.start, definition.apply, score.batch]
  # One person so far: nobody else could sign what {0} asks for. With a second one, change the
  # effect to `require_approval` and add `needs: {{approvals: 1, role: approver, within: 7d}}`.
  - id: a-person-promotes
    effect: allow
    who: "role:ml-engineer"
    action: [release.promote, canary.start]
  - id: what-an-agent-promotes-is-signed
    effect: require_approval
    who: ["agent:*", "system:*"]
    action: [release.promote, canary.start]
    needs: {{approvals: 1, role: approver, within: 7d}}
  - id: what-answers-is-committed
    effect: deny
    who: "*"
    action: [release.promote, canary.start]
    when: attributes.slot != "standby" && attributes.dirty
    description: what answers was built from a commit that anybody can look up
  - id: people-act
    effect: allow
    who: "role:ml-engineer"
    action: ["slot.swap", release.rollback, "source.*", "incident.*", "service.*", "label.*",
             "rows.*", "canary.*", "shadow.*"]
  - id: agents-ask
    effect: require_approval
    who: "agent:*"
    action: ["slot.swap", "source.*", release.recalibrate, release.rollback, transform.propose,
             retrain.start]
    needs: {{approvals: 1, role: approver, within: 7d}}
  - id: agents-withdraw-and-keep-records
    effect: allow
    who: ["agent:*", "system:*"]
    action: [transform.withdraw, recalibration.withdraw, "incident.*", "postmortem.*", "alert.*"]
budgets:
  - {{id: swaps-a-day, action: slot.swap, limit: 4, window: 1d}}
  - {{id: retrains-a-week, action: retrain.start, limit: 2, window: 7d}}
failover:
  allowed: true
)",
                     comment(project.person.name));
}

}  // namespace heddle::draft
