#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "bundle/bundle.hpp"
#include "spec/contract.hpp"
#include "store/store.hpp"
#include "table/table.hpp"

namespace heddle::flow {

/// Rows that a model has not learned from, as they were received, with their labels.
struct HeldOut {
  table::Table rows{};
  std::vector<double> labels{};  ///< codes of the bundle's task
  std::vector<Micros> times{};   ///< event times, ascending; empty: the rows have no order
};

/// Writes the newest 10,000 of them as an object (docs/formats/held-out.md) and returns its digest,
/// which the bundle's `lineage.held_out` names. `fields` are the request's.
[[nodiscard]] Result<Digest> keep_held_out(store::Objects& objects,
                                           std::span<const spec::Field> fields,
                                           const HeldOut& held);

/// The held-out rows that a bundle names, with those of `fields` that were kept, typed as these
/// are. kNotFound when the bundle names none or the object is not there (a bundle from elsewhere),
/// kCorrupt when it cannot be read.
[[nodiscard]] Result<HeldOut> read_held_out(store::Objects& objects, const bundle::Bundle& bundle,
                                            std::span<const spec::Field> fields);

}  // namespace heddle::flow
