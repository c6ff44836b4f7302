#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_port.hpp"
#include "doc/value.hpp"
#include "ledger/checkpoint.hpp"
#include "store/store.hpp"

namespace heddle::ledger {

/// One thing that is not as it was signed.
struct Finding {
  std::string id;  ///< `ledger-entry-changed`, `ledger-rolled-back`, ...
  std::string message;
};

/// What a verification found. `ok()` only when every byte is as it was signed.
struct Audit {
  std::uint64_t entries = 0;      ///< covered by the checkpoint
  std::uint64_t unpublished = 0;  ///< committed after it (0 when the state was not given)
  Digest root{};
  std::uint64_t checkpoints = 0;  ///< signed ones in the history that were checked
  std::optional<std::uint64_t>
      anchored{};  ///< size of the checkpoint in git; none: not anchored or not looked at
  std::vector<Finding> findings{};

  [[nodiscard]] bool ok() const noexcept { return findings.empty(); }
  [[nodiscard]] doc::Value to_value() const;
  [[nodiscard]] std::string str() const;  ///< for people, several lines
};

struct VerifyOptions {
  std::string directory;          ///< `.heddle/tiles`
  VerifierKey key;                ///< pinned, never taken from `directory`
  store::State* state = nullptr;  ///< also compare with the committed rows
  store::Git* git = nullptr;      ///< also compare with the anchor
  FilePort* files = &system_files();
};

/// Recomputes the tree from the entries' bytes and compares it with the tiles, the signed
/// checkpoint, every checkpoint of the history, the state and the anchor. Findings are in the
/// audit; an error means that it could not be done at all, for example
/// that the disk did not give what is there: that is no proof that it was changed.
[[nodiscard]] Result<Audit> verify(const VerifyOptions& options);

}  // namespace heddle::ledger
