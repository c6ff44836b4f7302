#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "replay/fault.hpp"
#include "replay/labels.hpp"
#include "replay/sent_fields.hpp"
#include "table/input.hpp"
#include "table/table.hpp"

namespace heddle::replay {

/// Recorded traffic with faults laid over it: what the world was (true event time, label) and what
/// is sent. Rows are in order of event time, as selected; one whose time is missing or malformed
/// has that of the row before it in the file. Immutable after `open`; reading is thread-safe.
class Recording {
 public:
  struct Options {
    table::Input file;
    std::string time_field;
    std::vector<std::string> fields;  ///< request fields
    /// Of the contract's fields, those of labels included. An expression may name what is here.
    std::map<std::string, table::Type, std::less<>> types{};
    /// Fields whose texts the contract reads: they are sent as they stand, and `change` of a fault
    /// reads them so.
    std::set<std::string, std::less<>> as_text{};
    /// A column as the contract repairs it: times, labels, `where` and `label` of faults are read
    /// from that. Unset: from the column as it is.
    std::function<Result<table::Column>(const table::Table& rows, const std::string& field)>
        repaired{};
    /// Request fields that the file lacks, and what adds their columns to rows as received.
    std::set<std::string, std::less<>> joined_fields{};
    std::function<Result<table::Table>(table::Table rows)> join{};
    std::string target;  ///< CEL over the contract's fields: bool, a string or a number
    /// Of the service; none: all rows are of `default`, as those of requests that name none.
    std::vector<std::string> sources{};
    std::string source_field{};
    Micros from = INT64_MIN;
    Micros to = INT64_MAX;
    int every = 1;
    std::uint64_t seed = 1;
    std::vector<spec::Fault> faults{};  ///< act one after another
  };
  [[nodiscard]] static Result<Recording> open(const Options& options);

  [[nodiscard]] std::int64_t rows() const noexcept {
    return static_cast<std::int64_t>(times_.size());
  }
  [[nodiscard]] Micros event_time(std::int64_t row) const noexcept {
    return times_[static_cast<std::size_t>(row)];
  }
  /// By place in the sources of the options.
  [[nodiscard]] int source(std::int64_t row) const noexcept {
    return sources_[static_cast<std::size_t>(row)];
  }
  /// As the world had it: `label` of a fault changes it. Empty where the target is null, fails or
  /// is no finite number: nobody knows what became of the row.
  [[nodiscard]] std::optional<stats::Label> label(std::int64_t row) const {
    return labels_.at(static_cast<std::size_t>(row));
  }
  /// What is sent as its label: the same, unless a fault has a `sent_label`.
  [[nodiscard]] std::optional<stats::Label> sent_label(std::int64_t row) const {
    return (sent_labels_ ? *sent_labels_ : labels_).at(static_cast<std::size_t>(row));
  }
  /// Bit i: fault i of the options touches this row.
  [[nodiscard]] FaultBits fault_bits(std::int64_t row) const noexcept {
    return bits_[static_cast<std::size_t>(row)];
  }
  /// How many rows each fault of the options touches, or leaves out.
  [[nodiscard]] std::span<const std::int64_t> touched() const noexcept { return touched_; }

  /// Appends the row as it is sent, one JSON object. A malformed cell is sent as the text that
  /// stands there.
  void append_json(std::int64_t row, std::string& out) const {
    fields_.append_json(static_cast<std::size_t>(row), out);
  }
  /// The request fields of `rows` as they were sent and understood: what is left out or renamed has
  /// no value, what is no value of the field's type is malformed.
  [[nodiscard]] table::Table received(std::span<const std::int64_t> rows) const {
    return fields_.received(rows);
  }
  [[nodiscard]] std::int64_t unlabelled() const noexcept { return labels_.unknown(); }
  /// Rows that have the time of a row before them, for their own is missing or malformed.
  [[nodiscard]] std::int64_t untimed() const noexcept { return untimed_; }

 private:
  Recording() = default;
  /// The times of the chosen rows and what they hold, before faults.
  [[nodiscard]] Result<table::Table> choose_rows(const Options& options);
  [[nodiscard]] Result<void> set_sources(const Options& options, const table::Table& picked);
  [[nodiscard]] Result<void> mark_faults(const Options& options, const table::Table& meant);
  /// Leaves the rows out that a fault drops, as they are sent and as the contract repairs them.
  [[nodiscard]] Result<void> drop_rows(const Options& options, table::Table& picked,
                                       table::Table& meant);
  [[nodiscard]] Result<void> lay_faults(const Options& options, const table::Table& meant);

  SentFields fields_;
  std::vector<Micros> times_;
  Labels labels_;
  std::optional<Labels> sent_labels_;  ///< where a fault makes them others than the world's
  std::vector<std::uint8_t> sources_;
  std::vector<FaultBits> bits_;
  std::vector<std::int64_t> touched_;
  std::int64_t untimed_ = 0;
};

/// CRC-32 (IEEE 802.3), the fixed hash that gives a row its source.
[[nodiscard]] std::uint32_t crc32(std::string_view bytes) noexcept;

}  // namespace heddle::replay
