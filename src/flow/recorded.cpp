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

namespace {

/// Texts that are no values of their column's type, which a table's digest leaves out: a contract
/// may read them.
void add_malformed(Hasher& hasher, const table::Table& rows) {
  for (const table::Column& column : rows.columns()) {
    for (std::size_t row = 0; row < column.malformed.size(); ++row) {
      if (const auto text = column.malformed_text(row)) hasher.update_field(*text);
    }
  }
}

}  // namespace

Digest Recorded::content() const {
  Hasher hasher;
  hasher.update_field("heddle.recorded/3");
  hasher.update_field(rows.content_digest().hex());
  add_malformed(hasher, rows);
  hasher.update_field(doc::to_canonical_json(spec::task_schema().print(task)));
  add(hasher, labels);
  add(hasher, event_times);
  add(hasher, label_accounts);
  for (const auto& account : accounts) hasher.update_field(account);
  for (const auto& [name, rows_left_out] : left_out)
    hasher.update_field(fmt::format("{}: {}", name, rows_left_out));
  hasher.update_field(before.rows.content_digest().hex());
  add_malformed(hasher, before.rows);
  add(hasher, before.labels);
  hasher.update_field(before.of);
  hasher.update_field(before.why_not);
  return hasher.finish();
}

}  // namespace heddle::flow
