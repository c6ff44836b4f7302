#include "replay/replayer.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "net/client.hpp"
#include "replay/recording.hpp"
#include "replay/truth.hpp"
#include "replay/wire.hpp"

namespace heddle::replay {
namespace {

constexpr std::size_t kLabelsPerRequest = 1000;
constexpr std::size_t kErrorsKept = 5;
constexpr int kMaxBlockRows = 1000;
constexpr Micros kBatchSpan =
    10 * kMinute;  ///< of event time in one request: it has one event time for all its rows

/// Cuts rows of the recording, in order, into blocks, and each block into requests of one source
/// each.
class Cutter {
 public:
  Cutter(const Recording& recording, const Options& options)
      : recording_(recording),
        block_rows_(options.block_rows),
        batch_max_(options.batch_max),
        random_(options.seed),
        open_(std::max<std::size_t>(options.sources.size(), 1)) {}

  [[nodiscard]] bool done() const noexcept { return next_ >= recording_.rows(); }

  /// A block never goes over midnight, so that days stay whole. Requests come in order of their
  /// event time.
  void next_block(std::vector<Batch>& out) {
    out.clear();
    const Micros day = day_of(recording_.event_time(next_));
    const std::int64_t end = std::min(recording_.rows(), next_ + block_rows_);
    for (; next_ < end && day_of(recording_.event_time(next_)) == day; ++next_) {
      Open& open = open_[static_cast<std::size_t>(recording_.source(next_))];
      if (!open.rows.empty() &&
          recording_.event_time(next_) - recording_.event_time(open.rows.front()) > kBatchSpan)
        close(open, out);
      if (open.rows.empty())
        open.size = std::uniform_int_distribution<std::size_t>(
            1, static_cast<std::size_t>(batch_max_))(random_);
      open.rows.push_back(next_);
      if (open.rows.size() == open.size) close(open, out);
    }
    for (Open& open : open_) {
      if (!open.rows.empty()) close(open, out);
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const Batch& a, const Batch& b) { return a.event_time < b.event_time; });
    for (Batch& batch : out) batch.request = requests_++;
  }

  /// Everything before this event time has been cut.
  [[nodiscard]] Micros reached() const noexcept {
    return done() ? recording_.event_time(recording_.rows() - 1) + 1 : recording_.event_time(next_);
  }

 private:
  struct Open {
    std::vector<std::int64_t> rows;
    std::size_t size = 0;
  };
  static Micros day_of(Micros time) { return (time - (time < 0 ? kDay - 1 : 0)) / kDay; }
  void close(Open& open, std::vector<Batch>& out) {
    out.push_back({0, recording_.source(open.rows.front()), recording_.event_time(open.rows.back()),
                   std::move(open.rows)});
    open.rows.clear();
  }

  const Recording& recording_;
  std::int64_t block_rows_;
  int batch_max_;
  std::mt19937_64 random_;
  std::vector<Open> open_;
  std::int64_t next_ = 0;
  std::int64_t requests_ = 0;
};

struct Received {
  bool answered = false;
  std::string bundle;
  std::string slot;
  std::vector<float> predictions;
};

/// One connection with what it needs to send and count. Confined to one thread.
class Sender {
 public:
  Sender(const Options& options, const Recording& recording)
      : options_(options),
        recording_(recording),
        run_(run_id(options.seed, recording.event_time(0))),
        client_({.host = options.host,
                 .port = options.port,
                 .unix_path = {},
                 .token = options.token,
                 .timeout_ms = options.timeout_ms}),
        predict_path_(fmt::format("/v1/services/{}/predict", options.service)),
        labels_path_(fmt::format("/v1/services/{}/labels", options.service)),
        tick_path_(fmt::format("/v1/services/{}/tick", options.service)) {}

  struct Counts {
    std::int64_t answered = 0, failed = 0, retried = 0, rejected = 0, labels_refused = 0;
    std::vector<float> latency_us;
    std::vector<std::string> errors;
  };
  [[nodiscard]] Counts& counts() noexcept { return counts_; }

  void predict(const Batch& batch, Received& out) {
    out.answered = false;
    const std::string& source = options_.sources.empty()
                                    ? kDefaultSource
                                    : options_.sources[static_cast<std::size_t>(batch.source)];
    write_predict(recording_, batch, run_, source, body_);
    const std::int64_t begin = system_clock().mono_ns();
    const std::optional<net::HttpClient::Reply> answer = send(predict_path_, {200, 422});
    if (!answer.has_value()) return;
    counts_.latency_us.push_back(static_cast<float>(system_clock().mono_ns() - begin) / 1000.0f);
    Result<const AnswerReader::Answer*> read = reader_.read(answer->body, batch.rows.size());
    if (!read.ok()) {
      ++counts_.failed;
      note(read.error().message);
      return;
    }
    ++counts_.answered;
    out.answered = true;
    out.bundle.assign((*read)->bundle);
    out.slot.assign((*read)->slot);
    out.predictions = (*read)->predictions;
  }
  void labels(std::span<const DueLabel> due) {
    for (std::size_t at = 0; at < due.size(); at += kLabelsPerRequest) {
      write_labels(due.subspan(at, std::min(kLabelsPerRequest, due.size() - at)), run_, body_);
      const auto answer = send(labels_path_, {200, 202, 422});
      if (answer.has_value()) counts_.labels_refused += read_refused(answer->body);
    }
  }
  /// The service's own error when it refuses the tick; one that got no answer is counted as any
  /// request.
  [[nodiscard]] Result<void> tick(Micros event_time) {
    write_tick(event_time, body_);
    rejection_.reset();
    (void)send(tick_path_, {200, 202});
    return rejection_ ? Result<void>(*rejection_) : Result<void>();
  }

 private:
  static inline const std::string kDefaultSource{};
  static inline const std::vector<std::pair<std::string, std::string>> kJson{
      {"Content-Type", "application/json"}};

  void note(std::string text) {
    if (counts_.errors.size() < kErrorsKept) counts_.errors.push_back(std::move(text));
  }

  void note(std::string_view path, const Result<net::HttpClient::Reply>& answer) {
    if (!answer.ok()) return note(fmt::format("{}: {}", path, answer.error().message));
    note(fmt::format("{}: HTTP {}: {}", path, answer->status,
                     std::string_view(answer->body).substr(0, 300)));
  }

  /// The answer when its status is one of `good`; another one is counted and kept as an error.
  std::optional<net::HttpClient::Reply> accepted(std::string_view path,
                                                 net::HttpClient::Reply answer,
                                                 std::initializer_list<int> good) {
    if (std::find(good.begin(), good.end(), answer.status) != good.end()) return answer;
    ++counts_.rejected;
    rejection_ = read_error(answer.status, answer.body);
    note(path, answer);
    return std::nullopt;
  }

  /// Sends `body_` until there is an answer below 500 or the time is over; counts what happened.
  std::optional<net::HttpClient::Reply> send(std::string_view path,
                                             std::initializer_list<int> good) {
    const std::int64_t deadline =
        system_clock().mono_ns() + std::int64_t{options_.timeout_ms} * 1'000'000;
    bool failed = false;
    bool lost = false;
    while (true) {
      const std::int64_t left_ms =
          std::max<std::int64_t>((deadline - system_clock().mono_ns()) / 1'000'000, 1);
      Result<net::HttpClient::Reply> answer = client_.send("POST", path, body_, kJson, left_ms);
      if (answer.ok() && answer->status < 500) {
        if (lost) ++counts_.retried;
        if (failed) ++counts_.failed;
        return accepted(path, std::move(*answer), good);
      }
      (answer.ok() ? failed : lost) = true;
      note(path, answer);
      // A lost connection and a service that has no room are worth another try, nothing else is.
      const bool again =
          answer.ok() ? answer->status == 503 : answer.error().kind == ErrorKind::kUnavailable;
      if (!again || system_clock().mono_ns() >= deadline) {
        ++counts_.failed;
        return std::nullopt;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  const Options& options_;
  const Recording& recording_;
  std::string run_;
  net::HttpClient client_;
  std::string predict_path_, labels_path_, tick_path_;
  std::string body_;
  AnswerReader reader_;
  Counts counts_;
  std::optional<Error> rejection_;  ///< the last one
};

/// Sends the requests of a block: the first connection by the calling thread, the others by threads
/// that wait in between.
class Senders {
 public:
  Senders(const Options& options, const Recording& recording)
      : count_(static_cast<std::size_t>(std::max(options.connections, 1))),
        start_(static_cast<std::ptrdiff_t>(count_)),
        end_(static_cast<std::ptrdiff_t>(count_)) {
    for (std::size_t i = 0; i < count_; ++i)
      senders_.push_back(std::make_unique<Sender>(options, recording));
    for (std::size_t i = 1; i < count_; ++i) {
      threads_.emplace_back([this, i] {
        while (true) {
          start_.arrive_and_wait();
          if (stop_) return;
          work(i);
          end_.arrive_and_wait();
        }
      });
    }
  }
  ~Senders() {
    stop_ = true;
    if (count_ > 1) start_.arrive_and_wait();
    for (std::thread& thread : threads_) thread.join();
  }
  void predict(std::span<const Batch> batches, std::span<Received> out) {
    batches_ = batches;
    out_ = out;
    if (count_ > 1) start_.arrive_and_wait();
    work(0);
    if (count_ > 1) end_.arrive_and_wait();
  }
  Sender& first() noexcept { return *senders_.front(); }
  std::vector<std::unique_ptr<Sender>>& all() noexcept { return senders_; }

 private:
  void work(std::size_t mine) {
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      if (static_cast<std::size_t>(batches_[i].source) % count_ == mine)
        senders_[mine]->predict(batches_[i], out_[i]);
    }
  }

  std::size_t count_;
  std::barrier<> start_;
  std::barrier<> end_;
  bool stop_ = false;
  std::span<const Batch> batches_;
  std::span<Received> out_;
  std::vector<std::unique_ptr<Sender>> senders_;
  std::vector<std::thread> threads_;
};

template <class Index>
Index place_of(std::vector<std::string>& names, const std::string& name) {
  if (name.empty()) return -1;
  // The newest is nearly always the one.
  for (std::size_t i = names.size(); i-- > 0;) {
    if (names[i] == name) return static_cast<Index>(i);
  }
  names.push_back(name);
  return static_cast<Index>(names.size() - 1);
}

Result<void> check_options(const Options& options) {
  auto wrong = [](std::string message, std::string hint) {
    return Error{ErrorKind::kInvalid, "replay-options", std::move(message), std::move(hint)};
  };
  if (options.block_rows < 1 || options.block_rows > kMaxBlockRows) {
    return wrong("a block has 1 to 1,000 rows",
                 "lockstep never runs more than 1,000 rows past the watermark");
  }
  if (options.batch_max < 1 || options.connections < 1 || options.timeout_ms < 1) {
    return wrong("batch size, connections and timeout must be positive",
                 "see `heddle replay --help`");
  }
  if (options.lockstep && !options.wait_watermark)
    return wrong("lockstep needs a control plane", "start it with `heddle up`");
  return {};
}

/// One replay: blocks of rows, their labels when they are due, and a tick after each block.
class Run {
 public:
  Run(const Options& options, const Recording& recording)
      : options_(options),
        recording_(recording),
        cutter_(recording, options),
        senders_(options, recording),
        begin_ns_(system_clock().mono_ns()),
        begin_event_(recording.event_time(0)),
        id_(run_id(options.seed, begin_event_)) {
    result_.rows.reserve(static_cast<std::size_t>(recording.rows()));
    result_.untimed = recording.untimed();
    result_.touched.assign(recording.touched().begin(), recording.touched().end());
  }

  Result<void> open_truth() {
    if (options_.truth_path.empty()) return {};
    HEDDLE_ASSIGN_OR_RETURN(TruthWriter writer,
                            TruthWriter::open(options_.truth_path, options_.faults));
    truth_.emplace(std::move(writer));
    return {};
  }

  Result<void> send_rows() {
    // Before the first row: a service that is past it is told of by its own words, and no row comes
    // to a watch without a time.
    HEDDLE_TRY(tick(begin_event_));
    while (go_on_ && !cutter_.done()) {
      cutter_.next_block(block_);
      send_due(cutter_.reached(), std::numeric_limits<std::size_t>::max());
      received_.resize(std::max(received_.size(), block_.size()));
      senders_.predict(block_, received_);
      if (result_.requests == 0) HEDDLE_TRY(check_first_answers());
      take_answers();
      HEDDLE_TRY(end_block(cutter_.reached()));
    }
    return {};
  }

  /// The labels of the last day, which become known after the last row.
  Result<void> send_last_labels() {
    while (go_on_ && !pending_.empty()) {
      const std::size_t count =
          std::min(pending_.size(), static_cast<std::size_t>(options_.block_rows));
      const Micros reached = pending_[count - 1].event_time + 1;
      send_due(reached, pending_.size());
      HEDDLE_TRY(end_block(reached));
    }
    return {};
  }

  Result<Replayed> finish() {
    result_.seconds = static_cast<double>(system_clock().mono_ns() - begin_ns_) * 1e-9;
    for (auto& sender : senders_.all()) add_counts(sender->counts());
    if (truth_.has_value()) HEDDLE_TRY(truth_->finish());
    return std::move(result_);
  }

 private:
  Result<void> tick(Micros reached) {
    HEDDLE_TRY(senders_.first().tick(reached));
    result_.last_tick = reached;
    if (!options_.lockstep) return {};
    const std::int64_t before = system_clock().mono_ns();
    HEDDLE_TRY(options_.wait_watermark(reached));
    result_.waiting_seconds += static_cast<double>(system_clock().mono_ns() - before) * 1e-9;
    return {};
  }

  Result<void> end_block(Micros reached) {
    HEDDLE_TRY(tick(reached));
    if (options_.speed > 0) {
      const double due_seconds = static_cast<double>(reached - begin_event_) /
                                 static_cast<double>(kSecond) / options_.speed;
      const double now = static_cast<double>(system_clock().mono_ns() - begin_ns_) * 1e-9;
      if (due_seconds > now)
        std::this_thread::sleep_for(std::chrono::duration<double>(due_seconds - now));
    }
    if (options_.progress)
      go_on_ = options_.progress(reached, static_cast<std::int64_t>(result_.rows.size()));
    return {};
  }

  /// Sends the labels that are known before `reached`.
  void send_due(Micros reached, std::size_t most) {
    due_.clear();
    while (!pending_.empty() && pending_.front().event_time < reached && due_.size() < most) {
      due_.push_back(pending_.front());
      pending_.pop_front();
    }
    result_.labels += static_cast<std::int64_t>(due_.size());
    result_.label_requests +=
        static_cast<std::int64_t>((due_.size() + kLabelsPerRequest - 1) / kLabelsPerRequest);
    senders_.first().labels(due_);
  }

  /// A replay whose first block meets nobody ends at once.
  Result<void> check_first_answers() {
    const auto end = received_.begin() + static_cast<std::ptrdiff_t>(block_.size());
    if (std::any_of(received_.begin(), end, [](const Received& answer) { return answer.answered; }))
      return {};
    std::string why = "nothing was answered";
    for (auto& sender : senders_.all()) {
      if (!sender->counts().errors.empty()) why = sender->counts().errors.back();
    }
    return Error{ErrorKind::kUnavailable, "replay-no-endpoint",
                 fmt::format("the first requests all failed: {}", why),
                 "check `heddle status`, the port and the token"};
  }

  void take_answers() {
    const std::size_t first_label = pending_.size();
    for (std::size_t b = 0; b < block_.size(); ++b) take_answer(block_[b], received_[b]);
    // Batches interleave sources; labels become known in order of their rows' time. Blocks do not
    // overlap.
    std::stable_sort(
        pending_.begin() + static_cast<std::ptrdiff_t>(first_label), pending_.end(),
        [](const DueLabel& a, const DueLabel& b) { return a.event_time < b.event_time; });
    result_.requests += static_cast<std::int64_t>(block_.size());
  }

  void take_answer(const Batch& batch, const Received& answer) {
    std::int16_t bundle = -1;
    std::int8_t slot = -1;
    if (answer.answered) {
      bundle = place_of<std::int16_t>(result_.bundles, answer.bundle);
      slot = place_of<std::int8_t>(result_.slots, answer.slot);
    }
    for (std::size_t i = 0; i < batch.rows.size(); ++i) {
      RowAnswer& out = result_.rows.emplace_back();
      out.recorded = batch.rows[i];
      out.request = batch.request;
      out.index = static_cast<std::int32_t>(i);
      out.prediction = answer.answered ? answer.predictions[i] : std::nanf("");
      out.outcome = outcome_of(answer.answered, out.prediction);
      if (out.outcome == Outcome::kServed) {
        out.bundle = bundle;
        out.slot = slot;
      }
      await_label(out);
    }
  }

  static Outcome outcome_of(bool answered, float prediction) {
    if (!answered) return Outcome::kFailed;
    return std::isnan(prediction) ? Outcome::kRefused : Outcome::kServed;
  }

  void await_label(const RowAnswer& sent) {
    const std::int64_t row = sent.recorded;
    const Micros time = recording_.event_time(row);
    if (const auto label = recording_.sent_label(row)) {
      pending_.push_back({sent.request, sent.index, *label, time + options_.label_delay});
    } else {
      ++result_.unlabelled;
    }
    if (truth_.has_value()) {
      truth_->add(id_, {row, sent.request, sent.index, time,
                        static_cast<std::uint8_t>(recording_.source(row)), recording_.label(row),
                        recording_.fault_bits(row)});
    }
  }

  void add_counts(Sender::Counts& counts) {
    result_.answered += counts.answered;
    result_.failed += counts.failed;
    result_.retried += counts.retried;
    result_.rejected += counts.rejected;
    result_.labels_refused += counts.labels_refused;
    result_.latency_us.insert(result_.latency_us.end(), counts.latency_us.begin(),
                              counts.latency_us.end());
    for (std::string& error : counts.errors) {
      if (result_.errors.size() < kErrorsKept) result_.errors.push_back(std::move(error));
    }
  }

  const Options& options_;
  const Recording& recording_;
  Cutter cutter_;
  Senders senders_;
  std::optional<TruthWriter> truth_;
  std::int64_t begin_ns_;
  Micros begin_event_;
  std::string id_;
  std::vector<Batch> block_;
  std::vector<Received> received_;
  std::deque<DueLabel> pending_;  ///< by when they become known
  std::vector<DueLabel> due_;
  bool go_on_ = true;
  Replayed result_;
};

}  // namespace

std::string run_id(std::uint64_t seed, Micros first_event) {
  return fmt::format("r{}.{:x}", seed, static_cast<std::uint64_t>(first_event / kSecond));
}
std::string request_id(std::string_view run, std::int64_t request) {
  return fmt::format("{}-{:08}", run, request);
}

Result<Replayed> replay(const Options& options) {
  HEDDLE_TRY(check_options(options));
  HEDDLE_ASSIGN_OR_RETURN(const Recording recording,
                          Recording::open({.file = options.file,
                                           .time_field = options.time_field,
                                           .fields = options.fields,
                                           .types = options.types,
                                           .as_text = options.as_text,
                                           .repaired = options.repaired,
                                           .joined_fields = options.joined_fields,
                                           .join = options.join,
                                           .target = options.target,
                                           .sources = options.sources,
                                           .source_field = options.source_field,
                                           .from = options.from,
                                           .to = options.to,
                                           .every = options.every,
                                           .seed = options.seed,
                                           .faults = options.faults}));
  Run run(options, recording);
  HEDDLE_TRY(run.open_truth());
  HEDDLE_TRY(run.send_rows());
  HEDDLE_TRY(run.send_last_labels());
  return run.finish();
}

}  // namespace heddle::replay
