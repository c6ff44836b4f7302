#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "replay/fault.hpp"
#include "stats/task.hpp"
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
    std::map<std::string, table::Type, std::less<>>
        types{};  ///< of the contract's fields, those of labels included
    /// Fields whose texts the contract reads: they are sent as they stand.
    std::set<std::string, std::less<>> as_text{};
    /// A column as the contract repairs it: times and labels are read from that. Unset: from the
    /// column as it is.
    std::function<Result<table::Column>(const table::Table& rows, const std::string& field)>
        repaired{};
    std::string target;  ///< CEL over the contract's fields: bool, a string or a number
    int sources = 1;
    std::string source_field{};
    Micros from = INT64_MIN;
    Micros to = INT64_MAX;
    int every = 1;
    std::uint64_t seed = 1;
    std::vector<Fault> faults{};
  };
  [[nodiscard]] static Result<Recording> open(const Options& options);

  [[nodiscard]] std::int64_t rows() const noexcept {
    return static_cast<std::int64_t>(labels_.size());
  }
  [[nodiscard]] Micros event_time(std::int64_t row) const noexcept {
    return times_[static_cast<std::size_t>(row)];
  }
  [[nodiscard]] int source(std::int64_t row) const noexcept {
    return sources_[static_cast<std::size_t>(row)];
  }
  /// As the world had it: `kInvertLabel` changes it, no other fault does. Empty where the target is
  /// null, fails or is no finite number: nobody knows what became of the row.
  [[nodiscard]] std::optional<stats::Label> label(std::int64_t row) const;
  /// What is sent as its label: the same, unless a `kWrongLabel` touches the row.
  [[nodiscard]] std::optional<stats::Label> sent_label(std::int64_t row) const;
  /// Bit i: fault i of the options touches this row.
  [[nodiscard]] std::uint8_t fault_bits(std::int64_t row) const noexcept {
    return bits_[static_cast<std::size_t>(row)];
  }
  [[nodiscard]] std::span<const Fault> faults() const noexcept { return faults_; }

  /// Appends the row as it is sent, one JSON object. A malformed cell is sent as the text that
  /// stands there.
  void append_json(std::int64_t row, std::string& out) const;
  /// The request fields of `rows` as they were sent and understood: values of numeric, code and
  /// time-shift faults applied. Rows with a text date cannot be in a typed column: their date stays
  /// the true one (every contract refuses them).
  [[nodiscard]] Result<table::Table> received(std::span<const std::int64_t> rows) const;
  [[nodiscard]] std::int64_t unlabelled() const noexcept { return unlabelled_; }
  /// Rows that have the time of a row before them, for their own is missing or malformed.
  [[nodiscard]] std::int64_t untimed() const noexcept { return untimed_; }

 private:
  struct FieldFault {
    int fault;
    int field;
  };
  Recording() = default;
  /// The times of the chosen rows and what they hold, before faults.
  [[nodiscard]] Result<table::Table> choose_rows(const Options& options);
  [[nodiscard]] Result<void> set_sources(const Options& options, const table::Table& picked);
  [[nodiscard]] Result<void> set_fields(const Options& options, const table::Table& picked);
  [[nodiscard]] Result<void> set_fault(const Options& options, std::size_t number);
  [[nodiscard]] Result<void> evaluate_target(const Options& options, const table::Table& picked);
  [[nodiscard]] std::optional<stats::Label> label_of(double code) const;
  /// Leaves the rows out that a `kDropPositive` touches.
  [[nodiscard]] Result<void> drop_positives(std::uint64_t seed);

  table::Table table_;               ///< request fields only, in their order
  std::vector<std::string> prefix_;  ///< `{"date":` or `,"distance":`
  std::vector<Micros> times_;
  /// 0 or 1 of a true-or-false target, a position in `words_` of one of strings, else the number;
  /// NaN: none.
  std::vector<double> labels_;
  table::Type target_ = table::Type::kBool;
  std::vector<std::string> words_;  ///< of a target of strings, in order of first use
  std::vector<std::uint8_t> sources_;
  std::vector<std::uint8_t> bits_;
  std::vector<Fault> faults_;
  std::vector<FieldFault> field_faults_;
  std::int64_t unlabelled_ = 0;
  std::int64_t untimed_ = 0;
};

/// A label as JSON: of a true-or-false target 1 or 0.
void append_label(const stats::Label& label, std::string& out);

/// CRC-32 (IEEE 802.3), the fixed hash that gives a row its source.
[[nodiscard]] std::uint32_t crc32(std::string_view bytes) noexcept;

}  // namespace heddle::replay
