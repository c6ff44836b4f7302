#include "model/scorer.hpp"

#include "model/file_kind.hpp"
#include "model/forest.hpp"
#include "model/lightgbm.hpp"
#include "model/onnx.hpp"
#include "model/standardised.hpp"
#include "model/xgboost.hpp"

namespace heddle::model {
namespace {

/// XGBoost's UBJSON is an object whose first key, like every key, is a length with its type. JSON
/// would have a quote there.
bool is_ubjson(std::string_view bytes) {
  return bytes.size() > 1 && bytes[0] == '{' &&
         std::string_view("iUIlL#$").find(bytes[1]) != std::string_view::npos;
}

}  // namespace

Result<std::unique_ptr<Scorer>> Scorer::load(std::string_view bytes, const LoadOptions& options) {
  // Our own format puts `format` first; a model of XGBoost has no such key outside its trees and is
  // by far the larger.
  const std::string_view head = bytes.substr(0, 64);
  const auto key = head.find("\"format\"");
  if (key != std::string_view::npos && head.find("heddle.linear/1", key) != std::string_view::npos)
    return load_standardised(bytes);
  if (bytes.starts_with("tree\n") || bytes.starts_with("tree\r\n")) {
    HEDDLE_ASSIGN_OR_RETURN(ParsedForest parsed, parse_lightgbm(bytes));
    return build_forest(std::move(parsed), options);
  }
  if (auto other = not_a_model(bytes)) return std::move(*other);
  // A ModelProto begins with its field 1, ir_version, as every writer of ONNX puts it.
  if (bytes.starts_with('\x08')) return load_onnx(bytes, options);
  const auto first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || bytes[first] != '{') {
    return Error{ErrorKind::kCorrupt, "model-corrupt",
                 fmt::format("the file is no model of a known format: it begins with `{}`",
                             shown(bytes.substr(0, 16))),
                 "give XGBoost's JSON or UBJSON, LightGBM's text, or ONNX (docs/formats/model.md)"};
  }
  HEDDLE_ASSIGN_OR_RETURN(XgboostParts parts, is_ubjson(bytes) ? parse_xgboost_ubjson(bytes)
                                                               : parse_xgboost_json(bytes));
  HEDDLE_ASSIGN_OR_RETURN(ParsedForest parsed, xgboost_forest(std::move(parts)));
  return build_forest(std::move(parsed), options);
}

Result<void> Scorer::contributions(std::span<const float> /*row*/,
                                   std::span<double> /*out*/) const {
  return Error{ErrorKind::kInvalid, "model-no-contributions",
               fmt::format("`{}` does not tell what its features contribute", format()),
               "ask for the other outputs"};
}

}  // namespace heddle::model
