#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "doc/schema.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// The same error with the row that it is about.
[[nodiscard]] inline Error in_row(std::string_view collection, std::string_view key, Error error) {
  error.message = fmt::format("row `{}` of `{}`: {}", key, collection, error.message);
  return error;
}

/// Calls `take(key, bytes, value)` with each row of the collection whose key begins so, in their
/// order. A row that is not as its schema says is an error: nothing is decided on the others alone.
template <class T, class Take>
[[nodiscard]] Result<void> each_row(store::Txn& txn, std::string_view collection,
                                    std::string_view prefix, const doc::Schema<T>& schema,
                                    Take take) {
  Result<void> parsed;
  HEDDLE_TRY(txn.scan(collection, prefix, [&](std::string_view key, std::string_view bytes) {
    auto value = schema.parse_text(bytes);
    if (value.ok()) {
      take(key, bytes, *std::move(value));
    } else {
      parsed = in_row(collection, key, std::move(value.error()));
    }
    return parsed.ok();
  }));
  return parsed;
}

}  // namespace heddle::control
