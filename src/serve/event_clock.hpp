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
/// into a service that is live, or was replayed past it, is refused. Confined to the serving
/// thread.
class EventClock {
 public:
  /// `replayed`: from the start. `last_tick`: of the journal; INT64_MIN: none.
  EventClock(bool replayed, Micros last_tick)
      : always_replayed_(replayed),
        mode_(replayed ? Mode::kReplayed : Mode::kIdle),
        last_tick_(last_tick) {}

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
  /// The tick that the wall clock gives now, if it does. A clock that jumped ahead is believed
  /// after it has stood for ten minutes: `held` until then.
  [[nodiscard]] std::optional<Micros> wall_tick(Micros wall, std::int64_t mono_ns);

  [[nodiscard]] Micros last_tick() const noexcept { return last_tick_; }
  [[nodiscard]] bool replayed() const noexcept { return mode_ == Mode::kReplayed; }
  [[nodiscard]] bool held() const noexcept { return held_since_ns_.has_value(); }

 private:
  enum class Mode { kIdle, kWall, kReplayed };
  struct Instant {
    Micros wall = 0;
    std::int64_t mono_ns = 0;
  };
  void live(Micros wall) noexcept;
  void replays(Micros wall) noexcept;

  bool always_replayed_;
  Mode mode_;
  Micros last_tick_;
  Micros newest_ = INT64_MIN;       ///< event time of a replayed request
  Micros replay_seen_ = INT64_MIN;  ///< wall clock of the last tick or replayed request
  std::optional<Micros>
      first_live_;                 ///< idle: wall clock of the first request without an event time
  std::optional<Instant> ticked_;  ///< the last tick of the wall clock
  std::optional<std::int64_t> held_since_ns_;
};

}  // namespace heddle::serve
