#include "recover/postmortem.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "doc/json.hpp"
#include "recover/ladder_fixture.hpp"

namespace heddle::recover {
namespace {

using fixture::options;
using fixture::Scene;
using watch::fixture::Stream;

TEST(Postmortem, ATimeShiftTeachesAClockRuleThatIsFaster) {
  Scene s(31);
  s.play(100, 103, {});
  s.play(103, 110, {.shift_hours = 5});
  const auto& written = s.world.last_of<WritePostmortem>();
  EXPECT_EQ(written.addition_path, "rules[]");
  const doc::Value& proof = written.proof;
  ASSERT_TRUE(proof.is_object());
  EXPECT_EQ(proof.find("with")->int_or("false_alerts"), 0);
  EXPECT_LE(proof.find("with")->int_or("rows"), 1500);
  EXPECT_GE(proof.find("without")->int_or("rows"), Stream::kRows);
}

TEST(Postmortem, WhileItIsWrittenTheIncidentStaysAndNothingElseWaits) {
  // A page that takes two days, and an end of the fault meanwhile that is followed as always.
  Scene s(31);
  s.world.page_after = 2 * kDay;
  s.play(100, 103, {});
  int day = 103;
  const auto waits = [&] {
    const auto& all = s.ladder.incidents();
    return !all.empty() && all.front().step == Step::kPostmortem;
  };
  for (; !waits() && day < 120; ++day) s.play(day, day + 1, {.shift_hours = 5});
  ASSERT_TRUE(waits());
  EXPECT_FALSE(s.did("postmortem.write"));
  EXPECT_NE(s.ladder.incidents().at(0).recovered_at, 0);
  // A restart asks for the same page, under the same id.
  Ladder restored(options());
  restored.restore(fixture::read_back(s.ladder.state()));
  s.ladder = std::move(restored);
  s.play(day, day + 3, {.shift_hours = 5});
  EXPECT_EQ(s.ladder.incidents().at(0).step, Step::kDone);
  EXPECT_EQ(s.world.pages.size(), 1U);
  EXPECT_EQ(s.world.written_since.size(), 1U);
}

TEST(Postmortem, WhatCannotBeReadIsSaidOnThePageAndNotTakenForNothingToSee) {
  Scene s(31);
  s.play(100, 103, {});
  s.play(103, 110, {.shift_hours = 5});
  const Ladder::Options o = options();
  const auto page = postmortem_without(
      {s.ladder.incidents().at(0), o.monitor, o.contract, o.fields, o.service, o.evaluation_file},
      "the disk does not answer");
  EXPECT_NE(page.page.find("could not be replayed: the disk does not answer"), std::string::npos);
  EXPECT_EQ(page.page.find("as early as they could"), std::string::npos) << page.page;
  EXPECT_TRUE(page.addition.empty());
}

TEST(Postmortem, ThePageSaysWhatHappened) {
  Scene s(31);
  s.play(100, 103, {});
  s.play(103, 110, {.shift_hours = 5});
  const std::string page = s.world.last_of<WritePostmortem>().page;
  for (const char* part :
       {"# incident-0001: time shift in trips", "## Timeline", "slot.swap applied",
        "transform.propose applied", "## Evidence", "sha256:", "## Addition", "## Next"}) {
    EXPECT_NE(page.find(part), page.npos) << part << "\n" << page;
  }
}

}  // namespace
}  // namespace heddle::recover
