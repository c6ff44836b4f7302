#include "cli/planes.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>

#include "api/api.hpp"
#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/signature.hpp"
#include "cli/data_plane_lock.hpp"
#include "cli/place.hpp"
#include "cli/session.hpp"
#include "control/applied.hpp"
#include "control/control.hpp"
#include "control/home.hpp"
#include "net/handover.hpp"
#include "serve/serve.hpp"

namespace heddle::cli {
namespace {

std::atomic<bool> stop_asked{false};
std::atomic<bool> successor_asked{false};  ///< by a signal; looked at before anything ends
std::atomic<bool> successor_follows{false};

void ask_to_stop(int) {
  successor_follows = false;  // the later word counts
  stop_asked = true;
}
void ask_for_successor(int) { successor_asked = true; }

void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = ask_to_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A client that hangs up is an error of one write, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGUSR2, SIG_IGN);  // the data plane takes it
}

/// Those of `service` in sockets named `<service>/<listener>`.
std::vector<net::ListenerFd> listeners_of(const std::string& service,
                                          const std::vector<net::ListenerFd>& all) {
  std::vector<net::ListenerFd> mine;
  for (const net::ListenerFd& listener : all) {
    if (listener.name.starts_with(service + "/"))
      mine.push_back({listener.name.substr(service.size() + 1), listener.fd});
  }
  return mine;
}

Result<std::string> read_token(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(auto token, read_file(path));
  while (!token.empty() && token.back() == '\n') token.pop_back();
  return token;
}

/// The tokens of those accounts that have one, with their places in `accounts`. A file that cannot
/// be read at this moment (a disk that fails, no descriptor left) is tried again for a while: its
/// account would be nobody for as long as the plane lives.
std::vector<std::pair<std::size_t, std::string>> read_tokens(
    const control::Home& home, const std::vector<spec::ServiceAccount>& accounts) {
  constexpr int kTries = 20;
  std::vector<std::pair<std::size_t, std::string>> tokens;
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    auto token = read_token(home.token(accounts[i].name));
    for (int tries = 1; !token.ok() && token.error().kind != ErrorKind::kNotFound; ++tries) {
      if (tries == kTries) {
        log::error("account `{}` is known to nobody until this plane starts again: {}",
                   accounts[i].name, token.error().str());
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      token = read_token(home.token(accounts[i].name));
    }
    if (token.ok()) tokens.emplace_back(i, *std::move(token));
  }
  return tokens;
}

/// What accounts may do by what is applied. `look` is called by one thread, `now` by those that
/// serve.
class AppliedRights {
 public:
  AppliedRights(control::Home home, const control::Wiring& wiring)
      : home_(std::move(home)), wiring_(wiring) {}

  /// Reads the definitions again when others were applied.
  void look() {
    const auto text = read_file(home_.applied());
    // Mostly the text is as it was, and the definitions are not read again.
    if (!text.ok() || *text == seen_ || std::chrono::steady_clock::now() < again_) return;
    const auto project = control::applied_project(home_, wiring_);
    if (!project.ok()) {
      // What accounts may do is not known then: they keep what they had, and that is said.
      log::error("the rights of accounts do not follow what was applied: {}",
                 project.error().str());
      again_ = std::chrono::steady_clock::now() + kPause;
      return;
    }
    auto rights = std::make_shared<serve::Rights>();
    for (const auto& account : project->service_accounts)
      (*rights)[account.name] = {account.permissions, account.sources};
    seen_ = *text;
    // Only the exchange is under the lock: who serves does not wait for git.
    const std::lock_guard lock(mutex_);
    rights_ = std::move(rights);
  }

  [[nodiscard]] std::shared_ptr<const serve::Rights> now() const {
    const std::lock_guard lock(mutex_);
    return rights_;
  }

 private:
  static constexpr auto kPause = std::chrono::seconds(5);
  control::Home home_;
  const control::Wiring& wiring_;
  std::string seen_;  ///< the text that the rights follow from
  std::chrono::steady_clock::time_point again_{};
  mutable std::mutex mutex_;
  std::shared_ptr<const serve::Rights> rights_;
};

/// Services of this process that do not serve.
struct Fallen {
  std::size_t services = 1;  ///< of the process
  std::atomic<std::size_t> count{0};
};

/// Serves until the process is asked to stop. A service that ends by itself (its port is taken, its
/// files cannot be read) is begun again after growing pauses: the others of the process go on
/// without it. When none is left the process ends, with the reason.
Result<std::vector<net::ListenerFd>> serve_until_asked(serve::Options options, Fallen& fallen) {
  using std::chrono::milliseconds;
  constexpr milliseconds kFirstPause{500};
  constexpr milliseconds kLongestPause{30'000};
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    auto outcome = serve::run(options, stop_asked, successor_follows);
    if (stop_asked) return outcome;
    // The last one to fall ends the process, with its own error.
    if (++fallen.count == fallen.services) {
      stop_asked = true;
      return outcome;
    }
    log::error("service `{}` does not serve and is begun again in {} ms, the others go on: {}",
               options.service.identity.name, pause.count(),
               outcome.ok() ? std::string("it ended by itself") : outcome.error().str());
    options.listeners.clear();  // those that were handed over are closed
    for (auto waited = milliseconds{0}; waited < pause && !stop_asked; waited += milliseconds{50})
      std::this_thread::sleep_for(milliseconds{50});
    if (stop_asked) return outcome;
    // It is tried again, so it does not count as fallen.
    --fallen.count;
  }
}

/// A command that found no control plane has the project open while it runs, `heddle status` for
/// one. The control plane starts after it: to end here would end the data plane too. Another
/// control plane does not end by itself.
Result<std::unique_ptr<control::Control>> open_when_free(const std::string& root,
                                                         const control::Wiring& wiring) {
  for (bool said = false;; said = true) {
    auto control = control::Control::open(root, wiring);
    if (control.ok() || control.error().id != control::kProjectLocked) return control;
    // It has the project for as long as it lives: to wait for it would be to hang.
    if (stop_asked || control_answers(root)) return control;
    if (!said)
      log::info(
          "a command has the project open, or a control plane that ends: this one starts when it "
          "has ended");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

Result<spec::Project> prepare_project(const std::string& root, const control::Wiring& wiring) {
  const control::Home home(root);
  HEDDLE_TRY(make_dirs(home.dir() + "/keys"));
  HEDDLE_TRY(make_dirs(home.tokens()));
  // A disk that is full or read-only keeps nobody from serving.
  if (const auto settled = settle_place(home); !settled.ok())
    log::error("{}", settled.error().str());
  // The first plane that starts applies; afterwards the data plane needs no control plane to start.
  if (!control::read_applied(home).ok()) {
    HEDDLE_ASSIGN_OR_RETURN(const auto control, open_when_free(root, wiring));
    HEDDLE_TRY(control->apply_first());
    HEDDLE_TRY(control->publish_ledger());
  }
  HEDDLE_ASSIGN_OR_RETURN(auto project, control::applied_project(home, wiring));
  for (const auto& account : project.service_accounts) {
    // One that is there is in use: another would lock its clients out.
    if (path_exists(home.token(account.name))) continue;
    // On a full disk those who have a token are served all the same.
    const auto made =
        write_file_atomic(home.token(account.name), hex_encode(random_bytes(24)) + "\n", 0600);
    if (!made.ok()) log::error("account `{}` has no token: {}", account.name, made.error().str());
  }
  return project;
}

Result<Ed25519Public> read_control_public_key(const control::Home& home) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, read_token(home.control_public_key()));
  HEDDLE_ASSIGN_OR_RETURN(const auto bytes, hex_decode(text));
  Ed25519Public key{};
  if (bytes.size() != key.size()) {
    return Error{ErrorKind::kCorrupt, "key-malformed",
                 fmt::format("`{}` is not a public key", home.control_public_key()),
                 "remove it: the control plane writes it again"};
  }
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

Result<void> run_control_plane(const std::string& root, const control::Wiring& wiring) {
  stop_on_signals();
  HEDDLE_ASSIGN_OR_RETURN(const auto control, open_when_free(root, wiring));
  HEDDLE_TRY(control->apply_first());
  // After the first apply, which may have brought accounts that need a token.
  HEDDLE_ASSIGN_OR_RETURN(const auto project, prepare_project(root, wiring));
  api::Options options;
  options.control = control.get();
  options.socket = control->home().socket();
  options.secret_path = control->home().owner_secret();
  options.port = project.control_port;
  for (auto& [place, token] : read_tokens(control->home(), project.service_accounts))
    options.accounts.push_back({project.service_accounts[place].name, std::move(token)});
  log::info("control plane of `{}`, commit {}, on 127.0.0.1:{}", project.name,
            project.commit.substr(0, 12), project.control_port);
  return api::serve(options, stop_asked);
}

Result<void> run_data_plane(const std::string& root, const control::Wiring& wiring, bool lockstep) {
  HEDDLE_ASSIGN_OR_RETURN(const auto project, prepare_project(root, wiring));
  const control::Home home(root);
  HEDDLE_ASSIGN_OR_RETURN(const auto lock, DataPlaneLock::take(home));
  stop_on_signals();
  HEDDLE_ASSIGN_OR_RETURN(const auto objects, wiring.open_objects(home.objects()));
  HEDDLE_ASSIGN_OR_RETURN(const auto key, read_control_public_key(home));
  const std::vector<net::ListenerFd> inherited = net::inherited_listeners();
  // From here on it can be replaced; before, the signal is ignored.
  struct sigaction action{};
  action.sa_handler = ask_for_successor;
  sigaction(SIGUSR2, &action, nullptr);
  AppliedRights rights(home, wiring);
  std::atomic<std::size_t> ended{0};
  Fallen fallen{project.services.size()};
  std::vector<std::thread> threads;
  std::vector<Result<std::vector<net::ListenerFd>>> outcomes(project.services.size(),
                                                             std::vector<net::ListenerFd>{});
  std::size_t index = 0;
  const auto tokens = read_tokens(home, project.service_accounts);
  for (const auto& [name, service] : project.services) {
    serve::Options options;
    options.heddle_dir = home.dir();
    options.service = service;
    options.objects = objects.get();
    options.control_key = key;
    options.lockstep = lockstep;
    options.socket = home.data_socket(name);
    options.clock = wiring.clock;
    options.listeners = listeners_of(name, inherited);
    for (std::string* file : {&options.service.tls.certificate, &options.service.tls.key,
                              &options.service.tls.client_ca}) {
      // Paths of definitions are relative to the project, not to where the command was run.
      if (!file->empty() && file->front() != '/') *file = root + "/" + *file;
    }
    for (const auto& [place, token] : tokens) {
      const auto& account = project.service_accounts[place];
      options.tokens.push_back({account.name, token, account.permissions, account.sources});
    }
    options.rights = [&rights] { return rights.now(); };
    log::info("data plane of `{}` on {}:{}", name, service.host, service.port);
    threads.emplace_back(
        [options = std::move(options), &outcome = outcomes[index++], &fallen, &ended]() mutable {
          outcome = serve_until_asked(std::move(options), fallen);
          ++ended;
        });
  }
  while (ended < threads.size()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    rights.look();
    // A signal to end counts more than one to be replaced.
    if (!successor_asked.exchange(false) || stop_asked) continue;
    // What the successor would stumble over is found before anything ends.
    if (const auto valid = control::applied_project(home, wiring); !valid.ok()) {
      log::error("the data plane goes on as it is, its successor could not start: {}",
                 valid.error().str());
    } else if (!path_exists(wiring.executable)) {
      log::error("the data plane goes on as it is: there is no `{}`", wiring.executable);
    } else {
      successor_follows = true;
      stop_asked = true;
    }
  }
  for (auto& thread : threads) thread.join();
  // A service that did not end well has no sockets to hand over.
  for (const auto& outcome : outcomes) HEDDLE_TRY(outcome);
  if (!successor_follows) return {};
  // The same process becomes the program that stands in its place now: the supervisor sees nothing,
  // and clients wait in the queues of the sockets until it listens.
  std::vector<net::ListenerFd> handed;
  index = 0;
  for (const auto& [name, service] : project.services) {
    for (const net::ListenerFd& listener : *outcomes[index])
      handed.push_back({name + "/" + listener.name, listener.fd});
    ++index;
  }
  std::vector<std::string> argv = {wiring.executable, "--project", root, "up", "--only", "data"};
  if (lockstep) argv.emplace_back("--lockstep");
  log::info("the data plane is replaced by `{}`", wiring.executable);
  ::signal(SIGUSR2, SIG_IGN);  // one that comes while the successor starts must not end it
  return net::become_successor(argv, handed);
}

}  // namespace heddle::cli
