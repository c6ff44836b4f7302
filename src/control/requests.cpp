#include "control/requests.hpp"

#include "plane/route.hpp"

namespace heddle::control {
namespace {

/// A request: an error of it is the caller's, and `null` is as good as nothing.
template <class T>
doc::Schema<T> request_of(std::string about) {
  auto t = doc::Schema<T>::record("the request", std::move(about));
  t.refused_as(ErrorKind::kInvalid, "request-member", "see docs/operations.md");
  t.unknown_id = "request-unknown-member";
  t.null_is_absent = true;
  return t;
}

doc::Schema<AskedBy> asked_by(const char* member, const char* about) {
  static const auto statement = [] {
    auto t = doc::Schema<SignedStatement>::record("the signed statement", "what a person signed");
    t.text("statement", &SignedStatement::statement, "a request statement");
    t.text("signature", &SignedStatement::signature, "the SSH signature over it");
    return t;
  }();
  auto t = doc::Schema<AskedBy>::record("who asks", about);
  t.text(member, &AskedBy::name, about).optional();
  t.object("signed", &AskedBy::proof, statement, "what that person signed");
  return t;
}

const doc::Schema<AskedBy>& by_requester() {
  static const auto schema = asked_by("requester", "who asks");
  return schema;
}

const doc::Schema<AskedBy>& by_person() {
  static const auto schema = asked_by("person", "who does it");
  return schema;
}

}  // namespace

const doc::Schema<NoRequest>& NoRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<NoRequest>("nothing");
    return t;
  }();
  return schema;
}

const doc::Schema<OfService>& OfService::schema() {
  static const auto schema = [] {
    auto t = request_of<OfService>("of a service");
    t.text("service", &OfService::service, "").filled();
    return t;
  }();
  return schema;
}

const doc::Schema<ById>& ById::schema() {
  static const auto schema = [] {
    auto t = request_of<ById>("of one thing");
    t.text("id", &ById::id, "").filled();
    return t;
  }();
  return schema;
}

const doc::Schema<ApprovalsRequest>& ApprovalsRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ApprovalsRequest>("which approvals");
    t.boolean("all", &ApprovalsRequest::all, "also those answered and those whose time is over")
        .optional();
    return t;
  }();
  return schema;
}

const doc::Schema<ApproveRequest>& ApproveRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ApproveRequest>("a person's yes");
    t.text("id", &ApproveRequest::id, "").filled();
    t.text("person", &ApproveRequest::person, "").filled();
    // Empty where there is nothing to sign any more: what became of the approval is the answer.
    t.text("signature", &ApproveRequest::signature,
           "`ssh-keygen -Y sign -n heddle-approval` over `statement`");
    return t;
  }();
  return schema;
}

const doc::Schema<RejectRequest>& RejectRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<RejectRequest>("a person's no");
    t.text("id", &RejectRequest::id, "").filled();
    t.text("reason", &RejectRequest::reason, "").filled();
    t.flattened(&RejectRequest::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<PromoteRequest>& PromoteRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<PromoteRequest>("a release");
    t.text("service", &PromoteRequest::service, "").filled();
    t.text("slot", &PromoteRequest::slot, "default: `primary`")
        .one_of({"primary", "standby", "canary", "shadow"})
        .optional();
    t.text("bundle", &PromoteRequest::bundle, "default: the newest candidate").optional();
    t.integer(
         "weight", &PromoteRequest::weight,
         "of a canary, in ten-thousandths; default: its first step, of the one that runs the next")
        .optional();
    t.boolean("again", &PromoteRequest::again, "also what a person rejected before").optional();
    t.flattened(&PromoteRequest::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<ReleaseAct>& ReleaseAct::schema() {
  static const auto schema = [] {
    auto t = request_of<ReleaseAct>("what is done to a release");
    t.text("service", &ReleaseAct::service, "").filled();
    t.boolean("again", &ReleaseAct::again, "also what a person rejected before").optional();
    t.flattened(&ReleaseAct::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<CompareRequest>& CompareRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<CompareRequest>("what is compared");
    t.text("service", &CompareRequest::service, "").filled();
    t.text("bundle", &CompareRequest::bundle, "default: the newest candidate").optional();
    return t;
  }();
  return schema;
}

const doc::Schema<ShadowRequest>& ShadowRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ShadowRequest>("a shadow");
    t.text("service", &ShadowRequest::service, "").filled();
    t.text("bundle", &ShadowRequest::bundle, "none: take it away").optional();
    t.boolean("again", &ShadowRequest::again, "also what a person rejected before").optional();
    t.flattened(&ShadowRequest::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<OpenIncidentRequest>& OpenIncidentRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<OpenIncidentRequest>("an incident that a person saw");
    t.text("service", &OpenIncidentRequest::service, "").filled();
    t.text("reason", &OpenIncidentRequest::reason, "").filled();
    t.text("source", &OpenIncidentRequest::source, "").optional();
    t.text("account", &OpenIncidentRequest::account, "").optional();
    t.boolean("again", &OpenIncidentRequest::again, "also what a person rejected before")
        .optional();
    t.flattened(&OpenIncidentRequest::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<IncidentAct>& IncidentAct::schema() {
  static const auto schema = [] {
    auto t = request_of<IncidentAct>("what a person does about an incident");
    t.text("id", &IncidentAct::id, "").filled();
    t.text("reason", &IncidentAct::reason, "").filled();
    t.boolean("again", &IncidentAct::again, "also what a person rejected before").optional();
    t.flattened(&IncidentAct::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<QuarantineAct>& QuarantineAct::schema() {
  static const auto schema = [] {
    auto t = request_of<QuarantineAct>("a quarantine by hand");
    t.text("service", &QuarantineAct::service, "").filled();
    t.text("source", &QuarantineAct::source, "").filled();
    t.text("account", &QuarantineAct::account, "default: everybody's").optional();
    t.text("reason", &QuarantineAct::reason, "").filled();
    t.boolean("again", &QuarantineAct::again, "also what a person rejected before").optional();
    t.flattened(&QuarantineAct::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<RefusedRowsRequest>& RefusedRowsRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<RefusedRowsRequest>("which refused rows");
    t.text("service", &RefusedRowsRequest::service, "").filled();
    t.text("source", &RefusedRowsRequest::source, "default: all").optional();
    t.integer("limit", &RefusedRowsRequest::limit, "default: 20").between(1, 10'000).optional();
    t.integer("before", &RefusedRowsRequest::before, "a segment of the journal: rows of older ones")
        .optional();
    t.boolean("settled", &RefusedRowsRequest::settled, "also rows that a person settled")
        .optional();
    return t;
  }();
  return schema;
}

const doc::Schema<SettleRequest>& SettleRequest::schema() {
  using S = SettleRequest;
  static const auto schema = [] {
    auto t = request_of<S>("what a person does with refused rows");
    t.text("service", &S::service, "").filled();
    t.text("act", &S::act, "").one_of({"accept", "reprocess", "discard", "restore"});
    t.texts("rows", &S::rows, "ids; default: rows of a file").optional();
    t.integer("count", &S::count, "rows that it is about");
    t.integer("stay", &S::stay, "rows that still fail; default: 0").optional();
    t.digest("bundle", &S::bundle, "digest of what answered them; default: nothing did").optional();
    t.digest("input", &S::input, "digest of the rows' file").optional();
    t.digest("output", &S::output, "digest of the answers' file").optional();
    t.text("reason", &S::reason, "").filled();
    t.flattened(&S::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<DecisionsRequest>& DecisionsRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<DecisionsRequest>("which entries");
    t.integer("from", &DecisionsRequest::from, "sequence number").optional();
    return t;
  }();
  return schema;
}

const doc::Schema<RebuildRequest>& RebuildRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<RebuildRequest>("who asks");
    t.flattened(&RebuildRequest::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<RestoreRequest>& RestoreRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<RestoreRequest>("why an older state counts");
    t.text("reason", &RestoreRequest::reason, "").filled();
    t.flattened(&RestoreRequest::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<ProveRequest>& ProveRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ProveRequest>("which entry");
    t.integer("seq", &ProveRequest::seq, "");
    return t;
  }();
  return schema;
}

const doc::Schema<AccessRequest>& AccessRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<AccessRequest>("of which service");
    t.text("service", &AccessRequest::service, "default: all").optional();
    return t;
  }();
  return schema;
}

const doc::Schema<OpenScoreRequest>& OpenScoreRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<OpenScoreRequest>("what a file is scored by");
    t.text("service", &OpenScoreRequest::service, "").filled();
    t.text("slot", &OpenScoreRequest::slot,
           "`primary`, the default, `standby` or a released digest")
        .optional();
    return t;
  }();
  return schema;
}

const doc::Schema<RecordScoreRequest>& RecordScoreRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<RecordScoreRequest>("the record of a scored file");
    t.text("service", &RecordScoreRequest::service, "").filled();
    t.value("profile", &RecordScoreRequest::profile, doc::Shape::kMap, "`heddle.batch/1`");
    t.flattened(&RecordScoreRequest::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<ApplyRequest>& ApplyRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ApplyRequest>("what is applied");
    t.text("revision", &ApplyRequest::revision, "default: HEAD").optional();
    t.flattened(&ApplyRequest::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<StopRequest>& StopRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<StopRequest>("what is stopped");
    t.text("service", &StopRequest::service, "`*`: all").filled();
    t.flattened(&StopRequest::by, by_requester());
    return t;
  }();
  return schema;
}

const doc::Schema<ResumeRequest>& ResumeRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ResumeRequest>("what goes on");
    t.text("service", &ResumeRequest::service, "default: all").optional();
    t.flattened(&ResumeRequest::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<SetClockRequest>& SetClockRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<SetClockRequest>("which jump is over");
    t.text("service", &SetClockRequest::service, "").filled();
    t.text("jump", &SetClockRequest::jump, "id, from `status`; empty: none was seen");
    t.text("reason", &SetClockRequest::reason, "").filled();
    t.flattened(&SetClockRequest::by, by_person());
    return t;
  }();
  return schema;
}

const doc::Schema<ModelRequest>& ModelRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<ModelRequest>("which model");
    t.text("model", &ModelRequest::model, "").filled();
    return t;
  }();
  return schema;
}

const doc::Schema<PlanRequest>& PlanRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<PlanRequest>("which model");
    t.text("model", &PlanRequest::model, "default: the only one").optional();
    t.boolean("refit", &PlanRequest::refit, "train with what the accepted search found").optional();
    return t;
  }();
  return schema;
}

const doc::Schema<SchemaRequest>& SchemaRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<SchemaRequest>("which kind of definition");
    t.text("kind", &SchemaRequest::kind, "`Contract`, `Model`, ...").filled();
    return t;
  }();
  return schema;
}

const doc::Schema<BundleRequest>& BundleRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<BundleRequest>("which bundle");
    t.text("bundle", &BundleRequest::bundle, "").filled();
    return t;
  }();
  return schema;
}

const doc::Schema<RunRequest>& RunRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<RunRequest>("what is run");
    t.text("model", &RunRequest::model, "default: the only one").optional();
    t.text("until", &RunRequest::until, "a step: it and what it needs; default: all").optional();
    t.boolean("refit", &RunRequest::refit, "train with what the accepted search found").optional();
    return t;
  }();
  return schema;
}

const doc::Schema<ScoreFileRequest>& ScoreFileRequest::schema() {
  using R = ScoreFileRequest;
  static const auto schema = [] {
    auto t = request_of<R>("what is scored");
    t.text("service", &R::service, "").filled();
    t.text("file", &R::file, "on the control plane's machine").filled();
    t.text("output", &R::output, "likewise").filled();
    t.text("slot", &R::slot, "`primary`, the default, `standby` or a released digest").optional();
    t.text("refused", &R::refused, "file of the refused rows; default: beside the output")
        .optional();
    t.texts("columns", &R::columns, "that the output carries; default: all").optional();
    return t;
  }();
  return schema;
}

const doc::Schema<WhyRequest>& WhyRequest::schema() {
  static const auto schema = [] {
    auto t = request_of<WhyRequest>("which answer");
    t.text("id", &WhyRequest::id, "`request_id` of the answer, or `REQUEST#ROW`").filled();
    t.text("service", &WhyRequest::service, "that answered; default: every one is looked at")
        .optional();
    t.boolean("reproduce", &WhyRequest::reproduce, "work the answer out again").optional();
    return t;
  }();
  return schema;
}

std::string request_cell(const doc::ObjectSchema& request) {
  std::string cell;
  for (const auto& key : request.keys) {
    cell += fmt::format("{}`{}`{}", cell.empty() ? "" : ", ", key.name, key.is_required ? "" : "?");
    const bool is_known = key.name == "requester" || key.name == "person" || key.name == "signed";
    if (!key.about.empty() && !is_known) cell += fmt::format(" ({})", key.about);
  }
  return cell;
}

}  // namespace heddle::control
