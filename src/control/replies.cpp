#include "control/replies.hpp"

#include "control/control.hpp"
#include "control/reply_schema.hpp"
#include "flow/documents.hpp"

namespace heddle::control {
namespace {

using doc::Schema;
using doc::Shape;
using doc::Value;

std::vector<std::pair<std::string, doc::Severity>> severities() {
  using doc::Severity;
  return {{"error", Severity::kError}, {"warning", Severity::kWarning}, {"info", Severity::kInfo}};
}

}  // namespace

const Schema<doc::Diagnostic>& diagnostic_schema() {
  using D = doc::Diagnostic;
  static const auto schema = [] {
    auto t = reply_of<D>("one thing to tell about a definition");
    t.text("id", &D::id, "permanent");
    t.choice("severity", &D::severity, severities(), "");
    t.text("message", &D::message, "");
    t.text("file", &D::file, "from the project");
    t.custom(
        "line", Shape::kInteger, "from 1; 0: not known",
        [](D& into, const Value& value, doc::Reader&) {
          into.position.line = static_cast<int>(value.as_int());
        },
        [](const D& from) -> std::optional<Value> { return Value(from.position.line); });
    t.custom(
        "column", Shape::kInteger, "likewise",
        [](D& into, const Value& value, doc::Reader&) {
          into.position.column = static_cast<int>(value.as_int());
        },
        [](const D& from) -> std::optional<Value> { return Value(from.position.column); });
    t.text("hint", &D::hint, "what to do");
    t.text("next", &D::next, "a command that helps; may be empty");
    return t;
  }();
  return schema;
}

namespace {

const Schema<DecisionItem>& decision_schema() {
  using D = DecisionItem;
  static const auto schema = [] {
    auto t = reply_of<D>("an entry of the ledger");
    t.integer("seq", &D::seq, "");
    t.text("t", &D::t, "");
    t.text("event_time", &D::event_time, "");
    t.text("op_id", &D::op_id, "");
    t.text("actor", &D::actor, "");
    t.text("action", &D::action, "");
    t.text("target", &D::target, "");
    t.text("decision", &D::decision, "");
    t.text("result", &D::result, "");
    t.text("rule", &D::rule, "the deciding one");
    t.texts("rules", &D::rules, "");
    t.value("attributes", &D::attributes, Shape::kAny, "");
    t.text("approval", &D::approval, "");
    t.text("incident", &D::incident, "");
    t.text("reason", &D::reason, "");
    return t;
  }();
  return schema;
}

const Schema<LayerItem>& layer_schema() {
  using L = LayerItem;
  static const auto schema = [] {
    auto t = reply_of<L>("a layer");
    t.text("title", &L::title, "");
    t.text("media_type", &L::media_type, "");
    t.integer("bytes", &L::bytes, "");
    t.digest("digest", &L::digest, "").filled();
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<WatermarkReply>& WatermarkReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<WatermarkReply>("how far decisions are");
    t.text("service", &WatermarkReply::service, "");
    t.micros("event_time", &WatermarkReply::event_time,
             "microseconds: every decision up to it is finished");
    return t;
  }();
  return schema;
}

const Schema<AcceptedSearchReply>& AcceptedSearchReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<AcceptedSearchReply>("what a refit of a model trains with");
    t.text("model", &AcceptedSearchReply::model, "");
    t.object("search", &AcceptedSearchReply::search, bundle::search_schema(),
             "of the newest run whose primary was released; none: no run's was");
    return t;
  }();
  return schema;
}

const Schema<AuditReply>& AuditReply::schema() {
  using A = AuditReply;
  static const auto schema = [] {
    auto t = reply_of<A>("what the ledger says of itself");
    t.text("audit", &A::audit, "`ok` or `failed`");
    t.integer("entries", &A::entries, "");
    t.text("root", &A::root, "");
    t.integer("checkpoints", &A::checkpoints, "");
    t.integer("anchored", &A::anchored, "entries of the newest checkpoint in git");
    t.text("not_anchored", &A::not_anchored,
           "why git did not take the newest checkpoint; empty: it did");
    t.text("verifier_key", &A::verifier_key, "");
    t.texts("findings", &A::findings, "texts");
    return t;
  }();
  return schema;
}

const Schema<RebuildReply>& RebuildReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<RebuildReply>("what was written");
    t.integer("entries", &RebuildReply::entries, "");
    t.text("root", &RebuildReply::root, "");
    return t;
  }();
  return schema;
}

const Schema<ProofReply>& ProofReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<ProofReply>("that an entry is in the ledger");
    t.integer("seq", &ProofReply::seq, "");
    t.text("entry", &ProofReply::entry, "its bytes");
    t.text("proof", &ProofReply::proof, "");
    return t;
  }();
  return schema;
}

const Schema<DecisionsReply>& DecisionsReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<DecisionsReply>("entries of the ledger");
    t.objects("decisions", &DecisionsReply::decisions, decision_schema(), "");
    return t;
  }();
  return schema;
}

const Schema<AccessReply>& AccessReply::schema() {
  using S = AccessSegmentItem;
  static const auto segment = [] {
    auto t = reply_of<S>("a segment");
    t.text("service", &S::service, "");
    t.integer("segment", &S::segment, "");
    t.integer("requests", &S::requests, "");
    t.integer("rows", &S::rows, "");
    t.text("root", &S::root, "");
    t.integer("entry", &S::entry, "");
    t.boolean("pruned", &S::pruned, "Heddle removed it");
    return t;
  }();
  static const auto schema = [] {
    auto t = reply_of<AccessReply>("what the ledger says of the access logs");
    t.objects("segments", &AccessReply::segments, segment,
              "what the ledger says of the [access logs](formats/access-log.md)");
    return t;
  }();
  return schema;
}

const Schema<OpenScoreReply>& OpenScoreReply::schema() {
  using O = OpenScoreReply;
  static const auto schema = [] {
    auto t = reply_of<O>("what `heddle score` would score by");
    t.text("service", &O::service, "");
    t.text("slot", &O::slot, "");
    t.digest("bundle", &O::bundle, "").filled();
    t.integer("route", &O::route, "version of the route table");
    return t;
  }();
  return schema;
}

const Schema<RecordScoreReply>& RecordScoreReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<RecordScoreReply>("where it is recorded");
    t.integer("entry", &RecordScoreReply::entry, "");
    t.digest("profile", &RecordScoreReply::profile, "digest").filled();
    return t;
  }();
  return schema;
}

const Schema<SettleReply>& SettleReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<SettleReply>("where it is recorded");
    t.integer("entry", &SettleReply::entry, "");
    t.integer("rows", &SettleReply::rows, "that it is about");
    return t;
  }();
  return schema;
}

const Schema<StopReply>& StopReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<StopReply>("where it is recorded");
    t.integer("entry", &StopReply::entry, "");
    return t;
  }();
  return schema;
}

const Schema<CheckReply>& CheckReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<CheckReply>("what is wrong with the definitions");
    t.text("project", &CheckReply::project, "its name");
    t.boolean("ok", &CheckReply::ok, "no error");
    t.objects("diagnostics", &CheckReply::diagnostics, diagnostic_schema(), "");
    return t;
  }();
  return schema;
}

const Schema<PlanReply>& PlanReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<PlanReply>("what a run would do");
    t.flattened(&PlanReply::plan, flow::plan_schema());
    t.text("commit", &PlanReply::commit, "of the definitions; empty: of none");
    t.boolean("dirty", &PlanReply::dirty, "they differ from it");
    return t;
  }();
  return schema;
}

const Schema<SchemaReply>& SchemaReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<SchemaReply>("the schema of a kind");
    t.text("kind", &SchemaReply::kind, "");
    t.value("schema", &SchemaReply::schema_document, Shape::kMap, "JSON Schema");
    return t;
  }();
  return schema;
}

const Schema<BundleReply>& BundleReply::schema() {
  using B = BundleReply;
  static const auto schema = [] {
    auto t = reply_of<B>("what is in a bundle; every byte was checked");
    t.digest("digest", &B::digest, "").filled();
    t.object("config", &B::config, bundle::config_schema(), "");
    t.objects("layers", &B::layers, layer_schema(), "");
    t.value("evaluation", &B::evaluation, Shape::kAny, "`evaluation.json`; null: it has none");
    t.object(
        "parity", &B::parity, bundle::parity_schema(),
        "how the ways that rows reach a model that was there compare; absent: it was trained here");
    return t;
  }();
  return schema;
}

const Schema<WorkReply>& WorkReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<WorkReply>("what came of it so far");
    t.boolean("done", &WorkReply::done, "false: ask again");
    t.text("progress", &WorkReply::progress, "what it said last").optional();
    t.integer("exit_code", &WorkReply::exit_code, "of the command, once it is done");
    t.custom(
         "result", Shape::kMap, "what the command says with `--json`, once it is done",
         [](WorkReply& into, const Value& value, doc::Reader&) { into.result = value; },
         [](const WorkReply& from) -> std::optional<Value> {
           if (from.result.is_null()) return std::nullopt;
           return from.result;
         })
        .optional();
    return t;
  }();
  return schema;
}

namespace {

/// The first operation that answers this; empty: none does.
std::string_view operation_of(const doc::ObjectSchema& reply) {
  for (const Operation& each : Control::operations()) {
    if (each.reply == &reply) return each.name;
  }
  return {};
}

/// What the objects of a key are, in words of the page.
std::string object_cell(const doc::ObjectSchema& object) {
  if (const auto operation = operation_of(object); !operation.empty())
    return fmt::format(" (as `{}`)", operation);
  // A format has its own page.
  if (!object.format.empty()) return fmt::format(" (`{}`)", object.format);
  return fmt::format(" {{{}}}", reply_cell(object));
}

}  // namespace

std::string reply_cell(const doc::ObjectSchema& reply) {
  std::string cell;
  for (const auto& key : reply.keys) {
    const bool is_list =
        key.shape == Shape::kObjects || key.shape == Shape::kTexts || key.shape == Shape::kIntegers;
    cell += fmt::format("{}`{}`{}{}", cell.empty() ? "" : ", ", key.name,
                        key.is_required ? "" : "?", is_list ? "[]" : "");
    if (key.object != nullptr) cell += object_cell(*key.object);
    if (!key.about.empty()) cell += fmt::format(" ({})", key.about);
  }
  return cell;
}

}  // namespace heddle::control
