#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "contract/contract.hpp"
#include "contract/repair.hpp"
#include "expr/program.hpp"
#include "table/lookup.hpp"

namespace re2 {
class RE2;
}

namespace heddle::contract {

/// A field and its rules, each an index into `rules()` or -1. Private to this module.
struct FieldCode {
  int type = -1;
  int required = -1;
  int enumeration = -1;
  int range = -1;
  int pattern = -1;
  int length = -1;
  int multiple = -1;
  int format = -1;
  bool is_plain = true;  ///< none of length, multiple and format, no form: nothing more to look at
  table::StringIndex values;             ///< of the enum of strings
  std::vector<std::int64_t> keys;        ///< of the enum of another type, sorted (table::KeyPart)
  std::unique_ptr<re2::RE2> expression;  ///< of the pattern
  std::vector<std::uint8_t> value_fits;  ///< whether each value of the enum fits the pattern
};

struct ExpressionCode {
  int rule = -1;
  expr::Program program;
};

struct DependencyCode {
  int rule = -1;
  std::vector<int> determinant;  ///< request fields
  int dependent = 0;
  std::vector<table::KeyPart> parts;
  table::KeyPart dependent_part;
  table::TupleIndex tuples;
  std::vector<std::int64_t> values;  ///< of each tuple, a key of `dependent_part`

  /// The learned tuple of a typed row, or -1.
  [[nodiscard]] std::int32_t find(std::span<const expr::Datum> row) const noexcept;
};

struct TransformCode {
  int field = 0;
  int repair = 0;  ///< its index in `repairs()`
  expr::Program program;
};

/// What a set rule needs beyond its definition, compiled once.
struct SetCode {
  std::unique_ptr<re2::RE2> pattern;
  std::optional<expr::Program> condition;  ///< over all fields, label fields too
};

struct Contract::Code {
  spec::Contract definition;  ///< enums loaded; fields in row order, label fields last
  std::size_t request_count = 0;
  std::vector<RuleInfo> rules;
  std::vector<FieldCode> fields;
  std::vector<ExpressionCode> expressions;
  std::vector<DependencyCode> dependencies;
  std::vector<TransformCode> transforms;
  std::vector<SetCode> sets;  ///< one a set rule
  std::vector<LearnedDependency> learned;
  std::vector<RepairInfo> repairs;
  std::vector<std::unique_ptr<FieldRepairs>> field_repairs;  ///< one a field; null: it has none
  bool is_repairing = false;                                 ///< any has

  class Compiler;
  Code();
  ~Code();

  /// Checks field `i`; the typed value, null where missing or malformed.
  expr::Datum check_field(std::size_t i, const expr::Datum& raw, RowCheck& out) const noexcept;
  void broke(int rule, RowCheck& out) const noexcept;
  /// What arrived for field `i` after the field's repairs, which are noted.
  expr::Datum repair(std::size_t i, const expr::Datum& raw, RowCheck& out) const noexcept;
  /// Rules of whole rows, once all fields of `out.row` are checked.
  void check_row_rules(RowCheck& out) const noexcept;
  /// Replaces fields of an accepted row.
  void transform(RowCheck& out) const noexcept;

 private:
  void check_expression(const ExpressionCode& rule, RowCheck& out) const noexcept;
  void check_dependency(const DependencyCode& rule, RowCheck& out) const noexcept;
  /// The rules that few fields have: length, multiple, format.
  void check_more(std::size_t i, const expr::Datum& value, RowCheck& out) const noexcept;
};

/// Whether two values of one type, or none, are not the same.
[[nodiscard]] bool differ(const expr::Datum& a, const expr::Datum& b) noexcept;

/// Adds a rule and gives its index.
using AddRule = std::function<int(RuleInfo)>;
/// The rules of one field; loads its enum into it. kInvalid where a rule does not go with the type.
[[nodiscard]] Result<FieldCode> compile_field(spec::Field& field,
                                              const Contract::LoadEnum& load_enum,
                                              const AddRule& add);
[[nodiscard]] Result<std::unique_ptr<re2::RE2>> compile_pattern(const std::string& text,
                                                                const std::string& what);

/// At most this many components of a key.
inline constexpr std::size_t kMaxKey = 8;

struct RowCheck::Scratch {
  expr::Program::Scratch program;
  std::vector<std::string> strings;   ///< results of transforms, one each
  std::vector<std::string> repaired;  ///< texts that repairs made, one a field
};

}  // namespace heddle::contract
