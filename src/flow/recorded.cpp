#include "flow/recorded.hpp"

#include <cmath>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "spec/task.hpp"

namespace heddle::flow {
namespace {

template <class T>
void add(Hasher& hasher, const std::vector<T>& values) {
  hasher.update_field(
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
}

}  // namespace

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
