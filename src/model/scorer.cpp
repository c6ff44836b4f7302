#include "model/scorer.hpp"

#include "model/forest.hpp"
#include "model/logistic.hpp"

namespace heddle::model {

Result<std::unique_ptr<Scorer>> Scorer::load(std::string_view bytes) {
  // Our own format puts `format` first; a model of XGBoost has no such key outside its trees and is by far the larger.
  const std::string_view head = bytes.substr(0, 64);
  const auto key = head.find("\"format\"");
  if (key != std::string_view::npos && head.find("heddle.logistic/1", key) != std::string_view::npos) return load_logistic(bytes);
  HEDDLE_ASSIGN_OR_RETURN(const ParsedForest parsed, parse_xgboost_json(bytes));
  return Forest::build(parsed);
}

}  // namespace heddle::model
