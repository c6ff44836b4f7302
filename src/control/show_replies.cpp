#include "control/show_replies.hpp"

#include <algorithm>

#include "control/reply_forms.hpp"
#include "control/reply_schema.hpp"
#include "doc/json.hpp"
#include "doc/schema_lists.hpp"
#include "evaluate/evidence_format.hpp"
#include "recover/cause.hpp"

namespace heddle::control {
namespace {

using doc::Reader;
using doc::Schema;
using doc::Shape;
using doc::Value;

const Schema<TimelineItem>& timeline_schema() {
  using T = TimelineItem;
  static const auto schema = [] {
    auto t = reply_of<T>("a line of the timeline");
    t.text("at", &T::at, "");
    t.text("what", &T::what, "");
    t.integer("entry", &T::entry, "of the ledger; 0: none");
    t.text("by", &T::by, "the person; empty: recovery");
    return t;
  }();
  return schema;
}

const Schema<FailingItem>& failing_schema() {
  using F = FailingItem;
  static const auto schema = [] {
    auto t = reply_of<F>("an action that is tried again");
    t.text("action", &F::action, "");
    t.integer("tries", &F::tries, "");
    t.text("again", &F::again, "when");
    t.text("error", &F::error, "");
    return t;
  }();
  return schema;
}

const Schema<SignatureItem>& signature_schema() {
  using S = SignatureItem;
  static const auto schema = [] {
    auto t = reply_of<S>("a signature");
    t.text("person", &S::person, "");
    t.text("signature", &S::signature, "armored");
    return t;
  }();
  return schema;
}

const Schema<policy::Named>& evidence_item_schema() {
  using N = policy::Named;
  static const auto schema = [] {
    auto t = reply_of<N>("a piece of evidence");
    t.text("name", &N::name, "");
    t.digest("digest", &N::digest, "").filled();
    return t;
  }();
  return schema;
}

/// What of an evaluation is shown to who signs.
const Schema<evaluate::Evidence>& shown_evaluation_schema() {
  static const auto schema = [] {
    auto t = reply_of<evaluate::Evidence>("what the evaluation says");
    for (const doc::Key& key : evaluate::evidence_schema().keys) {
      const bool is_shown = key.name == "passed" || key.name == "metrics" || key.name == "base" ||
                            key.name == "gates";
      if (is_shown) t.keys.push_back(key);
    }
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<IncidentReply>& IncidentReply::schema() {
  using I = IncidentReply;
  static const auto schema = [] {
    auto t = reply_of<I>("an incident");
    t.text("id", &I::id, "");
    t.text("service", &I::service, "");
    t.text("state", &I::state, "the step it is at");
    t.text("waits_for", &I::waits_for, "in words");
    t.text("cause", &I::cause, "");
    t.text("reason", &I::reason, "");
    t.text("source", &I::source, "");
    t.text("account", &I::account, "");
    t.text("column", &I::column, "");
    t.text("rule", &I::rule, "");
    t.number("ratio", &I::ratio, "of a unit change");
    t.text("ratio_name", &I::ratio_name, "");
    t.integer("lag_hours", &I::lag_hours, "of a time shift");
    t.keys.back().at_least.reset();
    t.text("change_from", &I::change_from, "");
    t.text("response", &I::response, "what was done");
    t.text("raised", &I::raised, "");
    t.text("opened", &I::opened, "");
    t.text("responded", &I::responded, "");
    t.text("closed", &I::closed, "");
    t.text("opened_by", &I::opened_by, "the person; empty: an alert did");
    t.text("acknowledged_by", &I::acknowledged_by, "the person; empty: nobody");
    t.text("closed_by", &I::closed_by, "the person; empty: recovery, or nobody");
    t.integer("rows_raised", &I::rows_raised, "seen by then");
    t.integer("rows_confirmed", &I::rows_confirmed, "likewise");
    t.integer("rows_responded", &I::rows_responded, "likewise");
    t.objects("timeline", &I::timeline, timeline_schema(), "");
    t.objects("failing", &I::failing, failing_schema(),
              "kept back by a fault of the machine; tried again at `again`");
    t.text("line", &I::line, "of `status`: it in a line");
    t.text("page", &I::page, "of `incident.show`, once it is written");
    t.custom(
         "proof", Shape::kAny, "likewise: how the addition did; null: there is none",
         [](I& into, const Value& value, Reader&) { into.proof = value; },
         [](const I& from) -> std::optional<Value> { return from.proof; })
        .optional();
    doc::objects_or_absent(t, "next", &I::next, next_schema(), "of `incident.show`");
    return t;
  }();
  return schema;
}

IncidentReply incident_reply(const recover::Incident& incident, const std::string& service) {
  const recover::Diagnosis& d = incident.diagnosis;
  IncidentReply out;
  out.id = incident.id;
  out.service = service;
  out.state = recover::step_name(incident.step);
  out.waits_for = recover::waits_for(incident.step);
  out.cause = d.cause->name();
  out.reason = d.reason;
  out.source = d.source;
  out.account = d.account;
  out.column = d.column;
  out.rule = d.rule;
  out.ratio = d.ratio;
  out.ratio_name = d.ratio_name;
  out.lag_hours = d.lag_hours;
  out.change_from = time_or_empty(d.change_from);
  out.response = incident.response;
  out.raised = time_or_empty(incident.raised_at);
  out.opened = time_or_empty(incident.confirmed_at);
  out.responded = time_or_empty(incident.responded_at);
  // A person may close what has not recovered: then it is closed when they said so.
  out.closed =
      time_or_empty(incident.closed_by.empty() ? incident.recovered_at : incident.closed_at);
  out.opened_by = incident.opened_by;
  out.acknowledged_by = incident.acknowledged_by;
  out.closed_by = incident.closed_by;
  out.rows_raised = incident.rows_raised;
  out.rows_confirmed = incident.rows_confirmed;
  out.rows_responded = incident.rows_responded;
  for (const auto& each : incident.timeline)
    out.timeline.push_back({time_or_empty(each.at), each.what, each.entry, each.by});
  for (const auto& each : incident.failing)
    out.failing.push_back({each.type, each.tries, time_or_empty(each.again), each.error});
  return out;
}

const Schema<IncidentsReply>& IncidentsReply::schema() {
  static const auto unread = [] {
    auto t = reply_of<UnreadItem>("a service whose incidents cannot be read");
    t.text("service", &UnreadItem::service, "");
    t.text("error", &UnreadItem::error, "");
    return t;
  }();
  static const auto schema = [] {
    auto t = reply_of<IncidentsReply>("every incident");
    t.objects("incidents", &IncidentsReply::incidents, IncidentReply::schema(), "");
    t.objects("unread", &IncidentsReply::unread, unread, "services whose incidents cannot be read");
    return t;
  }();
  return schema;
}

const Schema<ApprovalReply>& ApprovalReply::schema() {
  using A = ApprovalReply;
  static const auto schema = [] {
    auto t = reply_of<A>("an approval");
    t.text("id", &A::id, "");
    t.text("state", &A::state, "pending, approved, rejected, used, expired, void");
    t.text("op_id", &A::op_id, "");
    t.text("action", &A::action, "");
    t.text("target", &A::target, "");
    t.text("requester", &A::requester, "who asked, proven");
    t.text("claimed", &A::claimed, "the name that was given, when it is another");
    t.text("asked_event_time", &A::asked_event_time, "");
    t.text("expires", &A::expires, "");
    t.text("reason", &A::reason, "");
    t.text("statement", &A::statement, "the bytes that are signed");
    t.objects("evidence", &A::evidence, evidence_item_schema(), "");
    t.value("binds", &A::binds, Shape::kMap, "what it was asked against; null: nothing");
    t.keys.back().may_be_null = true;
    t.text("rejected_by", &A::rejected_by, "");
    t.text("rejected_because", &A::rejected_because, "");
    t.text("void_because", &A::void_because, "");
    t.objects("signatures", &A::signatures, signature_schema(), "");
    t.integer("entry", &A::entry, "of the ledger");
    t.objects("next", &A::next, next_schema(), "");
    t.text("line", &A::line, "of `status`: it in a line");
    t.text("unread", &A::unread, "of `approval.show`: evidence that is not there any more");
    t.object("evaluation", &A::evaluation, shown_evaluation_schema(),
             "of `approval.show`, of a release: [gates](gates.md)");
    doc::texts_or_absent(t, "drops_repairs", &A::drops_repairs, "likewise");
    doc::texts_or_absent(t, "revives_repairs", &A::revives_repairs, "likewise");
    t.object("comparison", &A::comparison, comparison_schema(),
             "likewise: as `release.compare`, of when it was asked");
    return t;
  }();
  return schema;
}

const Schema<ApprovalsReply>& ApprovalsReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<ApprovalsReply>("approvals");
    t.objects("approvals", &ApprovalsReply::approvals, ApprovalReply::schema(), "");
    return t;
  }();
  return schema;
}

const Schema<RepairsOfRelease>& repairs_of_release_schema() {
  using R = RepairsOfRelease;
  static const auto schema = [] {
    auto t = Schema<R>::record("the repairs", "what a release does to repairs");
    t.refused_as(ErrorKind::kCorrupt, "repairs-malformed", "ask for the release again");
    t.digest("of", &R::of, "the bundle that is replaced").filled();
    t.texts("drops", &R::drops, "its repairs that the new one does not have");
    t.texts("revives", &R::revives, "what was taken back and the new one has");
    return t;
  }();
  return schema;
}

const Schema<HistoryReply>& HistoryReply::schema() {
  using R = ReleaseItem;
  static const auto release = [] {
    auto t = reply_of<R>("a version of the route table");
    // As the row is stored, but for its time and the number of its entry.
    for (const doc::Key& stored : route_row_schema().keys) {
      if (stored.name == "event_time") {
        t.text("event_time", &R::event_time, "");
        continue;
      }
      doc::Key key = stored;
      key.set = [set = stored.set](void* into, const Value& value, Reader& reader) {
        set(&static_cast<R*>(into)->route, value, reader);
      };
      key.get = [get = stored.get](const void* from) {
        return get(&static_cast<const R*>(from)->route);
      };
      t.keys.push_back(std::move(key));
    }
    t.integer("entry", &R::entry, "of the ledger");
    return t;
  }();
  static const auto schema = [] {
    auto t = reply_of<HistoryReply>("every route a service had");
    t.text("service", &HistoryReply::service, "");
    t.objects("releases", &HistoryReply::releases, release, "");
    return t;
  }();
  return schema;
}

const Schema<QuarantinesReply>& QuarantinesReply::schema() {
  using Q = QuarantineItem;
  static const auto source = [] {
    auto t = reply_of<Q>("a source whose rows are refused");
    t.text("service", &Q::service, "");
    t.text("source", &Q::source, "");
    t.text("account", &Q::account, "empty: everybody's");
    t.text("rule", &Q::rule, "");
    t.integer("readmit_after", &Q::readmit_after, "clean rows; 0: a person lets it in");
    t.text("by", &Q::by, "the person who shut it out; empty: recovery");
    t.text("reason", &Q::reason, "");
    return t;
  }();
  static const auto schema = [] {
    auto t = reply_of<QuarantinesReply>("sources whose rows are refused");
    t.objects("sources", &QuarantinesReply::sources, source, "");
    t.objects("next", &QuarantinesReply::next, next_schema(), "");
    return t;
  }();
  return schema;
}

const Schema<CompareReply>& CompareReply::schema() {
  using C = CompareReply;
  static const auto schema = [] {
    const Schema<Comparison>& whole = comparison_schema();
    auto t = reply_of<C>("a comparison, or how far it is");
    t.object("comparing", &C::comparing, comparison_progress_schema(),
             "while it is made, and then alone: ask again");
    t.custom(
         "format", Shape::kText, "then this and what follows",
         [](C& into, const Value&, Reader&) {
           if (!into.comparison) into.comparison.emplace();
         },
         [&whole](const C& from) -> std::optional<Value> {
           if (!from.comparison) return std::nullopt;
           return Value(whole.format);
         })
        .one_of({whole.format})
        .optional();
    add_form(t, &C::comparison, whole);
    t.finally([&whole](C& into, const Value& value, Reader& reader) {
      if (into.comparing) return;
      if (value.find("format") == nullptr) return reader.refuse("format", "is missing");
      need_form(whole, value, reader);
      whole.finish(&*into.comparison, value, reader);
    });
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
