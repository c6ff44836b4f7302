#include "serve/event_clock.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plane/journal.hpp"

namespace heddle::serve {
namespace {

constexpr Micros kPast = 7 * kDay;        ///< how far back a live request may be
constexpr Micros kFuture = 10 * kMinute;  ///< how far clocks of clients may be ahead
constexpr Micros kLiveAfter = kMinute;    ///< of requests, before the watch lives in the present
constexpr Micros kReplayOver = 10 * kMinute;
constexpr Micros kJump =
    5 * kMinute;  ///< by which the wall clock may overtake the steady one between two ticks
constexpr std::int64_t kHoldNs = 600'000'000'000;

Error outside(std::string message, std::string hint) {
  return {ErrorKind::kInvalid, "event-time-outside", std::move(message), std::move(hint)};
}

Error impossible(Micros time) {
  return outside(fmt::format("`event_time` {} is no time of this world", time),
                 fmt::format("it is in microseconds since 1970, between {} and {}",
                             format_date(plane::kEarliestEvent), format_date(plane::kLatestEvent)));
}

bool near(Micros time, Micros now, Micros before, Micros after) {
  return time >= now - before && time <= now + after;
}

}  // namespace

void EventClock::live(Micros wall) noexcept {
  if (mode_ == Mode::kReplayed && !always_replayed_ && wall > replay_seen_ + kReplayOver) {
    mode_ = Mode::kIdle;
    first_live_.reset();
  }
  if (mode_ != Mode::kIdle) return;
  if (!first_live_ || wall < *first_live_) first_live_ = wall;
  if (wall - *first_live_ >= kLiveAfter) mode_ = Mode::kWall;
}

void EventClock::replays(Micros wall) noexcept {
  mode_ = Mode::kReplayed;
  replay_seen_ = wall;
}

Micros EventClock::now(Micros wall) const noexcept {
  const Micros replay = std::max(last_tick_, newest_);
  return replayed() && replay != INT64_MIN ? replay : wall;
}

Result<Micros> EventClock::of_request(std::optional<Micros> given, Micros wall) {
  if (!given) {
    live(wall);
    return now(wall);
  }
  if (!plane::is_event_time(*given)) return impossible(*given);
  if (!replayed()) {
    if (near(*given, wall, kPast, kFuture)) {
      live(wall);
      return *given;
    }
    // The data plane was started again in the middle of a replay: its next request goes on where
    // the journal ends.
    const bool goes_on = mode_ == Mode::kIdle && last_tick_ != INT64_MIN &&
                         near(*given, last_tick_, plane::kFarthestAhead, plane::kFarthestAhead);
    if (!goes_on) {
      return outside(
          fmt::format("`event_time` {} is not of the last 7 days, and nothing is replayed here",
                      format_time(*given)),
          "recorded traffic is sent by `heddle replay`; a client of its own says the time first, "
          "with `tick`");
    }
  }
  if (last_tick_ != INT64_MIN && *given > last_tick_ + plane::kFarthestAhead) {
    return outside(fmt::format("`event_time` {} is more than {} after the replay's last tick, {}",
                               format_time(*given), format_duration(plane::kFarthestAhead),
                               format_time(last_tick_)),
                   "tick first: a row far ahead of the watch is looked at by nobody");
  }
  replays(wall);
  newest_ = std::max(newest_, *given);
  return *given;
}

Result<Micros> EventClock::of_label(std::optional<Micros> given, Micros wall) const {
  if (!given) return now(wall);
  if (!plane::is_event_time(*given)) return impossible(*given);
  if (mode_ == Mode::kWall && *given > wall + kFuture) {
    return outside(fmt::format("`event_time` {} is in the future", format_time(*given)),
                   "it is the time when the label became known; leave it out for now");
  }
  return *given;
}

Result<void> EventClock::tick(Micros time, Micros wall) {
  if (!plane::is_event_time(time)) return impossible(time);
  const std::string hint =
      "rows before that are looked at by nobody: replay later ones (`--from`), or into a copy of "
      "the project";
  if (mode_ == Mode::kWall) {
    return Error{
        ErrorKind::kConflict, "replay-into-live",
        fmt::format("the service is live, its watch is at {}",
                    format_time(std::max(last_tick_, ticked_ ? ticked_->wall : last_tick_))),
        hint};
  }
  if (time < last_tick_) {
    return Error{ErrorKind::kConflict, "replay-behind",
                 fmt::format("the watch of the service is at {}, the replay at {}",
                             format_time(last_tick_), format_time(time)),
                 hint};
  }
  replays(wall);
  last_tick_ = time;
  return {};
}

std::optional<Micros> EventClock::wall_tick(Micros wall, std::int64_t mono_ns) {
  if (mode_ != Mode::kWall) return std::nullopt;
  if (ticked_) {
    const Micros ahead = (wall - ticked_->wall) - (mono_ns - ticked_->mono_ns) / 1000;
    if (ahead <= kJump) {
      held_since_ns_.reset();
    } else {
      // A tick cannot be taken back. A clock that was set wrong for a moment must not put the watch
      // to sleep for days.
      if (!held_since_ns_) held_since_ns_ = mono_ns;
      if (mono_ns - *held_since_ns_ < kHoldNs) return std::nullopt;
      held_since_ns_.reset();
    }
  }
  ticked_ = {wall, mono_ns};
  if (wall <= last_tick_) return std::nullopt;
  last_tick_ = wall;
  return wall;
}

}  // namespace heddle::serve
