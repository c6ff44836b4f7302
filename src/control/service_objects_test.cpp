// The objects of a service's control by themselves, at their edges: a store that fails, a restart
// between two steps, two services of one project.
#include <gtest/gtest.h>

#include <filesystem>

#include "control/recovery_effects.hpp"
#include "control/service_fixture.hpp"
#include "control/watched_route.hpp"
#include "control/watched_routes.hpp"
#include "plane/route_file.hpp"

namespace heddle::control {
namespace {

/// Objects that count what is read of them, on a disk that fails when the test says so.
class FailingObjects final : public store::Objects {
 public:
  explicit FailingObjects(store::Objects& objects) : objects_(objects) {}
  std::optional<Error> fails{};
  int reads = 0;

  Result<Digest> put(std::string_view bytes) override { return objects_.put(bytes); }
  Result<std::string> get(const Digest& digest) override {
    ++reads;
    if (fails) return *fails;
    return objects_.get(digest);
  }
  bool has(const Digest& digest) override { return objects_.has(digest); }
  Result<void> tag(std::string_view name, const Digest& manifest, std::string_view media_type,
                   std::uint64_t size) override {
    return objects_.tag(name, manifest, media_type, size);
  }
  Result<std::vector<std::pair<std::string, Digest>>> tags() override { return objects_.tags(); }

 private:
  store::Objects& objects_;
};

watch::Watch new_watch(const spec::Project& project, const std::string& service) {
  auto options = ladder_options(project, project.services.at(service));
  return watch::Watch::open(
             {options.monitor, options.contract, options.fields, {std::string(16, 'k')}})
      .value();
}

class ServiceObjects : public fixture::ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    auto other = project_.services.at("s");
    other.identity.name = "t";
    project_.services["t"] = other;
  }
  /// The disk of objects, as a test holds it.
  FailingObjects failing() { return FailingObjects(*objects_); }
  ServiceParts parts() {
    return {&*home_,    &project_,         state_.get(),          objects_.get(),
            git_.get(), runner_,           policy_.get(),         outbox_.get(),
            &key_,      fixture::kProgram, fixture::open_exchange};
  }

  /// Decisions about one service, as `ServiceControl` has them.
  struct Own {
    Own(ServiceParts given, const spec::Project& project, const std::string& service)
        : parts(std::move(given)),
          name(service),
          releases(*parts.home, *parts.state, *parts.control_key, service),
          watch(new_watch(project, service)),
          routes(*parts.objects, watch, service),
          works(work_parts(parts, service)),
          decisions(parts, service, {releases, routes, works, journal, bounds}) {
      EXPECT_TRUE(parts.state->read([&](store::Txn& txn) { return releases.restore(txn); }).ok());
    }
    const ServiceParts parts;
    std::string name;
    PublishedReleases releases;
    watch::Watch watch;
    WatchedRoutes routes;
    Works works;
    std::optional<ServiceJournal> journal{};
    spec::ServiceBounds bounds{};
    ServiceDecisions decisions;

    [[nodiscard]] policy::Proposal proposal(const std::string& op_id,
                                            const std::string& action = "slot.swap") const {
      policy::Proposal out;
      out.op_id = name + "/" + op_id;
      out.action = action;
      out.target = "service/" + name;
      out.actor = {policy::ActorType::kAgent, "agent:recover"};
      out.attributes = doc::Value::object({{"service", name}, {"slot", "primary"}});
      out.reason = "because";
      return out;
    }
    Result<policy::Decision> put(const std::string& op_id, const Digest& bundle,
                                 const std::string& action = "slot.swap") {
      return decisions.change_releases(proposal(op_id, action), [&](release::Releases& next) {
        next.mark_ready(bundle);
        next.approve(bundle, op_id);
        return next.promote(bundle);
      });
    }
    [[nodiscard]] std::uint64_t table() const {
      const auto file =
          plane::read_route_file(parts.home->route(name), parts.control_key->public_key);
      return file.ok() ? file->table.version : 0;
    }
  };
  /// The fixture's own control of `s` is closed: another one decides.
  std::unique_ptr<Own> own(const std::string& service) {
    control_.reset();
    return std::make_unique<Own>(parts(), project_, service);
  }
};

// ---- WatchedRoutes

TEST_F(ServiceObjects, ABundleIsReadOnceHoweverManyVersionsOfTheRouteHaveIt) {
  auto objects = failing();
  auto watch = new_watch(project_, "s");
  WatchedRoutes routes(objects, watch, "s");
  ASSERT_TRUE(routes.know(bundles_[0], 1).ok());
  const int reads = objects.reads;
  ASSERT_GT(reads, 0);
  ASSERT_TRUE(routes.know(bundles_[0], 2).ok());
  EXPECT_EQ(objects.reads, reads);
  ASSERT_EQ(routes.all().size(), 2U);
  EXPECT_EQ(routes.all()[0].version, 1U);
  EXPECT_EQ(routes.all()[1].version, 2U);
  EXPECT_EQ(routes.unwatched(), nullptr);
  EXPECT_TRUE(routes.tasks()(bundles_[0]).has_value());
  EXPECT_FALSE(routes.tasks()(Digest{}).has_value()) << "an empty slot has no task";
  EXPECT_FALSE(routes.tasks()(sha256("gone")).has_value());
  // Another service reads for itself.
  auto other_watch = new_watch(project_, "t");
  WatchedRoutes other(objects, other_watch, "t");
  EXPECT_TRUE(other.all().empty());
  EXPECT_EQ(other.unwatched(), nullptr) << "nothing was released: there is nothing to watch";
  ASSERT_TRUE(other.know(bundles_[0], 1).ok());
  EXPECT_GT(objects.reads, reads);
  EXPECT_EQ(routes.all().size(), 2U);
}

TEST_F(ServiceObjects, WhatIsGoneServesUnwatchedAndAFaultOfTheDiskIsTriedAgain) {
  auto objects = failing();
  auto watch = new_watch(project_, "s");
  WatchedRoutes routes(objects, watch, "s");
  objects.fails = Error{ErrorKind::kIo, "disk", "the disk does not answer"};
  const auto failed = routes.know(bundles_[0], 1);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().kind, ErrorKind::kIo);
  EXPECT_TRUE(routes.all().empty()) << "the watch does not go on as if it were unwatched";
  for (const ErrorKind kind : {ErrorKind::kCorrupt, ErrorKind::kNotFound}) {
    objects.fails = Error{kind, "object", "the object is no more what it was"};
    ASSERT_TRUE(routes.know(bundles_[1], 2).ok());
    ASSERT_NE(routes.unwatched(), nullptr);
    EXPECT_NE(routes.unwatched()->find("no more what it was"), std::string::npos);
  }
  // What could not be read is read again: it may have come back.
  objects.fails.reset();
  ASSERT_TRUE(routes.know(bundles_[1], 3).ok());
  EXPECT_EQ(routes.unwatched(), nullptr);
  EXPECT_EQ(routes.all().size(), 3U);
}

// ---- ServiceDecisions

TEST_F(ServiceObjects, AStoreThatFailsLeavesReleasesAndTableAsTheyWere) {
  auto s = own("s");
  const auto version = s->releases.now().version();
  ASSERT_EQ(s->table(), version);
  disk_->left = 0;
  EXPECT_FALSE(s->put("one", bundles_[2]).ok());
  EXPECT_EQ(s->releases.now().version(), version);
  EXPECT_EQ(s->releases.now().primary(), bundles_[0]);
  EXPECT_EQ(s->table(), version);
  EXPECT_FALSE(s->decisions.is_unsaved());
  EXPECT_TRUE(s->routes.all().empty()) << "the watch was told of no route";
  // The same proposal, once the disk is well.
  disk_->left = -1;
  const auto decision = s->put("one", bundles_[2]);
  ASSERT_TRUE(decision.ok()) << decision.error().str();
  EXPECT_TRUE(decision->applied);
  EXPECT_FALSE(decision->repeated);
  EXPECT_EQ(s->table(), version + 1);
  EXPECT_TRUE(s->decisions.is_unsaved());
}

TEST_F(ServiceObjects, WhatWasCommittedAndNotPublishedIsNotDecidedTwice) {
  auto s = own("s");
  const auto version = s->releases.now().version();
  std::filesystem::remove_all(home_->routes());
  ASSERT_TRUE(write_file_atomic(home_->routes(), "in the way").ok());
  EXPECT_FALSE(s->put("one", bundles_[2]).ok()) << "the table cannot be written";
  EXPECT_FALSE(s->releases.is_published());
  s.reset();
  std::filesystem::remove(home_->routes());
  open_parts();
  auto again = own("s");
  EXPECT_EQ(again->releases.now().primary(), bundles_[2]);
  EXPECT_FALSE(again->releases.is_published());
  ASSERT_TRUE(again->releases.publish().ok());
  EXPECT_EQ(again->table(), version + 1);
  // Who asked before the crash asks again: it is told what was decided, and nothing changes.
  const auto repeated = again->put("one", bundles_[2]);
  ASSERT_TRUE(repeated.ok()) << repeated.error().str();
  EXPECT_TRUE(repeated->applied && repeated->repeated);
  EXPECT_EQ(again->releases.now().version(), version + 1);
  EXPECT_FALSE(again->decisions.is_unsaved());
}

TEST_F(ServiceObjects, ADecisionOfOneServiceLeavesTheOthersReleasesAndQuestions) {
  auto s = own("s");
  auto t = own("t");
  ASSERT_TRUE(t->put("begin", bundles_[0]).ok());
  const auto waits = t->put("ask", bundles_[1], "release.promote");
  ASSERT_TRUE(waits.ok()) << waits.error().str();
  ASSERT_EQ(waits->effect, policy::Effect::kRequireApproval);
  ASSERT_TRUE(s->put("one", bundles_[2]).ok());
  EXPECT_EQ(status(waits->approval), policy::Approval::Status::kPending);
  EXPECT_EQ(t->releases.now().primary(), bundles_[0]);
  EXPECT_EQ(t->releases.now().version(), 1U);
  EXPECT_TRUE(t->decisions.open_approval("t/ask")->has_value());
  EXPECT_FALSE(s->decisions.open_approval("s/ask")->has_value());
  const auto approval = policy_->approval(waits->approval).value();
  EXPECT_EQ(s->decisions.made_untrue(approval, release::Releases("s")), "")
      << "it is about another service";
  // Of its own service it ends the question: what it binds is not so any more.
  ASSERT_TRUE(t->put("two", bundles_[2]).ok());
  EXPECT_EQ(status(waits->approval), policy::Approval::Status::kVoid);
}

TEST_F(ServiceObjects, WhoAsksForTheSameJoinsTheQuestionAndTheFirstOneIsKept) {
  auto s = own("s");
  auto first = s->proposal("ask", "release.promote");
  first.reason = "the first";
  auto second = first;
  second.reason = "the second";
  std::string approval;
  for (const auto& proposal : {first, second}) {
    const auto asked = s->decisions.act(
        proposal, [](store::Txn&) { return Result<void>(); }, {},
        s->decisions.kept_until_approved(proposal));
    ASSERT_TRUE(asked.ok()) << asked.error().str();
    EXPECT_TRUE(approval.empty() || approval == asked->approval);
    approval = asked->approval;
  }
  std::optional<std::string> row;
  ASSERT_TRUE(state_
                  ->read([&](store::Txn& txn) -> Result<void> {
                    HEDDLE_ASSIGN_OR_RETURN(row, txn.get(kWaiting, approval));
                    return {};
                  })
                  .ok());
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(waiting_row_schema().parse_text(*row)->proposal.reason, "the first");
}

TEST_F(ServiceObjects, WorkOfADecisionIsGoneOnWithAfterARestart) {
  const Works::Work work{
      "compare", "compare-x", 1,
      doc::to_json(ComparisonRequest::schema().print({"s", bundles_[0], bundles_[1]}))};
  auto s = own("s");
  workers_->held = true;
  EXPECT_FALSE(s->decisions.done_for(work, 0)->has_value());
  EXPECT_EQ(workers_->started.size(), 1U);
  EXPECT_FALSE(s->decisions.done_for(work, 0)->has_value());
  EXPECT_EQ(workers_->started.size(), 1U) << "it runs";
  s.reset();
  ASSERT_TRUE(write_file_atomic(home_->runs() + "/compare-x/result.json", R"({"a":1})").ok());
  open_parts();
  auto again = own("s");
  ASSERT_TRUE(state_->read([&](store::Txn& txn) { return again->works.restore(txn); }).ok());
  EXPECT_FALSE(again->decisions.done_for(work, 0)->has_value()) << "before its time";
  const auto done = again->decisions.done_for(work, 1);
  ASSERT_TRUE(done.ok() && done->has_value());
  EXPECT_EQ((*done)->int_or("a"), 1);
  EXPECT_EQ(workers_->started.size(), 1U) << "what has ended is not begun again";
}

// ---- RecoveryEffects

TEST_F(ServiceObjects, AnActThatTheDiskFailsIsAnErrorAndDoneWhenItIsAskedForAgain) {
  recover::Action action;
  action.op_id = "incident-0001/source.quarantine";
  action.what = recover::QuarantineSource{"one", "app", "rule", 0, 5};
  action.incident = "incident-0001";
  action.target = "source/one";
  action.reason = "because";
  auto& effects = control_->effects();
  disk_->left = 0;
  EXPECT_FALSE(effects.perform(action).ok()) << "no outcome: the ladder tries again";
  EXPECT_FALSE(effects.quarantine_of("app", "one").has_value());
  disk_->left = -1;
  const auto done = effects.perform(action);
  ASSERT_TRUE(done.ok()) << done.error().str();
  EXPECT_EQ(done->status, recover::Outcome::Status::kApplied);
  ASSERT_TRUE(effects.quarantine_of("app", "one").has_value());
  EXPECT_FALSE(effects.quarantine_of("other", "one").has_value()) << "it is of one account";
  const auto version = control_->releases().version();
  EXPECT_EQ(effects.perform(action)->status, recover::Outcome::Status::kApplied);
  EXPECT_EQ(control_->releases().version(), version) << "twice asked for, once done";
}

TEST_F(ServiceObjects, WhatIsDoneForOneServiceIsNotDoneForTheOther) {
  ASSERT_EQ(repair().status, recover::Outcome::Status::kWaiting);
  ASSERT_EQ(yes(newest()), "");
  ASSERT_EQ(repair().status, recover::Outcome::Status::kApplied);
  control_.reset();
  // The second service asks under the same op_id, of the same bundles.
  auto opened = ServiceControl::open(parts(), project_.services.at("t"));
  ASSERT_TRUE(opened.ok()) << opened.error().str();
  control_ = std::move(*opened);
  EXPECT_TRUE(control_->releases().primary().empty());
  ASSERT_TRUE(promote(0));
  const auto asked = repair();
  EXPECT_EQ(asked.status, recover::Outcome::Status::kWaiting)
      << "the yes was of the other service's question";
  EXPECT_EQ(control_->releases().primary(), bundles_[0]);
  ASSERT_EQ(yes(newest()), "");
  EXPECT_EQ(repair().status, recover::Outcome::Status::kApplied);
  EXPECT_NE(control_->releases().primary(), bundles_[0]);
}

}  // namespace
}  // namespace heddle::control
