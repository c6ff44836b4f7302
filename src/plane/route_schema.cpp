#include "plane/route_schema.hpp"

#include "base/encoding.hpp"

namespace heddle::plane {

const doc::Schema<Canary>& canary_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Canary>::record("the canary", "a bundle that answers a share");
    t.digest("bundle", &Canary::bundle, "the bundle; empty: none");
    t.integer("weight", &Canary::weight,
              "share of the requests in ten-thousandths; a baseline of the same share is answered "
              "by the primary")
        .between(0, kMostCanaryWeight);
    t.text("sticky", &Canary::sticky,
           "key of the draw: `source`, `header:NAME`, `field:NAME`; empty: the server draws each "
           "request");
    t.text("header", &Canary::header,
           "requests with this header of `header_value` always go to the canary; empty: none");
    t.text("header_value", &Canary::header_value, "its value");
    return t;
  }();
  return schema;
}

const doc::Schema<FailOver>& fail_over_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<FailOver>::record("the fail-over",
                                           "when the data plane changes to the standby by itself");
    t.integer("requests", &FailOver::requests, "of the last so many").between(1, 1'000'000);
    t.number("failed_share", &FailOver::failed_share, "share of them without an answer")
        .between(0, 1);
    t.number("refused_share", &FailOver::refused_share, "share of their rows refused; 1: never")
        .between(0, 1);
    t.integer("most", &FailOver::most, "fail-overs in a row").between(0, 1000);
    return t;
  }();
  return schema;
}

const doc::Schema<QuarantinedSource>& quarantined_schema() {
  static const auto schema = [] {
    auto t =
        doc::Schema<QuarantinedSource>::record("the quarantine", "a source whose rows are refused");
    t.text("source", &QuarantinedSource::source, "the source").filled();
    t.text("account", &QuarantinedSource::account,
           "whose rows of it are refused; empty: everybody's");
    t.text("rule", &QuarantinedSource::rule,
           "the contract's rule that its rows broke; empty: whatever refuses a row");
    t.integer("readmit_after", &QuarantinedSource::readmit_after,
              "so many rows in a row, positively clean under `rule`, let it in again; 0: only a "
              "table does");
    return t;
  }();
  return schema;
}

const doc::Schema<RouteTable>& route_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<RouteTable>::record("the route table",
                                             "what the data plane does for one service");
    t.of_format("heddle.route/1")
        .refused_as(ErrorKind::kCorrupt, "route-corrupt",
                    "the control plane writes a new one when it starts: `heddle up`");
    t.integer("version", &RouteTable::version,
              "strictly increasing; the data plane refuses lower ones and does nothing for an "
              "equal one");
    t.text("service", &RouteTable::service, "name of the service").filled();
    t.digest("primary", &RouteTable::primary, "the bundle that answers; empty: none");
    t.digest("standby", &RouteTable::standby,
             "the bundle that is loaded and scored beside it; empty: none");
    t.object("canary", &RouteTable::canary, canary_schema(),
             "a bundle that answers a share of the requests");
    t.digest("shadow", &RouteTable::shadow,
             "the bundle that is scored beside and compared, never answers; empty: none");
    t.boolean("fail_over_allowed", &RouteTable::fail_over_allowed,
              "the data plane may answer by the standby when the primary cannot be loaded or fails "
              "as `fail_over` says");
    t.object("fail_over", &RouteTable::fail_over, fail_over_schema(), "when it does");
    t.objects("quarantined", &RouteTable::quarantined, quarantined_schema(),
              "sources whose rows are refused");
    t.boolean("stopped", &RouteTable::stopped,
              "the declared safe state: requests are answered 503");
    t.texts("acknowledged", &RouteTable::acknowledged,
            "ids of acts and stops in the journal that this table has settled");
    t.text("decision", &RouteTable::decision, "ledger entry that made it, `ledger/<seq>`");
    return t;
  }();
  return schema;
}

const doc::Schema<RouteFile>& route_file_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<RouteFile>::record("the route table", "a table as its file has it");
    t.flattened(&RouteFile::table, route_schema());
    t.custom(
         "draw_secret", doc::Shape::kText, "of the canary's draw, 32 hex digits; absent: no canary",
         [](RouteFile& into, const doc::Value& value, doc::Reader& reader) {
           const auto secret = hex_decode(value.as_string());
           if (secret.ok() && secret->size() == kDrawSecretBytes) {
             into.draw_secret = *secret;
           } else {
             reader.refuse("", fmt::format("must be {} hex digits", 2 * kDrawSecretBytes));
           }
         },
         [](const RouteFile& from) -> std::optional<doc::Value> {
           if (from.draw_secret.empty()) return std::nullopt;
           return hex_encode(from.draw_secret);
         })
        .optional();
    return t;
  }();
  return schema;
}

}  // namespace heddle::plane
