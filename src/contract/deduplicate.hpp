#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "spec/repairs.hpp"
#include "table/lookup.hpp"
#include "table/table.hpp"

namespace heddle::contract {

/// Which rows of a set are other rows again, by the key and the time of a contract's `deduplicate`.
/// Rows that lack a part of the key or the time are nobody's duplicates. Keys are exact; memory is
/// that of the distinct keys. One thread.
class Deduplicator {
 public:
  explicit Deduplicator(const spec::Deduplicate& rule);

  /// Accepted rows of the contract, in any number of parts; `numbers[i]` is what row i is called
  /// in the set, ascending over all parts. kUnprocessable where a field of the rule has no column.
  [[nodiscard]] Result<void> add(const table::Table& accepted,
                                 std::span<const std::int64_t> numbers);
  /// The numbers of the rows that another one stands for, ascending.
  [[nodiscard]] std::vector<std::int64_t> finish() &&;

 private:
  /// The row that stays of a key, as far as rows were seen.
  struct Kept {
    std::int64_t number = 0;
    Micros time = 0;
  };

  spec::Deduplicate rule_;
  bool is_begun_ = false;
  std::vector<table::KeyPart> parts_{};
  table::TupleIndex keys_;
  std::vector<Kept> kept_{};
  std::vector<std::int64_t> dropped_{};
};

}  // namespace heddle::contract
