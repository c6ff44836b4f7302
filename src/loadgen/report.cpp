#include "loadgen/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace heddle::loadgen {
namespace {

using stats::LatencyHistogram;

constexpr std::array<std::pair<double, const char*>, 8> kPercentiles{{{0.5, "p50"},
                                                                      {0.75, "p75"},
                                                                      {0.9, "p90"},
                                                                      {0.99, "p99"},
                                                                      {0.999, "p99.9"},
                                                                      {0.9999, "p99.99"},
                                                                      {0.99999, "p99.999"},
                                                                      {1, "max"}}};
constexpr int kBar = 48;
constexpr std::int64_t kLateNs = 1'000'000;

/// A bar of eighths of a character.
std::string bar(double share, int width) {
  static constexpr std::array<const char*, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * width * 8));
  std::string out;
  for (int i = 0; i < eighths / 8; ++i) out += "█";
  return out + kEighths[static_cast<std::size_t>(eighths % 8)];
}

std::string row(const char* name, const LatencyHistogram& h) {
  if (h.count() == 0) return {};
  return fmt::format("{:<16}{:>12}{:>11}{:>11}{:>11}{:>11}{:>11}\n", name, h.count(),
                     format_ns(static_cast<double>(h.quantile(0.5))),
                     format_ns(static_cast<double>(h.quantile(0.9))),
                     format_ns(static_cast<double>(h.quantile(0.99))),
                     format_ns(static_cast<double>(h.quantile(0.999))),
                     format_ns(static_cast<double>(h.greatest())));
}

std::string spectrum(const LatencyHistogram& h) {
  if (h.count() == 0) return {};
  // On a logarithmic scale from half the median: a tail is powers of ten away.
  const double low = std::log(std::max(1.0, static_cast<double>(h.quantile(0.5)) / 2));
  const double high =
      std::max(std::log(std::max(1.0, static_cast<double>(h.greatest()))), low + 1e-9);
  std::string out = "\nserved, by percentile (logarithmic)\n";
  for (const auto& [q, name] : kPercentiles) {
    if (q < 1 && static_cast<double>(h.count()) * (1 - q) < 1) continue;  // no request is above it
    const double value = static_cast<double>(h.quantile(q));
    fmt::format_to(std::back_inserter(out), "{:>8} {:>9} {}\n", name, format_ns(value),
                   bar((std::log(std::max(1.0, value)) - low) / (high - low), kBar));
  }
  return out;
}

std::string over_time(const Outcome& o) {
  static constexpr std::array<const char*, 8> kLevels{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double low = INFINITY, high = 0;
  for (const Slice& slice : o.slices) {
    if (slice.served == 0) continue;
    const double p99 = static_cast<double>(slice.served_ns.quantile(0.99));
    low = std::min(low, p99);
    high = std::max(high, p99);
  }
  // A line of a terminal holds no more.
  if (high == 0 || o.slices.size() > 400) return {};
  std::string line;
  // At least half as high again as the least, so that noise does not fill the whole height.
  const double range = std::log(std::max(high, low * 1.5)) - std::log(low);
  for (const Slice& slice : o.slices) {
    if (slice.served == 0) {
      // A slice in which nothing came is no failure.
      line += slice.failed + slice.shed > 0 ? "×" : " ";
      continue;
    }
    const double share =
        (std::log(static_cast<double>(slice.served_ns.quantile(0.99))) - std::log(low)) / range;
    line += kLevels[static_cast<std::size_t>(std::clamp(share * 7.999, 0.0, 7.0))];
  }
  return fmt::format("\nserved p99 of each {} ({} to {}; ×: nothing served)\n{}\n",
                     format_ns(static_cast<double>(o.slice_ns)), format_ns(low), format_ns(high),
                     line);
}

doc::Value histogram_value(const LatencyHistogram& h) {
  doc::Value out = doc::Value::object(
      {{"count", static_cast<std::int64_t>(h.count())}, {"mean_us", h.mean() / 1e3}});
  for (const auto& [q, name] : kPercentiles)
    out.set(fmt::format("{}_us", name), static_cast<double>(h.quantile(q)) / 1e3);
  return out;
}

/// How often each status came; `none` when nothing did.
std::string statuses_text(const Outcome& o) {
  std::string out;
  for (std::size_t i = 0; i < o.statuses.size(); ++i) {
    if (o.statuses[i] > 0)
      out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", i, o.statuses[i]);
  }
  return out.empty() ? "none" : out;
}

/// Why requests had no answer, and how many; empty when all had one.
std::string unanswered_text(const Outcome& o) {
  std::string out;
  for (const auto& [n, what] : {std::pair{o.timed_out, "timed out"},
                                {o.lost, "lost with their connection"},
                                {o.malformed, "answered by no HTTP"},
                                {o.unsent, "never sent (no connection had room)"}}) {
    if (n > 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", n, what);
  }
  return out;
}

}  // namespace

std::string format_ns(double ns) {
  // Three significant digits.
  const auto digits = [](double v) { return v < 10 ? 2 : v < 100 ? 1 : 0; };
  if (ns < 999.5) return fmt::format("{:.0f} ns", ns);
  if (ns < 999.5e3) return fmt::format("{:.{}f} us", ns / 1e3, digits(ns / 1e3));
  if (ns < 999.5e6) return fmt::format("{:.{}f} ms", ns / 1e6, digits(ns / 1e6));
  return fmt::format("{:.{}f} s", ns / 1e9, digits(ns / 1e9));
}

std::string describe(const Options& o) {
  return fmt::format(
      "{}, {} connection{}{}, {:.1f} s after {:.1f} s of warm-up",
      o.closed ? std::string("closed loop")
               : fmt::format("open loop, {:.0f}/s {}", o.rate,
                             o.arrival == Arrival::kConstant ? "constant" : "Poisson"),
      o.connections, o.connections == 1 ? "" : "s",
      o.pipeline > 1 ? fmt::format(" of at most {} requests", o.pipeline) : "",
      static_cast<double>(o.duration_ns) / 1e9, static_cast<double>(o.warmup_ns) / 1e9);
}

std::string to_text(const Options& options, const Outcome& o) {
  std::string out =
      fmt::format("{} http://{}:{}{}\n{}\n\n", options.target.method, options.target.host,
                  options.target.port, options.target.path, describe(options));
  fmt::format_to(std::back_inserter(out),
                 "offered {:.1f}/s, served {:.1f}/s, shed {:.1f}/s, failed {:.1f}/s\n\n",
                 o.offered_rate(), o.served_rate(), static_cast<double>(o.shed) / o.seconds,
                 static_cast<double>(o.failed()) / o.seconds);
  fmt::format_to(std::back_inserter(out), "{:<16}{:>12}{:>11}{:>11}{:>11}{:>11}{:>11}\n",
                 "from intended", "requests", "p50", "p90", "p99", "p99.9", "max");
  out += row("served", o.served_ns) + row("shed", o.shed_ns);
  if (o.shed + o.failed() > 0) out += row("every", o.every_ns);
  if (!options.closed) out += row("late in sending", o.late_ns);
  fmt::format_to(std::back_inserter(out), "\nstatus {}\n", statuses_text(o));
  const std::string without = unanswered_text(o);
  if (!without.empty()) fmt::format_to(std::back_inserter(out), "without an answer: {}\n", without);
  if (o.wrong > 0) fmt::format_to(std::back_inserter(out), "wrong answers: {}\n", o.wrong);
  if (o.connect_failures + o.reconnects > 0)
    fmt::format_to(std::back_inserter(out), "connections: {} attempts failed, {} made again\n",
                   o.connect_failures, o.reconnects);
  if (o.warmup_failed > 0)
    fmt::format_to(std::back_inserter(out), "warm-up: {} requests were not served\n",
                   o.warmup_failed);
  if (!options.closed && o.late_ns.quantile(0.99) > kLateNs) {
    out +=
        "note: requests waited in the generator for a connection with room; their wait is in the "
        "latencies. More were offered at "
        "once with `--connections` or `--pipeline`\n";
  }
  return out + spectrum(o.served_ns) + over_time(o);
}

doc::Value to_value(const Options& options, const Outcome& o) {
  doc::Value statuses = doc::Value::object();
  for (std::size_t i = 0; i < o.statuses.size(); ++i) {
    if (o.statuses[i] > 0)
      statuses.set(fmt::format("{}", i), static_cast<std::int64_t>(o.statuses[i]));
  }
  doc::Value slices = doc::Value::array();
  for (const Slice& s : o.slices) {
    slices.push(
        doc::Value::object({{"served", static_cast<std::int64_t>(s.served)},
                            {"shed", static_cast<std::int64_t>(s.shed)},
                            {"failed", static_cast<std::int64_t>(s.failed)},
                            {"p50_us", static_cast<double>(s.served_ns.quantile(0.5)) / 1e3},
                            {"p99_us", static_cast<double>(s.served_ns.quantile(0.99)) / 1e3},
                            {"max_us", static_cast<double>(s.served_ns.greatest()) / 1e3}}));
  }
  const auto n = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  return doc::Value::object(
      {{"format", "heddle.load/1"},
       {"url", fmt::format("http://{}:{}{}", options.target.host, options.target.port,
                           options.target.path)},
       {"loop", options.closed ? "closed" : "open"},
       {"arrival", options.arrival == Arrival::kConstant ? "constant" : "poisson"},
       {"seed", n(options.seed)},
       {"connections", n(options.connections)},
       {"pipeline", n(options.pipeline)},
       {"seconds", o.seconds},
       {"offered_per_second", o.offered_rate()},
       {"served_per_second", o.served_rate()},
       {"scheduled", n(o.scheduled)},
       {"served", n(o.served)},
       {"shed", n(o.shed)},
       {"refused", n(o.refused)},
       {"malformed", n(o.malformed)},
       {"timed_out", n(o.timed_out)},
       {"lost", n(o.lost)},
       {"unsent", n(o.unsent)},
       {"wrong", n(o.wrong)},
       {"connect_failures", n(o.connect_failures)},
       {"reconnects", n(o.reconnects)},
       {"warmup_failed", n(o.warmup_failed)},
       {"statuses", std::move(statuses)},
       {"served_latency", histogram_value(o.served_ns)},
       {"shed_latency", histogram_value(o.shed_ns)},
       {"every_latency", histogram_value(o.every_ns)},
       {"served_latency_from_send", histogram_value(o.served_sent_ns)},
       {"shed_latency_from_send", histogram_value(o.shed_sent_ns)},
       {"late", histogram_value(o.late_ns)},
       {"slice_seconds", static_cast<double>(o.slice_ns) / 1e9},
       {"slices", std::move(slices)}});
}

std::string to_text(const Options& options, const Knee& knee) {
  std::string out =
      fmt::format("{} http://{}:{}{}\n{} connections, {:.1f} s a step\n\n", options.target.method,
                  options.target.host, options.target.port, options.target.path,
                  options.connections, static_cast<double>(options.duration_ns) / 1e9);
  fmt::format_to(std::back_inserter(out), "closed loop: {:.1f}/s, p50 {}, p99 {}\n\n",
                 knee.capacity, format_ns(static_cast<double>(knee.closed.served_ns.quantile(0.5))),
                 format_ns(static_cast<double>(knee.closed.served_ns.quantile(0.99))));
  fmt::format_to(std::back_inserter(out), "{:>12}{:>12}{:>10}{:>10}{:>11}{:>11}{:>11}\n",
                 "offered/s", "served/s", "shed", "failed", "p50", "p99", "max");
  double high = 0;
  for (const Step& s : knee.steps)
    high = std::max(high, std::log1p(static_cast<double>(s.outcome.every_ns.quantile(0.99)) / 1e3));
  for (const Step& s : knee.steps) {
    const Outcome& o = s.outcome;
    fmt::format_to(
        std::back_inserter(out), "{:>12.1f}{:>12.1f}{:>10}{:>10}{:>11}{:>11}{:>11}  {}{}\n", s.rate,
        o.served_rate(), o.shed, o.failed(),
        format_ns(static_cast<double>(o.served_ns.quantile(0.5))),
        format_ns(static_cast<double>(o.served_ns.quantile(0.99))),
        format_ns(static_cast<double>(o.served_ns.greatest())),
        bar(std::log1p(static_cast<double>(o.every_ns.quantile(0.99)) / 1e3) / std::max(high, 1e-9),
            16),
        s.why.empty() ? "" : " " + s.why);
  }
  if (knee.knee > 0)
    fmt::format_to(std::back_inserter(out),
                   "\nholds up to {:.1f}/s ({:.0f} % of the closed loop)\n", knee.knee,
                   100 * knee.knee / knee.capacity);
  else
    out += "\nnot even the lowest rate holds\n";
  return out;
}

doc::Value to_value(const Options& options, const Knee& knee) {
  Options closed = options;
  closed.closed = true;
  doc::Value steps = doc::Value::array();
  for (const Step& s : knee.steps) {
    Options open = options;
    open.rate = s.rate;
    doc::Value value = to_value(open, s.outcome);
    value.set("holds", s.holds);
    value.set("why", s.why);
    steps.push(std::move(value));
  }
  return doc::Value::object({{"format", "heddle.load-knee/1"},
                             {"capacity_per_second", knee.capacity},
                             {"knee_per_second", knee.knee},
                             {"closed", to_value(closed, knee.closed)},
                             {"steps", std::move(steps)}});
}

}  // namespace heddle::loadgen
