#include "report/sentences.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heddle::report {
namespace {

using draft::percent;

constexpr std::size_t kMostNamed = 3;

double share_of(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

void say_missing(const ColumnReport& column, const Pair& pair, std::vector<std::string>& out) {
  if (!column.missing || !column.missing->moved) return;
  out.push_back(
      fmt::format("missing in {} of the rows, in the reference in {}",
                  percent(share_of(pair.file.missing, pair.file.bins.total())),
                  percent(share_of(pair.reference.missing, pair.reference.bins.total()))));
}

void say_numbers(const ColumnReport& column, std::vector<std::string>& out) {
  if (!column.values || !column.values->moved) return;
  if (!column.file->mean || !column.reference->mean) return;
  const std::string_view of = column.of_lengths ? "length: " : "";
  out.push_back(fmt::format("{}mean {}, in the reference {}", of, number_text(*column.file->mean),
                            number_text(*column.reference->mean)));
  out.push_back(fmt::format("standard deviation {}, in the reference {}",
                            number_text(*column.file->sd), number_text(*column.reference->sd)));
}

/// Whether none of `rows` has what comes with this share: with a chance of (1 - share)^rows, which
/// is below exp(-share rows).
bool is_no_chance(double share, std::int64_t rows, double chance) {
  return share * static_cast<double>(rows) > -std::log(chance);
}

/// Shares of the values that there are, of each file.
struct Shares {
  double reference = 0;
  double file = 0;
};

std::string named(const Frequency& value, double share) {
  return fmt::format("`{}` ({})", value.value, percent(share));
}

/// The first few with the largest shares, and how many more.
void say_named(std::vector<std::pair<double, const Frequency*>> values, std::string_view what,
               std::vector<std::string>& out) {
  if (values.empty()) return;
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> names;
  for (const auto& [share, value] : values) {
    if (names.size() < kMostNamed) names.push_back(named(*value, share));
  }
  const std::string more = values.size() > kMostNamed
                               ? fmt::format(" and {} more", values.size() - kMostNamed)
                               : std::string();
  out.push_back(fmt::format("{} {}{}", what, fmt::join(names, ", "), more));
}

void say_categories(const ColumnReport& column, const Pair& pair, std::vector<std::string>& out) {
  std::vector<std::pair<double, const Frequency*>> came;
  std::vector<std::pair<double, const Frequency*>> went;
  const std::int64_t n = pair.reference.bins.total() - pair.reference.missing;
  const std::int64_t m = pair.file.bins.total() - pair.file.missing;
  const Frequency* most = nullptr;
  Shares of_most;
  for (const Frequency& value : column.frequent) {
    const Shares shares{share_of(value.reference, n), share_of(value.file, m)};
    // A rare value may be missing in the other file by chance, and is not told then.
    if (value.reference == 0 && is_no_chance(shares.file, n, pair.chance))
      came.emplace_back(shares.file, &value);
    if (value.file == 0 && is_no_chance(shares.reference, m, pair.chance))
      went.emplace_back(shares.reference, &value);
    const bool is_in_both = value.reference > 0 && value.file > 0;
    if (is_in_both &&
        std::abs(shares.file - shares.reference) > std::abs(of_most.file - of_most.reference)) {
      most = &value;
      of_most = shares;
    }
  }
  const bool has_moved = column.values && column.values->moved;
  // Of values that mostly come once, others come in every file.
  const bool come_again = column.other_values && column.other_values->reference * 2 < n;
  if (come_again || has_moved) {
    say_named(std::move(came), "new:", out);
    say_named(std::move(went), "gone:", out);
  }
  if (has_moved && most != nullptr)
    out.push_back(fmt::format("`{}` in {} of the rows, in the reference in {}", most->value,
                              percent(of_most.file), percent(of_most.reference)));
}

void say_range(const ColumnReport& column, const Pair& pair, std::vector<std::string>& out) {
  const std::int64_t present = pair.file.bins.total() - pair.file.missing;
  const bool is_time = pair.plan.type == expr::Type::kTimestamp;
  const auto text = [&](double place) {
    return is_time ? format_time(static_cast<Micros>(place)) : number_text(place);
  };
  if (column.names_rows) return;
  if (pair.file.above > 0)
    out.push_back(fmt::format("{} {} the reference's {}, {}",
                              percent(share_of(pair.file.above, present)),
                              is_time ? "later than" : "above",
                              is_time             ? "latest"
                              : column.of_lengths ? "longest"
                                                  : "largest",
                              text(pair.reference.numbers.high)));
  if (pair.file.below > 0)
    out.push_back(fmt::format("{} {} the reference's {}, {}",
                              percent(share_of(pair.file.below, present)),
                              is_time ? "before" : "below",
                              is_time             ? "earliest"
                              : column.of_lengths ? "shortest"
                                                  : "least",
                              text(pair.reference.numbers.low)));
}

/// Hours that are all later or earlier by the same: a time zone.
void say_hours(const ColumnReport& column, const Pair& pair, std::vector<std::string>& out) {
  if (!column.values || !column.values->moved) return;
  doc::Value detail;
  pair.plan.statistic->detail(pair.reference.bins, pair.file.bins, detail);
  const std::int64_t lag = detail.int_or("lag_hours");
  // Shifted by the lag, the hours must be nearer by half at least.
  if (lag == 0 || detail.double_or("residual", 1) > column.values->size / 2) {
    out.emplace_back("other hours of the day (UTC)");
    return;
  }
  out.push_back(fmt::format("hours of the day as in the reference, {} h {}", std::abs(lag),
                            lag > 0 ? "later" : "earlier"));
}

}  // namespace

std::string number_text(double number) {
  // Whole numbers whole, for they are counts and codes, and so are large ones.
  const double size = std::abs(number);
  if ((std::trunc(number) == number || size >= 1000) && size < 1e12)
    return draft::counted(std::llround(number));
  return fmt::format("{:.4g}", number);
}

std::vector<std::string> sentences_of(const ColumnReport& column, const Pair& pair) {
  std::vector<std::string> out;
  say_missing(column, pair, out);
  if (!pair.plan.grid) {
    say_categories(column, pair, out);
    return out;
  }
  if (pair.plan.type == expr::Type::kTimestamp) {
    say_hours(column, pair, out);
  } else {
    say_numbers(column, out);
  }
  say_range(column, pair, out);
  return out;
}

}  // namespace heddle::report
