#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"

namespace heddle::ledger {

/// RFC 6962 2.1: SHA-256(0x00 || entry) and SHA-256(0x01 || left || right). The empty tree's root
/// is SHA-256 of nothing.
[[nodiscard]] Digest leaf_hash(std::string_view entry);
[[nodiscard]] Digest node_hash(const Digest& left, const Digest& right);

/// The roots of the perfect subtrees that make up a tree, largest first: all that is needed to
/// append and to know the root. At most 64 hashes. A value type.
class CompactRange {
 public:
  void append(const Digest& leaf);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] Digest root() const;
  [[nodiscard]] std::string bytes() const;  ///< 8 bytes of size (big endian), then the hashes
  /// kCorrupt when the number of hashes does not fit the size.
  [[nodiscard]] static Result<CompactRange> from_bytes(std::string_view bytes);
  bool operator==(const CompactRange&) const = default;

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> hashes_;
};

/// The hash of the perfect subtree of height `level` that begins at leaf `index << level`.
using NodeReader = std::function<Result<Digest>(int level, std::uint64_t index)>;

/// RFC 6962 2.1.1 and 2.1.2. kInvalid when `index` or `old_size` lies outside the tree.
[[nodiscard]] Result<std::vector<Digest>> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                                          const NodeReader& node);
[[nodiscard]] Result<std::vector<Digest>> consistency_proof(std::uint64_t old_size,
                                                            std::uint64_t size,
                                                            const NodeReader& node);
/// The root of the first `size` leaves.
[[nodiscard]] Result<Digest> root_of(std::uint64_t size, const NodeReader& node);

/// RFC 9162 2.1.3.2 and 2.1.4.2. True when the proof holds.
[[nodiscard]] bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                    const std::vector<Digest>& proof, const Digest& root);
[[nodiscard]] bool verify_consistency(std::uint64_t old_size, std::uint64_t size,
                                      const Digest& old_root, const Digest& root,
                                      const std::vector<Digest>& proof);

}  // namespace heddle::ledger
