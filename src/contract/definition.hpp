#pragma once

#include "base/result.hpp"
#include "doc/value.hpp"
#include "spec/contract.hpp"

namespace heddle::contract {

/// The definition that a compiled contract was made of, as far as its stored form
/// (`heddle.contract/2`, the layer `contract.json` of a bundle) says: name, version, fields, rules
/// and transforms. The errors of `Contract::from_value`.
[[nodiscard]] Result<spec::Contract> definition_of(const doc::Value& stored);

}  // namespace heddle::contract
