#include "upstream/skew.hpp"

#include <algorithm>
#include <cmath>

namespace heddle::upstream {
namespace {

using expr::Datum;

constexpr double kTolerance = 1e-9;

bool is_number(const Datum& value) {
  return value.kind == Datum::Kind::kInt || value.kind == Datum::Kind::kDouble;
}

/// What stands there, for people and JSON.
doc::Value shown(const table::Column& column, const Datum& value, std::size_t row) {
  switch (value.kind) {
    case Datum::Kind::kBool: return value.b;
    case Datum::Kind::kInt: return value.i;
    case Datum::Kind::kDouble: return value.d;
    case Datum::Kind::kString: return std::string(value.str());
    case Datum::Kind::kTimestamp: return format_time(value.i);
    case Datum::Kind::kError:
      return std::string(column.malformed_text(row).value_or("what is no value of the field"));
    default: return nullptr;
  }
}

/// How far apart two numbers or two times are; nothing: they are neither.
std::optional<double> distance(const Datum& a, const Datum& b) {
  if (is_number(a) && is_number(b)) return std::abs(a.number() - b.number());
  if (a.kind != Datum::Kind::kTimestamp || b.kind != Datum::Kind::kTimestamp) return std::nullopt;
  return std::abs(static_cast<double>(a.i) - static_cast<double>(b.i)) /
         static_cast<double>(kSecond);
}

bool is_same(const Datum& a, const Datum& b, bool is_of_sums) {
  if (is_number(a) && is_number(b)) {
    if (a.number() == b.number()) return true;
    const double largest = std::max(std::abs(a.number()), std::abs(b.number()));
    return is_of_sums && std::abs(a.number() - b.number()) <= kTolerance * largest;
  }
  if (a.kind != b.kind || a.is_error()) return false;
  if (a.kind == Datum::Kind::kString) return a.str() == b.str();
  return a.kind == Datum::Kind::kBool ? a.b == b.b : a.i == b.i;
}

}  // namespace

FieldSkew compare(const spec::Field& field, const table::Column& served,
                  const table::Column& computed, std::span<const std::string> ids,
                  std::size_t most_examples) {
  FieldSkew out;
  out.field = field.name;
  out.source = field.upstream->source;
  const auto sent = served.view(), known = computed.view();
  const bool is_of_sums = field.upstream->aggregate == spec::Aggregate::kSum ||
                          field.upstream->aggregate == spec::Aggregate::kMean;
  for (std::size_t row = 0; row < ids.size(); ++row) {
    const Datum a = served.cell(sent, static_cast<std::int64_t>(row));
    const Datum b = computed.cell(known, static_cast<std::int64_t>(row));
    ++out.rows;
    if ((a.is_null() && b.is_null()) ||
        (!a.is_null() && !b.is_null() && is_same(a, b, is_of_sums))) {
      ++out.equal;
      continue;
    }
    if (a.is_null()) {
      ++out.missing_served;
    } else if (b.is_null()) {
      ++out.missing_computed;
    } else {
      ++out.different;
      if (const auto apart = distance(a, b))
        out.largest = std::max(out.largest.value_or(0), *apart);
    }
    if (out.examples.size() < most_examples)
      out.examples.push_back({ids[row], shown(served, a, row), shown(computed, b, row)});
  }
  return out;
}

}  // namespace heddle::upstream
