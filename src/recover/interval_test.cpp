// Intervals that hold fewer labels than was declared, and those of a model whose offsets move.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "recover/cause.hpp"
#include "recover/ladder.hpp"
#include "recover/postmortem.hpp"
#include "recover/stored.hpp"
#include "stats/metric.hpp"
#include "watch/tasks_fixture.hpp"

namespace heddle::recover {
namespace {

using watch::fixture::kClasses;
using watch::fixture::kNumber;
using watch::fixture::TaskFault;
using watch::fixture::TaskWorld;

/// Plays the control plane: a recalibration is a new route whose interval and offsets it moved.
class Control final : public Effects, public Recording {
 public:
  Control(TaskWorld& world, const stats::Task& task) : world_(world) {
    watch::Route route{1, sha256("primary"), "", world.baseline()};
    route.task = task;
    route.interval = world.interval();
    known.push_back(std::move(route));
    world_.added.assign(task.outputs(), 0.0);
  }
  Result<Outcome> perform(const Action& action) override {
    asked.push_back(action);
    if (const auto it = done_.find(action.op_id); it != done_.end()) return it->second;
    Outcome out;
    if (const auto* what = std::get_if<Recalibrate>(&action.what)) {
      if (waits) {
        out.status = Outcome::Status::kWaiting;
        return out;
      }
      change(action.op_id, what->offsets, what->quantile);
    } else if (const auto* back = std::get_if<WithdrawRecalibration>(&action.what)) {
      change(action.op_id, back->offsets, back->quantile);
    }
    return done_.emplace(action.op_id, out).first->second;
  }
  std::optional<Postmortem> postmortem(const PostmortemInput& input, const std::string&,
                                       Micros) override {
    return postmortem_of(input, *this);
  }
  Result<void> records(Micros, Micros, const std::function<bool(const plane::Record&)>&) override {
    return {};
  }
  std::optional<plane::QuarantinedSource> quarantine_of(std::string_view,
                                                        std::string_view) override {
    return {};
  }
  bool in_force(const Act&) override { return true; }
  std::vector<watch::Route> routes() override { return known; }

  /// As the control plane does it: what would be served without each act.
  void try_alternatives(const Ladder& ladder, watch::Watch& watch) {
    watch::Route& route = known.back();
    route.alternatives.clear();
    for (const Act& act : ladder.acts()) {
      const auto& change = *act.as<RecalibrationInForce>();
      std::vector<double> offsets = world_.added;
      for (std::size_t k = 0; k < offsets.size(); ++k) offsets[k] -= change.offsets[k];
      watch::Alternative other{act.id, false, [offsets](const auto& fields) {
                                 std::vector<float> margins;
                                 for (std::size_t k = 0; k < fields.size(); ++k)
                                   margins.push_back(static_cast<float>(fields[k].d + offsets[k]));
                                 return margins;
                               }};
      if (change.quantile != 0) other.quantile = route.interval->quantile - change.quantile;
      route.alternatives.push_back(std::move(other));
    }
    for (const watch::Route& each : known) watch.register_route(each);
  }
  template <class T>
  [[nodiscard]] std::vector<T> all_of() const {
    std::vector<T> out;
    for (const Action& action : asked) {
      if (const auto* what = std::get_if<T>(&action.what)) out.push_back(*what);
    }
    return out;
  }

  std::vector<watch::Route> known;
  std::vector<Action> asked;
  bool waits = false;  ///< for a person's yes to a recalibration

 private:
  void change(const std::string& op_id, const std::vector<double>& offsets, double quantile) {
    watch::Route route = known.back();
    ++route.version;
    route.primary = sha256(op_id);
    route.interval->quantile += quantile;
    for (std::size_t k = 0; k < offsets.size(); ++k) world_.added[k] += offsets[k];
    world_.version = route.version;
    known.push_back(std::move(route));
  }

  TaskWorld& world_;
  std::map<std::string, Outcome> done_;
};

Ladder::Options options_of(const spec::Monitor& monitor) {
  Ladder::Options out;
  out.service = "s";
  out.monitor = monitor;
  out.evaluation_file = "evaluations/s.yaml";
  return out;
}

struct IntervalScene {
  IntervalScene(const stats::Task& task, unsigned seed)
      : world(task, seed),
        watch(world.watch()),
        control(world, task),
        ladder(options_of(world.own_monitor())) {}
  void play(int from, int to, const TaskFault& fault) {
    for (int day = from; day < to; ++day) {
      world.day(day, fault, [&](const plane::Record& record) {
        watch::Output out;
        watch.observe(record, out);
        moves.insert(moves.end(), out.moves.begin(), out.moves.end());
        const auto* tick = std::get_if<plane::TickRecord>(&record);
        if (tick == nullptr || tick->event_time <= ladder.last_tick()) return;
        (void)ladder.on_tick(tick->event_time, moves, {}, watch, control);
        control.try_alternatives(ladder, watch);
        moves.clear();
      });
    }
  }
  /// Share of the labels of the last chunks that the intervals held.
  [[nodiscard]] double held() const { return 1 - watch.latest().at("quality/coverage").value; }
  [[nodiscard]] double quantile() const { return control.known.back().interval->quantile; }

  TaskWorld world;
  watch::Watch watch;
  Control control;
  Ladder ladder;
  std::vector<watch::Alert> moves;
};

class Intervals : public testing::TestWithParam<const stats::Task*> {
 protected:
  const stats::Task& task() const { return *GetParam(); }
};

TEST_P(Intervals, LostCoverageIsFittedAnewVerifiedAndTakenBackWithItsFault) {
  IntervalScene scene(task(), 8);
  const double before = scene.quantile();
  scene.play(100, 108, {});
  ASSERT_TRUE(scene.control.all_of<Recalibrate>().empty());
  scene.play(108, 140, {.noise = 1.5});
  const auto asked = scene.control.all_of<Recalibrate>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_FALSE(asked[0].moves_predictions());
  EXPECT_GT(asked[0].quantile, 0);
  EXPECT_GT(asked[0].interval_rows, 3000);
  EXPECT_LT(asked[0].interval_held, 0.88);
  EXPECT_GT(asked[0].interval_held_newer, 0.88);
  EXPECT_DOUBLE_EQ(scene.quantile(), before + asked[0].quantile);
  EXPECT_NEAR(scene.held(), 0.9, 0.01) << "on rows later than those it was fitted to";
  ASSERT_EQ(scene.ladder.incidents().size(), 1U);
  const Incident& incident = scene.ladder.incidents()[0];
  EXPECT_EQ(incident.step, Step::kDone);
  EXPECT_NE(incident.recovered_at, 0);
  EXPECT_EQ(incident.response, "recalibration of the intervals");
  const auto written = scene.control.all_of<WritePostmortem>();
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written[0].addition_path, "gates[]");
  EXPECT_EQ(written[0].addition, "- id: intervals-hold\n  when: metrics.coverage > 0.850\n");
  ASSERT_EQ(scene.ladder.acts().size(), 1U);

  scene.play(140, 170, {});
  EXPECT_EQ(scene.control.all_of<WithdrawRecalibration>().size(), 1U)
      << "wider than they have to be, intervals cost what they do not hold";
  EXPECT_NEAR(scene.quantile(), before, 1e-12);
  EXPECT_TRUE(scene.ladder.acts().empty());
}

TEST_P(Intervals, OffsetsThatAreRecalibratedBringTheIntervalWithThem) {
  IntervalScene scene(task(), 4);
  std::vector<double> moved(task().outputs(), 0.0);
  moved.back() = -1;
  scene.play(100, 125, {.moved = moved});
  const auto asked = scene.control.all_of<Recalibrate>();
  ASSERT_GE(asked.size(), 1U);
  EXPECT_TRUE(asked[0].moves_predictions());
  EXPECT_NEAR(asked[0].offsets.back(), -0.5, 0.05);
  EXPECT_GT(asked[0].interval_rows, 3000);
  // Of the half that is left the interval knows: it holds what was declared.
  EXPECT_NEAR(scene.held(), 0.9, 0.013);
  const Act& act = scene.ladder.acts().back();
  double sum = 0;
  for (const Recalibrate& each : asked) sum += each.quantile;
  EXPECT_NEAR(act.as<RecalibrationInForce>()->quantile, sum, 1e-12);
  EXPECT_NEAR(scene.quantile(), scene.control.known[0].interval->quantile + sum, 1e-12);
}

TEST_P(Intervals, WhoseLabelsAloneTheyMissIsNamed) {
  IntervalScene scene(task(), 9);
  scene.control.waits = true;
  scene.play(100, 118, {.noise = 3, .of_one = true});
  const auto asked = scene.control.all_of<Recalibrate>();
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(asked.back().grounds.only_label_account, "other");
  for (const Recalibrate& each : asked)
    EXPECT_EQ(each.quantile, asked[0].quantile) << "a yes is for what was asked";
}

INSTANTIATE_TEST_SUITE_P(Of, Intervals, testing::Values(&kClasses, &kNumber), [](const auto& each) {
  return std::string(stats::task_name(each.param->kind));
});

TEST(Amendments, EachTaskHasAGateOnAMetricOfItsOwn) {
  const std::pair<stats::Task, std::vector<std::string>> cases[] = {
      {{}, {"metrics.calibration_error < 0.2", "metrics.auc > 0.55"}},
      {kClasses, {"metrics.log_loss < 1.099", "metrics.macro_f1 > 0.333"}},
      {kNumber, {"metrics.r2 > 0.0", "metrics.r2 > 0.0"}}};
  for (const auto& [task, gates] : cases) {
    Incident incident;
    incident.diagnosis.task = task.kind;
    incident.diagnosis.classes = std::ssize(task.classes);
    std::vector<std::string> found;
    for (const Cause* cause : {&prior_shift(), &concept_shift()}) {
      const auto list = cause->amendments(incident, {}, {});
      ASSERT_TRUE(!list.empty() && list.back().evaluation) << cause->name();
      const auto at = list.back().yaml.find("metrics.");
      found.push_back(list.back().yaml.substr(at, list.back().yaml.size() - at - 1));
      const std::string metric = found.back().substr(8, found.back().find(' ') - 8);
      const auto names = stats::metric_names(task, false);
      EXPECT_NE(std::find(names.begin(), names.end(), metric), names.end()) << metric;
    }
    EXPECT_EQ(found, gates) << stats::task_name(task.kind);
  }
}

TEST(Intervals, TheRefitIsKeptWithItsIncidentAndItsAct) {
  Incident incident;
  incident.id = "incident-0001";
  incident.diagnosis.cause = &coverage_loss();
  incident.refit = watch::IntervalRefit{2.5, 4000, 0.8, 0.91, true};
  const auto back = incident_schema().parse(incident_schema().print(incident));
  ASSERT_TRUE(back.ok()) << back.error().str();
  EXPECT_EQ(back->refit, incident.refit);
  const Act act{"i/recalibration", RecalibrationInForce{{0, 0}, 1.5}, "i", 2, "sha256:b"};
  const auto kept = act_schema().parse(act_schema().print(stored(act)));
  ASSERT_TRUE(kept.ok()) << kept.error().str();
  EXPECT_EQ(act_of(*kept).as<RecalibrationInForce>()->quantile, 1.5);
  EXPECT_EQ(act_text(act_of(*kept)), "recalibration of the intervals by +1.5");
}

}  // namespace
}  // namespace heddle::recover
