#include "draft/draft.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/folder_fixture.hpp"
#include "draft/difference.hpp"
#include "spec/load.hpp"

namespace heddle::draft {
namespace {

using fixture::Folder;
using stats::TaskKind;

/// A profile that outlives what is decided of it.
class Drafting : public ::testing::Test {
 protected:
  Result<Decisions> decide_of(const std::string& text, const Wishes& wishes = {}) {
    path_ = folder_ / "rows.csv";
    std::ofstream(path_) << text;
    auto profile = profile::profile_file(path_);
    if (!profile.ok()) return profile.error();
    profile_ = *std::move(profile);
    return decide(profile_, wishes);
  }

  static std::vector<std::string> ids(const Decisions& decisions) {
    std::vector<std::string> out;
    for (const auto& finding : decisions.findings) out.push_back(finding.id);
    return out;
  }
  static const Column& column(const Decisions& decisions, std::string_view name) {
    for (const auto& each : decisions.columns)
      if (each.name() == name) return each;
    ADD_FAILURE() << "no column " << name;
    return decisions.columns[0];
  }

  /// The draft, written and checked as `heddle check` would.
  std::vector<doc::Diagnostic> checked(const Decisions& decisions) {
    const std::string root = folder_ / "project";
    for (const auto& file : draft_project(decisions, {"project", {path_}, {"ada", "ada"}})) {
      const std::string to = root + "/" + file.path;
      std::filesystem::create_directories(std::filesystem::path(to).parent_path());
      std::ofstream(to) << file.text;
    }
    const auto loaded = spec::load_project(root);
    EXPECT_TRUE(loaded.ok());
    return loaded->diagnostics;
  }

  Folder folder_;
  std::string path_;
  profile::Profile profile_;
};

std::string rows_of(int count, const std::function<std::string(int)>& row, std::string head) {
  std::string out = std::move(head) + "\n";
  for (int i = 0; i < count; ++i) out += row(i) + "\n";
  return out;
}

double noise(int i) {
  return static_cast<double>(profile::mixed(static_cast<std::uint64_t>(i)) % 10007) / 10007;
}

TEST_F(Drafting, WhatCannotBecomeAProjectIsRefusedInOneSentence) {
  const auto id_of = [&](const std::string& text, const Wishes& wishes = {}) {
    const auto made = decide_of(text, wishes);
    return made.ok() ? std::string("ok") : made.error().id;
  };
  const auto pairs = [](int i) { return fmt::format("{},{}", noise(i), i % 2); };
  EXPECT_EQ(id_of("a,b\n"), "init-no-rows");
  EXPECT_EQ(id_of("a,b\n1,2\n"), "init-too-few-rows");
  EXPECT_EQ(
      id_of(rows_of(99, [](int i) { return std::to_string(i % 2); }, "a")), "init-one-column");
  EXPECT_EQ(id_of(rows_of(
                      99, [](int i) { return fmt::format("{},7", noise(i)); }, "a,b"),
                  {.target = "b"}),
            "init-target-constant");
  EXPECT_EQ(id_of(rows_of(99, pairs, "a,b"), {.target = "c"}), "init-no-column");
  EXPECT_EQ(id_of(rows_of(99, pairs, "a,b"), {.time = "a"}), "init-time-kind");
  EXPECT_EQ(id_of(rows_of(
                99, [](int i) { return fmt::format("{},{}", i, i % 2); }, "a,b")),
            "init-nothing-left");
  EXPECT_EQ(id_of(rows_of(
                      99, [](int i) { return fmt::format("{},word {}", noise(i), i); }, "a,b"),
                  {.target = "b"}),
            "init-target-kind");
  EXPECT_EQ(id_of(rows_of(
                99,
                [](int i) {
                  return fmt::format("{},{}", noise(i), i == 3 ? "c" : i % 2 == 0 ? "a" : "b");
                },
                "a,b")),
            "init-class-rare");
}

TEST_F(Drafting, TheTargetIsInferredByItsNameElseTheLastColumn) {
  const auto row = [](int i) { return fmt::format("{},{},{}", i % 2, noise(i), i % 3); };
  auto made = decide_of(rows_of(99, row, "class,x,last"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(made->target_column().name(), "class");
  made = decide_of(rows_of(99, row, "a,x,last"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(made->target_column().name(), "last");
  EXPECT_EQ(made->task, TaskKind::kClasses);
  EXPECT_EQ(made->classes, (std::vector<std::string>{"0", "1", "2"}));
  made = decide_of(rows_of(99, row, "a,x,last"), {.target = "x"});
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(made->task, TaskKind::kRegression);
  made = decide_of(rows_of(99, row, "a,x,last"), {.target = "last", .task = TaskKind::kRegression});
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(made->task, TaskKind::kRegression);
}

TEST_F(Drafting, LeaksAreLeftOutAndSaidFirst) {
  // The target is the sum of two columns, and a third is it under another name.
  const auto made = decide_of(rows_of(
      400,
      [](int i) {
        const int a = static_cast<int>(100 * noise(i));
        const int b = static_cast<int>(100 * noise(i + 1000));
        return fmt::format("{},{},{},{},{}", a, b, noise(i + 5000) + .01 * a, 10 * (a + b) + 3,
                           a + b);
      },
      "casual,registered,x,again,count"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(ids(*made), (std::vector<std::string>{"target-computed", "target-computed"}));
  EXPECT_NE(made->findings[0].text.find("again"), std::string::npos) << made->findings[0].text;
  EXPECT_NE(made->findings[1].text.find("casual + registered"), std::string::npos);
  EXPECT_EQ(made->findings[1].examples.size(), 3u);
  EXPECT_FALSE(column(*made, "casual").in_contract);
  EXPECT_TRUE(column(*made, "x").left_out.empty());
  EXPECT_TRUE(checked(*made).empty());
}

TEST_F(Drafting, ATargetUnderAnotherNameIsALeak) {
  const auto made = decide_of(rows_of(
      300,
      [](int i) {
        const bool yes = noise(i) < .4;
        return fmt::format("{},{:.3f},{}", yes ? "alive" : "dead", noise(i + 77), yes ? 1 : 0);
      },
      "fate,x,survived"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  ASSERT_FALSE(made->findings.empty());
  EXPECT_EQ(made->findings[0].id, "target-leak");
  EXPECT_EQ(made->findings[0].columns, (std::vector<std::string>{"fate"}));
}

TEST_F(Drafting, WhatIsSuspiciousIsSaidWithCountsAndRows) {
  const auto made = decide_of(rows_of(
      200,
      [](int i) {
        const int k = i == 150 ? 149 : i;  // a row that comes twice but for its number
        return fmt::format("{},k{},5,{},{},{},{},{}", i, k,
                           k == 7 ? "NA" : fmt::format("{:.2f}", noise(k)),
                           k == 3 ? -4 : 20 + k % 50, k % 40 == 0 ? 9999 : k % 17,
                           k % 3 == 0 ? "a" : "b", noise(k + 900) < .5 ? "yes" : "no");
      },
      "row,key,same,mixed,age,code,word,answer"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  const auto found = ids(*made);
  for (const char* id : {"duplicate-rows", "row-number", "missing-words", "missing-as-number",
                         "impossible-values", "constant-column"})
    EXPECT_NE(std::find(found.begin(), found.end(), id), found.end()) << id;
  EXPECT_EQ(made->positive, "yes");
  EXPECT_TRUE(column(*made, "same").left_out.starts_with("it is `5`"));
  for (const auto& finding : made->findings) {
    if (finding.id != "impossible-values") continue;
    EXPECT_EQ(finding.examples, (std::vector<std::string>{"row 4: age = -4"}));
  }
  for (const auto& each : checked(*made)) ADD_FAILURE() << doc::render_concise(each);
}

TEST_F(Drafting, AValueOutOfItsRangeIsSaidWhereMostAreNegative) {
  const auto examples_of = [&](int odd) {
    const auto made = decide_of(rows_of(
        200,
        [&](int i) {
          const double west = -70 - noise(i);
          return fmt::format("{:.3f},{:.2f},{}", i < odd ? -500 - noise(i) : west, noise(i + 500),
                             noise(i + 900) < .5 ? "yes" : "no");
        },
        "longitude,x,answer"));
    EXPECT_TRUE(made.ok());
    std::vector<std::string> out;
    for (const auto& finding : made->findings)
      if (finding.id == "impossible-values") out = finding.examples;
    return out;
  };
  const auto one = examples_of(1);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_TRUE(one[0].starts_with("row 1: longitude = -50")) << one[0];
  // A tenth of them: they are on another scale.
  EXPECT_TRUE(examples_of(20).empty());
}

TEST_F(Drafting, MixedTimeZonesAndGapsAreSaid) {
  const auto made = decide_of(rows_of(
      300,
      [](int i) {
        const int day = i < 150 ? i : i + 400;
        const Micros at = 800'000'000 * kSecond + day * kDay;
        std::string text = format_time(at);
        text.pop_back();
        return fmt::format("{}{},{:.4f},{:.4f}", text, i % 2 == 0 ? "Z" : "+02:00", noise(i),
                           noise(i + 50) + noise(i));
      },
      "when,x,y"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  const auto found = ids(*made);
  for (const char* id : {"mixed-time-zones", "time-gap"})
    EXPECT_NE(std::find(found.begin(), found.end(), id), found.end()) << id;
  ASSERT_TRUE(made->time.has_value());
  EXPECT_EQ(made->time_column()->name(), "when");
  for (const auto& each : checked(*made)) ADD_FAILURE() << doc::render_concise(each);
}

/// Names and values that YAML, CEL and ODCS each have their own opinion of.
TEST_F(Drafting, OddNamesAndValuesGiveDefinitionsThatHold) {
  const auto made = decide_of(rows_of(
      300,
      [](int i) {
        const std::string words[] = {"yes", "null", "~", "'quoted'", "a: b # c", "back\\slash"};
        return fmt::format("{:.3f},{:.3f},\"{}\",{},{},{:.3f}", noise(i), noise(i + 1),
                           words[i % 6], i % 2 == 0 ? "true" : "false",
                           i % 5 == 0 ? "" : std::to_string(i % 9), noise(i) + noise(i + 2));
      },
      "größe (cm),in,no,true,a-b,prediction"));
  ASSERT_TRUE(made.ok()) << made.error().str();
  for (const auto& each : checked(*made)) ADD_FAILURE() << doc::render_concise(each);
}

TEST_F(Drafting, EveryTaskAndKindOfTargetGivesDefinitionsThatHold) {
  const std::pair<const char*, TaskKind> targets[] = {
      {"{0}", TaskKind::kBinary},  {"{1}", TaskKind::kBinary},     {"{2}", TaskKind::kBinary},
      {"{3}", TaskKind::kClasses}, {"{4}", TaskKind::kRegression}, {"{5}", TaskKind::kRegression},
      {"{6}", TaskKind::kBinary}};
  for (const auto& [form, task] : targets) {
    const auto made = decide_of(rows_of(
        300,
        [&, f = form](int i) {
          const bool yes = noise(i) < .4;
          return fmt::format("{:.3f},{}", noise(i + 1),
                             fmt::format(fmt::runtime(f), yes ? 1 : 0, yes ? "True" : "False",
                                         yes ? "churned" : "stayed",
                                         i % 3 == 0   ? "a"
                                         : i % 3 == 1 ? "b"
                                                      : "c",
                                         noise(i + 3) * 100, static_cast<int>(noise(i + 4) * 100),
                                         yes ? "1.0" : "0.0"));
        },
        "x,y"));
    ASSERT_TRUE(made.ok()) << form << made.error().str();
    EXPECT_EQ(made->task, task) << form;
    for (const auto& each : checked(*made)) ADD_FAILURE() << form << doc::render_concise(each);
  }
}

TEST(Difference, ShowsWhatChangesWithWhatIsAroundIt) {
  EXPECT_EQ(difference("a\nb\n", "a\nb\n", "f"), "");
  EXPECT_EQ(difference("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\nsix\n7\n8\n", "f"),
            "--- f\n+++ f (as drafted now)\n@@ -3 +3 @@\n 3\n 4\n 5\n-6\n+six\n 7\n 8\n");
  EXPECT_EQ(difference("", "a\n", "f"), "--- f\n+++ f (as drafted now)\n@@ -1 +1 @@\n+a\n");
}

TEST(Person, HasTheirOwnKeyAndNoOther) {
  const Folder home;
  std::filesystem::create_directories(home / ".ssh");
  std::ofstream(home / ".ssh/broken.pub") << "not a key\n";
  EXPECT_TRUE(own_person(home.path()).keys.empty() ||
              own_person(home.path()).key_source.find("git") != std::string::npos);
  const std::string key =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGK4dM5J5Hv0xkC1F0nQ0b1m8H0m4v1yq9Wl3g5cW1pT ada@home";
  std::ofstream(home / ".ssh/id_ed25519.pub") << key << "\n";
  const Person person = own_person(home.path());
  ASSERT_EQ(person.keys.size(), 1u);
  EXPECT_EQ(person.keys[0], key);
  EXPECT_NE(person.key_source.find("id_ed25519.pub"), std::string::npos);
}

TEST(Words, NamesAreSplitAsPeopleWriteThem) {
  EXPECT_EQ(plain_name("Größe (cm)", "x"), "gr_e_cm");
  EXPECT_EQ(plain_name("2nd", "x"), "n2nd");
  EXPECT_EQ(plain_name("---", "x"), "x");
  EXPECT_EQ(in_expression("a-b"), "`a-b`");
  EXPECT_EQ(in_expression("in"), "`in`");
  EXPECT_EQ(literal("it's\\"), "'it\\'s\\\\'");
  EXPECT_EQ(counted(1234567), "1,234,567");
  EXPECT_EQ(counted(123), "123");
}

}  // namespace
}  // namespace heddle::draft
