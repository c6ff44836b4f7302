#include "cli/cli.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/file_fixture.hpp"
#include "cli/console.hpp"
#include "cli/draft_place.hpp"
#include "cli/model_source.hpp"
#include "cli/number_option.hpp"
#include "cli/refused_file.hpp"

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

TEST(NumberOption, TakesNumbersOfItsRangeOnly) {
  const auto check = number_from(0, 1);
  for (const char* text : {"0", "0.25", "1", "1e-3"}) EXPECT_EQ(check(text), "") << text;
  for (const char* text : {"nan", "-nan", "NAN", "inf", "-0.1", "1.1", "", "x", "0.5x", "5%"})
    EXPECT_NE(check(text), "") << text;
  // No share is above NaN: any number of rows might be refused then.
  const auto [code, text] =
      said({"score", "a.csv", "-o", "b.csv", "--service", "s", "--max-refused", "nan"});
  EXPECT_EQ(code, 2);
  EXPECT_NE(text.find("`nan` is no number from 0 to 1"), text.npos) << text;
}

TEST(Weight, OfACanaryIsAShareUpToHalf) {
  for (const char* weight : {"nan%", "0%", "0.001%", "50.01%", "5"}) {
    const auto [code, text] = said({"release", "promote", "late", "--weight", weight});
    EXPECT_EQ(code, 2) << weight;
    EXPECT_NE(text.find("is no weight of a canary"), text.npos) << text;
  }
  // It is one, and then there is no project.
  EXPECT_EQ(said({"--project", "/", "release", "promote", "late", "--weight", "5%"})
                .second.find("weight"),
            std::string::npos);
}

TEST(IdColumn, IsOneThatNoRowAndNoFieldHas) {
  const auto row = [](const char* field) {
    control::RefusedRowItem out;
    out.fields = doc::Value::object({{field, 1}});
    return out;
  };
  const std::vector<spec::Field> fields{{.name = "distance"}};
  EXPECT_EQ(id_column_for(std::vector{row("distance")}, fields), "row_id");
  // Also where the first row does not have the field, and where none has.
  EXPECT_EQ(id_column_for(std::vector{row("distance"), row("row_id")}, fields), "heddle_row_id");
  EXPECT_EQ(
      id_column_for(std::vector{row("distance")}, std::vector<spec::Field>{{.name = "row_id"}}),
      "heddle_row_id");
  EXPECT_EQ(id_column_for(std::vector{row("row_id"), row("heddle_row_id")}, fields),
            "heddle_heddle_row_id");
}

/// A folder of one test.
class ModelFolder : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "cli_test_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    std::filesystem::permissions(root_, std::filesystem::perms(0755));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + name).parent_path());
    ASSERT_TRUE(write_file_atomic(root_ + "/" + name, text, 0644).ok());
  }
  std::string root_;
};

TEST_F(ModelFolder, WhatIsNoFileIsNoModelOfSoManyMegabytes) {
  const auto device = find_model("/dev/null", "", {});
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().id, "adopt-no-file");
  EXPECT_EQ(device.error().message, "`/dev/null` is no file");
  put("model.bin", "x");
  put("code/own.py", "x");
  const auto folder = find_model(root_ + "/model.bin", "", {root_ + "/code"});
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().id, "adopt-no-file");
  EXPECT_TRUE(find_model(root_ + "/model.bin", "", {root_ + "/code/own.py"}).ok());
}

TEST_F(ModelFolder, AFolderThatCannotBeReadWholeIsNoModel) {
  put("MLmodel", "flavors: {python_function: {loader_module: x}}\n");
  put("a/part.bin", "x");
  put("data.bin", "x");
  const auto whole = find_model(root_, "", {});
  ASSERT_TRUE(whole.ok()) << whole.error().str();
  EXPECT_EQ(whole->files.all.size(), 3U);
  const fixture::ClosedFolder closed(root_ + "/a");
  const auto some = find_model(root_, "", {});
  ASSERT_FALSE(some.ok());
  EXPECT_EQ(some.error().id, "file-io-failed");
}

TEST_F(ModelFolder, ADraftThatCannotBeWrittenLeavesNoFolder) {
  put("there/policies", "a file where a folder has to be");
  const std::vector<draft::File> files{
      {"heddle.yaml", "x"}, {"trainers/model/data.bin", "x"}, {"policies/p.yaml", "x"}};
  const auto put_there = put_in_place("unused", files, root_ + "/there");
  ASSERT_FALSE(put_there.ok());
  EXPECT_EQ(put_there.error().id, "init-write");
  EXPECT_EQ(list_dir(root_ + "/there"), std::vector<std::string>{"policies"});
}

TEST(Shell, ReadsNoPathAsAnOption) {
  EXPECT_EQ(in_shell("shop"), "shop");
  EXPECT_EQ(in_shell("-x"), "./-x");
  EXPECT_EQ(in_shell("-my shop"), "'./-my shop'");
  EXPECT_EQ(in_shell("it's"), "'it'\\''s'");
  EXPECT_EQ(in_shell(""), "''");
}

}  // namespace
}  // namespace heddle::cli
