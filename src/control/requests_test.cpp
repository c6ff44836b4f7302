#include "control/requests.hpp"

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "control/operations.hpp"
#include "control/replies.hpp"
#include "spec/permissions.hpp"

namespace heddle::control {
namespace {

/// A value of the key's shape that the operation would go on with.
doc::Value some_value(const doc::Key& key) {
  if (!key.choices.empty()) return key.choices.front();
  switch (key.shape) {
    case doc::Shape::kBoolean: return true;
    case doc::Shape::kInteger: return 1;
    case doc::Shape::kMap: return doc::Value::object();
    case doc::Shape::kTexts: return doc::Value::array({"x"});
    case doc::Shape::kDigest: return sha256("x").str();
    case doc::Shape::kObject: {
      auto value = doc::Value::object();
      for (const auto& each : key.object->keys) value.set(each.name, some_value(each));
      return value;
    }
    default: return "x";
  }
}

doc::Value full_request(const doc::ObjectSchema& schema) {
  auto request = doc::Value::object();
  for (const auto& key : schema.keys) request.set(key.name, some_value(key));
  return request;
}

class RequestsTest : public testing::Test {
 protected:
  /// What the row of the table says before anything is done; `begun` where it would go on.
  std::string said(const OperationRow& row, const doc::Value& request) {
    const Caller caller{"owner", true};
    const auto reply = row.handler(
        core_, {row.operation.name, request, caller},
        []() -> Result<void> { return Error{ErrorKind::kCancelled, "begun", "begun"}; });
    EXPECT_FALSE(reply.ok());
    if (reply.error().id != "begun") {
      const bool is_unknown = reply.error().message.find("unknown member") != std::string::npos;
      EXPECT_EQ(reply.error().id, is_unknown ? "request-unknown-member" : "request-member");
      EXPECT_EQ(reply.error().kind, ErrorKind::kInvalid);
    }
    return reply.error().message;
  }

  static Wiring wiring() {
    Wiring wiring;
    wiring.clock = &system_clock();
    return wiring;
  }

  Control::Core core_{testing::TempDir() + "/no-project", wiring()};
};

TEST_F(RequestsTest, WhatIsUnknownMissingOrMistypedIsRefusedBeforeAnythingIsDone) {
  for (const auto& row : operation_table()) {
    const auto& name = row.operation.name;
    const auto& schema = *row.operation.request;
    const auto whole = full_request(schema);
    EXPECT_EQ(said(row, whole), "begun") << name;
    auto request = whole;
    request.set("srevice", "x");
    EXPECT_EQ(said(row, request), "the request: unknown member `srevice`") << name;
    for (const auto& key : schema.keys) {
      request = whole;
      request.set(key.name, doc::Value::array({1}));
      EXPECT_NE(said(row, request).find("`" + key.name + "` must be"), std::string::npos) << name;
      std::erase_if(request.as_object(),
                    [&](const auto& member) { return member.first == key.name; });
      EXPECT_EQ(said(row, request),
                key.is_required ? fmt::format("the request: `{}` is missing", key.name) : "begun")
          << name;
      // What a client of another language may send where it has nothing to say.
      request.set(key.name, nullptr);
      EXPECT_EQ(said(row, request) == "begun", !key.is_required) << name << " " << key.name;
    }
  }
}

TEST_F(RequestsTest, EachOperationIsInThePage) {
  const auto page = read_file("docs/operations.md");
  ASSERT_TRUE(page.ok());
  std::map<const doc::ObjectSchema*, std::string_view> first;
  for (const auto& row : operation_table()) {
    const auto* reply = row.operation.reply;
    ASSERT_NE(reply, nullptr) << row.operation.name;
    const auto [known, is_new] = first.try_emplace(reply, row.operation.name);
    const auto cells =
        fmt::format("| `{}` | {} | {} | {}", row.operation.name, row.operation.permission,
                    request_cell(*row.operation.request),
                    is_new ? reply_cell(*reply) : fmt::format("as `{}`", known->second));
    EXPECT_NE(page->find(cells), std::string::npos) << "docs/operations.md lacks: " << cells;
  }
}

TEST_F(RequestsTest, EachPermissionIsOneThatPeopleYamlTakes) {
  for (const auto& row : operation_table()) {
    const auto permission = row.operation.permission;
    EXPECT_TRUE(permission == "owner" || spec::permission_named(permission)) << row.operation.name;
  }
  const auto page = read_file("docs/operations.md");
  ASSERT_TRUE(page.ok());
  for (const auto& row : spec::permission_table()) {
    const auto line = fmt::format("| {} | {} |\n", row.name, row.about);
    EXPECT_NE(page->find(line), std::string::npos) << "docs/operations.md lacks: " << line;
  }
}

}  // namespace
}  // namespace heddle::control
