#include "control/compare.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "control/traffic.hpp"
#include "control/work_files.hpp"
#include "control/work_inputs.hpp"
#include "doc/json.hpp"
#include "evaluate/paired.hpp"
#include "flow/held_out.hpp"
#include "score/plan.hpp"
#include "stats/quality.hpp"

namespace heddle::control {
namespace {

constexpr std::int64_t kMostRows = 10'000;
constexpr std::int64_t kLeastRows = 200;  ///< as for a retrain: fewer say little of either

struct Side {
  bundle::Bundle bundle;
  std::unique_ptr<const score::Plan> plan{};
};

Error impossible(std::string why) {
  return {ErrorKind::kUnprocessable, "comparison-impossible", std::move(why)};
}

/// Makes the side ready to score.
Result<void> load(Side& side) {
  // It would start a worker, or ask an upstream server, for old rows.
  if (side.bundle.has(bundle::kRuntime)) {
    return impossible(fmt::format("bundle {} is scored by a runtime, not beside the traffic",
                                  side.bundle.digest().short_str()));
  }
  auto plan = score::Plan::load(side.bundle);
  if (!plan.ok()) {
    return impossible(fmt::format("bundle {} cannot be scored: {}",
                                  side.bundle.digest().short_str(), plan.error().message));
  }
  side.plan = *std::move(plan);
  return {};
}

/// The fields that either reads of a request, typed as both have them.
Result<std::vector<spec::Field>> fields_of_both(const Side& base, const Side& candidate) {
  const auto wanted = base.plan->contract().request_fields();
  // The base's first, in its order; the candidate adds what only it reads.
  std::vector<spec::Field> fields(wanted.begin(), wanted.end());
  for (const auto& field : candidate.plan->contract().request_fields()) {
    const auto same = std::find_if(fields.begin(), fields.end(), [&](const spec::Field& other) {
      return other.name == field.name;
    });
    if (same == fields.end()) {
      fields.push_back(field);
    } else if (same->type != field.type) {
      // One reading of the row cannot be right for both.
      return impossible(
          fmt::format("field `{}` has another type in each of the two contracts", field.name));
    }
  }
  return fields;
}

/// Event time up to which the model learned; INT64_MIN: it says nothing of it. A retrained bundle
/// that does not say is compared on nothing.
Result<Micros> learned_until(const Side& side) {
  using Kind = bundle::Learned::Kind;
  const auto& config = side.bundle.config();
  if (config.learned.kind == Kind::kUntil) return config.learned.until;
  if (config.learned.kind == Kind::kNoTime && !config.is_retrained()) return INT64_MIN;
  return impossible(
      fmt::format("bundle {} was retrained on recorded traffic and does not say up to when",
                  side.bundle.digest().short_str()));
}

/// Labelled rows that both can be asked, and what is to be known of them.
struct Rows {
  table::Table table{};
  std::vector<double> labels{};  ///< codes of the base's task
  std::vector<Micros> times{};   ///< empty: they have no order in time
  std::string of{};
  std::string note{};
};

/// Rows that both answer.
struct Answered {
  std::vector<std::int64_t> rows;
  std::vector<float> base, candidate;  ///< margins
  std::vector<double> labels;
  std::int64_t refused_by_base = 0, refused_by_candidate = 0;
};

Result<Answered> answer(const Side& base, const Side& candidate, const Rows& rows) {
  if (static_cast<std::int64_t>(rows.labels.size()) < kLeastRows) {
    return impossible(fmt::format("there are {} that neither has learned from; {} are wanted",
                                  rows.labels.size(), kLeastRows));
  }
  const auto by_base = base.plan->score_table(rows.table);
  const auto by_candidate = candidate.plan->score_table(rows.table);
  for (const auto* scored : {&by_base, &by_candidate}) {
    if (!scored->ok()) return impossible("they cannot be scored: " + scored->error().message);
  }
  Answered out;
  for (std::size_t row = 0; row < rows.labels.size(); ++row) {
    // Counted for both even where the row is left out:
    // many refusals are a difference that no metric shows.
    out.refused_by_base += by_base->refused[row];
    out.refused_by_candidate += by_candidate->refused[row];
    if (by_base->refused[row] != 0 || by_candidate->refused[row] != 0) continue;
    out.rows.push_back(static_cast<std::int64_t>(row));
    const auto add = [&](const score::TableResult& from, std::vector<float>& to) {
      const auto begin = from.margins.begin() + static_cast<std::ptrdiff_t>(row * from.outputs);
      // Margins of a row stand side by side, as many as the model has outputs.
      to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(from.outputs));
    };
    add(*by_base, out.base);
    add(*by_candidate, out.candidate);
    out.labels.push_back(rows.labels[row]);
  }
  const auto count = static_cast<std::int64_t>(out.labels.size());
  const bool varies = std::any_of(out.labels.begin(), out.labels.end(),
                                  [&](double label) { return label != out.labels.front(); });
  // Of labels that are all alike every loss is that of a constant.
  if (count < kLeastRows || !varies) {
    return impossible(
        fmt::format("both answer {} of {} labelled rows: too few, or all of one label", count,
                    rows.labels.size()));
  }
  return out;
}

/// What both are asked about.
struct Question {
  const ComparisonInput* input = nullptr;
  Side base;
  Side candidate;
  std::vector<spec::Field> fields{};
  Micros learned = INT64_MIN;  ///< the later of the two

  [[nodiscard]] std::string newer() const {
    return learned == INT64_MIN
               ? ""
               : fmt::format(" after {}, up to which they learned", format_time(learned));
  }
};

Result<Rows> rows_of_traffic(const Question& question, Comparison& out) {
  TrafficSelection selection;
  selection.limit = kMostRows;
  selection.until = question.input->until;
  selection.most_bytes = kMostCompared;
  selection.end = question.input->end;
  // A row that lacks a field could be refused by one of the two, and be compared for neither.
  selection.every_field = true;
  selection.task = question.base.plan->task();
  selection.progress = question.input->progress;
  // After what either learned: strictly, for the bound itself was learned from.
  if (question.learned != INT64_MIN) selection.from = question.learned + 1;
  auto traffic = read_labelled_rows(question.input->spool, question.fields, selection);
  if (!traffic.ok())
    return impossible("the recorded traffic cannot be read: " + traffic.error().message);
  out.traffic = ComparedTraffic{traffic->bytes, traffic->is_all};
  if (static_cast<std::int64_t>(traffic->labels.size()) < kLeastRows) {
    std::string why = fmt::format("the recorded traffic has {} labelled rows{}; {} are wanted",
                                  traffic->labels.size(), question.newer(), kLeastRows);
    if (!traffic->is_all) why += fmt::format("; its newest {} MiB were read", traffic->bytes >> 20);
    if (traffic->incomplete > 0)
      why += fmt::format("; {} more have no field `{}`", traffic->incomplete, traffic->lacks);
    return impossible(std::move(why));
  }
  HEDDLE_ASSIGN_OR_RETURN(auto codes, traffic->codes(selection.task));
  return Rows{std::move(traffic->rows), std::move(codes), std::move(traffic->event_times),
              "recorded traffic"};
}

/// What the candidate's run has kept, as far as neither learned from it.
Result<Rows> rows_held_out(const Question& question) {
  auto held =
      flow::read_held_out(*question.input->objects, question.candidate.bundle, question.fields);
  if (!held.ok()) return impossible(held.error().message);
  for (const auto& field : question.fields) {
    if (held->rows.find(field.name) == nullptr)
      return impossible(
          fmt::format("the candidate's held-out rows have no column `{}`", field.name));
  }
  Rows out{std::move(held->rows), std::move(held->labels), std::move(held->times),
           "the candidate's held-out rows"};
  // Nothing can be cut away; the note says so to who reads the verdict.
  if (out.times.empty() || question.learned == INT64_MIN) {
    out.note = "it is not known whether what serves has learned from some of these rows";
    return out;
  }
  // Rows that one of the two learned from would flatter it.
  const auto first = std::upper_bound(out.times.begin(), out.times.end(), question.learned);
  const auto skipped = first - out.times.begin();
  out.table = out.table.slice(skipped, out.table.rows());
  out.labels.erase(out.labels.begin(), out.labels.begin() + skipped);
  out.times.erase(out.times.begin(), first);
  return out;
}

/// Fills in what was measured on these rows.
Result<void> measure_on(const Question& question, const Rows& rows, Comparison& out) {
  HEDDLE_ASSIGN_OR_RETURN(const auto both, answer(question.base, question.candidate, rows));
  const spec::Evaluation
      definition;  // a metric of a project's own may read label fields, which traffic has not
  const auto answered = rows.table.take(both.rows);
  HEDDLE_ASSIGN_OR_RETURN(
      auto differences,
      evaluate::compare(definition, {&question.base.plan->task(), &answered, both.base,
                                     both.candidate, both.labels, question.base.plan->conformal(),
                                     question.candidate.plan->conformal()}));
  const auto time_of = [&](std::int64_t row) {
    return rows.times.empty() ? std::string()
                              : format_time(rows.times[static_cast<std::size_t>(row)]);
  };
  auto& about = out.rows.emplace();
  about.of = rows.of;
  about.from = time_of(both.rows.front());
  about.to = time_of(both.rows.back());
  about.count = std::ssize(both.labels);
  about.refused_by_base = both.refused_by_base;
  about.refused_by_candidate = both.refused_by_candidate;
  if (question.base.plan->task().kind == stats::TaskKind::kBinary)
    about.positive = std::count(both.labels.begin(), both.labels.end(), 1);
  about.note = rows.note;
  out.loss = std::string(stats::loss_name(question.base.plan->task().kind));
  out.verdict = evaluate::verdict(differences);
  out.metrics = std::move(differences);
  return {};
}

bool cannot(const Result<void>& result) {
  return !result.ok() && result.error().id == "comparison-impossible";
}

/// Fills in what was measured. `comparison-impossible`: there is nothing to be measured.
Result<void> measure(Question& question, Comparison& out) {
  HEDDLE_TRY(load(question.base));
  HEDDLE_TRY(load(question.candidate));
  if (question.base.plan->task() != question.candidate.plan->task())
    return impossible("the two are of different tasks, or of different classes");
  HEDDLE_ASSIGN_OR_RETURN(question.fields, fields_of_both(question.base, question.candidate));
  HEDDLE_ASSIGN_OR_RETURN(const Micros one, learned_until(question.base));
  HEDDLE_ASSIGN_OR_RETURN(const Micros other, learned_until(question.candidate));
  question.learned = std::max(one, other);
  const auto on_traffic = [&]() -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, rows_of_traffic(question, out));
    return measure_on(question, rows, out);
  };
  const auto on_held_out = [&]() -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, rows_held_out(question));
    return measure_on(question, rows, out);
  };
  const auto newest = on_traffic();
  // An error of I/O is one: only "there is nothing to measure" has the next best rows tried.
  if (!cannot(newest)) return newest;
  const auto kept = on_held_out();
  if (cannot(kept)) {
    return impossible(fmt::format("{}; on the candidate's held-out rows neither: {}",
                                  newest.error().message, kept.error().message));
  }
  HEDDLE_TRY(kept);
  out.why_not_traffic = newest.error().message;
  return {};
}

}  // namespace

Comparison not_compared(const Digest& base, const Digest& candidate, std::string why) {
  Comparison out;
  out.base = base;
  out.candidate = candidate;
  out.why = std::move(why);
  return out;
}

Result<Comparison> compare_bundles(const ComparisonInput& input) {
  if (input.base.empty() || input.base == input.candidate) {
    return not_compared(input.base, input.candidate,
                        input.base.empty() ? "nothing is released that it could be compared with"
                                           : "it is what serves");
  }
  HEDDLE_ASSIGN_OR_RETURN(auto candidate, bundle::open(*input.objects, input.candidate));
  auto base = bundle::open(*input.objects, input.base);
  if (!base.ok()) {
    // What serves and cannot be read must be replaceable all the same.
    return not_compared(input.base, input.candidate,
                        "what serves cannot be read: " + base.error().message);
  }
  Question question{&input, {*std::move(base)}, {std::move(candidate)}};
  Comparison out;
  out.base = input.base;
  out.candidate = input.candidate;
  out.compared = true;
  const auto measured = measure(question, out);
  if (cannot(measured)) return not_compared(input.base, input.candidate, measured.error().message);
  HEDDLE_TRY(measured);
  return out;
}

const doc::Schema<ComparisonRequest>& ComparisonRequest::schema() {
  static const auto schema = [] {
    auto t = doc::Schema<ComparisonRequest>::record("comparison request", "what is compared");
    t.of_format("heddle.comparison-request/1")
        .refused_as(ErrorKind::kCorrupt, "comparison-request", "ask for it anew");
    t.text("service", &ComparisonRequest::service, "name").filled();
    t.digest("base", &ComparisonRequest::base, "what serves");
    t.digest("candidate", &ComparisonRequest::candidate, "what is to serve").filled();
    t.micros("until", &ComparisonRequest::until, "labels that became known later are not seen");
    t.integer("segment", &ComparisonRequest::segment, "of the journal, the last that is read");
    t.integer("offset", &ComparisonRequest::offset, "in it, the end");
    return t;
  }();
  return schema;
}

std::string comparison_name(std::string_view op_id, const Digest& base, const Digest& candidate) {
  constexpr std::size_t kUnique = 16;  // hex digits
  // Of the operation and both bundles: the same question after a restart finds the work that runs.
  const auto all = sha256(fmt::format("{} {} {}", op_id, base.str(), candidate.str()));
  return "compare-" + all.hex().substr(0, kUnique);
}

Result<void> run_comparison(const std::string& dir, const Wiring& wiring) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_file(dir + "/" + kWorkRequest));
  HEDDLE_ASSIGN_OR_RETURN(const auto request, ComparisonRequest::schema().parse_text(text));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, wiring.open_objects(dir + "/" + kWorkObjects));
  ComparisonInput input;
  input.objects = objects.get();
  input.spool = dir + "/" + kWorkJournal;
  input.base = request.base;
  input.candidate = request.candidate;
  input.until = request.until;
  input.end = {request.segment, request.offset};
  input.progress = [&](std::uint64_t read, std::uint64_t of, std::int64_t rows) {
    // Only for who looks on: what cannot be told changes nothing.
    (void)write_file_atomic(dir + "/" + kWorkProgress,
                            doc::to_json(comparison_progress_schema().print({read, of, rows})));
  };
  HEDDLE_ASSIGN_OR_RETURN(const auto compared, compare_bundles(input));
  return write_file_atomic(dir + "/" + kWorkResult,
                           doc::to_json(comparison_schema().print(compared)));
}

}  // namespace heddle::control
