#include "parity/certify.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <condition_variable>
#include <limits>
#include <mutex>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "batch/batch.hpp"
#include "contract/written.hpp"
#include "doc/json.hpp"
#include "doc/numbers.hpp"
#include "serve/request.hpp"
#include "table/stream.hpp"

namespace heddle::parity {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr const char* kPlace = "row of the certificate";  ///< a column beside the fields
constexpr std::size_t kPadding = 64;                      ///< behind a body, for the reader
constexpr Micros kEast = 2 * kHour;

/// A time as a client two hours east of Greenwich writes it.
std::string in_the_east(Micros time) {
  std::string text = format_time(time + kEast);
  if (text.ends_with('Z')) text.pop_back();
  return text + "+02:00";
}

doc::Value to_json(const expr::Datum& datum, bool east) {
  using Kind = expr::Datum::Kind;
  switch (datum.kind) {
    case Kind::kBool: return datum.b;
    case Kind::kInt: return datum.i;
    case Kind::kDouble: return std::isnan(datum.d) ? doc::Value() : doc::exact_number(datum.d);
    case Kind::kString: return std::string(datum.str());
    case Kind::kTimestamp: return east ? in_the_east(datum.i) : format_time(datum.i);
    default: return nullptr;
  }
}

/// Rows as requests carry them, and what becomes of them.
class Requests {
 public:
  /// `written`: the rows as whoever keeps the contract writes them.
  Requests(const score::Plan& plan, const table::Table& written)
      : plan_(plan),
        fields_(plan.contract().request_fields()),
        names_(fields_),
        rows_(written),
        outputs_(plan.task().outputs()) {
    for (const auto& field : fields_) views_.push_back(written.find(field.name)->view());
  }

  /// Each row by itself.
  Result<std::vector<float>> one_by_one(bool east) {
    std::vector<float> out;
    score::RowResult result;
    for (std::int64_t row = 0; row < rows_.rows(); ++row) {
      HEDDLE_ASSIGN_OR_RETURN(const serve::Rows* sent, send(row, row + 1, east));
      plan_.score_row(sent->row(0, fields_.size()), result, scratch_);
      keep(result, out);
    }
    return out;
  }

  /// All rows in requests of several: a runtime gets each row by itself, all at the same time, so
  /// that its pool puts them together as it does with those of several clients.
  Result<std::vector<float>> together() {
    std::vector<float> out;
    for (std::int64_t begin = 0; begin < rows_.rows(); begin += kOfARequest) {
      const std::int64_t end = std::min(rows_.rows(), begin + kOfARequest);
      HEDDLE_ASSIGN_OR_RETURN(const serve::Rows* sent, send(begin, end, false));
      if (plan_.endpoint() != nullptr) {
        HEDDLE_TRY(ask_at_once(*sent, out));
        continue;
      }
      score::RowResult result;
      for (std::size_t i = 0; i < sent->count; ++i) {
        plan_.score_row(sent->row(i, fields_.size()), result, scratch_);
        keep(result, out);
      }
    }
    return out;
  }

 private:
  static constexpr std::int64_t kOfARequest = 64;

  /// These rows as the reader of requests takes them out of a body.
  Result<const serve::Rows*> send(std::int64_t begin, std::int64_t end, bool east) {
    doc::Value::Array list;
    for (std::int64_t row = begin; row < end; ++row) {
      doc::Value cells = doc::Value::object();
      for (std::size_t i = 0; i < fields_.size(); ++i) {
        const expr::Datum datum = views_[i].at(row);
        // What is missing may be left out as well as null: every second row does.
        if (datum.kind == expr::Datum::Kind::kNull && row % 2 == 1) continue;
        cells.set(fields_[i].name, to_json(datum, east));
      }
      list.push_back(std::move(cells));
    }
    body_ = doc::to_json(doc::Value::object({{"rows", std::move(list)}}));
    const std::size_t size = body_.size();
    body_.append(kPadding, '\0');
    return reader_.read_rows(std::string_view(body_).substr(0, size), names_,
                             static_cast<std::size_t>(end - begin));
  }

  void keep(const score::RowResult& result, std::vector<float>& out) const {
    if (result.prediction.empty())
      out.insert(out.end(), outputs_, kNaN);
    else
      out.insert(out.end(), result.prediction.begin(), result.prediction.end());
  }

  Result<void> ask_at_once(const serve::Rows& request, std::vector<float>& out) {
    std::vector<score::RowResult> results(request.count);
    std::vector<std::vector<float>> answers(request.count);
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t left = 0;
    Result<void> taken;
    const std::int64_t deadline =
        system_clock().mono_ns() + plan_.endpoint()->runtime().timeout_ms * 1'000'000;
    for (std::size_t i = 0; i < request.count && taken.ok(); ++i) {
      runtime::Rows row;
      plan_.prepare(request.row(i, fields_.size()), results[i], scratch_, row);
      if (results[i].check.refused) continue;
      {
        const std::lock_guard lock(mutex);
        ++left;
      }
      taken = plan_.endpoint()->submit(std::move(row), deadline,
                                       [&, i](Result<std::vector<float>> answer) {
                                         const std::lock_guard lock(mutex);
                                         if (answer.ok()) answers[i] = std::move(*answer);
                                         --left;
                                         changed.notify_one();
                                       });
      if (!taken.ok()) {
        const std::lock_guard lock(mutex);
        --left;
      }
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return left == 0; });
    HEDDLE_TRY(taken);
    for (std::size_t i = 0; i < request.count; ++i) {
      if (!results[i].check.refused) plan_.finish(answers[i], results[i]);
      keep(results[i], out);
    }
    return {};
  }

  const score::Plan& plan_;
  std::span<const spec::Field> fields_;
  serve::FieldNames names_;
  const table::Table& rows_;
  std::size_t outputs_;
  std::vector<expr::ColumnView> views_{};
  serve::RequestReader reader_{};
  score::Scratch scratch_{};
  std::string body_{};
};

/// What a scored file calls the answers.
std::vector<std::string> columns_of(const stats::Task& task) {
  if (task.kind == stats::TaskKind::kBinary) return {"probability"};
  if (task.kind == stats::TaskKind::kRegression) return {"value"};
  std::vector<std::string> out;
  for (const auto& name : task.classes) out.push_back("probabilities." + name);
  return out;
}

/// Writes the rows into a file, scores it as `heddle score` does, and reads the answers back.
Result<std::vector<float>> by_file(const Certifying& what, const table::Table& rows,
                                   const std::string& extension) {
  table::Column place{.name = kPlace, .type = table::Type::kInt};
  for (std::int64_t i = 0; i < rows.rows(); ++i) place.ints.push_back(i);
  HEDDLE_ASSIGN_OR_RETURN(const auto numbered, rows.with_column(std::move(place)));
  std::vector<table::ColumnInfo> columns;
  for (const auto& column : numbered.columns()) columns.push_back({column.name, column.type});
  const std::string path = what.folder + "/rows." + extension;
  HEDDLE_ASSIGN_OR_RETURN(const auto writer, table::TableWriter::open(path, columns));
  HEDDLE_TRY(writer->append(numbered));
  HEDDLE_TRY(writer->finish());
  HEDDLE_TRY(writer->publish());
  batch::Options options;
  options.input = {{path}, {}};
  options.output = what.folder + "/scored-" + extension + ".parquet";
  options.columns = {kPlace};
  // Probes are a row again and again, and each is compared.
  options.keeps_duplicates = true;
  HEDDLE_ASSIGN_OR_RETURN(const auto report, batch::score_file(*what.plan, options));
  HEDDLE_TRY(report.publish());
  const auto names = columns_of(what.plan->task());
  std::vector<float> out(static_cast<std::size_t>(rows.rows()) * names.size(), kNaN);
  if (report.served == 0) return out;
  HEDDLE_ASSIGN_OR_RETURN(const auto scored, table::read_table({{options.output}, {}}));
  HEDDLE_ASSIGN_OR_RETURN(const table::Column* places, scored.column(kPlace));
  for (std::size_t k = 0; k < names.size(); ++k) {
    HEDDLE_ASSIGN_OR_RETURN(const table::Column* answers, scored.column(names[k]));
    const auto view = answers->view();
    const auto at = places->view();
    for (std::int64_t i = 0; i < scored.rows(); ++i) {
      const expr::Datum number = at.at(i);
      // Of a CSV the place is the text that stood there.
      const std::int64_t row = number.kind == expr::Datum::Kind::kInt
                                   ? number.i
                                   : std::atoll(std::string(number.str()).c_str());
      const expr::Datum answer = view.at(i);
      if (answer.kind == expr::Datum::Kind::kDouble)
        out[static_cast<std::size_t>(row) * names.size() + k] = static_cast<float>(answer.d);
    }
  }
  return out;
}

/// Holds one way's answers against the library's.
class Comparison {
 public:
  Comparison(const Certifying& what, std::vector<float> library,
             const std::vector<std::uint8_t>& refused)
      : what_(what),
        names_(columns_of(what.plan->task())),
        library_(std::move(library)),
        refused_(refused) {}

  /// `left_out`: one a row, 1 where this way has no room for it; empty: of none.
  bundle::ParityPath compare(const std::string& name, std::span<const float> got,
                             std::span<const std::uint8_t> left_out) {
    bundle::ParityPath path{.name = name};
    const std::size_t outputs = names_.size();
    for (std::size_t row = 0; row < refused_.size(); ++row) {
      if (!left_out.empty() && left_out[row] != 0) continue;
      bool is_equal = true;
      for (std::size_t k = 0; k < outputs; ++k) {
        const float wanted = library_[row * outputs + k];
        const float answer = got[row * outputs + k];
        const double distance = difference(wanted, answer);
        is_equal = is_equal && distance == 0;
        path.largest = std::max(path.largest, distance);
        if (distance > what_.tolerance) note(name, row, k, wanted, answer);
      }
      ++path.rows;
      path.equal += is_equal ? 1 : 0;
    }
    return path;
  }

  [[nodiscard]] Result<void> verdict() const {
    if (count_ == 0) return {};
    return Error{ErrorKind::kUnprocessable, "parity-differs",
                 fmt::format("{}{}", first_,
                             count_ == 1 ? std::string()
                                         : fmt::format("; {} more answers differ", count_ - 1)),
                 "with `inputs: fields` a worker of the model's own library answers; where the two "
                 "may differ by so much, raise `exec.tolerance`"};
  }

 private:
  /// 0 for the same float, and where neither answers; infinite where one does.
  [[nodiscard]] double difference(float wanted, float got) const {
    if (std::isnan(wanted) && std::isnan(got)) return 0;
    if (wanted == got) return 0;
    if (std::isnan(wanted) || std::isnan(got)) return std::numeric_limits<double>::infinity();
    const bool is_value = what_.plan->task().kind == stats::TaskKind::kRegression;
    const double scale = is_value ? std::max(1.0, std::abs(static_cast<double>(wanted))) : 1.0;
    return std::abs(static_cast<double>(wanted) - static_cast<double>(got)) / scale;
  }

  void note(const std::string& path, std::size_t row, std::size_t k, float wanted, float got) {
    if (count_++ > 0) return;
    const auto words = [](float answer) {
      return std::isnan(answer) ? std::string("nothing") : fmt::format("{:.9g}", answer);
    };
    first_ = fmt::format("{}, `{}`: the model's library answers {}, the service answers {} ({})",
                         what_.probed->name_of(static_cast<std::int64_t>(row)), names_[k],
                         words(wanted), words(got), path);
  }

  const Certifying& what_;
  std::vector<std::string> names_;
  std::vector<float> library_;
  const std::vector<std::uint8_t>& refused_;
  std::size_t count_ = 0;
  std::string first_{};
};

/// The library's answers at the places of all rows, and what is said of the probes.
Result<std::vector<float>> ask_library(const Certifying& what, const contract::TableCheck& check,
                                       bundle::ParityCertificate& out) {
  const std::size_t outputs = what.plan->task().outputs();
  HEDDLE_ASSIGN_OR_RETURN(const auto answers, what.library(check.accepted));
  std::vector<float> placed(check.refused.size() * outputs, kNaN);
  const Probed& probed = *what.probed;
  for (const auto& kind : probed.kinds) out.probes.push_back({.what = kind});
  std::size_t next = 0;
  for (std::size_t row = 0; row < check.refused.size(); ++row) {
    const auto at = static_cast<std::int64_t>(row) - probed.sampled;
    auto* const probe =
        at < 0
            ? nullptr
            : &out.probes[static_cast<std::size_t>(probed.kind_of[static_cast<std::size_t>(at)])];
    if (probe != nullptr) ++probe->rows;
    if (check.refused[row] != 0) {
      if (probe != nullptr) ++probe->refused;
      continue;
    }
    std::copy_n(answers.begin() + static_cast<std::ptrdiff_t>(next++ * outputs), outputs,
                placed.begin() + static_cast<std::ptrdiff_t>(row * outputs));
    const bool is_answered = std::isfinite(placed[row * outputs]);
    out.answered += is_answered ? 1 : 0;
    if (probe != nullptr && !is_answered) ++probe->unanswered;
  }
  if (out.answered > 0) return placed;
  return Error{ErrorKind::kUnprocessable, "parity-no-answer",
               fmt::format("the model's library answers none of {} rows of the sample",
                           check.accepted.rows()),
               "ask it by hand for a row of the sample: `heddle run` shows what it prints"};
}

/// Times that can be written in another zone; where the contract has layouts, they say how.
bool has_times(std::span<const spec::Field> fields) {
  return std::any_of(fields.begin(), fields.end(), [](const spec::Field& field) {
    return field.type == expr::Type::kTimestamp && field.form == spec::Form::kAny &&
           !field.repairs.reads_text();
  });
}

Error unwritable(const Certifying& what) {
  std::string fields;
  for (const auto& field : what.plan->contract().request_fields()) {
    if (field.repairs.reads_text())
      fields += fmt::format("{}`{}`", fields.empty() ? "" : ", ", field.name);
  }
  return Error{ErrorKind::kUnprocessable, "parity-unwritable",
               fmt::format("no row of the sample can be written in the layouts of {}: requests and "
                           "CSV could not carry any",
                           fields),
               "add a layout to `dates` that holds these times, for example `ISO 8601`"};
}

}  // namespace

Result<bundle::ParityCertificate> certify(const Certifying& what) {
  bundle::ParityCertificate out;
  out.rows = what.probed->rows.rows();
  out.tolerance = what.tolerance;
  HEDDLE_ASSIGN_OR_RETURN(const auto check, what.plan->contract().check_table(what.probed->rows));
  HEDDLE_ASSIGN_OR_RETURN(auto library, ask_library(what, check, out));
  Comparison comparison(what, std::move(library), check.refused);
  // Parquet has values; where there are only texts, they are written as the contract reads them.
  HEDDLE_ASSIGN_OR_RETURN(
      const auto written,
      contract::written_rows(what.plan->contract().request_fields(), what.probed->rows));
  const auto& left_out = written.unwritable;
  if (std::count(left_out.begin(), left_out.end(), 0) == 0) return unwritable(what);
  Requests requests(*what.plan, written.rows);
  HEDDLE_ASSIGN_OR_RETURN(const auto csv, by_file(what, written.rows, "csv"));
  out.paths.push_back(comparison.compare("csv", csv, left_out));
  HEDDLE_ASSIGN_OR_RETURN(const auto parquet, by_file(what, what.probed->rows, "parquet"));
  out.paths.push_back(comparison.compare("parquet", parquet, {}));
  HEDDLE_ASSIGN_OR_RETURN(const auto single, requests.one_by_one(false));
  out.paths.push_back(comparison.compare("request", single, left_out));
  HEDDLE_ASSIGN_OR_RETURN(const auto together, requests.together());
  out.paths.push_back(comparison.compare("batch", together, left_out));
  if (has_times(what.plan->contract().request_fields())) {
    HEDDLE_ASSIGN_OR_RETURN(const auto zones, requests.one_by_one(true));
    out.paths.push_back(comparison.compare("zones", zones, left_out));
  }
  HEDDLE_TRY(comparison.verdict());
  return out;
}

}  // namespace heddle::parity
