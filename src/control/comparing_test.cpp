// A comparison in a process of its own: who asks is told to ask again until it has ended.
#include "control/comparing.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "control/compare.hpp"
#include "control/worker_fixture.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

/// Processes that end when the test says so.
class Runner final : public jobs::Runner {
 public:
  Result<std::int64_t> start(const jobs::Job& job, store::Objects& objects) override {
    jobs.push_back(job);
    objects_ = &objects;
    request = *objects.get(job.inputs.at("request.json"));
    ended = false;
    return static_cast<std::int64_t>(jobs.size());
  }
  Result<jobs::Outcome> wait(std::int64_t) override {
    outcome.outputs["log"] = *objects_->put("said");
    if (!result.empty()) outcome.outputs["result.json"] = *objects_->put(result);
    return outcome;
  }
  Result<bool> finished(std::int64_t) override { return ended; }
  Result<std::string> peek(std::int64_t, std::string_view output) override {
    if (output == "progress.json" && !progress.empty()) return progress;
    return Error{ErrorKind::kNotFound, "none", "nothing is there yet"};
  }
  void stop(std::int64_t) override { ++stopped; }

  std::vector<jobs::Job> jobs;
  std::string request{}, result{}, progress{};
  jobs::Outcome outcome{};
  bool ended = false;
  int stopped = 0;

 private:
  store::Objects* objects_ = nullptr;
};

class ComparingTest : public testing::Test {
 protected:
  std::optional<Comparison> ask(const Digest& candidate) {
    auto result = comparing_.result(base_, candidate);
    EXPECT_TRUE(result.ok()) << result.error().str();
    return result.ok() ? *result : std::optional<Comparison>();
  }

  Home home_{testing::TempDir() + uuid7()};
  Runner runner_;
  store::fixture::MemoryObjects objects_;
  Comparing comparing_{
      {&home_, &objects_, nullptr, &runner_, fixture::kProgram, fixture::open_exchange, "s"}};
  const Digest base_ = sha256("base"), one_ = sha256("one"), other_ = sha256("other");
};

TEST_F(ComparingTest, RunsOnceHoweverOftenItIsAskedForAndSaysHowFarItIs) {
  EXPECT_FALSE(ask(one_).has_value());
  EXPECT_FALSE(ask(one_).has_value());
  ASSERT_EQ(runner_.jobs.size(), 1U);
  EXPECT_EQ(runner_.jobs[0].arguments, (std::vector<std::string>{"worker", "compare", "."}));
  EXPECT_EQ(runner_.jobs[0].program, fixture::kProgram);
  const auto request = doc::parse_json(runner_.request).value();
  EXPECT_EQ(request.string_or("base"), base_.str());
  EXPECT_EQ(request.string_or("candidate"), one_.str());
  EXPECT_EQ(comparing_.progress().read, 0U);
  runner_.progress = R"({"read": 5, "of": 10, "rows": 3})";
  EXPECT_EQ(comparing_.progress().read, 5U);
  // One at a time: another one waits for the first.
  EXPECT_FALSE(ask(other_).has_value());
  EXPECT_EQ(runner_.jobs.size(), 1U);
  Comparison better = not_compared(base_, one_, "");
  better.compared = true;
  better.why.reset();
  better.loss = "log loss";
  better.rows.emplace();
  better.metrics.emplace();
  better.verdict = "better";
  runner_.result = doc::to_json(comparison_schema().print(better));
  runner_.progress.clear();
  runner_.ended = true;
  EXPECT_FALSE(ask(other_).has_value());
  const auto made = ask(one_);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->verdict, "better");
  // It is given once: the next question is of the traffic of then.
  EXPECT_FALSE(ask(one_).has_value());
  EXPECT_EQ(runner_.jobs.size(), 2U);
  EXPECT_EQ(comparing_.progress().read, 0U);
}

TEST_F(ComparingTest, OneThatDiedSaysSoAndStandsInNobodysWay) {
  EXPECT_FALSE(ask(one_).has_value());
  runner_.ended = true;
  runner_.outcome.exit_code = 137;
  const auto made = ask(one_);
  ASSERT_TRUE(made.has_value());
  EXPECT_FALSE(made->compared);
  EXPECT_NE(made->why->find("exit code 137"), std::string::npos);
  EXPECT_EQ(made->base, base_);
  EXPECT_EQ(*read_file(home_.comparison("s") + "/log"), "said");
  // What it left and nobody can read is told alike, with its place.
  EXPECT_FALSE(ask(one_).has_value());
  runner_.result = R"({"format": "heddle.comparison/1", "compared": 1})";
  runner_.ended = true;
  const auto damaged = ask(one_);
  ASSERT_TRUE(damaged.has_value());
  EXPECT_FALSE(damaged->compared);
  EXPECT_NE(damaged->why->find("`compared` must be true or false"), std::string::npos)
      << *damaged->why;
}

}  // namespace
}  // namespace heddle::control
