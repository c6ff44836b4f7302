#include <CLI/CLI.hpp>

#include <fmt/ranges.h>

#include "cli/commands.hpp"
#include "cli/show.hpp"
#include "cli/why.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"

namespace heddle::cli {
namespace {

using doc::Value;

/// What was answered is not what the row gives now; a row that cannot be worked out again
/// (docs/exit-codes.md).
constexpr int kDiffers = 1;
constexpr int kNotReproduced = 3;

std::string listed(const Value* texts) {
  std::vector<std::string> out;
  for (const auto& each : doc::items_of(texts)) out.push_back(doc::text_of(each));
  return fmt::format("{}", fmt::join(out, ", "));
}

/// `bob (os-user:bob)`, with a name that was only claimed.
std::string who_asked(const Value& since) {
  const auto claimed = since.string_or("claimed"), proof = since.string_or("proof");
  const auto asked_by = since.string_or("asked_by");
  return fmt::format("{}{}{}", asked_by,
                     claimed.empty() || claimed == asked_by ? "" : " as " + claimed,
                     proof.empty() ? "" : " (" + proof + ")");
}

void print_slot(const Console& console, const Value& slot) {
  console.data(fmt::format("answered by `{}`, route version {}: {}", slot.string_or("name"),
                           slot.int_or("route_version"), slot.string_or("why")));
  const Value* const since = slot.find("since");
  if (since == nullptr)
    return console.data("  how it came to its bundle is not known: its route version is not");
  console.data(fmt::format("  it has this bundle since route version {}: `{}`{}",
                           since->int_or("route_version"), since->string_or("action"),
                           since->string_or("event_time").empty()
                               ? ""
                               : ", event time " + since->string_or("event_time")));
  if (since->find("entry") == nullptr) return;
  console.data(fmt::format("  asked for by {}: {}", who_asked(*since), since->string_or("reason")));
  const auto approval = since->string_or("approval");
  console.data(
      approval.empty()
          ? fmt::format("  no approval was needed (rule `{}`)", since->string_or("rule"))
          : fmt::format("  approved by {} ({})", listed(since->find("approved_by")), approval));
  if (const auto incident = since->string_or("incident"); !incident.empty())
    console.data(fmt::format("  of incident {}", incident));
  console.data(fmt::format("  ledger entry {}, in a tree of {} entries: `{}`",
                           since->int_or("entry"), since->int_or("tree_size"),
                           since->string_or("prove")));
}

void print_bundle(const Console& console, const Value* bundle) {
  if (bundle == nullptr) return console.data("bundle: not known");
  console.data(fmt::format("bundle {}", bundle->string_or("digest")));
  if (const auto unread = bundle->string_or("unread"); !unread.empty())
    return console.data("  " + unread);
  const auto commit = bundle->string_or("commit");
  console.data(fmt::format(
      "  model `{}`, by `{}`, {}", bundle->string_or("model"), bundle->string_or("trainer"),
      commit.empty()             ? "of definitions of no commit"
      : bundle->bool_or("dirty") ? fmt::format("of changes of commit {}", commit)
                                 : fmt::format("of commit {}", commit)));
  for (const auto& [name, digest] : doc::members_of(bundle->find("lineage"))) {
    if (!doc::text_of(digest).empty())
      console.data(fmt::format("  {} {}", name, doc::text_of(digest)));
  }
  if (const auto until = bundle->string_or("learned_until"); !until.empty())
    console.data(fmt::format("  learned from rows up to {}", until));
  if (const Value* const change = bundle->find("change"); change != nullptr)
    console.data(fmt::format("  made of {} by {}", bundle->string_or("derived_from"),
                             doc::to_json(*change)));
  for (const auto& gate : doc::items_of(bundle->find("gates"))) {
    const auto open = gate.string_or("not_judged");
    console.data(fmt::format("  gate {} {}: {}",
                             gate.bool_or("passed") ? "passed"
                             : open.empty()         ? "NOT passed"
                                                    : "not judged",
                             gate.string_or("id"), gate.string_or("when")));
  }
}

void print_rules(const Console& console, const Value& row) {
  const auto& rules = doc::items_of(row.find("validation"));
  if (rules.empty()) console.data("  no rule was broken");
  for (const auto& rule : rules) {
    std::vector<std::string> values;
    for (const auto& each : doc::items_of(rule.find("values"))) {
      const Value* const value = each.find("value");
      values.push_back(value == nullptr
                           ? each.string_or("field")
                           : fmt::format("{} = {}", each.string_or("field"), doc::to_json(*value)));
    }
    const auto about = rule.string_or("description");
    console.data(fmt::format("  rule `{}` was broken ({}){}{}{}", rule.string_or("rule"),
                             rule.string_or("effect"), values.empty() ? "" : ": ",
                             fmt::join(values, ", "), about.empty() ? "" : "; " + about));
  }
}

void print_repairs(const Console& console, const Value& row) {
  const Value* const repairs = row.find("repairs");
  if (repairs == nullptr || repairs->is_null())
    return console.data("  which repairs were made is not known");
  for (const auto& each : repairs->as_array()) {
    const auto field = each.string_or("field");
    const Value* const from = each.find("from");
    const Value* const to = each.find("to");
    console.data(
        fmt::format("  repaired{}{} by {}", field.empty() ? "" : " `" + field + "`",
                    from == nullptr || to == nullptr
                        ? ""
                        : fmt::format(": {} became {}", doc::to_json(*from), doc::to_json(*to)),
                    listed(each.find("by"))));
  }
}

void print_again(const Console& console, const Value& again) {
  const Value& equal = *again.find("equal");
  if (equal.is_null())
    return console.data(fmt::format("  not worked out again: {}", again.string_or("why")));
  if (equal.as_bool()) {
    const bool is_near = again.find("tolerance") != nullptr;
    return console.data(
        is_near ? fmt::format("  worked out again: equal within {:g}", again.double_or("tolerance"))
                : std::string("  worked out again: equal bit for bit"));
  }
  for (const auto& each : doc::items_of(again.find("differs"))) {
    const Value* const recorded = each.find("recorded");
    const Value* const computed = each.find("computed");
    console.data(fmt::format("  worked out again: {} differs{}", each.string_or("what"),
                             recorded == nullptr || computed == nullptr
                                 ? ""
                                 : fmt::format(": {} was recorded, {} is computed",
                                               doc::to_json(*recorded), doc::to_json(*computed))));
  }
}

void print_row(const Console& console, const Value& row) {
  const Value* const answer = row.find("answer");
  console.data(fmt::format("row {}: {}{}", row.string_or("row_id"), row.string_or("outcome"),
                           answer == nullptr ? "" : ", " + doc::to_json(*answer)));
  if (const Value* const fields = row.find("fields"); fields != nullptr)
    console.data("  as it arrived: " + doc::to_json(*fields));
  print_rules(console, row);
  print_repairs(console, row);
  if (const Value* const features = row.find("features"); features != nullptr)
    console.data(indented(format_table(*features), 1));
  for (const char* reason : {"not_explained", "not_known"}) {
    if (const auto why = row.string_or(reason); !why.empty()) console.data("  " + why);
  }
  if (const Value* const again = row.find("reproduced"); again != nullptr)
    print_again(console, *again);
}

void print_request(const Console& console, const Value& request) {
  const auto account = request.string_or("account");
  console.data(fmt::format("request {} of `{}`, arrived {}, event time {}",
                           request.string_or("request_id"), request.string_or("service"),
                           request.string_or("arrival"), request.string_or("event_time")));
  console.data(fmt::format("  source `{}`{}, answered in {} us", request.string_or("source"),
                           account.empty() ? "" : fmt::format(", account `{}`", account),
                           request.int_or("micros")));
  const Value& record = *request.find("record");
  console.data(fmt::format(
      "  recorded in the {}, segment {}{}", record.string_or("from"), record.int_or("segment"),
      record.find("entry") == nullptr
          ? ""
          : fmt::format(", whose root is ledger entry {}", record.int_or("entry"))));
  if (const auto note = record.string_or("note"); !note.empty()) console.data("  " + note);
  print_slot(console, *request.find("slot"));
  print_bundle(console, request.find("bundle"));
  for (const auto& row : doc::items_of(request.find("rows"))) print_row(console, row);
  if (const auto more = request.int_or("more_rows"); more > 0)
    console.message(fmt::format("{} more rows: --limit N, or `REQUEST#ROW`", more));
}

int why_of(const Invocation& invocation, const Console& console, const WhyArguments& arguments) {
  const auto why = find_why(invocation, arguments);
  if (!why.ok()) return console.fail(why.error());
  if (console.json()) {
    console.document(why->document);
  } else {
    for (const auto& request : doc::items_of(why->document.find("requests")))
      print_request(console, request);
  }
  if (why->differs) return kDiffers;
  return why->not_reproduced ? kNotReproduced : 0;
}

}  // namespace

void add_why_command(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<WhyArguments>();
  auto* command = app.add_subcommand(
      "why", "from an answer back to its row, features, bundle, data, approver and ledger proof");
  command->add_option("id", arguments->id, "`request_id` of the answer, or `REQUEST#ROW`")
      ->required();
  command->add_option("--service", arguments->service,
                      "that answered; default: every service is looked at");
  command->add_option("--limit", arguments->limit, "rows of a request that are told; default: 20")
      ->check(CLI::Range(1, 1'024));
  command->add_flag("--reproduce", arguments->reproduce,
                    "work the answer out again; exit code 1 where it differs");
  command->add_flag("--without-values", arguments->without_values,
                    "leave out what follows from the values of a row");
  command->callback([&invocation, arguments] {
    invocation.run = [=, &invocation](const Console& console) {
      return why_of(invocation, console, *arguments);
    };
  });
}

}  // namespace heddle::cli
