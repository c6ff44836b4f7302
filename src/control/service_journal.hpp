#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "doc/value.hpp"
#include "plane/journal.hpp"

namespace heddle::control {

/// The journal of a service as its control reads it: record by record from the place of the last
/// snapshot on. What nobody has to read again is said to its writer, which drops the oldest of it.
/// Confined to the control thread.
class ServiceJournal {
 public:
  /// Reads on from `from`. Where that segment is gone, from what is there; `lost` says so then. The
  /// folder is made.
  [[nodiscard]] static Result<ServiceJournal> open(std::string spool, plane::JournalPosition from);

  /// The next record; nullopt while there is none. An error is the journal's, and stays.
  [[nodiscard]] Result<std::optional<plane::Record>> next();
  /// What `next` gave is not taken now: it gives it again.
  void hold(plane::Record record);
  /// After the last record that was taken.
  [[nodiscard]] plane::JournalPosition position() const;
  /// Why it does not go on where it was read up to; empty: it does.
  [[nodiscard]] const std::string& lost() const noexcept { return lost_; }

  /// A start reads on from `position` now.
  void saved();
  /// Whether a start would know where to read on.
  [[nodiscard]] bool has_place() const noexcept { return saved_ > 0; }
  /// Segments that a start would read again.
  [[nodiscard]] std::uint64_t unsaved_segments() const;
  /// Segments up to this one are in the access log.
  void archived(std::uint64_t segment);
  /// Says to the writer what is neither read again after a crash nor wanted by the access log.
  void trim();

  /// Stops of the data plane that are there and were not read yet: [{"id", "by"}].
  [[nodiscard]] Result<doc::Value> unread_stops() const;

 private:
  ServiceJournal(std::string spool, std::unique_ptr<plane::JournalReader> reader)
      : spool_(std::move(spool)), reader_(std::move(reader)) {}

  std::string spool_;
  std::unique_ptr<plane::JournalReader> reader_;
  std::optional<plane::Record> held_{};
  plane::JournalPosition taken_{};  ///< before the last record that `next` gave
  std::string lost_{};
  std::uint64_t saved_ = 0;  ///< segment of the last snapshot's place
  std::uint64_t archived_ = 0;
  std::uint64_t consumed_ = 0;  ///< said to the writer
};

}  // namespace heddle::control
