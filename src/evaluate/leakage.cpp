#include <bit>
#include <cmath>
#include <limits>

#include "evaluate/evaluate.hpp"
#include "spec/environment.hpp"
#include "stats/association.hpp"
#include "stats/metrics.hpp"

namespace heddle::evaluate {
namespace {

/// The finaliser of SplitMix64: every input bit moves every output bit.
std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
std::uint64_t hash_text(std::string_view text) {
  std::uint64_t hash = mix(text.size());
  for (const char c : text) hash = mix(hash ^ static_cast<unsigned char>(c));
  return hash;
}

/// Adds one column to each row's hash. Equal values hash equal in whatever table they are.
void add_column(const table::Column& column, std::vector<std::uint64_t>& hashes) {
  std::vector<std::uint64_t> words;
  if (column.type == expr::Type::kString) {
    for (const std::string_view word : column.dictionary->views()) words.push_back(hash_text(word));
  }
  for (std::size_t row = 0; row < hashes.size(); ++row) {
    // `null` in ASCII, so that a missing value differs from 0 and from an empty text.
    std::uint64_t value = 0x6e756c6c;
    if (column.valid.empty() || column.valid[row] != 0) {
      value = column.type == expr::Type::kString
                  ? words[static_cast<std::size_t>(column.codes[row])]
              : column.type == expr::Type::kDouble
                  // Adding 0 makes -0 a 0: the two are equal, and their bits are not.
                  ? mix(std::bit_cast<std::uint64_t>(column.doubles[row] + 0.0))
                  : mix(static_cast<std::uint64_t>(column.ints[row]));
    }
    // By position: the same values in other columns are another row.
    hashes[row] = mix(hashes[row] ^ value);
  }
}

/// How well values predict labels; NaN where the rows cannot tell.
double association_of(const stats::Task& task, std::span<const float> values,
                      std::span<const double> labels) {
  switch (task.kind) {
    case stats::TaskKind::kBinary: {
      const double auc = stats::auc(values, labels);
      // A feature that predicts the other class as well gives the target away just as much.
      return std::max(auc, 1 - auc);
    }
    case stats::TaskKind::kClasses: return stats::pairwise_auc(values, labels, task.outputs());
    case stats::TaskKind::kRegression: break;
  }
  // By ranks: any monotone function of the target is found, not only a straight line.
  return std::abs(stats::rank_correlation(values, labels));
}

bool fits(std::span<const Micros> times, const table::Table& rows) {
  return times.empty() || static_cast<std::int64_t>(times.size()) == rows.rows();
}

bool is_given(const Split& split) {
  return split.task != nullptr && split.train_rows != nullptr && split.test_rows != nullptr &&
         split.test_features != nullptr;
}

/// Whether rows, features, labels and times are there and of the same rows.
bool is_whole(const Split& split) {
  if (!is_given(split)) return false;
  const std::int64_t rows = split.test_rows->rows();
  const bool is_named =
      split.feature_names.empty() ||
      static_cast<int>(split.feature_names.size()) == split.test_features->columns;
  return is_named && split.test_features->rows == rows &&
         static_cast<std::int64_t>(split.test_labels.size()) == rows &&
         fits(split.train_times, *split.train_rows) && fits(split.test_times, *split.test_rows) &&
         split.train_times.empty() == split.test_times.empty();
}

/// Rows to train on that happened after the first of those that are held out.
std::int64_t late_rows(const Split& split) {
  std::int64_t first = INT64_MAX;
  for (const Micros time : split.test_times) first = std::min(first, time);
  std::int64_t late = 0;
  for (const Micros time : split.train_times) late += time > first;
  return late;
}

/// Held-out rows that are equal to a row to train on, in all columns that both have.
void count_duplicates(const Split& split, Numbers& numbers) {
  std::vector<std::uint64_t> train_hashes(static_cast<std::size_t>(split.train_rows->rows()), 0);
  std::vector<std::uint64_t> test_hashes(static_cast<std::size_t>(split.test_rows->rows()), 0);
  for (const auto& column : split.train_rows->columns()) {
    const table::Column* other = split.test_rows->find(column.name);
    // Columns that only one table has, or in another type, cannot make rows equal.
    if (other == nullptr || other->type != column.type) continue;
    add_column(column, train_hashes);
    add_column(*other, test_hashes);
  }
  // 64 bits of hash: among a million rows a chance collision is no concern here.
  std::sort(train_hashes.begin(), train_hashes.end());
  std::int64_t duplicates = 0;
  for (const std::uint64_t hash : test_hashes)
    duplicates += std::binary_search(train_hashes.begin(), train_hashes.end(), hash);
  numbers["duplicate_rows"] = static_cast<double>(duplicates);
  numbers["duplicate_share"] = static_cast<double>(duplicates) /
                               static_cast<double>(std::max<std::size_t>(test_hashes.size(), 1));
}

/// How well one feature predicts the target, over the rows where it is not missing.
double predicts_alone(const Split& split, int column) {
  std::vector<float> values;
  std::vector<double> labels;
  for (std::int64_t row = 0; row < split.test_features->rows; ++row) {
    const float value = split.test_features->row(row)[column];
    if (std::isnan(value)) continue;
    values.push_back(value);
    labels.push_back(split.test_labels[static_cast<std::size_t>(row)]);
  }
  return association_of(*split.task, values, labels);
}

}  // namespace

Result<Leakage> leakage(const Split& split) {
  if (!is_whole(split)) {
    return Error{ErrorKind::kInvalid, "evaluate-shape",
                 "the two sides of the split, features and labels do not fit together",
                 "give rows, features and labels of the same held-out rows"};
  }
  Leakage out;
  if (!split.train_times.empty())
    out.numbers["time_order_violations"] = static_cast<double>(late_rows(split));
  count_duplicates(split, out.numbers);
  double largest = std::numeric_limits<double>::quiet_NaN();
  for (int column = 0; column < split.test_features->columns; ++column) {
    const double alone = predicts_alone(split, column);
    if (std::isnan(alone)) continue;
    if (std::isnan(largest) || alone > largest) {
      largest = alone;
      out.single_feature = split.feature_names.empty()
                               ? fmt::format("feature {}", column)
                               : split.feature_names[static_cast<std::size_t>(column)];
    }
  }
  out.numbers[std::string(spec::single_feature_measure(split.task->kind))] = largest;
  return out;
}

}  // namespace heddle::evaluate
