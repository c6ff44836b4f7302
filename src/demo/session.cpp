#include "demo/session.hpp"

#include <thread>

#include <fmt/format.h>

#include "doc/json.hpp"

namespace heddle::demo {

Result<doc::Value> Session::call(std::string_view operation, const doc::Value& request, int timeout_ms) {
  const std::string path = fmt::format("/v1/ops/{}", operation);
  const std::string body = doc::to_json(request);
  const std::int64_t deadline = system_clock().mono_ns() + std::int64_t{timeout_ms} * 1'000'000;
  while (true) {
    Result<replay::Connection::Answer> answer = connection_.post(path, body, deadline);
    if (answer.ok()) {
      auto value = doc::parse_json(answer->body);
      if (answer->status < 400) return value;
      const doc::Value* error = value.ok() ? value->find("error") : nullptr;
      const doc::Value& about = error != nullptr && error->is_object() ? *error : value.ok() ? *value : request;
      return Error{ErrorKind::kInternal, about.string_or("id", "demo-operation"),
                   fmt::format("`{}` said {}: {}", operation, answer->status, about.string_or("message", answer->body)),
                   about.string_or("hint")};
    }
    if (answer.error().kind != ErrorKind::kUnavailable || system_clock().mono_ns() >= deadline) return answer.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<void> Session::wait_watermark(const std::string& service, Micros event_time) {
  constexpr std::int64_t kPatience = 300'000'000'000;
  const std::int64_t deadline = system_clock().mono_ns() + kPatience;
  const doc::Value request = doc::Value::object({{"service", service}, {"at_least", event_time}, {"wait_ms", 10'000}});
  while (true) {
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value reply, call("watermark", request));
    if (time_of(reply, "event_time") >= event_time) return {};
    if (system_clock().mono_ns() > deadline) {
      return Error{ErrorKind::kTimeout, "demo-watermark",
                   fmt::format("the control plane did not get to {} in five minutes", format_time(event_time)), "see its log"};
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

Micros time_of(const doc::Value& value, std::string_view key) {
  const doc::Value* at = value.find(key);
  if (at == nullptr) return 0;
  if (at->is_int()) return at->as_int();
  if (at->is_string()) return parse_time(at->as_string()).value_or(0);
  return 0;
}

const doc::Value::Array& list_of(const doc::Value& value, std::string_view key) {
  static const doc::Value::Array kNone;
  const doc::Value* at = value.find(key);
  return at != nullptr && at->is_array() ? at->as_array() : kNone;
}

}  // namespace heddle::demo
