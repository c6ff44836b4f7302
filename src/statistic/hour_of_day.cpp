#include "statistic/statistic.hpp"

namespace heddle::statistic {
namespace {

/// Total variation distance over the hours of a UTC day. What a finding says besides is how far a
/// shift by whole hours explains it.
class HourOfDay final : public Statistic {
 public:
  std::string_view name() const noexcept override { return "hour_of_day"; }
  std::string_view of() const noexcept override { return "times"; }
  int reads(expr::Type type) const noexcept override {
    return type == expr::Type::kTimestamp ? 1 : 0;
  }
  stats::Binning bins(std::span<const expr::Datum>) const override {
    return stats::Binning::hour_of_day();
  }
  std::size_t bin_of(const stats::Binning& binning, const expr::Datum& value) const override {
    return value.kind == expr::Datum::Kind::kTimestamp ? binning.bin_time(value.i)
                                                       : stats::Binning::kMissing;
  }
  double distance(const stats::Histogram& reference,
                  const stats::Histogram& window) const override {
    return stats::total_variation(reference, window);
  }
  void detail(const stats::Histogram& reference, const stats::Histogram& window,
              doc::Value& out) const override {
    const stats::LagFit fit = stats::explain_by_lag(reference.present(), window.present());
    out.set("lag_hours", fit.lag);
    out.set("residual", fit.residual);
    out.set("residual_d", fit.residual_d);
  }
  void write(const stats::Binning&, doc::Value&) const override {}
  stats::Binning read(BinsReader&) const override { return stats::Binning::hour_of_day(); }
  bool needs_whole_days() const noexcept override { return true; }
};

}  // namespace

const Statistic& hour_of_day() {
  static const HourOfDay row;
  return row;
}

}  // namespace heddle::statistic
