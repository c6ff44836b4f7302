// What is told of a row is what scoring it does.
#include "score/row_account.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "score/bundle_fixture.hpp"

namespace heddle::score {
namespace {

using expr::Datum;

class RowAccountTest : public testing::Test {
 protected:
  bundle::Bundle open(const Result<Digest>& packed) {
    EXPECT_TRUE(packed.ok()) << packed.error().str();
    return bundle::open(objects_, packed.value()).value();
  }
  bundle::Bundle repairing() {
    return open(fixture::pack(objects_, -0.5, false, fixture::repairing_contract()));
  }

  fixture::MemoryObjects objects_;
};

TEST_F(RowAccountTest, EachChangedFieldIsToldOnceWithAllThatChangedIt) {
  auto accounts = RowAccounts::of(repairing()).value();
  const std::vector<Datum> raw = {Datum::string("02.04.2001 05:00"), Datum::string(" abq"),
                                  Datum::string("100,0")};
  const auto account = accounts.account(raw);
  EXPECT_FALSE(account.refused);
  ASSERT_EQ(account.changed.size(), 3U);
  const auto& date = account.changed[0];
  EXPECT_EQ(date.field, "date");
  EXPECT_EQ(date.from, doc::Value("02.04.2001 05:00"));
  EXPECT_EQ(date.to, doc::Value("2001-04-02T05:00:00Z"));
  EXPECT_EQ(date.by, std::vector<std::string>{"date-dates"});
  const auto& origin = account.changed[1];
  EXPECT_EQ(origin.from, doc::Value(" abq"));
  EXPECT_EQ(origin.to, doc::Value("ABQ"));
  EXPECT_EQ(origin.by, (std::vector<std::string>{"origin-trim", "origin-case"}));
  EXPECT_EQ(account.changed[2].to, doc::Value(100));
  // A value that nothing had to change is not among them.
  const std::vector<Datum> clean = {Datum::timestamp(986'187'600 * kSecond), Datum::string("ABQ"),
                                    Datum::integer(100)};
  EXPECT_TRUE(accounts.account(clean).changed.empty());
  EXPECT_EQ(accounts.account(clean).features, account.features) << "the same row as it is meant";
}

TEST_F(RowAccountTest, FeaturesAndContributionsAreThoseOfTheAnswer) {
  auto accounts = RowAccounts::of(repairing()).value();
  ASSERT_NE(accounts.plan(), nullptr);
  EXPECT_EQ(accounts.feature_names(), (std::vector<std::string>{"hour", "far", "late_from"}));
  const std::vector<Datum> raw = {Datum::timestamp(986'187'600 * kSecond), Datum::string("lax"),
                                  Datum::integer(400)};
  const auto account = accounts.account(raw);
  ASSERT_EQ(account.features.size(), 3U);
  EXPECT_EQ(account.features[0], 5.0F);  // 2001-04-02, five in the morning
  EXPECT_EQ(account.features[1], 0.4F);
  EXPECT_EQ(account.not_explained, "");
  Scratch scratch;
  RowResult result;
  accounts.plan()->score_row(raw, result, scratch);
  ASSERT_EQ(account.contributions.size(), 4U);
  double sum = 0;
  for (const float part : account.contributions) sum += static_cast<double>(part);
  EXPECT_NEAR(sum, static_cast<double>(result.margins[0]), 1e-5);
}

TEST_F(RowAccountTest, ARefusedRowHasItsRulesAndNoFeatures) {
  auto accounts = RowAccounts::of(open(fixture::pack(objects_, 0))).value();
  const std::vector<Datum> raw = {Datum::timestamp(0), Datum::string("ABQ"),
                                  Datum::string("far away")};
  const auto account = accounts.account(raw);
  EXPECT_TRUE(account.refused);
  ASSERT_EQ(account.broken.size(), 1U);
  EXPECT_EQ(account.broken[0].id, "distance-type");
  EXPECT_EQ(account.broken[0].effect, contract::RuleEffect::kRefuse);
  EXPECT_TRUE(account.features.empty());
  EXPECT_TRUE(account.contributions.empty());
  EXPECT_EQ(account.not_explained, "");
  // Fields past the end of a row are missing ones.
  EXPECT_EQ(accounts.account(std::span(raw).first(1)).broken.size(), 2U);
}

TEST_F(RowAccountTest, ARuntimeIsNotStartedForWhatIsKnownWithoutIt) {
  auto accounts = RowAccounts::of(open(fixture::pack_worker(objects_))).value();
  EXPECT_EQ(accounts.plan(), nullptr);
  const std::vector<Datum> raw = {Datum::timestamp(986'187'600 * kSecond), Datum::string("LAX"),
                                  Datum::integer(400)};
  const auto account = accounts.account(raw);
  EXPECT_EQ(account.features, (std::vector<float>{5.0F, 0.4F}));
  EXPECT_TRUE(account.contributions.empty());
  EXPECT_NE(account.not_explained.find("a runtime scores these rows"), std::string::npos);
}

TEST(ValueOf, EachKindIsAValueOfItsOwn) {
  EXPECT_TRUE(value_of(Datum::null()).is_null());
  EXPECT_TRUE(value_of(Datum::error()).is_null());
  EXPECT_EQ(value_of(Datum::boolean(true)), doc::Value(true));
  EXPECT_EQ(value_of(Datum::integer(-3)), doc::Value(-3));
  EXPECT_EQ(value_of(Datum::real(0.5)), doc::Value(0.5));
  EXPECT_EQ(value_of(Datum::string("a")), doc::Value("a"));
  EXPECT_EQ(value_of(Datum::timestamp(0)), doc::Value("1970-01-01T00:00:00Z"));
}

}  // namespace
}  // namespace heddle::score
