#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "expr/datum.hpp"
#include "table/lookup.hpp"

namespace heddle::table {

/// The keys of one part of a tuple over rows of one column: of a text asked for once, however many
/// rows it stands in. The codes of a text must stay what they are from call to call. One thread.
class KeyColumn {
 public:
  /// By `KeyPart::find`, or by `insert` where `grows` is the part itself.
  explicit KeyColumn(const KeyPart& part, KeyPart* grows = nullptr) : part_(part), grows_(grows) {}

  [[nodiscard]] std::optional<std::int64_t> at(const expr::ColumnView& view, std::int64_t row) {
    if (view.type != expr::Type::kString) return ask(view.at(row));
    if (view.valid != nullptr && view.valid[row] == 0) return std::nullopt;
    const auto code = static_cast<std::size_t>(view.codes[row]);
    if (code >= of_text_.size())
      of_text_.resize(std::max(code + 1, 2 * of_text_.size()), kNotAsked);
    if (of_text_[code] == kNotAsked)
      of_text_[code] = ask(expr::Datum::string(view.dictionary[code])).value_or(kNone);
    return of_text_[code] == kNone ? std::nullopt : std::optional(of_text_[code]);
  }

 private:
  // Keys of texts are codes: never below 0.
  static constexpr std::int64_t kNotAsked = -2;
  static constexpr std::int64_t kNone = -1;

  [[nodiscard]] std::optional<std::int64_t> ask(const expr::Datum& value) {
    return grows_ != nullptr ? grows_->insert(value) : part_.find(value);
  }

  const KeyPart& part_;
  KeyPart* grows_;
  std::vector<std::int64_t> of_text_;
};

}  // namespace heddle::table
