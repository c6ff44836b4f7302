#include <cmath>
#include <limits>

#include "doc/numbers.hpp"
#include "statistic/statistic.hpp"

namespace heddle::statistic {
namespace {

constexpr int kQuantiles = 64;  ///< the statistic is less than 1 / 64 below the exact one

/// A number, truth value or time on one line; NaN when there is none.
double number_of(const expr::Datum& value) {
  using Kind = expr::Datum::Kind;
  switch (value.kind) {
    case Kind::kInt:
    case Kind::kDouble: return value.number();
    case Kind::kBool: return value.b ? 1 : 0;
    case Kind::kTimestamp: return static_cast<double>(value.i);
    default: return std::numeric_limits<double>::quiet_NaN();
  }
}

/// Two-sample Kolmogorov-Smirnov D.
class Ks final : public Statistic {
 public:
  std::string_view name() const noexcept override { return "ks"; }
  std::string_view of() const noexcept override { return "numbers, times and booleans"; }
  int reads(expr::Type type) const noexcept override {
    switch (type) {
      case expr::Type::kInt:
      case expr::Type::kDouble: return 1;
      case expr::Type::kBool:
      case expr::Type::kTimestamp: return 2;
      default: return 0;
    }
  }
  stats::Binning bins(std::span<const expr::Datum> values) const override {
    std::vector<double> numbers;
    for (const expr::Datum& value : values) numbers.push_back(number_of(value));
    return stats::Binning::numbers(numbers, kQuantiles);
  }
  std::size_t bin_of(const stats::Binning& binning, const expr::Datum& value) const override {
    return binning.bin(number_of(value));
  }
  double distance(const stats::Histogram& reference,
                  const stats::Histogram& window) const override {
    return stats::kolmogorov_smirnov(reference, window);
  }
  void write(const stats::Binning& binning, doc::Value& out) const override {
    doc::Value points = doc::Value::array();
    for (const double point : binning.points()) points.push(doc::exact_number(point));
    out.set("points", std::move(points));
  }
  stats::Binning read(BinsReader& reader) const override {
    auto points = reader.numbers("points");
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (std::isnan(points[i]) || (i > 0 && !(points[i - 1] < points[i]))) {
        reader.refuse("points", "ascending");
        break;
      }
    }
    return stats::Binning::from_points(std::move(points));
  }
  bool is_one_of_growing() const noexcept override { return true; }
};

}  // namespace

const Statistic& ks() {
  static const Ks row;
  return row;
}

}  // namespace heddle::statistic
