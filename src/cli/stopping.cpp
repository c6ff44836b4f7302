#include "cli/stopping.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/signing.hpp"
#include "control/home.hpp"
#include "control/replies.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"

namespace heddle::cli {
namespace {

constexpr auto kControlPatience = std::chrono::milliseconds(300);
constexpr auto kRoutePatience = std::chrono::milliseconds(300);
constexpr std::int64_t kDataPatienceMs = 1'000;
constexpr std::string_view kSocket = ".sock";

/// One data plane, by the owner's socket.
class DataPlaneSocket {
 public:
  DataPlaneSocket(const control::Home& home, std::string service)
      : service_(std::move(service)), client_(options_of(home.data_socket(service_))) {}

  [[nodiscard]] const std::string& service() const noexcept { return service_; }
  /// An error: it does not run.
  [[nodiscard]] Result<bool> stopped() {
    HEDDLE_ASSIGN_OR_RETURN(const auto reply, client_.get("/v1/services/" + service_));
    const auto told = doc::parse_json(reply.body);
    return told.ok() && told->bool_or("stopped");
  }
  [[nodiscard]] bool stop() {
    const auto reply = client_.post(fmt::format("/v1/services/{}/stop", service_), "{}");
    if (!reply.ok() || reply->status != 200) return false;
    const auto told = doc::parse_json(reply->body);
    recorded_ = told.ok() && told->bool_or("recorded");
    return true;
  }
  /// False: it stopped, and could write that nowhere.
  [[nodiscard]] bool recorded() const noexcept { return recorded_; }

 private:
  static net::HttpClient::Options options_of(std::string socket) {
    net::HttpClient::Options options;
    options.unix_path = std::move(socket);
    options.timeout_ms = kDataPatienceMs;
    return options;
  }
  std::string service_;
  net::HttpClient client_;
  bool recorded_ = true;
};

std::vector<DataPlaneSocket> data_planes(const control::Home& home, const std::string& service) {
  std::vector<DataPlaneSocket> found;
  for (const auto& name : list_dir(home.data_sockets())) {
    if (!name.ends_with(kSocket)) continue;
    auto of = name.substr(0, name.size() - kSocket.size());
    if (service == "*" || service == of) found.emplace_back(home, std::move(of));
  }
  return found;
}

/// Services whose data planes are stopped now; `unrecorded`: those of them that a restart makes
/// forget it.
struct Stopped {
  std::vector<std::string> services{};
  std::vector<std::string> unrecorded{};
};

/// Brings every data plane that runs to a stop: those that the route table has not stopped by
/// `until` are told.
Stopped see_them_stopped(std::vector<DataPlaneSocket> planes,
                         std::chrono::steady_clock::time_point until) {
  Stopped stopped;
  for (auto& plane : planes) {
    auto now = plane.stopped();
    while (now.ok() && !*now && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      now = plane.stopped();
    }
    // It does not run: there is nothing to stop.
    if (!now.ok() || !(*now || plane.stop())) continue;
    stopped.services.push_back(plane.service());
    if (!plane.recorded()) stopped.unrecorded.push_back(plane.service());
  }
  return stopped;
}

/// An answer that means no: nobody is stopped then. What is wrong with the control plane is none.
bool is_refusal(const Error& error) {
  return error.kind == ErrorKind::kDenied || error.kind == ErrorKind::kInvalid ||
         error.kind == ErrorKind::kNotFound;
}

}  // namespace

int stop_services(const Invocation& invocation, const Console& console, const std::string& service,
                  const AskedBy& by) {
  const auto root = find_project(invocation.project);
  if (!root.ok()) return console.fail(root.error());
  auto record = std::async(std::launch::async, [&] {
    return call_as<control::StopReply>(invocation, "stop",
                                       doc::Value::object({{"service", service}}), by);
  });
  // A control plane that hangs does not keep the data planes running.
  const bool answered = record.wait_for(kControlPatience) == std::future_status::ready;
  Result<control::StopReply> reply = control::StopReply{};
  if (answered) reply = record.get();
  // Who may not stop must not do it by the other way.
  if (!reply.ok() && is_refusal(reply.error())) return console.fail(reply.error());
  const auto until = std::chrono::steady_clock::now() +
                     // A stop that was decided comes by the route table; without a decision there
                     // is nothing to wait for.
                     (answered && reply.ok() ? kRoutePatience : std::chrono::milliseconds(0));
  const auto [stopped, unrecorded] =
      see_them_stopped(data_planes(control::Home(*root), service), until);
  if (!unrecorded.empty()) {
    console.message(
        fmt::format("{} stopped, and the disk takes no record of it: a data plane that is started "
                    "again serves; see what the system's log says of that disk",
                    fmt::join(unrecorded, ", ")));
  }
  const std::string what = service == "*" ? "everything" : service;
  if (!answered && !stopped.empty())
    console.message(
        fmt::format("stopped {} on the data plane; the control plane has not answered "
                    "yet",
                    fmt::join(stopped, ", ")));
  // It is waited for after all: it may be a refusal still.
  if (!answered) reply = record.get();
  if (!reply.ok() && (stopped.empty() || is_refusal(reply.error())))
    return console.fail(reply.error());
  if (reply.ok()) {
    console.message(fmt::format("stopped `{}` (ledger entry {})", what, reply->entry));
  } else {
    console.message(
        fmt::format("stopped {} on the data plane. It is not in the ledger yet: {}; "
                    "the control plane enters it from the journal",
                    fmt::join(stopped, ", "), reply.error().message));
  }
  console.message("next: heddle resume");
  return 0;
}

}  // namespace heddle::cli
