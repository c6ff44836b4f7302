#include "batch/batch.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <set>
#include <thread>

#include <fmt/ranges.h>

#include "batch/cells.hpp"
#include "batch/profile.hpp"
#include "contract/deduplicate.hpp"
#include "doc/json.hpp"
#include "stats/conformal.hpp"
#include "stats/conformal_bounds.hpp"
#include "table/lookup.hpp"
#include "table/read_ahead.hpp"
#include "table/stream.hpp"
#include "upstream/joined_reader.hpp"

namespace heddle::batch {
namespace {

constexpr std::int64_t kFewestRowsAThread = 512;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// What stands among a row's rules where another row of the file stands for it.
constexpr std::uint16_t kDuplicate = UINT16_MAX;  // no rule has this number
constexpr std::string_view kDeduplicate = "deduplicate";

/// Distinct sets of rules or repairs; the first is empty.
struct Sets {
  std::vector<std::vector<std::uint16_t>> sets{};

  std::uint32_t place_of(const std::vector<std::uint16_t>& set) {
    if (sets.empty()) sets.emplace_back();
    // Few: a file breaks the same rules again and again.
    const auto at = std::find(sets.begin(), sets.end(), set);
    if (at != sets.end()) return static_cast<std::uint32_t>(at - sets.begin());
    sets.push_back(set);
    return static_cast<std::uint32_t>(sets.size() - 1);
  }
};

/// What one thread makes of its share of a chunk, reused from chunk to chunk.
struct Share {
  explicit Share(Profile empty) : profile(std::move(empty)) {}

  score::Scratch scratch;
  score::RowResult result;
  std::vector<expr::Datum> raw;
  std::vector<std::int64_t> served, refused;  ///< rows of the chunk, ascending
  std::vector<float> predictions;             ///< of the served, the task's outputs of each
  Sets broken, repaired;
  std::vector<std::uint32_t> served_broken, refused_broken;      ///< places in `broken`
  std::vector<std::uint32_t> served_repaired, refused_repaired;  ///< places in `repaired`
  Profile profile;                                               ///< of the whole file

  void clear() {
    served.clear(), refused.clear(), predictions.clear();
    served_broken.clear(), refused_broken.clear();
    served_repaired.clear(), refused_repaired.clear();
  }
};

/// `duplicates`: rows of the chunk that others stand for, ascending.
void score_rows(const score::Plan& plan, bool accepts, const Cells& cells,
                std::span<const Cells::Source> sources, std::span<const std::int64_t> duplicates,
                std::int64_t begin, std::int64_t end, Share& share) {
  share.clear();
  auto duplicate = std::lower_bound(duplicates.begin(), duplicates.end(), begin);
  for (std::int64_t row = begin; row < end; ++row) {
    if (duplicate != duplicates.end() && *duplicate == row) {
      ++duplicate;
      share.refused.push_back(row);
      share.refused_broken.push_back(share.broken.place_of({kDuplicate}));
      share.refused_repaired.push_back(share.repaired.place_of({}));
      continue;
    }
    cells.row(sources, row, share.raw);
    if (accepts)
      plan.score_accepted(share.raw, share.result, share.scratch);
    else
      plan.score_row(share.raw, share.result, share.scratch);
    const std::uint32_t rules = share.broken.place_of(share.result.check.broken);
    const std::uint32_t repairs = share.repaired.place_of(share.result.check.repaired);
    if (share.result.check.refused) {
      share.refused.push_back(row);
      share.refused_broken.push_back(rules);
      share.refused_repaired.push_back(repairs);
      continue;
    }
    share.served.push_back(row);
    share.served_broken.push_back(rules);
    share.served_repaired.push_back(repairs);
    auto& prediction = share.result.prediction;
    prediction.resize(plan.task().outputs(), kNaN);  // empty: a runtime did not answer
    share.predictions.insert(share.predictions.end(), prediction.begin(), prediction.end());
    share.profile.add(share.result.check.row, prediction);
  }
}

/// Collects the texts of one column of the output.
class Texts {
 public:
  explicit Texts(std::string name) {
    column_.name = std::move(name), column_.type = expr::Type::kString;
  }
  /// The code of a text that may stand in many rows.
  std::int32_t code_of(std::string_view text) { return index_.insert(text); }
  void add(std::int32_t code, bool valid = true) {
    column_.codes.push_back(code);
    column_.valid.push_back(valid ? 1 : 0);
  }
  void add(std::int32_t code, std::size_t rows) {
    column_.codes.insert(column_.codes.end(), rows, code);
    column_.valid.insert(column_.valid.end(), rows, 1);
  }
  table::Column finish() {
    if (index_.size() == 0) index_.insert("");
    column_.dictionary = std::make_shared<const table::Dictionary>(index_.values());
    return std::move(column_);
  }

 private:
  table::Column column_;
  table::StringIndex index_;
};

/// Collects the numbers of one column of the output: in CSV the shortest text of the float32, as
/// the endpoint writes it; in Parquet the double that holds it exactly.
class Numbers {
 public:
  Numbers(std::string name, bool is_csv) : is_csv_(is_csv), texts_(name) {
    column_.name = std::move(name);
    column_.type = expr::Type::kDouble;
  }
  void add(float value) {
    if (is_csv_)
      texts_.add(texts_.code_of(fmt::format("{}", value)));
    else
      column_.doubles.push_back(static_cast<double>(value));
  }
  table::Column finish() { return is_csv_ ? texts_.finish() : std::move(column_); }

 private:
  bool is_csv_;
  table::Column column_;
  Texts texts_;
};

/// What a task adds to the output, by name and type.
std::vector<table::ColumnInfo> answer_columns(const score::Plan& plan, bool is_csv) {
  const auto number = is_csv ? expr::Type::kString : expr::Type::kDouble;
  const stats::Task& task = plan.task();
  if (task.kind == stats::TaskKind::kBinary) return {{"probability", number}};
  if (task.kind == stats::TaskKind::kRegression) {
    std::vector<table::ColumnInfo> out{{"value", number}};
    if (plan.conformal()) out.insert(out.end(), {{"lower", number}, {"upper", number}});
    return out;
  }
  std::vector<table::ColumnInfo> out{{"label", expr::Type::kString}};
  for (const auto& name : task.classes) out.push_back({"probabilities." + name, number});
  if (plan.conformal()) out.push_back({"set", expr::Type::kString});
  return out;
}

/// The answers of one chunk as those columns.
class AnswerWriter {
 public:
  AnswerWriter(const score::Plan& plan, bool is_csv) : plan_(plan) {
    for (const auto& column : answer_columns(plan, is_csv)) {
      // `label` and `set` are texts in any file.
      if (is_text(column.name))
        texts_.emplace_back(column.name);
      else
        numbers_.emplace_back(column.name, is_csv);
    }
  }

  void add(std::span<const float> prediction) {
    const stats::Task& task = plan_.task();
    for (std::size_t k = 0; k < prediction.size(); ++k) numbers_[k].add(prediction[k]);
    const auto& interval = plan_.conformal();
    if (task.kind == stats::TaskKind::kClasses) {
      texts_[0].add(texts_[0].code_of(task.classes[stats::Task::best(prediction)]));
      if (!interval) return;
      auto set = doc::Value::array();
      for (const std::size_t k : stats::conformal_set(prediction, interval->quantile))
        set.push(task.classes[k]);
      texts_[1].add(texts_[1].code_of(doc::to_json(set)));
    } else if (interval) {
      // Those that the endpoint answers.
      const auto ends = stats::conformal_bounds(prediction[0], interval->quantile);
      numbers_[1].add(ends.lower);
      numbers_[2].add(ends.upper);
    }
  }

  /// In the order of `answer_columns`: the label first, the set last.
  void finish(std::vector<table::Column>& columns) {
    if (!texts_.empty()) columns.push_back(texts_[0].finish());
    for (auto& each : numbers_) columns.push_back(each.finish());
    if (texts_.size() > 1) columns.push_back(texts_[1].finish());
  }

 private:
  [[nodiscard]] bool is_text(std::string_view name) const {
    return plan_.task().kind == stats::TaskKind::kClasses && (name == "label" || name == "set");
  }

  const score::Plan& plan_;
  std::vector<Texts> texts_;
  std::vector<Numbers> numbers_;
};

/// By any of its names, whether it is there yet or not: to rename over the input, or the served
/// rows over the refused ones, would lose them.
bool same_file(const std::string& a, const std::string& b) {
  std::error_code failed;
  if (std::filesystem::equivalent(a, b, failed) && !failed) return true;
  const auto place_of = [&](const std::string& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, failed), failed);
  };
  return a == b || place_of(a) == place_of(b);
}

bool is_csv(const std::string& path) { return path.ends_with(".csv"); }

class Scoring {
 public:
  Scoring(const score::Plan& plan, const Options& options)
      : plan_(plan), options_(options), bundle_(plan.bundle().str()) {}

  Result<Report> run() {
    HEDDLE_ASSIGN_OR_RETURN(parts_, table::parts_of(options_.input));
    // First, to be compared with at the end.
    HEDDLE_ASSIGN_OR_RETURN(const std::string before, table::stamp_of(parts_));
    HEDDLE_TRY(open());
    HEDDLE_TRY(find_duplicates());
    HEDDLE_ASSIGN_OR_RETURN(report_.input, table::digest_of(parts_));
    const auto begun = std::chrono::steady_clock::now();
    for (;;) {
      HEDDLE_ASSIGN_OR_RETURN(const auto chunk, file_->next());
      if (!chunk) break;
      HEDDLE_TRY(score(*chunk));
      if (options_.progress) options_.progress(report_.rows);
    }
    HEDDLE_ASSIGN_OR_RETURN(report_.output, served_->finish());
    HEDDLE_ASSIGN_OR_RETURN(report_.refused_output, refused_->finish());
    report_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const auto after = table::stamp_of(parts_);
    // Its digest would be of other rows than those that were scored.
    if (!after.ok() || *after != before) {
      return Error{ErrorKind::kConflict, "score-input-changed",
                   fmt::format("`{}` was written to while it was scored", options_.input.text()),
                   "score it again when it is complete"};
    }
    describe();
    // Refused first: where the served rows are, the others are too.
    report_.publish = [served = served_, refused = refused_]() -> Result<void> {
      HEDDLE_TRY(refused->publish());
      return served->publish();
    };
    return std::move(report_);
  }

 private:
  Result<table::ReadOptions> reading_options() const {
    table::ReadOptions reading;
    // Refused rows and carried columns are written as they came: cells are read by `Cells`, row by
    // row.
    reading.as_written = true;
    for (const auto& field : plan_.contract().fields())
      reading.types.emplace(field.name, field.type);
    reading.as_text = plan_.contract().text_fields();
    // Nobody chose: every column is read.
    if (options_.columns.empty()) return reading;
    HEDDLE_ASSIGN_OR_RETURN(const auto all, table::read_schema(options_.input));
    auto& read = reading.columns;
    read = options_.columns;
    // Read in any case; whether it is carried is another matter.
    for (const auto& field : plan_.contract().request_fields()) {
      const bool there = std::any_of(all.begin(), all.end(),
                                     [&](const auto& column) { return column.name == field.name; });
      if (there && std::find(read.begin(), read.end(), field.name) == read.end())
        read.push_back(field.name);
    }
    return reading;
  }

  [[nodiscard]] bool is_carried(const std::string& name) const {
    const auto& columns = options_.columns;
    return columns.empty() || std::find(columns.begin(), columns.end(), name) != columns.end();
  }

  /// The file has none of the columns that the output adds.
  Result<void> check_free(const std::vector<table::ColumnInfo>& answers) const {
    const auto is_added = [&](const std::string& name) {
      return name == "validation" || name == "bundle" || (repairs() && name == "repairs") ||
             std::any_of(answers.begin(), answers.end(),
                         [&](const table::ColumnInfo& each) { return each.name == name; });
    };
    for (const auto& column : file_->columns()) {
      if (is_added(column.name)) {
        return Error{ErrorKind::kInvalid, "score-column-taken",
                     fmt::format("`{}` has a column `{}`, which the output adds",
                                 options_.input.text(), column.name),
                     "rename it, or name the columns to carry with --columns"};
      }
    }
    return {};
  }

  Result<void> open() {
    const std::string refused =
        options_.refused.empty() ? refused_path(options_.output) : options_.refused;
    const bool is_input = std::any_of(parts_.begin(), parts_.end(), [&](const auto& part) {
      return same_file(options_.output, part.path) || same_file(refused, part.path);
    });
    if (is_input || same_file(refused, options_.output)) {
      return Error{ErrorKind::kInvalid, "score-same-file",
                   "two of the input, the output and the refused rows are one file",
                   "name three different files"};
    }
    HEDDLE_ASSIGN_OR_RETURN(const table::ReadOptions reading, reading_options());
    HEDDLE_ASSIGN_OR_RETURN(auto file, table::TableReader::open(options_.input, reading));
    if (options_.joiner != nullptr) {
      HEDDLE_ASSIGN_OR_RETURN(file, upstream::with_joined(std::move(file), options_.input,
                                                          *options_.joiner, plan_.contract()));
      for (const auto& field : options_.joiner->fields()) report_.computed.push_back(field.name);
    }
    // A chunk is read while the one before is scored.
    file_ = options_.threads > 1 ? table::read_ahead(std::move(file)) : std::move(file);
    HEDDLE_ASSIGN_OR_RETURN(
        auto cells, Cells::match(plan_.contract().request_fields(), *file_, options_.input.text()));
    HEDDLE_ASSIGN_OR_RETURN(report_.written, table::form_in_words(options_.input, reading.types));
    cells_.emplace(std::move(cells));
    report_.left_out = file_->left_out();
    report_.absent = cells_->absent();
    std::vector<table::ColumnInfo> carried;
    for (std::size_t i = 0; i < file_->columns().size(); ++i) {
      const auto& column = file_->columns()[i];
      if (!is_carried(column.name)) continue;
      keys_.push_back(i);
      carried.push_back(column);
    }
    std::vector<table::ColumnInfo> all = file_->columns();
    const auto answers = answer_columns(plan_, is_csv(options_.output));
    HEDDLE_TRY(check_free(answers));
    const table::ColumnInfo validation{"validation", expr::Type::kString},
        bundle{"bundle", expr::Type::kString};
    carried.insert(carried.end(), answers.begin(), answers.end());
    for (auto* columns : {&carried, &all}) {
      columns->push_back(validation);
      if (repairs()) columns->push_back({"repairs", expr::Type::kString});
      columns->push_back(bundle);
    }
    HEDDLE_ASSIGN_OR_RETURN(auto served_writer,
                            table::TableWriter::open(options_.output, std::move(carried)));
    served_ = std::move(served_writer);
    HEDDLE_ASSIGN_OR_RETURN(auto refused_writer, table::TableWriter::open(refused, std::move(all)));
    refused_ = std::move(refused_writer);
    for (unsigned i = 0; i < std::max(1u, options_.threads); ++i)
      shares_.emplace_back(
          Profile(plan_.contract().request_fields(), plan_.task().kind, options_.baseline));
    return {};
  }

  /// The rows that others of the file stand for. The file is read twice: which is first or last is
  /// known at its end.
  Result<void> find_duplicates() {
    repaired_.assign(plan_.contract().repairs().size(), 0);
    const auto& rule = plan_.contract().deduplicate();
    if (!rule || options_.keeps_duplicates) return {};
    table::ReadOptions reading;
    const auto is_among = [](const std::vector<std::string>& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const auto& field : plan_.contract().request_fields()) {
      reading.types.emplace(field.name, field.type);
      if (!is_among(report_.absent, field.name) && !is_among(report_.computed, field.name))
        reading.columns.push_back(field.name);
    }
    reading.as_text = plan_.contract().text_fields();
    if (!options_.duplicates_column.empty()) reading.columns.push_back(options_.duplicates_column);
    HEDDLE_ASSIGN_OR_RETURN(auto file, table::TableReader::open(options_.input, reading));
    contract::Deduplicator duplicates(*rule);
    std::vector<std::int64_t> of_another_file;
    std::int64_t first = 0;
    for (;;) {
      HEDDLE_ASSIGN_OR_RETURN(auto chunk, file->next());
      if (!chunk) break;
      if (options_.joiner != nullptr) {
        HEDDLE_ASSIGN_OR_RETURN(*chunk, options_.joiner->join(std::move(*chunk)));
      }
      HEDDLE_ASSIGN_OR_RETURN(const auto whole, with_absent(std::move(*chunk)));
      HEDDLE_ASSIGN_OR_RETURN(const auto check,
                              plan_.contract().check_table(whole, options_.threads));
      std::vector<std::int64_t> numbers;
      for (std::int64_t row = 0; row < whole.rows(); ++row) {
        // A row that is refused stands for no other.
        if (check.refused[static_cast<std::size_t>(row)] != 0) continue;
        numbers.push_back(first + row);
        if (is_marked(whole, row)) of_another_file.push_back(first + row);
      }
      HEDDLE_TRY(duplicates.add(check.accepted, numbers));
      first += whole.rows();
    }
    const auto found = std::move(duplicates).finish();
    std::set_union(found.begin(), found.end(), of_another_file.begin(), of_another_file.end(),
                   std::back_inserter(duplicates_));
    return {};
  }

  /// Whether the file says that the row was a duplicate when it was refused.
  [[nodiscard]] bool is_marked(const table::Table& rows, std::int64_t row) const {
    const auto* column = rows.find(options_.duplicates_column);
    if (column == nullptr || column->type != expr::Type::kString) return false;
    const auto rules = column->view().at(row);
    return !rules.is_null() && rules.str().find(kDeduplicate) != std::string_view::npos;
  }

  /// The rows with a column of missing values for each field that the file does not have.
  Result<table::Table> with_absent(table::Table rows) const {
    for (const auto& field : plan_.contract().request_fields()) {
      const auto& absent = report_.absent;
      if (std::find(absent.begin(), absent.end(), field.name) == absent.end()) continue;
      table::Column column{.name = field.name, .type = field.type};
      const auto count = static_cast<std::size_t>(rows.rows());
      column.valid.assign(count, 0);
      if (field.type == expr::Type::kDouble) {
        column.doubles.assign(count, 0);
      } else if (field.type == expr::Type::kString) {
        column.codes.assign(count, 0);
        column.dictionary = std::make_shared<const table::Dictionary>(std::vector<std::string>{""});
      } else {
        column.ints.assign(count, 0);
      }
      HEDDLE_ASSIGN_OR_RETURN(rows, rows.with_column(std::move(column)));
    }
    return rows;
  }

  Result<void> score(const table::Table& chunk) {
    const auto sources = cells_->of(chunk);
    const auto most = static_cast<std::int64_t>(shares_.size());
    const std::int64_t count = std::clamp<std::int64_t>(chunk.rows() / kFewestRowsAThread, 1, most);
    std::vector<std::int64_t> duplicates;
    // Numbers of rows of the file, as places in this chunk.
    for (; next_duplicate_ < duplicates_.size() &&
           duplicates_[next_duplicate_] < report_.rows + chunk.rows();
         ++next_duplicate_)
      duplicates.push_back(duplicates_[next_duplicate_] - report_.rows);
    const auto share = [&](std::int64_t i) {
      score_rows(plan_, options_.accepts, *cells_, sources, duplicates, chunk.rows() * i / count,
                 chunk.rows() * (i + 1) / count, shares_[static_cast<std::size_t>(i)]);
    };
    {
      std::vector<std::jthread> others;
      for (std::int64_t i = 1; i < count; ++i) others.emplace_back(share, i);
      share(0);
    }
    // A short chunk leaves shares without work: what they hold is of the chunk before.
    for (std::int64_t i = count; i < most; ++i) shares_[static_cast<std::size_t>(i)].clear();
    HEDDLE_TRY(write_served(chunk));
    HEDDLE_TRY(write_refused(chunk));
    report_.rows += chunk.rows();
    return {};
  }

  /// The rules as they stand in the output, counted once a row.
  std::string name_rules(const std::vector<std::uint16_t>& rules, std::int64_t rows) {
    std::string out;
    for (const auto rule : rules) {
      const std::string id =
          rule == kDuplicate ? std::string(kDeduplicate) : plan_.contract().rules()[rule].id;
      report_.rules[id] += rows;
      out += (out.empty() ? "" : ",") + id;
    }
    return out;
  }

  /// The `validation` column of one kind of row, over all shares.
  table::Column validation(std::vector<std::uint32_t> Share::* which, std::int64_t* warned) {
    Texts texts("validation");
    for (auto& share : shares_) {
      const auto& sets = share.broken.sets;
      std::vector<std::int64_t> rows(sets.size(), 0);
      for (const auto place : share.*which) ++rows[place];
      std::vector<std::int32_t> codes(sets.size());
      // Each set of rules is written once, and counted for all of its rows.
      for (std::size_t i = 0; i < codes.size(); ++i) {
        if (rows[i] > 0) codes[i] = texts.code_of(name_rules(sets[i], rows[i]));
        if (warned != nullptr && !sets[i].empty()) *warned += rows[i];
      }
      for (const auto place : share.*which) texts.add(codes[place], !sets[place].empty());
    }
    return texts.finish();
  }

  /// Whether the contract has any: then the rows say which were made.
  [[nodiscard]] bool repairs() const { return !plan_.contract().repairs().empty(); }

  /// The `repairs` column likewise; counts the values that each changed.
  table::Column repairs_column(std::vector<std::uint32_t> Share::* which) {
    Texts texts("repairs");
    for (auto& share : shares_) {
      const auto& sets = share.repaired.sets;
      std::vector<std::int32_t> codes(sets.size());
      std::vector<std::string> names(sets.size());
      for (std::size_t i = 0; i < sets.size(); ++i) {
        for (const auto repair : sets[i])
          names[i] += (names[i].empty() ? "" : ",") + plan_.contract().repairs()[repair].id;
        codes[i] = texts.code_of(names[i]);
      }
      for (const auto place : share.*which) {
        texts.add(codes[place], !sets[place].empty());
        for (const auto repair : sets[place]) ++repaired_[repair];
      }
    }
    return texts.finish();
  }

  table::Column bundle_column(std::int64_t rows) const {
    Texts texts("bundle");
    texts.add(texts.code_of(bundle_), static_cast<std::size_t>(rows));
    return texts.finish();
  }

  Result<void> write_served(const table::Table& chunk) {
    std::vector<std::int64_t> rows;
    AnswerWriter answers(plan_, is_csv(options_.output));
    const std::size_t outputs = plan_.task().outputs();
    for (const auto& share : shares_) {
      rows.insert(rows.end(), share.served.begin(), share.served.end());
      for (std::size_t at = 0; at < share.predictions.size(); at += outputs)
        answers.add(std::span(share.predictions).subspan(at, outputs));
    }
    if (rows.empty()) return {};
    report_.served += static_cast<std::int64_t>(rows.size());
    const table::Table taken = chunk.take(rows);
    keep_ids(taken);
    std::vector<table::Column> columns;
    for (const auto key : keys_) columns.push_back(taken.columns()[key]);
    answers.finish(columns);
    columns.push_back(validation(&Share::served_broken, &report_.warned));
    if (repairs()) columns.push_back(repairs_column(&Share::served_repaired));
    columns.push_back(bundle_column(taken.rows()));
    HEDDLE_ASSIGN_OR_RETURN(const auto out, table::Table::make(std::move(columns)));
    return served_->append(out);
  }

  void keep_ids(const table::Table& served) {
    const auto* column = options_.id_column.empty() ? nullptr : served.find(options_.id_column);
    if (column == nullptr || column->type != expr::Type::kString) return;
    const auto view = column->view();
    for (std::int64_t row = 0; row < view.length; ++row) {
      const auto value = view.at(row);
      if (!value.is_null()) report_.served_ids.emplace_back(value.str());
    }
  }

  Result<void> write_refused(const table::Table& chunk) {
    std::vector<std::int64_t> rows;
    for (const auto& share : shares_)
      rows.insert(rows.end(), share.refused.begin(), share.refused.end());
    if (rows.empty()) return {};
    report_.refused += static_cast<std::int64_t>(rows.size());
    const table::Table taken = chunk.take(rows);
    std::vector<table::Column> columns(taken.columns().begin(), taken.columns().end());
    columns.push_back(validation(&Share::refused_broken, nullptr));
    if (repairs()) columns.push_back(repairs_column(&Share::refused_repaired));
    columns.push_back(bundle_column(taken.rows()));
    HEDDLE_ASSIGN_OR_RETURN(const auto out, table::Table::make(std::move(columns)));
    return refused_->append(out);
  }

  void describe() {
    for (std::size_t i = 1; i < shares_.size(); ++i) shares_[0].profile.merge(shares_[i].profile);
    for (std::size_t i = 0; i < repaired_.size(); ++i) {
      if (repaired_[i] > 0) report_.repaired[plan_.contract().repairs()[i].id] = repaired_[i];
    }
    FileProfile profile;
    profile.bundle = plan_.bundle();
    profile.slot = options_.slot;
    profile.input = report_.input;
    profile.output = report_.output;
    profile.refused_output = report_.refused_output;
    profile.joined = options_.joined;
    profile.rows = report_.rows;
    profile.served = report_.served;
    profile.refused = report_.refused;
    profile.warned = report_.warned;
    profile.rules = report_.rules;
    profile.repaired = report_.repaired;
    shares_[0].profile.describe(profile);
    report_.profile = profile_schema().print(profile);
  }

  const score::Plan& plan_;
  const Options& options_;
  std::vector<table::Part> parts_;  ///< the files of the input
  std::string bundle_;
  std::unique_ptr<table::TableReader> file_;
  std::optional<Cells> cells_;
  std::vector<std::size_t> keys_;  ///< the columns carried, as they stand in a chunk
  std::shared_ptr<table::TableWriter> served_, refused_;
  std::vector<Share> shares_;
  std::vector<std::int64_t> repaired_;    ///< values that each repair changed
  std::vector<std::int64_t> duplicates_;  ///< rows of the file that others stand for, ascending
  std::size_t next_duplicate_ = 0;
  Report report_;
};

}  // namespace

std::string refused_path(const std::string& output) {
  const auto dot = output.rfind('.');
  return output.substr(0, dot) + ".refused" + (dot == std::string::npos ? "" : output.substr(dot));
}

Result<Report> score_file(const score::Plan& plan, const Options& options) {
  return Scoring(plan, options).run();
}

}  // namespace heddle::batch
