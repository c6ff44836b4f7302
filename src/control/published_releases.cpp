#include "control/published_releases.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "plane/route_file.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kReleases = "releases";
constexpr std::string_view kRoutes = "routes";  ///< every one there was, for `release history`

std::string route_key(const std::string& service, std::uint64_t version) {
  return fmt::format("{}/{:010}", service, version);
}

std::string text_of(const Digest& bundle) { return bundle.empty() ? "" : bundle.str(); }

}  // namespace

Result<void> PublishedReleases::restore(store::Txn& txn) {
  HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kReleases, service_));
  if (!row) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(*row));
  HEDDLE_ASSIGN_OR_RETURN(now_, release::Releases::from_value(value));
  return {};
}

Result<std::vector<std::pair<std::uint64_t, Digest>>> PublishedReleases::primaries(
    store::Txn& txn) const {
  std::vector<std::pair<std::uint64_t, Digest>> found;
  HEDDLE_TRY(txn.scan(kRoutes, service_ + "/", [&](std::string_view, std::string_view bytes) {
    const auto value = doc::parse_json(bytes);
    const auto primary =
        value.ok() ? Digest::parse(value->string_or("primary")) : Result<Digest>(value.error());
    if (primary.ok() && !primary->empty())
      found.emplace_back(static_cast<std::uint64_t>(value->int_or("version")), *primary);
    return true;
  }));
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> PublishedReleases::store(store::Txn& txn, const release::Releases& next,
                                      std::string_view action, Micros event_time,
                                      const std::string& decision) const {
  HEDDLE_TRY(txn.put(kReleases, service_, doc::to_json(next.to_value())));
  const auto row = doc::Value::object(
      {{"version", next.version()},
       {"action", action},
       {"primary", text_of(next.primary())},
       {"standby", text_of(next.standby())},
       {"canary", next.canary().running() ? next.canary().canary.bundle.str() : ""},
       {"weight", next.canary().canary.weight},
       {"shadow", text_of(next.shadow())},
       {"event_time", event_time},
       {"decision", decision}});
  return txn.put(kRoutes, route_key(service_, next.version()), doc::to_json(row));
}

Result<void> PublishedReleases::note(release::Releases next) {
  HEDDLE_TRY(state_.write([&](store::Txn& txn) {
    return txn.put(kReleases, service_, doc::to_json(next.to_value()));
  }));
  now_ = std::move(next);
  return {};
}

Result<void> PublishedReleases::publish() {
  HEDDLE_TRY(make_dirs(home_.routes()));
  std::string decision;
  HEDDLE_TRY(state_.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kRoutes, route_key(service_, now_.version())));
    if (!row) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(*row));
    decision = value.string_or("decision");
    return {};
  }));
  plane::RouteFile file{now_.route(decision)};
  if (const auto& run = now_.canary(); run.running())
    file.draw_secret = plane::draw_secret(key_, file.table.service, run.started);
  HEDDLE_TRY(plane::write_route_file(home_.route(service_), file, key_));
  published_ = now_.version();
  return {};
}

Result<bool> PublishedReleases::was_released(const Digest& bundle) const {
  const auto text = bundle.str();
  bool found = false;
  HEDDLE_TRY(state_.read([&](store::Txn& txn) {
    return txn.scan(kRoutes, service_ + "/", [&](std::string_view, std::string_view row) {
      const auto route = doc::parse_json(row);
      if (!route.ok()) return true;
      for (const char* slot : {"primary", "standby", "canary"})
        found = found || route->string_or(slot) == text;
      return !found;
    });
  }));
  return found;
}

}  // namespace heddle::control
