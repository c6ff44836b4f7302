#include "control/by_hand.hpp"

#include <algorithm>

#include "control/incidents.hpp"
#include "control/requester.hpp"

namespace heddle::control {
namespace {

using Kind = recover::ByHand::Kind;

constexpr std::size_t kLongestReason = 2'000;

std::string_view operation_of(Kind kind) {
  switch (kind) {
    case Kind::kOpen: return "incident.open";
    case Kind::kAcknowledge: return "incident.acknowledge";
    case Kind::kComment: return "incident.comment";
    case Kind::kClose: return "incident.close";
    case Kind::kQuarantine: return "quarantine.add";
    case Kind::kRelease: return "quarantine.release";
  }
  return "";
}

/// What moves a terminal's cursor or ends a line: C0, DEL, and C1 as UTF-8 has it.
bool has_control(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || is_c1) return true;
  }
  return false;
}

}  // namespace

Result<std::string> reason_of(const doc::Value& request) {
  const std::string text = request.string_or("reason");
  const bool is_blank = text.find_first_not_of(' ') == std::string::npos;
  if (!is_blank && text.size() <= kLongestReason && !has_control(text)) return text;
  return Error{ErrorKind::kInvalid, "reason-malformed",
               is_blank                       ? "no reason is given"
               : text.size() > kLongestReason ? fmt::format("the reason has {} bytes", text.size())
                                              : "the reason is more than one line of text",
               fmt::format("say why in one line of at most {} bytes: it stands in the ledger",
                           kLongestReason)};
}

Result<doc::Value> do_by_hand(Control::Core& core, Kind kind, const doc::Value& request,
                              const Caller& caller) {
  recover::ByHand what;
  what.kind = kind;
  HEDDLE_ASSIGN_OR_RETURN(what.text, reason_of(request));
  std::string name = request.string_or("service");
  const bool is_of_incident =
      kind == Kind::kAcknowledge || kind == Kind::kComment || kind == Kind::kClose;
  if (is_of_incident) {
    HEDDLE_ASSIGN_OR_RETURN(const auto found, incident_named(core, request.string_or("id")));
    name = found.service;
    what.incident = found.incident.id;
  } else {
    what.source = request.string_or("source");
    what.account = request.string_or("account");
    if (what.source.empty() && (kind != Kind::kOpen || !what.account.empty())) {
      return Error{ErrorKind::kInvalid, "request-member", "the request has no `source`",
                   "see docs/operations.md"};
    }
  }
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(name));
  HEDDLE_ASSIGN_OR_RETURN(const auto person,
                          proven_person(core, operation_of(kind), request, caller));
  return service->act_by_hand(what, person, request.bool_or("again"));
}

}  // namespace heddle::control
