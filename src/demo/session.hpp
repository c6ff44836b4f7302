#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "net/client.hpp"

namespace heddle::demo {

/// Calls operations of a running control plane over its socket, as the command line does. Confined
/// to one thread.
class Session {
 public:
  explicit Session(const std::string& state_dir);

  /// An answer of 400 or more comes back as an error with the id and message it holds. A lost
  /// connection is tried again for some seconds: the control plane may be starting.
  [[nodiscard]] Result<doc::Value> call(std::string_view operation, const doc::Value& request,
                                        int timeout_ms = 60'000);

  /// Returns once the service's watermark is at least `event_time`.
  [[nodiscard]] Result<void> wait_watermark(const std::string& service, Micros event_time);

 private:
  std::string secret_path_;
  net::HttpClient client_;
};

/// A time that an operation gave as text or as microseconds; 0 when there is none.
[[nodiscard]] Micros time_of(const doc::Value& value, std::string_view key);
/// The list under `key`; an empty one when there is none.
[[nodiscard]] const doc::Value::Array& list_of(const doc::Value& value, std::string_view key);

}  // namespace heddle::demo
