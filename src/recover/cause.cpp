#include "recover/cause.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "recover/incident.hpp"
#include "watch/prior_shift.hpp"

namespace heddle::recover {

using watch::Subject;

Registry<Cause>& causes() {
  static Registry<Cause> table(
      {&unit_change(), &contract_fault(), &label_fault(), &prior_shift(), &time_shift(),
       &covariate_shift(), &concept_shift(), &clock_jump(), &monitor_silent(),
       &unrecorded_traffic(), &no_answers(), &costly_quarantine(), &label_conflict(), &new_class(),
       &coverage_loss(), &fail_over(), &outlived_repair(), &unknown_cause()});
  return table;
}

std::optional<Amendment> fewer_chunks(const spec::Monitor& monitor, std::string why) {
  constexpr int kFewer = 2, kFewest = 5;
  Amendment out{monitor, false, "quality.prior_shift_chunks", "", std::move(why)};
  int& chunks = out.monitor.quality.prior_shift_chunks;
  chunks = std::max(kFewest, chunks - kFewer);
  if (chunks >= monitor.quality.prior_shift_chunks) return std::nullopt;
  out.yaml = std::to_string(chunks);
  return out;
}

std::optional<Diagnosis> Cause::match(const watch::Alert&, const watch::Watch&) const {
  return std::nullopt;
}

bool Cause::takes(const Incident&, const watch::Alert&, const Diagnosis& diagnosis,
                  bool related) const {
  return diagnosis.cause == this && related;
}

std::optional<bool> Cause::joins(const Incident&, const Diagnosis&) const { return std::nullopt; }

void Cause::note(Incident& incident, const watch::Watch&) const { incident.clock.reset(); }

Step Cause::first_step(const Incident&) const { return Step::kAwaitQuiet; }

Step Cause::respond(Incident&, Response&) const { return Step::kAwaitQuiet; }

std::optional<Step> Cause::after_sign(const watch::Alert&) const { return std::nullopt; }

std::string Cause::tells(const Diagnosis&) const { return {}; }

std::vector<Amendment> Cause::amendments(const Incident&, const spec::Monitor&,
                                         const spec::Contract&) const {
  return {};
}

bool same_sender(const Diagnosis& a, const Diagnosis& b) {
  return a.source == b.source && a.account == b.account;
}

Diagnosis diagnose(const watch::Watch& watch, const watch::Alert& alert) {
  Diagnosis out;
  // Rows that a program added are asked first: they know a thing of their own.
  for (const bool own : {false, true}) {
    for (const Cause* cause : causes().rows()) {
      if (causes().is_built_in(*cause) != own) continue;
      auto found = cause->match(alert, watch);
      if (!found) continue;
      out = *std::move(found);
      out.cause = cause;
      out.task = watch.task().kind;
      out.classes = std::ssize(watch.task().classes);
      out.coverage = watch.interval() == nullptr ? 0 : watch.interval()->coverage;
      const Subject subject = alert.last.subject;
      const bool of_rows = subject == Subject::kColumn || subject == Subject::kQuality ||
                           subject == Subject::kPrior || subject == Subject::kCoverage;
      if (of_rows && !alert.last.account.empty()) {
        out.only_account = alert.last.account;
        out.reason += fmt::format("; only the rows of account `{}` show it", out.only_account);
      }
      if (of_rows && !alert.last.label_account.empty()) {
        out.only_label_account = alert.last.label_account;
        out.reason +=
            fmt::format("; only the labels of account `{}` show it", out.only_label_account);
      }
      return out;
    }
  }
  return out;
}

doc::Value Diagnosis::to_value() const {
  return doc::Value::object({{"cause", cause->name()},
                             {"column", column},
                             {"source", source},
                             {"account", account},
                             {"only_account", only_account},
                             {"only_label_account", only_label_account},
                             {"rule", rule},
                             {"good_rows", good_rows},
                             {"ratio", ratio},
                             {"ratio_name", ratio_name},
                             {"lag_hours", lag_hours},
                             {"offsets", watch::list_of(offsets)},
                             {"change_from", change_from},
                             {"task", stats::task_name(task)},
                             {"classes", classes},
                             {"coverage", coverage},
                             {"reason", reason}});
}

Result<Diagnosis> Diagnosis::from_value(const doc::Value& value) {
  Diagnosis out;
  out.cause = causes().find(value.string_or("cause"));
  if (out.cause == nullptr) {
    return Error{ErrorKind::kCorrupt, "recover-state",
                 fmt::format("a saved incident has the cause `{}`, which this heddle does not have",
                             value.string_or("cause")),
                 "run the heddle that wrote it, or `heddle audit verify`"};
  }
  out.column = value.string_or("column");
  out.source = value.string_or("source");
  out.account = value.string_or("account");
  out.only_account = value.string_or("only_account");
  out.only_label_account = value.string_or("only_label_account");
  out.rule = value.string_or("rule");
  out.good_rows = value.int_or("good_rows");
  out.ratio = value.double_or("ratio", 1);
  out.ratio_name = value.string_or("ratio_name");
  out.lag_hours = static_cast<int>(value.int_or("lag_hours"));
  out.offsets = watch::offsets_of(value);
  out.change_from = value.int_or("change_from");
  for (const auto kind : {stats::TaskKind::kClasses, stats::TaskKind::kRegression}) {
    if (value.string_or("task") == stats::task_name(kind)) out.task = kind;
  }
  out.classes = value.int_or("classes");
  out.coverage = value.double_or("coverage");
  out.reason = value.string_or("reason");
  return out;
}

}  // namespace heddle::recover
