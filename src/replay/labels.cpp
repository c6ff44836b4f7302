#include "replay/labels.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "expr/program.hpp"
#include "replay/json_value.hpp"

namespace heddle::replay {
namespace {

using expr::Datum;
using expr::Type;

/// A truth or a number; NaN of anything else: what is not known is not false.
double number_of(const Datum& value) {
  using Kind = Datum::Kind;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (value.kind == Kind::kBool) return value.b ? 1 : 0;
  if (value.kind != Kind::kInt && value.kind != Kind::kDouble) return kNone;
  return std::isfinite(value.number()) ? value.number() : kNone;
}

}  // namespace

Result<Labels> Labels::open(const std::string& target, const table::Table& rows) {
  expr::Environment environment;
  for (const table::Column& column : rows.columns())
    environment.variables.push_back({column.name, column.type});
  HEDDLE_ASSIGN_OR_RETURN(const expr::Program program, expr::Program::compile(target, environment));
  Labels out;
  out.type_ = program.type();
  if (out.type_ != Type::kBool && out.type_ != Type::kString && out.type_ != Type::kInt &&
      out.type_ != Type::kDouble) {
    return Error{
        ErrorKind::kInvalid, "replay-target",
        fmt::format("the target `{}` is neither true or false, a string nor a number", target),
        "see the target of the Model"};
  }
  out.codes_.resize(static_cast<std::size_t>(rows.rows()));
  const std::vector<expr::ColumnView> views = rows.views();
  expr::Program::Scratch scratch;
  program.evaluate_columns(
      views, 0, rows.rows(), scratch,
      [&](std::int64_t row, const Datum& value) { out.set(static_cast<std::size_t>(row), value); });
  return out;
}

void Labels::set(std::size_t row, const Datum& value) {
  double code = number_of(value);
  if (value.kind == Datum::Kind::kString) {
    // Classes are numbered in the order in which rows have them; the number is only of this
    // recording.
    const auto [at, is_new] = places_.try_emplace(std::string(value.str()), words_.size());
    if (is_new) words_.push_back(at->first);
    code = static_cast<double>(at->second);
  }
  codes_[row] = code;
}

Datum Labels::value(std::size_t row) const {
  const double code = codes_[row];
  if (std::isnan(code)) return Datum::null();
  switch (type_) {
    case Type::kBool: return Datum::boolean(code != 0);
    case Type::kString: return Datum::string(words_[static_cast<std::size_t>(code)]);
    case Type::kInt: return Datum::integer(static_cast<std::int64_t>(code));
    default: return Datum::real(code);
  }
}

std::optional<stats::Label> Labels::at(std::size_t row) const {
  const double code = codes_[row];
  if (std::isnan(code)) return std::nullopt;
  switch (type_) {
    case Type::kBool: return code != 0;
    case Type::kString: return words_[static_cast<std::size_t>(code)];
    default: return code;
  }
}

/// Ascending, so that a label is read before its place is written.
void Labels::keep(std::span<const std::int64_t> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    codes_[i] = codes_[static_cast<std::size_t>(rows[i])];
  codes_.resize(rows.size());
}

std::int64_t Labels::unknown() const noexcept {
  return std::count_if(codes_.begin(), codes_.end(), [](double code) { return std::isnan(code); });
}

void append_label(const stats::Label& label, std::string& out) {
  if (const auto* truth = std::get_if<bool>(&label))
    out.push_back(*truth ? '1' : '0');
  else if (const auto* number = std::get_if<double>(&label))
    fmt::format_to(std::back_inserter(out), "{}", *number);
  else
    append_string(std::get<std::string>(label), out);
}

}  // namespace heddle::replay
