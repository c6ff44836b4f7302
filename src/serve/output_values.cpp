#include "serve/output_values.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

#include "doc/json_string.hpp"
#include "stats/conformal.hpp"

namespace heddle::serve {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool is_served(const plane::RowView& row) noexcept {
  return row.outcome == plane::RowOutcome::kServed;
}

/// Calls `take(number)` for each number of an FP32 output; NaN where the row was not served.
template <class Take>
void each_number(const Answer& answer, Output output, Take&& take) {
  if (output == Output::kContributions) {
    for (const float number : answer.contributions) take(number);
    return;
  }
  const std::size_t outputs = output == Output::kProbabilities ? answer.task->outputs() : 1;
  for (const plane::RowView& row : answer.rows) {
    if (!is_served(row)) {
      for (std::size_t i = 0; i < outputs; ++i) take(kNaN);
    } else if (output == Output::kLower) {
      take(interval_of(answer, row).lower);
    } else if (output == Output::kUpper) {
      take(interval_of(answer, row).upper);
    } else {
      for (const float number : row.prediction) take(number);
    }
  }
}

/// Calls `take(flag)` for each flag of the BOOL output; false where the row was not served.
template <class Take>
void each_flag(const Answer& answer, Take&& take) {
  for (const plane::RowView& row : answer.rows) {
    for (std::size_t i = 0; i < answer.task->outputs(); ++i)
      take(is_served(row) && is_in_set(answer, row, i));
  }
}

template <class T>
void put_bytes(T value, std::string& out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put_comma(bool& first, std::string& out) {
  if (!std::exchange(first, false)) out.push_back(',');
}

void put_json_text(const Answer& answer, Output output, std::string& out) {
  bool first = true;
  for (std::size_t i = 0; i < answer.rows.size(); ++i) {
    const plane::RowView& row = answer.rows[i];
    put_comma(first, out);
    if (has_ids(output)) {
      // Ids are names of definitions: nothing in them needs an escape.
      out.push_back('"');
      put_ids(answer, output, i, out);
      out.push_back('"');
    } else if (is_served(row)) {
      put_class(*answer.task, label_of(answer, row), out);
    } else {
      out.append("null");
    }
  }
}

}  // namespace

void put_ids(const Answer& answer, Output output, std::size_t row, std::string& out) {
  if (output == Output::kRepairs) return put_repairs(answer, row, out);
  put_validation(answer.rows[row], out);
}

Dimensions dimensions_of(const Answer& answer, Output output) noexcept {
  const std::size_t columns = columns_of(*answer.task, output);
  if (columns > 0) return {{columns}, 1};
  if (output != Output::kContributions) return {};
  const std::size_t names = answer.contribution_names.size();
  // One margin a row needs no dimension of its own.
  if (answer.task->outputs() == 1) return {{names}, 1};
  return {{answer.task->outputs(), names}, 2};
}

std::string_view label_of(const Answer& answer, const plane::RowView& row) noexcept {
  return answer.task->classes[stats::Task::best(row.prediction)];
}

std::int64_t whole_label(const Answer& answer, const plane::RowView& row) noexcept {
  if (!is_served(row)) return kNoLabel;
  const std::string_view name = label_of(answer, row);
  std::int64_t number = kNoLabel;
  (void)std::from_chars(name.data(), name.data() + name.size(), number);
  return number;
}

bool is_in_set(const Answer& answer, const plane::RowView& row, std::size_t position) noexcept {
  return stats::holds(*answer.task, row.prediction, static_cast<double>(position),
                      answer.conformal->quantile);
}

stats::FloatBounds interval_of(const Answer& answer, const plane::RowView& row) noexcept {
  return stats::conformal_bounds(row.prediction[0], answer.conformal->quantile);
}

void put_class(const stats::Task& task, std::string_view name, std::string& out) {
  if (task.whole_classes)
    out.append(name);
  else
    doc::append_json_string(name, out);
}

void put_json(const Answer& answer, Output output, std::string& out) {
  bool first = true;
  switch (datatype_of(*answer.task, output)) {
    case Datatype::kFp32:
      return each_number(answer, output, [&](float number) {
        put_comma(first, out);
        if (std::isfinite(number))
          put_number(number, out);  // JSON has no NaN
        else
          out.append("null");
      });
    case Datatype::kBool:
      return each_flag(answer, [&](bool flag) {
        put_comma(first, out);
        out.append(flag ? "true" : "false");
      });
    default: return put_json_text(answer, output, out);
  }
}

void put_raw(const Answer& answer, Output output, std::string& out) {
  switch (datatype_of(*answer.task, output)) {
    case Datatype::kFp32:
      return each_number(answer, output, [&](float number) { put_bytes(number, out); });
    case Datatype::kBool:
      return each_flag(answer, [&](bool flag) { out.push_back(flag ? '\1' : '\0'); });
    case Datatype::kInt64:
      for (const plane::RowView& row : answer.rows) put_bytes(whole_label(answer, row), out);
      return;
    default:
      return each_text(answer, output, [&](std::string_view text) {
        put_bytes(static_cast<std::uint32_t>(text.size()), out);
        out.append(text);
      });
  }
}

}  // namespace heddle::serve
