#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// Rows of the state that one owner keeps up to date: a row is written when its bytes are other
/// than the stored ones, so that what a transaction writes is bounded by what changed. Confined to
/// one thread.
class ChangedRows {
 public:
  /// A row as it was read.
  void known(std::string_view collection, std::string_view key, std::string_view bytes);

  [[nodiscard]] Result<void> put(store::Txn& txn, std::string_view collection, std::string_view key,
                                 std::string_view bytes);
  [[nodiscard]] Result<void> erase(store::Txn& txn, std::string_view collection,
                                   std::string_view key);

  /// The transaction that the calls since the last `ended` were made in is over.
  void ended(bool committed);

 private:
  using Key = std::pair<std::string, std::string>;
  std::map<Key, Digest> stored_;
  std::map<Key, Digest> pending_;  ///< an empty digest: erased
};

}  // namespace heddle::control
