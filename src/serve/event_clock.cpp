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
constexpr Micros kJump = 5 * kMinute;  ///< of the wall clock, away from the steady one
constexpr Micros kLeftOut = 7 * kDay;  ///< by one tick of a replay: labels are kept for as long
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
  if (mode_ == Mode::kReplayed && !always_replayed_) {
    replay_seen_ = std::min(replay_seen_, wall);  // a clock set back must not hold it for days
    // Nothing was replayed for a while: requests of the present may set the time again.
    if (wall > replay_seen_ + kReplayOver) {
      mode_ = Mode::kIdle;
      first_live_.reset();
    }
  }
  if (mode_ != Mode::kIdle) return;
  // A minute of requests, so that one that somebody tried does not end what a replay may begin.
  if (!first_live_ || wall < *first_live_) first_live_ = wall;
  if (wall - *first_live_ >= kLiveAfter) mode_ = Mode::kWall;
}

void EventClock::replays(Micros wall) noexcept {
  mode_ = Mode::kReplayed;
  replay_seen_ = wall;
  second_.reset();
  if (held()) jump_.reset();  // nothing follows the wall clock any more
}

/// Of a service that is not replayed. Between two seconds the wall clock tells, unless it has
/// jumped.
Micros EventClock::live_now(Micros wall) const noexcept {
  if (second_) return near(wall, second_->time, kJump, kJump) ? wall : second_->time;
  return last_tick_ != INT64_MIN && wall < last_tick_ - kJump ? last_tick_ : wall;
}

Micros EventClock::now(Micros wall) const noexcept {
  if (!replayed()) return live_now(wall);
  const Micros replay = std::max(last_tick_, newest_);
  return replay == INT64_MIN ? wall : replay;
}

Result<Micros> EventClock::of_request(std::optional<Micros> given, Micros wall) {
  if (!given) {
    live(wall);
    return now(wall);
  }
  if (!plane::is_event_time(*given)) return impossible(*given);
  if (!replayed()) {
    if (near(*given, live_now(wall), kPast, kFuture)) {
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
  // Nobody has said yet where the replay is. Recorded traffic is of the past, and rows of far apart
  // would each open a window.
  if (last_tick_ == INT64_MIN &&
      (*given > wall + kFuture ||
       !near(*given, begins_.value_or(*given), plane::kFarthestAhead, plane::kFarthestAhead))) {
    return outside(
        fmt::format("`event_time` {} is before any tick, and {}", format_time(*given),
                    begins_ ? "far from " + format_time(*begins_) + ", where the replay began"
                            : "in the future"),
        "say the time first, with `tick`, as `heddle replay` does");
  }
  replays(wall);
  if (last_tick_ == INT64_MIN) begins_ = begins_.value_or(*given);
  newest_ = std::max(newest_, *given);
  return *given;
}

Result<Micros> EventClock::of_label(std::optional<Micros> given, Micros wall) const {
  if (!given) return now(wall);
  if (!plane::is_event_time(*given)) return impossible(*given);
  // Of a replay the label may well be later than the row that is now.
  if (mode_ == Mode::kWall && *given > live_now(wall) + kFuture) {
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
    return Error{ErrorKind::kConflict, "replay-into-live",
                 fmt::format("the service is live, its watch is at {}",
                             format_time(last_tick_ == INT64_MIN ? wall : last_tick_)),
                 hint};
  }
  if (time < last_tick_) {
    return Error{ErrorKind::kConflict, "replay-behind",
                 fmt::format("the watch of the service is at {}, the replay at {}",
                             format_time(last_tick_), format_time(time)),
                 hint};
  }
  replays(wall);
  // The first of two stands: the way back leads before both.
  if (last_tick_ != INT64_MIN && time > last_tick_ + kLeftOut && !jump_)
    jump_ = Jump{last_tick_, time, true};
  last_tick_ = time;
  // What came before the first tick may have been of another time than the replay's.
  if (newest_ > time + plane::kFarthestAhead) newest_ = INT64_MIN;
  return {};
}

void EventClock::stands(const Jump& jump) noexcept {
  if (jump.of_replay) jump_ = jump;  // where the wall clock is now shows by itself
}

Micros EventClock::steady(std::int64_t mono_ns) const noexcept {
  const Micros went = second_ ? second_->time + (mono_ns - second_->mono_ns) / 1000 : INT64_MIN;
  return std::max(went, last_tick_);
}

std::optional<Micros> EventClock::wall_tick(Micros wall, std::int64_t mono_ns) {
  if (mode_ != Mode::kWall) return std::nullopt;
  const Micros steady_now = steady(mono_ns);
  // A first second knows of a jump only what the ticks say: nobody knows how long nothing ran.
  const bool ahead = second_ && wall > steady_now + kJump;
  const bool behind = steady_now != INT64_MIN && wall < steady_now - kJump;
  if (ahead || behind) {
    // The jump is told once, from where event time was; how far the clock is off now may change.
    if (!held()) {
      jump_ = Jump{steady_now, wall};
      jumped_ns_ = mono_ns;
    }
    jump_->to = wall;
  } else if (held()) {
    jump_.reset();
  }
  // Ahead for ten minutes of the steady clock: the machine slept, or its clock was corrected.
  // Behind is never believed by itself, for time that was decided on does not come again.
  const bool believed = ahead && mono_ns - jumped_ns_ >= kHoldNs;
  if (believed) jump_.reset();
  second_ = Instant{held() ? steady_now : wall, mono_ns};
  if (second_->time <= last_tick_) return std::nullopt;
  last_tick_ = second_->time;
  return last_tick_;
}

std::optional<Micros> EventClock::set(Micros wall, std::int64_t mono_ns) noexcept {
  if (!jump_) return std::nullopt;
  last_tick_ = jump_->of_replay ? jump_->from : wall;
  newest_ = INT64_MIN;
  if (second_) second_ = Instant{wall, mono_ns};
  jump_.reset();
  return last_tick_;
}

}  // namespace heddle::serve
