// Whether one account's flood costs another a record: a data plane's journal at a steady rate of
// honest rows, each with its label, beside accounts that flood, read by what the control plane
// reads it with: the watch, and the access log.
//   journal_rate ROWS_PER_SECOND SECONDS [FLOOD_LABELS_PER_SECOND FLOOD_ROWS_PER_SECOND]
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/file.hpp"
#include "base/file_port.hpp"
#include "base/ids.hpp"
#include "plane/journal.hpp"
#include "plane/segment.hpp"
#include "telemetry/access_log.hpp"
#include "watch/watch.hpp"

namespace {

using namespace heddle;
using Steady = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kRowsOfRequest = 10;
constexpr std::uint64_t kLabelsOfRequest = 1000;
constexpr std::uint64_t kAccessBytes = 256ull << 20;
// As the control plane does it.
constexpr std::size_t kMostUnsaved = 20'000;
constexpr std::uint64_t kMostUnsavedSegments = 4;
constexpr auto kPumpSlice = std::chrono::milliseconds(20);
constexpr auto kAccessSlice = std::chrono::milliseconds(200);

const std::vector<std::string> kFields = {"date",     "origin", "destination", "distance",
                                          "duration", "number", "carrier",     "aircraft"};

plane::RequestRecord request_of(const std::string& account, std::uint64_t number, Micros now) {
  plane::RequestRecord request;
  request.request_id = fmt::format("{}-{:030}", account, number);
  request.source = "default";
  request.account = account;
  request.event_time = request.arrival = now;
  request.slot = "primary";
  request.route_version = 1;
  request.micros = 300;
  request.rows.resize(kRowsOfRequest);
  for (std::size_t i = 0; i < kRowsOfRequest; ++i) {
    plane::RowRecord& row = request.rows[i];
    row.fields.resize(kFields.size());
    row.fields[0].kind = expr::Datum::Kind::kTimestamp;
    row.fields[0].i = now;
    for (std::size_t f = 1; f < kFields.size(); ++f) {
      row.fields[f].kind = f < 3 || f > 5 ? expr::Datum::Kind::kString : expr::Datum::Kind::kInt;
      row.fields[f].s = "LAX";
      row.fields[f].i = static_cast<std::int64_t>(number % 3000);
    }
    row.prediction = row.standby_prediction = {0.25F};
  }
  return request;
}

/// The control plane's thread: reads, saves where it is, writes access logs, says what is not
/// needed.
class Reader {
 public:
  explicit Reader(const std::string& dir)
      : dir_(dir),
        reader_(plane::JournalReader::open(dir).value()),
        watch_(watch::Watch::open({monitor(), contract(), kFields, {"a secret"}}).value()) {
    watch::Route route;
    route.version = 1;
    route.unwatched = "the bench has no baseline";
    watch_.register_route(std::move(route));
  }

  void run(const std::atomic<bool>& stop) {
    auto archive_at = Steady::now() + std::chrono::seconds(1);
    while (!stop) {
      if (!pump()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (Steady::now() < archive_at) continue;
      archive();
      archive_at = Steady::now() + std::chrono::seconds(1);
    }
  }

  std::atomic<std::uint64_t> gaps{0};    ///< requests and labels that the journal says are missing
  std::atomic<std::uint64_t> honest{0};  ///< of them the honest accounts'
  std::atomic<std::uint64_t> position{0};  ///< segment that is being read

 private:
  static spec::Monitor monitor() {
    spec::Monitor m;
    m.labelled_quality = false;
    return m;
  }
  static spec::Contract contract() {
    spec::Contract c;
    for (const auto& name : kFields) {
      c.fields.emplace_back();
      c.fields.back().name = name;
    }
    c.fields[0].type = expr::Type::kTimestamp;
    return c;
  }

  bool pump() {
    const auto until = Steady::now() + kPumpSlice;
    watch::Output out;
    for (int n = 0;; ++n) {
      if (n % 64 == 0 && Steady::now() > until) return true;
      auto record = reader_->next();
      if (!record.ok() || !*record) {
        if (!record.ok()) fmt::print(stderr, "journal_rate: {}\n", record.error().str());
        return false;
      }
      if (const auto* gap = std::get_if<plane::GapRecord>(&**record)) {
        gaps += gap->requests + gap->labels;
        if (!gap->account.starts_with("flood")) honest += gap->requests + gap->labels;
      }
      out.findings.clear();
      out.moves.clear();
      watch_.observe(**record, out);
      position = reader_->position().segment;
      if (!std::holds_alternative<plane::TickRecord>(**record)) continue;
      if (watch_.changed() < kMostUnsaved && position < saved_ + kMostUnsavedSegments) continue;
      watch_.stored(watch_.change());
      saved_ = position;
      say();
    }
  }
  void archive() {
    const auto segments = plane::list_segments(dir_).value();
    const auto waiting = std::count_if(segments.begin(), segments.end(),
                                       [&](std::uint64_t segment) { return segment > archived_; });
    const auto until = Steady::now() + (waiting > 4 ? 3 : 1) * kAccessSlice;
    for (std::size_t i = 0; i + 1 < segments.size() && Steady::now() < until; ++i) {
      if (segments[i] <= archived_) continue;
      telemetry::AccessSource source;
      source.spool = dir_;
      source.segment = segments[i];
      source.bundle_of = [](std::uint64_t, std::string_view) { return std::string("sha256:aa"); };
      if (const auto made = telemetry::write_access(source, dir_ + "/access"); !made.ok())
        fmt::print(stderr, "journal_rate: {}\n", made.error().str());
      archived_ = segments[i];
    }
    const std::string access = dir_ + "/access";
    if (const auto removed = telemetry::remove_access(
            access,
            telemetry::past_bound(access, kAccessBytes, system_files().free_bytes(access.c_str()))
                .segments);
        !removed.ok())
      fmt::print(stderr, "journal_rate: {}\n", removed.error().str());
    say();
  }
  void say() {
    const auto said = plane::consumed(dir_, std::min(saved_, archived_ + 1));
    if (!said.ok()) fmt::print(stderr, "journal_rate: {}\n", said.error().str());
  }

  std::string dir_;
  std::unique_ptr<plane::JournalReader> reader_;
  watch::Watch watch_;
  std::uint64_t saved_ = 0;
  std::uint64_t archived_ = 0;
};

/// Comes at a rate, in pieces of `of` at once.
struct Pace {
  double per_second = 0;
  std::uint64_t of = 1;
  std::uint64_t done = 0;
  [[nodiscard]] bool due(double seconds) const {
    return static_cast<double>((done + 1) * of) <= seconds * per_second;
  }
};

struct Sent {
  std::uint64_t rows = 0, labels = 0, refused = 0, flood_labels = 0, flood_refused = 0,
                flood_rows = 0;
  std::uint64_t most_bytes = 0, most_behind = 0;
  double slowest_ms = 0;
};

class Writer {
 public:
  Writer(plane::JournalWriter& journal, std::array<double, 3> rates) : journal_(journal) {
    honest_ = {rates[0], kRowsOfRequest};
    flood_labels_ = {rates[1], kLabelsOfRequest};
    flood_rows_ = {rates[2], kRowsOfRequest};
  }

  /// One turn of a loop: what is due, handed to the kernel together.
  void turn(double seconds) {
    const Micros now = system_clock().wall();
    for (; honest_.due(seconds); ++honest_.done) {
      journal_.append(request_of("app", honest_.done, now));
      due_.emplace_back(seconds + 1, honest_.done);
      sent.rows += kRowsOfRequest;
    }
    for (; !due_.empty() && due_.front().first <= seconds; due_.pop_front()) {
      if (journal_.room(plane::RecordKind::kLabels, "labels") != plane::Room::kYes) {
        sent.refused += kRowsOfRequest;
        continue;
      }
      for (std::size_t i = 0; i < kRowsOfRequest; ++i)
        journal_.append(plane::LabelRecord{fmt::format("app-{:030}#{}", due_.front().second, i),
                                           true, now, "labels"});
      sent.labels += kRowsOfRequest;
    }
    // A loop handles so much at once as came meanwhile, and a flood is not let catch up.
    for (int i = 0; i < 50 && flood_labels_.due(seconds); ++i, ++flood_labels_.done) {
      if (journal_.room(plane::RecordKind::kLabels, "flood-labels") != plane::Room::kYes) {
        sent.flood_refused += kLabelsOfRequest;
        continue;
      }
      for (std::uint64_t k = 0; k < kLabelsOfRequest; ++k)
        journal_.append(plane::LabelRecord{fmt::format("no-row-{:024}#{}", flood_labels_.done, k),
                                           true, now, "flood-labels"});
      sent.flood_labels += kLabelsOfRequest;
    }
    for (int i = 0; i < 500 && flood_rows_.due(seconds); ++i, ++flood_rows_.done) {
      journal_.append(request_of("flood-rows", flood_rows_.done, now));
      sent.flood_rows += kRowsOfRequest;
    }
    const auto begin = Steady::now();
    if (const auto committed = journal_.commit(); !committed.ok())
      fmt::print(stderr, "journal_rate: {}\n", committed.error().str());
    sent.slowest_ms = std::max(sent.slowest_ms, 1e3 * Seconds(Steady::now() - begin).count());
    sent.most_bytes = std::max(sent.most_bytes, journal_.bytes());
  }

  Sent sent;

 private:
  plane::JournalWriter& journal_;
  Pace honest_, flood_labels_, flood_rows_;
  std::deque<std::pair<double, std::uint64_t>> due_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, double otherwise) {
    return argc > i ? std::strtod(argv[i], nullptr) : otherwise;
  };
  const double rate = number(1, 20'000), seconds = number(2, 120);
  if (rate < kRowsOfRequest || seconds < 10) {
    fmt::print(stderr,
               "usage: journal_rate ROWS_PER_SECOND (10 or more) SECONDS (10 or more) "
               "[FLOOD_LABELS_PER_SECOND FLOOD_ROWS_PER_SECOND]\n");
    return 2;
  }
  const std::array<double, 3> rates{rate, number(3, 500'000), number(4, 5'000)};
  const std::string dir = std::filesystem::temp_directory_path() / ("journal-rate-" + uuid7());
  auto journal = plane::JournalWriter::open({.dir = dir, .fields = kFields}).value();
  fmt::print(
      "{:.0f} rows a second and their labels for {:.0f} s; floods of {:.0f} labels and "
      "{:.0f} rows a second\n",
      rates[0], seconds, rates[1], rates[2]);
  fmt::print("{:>6} {:>12} {:>12} {:>14} {:>14} {:>10} {:>8} {:>9}\n", "s", "rows", "labels",
             "flood labels", "refused", "MiB", "behind", "lost");
  Reader reader(dir);
  std::atomic<bool> stop{false};
  std::thread reading([&] { reader.run(stop); });
  Writer writer(*journal, rates);
  const auto begin = Steady::now();
  double next_tick = 0, next_line = 10;
  const auto lost_of_honest = [&] {
    std::uint64_t sum = 0;
    for (const auto& [account, lost] : journal->unrecorded())
      sum += account.starts_with("flood") ? 0 : lost.requests + lost.labels;
    return sum;
  };
  std::vector<double> sizes;
  for (double now = 0; now < seconds; now = Seconds(Steady::now() - begin).count()) {
    writer.turn(now);
    if (now >= next_tick) {
      journal->append(plane::TickRecord{system_clock().wall()});
      journal->sync_soon();
      ++next_tick;
    }
    Sent& sent = writer.sent;
    sent.most_behind = std::max(sent.most_behind, journal->position().segment - reader.position);
    if (now >= next_line) {
      next_line += 10;
      sizes.push_back(static_cast<double>(journal->bytes()) / (1 << 20));
      fmt::print("{:>6.0f} {:>12} {:>12} {:>14} {:>14} {:>10.0f} {:>8} {:>9}\n", now, sent.rows,
                 sent.labels, sent.flood_labels, sent.flood_refused, sizes.back(),
                 journal->position().segment - reader.position, lost_of_honest());
      std::fflush(stdout);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop = true;
  reading.join();
  const Sent& sent = writer.sent;
  const std::uint64_t lost = lost_of_honest();
  const bool kept = lost == 0 && sent.refused == 0 && reader.honest == 0;
  const bool flat = sent.most_bytes <= plane::kJournalBytes;
  const double wanted = rates[0] * seconds * 0.99;
  fmt::print("honest: {} rows ({:.0f} a second{}), {} labels; lost {}, refused {} (goal 0: {})\n",
             sent.rows, static_cast<double>(sent.rows) / seconds,
             static_cast<double>(sent.rows) < wanted ? ", below the rate asked for" : "",
             sent.labels, lost, sent.refused, kept ? "met" : "MISSED");
  fmt::print("floods: {} labels taken, {} refused; {} rows sent, {} lost\n", sent.flood_labels,
             sent.flood_refused, sent.flood_rows, [&] {
               const auto all = journal->unrecorded();
               const auto at = all.find("flood-rows");
               return at == all.end() ? 0 : at->second.requests * kRowsOfRequest;
             }());
  fmt::print(
      "journal: {:.0f} MiB at most (goal ≤ {}: {}); segments behind at most {}; slowest "
      "hand-over {:.1f} ms\n",
      static_cast<double>(sent.most_bytes) / (1 << 20), plane::kJournalBytes >> 20,
      flat ? "met" : "MISSED", sent.most_behind, sent.slowest_ms);
  journal.reset();
  std::filesystem::remove_all(dir);
  return kept && flat ? 0 : 1;
}
