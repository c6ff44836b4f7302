#include "cli/completion.hpp"

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"

namespace heddle::cli {
namespace {

/// The words that may stand next; the last of `words` is begun.
std::vector<std::string> next(const std::vector<std::string>& words) {
  CLI::App app("", "heddle");
  Invocation invocation;
  app.add_option("--project", invocation.project, "folder");
  app.add_flag("--json", invocation.json, "data as JSON");
  app.add_option("--document", invocation.document, "not for people")->group("");
  app.fallthrough();
  add_plane_commands(app, invocation);
  add_release_commands(app, invocation);
  add_worker_commands(app, invocation);
  std::vector<std::string> out;
  for (const auto& [word, meaning] : candidates(app, words)) {
    EXPECT_FALSE(meaning.empty()) << word;
    EXPECT_EQ(meaning.find('\n'), meaning.npos) << word;
    out.push_back(word);
  }
  return out;
}

using Words = std::vector<std::string>;

TEST(Completion, NamesCommandsOptionsAndChoices) {
  EXPECT_EQ(next({"rel"}), Words{"release"});
  EXPECT_EQ(next({"release", "pro"}), Words{"promote"});
  EXPECT_EQ(next({"--project", "x", "release", "pro"}), Words{"promote"});
  EXPECT_EQ(next({"--json", "rel"}), Words{"release"});
  EXPECT_EQ(next({"--js"}), Words{"--json"});
  EXPECT_EQ(next({"release", "promote", "--sl"}), Words{"--slot"});
  EXPECT_EQ(next({"release", "promote", "--slot", "s"}), (Words{"standby", "shadow"}));
  EXPECT_EQ(next({"release", "promote", "late", "--js"}), Words{"--json"});
}

TEST(Completion, SaysNothingWhereAFileMayStand) {
  EXPECT_EQ(next({"--project", ""}), Words{});
  EXPECT_EQ(next({"foo"}), Words{});
  EXPECT_EQ(next({"--doc"}), Words{}) << "it is not for people";
  EXPECT_EQ(next({"work"}), Words{}) << "it is not for people";
}

TEST(Completion, TakesWordsOfTheShellThatItKnowsNothingOf) {
  EXPECT_FALSE(next({}).empty());
  EXPECT_EQ(next({"release", "nothing", "pro"}), Words{"promote"});
  EXPECT_EQ(next({"release", "promote", "--nothing", "x", "--sl"}), Words{"--slot"});
}

}  // namespace
}  // namespace heddle::cli
