#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle::expr {

/// A node of the syntax tree. Private to this module.
struct Node {
  enum class Kind {
    kNull,
    kBool,
    kInt,
    kDouble,
    kString,
    kList,
    kName,
    kUnary,
    kBinary,
    kAnd,
    kOr,
    kTernary,
    kCall
  };
  Kind kind = Kind::kNull;
  std::size_t offset = 0;  ///< of its first character
  bool b = false;
  std::int64_t i = 0;
  double d = 0;
  std::string text{};            ///< string value, name (dotted), operator, or function
  std::vector<Node> children{};  ///< operands, items, arguments (a method's receiver first)
  int height = 1;                ///< of the tree below it
  bool method = false;           ///< kCall written as `receiver.name(...)`
};

/// Parses the profile's grammar (docs/expressions.md): at most 16 KiB of source, nested at most 64
/// deep. kInvalid with `where` = `offset N`.
[[nodiscard]] Result<Node> parse(std::string_view source);

}  // namespace heddle::expr
