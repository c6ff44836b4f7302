#include "control/by_hand.hpp"

#include <algorithm>

#include "control/incidents.hpp"
#include "control/requester.hpp"

namespace heddle::control {
namespace {

using Kind = recover::ByHand::Kind;

constexpr std::size_t kLongestReason = 2'000;

/// What moves a terminal's cursor or ends a line: C0, DEL, and C1 as UTF-8 has it.
bool has_control(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 is U+0080 to U+009F, in UTF-8 the byte 0xC2 and
    // one of 0x80 to 0x9F; 0xC2 0xA0 is a no-break space.
    const bool is_c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || is_c1) return true;
  }
  return false;
}

}  // namespace

Result<std::string> checked_reason(const std::string& text) {
  const bool is_blank = text.find_first_not_of(' ') == std::string::npos;
  if (!is_blank && text.size() <= kLongestReason && !has_control(text)) return text;
  return Error{ErrorKind::kInvalid, "reason-malformed",
               is_blank                       ? "no reason is given"
               : text.size() > kLongestReason ? fmt::format("the reason has {} bytes", text.size())
                                              : "the reason is more than one line of text",
               fmt::format("say why in one line of at most {} bytes: it stands in the ledger",
                           kLongestReason)};
}

namespace {

Result<ByHandReply> act(Control::Core& core, const std::string& name, const recover::ByHand& what,
                        bool again, const AskedBy& by, const Call& call) {
  HEDDLE_ASSIGN_OR_RETURN(auto* service, core.service(name));
  HEDDLE_ASSIGN_OR_RETURN(const auto person, proven_person(core, call, by));
  return service->act_by_hand(what, person, again);
}

}  // namespace

Result<ByHandReply> open_incident(Control::Core& core, const OpenIncidentRequest& request,
                                  const Call& call) {
  recover::ByHand what;
  what.kind = Kind::kOpen;
  what.source = request.source;
  what.account = request.account;
  HEDDLE_ASSIGN_OR_RETURN(what.text, checked_reason(request.reason));
  if (what.source.empty() && !what.account.empty()) {
    return Error{ErrorKind::kInvalid, "request-member",
                 "the request: `account` is there without `source`",
                 "an account's rows are named by their source"};
  }
  return act(core, request.service, what, request.again, request.by, call);
}

Result<ByHandReply> act_on_incident(Control::Core& core, Kind kind, const IncidentAct& request,
                                    const Call& call) {
  recover::ByHand what;
  what.kind = kind;
  HEDDLE_ASSIGN_OR_RETURN(what.text, checked_reason(request.reason));
  // By any unambiguous beginning; the act is recorded under the full id.
  HEDDLE_ASSIGN_OR_RETURN(const auto found, incident_named(core, request.id));
  what.incident = found.incident.id;
  return act(core, found.service, what, request.again, request.by, call);
}

Result<ByHandReply> act_on_source(Control::Core& core, Kind kind, const QuarantineAct& request,
                                  const Call& call) {
  recover::ByHand what;
  what.kind = kind;
  what.source = request.source;
  what.account = request.account;
  HEDDLE_ASSIGN_OR_RETURN(what.text, checked_reason(request.reason));
  return act(core, request.service, what, request.again, request.by, call);
}

}  // namespace heddle::control
