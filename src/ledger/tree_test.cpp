#include "ledger/tree.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/encoding.hpp"
#include "ledger/checkpoint.hpp"
#include "ledger/tiles.hpp"

namespace heddle::ledger {
namespace {

/// RFC 6962 2.1 word for word, over leaf hashes: what the rest is compared with.
Digest reference_root(const std::vector<Digest>& leaves, std::size_t begin, std::size_t end) {
  if (begin == end) return sha256("");
  if (end - begin == 1) return leaves[begin];
  std::size_t k = 1;
  while (k * 2 < end - begin) k *= 2;
  return node_hash(reference_root(leaves, begin, begin + k),
                   reference_root(leaves, begin + k, end));
}

std::vector<Digest> make_leaves(std::size_t n) {
  std::vector<Digest> leaves;
  for (std::size_t i = 0; i < n; ++i) leaves.push_back(leaf_hash(fmt::format("entry {}", i)));
  return leaves;
}

NodeReader reader_of(const std::vector<Digest>& leaves) {
  return [&leaves](int level, std::uint64_t index) -> Result<Digest> {
    return reference_root(leaves, index << level, (index + 1) << level);
  };
}

// The eight leaves and roots of Certificate Transparency's own tests (merkletree, "TestVector").
TEST(Tree, HasTheRootsOfCertificateTransparency) {
  const std::vector<std::string> inputs = {"",
                                           "00",
                                           "10",
                                           "2021",
                                           "3031",
                                           "40414243",
                                           "5051525354555657",
                                           "606162636465666768696a6b6c6d6e6f"};
  const std::vector<std::string> roots = {
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  CompactRange range;
  EXPECT_EQ(range.root().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    range.append(leaf_hash(hex_decode(inputs[i]).value()));
    EXPECT_EQ(range.root().hex(), roots[i]) << i;
  }
}

TEST(Tree, EveryProofOfEverySizeUpTo70HoldsAndNoOtherDoes) {
  const auto leaves = make_leaves(70);
  const auto node = reader_of(leaves);
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    const auto root = reference_root(leaves, 0, size);
    EXPECT_EQ(root_of(size, node).value(), root);
    for (std::size_t i = 0; i < size; ++i) {
      auto proof = inclusion_proof(i, size, node).value();
      EXPECT_TRUE(verify_inclusion(leaves[i], i, size, proof, root)) << i << " of " << size;
      EXPECT_FALSE(verify_inclusion(leaves[(i + 1) % 70], i, size, proof, root));
      EXPECT_FALSE(verify_inclusion(leaves[i], i + 1, size, proof, root));
      if (!proof.empty()) {
        std::swap(proof.front(), proof.back());
        EXPECT_EQ(verify_inclusion(leaves[i], i, size, proof, root), proof.front() == proof.back());
        std::swap(proof.front(), proof.back());
        proof.pop_back();
        EXPECT_FALSE(verify_inclusion(leaves[i], i, size, proof, root));
      }
      proof.push_back(root);
      EXPECT_FALSE(verify_inclusion(leaves[i], i, size, proof, root));
    }
    for (std::size_t old = 0; old <= size; ++old) {
      const auto old_root = reference_root(leaves, 0, old);
      auto proof = consistency_proof(old, size, node).value();
      EXPECT_TRUE(verify_consistency(old, size, old_root, root, proof)) << old << " to " << size;
      if (old > 0 && old < size) {
        EXPECT_FALSE(verify_consistency(old, size, root, root, proof));
        EXPECT_FALSE(verify_consistency(old, size, old_root, old_root, proof));
        proof.front().bytes[5] ^= 1;
        EXPECT_FALSE(verify_consistency(old, size, old_root, root, proof));
      }
    }
  }
  EXPECT_EQ(inclusion_proof(70, 70, node).error().id, "ledger-proof-range");
  EXPECT_EQ(consistency_proof(71, 70, node).error().id, "ledger-proof-range");
}

TEST(Tree, ACompactRangeReadsItselfBackAndRefusesWhatDoesNotFit) {
  CompactRange range;
  const auto leaves = make_leaves(300);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto bytes = range.bytes();
    const auto again = CompactRange::from_bytes(bytes).value();
    EXPECT_EQ(again, range);
    EXPECT_FALSE(CompactRange::from_bytes(bytes.substr(0, bytes.size() - 1)).ok());
    EXPECT_FALSE(CompactRange::from_bytes(bytes + std::string(32, 'x')).ok());
    range.append(leaves[i]);
    EXPECT_EQ(range.root(), reference_root(leaves, 0, i + 1));
  }
}

// The example of C2SP tlog-tiles: 70,000 entries.
TEST(Tiles, WidthsAndPathsAreThoseOfTheSpecification) {
  EXPECT_EQ(tile_width(0, 272, 70000), 256U);
  EXPECT_EQ(tile_width(0, 273, 70000), 112U);
  EXPECT_EQ(tile_width(0, 274, 70000), 0U);
  EXPECT_EQ(tile_width(1, 0, 70000), 256U);
  EXPECT_EQ(tile_width(1, 1, 70000), 17U);
  EXPECT_EQ(tile_width(2, 0, 70000), 1U);
  EXPECT_EQ(tile_path(0, 273, 112), "tile/0/273.p/112");
  EXPECT_EQ(tile_path(0, 1234067, 256), "tile/0/x001/x234/067");
  EXPECT_EQ(entries_path(1234067, 8), "tile/entries/x001/x234/067.p/8");
}

TEST(Checkpoint, ASignedNoteOpensWithItsKeyAndNoOther) {
  const auto key = Ed25519Key::from_seed(std::string(32, '\7')).value();
  const VerifierKey verifier{"heddle/flights", key.public_key};
  const Checkpoint checkpoint{"heddle/flights", 42, sha256("root")};
  const auto note = sign_checkpoint(checkpoint, key, "heddle/flights");
  EXPECT_EQ(open_checkpoint(note, verifier).value(), checkpoint);
  const auto parsed = VerifierKey::parse(verifier.str()).value();
  EXPECT_EQ(parsed.str(), verifier.str());
  EXPECT_EQ(open_checkpoint(note, parsed).value(), checkpoint);

  const auto other = Ed25519Key::from_seed(std::string(32, '\10')).value();
  EXPECT_EQ(open_checkpoint(note, {"heddle/flights", other.public_key}).error().id,
            "checkpoint-unsigned");
  EXPECT_EQ(open_checkpoint(note, {"heddle/other", key.public_key}).error().id,
            "checkpoint-unsigned");
  // An unknown signature is passed over; a wrong one of ours is not.
  const auto foreign = sign_checkpoint(checkpoint, other, "witness");
  const auto line = foreign.substr(foreign.find("\n\n") + 2);
  EXPECT_EQ(open_checkpoint(note + line, verifier).value(), checkpoint);
  auto changed = note;
  changed[changed.find("42")] = '5';
  EXPECT_EQ(open_checkpoint(changed, verifier).error().id, "checkpoint-signature");
  for (std::size_t cut = 0; cut < note.size(); ++cut)
    EXPECT_FALSE(open_checkpoint(note.substr(0, cut), verifier).ok()) << cut;
  for (std::size_t i = 0; i < note.size(); ++i) {
    auto flipped = note;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(open_checkpoint(flipped, verifier).ok()) << i;
  }
  EXPECT_FALSE(VerifierKey::parse(verifier.str().substr(1)).ok());
  EXPECT_FALSE(VerifierKey::parse("heddle/flights+00000000+" +
                                  verifier.str().substr(verifier.str().rfind('+') + 1))
                   .ok());
}

}  // namespace
}  // namespace heddle::ledger
