#include "cli/cli.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/console.hpp"

namespace heddle::cli {
namespace {

/// The exit code of a command line, and what it says on stderr.
std::pair<int, std::string> said(std::vector<std::string> words) {
  words.insert(words.begin(), "heddle");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  const int code = run(static_cast<int>(argv.size()), argv.data(), {});
  (void)testing::internal::GetCapturedStdout();
  return {code, testing::internal::GetCapturedStderr()};
}

TEST(Help, IsOfACommandThatThereIs) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"foo", "--help"},
                                             {"--help", "foo"},
                                             {"--version", "foo"},
                                             {"foo", "-h"},
                                             {"foo"},
                                             {"--project", "x", "foo", "--help"},
                                             {"--json", "foo", "--help"}}) {
    const auto [code, text] = said(words);
    EXPECT_EQ(code, 2) << words.front();
    EXPECT_NE(text.find("`heddle` has no command `foo`"), text.npos) << text;
  }
  const auto [code, text] = said({"release", "foo", "--help"});
  EXPECT_EQ(code, 2);
  EXPECT_NE(text.find("`heddle release` has no command `foo`"), text.npos) << text;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"--version"},
                                             {"release", "--help"},
                                             {"release", "promote", "--help"},
                                             {"--help", "release"},
                                             {"release", "promote", "late", "--help"}}) {
    EXPECT_EQ(said(words).first, 0) << words.back();
  }
}

TEST(Options, AnEmptyValueIsNoDefault) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"release", "promote", "late", "--bundle", ""},
                                             {"release", "promote", "late", "--weight", ""},
                                             {"plan", "--model", ""},
                                             {"--project", "", "check"},
                                             {"incident", "list", "--project", ""}}) {
    const auto [code, text] = said(words);
    EXPECT_EQ(code, 2) << words.back();
    EXPECT_NE(text.find("value is empty"), text.npos) << text;
  }
}

TEST(Rows, StandInColumnsOfTheTerminal) {
  EXPECT_EQ(format_rows({{"PLACE", "ROWS"}, {"Zürich", "1"}, {"東京", "2"}, {"Genf", "3"}}),
            "PLACE   ROWS\n"
            "Zürich  1\n"
            "東京    2\n"
            "Genf    3");
  EXPECT_EQ(format_rows({{"a", "Zu\u0308", "x"}, {"b", "Zuri", "y"}}),
            "a  Zu\u0308    x\nb  Zuri  y");
}

}  // namespace
}  // namespace heddle::cli
