#include <charconv>
#include <cmath>

#include <simdjson.h>

#include "model/forest.hpp"

// XGBoost's model schema: https://xgboost.readthedocs.io/en/release_1.7.0/tutorials/saving_model.html ("JSON Schema").
namespace heddle::model {
namespace {

namespace od = simdjson::ondemand;

Error corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the XGBoost model " + std::move(what),
               "the bytes were changed after training: fetch or train the model again"};
}
Error unsupported(std::string what) {
  return Error{ErrorKind::kInvalid, "model-unsupported", "the XGBoost model " + std::move(what),
               "Heddle scores `gbtree` models of one margin with numerical splits: train such a one"};
}

#define READ(target, expression, what)                      \
  do {                                                      \
    if ((expression).get(target) != simdjson::SUCCESS) {    \
      return corrupt("does not read as JSON at " + std::string(what)); \
    }                                                       \
  } while (false)

/// The float that XGBoost wrote: its shortest digits, read as a float and not through a double.
template <class T>
bool parse_number(std::string_view text, T& out) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Result<void> read_floats(od::value value, std::vector<float>& out) {
  od::array array;
  READ(array, value.get_array(), "`split_conditions`");
  for (auto item : array) {
    od::value element;
    READ(element, item, "`split_conditions`");
    float number = 0;
    if (!parse_number(element.raw_json_token(), number)) return corrupt("holds a number that is no float");
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
      return corrupt(fmt::format("holds something in `{}` that is no 32-bit integer", what));
    }
    out.push_back(number);
  }
  return {};
}

Result<void> read_tree(od::object object, ParsedTree& tree) {
  std::vector<std::int32_t> numbers;
  for (auto field : object) {
    std::string_view key;
    READ(key, field.unescaped_key(), "a tree");
    od::value value;
    READ(value, field.value(), key);
    if (key == "left_children") {
      HEDDLE_TRY(read_ints(value, tree.left, key));
    } else if (key == "right_children") {
      HEDDLE_TRY(read_ints(value, tree.right, key));
    } else if (key == "split_indices") {
      HEDDLE_TRY(read_ints(value, tree.features, key));
    } else if (key == "split_conditions") {
      HEDDLE_TRY(read_floats(value, tree.conditions));
    } else if (key == "default_left") {
      numbers.clear();
      HEDDLE_TRY(read_ints(value, numbers, key));
      for (const std::int32_t number : numbers) tree.default_left.push_back(number != 0);
    } else if (key == "split_type" || key == "categories_nodes") {
      const bool types = key == "split_type";
      numbers.clear();
      HEDDLE_TRY(read_ints(value, numbers, key));
      for (const std::int32_t number : numbers) {
        if (!types || number != 0) return unsupported("has categorical splits");
      }
    }
  }
  return {};
}

Result<void> read_gbtree(od::object model, ParsedForest& forest) {
  std::vector<std::int32_t> groups;
  bool trees = false;
  for (auto field : model) {
    std::string_view key;
    READ(key, field.unescaped_key(), "`model`");
    od::value value;
    READ(value, field.value(), key);
    if (key == "tree_info") {
      HEDDLE_TRY(read_ints(value, groups, key));
      for (const std::int32_t group : groups) {
        if (group != 0) return unsupported("has several classes or targets");
      }
    } else if (key == "weights") {
      return unsupported("has booster `gblinear`");
    } else if (key == "trees") {
      trees = true;
      od::array array;
      READ(array, value.get_array(), "`trees`");
      for (auto item : array) {
        od::object object;
        READ(object, item.get_object(), "`trees`");
        HEDDLE_TRY(read_tree(object, forest.trees.emplace_back()));
      }
    }
  }
  if (!trees) return corrupt("has no `trees`");
  return {};
}

/// A number that XGBoost's parameters hold as text; 3.x writes a vector of one, `[5E-1]`.
template <class T>
Result<T> parameter(std::string_view text, std::string_view name) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  T number{};
  if (!parse_number(text, number)) return corrupt(fmt::format("has `{}` = `{}`", name, text.substr(0, 40)));
  return number;
}

Result<ParsedForest> parse(std::string_view bytes) {
  od::parser parser;
  simdjson::padded_string padded(bytes);
  od::document document;
  READ(document, parser.iterate(padded), "its start");
  od::object root;
  READ(root, document.get_object(), "its start");
  od::object learner;
  READ(learner, root.find_field_unordered("learner").get_object(), "`learner`");
  ParsedForest forest;
  float base_score = 0;
  std::string objective;
  bool has_parameters = false;
  bool has_booster = false;
  for (auto field : learner) {
    std::string_view key;
    READ(key, field.unescaped_key(), "`learner`");
    od::value value;
    READ(value, field.value(), key);
    if (key == "learner_model_param") {
      has_parameters = true;
      od::object parameters;
      READ(parameters, value.get_object(), key);
      for (auto entry : parameters) {
        std::string_view name;
        std::string_view text;
        READ(name, entry.unescaped_key(), "`learner_model_param`");
        const std::string owned(name);
        READ(text, entry.value().get_string(), owned);
        if (owned == "base_score") {
          HEDDLE_ASSIGN_OR_RETURN(base_score, parameter<float>(text, owned));
        } else if (owned == "num_feature") {
          HEDDLE_ASSIGN_OR_RETURN(forest.features, parameter<int>(text, owned));
        } else if (owned == "num_class" || owned == "num_target") {
          HEDDLE_ASSIGN_OR_RETURN(const int count, parameter<int>(text, owned));
          if (count > 1) return unsupported("has several classes or targets");
        }
      }
    } else if (key == "objective") {
      std::string_view name;
      READ(name, value.find_field_unordered("name").get_string(), "`objective`");
      objective = name;
    } else if (key == "gradient_booster") {
      has_booster = true;
      od::object booster;
      READ(booster, value.get_object(), key);
      // A `dart` booster nests its trees one level deeper, a `gblinear` has none: neither is met by accident.
      std::string name;
      bool has_model = false;
      for (auto entry : booster) {
        std::string_view entry_key;
        READ(entry_key, entry.unescaped_key(), "`gradient_booster`");
        od::value entry_value;
        READ(entry_value, entry.value(), entry_key);
        if (entry_key == "name") {
          std::string_view text;
          READ(text, entry_value.get_string(), "`gradient_booster`");
          name = text;
          if (name != "gbtree") return unsupported(fmt::format("has booster `{}`", name.substr(0, 40)));
        } else if (entry_key == "model") {
          has_model = true;
          od::object model;
          READ(model, entry_value.get_object(), "`gradient_booster`");
          HEDDLE_TRY(read_gbtree(model, forest));
        } else if (entry_key == "gbtree") {
          return unsupported("has booster `dart`");
        }
      }
      if (name.empty() || !has_model) return corrupt("has no booster of trees");
    }
  }
  if (!has_parameters || !has_booster || objective.empty()) {
    return corrupt("lacks `learner_model_param`, `gradient_booster` or `objective`");
  }
  if (objective == "binary:logistic" || objective == "reg:logistic") {
    if (!(base_score > 0 && base_score < 1)) return corrupt("has a base score that is no probability");
    // As XGBoost's LogisticRegression::ProbToMargin does, in single precision.
    forest.base_margin = -std::log(1.0F / base_score - 1.0F);
  } else if (objective == "reg:squarederror" || objective == "binary:logitraw") {
    forest.base_margin = base_score;
  } else {
    return unsupported(fmt::format("has objective `{}`", objective.substr(0, 40)));
  }
  return forest;
}

#undef READ

}  // namespace

Result<ParsedForest> parse_xgboost_json(std::string_view bytes) {
  try {
    return parse(bytes);
  } catch (const std::exception& error) {  // simdjson throws where a result is used unchecked; memory may run out
    return corrupt(fmt::format("could not be read: {}", error.what()));
  }
}

}  // namespace heddle::model
