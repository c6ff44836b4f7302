#include "demo/session.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/json.hpp"

namespace heddle::demo {

Session::Session(const std::string& state_dir)
    : secret_path_(state_dir + "/keys/owner.secret"),
      client_({.host = "localhost",
               .port = 0,
               .unix_path = state_dir + "/control.sock",
               .token = {},
               .timeout_ms = 60'000}) {}

Result<doc::Value> Session::call(std::string_view operation, const doc::Value& request,
                                 int timeout_ms) {
  const std::string path = fmt::format("/v1/ops/{}", operation);
  const std::string body = doc::to_json(request);
  const std::int64_t deadline = system_clock().mono_ns() + std::int64_t{timeout_ms} * 1'000'000;
  while (true) {
    // A control plane that starts has not made it yet, nor listens.
    const auto secret = read_file(secret_path_);
    auto answer =
        client_.send("POST", path, body,
                     {{"Content-Type", "application/json"},
                      {"Authorization", "Bearer " + (secret.ok() ? *secret : std::string())}},
                     std::max<std::int64_t>((deadline - system_clock().mono_ns()) / 1'000'000, 1));
    if (answer.ok()) {
      auto value = doc::parse_json(answer->body);
      if (answer->status < 400) return value;
      // An error's body need not be JSON: it then stands in the message as it came.
      const doc::Value about = value.ok() ? *value : doc::Value();
      return Error{answer->status == 404 ? ErrorKind::kNotFound : ErrorKind::kInternal,
                   about.string_or("id", "demo-operation"),
                   fmt::format("`{}` said {}: {}", operation, answer->status,
                               about.string_or("error", answer->body)),
                   about.string_or("hint")};
    }
    // Nothing listens while the control plane starts, so one that cannot be reached is asked again
    // until the deadline.
    if (answer.error().kind != ErrorKind::kUnavailable || system_clock().mono_ns() >= deadline)
      return answer.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<void> Session::wait_watermark(const std::string& service, Micros event_time) {
  constexpr std::int64_t kPatience = 300'000'000'000;
  const std::int64_t deadline = system_clock().mono_ns() + kPatience;
  const doc::Value request = doc::Value::object({{"service", service}});
  // Doubling keeps a short wait short, and keeps a long one from taking a core.
  auto pause = std::chrono::microseconds(100);
  while (true) {
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value reply, call("watermark", request));
    if (time_of(reply, "event_time") >= event_time) return {};
    if (system_clock().mono_ns() > deadline) {
      return Error{ErrorKind::kTimeout, "demo-watermark",
                   fmt::format("the control plane did not get to {} in five minutes",
                               format_time(event_time)),
                   "see its log"};
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(20'000));
  }
}

Micros time_of(const doc::Value& value, std::string_view key) {
  const doc::Value* at = value.find(key);
  if (at == nullptr) return 0;
  if (at->is_int()) return at->as_int();
  // A text that is no time gives 0 as well, which callers take for "did not happen".
  if (at->is_string()) return parse_time(at->as_string()).value_or(0);
  return 0;
}

const doc::Value::Array& list_of(const doc::Value& value, std::string_view key) {
  // Static, since a reference to it is returned.
  static const doc::Value::Array kNone;
  const doc::Value* at = value.find(key);
  return at != nullptr && at->is_array() ? at->as_array() : kNone;
}

}  // namespace heddle::demo
