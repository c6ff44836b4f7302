#include "spec/check_upstream.hpp"

#include <algorithm>

#include <fmt/ranges.h>

#include "spec/load.hpp"
#include "table/cell.hpp"
#include "table/table.hpp"

namespace heddle::spec {
namespace {

using expr::Type;

const Field* field_named(const Contract& contract, const std::string& name) {
  for (const Field& field : contract.fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

/// Why a field of that type cannot hold what the aggregate gives; empty: it can.
std::string_view type_due(Aggregate aggregate, Type type) {
  const bool is_number = type == Type::kInt || type == Type::kDouble;
  switch (aggregate) {
    case Aggregate::kLast: return "";
    case Aggregate::kCount: return is_number ? "" : "an `integer` or a `number`";
    // Both are computed as doubles, whatever the column is.
    case Aggregate::kSum:
    case Aggregate::kMean: return type == Type::kDouble ? "" : "a `number`";
    case Aggregate::kMin:
    case Aggregate::kMax:
      return is_number || type == Type::kTimestamp ? "" : "a number or a `timestamp`";
  }
  return "";
}

}  // namespace

void UpstreamChecker::found(const Contract& contract, const Field& field, std::string message,
                            std::string hint, std::string id) {
  report(contract.identity.file, field.upstream->position, std::move(id),
         fmt::format("`upstream` of field `{}` {}", field.name, message), std::move(hint));
}

void UpstreamChecker::check(const Contract& contract, const Field& field) {
  if (!field.upstream) return;
  check_values(contract, field);
  check_key(contract, field);
  // A contract by itself has no sources to look into.
  if (!project_.sources.empty() && !field.upstream->source.empty()) check_columns(contract, field);
}

void UpstreamChecker::check_values(const Contract& contract, const Field& field) {
  const Upstream& upstream = *field.upstream;
  if (field.label_time) {
    found(contract, field, "is of a label, which no request has",
          "declare it of a field that requests bring");
  }
  const bool is_count = upstream.aggregate == Aggregate::kCount;
  // A count without a column counts the rows.
  if (upstream.value.empty() && !is_count)
    found(contract, field, "names no `value`", "name the column of the source that is taken");
  // Only `last` needs no window: the newest row counts, however old it is.
  if (upstream.aggregate != Aggregate::kLast && !upstream.window) {
    found(contract, field, "has no `window`",
          "say how far back rows are seen, for example `window: 7d`");
  }
  if (upstream.window && *upstream.window <= 0)
    found(contract, field, "has a `window` of no length", "write for example `window: 7d`");
  const auto due = type_due(upstream.aggregate, field.type);
  if (!due.empty()) {
    found(contract, field,
          fmt::format("gives what a field of type {} cannot hold: it must be {}",
                      expr::type_name(field.type), due),
          "correct `logicalType`, or choose another `aggregate`");
  }
}

void UpstreamChecker::check_key(const Contract& contract, const Field& field) {
  for (const auto& [name, column] : field.upstream->key) {
    need_field(contract.identity.file, field.upstream->position, contract, name, "`upstream`");
    const Field* const of = field_named(contract, name);
    // `need_field` reported it.
    if (of == nullptr) continue;
    if (of->label_time) {
      found(contract, field,
            fmt::format("has the label `{}` in its key, which no request has", name),
            "name fields that a request carries");
    } else if (of->upstream) {
      // A key is compared before anything is computed: a computed field would need an order among
      // the fields, and could need itself.
      found(contract, field, fmt::format("has `{}` in its key, which is `upstream` itself", name),
            "name fields that rows have by themselves");
    }
  }
}

void UpstreamChecker::check_columns(const Contract& contract, const Field& field) {
  const Upstream& upstream = *field.upstream;
  std::vector<std::string> names;
  for (const auto& [name, input] : project_.sources) names.push_back(name);
  if (!project_.sources.contains(upstream.source)) {
    const std::string near = doc::nearest(upstream.source, names);
    return found(contract, field,
                 fmt::format("names the source `{}`, which is none", upstream.source),
                 near.empty() ? "add it to `sources` of heddle.yaml"
                              : fmt::format("did you mean `{}`?", near),
                 "unknown-name");
  }
  // A commit holds no data, and a source that is not there yet is told where it is read.
  if (!files_.has_data()) return;
  const auto columns = table::read_schema(input_of(project_, upstream.source));
  if (!columns.ok()) return;
  names.clear();
  for (const auto& column : *columns) names.push_back(column.name);
  const auto need = [&](const std::string& name, Type type) {
    if (name.empty()) return;  // said above
    const auto at = std::find_if(columns->begin(), columns->end(),
                                 [&](const auto& column) { return column.name == name; });
    if (at == columns->end()) {
      const std::string near = doc::nearest(name, names);
      found(
          contract, field,
          fmt::format("names column `{}`, which source `{}` does not have", name, upstream.source),
          near.empty() ? fmt::format("its columns are `{}`", fmt::join(names, "`, `"))
                       : fmt::format("did you mean `{}`?", near),
          "column-missing");
    } else if (at->type != Type::kString && !table::can_hold(at->type, type)) {
      // Texts are read by the type that is asked for.
      found(contract, field,
            fmt::format("reads column `{}` of source `{}`, a {}, as a {}", name, upstream.source,
                        at->type == Type::kDyn ? "column of a type that no field has"
                                               : expr::type_name(at->type),
                        expr::type_name(type)),
            "name a column of the field's type, or correct `logicalType`", "column-type");
    }
  };
  need(upstream.time, Type::kTimestamp);
  for (const auto& [name, column] : upstream.key) {
    if (const Field* const of = field_named(contract, name)) need(column, of->type);
  }
  // What is counted may be of any type.
  if (upstream.aggregate != Aggregate::kCount) need(upstream.value, field.type);
}

void UpstreamChecker::check(const Model& model, const Contract& contract) {
  for (const Field& field : contract.fields) {
    if (!field.upstream) continue;
    // Labels and times of rows are of the model, so this cannot be said of the contract alone.
    if (model.time_field.empty()) {
      found(contract, field,
            fmt::format("asks what was known at a row's time, and model `{}` has no `time_field`",
                        model.identity.name),
            "add `train.time_field` to the model");
    } else if (field.name == model.time_field) {
      found(contract, field,
            fmt::format("is of `{}`, the time of the rows of model `{}`", field.name,
                        model.identity.name),
            "declare it of another field: rows know their time by themselves");
    } else {
      check_leak(model, contract, field);
    }
  }
}

/// A label is known when the monitor says it is. A row that saw it earlier in training would see
/// what no request can.
void UpstreamChecker::check_leak(const Model& model, const Contract& contract, const Field& field) {
  const Upstream& upstream = *field.upstream;
  const Field* const value = field_named(contract, upstream.value);
  const auto own = project_.sources.find(model.source);
  const auto seen = project_.sources.find(upstream.source);
  // Compared by their paths, since two names may be of one source.
  const bool is_own = own != project_.sources.end() && seen != project_.sources.end() &&
                      own->second.paths == seen->second.paths;
  // Only columns of the model's own source are known to be the contract's fields; which column of
  // another source is a label, nobody says.
  if (!is_own || value == nullptr || !value->label_time) return;
  // Of several monitors the longest delay counts. Without any it stays 0, and any written delay is
  // enough.
  Micros due = 0;
  for (const auto& [name, service] : project_.services) {
    const auto monitor = project_.monitors.find(service.monitor);
    if (service.model == model.identity.name && monitor != project_.monitors.end())
      due = std::max(due, monitor->second.label_delay);
  }
  if (upstream.delay && *upstream.delay >= due) return;
  found(
      contract, field,
      upstream.delay
          ? fmt::format("sees the label `{}` after {}, and the monitor says that labels are known "
                        "after {}",
                        value->name, format_duration(*upstream.delay), format_duration(due))
          : fmt::format("sees the label `{}` and says no `delay`", value->name),
      fmt::format("write the time from a row to its label, at least `delay: {}s`", due / kSecond),
      "upstream-leak");
}

}  // namespace heddle::spec
