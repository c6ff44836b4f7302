#include "evaluate/rivals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "expr/program.hpp"
#include "stats/metric.hpp"

namespace heddle::evaluate {
namespace {

constexpr std::size_t kBins = 32;
constexpr std::size_t kMostForEdges = 10'000;  ///< training rows that edges of bins come from

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<std::size_t>(values.size(), 1));
}

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Shares of the classes among some rows, drawn to those of all rows by one row; of a regression
/// the median of some rows, or their mean.
class Tally {
 public:
  Tally(const stats::Task& task, bool is_mean)
      : task_(task),
        is_mean_(is_mean),
        counts_(is_number() ? 0 : std::max<std::size_t>(task.outputs(), 2), 0) {}

  void add(double code) {
    if (is_number()) {
      values_.push_back(code);
    } else {
      ++counts_[static_cast<std::size_t>(code)];
    }
    ++count_;
  }

  [[nodiscard]] std::vector<double> answer(const std::vector<double>& of_all) const {
    if (is_number()) return {values_.empty() ? of_all[0] : middle()};
    std::vector<double> out;
    for (std::size_t k = 0; k < counts_.size(); ++k)
      out.push_back((counts_[k] + of_all[k]) / (count_ + 1));
    return out;
  }
  /// What is said where nothing is known.
  [[nodiscard]] std::vector<double> whole() const {
    if (is_number()) return {middle()};
    std::vector<double> out;
    for (const double count : counts_)
      out.push_back((count + .5) / (count_ + .5 * static_cast<double>(counts_.size())));
    return out;
  }

 private:
  [[nodiscard]] bool is_number() const { return task_.kind == stats::TaskKind::kRegression; }
  [[nodiscard]] double middle() const { return is_mean_ ? mean_of(values_) : median_of(values_); }

  const stats::Task& task_;
  bool is_mean_;
  std::vector<double> counts_;
  std::vector<double> values_{};
  double count_ = 0;
};

/// An answer as the margins that a model would have given for it.
void push_margins(const stats::Task& task, const std::vector<double>& answer,
                  std::vector<float>& margins) {
  if (task.kind == stats::TaskKind::kBinary) {
    // Never 0 or 1: the shares are drawn to the whole by a row, and the whole by half of one.
    margins.push_back(static_cast<float>(std::log(answer[1] / answer[0])));
    return;
  }
  for (const double each : answer) {
    margins.push_back(
        static_cast<float>(task.kind == stats::TaskKind::kRegression ? each : std::log(each)));
  }
}

class Rivals {
 public:
  /// `is_mean`: of a regression the answers are means, and measured by what means are best at.
  Rivals(const RivalInput& input, bool is_mean)
      : input_(input), is_mean_(is_mean), all_(*input.task, is_mean) {
    for (const double code : input_.labels.first(input_.train_end)) all_.add(code);
    whole_ = all_.whole();
  }

  void constant(Numbers& numbers) const {
    std::vector<float> margins;
    for (std::size_t i = input_.test_begin; i < input_.labels.size(); ++i)
      push_margins(*input_.task, whole_, margins);
    measure("constant", margins, numbers);
  }

  void last(Numbers& numbers) const {
    const auto before = rows_before();
    // Of classes not the last label itself, which would be sure of itself, but what follows such a
    // label.
    std::vector<Tally> follows(all_classes(), Tally(*input_.task, is_mean_));
    for (std::size_t i = 0; i < input_.train_end; ++i) {
      if (before[i] < i) follows[class_of(before[i])].add(input_.labels[i]);
    }
    std::vector<float> margins;
    for (std::size_t i = input_.test_begin; i < input_.labels.size(); ++i) {
      const bool is_known = before[i] < i;
      if (is_number())
        push_margins(*input_.task, {is_known ? input_.labels[before[i]] : whole_[0]}, margins);
      else
        push_margins(*input_.task, is_known ? follows[class_of(before[i])].answer(whole_) : whole_,
                     margins);
    }
    measure("last", margins, numbers);
  }

  void one_feature(Numbers& numbers) const {
    double best = std::numeric_limits<double>::infinity();
    std::vector<float> margins;
    for (int feature = 0; feature < input_.train_features->columns; ++feature) {
      std::vector<std::vector<double>> answers;
      const auto edges = edges_of(feature);
      const double loss = fit(feature, edges, answers);
      // Not `loss >= best`: a loss that is not a number never wins.
      if (!(loss < best)) continue;
      best = loss;
      margins.clear();
      for (std::int64_t row = 0; row < input_.test_features->rows; ++row)
        push_margins(*input_.task, answers[bin_of(edges, input_.test_features->row(row)[feature])],
                     margins);
    }
    if (!margins.empty()) measure("one_feature", margins, numbers);
  }

 private:
  [[nodiscard]] bool is_number() const { return input_.task->kind == stats::TaskKind::kRegression; }
  [[nodiscard]] std::size_t all_classes() const { return is_number() ? 1 : whole_.size(); }
  [[nodiscard]] std::size_t class_of(std::size_t row) const {
    return is_number() ? 0 : static_cast<std::size_t>(input_.labels[row]);
  }

  /// For each row the newest of an earlier time, whose label was there first; the row itself where
  /// there is none.
  [[nodiscard]] std::vector<std::size_t> rows_before() const {
    std::vector<std::size_t> out(input_.labels.size());
    std::size_t newest = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (i > 0 && input_.times[i] > input_.times[i - 1]) newest = i - 1;
      const bool is_first_time = i == 0 || input_.times[newest] == input_.times[i];
      out[i] = is_first_time ? i : newest;
    }
    return out;
  }

  [[nodiscard]] std::vector<float> edges_of(int feature) const {
    std::vector<float> values;
    const auto rows = static_cast<std::size_t>(input_.train_features->rows);
    const std::size_t step = std::max<std::size_t>(1, rows / kMostForEdges);
    for (std::size_t row = 0; row < rows; row += step) {
      const float value = input_.train_features->row(static_cast<std::int64_t>(row))[feature];
      if (!std::isnan(value)) values.push_back(value);
    }
    std::sort(values.begin(), values.end());
    std::vector<float> edges;
    for (std::size_t i = 1; i < kBins && !values.empty(); ++i) {
      const float edge = values[i * values.size() / kBins];
      if (edges.empty() || edge > edges.back()) edges.push_back(edge);
    }
    return edges;
  }

  [[nodiscard]] static std::size_t bin_of(const std::vector<float>& edges, float value) {
    if (std::isnan(value)) return 0;
    return 1 + static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), value) -
                                        edges.begin());
  }

  /// What each bin answers, and its loss on the rows that it was fitted to.
  [[nodiscard]] double fit(int feature, const std::vector<float>& edges,
                           std::vector<std::vector<double>>& answers) const {
    std::vector<Tally> bins(edges.size() + 2, Tally(*input_.task, is_mean_));
    const auto bin_at = [&](std::size_t row) {
      return bin_of(edges, input_.train_features->row(static_cast<std::int64_t>(row))[feature]);
    };
    for (std::size_t row = 0; row < input_.train_end; ++row)
      bins[bin_at(row)].add(input_.labels[row]);
    for (const Tally& bin : bins) answers.push_back(bin.answer(whole_));
    double loss = 0;
    for (std::size_t row = 0; row < input_.train_end; ++row) {
      const auto& answer = answers[bin_at(row)];
      loss +=
          is_number() ? distance(answer[0], input_.labels[row]) : -std::log(answer[class_of(row)]);
    }
    return loss;
  }

  [[nodiscard]] double distance(double answer, double label) const {
    return is_mean_ ? (answer - label) * (answer - label) : std::abs(answer - label);
  }

  void measure(std::string_view group, const std::vector<float>& margins, Numbers& numbers) const {
    const stats::Task& task = *input_.task;
    std::vector<float> predictions(margins.size());
    for (std::size_t at = 0; at < margins.size(); at += task.outputs())
      task.predict(std::span(margins).subspan(at, task.outputs()),
                   std::span(predictions).subspan(at, task.outputs()));
    const stats::Answers answers{&task, margins, predictions,
                                 input_.labels.subspan(input_.test_begin)};
    for (const stats::Metric* metric : stats::metrics_of(task.kind)) {
      const bool is_squared = metric->name() == "rmse" || metric->name() == "r2";
      if (is_number() && is_squared != is_mean_) continue;
      numbers[fmt::format("{}.{}", group, metric->name())] = metric->value(answers);
    }
  }

  const RivalInput& input_;
  bool is_mean_;
  Tally all_;
  std::vector<double> whole_{};
};

}  // namespace

bool reads_rivals(const spec::Evaluation& definition) {
  return std::any_of(definition.gates.begin(), definition.gates.end(), [](const spec::Gate& gate) {
    const auto names = expr::names_in(gate.when.text);
    return names.ok() && std::any_of(names->begin(), names->end(), [](const auto& name) {
             return name.starts_with("constant.") || name.starts_with("last.") ||
                    name.starts_with("one_feature.");
           });
  });
}

Numbers rivals(const RivalInput& input) {
  Numbers numbers;
  for (const bool is_mean : {false, true}) {
    if (is_mean && input.task->kind != stats::TaskKind::kRegression) break;
    const Rivals all(input, is_mean);
    all.constant(numbers);
    if (!input.times.empty()) all.last(numbers);
    all.one_feature(numbers);
  }
  return numbers;
}

}  // namespace heddle::evaluate
