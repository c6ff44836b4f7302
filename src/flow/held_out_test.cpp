#include "flow/held_out_format.hpp"

#include <gtest/gtest.h>

#include "doc/json.hpp"
#include "doc/schema_conformance.hpp"

namespace heddle::flow {
namespace {

/// As Heddle wrote it before there was a schema.
constexpr std::string_view kOfBefore =
    R"({"format":"heddle.held-out/2","fields":["place","size"],"rows":[["AMS",2],[null,3.5]],)"
    R"("labels":[1.0,0.0],"times":[-5,7]})";

TEST(HeldOutRows, BytesOfBeforeAreReadAndWrittenAgain) {
  const auto read = held_out_schema().parse_text(kOfBefore);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(doc::to_json(held_out_schema().print(*read)), kOfBefore);
  doc::RecordConformance<HeldOutFile>(held_out_schema(), *read).run("docs/formats/held-out.md");
}

TEST(HeldOutRows, PartsOfDifferentLengthsAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("labels":[1.0],"times":[]})", "`labels` must have one item a row"},
      {R"("labels":[1.0,0.0],"times":[1]})", "`times` must be empty or have one item a row"},
      {R"("labels":[1.0,0.0],"times":[2,1]})", "`times` must rise"},
      {R"("labels":[1.0,null],"times":[]})", "`labels` must be a list of numbers"},
  };
  for (const auto& [members, told] : cases) {
    const auto read = held_out_schema().parse_text(
        R"({"format":"heddle.held-out/2","fields":["x"],"rows":[[1],[2]],)" + std::string(members));
    ASSERT_FALSE(read.ok()) << members;
    EXPECT_EQ(read.error().id, "held-out-corrupt");
    EXPECT_NE(read.error().message.find(told), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace heddle::flow
