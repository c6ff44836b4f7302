#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "bundle/config.hpp"
#include "bundle/parity.hpp"
#include "doc/diagnostic.hpp"
#include "doc/schema.hpp"
#include "flow/flow.hpp"

namespace heddle::control {

// What operations answer, each with its schema: the JSON of the command line, the reply over HTTP
// and the page docs/operations.md come from it. Times are microseconds in the structs.

struct WatermarkReply {
  std::string service{};
  Micros event_time = 0;
  [[nodiscard]] static const doc::Schema<WatermarkReply>& schema();
};

struct AcceptedSearchReply {
  std::string model{};
  std::optional<bundle::Search> search{};  ///< none was accepted yet
  [[nodiscard]] static const doc::Schema<AcceptedSearchReply>& schema();
};

struct AuditReply {
  std::string audit{};  ///< `ok` or `failed`
  std::uint64_t entries = 0;
  std::string root{};
  std::uint64_t checkpoints = 0;
  std::uint64_t anchored = 0;
  std::string not_anchored{};
  std::string verifier_key{};
  std::vector<std::string> findings{};
  [[nodiscard]] static const doc::Schema<AuditReply>& schema();
};

struct RebuildReply {
  std::uint64_t entries = 0;
  std::string root{};
  [[nodiscard]] static const doc::Schema<RebuildReply>& schema();
};

struct ProofReply {
  std::int64_t seq = 0;
  std::string entry{};
  std::string proof{};
  [[nodiscard]] static const doc::Schema<ProofReply>& schema();
};

/// An entry of the ledger, as it is listed.
struct DecisionItem {
  std::uint64_t seq = 0;
  std::string t{};
  std::string event_time{};
  std::string op_id{};
  std::string actor{};
  std::string action{};
  std::string target{};
  std::string decision{};
  std::string result{};
  std::string rule{};
  std::vector<std::string> rules{};
  doc::Value attributes{};
  std::string approval{};
  std::string incident{};
  std::string reason{};
};
struct DecisionsReply {
  std::vector<DecisionItem> decisions{};
  [[nodiscard]] static const doc::Schema<DecisionsReply>& schema();
};

/// A segment of an access log, as the ledger says of it.
struct AccessSegmentItem {
  std::string service{};
  std::int64_t segment = 0;
  std::int64_t requests = 0;
  std::int64_t rows = 0;
  std::string root{};
  std::uint64_t entry = 0;
  bool pruned = false;  ///< Heddle itself removed it
};
struct AccessReply {
  std::vector<AccessSegmentItem> segments{};
  [[nodiscard]] static const doc::Schema<AccessReply>& schema();
};

struct OpenScoreReply {
  std::string service{};
  std::string slot{};
  Digest bundle{};
  std::uint64_t route = 0;
  [[nodiscard]] static const doc::Schema<OpenScoreReply>& schema();
};

struct RecordScoreReply {
  std::uint64_t entry = 0;
  Digest profile{};
  [[nodiscard]] static const doc::Schema<RecordScoreReply>& schema();
};

struct SettleReply {
  std::uint64_t entry = 0;
  std::uint64_t rows = 0;
  [[nodiscard]] static const doc::Schema<SettleReply>& schema();
};

struct StopReply {
  std::uint64_t entry = 0;
  [[nodiscard]] static const doc::Schema<StopReply>& schema();
};

struct CheckReply {
  std::string project{};
  bool ok = false;
  std::vector<doc::Diagnostic> diagnostics{};
  [[nodiscard]] static const doc::Schema<CheckReply>& schema();
};

struct PlanReply {
  flow::Plan plan{};
  std::string commit{};
  bool dirty = false;
  [[nodiscard]] static const doc::Schema<PlanReply>& schema();
};

struct SchemaReply {
  std::string kind{};
  doc::Value schema_document{};
  [[nodiscard]] static const doc::Schema<SchemaReply>& schema();
};

struct LayerItem {
  std::string title{};
  std::string media_type{};
  std::uint64_t bytes = 0;
  Digest digest{};
};
struct BundleReply {
  Digest digest{};
  bundle::Config config{};
  std::vector<LayerItem> layers{};
  doc::Value evaluation{};
  std::optional<bundle::ParityCertificate> parity{};  ///< of a model that was there
  [[nodiscard]] static const doc::Schema<BundleReply>& schema();
};

/// What takes long: ask again until it is done.
struct WorkReply {
  bool done = false;
  std::string progress{};  ///< its last line; empty: it said nothing yet
  std::optional<std::int32_t> exit_code{};
  doc::Value result{};  ///< the document of the command; null: it goes on
  [[nodiscard]] static const doc::Schema<WorkReply>& schema();
};

/// The reply's cell of an operation in docs/operations.md.
[[nodiscard]] std::string reply_cell(const doc::ObjectSchema& reply);

}  // namespace heddle::control
