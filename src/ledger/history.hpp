#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/file_port.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

namespace heddle::ledger {

/// Every checkpoint that was ever signed, in `<directory>/history`: the notes one after the other,
/// an empty line after each. The last one may be torn by a crash and then does not count.
struct History {
  std::vector<std::string> notes;
  std::string torn{};           ///< what stands after the last whole one
  std::size_t whole_bytes = 0;  ///< of the file, up to the end of the last whole note
};
/// How many checkpoints were signed, and a hash over all of them: kept in the state, so that a
/// history that lost some is known for it.
struct HistoryMark {
  std::uint64_t notes = 0;
  Digest chain{};
  void add(std::string_view note);
  [[nodiscard]] std::string str() const;
  /// Whether `history` begins with those that were marked. More may follow: the mark is written
  /// last.
  [[nodiscard]] bool begins(const History& history) const;
};
/// Empty when none was written.
[[nodiscard]] Result<HistoryMark> read_mark(store::Txn& txn);
[[nodiscard]] Result<void> write_mark(store::Txn& txn, const HistoryMark& mark);
[[nodiscard]] Result<History> read_history(FilePort& files, const std::string& directory);
/// Appends and syncs; first cuts off what a crash left half-written after `whole_bytes`.
[[nodiscard]] Result<void> append_history(FilePort& files, const std::string& directory,
                                          std::size_t whole_bytes, std::string_view note);

}  // namespace heddle::ledger
