#include "profile/profile.hpp"

#include <algorithm>
#include <map>

namespace heddle::profile {
namespace {

// Budgets of a whole profile, shared by its columns: a file of ten thousand columns must not take
// ten thousand times the memory of one.
constexpr std::size_t kValuesOfAll = 1 << 19;
constexpr std::size_t kMostValues = 4096;
constexpr std::size_t kFewestValues = 64;
constexpr std::int64_t kCellsOfSample = 1 << 23;
constexpr std::int64_t kMostSampleRows = 1 << 16;
constexpr std::int64_t kFewestSampleRows = 1 << 10;
constexpr std::size_t kRepeats = 1 << 17;

}  // namespace

const ColumnProfile* Profile::find(std::string_view name) const noexcept {
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const ColumnProfile& each) { return each.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

Profiler::Profiler(const std::vector<table::ColumnInfo>& columns, std::int64_t first_row)
    : first_row_(first_row) {
  const std::size_t count = std::max<std::size_t>(columns.size(), 1);
  const std::size_t values = std::clamp(kValuesOfAll / count, kFewestValues, kMostValues);
  profile_.repeats = DistinctSample(kRepeats);
  profile_.sample = RowSample(std::clamp(kCellsOfSample / static_cast<std::int64_t>(count),
                                         kFewestSampleRows, kMostSampleRows));
  for (const auto& column : columns)
    profile_.columns.emplace_back(column.name, column.type, values);
}

void Profiler::add(const table::Table& rows) {
  const std::int64_t first = first_row_ + profile_.rows;
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(rows.rows()), 0);
  const auto& columns = rows.columns();
  for (std::size_t i = 0; i < columns.size(); ++i)
    profile_.columns[i].add(columns[i], first, hashes);
  for (std::size_t i = 0; i < hashes.size(); ++i)
    profile_.repeats.add(hashes[i], first + static_cast<std::int64_t>(i),
                         [] { return std::string(); });
  profile_.sample.add(rows, first);
  profile_.rows += rows.rows();
}

void merge(Profile& profile, const Profile& later) {
  profile.rows += later.rows;
  for (std::size_t i = 0; i < profile.columns.size() && i < later.columns.size(); ++i)
    profile.columns[i].merge(later.columns[i]);
  profile.repeats.merge(later.repeats);
  profile.sample.merge(later.sample);
}

namespace {

/// Every value of the column that is a number has a decimal comma, or no fraction.
bool has_commas(const ColumnProfile& column) {
  const std::int64_t commas = column.looks_like(Look::kComma);
  return commas > 0 &&
         commas + column.looks_like(Look::kInteger) + column.looks_like(Look::kMissing) ==
             column.present();
}

/// Whether readers take commas for decimal points where a contract asks for numbers: by their own
/// rule, else declared, where no number has a point.
Result<void> settle_commas(Profile& profile) {
  std::map<std::string, expr::Type, std::less<>> types;
  bool has_points = false;
  for (const ColumnProfile& column : profile.columns) {
    if (has_commas(column)) types.emplace(column.name, expr::Type::kDouble);
    has_points = has_points || column.looks_like(Look::kNumber) > 0;
  }
  if (types.empty()) return {};
  HEDDLE_ASSIGN_OR_RETURN(const std::string words, table::form_in_words(profile.input, types));
  profile.decimal_comma = words.find("decimal comma") != std::string::npos;
  if (profile.decimal_comma || has_points) return {};
  profile.input.form.decimal = ',';
  profile.decimal_comma = true;
  return {};
}

/// Words for no value in columns that are numbers or times but for them.
std::map<std::string, std::int64_t> words_between_numbers(const Profile& profile) {
  std::map<std::string, std::int64_t> out;
  for (const ColumnProfile& column : profile.columns) {
    const std::int64_t words = column.looks_like(Look::kMissing);
    const std::int64_t others = column.looks_like(Look::kText) + column.looks_like(Look::kBoolean) +
                                column.looks_like(Look::kOtherTime);
    // With other words beside them they may be values like those.
    if (words == 0 || others > 0 || words == column.present()) continue;
    for (const auto& entry : column.words.entries()) out[entry.value] += entry.count;
  }
  return out;
}

Result<Profile> pass_over(const table::Input& input,
                          const std::function<void(const Progress&)>& progress) {
  HEDDLE_ASSIGN_OR_RETURN(const auto reader, table::TableReader::open(input));
  Profiler profiler(reader->columns());
  for (std::int64_t chunks = 1;; ++chunks) {
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, reader->next());
    if (!rows) break;
    profiler.add(*rows);
    if (progress) progress({profiler.so_far().rows, chunks, reader->text()});
  }
  Profile out = profiler.finish();
  out.input = input;
  out.left_out = reader->left_out();
  out.text = reader->text();
  return out;
}

}  // namespace

Result<Profile> profile_file(const table::Input& input,
                             const std::function<void(const Progress&)>& progress) {
  HEDDLE_ASSIGN_OR_RETURN(Profile out, pass_over(input, progress));
  // Only texts can be read in another way.
  if (!out.text) return out;
  if (const auto words = words_between_numbers(out); !words.empty()) {
    table::Input declared = input;
    auto& nulls = declared.form.nulls.emplace();
    // What readers take for no value by their own rule, which a declaration replaces.
    nulls = {"", "NULL", "null"};
    for (const auto& [word, count] : words) nulls.push_back(word);
    HEDDLE_ASSIGN_OR_RETURN(out, pass_over(declared, progress));
    out.nulls.assign(words.begin(), words.end());
  }
  HEDDLE_TRY(settle_commas(out));
  return out;
}

}  // namespace heddle::profile
