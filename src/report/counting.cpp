#include "report/counting.hpp"

#include <algorithm>
#include <cmath>

#include "table/cell.hpp"
#include "table/stream.hpp"

namespace heddle::report {
namespace {

using expr::Datum;
using expr::Type;
using profile::Kind;
using profile::Reading;

constexpr int kBinsOfPicture = 40;
/// Whole numbers over no wider range have a bin each.
constexpr double kMostWholeBins = 60;
/// A range between this and its negative is a number; what lies beyond is beside the picture.
constexpr double kLargest = 8e307;

/// A column's rows as values of one type, by the rules by which every reader of rows reads them.
class Values {
 public:
  /// `decimal`: of a CSV's numbers. `of_lengths`: of a text its length.
  Values(const table::Column& column, Type type, bool of_lengths, char decimal)
      : view_(column.view()), type_(type), of_lengths_(of_lengths), decimal_(decimal) {
    if (of_lengths) type_ = Type::kString;
    if (column.type != Type::kString || type_ == Type::kString) return;
    texts_ = &column.dictionary->views();
    codes_ = &column.codes;
    read_.assign(texts_->size(), std::nullopt);
  }

  /// Null or an error: the row has no value of the type.
  [[nodiscard]] Datum at(std::int64_t row) {
    const Datum raw = view_.at(row);
    if (texts_ == nullptr) {
      const Datum value = table::as_type(type_, raw);
      const bool is_text = value.kind == Datum::Kind::kString;
      return of_lengths_ && is_text ? Datum::integer(value.size) : value;
    }
    if (raw.is_null()) return raw;
    // A text is read once, however often it comes.
    const auto code = static_cast<std::size_t>((*codes_)[static_cast<std::size_t>(row)]);
    if (!read_[code]) read_[code] = table::cell_of_text((*texts_)[code], type_, decimal_);
    return *read_[code];
  }

 private:
  expr::ColumnView view_;
  Type type_;
  bool of_lengths_;
  char decimal_;
  const std::vector<std::string_view>* texts_ = nullptr;
  const std::vector<std::int32_t>* codes_ = nullptr;
  std::vector<std::optional<Datum>> read_{};
};

char decimal_of(const profile::Profile& profile) { return profile.decimal_comma ? ',' : '.'; }

bool is_on_a_line(Type type) {
  return type == Type::kInt || type == Type::kDouble || type == Type::kTimestamp;
}

/// A number or a time on one line.
double place_of(const Datum& value) {
  return value.kind == Datum::Kind::kTimestamp ? static_cast<double>(value.i) : value.number();
}

/// A few words between a CSV's numbers or times are missing values here, and not the column's type.
Type type_of(const Reading& reading, bool is_csv) noexcept {
  if (is_csv && reading.kind == Kind::kNumberInText) return Type::kDouble;
  if (is_csv && reading.kind == Kind::kTimeInText) return Type::kTimestamp;
  return reading.type;
}

std::optional<Type> common_of(Type a, Type b) noexcept {
  const auto is_number = [](Type type) { return type == Type::kInt || type == Type::kDouble; };
  if (a == b) return a;
  if (is_number(a) && is_number(b)) return Type::kDouble;
  return std::nullopt;
}

/// Values of the sampled rows, those that there are.
void add_sampled(const Read& of, const CountingPlan& plan, std::vector<Datum>& out) {
  const table::Column* column = of.sampled(plan.name);
  if (column == nullptr) return;
  Values values(*column, plan.type, plan.of_lengths, decimal_of(of.profile));
  for (std::int64_t row = 0; row < of.sample.rows(); ++row) {
    const Datum value = values.at(row);
    if (!value.is_null() && !value.is_error()) out.push_back(value);
  }
}

/// Where most values lie: all, unless a few lie so far out that nothing else could be seen.
CountingPlan::Grid grid_of(const std::vector<Datum>& values, Type type) {
  std::vector<double> places;
  for (const Datum& value : values) places.push_back(place_of(value));
  if (places.empty()) return {};
  std::sort(places.begin(), places.end());
  const auto at = [&](double share) {
    return places[static_cast<std::size_t>(share * static_cast<double>(places.size() - 1))];
  };
  double low = places.front();
  double high = places.back();
  // The range of the middle 99 % of the values.
  const double most = at(.995) - at(.005);
  constexpr double kFarOut = 3;
  if (most > 0 && high - low > kFarOut * most) {
    low = std::max(low, at(.005) - most / 10);
    high = std::min(high, at(.995) + most / 10);
  }
  low = std::max(low, -kLargest);
  high = std::min(high, kLargest);
  if (type == Type::kInt && high - low < kMostWholeBins) {
    low = std::floor(low);
    // Half a unit to either side: each number is the middle of its bin.
    return {low - .5, 1, static_cast<std::size_t>(std::ceil(high) - low) + 1};
  }
  if (!(high > low)) {
    // One value: a bin around it that a double can tell from it.
    const double width = std::max(1.0, std::abs(low) * 1e-6);
    return {low - width / 2, width, 1};
  }
  return {low, (high - low) / kBinsOfPicture, kBinsOfPicture};
}

void add_to_grid(const CountingPlan::Grid& grid, double place, Counted& out) {
  const double last = grid.from + grid.width * static_cast<double>(grid.bins);
  // A little beyond: the end of the last bin is a sum, which was rounded.
  if (place < grid.from || place > last * (1 + (last > 0 ? 1e-12 : -1e-12))) {
    ++out.outside;
    return;
  }
  // The largest value is the end of the last bin.
  const double bin = std::min((place - grid.from) / grid.width, static_cast<double>(grid.bins) - 1);
  ++out.grid[static_cast<std::size_t>(std::max(bin, 0.0))];
}

void count_column(const table::Column& column, const CountingPlan& plan, char decimal,
                  Counted& out) {
  Values values(column, plan.type, plan.of_lengths, decimal);
  for (std::int64_t row = 0; row < column.length(); ++row) {
    const Datum value = values.at(row);
    // A text that is no value of the type counts as none.
    if (value.is_null() || value.is_error()) {
      ++out.missing;
      out.bins.add(stats::Binning::kMissing);
      continue;
    }
    out.bins.add(plan.statistic->bin_of(plan.bins, value));
    if (!plan.grid) continue;
    const double place = place_of(value);
    out.numbers.add(place);
    out.below += place < plan.low ? 1 : 0;
    out.above += place > plan.high ? 1 : 0;
    add_to_grid(*plan.grid, place, out);
  }
}

}  // namespace

const Reading* Read::find(const std::string& name) const {
  const auto place = places.find(name);
  return place == places.end() ? nullptr : &readings[place->second];
}

const table::Column* Read::sampled(const std::string& name) const {
  const auto place = places.find(name);
  // Of no row there is no sample, and that has no columns.
  if (place == places.end() || place->second >= sample.columns().size()) return nullptr;
  return &sample.columns()[place->second];
}

std::optional<Type> common_type(const Reading* a, const Reading* b, bool a_is_csv,
                                bool b_is_csv) noexcept {
  // A column without a value has the type of the other.
  if (a != nullptr && b != nullptr && a->kind == Kind::kEmpty) a = nullptr;
  if (a != nullptr && b != nullptr && b->kind == Kind::kEmpty) b = nullptr;
  if (a == nullptr && b == nullptr) return std::nullopt;
  if (a == nullptr) return type_of(*b, b_is_csv);
  if (b == nullptr) return type_of(*a, a_is_csv);
  // Codes stay codes where no zero stands before any: 007 in one file and 12 in the other.
  const bool are_codes = a->column->leading_zeros + b->column->leading_zeros > 0;
  if (are_codes && a->column->is_text() && b->column->is_text()) return Type::kString;
  return common_of(type_of(*a, a_is_csv), type_of(*b, b_is_csv));
}

bool is_free_text(const Reading& reading) noexcept {
  const auto& column = *reading.column;
  // Values that come less than twice each, on average.
  const bool is_once = 2 * column.values.estimate() > static_cast<double>(column.present());
  return reading.type == Type::kString &&
         (reading.is_key || (reading.kind == Kind::kText && is_once));
}

CountingPlan plan_column(const std::string& name, Type type, bool of_lengths, const Read* reference,
                         const Read& file) {
  CountingPlan out;
  out.name = name;
  out.type = of_lengths ? Type::kInt : type;
  out.of_lengths = of_lengths;
  out.statistic = statistic::reading(out.type).front();
  std::vector<Datum> values;
  if (reference != nullptr) add_sampled(*reference, out, values);
  const std::size_t of_reference = values.size();
  add_sampled(file, out, values);
  if (!is_on_a_line(out.type)) {
    out.bins = out.statistic->bins(values);
    return out;
  }
  // By the reference where it has values, since the file is held against it.
  const std::size_t used = of_reference > 0 ? of_reference : values.size();
  out.bins = out.statistic->bins(std::span(values).first(used));
  out.grid = grid_of(values, out.type);
  return out;
}

Result<std::vector<Counted>> count_rows(const Read& file, std::span<const CountingPlan> plans,
                                        const Progress& progress) {
  std::vector<Counted> out(plans.size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    out[i].bins = stats::Histogram(plans[i].bins.size());
    out[i].grid.assign(plans[i].grid ? plans[i].grid->bins : 0, 0);
  }
  const table::Input& input = file.profile.input;
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(input));
  profile::Progress so_far{0, 0, reader->text()};
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, reader->next());
    if (!rows) break;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      if (const auto place = file.places.find(plans[i].name); place != file.places.end())
        count_column(rows->columns()[place->second], plans[i], decimal_of(file.profile), out[i]);
    }
    so_far.rows += rows->rows();
    ++so_far.chunks;
    if (progress) progress(input, so_far);
  }
  return out;
}

}  // namespace heddle::report
