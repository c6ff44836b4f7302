#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "spec/fault.hpp"

namespace heddle::healing {

/// One way in which recorded traffic goes wrong: a file of `bench/heal`. Its documents are faults
/// as `faults/*.yaml` has them, in the order in which they act; a document without `kind` says what
/// else is special, by the names of the members below.
struct Variant {
  std::string name;  ///< the file's, without its ending
  std::vector<spec::Fault> faults{};
  std::string own{};              ///< the cause that the traffic without the faults has of itself
  bool nothing_is_right = false;  ///< too small to matter: that no cause is named is right too
  bool labels_are_right = false;  ///< what a person says of labels that look turned over
  bool nobody_answers = false;
  int every = 0;  ///< of so many recorded rows one is sent; 0: as the others
};

/// The variants of a folder by name. kInvalid with the file and what is wrong with it.
[[nodiscard]] Result<std::vector<Variant>> read_variants(const std::string& folder);

}  // namespace heddle::healing
