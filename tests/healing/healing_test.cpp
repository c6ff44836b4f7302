// healing_test PROJECT HEDDLE [--only NAME] [--every N] [-v]: faults that end, labels that lie,
// traffic without a fault. On every one of them Heddle must not be worse than the release that was
// never updated by more than .002 log loss in any month, no incident may stay open for good, and no
// cause may be named that is not true.
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "healing/lab.hpp"
#include "replay/fault_fixture.hpp"
#include "spec/load.hpp"

namespace {

using heddle::from_civil;
using heddle::kDay;
using heddle::kHour;
using heddle::Micros;
using heddle::spec::Fault;

constexpr double kHarm = 0.002;

struct Case {
  std::string name;
  std::vector<Fault> faults;
  std::vector<std::string> causes{};  ///< beside `kAlwaysTrue`: what may be named
  bool labels_are_right = false;      ///< what a person says when asked
};

/// What is true of itself whatever the fault: the base rate of these months moves, acts are taken
/// back, and what nobody can tell is said to be so.
const std::vector<std::string> kAlwaysTrue{"unknown",    "prior shift",       "outlived repair",
                                           "no answers", "costly quarantine", "monitor silent"};

Micros day(int month, int number) { return from_civil({2001, month, number}); }

/// A fault of those days, of one source or of all; `keys`: what else its definition says.
Fault of(const std::string& name, const std::string& keys, Micros from, Micros to,
         int source = -1) {
  std::string text =
      fmt::format("from: \"{}\"\nto: \"{}\"\n", heddle::format_time(from), heddle::format_time(to));
  if (source >= 0) text += fmt::format("sources: [carrier-{}]\n", source);
  return heddle::replay::fault_of(name, text + keys);
}

Fault shift_by(const std::string& by, Micros from, Micros to, int source = -1) {
  return of("date", fmt::format("change: {{date: \"date + duration('{}')\"}}\n", by), from, to,
            source);
}

Fault shift(int hours, Micros from, Micros to, int source = -1) {
  return shift_by(fmt::format("{}h", hours), from, to, source);
}

Fault inverted(Micros from, Micros to) { return of("labels", "label: \"!label\"\n", from, to); }

Fault wrong_labels(Micros from, Micros to, int source = -1) {
  return of("labels", "sent_label: \"!label\"\n", from, to, source);
}

Fault kilometres(Micros from, Micros to, int source = -1) {
  return of("distance", "change: {distance: round(distance * 1.609344)}\n", from, to, source);
}

Fault no_distance(Micros from, Micros to, int source = -1) {
  return of("distance", "missing: [distance]\n", from, to, source);
}

Fault mornings(Micros from, Micros to, double share = 1) {
  return of("labels",
            fmt::format("where: date.getHours() >= 6 && date.getHours() < 12\n"
                        "label: \"!label\"\nshare: [0, {}]\n",
                        share),
            from, to);
}

Fault dropped(double share, Micros from, Micros to) {
  return of("labels", fmt::format("where: label\ndrop: true\nshare: [0, {}]\n", share), from, to);
}

Fault unknown_codes(double share, Micros from, Micros to) {
  return of("origin", fmt::format("change: {{origin: origin + 'Q'}}\nshare: [0, {}]\n", share),
            from, to);
}

/// Those of the example project.
std::vector<Fault> of_the_demo(const std::string& project) {
  const auto loaded = heddle::spec::load_project(project);
  if (!loaded.ok()) return {};
  std::vector<Fault> out;
  for (const auto& [name, fault] : loaded->project.faults) out.push_back(fault);
  return out;
}

std::vector<Case> cases(const std::string& project) {
  const Micros end = day(7, 1);
  const std::vector<std::string> time{"time shift"};
  const std::vector<std::string> unit{"unit change"};
  const std::vector<std::string> contract{"contract fault"};
  const std::vector<std::string> concept_shift{"concept shift"};
  const std::vector<std::string> label{"label fault"};
  const std::vector<std::string> turned{"label fault", "concept shift"};
  return {
      {"clean", {}},
      {"shift-2", {shift(5, day(5, 1), day(5, 3))}, time},
      {"shift-3", {shift(5, day(5, 1), day(5, 4))}, time},
      {"shift-5", {shift(5, day(5, 1), day(5, 6))}, time},
      {"shift-month-end", {shift(5, day(4, 27), day(5, 1))}, time},
      {"shift-12", {shift(5, day(5, 1), day(5, 13))}, time},
      {"two-shifts", {shift(5, day(5, 1), day(5, 20)), shift(-3, day(5, 20), end)}, time},
      {"labels-3", {wrong_labels(day(4, 10), day(4, 13))}, label},
      {"labels-7-source", {wrong_labels(day(4, 10), day(4, 17), 1)}, label},
      {"prior-7", {dropped(0.7, day(5, 1), day(5, 8))}},
      // A quarantine makes a new route table while a recalibration is in force: it stays on trial.
      {"missing-5", {no_distance(day(5, 5), day(5, 10))}, contract},
      // The only one of these that retrains.
      {"concept", {mornings(day(6, 8), end)}, concept_shift},
      // beside the twelve
      {"shift", {shift(5, day(5, 11), end)}, time},
      {"two-shifts-gap", {shift(5, day(5, 1), day(5, 15)), shift(9, day(5, 20), end)}, time},
      {"shift-8-4", {shift(8, day(4, 20), day(4, 24))}, time},
      {"shift-mid", {shift(-5, day(4, 3) + 11 * kHour, day(4, 12) + 15 * kHour)}, time},
      {"shift-source", {shift(5, day(5, 1), day(5, 9), 1)}, {"time shift", "covariate shift"}},
      {"shift-back-3", {shift(-3, day(5, 4), day(5, 14))}, time},
      {"shift-half", {shift_by("30m", day(5, 4), day(5, 24))}, time},
      {"shift-first-days", {shift(5, day(3, 2), day(3, 6))}, time},
      {"concept-10", {mornings(day(5, 1), day(5, 11))}, concept_shift},
      {"concept-10-all", {inverted(day(5, 1), day(5, 11))}, turned, true},
      {"concept-gradual",
       {mornings(day(4, 10), day(4, 17), 0.25), mornings(day(4, 17), day(4, 24), 0.5),
        mornings(day(4, 24), day(5, 1), 0.75), mornings(day(5, 1), end)},
       concept_shift},
      {"all-inverted", {inverted(day(5, 1), end)}, turned, true},
      {"all-inverted-unanswered", {inverted(day(5, 1), end)}, turned},
      {"labels-3-source", {wrong_labels(day(5, 10), day(5, 13), 2)}, label},
      {"labels-7", {wrong_labels(day(4, 10), day(4, 17))}, label},
      {"labels-14", {wrong_labels(day(4, 10), day(4, 24))}, label},
      {"labels-14-source", {wrong_labels(day(4, 10), day(4, 24), 1)}, label},
      {"prior", {dropped(0.7, day(5, 1), end)}},
      {"prior-3", {dropped(0.9, day(4, 1), day(4, 4))}},
      {"prior-returns",
       {dropped(0.7, day(4, 5), day(4, 19)), dropped(0.7, day(5, 10), day(5, 24))}},
      {"unit-2", {kilometres(day(4, 10), day(4, 12), 1)}, unit},
      {"unit-7", {kilometres(day(4, 10), day(4, 17), 1)}, unit},
      {"unit-30", {kilometres(day(4, 10), day(5, 10), 1)}, unit},
      {"unit-7-all", {kilometres(day(4, 10), day(4, 17))}, unit},
      {"missing-5-source", {no_distance(day(5, 5), day(5, 10), 1)}, contract},
      {"codes-30", {unknown_codes(0.3, day(5, 5), day(6, 1))}, contract},
      {"unit-and-labels",
       {kilometres(day(4, 10), day(4, 20), 1), wrong_labels(day(4, 14), day(4, 18))},
       {"unit change", "label fault"}},
      {"shift-and-concept",
       {shift(5, day(5, 1), day(5, 15)), mornings(day(5, 8), end)},
       {"time shift", "concept shift"}},
      {"demo",
       of_the_demo(project),
       {"unit change", "contract fault", "time shift", "concept shift"}},
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3)
    return std::fprintf(stderr, "healing_test PROJECT HEDDLE [--only NAME] [--every N] [-v]\n"), 2;
  std::string only;
  heddle::healing::Options options;
  options.project = argv[1];
  options.binary = argv[2];
  options.from = day(3, 1);
  options.to = day(7, 1);
  std::size_t most = 12;
  for (int i = 3; i < argc; ++i) {
    if (std::strcmp(argv[i], "-v") == 0)
      options.verbose = true;
    else if (std::strcmp(argv[i], "--all") == 0)
      most = 1000;
    else if (std::strcmp(argv[i], "--only") == 0)
      only = argv[++i], most = 1000;
    else if (std::strcmp(argv[i], "--every") == 0)
      options.every = std::atoi(argv[++i]);
    else if (std::strcmp(argv[i], "--from") == 0)
      options.from = *heddle::parse_time(std::string(argv[++i]) + "T00:00:00Z");
    else if (std::strcmp(argv[i], "--unanswered") == 0)
      options.transform_after = options.others_after = -1;
  }
  int harmful = 0;
  std::size_t at = 0;
  for (const Case& each : cases(options.project)) {
    if (at++ >= most ||
        (!only.empty() && ("," + only + ",").find("," + each.name + ",") == std::string::npos))
      continue;
    options.faults = each.faults;
    options.labels_are_right = each.labels_are_right;
    options.scratch = std::filesystem::temp_directory_path() /
                      fmt::format("heddle-healing-{}-{}", each.name, ::getpid());
    std::filesystem::remove_all(options.scratch);
    const auto account = heddle::healing::play(options);
    std::filesystem::remove_all(options.scratch);
    if (!account.ok()) {
      fmt::print("{}: {}\n", each.name, account.error().str());
      return 1;
    }
    bool harm = account->stuck_incidents > 0 || !account->failed_retrains.empty();
    fmt::print("{:<16}", each.name);
    for (const auto& month : account->months) {
      const double worse = month.heddle.log_loss - month.never.log_loss;
      harm = harm || worse > kHarm;
      fmt::print("  {} {:.4f}/{:.4f}{}", month.name.substr(5), month.heddle.log_loss,
                 month.never.log_loss, worse > kHarm ? " HARM" : "");
    }
    fmt::print("  open {} refused {}", account->open_incidents, account->refused);
    if (account->stuck_incidents > 0) fmt::print(" STUCK {}", account->stuck_incidents);
    for (const auto& cause : account->causes) {
      const auto is = [&](const std::string& other) { return other == cause; };
      if (std::ranges::any_of(kAlwaysTrue, is) || std::ranges::any_of(each.causes, is)) continue;
      fmt::print(" MISNAMED {}", cause);
      harm = true;
    }
    for (const auto& why : account->failed_retrains) fmt::print(" FAILED: {}", why);
    fmt::print("\n");
    harmful += harm ? 1 : 0;
    if (options.verbose) {
      for (const auto& d : account->days)
        fmt::print("   day {} {:.4f} {:.4f} {:+.4f}\n", d.name, d.heddle.log_loss, d.never.log_loss,
                   d.heddle.log_loss - d.never.log_loss);
      for (const auto& d : account->decisions) fmt::print("   {}\n", d);
    }
    for (const auto& i : account->incidents) fmt::print("   {}\n", i);
    std::fflush(stdout);
  }
  fmt::print("{} of the runs failed\n", harmful);
  return harmful == 0 ? 0 : 1;
}
