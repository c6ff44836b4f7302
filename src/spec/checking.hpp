#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "doc/diagnostic.hpp"
#include "expr/outcomes.hpp"
#include "spec/check_outcomes.hpp"
#include "spec/files.hpp"
#include "spec/project.hpp"

namespace heddle::spec {

/// Text of each file that was read, by its path relative to the project: to place a finding inside
/// an expression.
using Texts = std::map<std::string, std::string>;

/// Whether a name can stand in rules, signatures, paths and the ledger and mean nothing but itself:
/// `kPlainName`.
[[nodiscard]] bool is_plain_name(std::string_view name);
inline constexpr std::string_view kPlainName =
    "letters, digits and `.`, `_`, `-`, `@`, `+`, at most 64";

/// What the checks of every kind need: the whole project, and how a finding is placed and told. A
/// kind's own checker derives from it. Not thread-safe.
class Checking {
 public:
  Checking(Project& project, const Texts& texts, const Files& files,
           std::vector<doc::Diagnostic>& diagnostics)
      : project_(project), texts_(texts), files_(files), diagnostics_(diagnostics) {}

  [[nodiscard]] Project& project() const noexcept { return project_; }
  [[nodiscard]] std::vector<doc::Diagnostic>& diagnostics() const noexcept { return diagnostics_; }

 protected:
  /// How an expression is used, and what its variables may hold.
  struct Setting {
    const expr::Environment& environment;
    std::vector<expr::Domain> domains{};
    Use use = Use::kValue;
  };

  doc::Diagnostic& report(const std::string& file, doc::Position at, std::string id,
                          std::string message, std::string hint);
  /// The position of a top-level key's value in a definition.
  [[nodiscard]] static doc::Position at(const Identity& identity, std::string_view key);
  /// Where item `i` of the list `key` stands.
  [[nodiscard]] static doc::Position at(const Identity& identity, std::string_view key,
                                        std::size_t i);
  /// Where offset `offset` of an expression stands, when it is written on one line.
  [[nodiscard]] doc::Position inside(const std::string& file, const Expression& expression,
                                     std::size_t offset) const;
  /// Compiles; a finding when it does not, or when it comes out the same whatever the rows are.
  /// `kNull` when it does not compile, else its type.
  expr::Type compile(const std::string& file, const std::string& what, const Expression& expression,
                     const Setting& setting, expr::Type expected);
  void check_outcome(const std::string& file, const std::string& what, const Expression& expression,
                     const Setting& setting);
  template <class Map>
  const typename Map::mapped_type* refer(const Identity& from, std::string_view key,
                                         const std::string& name, const Map& map,
                                         std::string_view kind) {
    const auto found = map.find(name);
    if (found != map.end()) return &found->second;
    if (name.empty()) return nullptr;  // missing-key says it
    std::vector<std::string> names;
    for (const auto& [each, value] : map) names.push_back(each);
    const std::string near = doc::nearest(name, names);
    report(from.file, at(from, key), "unknown-name", fmt::format("there is no {} `{}`", kind, name),
           !near.empty()   ? fmt::format("did you mean `{}`?", near)
           : names.empty() ? fmt::format("the project has no {} yet", kind)
                           : fmt::format("there is `{}`", fmt::join(names, "`, `")))
        .length = static_cast<int>(name.size());
    return nullptr;
  }

  void unique(const std::string& file, std::set<std::string>& seen, const std::string& name,
              doc::Position position, std::string_view what);
  [[nodiscard]] bool has_field(const Contract& contract, const std::string& name) const;
  void need_field(const std::string& file, doc::Position position, const Contract& contract,
                  const std::string& name, std::string_view what);
  /// Whether an expression names a property that rows do not have.
  void check_unread(const Contract& contract, const std::string& text, const std::string& file,
                    doc::Position position, const std::string& what);
  /// True, with a finding, when an expression names a field that is known only later.
  bool reads_label(const Contract& contract, const std::string& text, const std::string& file,
                   doc::Position position, const std::string& what);
  [[nodiscard]] const Contract* contract_of(const Model& model) const;
  [[nodiscard]] const Contract* contract_of(const Service& service) const;

  Project& project_;
  const Texts& texts_;
  const Files& files_;
  std::vector<doc::Diagnostic>& diagnostics_;
};

}  // namespace heddle::spec
