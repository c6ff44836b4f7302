#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "table/table.hpp"

namespace heddle::contract {

using spec::RuleEffect;

/// What a row says of a rule. kUnknown: the rule had nothing to go by (no value, a tuple never seen
/// in training).
enum class RuleState : std::uint8_t { kUnknown, kClean, kBroken };

/// A row rule: `<field>-type`, `<field>-required`, `<field>-enum` ... (docs/formats/contract.md has
/// all), or the rule's own id.
struct RuleInfo {
  std::string id;
  RuleEffect effect = RuleEffect::kRefuse;
  std::string
      field{};  ///< the field it is about (a dependency: the dependent one); empty for expressions
  std::string description{};
};

/// A declared repair of a field (`<field>-trim`, `<field>-nulls` ...: docs/cleaning.md), in the
/// order in which they are applied, or a transform by its own id.
struct RepairInfo {
  std::string id;
  std::string field;
  std::string about{};  ///< for people
};

/// The result of one row and the memory it takes, reused: nothing is allocated once it has met its
/// largest row.
struct RowCheck {
  RowCheck();
  ~RowCheck();
  RowCheck(RowCheck&&) noexcept;

  bool refused = false;
  std::vector<std::uint16_t> broken;  ///< indexes into `rules()`, ascending; refusals and warnings
  /// Indexes into `repairs()`, ascending: those that changed a value. Of a refused row too, but for
  /// transforms, which it does not meet.
  std::vector<std::uint16_t> repaired;
  /// One a request field, repaired and typed; null where missing or malformed. After the transforms
  /// when the row was not refused. Strings are borrowed from the raw row, the contract and this
  /// object.
  std::vector<expr::Datum> row;
  std::vector<RuleState> states;  ///< one a rule

  [[nodiscard]] RuleState state(std::size_t rule) const noexcept { return states[rule]; }

  struct Scratch;
  std::unique_ptr<Scratch> scratch;
};

struct TableCheck {
  std::vector<std::uint8_t> refused;   ///< one a row
  std::vector<std::int64_t> counts;    ///< rows that broke each rule
  std::vector<std::int64_t> repaired;  ///< values that each of `repairs()` changed
  table::Table accepted;  ///< typed columns of the contract that the table has, transforms applied
};

struct SetResult {
  std::string rule;
  RuleEffect effect = RuleEffect::kRefuse;
  bool passed = false;
  double value = 0;        ///< rows, or percent of them
  std::string expected{};  ///< `mustBeLessThan 5 percent`
  /// A label field that the rule reads and the rows do not have: it was not judged. Empty: it was.
  std::string lacks{};
};

/// Tuples that came with more than one dependent value: such tuples are not learned.
struct LearnedDependency {
  std::string rule;
  std::int64_t tuples = 0;
  std::int64_t conflicting = 0;
};

/// A compiled contract: one object for batch, stream and request. The declared repairs of a field
/// come first, in their fixed order; checks apply to what they give; transforms follow on rows that
/// were accepted, in their order, each seeing the ones before. Immutable but for `learn` and
/// `learn_imputed`; any number of threads may check, each with its own `RowCheck`.
class Contract {
 public:
  using LoadEnum = std::function<Result<std::vector<std::string>>(const std::string& file,
                                                                  const std::string& column)>;

  /// kInvalid with the rule's id where an expression, pattern or name does not hold; `load_enum`
  /// reads enum files.
  [[nodiscard]] static Result<Contract> compile(const spec::Contract& contract,
                                                const LoadEnum& load_enum);
  /// `heddle.contract/2`: self-contained (enums, learned dependencies, transforms); equal contracts
  /// give equal bytes.
  [[nodiscard]] static Result<Contract> from_value(const doc::Value& value);
  [[nodiscard]] doc::Value to_value() const;

  Contract(Contract&&) noexcept;
  ~Contract();

  /// Learns the functional dependencies from rows; rows whose values break the fields' own rules
  /// teach nothing, and a tuple with two values is not learned. Replaces what was learned before.
  [[nodiscard]] Result<void> learn(const table::Table& rows);
  [[nodiscard]] const std::vector<LearnedDependency>& learned() const noexcept;

  [[nodiscard]] std::span<const spec::Field> request_fields() const noexcept;  ///< the row's order
  [[nodiscard]] std::span<const spec::Field> fields()
      const noexcept;  ///< label fields follow the request's
  [[nodiscard]] const std::vector<RuleInfo>& rules() const noexcept;
  /// In the order in which they are applied to a row: fields in their order, then transforms.
  [[nodiscard]] const std::vector<RepairInfo>& repairs() const noexcept;
  /// Which rows are one; none: the contract does not say.
  [[nodiscard]] const std::optional<spec::Deduplicate>& deduplicate() const noexcept;
  /// Fields whose texts only this contract can read: `ReadOptions::as_text`.
  [[nodiscard]] std::set<std::string, std::less<>> text_fields() const;

  /// Learns the medians and modes that stand for missing values, from values that break no rule of
  /// their field; replaces what was learned before. kUnprocessable `repair-nothing-to-learn` where
  /// a field has none. Before `learn`, whose dependencies see repaired rows.
  [[nodiscard]] Result<void> learn_imputed(const table::Table& rows);
  /// Whether no median and no mode is still to be learned.
  [[nodiscard]] bool is_imputed() const noexcept;
  /// Rows as received with their texts read (`trim` to `dates`), each column of its field's type:
  /// what can be stored. `check` and `check_table` say of them what they say of the rows as
  /// received, but for which of these repairs were made.
  [[nodiscard]] Result<table::Table> with_texts_read(const table::Table& rows) const;
  /// One column of them, all repairs applied.
  [[nodiscard]] Result<table::Column> repaired(const table::Table& rows,
                                               std::string_view field) const;

  /// `raw[i]` is what arrived for request field i. Timestamps come as such or as ISO strings, or
  /// as the field's repairs say; a number without a fraction is an integer; fields past the end of
  /// `raw` are missing. Rules of
  /// label fields stay kUnknown.
  void check(std::span<const expr::Datum> raw, RowCheck& out) const noexcept;
  /// A person says that a row which `check` refused is right: the transforms follow, and it is
  /// refused no more, whatever it broke. False where a field is malformed: what stands there is no
  /// value to go on with.
  [[nodiscard]] bool accept(RowCheck& check) const noexcept;
  /// Columns by name; label fields are checked when the table has them. What `check` says row by
  /// row, worked out by columns; the same whatever the number of threads. kUnprocessable when a
  /// request field has no column.
  [[nodiscard]] Result<TableCheck> check_table(const table::Table& rows,
                                               unsigned threads = 1) const;
  /// The set rules (library metrics, `unique`, `primaryKey`, readable `sql`) over rows. A rule over
  /// a label field that the rows do not have is not judged.
  [[nodiscard]] Result<std::vector<SetResult>> check_set(const table::Table& rows) const;

  /// For a dependency over a numeric field: what the raw row says and what was learned. Empty for
  /// another rule, an unknown tuple or no value. For diagnosis: allocates.
  [[nodiscard]] std::optional<std::pair<double, double>> observed_expected(
      std::size_t rule, std::span<const expr::Datum> raw) const;

  struct Code;  ///< private to this module (contract/code.hpp)

 private:
  explicit Contract(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace heddle::contract
