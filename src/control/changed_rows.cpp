#include "control/changed_rows.hpp"

namespace heddle::control {

void ChangedRows::known(std::string_view collection, std::string_view key, std::string_view bytes) {
  stored_[{std::string(collection), std::string(key)}] = sha256(bytes);
}

Result<void> ChangedRows::put(store::Txn& txn, std::string_view collection, std::string_view key,
                              std::string_view bytes) {
  Key row{std::string(collection), std::string(key)};
  const Digest digest = sha256(bytes);
  // Known by digest and not by bytes: the rows of a
  // service may be large, and are compared at each tick.
  if (const auto at = stored_.find(row); at != stored_.end() && at->second == digest) return {};
  HEDDLE_TRY(txn.put(collection, key, bytes));
  // Not known until the transaction is committed: after
  // a rollback the state has the bytes of before.
  pending_[std::move(row)] = digest;
  return {};
}

Result<void> ChangedRows::erase(store::Txn& txn, std::string_view collection,
                                std::string_view key) {
  HEDDLE_TRY(txn.erase(collection, key));
  pending_[{std::string(collection), std::string(key)}] = Digest();
  return {};
}

void ChangedRows::ended(bool committed) {
  if (committed) {
    for (const auto& [row, digest] : pending_) {
      if (digest.empty())
        stored_.erase(row);
      else
        stored_[row] = digest;
    }
  }
  pending_.clear();
}

}  // namespace heddle::control
