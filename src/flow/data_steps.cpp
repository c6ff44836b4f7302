// Steps from the source to feature matrices.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <set>

#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "contract/deduplicate.hpp"
#include "doc/diagnostic.hpp"
#include "doc/items.hpp"
#include "doc/json.hpp"
#include "doc/numbers.hpp"
#include "doc/schema_lists.hpp"
#include "flow/assemble.hpp"
#include "flow/bodies.hpp"
#include "flow/facts.hpp"
#include "flow/recorded.hpp"
#include "flow/refused_rows.hpp"
#include "spec/load.hpp"
#include "spec/task.hpp"
#include "table/stream.hpp"
#include "upstream/history.hpp"
#include "upstream/joiner.hpp"

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
std::vector<std::int64_t> order_of(std::int64_t rows, const table::Column* time,
                                   const spec::Model& model) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::vector<std::uint64_t> keys(order.size());
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

/// The newest of times; none: no row has one.
std::optional<Micros> newest_of(const table::Column& times) {
  std::optional<Micros> newest;
  for (std::size_t i = 0; i < times.ints.size(); ++i) {
    if (times.valid.empty() || times.valid[i] != 0)
      newest = std::max(newest.value_or(INT64_MIN), times.ints[i]);
  }
  return newest;
}

/// The time of the newest row of a source that is read with `options`.
Result<std::optional<Micros>> newest_time(const table::Input& input, table::ReadOptions options) {
  options.columns = {options.time_column};
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(input, options));
  std::optional<Micros> newest;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto chunk, reader->next());
    if (!chunk) return newest;
    newest = std::max(newest, newest_of(chunk->columns()[0]));
  }
}

/// Rows of [from, to), and those whose time is missing or malformed.
table::Table in_time(table::Table rows, const table::Column& time, Micros from, Micros to) {
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    const bool is_known = time.valid.empty() || time.valid[i] != 0;
    if (!is_known || (time.ints[i] >= from && time.ints[i] < to)) kept.push_back(row);
  }
  if (static_cast<std::int64_t>(kept.size()) == rows.rows()) return rows;
  return rows.take(kept);
}

/// The columns that the contract asks for, by its types, without those that are computed.
/// kUnprocessable: the source lacks one.
Result<table::ReadOptions> columns_of(const table::Input& input, const spec::Contract& contract,
                                      const std::vector<spec::Field>& joined) {
  HEDDLE_ASSIGN_OR_RETURN(const auto columns, table::read_schema(input));
  std::vector<std::string> names;
  for (const auto& column : columns) names.push_back(column.name);
  table::ReadOptions options;
  for (const auto& field : contract.fields) {
    const bool is_computed =
        std::any_of(joined.begin(), joined.end(),
                    [&](const spec::Field& each) { return each.name == field.name; });
    if (is_computed) continue;
    if (std::find(names.begin(), names.end(), field.name) == names.end()) {
      const std::string near = doc::nearest(field.name, names);
      return Error{ErrorKind::kUnprocessable, field.label_time ? "target-absent" : "column-missing",
                   fmt::format("`{}` has no column `{}`, which contract `{}` asks for",
                               input.text(), field.name, contract.identity.name),
                   near.empty() ? fmt::format("its columns are `{}`", fmt::join(names, "`, `"))
                                : fmt::format("did the column change its name to `{}`?", near)};
    }
    options.columns.push_back(field.name);
    options.types.emplace(field.name, field.type);
  }
  return options;
}

/// The window of the model begins so long before the newest row. Without any time nothing is left
/// out: rows without one are refused by their contract, which says so better than an empty window.
void begin_window(const spec::Model& model, std::optional<Micros> newest,
                  table::ReadOptions& options) {
  if (newest) options.time_from = *newest - model.train_window + 1;
}

/// The rows with their `upstream` fields: computed where the source lacks them, else as it has
/// them. Which of the two it is is said.
Result<table::Table> with_upstream(Work& work, const contract::Contract& contract,
                                   table::Table rows) {
  const Definitions& d = work.definitions();
  const auto& joined = work.source().joined;
  for (const auto& field : contract.fields()) {
    if (field.upstream && rows.find(field.name) != nullptr)
      work.note("validate.rows",
                fmt::format("`{}`: taken from the rows, which have it; source `{}` is not read",
                            field.name, field.upstream->source));
  }
  if (joined.empty()) return rows;
  upstream::Joiner::Options options;
  options.project = d.project;
  options.contract = &contract;
  options.fields = joined;
  options.time_field = d.model->time_field;
  options.own_source = d.model->source;
  HEDDLE_ASSIGN_OR_RETURN(const auto joiner, upstream::Joiner::open(options));
  for (auto& note : joiner.notes()) work.note("validate.rows", std::move(note));
  return joiner.join(std::move(rows));
}

/// Rows of [from, to), or of the window, as they are in the source, in `order_of`.
Result<table::Table> read_source(Work& work, const contract::Contract& contract) {
  const Definitions& definitions = work.definitions();
  const table::Input input = definitions.input();
  const std::string path = input.text();
  HEDDLE_ASSIGN_OR_RETURN(auto options,
                          columns_of(input, *definitions.contract, work.source().joined));
  const spec::Model& model = *definitions.model;
  options.as_text = contract.text_fields();
  const bool bounded = model.train_to != 0;
  if (bounded) options.time_from = model.train_from, options.time_to = model.train_to;
  // A time that only the contract can read is read when all rows are there.
  const bool is_text = options.as_text.contains(model.time_field);
  if (!is_text) options.time_column = model.time_field;
  const bool has_window = model.train_window != 0;
  if (has_window && !is_text) {
    HEDDLE_ASSIGN_OR_RETURN(const auto newest, newest_time(input, options));
    begin_window(model, newest, options);
  }
  HEDDLE_ASSIGN_OR_RETURN(auto rows, table::read_table(input, options));
  const table::Column* time = model.time_field.empty() ? nullptr : rows.find(model.time_field);
  table::Column read;
  if (is_text) {
    HEDDLE_ASSIGN_OR_RETURN(read, contract.repaired(rows, model.time_field));
    if (has_window) begin_window(model, newest_of(read), options);
    if (bounded || has_window) {
      rows = in_time(std::move(rows), read, options.time_from, options.time_to);
      HEDDLE_ASSIGN_OR_RETURN(read, contract.repaired(rows, model.time_field));
    }
    time = &read;
  }
  if (rows.rows() == 0) {
    return Error{ErrorKind::kUnprocessable, "data-empty",
                 bounded ? fmt::format("`{}` has no row from {} to {}", path,
                                       format_date(options.time_from), format_date(options.time_to))
                         : fmt::format("`{}` has no row", path),
                 bounded ? "change `train.from` and `train.to` of the model, or the source"
                         : "write the file again with its rows"};
  }
  const auto order = order_of(rows.rows(), time, model);
  if (!std::is_sorted(order.begin(), order.end())) rows = rows.take(order);
  return with_upstream(work, contract, std::move(rows));
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

/// Medians and modes that what serves learned stand for missing values in recorded rows too.
void keep_imputed(const contract::Contract& serving, spec::Contract& definition) {
  for (auto& field : definition.fields) {
    for (const auto& known : serving.fields()) {
      if (known.name == field.name && known.repairs.impute == field.repairs.impute &&
          field.repairs.imputed.is_null())
        field.repairs.imputed = known.repairs.imputed;
    }
  }
}

/// The contract that rows of the source are checked by, before it has learned of them; `serving`:
/// that of what serves, where the rows are recorded ones.
Result<contract::Contract> compiled_contract(const Work& work, doc::Value& serving) {
  const Definitions& d = work.definitions();
  const Recorded* recorded = work.source().recorded;
  spec::Contract definition = *d.contract;
  if (recorded != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*work.host().objects, recorded->base));
    HEDDLE_ASSIGN_OR_RETURN(serving, bundle.json(bundle::kContract));
    for (auto& repair : repairs_of(serving, definition))
      definition.transforms.push_back(std::move(repair));
    HEDDLE_ASSIGN_OR_RETURN(const auto known, contract::Contract::from_value(serving));
    keep_imputed(known, definition);
  }
  return contract::Contract::compile(definition,
                                     [&](const std::string& file, const std::string& column) {
                                       return spec::load_enum(*d.project, file, column);
                                     });
}

/// What the contract learns of the rows. Recorded rows are checked as they would be served: by what
/// was learned of the rows that what serves was built on, which are more and were looked at, unless
/// the definition has other dependencies since.
Result<contract::Contract> learned_contract(const Work& work, contract::Contract contract,
                                            const doc::Value& serving, const table::Table& rows) {
  // Of the first rows only: what stands for a missing value must not know the rows that judge.
  const spec::Model& model = *work.definitions().model;
  const double share = 1 - model.validation_fraction - model.test_fraction;
  const auto train = static_cast<std::int64_t>(share * static_cast<double>(rows.rows()));
  if (!contract.is_imputed()) HEDDLE_TRY(contract.learn_imputed(rows.slice(0, train)));
  if (const doc::Value* learned = serving.find("learned"); learned != nullptr) {
    auto value = contract.to_value();
    value.set("learned", *learned);
    auto with_learned = contract::Contract::from_value(value);
    if (with_learned.ok()) return with_learned;
  }
  HEDDLE_TRY(contract.learn(rows));
  return contract;
}

/// Takes the rows that are other ones again out of `accepted` and of `kept`, their places in the
/// source. Returns how many they were.
Result<std::int64_t> leave_out_duplicates(const contract::Contract& contract,
                                          table::Table& accepted, std::vector<std::int64_t>& kept) {
  if (!contract.deduplicate()) return std::int64_t{0};
  contract::Deduplicator duplicates(*contract.deduplicate());
  std::vector<std::int64_t> numbers(kept.size());
  std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
  HEDDLE_TRY(duplicates.add(accepted, numbers));
  const auto dropped = std::move(duplicates).finish();
  if (dropped.empty()) return std::int64_t{0};
  std::vector<std::int64_t> stay;
  std::set_difference(numbers.begin(), numbers.end(), dropped.begin(), dropped.end(),
                      std::back_inserter(stay));
  std::vector<std::int64_t> places;
  for (const auto row : stay) places.push_back(kept[static_cast<std::size_t>(row)]);
  accepted = accepted.take(stay);
  kept = std::move(places);
  return static_cast<std::int64_t>(dropped.size());
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

/// How many values each repair changed, those that changed any.
std::map<std::string, std::int64_t> repaired_by(const contract::Contract& contract,
                                                const std::vector<std::int64_t>& repaired) {
  std::map<std::string, std::int64_t> out;
  for (std::size_t i = 0; i < repaired.size(); ++i) {
    if (repaired[i] > 0) out[contract.repairs()[i].id] = repaired[i];
  }
  return out;
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

namespace {

/// Rows that broke each rule, those that any broke.
std::map<std::string, std::int64_t> broken_by(const contract::Contract& contract,
                                              const std::vector<std::int64_t>& counts) {
  std::map<std::string, std::int64_t> out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) out[contract.rules()[i].id] = counts[i];
  }
  return out;
}

Error every_row_refused(const Definitions& d, std::int64_t rows,
                        const std::map<std::string, std::int64_t>& broken) {
  const auto worst =
      std::max_element(broken.begin(), broken.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::string rule = worst == broken.end() ? "" : worst->first;
  return Error{ErrorKind::kUnprocessable, "every-row-refused",
               fmt::format("contract `{}` refuses every one of {} rows, most by rule `{}`",
                           d.contract->identity.name, rows, rule.empty() ? "?" : rule),
               hint_for(*d.contract, rule)};
}

/// Takes the accepted rows that are not learned from out of `accepted` and of `kept`, their places
/// in the source, and says how many they are.
Result<void> leave_out(Work& work, const contract::Contract& contract, table::Table& accepted,
                       std::vector<std::int64_t>& kept, RowsFacts& facts) {
  const spec::Model& model = *work.definitions().model;
  HEDDLE_ASSIGN_OR_RETURN(facts.duplicates, leave_out_duplicates(contract, accepted, kept));
  if (facts.duplicates > 0)
    work.note("validate.rows", fmt::format("{} rows have the key of another one and are left out",
                                           facts.duplicates));
  facts.untimed = leave_out_untimed(model, accepted, kept);
  if (facts.untimed > 0)
    work.note("validate.rows", fmt::format("{} rows have no `{}` and are left out", facts.untimed,
                                           model.time_field));
  if (model.time_field.empty()) stratify(model, accepted, kept);
  return {};
}

}  // namespace

Result<StepRecord> run_validate_rows(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  const Recorded* recorded = work.source().recorded;
  table::Table from_file;
  doc::Value serving;
  HEDDLE_ASSIGN_OR_RETURN(auto unlearned, compiled_contract(work, serving));
  if (recorded == nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(from_file, read_source(work, unlearned));
    HEDDLE_TRY(check_unchanged(work.source()));
    // What was found out about how the text is written is said, and not only believed.
    if (!work.source().form.empty()) work.note("validate.rows", work.source().what);
  }
  const table::Table& rows = recorded == nullptr ? from_file : recorded->rows;
  HEDDLE_ASSIGN_OR_RETURN(const auto contract,
                          learned_contract(work, std::move(unlearned), serving, rows));
  HEDDLE_ASSIGN_OR_RETURN(auto check, contract.check_table(rows, threads_of(work)));
  RowsFacts facts;
  facts.broken = broken_by(contract, check.counts);
  if (check.accepted.rows() == 0) return every_row_refused(d, rows.rows(), facts.broken);
  std::vector<std::int64_t> kept;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    if (check.refused[static_cast<std::size_t>(row)] == 0) kept.push_back(row);
  }
  facts.refused = rows.rows() - std::ssize(kept);
  // Of recorded traffic each row was answered, also where it came again, and has an event time.
  if (recorded == nullptr) HEDDLE_TRY(leave_out(work, contract, check.accepted, kept, facts));
  // Rows as received, for the reference predictions: before what repairs make of their values,
  // label fields left out.
  std::vector<std::int64_t> chosen;
  for (const auto i : spread(0, static_cast<std::int64_t>(kept.size()), kReferenceRows))
    chosen.push_back(kept[static_cast<std::size_t>(i)]);
  const auto accepted = std::make_shared<const table::Table>(std::move(check.accepted));
  HEDDLE_ASSIGN_OR_RETURN(const auto chosen_rows, contract.with_texts_read(rows.take(chosen)));
  const auto reference = std::make_shared<const table::Table>(as_stored(chosen_rows));
  Work::Rows received;
  HEDDLE_TRY(table::write_parquet(*accepted, directory + "/accepted.parquet"));
  HEDDLE_TRY(table::write_parquet(*reference, directory + "/reference.parquet"));
  if (recorded == nullptr) HEDDLE_TRY(keep_refused(rows, contract, check.refused, directory));
  if (!contract.repairs().empty()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto kept_rows, contract.with_texts_read(rows.take(kept)));
    received = std::make_shared<const table::Table>(as_stored(kept_rows));
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
  facts.repaired = repaired_by(contract, check.repaired);
  record.facts = print_facts(facts);
  work.note("validate.rows", fmt::format("{} rows, {} refused ({})", rows.rows(), facts.refused,
                                         percent(facts.refused, rows.rows())));
  for (const auto& [id, values] : facts.repaired)
    work.note("validate.rows", fmt::format("repair `{}` changed {} values", id, values));
  work.keep_rows(accepted, received, reference);
  return record;
}

Result<StepRecord> run_snapshot(Work& work, const std::string& directory) {
  const StepRecord rows = work.record("validate.rows");
  HEDDLE_ASSIGN_OR_RETURN(const auto facts, rows_facts(rows));
  auto snapshot = doc::Value::object({{"format", "heddle.snapshot/1"},
                                      {"rows", rows.outputs.at("accepted").str()},
                                      {"count", facts.accepted},
                                      {"refused", facts.refused},
                                      {"duplicates", facts.duplicates},
                                      {"repaired", doc::counts_of(facts.repaired)},
                                      {"contract", rows.outputs.at("contract").str()},
                                      {"source", work.record("source").outputs.at("file").str()}});
  if (!work.source().upstream.empty()) {
    auto upstream = doc::Value::object();
    for (const Source& each : work.source().upstream) upstream.set(each.name, each.content.str());
    snapshot.set("upstream", std::move(upstream));
  }
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
                 work.source().recorded != nullptr ? "wait for more labels"
                 : model.train_from != 0 || model.train_to != 0
                     ? "widen `train.from` and `train.to` of the model"
                     : "give the model a source with more rows"};
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

namespace {

/// The columns that a lookup reads: each once, though a lookup may name it more than once.
table::ReadOptions lookup_reading(const feature::NeededTable& needed) {
  table::ReadOptions out;
  for (std::size_t i = 0; i < needed.columns.size(); ++i) {
    if (out.types.emplace(needed.columns[i], needed.types[i]).second)
      out.columns.push_back(needed.columns[i]);
  }
  return out;
}

/// The columns of a lookup by their place. `lost`: cells that are none of the type, which count as
/// missing.
Result<table::Table> lookup_columns(const feature::NeededTable& needed, const table::Table& rows,
                                    std::int64_t& lost) {
  std::vector<table::Column> columns;
  for (std::size_t i = 0; i < needed.columns.size(); ++i) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* column, rows.column(needed.columns[i]));
    columns.push_back(upstream::column_as(*column, needed.types[i], lost));
    columns.back().name = fmt::to_string(i);
  }
  return table::Table::make(std::move(columns));
}

/// The table of lookup `i`, a chunk of its source after the other.
Result<void> fill_lookup(Work& work, feature::Program& program, std::size_t i,
                         const feature::NeededTable& needed) {
  const table::Input input = spec::input_of(*work.definitions().project, needed.source);
  HEDDLE_ASSIGN_OR_RETURN(const auto reader,
                          table::TableReader::open(input, lookup_reading(needed)));
  std::int64_t rows = 0;
  std::int64_t keyless = 0;
  std::int64_t lost = 0;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto chunk, reader->next());
    if (!chunk) break;
    HEDDLE_ASSIGN_OR_RETURN(const auto columns, lookup_columns(needed, *chunk, lost));
    HEDDLE_ASSIGN_OR_RETURN(const std::int64_t without, program.add_to_lookup(i, columns));
    rows += columns.rows();
    keyless += without;
  }
  work.note("features",
            fmt::format("`{}`: {} rows of source `{}`{}", needed.feature, rows, needed.source,
                        keyless == 0 ? "" : fmt::format(", {} without a key", keyless)));
  if (lost > 0)
    work.note(
        "features",
        fmt::format("`{}`: {} cells of source `{}` are none of their type and count as missing",
                    needed.feature, lost, needed.source));
  return {};
}

/// The tables that features look up: from their sources; of recorded traffic those of what serves.
Result<void> fill_lookups(Work& work, feature::Program& program) {
  const auto needed = program.needed_tables();
  if (needed.empty()) return {};
  if (const Recorded* recorded = work.source().recorded; recorded != nullptr) {
    HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*work.host().objects, recorded->base));
    HEDDLE_ASSIGN_OR_RETURN(const auto features, bundle.json(bundle::kFeatures));
    HEDDLE_ASSIGN_OR_RETURN(const auto serving, feature::Program::from_value(features));
    return program.take_lookups(serving);
  }
  for (std::size_t i = 0; i < needed.size(); ++i)
    HEDDLE_TRY(fill_lookup(work, program, i, needed[i]));
  for (const Source& each : work.source().tables) HEDDLE_TRY(check_unchanged(each));
  return {};
}

/// How many rows a lookup found nothing for, and which features are missing in all rows: a key that
/// is written in another way shows here and nowhere else.
void tell_missing(Work& work, const feature::Program& program, const table::Matrix& train) {
  const auto& names = program.feature_names();
  std::vector<std::int64_t> missing(names.size());
  for (std::int64_t row = 0; row < train.rows; ++row) {
    for (std::size_t k = 0; k < names.size(); ++k)
      missing[k] += std::isnan(train.row(row)[k]) ? 1 : 0;
  }
  std::set<std::string> lookups;
  for (const auto& each : program.needed_tables()) lookups.insert(each.feature);
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (missing[k] == train.rows) {
      work.note("features",
                fmt::format("warning: `{}` is missing in every row to train on", names[k]));
    } else if (missing[k] > 0 && lookups.contains(names[k])) {
      work.note("features", fmt::format("`{}`: missing in {} of {} rows to train on", names[k],
                                        missing[k], train.rows));
    }
  }
}

}  // namespace

Result<StepRecord> run_features(Work& work, const std::string& directory) {
  const Definitions& d = work.definitions();
  HEDDLE_ASSIGN_OR_RETURN(const auto rows, work.accepted());
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  HEDDLE_ASSIGN_OR_RETURN(const RowSplit parts, split_of(work));
  HEDDLE_ASSIGN_OR_RETURN(const auto contract, contract_of(work));
  HEDDLE_ASSIGN_OR_RETURN(auto program,
                          feature::Program::compile(*d.features, contract.request_fields()));
  HEDDLE_TRY(fill_lookups(work, program));
  const std::span<const double> all(labels->codes);
  HEDDLE_ASSIGN_OR_RETURN(auto fitted,
                          program.fit(rows->slice(0, parts.train_end),
                                      all.first(static_cast<std::size_t>(parts.train_end))));
  tell_missing(work, program, fitted.train);
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
