// What serves the model today, on the rows that the candidate has not learned from.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "doc/json.hpp"
#include "evaluate/evaluate.hpp"
#include "evaluate/evidence_format.hpp"
#include "flow/bodies.hpp"
#include "flow/recorded.hpp"
#include "runtime/spec.hpp"
#include "score/plan.hpp"

namespace heddle::flow {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Base {
  Digest bundle{};
  evaluate::NoBase missing{};
};

const doc::Schema<Base>& base_schema() {
  static const auto schema = [] {
    auto t = doc::Schema<Base>::record("`base.json`", "what serves the model");
    t.refused_as(ErrorKind::kCorrupt, "step-output", "run `heddle run` again");
    t.digest("bundle", &Base::bundle, "empty: none");
    t.custom(
        "why", doc::Shape::kText, "why it has no numbers; empty: it has",
        [](Base& into, const doc::Value& value, doc::Reader&) {
          into.missing.why = value.as_string();
        },
        [](const Base& from) -> std::optional<doc::Value> { return from.missing.why; });
    t.custom(
        "fails", doc::Shape::kBoolean, "gates on it fail",
        [](Base& into, const doc::Value& value, doc::Reader&) {
          into.missing.fails = value.as_bool();
        },
        [](const Base& from) -> std::optional<doc::Value> {
          return !from.missing.why.empty() && from.missing.fails;
        });
    return t;
  }();
  return schema;
}

/// What the evidence of a bundle was held against.
Result<Base> base_of(const evaluate::BaseEvidence& evidence) {
  Base base;
  if (!evidence.bundle.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(base.bundle, Digest::parse(evidence.bundle));
  }
  base.missing = {evidence.missing.why, !evidence.missing.why.empty() && evidence.missing.fails};
  return base;
}

/// The primary of the model's services, or of the one that the evaluation names.
Base primary_of(const Definitions& d, const Host& host, const Source& source) {
  // A retrain is of one service: its primary, whatever serves elsewhere.
  if (source.recorded != nullptr) return {source.recorded->base, {}};
  const std::string& wanted = d.evaluation->base_service;
  Base base;
  std::string first;
  std::vector<std::string> services;
  for (const auto& [name, service] : d.project->services) {
    if (service.model != d.model->identity.name || (!wanted.empty() && name != wanted)) continue;
    services.push_back(name);
    const auto at = host.primaries.find(name);
    if (at == host.primaries.end() || at->second == base.bundle) continue;
    if (!base.bundle.empty()) {
      return {
          {},
          {fmt::format("services `{}` and `{}` are served by different bundles, {} and {}: name "
                       "one of them with `base_service`",
                       first, name, base.bundle.short_str(), at->second.short_str()),
           true}};
    }
    base.bundle = at->second;
    first = name;
  }
  if (base.bundle.empty()) {
    base.missing = {
        fmt::format("nothing is released as primary of `{}` yet", fmt::join(services, "`, `")),
        false};
  }
  return base;
}

/// Whether a bundle is the model, features and contract of this run: what serves is the candidate.
Result<bool> is_candidate(const Work& work, const bundle::Bundle& serving) {
  const Definitions& d = work.definitions();
  const StepRecord trained = work.record(primary_step(*d.model));
  const bool is_own_worker = trained.outputs.contains("runtime");
  const bool is_outside = d.model->runtime.has_value() || is_own_worker;
  HEDDLE_ASSIGN_OR_RETURN(const auto calibration, serving.json(bundle::kCalibration));
  HEDDLE_ASSIGN_OR_RETURN(const auto offsets, score::calibration_schema().parse(calibration));
  if (std::any_of(offsets.offsets.begin(), offsets.offsets.end(),
                  [](double offset) { return offset != 0; }) ||
      serving.has(bundle::kRuntime) != is_outside)
    return false;
  const auto same_bytes = [&](std::string_view layer, const Digest& digest) {
    const auto bytes = serving.layer(layer);
    return bytes.ok() && sha256(*bytes) == digest;
  };
  if (!is_outside) {
    if (!same_bytes(bundle::kModel, trained.outputs.at("model"))) return false;
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const auto runtime, serving.json(bundle::kRuntime));
    if (is_own_worker ? !same_bytes(bundle::kRuntime, trained.outputs.at("runtime"))
                      : digest_of(runtime) != digest_of(runtime::to_value(*d.model->runtime)))
      return false;
    const auto files = trained.outputs.find("files");
    if (files != trained.outputs.end() && !same_bytes(bundle::kRuntimeFiles, files->second))
      return false;
  }
  const std::tuple<std::string_view, const char*, const char*> parts[] = {
      {bundle::kFeatures, "features", "features.json"},
      {bundle::kContract, "validate.rows", "contract.json"}};
  for (const auto& [layer, step, file] : parts) {
    HEDDLE_ASSIGN_OR_RETURN(const auto theirs, serving.json(layer));
    HEDDLE_ASSIGN_OR_RETURN(const auto ours, work.json(step, file));
    if (digest_of(theirs) != digest_of(ours)) return false;
  }
  return true;
}

/// What the base cannot be asked of these rows; empty: it can.
std::string lacking(const contract::Contract& contract, const table::Table& rows) {
  std::vector<std::string> missing;
  for (const auto& field : contract.request_fields()) {
    const table::Column* column = rows.find(field.name);
    if (column == nullptr) {
      missing.push_back(field.name);
    } else if (column->type != field.type) {
      return fmt::format("its field `{}` is a {}, in the held-out rows it is a {}", field.name,
                         expr::type_name(field.type), expr::type_name(column->type));
    }
  }
  if (missing.empty()) return "";
  return fmt::format("the held-out rows have no column `{}`", fmt::join(missing, "`, `"));
}

std::string in_words(const stats::Task& task) {
  const auto name = stats::task_name(task.kind);
  if (task.kind != stats::TaskKind::kClasses) return fmt::format("`{}`", name);
  return fmt::format(
      "`{}` of {} ({}{})", name, task.classes.size(),
      fmt::join(std::span(task.classes).first(std::min<std::size_t>(task.classes.size(), 5)), ", "),
      task.classes.size() > 5 ? ", ..." : "");
}

/// Takes the rows out that the base has learned from, as far as times tell.
void leave_out_learned(const bundle::Config& config, std::span<const Micros> times,
                       evaluate::BaseAnswers& out) {
  if (times.empty() || config.learned.kind != bundle::Learned::Kind::kUntil) {
    // On rows that it knows the base looks better than it is: a candidate that passes is better all
    // the same.
    out.note = "it is not known which of these rows the base has learned from";
    return;
  }
  const std::size_t outputs = out.margins.size() / times.size();
  for (std::size_t row = 0; row < times.size(); ++row) {
    if (times[row] > config.learned.until) continue;
    const auto of_row = std::span(out.margins).subspan(row * outputs, outputs);
    out.refused -= std::isfinite(of_row[0]) ? 0 : 1;
    std::fill(of_row.begin(), of_row.end(), kNan);
    ++out.learned;
  }
}

}  // namespace

doc::Value what_serves(const Definitions& definitions, const Host& host, const Source& source) {
  return base_schema().print(primary_of(definitions, host, source));
}

Result<StepRecord> run_base(Work& work, const std::string& directory) {
  Base base = primary_of(work.definitions(), work.host(), work.source());
  if (!base.bundle.empty()) {
    const auto opened = bundle::open(*work.host().objects, base.bundle);
    if (!opened.ok()) {
      base.missing = {"what serves cannot be read: " + opened.error().message, true};
    } else {
      const auto same = is_candidate(work, *opened);
      if (same.ok() && *same) {
        // A model is not held against itself. It was released since: what it was held against then
        // stays its base, and the run has nothing to do.
        base = {{}, {"this model is what serves", false}};
        HEDDLE_ASSIGN_OR_RETURN(const auto written, opened->json(bundle::kEvaluation));
        HEDDLE_ASSIGN_OR_RETURN(const auto evidence, evaluate::evidence_schema().parse(written));
        if (evidence.base) {
          HEDDLE_ASSIGN_OR_RETURN(base, base_of(*evidence.base));
        }
      }
    }
  }
  StepRecord record;
  record.facts = base_schema().print(base);
  HEDDLE_ASSIGN_OR_RETURN(record.outputs["base"], write_json(directory, "base.json", record.facts));
  work.note("base", base.missing.why.empty() ? base.bundle.short_str() : base.missing.why);
  return record;
}

Result<evaluate::BaseAnswers> base_answers(Work& work, const table::Table& received,
                                           std::span<const Micros> times) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, work.json("base", "base.json"));
  HEDDLE_ASSIGN_OR_RETURN(const Base base, base_schema().parse(value));
  evaluate::BaseAnswers out;
  out.bundle = base.bundle.empty() ? "" : base.bundle.str();
  out.missing = base.missing;
  if (!out.missing.why.empty()) return out;
  const auto cannot = [&](std::string why) {
    out.missing = {fmt::format("bundle {} cannot be measured: {}", base.bundle.short_str(), why),
                   true};
    return out;
  };
  const auto opened = bundle::open(*work.host().objects, base.bundle);
  if (!opened.ok()) return cannot(opened.error().message);
  const auto plan = score::Plan::load(*opened, host_of(work));
  if (!plan.ok()) return cannot(plan.error().message);
  if (const auto why = lacking((*plan)->contract(), received); !why.empty()) return cannot(why);
  HEDDLE_ASSIGN_OR_RETURN(const auto labels, work.labels());
  if ((*plan)->task() != labels->task)
    return cannot(fmt::format("its task is {}, the candidate's is {}", in_words((*plan)->task()),
                              in_words(labels->task)));
  auto scored = (*plan)->score_table(received);
  if (!scored.ok()) return cannot(scored.error().message);
  out.margins = std::move(scored->margins);
  out.interval = (*plan)->conformal();
  for (std::size_t at = 0; at < out.margins.size(); at += scored->outputs)
    out.refused += std::isfinite(out.margins[at]) ? 0 : 1;
  leave_out_learned(opened->config(), times, out);
  return out;
}

}  // namespace heddle::flow
