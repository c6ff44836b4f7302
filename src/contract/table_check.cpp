#include <algorithm>
#include <thread>

#include "contract/code.hpp"
#include "contract/columns.hpp"
#include "table/cell.hpp"
#include "table/key_column.hpp"

namespace heddle::contract {
namespace {

/// Below this a thread of its own costs more than it takes off.
constexpr std::int64_t kFewestRowsAThread = 16'384;

using expr::Datum;
using expr::Type;

/// The accepted rows of one column, a block after the other.
class Accepted {
 public:
  Accepted(const spec::Field& field, const table::Column& from)
      : shares_codes_(field.type == Type::kString && from.type == Type::kString) {
    column_.name = field.name;
    column_.type = field.type;
    // No text is copied: values that only refused rows had stay in it and count for nothing.
    if (shares_codes_) column_.dictionary = from.dictionary;
  }

  /// Rows `kept` of a block; all of it when `whole`.
  void append(const expr::ColumnView& block, std::span<const std::uint32_t> kept, bool whole) {
    const std::size_t rows = whole ? static_cast<std::size_t>(block.length) : kept.size();
    const auto before = static_cast<std::size_t>(column_.length());
    switch (column_.type) {
      case Type::kDouble: copy(block.doubles, kept, rows, whole, column_.doubles); break;
      case Type::kString: copy(block.codes, kept, rows, whole, column_.codes); break;
      default: copy(block.ints, kept, rows, whole, column_.ints);
    }
    if (block.valid != nullptr)
      append_validity(block.valid, kept, rows, whole, before);
    else if (!column_.valid.empty())
      column_.valid.resize(before + rows, 1);
  }

  /// The rows of another part of the table follow.
  void append(table::Column&& part) {
    const auto before = static_cast<std::size_t>(column_.length());
    const auto join = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    join(column_.doubles, part.doubles);
    join(column_.codes, part.codes);
    join(column_.ints, part.ints);
    const auto rows = static_cast<std::size_t>(column_.length());
    if (column_.valid.empty() && part.valid.empty()) return;
    // The other part may have had nulls where this one had none.
    column_.valid.resize(before, 1);
    join(column_.valid, part.valid);
    column_.valid.resize(rows, 1);
  }

  void reserve(std::size_t rows) {
    switch (column_.type) {
      case Type::kDouble: column_.doubles.reserve(rows); break;
      case Type::kString: column_.codes.reserve(rows); break;
      default: column_.ints.reserve(rows);
    }
  }

  table::Column finish() {
    if (column_.type == Type::kString && !shares_codes_)
      column_.dictionary = std::make_shared<const table::Dictionary>(std::vector<std::string>{""});
    return std::move(column_);
  }

 private:
  template <class T>
  static void copy(const T* from, std::span<const std::uint32_t> kept, std::size_t rows, bool whole,
                   std::vector<T>& to) {
    if (whole) {
      to.insert(to.end(), from, from + rows);
      return;
    }
    const std::size_t before = to.size();
    to.resize(before + rows);
    for (std::size_t i = 0; i < rows; ++i) to[before + i] = from[kept[i]];
  }

  void append_validity(const std::uint8_t* valid, std::span<const std::uint32_t> kept,
                       std::size_t rows, bool whole, std::size_t before) {
    const auto row = [&](std::size_t i) { return whole ? i : kept[i]; };
    for (std::size_t i = 0; i < rows; ++i) {
      const bool has_value = valid[row(i)] != 0;
      // A mask is made at the first null.
      if (!has_value && column_.valid.empty()) column_.valid.assign(before + i, 1);
      if (!column_.valid.empty() || !has_value) column_.valid.push_back(has_value ? 1 : 0);
      if (!has_value) clear(before + i);
    }
  }

  /// What stands where no value is does not depend on where it came from.
  void clear(std::size_t row) {
    switch (column_.type) {
      case Type::kDouble: column_.doubles[row] = 0; break;
      case Type::kString: break;
      default: column_.ints[row] = 0;
    }
  }

  bool shares_codes_;
  table::Column column_;
};

/// Grows a column by values of its type.
class Grown {
 public:
  Grown(std::string name, Type type) {
    column_.name = std::move(name);
    column_.type = type;
  }

  void add(const Datum& value) {
    const bool valid = !value.is_null();
    if (!valid && column_.valid.empty())
      column_.valid.assign(static_cast<std::size_t>(column_.length()), 1);
    if (!column_.valid.empty() || !valid) column_.valid.push_back(valid ? 1 : 0);
    switch (column_.type) {
      case Type::kDouble: column_.doubles.push_back(valid ? value.d : 0); break;
      case Type::kString: column_.codes.push_back(valid ? strings_.insert(value.str()) : 0); break;
      case Type::kBool: column_.ints.push_back(valid && value.b ? 1 : 0); break;
      default: column_.ints.push_back(valid ? value.i : 0);
    }
  }

  table::Column finish() {
    if (column_.type == Type::kString) {
      if (strings_.size() == 0) strings_.insert("");
      column_.dictionary = std::make_shared<const table::Dictionary>(strings_.values());
    }
    return std::move(column_);
  }

 private:
  table::Column column_;
  table::StringIndex strings_;
};

/// One dependency over typed columns. One thread.
class DependencyColumns {
 public:
  explicit DependencyColumns(const DependencyCode& rule)
      : rule_(rule), dependent_(rule.dependent_part) {
    for (const auto& part : rule.parts) determinant_.emplace_back(part);
  }

  /// Whether a row breaks it. What was never learned breaks nothing.
  [[nodiscard]] bool is_broken(std::span<const expr::ColumnView> views, std::int64_t row) {
    const auto& dependent = views[static_cast<std::size_t>(rule_.dependent)];
    // A missing value is the matter of `required`.
    if (dependent.valid != nullptr && dependent.valid[row] == 0) return false;
    std::int64_t key[kMaxKey];
    for (std::size_t i = 0; i < determinant_.size(); ++i) {
      const auto part =
          determinant_[i].at(views[static_cast<std::size_t>(rule_.determinant[i])], row);
      if (!part) return false;
      key[i] = *part;
    }
    // Below 0: values that training never saw, for which there is nothing that the dependent should
    // be.
    const std::int32_t tuple = tuple_of({key, determinant_.size()});
    if (tuple < 0) return false;
    const auto value = dependent_.at(dependent, row);
    return !value || *value != rule_.values[static_cast<std::size_t>(tuple)];
  }

 private:
  /// Codes of texts are small: the tuple of one is kept by its code.
  std::int32_t tuple_of(std::span<const std::int64_t> key) {
    if (key.size() != 1 || rule_.parts[0].type() != Type::kString) return rule_.tuples.find(key);
    const auto code = static_cast<std::size_t>(key[0]);
    if (code >= of_code_.size())
      of_code_.resize(std::max(code + 1, 2 * of_code_.size()), kNotAsked);
    if (of_code_[code] == kNotAsked) of_code_[code] = rule_.tuples.find(key);
    return of_code_[code];
  }

  static constexpr std::int32_t kNotAsked = -2;
  const DependencyCode& rule_;
  std::vector<table::KeyColumn> determinant_;
  table::KeyColumn dependent_;
  std::vector<std::int32_t> of_code_;
};

/// One thread's part of a table: rows [begin, end), block by block.
class Part {
 public:
  Part(const Contract::Code& code, std::span<const table::Column* const> columns)
      : code_(code), counts_(code.rules.size(), 0), views_(code.request_count) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] == nullptr) continue;
      fields_.push_back(i);
      judged_.emplace_back(code, i, *columns[i]);
      accepted_.emplace_back(code.definition.fields[i], *columns[i]);
    }
    for (const DependencyCode& rule : code.dependencies) dependencies_.emplace_back(rule);
  }

  void check(std::int64_t begin, std::int64_t end, std::vector<std::uint8_t>& refused) {
    for (std::int64_t at = begin; at < end; at += kBlock)
      check_block(at, std::min(at + kBlock, end), refused.data() + at);
  }

  [[nodiscard]] const std::vector<std::int64_t>& counts() const noexcept { return counts_; }
  [[nodiscard]] std::vector<Accepted>& accepted() noexcept { return accepted_; }

 private:
  void check_block(std::int64_t begin, std::int64_t end, std::uint8_t* refused) {
    for (std::size_t k = 0; k < judged_.size(); ++k) {
      judged_[k].judge(begin, end);
      // Expressions see what a request carries, as they do when one is served.
      if (fields_[k] < code_.request_count) views_[fields_[k]] = judged_[k].view();
      if (judged_[k].any_broken()) count_field(judged_[k], refused);
    }
    for (const ExpressionCode& rule : code_.expressions)
      check_expression(rule, end - begin, refused);
    for (std::size_t d = 0; d < dependencies_.size(); ++d) {
      const int rule = code_.dependencies[d].rule;
      for (std::int64_t i = 0; i < end - begin; ++i) {
        if (dependencies_[d].is_broken(views_, i)) broke(rule, refused[i]);
      }
    }
    keep(end - begin, refused);
  }

  void broke(int rule, std::uint8_t& refused) {
    const auto index = static_cast<std::size_t>(rule);
    ++counts_[index];
    if (code_.rules[index].effect == RuleEffect::kRefuse) refused = 1;
  }

  void count_field(const FieldColumn& field, std::uint8_t* refused) {
    const auto masks = field.masks();
    for (std::size_t i = 0; i < masks.size(); ++i) {
      // One bit a rule; `rest & rest - 1` takes the lowest away.
      for (unsigned rest = masks[i]; rest != 0; rest &= rest - 1)
        broke(field.rule(static_cast<std::size_t>(__builtin_ctz(rest))), refused[i]);
    }
  }

  void check_expression(const ExpressionCode& rule, std::int64_t rows, std::uint8_t* refused) {
    // A malformed field speaks through its own rule.
    std::vector<std::span<const Mask>> malformed;
    for (const int variable : rule.program.variables()) {
      const auto& field = judged_[static_cast<std::size_t>(variable)];
      if (field.any_malformed()) malformed.push_back(field.masks());
    }
    rule.program.evaluate_batches(views_, 0, rows, scratch_, [&](const expr::Batch& batch) {
      const auto first = static_cast<std::size_t>(batch.first);
      for (std::size_t i = 0; i < batch.rows; ++i) {
        // Null and error break the rule: it could not be shown to hold.
        if (batch.at(i).is_true()) continue;
        const bool is_judged =
            std::none_of(malformed.begin(), malformed.end(),
                         [&](const auto& masks) { return (masks[first + i] & kTypeBit) != 0; });
        if (is_judged) broke(rule.rule, refused[first + i]);
      }
    });
  }

  void keep(std::int64_t rows, const std::uint8_t* refused) {
    kept_.clear();
    for (std::int64_t i = 0; i < rows; ++i) {
      if (refused[i] == 0) kept_.push_back(static_cast<std::uint32_t>(i));
    }
    const bool whole = static_cast<std::int64_t>(kept_.size()) == rows;
    for (std::size_t k = 0; k < judged_.size(); ++k)
      accepted_[k].append(judged_[k].view(), kept_, whole);
  }

  const Contract::Code& code_;
  std::vector<std::int64_t> counts_;
  std::vector<std::size_t> fields_;  ///< of each column that is there
  std::vector<FieldColumn> judged_;
  std::vector<Accepted> accepted_;
  std::vector<DependencyColumns> dependencies_;
  std::vector<expr::ColumnView> views_;  ///< of the block, one a request field
  std::vector<std::uint32_t> kept_;
  expr::Program::Scratch scratch_;
};

/// Replaces fields of the accepted rows, each transform seeing the ones before; counts the values
/// that each changed.
void transform(const Contract::Code& code, std::vector<table::Column>& columns,
               std::vector<std::int64_t>& counts) {
  expr::Program::Scratch scratch;
  for (const TransformCode& each : code.transforms) {
    std::vector<expr::ColumnView> views;
    for (std::size_t i = 0; i < code.request_count; ++i) views.push_back(columns[i].view());
    table::Column& column = columns[static_cast<std::size_t>(each.field)];
    Grown grown(column.name, column.type);
    const expr::ColumnView before = column.view();
    std::int64_t& changed = counts[static_cast<std::size_t>(each.repair)];
    each.program.evaluate_columns(views, 0, column.length(), scratch,
                                  [&](std::int64_t row, const Datum& made) {
                                    const Datum typed = table::as_type(column.type, made);
                                    // A transform that fails leaves a missing value: the row was
                                    // accepted, and features know what missing is.
                                    const Datum value = typed.is_error() ? Datum::null() : typed;
                                    changed += differ(before.at(row), value) ? 1 : 0;
                                    grown.add(value);
                                  });
    column = grown.finish();
  }
}

}  // namespace

Result<TableCheck> Contract::check_table(const table::Table& rows, unsigned threads) const {
  const Code& code = *code_;
  HEDDLE_ASSIGN_OR_RETURN(RepairedRows repaired, RepairedRows::of(code, rows));
  const auto columns = repaired.columns();
  TableCheck out;
  out.refused.assign(static_cast<std::size_t>(rows.rows()), 0);
  out.counts.assign(code.rules.size(), 0);
  const std::int64_t shares =
      std::clamp<std::int64_t>(rows.rows() / kFewestRowsAThread, 1, std::max(1U, threads));
  std::vector<Part> parts;
  for (std::int64_t i = 0; i < shares; ++i) parts.emplace_back(code, columns);
  const auto check_share = [&](std::int64_t i) {
    parts[static_cast<std::size_t>(i)].check(rows.rows() * i / shares,
                                             rows.rows() * (i + 1) / shares, out.refused);
  };
  // The threads end with this block, before what they wrote is read.
  {
    std::vector<std::jthread> others;
    for (std::int64_t i = 1; i < shares; ++i) others.emplace_back(check_share, i);
    check_share(0);
  }
  const auto kept = static_cast<std::size_t>(std::count(out.refused.begin(), out.refused.end(), 0));
  std::vector<table::Column> finished;
  for (std::size_t k = 0; k < parts[0].accepted().size(); ++k) {
    Accepted& first = parts[0].accepted()[k];
    if (shares > 1) first.reserve(kept);
    // In the order of the shares, which is that of the rows.
    for (std::size_t i = 1; i < parts.size(); ++i) first.append(parts[i].accepted()[k].finish());
    finished.push_back(first.finish());
  }
  for (const Part& part : parts) {
    for (std::size_t rule = 0; rule < out.counts.size(); ++rule)
      out.counts[rule] += part.counts()[rule];
  }
  out.repaired = std::move(repaired).counts();
  transform(code, finished, out.repaired);
  HEDDLE_ASSIGN_OR_RETURN(out.accepted, table::Table::make(std::move(finished)));
  return out;
}

}  // namespace heddle::contract
