// `heddle` with one more of each: the file of additions, and nothing else, is linked into it.
#include "extension/extension_fixture.hpp"

namespace heddle::extension {
namespace {
[[maybe_unused]] const bool kLinked = kAdded;
}  // namespace
}  // namespace heddle::extension
