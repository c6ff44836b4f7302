#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "serve/answer.hpp"
#include "serve/outputs.hpp"
#include "stats/conformal_bounds.hpp"

/// The values of one output of all rows of an answer, as each protocol writes them.
namespace heddle::serve {

/// Calls `take(output)` for each output that is wanted and there, in order.
template <class Take>
void for_each_output(const Answer& answer, const OutputSpecs& wanted, Take&& take) {
  for (std::size_t i = 0; i < kOutputs; ++i) {
    const auto output = static_cast<Output>(i);
    const bool is_there = output == Output::kContributions
                              ? !answer.contributions.empty()
                              : wanted[output].wanted &&
                                    has_output(*answer.task, answer.conformal != nullptr, output);
    if (is_there) take(output);
  }
}

/// Dimensions of an output's tensor after that of the rows.
struct Dimensions {
  std::array<std::size_t, 2> each{};
  std::size_t count = 0;
};
[[nodiscard]] Dimensions dimensions_of(const Answer& answer, Output output) noexcept;

/// In an INT64 tensor, which has no NaN: the row was not served.
inline constexpr std::int64_t kNoLabel = std::numeric_limits<std::int64_t>::min();

/// The values of a JSON tensor, flat and comma-separated; null where a row was not served.
void put_json(const Answer& answer, Output output, std::string& out);
/// A tensor's raw bytes, little-endian, BYTES each after a 4-byte length. Of a row that was not
/// served: NaN, `kNoLabel`, false, or no text.
void put_raw(const Answer& answer, Output output, std::string& out);
/// Whether an output has ids of rules or repairs; those of one row, comma-separated.
[[nodiscard]] constexpr bool has_ids(Output output) noexcept {
  return output == Output::kValidation || output == Output::kRepairs;
}
void put_ids(const Answer& answer, Output output, std::size_t row, std::string& out);
/// Of an output of texts: calls `take(text)` for each row; the text is borrowed for the call.
template <class Take>
void each_text(const Answer& answer, Output output, Take&& take);
/// Of a label output of whole numbers.
[[nodiscard]] std::int64_t whole_label(const Answer& answer, const plane::RowView& row) noexcept;

/// The most probable class of a row that was served.
[[nodiscard]] std::string_view label_of(const Answer& answer, const plane::RowView& row) noexcept;
/// Whether the class is in the row's set.
[[nodiscard]] bool is_in_set(const Answer& answer, const plane::RowView& row,
                             std::size_t position) noexcept;
/// Of a row of a regression that was served.
[[nodiscard]] stats::FloatBounds interval_of(const Answer& answer,
                                             const plane::RowView& row) noexcept;

/// A class as a JSON value: a string, or a whole number.
void put_class(const stats::Task& task, std::string_view name, std::string& out);

template <class Take>
void each_text(const Answer& answer, Output output, Take&& take) {
  std::string ids;
  for (std::size_t i = 0; i < answer.rows.size(); ++i) {
    const plane::RowView& row = answer.rows[i];
    if (has_ids(output)) {
      ids.clear();
      put_ids(answer, output, i, ids);
      take(std::string_view(ids));
    } else {
      const bool is_served = row.outcome == plane::RowOutcome::kServed;
      take(is_served ? label_of(answer, row) : std::string_view());
    }
  }
}

}  // namespace heddle::serve
