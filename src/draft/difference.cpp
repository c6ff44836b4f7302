#include "draft/difference.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace heddle::draft {
namespace {

constexpr std::size_t kAround = 3;
/// Past so many cells of the table a file is shown as replaced: its drafts have a few thousand
/// lines at most.
constexpr std::size_t kMostCells = 64u << 20;

struct Line {
  char mark = ' ';  ///< ' ', '-' or '+'
  std::string_view text{};
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    out.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return out;
}

/// What stays, goes and comes, in order.
std::vector<Line> compared(const std::vector<std::string_view>& a,
                           const std::vector<std::string_view>& b) {
  std::vector<Line> out;
  const std::size_t n = a.size();
  const std::size_t m = b.size();
  if ((n + 1) * (m + 1) > kMostCells) {
    for (const auto line : a) out.push_back({'-', line});
    for (const auto line : b) out.push_back({'+', line});
    return out;
  }
  // common[i][j]: the longest common subsequence of what follows line i of `a` and j of `b`.
  std::vector<std::uint32_t> common((n + 1) * (m + 1), 0);
  const auto at = [&](std::size_t i, std::size_t j) -> std::uint32_t& {
    return common[i * (m + 1) + j];
  };
  // From the end, so that the walk below can go forward.
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t j = m; j-- > 0;)
      at(i, j) = a[i] == b[j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
  }
  std::size_t i = 0;
  std::size_t j = 0;
  // Where either could come next, what goes stands before what comes.
  while (i < n || j < m) {
    if (i < n && j < m && a[i] == b[j]) {
      out.push_back({' ', a[i]});
      ++i;
      ++j;
    } else if (i < n && (j == m || at(i + 1, j) >= at(i, j + 1))) {
      out.push_back({'-', a[i++]});
    } else {
      out.push_back({'+', b[j++]});
    }
  }
  return out;
}

}  // namespace

std::string difference(std::string_view before, std::string_view after, std::string_view name) {
  if (before == after) return "";
  const auto lines = compared(lines_of(before), lines_of(after));
  std::vector<char> is_shown(lines.size(), 0);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].mark == ' ') continue;
    const std::size_t first = i < kAround ? 0 : i - kAround;
    const std::size_t end = std::min(lines.size(), i + kAround + 1);
    std::fill(is_shown.begin() + static_cast<std::ptrdiff_t>(first),
              is_shown.begin() + static_cast<std::ptrdiff_t>(end), 1);
  }
  std::string out = fmt::format("--- {0}\n+++ {0} (as drafted now)\n", name);
  std::size_t old_line = 1;
  std::size_t new_line = 1;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (is_shown[i] != 0) {
      // Each run of lines begins with its place, as in a unified diff.
      if (i == 0 || is_shown[i - 1] == 0) out += fmt::format("@@ -{} +{} @@\n", old_line, new_line);
      out += lines[i].mark;
      out += lines[i].text;
      out += '\n';
    }
    old_line += lines[i].mark != '+' ? 1 : 0;
    new_line += lines[i].mark != '-' ? 1 : 0;
  }
  return out;
}

}  // namespace heddle::draft
