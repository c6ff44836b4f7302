#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/act_replies.hpp"
#include "control/comparison.hpp"
#include "control/service_rows.hpp"
#include "doc/schema.hpp"
#include "evaluate/evaluate.hpp"
#include "policy/approval.hpp"
#include "recover/incident.hpp"
#include "store/store.hpp"

namespace heddle::control {

// What operations answer that show one thing, or a list of it. Times are texts, ISO 8601 in UTC;
// empty: none.

struct TimelineItem {
  std::string at{};
  std::string what{};
  std::uint64_t entry = 0;
  std::string by{};
};
struct FailingItem {
  std::string action{};
  std::int64_t tries = 0;
  std::string again{};
  std::string error{};
};
struct IncidentReply {
  std::string id{};
  std::string service{};
  std::string state{};
  std::string waits_for{};
  std::string cause{};
  std::string reason{};
  std::string source{};
  std::string account{};
  std::string column{};
  std::string rule{};
  double ratio = 0;
  std::string ratio_name{};
  std::int64_t lag_hours = 0;
  std::string change_from{};
  std::string response{};
  std::string raised{};
  std::string opened{};
  std::string responded{};
  std::string closed{};
  std::string opened_by{};
  std::string acknowledged_by{};
  std::string closed_by{};
  std::int64_t rows_raised = 0;
  std::int64_t rows_confirmed = 0;
  std::int64_t rows_responded = 0;
  std::vector<TimelineItem> timeline{};
  std::vector<FailingItem> failing{};
  std::optional<std::string> line{};            ///< of a status: it in a line
  std::optional<std::string> page{};            ///< of `incident.show`, once it is written
  std::optional<doc::Value> proof{};            ///< likewise; null: there is none
  std::optional<std::vector<NextItem>> next{};  ///< of `incident.show`
  [[nodiscard]] static const doc::Schema<IncidentReply>& schema();
};
[[nodiscard]] IncidentReply incident_reply(const recover::Incident& incident,
                                           const std::string& service);

struct UnreadItem {
  std::string service{};
  std::string error{};
};
struct IncidentsReply {
  std::vector<IncidentReply> incidents{};
  std::vector<UnreadItem> unread{};
  [[nodiscard]] static const doc::Schema<IncidentsReply>& schema();
};

struct SignatureItem {
  std::string person{};
  std::string signature{};
};
struct ApprovalReply {
  std::string id{};
  std::string state{};
  std::string op_id{};
  std::string action{};
  std::string target{};
  std::string requester{};
  std::string claimed{};
  std::string asked_event_time{};
  std::string expires{};
  std::string reason{};
  std::string statement{};
  std::vector<policy::Named> evidence{};
  doc::Value binds{};
  std::string rejected_by{};
  std::string rejected_because{};
  std::string void_because{};
  std::vector<SignatureItem> signatures{};
  std::uint64_t entry = 0;
  std::vector<NextItem> next{};
  std::optional<std::string> line{};    ///< of a status: it in a line
  std::optional<std::string> unread{};  ///< evidence that is not there any more
  std::optional<evaluate::Evidence>
      evaluation{};  ///< `passed`, `metrics`, `base` and `gates` of it
  std::optional<std::vector<std::string>> drops_repairs{};
  std::optional<std::vector<std::string>> revives_repairs{};
  std::optional<Comparison> comparison{};
  [[nodiscard]] static const doc::Schema<ApprovalReply>& schema();
};
[[nodiscard]] ApprovalReply approval_reply(const policy::Approval& approval);
/// What can be done about an approval now.
[[nodiscard]] std::vector<NextItem> approval_next(const policy::Approval& approval);
/// What the evidence of an approval says, for who is to sign.
void show_evidence(store::Objects& objects, const policy::Approval& approval, ApprovalReply& reply);
struct ApprovalsReply {
  std::vector<ApprovalReply> approvals{};
  [[nodiscard]] static const doc::Schema<ApprovalsReply>& schema();
};

/// What the evidence `repairs.json` of a release says.
struct RepairsOfRelease {
  Digest of{};                       ///< the bundle that is replaced
  std::vector<std::string> drops{};  ///< its repairs that the new one does not have
  std::vector<std::string> revives{};
};
[[nodiscard]] const doc::Schema<RepairsOfRelease>& repairs_of_release_schema();

/// A version of the route table, as it is listed.
struct ReleaseItem {
  RouteRow route{};
  std::string event_time{};
  std::uint64_t entry = 0;
};
struct HistoryReply {
  std::string service{};
  std::vector<ReleaseItem> releases{};
  [[nodiscard]] static const doc::Schema<HistoryReply>& schema();
};

struct QuarantineItem {
  std::string service{};
  std::string source{};
  std::string account{};
  std::string rule{};
  std::uint32_t readmit_after = 0;
  std::string by{};
  std::string reason{};
};
struct QuarantinesReply {
  std::vector<QuarantineItem> sources{};
  std::vector<NextItem> next{};
  [[nodiscard]] static const doc::Schema<QuarantinesReply>& schema();
};

struct CompareReply {
  std::optional<ComparisonProgress> comparing{};  ///< then there is nothing else: ask again
  std::optional<Comparison> comparison{};
  [[nodiscard]] static const doc::Schema<CompareReply>& schema();
};

}  // namespace heddle::control
