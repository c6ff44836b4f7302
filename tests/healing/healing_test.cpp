// healing_test PROJECT HEDDLE VARIANTS [--only A,B] [--every N] [--json FILE] [-v]: faults laid
// over the recorded traffic of the example, one variant (bench/heal) after another. Prints for each
// what was wrong, what was named first and when, the response, and log loss by month beside the
// release that was never updated and the oracle. A variant fails when a month is worse than never
// by more than kHarm, when an incident stays open for good, or when a retrain could not be done;
// one that is not named right fails only with `--names`.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "healing/lab.hpp"
#include "healing/variant.hpp"

namespace {

using heddle::from_civil;
using heddle::kDay;
using heddle::kHour;
using heddle::Micros;
using heddle::doc::Value;
using heddle::healing::Account;
using heddle::healing::Seen;
using heddle::healing::Variant;
using heddle::spec::Fault;

constexpr double kHarm = 0.002;
/// Labels come a day later and chunks are a day: an incident of the third day after a fault can
/// still be about it.
constexpr Micros kAftermath = 3 * kDay;
/// An incident of the clean traffic comes again within so much of its time, whatever was laid over
/// the rows.
constexpr Micros kAgain = 3 * kDay;

const std::set<std::string> kFollows{"outlived repair", "no answers", "costly quarantine",
                                     "monitor silent"};

Micros day(int month, int number) { return from_civil({2001, month, number}); }

struct Arguments {
  std::string project;
  std::string binary;
  std::string variants;
  std::set<std::string> only{};
  std::string json{};
  int every = 10;
  bool names = false;
  bool verbose = false;
};

bool parse(int argc, char** argv, Arguments& out) {
  if (argc < 4) return false;
  out.project = argv[1];
  out.binary = argv[2];
  out.variants = argv[3];
  for (int i = 4; i < argc; ++i) {
    const std::string_view key = argv[i];
    const bool has_value = i + 1 < argc;
    if (key == "-v") {
      out.verbose = true;
    } else if (key == "--names") {
      out.names = true;
    } else if (key == "--only" && has_value) {
      std::string_view list = argv[++i];
      while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        out.only.emplace(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
      }
    } else if (key == "--every" && has_value) {
      out.every = std::atoi(argv[++i]);
    } else if (key == "--json" && has_value) {
      out.json = argv[++i];
    } else {
      return false;
    }
  }
  return out.every > 0;
}

/// Incidents that the variant has and the clean traffic has not.
std::vector<const Seen*> beside_clean(const Account& account, const Account& clean) {
  std::vector<const Seen*> out;
  for (const Seen& incident : account.incidents) {
    // What goes back on an act, and what says that nobody is answered or watched, follows from
    // something else.
    if (kFollows.contains(incident.cause)) continue;
    const bool comes_anyway = std::ranges::any_of(clean.incidents, [&](const Seen& other) {
      return other.cause == incident.cause &&
             std::abs(other.raised_at - incident.raised_at) <= kAgain;
    });
    if (!comes_anyway) out.push_back(&incident);
  }
  return out;
}

struct Verdict {
  std::set<std::string> causes;      ///< true ones
  const Seen* first = nullptr;       ///< the first incident of the variant's own
  std::vector<std::string> named{};  ///< all of them
  bool is_right = false;
  std::vector<std::string> faults{};  ///< why the variant fails
};

bool is_within(const Variant& variant, const Seen& incident) {
  return std::ranges::any_of(variant.faults, [&](const Fault& fault) {
    const Micros to = std::min(fault.to, day(7, 1));
    return incident.raised_at >= fault.from && incident.raised_at < to + kAftermath;
  });
}

void name_right(const Variant& variant, const Account& account, const Account& clean,
                Verdict& out) {
  for (const Fault& fault : variant.faults) out.causes.insert(fault.cause);
  std::set<std::string> named;
  for (const Seen* incident : beside_clean(account, clean)) {
    if (!variant.faults.empty() && !is_within(variant, *incident)) {
      // Of nothing that was there: as false as a wrong name.
      out.named.push_back("(" + incident->cause + ")");
      continue;
    }
    if (out.first == nullptr) out.first = incident;
    if (named.insert(incident->cause).second) out.named.push_back(incident->cause);
  }
  out.causes.erase("");
  const bool is_first_right = out.first != nullptr && out.causes.contains(out.first->cause);
  const bool all =
      std::ranges::all_of(out.causes, [&](const auto& cause) { return named.contains(cause); });
  const bool only_own =
      std::ranges::all_of(named, [&](const auto& cause) { return cause == variant.own; });
  out.is_right = (is_first_right && all) || (only_own && variant.nothing_is_right);
}

Verdict judge(const Variant& variant, const Account& account, const Account& clean) {
  Verdict out;
  name_right(variant, account, clean, out);
  for (const auto& month : account.months) {
    const double worse = month.heddle.log_loss - month.never.log_loss;
    if (worse > kHarm) out.faults.push_back(fmt::format("harm in {}: {:+.4f}", month.name, worse));
  }
  for (const Seen& incident : account.incidents) {
    if (incident.is_stuck)
      out.faults.push_back(fmt::format("{} is stuck in {}", incident.id, incident.step));
  }
  for (const auto& why : account.failed_retrains) out.faults.push_back(why);
  return out;
}

std::string after(const Variant& variant, const Seen& incident) {
  Micros from = INT64_MIN;
  for (const Fault& fault : variant.faults) {
    if (fault.from <= incident.confirmed_at) from = std::max(from, fault.from);
  }
  if (from == INT64_MIN) return "";
  return fmt::format("{} h", (incident.confirmed_at - from) / kHour);
}

void print(const Variant& variant, const Account& account, const Verdict& verdict,
           bool is_verbose) {
  fmt::print("{:<24} {:<9} {:<30} {:<40} {:>6} {:<44}", variant.name,
             verdict.is_right ? "right" : "WRONG", fmt::join(verdict.causes, ", "),
             fmt::format("{}", fmt::join(verdict.named, ", ")),
             verdict.first == nullptr ? "" : after(variant, *verdict.first),
             verdict.first == nullptr ? "" : verdict.first->response);
  for (const auto& month : account.months) {
    fmt::print("  {} {:.3f}/{:.3f}/{:.3f}", month.name.substr(5), month.heddle.log_loss,
               month.never.log_loss, month.oracle.log_loss);
  }
  fmt::print("  refused {}", account.refused);
  for (const auto& fault : verdict.faults) fmt::print("  FAILED: {}", fault);
  fmt::print("\n");
  if (is_verbose) {
    for (const auto& d : account.days)
      fmt::print("   day {} {:.4f} {:.4f} {:.4f} {:+.4f}\n", d.name, d.heddle.log_loss,
                 d.never.log_loss, d.oracle.log_loss, d.heddle.log_loss - d.never.log_loss);
    for (const auto& d : account.decisions) fmt::print("   {}\n", d);
    for (const Seen& incident : account.incidents) {
      fmt::print("   {} {} [{}] {} -> {}\n", incident.id, incident.cause, incident.step,
                 incident.reason, incident.response);
      for (const auto& line : incident.timeline) fmt::print("       {}\n", line);
    }
  }
  std::fflush(stdout);
}

Value to_value(const Variant& variant, const Account& account, const Verdict& verdict) {
  Value out = Value::object();
  out.set("variant", variant.name);
  out.set("right", verdict.is_right);
  out.set("causes", fmt::format("{}", fmt::join(verdict.causes, ", ")));
  out.set("named", fmt::format("{}", fmt::join(verdict.named, ", ")));
  out.set("response", verdict.first == nullptr ? std::string() : verdict.first->response);
  out.set("after", verdict.first == nullptr ? std::string() : after(variant, *verdict.first));
  Value months = Value::array();
  for (const auto& month : account.months) {
    Value each = Value::object();
    each.set("month", month.name);
    each.set("heddle", month.heddle.log_loss);
    each.set("never", month.never.log_loss);
    each.set("oracle", month.oracle.log_loss);
    months.push(std::move(each));
  }
  out.set("months", std::move(months));
  out.set("refused", account.refused);
  out.set("failed", fmt::format("{}", fmt::join(verdict.faults, "; ")));
  return out;
}

heddle::Result<Account> play(const Arguments& arguments, const Variant& variant) {
  heddle::healing::Options options;
  options.project = arguments.project;
  options.binary = arguments.binary;
  options.from = day(3, 1);
  options.to = day(7, 1);
  options.every = variant.every > 0 ? variant.every : arguments.every;
  options.faults = variant.faults;
  options.labels_are_right = variant.labels_are_right;
  if (variant.nobody_answers) options.transform_after = options.others_after = -1;
  options.scratch = std::filesystem::temp_directory_path() /
                    fmt::format("heddle-healing-{}-{}", variant.name, ::getpid());
  std::filesystem::remove_all(options.scratch);
  auto account = heddle::healing::play(options);
  std::filesystem::remove_all(options.scratch);
  return account;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "healing_test PROJECT HEDDLE VARIANTS [--only A,B] [--every N] [--json FILE] "
                 "[--names] [-v]\n");
    return 2;
  }
  const auto variants = heddle::healing::read_variants(arguments.variants);
  if (!variants.ok()) return fmt::print("{}\n", variants.error().str()), 1;
  for (const auto& name : arguments.only) {
    const auto is = [&](const Variant& each) { return each.name == name; };
    if (std::ranges::none_of(*variants, is))
      return fmt::print("there is no variant `{}` in {}\n", name, arguments.variants), 1;
  }
  std::map<int, Account> clean;  // by how thin the traffic is
  int failed = 0, wrong = 0, played = 0;
  Value all = Value::array();
  for (const Variant& variant : *variants) {
    if (!arguments.only.empty() && !arguments.only.contains(variant.name)) continue;
    const int every = variant.every > 0 ? variant.every : arguments.every;
    if (!clean.contains(every)) {
      Variant without{"without-faults"};
      without.every = every;
      auto account = play(arguments, without);
      if (!account.ok()) return fmt::print("{}\n", account.error().str()), 1;
      clean.emplace(every, *std::move(account));
    }
    // What is named in traffic without a fault is named for nothing, and beside itself it has none.
    const auto account = play(arguments, variant);
    if (!account.ok()) return fmt::print("{}: {}\n", variant.name, account.error().str()), 1;
    const Verdict verdict =
        judge(variant, *account, variant.faults.empty() ? Account{} : clean.at(every));
    print(variant, *account, verdict, arguments.verbose);
    all.push(to_value(variant, *account, verdict));
    ++played;
    wrong += verdict.is_right ? 0 : 1;
    failed += verdict.faults.empty() ? 0 : 1;
  }
  fmt::print("{} of {} named right; {} of them failed\n", played - wrong, played, failed);
  if (!arguments.json.empty()) {
    const auto written = heddle::write_file_atomic(arguments.json, heddle::doc::to_json(all));
    if (!written.ok()) return fmt::print("{}\n", written.error().str()), 1;
  }
  return failed == 0 && (!arguments.names || wrong == 0) ? 0 : 1;
}
