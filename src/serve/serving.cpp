#include "serve/serving.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/yield_often.hpp"
#include "bundle/bundle.hpp"

namespace heddle::serve {
namespace {

constexpr int kRetryMs = 500;
constexpr int kFollowingNice = 10, kLoadingNice = 19;
constexpr std::size_t kMostComplaints = 64;
constexpr std::string_view kStarting = "runtime-starting", kLoading = "bundle-loading";
constexpr std::int64_t kFirstWaitNs = 500'000'000, kLongestWaitNs = 30'000'000'000;

int rule_index(const contract::Contract& contract, const std::string& id) {
  const auto& rules = contract.rules();
  const auto found = std::find_if(rules.begin(), rules.end(),
                                  [&](const contract::RuleInfo& rule) { return rule.id == id; });
  return found == rules.end() ? -1 : static_cast<int>(found - rules.begin());
}

/// Of the calling thread.
void lower_priority(int nice) { ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), nice); }

bool names(const plane::RouteTable& route, const Digest& digest) {
  return digest == route.primary || digest == route.standby || digest == route.canary.bundle ||
         digest == route.shadow;
}

bool same_fields(const contract::Contract& a, const contract::Contract& b) {
  return std::equal(a.request_fields().begin(), a.request_fields().end(),
                    b.request_fields().begin(), b.request_fields().end(),
                    [](const spec::Field& x, const spec::Field& y) { return x.name == y.name; });
}

void note_shared(Serving& serving) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    for (std::size_t k = 0; k < kSlots; ++k) {
      const score::Plan* answering = serving.slots[i].plan.get();
      const score::Plan* beside = serving.slots[k].plan.get();
      if (answering != nullptr && beside != nullptr)
        serving.shared[i][k] = beside->shared_with(*answering);
    }
  }
}

}  // namespace

Starter::Starter() : thread_([this] { run(); }) {}

Starter::~Starter() { end(); }

void Starter::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Starter::start(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
  }
  changed_.notify_all();
}

void Starter::run() {
  std::vector<Job> jobs;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) break;
    std::erase_if(jobs, [](Job& job) {
      if (!*job.done) return false;
      job.thread.join();
      return true;
    });
    for (auto& work : waiting_) {
      auto done = std::make_shared<std::atomic<bool>>(false);
      jobs.push_back({std::thread([done, work = std::move(work)] {
                        work();
                        *done = true;
                      }),
                      done});
    }
    waiting_.clear();
  }
  lock.unlock();
  for (Job& job : jobs) job.thread.join();
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
  follower->options_.host.ending = &follower->ending_;
  // Which version was in force before a restart: an older file that was put back is refused.
  if (const auto known = read_file(follower->options_.newest); known.ok())
    follower->newest_ = std::strtoull(known->c_str(), nullptr, 10);
  follower->inotify_ = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  follower->wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (follower->wake_ < 0) {
    return Error{ErrorKind::kIo, "serve-watch",
                 fmt::format("cannot watch route tables: {}", std::strerror(errno)),
                 "raise the limit of open files"};
  }
  // Without inotify (its instances are few) the file is looked at every half second.
  if (follower->inotify_ >= 0)
    ::inotify_add_watch(follower->inotify_, follower->options_.directory.c_str(),
                        IN_MOVED_TO | IN_CLOSE_WRITE);
  // The first look is done before a request is: a data plane that was killed comes back with what
  // it served.
  while (follower->look(), follower->waits_) follower->wait(kRetryMs);
  follower->began_with_start_ = follower->delivered_ == 0 && !follower->loading_.empty();
  follower->thread_ = std::thread([self = follower.get()] { self->run(); });
  return follower;
}

RouteFollower::~RouteFollower() {
  ending_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
  starter_.end();  // starts under way are given up
  if (inotify_ >= 0) ::close(inotify_);
  if (wake_ >= 0) ::close(wake_);
}

/// For a table, a bundle that came, or so long.
void RouteFollower::wait(int ms) {
  pollfd fds[2] = {{wake_, POLLIN, 0}, {inotify_, POLLIN, 0}};
  ::poll(fds, inotify_ >= 0 ? 2 : 1, ms);
  std::uint64_t woken = 0;
  (void)!::read(wake_, &woken, sizeof woken);
  char events[4096];
  while (inotify_ >= 0 && ::read(inotify_, events, sizeof events) > 0) {
  }
}

void RouteFollower::run() {
  lower_priority(kFollowingNice);  // the serving thread comes first
  while (!ending_) {
    wait(settled_ && inotify_ >= 0 ? 5000 : kRetryMs);
    if (ending_) return;
    const YieldOften courteous;
    look();
  }
}

void RouteFollower::complain(const Error& error) {
  const std::string text = error.str();
  if (complaints_.size() > kMostComplaints) complaints_.clear();
  // The same table is looked at every half second: it is said once what is wrong with it.
  if (!complaints_.insert(text).second) return;
  log::warn("service `{}`: {}", options_.service, text);
}

RouteFollower::Waiting RouteFollower::waiting() const {
  const std::lock_guard lock(told_mutex_);
  return told_;
}

/// The time counts from when something began to wait, whatever it waits for.
void RouteFollower::tell_waiting(const std::string& why) {
  const std::lock_guard lock(told_mutex_);
  if (told_.why.empty() && !why.empty()) told_.since_ns = system_clock().mono_ns();
  told_.why = why;
}

void RouteFollower::look() {
  settled_ = waits_ = false;
  const auto taken = take_table();
  if (taken.ok()) return tell_waiting(missing_);
  const Error& why = taken.error();
  tell_waiting(why.message);
  waits_ = why.id == kLoading;
  if (waits_ || why.id == kStarting) return;
  ++refused_;
  complain(why);
}

Result<void> RouteFollower::take_table() {
  const auto file =
      plane::read_route_file(options_.directory + "/" + options_.service + ".json", options_.key);
  // No table is how every service begins.
  if (!file.ok()) return file.error().kind == ErrorKind::kNotFound ? Result<void>() : file.error();
  const plane::RouteTable& route = file->table;
  if (route.service != options_.service) {
    return Error{ErrorKind::kCorrupt, "route-other-service",
                 fmt::format("the route table is for service `{}`", route.service),
                 "start the control plane again"};
  }
  if (route.version == delivered_) return add_slots(*file);
  if (route.version < newest_) {
    return Error{
        ErrorKind::kConflict, "route-older",
        fmt::format("route table {} is older than {}, which was in force", route.version, newest_),
        "somebody put back an old file: look into `heddle audit verify`"};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto built, build(*file));
  complaints_.clear();
  delivered_ = route.version;
  answers_ = !route.primary.empty();
  missing_ = built.missing;
  loaded_slots_ = built.loaded_slots;
  settled_ = missing_.empty();
  // Plans that nothing refers to any more are freed here, not on the serving thread.
  std::erase_if(plans_, [&](const auto& item) {
    return item.second.use_count() == 1 && !names(route, item.first) && plans_.size() > kSlots;
  });
  options_.ready(std::move(built.serving));
  remember(route.version);
  forget(route);
  return {};
}

/// To the table that is in force already: slots whose bundle or runtime came later.
Result<void> RouteFollower::add_slots(const plane::RouteFile& file) {
  if (!missing_.empty()) {
    auto more = build(file);
    if (more.ok()) {
      missing_ = more->missing;
      if (more->loaded_slots > std::exchange(loaded_slots_, more->loaded_slots))
        options_.ready(std::move(more->serving));
    } else if (more.error().id == kLoading) {
      return more.error();
    }
  }
  settled_ = missing_.empty();
  forget(file.table);
  return {};
}

/// A disk that is full must not keep a table from its service: then the journal alone knows.
void RouteFollower::remember(std::uint64_t version) {
  if (version <= newest_) return;
  newest_ = version;
  if (options_.newest.empty()) return;
  const auto kept = write_file_atomic(options_.newest, fmt::format("{}\n", version), 0600);
  if (!kept.ok()) complain(kept.error());
}

/// A runtime that nothing refers to any more is stopped, here and not on the serving thread: a
/// worker takes memory. What still answers its last requests is looked at again soon.
void RouteFollower::forget(const plane::RouteTable& route) {
  std::erase_if(plans_, [&](const auto& item) {
    // A native model costs memory only; the one of before is often released again.
    if (item.second->endpoint() == nullptr || names(route, item.first)) return false;
    if (item.second.use_count() == 1) return true;
    settled_ = false;
    return false;
  });
  const std::lock_guard lock(loading_mutex_);
  std::erase_if(loading_, [&](const auto& item) {
    if (names(route, item.first)) return false;
    if (item.second->plan.has_value()) return true;
    settled_ = false;
    return false;
  });
}

void RouteFollower::wake() const {
  const std::uint64_t one = 1;
  if (wake_ >= 0) (void)!::write(wake_, &one, sizeof one);
}

void RouteFollower::end_load(Load& load, Result<std::unique_ptr<const score::Plan>> plan) {
  {
    const std::lock_guard lock(loading_mutex_);
    load.plan.emplace(std::move(plan));
  }
  wake();
}

/// Loading must not be felt by requests: its thread takes what time the serving one leaves, and a
/// little when it leaves none. While nothing answers yet there is nobody to feel it, and on a busy
/// machine the first release would wait for minutes.
void RouteFollower::begin_load(const Digest& digest) {
  auto load = std::make_shared<Load>();
  {
    const std::lock_guard lock(loading_mutex_);
    loading_.emplace(digest, load);
  }
  starter_.start([this, digest, load, low = answers_] {
    std::optional<YieldOften> courteous;
    if (low) {
      lower_priority(kLoadingNice);
      courteous.emplace();
    }
    auto opened = bundle::open(*options_.objects, digest);
    if (!opened.ok()) return end_load(*load, opened.error());
    if (opened->has(bundle::kRuntime)) return start_runtime(load, std::move(*opened));
    end_load(*load, score::Plan::load(*opened));
  });
}

/// It may take a minute; and a worker must not inherit a low priority, so that its thread is
/// another one.
void RouteFollower::start_runtime(std::shared_ptr<Load> load, bundle::Bundle opened) {
  {
    const std::lock_guard lock(loading_mutex_);
    load->starts_runtime = true;
  }
  starter_.start(
      [this, load = std::move(load), shared = std::make_shared<bundle::Bundle>(std::move(opened))] {
        end_load(*load, score::Plan::load(*shared, options_.host));
      });
  wake();
}

/// The loaded plan of a bundle. Errors: `bundle-loading` and `runtime-starting` while it is on its
/// way, else why it cannot be used, for a while.
Result<std::shared_ptr<const score::Plan>> RouteFollower::plan(const Digest& digest) {
  if (const auto found = plans_.find(digest); found != plans_.end()) return found->second;
  const auto before = failed_.find(digest);
  // A bundle that failed is not loaded anew at every look; after a while, for what failed may be
  // back.
  if (before != failed_.end() && system_clock().mono_ns() < before->second.again_ns)
    return before->second.error;
  const auto on_its_way = [&](bool starts) {
    return Error{ErrorKind::kUnavailable, std::string(starts ? kStarting : kLoading),
                 fmt::format("{} {} is being {}", starts ? "the runtime of" : "bundle",
                             digest.short_str(), starts ? "started" : "loaded"),
                 "it is used once it is ready"};
  };
  std::optional<Result<std::unique_ptr<const score::Plan>>> loaded;
  {
    const std::lock_guard lock(loading_mutex_);
    if (const auto found = loading_.find(digest); found != loading_.end()) {
      if (!found->second->plan.has_value()) return on_its_way(found->second->starts_runtime);
      loaded = std::move(found->second->plan);
      loading_.erase(found);
    }
  }
  if (!loaded.has_value()) {
    begin_load(digest);
    return on_its_way(false);
  }
  if (!loaded->ok()) {
    Failed& known = failed_[digest];
    known.error = loaded->error();
    known.wait_ns = std::clamp<std::int64_t>(2 * known.wait_ns, kFirstWaitNs, kLongestWaitNs);
    known.again_ns = system_clock().mono_ns() + known.wait_ns;
    return known.error;
  }
  failed_.erase(digest);
  std::shared_ptr<const score::Plan> shared = std::move(**loaded);
  plans_.emplace(digest, shared);
  return shared;
}

/// Puts a bundle into its slot; an error where the table has to wait for it, or cannot be used.
Result<void> RouteFollower::load_slot(SlotId id, const Digest& digest, Serving& serving,
                                      Built& built) {
  Loaded& slot = serving.slots[static_cast<std::size_t>(id)];
  slot.digest = digest.str();
  auto loaded = plan(digest);
  if (loaded.ok()) {
    slot.plan = std::move(*loaded);
    ++built.loaded_slots;
    return {};
  }
  const bool is_primary = id == SlotId::kPrimary;
  if (loaded.error().id == kLoading) return loaded.error();
  built.missing = fmt::format("the {}: {}", name_of(id), loaded.error().message);
  if (loaded.error().id == kStarting) {
    // A primary is waited for, what is in force stays; the others join.
    return is_primary ? Result<void>(loaded.error()) : Result<void>();
  }
  const bool stands_in =
      serving.route.fail_over_allowed && serving.slot(SlotId::kStandby).plan != nullptr;
  if (is_primary && !stands_in) return loaded.error();
  // A service without one of its other slots serves, and says what is wrong.
  if (is_primary) serving.primary_error = loaded.error().message;
  complain(loaded.error());
  return {};
}

/// All slots read one request and answer one question: a plan with other fields or another task
/// than `reads` is taken out.
void RouteFollower::drop_slots_unlike(const score::Plan* reads, Serving& serving) {
  for (std::size_t i = 1; i < kSlots; ++i) {
    Loaded& slot = serving.slots[i];
    if (slot.plan == nullptr || slot.plan.get() == reads) continue;
    const std::string_view name = name_of(static_cast<SlotId>(i));
    if (!same_fields(reads->contract(), slot.plan->contract())) {
      complain(
          {ErrorKind::kInvalid, "serve-slot-fields",
           fmt::format("the contract of the {} has other request fields than the one that answers",
                       name),
           "release a bundle built from the same contract"});
      slot.plan.reset();
    } else if (slot.plan->task() != reads->task()) {
      complain({ErrorKind::kInvalid, "serve-slot-task",
                fmt::format("the {} has another task, or other classes, than what answers", name),
                "release a bundle of the same task"});
      slot.plan.reset();
    }
  }
}

Result<RouteFollower::Built> RouteFollower::build(const plane::RouteFile& file) {
  const plane::RouteTable& route = file.table;
  auto serving = std::make_shared<Serving>();
  serving->route = route;
  Built built;
  // The primary comes last: whether it may be missing depends on the standby.
  for (const auto& [id, digest] :
       {std::pair{SlotId::kStandby, &route.standby},
        std::pair{SlotId::kCanary, &route.canary.bundle}, std::pair{SlotId::kShadow, &route.shadow},
        std::pair{SlotId::kPrimary, &route.primary}}) {
    if (!digest->empty()) HEDDLE_TRY(load_slot(id, *digest, *serving, built));
  }
  const score::Plan* reads = serving->any_plan();
  drop_slots_unlike(reads, *serving);
  note_shared(*serving);
  if (reads != nullptr) serving->fields = FieldNames(reads->contract().request_fields());
  serving->sticky = parse_sticky(route.canary.sticky, serving->fields);
  serving->draw_secret = draw_secret_of(file.draw_secret.empty() ? own_secret_ : file.draw_secret);
  for (const plane::QuarantinedSource& source : route.quarantined) {
    Quarantine item{source, {}};
    for (std::size_t i = 0; i < kSlots; ++i) {
      item.rules[i] = serving->slots[i].plan == nullptr
                          ? -1
                          : rule_index(serving->slots[i].plan->contract(), source.rule);
    }
    serving->quarantined.push_back(std::move(item));
  }
  built.serving = std::move(serving);
  return built;
}

}  // namespace heddle::serve
