#include "table/table.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "doc/diagnostic.hpp"
#include "table/lookup.hpp"

namespace heddle::table {
namespace {

bool is_valid(const Column& column, std::size_t row) {
  return column.valid.empty() || column.valid[row] != 0;
}

/// Calls `with` on whichever of the two columns' value vectors are in use, by type.
template <class F>
void values_of(Column& out, const Column& in, const F& with) {
  switch (in.type) {
    case Type::kDouble: with(out.doubles, in.doubles); break;
    case Type::kString: with(out.codes, in.codes); break;
    default: with(out.ints, in.ints);
  }
}

Column like(const Column& column) {
  Column out;
  out.name = column.name;
  out.type = column.type;
  out.dictionary = column.dictionary;
  out.malformed_texts = column.malformed_texts;
  return out;
}

/// The texts of `part`'s malformed cells follow those in `texts`; `out` has `before` rows without
/// them.
void append_malformed(const Column& part, std::size_t before, Column& out,
                      std::vector<std::string>& texts) {
  const auto rows = static_cast<std::size_t>(part.length());
  if (part.malformed.empty() && out.malformed.empty()) return;
  out.malformed.resize(before + rows, 0);
  if (part.malformed.empty()) return;
  const auto first = static_cast<std::uint32_t>(texts.size());
  for (const auto text : part.malformed_texts->views()) texts.emplace_back(text);
  for (std::size_t i = 0; i < rows; ++i) {
    // 0 stays 0: it says well formed, in every part.
    if (part.malformed[i] != 0) out.malformed[before + i] = part.malformed[i] + first;
  }
}

void drop_useless_validity(Column& column) {
  // A part of a column may have no null although the whole had one: equal columns are to have equal
  // bytes.
  if (std::find(column.valid.begin(), column.valid.end(), 0) == column.valid.end())
    column.valid.clear();
  const auto& malformed = column.malformed;
  if (std::all_of(malformed.begin(), malformed.end(), [](auto at) { return at == 0; }))
    column.malformed.clear();
}

}  // namespace

Dictionary::Dictionary(std::vector<std::string> values) : values_(std::move(values)) {
  views_.assign(values_.begin(), values_.end());
}

std::int64_t Column::length() const noexcept {
  switch (type) {
    case Type::kDouble: return static_cast<std::int64_t>(doubles.size());
    case Type::kString: return static_cast<std::int64_t>(codes.size());
    default: return static_cast<std::int64_t>(ints.size());
  }
}

expr::ColumnView Column::view() const noexcept {
  expr::ColumnView out;
  out.type = type;
  out.length = length();
  switch (type) {
    case Type::kDouble: out.doubles = doubles.data(); break;
    case Type::kString:
      out.codes = codes.data();
      out.dictionary = dictionary ? dictionary->views().data() : nullptr;
      break;
    default: out.ints = ints.data();
  }
  if (!valid.empty()) out.valid = valid.data();
  return out;
}

std::int64_t Column::null_count() const noexcept {
  return std::count(valid.begin(), valid.end(), 0);
}

Result<Table> Table::make(std::vector<Column> columns) {
  Table out;
  out.rows_ = columns.empty() ? 0 : columns.front().length();
  std::unordered_set<std::string_view> names;  // a file may have ten thousand columns
  for (const Column& column : columns) {
    if (!names.insert(column.name).second) {
      return Error{ErrorKind::kInvalid, "table-column-twice",
                   fmt::format("column `{}` appears twice", column.name), "rename one of the two"};
    }
    if (column.length() != out.rows_ ||
        (!column.valid.empty() && static_cast<std::int64_t>(column.valid.size()) != out.rows_)) {
      return Error{ErrorKind::kInvalid, "table-ragged",
                   fmt::format("column `{}` has {} rows, `{}` has {}", column.name, column.length(),
                               columns.front().name, out.rows_),
                   "every column of a table has the same number of rows"};
    }
    if (column.type == Type::kString && out.rows_ > 0 && !column.dictionary) {
      return Error{ErrorKind::kInvalid, "table-no-dictionary",
                   fmt::format("string column `{}` has no dictionary", column.name),
                   "give its distinct values"};
    }
  }
  out.columns_ = std::move(columns);
  return out;
}

const Column* Table::find(std::string_view name) const noexcept {
  for (const Column& column : columns_) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

Result<const Column*> Table::column(std::string_view name) const {
  // A list and no map: tables are asked for a column a few times, and rows never by name.
  if (const Column* found = find(name)) return found;
  std::vector<std::string> names;
  for (const Column& column : columns_) names.push_back(column.name);
  const std::string near = doc::nearest(name, names);
  if (!near.empty()) {
    const auto at = std::find(names.begin(), names.end(), near);
    // What was probably meant stands first among the names that are listed.
    std::rotate(names.begin(), at, at + 1);
  }
  return Error{
      ErrorKind::kUnprocessable, "column-missing", fmt::format("there is no column `{}`", name),
      names.empty() ? "the table has no columns"
      : near.empty()
          ? fmt::format("there are `{}`", fmt::join(names, "`, `"))
          : fmt::format("did you mean `{}`? there are `{}`", near, fmt::join(names, "`, `"))};
}

std::vector<expr::ColumnView> Table::views() const {
  std::vector<expr::ColumnView> out;
  out.reserve(columns_.size());
  for (const Column& column : columns_) out.push_back(column.view());
  return out;
}

Table Table::slice(std::int64_t begin, std::int64_t end) const {
  // A slice past the end is a shorter one: chunks of a stream end where the rows do.
  begin = std::clamp<std::int64_t>(begin, 0, rows_);
  end = std::clamp<std::int64_t>(end, begin, rows_);
  Table out;
  out.rows_ = end - begin;
  for (const Column& column : columns_) {
    Column cut = like(column);
    values_of(cut, column, [&](auto& to, const auto& from) {
      to.assign(from.begin() + begin, from.begin() + end);
    });
    if (!column.valid.empty()) {
      cut.valid.assign(column.valid.begin() + begin, column.valid.begin() + end);
      if (!column.malformed.empty())
        cut.malformed.assign(column.malformed.begin() + begin, column.malformed.begin() + end);
      drop_useless_validity(cut);
    }
    out.columns_.push_back(std::move(cut));
  }
  return out;
}

Table Table::take(std::span<const std::int64_t> rows) const {
  Table out;
  out.rows_ = static_cast<std::int64_t>(rows.size());
  for (const Column& column : columns_) {
    Column cut = like(column);
    values_of(cut, column, [&](auto& to, const auto& from) {
      to.resize(rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) to[i] = from[static_cast<std::size_t>(rows[i])];
    });
    if (!column.valid.empty()) {
      cut.valid.resize(rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i)
        cut.valid[i] = column.valid[static_cast<std::size_t>(rows[i])];
      if (!column.malformed.empty()) {
        cut.malformed.resize(rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i)
          cut.malformed[i] = column.malformed[static_cast<std::size_t>(rows[i])];
      }
      drop_useless_validity(cut);
    }
    out.columns_.push_back(std::move(cut));
  }
  return out;
}

Result<Table> Table::with_column(Column column) const {
  std::vector<Column> columns = columns_;
  const auto at = std::find_if(columns.begin(), columns.end(),
                               [&](const Column& each) { return each.name == column.name; });
  if (at == columns.end()) {
    columns.push_back(std::move(column));
  } else {
    *at = std::move(column);
  }
  return make(std::move(columns));
}

namespace {

/// The columns of one name, of the type that the first has.
Result<std::vector<const Column*>> parts_of(std::span<const Table> tables, const Column& first) {
  std::vector<const Column*> parts;
  for (const Table& table : tables) {
    HEDDLE_ASSIGN_OR_RETURN(const Column* part, table.column(first.name));
    if (part->type != first.type) {
      return Error{ErrorKind::kInvalid, "table-type-differs",
                   fmt::format("column `{}` is a {} in one table and a {} in another", first.name,
                               expr::type_name(first.type), expr::type_name(part->type)),
                   "read both with one contract"};
    }
    if (table.columns().size() != tables.front().columns().size()) {
      return Error{ErrorKind::kInvalid, "table-columns-differ", "the tables have different columns",
                   "select the same columns of each"};
    }
    parts.push_back(part);
  }
  return parts;
}

/// Whether all texts have one dictionary: then codes are copied.
bool share_dictionary(const std::vector<const Column*>& parts) {
  return std::all_of(parts.begin(), parts.end(), [&](const Column* part) {
    // By identity: slices of one table share it, and to compare texts costs as much as to recode.
    return part->length() == 0 || part->dictionary == parts.front()->dictionary;
  });
}

/// Which values are there, of all parts; empty where every value is.
std::vector<std::uint8_t> valid_of(const std::vector<const Column*>& parts) {
  std::vector<std::uint8_t> valid;
  std::int64_t total = 0;
  bool nulls = false;
  for (const Column* part : parts) {
    nulls = nulls || !part->valid.empty();
    total += part->length();
  }
  if (!nulls) return valid;
  valid.reserve(static_cast<std::size_t>(total));
  for (const Column* part : parts) {
    if (part->valid.empty())
      valid.insert(valid.end(), static_cast<std::size_t>(part->length()), 1);
    else
      valid.insert(valid.end(), part->valid.begin(), part->valid.end());
  }
  return valid;
}

/// Appends the codes of a part as those of a common dictionary.
void append_codes(const Column& part, StringIndex& strings, std::vector<std::int32_t>& codes) {
  std::vector<std::int32_t> place;
  if (part.dictionary) {
    for (const std::string_view value : part.dictionary->views())
      place.push_back(strings.insert(value));
  }
  for (std::size_t i = 0; i < part.codes.size(); ++i)
    // The code of a null is anything; here it is 0, whose text there always is.
    codes.push_back(is_valid(part, i) ? place[static_cast<std::size_t>(part.codes[i])] : 0);
}

/// One column after the other.
Column joined(const std::vector<const Column*>& parts) {
  Column out = like(*parts.front());
  out.valid = valid_of(parts);
  const bool recode = out.type == Type::kString && !share_dictionary(parts);
  StringIndex strings;
  std::vector<std::string> malformed;
  for (const Column* part : parts) {
    const std::size_t begin = static_cast<std::size_t>(out.length());
    if (recode) {
      append_codes(*part, strings, out.codes);
    } else {
      values_of(out, *part,
                [&](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); });
    }
    append_malformed(*part, begin, out, malformed);
  }
  if (!malformed.empty())
    out.malformed_texts = std::make_shared<const Dictionary>(std::move(malformed));
  if (recode) {
    if (strings.size() == 0) strings.insert("");
    out.dictionary = std::make_shared<const Dictionary>(strings.values());
  }
  return out;
}

}  // namespace

Result<Table> Table::concat(std::span<const Table> tables) {
  if (tables.empty()) return Table{};
  std::vector<Column> columns;
  for (const Column& first : tables.front().columns_) {
    HEDDLE_ASSIGN_OR_RETURN(const auto parts, parts_of(tables, first));
    columns.push_back(joined(parts));
  }
  return make(std::move(columns));
}

namespace {

template <class T>
void hash_raw(Hasher& hasher, const std::vector<T>& values) {
  hasher.update_field(
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
}

/// Codes in order of first appearance, so that the dictionary's own order and unused values do not
/// count.
void hash_strings(Hasher& hasher, const Column& column, std::size_t rows) {
  StringIndex seen;
  std::vector<std::int32_t> place(column.dictionary ? column.dictionary->views().size() : 0, -1);
  std::vector<std::int32_t> codes(rows, -1);
  for (std::size_t i = 0; i < rows; ++i) {
    if (!is_valid(column, i)) continue;
    const auto at = static_cast<std::size_t>(column.codes[i]);
    if (place[at] < 0) place[at] = seen.insert(column.dictionary->views()[at]);
    codes[i] = place[at];
  }
  hasher.update_field(fmt::to_string(seen.size()));
  for (const std::string& value : seen.values()) hasher.update_field(value);
  hash_raw(hasher, codes);
}

/// What stands in the place of a missing value does not count.
template <class T>
void hash_numbers(Hasher& hasher, const Column& column, const std::vector<T>& values,
                  bool has_nulls) {
  if (!has_nulls) return hash_raw(hasher, values);
  auto copy = values;
  for (std::size_t i = 0; i < copy.size(); ++i) {
    if (!is_valid(column, i)) copy[i] = {};
  }
  hash_raw(hasher, copy);
}

}  // namespace

Digest Table::content_digest() const {
  Hasher hasher;
  hasher.update_field("heddle.table/1");
  hasher.update_field(fmt::to_string(rows_));
  const auto rows = static_cast<std::size_t>(rows_);
  for (const Column& column : columns_) {
    // Name, type, which values are there, values: fields with their lengths, so that no two tables
    // run into the same bytes.
    hasher.update_field(column.name);
    hasher.update_field(expr::type_name(column.type));
    // A mask that marks nothing is the same as none.
    const bool has_nulls = column.null_count() > 0;
    hasher.update_field(
        has_nulls ? std::string_view(reinterpret_cast<const char*>(column.valid.data()), rows)
                  : std::string_view());
    if (column.type == Type::kString)
      hash_strings(hasher, column, rows);
    else if (column.type == Type::kDouble)
      hash_numbers(hasher, column, column.doubles, has_nulls);
    else
      hash_numbers(hasher, column, column.ints, has_nulls);
  }
  return hasher.finish();
}

}  // namespace heddle::table
