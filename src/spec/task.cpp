#include "spec/task.hpp"

#include <charconv>
#include <set>

namespace heddle::spec {
namespace {

using stats::TaskKind;

/// Whether it is a whole number as it is printed, so that a class has one name: `01` and `+1` are
/// none.
bool is_whole(const std::string& name) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() && fmt::to_string(number) == name;
}

/// What is wrong with the classes of a stored task; empty: nothing.
std::string fault_of(const stats::Task& task) {
  if (task.kind != TaskKind::kClasses)
    return task.classes.empty() && !task.whole_classes
               ? ""
               : fmt::format("task `{}` has no classes", stats::task_name(task.kind));
  if (task.classes.size() < 2 || task.classes.size() > kMostClasses)
    return fmt::format("there are {} classes, not 2 to {}", task.classes.size(), kMostClasses);
  std::set<std::string> seen;
  for (const auto& name : task.classes) {
    if (!seen.insert(name).second) return fmt::format("class `{}` appears twice", name);
    if (task.whole_classes && !is_whole(name))
      return fmt::format("class `{}` is no whole number", name);
  }
  return "";
}

}  // namespace

const doc::Schema<stats::Task>& task_schema() {
  static const doc::Schema<stats::Task> schema = [] {
    auto t = doc::Schema<stats::Task>::record("task", "what a model predicts");
    t.refused_as(ErrorKind::kCorrupt, "task-corrupt", "build the bundle again with `heddle run`");
    t.choice("kind", &stats::Task::kind,
             {{"binary", TaskKind::kBinary},
              {"classes", TaskKind::kClasses},
              {"regression", TaskKind::kRegression}},
             "`binary`, `classes` or `regression`");
    t.texts("classes", &stats::Task::classes, "of `classes`: in the order of the outputs")
        .optional();
    t.boolean("whole_classes", &stats::Task::whole_classes, "the classes are whole numbers")
        .optional();
    t.finally([](stats::Task& into, const doc::Value& value, doc::Reader& reader) {
      if (const std::string fault = fault_of(into); !fault.empty())
        reader.report(value.position(), "bad-classes", fault, "");
    });
    return t;
  }();
  return schema;
}

std::string_view output_name(stats::TaskKind task) noexcept {
  switch (task) {
    case stats::TaskKind::kBinary: return "probability";
    case stats::TaskKind::kClasses: return "probabilities";
    case stats::TaskKind::kRegression: break;
  }
  return "value";
}

}  // namespace heddle::spec
