#include "recover/cause.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "recover/incident.hpp"

namespace heddle::recover {

using watch::Subject;

Registry<Cause>& causes() {
  static Registry<Cause> table(
      {&unit_change(),   &precision_loss(),    &missing_field(),   &null_burst(),
       &format_change(), &new_category(),      &frozen_value(),    &contract_fault(),
       &label_fault(),   &prior_shift(),       &time_shift(),      &covariate_shift(),
       &concept_shift(), &clock_jump(),        &monitor_silent(),  &unrecorded_traffic(),
       &no_answers(),    &costly_quarantine(), &label_conflict(),  &new_class(),
       &coverage_loss(), &fail_over(),         &outlived_repair(), &unknown_cause()});
  return table;
}

std::optional<Amendment> fewer_chunks(const spec::Monitor& monitor, std::string why) {
  constexpr int kFewer = 2, kFewest = 5;
  Amendment out{monitor, false, "quality.prior_shift_chunks", "", std::move(why)};
  int& chunks = out.monitor.quality.prior_shift_chunks;
  // Fewer than that, and days that are alike by chance agree as well.
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

// Only a time shift reads a clock: an incident that is diagnosed anew loses the one of before.
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
      // The first pass asks the rows of programs, the second Heddle's own, in the order of the
      // table.
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

}  // namespace heddle::recover
