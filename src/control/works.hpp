#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "control/home.hpp"
#include "control/service_rows.hpp"
#include "doc/value.hpp"
#include "jobs/jobs.hpp"
#include "store/store.hpp"

namespace heddle::control {

/// What takes long and a decision at a tick needs: a retrain, the comparison of a promotion, the
/// page of an incident. Each is a process of its own (docs/adr/0010), `heddle worker COMMAND DIR`:
/// it reads `DIR/request.json` and leaves `DIR/result.json`. Its request is kept in the state, so
/// that a start after a crash starts it again, and its result counts from a fixed event time on:
/// two replays of a journal decide the same, however fast the machine is. Confined to the control
/// thread.
class Works {
 public:
  using Work = WorkRow;

  Works(const Home& home, jobs::Runner* runner, std::string executable, std::string service)
      : home_(home),
        runner_(runner),
        executable_(std::move(executable)),
        service_(std::move(service)) {}
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
    std::optional<std::int64_t> handle{};  ///< of this process; none: to be started
    bool taken = false;
  };

  [[nodiscard]] std::string folder_of(const Work& work) const;
  [[nodiscard]] std::string key_of(const Work& work) const;
  [[nodiscard]] Result<bool> has_ended(Item& item);

  const Home& home_;
  jobs::Runner* runner_;
  std::string executable_;
  std::string service_;
  std::vector<Item> items_;
};

}  // namespace heddle::control
