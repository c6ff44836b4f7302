#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "profile/column.hpp"
#include "profile/row_sample.hpp"
#include "table/input.hpp"
#include "table/stream.hpp"

namespace heddle::profile {

/// What is known of a file of rows after one pass over it, in memory that does not grow with its
/// length: a profile of each column, which rows repeat, and a sample of whole rows for whatever
/// concerns several columns. A value type.
struct Profile {
  std::int64_t rows = 0;
  std::vector<ColumnProfile> columns{};
  DistinctSample repeats{};  ///< of whole rows, without their values
  RowSample sample{};
  std::vector<std::string> left_out{};  ///< columns that no column type can hold
  bool text = false;                    ///< of a CSV: every value is text
  /// Of a CSV: readers take `1,5` for a number where a contract asks for one (docs/files.md).
  bool decimal_comma = false;
  table::Input input{};  ///< that was read, with what has to be declared of it
  /// Words that are declared to be no value, with how often each stood there before.
  std::vector<std::pair<std::string, std::int64_t>> nulls{};

  [[nodiscard]] const ColumnProfile* find(std::string_view name) const noexcept;
};

/// Takes the rows of a file chunk by chunk. One thread.
class Profiler {
 public:
  /// `first_row`: of the file, where another profile has those before.
  Profiler(const std::vector<table::ColumnInfo>& columns, std::int64_t first_row = 0);
  void add(const table::Table& rows);
  [[nodiscard]] Profile finish() { return std::move(profile_); }
  [[nodiscard]] const Profile& so_far() const noexcept { return profile_; }

 private:
  Profile profile_;
  std::int64_t first_row_;
};

/// `profile` becomes that of its rows and those of `later`, which come after them in the file and
/// have the same columns.
void merge(Profile& profile, const Profile& later);

/// How far the reading of a file is.
struct Progress {
  std::int64_t rows = 0;
  std::int64_t chunks = 0;  ///< of a CSV about `kChunkBytes` each
  bool text = false;        ///< it is a CSV
};
inline constexpr double kChunkBytes = 4 << 20;

/// A file, a folder or a pattern, whole. `progress` is told after each chunk. Where words for no
/// value stand between the numbers or times of a CSV's column, `input.form.nulls` declares them and
/// the file is read once more; `input.form.decimal` where commas are meant that no rule finds.
[[nodiscard]] Result<Profile> profile_file(
    const table::Input& input, const std::function<void(const Progress&)>& progress = {});

}  // namespace heddle::profile
