#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "doc/schema.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"
#include "table/table.hpp"

namespace heddle::score {

/// Rows as a request carries them, before transforms, that are kept to be scored again: one list a
/// row, one value a field. An infinite number is a text, as in docs/formats/reference.md.
struct KeptRows {
  std::vector<std::string> fields{};  ///< of the contract's request, in row order
  std::vector<doc::Value> rows{};     ///< lists of as many values
};

/// The rows of a table that has these fields.
[[nodiscard]] Result<KeptRows> keep_rows(std::span<const spec::Field> fields,
                                         const table::Table& rows);
/// They are the members `fields` and `rows` of the documents that hold them.
[[nodiscard]] const doc::Schema<KeptRows>& kept_rows_schema();
/// Refuses rows of another length than `fields`, for the `finally` of such a document.
void check_kept_rows(const KeptRows& kept, doc::Reader& reader);

/// A kept value, for a field of that type.
[[nodiscard]] expr::Datum kept_value(const doc::Value& value, expr::Type type);
/// `fields` of the rows as a table, typed as these are. kCorrupt with the id and hint of `refused`:
/// a field is not there, or a value is of another type.
[[nodiscard]] Result<table::Table> table_of(const KeptRows& kept,
                                            std::span<const spec::Field> fields,
                                            const doc::ObjectSchema& refused);

/// `heddle.reference/2`: `reference.json` of a bundle (docs/formats/reference.md).
struct Reference {
  KeptRows kept{};
  /// One a row, before calibration, one number an output; none where the contract refuses the row.
  std::vector<std::optional<std::vector<double>>> margins{};
};
/// kCorrupt `score-bundle`.
[[nodiscard]] const doc::Schema<Reference>& reference_schema();

}  // namespace heddle::score
