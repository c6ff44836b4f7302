// Two bundles on the same recorded rows.
#include "control/compare.hpp"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/ids.hpp"
#include "flow/held_out.hpp"
#include "plane/journal.hpp"
#include "score/bundle_fixture.hpp"

namespace heddle::control {
namespace {

class CompareTest : public testing::Test {
 protected:
  static constexpr int kRows = 400;

  void SetUp() override {
    spool_ = testing::TempDir() + uuid7();
    ASSERT_TRUE(make_dirs(spool_).ok());
    plane::JournalWriter::Options options;
    options.dir = spool_;
    options.fields = {"date", "origin", "distance"};
    writer_ = *plane::JournalWriter::open(options);
    base_ = score::fixture::pack(objects_, -1).value();
    candidate_ = score::fixture::pack(objects_, 0.25).value();
  }
  static Micros time_of(int row) { return row * kHour * 5 + 986'083'200 * kSecond; }
  static bool label_of(int row) { return row % 5 == 1 || row % 3 == 0; }

  /// Rows of the fixture's kind, each labelled a day later. One in `broken` has a distance that its
  /// origin forbids.
  void record(int rows, int broken = 0) {
    static const std::vector<std::string> kOrigins = {"ABQ", "LAX", "JFK", "ORD", "SEA"};
    for (int i = 0; i < rows; ++i) {
      plane::FieldValue date, origin, distance;
      date.kind = origin.kind = expr::Datum::Kind::kString;
      date.s = format_time(time_of(i));
      origin.s = kOrigins[static_cast<std::size_t>(i % 5)];
      distance.kind = expr::Datum::Kind::kInt;
      distance.i = 100 + 300 * (i % 5) + (broken != 0 && i % broken == 0 ? 1 : 0);
      plane::RequestRecord request;
      request.request_id = fmt::format("r-{}", i);
      request.event_time = time_of(i);
      plane::RowRecord row;
      row.outcome = plane::RowOutcome::kServed;
      row.fields = {date, origin, distance};
      request.rows = {row};
      writer_->append(request);
      writer_->append(plane::LabelRecord{fmt::format("r-{}#0", i), label_of(i), time_of(i) + kDay});
    }
    ASSERT_TRUE(writer_->commit().ok());
  }
  ComparisonInput input(const Digest& base, const Digest& candidate) {
    ComparisonInput out;
    out.objects = &objects_;
    out.spool = spool_;
    out.base = base;
    out.candidate = candidate;
    return out;
  }
  /// The same bundle naming these held-out rows.
  Digest with_held_out(const Digest& digest, int rows, bool timed = true) {
    flow::HeldOut held;
    held.rows = score::fixture::rows(rows);
    for (int i = 0; i < rows; ++i) {
      held.labels.push_back(label_of(i) ? 1 : 0);
      if (timed) held.times.push_back(time_of(i));
    }
    const auto kept = flow::keep_held_out(objects_, score::fixture::contract().fields, held);
    EXPECT_TRUE(kept.ok());
    return with_config(digest, [&](auto& config) { config.lineage.held_out = *kept; });
  }
  doc::Value compare(const Digest& base, const Digest& candidate) {
    const auto compared = compare_bundles(input(base, candidate));
    EXPECT_TRUE(compared.ok()) << compared.error().str();
    return compared.ok() ? comparison_schema().print(*compared) : doc::Value();
  }
  std::string why_not(const Digest& base, const Digest& candidate) {
    const auto compared = compare(base, candidate);
    EXPECT_FALSE(compared.bool_or("compared", true));
    return compared.string_or("why");
  }
  template <class F>
  Digest with_config(const Digest& digest, F change) {
    const auto made = bundle::open(objects_, digest).value();
    auto config = made.config();
    change(config);
    return bundle::pack(objects_, made.layers(), config).value();
  }
  Digest learned_until(const Digest& digest, int row) {
    return with_config(digest, [&](auto& config) {
      config.learned = {bundle::Learned::Kind::kUntil, time_of(row)};
    });
  }
  static const doc::Value& metric(const doc::Value& compared, const std::string& name) {
    for (const auto& item : compared.find("metrics")->as_array()) {
      if (item.string_or("name") == name) return item;
    }
    static const doc::Value none = doc::Value::object();
    ADD_FAILURE() << "no metric " << name;
    return none;
  }
  /// The loss of each row from its probability, as the definition of the metric has it.
  std::vector<double> losses(const Digest& digest, int rows) {
    const auto plan = score::Plan::load(bundle::open(objects_, digest).value()).value();
    const auto scored = plan->score_table(score::fixture::rows(rows)).value();
    std::vector<double> out;
    for (int i = 0; i < rows; ++i) {
      const double p =
          1 / (1 + std::exp(-static_cast<double>(scored.margins[static_cast<std::size_t>(i)])));
      out.push_back(-std::log(label_of(i) ? p : 1 - p));
    }
    return out;
  }

  std::string spool_;
  score::fixture::MemoryObjects objects_;
  std::unique_ptr<plane::JournalWriter> writer_;
  Digest base_, candidate_;
};

TEST_F(CompareTest, BothAnswerTheSameRowsAndTheErrorIsPaired) {
  record(kRows);
  const auto compared = compare(base_, candidate_);
  ASSERT_TRUE(compared.bool_or("compared")) << compared.string_or("why");
  const auto& rows = *compared.find("rows");
  EXPECT_EQ(rows.int_or("count"), kRows);
  EXPECT_EQ(rows.string_or("from"), format_time(time_of(0)));
  EXPECT_EQ(rows.string_or("to"), format_time(time_of(kRows - 1)));
  const auto one = losses(base_, kRows), other = losses(candidate_, kRows);
  double sum = 0, squares = 0, base_sum = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    base_sum += one[i];
    sum += other[i] - one[i];
    squares += (other[i] - one[i]) * (other[i] - one[i]);
  }
  const double mean = sum / kRows;
  const auto& loss = metric(compared, "log_loss");
  EXPECT_NEAR(loss.double_or("base"), base_sum / kRows, 1e-6);
  EXPECT_NEAR(loss.double_or("difference"), mean, 1e-6);
  EXPECT_NEAR(loss.double_or("standard_error"),
              std::sqrt((squares - kRows * mean * mean) / (kRows - 1) / kRows), 1e-6);
  // An intercept moves no row before another.
  EXPECT_EQ(metric(compared, "auc").double_or("difference"), 0);
  EXPECT_TRUE(metric(compared, "auc").find("standard_error")->is_double());
  const auto back = compare(candidate_, base_);
  EXPECT_DOUBLE_EQ(metric(back, "log_loss").double_or("difference"), -loss.double_or("difference"));
}

TEST_F(CompareTest, TheIntervalAndWhatItSays) {
  record(kRows);
  const auto compared = compare(base_, candidate_);
  const auto& loss = metric(compared, "log_loss");
  // 1.96 standard errors on each side: the 97.5 % point of the normal distribution.
  const double half = 1.959963984540054 * loss.double_or("standard_error");
  EXPECT_NEAR(loss.double_or("low"), loss.double_or("difference") - half, 1e-12);
  EXPECT_NEAR(loss.double_or("high"), loss.double_or("difference") + half, 1e-12);
  EXPECT_TRUE(metric(compared, "auc").find("low")->is_double());
  EXPECT_EQ(compared.string_or("verdict"), loss.double_or("high") < 0  ? "better"
                                           : loss.double_or("low") > 0 ? "worse"
                                                                       : "unclear");
  const auto wild = score::fixture::pack(objects_, 6).value();
  EXPECT_EQ(compare(base_, wild).string_or("verdict"), "worse");
  EXPECT_EQ(compare(wild, base_).string_or("verdict"), "better");
  EXPECT_EQ(compared.find("rows")->string_or("of"), "recorded traffic");
  EXPECT_EQ(compared.find("why_not_traffic"), nullptr);
}

TEST_F(CompareTest, WithTooFewLabelsTheCandidatesHeldOutRowsAreTaken) {
  record(50);
  const auto candidate = with_held_out(candidate_, 300);
  const auto compared = compare(base_, candidate);
  ASSERT_TRUE(compared.bool_or("compared")) << compared.string_or("why");
  const auto& rows = *compared.find("rows");
  EXPECT_EQ(rows.string_or("of"), "the candidate's held-out rows");
  EXPECT_EQ(rows.int_or("count"), 300);
  EXPECT_EQ(rows.string_or("from"), format_time(time_of(0)));
  EXPECT_EQ(rows.string_or("to"), format_time(time_of(299)));
  EXPECT_NE(compared.string_or("why_not_traffic").find("50 labelled rows; 200 are wanted"),
            std::string::npos)
      << compared.string_or("why_not_traffic");
  const auto one = losses(base_, 300), other = losses(candidate, 300);
  double sum = 0;
  for (std::size_t i = 0; i < one.size(); ++i) sum += other[i] - one[i];
  EXPECT_NEAR(metric(compared, "log_loss").double_or("difference"), sum / 300, 1e-6);
  // Rows that the base learned from say nothing: what is left is too little, or enough.
  const auto learned = [&](int row) { return learned_until(base_, row); };
  EXPECT_EQ(compare(learned(49), candidate).find("rows")->int_or("count"), 250);
  EXPECT_NE(why_not(learned(150), candidate).find("149 that neither has learned from"),
            std::string::npos)
      << why_not(learned(150), candidate);
  // Without times it is not known which those are.
  const auto untimed = compare(base_, with_held_out(candidate_, 300, false));
  EXPECT_EQ(untimed.find("rows")->string_or("from"), "");
  EXPECT_NE(untimed.find("rows")->string_or("note"), "");
  // With enough labels the traffic is taken.
  record(kRows);
  EXPECT_EQ(compare(base_, candidate).find("rows")->string_or("of"), "recorded traffic");
}

TEST_F(CompareTest, OnlyWhatWasKnownThenIsSeen) {
  record(kRows);
  auto then = input(base_, candidate_);
  then.until = time_of(249) + kDay;  // a label comes a day after its row
  const auto compared = compare_bundles(then).value();
  EXPECT_EQ(compared.rows->count, 250);
  EXPECT_EQ(compared.rows->to, format_time(time_of(249)));
  // What is behind the place that was read does not count either.
  then.until = INT64_MAX;
  then.end = writer_->position();
  record(kRows);
  EXPECT_EQ(compare_bundles(then)->rows->count, kRows);
}

TEST_F(CompareTest, RowsThatAContractRefusesAreCountedAndNotCompared) {
  record(kRows, 10);
  const auto compared = compare(base_, candidate_);
  ASSERT_TRUE(compared.bool_or("compared")) << compared.string_or("why");
  EXPECT_EQ(compared.find("rows")->int_or("refused_by_base"), kRows / 10);
  EXPECT_EQ(compared.find("rows")->int_or("refused_by_candidate"), kRows / 10);
  EXPECT_EQ(compared.find("rows")->int_or("count"), kRows - kRows / 10);
}

TEST_F(CompareTest, WhatWasLearnedFromIsNotComparedOn) {
  record(kRows);
  const auto retrained = learned_until(candidate_, 99);
  const auto compared = compare(base_, retrained);
  EXPECT_EQ(compared.find("rows")->int_or("count"), kRows - 100);
  EXPECT_EQ(compared.find("rows")->string_or("from"), format_time(time_of(100)));
  // Whichever of the two learned from them.
  EXPECT_EQ(compare(retrained, base_).find("rows")->int_or("count"), kRows - 100);
  EXPECT_NE(why_not(base_, learned_until(candidate_, 300)).find("99 labelled rows"),
            std::string::npos);
  const auto unknown = with_config(
      candidate_, [](auto& config) { config.learned.kind = bundle::Learned::Kind::kUnknown; });
  EXPECT_NE(why_not(base_, unknown).find("up to when"), std::string::npos);
  const auto retrain = with_config(
      candidate_, [](auto& config) { config.change = bundle::Change{.data = sha256("rows")}; });
  EXPECT_NE(why_not(base_, retrain).find("up to when"), std::string::npos);
}

TEST_F(CompareTest, SaysWhyItCannot) {
  EXPECT_NE(why_not(base_, candidate_), "");  // no traffic at all
  record(50);
  EXPECT_NE(why_not(base_, candidate_).find("50 labelled rows"), std::string::npos);
  EXPECT_NE(why_not({}, candidate_).find("nothing is released"), std::string::npos);
  EXPECT_NE(why_not(base_, base_).find("what serves"), std::string::npos);
  EXPECT_NE(why_not(sha256("gone"), candidate_).find("cannot be read"), std::string::npos);
  const auto unknown = compare_bundles(input(base_, sha256("unknown")));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().kind, ErrorKind::kNotFound);
  const auto worker = with_config(candidate_, [](auto& config) { config.model = "other"; });
  auto layers = bundle::open(objects_, worker).value().layers();
  layers.push_back({std::string(bundle::kRuntime), "", "{}"});
  EXPECT_NE(why_not(base_, bundle::pack(objects_, layers, bundle::fixture::config()).value())
                .find("runtime"),
            std::string::npos);
}

}  // namespace
}  // namespace heddle::control
