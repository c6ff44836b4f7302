// Steps from the source to feature matrices.
#include <algorithm>

#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "doc/diagnostic.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "doc/numbers.hpp"
#include "flow/assemble.hpp"
#include "flow/bodies.hpp"
#include "flow/facts.hpp"
#include "flow/recorded.hpp"
#include "spec/load.hpp"
#include "spec/task.hpp"
#include "table/stream.hpp"

namespace heddle::flow {
namespace {

constexpr std::int64_t kReferenceRows = 64;

/// A step over many rows takes as many threads as there may be steps at once; what it gives does
/// not depend on it.
unsigned threads_of(const Work& work) {
  return static_cast<unsigned>(std::max(1, work.host().parallel));
}

std::string percent(std::int64_t part_of, std::int64_t whole) {
  return whole == 0 ? "0 %"
                    : fmt::format("{:.2f} %", 100.0 * static_cast<double>(part_of) /
                                                  static_cast<double>(whole));
}

/// The finaliser of SplitMix64.
std::uint64_t mixed(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The order of the rows: time; rows whose time is missing or malformed come last. Without a time
/// field an order drawn by the model's seed, so that a file that is sorted by something else is
/// split evenly.
std::vector<std::int64_t> order_of(const table::Table& rows, const spec::Model& model) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows.rows()));
  std::vector<std::uint64_t> keys(order.size());
  const table::Column* time = model.time_field.empty() ? nullptr : rows.find(model.time_field);
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<std::int64_t>(i);
    if (time == nullptr) {
      keys[i] = mixed(mixed(static_cast<std::uint64_t>(model.seed)) ^ i);
    } else {
      const bool known = time->valid.empty() || time->valid[i] != 0;
      // The sign bit flipped: unsigned keys in the order of signed times.
      keys[i] =
          known ? static_cast<std::uint64_t>(time->ints[i]) ^ (std::uint64_t{1} << 63) : UINT64_MAX;
    }
  }
  if (!std::is_sorted(keys.begin(), keys.end())) {
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)];
    });
  }
  return order;
}

/// The time of the newest row of a source that is read with `options`; none: no row has one.
Result<std::optional<Micros>> newest_time(const table::Input& input, table::ReadOptions options) {
  options.columns = {options.time_column};
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(input, options));
  std::optional<Micros> newest;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto chunk, reader->next());
    if (!chunk) return newest;
    const table::Column& times = chunk->columns()[0];
    for (std::size_t i = 0; i < times.ints.size(); ++i) {
      if (times.valid.empty() || times.valid[i] != 0)
        newest = std::max(newest.value_or(INT64_MIN), times.ints[i]);
    }
  }
}

/// Rows of [from, to), or of the window, as they are in the source, in `order_of`.
Result<table::Table> read_source(const Definitions& definitions) {
  const table::Input input = definitions.input();
  const std::string path = input.text();
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, table::read_schema(input));
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  table::ReadOptions options;
  for (const auto& field : definitions.contract->fields) {
    if (std::find(names.begin(), names.end(), field.name) == names.end()) {
      const std::string near = doc::nearest(field.name, names);
      return Error{ErrorKind::kUnprocessable, field.label_time ? "target-absent" : "column-missing",
                   fmt::format("`{}` has no column `{}`, which contract `{}` asks for", path,
                               field.name, definitions.contract->identity.name),
                   near.empty() ? fmt::format("its columns are `{}`", fmt::join(names, "`, `"))
                                : fmt::format("did the column change its name to `{}`?", near)};
    }
    options.columns.push_back(field.name);
    options.types.emplace(field.name, field.type);
  }
  const spec::Model& model = *definitions.model;
  options.time_column = model.time_field;
  const bool bounded = model.train_to != 0;
  if (bounded) options.time_from = model.train_from, options.time_to = model.train_to;
  if (model.train_window != 0) {
    HEDDLE_ASSIGN_OR_RETURN(const auto newest, newest_time(input, options));
    // Rows without a time are refused by their contract, which says so better than an empty window.
    if (newest) options.time_from = *newest - model.train_window + 1;
  }
  HEDDLE_ASSIGN_OR_RETURN(auto rows, table::read_table(input, options));
  if (rows.rows() == 0) {
    return Error{ErrorKind::kUnprocessable, "data-empty",
                 bounded ? fmt::format("`{}` has no row from {} to {}", path,
                                       format_date(options.time_from), format_date(options.time_to))
                         : fmt::format("`{}` has no row", path),
                 bounded ? "change `train.from` and `train.to` of the model, or the source"
                         : "write the file again with its rows"};
  }
  const auto order = order_of(rows, model);
  if (std::is_sorted(order.begin(), order.end())) return rows;
  return rows.take(order);
}

/// Of the transforms of a bundle's contract those that the definition does not have, by their ids:
/// repairs that are in force, without which recorded rows are not what they mean.
std::vector<spec::Transform> repairs_of(const doc::Value& serving, const spec::Contract& contract) {
  std::vector<spec::Transform> out;
  for (const auto& item : doc::items_of(serving.find("transforms"))) {
    const std::string id = item.string_or("id");
    const bool is_known =
        std::any_of(contract.transforms.begin(), contract.transforms.end(),
                    [&](const spec::Transform& transform) { return transform.id == id; });
    if (is_known) continue;
    out.push_back({id,
                   item.string_or("field"),
                   {item.string_or("expression"), {}},
                   item.string_or("reason")});
  }
  return out;
}

/// The contract that rows of the source are checked by, with what it learned. Recorded rows are
/// checked as they would be served: by what was learned of the rows that what serves was built on,
/// which are more and were looked at, unless the definition has other dependencies since.
Result<contract::Contract> contract_over(const Work& work, const table::Table& rows) {
  const Definitions& d = work.definitions();
  const Recorded* recorded = work.source().recorded;
  spec::Contract definition = *d.contract;
  doc::Value serving;
  if (recorded != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*work.host().objects, recorded->base));
    HEDDLE_ASSIGN_OR_RETURN(serving, bundle.json(bundle::kContract));
    for (auto& repair : repairs_of(serving, definition))
      definition.transforms.push_back(std::move(repair));
  }
  HEDDLE_ASSIGN_OR_RETURN(auto contract,
                          contract::Contract::compile(
                              definition, [&](const std::string& file, const std::string& column) {
                                return spec::load_enum(*d.project, file, column);
                              }));
  if (const doc::Value* learned = serving.find("learned"); learned != nullptr) {
    auto value = contract.to_value();
    value.set("learned", *learned);
    auto with_learned = contract::Contract::from_value(value);
    if (with_learned.ok()) return with_learned;
  }
  HEDDLE_TRY(contract.learn(rows));
  return contract;
}

/// Rows that the contract accepts without a time have no place in the order: taken out of
/// `accepted` and of `kept`, their places in the source. Returns how many they were; they are the
/// last.
std::int64_t leave_out_untimed(const spec::Model& model, table::Table& accepted,
                               std::vector<std::int64_t>& kept) {
  const table::Column* time = model.time_field.empty() ? nullptr : accepted.find(model.time_field);
  const std::int64_t untimed = time == nullptr ? 0 : time->null_count();
  if (untimed == 0) return 0;
  accepted = accepted.slice(0, accepted.rows() - untimed);
  kept.resize(static_cast<std::size_t>(accepted.rows()));
  return untimed;
}

/// Without times the classes of the target are spread evenly over the order that the seed drew, so
/// that each part has about their shares. A target that has no label for a row is told when the
/// rows are split.
void stratify(const spec::Model& model, table::Table& accepted, std::vector<std::int64_t>& kept) {
  const auto labels = labels_of(model, accepted);
  if (!labels.ok()) return;
  const auto order = stratified(*labels);
  if (std::is_sorted(order.begin(), order.end())) return;
  accepted = accepted.take(order);
  std::vector<std::int64_t> places;
  for (const auto row : order) places.push_back(kept[static_cast<std::size_t>(row)]);
  kept = std::move(places);
}

/// Rows as a Parquet file gives them back: there a malformed cell is one without a value. A run
/// that goes on in another process must not see other rows.
table::Table as_stored(const table::Table& rows) {
  std::vector<table::Column> columns(rows.columns().begin(), rows.columns().end());
  for (auto& column : columns) column.malformed.clear();
  return *table::Table::make(std::move(columns));
}

/// What to do when `rule` refuses every row: for a rule about a type, what that type is written
/// like.
std::string hint_for(const spec::Contract& contract, std::string_view rule) {
  for (const auto& field : contract.fields) {
    if (rule != field.name + "-type") continue;
    const auto written = field.type == expr::Type::kTimestamp ? "times like `2001-04-10T05:06:07Z`"
                         : field.type == expr::Type::kInt     ? "whole numbers like `7`"
                         : field.type == expr::Type::kDouble  ? "numbers like `2.5`"
                         : field.type == expr::Type::kBool    ? "`true` and `false`, or 1 and 0"
                                                              : "text";
    return fmt::format(
        "the contract wants {} in `{}`: write the column so, or change its `logicalType`", written,
        field.name);
  }
  return "the contract and the source do not speak of the same data: compare the rule with a few "
         "rows";
}

}  // namespace

Digest digest_of(const doc::Value& value) { return sha256(doc::to_canonical_json(value)); }

Result<Digest> write_output(const std::string& directory, const std::string& name,
                            std::string_view bytes) {
  HEDDLE_TRY(write_file_atomic(directory + "/" + name, bytes));
  return sha256(bytes);
}

Result<Digest> write_json(const std::string& directory, const std::string& name,
                          const doc::Value& value) {
  if (const std::string found = doc::non_finite_at(value); !found.empty()) {
    return Error{
        ErrorKind::kUnprocessable, "not-finite",
        fmt::format("`{}` cannot hold what the step found: {}", name, found),
        "look for infinite numbers in the training rows, and bound the field in the contract"};
  }
  return write_output(directory, name, doc::to_json(value));
}

Result<RowSplit> split_of(const Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, work.json("split", "split.json"));
  return row_split_schema().parse(value);
}

Result<contract::Contract> contract_of(const Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, work.json("validate.rows", "contract.json"));
  return contract::Contract::from_value(value);
}

Result<feature::Program> program_of(const Work& work) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, work.json("features", "features.json"));
  return feature::Program::from_value(value);
}

Result<StepRecord> run_source(Work& work, const std::string&) {
  StepRecord record;
  record.outputs["file"] = work.source().content;
  return record;
}

Result<StepRecord> run_validate_rows(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  const Recorded* recorded = work.source().recorded;
  table::Table from_file;
  if (recorded == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(from_file, read_source(d));
    HEDDLE_TRY(check_unchanged(work.source()));
    // What was found out about how the text is written is said, and not only believed.
    if (!work.source().form.empty()) work.note("validate.rows", work.source().what);
  }
  const table::Table& rows = recorded == nullptr ? from_file : recorded->rows;
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_over(work, rows));
  HEDDLE_ASSIGN_OR_RETURN(auto check, contract.check_table(rows, threads_of(work)));
  std::int64_t refused = 0;
  for (const auto flag : check.refused) refused += flag != 0 ? 1 : 0;
  RowsFacts facts;
  std::vector<std::pair<std::int64_t, std::string>> worst;
  for (std::size_t i = 0; i < contract.rules().size(); ++i) {
    if (check.counts[i] == 0) continue;
    facts.broken[contract.rules()[i].id] = check.counts[i];
    worst.emplace_back(-check.counts[i], contract.rules()[i].id);
  }
  std::sort(worst.begin(), worst.end());
  if (check.accepted.rows() == 0) {
    return Error{
        ErrorKind::kUnprocessable, "every-row-refused",
        fmt::format("contract `{}` refuses every one of {} rows, most by rule `{}`",
                    d.contract->identity.name, rows.rows(), worst.empty() ? "?" : worst[0].second),
        hint_for(*d.contract, worst.empty() ? "" : worst[0].second)};
  }
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    if (check.refused[static_cast<std::size_t>(row)] == 0) kept.push_back(row);
  }
  // Whatever is recorded has an event time.
  const std::int64_t untimed =
      recorded == nullptr ? leave_out_untimed(*d.model, check.accepted, kept) : 0;
  if (untimed > 0)
    work.note("validate.rows",
              fmt::format("{} rows have no `{}` and are left out", untimed, d.model->time_field));
  if (recorded == nullptr && d.model->time_field.empty()) stratify(*d.model, check.accepted, kept);
  // Rows as received, for the reference predictions: before transforms, label fields left out.
  std::vector<std::int64_t> chosen;
  for (const auto i : spread(0, static_cast<std::int64_t>(kept.size()), kReferenceRows))
    chosen.push_back(kept[static_cast<std::size_t>(i)]);
  const auto accepted = std::make_shared<const table::Table>(std::move(check.accepted));
  const auto reference = std::make_shared<const table::Table>(as_stored(rows.take(chosen)));
  Work::Rows received;
  HEDDLE_TRY(table::write_parquet(*accepted, directory + "/accepted.parquet"));
  HEDDLE_TRY(table::write_parquet(*reference, directory + "/reference.parquet"));
  if (!contract.transform_ids().empty()) {
    received = std::make_shared<const table::Table>(as_stored(rows.take(kept)));
    HEDDLE_TRY(table::write_parquet(*received, directory + "/received.parquet"));
  }
  StepRecord record;
  if (recorded != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(
        record.outputs["kept"],
        write_output(directory, "kept.i64",
                     std::string_view(reinterpret_cast<const char*>(kept.data()),
                                      kept.size() * sizeof(std::int64_t))));
  }
  record.outputs["accepted"] = accepted->content_digest();
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["contract"],
                          write_json(directory, "contract.json", contract.to_value()));
  record.outputs["reference"] = reference->content_digest();
  facts.rows = rows.rows();
  facts.accepted = accepted->rows();
  facts.refused = refused;
  facts.untimed = untimed;
  record.facts = print_facts(facts);
  work.note("validate.rows", fmt::format("{} rows, {} refused ({})", rows.rows(), refused,
                                         percent(refused, rows.rows())));
  work.keep_rows(accepted, received, reference);
  return record;
}

Result<StepRecord> run_snapshot(Work& work, const std::string& directory) {
  const StepRecord rows = work.record("validate.rows");
  HEDDLE_ASSIGN_OR_RETURN(const auto facts, rows_facts(rows));
  const auto snapshot =
      doc::Value::object({{"format", "heddle.snapshot/1"},
                          {"rows", rows.outputs.at("accepted").str()},
                          {"count", facts.accepted},
                          {"refused", facts.refused},
                          {"contract", rows.outputs.at("contract").str()},
                          {"source", work.record("source").outputs.at("file").str()}});
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["snapshot"],
                          write_json(directory, "snapshot.json", snapshot));
  HEDDLE_ASSIGN_OR_RETURN(const Digest stored, work.host().objects->put(doc::to_json(snapshot)));
  record.facts = doc::Value::object({{"snapshot", stored.str()}});
  return record;
}

Result<StepRecord> run_validate_set(Work& work, const std::string& directory) {
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto results, contract.check_set(*rows));
  doc::Value report = doc::Value::array();
  std::vector<std::string> refused;
  for (const auto& result : results) {
    if (!result.lacks.empty()) {
      report.push(doc::Value::object({{"rule", result.rule}, {"lacks", result.lacks}}));
      work.note("validate.set", fmt::format("rule `{}` is about `{}`, which these rows do not have",
                                            result.rule, result.lacks));
      continue;
    }
    report.push(doc::Value::object(
        {{"rule", result.rule}, {"passed", result.passed}, {"value", result.value}}));
    if (result.passed) continue;
    const std::string text =
        fmt::format("rule `{}` is broken: {} ({})", result.rule, result.value, result.expected);
    if (result.effect == spec::RuleEffect::kRefuse)
      refused.push_back(text);
    else
      work.note("validate.set", "warning: " + text);
  }
  if (!refused.empty()) {
    return Error{ErrorKind::kUnprocessable, "set-refused",
                 fmt::format("the snapshot breaks its contract: {}", fmt::join(refused, "; ")),
                 "fix the source, or the bound of the rule"};
  }
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["report"], write_json(directory, "report.json", report));
  return record;
}

// --- split, features
// -------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kLeastRecorded = 200;

/// The label of each accepted row: what the target says of a file's, what came for a recorded one.
Result<Labels> labels_over(Work& work, const table::Table& rows) {
  const Recorded* recorded = work.source().recorded;
  if (recorded == nullptr) return labels_of(*work.definitions().model, rows);
  HEDDLE_ASSIGN_OR_RETURN(const auto kept, work.kept());
  Labels labels{recorded->task, {}};
  labels.codes.reserve(kept->size());
  for (const auto place : *kept)
    labels.codes.push_back(recorded->labels[static_cast<std::size_t>(place)]);
  return labels;
}

/// Whether recorded rows are enough to learn from.
Result<void> check_enough(const Labels& labels, const RowSplit& parts) {
  const auto too_little = [](std::string why) {
    return Error{ErrorKind::kInvalid, "retrain-too-little",
                 "the recorded rows are too little to retrain on: " + std::move(why),
                 "wait for more labels"};
  };
  if (labels.codes.size() < kLeastRecorded)
    return too_little(
        fmt::format("{} were accepted, {} are wanted", labels.codes.size(), kLeastRecorded));
  const auto end = labels.codes.begin() + parts.train_end;
  if (labels.task.kind == stats::TaskKind::kRegression) {
    const auto other = std::find_if(labels.codes.begin(), end,
                                    [&](double code) { return code != labels.codes.front(); });
    if (other != end) return {};
    return too_little(fmt::format("the {} to train on all have the label {}", parts.train_end,
                                  labels.codes.front()));
  }
  const auto classes = check_classes(labels, parts.train_end);
  if (classes.ok()) return {};
  return too_little(classes.error().message);
}

}  // namespace

Result<StepRecord> run_split(Work& work, const std::string& directory) {
  const spec::Model& model = *work.definitions().model;
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(auto labels, labels_over(work, *rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto times, work.times());
  RowSplit parts;
  parts.rows = rows->rows();
  // A boundary moves on to the next distinct time: no moment is on both sides.
  const auto boundary = [&](double fraction) {
    auto row = static_cast<std::int64_t>(static_cast<double>(parts.rows) * fraction);
    while (!times->empty() && row > 0 && row < parts.rows &&
           (*times)[static_cast<std::size_t>(row)] == (*times)[static_cast<std::size_t>(row - 1)])
      ++row;
    return row;
  };
  parts.train_end = boundary(1 - model.validation_fraction - model.test_fraction);
  parts.validation_end = boundary(1 - model.test_fraction);
  if (parts.train_end == 0 || parts.validation_end <= parts.train_end ||
      parts.validation_end >= parts.rows) {
    return Error{ErrorKind::kUnprocessable, "split-empty",
                 fmt::format("{} rows are too few to split in three{}", parts.rows,
                             times->empty() ? "" : " by time"),
                 work.source().recorded == nullptr
                     ? "widen `train.from` and `train.to` of the model"
                     : "wait for more labels"};
  }
  if (work.source().recorded != nullptr) {
    HEDDLE_TRY(check_enough(labels, parts));
  } else {
    HEDDLE_TRY(check_classes(labels, parts.train_end));
  }
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["split"],
                          write_json(directory, "split.json", row_split_schema().print(parts)));
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["labels"],
                          write_output(directory, "labels.f64", bytes_of(labels.codes)));
  HEDDLE_ASSIGN_OR_RETURN(
      record.outputs["task"],
      write_json(directory, "task.json", spec::task_schema().print(labels.task)));
  record.facts = row_split_schema().print(parts);
  work.note("split",
            fmt::format("{} to train, {} to search, {} to test", parts.train_end,
                        parts.validation_end - parts.train_end, parts.rows - parts.validation_end));
  work.keep_labels(std::move(labels));
  return record;
}

Result<StepRecord> run_features(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(auto program,
                          feature::Program::compile(*d.features, contract.request_fields()));
  const std::span<const double> all(labels->codes);
  HEDDLE_ASSIGN_OR_RETURN(auto fitted,
                          program.fit(rows->slice(0, parts.train_end),
                                      all.first(static_cast<std::size_t>(parts.train_end))));
  HEDDLE_ASSIGN_OR_RETURN(
      auto validation,
      program.apply(rows->slice(parts.train_end, parts.validation_end), threads_of(work)));
  HEDDLE_ASSIGN_OR_RETURN(
      auto test, program.apply(rows->slice(parts.validation_end, parts.rows), threads_of(work)));
  Hasher hasher;
  for (const auto* matrix : {&fitted.train, &validation, &test}) {
    hasher.update_field(std::string_view(reinterpret_cast<const char*>(matrix->values.data()),
                                         matrix->values.size() * sizeof(float)));
  }
  HEDDLE_TRY(write_matrix(directory + "/train.f32", fitted.train));
  HEDDLE_TRY(write_matrix(directory + "/validation.f32", validation));
  HEDDLE_TRY(write_matrix(directory + "/test.f32", test));
  StepRecord record;
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["program"],
                          write_json(directory, "features.json", program.to_value()));
  record.outputs["matrices"] = hasher.finish();
  work.keep_matrix("train", std::move(fitted.train));
  work.keep_matrix("validation", std::move(validation));
  work.keep_matrix("test", std::move(test));
  return record;
}

}  // namespace heddle::flow
