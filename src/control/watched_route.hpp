#pragma once

#include <cstdint>
#include <string>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "recover/ladder.hpp"
#include "spec/project.hpp"
#include "store/store.hpp"
#include "watch/watch.hpp"

namespace heddle::control {

/// What the watch knows of a bundle that serves: its baseline, task, interval, and what its
/// contract repairs. Its version is 0. kCorrupt or kNotFound when it has no baseline that can be
/// read. Used by one thread: what repairs a row has working memory.
[[nodiscard]] Result<watch::Route> read_watched_route(store::Objects& objects,
                                                      const Digest& primary);

/// The same at a version. A bundle that cannot be read gives a route that is not watched, which the
/// watch alerts on; another fault is an error.
[[nodiscard]] Result<watch::Route> watched_or_not(Result<watch::Route> route, const Digest& primary,
                                                  std::uint64_t version, const stats::Task& task);

/// Names of the fields in the rows of a journal, in their order.
[[nodiscard]] std::vector<std::string> journal_fields(const spec::Contract& contract);

/// What the ladder of a service goes by; `project` has been checked. The bound of a retrain and the
/// rows that let a source in are the service's.
[[nodiscard]] recover::Ladder::Options ladder_options(const spec::Project& project,
                                                      const spec::Service& service);

}  // namespace heddle::control
