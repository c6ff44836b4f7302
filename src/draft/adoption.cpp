#include "draft/adoption.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/diagnostic.hpp"
#include "doc/json.hpp"

namespace heddle::draft {
namespace {

using profile::Kind;
using profile::Reading;

constexpr std::size_t kMostInWords = 8;
constexpr double kExactInFloat = 0x1p24;  ///< whole numbers up to here are floats

Error not_adopted(std::string id, std::string message, std::string hint) {
  return Error{ErrorKind::kUnprocessable, std::move(id), std::move(message), std::move(hint)};
}

std::string names_in_words(const std::vector<std::string>& names) {
  std::vector<std::string> shown(
      names.begin(),
      names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMostInWords)));
  std::string out = fmt::format("`{}`", fmt::join(shown, "`, `"));
  if (names.size() > kMostInWords) out += fmt::format(" and {} more", names.size() - kMostInWords);
  return out;
}

std::vector<std::string> column_names(const std::vector<Reading>& columns) {
  std::vector<std::string> out;
  for (const auto& column : columns) out.push_back(column.name());
  return out;
}

std::string label_text(const doc::Value& value) {
  return value.is_string() ? value.as_string() : doc::to_json(value);
}

/// A value for people that shows what is wrong with the column.
std::string example_value(const Reading& reading) {
  const auto values = reading.column->values.by_count();
  return values.empty() ? std::string() : fmt::format(", for example `{}`", values.front().value);
}

bool is_number_kind(Kind kind) {
  return kind == Kind::kInteger || kind == Kind::kNumber || kind == Kind::kBoolean;
}

/// Why a column cannot be what the model reads; empty: it can.
std::string kind_conflict(const train::SignatureFeature& feature, const Reading& column) {
  // A constant is a number where its one value is.
  const bool has_number = is_number_kind(column.kind) ||
                          (column.kind == Kind::kConstant && column.type != expr::Type::kString);
  // First what cannot be read whatever the model asks for.
  switch (column.kind) {
    case Kind::kEmpty: return "no row of the sample has a value of it";
    case Kind::kOtherTime: return "its dates are not written as ISO 8601";
    case Kind::kCommaNumber: return "its numbers have a decimal comma";
    case Kind::kNumberInText:
      if (feature.type != "number" && feature.type != "integer") return "";
      return "words stand between its numbers" + example_value(column);
    default: break;
  }
  if ((feature.type == "number" || feature.type == "integer" || feature.type == "boolean") &&
      !has_number)
    return fmt::format("the model reads a number, and the sample has {}{}",
                       profile::in_words(column.kind), example_value(column));
  if (feature.type == "timestamp" && !column.is_time())
    return fmt::format("the model reads a time, and the sample has {}{}",
                       profile::in_words(column.kind), example_value(column));
  // A whole number may be a code that is a text to the model; one with a fraction is no code.
  if (feature.type == "string" && column.type == expr::Type::kDouble)
    return fmt::format("the model reads a text, and the sample has {}{}",
                       profile::in_words(column.kind), example_value(column));
  if (feature.type == "category" && !feature.categories.empty()) {
    const bool are_texts = feature.categories.front().is_string();
    // Then no value of the sample could be a category of the model.
    if (are_texts == has_number)
      return fmt::format("the model's categories are {} like `{}`, and the sample has {}{}",
                         are_texts ? "texts" : "numbers", label_text(feature.categories.front()),
                         profile::in_words(column.kind), example_value(column));
  }
  return "";
}

Result<void> check_kinds(const train::Signature& signature, const std::vector<Reading>& columns,
                         const std::vector<std::size_t>& features) {
  std::vector<std::string> wrong;
  for (std::size_t i = 0; i < features.size(); ++i) {
    const Reading& column = columns[features[i]];
    const std::string why = kind_conflict(signature.features[i], column);
    if (!why.empty()) wrong.push_back(fmt::format("column `{}`: {}", column.name(), why));
  }
  if (wrong.empty()) return {};
  if (wrong.size() > kMostInWords) wrong.resize(kMostInWords);
  return not_adopted(
      "adopt-feature-type",
      fmt::format("the sample is not what the model reads: {}", fmt::join(wrong, "; ")),
      "write the sample as the rows that the model was fitted on");
}

/// By name.
Result<std::vector<std::size_t>> by_name(const train::Signature& signature,
                                         const std::vector<Reading>& columns) {
  const auto names = column_names(columns);
  std::vector<std::size_t> out;
  std::vector<std::string> absent;
  for (const auto& feature : signature.features) {
    const auto found = std::find(names.begin(), names.end(), feature.name);
    if (found == names.end())
      absent.push_back(feature.name);
    else
      out.push_back(static_cast<std::size_t>(found - names.begin()));
  }
  if (absent.empty()) return out;
  const std::string near = doc::nearest(absent.front(), names);
  return not_adopted("adopt-feature-absent",
                     fmt::format("the model reads {} features, and the sample has no column {}",
                                 signature.features.size(), names_in_words(absent)),
                     near.empty()
                         ? fmt::format("its columns are {}: add those that are missing, under "
                                       "the names that the model has",
                                       names_in_words(names))
                         : fmt::format("is `{}` the sample's name of `{}`? Name it as the "
                                       "model does",
                                       near, absent.front()));
}

/// By place: a model that names nothing reads what stands beside the target.
Result<std::vector<std::size_t>> by_place(const train::Signature& signature,
                                          const std::vector<Reading>& columns,
                                          const std::string& target) {
  if (target.empty())
    return not_adopted("adopt-no-target",
                       "the model does not name its features: which of the sample's columns is the "
                       "target must be said",
                       "name it with --target; the others are the features, in their order");
  std::vector<std::size_t> out;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name() == target) continue;
    out.push_back(i);
    names.push_back(columns[i].name());
  }
  if (out.size() == signature.features.size()) return out;
  return not_adopted(
      "adopt-feature-count",
      fmt::format("the model reads {} features and names none, and the sample has {} "
                  "columns beside `{}`: {}",
                  signature.features.size(), out.size(), target, names_in_words(names)),
      "give a sample with the columns that it was fitted on, in their order, and the "
      "target");
}

/// As texts of numbers, of true and false, or as they are.
bool is_same_label(std::string_view a, std::string_view b) {
  if (a == b) return true;
  char* end_a = nullptr;
  char* end_b = nullptr;
  const std::string x(a);
  const std::string y(b);
  const double number_a = std::strtod(x.c_str(), &end_a);
  const double number_b = std::strtod(y.c_str(), &end_b);
  // Both are numbers as a whole: `1` and `1.0` are one label.
  if (!x.empty() && !y.empty() && *end_a == 0 && *end_b == 0) return number_a == number_b;
  const auto is_truth = [](std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text == "true" ? 1 : text == "false" ? 0 : -1;
  };
  return is_truth(x) >= 0 && is_truth(x) == is_truth(y);
}

const std::string* value_of_label(const std::vector<std::string>& values, std::string_view label) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const auto& value) { return is_same_label(value, label); });
  return found == values.end() ? nullptr : &*found;
}

/// 0, 1, ... K-1: a model fitted on codes of the classes.
bool are_codes(const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!is_same_label(labels[i], fmt::to_string(i))) return false;
  }
  return !labels.empty();
}

}  // namespace

Result<Matching> Matching::of(const train::Signature& signature,
                              const std::vector<Reading>& columns, const std::string& target) {
  Matching out;
  if (!target.empty()) {
    const auto names = column_names(columns);
    if (std::find(names.begin(), names.end(), target) == names.end()) {
      const std::string near = doc::nearest(target, names);
      return Error{ErrorKind::kInvalid, "init-no-column",
                   fmt::format("the file has no column `{}` (of --target)", target),
                   near.empty() ? fmt::format("its columns are {}", names_in_words(names))
                                : fmt::format("did you mean `{}`?", near)};
    }
    if (signature.is_named && signature.find(target) != nullptr)
      return Error{ErrorKind::kInvalid, "adopt-target-is-feature",
                   fmt::format("the model reads `{}`, which --target names", target),
                   "name the column that it predicts"};
  }
  if (signature.is_named) {
    HEDDLE_ASSIGN_OR_RETURN(out.features_, by_name(signature, columns));
  } else {
    HEDDLE_ASSIGN_OR_RETURN(out.features_, by_place(signature, columns, target));
  }
  HEDDLE_TRY(check_kinds(signature, columns, out.features_));
  // A column is left that can be the target.
  if (out.features_.size() < columns.size()) return out;
  return not_adopted(
      "adopt-no-target",
      "the sample has the model's features and no other column: before a model serves "
      "it is judged on rows whose true values are known",
      "add the column that it predicts to the sample, and name it with --target");
}

Result<ClassesOf> match_classes(const train::Signature& signature, const std::string& target,
                                const std::vector<std::string>& values) {
  ClassesOf out;
  std::vector<std::string> labels;
  for (const auto& each : signature.classes) labels.push_back(label_text(each));
  if (labels.empty()) return out;
  std::vector<std::string> found;
  // In the model's order, in the words of the file.
  for (const auto& label : labels) {
    if (const auto* value = value_of_label(values, label)) found.push_back(*value);
  }
  const bool is_binary = signature.task == "binary";
  if (found.size() == labels.size() && values.size() == labels.size()) {
    out.positive = is_binary ? found.back() : "";
    out.model_positive = is_binary ? labels.back() : "";
    out.classes = std::move(found);
    return out;
  }
  if (!are_codes(labels) || values.size() != labels.size()) {
    return not_adopted(
        "adopt-classes",
        fmt::format("the model's classes are {}, and the target `{}` has the values {}",
                    names_in_words(labels), target, names_in_words(values)),
        "give a sample whose target has the model's classes, each in some rows, or name another "
        "target with --target");
  }
  // Codes of sorted classes, as encoders of labels give them.
  out.classes = values;
  std::sort(out.classes.begin(), out.classes.end(), [](const auto& a, const auto& b) {
    // Whole numbers by their value, so that 10 stands after 9.
    const bool are_numbers = a.find_first_not_of("-0123456789") == std::string::npos &&
                             b.find_first_not_of("-0123456789") == std::string::npos;
    return are_numbers ? std::atoll(a.c_str()) < std::atoll(b.c_str()) : a < b;
  });
  if (is_binary) {
    out.positive = out.classes.back();
    out.model_positive = labels.back();
  }
  out.unsaid = fmt::format(
      "its classes are numbers: {} are taken for {}, the target's values in "
      "their order",
      names_in_words(labels), names_in_words(out.classes));
  if (is_binary) out.classes.clear();
  return out;
}

Inputs inputs_of(const train::Signature& signature, const std::vector<const Reading*>& columns) {
  bool are_numbers = true;
  bool are_exact = true;
  for (const Reading* column : columns) {
    are_numbers = are_numbers && is_number_kind(column->kind);
    const bool is_whole =
        column->kind == Kind::kBoolean ||
        (column->kind == Kind::kInteger && std::abs(column->column->numbers.low) <= kExactInFloat &&
         std::abs(column->column->numbers.high) <= kExactInFloat);
    are_exact = are_exact && is_whole;
  }
  if (!are_numbers)
    return {false, "it reads texts, categories or times: a worker of its own library answers"};
  const auto of = [&](std::string_view prefix) { return signature.of_class.starts_with(prefix); };
  if (of("xgboost.") || of("catboost.") || (of("onnxruntime.") && !signature.is_named))
    return {true, "its library reads its features as floats, as the engine does"};
  if (!of("lightgbm.") && !of("sklearn.ensemble._hist_gradient_boosting"))
    return {false, "the engine has no form of it: a worker of its own library answers"};
  if (are_exact) return {true, "its features are whole numbers, which floats hold exactly"};
  return {false, "it compares doubles, and the engine floats: a worker of its own library answers"};
}

std::vector<Finding> findings_of(const train::Signature& signature, const Decisions& decisions,
                                 const std::vector<std::string>& kept) {
  std::vector<Finding> out;
  const auto columns = decisions.adopted->columns;
  if (!signature.is_named)
    out.push_back({"model-unnamed",
                   fmt::format("the model names no feature: its {} are taken to be the sample's "
                               "columns in their order, {}",
                               columns.size(), names_in_words(columns)),
                   columns});
  if (!signature.unsaid.empty())
    out.push_back(
        {"model-unsaid", fmt::format("the model does not say {}: that is taken from the sample",
                                     fmt::join(signature.unsaid, ", and not "))});
  if (!decisions.adopted->classes_unsaid.empty())
    out.push_back({"model-classes", decisions.adopted->classes_unsaid});
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto& feature = signature.features[i];
    if (feature.type != "category") continue;
    const auto* column = decisions.profile->find(columns[i]);
    std::set<std::string> known;
    for (const auto& each : feature.categories) known.insert(label_text(each));
    std::vector<std::string> strange;
    for (const auto& entry : column->values.by_count()) {
      const bool is_known = std::any_of(known.begin(), known.end(), [&](const auto& each) {
        return is_same_label(each, entry.value);
      });
      if (!is_known && !entry.value.empty()) strange.push_back(entry.value);
    }
    if (!strange.empty())
      out.push_back({"model-unknown-category",
                     fmt::format("`{}` has {} values that the model was not taught, and reads as "
                                 "missing: {}",
                                 columns[i], strange.size(), names_in_words(strange)),
                     {columns[i]}});
  }
  if (!kept.empty())
    out.push_back({"model-reads-it",
                   fmt::format("the model reads {}, so {} in the contract and the features, "
                               "whatever is said of leaving out below",
                               names_in_words(kept), kept.size() == 1 ? "it stays" : "they stay"),
                   kept});
  return out;
}

}  // namespace heddle::draft
