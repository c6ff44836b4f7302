#include "control/recipes.hpp"

#include "bundle/bundle.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kSearches = "searches";

}  // namespace

Result<void> accept_search(store::Txn& txn, store::Objects& objects, const Digest& primary) {
  const auto opened = bundle::open(objects, primary);
  // What cannot be read is not served either: whoever loads it says so.
  if (!opened.ok()) return {};
  const doc::Value& config = opened->config();
  const doc::Value* found = config.find("search");
  const bool is_own = found != nullptr && found->is_object() && found->find("bundle") == nullptr &&
                      config.string_or("derived_from").empty();
  if (!is_own || config.string_or("model").empty()) return {};
  auto search = *found;
  search.set("bundle", primary.str());
  // A bundle from elsewhere may have something else there: that is no reason against its release.
  if (!flow::Recipe::from_value(search).ok()) return {};
  return txn.put(kSearches, config.string_or("model"), doc::to_json(search));
}

Result<doc::Value> accepted_search(store::State& state, const std::string& model) {
  doc::Value search;
  HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get(kSearches, model));
    if (!text) return {};
    HEDDLE_ASSIGN_OR_RETURN(search, doc::parse_json(*text));
    return {};
  }));
  return search;
}

}  // namespace heddle::control
