#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "doc/schema.hpp"

namespace heddle::control {

/// A metric of the watch, and what it waits for.
struct WatchedMetric {
  std::string metric{};
  std::string waits_for{};
  std::string deadline{};
  std::string since{};
  std::int64_t rows = 0;
  bool silent = false;
};

/// What an account sent, was answered and is not in the journal.
struct UnrecordedItem {
  std::int64_t requests = 0;
  std::int64_t labels = 0;
  std::string since{};
  bool goes_on = false;
  std::string why{};
};

/// What the watch of a service has seen, as `status` has it (docs/replay.md says what late is).
struct WatchReply {
  std::int64_t rows = 0;
  std::int64_t in_windows = 0;
  std::int64_t partial = 0;
  std::int64_t late = 0;
  std::int64_t ahead = 0;
  std::int64_t unwatched = 0;
  std::int64_t other_release = 0;
  std::int64_t labels_joined = 0;
  std::int64_t labels_waiting = 0;
  std::int64_t labels_forgotten = 0;
  std::int64_t labels_malformed = 0;
  std::int64_t labels_unknown_class = 0;
  std::int64_t labels_unsampled = 0;
  std::int64_t labels_contested = 0;
  std::map<std::string, std::int64_t> labels_given_up{};  ///< by account
  double sample = 1;
  std::map<std::string, UnrecordedItem> unrecorded{};  ///< by account
  std::string line{};                                  ///< what watches it, in words
  bool watched = false;
  std::string why{};  ///< not watched
  bool labelled_quality = false;
  std::vector<std::string> silent{};
  std::vector<WatchedMetric> metrics{};
};
[[nodiscard]] const doc::Schema<WatchReply>& watch_reply_schema();

}  // namespace heddle::control
