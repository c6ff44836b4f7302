#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "table/cell.hpp"
#include "table/column_names.hpp"
#include "table/one_file.hpp"
#include "table/stream.hpp"
#include "table/text_bytes.hpp"
#include "table/text_form.hpp"

namespace heddle::table {
namespace {

using expr::Datum;

using Key = std::pair<std::string, std::optional<std::string>>;

const Key* key_in(const Part& part, const std::string& name) {
  for (const Key& key : part.keys) {
    if (key.first == name) return &key;
  }
  return nullptr;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What the folder says, as a value of the column.
Datum value_of(const Key& key, Type type) {
  return key.second ? cell_of_text(*key.second, type) : Datum::null();
}

/// The same value in each of `rows` rows.
Column constant(const Key& key, Type type, std::size_t rows) {
  Column out;
  out.name = key.first;
  out.type = type;
  const Datum value = value_of(key, type);
  const bool is_there = !value.is_null() && !value.is_error();
  switch (type) {
    case Type::kDouble: out.doubles.assign(rows, is_there ? value.d : 0); break;
    case Type::kString:
      out.codes.assign(rows, 0);
      out.dictionary = std::make_shared<const Dictionary>(
          std::vector<std::string>{is_there ? std::string(value.str()) : std::string()});
      break;
    case Type::kBool: out.ints.assign(rows, is_there && value.b ? 1 : 0); break;
    default: out.ints.assign(rows, is_there ? value.i : 0);
  }
  if (!is_there) out.valid.assign(rows, 0);
  if (value.is_error()) {
    out.malformed.assign(rows, 1);
    out.malformed_texts = std::make_shared<const Dictionary>(std::vector<std::string>{*key.second});
  }
  return out;
}

/// Whether a file's own value is the one that its folder says.
bool agrees(const Datum& own, const Key& key) {
  if (own.is_null() || !key.second) return own.is_null() && !key.second;
  const auto same = [&](Type type, const auto& is_equal) {
    const Datum said = cell_of_text(*key.second, type);
    return !said.is_null() && !said.is_error() && is_equal(said);
  };
  switch (own.kind) {
    case Datum::Kind::kBool: return same(Type::kBool, [&](const Datum& s) { return s.b == own.b; });
    case Datum::Kind::kInt: return same(Type::kInt, [&](const Datum& s) { return s.i == own.i; });
    case Datum::Kind::kDouble:
      return same(Type::kDouble, [&](const Datum& s) { return s.d == own.d; });
    case Datum::Kind::kTimestamp:
      return same(Type::kTimestamp, [&](const Datum& s) { return s.i == own.i; });
    case Datum::Kind::kString: {
      if (own.str() == *key.second) return true;
      const Datum number = cell_of_text(own.str(), Type::kDouble);
      return number.kind == Datum::Kind::kDouble &&
             same(Type::kDouble, [&](const Datum& s) { return s.d == number.d; });
    }
    default: return false;
  }
}

bool is_number(Type type) { return type == Type::kInt || type == Type::kDouble; }

/// A column whose numbers become those of another type: a value that this does not hold is a
/// malformed cell.
class Conversion {
 public:
  Conversion(const Column& own, Type type) : out_(own), rows_(own.length()) {
    out_.type = type;
    out_.ints.clear(), out_.doubles.clear();
    if (!own.malformed_texts) return;
    for (const auto text : own.malformed_texts->views()) texts_.emplace_back(text);
  }

  void add(std::size_t row, const Datum& raw) {
    const Datum value = as_type(out_.type, raw);
    const bool is_there = !value.is_null() && !value.is_error();
    if (out_.type == Type::kDouble)
      out_.doubles.push_back(is_there ? value.d : 0);
    else
      out_.ints.push_back(is_there ? value.i : 0);
    // What was missing in the file is marked in the column that this one began as.
    if (!is_there && !raw.is_null()) refuse(row, raw, value.is_error());
  }

  [[nodiscard]] Column take() && {
    if (!texts_.empty())
      out_.malformed_texts = std::make_shared<const Dictionary>(std::move(texts_));
    return std::move(out_);
  }

 private:
  void refuse(std::size_t row, const Datum& raw, bool is_malformed) {
    const auto rows = static_cast<std::size_t>(rows_);
    if (out_.valid.empty()) out_.valid.assign(rows, 1);
    out_.valid[row] = 0;
    if (!is_malformed) return;
    if (out_.malformed.empty()) out_.malformed.assign(rows, 0);
    texts_.push_back(raw.kind == Datum::Kind::kDouble ? fmt::to_string(raw.d)
                                                      : fmt::to_string(raw.i));
    out_.malformed[row] = static_cast<std::uint32_t>(texts_.size());
  }

  Column out_;
  std::int64_t rows_;
  std::vector<std::string> texts_{};
};

/// Whole numbers of one file beside those with a fraction of another.
Column converted(const Column& own, Type type) {
  Conversion conversion(own, type);
  const auto view = own.view();
  for (std::int64_t row = 0; row < own.length(); ++row)
    conversion.add(static_cast<std::size_t>(row), view.at(row));
  return std::move(conversion).take();
}

/// The columns of each file.
using Columns = std::vector<std::vector<PartColumn>>;

const PartColumn* column_in(const std::vector<PartColumn>& columns, const std::string& name) {
  for (const auto& column : columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

/// What the columns of two files differ by.
Error differing(const Part& a, const std::vector<PartColumn>& of_a, const Part& b,
                const std::vector<PartColumn>& of_b) {
  const auto lacks = [](const std::vector<PartColumn>& all, const std::vector<PartColumn>& other) {
    std::vector<std::string> out;
    for (const auto& column : all) {
      if (column_in(other, column.name) == nullptr) out.push_back(column.name);
    }
    const std::size_t count = out.size();
    // A file of another table may differ in thousands.
    if (count > 8) out.resize(8);
    std::string text = fmt::format("`{}`", fmt::join(out, "`, `"));
    return count == 0 ? std::string()
                      : text + (count > 8 ? fmt::format(" and {} more", count - 8) : "");
  };
  const std::string missing = lacks(of_a, of_b), added = lacks(of_b, of_a);
  std::string what = fmt::format("the columns of `{}` are not those of `{}`:", b.name, a.name);
  if (!missing.empty()) what += fmt::format(" it has no {}", missing);
  if (!added.empty())
    what += fmt::format("{} it has {} besides", missing.empty() ? "" : ", and", added);
  return {ErrorKind::kInvalid, "table-columns-differ", what,
          "write the files with the same columns, or name those that belong together by a pattern "
          "(`data/train-*.csv`)"};
}

/// Several files as one: which columns there are, and of which type where nobody says it.
class Union {
 public:
  static Result<Union> of(const Input& input, const std::vector<Part>& parts,
                          const ReadOptions& options) {
    Union out;
    HEDDLE_TRY(out.settle_form(input, parts, options));
    for (const Part& part : parts) {
      HEDDLE_ASSIGN_OR_RETURN(auto columns, columns_of_one(part.path, out.form_));
      out.columns_.push_back(std::move(columns));
    }
    HEDDLE_TRY(out.join(parts, options));
    return out;
  }

  [[nodiscard]] const Form& form() const noexcept { return form_; }
  /// All that every file has, in the order of the first, then the partitions' columns.
  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept { return all_; }
  /// Not alike in every file.
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept { return left_out_; }
  /// Null: the file does not have it.
  [[nodiscard]] const PartColumn* own(std::size_t part, const std::string& name) const {
    return column_in(columns_[part], name);
  }
  /// The files have it with different types.
  [[nodiscard]] bool is_mixed(const std::string& name) const { return mixed_.contains(name); }

 private:
  /// All files are of one format, and text is written in all as in the first.
  Result<void> settle_form(const Input& input, const std::vector<Part>& parts,
                           const ReadOptions& options) {
    form_ = input.form;
    HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(parts.front().path, form_));
    for (const Part& part : parts) {
      HEDDLE_ASSIGN_OR_RETURN(const Format own, format_of(part.path, form_));
      if (own == format) continue;
      return Error{ErrorKind::kInvalid, "table-formats-differ",
                   fmt::format("`{}` is {}, `{}` is {}", parts.front().path, name_of(format),
                               part.path, name_of(own)),
                   "name those that belong together by a pattern (`data/*.parquet`)"};
    }
    if (format != Format::kCsv) return {};
    // What the first file was found to be written in is asked of the others: guessed one by one,
    // two files could be read in two ways.
    HEDDLE_ASSIGN_OR_RETURN(const auto bytes, open_text(parts.front().path, format, form_));
    HEDDLE_ASSIGN_OR_RETURN(const auto decided,
                            csv_form(parts.front().path, bytes, form_, options.types));
    form_.delimiter = decided.delimiter;
    form_.decimal = decided.decimal;
    return {};
  }

  Result<void> join(const std::vector<Part>& parts, const ReadOptions& options) {
    const bool is_asked = !options.columns.empty() || !options.types.empty();
    std::set<std::string> seen;
    for (const auto& of_part : columns_) {
      for (const auto& column : of_part) {
        if (!seen.insert(column.name).second) continue;
        HEDDLE_TRY(join(column.name, parts, options, is_asked));
      }
    }
    std::vector<std::string> names;
    for (const Key& key : parts.front().keys) {
      // A column of the files themselves that the folders name too: it was joined above.
      if (seen.contains(key.first)) continue;
      const auto type = options.types.find(key.first);
      const bool is_text = type == options.types.end() || options.as_text.contains(key.first);
      all_.push_back({key.first, is_text ? Type::kString : type->second});
    }
    for (const auto& column : all_) names.push_back(column.name);
    return check_names(parts.front().path, names);
  }

  /// One column over all files.
  Result<void> join(const std::string& name, const std::vector<Part>& parts,
                    const ReadOptions& options, bool is_asked) {
    const bool is_key = key_in(parts.front(), name) != nullptr;
    const bool is_wanted =
        has(options.columns, name) || options.types.contains(name) || options.time_column == name;
    std::optional<Type> type;
    bool is_everywhere = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const PartColumn* column = column_in(columns_[i], name);
      // A column that nobody asked for may be missing in a file. Where nothing was asked for by
      // name, every column was.
      if (column == nullptr && !is_key && (is_wanted || !is_asked)) {
        const std::size_t other = column_in(columns_[0], name) == nullptr ? 0 : i;
        const std::size_t with = owner_of(name);
        return differing(parts[with], columns_[with], parts[other], columns_[other]);
      }
      is_everywhere = is_everywhere && (column != nullptr || is_key);
      // A column without a value says nothing of its type.
      if (column == nullptr || column->is_empty) continue;
      if (type && *type != column->type) mixed_.insert(name);
      type = type ? common(*type, column->type) : column->type;
    }
    // Left out, and told: a column that half of the files have would be null for the rest.
    if (!is_everywhere || type == Type::kDyn) {
      left_out_.push_back(name);
      if (is_everywhere) all_.push_back({name, Type::kDyn});
    } else {
      all_.push_back({name, type.value_or(Type::kString)});
    }
    return {};
  }

  /// The first file that has the column.
  [[nodiscard]] std::size_t owner_of(const std::string& name) const {
    std::size_t out = 0;
    while (column_in(columns_[out], name) == nullptr) ++out;
    return out;
  }

  static Type common(Type a, Type b) {
    if (a == b) return a;
    // Nothing else holds both: a text beside a number is two columns under one name.
    return is_number(a) && is_number(b) ? Type::kDouble : Type::kDyn;
  }

  Form form_;
  Columns columns_;
  std::vector<ColumnInfo> all_;
  std::set<std::string> mixed_;
  std::vector<std::string> left_out_;
};

/// The rows of several files, one after the other.
class Parts final : public TableReader {
 public:
  static Result<std::unique_ptr<Parts>> open(const Input& input, std::vector<Part> parts,
                                             const ReadOptions& options) {
    HEDDLE_ASSIGN_OR_RETURN(auto all, Union::of(input, parts, options));
    std::unique_ptr<Parts> out(new Parts(std::move(parts), std::move(all), options));
    HEDDLE_TRY(out->choose_columns());
    HEDDLE_TRY(out->skip_to_next());
    return out;
  }

  [[nodiscard]] const std::vector<ColumnInfo>& columns() const noexcept override {
    return columns_;
  }
  [[nodiscard]] const std::vector<std::string>& left_out() const noexcept override {
    return left_out_;
  }
  [[nodiscard]] bool text() const noexcept override { return is_text_; }
  [[nodiscard]] char decimal() const noexcept override { return all_.form().decimal.value_or('.'); }

  Result<std::optional<Table>> next() override {
    while (reader_ != nullptr) {
      HEDDLE_ASSIGN_OR_RETURN(auto chunk, reader_->next());
      if (chunk) {
        HEDDLE_ASSIGN_OR_RETURN(auto table, assembled(*std::move(chunk)));
        return std::optional<Table>(std::move(table));
      }
      reader_.reset();
      ++at_;
      HEDDLE_TRY(skip_to_next());
    }
    return std::optional<Table>{};
  }

  /// Every row at once.
  Result<Table> all() {
    std::vector<Table> tables;
    for (; at_ < parts_.size(); ++at_) {
      if (!is_in_time(parts_[at_])) continue;
      HEDDLE_ASSIGN_OR_RETURN(auto rows, read_one(parts_[at_].path, all_.form(), options_of(at_)));
      HEDDLE_ASSIGN_OR_RETURN(auto table, assembled(std::move(rows)));
      tables.push_back(std::move(table));
    }
    if (tables.empty()) return empty();
    return tables.size() == 1 ? std::move(tables.front()) : Table::concat(tables);
  }

 private:
  Parts(std::vector<Part> parts, Union all, const ReadOptions& options)
      : parts_(std::move(parts)), all_(std::move(all)), options_(options) {}

  Result<void> choose_columns() {
    // Who names columns has left the others out knowingly.
    left_out_ = options_.columns.empty() ? all_.left_out() : std::vector<std::string>{};
    std::vector<std::string> names;
    for (const auto& column : all_.columns()) names.push_back(column.name);
    std::vector<std::string> wanted = options_.columns;
    for (const auto& column : all_.columns()) {
      const bool is_read = column.type != Type::kDyn || options_.types.contains(column.name);
      if (options_.columns.empty() && is_read) wanted.push_back(column.name);
    }
    for (const auto& name : wanted) {
      const auto at = std::find(names.begin(), names.end(), name);
      if (at == names.end()) return no_such_column(parts_.front().path, name, names);
      columns_.push_back(all_.columns()[static_cast<std::size_t>(at - names.begin())]);
    }
    if (!options_.time_column.empty() && !has(names, options_.time_column))
      return no_such_column(parts_.front().path, options_.time_column, names);
    HEDDLE_ASSIGN_OR_RETURN(const Format format, format_of(parts_.front().path, all_.form()));
    is_text_ = format == Format::kCsv;
    return {};
  }

  /// What is read of a file: the columns that are its own, by the types of all.
  [[nodiscard]] ReadOptions options_of(std::size_t part) const {
    ReadOptions out = options_;
    out.columns.clear();
    for (const auto& column : columns_) {
      const PartColumn* own = all_.own(part, column.name);
      if (own != nullptr) out.columns.push_back(column.name);
      // What has no value and no type in this file has that of the others.
      if (own != nullptr && own->is_empty && column.type != Type::kDyn)
        out.types.emplace(column.name, column.type);
    }
    // The time is of the folder then, and was looked at before the file is opened.
    if (all_.own(part, out.time_column) == nullptr) out.time_column.clear();
    return out;
  }

  /// A file whose folder says a time outside of what is asked for has no row of it.
  [[nodiscard]] bool is_in_time(const Part& part) const {
    const Key* key = options_.time_column.empty() ? nullptr : key_in(part, options_.time_column);
    if (key == nullptr) return true;
    const Datum time = value_of(*key, Type::kTimestamp);
    return time.kind != Datum::Kind::kTimestamp ||
           (time.i >= options_.time_from && time.i < options_.time_to);
  }

  Result<void> skip_to_next() {
    while (at_ < parts_.size() && !is_in_time(parts_[at_])) ++at_;
    if (at_ == parts_.size()) return {};
    HEDDLE_ASSIGN_OR_RETURN(reader_, open_one(parts_[at_].path, all_.form(), options_of(at_)));
    if (!is_settled_) settle_types();
    return {};
  }

  /// The first file says how each column is read. Numbers of different types become those that the
  /// contract wants, else those that hold all.
  void settle_types() {
    is_settled_ = true;
    for (auto& column : columns_) {
      const auto wanted = options_.types.find(column.name);
      const bool is_wanted = wanted != options_.types.end() && is_number(wanted->second);
      for (const auto& own : reader_->columns()) {
        if (own.name != column.name) continue;
        if (!all_.is_mixed(column.name) || !is_number(own.type))
          column.type = own.type;
        else if (is_wanted)
          column.type = wanted->second;
      }
    }
  }

  /// The rows of a file with what its folders say of them.
  Result<Table> assembled(Table rows) const {
    const Part& part = parts_[at_];
    const auto count = static_cast<std::size_t>(rows.rows());
    std::vector<Column> out;
    for (const auto& column : columns_) {
      const Key* key = key_in(part, column.name);
      const Column* own = rows.find(column.name);
      if (own == nullptr) {
        out.push_back(constant(*key, type_of_key(column), count));
        continue;
      }
      if (key != nullptr) HEDDLE_TRY(check_key(part, *key, *own));
      const bool is_other =
          own->type != column.type && is_number(own->type) && is_number(column.type);
      out.push_back(is_other ? converted(*own, column.type) : *own);
    }
    return Table::make(std::move(out));
  }

  [[nodiscard]] Type type_of_key(const ColumnInfo& column) const {
    const auto type = options_.types.find(column.name);
    const bool is_text = type == options_.types.end() || options_.as_text.contains(column.name);
    return is_text ? column.type : type->second;
  }

  static Result<void> check_key(const Part& part, const Key& key, const Column& own) {
    const auto view = own.view();
    for (std::int64_t row = 0; row < view.length; ++row) {
      if (agrees(own.cell(view, row), key)) continue;
      return Error{ErrorKind::kInvalid, "table-partition-clash",
                   fmt::format("`{}` lies in `{}={}` and has a column `{}` of another value in row "
                               "{} of those read",
                               part.path, key.first, key.second.value_or(std::string("(none)")),
                               key.first, row + 1),
                   "rename the folder or the column: only one of the two can be right"};
    }
    return {};
  }

  Result<Table> empty() const {
    std::vector<Column> out;
    for (const auto& column : columns_) {
      Column none;
      none.name = column.name;
      none.type = type_of_key(column);
      out.push_back(std::move(none));
    }
    return Table::make(std::move(out));
  }

  std::vector<Part> parts_;
  Union all_;
  ReadOptions options_;
  std::vector<ColumnInfo> columns_;
  std::vector<std::string> left_out_;
  bool is_text_ = false;
  bool is_settled_ = false;  ///< the types of `columns_`
  std::size_t at_ = 0;
  std::unique_ptr<TableReader> reader_;
};

bool is_single(const std::vector<Part>& parts) {
  return parts.size() == 1 && parts.front().keys.empty();
}

}  // namespace

Result<std::unique_ptr<TableReader>> TableReader::open(const Input& input,
                                                       const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto parts, parts_of(input));
  if (is_single(parts)) return open_one(parts.front().path, input.form, options);
  HEDDLE_ASSIGN_OR_RETURN(auto all, Parts::open(input, std::move(parts), options));
  return std::unique_ptr<TableReader>(std::move(all));
}

Result<Table> read_table(const Input& input, const ReadOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto parts, parts_of(input));
  if (is_single(parts)) return read_one(parts.front().path, input.form, options);
  HEDDLE_ASSIGN_OR_RETURN(const auto all, Parts::open(input, std::move(parts), options));
  return all->all();
}

Result<std::vector<ColumnInfo>> read_schema(const Input& input) {
  HEDDLE_ASSIGN_OR_RETURN(const auto parts, parts_of(input));
  std::vector<ColumnInfo> out;
  if (is_single(parts)) {
    HEDDLE_ASSIGN_OR_RETURN(const auto columns, columns_of_one(parts.front().path, input.form));
    for (const auto& column : columns) out.push_back({column.name, column.type});
    return out;
  }
  // Which columns belong to the rows is said by whoever asks for some: here nothing is refused.
  ReadOptions any;
  // A column of no name is asked for, so that "nothing was asked for" does not hold.
  any.types.emplace(std::string(), Type::kString);
  HEDDLE_ASSIGN_OR_RETURN(const auto all, Union::of(input, parts, any));
  out = all.columns();
  for (const auto& name : all.left_out()) {
    const bool is_there = std::any_of(out.begin(), out.end(),
                                      [&](const auto& column) { return column.name == name; });
    if (!is_there) out.push_back({name, Type::kDyn});
  }
  return out;
}

}  // namespace heddle::table
