#include "serve/serving.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "bundle/bundle.hpp"

namespace heddle::serve {
namespace {

constexpr int kRetryMs = 500;
constexpr int kLoadingNice = 19;
constexpr std::int64_t kFirstWaitNs = 500'000'000, kLongestWaitNs = 30'000'000'000;

int rule_index(const contract::Contract& contract, const std::string& id) {
  const auto& rules = contract.rules();
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const contract::RuleInfo& rule) { return rule.id == id; });
  return found == rules.end() ? -1 : static_cast<int>(found - rules.begin());
}

bool names(const plane::RouteTable& route, const Digest& digest) {
  return digest == route.primary || digest == route.standby || digest == route.canary.bundle || digest == route.shadow;
}

bool same_fields(const contract::Contract& a, const contract::Contract& b) {
  return std::equal(a.request_fields().begin(), a.request_fields().end(), b.request_fields().begin(), b.request_fields().end(),
                    [](const spec::Field& x, const spec::Field& y) { return x.name == y.name; });
}

}  // namespace

Helper::Helper() : thread_([this] {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || work_; });
    if (ending_) return;
    work_();
    work_ = nullptr;
    changed_.notify_all();
  }
}) {}

Helper::~Helper() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Helper::run(std::function<void()> work) {
  std::unique_lock lock(mutex_);
  work_ = std::move(work);
  changed_.notify_all();
  changed_.wait(lock, [this] { return !work_; });
}

const score::Plan* Serving::any_plan() const noexcept {
  for (const Loaded& slot : slots) {
    if (slot.plan != nullptr) return slot.plan.get();
  }
  return nullptr;
}

Result<std::unique_ptr<RouteFollower>> RouteFollower::start(Options options) {
  HEDDLE_TRY(make_dirs(options.directory));
  std::unique_ptr<RouteFollower> follower(new RouteFollower(std::move(options)));
  follower->inotify_ = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  follower->wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (follower->wake_ < 0) {
    return Error{ErrorKind::kIo, "serve-watch", fmt::format("cannot watch route tables: {}", std::strerror(errno)), "raise the limit of open files"};
  }
  // Without inotify (its instances are few) the file is looked at every half second.
  if (follower->inotify_ >= 0) ::inotify_add_watch(follower->inotify_, follower->options_.directory.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
  // The first look is done before a request is: a data plane that was killed comes back with what it served.
  follower->look();
  follower->thread_ = std::thread([self = follower.get()] { self->run(); });
  return follower;
}

RouteFollower::~RouteFollower() {
  ending_ = true;
  const std::uint64_t one = 1;
  if (wake_ >= 0) (void)!::write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  if (inotify_ >= 0) ::close(inotify_);
  if (wake_ >= 0) ::close(wake_);
}

void RouteFollower::run() {
  // Loading must not be felt by requests: this thread takes what time the serving one leaves, and a little when it leaves none.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLoadingNice);
  while (!ending_) {
    pollfd fds[2] = {{wake_, POLLIN, 0}, {inotify_, POLLIN, 0}};
    ::poll(fds, inotify_ >= 0 ? 2 : 1, settled_ && inotify_ >= 0 ? 5000 : kRetryMs);
    char events[4096];
    while (inotify_ >= 0 && ::read(inotify_, events, sizeof events) > 0) {
    }
    if (ending_) return;
    look();
  }
}

void RouteFollower::complain(const Error& error) {
  const std::string text = error.str();
  if (text == last_complaint_) return;
  last_complaint_ = text;
  log::warn("service `{}`: {}", options_.service, text);
}

void RouteFollower::look() {
  settled_ = false;
  auto route = plane::read_route(options_.directory + "/" + options_.service + ".json", options_.key);
  if (!route.ok()) {
    if (route.error().kind != ErrorKind::kNotFound) {
      ++refused_;
      complain(route.error());
    }
    return;
  }
  if (route->service != options_.service) {
    ++refused_;
    return complain({ErrorKind::kCorrupt, "route-other-service", fmt::format("the route table is for service `{}`", route->service), "start the control plane again"});
  }
  if (route->version == delivered_) {
    settled_ = true;
    forget(*route);
    return;
  }
  if (route->version < delivered_) {
    ++refused_;
    return complain({ErrorKind::kConflict, "route-older", fmt::format("route table {} is older than {}, which is in force", route->version, delivered_),
                     "somebody put back an old file: look into `heddle audit verify`"});
  }
  auto serving = build(*route);
  if (!serving.ok()) {
    ++refused_;
    return complain(serving.error());
  }
  last_complaint_.clear();
  delivered_ = route->version;
  settled_ = true;
  // Plans that nothing refers to any more are freed here, not on the serving thread.
  std::erase_if(plans_, [&](const auto& item) { return item.second.use_count() == 1 && !names(*route, item.first) && plans_.size() > kSlots; });
  options_.ready(std::move(*serving));
  forget(*route);
}

/// A runtime that nothing refers to any more is stopped, here and not on the serving thread: a worker takes memory. What still answers
/// its last requests is looked at again soon.
void RouteFollower::forget(const plane::RouteTable& route) {
  std::erase_if(plans_, [&](const auto& item) {
    if (item.second->endpoint() == nullptr || names(route, item.first)) return false;
    if (item.second.use_count() == 1) return true;
    settled_ = false;
    return false;
  });
}

Result<std::shared_ptr<const score::Plan>> RouteFollower::plan(const Digest& digest) {
  if (const auto found = plans_.find(digest); found != plans_.end()) return found->second;
  const auto before = failed_.find(digest);
  if (before != failed_.end() && system_clock().mono_ns() < before->second.again_ns) return before->second.error;
  HEDDLE_ASSIGN_OR_RETURN(const auto opened, bundle::open(*options_.objects, digest));
  std::optional<Result<std::unique_ptr<const score::Plan>>> loaded;
  if (opened.has(bundle::kRuntime)) {
    // A worker is not to run at this thread's low priority.
    helper_.run([&] { loaded.emplace(score::Plan::load(opened, options_.host)); });
    if (!loaded->ok()) {
      Failed& failed = failed_[digest];
      failed.error = loaded->error();
      failed.wait_ns = std::clamp<std::int64_t>(2 * failed.wait_ns, kFirstWaitNs, kLongestWaitNs);
      failed.again_ns = system_clock().mono_ns() + failed.wait_ns;
    }
  } else {
    loaded.emplace(score::Plan::load(opened));
  }
  if (!loaded->ok()) return loaded->error();
  failed_.erase(digest);
  std::shared_ptr<const score::Plan> shared = std::move(**loaded);
  plans_.emplace(digest, shared);
  return shared;
}

Result<std::shared_ptr<const Serving>> RouteFollower::build(const plane::RouteTable& route) {
  auto serving = std::make_shared<Serving>();
  serving->route = route;
  // The primary comes last: whether it may be missing depends on the standby.
  for (const auto& [id, digest] : {std::pair{SlotId::kStandby, &route.standby}, std::pair{SlotId::kCanary, &route.canary.bundle},
                                   std::pair{SlotId::kShadow, &route.shadow}, std::pair{SlotId::kPrimary, &route.primary}}) {
    if (digest->empty()) continue;
    Loaded& slot = serving->slots[static_cast<std::size_t>(id)];
    slot.digest = digest->str();
    auto loaded = plan(*digest);
    if (loaded.ok()) {
      slot.plan = std::move(*loaded);
    } else if (id == SlotId::kPrimary && !(route.fail_over_allowed && serving->slot(SlotId::kStandby).plan != nullptr)) {
      return loaded.error();
    } else {
      // A service without one of its other slots serves, and says what is wrong.
      if (id == SlotId::kPrimary) serving->primary_error = loaded.error().message;
      complain(loaded.error());
    }
  }
  const score::Plan* reads = serving->any_plan();
  for (std::size_t i = 1; i < kSlots; ++i) {
    Loaded& slot = serving->slots[i];
    if (slot.plan == nullptr || slot.plan.get() == reads || same_fields(reads->contract(), slot.plan->contract())) continue;
    complain({ErrorKind::kInvalid, "serve-slot-fields", fmt::format("the contract of the {} has other request fields than the one that answers", name_of(static_cast<SlotId>(i))),
              "release a bundle built from the same contract"});
    slot.plan.reset();
  }
  if (reads != nullptr) serving->fields = FieldNames(reads->contract().request_fields());
  serving->sticky = parse_sticky(route.canary.sticky, serving->fields);
  for (const plane::QuarantinedSource& source : route.quarantined) {
    Quarantine item{source, {}};
    for (std::size_t i = 0; i < kSlots; ++i) {
      item.rules[i] = serving->slots[i].plan == nullptr ? -1 : rule_index(serving->slots[i].plan->contract(), source.rule);
    }
    serving->quarantined.push_back(std::move(item));
  }
  return std::shared_ptr<const Serving>(std::move(serving));
}

}  // namespace heddle::serve
