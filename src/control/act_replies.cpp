#include "control/act_replies.hpp"

#include "control/reply_forms.hpp"
#include "control/reply_schema.hpp"
#include "doc/schema_lists.hpp"

namespace heddle::control {

using doc::Reader;
using doc::Schema;
using doc::Value;

const Schema<NextItem>& next_schema() {
  static const auto schema = [] {
    auto t = reply_of<NextItem>("a command that helps");
    t.text("command", &NextItem::command, "");
    t.text("why", &NextItem::why, "");
    return t;
  }();
  return schema;
}

namespace {

const Schema<Asked>& asked_schema() {
  using A = Asked;
  static const auto schema = [] {
    auto t = reply_of<A>("what came of it");
    t.boolean("applied", &A::applied, "it is done");
    t.text("bundle", &A::bundle, "what it was about; empty: none");
    t.text("slot", &A::slot, "likewise");
    t.integer("entry", &A::entry, "of the ledger");
    t.text("approval", &A::approval, "that it waits for; empty: none");
    t.text("reason", &A::reason, "as the ledger has it");
    doc::texts_or_absent(t, "drops_repairs", &A::drops_repairs,
                         "what recovery did to the release in this slot and the new one does not "
                         "have");
    doc::texts_or_absent(t, "revives_repairs", &A::revives_repairs,
                         "what it took back and the new one has");
    return t;
  }();
  return schema;
}

}  // namespace

const Schema<AskedReply>& AskedReply::schema() {
  using A = AskedReply;
  static const auto schema = [] {
    auto t = reply_of<A>("what came of it");
    t.object("comparing", &A::comparing, comparison_progress_schema(),
             "of a release, and then alone: the two bundles are compared first, send the same "
             "request again");
    add_form(t, &A::asked, asked_schema());
    // The reply is one of two forms: the members of the other one are required only here.
    t.finally([](A& into, const Value& value, Reader& reader) {
      if (!into.comparing) need_form(asked_schema(), value, reader);
    });
    return t;
  }();
  return schema;
}

const Schema<ByHandReply>& ByHandReply::schema() {
  using B = ByHandReply;
  static const auto schema = [] {
    auto t = reply_of<B>("what came of an act by hand");
    t.boolean("applied", &B::applied, "it is done");
    t.integer("entry", &B::entry, "of the ledger");
    t.text("service", &B::service, "done");
    t.text("incident", &B::incident, "done: its id");
    t.text("state", &B::state, "done: of the incident");
    doc::texts_or_absent(t, "in_force", &B::in_force, "done: what of it goes on, in words");
    t.text("source", &B::source, "done: of a quarantine");
    t.text("account", &B::account, "likewise; empty: everybody's");
    doc::objects_or_absent(t, "next", &B::next, next_schema(), "done: of a quarantine");
    t.text("approval", &B::approval, "waiting: for this one");
    t.text("reason", &B::reason, "waiting: as the ledger has it");
    t.finally([](B& into, const Value& value, Reader& reader) {
      // `applied` says which form it is; each has one member that it cannot be without.
      const char* needed = into.applied ? "service" : "approval";
      if (value.find(needed) == nullptr) reader.refuse(needed, "is missing");
    });
    return t;
  }();
  return schema;
}

const Schema<ApplyReply>& ApplyReply::schema() {
  using A = ApplyReply;
  static const auto schema = [] {
    auto t = reply_of<A>("what came of it");
    t.boolean("applied", &A::applied, "it runs");
    t.boolean("changed", &A::changed, "done; false: it ran already");
    t.text("commit", &A::commit, "of the definitions");
    t.integer("entry", &A::entry, "of the ledger");
    t.text("definitions", &A::definitions, "done: their digest");
    doc::objects_or_absent(t, "warnings", &A::warnings, diagnostic_schema(), "done: as of `check`");
    t.text("approval", &A::approval, "waiting: for this one");
    t.text("reason", &A::reason, "waiting");
    t.finally([](A& into, const Value& value, Reader& reader) {
      for (const char* needed :
           {into.applied ? "changed" : "approval", into.applied ? "definitions" : "reason"}) {
        if (value.find(needed) == nullptr) return reader.refuse(needed, "is missing");
      }
    });
    return t;
  }();
  return schema;
}

const Schema<ApproveReply>& ApproveReply::schema() {
  using A = ApproveReply;
  static const auto schema = [] {
    auto t = reply_of<A>("what came of a yes");
    t.text("id", &A::id, "of the approval");
    t.boolean("applied", &A::applied, "what waited is done");
    t.integer("entry", &A::entry, "of the ledger");
    t.objects("next", &A::next, next_schema(), "");
    return t;
  }();
  return schema;
}

const Schema<RestoreReply>& RestoreReply::schema() {
  static const auto schema = [] {
    auto t = reply_of<RestoreReply>("where it is recorded");
    t.integer("entry", &RestoreReply::entry, "");
    t.integer("entries", &RestoreReply::entries, "of the ledger");
    return t;
  }();
  return schema;
}

}  // namespace heddle::control
