// How large the state of the watch becomes, and how long a decision takes: rows at a steady rate
// for days of event time, each with its label a day later, through `watch::Watch` as the control
// plane drives it.
//   watch_growth ROWS_PER_SECOND DAYS
#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "stats/scalar.hpp"
#include "watch/watch.hpp"

namespace {

using namespace heddle;

constexpr std::size_t kRowsOfRequest = 10;
constexpr std::size_t kMostUnsaved = 20'000;  ///< as the control plane decides when to write

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  long size = 0;
  long resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

/// A number that looks random, from where a row stands in the stream.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
double unit(std::uint64_t x) { return static_cast<double>(mixed(x) >> 11) * 0x1.0p-53; }

spec::Monitor monitor() {
  spec::Monitor m;
  m.distributions = {{"distance", "distance", &statistic::ks(), 0.1, 3},
                     {"score", "prediction", &statistic::ks(), 0.1, 3}};
  return m;
}

spec::Contract contract() {
  spec::Contract c;
  c.fields.resize(1);
  c.fields[0].name = "distance";
  c.fields[0].type = expr::Type::kDouble;
  return c;
}

struct Row {
  double distance;
  double margin;
  bool label;
};
Row row_at(std::uint64_t n) {
  Row row;
  row.distance = 1000 * unit(2 * n);
  row.margin = row.distance / 250 - 3;
  row.label = unit(2 * n + 1) < stats::sigmoid(row.margin);
  return row;
}

watch::Baseline baseline() {
  std::vector<double> distances;
  std::vector<Micros> times;
  std::vector<float> margins;
  std::vector<double> codes;
  for (std::uint64_t n = 0; n < 60'000; ++n) {
    const Row row = row_at(n);
    distances.push_back(row.distance);
    times.push_back(static_cast<Micros>(n / 2000) * kDay + static_cast<Micros>(n % 2000));
    margins.push_back(static_cast<float>(row.margin));
    codes.push_back(row.label ? 1 : 0);
  }
  expr::ColumnView column;
  column.type = expr::Type::kDouble;
  column.length = static_cast<std::int64_t>(distances.size());
  column.doubles = distances.data();
  auto built = watch::build_baseline(monitor(), contract(),
                                     {{"distance"}, {column}, times, margins, codes, {}, {}});
  if (!built.ok()) {
    fmt::print(stderr, "watch_growth: {}\n", built.error().message);
    std::exit(1);
  }
  return *std::move(built);
}

plane::RequestRecord request_at(std::uint64_t first, Micros time) {
  plane::RequestRecord request;
  request.request_id = fmt::format("{:036}", first);  // as long as a UUID
  request.source = "default";
  request.account = "app";
  request.event_time = time;
  request.slot = "primary";
  request.route_version = 1;
  request.rows.resize(kRowsOfRequest);
  for (std::size_t i = 0; i < kRowsOfRequest; ++i) {
    const Row row = row_at(first + i);
    plane::RowRecord& record = request.rows[i];
    record.fields.resize(1);
    record.fields[0].kind = expr::Datum::Kind::kDouble;
    record.fields[0].d = row.distance;
    record.prediction = {static_cast<float>(stats::sigmoid(row.margin))};
    record.standby_prediction = record.prediction;
  }
  return request;
}

/// What this thread has computed so far: other work on the machine does not count.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(q * static_cast<double>(values.size() - 1));
  return values[at];
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t rate = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const std::uint64_t days = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2;
  if (rate < kRowsOfRequest || days == 0) {
    fmt::print(stderr, "usage: watch_growth ROWS_PER_SECOND (10 or more) DAYS\n");
    return 2;
  }
  auto opened = watch::Watch::open({monitor(), contract(), {"distance"}, {"a secret"}});
  if (!opened.ok()) return 1;
  watch::Watch& watch = *opened;
  watch.register_route(
      {1, sha256("model"), "", std::make_shared<const watch::Baseline>(baseline())});
  fmt::print("{} rows a second, labels a day later, kept for {} days\n", rate,
             monitor().label_retention / kDay);
  fmt::print("{:>4} {:>14} {:>8} {:>9} {:>10} {:>12} {:>10} {:>10} {:>10} {:>8} {:>11}\n", "day",
             "rows", "sample", "RSS MiB", "pieces MiB", "piece MiB", "tick ms", "p99 ms",
             "worst ms", "CPU ms", "rows/CPU s");
  const std::uint64_t requests_of_second = rate / kRowsOfRequest;
  const Micros step = kSecond / static_cast<Micros>(requests_of_second);
  watch::Output out;
  std::map<std::uint64_t, std::size_t> pieces;
  double most_resident = 0;
  std::int64_t capped_at = 0;  // rows that had come when the sample was first halved
  double capped_resident = 0;
  std::vector<double> all;
  std::vector<double> all_cpu;
  const Micros origin = 11'000 * kDay;
  for (std::uint64_t day = 0; day < days; ++day) {
    std::vector<double> ticks;
    std::vector<double> cpu;
    std::size_t largest = 0;
    const double day_begin = cpu_ms();
    const auto day_rows = watch.rows_seen();
    for (std::uint64_t minute = 0; minute < 24 * 60; ++minute) {
      const Micros begin = origin + static_cast<Micros>(day * 24 * 60 + minute) * kMinute;
      for (std::uint64_t r = 0; r < requests_of_second * 60; ++r) {
        const std::uint64_t number =
            ((day * 24 * 60 + minute) * 60 * requests_of_second + r) * kRowsOfRequest;
        const Micros time = begin + static_cast<Micros>(r) * step;
        watch.observe(request_at(number, time), out);
        if (day == 0) continue;
        const std::uint64_t before = number - 24ULL * 3600 * requests_of_second * kRowsOfRequest;
        const std::string id = fmt::format("{:036}", before);
        for (std::size_t i = 0; i < kRowsOfRequest; ++i) {
          watch.observe(plane::LabelRecord{fmt::format("{}#{}", id, i), row_at(before + i).label,
                                           time, "labels"},
                        out);
        }
      }
      if (capped_at == 0 && watch.sample() < 1) {
        capped_at = static_cast<std::int64_t>(watch.rows_seen());
        capped_resident = resident_mib();
      }
      const auto start = std::chrono::steady_clock::now();
      const double cpu_start = cpu_ms();
      watch.observe(plane::TickRecord{begin + kMinute}, out);
      if (watch.changed() >= kMostUnsaved || minute == 24 * 60 - 1) {
        const auto change = watch.change();
        if (change.piece) {
          pieces[change.piece->first] = change.piece->second.size();
          largest = std::max(largest, change.piece->second.size());
        }
        for (const auto number : change.spent) pieces.erase(number);
        watch.stored(change);
      }
      ticks.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
              .count());
      cpu.push_back(cpu_ms() - cpu_start);
      out.findings.clear();
      out.moves.clear();
    }
    std::size_t bytes = 0;
    for (const auto& [number, size] : pieces) bytes += size;
    most_resident = std::max(most_resident, resident_mib());
    const double seconds = (cpu_ms() - day_begin) / 1e3;
    fmt::print(
        "{:>4} {:>14} {:>8} {:>9.0f} {:>10.1f} {:>12.2f} {:>10.2f} {:>10.2f} {:>10.2f} {:>8.2f} "
        "{:>11.0f}\n",
        day + 1, watch.rows_seen(), fmt::format("1/{:.0f}", 1 / watch.sample()), resident_mib(),
        static_cast<double>(bytes) / (1 << 20), static_cast<double>(largest) / (1 << 20),
        quantile(ticks, 0.5), quantile(ticks, 0.99), quantile(ticks, 1), quantile(cpu, 1),
        static_cast<double>(watch.rows_seen() - day_rows) / seconds);
    std::fflush(stdout);
    all.insert(all.end(), ticks.begin(), ticks.end());
    all_cpu.insert(all_cpu.end(), cpu.begin(), cpu.end());
  }
  if (capped_at > 0) {
    fmt::print("sampled from row {} on: {:.0f} MiB then, {:.0f} MiB at most afterwards\n",
               capped_at, capped_resident, most_resident);
  }
  const double p99 = quantile(all, 0.99);
  fmt::print(
      "decisions: p50 {:.2f} ms, p99 {:.2f} ms (goal ≤ 50: {}), p99 of their CPU time {:.2f} ms; "
      "memory at most {:.0f} MiB (goal ≤ 512: {})\n",
      quantile(all, 0.5), p99, p99 <= 50 ? "met" : "MISSED", quantile(all_cpu, 0.99), most_resident,
      most_resident <= 512 ? "met" : "MISSED");
  return p99 <= 50 && most_resident <= 512 ? 0 : 1;
}
