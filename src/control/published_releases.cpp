#include "control/published_releases.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "control/service_rows.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"
#include "plane/route_file.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kReleases = "releases";

std::string route_key(const std::string& service, std::uint64_t version) {
  return fmt::format("{}/{:010}", service, version);
}

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
  HEDDLE_TRY(each_row(txn, kRoutes, service_ + "/", route_row_schema(),
                      [&](auto, auto, const RouteRow& route) {
                        if (!route.primary.empty())
                          found.emplace_back(route.version, route.primary);
                      }));
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> PublishedReleases::store(store::Txn& txn, const release::Releases& next,
                                      std::string_view action, Micros event_time,
                                      const std::string& decision) const {
  HEDDLE_TRY(txn.put(kReleases, service_, doc::to_json(next.to_value())));
  const bool has_canary = next.canary().running();
  const RouteRow row{next.version(),
                     std::string(action),
                     next.primary(),
                     next.standby(),
                     has_canary ? next.canary().canary.bundle : Digest(),
                     next.canary().canary.weight,
                     next.shadow(),
                     event_time,
                     decision};
  return txn.put(kRoutes, route_key(service_, next.version()),
                 doc::to_json(route_row_schema().print(row)));
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
    const auto key = route_key(service_, now_.version());
    HEDDLE_ASSIGN_OR_RETURN(const auto row, txn.get(kRoutes, key));
    if (!row) return {};
    auto route = route_row_schema().parse_text(*row);
    if (!route.ok()) return in_row(kRoutes, key, std::move(route.error()));
    decision = std::move(route->decision);
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
  if (bundle.empty()) return false;  // as a slot that holds nothing is
  bool found = false;
  HEDDLE_TRY(state_.read([&](store::Txn& txn) {
    return each_row(txn, kRoutes, service_ + "/", route_row_schema(),
                    [&](auto, auto, const RouteRow& route) {
                      for (const auto& slot : {route.primary, route.standby, route.canary})
                        found = found || slot == bundle;
                    });
  }));
  return found;
}

}  // namespace heddle::control
