#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "plane/journal.hpp"
#include "score/plan.hpp"
#include "serve/answer.hpp"
#include "serve/event_clock.hpp"
#include "serve/failures.hpp"
#include "serve/metrics.hpp"
#include "serve/overload_detector.hpp"
#include "serve/rate.hpp"
#include "serve/rows.hpp"
#include "serve/serving.hpp"
#include "serve/tokens.hpp"
#include "serve/unacknowledged_acts.hpp"
#include "spec/service.hpp"

namespace heddle::runtime {
class Rows;
}

namespace heddle::serve {

/// How an answer that takes a runtime's time gets to its client: made by the surface that the
/// request came by, used only when needed.
class DeferredReply {
 public:
  /// Called once, on the serving thread, unless the data plane ends before; the answer is borrowed
  /// for the call.
  using Done = std::function<void(const Result<Answer>&)>;
  virtual ~DeferredReply() = default;
  /// Sets the request aside: what it borrowed is gone afterwards. At most once a request.
  [[nodiscard]] virtual Done defer() = 0;
};

/// One inference request that was understood, whatever protocol it came by. Borrowed.
struct InferRequest {
  const Principal& who;
  const Rows& rows;
  std::string_view version{};  ///< a slot or a bundle digest; empty: routed
  std::span<const net::Header> headers{};
  std::int64_t begun_ns = 0;             ///< monotonic: when its turn came
  std::int64_t deadline_ns = INT64_MAX;  ///< monotonic: until when its client waits
  DeferredReply* reply = nullptr;        ///< without one a slot with a runtime does not answer
};

/// The data plane of one service without its surfaces: who answers, what becomes of the rows, what
/// the journal says, which acts stand. Knows no protocol. Confined to the serving thread.
class Engine {
 public:
  struct Options {
    const spec::Service* service = nullptr;  ///< outlives the engine, as do the others
    const Clock* clock = nullptr;
    plane::JournalWriter* journal = nullptr;
    bool lockstep = false;     ///< event time is a replay's from the start
    std::size_t accounts = 0;  ///< of `Tokens`
    std::function<void(std::function<void()>)>
        post{};  ///< runs work on the serving thread; from any thread, also when that has ended
  };
  /// `standing`: what the journal says of the time before.
  Engine(Options options, const plane::Standing& standing);
  ~Engine();

  /// Counts a predict request that had waited `queued_ns` when its turn came (monotonic), before
  /// anything of it is read; true: it is shed.
  [[nodiscard]] bool sheds(std::int64_t queued_ns, std::int64_t now_ns) {
    const bool shed = queue_.sheds(queued_ns, now_ns);
    if (shed) metrics_.shed();
    return shed;
  }
  /// Answers now (the answer is borrowed until the next call), or, when a runtime scores the slot,
  /// empty: then by `request.reply`. In the journal before it is given.
  [[nodiscard]] Result<std::optional<Answer>> infer(const InferRequest& request);
  /// Of labels that were not taken: the place of each in the request, and why.
  using RefusedLabels = std::vector<std::pair<std::size_t, Error>>;
  /// Journals the others, as sent by `account`. kUnavailable while nothing is loaded. Whether a row
  /// is known is not: the control plane joins them, and counts those that find none. None is taken,
  /// and none is lost, when the account holds its share of the journal (kBusy `journal-share`) or
  /// when nothing is recorded (kUnavailable `journal-full`).
  [[nodiscard]] Result<RefusedLabels> add_labels(std::span<const LabelIn> labels,
                                                 std::string_view account);
  /// A replay says that everything before `event_time` was sent (serve/event_clock.hpp). To say it
  /// again says nothing. kBusy (`journal-share`) while those that came were not read yet.
  [[nodiscard]] Result<void> tick(Micros event_time);
  /// Stops the service at once; the id of the stop that stands. Journaled before it takes effect,
  /// and once: to stop again what the data plane stopped is the same stop.
  [[nodiscard]] std::string stop(std::string_view by);
  /// Whether what must outlive this process (acts, stops, ticks) is in the journal. False while the
  /// disk takes nothing at all: it holds for as long as the process lives, and is written as soon
  /// as that is possible.
  [[nodiscard]] bool recorded() const noexcept { return !commit_failed_; }

  /// Puts a route table in force: the swap is one assignment.
  void apply(std::shared_ptr<const Serving> next);
  /// Hands what was journaled to the kernel; responses leave after it.
  void commit();
  void each_second();

  /// Which slot answers a request that names `version` (empty: routed, apart from canaries).
  struct Slot {
    SlotId id = SlotId::kPrimary;
    const Loaded* loaded = nullptr;
  };
  [[nodiscard]] Result<Slot> slot_of(std::string_view version) const;
  [[nodiscard]] bool stopped() const {
    return acts_.stopped() || (serving_ != nullptr && serving_->route.stopped);
  }
  [[nodiscard]] bool ready() const {
    return serving_ != nullptr && routed().loaded != nullptr && !stopped();
  }
  /// The standby answers in the primary's place, by the data plane's own act.
  [[nodiscard]] bool failed_over() const { return routed().id == SlotId::kStandby; }
  [[nodiscard]] Error not_ready() const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Serving* serving() const noexcept {
    return serving_.get();
  }  ///< null: no table yet
  [[nodiscard]] const UnacknowledgedActs& acts() const noexcept { return acts_; }
  [[nodiscard]] std::uint32_t clean_rows(std::size_t quarantine) const noexcept {
    return clean_rows_[quarantine];
  }
  [[nodiscard]] const EventClock& event_clock() const noexcept { return event_clock_; }
  [[nodiscard]] std::uint64_t applied_version() const noexcept { return applied_version_; }
  [[nodiscard]] plane::JournalWriter& journal() const { return *options_.journal; }
  [[nodiscard]] Metrics& metrics() noexcept { return metrics_; }
  [[nodiscard]] const Metrics& metrics() const noexcept { return metrics_; }

 private:
  /// What is known of a request before its rows are looked at.
  struct RequestContext {
    Slot slot;
    plane::Cohort cohort = plane::Cohort::kNone;
    std::string_view id, source, account;
    Micros event_time = 0, arrival = 0;
  };
  [[nodiscard]] Result<RequestContext> admit(const InferRequest& request);
  [[nodiscard]] Result<void> explain(const Rows& rows, const score::Plan& plan);
  [[nodiscard]] Slot routed() const;
  [[nodiscard]] static std::optional<std::string_view> source_of(const Principal& who,
                                                                 std::string_view named);
  [[nodiscard]] static Error no_source(const Principal& who, std::string_view named);
  void choose_canary(const InferRequest& request, RequestContext& context);
  [[nodiscard]] std::string_view sticky_key(const InferRequest& request,
                                            const RequestContext& context);
  void score(const Rows& rows, RequestContext& context);
  void score_others(SlotId answering, plane::RowView& row);
  /// What the quarantine that holds a request's rows comes to by its rows: nothing is counted
  /// before `settle`.
  struct QuarantineProgress {
    int quarantine = -1;      ///< its place in `serving_`; -1: there is none
    std::uint32_t clean = 0;  ///< rows in a row, those of earlier requests too
    bool over = false;        ///< it ends within this request: the rows that follow are answered
  };
  [[nodiscard]] QuarantineProgress quarantine_of(const RequestContext& context) const;
  /// `stray`: the row breaks a rule of `Rows::stray`, whatever the contract says of the rest.
  [[nodiscard]] bool holds_back(QuarantineProgress& progress, SlotId slot,
                                const contract::RowCheck& check, bool stray) const;
  void settle(const QuarantineProgress& progress, Micros event_time);
  void end_rules();
  void note_repairs(const score::Plan& plan, std::span<const std::uint16_t> made);
  void begin_rows(const Serving& serving, const score::Plan& answering, std::size_t count);
  [[nodiscard]] std::span<const float> keep(std::span<const float> prediction) noexcept;

  // Slots with a runtime (engine_async.cpp).
  struct Pending;
  struct PendingRow;
  struct Beside;
  [[nodiscard]] Result<std::optional<Answer>> infer_async(const InferRequest& request,
                                                          RequestContext& context);
  [[nodiscard]] std::uint64_t ask_beside(const std::shared_ptr<const Serving>& serving, SlotId slot,
                                         std::span<const plane::RowView> rows);
  void answered_beside(std::uint64_t id, const Result<std::vector<float>>& answers);
  void compare(std::uint64_t id, std::span<const plane::RowView> rows);
  void answered(std::uint64_t id, const Result<std::vector<float>>& answers);
  void keep_values(const Rows& rows, Pending& pending) const;
  [[nodiscard]] PendingRow prepare_row(const Rows& rows, std::size_t index,
                                       std::span<const expr::Datum> values,
                                       const RequestContext& context, QuarantineProgress& progress,
                                       runtime::Rows& sent);
  [[nodiscard]] const std::vector<std::vector<float>>* predictions_of(std::uint64_t id) const;
  void finish_others(const Pending& pending, std::size_t index, plane::RowView& row);
  void finish_row(const Pending& pending, std::size_t index,
                  const Result<std::vector<float>>& answers, plane::RowView& row);
  void record(const Pending& pending, std::uint32_t micros);
  [[nodiscard]] Answer finish(Pending& pending, const Result<std::vector<float>>& answers);
  void after(const RequestContext& context, std::uint32_t failed, std::uint32_t refused);
  [[nodiscard]] bool try_fail_over(std::string_view reason, Micros event_time);
  void abort_canary(std::string_view reason, Micros event_time);
  void act(std::string_view what, std::string_view target, std::string_view reason,
           Micros event_time, std::string_view account = {});
  void readmit(std::size_t quarantine, Micros event_time);
  void tell_of_clock();
  void clock_set(const std::string& jump, Micros event_time, std::string_view reason);

  Options options_;
  std::string name_;
  std::shared_ptr<const Serving> serving_;
  UnacknowledgedActs acts_;
  std::uint64_t applied_version_ = 0;
  std::vector<std::uint32_t> clean_rows_;  ///< in a row, one a quarantine of `serving_`
  Failures primary_failures_;              ///< of whoever answers in the primary's place
  Witnesses witnesses_;                    ///< of those failures
  Failures canary_failures_;
  Witnesses canary_witnesses_;
  std::uint64_t drawn_ = 0;  ///< key of the last draw without a sticky key; nobody else knows it
  Rates rates_;
  OverloadDetector queue_;
  EventClock event_clock_;
  bool commit_failed_ = false;
  Metrics metrics_;

  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Pending>>
      pending_;  ///< requests that a runtime has; only ids cross threads
  std::unordered_map<std::uint64_t, std::unique_ptr<Beside>>
      beside_;                             ///< rows that a standby or shadow with a runtime has
  std::unique_ptr<Pending> answered_now_;  ///< the newest one that needed no runtime after all
  std::int64_t complained_ns_ = 0;

  // Memory of one request, kept.
  score::Scratch scratch_;
  score::RowResult result_;
  score::RowResult shadow_;
  std::vector<plane::RowView> rows_;
  std::vector<std::string_view> rules_;
  std::vector<std::size_t> rule_ends_;
  std::vector<std::string_view> repairs_;  ///< likewise, of a contract that has any
  std::vector<std::size_t> repair_ends_;
  std::vector<std::span<const std::string_view>> row_repairs_;
  std::vector<float> predictions_;    ///< what `rows_` borrow; as large as they can need
  std::size_t predictions_kept_ = 0;  ///< numbers of it that are taken
  std::vector<float> contributions_;
  std::string made_id_;
  std::string key_;
};

}  // namespace heddle::serve
