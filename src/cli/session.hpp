#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "control/control.hpp"
#include "control/wiring.hpp"
#include "doc/value.hpp"

namespace heddle::cli {

/// Calls the control plane's operations: over `.heddle/control.sock` when a control plane runs,
/// else in this process with the lock taken (DESIGN 4, State). Not thread-safe.
class Session {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(
      const std::string& root, const control::Wiring& wiring,
      control::Control::Purpose purpose = control::Control::Purpose::kOperate);
  virtual ~Session() = default;
  [[nodiscard]] virtual Result<doc::Value> call(std::string_view operation,
                                                const doc::Value& request) = 0;
  [[nodiscard]] virtual bool remote() const noexcept = 0;
};

struct Invocation;

/// Whether a control plane of the project at `root` answers on its socket.
[[nodiscard]] bool control_answers(const std::string& root);

struct Answered {
  std::unique_ptr<Session> session;
  doc::Value reply;
};

/// Calls an operation that only reads. A control plane that ends while it is asked gives no answer:
/// then whoever has the project next is asked again.
[[nodiscard]] Result<Answered> ask(const std::string& root, const control::Wiring& wiring,
                                   std::string_view operation, const doc::Value& request);

/// Opens a session for the project of `invocation` and calls one operation.
[[nodiscard]] Result<doc::Value> call_operation(const Invocation& invocation,
                                                std::string_view operation,
                                                const doc::Value& request);

/// The same with the reply read by its schema: one of a control plane of another version is
/// refused.
template <class Reply>
[[nodiscard]] Result<Reply> call_for(const Invocation& invocation, std::string_view operation,
                                     const doc::Value& request = doc::Value::object()) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reply, call_operation(invocation, operation, request));
  return Reply::schema().parse(reply);
}

/// The nearest folder at or above the working directory that has a `heddle.yaml`; kNotFound says
/// how to start one.
[[nodiscard]] Result<std::string> find_project(const std::string& given);

}  // namespace heddle::cli
