#include <cmath>

#include <simdjson.h>

#include "model/xgboost.hpp"

namespace heddle::model {
namespace {

namespace od = simdjson::ondemand;

#define READ(target, expression, what)                      \
  do {                                                      \
    if ((expression).get(target) != simdjson::SUCCESS) {    \
      return xgboost_corrupt("does not read as JSON at " + std::string(what)); \
    }                                                       \
  } while (false)

/// Floats as XGBoost wrote them: shortest digits, read as floats and not through doubles.
Result<void> read_floats(od::value value, std::vector<float>& out, std::string_view what) {
  od::array array;
  READ(array, value.get_array(), what);
  for (auto item : array) {
    od::value element;
    READ(element, item, what);
    float number = 0;
    if (!parse_number(element.raw_json_token(), number)) return xgboost_corrupt("holds a number that is no float");
    out.push_back(number);
  }
  return {};
}

Result<void> read_ints(od::value value, std::vector<std::int32_t>& out, std::string_view what) {
  od::array array;
  READ(array, value.get_array(), what);
  for (auto item : array) {
    od::value element;
    READ(element, item, what);
    const std::string_view token = element.raw_json_token();
    std::int32_t number = 0;
    if (token.starts_with("true")) {
      number = 1;
    } else if (token.starts_with("false")) {
      number = 0;
    } else if (!parse_number(token, number)) {
      return xgboost_corrupt(fmt::format("holds something in `{}` that is no 32-bit integer", what));
    }
    out.push_back(number);
  }
  return {};
}

Result<void> read_tree(od::object object, XgboostTree& tree, bool& vector_leaves) {
  for (auto field : object) {
    std::string_view key;
    READ(key, field.unescaped_key(), "a tree");
    od::value value;
    READ(value, field.value(), key);
    if (auto* const integers = tree.integers(key)) {
      integers->clear();
      HEDDLE_TRY(read_ints(value, *integers, key));
    } else if (auto* const floats = tree.floats(key)) {
      floats->clear();
      HEDDLE_TRY(read_floats(value, *floats, key));
    } else if (key == "tree_param") {
      od::object parameters;
      READ(parameters, value.get_object(), key);
      std::string_view size;
      if (parameters.find_field_unordered("size_leaf_vector").get(size) == simdjson::SUCCESS && size != "0" && size != "1") vector_leaves = true;
    }
  }
  return {};
}

Result<void> read_booster(od::object booster, XgboostParts& parts, bool nested) {
  for (auto field : booster) {
    std::string_view key;
    READ(key, field.unescaped_key(), "`gradient_booster`");
    od::value value;
    READ(value, field.value(), key);
    if (key == "name" && !nested) {
      std::string_view text;
      READ(text, value.get_string(), "`gradient_booster`");
      parts.booster = text;
    } else if (key == "gbtree" && !nested) {  // `dart` keeps its trees one level deeper
      od::object inner;
      READ(inner, value.get_object(), key);
      HEDDLE_TRY(read_booster(inner, parts, true));
    } else if (key == "weight_drop" && !nested) {
      parts.weight_drop.clear();
      HEDDLE_TRY(read_floats(value, parts.weight_drop, "`weight_drop`"));
    } else if (key == "model") {
      od::object model;
      READ(model, value.get_object(), key);
      for (auto entry : model) {
        std::string_view name;
        READ(name, entry.unescaped_key(), "`model`");
        od::value content;
        READ(content, entry.value(), name);
        if (name == "tree_info") {
          parts.tree_info.clear();
          HEDDLE_TRY(read_ints(content, parts.tree_info, name));
        } else if (name == "trees") {
          parts.has_trees = true;
          parts.trees.clear();
          od::array array;
          READ(array, content.get_array(), "`trees`");
          for (auto item : array) {
            od::object object;
            READ(object, item.get_object(), "`trees`");
            HEDDLE_TRY(read_tree(object, parts.trees.emplace_back(), parts.vector_leaves));
          }
        }
      }
    }
  }
  return {};
}

Result<XgboostParts> parse(std::string_view bytes) {
  od::parser parser;
  simdjson::padded_string padded(bytes);
  od::document document;
  READ(document, parser.iterate(padded), "its start");
  od::object root;
  READ(root, document.get_object(), "its start");
  od::object learner;
  READ(learner, root.find_field_unordered("learner").get_object(), "`learner`");
  XgboostParts parts;
  for (auto field : learner) {
    std::string_view key;
    READ(key, field.unescaped_key(), "`learner`");
    od::value value;
    READ(value, field.value(), key);
    if (key == "learner_model_param") {
      od::object parameters;
      READ(parameters, value.get_object(), key);
      for (auto entry : parameters) {
        std::string_view name;
        std::string_view text;
        READ(name, entry.unescaped_key(), "`learner_model_param`");
        auto* const known = parts.parameter(name);
        if (known == nullptr) continue;
        READ(text, entry.value().get_string(), "`learner_model_param`");
        *known = text;
      }
    } else if (key == "objective") {
      std::string_view name;
      READ(name, value.find_field_unordered("name").get_string(), "`objective`");
      parts.objective = name;
    } else if (key == "gradient_booster") {
      od::object booster;
      READ(booster, value.get_object(), key);
      HEDDLE_TRY(read_booster(booster, parts, false));
    }
  }
  return parts;
}

#undef READ

}  // namespace

Result<XgboostParts> parse_xgboost_json(std::string_view bytes) {
  try {
    return parse(bytes);
  } catch (const std::exception& error) {  // simdjson throws where a result is used unchecked; memory may run out
    return xgboost_corrupt(fmt::format("could not be read: {}", error.what()));
  }
}

}  // namespace heddle::model
