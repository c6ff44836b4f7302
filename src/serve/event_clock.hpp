#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace heddle::serve {

/// The event time of one service, and who says that it went on.
///
///   idle     nothing is known yet, and nothing ticks. A request or two does not change that: it
///   may be a person who tries. wall     requests came for a minute: ticks follow the wall clock,
///   and the watch lives in the present replayed somebody ticks (`heddle replay`): ticks are its
///   only, and a request without an event time is of the replay's now.
///            It is over when nothing was replayed for ten minutes: then live requests count as in
///            the beginning
///
/// A tick never goes back: rows before it are looked at by nobody, so that a replay of another time
/// into a service that is live, or was replayed past it, is refused.
///
/// A wall clock that leaves the steady one by more than five minutes has jumped. Event time then
/// goes on by the steady clock, so that nothing sleeps. A clock that is ahead is believed after it
/// has stood for ten minutes (the machine had slept); one that is behind the ticks is not, until
/// time gets there or a person says that it is right (`set`). A tick of a replay that leaves a
/// week out is a jump too. Confined to the serving thread.
class EventClock {
 public:
  /// `replayed`: from the start. `last_tick`: of the journal; INT64_MIN: none.
  EventClock(bool replayed, Micros last_tick)
      : always_replayed_(replayed),
        mode_(replayed ? Mode::kReplayed : Mode::kIdle),
        last_tick_(last_tick) {}

  /// Event time left its clock: it was at `from`, and something said `to`.
  struct Jump {
    Micros from = 0;
    Micros to = 0;
    bool of_replay = false;  ///< a tick that was taken; else the wall clock, which is not followed
  };

  /// The event time of a request that gives `given` or none. kInvalid (`event-time-outside`) when
  /// no window could take it.
  [[nodiscard]] Result<Micros> of_request(std::optional<Micros> given, Micros wall);
  /// The same of a label, which may tell of long ago.
  [[nodiscard]] Result<Micros> of_label(std::optional<Micros> given, Micros wall) const;
  /// Event time now.
  [[nodiscard]] Micros now(Micros wall) const noexcept;

  /// A replay says that everything before `time` was sent. kConflict (`replay-behind`,
  /// `replay-into-live`), kInvalid.
  [[nodiscard]] Result<void> tick(Micros time, Micros wall);
  /// Once a second: the tick that the wall clock gives now, if it does.
  [[nodiscard]] std::optional<Micros> wall_tick(Micros wall, std::int64_t mono_ns);

  /// The jump that stands; none: event time and the clocks agree.
  [[nodiscard]] const std::optional<Jump>& jump() const noexcept { return jump_; }
  /// After a start: a jump of a replay stood when the process before ended.
  void stands(const Jump& jump) noexcept;
  /// A person says that the wall clock is right, or that the replay is where it was before the
  /// jump: event time is that from now on, earlier than ticks that were. Its new value; none: no
  /// jump stands.
  [[nodiscard]] std::optional<Micros> set(Micros wall, std::int64_t mono_ns) noexcept;

  [[nodiscard]] Micros last_tick() const noexcept { return last_tick_; }
  [[nodiscard]] bool replayed() const noexcept { return mode_ == Mode::kReplayed; }
  /// Ticks follow the wall clock, and it has not jumped.
  [[nodiscard]] bool follows_wall() const noexcept {
    return mode_ == Mode::kWall && second_ && !jump_;
  }
  /// The wall clock is not followed.
  [[nodiscard]] bool held() const noexcept { return jump_ && !jump_->of_replay; }

 private:
  enum class Mode { kIdle, kWall, kReplayed };
  /// Event time at an instant of the steady clock.
  struct Instant {
    Micros time = 0;
    std::int64_t mono_ns = 0;
  };
  void live(Micros wall) noexcept;
  void replays(Micros wall) noexcept;
  [[nodiscard]] Micros live_now(Micros wall) const noexcept;
  [[nodiscard]] Micros steady(std::int64_t mono_ns) const noexcept;

  bool always_replayed_;
  Mode mode_;
  Micros last_tick_;
  Micros newest_ = INT64_MIN;       ///< event time of a replayed request
  std::optional<Micros> begins_;    ///< before the first tick: event time of the first such request
  Micros replay_seen_ = INT64_MIN;  ///< wall clock of the last tick or replayed request
  std::optional<Micros>
      first_live_;                 ///< idle: wall clock of the first request without an event time
  std::optional<Instant> second_;  ///< the last second of a live service
  std::optional<Jump> jump_;
  std::int64_t jumped_ns_ = 0;  ///< `jump_` of the wall clock: since when, by the steady one
};

}  // namespace heddle::serve
