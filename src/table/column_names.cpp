#include "table/column_names.hpp"

#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <arrow/util/utf8.h>

#include "doc/diagnostic.hpp"

namespace heddle::table {
namespace {

std::string folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

Error no_such_column(const std::string& path, const std::string& name,
                     const std::vector<std::string>& names) {
  const std::string near = doc::nearest(name, names);
  return Error{ErrorKind::kUnprocessable, "column-missing",
               fmt::format("`{}` has no column `{}`", path, name),
               near.empty() ? fmt::format("there are `{}`", fmt::join(names, "`, `"))
                            : fmt::format("did you mean `{}`? there are `{}`", near,
                                          fmt::join(names, "`, `"))};
}

Result<void> check_names(const std::string& path, const std::vector<std::string>& names) {
  arrow::util::InitializeUTF8();
  const auto wrong = [&](std::string_view id, std::string what, std::string hint) {
    return Error{ErrorKind::kInvalid, std::string(id), fmt::format("`{}`: {}", path, what),
                 std::move(hint)};
  };
  std::map<std::string, std::size_t> seen;
  std::map<std::string, std::size_t> folds;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    if (!arrow::util::ValidateUTF8(name)) {
      return wrong("table-column-encoding",
                   fmt::format("the name of column {} is not UTF-8", i + 1),
                   "save the file as UTF-8");
    }
    if (name.find_first_not_of(" \t\r\n") == std::string::npos) {
      return wrong("table-column-unnamed", fmt::format("column {} has no name", i + 1),
                   "name it or leave it out; pandas writes its index like this, "
                   "`to_csv(index=False)` does not");
    }
    if (name.find_first_of(" \t\r\n") == 0 || name.find_last_of(" \t\r\n") == name.size() - 1) {
      return wrong("table-column-spaces",
                   fmt::format("the name of column {}, `{}`, has spaces around it", i + 1, name),
                   "remove them from the header");
    }
    if (const auto [at, fresh] = seen.emplace(name, i); !fresh) {
      return wrong("table-column-twice",
                   fmt::format("column `{}` appears more than once, as columns {} and {}", name,
                               at->second + 1, i + 1),
                   "rename or remove one of the two");
    }
    if (const auto [at, fresh] = folds.emplace(folded(name), i); !fresh) {
      return wrong(
          "table-column-case",
          fmt::format("columns `{}` and `{}` differ only by case", names[at->second], name),
          "rename or remove one of the two");
    }
  }
  return {};
}

}  // namespace heddle::table
