#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "spec/kinds.hpp"
#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

class FaultDefinitions : public SpecTest {
 protected:
  /// `keys` begin on line 5.
  void fault(const std::string& keys) {
    put("faults/x.yaml", "apiVersion: heddle/v1\nkind: Fault\nname: x\ncontract: c\n" + keys);
  }
};

TEST_F(FaultDefinitions, AreReadWhole) {
  fault(
      "from: \"2001-04-10\"\nto: \"2001-04-12\"\nsources: [a]\nshare: [0, 0.5]\n"
      "where: late > 1 && label\nchange:\n  size: size * 2\n  place: \"'Q'\"\nmissing: [at]\n"
      "label: \"!label\"\nsent_label: late > 3\ncause: unit change\ngroup: g\n");
  put("faults/y.yaml",
      "apiVersion: heddle/v1\nkind: Fault\nname: y\ncontract: c\nrename: {size: length}\n");
  put("faults/z.yaml", "apiVersion: heddle/v1\nkind: Fault\nname: z\ncontract: c\ndrop: true\n");
  const auto loaded = load_project(root_);
  ASSERT_TRUE(loaded.ok());
  for (const auto& each : loaded->diagnostics)
    ADD_FAILURE() << doc::render_full(each, root_, false);
  const auto& faults = loaded->project.faults;
  ASSERT_EQ(faults.size(), 3U);
  const Fault& x = faults.at("x");
  EXPECT_EQ(x.from, from_civil({2001, 4, 10}));
  EXPECT_EQ(x.to, from_civil({2001, 4, 12}));
  EXPECT_EQ(x.sources, (Lines{"a"}));
  EXPECT_EQ(x.share_from, 0);
  EXPECT_EQ(x.share_to, 0.5);
  EXPECT_EQ(x.where.text, "late > 1 && label");
  EXPECT_EQ(x.where.position.line, 9);
  EXPECT_EQ(x.change.at("size").text, "size * 2");
  EXPECT_EQ(x.change.at("size").position.line, 11);
  EXPECT_EQ(x.change.at("place").text, "'Q'");
  EXPECT_EQ(x.missing, (Lines{"at"}));
  EXPECT_EQ(x.label.text, "!label");
  EXPECT_EQ(x.sent_label.text, "late > 3");
  EXPECT_FALSE(x.drop);
  EXPECT_EQ(x.cause, "unit change");
  EXPECT_EQ(x.reported_as(), "g");
  const Fault& y = faults.at("y");
  EXPECT_EQ(y.rename.at("size"), "length");
  EXPECT_EQ(y.from, INT64_MIN);
  EXPECT_EQ(y.to, INT64_MAX);
  EXPECT_EQ(y.share_to, 1);
  EXPECT_EQ(y.reported_as(), "y");
  EXPECT_TRUE(faults.at("z").drop);
}

TEST_F(FaultDefinitions, EveryMistakeIsToldWithItsPlace) {
  const std::vector<std::pair<std::string, Lines>> cases = {
      {"", {"faults/x.yaml:1:1: error[missing-key]: the fault changes nothing"}},
      {"change: {}\ndrop: false\n",
       {"faults/x.yaml:1:1: error[missing-key]: the fault changes nothing"}},
      {"missing: [sise]\n",
       {"faults/x.yaml:5:11: error[unknown-name]: `missing` names `sise`, which is no field of "
        "contract `c`"}},
      {"missing: [late]\n",
       {"faults/x.yaml:5:11: error[reads-label]: `missing` names `late`, which comes with the "
        "label and not with a request"}},
      {"rename: {late: after}\n",
       {"faults/x.yaml:5:16: error[reads-label]: `rename` names `late`, which comes with the label "
        "and not with a request"}},
      {"rename: {size: place}\n",
       {"faults/x.yaml:5:16: error[bad-value]: a request cannot have two fields `place`"}},
      {"rename: {size: a, place: a}\n",
       {"faults/x.yaml:5:16: error[bad-value]: a request cannot have two fields `a`"}},
      {"rename: {size: ''}\n",
       {"faults/x.yaml:5:16: error[bad-value]: `size` is renamed to nothing"}},
      {"rename: {size: 5}\n",
       {"faults/x.yaml:5:16: error[wrong-type]: `rename.size` must be a string, found integer"}},
      {"missing: [size]\nchange: {size: size + 1}\n",
       {"faults/x.yaml:5:11: error[bad-value]: `size` is not sent, so that nothing else of it "
        "shows"}},
      {"drop: true\nmissing: [size]\n",
       {"faults/x.yaml:5:7: error[bad-value]: `drop` leaves the rows out, so that nothing else of "
        "the fault shows"}},
      {"drop: true\nfrom: \"2001-04-12\"\nto: \"2001-04-12\"\n",
       {"faults/x.yaml:7:5: error[bad-value]: `to` is not after `from`: the fault touches no row"}},
      {"drop: true\nfrom: yesterday\n",
       {"faults/x.yaml:6:7: error[bad-time]: `yesterday` is not a date or time"}},
      {"drop: true\nshare: [0.5, 0.5]\n",
       {"faults/x.yaml:6:8: error[bad-share]: `share` is two rising numbers from 0 to 1"}},
      {"drop: true\nshare: [0, 1.5]\n",
       {"faults/x.yaml:6:8: error[bad-share]: `share` is two rising numbers from 0 to 1"}},
      {"drop: true\nshare: [0.5]\n",
       {"faults/x.yaml:6:8: error[bad-share]: `share` is two rising numbers from 0 to 1"}},
      {"drop: true\nshare: 0.5\n",
       {"faults/x.yaml:6:8: error[wrong-type]: `share` must be a list of numbers, found a number"}},
      {"drop: true\nsources: [b, c, default]\n",
       {"faults/x.yaml:6:14: error[unknown-name]: no service of contract `c` has the source `c`"}},
      {"drop: true\nwhere: sise > 1\n",
       {"faults/x.yaml:6:8: error[bad-expression]: `where`: nothing is named `sise`"}},
      {"drop: true\nwhere: size\n",
       {"faults/x.yaml:6:8: error[bad-expression]: `where`: this gives int, bool is needed"}},
      {"drop: true\nwhere: label > 1\n",
       {"faults/x.yaml:6:8: error[bad-expression]: `where`: `>` is not defined for bool and int"}},
      {"drop: true\nwhere: at.getHours() > 30\n",
       {"faults/x.yaml:6:8: error[never-true]: `where` is never true: the fault touches no row"}},
      {"drop: true\nwhere: at.getHours() < 30\n",
       {"faults/x.yaml:6:8: warning[always-true]: `where` is always true: the fault touches every "
        "row that has what it reads"}},
      {"drop: true\nwhere: size / 0 > 1\n",
       {"faults/x.yaml:6:8: error[always-fails]: `where`: `/` always fails: an integer is divided "
        "by 0"}},
      {"change: {size: late + 1}\n",
       {"faults/x.yaml:5:16: error[reads-label]: `change.size` reads `late`, which is known only "
        "after the answer"}},
      {"change: {late: \"1\"}\n",
       {"faults/x.yaml:5:16: error[reads-label]: `change` names `late`, which comes with the label "
        "and not with a request"}},
      {"change: {size: size +}\n",
       {"faults/x.yaml:5:22: error[bad-expression]: `change.size`: the expression ends too early"}},
      {"change: {size: at - at}\n",
       {"faults/x.yaml:5:16: error[bad-expression]: `change.size`: a request cannot hold a "
        "duration"}},
      {"change: {size: null}\n",
       {"faults/x.yaml:5:16: error[wrong-type]: `change.size` must be a string, found null"}},
      {"label: late\n",
       {"faults/x.yaml:5:8: error[bad-expression]: `label`: this gives int, bool is needed"}},
      {"sent_label: \"'late'\"\n",
       {"faults/x.yaml:5:14: error[bad-expression]: `sent_label`: this gives string, bool is "
        "needed"}},
      {"drop: true\ngroup: a b\n",
       {"faults/x.yaml:6:8: error[bad-value]: `a b` cannot be the name of a fault"}},
      {"drop: true\ngroup: all\n",
       {"faults/x.yaml:6:8: error[bad-value]: `heddle replay --faults all` has another meaning"}},
      // What fails on some rows, and what has no value, is what a fault may send.
      {"change: {size: \"null\", place: size / (size - 1)}\n", {}},
      {"label: \"true\"\n", {}},
  };
  for (const auto& [keys, expected] : cases) {
    fault(keys);
    EXPECT_EQ(findings(), expected) << keys;
    for (const auto& each : load_project(root_)->diagnostics)
      EXPECT_FALSE(each.hint.empty()) << keys;
  }
}

TEST_F(FaultDefinitions, ChangeWhatIsReadFromTextsAsTexts) {
  change("contracts/c.odcs.yaml", "{name: at, logicalType: timestamp, required: true}",
         "name: at\n        logicalType: timestamp\n        required: true\n        "
         "customProperties:\n          - {property: repairs, vendor: heddle, value: {dates: "
         "[\"%d.%m.%Y\"]}}");
  fault("where: at.getHours() > 6\nchange: {at: \"at + '?'\"}\n");
  EXPECT_EQ(findings(), Lines{});
  fault("change: {at: at + duration('5h')}\n");
  EXPECT_EQ(findings(), (Lines{"faults/x.yaml:5:14: error[bad-expression]: `change.at`: `+` is not "
                               "defined for string and duration"}));
}

TEST_F(FaultDefinitions, AreOfAContractThatIsThere) {
  put("faults/x.yaml", "apiVersion: heddle/v1\nkind: Fault\nname: x\ncontract: cc\ndrop: true\n");
  EXPECT_EQ(findings(),
            (Lines{"faults/x.yaml:4:11: error[unknown-name]: there is no contract `cc`"}));
  put("faults/x.yaml", "apiVersion: heddle/v1\nkind: Fault\nname: all\ndrop: true\n");
  EXPECT_EQ(findings(),
            (Lines{"faults/x.yaml:1:1: error[missing-key]: Fault needs the key `contract`",
                   "faults/x.yaml:3:7: error[bad-value]: `heddle replay --faults all` has another "
                   "meaning"}));
  put("faults/x.yaml", "apiVersion: heddle/v1\nkind: Fault\nname: a,b\ncontract: c\ndrop: true\n");
  EXPECT_EQ(findings(),
            (Lines{"faults/x.yaml:3:7: error[bad-name]: \"a,b\" cannot be the name of a "
                   "Fault"}));
}

/// `label` has a type where the contract's models agree on it; else the replay, which knows the
/// model, says what is wrong.
TEST_F(FaultDefinitions, ALabelIsOfTheTypeOnWhichTheModelsAgree) {
  fault("label: label + 1\n");
  EXPECT_EQ(findings().size(), 1U);
  std::string model = *read_file(root_ + "/models/m.yaml");
  model.replace(model.find("name: m\n"), 8, "name: n\n");
  model.replace(model.find("target: late > 0"), 16, "task: regression\ntarget: late");
  put("models/n.yaml", model);
  EXPECT_EQ(findings(), Lines{});
  fault("label: label + 1\nwhere: label > sise\n");
  EXPECT_EQ(findings(), Lines{}) << "`label` may be of either model";
  fault("label: label + 1\nwhere: size >\n");
  EXPECT_EQ(findings().size(), 1U) << "that is no expression of any model";
  fault("label: late\n");
  EXPECT_EQ(findings(), Lines{}) << "it suits one of them";
}

/// What docs/replay.md shows is a fault of the example project.
TEST_F(FaultDefinitions, ThatTheDocumentationShowsIsOne) {
  std::filesystem::copy("examples/flights", root_ + "/flights",
                        std::filesystem::copy_options::recursive);
  const std::string page = *read_file("docs/replay.md");
  const std::string fence = "```yaml\n";
  const auto begin = page.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const auto end = page.find("```", begin + fence.size());
  put("flights/faults/shown.yaml", page.substr(begin + fence.size(), end - begin - fence.size()));
  const auto loaded = load_project(root_ + "/flights");
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded->project.faults.contains("kilometres"));
  for (const auto& each : loaded->diagnostics)
    EXPECT_FALSE(each.file.starts_with("faults/")) << doc::render_concise(each);
}

}  // namespace
}  // namespace heddle::spec
