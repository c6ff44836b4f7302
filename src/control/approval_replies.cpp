#include <fmt/format.h>

#include "bundle/bundle.hpp"
#include "control/compare.hpp"
#include "control/repairs.hpp"
#include "control/reply_forms.hpp"
#include "control/service_control.hpp"
#include "control/show_replies.hpp"
#include "doc/json.hpp"
#include "evaluate/evidence_format.hpp"
#include "recover/by_hand.hpp"

namespace heddle::control {
namespace {

/// The command that asks for what this approval was about; empty: nobody asks for it by hand.
std::string command_to_ask(const policy::Approval& approval) {
  const auto service = approval.binds.string_or("service");
  const auto bundle =
      approval.subjects.empty() ? std::string() : approval.subjects.front().digest.str();
  const auto& action = approval.action;
  if (action == "release.rollback") return "heddle release rollback " + service;
  if (action == "canary.abort") return "heddle release abort " + service;
  if (action == "shadow.clear") return fmt::format("heddle release shadow {} --clear", service);
  if (action == "shadow.set")
    return fmt::format("heddle release shadow {} --bundle {}", service, bundle);
  // A repair of an input is a bundle in the end: whoever asks for it again promotes that.
  if (action == "release.promote" || action == "transform.propose") {
    return fmt::format("heddle release promote {} --slot {} --bundle {}", service,
                       // Without a slot it is about the primary.
                       approval.slot.empty() ? "primary" : approval.slot, bundle);
  }
  if (action == "canary.start" || action == "canary.raise") {
    return fmt::format("heddle release promote {} --slot canary --bundle {}", service, bundle);
  }
  if (action == "source.quarantine" || action == "source.release") {
    const auto account = approval.binds.string_or("account");
    const auto source = approval.binds.string_or("source");
    // The same words as in the incident's page, so that somebody who has read that recognises it.
    if (action == "source.release") return recover::release_command(service, account, source);
    return fmt::format("heddle quarantine add {} {}{}{} --reason TEXT", service, source,
                       account.empty() ? "" : " --account ", account);
  }
  return action == "definition.apply" ? "heddle apply" : "";
}

/// Why a piece of evidence is not shown. The digest stands in the statement; what it is of is gone,
/// and who signs must know that.
std::string unread(const policy::Named& item, const Error& why) {
  return fmt::format("`{}` cannot be read: {}", item.name, why.message);
}

}  // namespace

std::vector<NextItem> approval_next(const policy::Approval& approval) {
  using Status = policy::Approval::Status;
  const auto ask = command_to_ask(approval);
  const bool is_apply = approval.action == "definition.apply";
  switch (approval.status) {
    case Status::kPending:
      return {{fmt::format("heddle approve {} --person NAME --key FILE", approval.id),
               "it waits for a person's yes"},
              {fmt::format("heddle reject {} --reason TEXT", approval.id), "or for a person's no"}};
    case Status::kApproved:
      // An apply is carried out when somebody asks for it again, and not by the yes itself.
      if (is_apply) return {{ask, "the yes is there: now it is done"}};
      return {};
    case Status::kRejected:
      if (is_apply) {
        // The act is named by its commit, and a no to it stands: another commit is another act.
        return {{"git commit --allow-empty && heddle apply",
                 "a rejection is of one commit: another one is asked for"}};
      }
      if (!ask.empty()) return {{ask + " --again", "ask again for what was rejected"}};
      return {};
    case Status::kVoid:
    case Status::kExpired: {
      if (ask.empty()) return {};
      // The no that it was asked in spite of stands still: nobody answered this one.
      const bool in_spite = approval.op_id.find(kAskedAgain) != std::string::npos;
      return {{ask + (in_spite ? " --again" : ""), "ask again, as it is now"}};
    }
    // It was carried out: there is nothing to do.
    case Status::kUsed: break;
  }
  return {};
}

ApprovalReply approval_reply(const policy::Approval& approval) {
  ApprovalReply out;
  out.id = approval.id;
  out.state = policy::status_name(approval.status);
  out.op_id = approval.op_id;
  out.action = approval.action;
  out.target = approval.target;
  out.requester = approval.requester;
  out.claimed = approval.claimed;
  out.asked_event_time = time_or_empty(approval.asked_event_time);
  out.expires = time_or_empty(approval.expires);
  out.reason = approval.reason;
  out.statement = approval.statement;
  out.evidence = approval.evidence;
  out.binds = approval.binds;
  out.rejected_by = approval.rejected_by;
  out.rejected_because = approval.rejected_because;
  out.void_because = approval.void_because;
  for (const auto& signature : approval.signatures)
    out.signatures.push_back({signature.person, signature.armored});
  out.entry = approval.entry;
  out.next = approval_next(approval);
  return out;
}

void show_evidence(store::Objects& objects, const policy::Approval& approval,
                   ApprovalReply& reply) {
  // By name of the evidence, a member of the reply.
  const auto read = [&](const policy::Named& item, const auto& schema, const auto& take) {
    const auto bytes = objects.get(item.digest);
    // What cannot be read does not keep the rest from
    // being shown; who signs is told what is missing.
    if (!bytes.ok()) return void(reply.unread = unread(item, bytes.error()));
    auto value = schema.parse_text(*bytes);
    if (!value.ok()) return void(reply.unread = unread(item, value.error()));
    take(*std::move(value));
  };
  for (const auto& item : approval.evidence) {
    if (item.name == bundle::kEvaluation) {
      read(item, evaluate::evidence_schema(),
           [&](evaluate::Evidence evidence) { reply.evaluation = std::move(evidence); });
    } else if (item.name == kRepairsEvidence) {
      read(item, repairs_of_release_schema(), [&](RepairsOfRelease repairs) {
        reply.drops_repairs = std::move(repairs.drops);
        reply.revives_repairs = std::move(repairs.revives);
      });
    } else if (item.name == kComparisonEvidence) {
      read(item, comparison_schema(),
           [&](Comparison comparison) { reply.comparison = std::move(comparison); });
    }
  }
}

}  // namespace heddle::control
