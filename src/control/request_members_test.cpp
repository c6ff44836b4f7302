// A member of a request that was written wrongly is refused, and never taken for left out.
#include "control/request_members.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "control/operations.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

using Type = RequestMember::Type;

std::string id_of(std::string_view operation, const std::string& request) {
  const auto checked = check_request(operation, doc::parse_json(request).value());
  if (checked.ok()) return "";
  EXPECT_FALSE(checked.error().hint.empty());
  return checked.error().id;
}

/// One of each type, `except` left out.
std::vector<std::pair<Type, std::string>> values_but(Type except) {
  std::vector<std::pair<Type, std::string>> all = {
      {Type::kText, "\"1\""}, {Type::kFlag, "true"}, {Type::kNumber, "1"}, {Type::kObject, "{}"}};
  std::erase_if(all, [&](const auto& one) { return one.first == except; });
  return all;
}

std::string good(Type type) {
  return values_but(type == Type::kText ? Type::kFlag : Type::kText)
      .at(type == Type::kText || type == Type::kFlag ? 0
          : type == Type::kNumber                    ? 1
                                                     : 2)
      .second;
}

/// A request with every member that is needed, and `other` for one.
std::string request_of(std::string_view operation, std::string_view name,
                       const std::string& other) {
  std::string out;
  for (const RequestMember& member : request_members(operation)) {
    const bool is_it = member.name == name;
    if (!member.required && !is_it) continue;
    out += fmt::format("{}\"{}\":{}", out.empty() ? "" : ",", member.name,
                       is_it ? other : good(member.type));
  }
  return "{" + out + "}";
}

TEST(RequestMembers, OfEveryOperationAreHeldToTheirTypes) {
  int tried = 0;
  for (const auto& row : operation_table()) {
    const std::string_view operation = row.operation.name;
    EXPECT_EQ(id_of(operation, request_of(operation, "", "")), "") << operation;
    EXPECT_EQ(id_of(operation, R"({"reqester":"ann"})"), "request-unknown-member") << operation;
    for (const RequestMember& member : request_members(operation)) {
      SCOPED_TRACE(fmt::format("{} {}", operation, member.name));
      EXPECT_EQ(id_of(operation, request_of(operation, member.name, good(member.type))), "");
      for (const auto& [type, value] : values_but(member.type)) {
        EXPECT_EQ(id_of(operation, request_of(operation, member.name, value)), "request-member")
            << value;
        ++tried;
      }
      for (const char* value : {"[]", "[1]", "1.5", "1e3"}) {
        EXPECT_EQ(id_of(operation, request_of(operation, member.name, value)), "request-member")
            << value;
      }
      // What some clients write for "left out".
      EXPECT_EQ(id_of(operation, request_of(operation, member.name, "null")),
                member.required ? "request-member" : "");
    }
  }
  EXPECT_GT(tried, 200);
}

TEST(RequestMembers, NumbersHaveBounds) {
  const auto limit = [](const char* value) {
    return id_of("quarantine.show", fmt::format(R"({{"service":"s","limit":{}}})", value));
  };
  EXPECT_EQ(limit("1"), "");
  EXPECT_EQ(limit("10000"), "");
  for (const char* value : {"0", "-1", "10001", "9223372036854775807"})
    EXPECT_EQ(limit(value), "request-member") << value;
  EXPECT_EQ(id_of("decision.list", R"({"from":-1})"), "request-member");
  EXPECT_EQ(id_of("audit.prove", "{}"), "request-member") << "the first entry was proven";
}

}  // namespace
}  // namespace heddle::control
