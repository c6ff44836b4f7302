// Metrics of several classes and of numbers; reference values from scikit-learn 1.9.1.
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "stats/association.hpp"
#include "stats/class_index.hpp"
#include "stats/metric.hpp"
#include "stats/metrics.hpp"

namespace heddle::stats {
namespace {

const Task kClasses{TaskKind::kClasses, {"a", "b", "c"}};
const Task kNumber{TaskKind::kRegression};

/// Margins with their predictions and labels.
struct Rows {
  const Task* task;
  std::vector<float> margins;
  std::vector<double> labels;
  std::vector<float> predictions{};

  [[nodiscard]] Answers answers() {
    predictions.resize(margins.size());
    const std::size_t k = task->outputs();
    for (std::size_t i = 0; i < labels.size(); ++i)
      task->predict(std::span(margins).subspan(i * k, k), std::span(predictions).subspan(i * k, k));
    return {task, margins, predictions, labels};
  }
};

Rows classified() {
  return {&kClasses,
          {1.5F, .2F, -.3F, .1F,  .9F, .4F,  -.2F, .3F,  .8F, 2.F, 1.5F,  -1.F,
           .5F,  .4F, .6F,  -.6F, .1F, 1.2F, .3F,  -.4F, .2F, 1.F, 1.25F, .5F},
          {0, 1, 2, 1, 0, 2, 2, 1}};
}
Rows valued() { return {&kNumber, {1.5F, 2.25F, -.5F, 3.F, 10.F}, {1, 2.5, .25, 3.5, 7}}; }

double value(TaskKind task, std::string_view name, Rows rows) {
  return find_metric(task, name)->value(rows.answers());
}

TEST(MetricsOfClasses, AreThoseOfScikitLearn) {
  constexpr auto kTask = TaskKind::kClasses;
  EXPECT_NEAR(value(kTask, "log_loss", classified()), 0.7577992007675525, 1e-12);
  EXPECT_EQ(value(kTask, "accuracy", classified()), 0.625);
  EXPECT_NEAR(value(kTask, "macro_f1", classified()), 0.6222222222222222, 1e-15);
  EXPECT_NEAR(value(kTask, "recall", classified()), 0.611111111111111, 1e-15);
  Rows rows = classified();
  const auto recalls = recall_metric().class_values(rows.answers());
  ASSERT_EQ(recalls.size(), 3U);
  EXPECT_EQ(recalls[0], 0.5);
  EXPECT_NEAR(recalls[1], 2.0 / 3, 1e-15);
  EXPECT_NEAR(recalls[2], 2.0 / 3, 1e-15);
}

TEST(MetricsOfClasses, AClassWithoutRowsCountsInNoMean) {
  // Labelled and predicted `a` and `b` alone: `f1_score` and `balanced_accuracy_score` leave `c`
  // out.
  Rows rows{&kClasses, {1, 0, 0, 0, 1, 0, 1, 0, 0}, {0, 1, 1}};
  EXPECT_NEAR(macro_f1_metric().value(rows.answers()), 2.0 / 3, 1e-15);
  EXPECT_EQ(recall_metric().value(rows.answers()), 0.75);
  EXPECT_TRUE(std::isnan(recall_metric().class_values(rows.answers())[2]));
}

TEST(MetricsOfNumbers, AreThoseOfScikitLearn) {
  constexpr auto kTask = TaskKind::kRegression;
  EXPECT_EQ(value(kTask, "mae", valued()), 1);
  EXPECT_NEAR(value(kTask, "rmse", valued()), 1.4230249470757708, 1e-15);
  EXPECT_NEAR(value(kTask, "r2", valued()), 0.6377459749552773, 1e-15);
  EXPECT_EQ(value(kTask, "pinball", valued()), 0.5);
  EXPECT_TRUE(std::isnan(value(kTask, "r2", {&kNumber, {1, 2}, {3, 3}})));
  EXPECT_TRUE(std::isnan(value(kTask, "mae", {&kNumber, {}, {}})));
}

TEST(MetricsOfIntervals, CoverageIsTheShareHeldAndPinballIsOfTheEnds) {
  Rows rows = valued();
  Answers answers = rows.answers();
  answers.interval = Conformal{.8, .5};
  EXPECT_EQ(coverage_metric().value(answers), .6);  // errors .5, .25, .75, .5, 3
  // scikit-learn's mean_pinball_loss of value - .5 at .1 and of value + .5 at .9.
  EXPECT_NEAR(pinball_metric().value(answers), 0.325, 1e-12);
  Rows classes = classified();
  Answers sets = classes.answers();
  sets.interval = Conformal{.8, .6};  // sets of the classes with .4 and more
  EXPECT_EQ(coverage_metric().value(sets), .625);
  EXPECT_EQ(metrics_of(TaskKind::kRegression, true).back(), &coverage_metric());
  EXPECT_NE(metrics_of(TaskKind::kRegression).back(), &coverage_metric());
}

TEST(Metrics, EachTaskHasItsOwn) {
  EXPECT_EQ(metrics_of(TaskKind::kBinary).front(), &auc_metric());
  EXPECT_EQ(find_metric(TaskKind::kBinary, "mae"), nullptr);
  EXPECT_EQ(find_metric(TaskKind::kRegression, "log_loss"), nullptr);
  EXPECT_EQ(&loss_metric(TaskKind::kClasses), &log_loss_metric());
  EXPECT_EQ(&loss_metric(TaskKind::kRegression), &mae_metric());
  const auto names = metric_names(kClasses);
  EXPECT_NE(std::find(names.begin(), names.end(), "recall.b"), names.end());
}

/// Two models of the same rows, the second better by about as much as chance moves it.
void draw(std::mt19937& random, Rows& base, Rows& candidate, int rows) {
  std::normal_distribution<float> normal;
  base.margins.clear(), base.labels.clear();
  candidate.margins.clear();
  const std::size_t k = base.task->outputs();
  for (int i = 0; i < rows; ++i) {
    const auto label = static_cast<std::size_t>(random() % 3);
    base.labels.push_back(k == 1 ? static_cast<double>(normal(random))
                                 : static_cast<double>(label));
    for (std::size_t j = 0; j < k; ++j) {
      const float truth = k == 1 ? static_cast<float>(base.labels.back()) : (j == label ? 1 : 0);
      const float shared = truth + normal(random);
      base.margins.push_back(shared + .4F * normal(random));
      candidate.margins.push_back(shared + .35F * normal(random));
    }
  }
  candidate.labels = base.labels;
}

/// The standard error that a metric tells is the spread of its difference over many samples.
void expect_error_is_the_spread(const Metric& metric, const Task& task) {
  std::mt19937 random(5);
  Rows base{&task, {}, {}};
  Rows candidate{&task, {}, {}};
  double sum = 0, squares = 0, told = 0;
  constexpr int kSamples = 300;
  for (int i = 0; i < kSamples; ++i) {
    draw(random, base, candidate, 120);
    const Answers a = base.answers();
    const Answers b = candidate.answers();
    const double difference = metric.value(b) - metric.value(a);
    sum += difference / kSamples;
    squares += difference * difference / kSamples;
    // A bootstrap of each sample would take long, and one is like another.
    if (i < 20) told += *metric.difference_error(a, b) / 20;
  }
  const double spread = std::sqrt(squares - sum * sum);
  EXPECT_NEAR(told / spread, 1, .2) << metric.name();
}

TEST(Metrics, TheErrorOfADifferenceIsItsSpread) {
  for (const Metric* metric : metrics_of(TaskKind::kClasses))
    expect_error_is_the_spread(*metric, kClasses);
  for (const Metric* metric : metrics_of(TaskKind::kRegression))
    expect_error_is_the_spread(*metric, kNumber);
}

TEST(Association, RankCorrelationIsThatOfScipy) {
  // scipy 1.17.1, spearmanr
  EXPECT_NEAR(rank_correlation(std::vector<float>{3, 1, 4, 1, 5, 9, 2, 6},
                               std::vector<double>{2, 7, 1, 8, 2, 8, 1, 8}),
              0.19885368120992467, 1e-15);
  EXPECT_TRUE(std::isnan(rank_correlation(std::vector<float>{1, 1}, std::vector<double>{1, 2})));
}

TEST(Association, OfTwoClassesTheAucAndOfMoreTheMeanOfPairs) {
  std::mt19937 random(3);
  std::vector<float> x;
  std::vector<double> two, three;
  for (int i = 0; i < 300; ++i) {
    three.push_back(i % 3);
    two.push_back(i % 2);
    x.push_back(static_cast<float>(random() % 50) + 8 * static_cast<float>(i % 2));
  }
  EXPECT_NEAR(pairwise_auc(x, two, 2), auc(x, two), 1e-12);
  double sum = 0;
  for (const auto& [a, b] : {std::pair{0, 1}, {0, 2}, {1, 2}}) {
    std::vector<float> of_pair;
    std::vector<double> labels;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (three[i] != a && three[i] != b) continue;
      of_pair.push_back(x[i]);
      labels.push_back(three[i] == a ? 1 : 0);
    }
    const double one = auc(of_pair, labels);
    sum += std::max(one, 1 - one) / 3;
  }
  EXPECT_NEAR(pairwise_auc(x, three, 3), sum, 1e-12);
  // The codes themselves, in any order, tell all classes apart.
  std::vector<float> leaked;
  for (const double code : three) leaked.push_back(code == 1 ? 7.F : static_cast<float>(code));
  EXPECT_EQ(pairwise_auc(leaked, three, 3), 1);
  // Nine rows of a class are told apart by chance.
  EXPECT_TRUE(std::isnan(pairwise_auc(std::vector<float>(18, 1.F), std::vector<double>(18, 0), 2)));
}

TEST(ClassIndex, GivesTheCodesOfTheTask) {
  const Task whole{TaskKind::kClasses, {"-1", "0", "12"}, true};
  const ClassIndex index(whole);
  for (const double label : {-1.0, 0.0, -0.0, 12.0})
    EXPECT_EQ(*index.code_of(label), *whole.code_of(label)) << label;
  for (const Label& wrong : {Label(1.0), Label(0.5), Label(std::nan("")), Label("0"), Label(true)})
    EXPECT_EQ(index.code_of(wrong).error().id, whole.code_of(wrong).error().id);
  EXPECT_EQ(*ClassIndex(kClasses).code_of(Label("c")), 2);
  EXPECT_EQ(ClassIndex(kClasses).code_of(Label("d")).error().id, "label-class-unknown");
  EXPECT_EQ(ClassIndex(kNumber).code_of(Label(INFINITY)).error().id, "label-not-finite");
}

}  // namespace
}  // namespace heddle::stats
