#pragma once

#include <memory>

#include "table/stream.hpp"

namespace heddle::table {

/// A reader whose next chunk is read in a thread of its own while this one is worked on: the same
/// chunks and errors in the same order. Memory is bounded by three chunks in place of one. The
/// thread starts with the first `next` and ends with the reader. Used by one thread.
[[nodiscard]] std::unique_ptr<TableReader> read_ahead(std::unique_ptr<TableReader> reader);

}  // namespace heddle::table
