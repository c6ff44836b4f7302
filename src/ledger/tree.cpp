#include "ledger/tree.hpp"

#include <algorithm>
#include <bit>

namespace heddle::ledger {
namespace {

std::string_view view(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

/// The largest power of two smaller than `n`; n is at least 2.
std::uint64_t split(std::uint64_t n) { return std::bit_floor(n - 1); }

/// MTH(D[begin, end)), RFC 6962 2.1.
Result<Digest> subtree(std::uint64_t begin, std::uint64_t end, const NodeReader& node) {
  const std::uint64_t n = end - begin;
  if (std::has_single_bit(n) && begin % n == 0) return node(std::countr_zero(n), begin / n);
  const std::uint64_t k = split(n);
  HEDDLE_ASSIGN_OR_RETURN(const auto left, subtree(begin, begin + k, node));
  HEDDLE_ASSIGN_OR_RETURN(const auto right, subtree(begin + k, end, node));
  return node_hash(left, right);
}

/// PATH(m, D[begin, end)), RFC 6962 2.1.1.
Result<void> path(std::uint64_t m, std::uint64_t begin, std::uint64_t end, const NodeReader& node,
                  std::vector<Digest>& proof) {
  const std::uint64_t n = end - begin;
  if (n == 1) return {};
  const std::uint64_t k = split(n);
  const bool left = m < k;
  HEDDLE_TRY(left ? path(m, begin, begin + k, node, proof)
                  : path(m - k, begin + k, end, node, proof));
  HEDDLE_ASSIGN_OR_RETURN(const auto sibling,
                          left ? subtree(begin + k, end, node) : subtree(begin, begin + k, node));
  proof.push_back(sibling);
  return {};
}

/// SUBPROOF(m, D[begin, end), whole), RFC 6962 2.1.2.
Result<void> subproof(std::uint64_t m, std::uint64_t begin, std::uint64_t end, bool whole,
                      const NodeReader& node, std::vector<Digest>& proof) {
  const std::uint64_t n = end - begin;
  if (m == n) {
    if (whole) return {};
    HEDDLE_ASSIGN_OR_RETURN(const auto hash, subtree(begin, end, node));
    proof.push_back(hash);
    return {};
  }
  const std::uint64_t k = split(n);
  const bool left = m <= k;
  HEDDLE_TRY(left ? subproof(m, begin, begin + k, whole, node, proof)
                  : subproof(m - k, begin + k, end, false, node, proof));
  HEDDLE_ASSIGN_OR_RETURN(const auto sibling,
                          left ? subtree(begin + k, end, node) : subtree(begin, begin + k, node));
  proof.push_back(sibling);
  return {};
}

}  // namespace

Digest leaf_hash(std::string_view entry) {
  Hasher hasher;
  hasher.update(std::string_view("\0", 1));
  hasher.update(entry);
  return hasher.finish();
}

Digest node_hash(const Digest& left, const Digest& right) {
  std::string bytes(65, '\1');
  bytes.replace(1, 32, view(left));
  bytes.replace(33, 32, view(right));
  return sha256(bytes);
}

void CompactRange::append(const Digest& leaf) {
  Digest hash = leaf;
  for (auto bits = size_; (bits & 1) != 0; bits >>= 1) {
    hash = node_hash(hashes_.back(), hash);
    hashes_.pop_back();
  }
  hashes_.push_back(hash);
  ++size_;
}

Digest CompactRange::root() const {
  if (hashes_.empty()) return sha256("");
  Digest hash = hashes_.back();
  for (auto it = hashes_.rbegin() + 1; it != hashes_.rend(); ++it) hash = node_hash(*it, hash);
  return hash;
}

std::string CompactRange::bytes() const {
  std::string text;
  text.reserve(8 + 32 * hashes_.size());
  for (int shift = 56; shift >= 0; shift -= 8)
    text.push_back(static_cast<char>(size_ >> shift & 0xff));
  for (const auto& hash : hashes_) text += view(hash);
  return text;
}

Result<CompactRange> CompactRange::from_bytes(std::string_view bytes) {
  const Error malformed{ErrorKind::kCorrupt, "ledger-range-malformed",
                        "the ledger's head does not fit its size",
                        "the state was changed from outside: restore it from a backup"};
  if (bytes.size() < 8) return malformed;
  CompactRange range;
  for (int i = 0; i < 8; ++i)
    range.size_ = range.size_ << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  bytes.remove_prefix(8);
  if (bytes.size() != 32U * static_cast<unsigned>(std::popcount(range.size_))) return malformed;
  for (; !bytes.empty(); bytes.remove_prefix(32)) {
    Digest hash;
    std::copy_n(bytes.begin(), 32, hash.bytes.begin());
    range.hashes_.push_back(hash);
  }
  return range;
}

Result<Digest> root_of(std::uint64_t size, const NodeReader& node) {
  if (size == 0) return sha256("");
  return subtree(0, size, node);
}

Result<std::vector<Digest>> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                            const NodeReader& node) {
  if (index >= size) {
    return Error{ErrorKind::kInvalid, "ledger-proof-range",
                 fmt::format("no entry {} in a ledger of {}", index, size)};
  }
  std::vector<Digest> proof;
  HEDDLE_TRY(path(index, 0, size, node, proof));
  return proof;
}

Result<std::vector<Digest>> consistency_proof(std::uint64_t old_size, std::uint64_t size,
                                              const NodeReader& node) {
  if (old_size > size) {
    return Error{ErrorKind::kInvalid, "ledger-proof-range",
                 fmt::format("a ledger of {} holds none of {}", size, old_size)};
  }
  std::vector<Digest> proof;
  if (old_size > 0 && old_size < size) HEDDLE_TRY(subproof(old_size, 0, size, true, node, proof));
  return proof;
}

bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                      const std::vector<Digest>& proof, const Digest& root) {
  if (index >= size) return false;
  std::uint64_t fn = index;
  std::uint64_t sn = size - 1;
  Digest hash = leaf;
  for (const auto& p : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      hash = node_hash(p, hash);
      while ((fn & 1) == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      hash = node_hash(hash, p);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && hash == root;
}

namespace {

/// The way up from the last leaf of the old tree, in the old and in the new one (RFC
/// 9162, 2.1.4.2): its place in either, and the hash so far.
class Climb {
 public:
  Climb(std::uint64_t old_place, std::uint64_t place, const Digest& begin)
      : fn_(old_place), sn_(place), fr_(begin), sr_(begin) {
    while ((fn_ & 1) != 0) rise();
  }

  /// False when the proof goes on past the root.
  bool take(const Digest& hash) {
    if (sn_ == 0) return false;
    if ((fn_ & 1) != 0 || fn_ == sn_) {
      fr_ = node_hash(hash, fr_);
      sr_ = node_hash(hash, sr_);
      while ((fn_ & 1) == 0 && fn_ != 0) rise();
    } else {
      sr_ = node_hash(sr_, hash);  // on the right of the old tree's end: new alone
    }
    rise();
    return true;
  }

  [[nodiscard]] bool reached(const Digest& old_root, const Digest& root) const {
    return sn_ == 0 && fr_ == old_root && sr_ == root;
  }

 private:
  void rise() {
    fn_ >>= 1;
    sn_ >>= 1;
  }

  std::uint64_t fn_;
  std::uint64_t sn_;
  Digest fr_;
  Digest sr_;
};

}  // namespace

bool verify_consistency(std::uint64_t old_size, std::uint64_t size, const Digest& old_root,
                        const Digest& root, const std::vector<Digest>& proof) {
  if (old_size > size) return false;
  if (old_size == size) return proof.empty() && old_root == root;
  if (old_size == 0) return proof.empty() && old_root == sha256("");
  auto it = proof.begin();
  // A whole left subtree is its own root; the proof leaves it out.
  const bool is_subtree = std::has_single_bit(old_size);
  if (!is_subtree && it == proof.end()) return false;
  Climb climb(old_size - 1, size - 1, is_subtree ? old_root : *it++);
  const bool fits =
      std::all_of(it, proof.end(), [&](const Digest& hash) { return climb.take(hash); });
  return fits && climb.reached(old_root, root);
}

}  // namespace heddle::ledger
