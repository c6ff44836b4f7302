#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "doc/schema.hpp"

namespace heddle::doc {

/// The suite that every record's schema passes: nothing that is missing, of another type, unknown,
/// of another version or cut is read as if it were there. For tests.
template <class T>
class RecordConformance {
 public:
  /// `sample` holds something in every member, and an item in every list; of members that exclude
  /// each other one has something.
  RecordConformance(const Schema<T>& schema, const T& sample)
      : schema_(schema), root_(schema.print(sample)) {}

  /// `page`: the format's page below docs/, which holds the table of its members; empty: a part
  /// of another record, whose page has it.
  void run(const std::string& page) {
    round_trip();
    other_versions();
    cut_texts();
    members(schema_, root_, "");
    if (!page.empty()) documented(page);
  }

 private:
  void round_trip() {
    const std::string text = to_json(root_);
    const auto again = schema_.parse_text(text);
    ASSERT_TRUE(again.ok()) << again.error().str();
    EXPECT_EQ(to_json(schema_.print(*again)), text);
  }

  void refused(std::string_view told, std::string_view why) {
    const auto read = schema_.parse(root_);
    ASSERT_FALSE(read.ok()) << why;
    EXPECT_EQ(read.error().kind, schema_.error_kind) << why;
    EXPECT_EQ(read.error().id, schema_.error_id) << why;
    EXPECT_NE(read.error().message.find(told), std::string::npos)
        << why << ": " << read.error().message << " does not tell of " << told;
    EXPECT_FALSE(read.error().hint.empty()) << why;
  }

  void other_versions() {
    if (schema_.format.empty()) return;
    const Value before = root_;
    root_.set("format", "heddle.other/999");
    refused("heddle.other/999", "another version");
    root_.set("format", 1);
    refused(schema_.format, "a format that is no text");
    std::erase_if(root_.as_object(), [](const auto& member) { return member.first == "format"; });
    refused(schema_.format, "no format");
    root_ = before;
    for (const Value& other : {Value(), Value(7), Value::array(), Value("x"), Value::object()})
      EXPECT_FALSE(schema_.parse(other).ok()) << to_json(other);
  }

  void cut_texts() {
    const std::string text = to_json(root_);
    const std::size_t step = std::max<std::size_t>(1, text.size() / 100);
    for (std::size_t length = 0; length < text.size(); length += step) {
      const auto read = schema_.parse_text(std::string_view(text).substr(0, length));
      ASSERT_FALSE(read.ok()) << "cut to " << length << " bytes";
      EXPECT_EQ(read.error().id, schema_.error_id);
      EXPECT_EQ(read.error().kind, schema_.error_kind);
    }
  }

  /// Of each member of `object` at `node`, which is a part of `root_`.
  void members(const ObjectSchema& object, Value& node, const std::string& prefix) {
    for (const Key& key : object.keys) {
      const std::string path = prefix + key.name;
      if (node.find(key.name) == nullptr) {
        ASSERT_FALSE(key.is_required) << "the sample says nothing of `" << path << "`";
        continue;  // one of several that exclude each other
      }
      without(key, node, path);
      of_another_type(key, node, path);
      if (key.object != nullptr) below(key, *node.find(key.name), path);
    }
    node.set("of_a_later_version", 1);
    refused("`" + prefix + "of_a_later_version`", "an unknown member");
    node.as_object().pop_back();
  }

  void below(const Key& key, Value& value, const std::string& path) {
    if (key.shape == Shape::kObject) return members(*key.object, value, path + ".");
    ASSERT_GT(value.size(), 0U) << "the sample has nothing in the list `" << path << "`";
    members(*key.object, value.as_array()[0], path + "[0].");
  }

  void without(const Key& key, Value& node, const std::string& path) {
    const Value::Object before = node.as_object();
    std::erase_if(node.as_object(), [&](const auto& member) { return member.first == key.name; });
    if (key.is_required) {
      refused("`" + path + "` is missing", "a missing member");
    } else if (!schema_.parse(root_).ok()) {
      refused("`" + path + "`", "a member that others call for");
    }
    node.as_object() = before;
  }

  void of_another_type(const Key& key, Value& node, const std::string& path) {
    if (key.shape == Shape::kAny) return;
    const Value wrong_scalar = is_text_shape(key.shape) ? Value(7) : Value("x");
    for (const Value& wrong : {wrong_scalar, Value(), Value::array({Value()})}) {
      if (key.may_be_null && wrong.is_null()) continue;
      Value& member = *node.find(key.name);
      const Value before = member;
      member = wrong;
      refused("`" + path + "`", fmt::format("{} of another type", path));
      *node.find(key.name) = before;
    }
    if (!key.choices.empty()) {
      const Value before = *node.find(key.name);
      node.set(key.name, "of-a-later-version");
      refused("`" + path + "`", "an unknown value");
      node.set(key.name, before);
    }
  }

  [[nodiscard]] static bool is_text_shape(Shape shape) {
    return shape == Shape::kText || shape == Shape::kDigest || shape == Shape::kTexts ||
           shape == Shape::kTime || shape == Shape::kDuration || shape == Shape::kExpression;
  }

  void documented(const std::string& page) {
    const auto text = read_file(page);
    ASSERT_TRUE(text.ok()) << text.error().str();
    EXPECT_NE(text->find(key_table(schema_)), std::string::npos)
        << page << " does not have this table:\n"
        << key_table(schema_);
  }

  const Schema<T>& schema_;
  Value root_;
};

}  // namespace heddle::doc
