#include "control/watched_routes.hpp"

#include "base/log.hpp"
#include "control/watched_route.hpp"

namespace heddle::control {

Result<void> WatchedRoutes::know(const Digest& primary, std::uint64_t version) {
  // The data plane refuses what cannot be read and answers from the standby; to end here would end
  // that too.
  HEDDLE_ASSIGN_OR_RETURN(auto route,
                          watched_or_not(of(primary, version), primary, version, watch_.task()));
  if (route.baseline == nullptr) {
    log::error("service `{}`: route {} is not watched, its bundle cannot be read: {}", service_,
               version, route.unwatched);
  }
  watch_.register_route(route);
  all_.push_back(std::move(route));
  return {};
}

Result<watch::Route> WatchedRoutes::of(const Digest& primary, std::uint64_t version) {
  auto known = read_.find(primary);
  if (known == read_.end()) {
    HEDDLE_ASSIGN_OR_RETURN(auto route, read_watched_route(objects_, primary));
    known = read_.emplace(primary, std::move(route)).first;
  }
  auto route = known->second;
  route.version = version;
  return route;
}

TaskOf WatchedRoutes::tasks() {
  return [this](const Digest& bundle) -> std::optional<stats::Task> {
    if (bundle.empty()) return std::nullopt;
    const auto route = of(bundle, 0);
    return route.ok() ? std::optional(route->task) : std::nullopt;
  };
}

}  // namespace heddle::control
