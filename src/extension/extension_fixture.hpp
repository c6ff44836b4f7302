#pragma once

// One of each kind of what can be added, from this file alone: a class and a row each. Nothing else
// in the source tree names them.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "model/standardised.hpp"
#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "statistic/statistic.hpp"
#include "stats/metric.hpp"
#include "trainer/trainer.hpp"
#include "watch/detector.hpp"

namespace heddle::extension {

using namespace recover;  // NOLINT(google-build-using-namespace): one file of additions

/// The largest difference of one category's share.
class LargestShare final : public statistic::Statistic {
 public:
  std::string_view name() const noexcept override { return "largest_share"; }
  std::string_view of() const noexcept override { return "strings"; }
  int reads(expr::Type type) const noexcept override { return type == expr::Type::kString ? 2 : 0; }
  stats::Binning bins(std::span<const expr::Datum> values) const override {
    return statistic::total_variation().bins(values);
  }
  std::size_t bin_of(const stats::Binning& binning, const expr::Datum& value) const override {
    return statistic::total_variation().bin_of(binning, value);
  }
  double distance(const stats::Histogram& reference,
                  const stats::Histogram& window) const override {
    if (reference.total() == 0 || window.total() == 0) return 0;
    double largest = 0;
    for (std::size_t i = 0; i < reference.counts().size(); ++i) {
      const double before =
          static_cast<double>(reference.counts()[i]) / static_cast<double>(reference.total());
      const double now =
          static_cast<double>(window.counts()[i]) / static_cast<double>(window.total());
      largest = std::max(largest, std::abs(now - before));
    }
    return largest;
  }
  void detail(const stats::Histogram&, const stats::Histogram& window,
              doc::Value& out) const override {
    out.set("rows_in_bins", window.total());
  }
  void write(const stats::Binning& binning, doc::Value& out) const override {
    statistic::total_variation().write(binning, out);
  }
  stats::Binning read(statistic::BinsReader& reader) const override {
    return statistic::total_variation().read(reader);
  }
};

/// Mean squared error of the probabilities (Brier 1950).
class Brier final : public stats::Metric {
 public:
  std::string_view name() const noexcept override { return "brier"; }
  bool does(stats::TaskKind task) const noexcept override {
    return task == stats::TaskKind::kBinary;
  }
  bool lower_is_better() const noexcept override { return true; }
  double high() const noexcept override { return 1; }
  double value(const stats::Answers& answers) const override {
    double sum = 0;
    for (std::size_t i = 0; i < answers.labels.size(); ++i) {
      const double error = static_cast<double>(answers.predictions[i]) - answers.labels[i];
      sum += error * error;
    }
    return sum / static_cast<double>(answers.labels.size());
  }
  std::optional<double> difference_error(const stats::Answers&,
                                         const stats::Answers&) const override {
    return std::nullopt;
  }
};

/// The base rate for every row, from `prior` rows of each kind more.
class BaseRate final : public trainer::Trainer {
 public:
  std::string_view name() const noexcept override { return "base_rate"; }
  bool does(stats::TaskKind task) const noexcept override {
    return task == stats::TaskKind::kBinary;
  }
  std::span<const trainer::Parameter> parameters(stats::TaskKind) const override {
    static constexpr trainer::Parameter kParameters[] = {
        {"prior", "prior", trainer::Parameter::Kind::kInteger, 0, 1000}};
    return kParameters;
  }
  Result<trainer::Fitted> train(const trainer::Input& input) const override {
    double prior = 0;
    for (const auto& [name, value] : input.parameters.values)
      prior = static_cast<double>(*trainer::parse_integer(value));
    double positive = prior;
    double negative = prior;
    for (std::int64_t row = 0; row < input.train.count; ++row)
      (input.train.labels[row] != 0 ? positive : negative) += 1;
    const auto columns = static_cast<std::size_t>(input.train.columns);
    model::StandardisedLinear model;
    model.features = input.feature_names;
    for (auto* numbers : {&model.mean, &model.missing, &model.weights}) numbers->assign(columns, 0);
    model.scale.assign(columns, 1);
    model.intercepts = {std::log(positive / negative)};
    return trainer::Fitted{model::to_json(model), 1};
  }
};

constexpr std::string_view kRateKey = "labels/rate";

/// The share of true labels in runs of 1,000, whatever row they are of.
class LabelRate final : public watch::Detector {
 public:
  void label(const plane::LabelRecord& label, std::vector<watch::Finding>& out) override {
    if (labels_ == 0) from_ = label.event_time;
    ++labels_;
    const auto code = stats::Task{}.code_of(label.label);
    positive_ += code.ok() && *code > 0.5 ? 1 : 0;
    if (labels_ < kRun) return;
    watch::Finding f;
    f.key = kRateKey;
    f.subject = watch::Subject::kOther;
    f.value = static_cast<double>(positive_) / static_cast<double>(labels_);
    f.threshold = 0.5;
    f.alert = f.raises = f.value > f.threshold;
    f.from = std::min(from_, label.event_time);
    f.to = label.event_time + 1;
    f.rows = labels_;
    out.push_back(std::move(f));
    labels_ = positive_ = 0;
  }
  void save(watch::StateWriter& out) const override {
    out.put(labels_);
    out.put(positive_);
    out.put(from_);
  }
  void load(watch::StateReader& in) override {
    labels_ = in.i64();
    positive_ = in.i64();
    from_ = in.i64();
  }

 private:
  static constexpr std::int64_t kRun = 1000;
  std::int64_t labels_ = 0;
  std::int64_t positive_ = 0;
  Micros from_ = 0;
};

constexpr watch::DetectorKind kLabelRate("label-rate", [](const watch::WatchOptions&) {
  return Result<std::unique_ptr<watch::Detector>>(std::make_unique<LabelRate>());
});

/// Most labels are true: a person is asked whether they are right.
class TooManyTrue final : public Cause {
 public:
  std::string_view name() const noexcept override { return "too many true labels"; }

  std::optional<Diagnosis> match(const watch::Alert& alert, const watch::Watch&) const override {
    if (alert.first.key != kRateKey) return std::nullopt;
    Diagnosis out;
    out.change_from = alert.first.from;
    out.reason = fmt::format("{:.0f} of 100 labels are true", 100 * alert.last.value);
    return out;
  }

  Step first_step(const Incident&) const override { return Step::kRespond; }

  Step respond(Incident& incident, Response& response) const override {
    const Outcome answer = response.propose(AcceptLabels{"", incident.diagnosis.change_from},
                                            incident.diagnosis.reason + ": are they right?");
    if (answer.status == Outcome::Status::kWaiting && !response.is_quiet()) {
      response.escalate("say whether these labels are right", 7 * kDay);
      return Step::kRespond;
    }
    response.respond("a person was asked about the labels");
    return Step::kAwaitQuiet;
  }

  std::vector<Amendment> amendments(const Incident&, const spec::Monitor& monitor,
                                    const spec::Contract&) const override {
    return {{monitor, true, "gates[]", "- id: squares\n  when: metrics.brier < 0.3\n",
             "a release that is far from such labels should not pass"}};
  }

  std::string next(const Incident&) const override { return "ask who counts the labels"; }
};

inline const LargestShare kLargestShare;
inline const Brier kBrier;
inline const TooManyTrue kTooManyTrue;

inline const BaseRate kBaseRate;

/// The rows.
inline const bool kAdded = statistic::statistics().add(kLargestShare) &&
                           stats::metrics().add(kBrier) && trainer::trainers().add(kBaseRate) &&
                           watch::detectors().add(kLabelRate) && causes().add(kTooManyTrue);

}  // namespace heddle::extension
