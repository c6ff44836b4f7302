#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "doc/schema.hpp"
#include "spec/contract.hpp"

namespace heddle::contract {

/// What was learned of one dependency. Each tuple is an array of the determinant's values and then
/// the dependent one. Private to this module.
struct StoredLearning {
  std::string rule;
  std::int64_t conflicting = 0;
  doc::Value tuples = doc::Value::array();
};

/// A compiled contract as a bundle has it (docs/formats/contract.md).
struct StoredContract {
  std::string name;
  std::string version;
  std::vector<spec::Field> fields{};
  std::vector<spec::RowRule> row_rules{};
  std::vector<spec::SetRule> set_rules{};
  std::vector<spec::Transform> transforms{};
  std::vector<StoredLearning> learned{};
  std::optional<spec::Deduplicate> deduplicate{};
};

[[nodiscard]] const doc::Schema<StoredContract>& contract_schema();

}  // namespace heddle::contract
