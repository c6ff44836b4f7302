#pragma once

#include <memory>

#include "base/result.hpp"
#include "table/stream.hpp"
#include "upstream/joiner.hpp"

namespace heddle::upstream {

/// A reader whose chunks have the joiner's fields as further columns. The columns that these are
/// computed from are read from the input once more, by the contract's types, whatever the reader
/// makes of them; memory is bounded by one more chunk. `joiner` must outlive it. One thread.
[[nodiscard]] Result<std::unique_ptr<table::TableReader>> with_joined(
    std::unique_ptr<table::TableReader> reader, const table::Input& input, const Joiner& joiner,
    const contract::Contract& contract);

}  // namespace heddle::upstream
