#include "model/task_link.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heddle::model {
namespace {

using stats::TaskKind;

Error wrong_link(const Scorer& scorer, std::string_view is_not, std::string_view applied,
                 std::string_view hint) {
  return {ErrorKind::kInvalid, "score-link",
          fmt::format("the margin of the model (`{}`) is no {}, and a service {}",
                      scorer.use().objective, is_not, applied),
          std::string(hint)};
}

Result<void> check_outputs(const Scorer& scorer, const stats::Task& task) {
  if (static_cast<std::size_t>(scorer.outputs()) == task.outputs()) return {};
  return Error{ErrorKind::kInvalid, "score-outputs",
               fmt::format("the model has {} margins a row, a service of task `{}` answers {}",
                           scorer.outputs(), stats::task_name(task.kind), task.outputs()),
               task.kind == TaskKind::kBinary    ? "train a model of two classes or one target"
               : task.kind == TaskKind::kClasses ? "train a model of these classes"
                                                 : "train a model of one target"};
}

Result<void> check_link(const Scorer& scorer, const stats::Task& task) {
  switch (task.kind) {
    case TaskKind::kBinary:
      if (scorer.use().log_odds) return {};
      return wrong_link(scorer, "log odds of a true target", "passes it through the logistic",
                        "train it with `binary:logistic` (XGBoost), `binary` (LightGBM) or a "
                        "classifier with probabilities, or serve it by a `runtime`");
    case TaskKind::kClasses:
      if (scorer.link() == Link::kSoftmax) return {};
      return wrong_link(scorer, "part of a softmax", "takes the softmax of the classes' margins",
                        "train it with `multi:softprob` (XGBoost) or `multiclass` (LightGBM)");
    case TaskKind::kRegression: break;
  }
  if (scorer.link() == Link::kIdentity && !scorer.use().log_odds) return {};
  return wrong_link(scorer, "value itself", "answers it as it is",
                    "train it with `reg:squarederror` (XGBoost), `regression` (LightGBM) or "
                    "another objective without a link");
}

/// Of two labels the second is what the model's probability is of: it must be the target's true.
bool is_plain_truth(const std::vector<std::string>& classes) {
  constexpr std::pair<std::string_view, std::string_view> kTruths[] = {
      {"0", "1"}, {"false", "true"}, {"False", "True"}, {"-1", "1"}};
  return classes.size() == 2 &&
         std::any_of(std::begin(kTruths), std::end(kTruths), [&](const auto& truth) {
           return classes[0] == truth.first && classes[1] == truth.second;
         });
}

/// Whether the file's classes are positions: a trainer that was given codes knows no names.
bool are_positions(const std::vector<std::string>& classes) {
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] != fmt::to_string(i)) return false;
  }
  return true;
}

Result<void> check_classes(const Scorer& scorer, const stats::Task& task) {
  const auto& classes = scorer.use().classes;
  if (classes.empty() || task.kind == TaskKind::kRegression) return {};
  if (task.kind == TaskKind::kBinary) {
    if (is_plain_truth(classes)) return {};
    return Error{
        ErrorKind::kInvalid, "score-classes",
        fmt::format("the model's classes are `{}`: which of them is a true target is not said",
                    fmt::join(classes, "`, `")),
        "train it on the labels 0 and 1, 1 where the target is true, or serve it by a `runtime`"};
  }
  if (classes == task.classes || are_positions(classes)) return {};
  return Error{ErrorKind::kInvalid, "score-classes",
               fmt::format("the model's classes are `{}`, the task's are `{}`",
                           fmt::join(classes, "`, `"), fmt::join(task.classes, "`, `")),
               "give both the same classes in the same order"};
}

}  // namespace

Result<void> check_task(const Scorer& scorer, const stats::Task& task) {
  HEDDLE_TRY(check_outputs(scorer, task));
  HEDDLE_TRY(check_link(scorer, task));
  return check_classes(scorer, task);
}

}  // namespace heddle::model
