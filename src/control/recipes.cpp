#include "control/recipes.hpp"

#include "bundle/bundle.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kSearches = "searches";

}  // namespace

Result<void> accept_search(store::Txn& txn, store::Objects& objects, const Digest& primary) {
  const auto opened = bundle::open(objects, primary);
  // What cannot be read is not served either: whoever loads it says so.
  if (!opened.ok()) return {};
  const auto& config = opened->config();
  const bool is_own = config.search && config.search->bundle.empty() && config.derived_from.empty();
  if (!is_own) return {};
  auto search = *config.search;
  search.bundle = primary;
  return txn.put(kSearches, config.model, doc::to_json(bundle::search_schema().print(search)));
}

Result<std::optional<bundle::Search>> accepted_search(store::State& state,
                                                      const std::string& model) {
  std::optional<bundle::Search> search;
  HEDDLE_TRY(state.read([&](store::Txn& txn) -> Result<void> {
    HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get(kSearches, model));
    if (!text) return {};
    auto stored = bundle::search_schema().parse_text(*text);
    if (!stored.ok()) return in_row(kSearches, model, std::move(stored.error()));
    search = *std::move(stored);
    return {};
  }));
  return search;
}

}  // namespace heddle::control
