#include "doc/protobuf.hpp"

#include <gtest/gtest.h>

namespace heddle::doc {
namespace {

TEST(Protobuf, ReadsWhatItWrites) {
  std::string bytes;
  ProtoWriter writer(bytes);
  writer.integer(1, 300);
  writer.bytes(2, "name");
  const double numbers[] = {1.5, -2};
  writer.packed_fixed(3, numbers, 2);
  writer.message(4, [](ProtoWriter& inner) {
    inner.bytes(1, std::string(200, 'x'));  // a length of two bytes
    inner.message(2, [](ProtoWriter& innermost) { innermost.integer(7, ~std::uint64_t{0}); });
  });
  EXPECT_EQ(bytes.substr(0, 3), "\x08\xac\x02");  // the encoding guide's example: field 1, 300

  ProtoReader reader(bytes);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.integer(), 300u);
  ASSERT_TRUE(reader.next());  // the name is skipped
  ASSERT_TRUE(reader.next());
  std::vector<double> read;
  reader.wide_reals(read);
  EXPECT_EQ(read, (std::vector<double>{1.5, -2}));
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 4u);
  ProtoReader inner(reader.bytes());
  ASSERT_TRUE(inner.next());
  EXPECT_EQ(inner.bytes().size(), 200u);
  ASSERT_TRUE(inner.next());
  ProtoReader innermost(inner.bytes());
  ASSERT_TRUE(innermost.next());
  EXPECT_EQ(innermost.integer(), ~std::uint64_t{0});
  EXPECT_FALSE(innermost.next());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.failed() || inner.failed() || innermost.failed());
}

TEST(Protobuf, WhatIsCutOffFails) {
  std::string bytes;
  ProtoWriter writer(bytes);
  writer.bytes(2, "a name");
  writer.integer(1, 1u << 20);
  for (std::size_t n = 1; n < bytes.size(); ++n) {
    if (n == 8) continue;  // the end of the first field
    ProtoReader reader(std::string_view(bytes).substr(0, n));
    while (reader.next()) {
    }
    EXPECT_TRUE(reader.failed()) << n;
  }
}

}  // namespace
}  // namespace heddle::doc
