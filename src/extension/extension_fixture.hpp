#pragma once

// One of each kind of what can be added, from this file alone: a class and a row each. Nothing else
// in the source tree names them.

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "model/standardised.hpp"
#include "recover/cause.hpp"
#include "recover/incident.hpp"
#include "spec/kinds.hpp"
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

/// Each column by itself, as if both kinds of rows were normal and equally wide (Fisher 1936 with
/// a diagonal covariance); `prior` rows of each kind more.
class MeanDifference final : public trainer::Trainer {
 public:
  std::string_view name() const noexcept override { return "mean_difference"; }
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
    model::StandardisedLinear model;
    model.features = input.feature_names;
    for (int column = 0; column < input.train.columns; ++column) add(input.train, column, model);
    double rows[2] = {prior, prior};
    for (std::int64_t row = 0; row < input.train.count; ++row)
      rows[input.train.labels[row] != 0] += 1;
    model.intercepts = {std::log(rows[1] / rows[0])};
    return trainer::Fitted{model::to_json(model), 1};
  }

 private:
  /// The column's part of the log odds, of its distance from the middle between both means.
  static void add(const trainer::RowsView& rows, int column, model::StandardisedLinear& model) {
    double count[2] = {}, sum[2] = {}, squares = 0;
    for (std::int64_t row = 0; row < rows.count; ++row) {
      const double value = rows.features[row * rows.columns + column];
      if (std::isnan(value)) continue;
      const bool positive = rows.labels[row] != 0;
      count[positive] += 1;
      sum[positive] += value;
      squares += value * value;
    }
    double mean[2] = {}, within = squares;
    for (const int each : {0, 1}) {
      if (count[each] == 0) continue;
      mean[each] = sum[each] / count[each];
      within -= count[each] * mean[each] * mean[each];
    }
    const double variance = within / std::max(1.0, count[0] + count[1] - 2);
    const bool tells = variance > 0 && count[0] > 0 && count[1] > 0;
    const double middle = (mean[0] + mean[1]) / 2;
    model.mean.push_back(middle);
    model.scale.push_back(tells ? std::sqrt(variance) : 1);
    model.missing.push_back(middle);
    model.weights.push_back(tells ? (mean[1] - mean[0]) / std::sqrt(variance) : 0);
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

/// Who is called about a service, and what they do first.
struct Runbook {
  spec::Identity identity;
  std::string service;
  std::string call;
  std::vector<std::string> steps;
};

class RunbookChecker final : public spec::Checking {
 public:
  explicit RunbookChecker(const spec::Checking& all) : Checking(all) {}
  void check(const Runbook& runbook) {
    refer(runbook.identity, "service", runbook.service, project_.services, "service");
    if (runbook.service.empty()) return;  // missing-key says it
    const auto [earlier, is_first] = of_.try_emplace(runbook.service, runbook.identity.name);
    if (is_first) return;
    report(runbook.identity.file, at(runbook.identity, "service"), "runbook-twice",
           fmt::format("service `{}` has runbook `{}` already", runbook.service, earlier->second),
           "put the steps of both into one");
  }

 private:
  std::map<std::string, std::string> of_;  ///< the name of a service's runbook
};

class RunbookKind final : public spec::NamedKind<Runbook, RunbookChecker> {
 public:
  std::string_view name() const noexcept override { return "Runbook"; }
  std::string_view folder() const noexcept override { return "runbooks"; }
  const spec::ObjectSchema& keys() const override {
    static const spec::Schema<Runbook> table = [] {
      spec::Schema<Runbook> t("Runbook", "who is called about a service, and what they do");
      spec::add_named_head(t, "Runbook");
      t.text("service", &Runbook::service, "the service that it is about").required();
      t.text("call", &Runbook::call, "who is called").required();
      t.texts("steps", &Runbook::steps, "what they do, in this order");
      return t;
    }();
    return table;
  }
};

inline const RunbookKind kRunbookKind;
inline const LargestShare kLargestShare;
inline const Brier kBrier;
inline const TooManyTrue kTooManyTrue;

inline const MeanDifference kMeanDifference;

/// The rows.
inline const bool kAdded =
    statistic::statistics().add(kLargestShare) && stats::metrics().add(kBrier) &&
    trainer::trainers().add(kMeanDifference) && watch::detectors().add(kLabelRate) &&
    causes().add(kTooManyTrue) && spec::kinds().add(kRunbookKind);

}  // namespace heddle::extension
