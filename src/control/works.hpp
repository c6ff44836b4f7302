#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "control/service_rows.hpp"
#include "control/work_job.hpp"
#include "doc/value.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// What takes long and a decision at a tick needs: a retrain, the comparison of a promotion, the
/// page of an incident. Each is a job of its own (docs/adr/0010, work_job.hpp). Its request is kept
/// in the state, so that a start after a crash starts it again; its result is kept in a folder of
/// its name, and counts from a fixed event time on: two replays of a journal decide the same,
/// however fast the machine is. Confined to the control thread.
class Works {
 public:
  using Work = WorkRow;

  explicit Works(WorkParts parts) : parts_(std::move(parts)) {}
  Works(const Works&) = delete;
  Works& operator=(const Works&) = delete;

  /// Those that were kept, as a start finds them; none runs yet.
  [[nodiscard]] Result<void> restore(store::Txn& txn);
  /// Keeps it, in the transaction that decides it. A folder of its name that nothing kept is of
  /// other traffic: kIo `work-folder` when it cannot be removed.
  [[nodiscard]] Result<void> keep(store::Txn& txn, const Work& work) const;
  /// Starts what was kept.
  [[nodiscard]] Result<void> begin(Work work);
  /// What was kept under this name and is not forgotten.
  [[nodiscard]] const Work* find(std::string_view name) const;

  /// Starts what a crash ended. False while one that is due at `event_time` runs.
  [[nodiscard]] Result<bool> ended_by(Micros event_time);
  /// What it left: nullopt before it is due, and while it runs. A process that ended without a
  /// result, or left a damaged one, has left {"failed": why}.
  [[nodiscard]] std::optional<doc::Value> result(std::string_view name, Micros event_time) const;
  /// The decision that needed it is made: it is forgotten with the next snapshot.
  void taken(std::string_view name);
  [[nodiscard]] Result<void> drop_taken(store::Txn& txn) const;
  /// The snapshot without them is saved.
  void forget_taken();

  /// Event time was set back to `to`: nothing is due later.
  void due_by(Micros to);
  /// Ends the processes: the same service is opened anew in this process.
  void stop();

 private:
  struct Item {
    Work work;
    std::unique_ptr<WorkJob> job{};  ///< none: to be started
    bool taken = false;
  };

  [[nodiscard]] std::string folder_of(const Work& work) const;
  [[nodiscard]] std::string key_of(const Work& work) const;
  [[nodiscard]] Result<bool> has_ended(Item& item);
  [[nodiscard]] Result<void> name_bundle(const std::string& result) const;
  /// What a job left, and why there is no more of it, in the folder of its name.
  [[nodiscard]] Result<void> keep_result(const Work& work, WorkJob& job) const;

  WorkParts parts_;
  std::vector<Item> items_;
};

}  // namespace heddle::control
