// Where rows are and how they are written, as heddle.yaml declares it.
#include "spec/difference.hpp"
#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

class SourcesTest : public SpecTest {
 protected:
  /// Declares the source `rows` anew.
  void declare(const std::string& rows) {
    put("heddle.yaml",
        "apiVersion: heddle/v1\nkind: Project\nname: tiny\nsources:\n  places: data/places.csv\n"
        "  rows: " +
            rows + "\n");
  }
  table::Input rows() { return load_project(root_)->project.sources.at("rows"); }
};

TEST_F(SourcesTest, ASourceIsAPathPathsOrAnObject) {
  EXPECT_EQ(rows().paths, Lines{"data/rows.csv"});
  EXPECT_TRUE(rows().form.empty());
  declare("[data/rows.csv, data/p*.csv]");
  EXPECT_EQ(findings(), Lines{});
  EXPECT_EQ(rows().paths, (Lines{"data/rows.csv", "data/p*.csv"}));
  declare("data");
  EXPECT_EQ(findings(), Lines{});
  declare(
      "{path: data/rows.csv, format: csv, delimiter: tab, decimal: \",\", quote: \"'\", escape: "
      "\"\\\\\", header: false, columns: [at, place], encoding: latin-1, nulls: [NA, \"\"]}");
  EXPECT_EQ(findings(), Lines{});
  const auto form = rows().form;
  EXPECT_EQ(form.delimiter, '\t');
  EXPECT_EQ(form.decimal, ',');
  EXPECT_EQ(form.quote, '\'');
  EXPECT_EQ(form.escape, '\\');
  EXPECT_EQ(form.names, (Lines{"at", "place"}));
  EXPECT_EQ(form.encoding, "latin-1");
  EXPECT_EQ(form.nulls, (Lines{"NA", ""}));
  EXPECT_EQ(
      form.text(),
      "{\"decimal\":\",\",\"delimiter\":\"\\t\",\"encoding\":\"latin-1\",\"escape\":\"\\\\\","
      "\"format\":\"csv\",\"names\":[\"at\",\"place\"],\"nulls\":[\"NA\",\"\"],\"quote\":\"'\"}");
  declare("{path: data/rows.csv, quote: \"\", nulls: NA}");
  EXPECT_EQ(rows().form.quote, '\0');
  EXPECT_EQ(rows().form.nulls, Lines{"NA"});
}

TEST_F(SourcesTest, WhatIsDeclaredWronglyIsToldWhereItStands) {
  const std::pair<const char*, const char*> cases[] = {
      {"7", "wrong-type"},
      {"[]", "wrong-type"},
      {"{delimiter: \";\"}", "missing-key"},
      {"{path: data/rows.csv, delimiter: \"--\"}", "source-sign"},
      {"{path: data/rows.csv, delimiter: \";\", quote: \";\"}", "source-sign"},
      {"{path: data/rows.csv, delimiter: \",\", quote: \",\", decimal: \",\"}", "source-sign"},
      {"{path: data/rows.csv, delimiter: \",\", escape: \",\", decimal: \",\"}", "source-sign"},
      {"{path: data/rows.csv, header: false}", "source-columns"},
      {"{path: data/rows.csv, header: true, columns: [a]}", "source-columns"},
      {"{path: data/rows.csv, encoding: ebcdic}", "unknown-value"},
      {"{path: data/rows.csv, separator: \";\"}", "unknown-key"},
      {"data/none.csv", "source-missing"},
      {"data/*.parquet", "source-missing"},
      {"{path: [data/rows.csv, data/none.csv]}", "source-missing"}};
  for (const auto& [written, id] : cases) {
    declare(written);
    const auto found = findings();
    const bool is_told = std::any_of(found.begin(), found.end(), [&](const std::string& line) {
      return line.starts_with("heddle.yaml:6:") &&
             line.find(std::string("[") + id + "]") != std::string::npos;
    });
    EXPECT_TRUE(is_told) << written << ": " << (found.empty() ? "nothing" : found.front());
  }
}

TEST_F(SourcesTest, AnEnumIsReadAsItsSourceDeclares) {
  put("data/places.csv", "code;name\nZ\xfcrich;x\n");
  change("heddle.yaml", "places: data/places.csv",
         "places: {path: data/places.csv, encoding: latin-1}");
  EXPECT_EQ(findings(), Lines{});
  const auto loaded = load_project(root_);
  EXPECT_EQ(load_enum(loaded->project, "places", "code").value(), Lines{"Z\u00fcrich"});
  put("data/more/places-2.csv", "code;name\nBern;y\n");
  std::filesystem::rename(root_ + "/data/places.csv", root_ + "/data/more/places-1.csv");
  change("heddle.yaml", "path: data/places.csv", "path: data/more");
  EXPECT_EQ(load_enum(load_project(root_)->project, "places", "code").value(),
            (Lines{"Z\u00fcrich", "Bern"}));
}

TEST_F(SourcesTest, PathsAreOfTheProject) {
  declare("[data/rows.csv, /elsewhere/x.csv]");
  const auto loaded = load_project(root_);
  const auto input = input_of(loaded->project, "rows");
  EXPECT_EQ(input.paths, (Lines{root_ + "/data/rows.csv", "/elsewhere/x.csv"}));
  EXPECT_EQ(path_in_project(loaded->project, "rows"), "") << "of several there is no one path";
  EXPECT_EQ(path_in_project(loaded->project, "places"), "data/places.csv");
  EXPECT_EQ(input_of(loaded->project, "data/other.csv").paths, Lines{root_ + "/data/other.csv"});
}

}  // namespace
}  // namespace heddle::spec
