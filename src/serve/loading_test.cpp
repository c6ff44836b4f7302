// What keeps a release from answering is told, and the first one is not kept back for requests that
// nobody can answer yet.
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "serve/world_fixture.hpp"

namespace heddle::serve {
namespace {

using fixture::World;

/// Objects that are read only while `open`; the nice value of whoever read them last.
class GuardedObjects final : public store::Objects {
 public:
  explicit GuardedObjects(store::Objects& behind) : behind_(behind) {}
  void set_open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  [[nodiscard]] int nice() const { return nice_; }

  Result<std::string> get(const Digest& digest) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    nice_ = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
    return behind_.get(digest);
  }
  Result<Digest> put(std::string_view bytes) override { return behind_.put(bytes); }
  bool has(const Digest& digest) override { return behind_.has(digest); }
  Result<void> tag(std::string_view name, const Digest& manifest, std::string_view media_type,
                   std::uint64_t size) override {
    return behind_.tag(name, manifest, media_type, size);
  }
  Result<std::vector<std::pair<std::string, Digest>>> tags() override { return behind_.tags(); }

 private:
  store::Objects& behind_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::atomic<int> nice_{0};
};

/// Awaited: `waits_for` of the service contains `text`, or is empty where it is.
void await_waiting(World& world, const std::string& text) {
  auto http = world.client("ops-secret-0000000003");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::string said;
  do {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it says `" << said << "`";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    said = World::json(http.get("/v1/services/trips")).string_or("waits_for");
  } while (text.empty() ? !said.empty() : said.find(text) == std::string::npos);
}

TEST(Loading, IsToldAndTheFirstReleaseIsNotKeptBack) {
  const int own = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
  World world;
  GuardedObjects objects(world.objects);
  world.reads = &objects;
  world.up();
  await_waiting(world, "");
  // The standby alone answers nobody, and is not kept back either.
  const Digest primary = std::exchange(world.route.primary, {});
  world.publish_and_wait();
  EXPECT_EQ(objects.nice(), own);
  world.route.primary = primary;
  objects.set_open(false);
  world.publish();
  await_waiting(world, primary.short_str() + " is being loaded");
  objects.set_open(true);
  world.wait_applied(world.route.version);
  EXPECT_EQ(objects.nice(), own);
  await_waiting(world, "");
  // From now on there is somebody to feel it.
  world.route.standby = world.bundles[2];
  world.publish_and_wait();
  EXPECT_EQ(objects.nice(), 19);
}

TEST(Loading, ABundleThatCannotBeUsedIsTold) {
  World world;
  world.up();
  world.route.primary = sha256("nothing");
  world.publish();
  await_waiting(world, "there is no object");
  world.route.primary = world.bundles[0];
  world.publish_and_wait();
  await_waiting(world, "");
  world.route.standby = sha256("nothing");
  world.publish_and_wait();
  await_waiting(world, "the standby: there is no object");
}

}  // namespace
}  // namespace heddle::serve
