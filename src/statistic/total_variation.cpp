#include <cmath>
#include <optional>
#include <set>
#include <unordered_map>

#include "statistic/statistic.hpp"

namespace heddle::statistic {
namespace {

constexpr std::size_t kTopCategories = 50;

/// The name of a value as a category, borrowed from the value or from `buffer`; nullopt when it is
/// none. An integer has one name, whether it came as 3 or as 3.0.
std::optional<std::string_view> category_of(const expr::Datum& value, std::string& buffer) {
  using Kind = expr::Datum::Kind;
  constexpr double kIntegers = 9'007'199'254'740'992;  // 2^53: up to here every integer is a double
  switch (value.kind) {
    case Kind::kString: return value.str();
    case Kind::kBool: return value.b ? "true" : "false";
    case Kind::kInt: buffer = std::to_string(value.i); return buffer;
    case Kind::kDouble:
      if (!(std::abs(value.d) <= kIntegers) || value.d != std::trunc(value.d)) return std::nullopt;
      buffer = std::to_string(static_cast<std::int64_t>(value.d));
      return buffer;
    default: return std::nullopt;
  }
}

/// Total variation distance over the most frequent values and the rest.
class TotalVariation final : public Statistic {
 public:
  std::string_view name() const noexcept override { return "total_variation"; }
  std::string_view of() const noexcept override { return "strings, integers and booleans"; }
  int reads(expr::Type type) const noexcept override {
    switch (type) {
      case expr::Type::kBool:
      case expr::Type::kString: return 1;
      case expr::Type::kInt: return 2;
      default: return 0;
    }
  }
  stats::Binning bins(std::span<const expr::Datum> values) const override {
    std::unordered_map<std::string, std::int64_t> counts;
    std::string buffer;
    for (const expr::Datum& value : values) {
      if (const auto category = category_of(value, buffer)) ++counts[std::string(*category)];
    }
    return stats::Binning::categories(stats::top_categories(counts, kTopCategories));
  }
  std::size_t bin_of(const stats::Binning& binning, const expr::Datum& value) const override {
    std::string buffer;
    const auto category = category_of(value, buffer);
    return category ? binning.bin(*category) : stats::Binning::kMissing;
  }
  double distance(const stats::Histogram& reference,
                  const stats::Histogram& window) const override {
    return stats::total_variation(reference, window);
  }
  double reach(const stats::Histogram& reference) const override {
    if (reference.total() == 0) return 1;
    // Values beyond the most frequent ones share the last bin with all that are new.
    return 1 -
           static_cast<double>(reference.counts().back()) / static_cast<double>(reference.total());
  }
  void write(const stats::Binning& binning, doc::Value& out) const override {
    doc::Value names = doc::Value::array();
    for (const std::string& category : binning.names()) names.push(category);
    out.set("categories", std::move(names));
  }
  stats::Binning read(BinsReader& reader) const override {
    auto names = reader.texts("categories");
    if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
      reader.refuse("categories", "all different");
    return stats::Binning::categories(std::move(names));
  }
};

}  // namespace

const Statistic& total_variation() {
  static const TotalVariation row;
  return row;
}

}  // namespace heddle::statistic
