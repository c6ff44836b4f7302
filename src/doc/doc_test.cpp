#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "base/file.hpp"
#include "doc/diagnostic.hpp"
#include "doc/json.hpp"
#include "doc/numbers.hpp"
#include "doc/yaml.hpp"

namespace heddle::doc {
namespace {

TEST(Json, RoundTripsAndSortsCanonically) {
  const std::string text =
      R"({"b":[1,2.5,"x\n\u00e9",null,true],"a":{"z":-0.1,"y":9007199254740993}})";
  const auto value = *parse_json(text);
  EXPECT_EQ(*parse_json(to_json(value)), value);
  EXPECT_EQ(*parse_json(to_json_pretty(value)), value);
  EXPECT_EQ(to_canonical_json(value).substr(0, 6), R"({"a":{)");
  EXPECT_EQ(value.find("a")->find("y")->as_int(), 9007199254740993);
  EXPECT_EQ(to_json(Value(1.0)), "1.0");
}

// Well-formed or not as Python 3.11 decodes it (bytes.decode("utf-8")).
TEST(Json, BytesThatAreNoUtf8AreReplacedAndTheTextIsRead) {
  const std::string replaced = "\xEF\xBF\xBD";
  const std::pair<std::string, std::string> cases[] = {
      {"\xff", replaced},
      {"a\xe4z", "a" + replaced + "z"},
      {"\xc3\xa4", "\xc3\xa4"},
      {"\xc3", replaced},
      {"\xc0\xaf", replaced + replaced},
      {"\xed\xa0\x80", replaced + replaced + replaced},
      {"\xed\x9f\xbf", "\xed\x9f\xbf"},
      {"\xe0\x9f\xbf", replaced + replaced + replaced},
      {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
      {"\xf4\x90\x80\x80", replaced + replaced + replaced + replaced},
      {"\xe2\x82", replaced + replaced},
      {"\x80\"\x01", replaced + "\"\x01"},
  };
  for (const auto& [bytes, expected] : cases) {
    const auto value = Value::object({{bytes, bytes}});
    for (const auto& text : {to_json(value), to_json_pretty(value), to_canonical_json(value)}) {
      const auto read = parse_json(text);
      ASSERT_TRUE(read.ok()) << text;
      EXPECT_EQ(read->as_object().front().first, expected);
      EXPECT_EQ(read->as_object().front().second.as_string(), expected);
    }
  }
}

TEST(Json, RefusesWhatIsAmbiguousOrTooDeep) {
  EXPECT_EQ(parse_json(R"({"a":1,"a":2})").error().id, "json-duplicate-key");
  EXPECT_EQ(parse_json(std::string(65, '[') + std::string(65, ']')).error().id, "json-too-deep");
  for (const char* bad : {"", "{", "[1,]", "nul", "{\"a\" 1}", "1 2", "\"\xff\""})
    EXPECT_FALSE(parse_json(bad).ok()) << bad;
}

TEST(Json, NumbersThatItLacksAreWordsWhereTheyAreReadBack) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(to_json(exact_number(infinity)), "\"Infinity\"");
  for (const double number : {0.1, -5e-324, infinity, -infinity}) {
    EXPECT_EQ(exact_number(*parse_json(to_json(exact_number(number)))), number);
  }
  EXPECT_TRUE(std::isnan(*exact_number(*parse_json(to_json(exact_number(std::nan("")))))));
  for (const char* none : {"null", "\"inf\"", "true", "[1]"})
    EXPECT_EQ(exact_number(*parse_json(none)), std::nullopt) << none;
}

TEST(Json, SaysWhichNumberItWouldLose) {
  EXPECT_EQ(non_finite_at(*parse_json(R"({"a":[1,null,{"b":2.5}],"c":"Infinity"})")), "");
  EXPECT_EQ(non_finite_at(Value::object(
                {{"a", 1}, {"b", Value::array({Value(1.5), Value::object({{"c", HUGE_VAL}})})}})),
            ".b[1].c is inf");
  EXPECT_EQ(non_finite_at(Value(-HUGE_VAL)), "-inf");
}

TEST(Json, FindsARepeatedKeyHoweverWideTheObject) {
  for (const int width : {1, 15, 16, 17, 40, 100'000}) {
    std::string text = "{";
    for (int i = 0; i < width; ++i) text += "\"k" + std::to_string(i) + "\":{\"k0\":1},";
    const auto once = parse_json(text + "\"last\":1}");
    ASSERT_TRUE(once.ok()) << width;
    EXPECT_EQ(once->size(), static_cast<std::size_t>(width) + 1);
    for (const int again : {0, width / 2, width - 1}) {
      const auto twice = parse_json(text + "\"k" + std::to_string(again) + "\":1}");
      ASSERT_FALSE(twice.ok()) << width << " " << again;
      EXPECT_EQ(twice.error().id, "json-duplicate-key");
    }
  }
}

TEST(Yaml, KeepsPositionsAndTypes) {
  const auto value = *parse_yaml(
      "name: x\nlist:\n  - 1\n  - \"1\"\n  - 1.5\n  - 2001-01-01\n  - yes\nflag: true\n", "f.yaml");
  EXPECT_EQ(value.find("list")->as_array()[1].position().line, 4);
  EXPECT_TRUE(value.find("list")->as_array()[0].is_int());
  EXPECT_TRUE(value.find("list")->as_array()[1].is_string());
  EXPECT_TRUE(value.find("list")->as_array()[3].is_string());
  EXPECT_TRUE(value.find("list")->as_array()[4].is_string());  // YAML 1.2: yes is a word
  EXPECT_TRUE(value.find("flag")->as_bool());
  EXPECT_EQ(*parse_yaml(to_yaml(value), "again"), value);
}

TEST(Yaml, ATextIsReadBackAsItWasWritten) {
  for (const char* text : {"a\t#b", "a:\tb", "a\rb", "a\tb", "a\x01-b", "a\x7f-b", "a\nb", " a",
                           "a #b", "a: b", "#", "\"a\\", "null", "<<", ""}) {
    const auto value = Value::object({{"key", text}});
    const auto again = parse_yaml(to_yaml(value), "again");
    ASSERT_TRUE(again.ok()) << text << ": " << again.error().str();
    EXPECT_EQ(*again, value) << text;
  }
}

TEST(Yaml, AliasesAndMergedMapsAreResolved) {
  // As PyYAML 6.0.2 reads it: a key of the map itself counts, then the first map that has it.
  const auto value = *parse_yaml(
      "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  y: 9\n  <<: [*a, *b]\nd: {<<: *b, w: *a}\n"
      "e: {\"<<\": 5}\n",
      "f.yaml");
  EXPECT_EQ(*value.find("c"), *parse_yaml("{y: 9, x: 1, z: 4}", ""));
  EXPECT_EQ(*value.find("d"), *parse_yaml("{w: {x: 1, y: 2}, y: 3, z: 4}", ""));
  EXPECT_EQ(value.find("e")->as_object()[0].first, "<<") << "quoted it is a key";
  EXPECT_EQ(*parse_yaml(to_yaml(value), "again"), value);
  EXPECT_EQ(value.find("c")->find("x")->position().line, 1);
  for (const char* wrong : {"a: {<<: 1}", "a: {<<: [1]}", "a: {<<: [{b: 1}, 2]}"})
    EXPECT_EQ(parse_yaml(wrong, "").error().id, "yaml-merge") << wrong;
  EXPECT_EQ(parse_yaml("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", "").error().id,
            "yaml-duplicate-key");
}

TEST(Yaml, AliasesThatHoldThemselvesOrMultiplyAreRefused) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) text += fmt::format("a{}: &a{} [*a{}, *a{}]\n", i, i, i - 1, i - 1);
  EXPECT_EQ(parse_yaml(text, "").error().id, "yaml-too-large");
  EXPECT_FALSE(parse_yaml("a: &a [*a, *a]\n", "").ok());
  EXPECT_FALSE(parse_yaml("a: &a {b: 1, <<: *a}\n", "").ok());
}

TEST(Yaml, SaysWhereItIsWrong) {
  EXPECT_EQ(parse_yaml("a: 1\na: 2\n", "f.yaml").error().where, "f.yaml:2:1");
  EXPECT_EQ(parse_yaml("a: !!int 1\n", "f.yaml").error().id, "yaml-tag");
  EXPECT_FALSE(parse_yaml("a: [1\n", "f.yaml").ok());
}

TEST(Diagnostic, TheMarkStandsUnderItsColumn) {
  const std::string file = testing::TempDir() + "/marks.yaml";
  const auto under = [&](const std::string& before, const std::string& what) {
    const std::string line = before + what;
    EXPECT_TRUE(write_file_atomic(file, line + "\n").ok());
    Diagnostic diagnostic;
    diagnostic.id = "x";
    diagnostic.message = "x";
    diagnostic.file = file;
    diagnostic.position = {1, static_cast<int>(before.size()) + 1};
    diagnostic.length = static_cast<int>(what.size());
    const std::string text = render_full(diagnostic, "", false);
    const std::size_t mark = text.find("  | ");
    return text.substr(mark + 4, text.find('\n', mark) - mark - 4);
  };
  EXPECT_EQ(under("name: ", "late"), "      ^^^^");
  EXPECT_EQ(under("name: Zürich, sort: ", "groß"), std::string(20, ' ') + "^^^^");
  EXPECT_EQ(under("name: 東京, sort: ", "한국"), std::string(18, ' ') + "^^^^");
  EXPECT_EQ(under("\tname: ", "late"), "\t      ^^^^");
  // A line that is cut is cut between characters.
  EXPECT_EQ(render_full(
                [&] {
                  Diagnostic diagnostic;
                  EXPECT_TRUE(write_file_atomic(file, std::string(119, 'a') + "ä\n").ok());
                  diagnostic.file = file;
                  diagnostic.position = {1, 1};
                  return diagnostic;
                }(),
                "", false)
                .find("\xc3\n"),
            std::string::npos);
}

TEST(Diagnostic, BytesOfAFileDoNothingToTheTerminal) {
  const std::string file = testing::TempDir() + "/bytes.yaml";
  ASSERT_TRUE(write_file_atomic(file, "name: \xe4\xff\x1b[2J, \xc2\x9b sort: ok\n").ok());
  Diagnostic diagnostic;
  diagnostic.id = "x";
  diagnostic.message = "`\x1b[31m\xe4` is no name";
  diagnostic.hint = "not \x07";
  diagnostic.file = file;
  diagnostic.position = {1, 7};
  diagnostic.length = 2;
  const std::string full = render_full(diagnostic, "", false);
  EXPECT_NE(full.find("1 | name: \uFFFD\uFFFD\uFFFD[2J, \uFFFD sort: ok\n"), std::string::npos)
      << full;
  EXPECT_NE(full.find("  |       ^^\n"), std::string::npos) << full;
  for (const std::string& text : {full, render_concise(diagnostic)}) {
    EXPECT_EQ(text.find_first_of("\x1b\x07\xff"), std::string::npos) << text;
    EXPECT_NE(text.find("`\uFFFD[31m\uFFFD` is no name"), std::string::npos) << text;
  }
}

TEST(Diagnostic, NearestName) {
  EXPECT_EQ(nearest("requird", {"required", "unique"}), "required");
  EXPECT_EQ(nearest("TIMESTAMP", {"boolean", "timestamp"}), "timestamp");
  EXPECT_EQ(nearest("zzz", {"required", "unique"}), "");
}

}  // namespace
}  // namespace heddle::doc
