#include "spec/task.hpp"

#include <gmock/gmock.h>

#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

using stats::TaskKind;
using testing::ElementsAre;
using testing::HasSubstr;

class TaskOfModel : public SpecTest {
 protected:
  /// What is found of a model with this target and these further lines.
  Lines found(const std::string& target, const std::string& more = "") {
    change("models/m.yaml", target_, "target: " + target + "\n" + more);
    target_ = "target: " + target + "\n" + more;
    return findings();
  }
  Model model() { return load_project(root_)->project.models.at("m"); }

  void SetUp() override {
    SpecTest::SetUp();
    // No metric of one task, no target encoder.
    change("evaluations/e.yaml", "  - name: auc\n",
           "  - {name: own, expression: \"1.0\", aggregation: mean}\n");
    change("evaluations/e.yaml", "metrics.auc > 0.5", "metrics.rows > 0.0");
    change("features/f.yaml", "  - name: place_late\n    target_encoding: {inputs: [place]}\n", "");
  }

 private:
  std::string target_ = "target: late > 0\n";
};

TEST_F(TaskOfModel, IsWhatTheTypeOfTheTargetSays) {
  EXPECT_THAT(found("late > 0"), ElementsAre());
  EXPECT_EQ(model().task, TaskKind::kBinary);
  EXPECT_EQ(model().standby_trainer, "logistic");
  EXPECT_THAT(found("place"), ElementsAre());
  EXPECT_EQ(model().task, TaskKind::kClasses);
  EXPECT_THAT(found("late / 2.0"), ElementsAre());
  EXPECT_EQ(model().task, TaskKind::kRegression);
  EXPECT_EQ(model().standby_trainer, "ridge");
}

TEST_F(TaskOfModel, OfAWholeNumberMustBeDeclared) {
  EXPECT_THAT(found("late"), ElementsAre(HasSubstr("task-unclear")));
  EXPECT_THAT(found("late", "task: regression\n"), ElementsAre());
  EXPECT_EQ(model().task, TaskKind::kRegression);
  EXPECT_THAT(found("late", "task: classes\nclasses: [0, 1, 7]\n"), ElementsAre());
  EXPECT_EQ(model().declared(), (stats::Task{TaskKind::kClasses, {"0", "1", "7"}, true}));
  EXPECT_THAT(found("late", "task: binary\n"), ElementsAre(HasSubstr("task-target")));
}

TEST_F(TaskOfModel, MustSuitTheTarget) {
  EXPECT_THAT(found("late > 0", "task: regression\n"), ElementsAre(HasSubstr("task-target")));
  EXPECT_THAT(found("late > 0", "task: classes\n"), ElementsAre(HasSubstr("task-target")));
  EXPECT_THAT(found("place", "task: binary\n"), ElementsAre(HasSubstr("task-target")));
  EXPECT_THAT(found("late / 2.0", "task: classes\n"), ElementsAre(HasSubstr("task-target")));
  EXPECT_THAT(found("at"), ElementsAre(HasSubstr("task-target")));
}

TEST_F(TaskOfModel, ClassesAreTwoOrMoreAllAlikeAndOnce) {
  EXPECT_THAT(found("place", "classes: [A, B]\n"), ElementsAre());
  EXPECT_EQ(model().classes, (Lines{"A", "B"}));
  for (const char* wrong :
       {"[A]", "[A, B, A]", "[A, 1]", "[1, 2]", "[\"\", A]", "A", "[1.5, 2.5]"}) {
    EXPECT_THAT(found("place", fmt::format("classes: {}\n", wrong)),
                ElementsAre(HasSubstr("bad-classes")))
        << wrong;
  }
  EXPECT_THAT(found("late > 0", "classes: [A, B]\n"), ElementsAre(HasSubstr("bad-classes")));
  EXPECT_THAT(found("late", "task: classes\nclasses: [A, B]\n"),
              ElementsAre(HasSubstr("bad-classes")));
  // 2^53 - 1, and one more: as a label it could be its neighbour.
  EXPECT_THAT(found("late", "task: classes\nclasses: [0, 9007199254740991]\n"), ElementsAre());
  EXPECT_THAT(found("late", "task: classes\nclasses: [0, 9007199254740992]\n"),
              ElementsAre(HasSubstr("bad-classes")));
  std::string many = "classes: [c0";
  for (int i = 1; i < 1000; ++i) many += fmt::format(", c{}", i);
  EXPECT_THAT(found("place", many + "]\n"), ElementsAre());
  EXPECT_EQ(model().classes.size(), 1000U);
  for (std::size_t i = 1000; i <= kMostClasses; ++i) many += fmt::format(", c{}", i);
  EXPECT_THAT(found("place", many + "]\n"), ElementsAre(HasSubstr("bad-classes")));
}

TEST_F(TaskOfModel, IntervalsHaveACoverage) {
  EXPECT_THAT(found("late / 2.0", "interval: {coverage: 0.9}\n"), ElementsAre());
  EXPECT_EQ(model().coverage, 0.9);
  EXPECT_THAT(found("place", "interval: {coverage: 0.5}\n"), ElementsAre());
  for (const char* wrong : {"0", "1", "1.5", "-0.1"}) {
    EXPECT_THAT(found("place", fmt::format("interval: {{coverage: {}}}\n", wrong)),
                ElementsAre(HasSubstr("bad-interval")))
        << wrong;
  }
  EXPECT_THAT(found("place", "interval: {}\n"), ElementsAre(HasSubstr("missing-key")));
  EXPECT_THAT(found("late > 0", "interval: {coverage: 0.9}\n"),
              ElementsAre(HasSubstr("bad-interval")));
}

TEST_F(TaskOfModel, HasItsTrainersAndEncoders) {
  EXPECT_THAT(found("late / 2.0", "standby: {trainer: logistic}\n"),
              ElementsAre(HasSubstr("trainer-task")));
  EXPECT_THAT(found("place", "standby: {trainer: ridge}\n"),
              ElementsAre(HasSubstr("trainer-task")));
  EXPECT_THAT(found("place", "trainer: ridge\n"), ElementsAre(HasSubstr("trainer-task")));
  change("features/f.yaml", "  - {name: base, expression: size + 1}\n",
         "  - {name: base, expression: size + 1}\n  - name: place_late\n    target_encoding: "
         "{inputs: [place]}\n");
  EXPECT_THAT(found("late / 2.0"), ElementsAre());
  EXPECT_THAT(found("place"), ElementsAre(HasSubstr("encoder-of-classes")));
}

TEST_F(TaskOfModel, ARuntimeAnswersWhatItsTaskPredicts) {
  change("models/m.yaml",
         "search:\n  trials: 2\n  space:\n    - {name: eta, kind: log_uniform, low: 0.1, high: "
         "0.3}\n",
         "");
  const std::string upstream = "runtime: {kind: upstream, url: \"http://h:1\", model: m}\n";
  EXPECT_THAT(found("late > 0", upstream), ElementsAre());
  EXPECT_EQ(model().runtime->output, "probability");
  EXPECT_THAT(found("late / 2.0", upstream + "interval: {coverage: 0.9}\n"), ElementsAre());
  EXPECT_EQ(model().runtime->output, "value");
  EXPECT_THAT(found("place", upstream + "classes: [B, A]\n"), ElementsAre());
  EXPECT_EQ(model().runtime->output, "probabilities");
  EXPECT_THAT(found("place", upstream), ElementsAre(HasSubstr("bad-runtime")))
      << "which column is which class is not said";
  EXPECT_THAT(found("late / 2.0",
                    "runtime: {kind: upstream, url: \"http://h:1\", model: m, output: minutes}\n"),
              ElementsAre());
  EXPECT_EQ(model().runtime->output, "minutes");
}

TEST_F(TaskOfModel, GatesAndMetricsAreOfIt) {
  const auto gate = [&](const std::string& when) {
    static std::string before = "metrics.rows > 0.0";
    change("evaluations/e.yaml", before, when);
    before = when;
    return findings();
  };
  ASSERT_THAT(found("late / 2.0"), ElementsAre());
  EXPECT_THAT(gate("metrics.mae < 3.0"), ElementsAre());
  EXPECT_THAT(gate("metrics.mae < -1.0"), ElementsAre(HasSubstr("never-true")));
  EXPECT_THAT(gate("metrics.r2 > -1.0"), ElementsAre());
  EXPECT_THAT(gate("metrics.coverage > 0.8"), ElementsAre(HasSubstr("has no interval")));
  ASSERT_THAT(found("late / 2.0", "interval: {coverage: 0.9}\n"), ElementsAre());
  ASSERT_THAT(found("late / 2.0"), ElementsAre(HasSubstr("has no interval")));
  EXPECT_THAT(gate("leakage.single_feature_correlation < 0.9"), ElementsAre());
  const auto other = gate("metrics.auc > 0.5");
  ASSERT_EQ(other.size(), 1U);
  EXPECT_THAT(other[0], HasSubstr("metric-task"));
  EXPECT_THAT(gate("base.log_loss > metrics.log_loss"), ElementsAre(HasSubstr("metric-task")));
  ASSERT_THAT(found("place"), ElementsAre());
  EXPECT_THAT(gate("metrics.macro_f1 > 0.5 && metrics.recall > 0.5"), ElementsAre());
  EXPECT_THAT(gate("metrics.recall.A > 0.5"), ElementsAre(HasSubstr("classes-not-declared")));
  ASSERT_THAT(found("place", "classes: [A, not late]\n"), ElementsAre());
  EXPECT_THAT(gate("metrics.recall.`not late` > 0.5"), ElementsAre());
  EXPECT_THAT(gate("metrics.recall.A > 1.5"), ElementsAre(HasSubstr("never-true")));
  EXPECT_THAT(gate("metrics.recall.B > 0.5"), ElementsAre(HasSubstr("bad-expression")));
  change("evaluations/e.yaml", "expression: \"1.0\"",
         "expression: 'predicted == label ? 0.0 : probabilities.A'");
  EXPECT_THAT(gate("metrics.own < 0.5"), ElementsAre());
}

TEST_F(TaskOfModel, TheLeakageBoundIsOfIt) {
  change("evaluations/e.yaml", "gates:", "leakage: {single_feature_auc_max: 0.9}\ngates:");
  EXPECT_THAT(found("place"), ElementsAre());
  EXPECT_THAT(found("late / 2.0"), ElementsAre(HasSubstr("metric-task")));
}

TEST(TaskSchema, ReadsWhatItPrintsAndRefusesWhatIsNone) {
  for (const stats::Task& task : {stats::Task{}, stats::Task{TaskKind::kRegression},
                                  stats::Task{TaskKind::kClasses, {"b", "a"}},
                                  stats::Task{TaskKind::kClasses, {"-1", "0", "7"}, true}}) {
    const auto read = task_schema().parse(task_schema().print(task));
    ASSERT_TRUE(read.ok()) << read.error().str();
    EXPECT_EQ(*read, task);
  }
  for (const char* wrong :
       {R"({})", R"({"kind":"ranking"})", R"({"kind":"classes"})",
        R"({"kind":"classes","classes":["a"]})", R"({"kind":"classes","classes":["a","a"]})",
        R"({"kind":"binary","classes":["a","b"]})",
        R"({"kind":"classes","classes":["1","x"],"whole_classes":true})",
        R"({"kind":"regression","more":1})"}) {
    const auto read = task_schema().parse_text(wrong);
    ASSERT_FALSE(read.ok()) << wrong;
    EXPECT_EQ(read.error().kind, ErrorKind::kCorrupt) << wrong;
  }
}

}  // namespace
}  // namespace heddle::spec
