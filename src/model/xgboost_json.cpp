#include <cmath>

#include <simdjson.h>

#include "model/file_kind.hpp"
#include "model/xgboost.hpp"

namespace heddle::model {
namespace {

namespace od = simdjson::ondemand;

#define READ(target, expression, what)                                   \
  do {                                                                   \
    if ((expression).get(target) != simdjson::SUCCESS) {                 \
      return xgboost_corrupt("does not read as JSON at " + shown(what)); \
    }                                                                    \
  } while (false)

/// Floats as XGBoost wrote them: shortest digits, read as floats and not through doubles.
Result<void> read_floats(od::value value, std::vector<float>& out, std::string_view what) {
  od::array array;
  READ(array, value.get_array(), what);
  for (auto item : array) {
    od::value element;
    READ(element, item, what);
    float number = 0;
    // Through a double, a value could be rounded twice, and margins would differ in the last bit.
    if (!parse_number(element.raw_json_token(), number))
      return xgboost_corrupt("holds a number that is no float");
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
    // Some versions write flags of nodes as booleans, others as 0 and 1.
    if (token.starts_with("true")) {
      number = 1;
    } else if (token.starts_with("false")) {
      number = 0;
    } else if (!parse_number(token, number)) {
      return xgboost_corrupt(
          fmt::format("holds something in `{}` that is no 32-bit integer", shown(what)));
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
      // A repeated key replaces the first: added to it, the array would be longer than the tree.
      integers->clear();
      HEDDLE_TRY(read_ints(value, *integers, key));
    } else if (auto* const floats = tree.floats(key)) {
      floats->clear();
      HEDDLE_TRY(read_floats(value, *floats, key));
    } else if (key == "tree_param") {
      od::object parameters;
      READ(parameters, value.get_object(), key);
      std::string_view size;
      if (parameters.find_field_unordered("size_leaf_vector").get(size) == simdjson::SUCCESS &&
          // A leaf of several outputs is another kind of tree, which is refused with its name
          // later.
          size != "0" && size != "1")
        vector_leaves = true;
    }
  }
  return {};
}

Result<void> read_texts(od::value value, std::vector<std::string>& out, std::string_view what) {
  out.clear();
  od::array array;
  READ(array, value.get_array(), what);
  for (auto item : array) {
    std::string_view text;
    READ(text, item.get_string(), what);
    out.emplace_back(text);
  }
  return {};
}

/// Members that `parts.parameter` knows; the others are passed over.
Result<void> read_parameters(od::value value, XgboostParts& parts, std::string_view what) {
  od::object parameters;
  READ(parameters, value.get_object(), what);
  for (auto entry : parameters) {
    std::string_view name;
    std::string_view text;
    READ(name, entry.unescaped_key(), what);
    auto* const known = parts.parameter(name);
    if (known == nullptr) continue;
    READ(text, entry.value().get_string(), what);
    *known = text;
  }
  return {};
}

Result<void> read_trees(od::value value, XgboostParts& parts) {
  parts.has_trees = true;
  parts.trees.clear();
  od::array array;
  READ(array, value.get_array(), "`trees`");
  for (auto item : array) {
    od::object object;
    READ(object, item.get_object(), "`trees`");
    HEDDLE_TRY(read_tree(object, parts.trees.emplace_back(), parts.vector_leaves));
  }
  return {};
}

/// `cats`, from 3.1 on: the names of categories, where training saw names.
Result<void> read_categories(od::value value, XgboostParts& parts) {
  od::object cats;
  READ(cats, value.get_object(), "`cats`");
  for (auto field : cats) {
    std::string_view key;
    READ(key, field.unescaped_key(), "`cats`");
    if (key != "enc") continue;
    od::array array;
    READ(array, field.value().get_array(), "`cats`");
    bool empty = true;
    READ(empty, array.is_empty(), "`cats`");
    // An empty list says that training saw no names.
    parts.named_categories = !empty;
  }
  return {};
}

Result<void> read_weights(od::value value, XgboostParts& parts) {
  parts.weight_drop.clear();
  return read_floats(value, parts.weight_drop, "`weight_drop`");
}

Result<void> read_model(od::value value, XgboostParts& parts) {
  od::object model;
  READ(model, value.get_object(), "`model`");
  for (auto entry : model) {
    std::string_view name;
    READ(name, entry.unescaped_key(), "`model`");
    od::value content;
    READ(content, entry.value(), name);
    if (name == "tree_info") {
      parts.tree_info.clear();
      HEDDLE_TRY(read_ints(content, parts.tree_info, name));
    } else if (name == "trees") {
      HEDDLE_TRY(read_trees(content, parts));
    } else if (name == "weight_drop") {
      HEDDLE_TRY(read_weights(content, parts));
    } else if (name == "gbtree_model_param") {
      HEDDLE_TRY(read_parameters(content, parts, "`gbtree_model_param`"));
    } else if (name == "cats") {
      HEDDLE_TRY(read_categories(content, parts));
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
    // The booster inside `dart` has a name of its own, which must not replace `dart`.
    if (key == "name" && !nested) {
      std::string_view text;
      READ(text, value.get_string(), "`gradient_booster`");
      parts.booster = text;
    } else if (key == "gbtree" && !nested) {  // `dart` keeps its trees one level deeper
      od::object inner;
      READ(inner, value.get_object(), key);
      HEDDLE_TRY(read_booster(inner, parts, true));
    } else if (key == "weight_drop") {
      HEDDLE_TRY(read_weights(value, parts));
    } else if (key == "model") {
      HEDDLE_TRY(read_model(value, parts));
    }
  }
  return {};
}

Result<void> read_attributes(od::value value, XgboostParts& parts) {
  od::object attributes;
  READ(attributes, value.get_object(), "`attributes`");
  for (auto entry : attributes) {
    std::string_view name;
    READ(name, entry.unescaped_key(), "`attributes`");
    auto* const known = parts.attribute(name);
    if (known == nullptr) continue;
    std::string_view text;
    READ(text, entry.value().get_string(), "`attributes`");
    *known = text;
  }
  return {};
}

Result<void> read_learner(od::object learner, XgboostParts& parts) {
  for (auto field : learner) {
    std::string_view key;
    READ(key, field.unescaped_key(), "`learner`");
    od::value value;
    READ(value, field.value(), key);
    if (key == "learner_model_param") {
      HEDDLE_TRY(read_parameters(value, parts, "`learner_model_param`"));
    } else if (key == "objective") {
      std::string_view name;
      READ(name, value.find_field_unordered("name").get_string(), "`objective`");
      parts.objective = name;
    } else if (key == "gradient_booster") {
      od::object booster;
      READ(booster, value.get_object(), key);
      HEDDLE_TRY(read_booster(booster, parts, false));
    } else if (key == "attributes") {
      HEDDLE_TRY(read_attributes(value, parts));
    } else if (key == "feature_names") {
      HEDDLE_TRY(read_texts(value, parts.feature_names, "`feature_names`"));
    }
  }
  return {};
}

Result<XgboostParts> parse(std::string_view bytes) {
  od::parser parser;
  // The parser reads past the end in whole registers.
  simdjson::padded_string padded(bytes);
  od::document document;
  READ(document, parser.iterate(padded), "its start");
  od::object root;
  READ(root, document.get_object(), "its start");
  XgboostParts parts;
  bool has_learner = false;
  for (auto field : root) {
    std::string_view key;
    READ(key, field.unescaped_key(), "its start");
    od::value value;
    READ(value, field.value(), key);
    if (key == "learner") {
      od::object learner;
      READ(learner, value.get_object(), "`learner`");
      HEDDLE_TRY(read_learner(learner, parts));
      has_learner = true;
    } else if (key == "version") {
      parts.version.clear();
      HEDDLE_TRY(read_ints(value, parts.version, "version"));
    }
  }
  if (!has_learner) return xgboost_corrupt("has no `learner`");
  // There is a place to read on at only where something follows.
  if (document.current_location().error() == simdjson::SUCCESS)
    return xgboost_corrupt("has something behind its end");
  return parts;
}

#undef READ

}  // namespace

Result<XgboostParts> parse_xgboost_json(std::string_view bytes) {
  try {
    return parse(bytes);
  } catch (const std::exception&
               error) {  // simdjson throws where a result is used unchecked; memory may run out
    return xgboost_corrupt(fmt::format("could not be read: {}", error.what()));
  }
}

}  // namespace heddle::model
