#include "cli/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <thread>

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/os_user.hpp"
#include "cli/commands.hpp"
#include "control/comparison.hpp"
#include "control/control.hpp"
#include "doc/error_format.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"

namespace heddle::cli {
namespace {

constexpr auto kLockPatience =
    std::chrono::seconds(10);                      ///< how long a command waits for another to end
constexpr auto kWonder = std::chrono::seconds(1);  ///< then a person is told how far it is
constexpr auto kAskAgain = std::chrono::milliseconds(100);
constexpr auto kReadAgain =
    std::chrono::milliseconds(10);  ///< refused rows: most are there by then

constexpr std::int64_t kPatienceMs = 300'000;     ///< an operation may verify a long ledger
constexpr std::int64_t kStopPatienceMs = 10'000;  ///< the data planes were told before

/// What the HTTP server refused by itself has a status alone.
ErrorKind kind_of(int status) {
  for (int i = 0; i < static_cast<int>(ErrorKind::kInternal); ++i) {
    if (error_kind_info(static_cast<ErrorKind>(i)).http_status == status)
      return static_cast<ErrorKind>(i);
  }
  return ErrorKind::kInternal;
}

class RemoteSession final : public Session {
 public:
  RemoteSession(const std::string& socket, std::string secret)
      : client_(options_of(socket, std::move(secret))) {
    if (auto user = sudo_user_name(); !user.empty())
      headers_.emplace_back(control::kSudoHeader, std::move(user));
  }

  Result<doc::Value> call(std::string_view operation, const doc::Value& request) override {
    const auto began = std::chrono::steady_clock::now();
    std::string told;
    for (;;) {
      HEDDLE_ASSIGN_OR_RETURN(auto reply, call_once(operation, request));
      // Whoever called reads the reply by its schema; here it is only seen whether it is there yet.
      if (const auto* reading = reply.find("reading");
          reading != nullptr && *reading == doc::Value(true)) {
        std::this_thread::sleep_for(kReadAgain);
        continue;
      }
      const auto* comparing = reply.find("comparing");
      if (comparing == nullptr) return reply;
      HEDDLE_ASSIGN_OR_RETURN(const auto progress,
                              control::comparison_progress_schema().parse(*comparing));
      const auto line = fmt::format(
          "comparing: {} of {} MiB of the recorded traffic are read, {} labelled rows found",
          progress.read >> 20, progress.of >> 20, progress.rows);
      // Most are over before anybody wonders.
      if (line != told && std::chrono::steady_clock::now() - began > kWonder)
        fmt::print(stderr, "{}\n", told = line);
      std::this_thread::sleep_for(kAskAgain);
    }
  }
  bool remote() const noexcept override { return true; }

 private:
  Result<doc::Value> call_once(std::string_view operation, const doc::Value& request) {
    HEDDLE_ASSIGN_OR_RETURN(
        const auto reply,
        client_.send("POST", fmt::format("/v1/ops/{}", operation), doc::to_json(request), headers_,
                     operation == "stop" ? kStopPatienceMs : kPatienceMs));
    HEDDLE_ASSIGN_OR_RETURN(auto value, doc::parse_json(reply.body));
    if (reply.status == 200) return value;
    HEDDLE_ASSIGN_OR_RETURN(const auto told, doc::error_reply_schema().parse(value));
    return Error{told.kind.value_or(kind_of(reply.status)), told.id, told.error, told.hint};
  }
  static net::HttpClient::Options options_of(const std::string& socket, std::string secret) {
    net::HttpClient::Options options;
    options.unix_path = socket;
    options.token = std::move(secret);
    return options;
  }
  net::HttpClient client_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

class LocalSession final : public Session {
 public:
  explicit LocalSession(std::unique_ptr<control::Control> control) : control_(std::move(control)) {}

  Result<doc::Value> call(std::string_view operation, const doc::Value& request) override {
    auto reply = control_->call(operation, request,
                                {"owner", true, {}, os_user_name(::geteuid()), sudo_user_name()});
    if (operation == "audit.verify")
      return reply;  // publishes itself, and leaves what it found wrong as it is
    // What was asked for is done, or was refused, and is in the state: a disk that fails now leaves
    // the published files behind until the project is opened again.
    if (const auto published = control_->publish_ledger(); !published.ok()) {
      if (published.error().kind != ErrorKind::kIo) return published.error();
      log::error("the ledger is not published: {}", published.error().str());
    }
    return reply;
  }
  bool remote() const noexcept override { return false; }

 private:
  std::unique_ptr<control::Control> control_;
};

}  // namespace

bool control_answers(const std::string& root) {
  const std::string socket = control::Home(root).socket();
  if (!path_exists(socket)) return false;
  net::HttpClient::Options options;
  options.unix_path = socket;
  options.timeout_ms = 10'000;
  return net::HttpClient(options).get("/health").ok();
}

Result<std::unique_ptr<Session>> Session::open(const std::string& root,
                                               const control::Wiring& wiring,
                                               control::Control::Purpose purpose) {
  const auto until = std::chrono::steady_clock::now() + kLockPatience;
  for (;;) {
    // Whoever has the project open is asked; only without one is the lock taken here.
    if (control_answers(root)) {
      const control::Home home(root);
      HEDDLE_ASSIGN_OR_RETURN(auto secret, read_file(home.owner_secret()));
      return std::unique_ptr<Session>(new RemoteSession(home.socket(), std::move(secret)));
    }
    auto control = control::Control::open(root, wiring, purpose);
    if (control.ok()) return std::unique_ptr<Session>(new LocalSession(std::move(*control)));
    // Another command has the project open, or a control plane that starts and does not listen yet:
    // both pass.
    if (control.error().id != control::kProjectLocked || std::chrono::steady_clock::now() > until)
      return control.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<Answered> ask(const std::string& root, const control::Wiring& wiring,
                     std::string_view operation, const doc::Value& request) {
  const auto until = std::chrono::steady_clock::now() + kLockPatience;
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(auto session, Session::open(root, wiring));
    auto reply = session->call(operation, request);
    if (reply.ok()) return Answered{std::move(session), std::move(*reply)};
    const bool ended = session->remote() && reply.error().id == "net-no-answer";
    if (!ended || std::chrono::steady_clock::now() > until) return reply.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<doc::Value> call_operation(const Invocation& invocation, std::string_view operation,
                                  const doc::Value& request) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  const auto all = control::Control::operations();
  const auto named = std::find_if(all.begin(), all.end(),
                                  [&](const auto& each) { return each.name == operation; });
  // To read twice does no harm. An act might be done twice, so it is not asked for again.
  if (named != all.end() && named->permission == "read") {
    HEDDLE_ASSIGN_OR_RETURN(auto answered, ask(root, *invocation.wiring, operation, request));
    return std::move(answered.reply);
  }
  using Purpose = control::Control::Purpose;
  const auto purpose = operation == "definition.apply" ? Purpose::kApply
                       : operation == "audit.restore"  ? Purpose::kRestore
                                                       : Purpose::kOperate;
  HEDDLE_ASSIGN_OR_RETURN(const auto session, Session::open(root, *invocation.wiring, purpose));
  return session->call(operation, request);
}

Result<std::string> find_project(const std::string& given) {
  char buffer[PATH_MAX];
  std::string dir = given;
  if (dir.empty() && ::getcwd(buffer, sizeof buffer) != nullptr) dir = buffer;
  char* absolute = ::realpath(dir.c_str(), buffer);
  if (absolute == nullptr)
    return Error{ErrorKind::kNotFound, "project-not-found", fmt::format("no folder `{}`", dir)};
  dir = absolute;
  for (std::string at = dir; !at.empty(); at = at.substr(0, at.find_last_of('/'))) {
    // What was applied runs also where the file in the work tree is gone.
    if (path_exists(at + "/heddle.yaml") || path_exists(control::Home(at).applied())) return at;
    // A folder that was named is the one that is meant: nothing above it is looked at.
    if (!given.empty()) break;
  }
  return Error{ErrorKind::kNotFound, "project-not-found",
               fmt::format("no `heddle.yaml` in `{}`{}", dir, given.empty() ? " or above" : ""),
               "go to a project's folder, name it with --project, or start one with `heddle init`"};
}

}  // namespace heddle::cli
