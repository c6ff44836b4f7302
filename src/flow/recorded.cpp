#include "flow/recorded.hpp"

#include <cmath>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "flow/assemble.hpp"
#include "spec/task.hpp"

namespace heddle::flow {
namespace {

template <class T>
void add(Hasher& hasher, const std::vector<T>& values) {
  hasher.update_field(
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
}

}  // namespace

doc::Value Recipe::to_value() const {
  return doc::Value::object({{"bundle", bundle.empty() ? "" : bundle.str()},
                             {"trainer", trainer},
                             {"parameters", parameters_to_value(parameters)},
                             {"rounds", rounds},
                             {"trials", trials},
                             {"loss", loss}});
}

Result<Recipe> Recipe::from_value(const doc::Value& value) {
  const auto corrupt = [](std::string_view part) {
    return Error{ErrorKind::kCorrupt, "recipe-corrupt",
                 fmt::format("an accepted search has no `{}` that can be used", part),
                 "run `heddle run` and release what it gives"};
  };
  Recipe out;
  const auto bundle = Digest::parse(value.string_or("bundle"));
  if (!bundle.ok()) return corrupt("bundle");
  out.bundle = *bundle;
  out.trainer = value.string_or("trainer");
  if (out.trainer.empty()) return corrupt("trainer");
  const doc::Value* parameters = value.find("parameters");
  if (parameters == nullptr || !parameters->is_object()) return corrupt("parameters");
  out.parameters = parameters_from_value(*parameters);
  if (out.parameters.values.size() != parameters->size()) return corrupt("parameters");
  out.rounds = value.int_or("rounds", -1);
  if (out.rounds < 0) return corrupt("rounds");
  out.trials = static_cast<int>(value.int_or("trials"));
  out.loss = value.double_or("loss", std::nan(""));
  return out;
}

Digest Recorded::content() const {
  Hasher hasher;
  hasher.update_field("heddle.recorded/3");
  hasher.update_field(rows.content_digest().hex());
  hasher.update_field(doc::to_canonical_json(spec::task_schema().print(task)));
  add(hasher, labels);
  add(hasher, event_times);
  add(hasher, label_accounts);
  for (const auto& account : accounts) hasher.update_field(account);
  for (const auto& [name, rows_left_out] : left_out)
    hasher.update_field(fmt::format("{}: {}", name, rows_left_out));
  hasher.update_field(before.rows.content_digest().hex());
  add(hasher, before.labels);
  hasher.update_field(before.of);
  hasher.update_field(before.why_not);
  return hasher.finish();
}

}  // namespace heddle::flow
