#include "demo/storyteller.hpp"

#include <cstdio>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "demo/session.hpp"

namespace heddle::demo {
namespace {

constexpr std::string_view kBold = "1", kDim = "2", kRed = "31", kGreen = "32", kYellow = "33",
                           kBlue = "34";

std::string_view color_of(std::string_view kind) {
  if (kind == "alert" || kind == "incident" || kind == "denied") return kRed;
  if (kind == "waits" || kind == "person") return kYellow;
  if (kind == "decided") return kGreen;
  return kBlue;
}

}  // namespace

std::string short_time(Micros event_time) {
  if (event_time == 0) return std::string(16, ' ');
  std::string text = format_time(event_time).substr(0, 16);
  text[10] = ' ';
  return text;
}

std::string Storyteller::paint(std::string_view code, std::string_view text) const {
  return color_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

void Storyteller::print(std::string_view text) {
  // The webhook's thread tells events too; a line must not be broken by another.
  const std::lock_guard lock(mutex_);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void Storyteller::phase(std::string_view title) {
  print(fmt::format("\n{}", paint(kBold, fmt::format("== {}", title))));
}

void Storyteller::line(std::string_view text) { print(fmt::format("   {}", text)); }

void Storyteller::event(Micros event_time, std::string_view kind, std::string_view text,
                        std::string_view why) {
  std::string out = fmt::format("   {}  {} {}", paint(kDim, short_time(event_time)),
                                paint(color_of(kind), fmt::format("{:<9}", kind)), text);
  if (!why.empty()) out += fmt::format("\n   {:16}  {:9} {}", "", "", paint(kDim, why));
  print(out);
}

void Storyteller::decision(const doc::Value& decision) {
  const std::int64_t entry = decision.int_or("seq", -1);
  // A decision without a ledger entry cannot be recognised again, so it is always told.
  if (entry >= 0 && !told_.insert(entry).second) return;
  const std::string effect = decision.string_or("decision");
  const std::string result = decision.string_or("result");
  const std::string action = decision.string_or("action");
  const bool by_person = action.starts_with("approval.");
  const bool waits = effect == "require_approval" && result == "requested";
  // A refusal comes first: one by a person is shown as denied, not as the person's yes.
  const std::string_view kind = effect == "deny" || result == "denied" ? "denied"
                                : waits                                ? "waits"
                                : by_person                            ? "person"
                                                                       : "decided";
  std::vector<std::string> rules;
  for (const doc::Value& rule : list_of(decision, "rules")) {
    if (rule.is_string()) rules.push_back(rule.as_string());
  }
  std::string why = decision.string_or("reason");
  if (!rules.empty())
    why += fmt::format("{}[{} by rule `{}`]", why.empty() ? "" : "  ", effect,
                       fmt::join(rules, "`, `"));
  if (entry >= 0) why += fmt::format("  ledger/{}", entry);
  event(time_of(decision, "event_time"), kind,
        fmt::format("{} {}", action, decision.string_or("target")), why);
}

void Storyteller::month(Micros event_time, std::int64_t rows) {
  constexpr const char* kNames[] = {"January",   "February", "March",    "April",
                                    "May",       "June",     "July",     "August",
                                    "September", "October",  "November", "December"};
  const CivilDate date = civil_date(event_time);
  if (date.month == month_) return;
  month_ = date.month;
  print(fmt::format("   {}", paint(kBold, fmt::format("-- {} {}, {} rows so far",
                                                      kNames[date.month - 1], date.year, rows))));
}

}  // namespace heddle::demo
