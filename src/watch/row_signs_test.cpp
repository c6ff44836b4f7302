#include "watch/row_signs.hpp"
#include "watch/source_windows.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace heddle::watch {
namespace {

spec::Contract contract() {
  spec::Contract out;
  for (const char* name : {"size", "code", "outcome"}) {
    spec::Field field;
    field.name = name;
    field.label_time = field.name == "outcome";
    out.fields.push_back(field);
  }
  return out;
}

struct Row {
  expr::Datum size;
  expr::Datum code;
  RowSigns::FieldOf field_of() const {
    return [this](const std::string& name) { return name == "size" ? size : code; };
  }
};

plane::RowRecord refused(std::vector<std::string> rules) {
  return {.outcome = plane::RowOutcome::kRefused, .rules = std::move(rules)};
}

/// Rows as they are without a fault: each has another size, and one of four codes.
void see_usual(RowSigns& signs, int rows = 800) {
  static const std::vector<std::string> codes{"a", "b", "c", "d"};
  for (int i = 0; i < rows; ++i) {
    // By blocks, for one row in eight is looked at.
    const Row row{expr::Datum::integer(i), expr::Datum::string(codes[(i / 8) % 4])};
    signs.usual(row.field_of());
  }
}

TEST(RowSigns, ARuleOfAFieldSaysHowItIsWrong) {
  RowSigns signs(contract());
  const Row none{expr::Datum::null(), expr::Datum::string("a")};
  for (int i = 0; i < 7; ++i) signs.refused(refused({"size-required"}), none.field_of());
  signs.refused(refused({"size-type", "code-enum"}), none.field_of());
  signs.refused(refused({"some-rule", "code-format"}), none.field_of());
  const doc::Value seen = signs.take();
  ASSERT_NE(seen.find("size"), nullptr);
  EXPECT_EQ(seen.find("size")->int_or("absent"), 7);
  EXPECT_EQ(seen.find("size")->int_or("unreadable"), 1);
  EXPECT_EQ(seen.find("code")->int_or("unlisted"), 1);
  EXPECT_EQ(seen.find("code")->int_or("unreadable"), 1);
  EXPECT_EQ(seen.find("outcome"), nullptr) << "a label is no part of a request";
  EXPECT_EQ(signs.take().size(), 0u) << "each run is counted for itself";
}

TEST(RowSigns, OneValueIsASignWhereOthersWereUsual) {
  RowSigns signs(contract());
  const Row stuck{expr::Datum::integer(733), expr::Datum::string("a")};
  for (int i = 0; i < 20; ++i) signs.refused(refused({"r"}), stuck.field_of());
  EXPECT_EQ(signs.take().size(), 0u) << "what is usual is not known yet";
  see_usual(signs);
  for (int i = 0; i < 20; ++i) signs.refused(refused({"r"}), stuck.field_of());
  const Row other{expr::Datum::integer(1), expr::Datum::string("b")};
  signs.refused(refused({"r"}), other.field_of());
  const doc::Value seen = signs.take();
  ASSERT_NE(seen.find("size"), nullptr);
  EXPECT_EQ(seen.find("size")->int_or("same"), 20);
  EXPECT_EQ(seen.find("code")->int_or("same"), 20);
}

TEST(RowSigns, AFieldThatIsNearlyConstantSaysNothingByIt) {
  RowSigns signs(contract());
  for (int i = 0; i < 800; ++i) {
    const Row row{expr::Datum::integer(i), expr::Datum::string("a")};
    signs.usual(row.field_of());
  }
  const Row bad{expr::Datum::integer(733), expr::Datum::string("a")};
  for (int i = 0; i < 20; ++i) signs.refused(refused({"r"}), bad.field_of());
  const doc::Value seen = signs.take();
  EXPECT_NE(seen.find("size"), nullptr);
  EXPECT_EQ(seen.find("code"), nullptr);
}

TEST(RowSigns, ItsStateComesBackAsItWas) {
  RowSigns signs(contract());
  see_usual(signs);
  const Row stuck{expr::Datum::integer(733), expr::Datum::string("zz")};
  for (int i = 0; i < 9; ++i)
    signs.refused(refused({"size-required", "code-enum"}), stuck.field_of());
  StateWriter out;
  signs.save(out);
  const std::string bytes = out.take();
  RowSigns back(contract());
  StateReader in(bytes);
  back.load(in);
  EXPECT_TRUE(in.done());
  EXPECT_EQ(back.take(), signs.take());
  // Of a contract with other fields nothing is taken over, and all is read.
  RowSigns none;
  StateReader again(bytes);
  none.load(again);
  EXPECT_TRUE(again.done());
  EXPECT_EQ(none.take().size(), 0u);
}

TEST(RowSigns, AUnitThatLeavesTheRangeStillShowsItsRatio) {
  Baseline baseline;
  baseline.dependencies.push_back(
      {"route-fixes-size", {"code"}, "size", {{"a\x1f", 733}, {"b\x1f", 405}}});
  SourceWindows windows(0.02, 50, contract());
  std::vector<Finding> out;
  for (int i = 0; i < 50; ++i) {
    const bool first = i % 2 == 0;
    const Row metres{expr::Datum::integer(first ? 1179649 : 651784),
                     expr::Datum::string(first ? "a" : "b")};
    windows.add("app", "s", refused({"size-range"}), i, &baseline, metres.field_of(), out);
  }
  ASSERT_EQ(out.size(), 1u);
  const doc::Value* const ratio = out[0].detail.find("ratio");
  ASSERT_NE(ratio, nullptr);
  EXPECT_NEAR(ratio->double_or("ratio"), 1609.344, 0.01);
  EXPECT_EQ(ratio->double_or("agreement"), 1);
  EXPECT_EQ(ratio->string_or("column"), "size");
}

}  // namespace
}  // namespace heddle::watch
