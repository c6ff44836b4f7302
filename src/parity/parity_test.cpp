// A bundle's answers by each way, held against a library that is made up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/clock.hpp"
#include "base/folder_fixture.hpp"
#include "parity/certify.hpp"
#include "score/bundle_fixture.hpp"

namespace heddle::parity {
namespace {

using ::testing::HasSubstr;

/// A bundle whose model is its own library, but for what a test changes of the answers.
class Parity : public ::testing::Test {
 protected:
  Parity() { take(score::fixture::contract()); }
  void take(const spec::Contract& definition) {
    bundle_ = *bundle::open(objects_, *score::fixture::pack(objects_, 0.25, false, definition));
    plan_ = *score::Plan::load(bundle_);
    probed_ = *make_probes(plan_->contract().request_fields(), score::fixture::rows(40), 20);
  }

  using Change = std::function<void(std::vector<float>&)>;
  Result<bundle::ParityCertificate> certify(double tolerance, const Change& change = {}) {
    const fixture::Folder folder;
    const Library library = [&](const table::Table& accepted) -> Result<std::vector<float>> {
      HEDDLE_ASSIGN_OR_RETURN(auto scored, plan_->score_table(accepted));
      if (change) change(scored.predictions);
      return std::move(scored.predictions);
    };
    return parity::certify({plan_.get(), &probed_, library, tolerance, folder.path()});
  }

  store::fixture::MemoryObjects objects_{};
  bundle::Bundle bundle_{};
  std::unique_ptr<const score::Plan> plan_{};
  Probed probed_{};
};

TEST_F(Parity, EachWayGivesTheSameBits) {
  const auto made = certify(0);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(made->holds());
  std::vector<std::string> names;
  for (const auto& path : made->paths) {
    names.push_back(path.name);
    EXPECT_EQ(path.rows, 25);
    EXPECT_EQ(path.equal, 25);
    EXPECT_EQ(path.largest, 0);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"csv", "parquet", "request", "batch", "zones"}));
  // 20 rows of the sample, and 5 with an origin that the contract's enum does not have.
  EXPECT_EQ(made->rows, 25);
  EXPECT_EQ(made->answered, 20);
  ASSERT_EQ(made->probes.size(), 1U);
  EXPECT_EQ(made->probes[0].what, "a value of `origin` that no row has");
  EXPECT_EQ(made->probes[0].refused, 5);
}

TEST_F(Parity, RowsAreWrittenAsTheContractReadsThem) {
  auto definition = score::fixture::repairing_contract();
  definition.fields[0].repairs.dates = {"%d.%m.%Y %H:%M"};  // ISO 8601 is refused
  take(definition);
  const auto made = certify(0);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(made->holds());
  EXPECT_EQ(made->answered, 20);
  std::vector<std::string> names;
  for (const auto& path : made->paths) {
    names.push_back(path.name);
    EXPECT_EQ(path.equal, 25) << path.name;
  }
  // There is one way to write a time.
  EXPECT_EQ(names, (std::vector<std::string>{"csv", "parquet", "request", "batch"}));
}

TEST_F(Parity, WhatNoLayoutHoldsIsLeftOutWhereThereAreOnlyTexts) {
  auto definition = score::fixture::repairing_contract();
  definition.fields[0].repairs.dates = {"%d.%m.%Y"};
  take(definition);
  // Two of the twenty are of midnight, and so is the first of the probes.
  const auto made = certify(0);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(made->holds());
  std::int64_t midnights = 0;
  const auto times = probed_.rows.find("date")->view();
  for (std::int64_t row = 0; row < times.length; ++row)
    midnights += times.at(row).i % kDay == 0 ? 1 : 0;
  ASSERT_GT(midnights, 0);
  for (const auto& path : made->paths)
    EXPECT_EQ(path.rows, path.name == "parquet" ? 25 : midnights) << path.name;
  // Without any of midnight there is nothing to send.
  probed_.rows = *probed_.rows.with_column([&] {
    auto column = *probed_.rows.find("date");
    for (auto& time : column.ints) time += time % kDay == 0 ? kHour : 0;
    return column;
  }());
  const auto none = certify(0);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().id, "parity-unwritable");
  EXPECT_THAT(none.error().message, HasSubstr("`date`"));
}

TEST_F(Parity, ADifferenceNamesRowColumnAndBothValues) {
  float wanted = 0;
  float got = 0;
  const auto next = [&](std::vector<float>& answers) {
    got = answers[6];
    wanted = answers[6] = std::nextafter(answers[6], 1.0F);
  };
  const auto refused = certify(0, next);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "parity-differs");
  EXPECT_THAT(refused.error().message, HasSubstr("reference row 7, `probability`"));
  EXPECT_THAT(
      refused.error().message,
      HasSubstr(fmt::format("answers {:.9g}, the service answers {:.9g} (csv)", wanted, got)));
  EXPECT_THAT(refused.error().message, HasSubstr("; 4 more answers differ"));
  const auto within = certify(1e-6, next);
  ASSERT_TRUE(within.ok());
  EXPECT_EQ(within->paths[0].equal, 24);
  EXPECT_GT(within->paths[0].largest, 0);
  EXPECT_TRUE(within->holds());
}

TEST_F(Parity, AnAnswerThatTheLibraryDoesNotGiveIsADifference) {
  const auto none = [](std::vector<float>& answers) {
    answers[3] = std::numeric_limits<float>::quiet_NaN();
  };
  const auto refused = certify(0.1, none);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("reference row 4"));
  EXPECT_THAT(refused.error().message, HasSubstr("the model's library answers nothing"));
  const auto silent = certify(0.1, [](std::vector<float>& answers) {
    std::fill(answers.begin(), answers.end(), std::numeric_limits<float>::quiet_NaN());
  });
  EXPECT_EQ(silent.error().id, "parity-no-answer");
}

TEST_F(Parity, ProbesAreOfFieldsThatMayBeMissingAndOfTexts) {
  auto fields = score::fixture::contract().fields;
  fields[2].required = false;
  const auto probed = make_probes(fields, score::fixture::rows(40), 8);
  ASSERT_TRUE(probed.ok());
  EXPECT_EQ(probed->sampled, 8);
  EXPECT_EQ(probed->rows.rows(), 18);
  EXPECT_EQ(probed->kinds, (std::vector<std::string>{"a value of `origin` that no row has",
                                                     "a missing value of `distance`"}));
  const auto* origin = probed->rows.find("origin");
  EXPECT_EQ(origin->view().at(8).str(), "a text never seen");
  EXPECT_EQ(probed->rows.find("distance")->view().at(13).kind, expr::Datum::Kind::kNull);
  // The fifth of the sampled rows, which is row 20 of the sample.
  EXPECT_EQ(probed->rows.find("distance")->view().at(12).i, 100);
  EXPECT_EQ(probed->name_of(7), "reference row 8");
  EXPECT_EQ(probed->name_of(13), "a row with a missing value of `distance`");
}

/// The bundle with more layers, as one whose model was there before it.
Result<bundle::Bundle> with_layers(store::Objects& objects, const bundle::Bundle& bundle,
                                   const std::string& certificate) {
  auto layers = bundle.layers();
  layers.push_back({std::string(bundle::kTrainer),
                    {},
                    R"({"format":"heddle.trainer/1","adopted":{"kind":"xgboost"}})"});
  if (!certificate.empty()) layers.push_back({std::string(bundle::kParity), {}, certificate});
  HEDDLE_ASSIGN_OR_RETURN(const Digest digest,
                          bundle::pack(objects, std::move(layers), bundle.config()));
  return bundle::open(objects, digest);
}

TEST_F(Parity, WithoutACertificateNoPlanIsMade) {
  auto certificate = *certify(0);
  certificate.library = "xgboost 3.2.0";
  certificate.format = "xgboost";
  certificate.scored_by = "engine";
  const auto load = [&](const std::string& text) {
    return score::Plan::load(*with_layers(objects_, bundle_, text));
  };
  const auto text_of = [](const bundle::ParityCertificate& of) {
    return doc::to_json(bundle::parity_schema().print(of));
  };
  EXPECT_EQ(load("").error().id, "parity-missing");
  certificate.subject = sha256("another model");
  EXPECT_EQ(load(text_of(certificate)).error().id, "parity-other");
  certificate.subject = bundle::subject_of(*bundle_.layer(bundle::kModel), "", "");
  EXPECT_TRUE(load(text_of(certificate)).ok());
  const auto read = bundle::parity_schema().parse_text(text_of(certificate));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, certificate);
  certificate.paths[2].largest = 0.5;
  EXPECT_EQ(load(text_of(certificate)).error().id, "parity-broken");
  certificate.paths.clear();
  EXPECT_EQ(load(text_of(certificate)).error().id, "parity-broken");
}

}  // namespace
}  // namespace heddle::parity
