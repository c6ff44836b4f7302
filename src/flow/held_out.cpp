#include "flow/held_out.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "flow/held_out_format.hpp"

namespace heddle::flow {
namespace {

constexpr std::int64_t kMostKept = 10'000;  ///< as many as a comparison reads

}  // namespace

const doc::Schema<HeldOutFile>& held_out_schema() {
  using H = HeldOutFile;
  static const auto schema = [] {
    auto t = doc::Schema<H>::record("the held-out rows", "rows that a model has not learned from");
    t.of_format("heddle.held-out/2")
        .refused_as(ErrorKind::kCorrupt, "held-out-corrupt",
                    "build the bundle again with `heddle run`");
    t.flattened(&H::kept, score::kept_rows_schema());
    t.numbers("labels", &H::labels,
              "codes of the bundle's task, one a row: 0 or 1, the position of the class, or the "
              "number");
    t.integers("times", &H::times,
               "event times in microseconds, ascending, one a row; empty: the rows have no order "
               "in time");
    t.keys.back().at_least.reset();  // a time may be before 1970
    t.finally([](H& into, const doc::Value&, doc::Reader& reader) {
      score::check_kept_rows(into.kept, reader);
      const std::size_t rows = into.kept.rows.size();
      if (into.labels.size() != rows) reader.refuse("labels", "must have one item a row");
      if (!into.times.empty() && into.times.size() != rows)
        reader.refuse("times", "must be empty or have one item a row");
      if (!std::is_sorted(into.times.begin(), into.times.end()))
        reader.refuse("times", "must rise");
    });
    return t;
  }();
  return schema;
}

Result<Digest> keep_held_out(store::Objects& objects, std::span<const spec::Field> fields,
                             const HeldOut& held) {
  const std::int64_t first = std::max<std::int64_t>(0, held.rows.rows() - kMostKept);
  HeldOutFile file;
  HEDDLE_ASSIGN_OR_RETURN(file.kept,
                          score::keep_rows(fields, held.rows.slice(first, held.rows.rows())));
  file.labels.assign(held.labels.begin() + first, held.labels.end());
  if (!held.times.empty()) file.times.assign(held.times.begin() + first, held.times.end());
  return objects.put(doc::to_json(held_out_schema().print(file)));
}

Result<HeldOut> read_held_out(store::Objects& objects, const bundle::Bundle& bundle,
                              std::span<const spec::Field> fields) {
  const Digest& digest = bundle.config().lineage.held_out;
  if (digest.empty()) {
    return Error{ErrorKind::kNotFound, "held-out-unknown",
                 fmt::format("bundle {} names no held-out rows", bundle.digest().short_str()),
                 "build it again with `heddle run`"};
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, objects.get(digest));
  HEDDLE_ASSIGN_OR_RETURN(auto file, held_out_schema().parse_text(bytes));
  std::vector<spec::Field> kept;
  for (const auto& field : fields) {
    const auto& all = file.kept.fields;
    if (std::find(all.begin(), all.end(), field.name) != all.end()) kept.push_back(field);
  }
  HeldOut held;
  HEDDLE_ASSIGN_OR_RETURN(held.rows, score::table_of(file.kept, kept, held_out_schema()));
  held.labels = std::move(file.labels);
  held.times = std::move(file.times);
  return held;
}

}  // namespace heddle::flow
