#include "trainer/trainer.hpp"

namespace heddle::trainer {

Registry<Trainer>& trainers() {
  static Registry<Trainer> table(
      {&xgboost_trainer(), &logistic_trainer(), &ridge_trainer(), &exec_trainer()});
  return table;
}

std::vector<std::string> trainers_of(stats::TaskKind task) {
  std::vector<std::string> out;
  for (const Trainer* each : trainers().rows()) {
    if (each->does(task) && !each->is_own()) out.emplace_back(each->name());
  }
  return out;
}

const Trainer& simple_trainer(stats::TaskKind task) {
  return task == stats::TaskKind::kRegression ? ridge_trainer() : logistic_trainer();
}

}  // namespace heddle::trainer
