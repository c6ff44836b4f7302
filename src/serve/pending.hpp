#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "serve/engine.hpp"

/// What the engine keeps of requests that a runtime has; private to its sources.
namespace heddle::serve {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr int kNotSent = -1;

/// A row of a request that a runtime has.
struct Engine::PendingRow {
  plane::RowOutcome outcome = plane::RowOutcome::kServed;
  int sent = kNotSent;  ///< its place among the rows the runtime has
  std::vector<std::uint16_t> broken{}, repaired{};
  std::vector<std::string> stray{};  ///< of `Rows::stray`
};

/// A request that was set aside, with all that it borrowed before.
struct Engine::Pending {
  std::shared_ptr<const Serving> serving;  ///< keeps what answers, whatever is swapped meanwhile
  RequestContext context;                  ///< its texts are in `id`, `source` and `account`
  std::string id, source, account;
  std::deque<std::string> texts;
  std::vector<expr::Datum> values;
  std::vector<PendingRow> rows;
  std::size_t sent = 0;
  std::int64_t begun_ns = 0, sent_ns = 0;
  bool client_deadline = false;           ///< the client waits shorter than the runtime may take
  std::uint64_t standby = 0, shadow = 0;  ///< keys of `beside_`; 0: none
  DeferredReply::Done done;
};

/// Rows that a standby or shadow was sent.
struct Engine::Beside {
  std::shared_ptr<const Serving> serving;
  SlotId slot = SlotId::kShadow;
  std::vector<int> sent;                        ///< one a row of the request
  std::vector<std::vector<float>> predictions;  ///< one a row, once `there`; empty: none
  bool there = false;
  std::vector<std::vector<float>> answered;  ///< what the request was answered, once `compared`
  bool compared = false;
};

}  // namespace heddle::serve
