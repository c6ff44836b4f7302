#include "control/compare.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "bundle/bundle.hpp"
#include "control/traffic.hpp"
#include "evaluate/evaluate.hpp"
#include "score/plan.hpp"

namespace heddle::control {
namespace {

constexpr std::int64_t kMostRows = 10'000;
constexpr std::int64_t kLeastRows = 200;  ///< as for a retrain: fewer say little of either

struct Side {
  bundle::Bundle bundle;
  std::unique_ptr<const score::Plan> plan;
};

Error not_compared(std::string why) {
  return {ErrorKind::kUnprocessable, "comparison-impossible", std::move(why)};
}

/// Makes the side ready to score.
Result<void> load(Side& side) {
  if (side.bundle.has(bundle::kRuntime)) {
    return not_compared(fmt::format("bundle {} is scored by a runtime, not beside the traffic",
                                    side.bundle.digest().short_str()));
  }
  auto plan = score::Plan::load(side.bundle);
  if (!plan.ok()) {
    return not_compared(fmt::format("bundle {} cannot be scored: {}",
                                    side.bundle.digest().short_str(), plan.error().message));
  }
  side.plan = *std::move(plan);
  return {};
}

/// The fields that either reads of a request, typed as both have them.
Result<std::vector<spec::Field>> fields_of_both(const Side& base, const Side& candidate) {
  const auto wanted = base.plan->contract().request_fields();
  std::vector<spec::Field> fields(wanted.begin(), wanted.end());
  for (const auto& field : candidate.plan->contract().request_fields()) {
    const auto same = std::find_if(fields.begin(), fields.end(), [&](const spec::Field& other) {
      return other.name == field.name;
    });
    if (same == fields.end()) {
      fields.push_back(field);
    } else if (same->type != field.type) {
      return not_compared(
          fmt::format("field `{}` has another type in each of the two contracts", field.name));
    }
  }
  return fields;
}

/// Event time up to which recorded traffic taught the model; a retrained bundle that does not say
/// is compared on nothing.
Result<Micros> learned_until(const Side& side) {
  const auto& config = side.bundle.config();
  const auto* until = config.find("learned_until");
  if (until != nullptr && until->is_int()) return until->as_int();
  const auto* change = config.find("change");
  if (until == nullptr && (change == nullptr || change->string_or("kind") != "retrain"))
    return INT64_MIN;
  return not_compared(
      fmt::format("bundle {} was retrained on recorded traffic and does not say up to when",
                  side.bundle.digest().short_str()));
}

/// Rows that both answer.
struct Answered {
  std::vector<std::int64_t> rows;
  std::vector<float> base, candidate;  ///< margins
  std::vector<std::uint8_t> labels;
  std::int64_t refused_by_base = 0, refused_by_candidate = 0;
};

Result<Answered> answer(const Side& base, const Side& candidate, const LabelledRows& traffic) {
  HEDDLE_ASSIGN_OR_RETURN(const auto by_base, base.plan->score_table(traffic.rows));
  HEDDLE_ASSIGN_OR_RETURN(const auto by_candidate, candidate.plan->score_table(traffic.rows));
  Answered out;
  for (std::size_t row = 0; row < traffic.labels.size(); ++row) {
    out.refused_by_base += by_base.refused[row];
    out.refused_by_candidate += by_candidate.refused[row];
    if (by_base.refused[row] != 0 || by_candidate.refused[row] != 0) continue;
    out.rows.push_back(static_cast<std::int64_t>(row));
    out.base.push_back(by_base.margins[row]);
    out.candidate.push_back(by_candidate.margins[row]);
    out.labels.push_back(traffic.labels[row]);
  }
  return out;
}

using Loss = std::function<double(double margin, bool label)>;

double log_loss(double margin, bool label) {
  const double against = label ? -margin : margin;  // log(1 + exp(x)) without overflow
  return std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against)));
}

double is_right(double margin, bool label) { return (margin >= 0) == label ? 1 : 0; }

/// Standard error of the mean of the differences, row by row: both answer the same rows, so what is
/// hard for both cancels.
double paired_error(const Answered& rows, const Loss& loss) {
  const auto n = static_cast<double>(rows.labels.size());
  std::vector<double> differences;
  double mean = 0;
  for (std::size_t i = 0; i < rows.labels.size(); ++i) {
    const bool label = rows.labels[i] != 0;
    differences.push_back(loss(rows.candidate[i], label) - loss(rows.base[i], label));
    mean += differences.back() / n;
  }
  double squares = 0;
  for (const double difference : differences) squares += (difference - mean) * (difference - mean);
  return std::sqrt(squares / (n - 1) / n);
}

doc::Value metrics_value(const evaluate::Numbers& base, const evaluate::Numbers& candidate,
                         const Answered& rows) {
  auto list = doc::Value::array();
  for (const auto& [name, number] : candidate) {
    if (name == "rows") continue;
    const double other = base.at(name);
    auto item = doc::Value::object(
        {{"name", name}, {"base", other}, {"candidate", number}, {"difference", number - other}});
    // Means over rows have one; of a rank or a binned statistic it is left open.
    doc::Value error;
    if (name == "log_loss") error = paired_error(rows, log_loss);
    if (name == "accuracy") error = paired_error(rows, is_right);
    item.set("standard_error", std::move(error));
    list.push(std::move(item));
  }
  return list;
}

/// Fills in what was measured. `comparison-impossible`: there is nothing to be measured.
Result<void> measure(const std::string& spool, Side& base, Side& candidate, doc::Value& out) {
  HEDDLE_TRY(load(base));
  HEDDLE_TRY(load(candidate));
  HEDDLE_ASSIGN_OR_RETURN(const auto fields, fields_of_both(base, candidate));
  HEDDLE_ASSIGN_OR_RETURN(const Micros one, learned_until(base));
  HEDDLE_ASSIGN_OR_RETURN(const Micros other, learned_until(candidate));
  const Micros learned = std::max(one, other);
  TrafficSelection selection;
  selection.limit = kMostRows;
  if (learned != INT64_MIN) selection.from = learned + 1;
  const auto traffic = read_labelled_rows(spool, fields, selection);
  if (!traffic.ok())
    return not_compared("the recorded traffic cannot be read: " + traffic.error().message);
  const std::string newer =
      learned == INT64_MIN
          ? ""
          : fmt::format(" after {}, up to which they learned", format_time(learned));
  for (const auto& field : fields) {
    if (!traffic->labels.empty() && traffic->rows.find(field.name) == nullptr) {
      return not_compared(fmt::format("the recorded traffic has no field `{}`", field.name));
    }
  }
  if (static_cast<std::int64_t>(traffic->labels.size()) < kLeastRows) {
    return not_compared(fmt::format("the recorded traffic has {} labelled rows{}; {} are wanted",
                                    traffic->labels.size(), newer, kLeastRows));
  }
  auto rows = answer(base, candidate, *traffic);
  if (!rows.ok())
    return not_compared("the recorded rows cannot be scored: " + rows.error().message);
  const auto count = static_cast<std::int64_t>(rows->labels.size());
  const auto positive = std::count(rows->labels.begin(), rows->labels.end(), 1);
  if (count < kLeastRows || positive == 0 || positive == count) {
    return not_compared(fmt::format(
        "both answer {} of {} labelled rows, {} of them positive: too few, or of one class", count,
        traffic->labels.size(), positive));
  }
  const spec::Evaluation
      definition;  // a metric of a project's own may read label fields, which traffic has not
  const auto answered = traffic->rows.take(rows->rows);
  HEDDLE_ASSIGN_OR_RETURN(const auto base_numbers,
                          evaluate::metrics(definition, {&answered, rows->base, rows->labels}));
  HEDDLE_ASSIGN_OR_RETURN(
      const auto numbers,
      evaluate::metrics(definition, {&answered, rows->candidate, rows->labels}));
  const auto& times = traffic->event_times;
  out.set("rows", doc::Value::object(
                      {{"of", "recorded traffic"},
                       {"from", format_time(times[static_cast<std::size_t>(rows->rows.front())])},
                       {"to", format_time(times[static_cast<std::size_t>(rows->rows.back())])},
                       {"count", count},
                       {"positive", positive},
                       {"refused_by_base", rows->refused_by_base},
                       {"refused_by_candidate", rows->refused_by_candidate}}));
  out.set("metrics", metrics_value(base_numbers, numbers, *rows));
  return {};
}

}  // namespace

Result<doc::Value> compare_on_traffic(store::Objects& objects, const std::string& spool,
                                      const Digest& base, const Digest& candidate) {
  auto out = doc::Value::object({{"format", "heddle.comparison/1"},
                                 {"base", base.empty() ? "" : base.str()},
                                 {"candidate", candidate.str()},
                                 {"compared", false}});
  if (base.empty() || base == candidate) {
    out.set("why", base.empty() ? "nothing is released that it could be compared with"
                                : "it is what serves");
    return out;
  }
  HEDDLE_ASSIGN_OR_RETURN(auto opened, bundle::open(objects, candidate));
  auto serving = bundle::open(objects, base);
  if (!serving.ok()) {
    // What serves and cannot be read must be replaceable all the same.
    out.set("why", "what serves cannot be read: " + serving.error().message);
    return out;
  }
  Side own{std::move(opened), nullptr};
  Side theirs{*std::move(serving), nullptr};
  const auto measured = measure(spool, theirs, own, out);
  if (measured.ok()) {
    out.set("compared", true);
  } else if (measured.error().id == "comparison-impossible") {
    out.set("why", measured.error().message);
  } else {
    return measured.error();
  }
  return out;
}

}  // namespace heddle::control
