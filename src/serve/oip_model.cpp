#include "serve/oip_model.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include "doc/json.hpp"

namespace heddle::serve::oip {

const std::vector<std::string_view>& extensions() {
  static const std::vector<std::string_view> kAll = {"binary_tensor_data", "model_configuration",
                                                     "model_repository", "statistics"};
  return kAll;
}

std::string_view server_version() { return HEDDLE_VERSION; }

doc::Value classes_of(const stats::Task& task) {
  auto classes = doc::Value::array();
  for (const std::string& name : task.classes) {
    // Classes that were numbers in the data are numbers in answers, so they are here too.
    if (task.whole_classes)
      classes.push(static_cast<std::int64_t>(std::strtoll(name.c_str(), nullptr, 10)));
    else
      classes.push(name);
  }
  return classes;
}

Result<Model> describe(const Engine& engine, std::string_view version) {
  // Without a version, the shapes are those of whatever is loaded.
  const score::Plan* plan = engine.serving() == nullptr ? nullptr : engine.serving()->any_plan();
  if (plan == nullptr) return engine.not_ready();
  if (!version.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto slot, engine.slot_of(version));
    plan = slot.loaded->plan.get();
  }
  Model model;
  model.name = engine.name();
  for (std::size_t i = 0; i < kSlots; ++i) {
    const Loaded& loaded = engine.serving()->slots[i];
    // A shadow answers nobody, so it is no version that a client could ask for.
    if (loaded.plan == nullptr || static_cast<SlotId>(i) == SlotId::kShadow) continue;
    // Both are names of it: the slot follows promotions, the digest stays with the bundle.
    model.versions.emplace_back(name_of(static_cast<SlotId>(i)));
    model.versions.push_back(loaded.digest);
  }
  for (const spec::Field& field : plan->contract().request_fields())
    model.inputs.push_back({field.name, datatype_of(field.type), {-1}});
  for (std::size_t i = 0; i < kOutputs; ++i) {
    const auto output = static_cast<Output>(i);
    // Given only where they are asked for, so they are not among what every answer has.
    if (output == Output::kRepairs || output == Output::kContributions ||
        !has_output(plan->task(), plan->conformal().has_value(), output))
      continue;
    Tensor tensor{std::string(name_of(output)), datatype_of(plan->task(), output), {-1}};
    if (const std::size_t columns = columns_of(plan->task(), output); columns > 0)
      tensor.shape.push_back(static_cast<std::int64_t>(columns));
    model.outputs.push_back(std::move(tensor));
  }
  model.parameters = {{"task", std::string(stats::task_name(plan->task().kind))}};
  if (!plan->task().classes.empty()) {
    model.parameters.emplace_back("classes", doc::to_json(classes_of(plan->task())));
  }
  if (plan->conformal().has_value())
    model.parameters.emplace_back("coverage", fmt::format("{}", plan->conformal()->coverage));
  return model;
}

std::vector<IndexEntry> index(const Engine& engine, bool only_ready) {
  std::vector<IndexEntry> entries;
  for (std::size_t i = 0; engine.serving() != nullptr && i < kSlots; ++i) {
    const Loaded& loaded = engine.serving()->slots[i];
    if (loaded.digest.empty()) continue;
    IndexEntry entry{engine.name(),
                     std::string(name_of(static_cast<SlotId>(i))),
                     loaded.plan != nullptr && !engine.stopped(),
                     {}};
    if (!entry.ready)
      entry.reason =
          engine.stopped() ? "the service is stopped" : "its bundle cannot be used, see the log";
    if (entry.ready || !only_ready) entries.push_back(std::move(entry));
  }
  // An index without the service would say that there is none, and not why it answers nothing.
  if (entries.empty() && !only_ready)
    entries.push_back({engine.name(), "primary", false, "nothing is released"});
  return entries;
}

Result<void> load(const Engine& engine, bool has_parameters) {
  if (has_parameters) {
    return Error{ErrorKind::kInvalid, "repository-override",
                 "a model cannot be brought by a client",
                 "release a bundle: `heddle release promote`"};
  }
  if (!engine.ready()) return engine.not_ready();
  return {};
}

Error unload(const Engine& engine) {
  return {
      ErrorKind::kDenied, "repository-unload",
      fmt::format("what service `{}` runs is decided by releases, not by a client", engine.name()),
      "`heddle stop` puts it into its safe state, `heddle release rollback` goes back"};
}

Result<std::vector<Statistics>> statistics(const Engine& engine, std::string_view version) {
  std::vector<Statistics> all;
  if (!version.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto slot, engine.slot_of(version));
    all.push_back({engine.name(), std::string(name_of(slot.id)), engine.metrics().of(slot.id),
                   engine.metrics().errors()});
    return all;
  }
  for (std::size_t i = 0; engine.serving() != nullptr && i < kSlots; ++i) {
    const auto id = static_cast<SlotId>(i);
    if (engine.serving()->slots[i].plan == nullptr || id == SlotId::kShadow) continue;
    all.push_back({engine.name(), std::string(name_of(id)), engine.metrics().of(id),
                   engine.metrics().errors()});
  }
  return all;
}

}  // namespace heddle::serve::oip
