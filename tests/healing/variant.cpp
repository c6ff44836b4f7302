#include "healing/variant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "base/file.hpp"
#include "doc/yaml.hpp"
#include "spec/kinds.hpp"

namespace heddle::healing {
namespace {

constexpr std::string_view kBetween = "\n---\n";

Error bad(const std::string& file, std::string what) {
  return Error{ErrorKind::kInvalid, "healing-variant", fmt::format("{}: {}", file, what)};
}

Result<void> read_head(Variant& into, const doc::Value& head, const std::string& file) {
  for (const auto& [key, value] : head.as_object()) {
    bool* const flag = key == "nothing_is_right"   ? &into.nothing_is_right
                       : key == "labels_are_right" ? &into.labels_are_right
                       : key == "nobody_answers"   ? &into.nobody_answers
                                                   : nullptr;
    if (flag != nullptr && value.is_bool()) {
      *flag = value.as_bool();
    } else if (key == "own" && value.is_string()) {
      into.own = value.as_string();
    } else if (key == "every" && value.is_int() && value.as_int() > 0) {
      into.every = static_cast<int>(value.as_int());
    } else {
      return bad(file, fmt::format("`{}` is nothing that a variant says", key));
    }
  }
  return {};
}

Result<void> read_document(Variant& into, const std::string& text, const std::string& file) {
  HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_yaml(text, file));
  if (!value.is_object()) return bad(file, "a document that is no map");
  if (value.find("kind") == nullptr) return read_head(into, value, file);
  std::vector<doc::Diagnostic> found;
  spec::Project project;
  spec::fault_kind().read({file, text, value, nullptr, found}, project);
  if (!found.empty()) return bad(file, doc::render_concise(found.front()));
  for (auto& [name, fault] : project.faults) into.faults.push_back(std::move(fault));
  return {};
}

}  // namespace

Result<std::vector<Variant>> read_variants(const std::string& folder) {
  std::vector<Variant> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string file = entry.path().string();
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(file));
    Variant variant;
    variant.name = entry.path().stem().string();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(kBetween, begin), text.size());
      HEDDLE_TRY(read_document(variant, text.substr(begin, end - begin), file));
      begin = end == text.size() ? end : end + kBetween.size();
    }
    out.push_back(std::move(variant));
  }
  if (out.empty()) return bad(folder, "no variant is here");
  std::ranges::sort(out, {}, &Variant::name);
  return out;
}

}  // namespace heddle::healing
