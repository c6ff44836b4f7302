#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle {

/// What there is of one kind, by name, in the order of its table. `T` has `name()`. Rows are
/// constant and live as long as the program; `add` is for a program that brings a row of its own,
/// before anything is read from the table. Reading is thread-safe.
template <class T>
class Registry {
 public:
  explicit Registry(std::vector<const T*> rows) : rows_(std::move(rows)), built_in_(rows_.size()) {}

  [[nodiscard]] const T* find(std::string_view name) const noexcept {
    const auto at =
        std::find_if(rows_.begin(), rows_.end(), [&](const T* row) { return row->name() == name; });
    return at == rows_.end() ? nullptr : *at;
  }
  [[nodiscard]] std::span<const T* const> rows() const noexcept { return rows_; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const T* row : rows_) out.emplace_back(row->name());
    return out;
  }
  /// A row that is there already is not added again; true: it was added.
  bool add(const T& row) {
    if (find(row.name()) != nullptr) return false;
    rows_.push_back(&row);
    return true;
  }
  /// Whether the row is of Heddle's own table.
  [[nodiscard]] bool is_built_in(const T& row) const noexcept {
    const auto end = rows_.begin() + static_cast<std::ptrdiff_t>(built_in_);
    return std::find(rows_.begin(), end, &row) != end;
  }

 private:
  std::vector<const T*> rows_;
  std::size_t built_in_;
};

}  // namespace heddle
