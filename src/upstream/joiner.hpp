#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "contract/contract.hpp"
#include "spec/project.hpp"
#include "table/table.hpp"

namespace heddle::upstream {

/// The `upstream` fields among `fields` that a file with these columns lacks, in their order: these
/// are computed. What a file has is taken from it.
[[nodiscard]] std::vector<spec::Field> fields_to_join(std::span<const spec::Field> fields,
                                                      std::span<const table::ColumnInfo> columns);
/// The sources that they are computed from.
[[nodiscard]] std::set<std::string> sources_of(std::span<const spec::Field> fields);

/// Computes `upstream` fields for rows that do not have them, from the rows of their sources: what
/// a row could have known at its time (spec/upstream.hpp has the rule). Holds the columns that are
/// needed of the sources, sorted by key and time; a row costs O(log n) a field. Immutable; any
/// number of threads may join.
class Joiner {
 public:
  struct Options {
    const spec::Project* project = nullptr;        ///< has the sources; borrowed for `open`
    const contract::Contract* contract = nullptr;  ///< of the rows; must outlive the joiner
    std::vector<spec::Field> fields{};             ///< of the contract: these are computed
    std::string time_field{};                      ///< of the rows
    /// The source whose rows the contract describes: its columns are read as the contract repairs
    /// them, as those of the rows are.
    std::string own_source{};
  };
  /// The errors of reading a source; kInvalid without a time field.
  [[nodiscard]] static Result<Joiner> open(const Options& options);

  Joiner(Joiner&&) noexcept;
  ~Joiner();

  /// The rows with a column for each field, after their own. `rows` are as they were received, by
  /// the contract's types; key and time are taken as the contract repairs them. A row without its
  /// time, or without a part of the key, sees nothing. kUnprocessable when they have no column for
  /// one of these.
  [[nodiscard]] Result<table::Table> join(table::Table rows) const;
  /// Those columns alone.
  [[nodiscard]] Result<std::vector<table::Column>> columns(const table::Table& rows) const;

  [[nodiscard]] std::span<const spec::Field> fields() const noexcept;
  /// Fields of the rows that `join` reads.
  [[nodiscard]] const std::set<std::string>& reads() const noexcept;
  /// For people: what is computed from which source, and what of it could not be read.
  [[nodiscard]] std::vector<std::string> notes() const;

 private:
  struct Parts;
  explicit Joiner(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

}  // namespace heddle::upstream
