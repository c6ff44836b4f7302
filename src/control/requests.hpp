#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "control/control.hpp"
#include "doc/schema.hpp"

namespace heddle::control {

/// What operations are asked with, each with its schema: the operation's row parses it, so that a
/// member which is unknown, missing or of another type is refused before anything is done
/// (docs/operations.md).

/// What a person signed to ask (policy/request.hpp).
struct SignedStatement {
  std::string statement;
  std::string signature;
};

/// Who asks, as the request says. `name` is its member `requester`, or `person` where only a person
/// may do it.
struct AskedBy {
  std::string name;
  std::optional<SignedStatement> proof{};
};

/// One call while it is answered: what was sent, as it is signed, and from where.
struct Call {
  std::string_view operation;
  const doc::Value& request;
  const Caller& caller;
};

struct NoRequest {
  [[nodiscard]] static const doc::Schema<NoRequest>& schema();
};
struct OfService {
  std::string service;
  [[nodiscard]] static const doc::Schema<OfService>& schema();
};
struct ById {
  std::string id;
  [[nodiscard]] static const doc::Schema<ById>& schema();
};
struct ApprovalsRequest {
  bool all = false;
  [[nodiscard]] static const doc::Schema<ApprovalsRequest>& schema();
};
struct ApproveRequest {
  std::string id;
  std::string person;
  std::string signature;
  [[nodiscard]] static const doc::Schema<ApproveRequest>& schema();
};
struct RejectRequest {
  std::string id;
  std::string reason;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<RejectRequest>& schema();
};
struct PromoteRequest {
  std::string service;
  std::string slot = "primary";
  std::string bundle{};  ///< empty: the newest candidate
  std::uint32_t weight = 0;
  bool again = false;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<PromoteRequest>& schema();
};
struct ReleaseAct {
  std::string service;
  bool again = false;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<ReleaseAct>& schema();
};
struct CompareRequest {
  std::string service;
  std::string bundle{};  ///< empty: the newest candidate
  [[nodiscard]] static const doc::Schema<CompareRequest>& schema();
};
struct ShadowRequest {
  std::string service;
  std::string bundle{};  ///< empty: take it away
  bool again = false;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<ShadowRequest>& schema();
};
struct OpenIncidentRequest {
  std::string service;
  std::string source{};
  std::string account{};
  std::string reason;
  bool again = false;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<OpenIncidentRequest>& schema();
};
struct IncidentAct {
  std::string id;
  std::string reason;
  bool again = false;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<IncidentAct>& schema();
};
struct QuarantineAct {
  std::string service;
  std::string source;
  std::string account{};  ///< empty: everybody's
  std::string reason;
  bool again = false;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<QuarantineAct>& schema();
};
struct RefusedRowsRequest {
  std::string service;
  std::string source{};  ///< empty: of every source
  std::int64_t limit = 20;
  /// A segment of the journal: rows of older ones.
  std::uint64_t before = std::numeric_limits<std::int64_t>::max();
  bool settled = false;  ///< also rows that somebody accepted, reprocessed or discarded
  [[nodiscard]] static const doc::Schema<RefusedRowsRequest>& schema();
};
struct SettleRequest {
  std::string service;
  std::string act;                  ///< `accept`, `reprocess`, `discard` or `restore`
  std::vector<std::string> rows{};  ///< ids; none: rows of a file
  std::int64_t count = 0;           ///< rows that it is about
  std::int64_t stay = 0;            ///< rows that still fail
  Digest bundle{};                  ///< what answered them; empty: nothing did
  Digest input{};                   ///< of files; empty: there are none
  Digest output{};
  std::string reason;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<SettleRequest>& schema();
};
struct DecisionsRequest {
  std::uint64_t from = 0;
  [[nodiscard]] static const doc::Schema<DecisionsRequest>& schema();
};
struct RebuildRequest {
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<RebuildRequest>& schema();
};
struct RestoreRequest {
  std::string reason;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<RestoreRequest>& schema();
};
struct ProveRequest {
  std::uint64_t seq = 0;
  [[nodiscard]] static const doc::Schema<ProveRequest>& schema();
};
struct AccessRequest {
  std::string service{};  ///< empty: all
  [[nodiscard]] static const doc::Schema<AccessRequest>& schema();
};
struct OpenScoreRequest {
  std::string service;
  std::string slot = "primary";  ///< or a released digest
  [[nodiscard]] static const doc::Schema<OpenScoreRequest>& schema();
};
struct RecordScoreRequest {
  std::string service;
  doc::Value profile;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<RecordScoreRequest>& schema();
};
struct ApplyRequest {
  std::string revision = "HEAD";
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<ApplyRequest>& schema();
};
struct StopRequest {
  std::string service;  ///< `*`: all
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<StopRequest>& schema();
};
struct ResumeRequest {
  std::string service = "*";
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<ResumeRequest>& schema();
};
struct SetClockRequest {
  std::string service;
  std::string jump;
  std::string reason;
  AskedBy by{};
  [[nodiscard]] static const doc::Schema<SetClockRequest>& schema();
};

struct ModelRequest {
  std::string model;
  [[nodiscard]] static const doc::Schema<ModelRequest>& schema();
};
struct PlanRequest {
  std::string model{};  ///< empty: the only one
  bool refit = false;   ///< with what the accepted search found
  [[nodiscard]] static const doc::Schema<PlanRequest>& schema();
};
struct SchemaRequest {
  std::string kind;
  [[nodiscard]] static const doc::Schema<SchemaRequest>& schema();
};
struct BundleRequest {
  std::string bundle;  ///< its digest, or the beginning
  [[nodiscard]] static const doc::Schema<BundleRequest>& schema();
};
struct RunRequest {
  std::string model{};  ///< empty: the only one
  std::string until{};  ///< empty: all steps
  bool refit = false;   ///< with what the accepted search found
  [[nodiscard]] static const doc::Schema<RunRequest>& schema();
};
struct ScoreFileRequest {
  std::string service;
  std::string file;
  std::string output;
  std::string slot = "primary";
  std::string refused{};  ///< empty: beside the output
  std::vector<std::string> columns{};
  [[nodiscard]] static const doc::Schema<ScoreFileRequest>& schema();
};

struct WhyRequest {
  std::string id;         ///< of a request, or `REQUEST#ROW`
  std::string service{};  ///< empty: any that has it
  bool reproduce = false;
  [[nodiscard]] static const doc::Schema<WhyRequest>& schema();
};

/// The members of a request as docs/operations.md lists them: `service`, `slot`? (what it is).
[[nodiscard]] std::string request_cell(const doc::ObjectSchema& request);

}  // namespace heddle::control
