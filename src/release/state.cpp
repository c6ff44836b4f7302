#include "release/state.hpp"

#include <algorithm>

#include "plane/route_schema.hpp"

namespace heddle::release {
namespace {

struct KnownBundle {
  Digest bundle{};
  Standing standing{};
};

const doc::Schema<KnownBundle>& known_bundle_schema() {
  static const auto standing = [] {
    auto t = doc::Schema<Standing>::record("the standing", "what is known of a bundle");
    t.boolean("approved", &Standing::approved,
              "a person approved it, or a rule names the exception");
    t.boolean("ready", &Standing::ready, "its objects are here and its parity check passed");
    t.text("approval", &Standing::approval, "id of the approval or the ledger entry");
    return t;
  }();
  static const auto schema = [] {
    auto t = doc::Schema<KnownBundle>::record("the bundle", "a bundle in a slot");
    t.digest("bundle", &KnownBundle::bundle, "which").filled();
    t.flattened(&KnownBundle::standing, standing);
    return t;
  }();
  return schema;
}

const doc::Schema<CanaryRun>& canary_run_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<CanaryRun>::record("the canary", "a canary that runs");
    t.flattened(&CanaryRun::canary, plane::canary_schema());
    t.integers("steps", &CanaryRun::steps, "its weights, rising");
    t.integer("started", &CanaryRun::started, "route version that started it");
    t.integer("stepped", &CanaryRun::stepped, "route version that set its weight");
    t.micros("stepped_at", &CanaryRun::stepped_at,
             "event time of the decision that set its weight, microseconds");
    t.finally([](CanaryRun& into, const doc::Value&, doc::Reader& reader) {
      if (!into.running()) reader.refuse("bundle", "must name the bundle that runs");
    });
    return t;
  }();
  return schema;
}

const doc::Schema<plane::QuarantinedSource>& quarantined_schema() {
  using Source = plane::QuarantinedSource;
  static const auto schema = [] {
    auto t = plane::quarantined_schema();
    t.text("by", &Source::by, "the person who shut it out; empty: recovery");
    t.text("reason", &Source::reason, "of that person");
    return t;
  }();
  return schema;
}

}  // namespace

std::uint32_t CanaryRun::next_weight() const noexcept {
  const auto next = std::upper_bound(steps.begin(), steps.end(), canary.weight);
  return next == steps.end() ? 0 : *next;
}

const doc::Schema<ReleasesState>& releases_schema() {
  using State = ReleasesState;
  static const auto schema = [] {
    auto t = doc::Schema<State>::record("the saved releases",
                                        "which bundle of a service is in which slot");
    t.of_format("heddle.releases/1")
        .refused_as(ErrorKind::kCorrupt, "release-state",
                    "go on with the Heddle that wrote it, or bring `.heddle/state.db` back from a "
                    "backup");
    t.text("service", &State::service, "name of the service").filled();
    t.integer("version", &State::version, "of its newest route table");
    t.digest("primary", &State::primary, "the bundle that answers; empty: none");
    t.digest("standby", &State::standby, "the bundle that stands by; empty: none");
    t.digest("rollback", &State::rollback, "where a rollback goes; empty: nowhere");
    // Without a canary there is an object without members, as the format has it.
    t.custom(
        "canary", doc::Shape::kObject, "the canary that runs; `{}`: none",
        [](State& into, const doc::Value& value, doc::Reader& reader) {
          if (value.size() > 0) reader.read(canary_run_schema(), value, &into.canary);
        },
        [](const State& from) -> std::optional<doc::Value> {
          if (!from.canary.running()) return doc::Value::object();
          return canary_run_schema().print(from.canary);
        });
    t.keys.back().object = &canary_run_schema();
    t.digest("shadow", &State::shadow, "the bundle scored beside; empty: none");
    t.boolean("fail_over_allowed", &State::fail_over_allowed, "as in the route table");
    t.object("fail_over", &State::fail_over, plane::fail_over_schema(), "as in the route table");
    t.boolean("stopped", &State::stopped, "the declared safe state");
    t.objects("quarantined", &State::quarantined, quarantined_schema(),
              "sources whose rows are refused");
    t.texts("acknowledged", &State::acknowledged, "acts of the data plane that are settled");
    t.objects_as(
        "bundles", known_bundle_schema(), "what is known of the bundles in slots",
        [](const State& from) {
          std::vector<KnownBundle> items;
          for (const auto& [bundle, standing] : from.bundles) items.push_back({bundle, standing});
          return items;
        },
        [](State& into, std::vector<KnownBundle> items) {
          for (auto& [bundle, standing] : items) into.bundles[bundle] = std::move(standing);
        });
    return t;
  }();
  return schema;
}

}  // namespace heddle::release
