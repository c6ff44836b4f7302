#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "contract/contract.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "table/date_format.hpp"
#include "table/lookup.hpp"
#include "table/table.hpp"

namespace heddle::contract {

/// A bit for each repair that changed a value, by its place among `RepairKind`.
using Made = std::uint16_t;
inline constexpr std::size_t kFieldRepairs = 8;

/// The repairs of one field, compiled. Rows and columns go through `apply`. Private to this module;
/// immutable but for `impute`, and any number of threads may apply it.
class FieldRepairs {
 public:
  using AddRepair = std::function<int(RepairInfo)>;
  /// `add` numbers each repair that the field has. What `spec::check_repairs` says, and kInvalid
  /// where a constant is none of the field's type.
  [[nodiscard]] static Result<FieldRepairs> compile(const spec::Field& field, const AddRepair& add);

  /// How far: only how a text is written, or all.
  enum class Upto { kText, kAll };
  /// What arrived as a value of the field's type, null where there is none, kError where it says
  /// nothing of the type. A string is borrowed from `raw`, this object or `buffer`, which is
  /// overwritten; nothing is allocated once `buffer` has met its longest text.
  [[nodiscard]] expr::Datum apply(const expr::Datum& raw, Upto upto, std::string& buffer,
                                  Made& made) const noexcept;

  /// The number that `add` gave a repair, by its bit; -1: the field does not have it.
  [[nodiscard]] int number(std::size_t bit) const noexcept { return numbers_[bit]; }
  [[nodiscard]] bool learns() const noexcept;
  /// What stands where nothing does, from now on.
  void set_imputed(const doc::Value& value);

 private:
  void number_all(const std::string& name, const AddRepair& add);
  [[nodiscard]] expr::Datum of_text(const expr::Datum& raw, std::string& buffer,
                                    Made& made) const noexcept;
  [[nodiscard]] expr::Datum typed(std::string_view text, Made& made) const noexcept;
  [[nodiscard]] bool is_null(const expr::Datum& value) const noexcept;
  [[nodiscard]] expr::Datum scaled(const expr::Datum& value) const noexcept;
  [[nodiscard]] expr::Datum clipped(const expr::Datum& value) const noexcept;

  spec::Repairs repairs_{};
  expr::Type type_ = expr::Type::kString;
  std::array<int, kFieldRepairs> numbers_{};
  table::StringIndex nulls_{};
  std::vector<std::int64_t> null_keys_{};  ///< those that are values of the type (table::KeyPart)
  std::vector<table::DateFormat> dates_{};
  expr::Datum imputed_{};
  std::string imputed_text_{};
};

/// A column as the checks see it, and how many values each repair changed (`counts`, by number).
/// Each distinct text is repaired once.
[[nodiscard]] table::Column repaired_column(const FieldRepairs& repairs,
                                            const table::Column& column, expr::Type type,
                                            FieldRepairs::Upto upto,
                                            std::vector<std::int64_t>& counts);

}  // namespace heddle::contract
