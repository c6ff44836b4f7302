#include "spec/check_outcomes.hpp"

#include <fmt/format.h>

namespace heddle::spec {
namespace {

using doc::Severity;

/// What follows from being the same on every row, and how bad that is.
struct Consequence {
  Severity severity;
  std::string_view text;
  std::string_view hint;
};

constexpr std::string_view kCompare = "compare with a value that rows can have";
constexpr std::string_view kCount = "a count is a whole number from 0 on, a share 0 to 100 percent";

// Of what is true of no row. An error where the project would not work (nothing passes, nothing can
// be learned), a warning where it works and says less than was meant.
Consequence of_never(Use use) {
  switch (use) {
    case Use::kRefusal: return {Severity::kError, "it refuses every row", kCompare};
    case Use::kWarning: return {Severity::kWarning, "it warns of every row", kCompare};
    case Use::kSet: return {Severity::kError, "it refuses every set of rows", kCount};
    case Use::kSetWarning: return {Severity::kWarning, "it warns of every set of rows", kCount};
    case Use::kCount:
      return {Severity::kWarning, "no row counts, and the rule measures nothing", kCompare};
    case Use::kTarget:
      return {Severity::kError, "every row has the same label, and nothing can be learned",
              kCompare};
    case Use::kGate:
      return {Severity::kError, "no candidate ever passes it",
              "compare with a value that the metric can have"};
    case Use::kMonitorRule: return {Severity::kError, "it alerts whatever comes", kCompare};
    case Use::kTouched: return {Severity::kError, "the fault touches no row", kCompare};
    default:
      return {Severity::kWarning, "the rule never applies",
              "correct the condition, or remove the rule"};
  }
}

Consequence of_always(Use use) {
  switch (use) {
    // A row that lacks what the rule reads gives null, and a refusal takes null for broken: the
    // rule still refuses something, so it is no error.
    case Use::kRefusal:
    case Use::kWarning:
      return {Severity::kWarning, "only a row that lacks what it reads breaks it",
              "correct the condition; a field that must be there is `required: true`"};
    case Use::kSet:
    case Use::kSetWarning: return {Severity::kWarning, "no set of rows breaks it", kCount};
    case Use::kCount:
      return {Severity::kWarning, "every row counts that has what it reads", kCompare};
    // The label is the same on every row either way.
    case Use::kTarget: return of_never(use);
    case Use::kGate:
      return {Severity::kWarning, "every candidate with that metric passes it",
              "compare with a value that the metric can miss"};
    case Use::kMonitorRule: return {Severity::kError, "it never alerts", kCompare};
    case Use::kTouched:
      return {Severity::kWarning, "the fault touches every row that has what it reads",
              "correct the condition, or remove it"};
    default:
      return {Severity::kWarning, "the condition changes nothing",
              "correct the condition, or remove `when`"};
  }
}

OutcomeFinding finding(const Consequence& consequence, std::string id, const std::string& what,
                       std::string_view how) {
  return {0, consequence.severity, std::move(id),
          fmt::format("{} {}: {}", what, how, consequence.text), std::string(consequence.hint)};
}

}  // namespace

std::vector<OutcomeFinding> check_outcomes(Use use, const std::string& what,
                                           const expr::Outcomes& outcomes) {
  std::vector<OutcomeFinding> out;
  // A part that fails on every row makes it moot what the whole may come out as.
  for (const auto& fault : outcomes.faults) {
    out.push_back({fault.offset, Severity::kError, "always-fails",
                   fmt::format("{}: {}", what, fault.message), fault.hint});
  }
  // A fault may send a missing value, or always the same one: that can be what it is for.
  if (!out.empty() || use == Use::kSent) return out;
  if (!outcomes.may_be_value) {
    out.push_back({0, Severity::kError, "always-fails",
                   fmt::format("{} is missing on every row: it computes with `null`", what),
                   "ask whether a value is missing by `x == null`; replace it by `coalesce`"});
  } else if (use == Use::kValue) {
    // Any value will do.
  } else if (!outcomes.may_be_true) {
    out.push_back(finding(of_never(use), "never-true", what, "is never true"));
  } else if (!outcomes.may_be_false) {
    out.push_back(finding(of_always(use), "always-true", what, "is always true"));
  }
  return out;
}

}  // namespace heddle::spec
