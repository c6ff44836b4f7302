#include "flow/held_out.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "doc/json.hpp"
#include "flow/assemble.hpp"
#include "score/plan.hpp"

namespace heddle::flow {
namespace {

constexpr std::int64_t kMostKept = 10'000;  ///< as many as a comparison reads
constexpr std::string_view kFormat = "heddle.held-out/2";

Error corrupt(const Digest& digest, std::string_view what) {
  return {ErrorKind::kCorrupt, "held-out-corrupt",
          fmt::format("the held-out rows {} are unreadable: {}", digest.short_str(), what),
          "build the bundle again with `heddle run`"};
}

}  // namespace

Result<Digest> keep_held_out(store::Objects& objects, std::span<const spec::Field> fields,
                             const HeldOut& held) {
  const std::int64_t first = std::max<std::int64_t>(0, held.rows.rows() - kMostKept);
  HEDDLE_ASSIGN_OR_RETURN(
      auto value,
      score::Plan::rows_value(kFormat, fields, held.rows.slice(first, held.rows.rows())));
  auto labels = doc::Value::array();
  auto times = doc::Value::array();
  for (auto row = static_cast<std::size_t>(first); row < held.labels.size(); ++row) {
    labels.push(held.labels[row]);
    if (!held.times.empty()) times.push(held.times[row]);
  }
  value.set("labels", std::move(labels));
  value.set("times", std::move(times));
  return objects.put(doc::to_json(value));
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
  HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(bytes));
  const auto* names = value.find("fields");
  const auto* labels = value.find("labels");
  const auto* times = value.find("times");
  if (value.string_or("format") != kFormat || names == nullptr || !names->is_array() ||
      labels == nullptr || !labels->is_array() || times == nullptr || !times->is_array())
    return corrupt(digest, "a part is missing");
  std::vector<spec::Field> kept;
  for (const auto& field : fields) {
    const auto& all = names->as_array();
    if (std::find(all.begin(), all.end(), doc::Value(field.name)) != all.end())
      kept.push_back(field);
  }
  HeldOut held;
  HEDDLE_ASSIGN_OR_RETURN(held.rows, rows_of(value, kept));
  for (const auto& label : labels->as_array()) {
    if (!label.is_number()) return corrupt(digest, "a label is no number");
    held.labels.push_back(label.as_double());
  }
  for (const auto& time : times->as_array()) {
    if (!time.is_int()) return corrupt(digest, "a time is no number");
    held.times.push_back(time.as_int());
  }
  const auto rows = static_cast<std::size_t>(held.rows.rows());
  if (held.labels.size() != rows || (!held.times.empty() && held.times.size() != rows))
    return corrupt(digest, "its parts are of different lengths");
  return held;
}

}  // namespace heddle::flow
