#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "doc/value.hpp"

namespace heddle::doc {
template <class T>
class Schema;
}  // namespace heddle::doc

namespace heddle::spec {

/// What a field is of the rows of a source that its row sees.
enum class Aggregate { kLast, kCount, kSum, kMean, kMin, kMax };

/// A field whose value the client's systems know and send with a request, and how it is computed
/// from a source for rows that do not have it: those to train on and those of files. A row of time
/// t sees the rows of the source that have its key and for which `time` + `delay` < t and, with a
/// window, `time` + `delay` >= t - `window`: never itself, never the future.
struct Upstream {
  std::string source{};  ///< of heddle.yaml
  /// Fields and the columns of the source that must be equal to them, by the fields' names. None:
  /// every row sees all.
  std::vector<std::pair<std::string, std::string>> key{};
  std::string time{};   ///< timestamps of the source
  std::string value{};  ///< a column of the source; empty: rows are counted
  Aggregate aggregate = Aggregate::kLast;
  std::optional<Micros> window{};  ///< none: however long ago
  std::optional<Micros> delay{};   ///< from a row's time to when it is known; none: none
  doc::Position position{};        ///< of the declaration

  [[nodiscard]] Micros known_after() const noexcept { return delay.value_or(0); }
};

/// The keys of `upstream` in a contract, and in a bundle.
[[nodiscard]] const doc::Schema<Upstream>& upstream_keys();
[[nodiscard]] const doc::Schema<Upstream>& stored_upstream();

}  // namespace heddle::spec
