#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "plane/journal.hpp"
#include "score/plan.hpp"
#include "serve/answer.hpp"
#include "serve/failures.hpp"
#include "serve/metrics.hpp"
#include "serve/rate.hpp"
#include "serve/rows.hpp"
#include "serve/serving.hpp"
#include "serve/standing.hpp"
#include "serve/tokens.hpp"
#include "spec/service.hpp"

namespace heddle::serve {

/// One inference request that was understood, whatever protocol it came by. Borrowed.
struct Asked {
  const Principal& who;
  const Rows& rows;
  std::string_view version{};               ///< a slot or a bundle digest; empty: routed
  std::span<const net::Header> headers{};
  std::int64_t begun_ns = 0;                ///< monotonic: when the whole request was there
};

/// The data plane of one service without its surfaces: who answers, what becomes of the rows, what the journal says, which acts
/// stand. Knows no protocol. Confined to the serving thread.
class Engine {
 public:
  struct Options {
    const spec::Service* service = nullptr;   ///< outlives the engine, as do the others
    const Clock* clock = nullptr;
    plane::JournalWriter* journal = nullptr;
    bool lockstep = false;
    std::size_t accounts = 0;                 ///< of `Tokens`
  };
  /// `standing`: what the journal says of the time before.
  Engine(Options options, const plane::Standing& standing);

  /// Answers now; the answer is borrowed until the next call. In the journal before this returns.
  [[nodiscard]] Result<Answer> infer(const Asked& asked);
  void add_labels(std::span<const LabelIn> labels);
  void tick(Micros event_time);
  /// Stops the service at once; the id of the stop. Journaled before it takes effect.
  [[nodiscard]] std::string stop(std::string_view by);

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
  [[nodiscard]] bool stopped() const { return acts_.stopped() || (serving_ != nullptr && serving_->route.stopped); }
  [[nodiscard]] bool ready() const { return serving_ != nullptr && routed().loaded != nullptr && !stopped(); }
  /// The standby answers in the primary's place, by the data plane's own act.
  [[nodiscard]] bool failed_over() const { return routed().id == SlotId::kStandby; }
  [[nodiscard]] Error not_ready() const;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Serving* serving() const noexcept { return serving_.get(); }   ///< null: no table yet
  [[nodiscard]] const StandingActs& acts() const noexcept { return acts_; }
  [[nodiscard]] std::uint32_t clean_rows(std::size_t quarantine) const noexcept { return clean_rows_[quarantine]; }
  [[nodiscard]] std::uint64_t applied_version() const noexcept { return applied_version_; }
  [[nodiscard]] std::uint64_t dropped() const { return options_.journal->dropped(); }
  [[nodiscard]] Metrics& metrics() noexcept { return metrics_; }
  [[nodiscard]] const Metrics& metrics() const noexcept { return metrics_; }

 private:
  /// What is known of a request before its rows are looked at.
  struct Admitted {
    Slot slot;
    plane::Cohort cohort = plane::Cohort::kNone;
    std::string_view id, source;
    Micros event_time = 0, arrival = 0;
  };
  [[nodiscard]] Result<Admitted> admit(const Asked& asked);
  [[nodiscard]] Slot routed() const;
  void choose_canary(const Asked& asked, Admitted& admitted) const;
  [[nodiscard]] std::string_view sticky_key(const Asked& asked, const Admitted& admitted) const;
  void score(const Rows& rows, Admitted& admitted);
  void after(const Admitted& admitted, std::uint32_t failed, std::uint32_t refused);
  [[nodiscard]] bool try_fail_over(std::string_view reason, Micros event_time);
  void abort_canary(std::string_view reason, Micros event_time);
  void act(std::string_view what, std::string_view target, std::string_view reason, Micros event_time);
  void readmit(std::size_t quarantine, Micros event_time);
  [[nodiscard]] int quarantine_of(std::string_view source) const;

  Options options_;
  std::string name_;
  std::shared_ptr<const Serving> serving_;
  StandingActs acts_;
  std::uint64_t applied_version_ = 0;
  std::vector<std::uint32_t> clean_rows_;  ///< in a row, one a quarantine of `serving_`
  Failures primary_failures_;              ///< of whoever answers in the primary's place
  Failures canary_failures_;
  Rates rates_;
  Micros last_tick_ = INT64_MIN;
  Micros newest_event_ = INT64_MIN;
  bool replayed_ = false;                  ///< the newest request came with an event time
  bool commit_failed_ = false;
  Metrics metrics_;

  // Memory of one request, kept.
  score::Scratch scratch_;
  score::RowResult result_;
  score::RowResult shadow_;
  std::vector<plane::RowView> rows_;
  std::vector<std::string_view> rules_;
  std::vector<std::size_t> rule_ends_;
  std::string made_id_;
  mutable std::string key_;
};

}  // namespace heddle::serve
