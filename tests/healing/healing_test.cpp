// healing_test PROJECT HEDDLE [--only NAME] [--every N] [-v]: faults that end, labels that lie,
// traffic without a fault. On every one of them Heddle must not be worse than the release that was
// never updated by more than .002 log loss in any month.
#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "healing/lab.hpp"

namespace {

using heddle::from_civil;
using heddle::kDay;
using heddle::kHour;
using heddle::Micros;
using heddle::replay::Fault;

constexpr double kHarm = 0.002;

struct Case {
  std::string name;
  std::vector<Fault> faults;
};

Micros day(int month, int number) { return from_civil({2001, month, number}); }

Fault shift(int hours, Micros from, Micros to, int source = -1) {
  Fault fault;
  fault.name = "shift";
  fault.kind = Fault::Kind::kTimeShift;
  fault.field = "date";
  fault.from = from;
  fault.to = to;
  fault.shift = hours * kHour;
  fault.source = source;
  return fault;
}

Fault labels(Fault::Kind kind, Micros from, Micros to, int source = -1) {
  Fault fault;
  fault.name = "labels";
  fault.kind = kind;
  fault.from = from;
  fault.to = to;
  fault.source = source;
  return fault;
}

Fault mornings(Micros from, Micros to) {
  Fault fault = labels(Fault::Kind::kInvertLabel, from, to);
  fault.hour_from = 6;
  fault.hour_to = 11;
  return fault;
}

Fault dropped(double share, Micros from, Micros to) {
  Fault fault = labels(Fault::Kind::kDropPositive, from, to);
  fault.share_to = share;
  return fault;
}

std::vector<Case> cases() {
  using Kind = Fault::Kind;
  const Micros end = day(7, 1);
  return {
      {"clean", {}},
      {"shift-2", {shift(5, day(5, 1), day(5, 3))}},
      {"shift-3", {shift(5, day(5, 1), day(5, 4))}},
      {"shift-5", {shift(5, day(5, 1), day(5, 6))}},
      {"shift-12", {shift(5, day(5, 1), day(5, 13))}},
      {"two-shifts", {shift(5, day(5, 1), day(5, 20)), shift(-3, day(5, 20), end)}},
      {"labels-3", {labels(Kind::kWrongLabel, day(4, 10), day(4, 13))}},
      {"labels-7-source", {labels(Kind::kWrongLabel, day(4, 10), day(4, 17), 1)}},
      {"prior-7", {dropped(0.7, day(5, 1), day(5, 8))}},
      // beside the nine
      {"shift", {shift(5, day(5, 11), end)}},
      {"two-shifts-gap", {shift(5, day(5, 1), day(5, 15)), shift(9, day(5, 20), end)}},
      {"shift-8-4", {shift(8, day(4, 20), day(4, 24))}},
      {"shift-mid", {shift(-5, day(4, 3) + 11 * kHour, day(4, 12) + 15 * kHour)}},
      {"shift-source", {shift(5, day(5, 1), day(5, 9), 1)}},
      {"concept", {mornings(day(6, 8), end)}},
      {"concept-10", {mornings(day(5, 1), day(5, 11))}},
      {"all-inverted", {labels(Kind::kInvertLabel, day(5, 1), end)}},
      {"prior", {dropped(0.7, day(5, 1), end)}},
      {"prior-3", {dropped(0.9, day(4, 1), day(4, 4))}},
      {"demo", heddle::replay::flights_faults()},
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
  std::size_t most = 9;
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
  for (const Case& each : cases()) {
    if (at++ >= most ||
        (!only.empty() && ("," + only + ",").find("," + each.name + ",") == std::string::npos))
      continue;
    options.faults = each.faults;
    options.scratch = std::filesystem::temp_directory_path() /
                      fmt::format("heddle-healing-{}-{}", each.name, ::getpid());
    std::filesystem::remove_all(options.scratch);
    const auto account = heddle::healing::play(options);
    std::filesystem::remove_all(options.scratch);
    if (!account.ok()) {
      fmt::print("{}: {}\n", each.name, account.error().str());
      return 1;
    }
    bool harm = false;
    fmt::print("{:<16}", each.name);
    for (const auto& month : account->months) {
      const double worse = month.heddle.log_loss - month.never.log_loss;
      harm = harm || worse > kHarm;
      fmt::print("  {} {:.4f}/{:.4f}{}", month.name.substr(5), month.heddle.log_loss,
                 month.never.log_loss, worse > kHarm ? " HARM" : "");
    }
    fmt::print("  open {} refused {}\n", account->open_incidents, account->refused);
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
  fmt::print("{} of the runs did harm\n", harmful);
  return harmful == 0 ? 0 : 1;
}
