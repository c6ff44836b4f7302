#include "control/works.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/failpoint.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "control/stored_rows.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kRetrain = "retrain";
/// Long for reading 512 MiB of a journal a few times; what hangs must not hang ticks for ever.
constexpr std::int64_t kTimeout = 30 * 60 * 1000;

doc::Value failed(std::string why) { return doc::Value::object({{"failed", std::move(why)}}); }

}  // namespace

std::string Works::folder_of(const Work& work) const { return home_.runs() + "/" + work.name; }

std::string Works::key_of(const Work& work) const { return service_ + "/" + work.name; }

Result<void> Works::restore(store::Txn& txn) {
  items_.clear();
  const auto take = [&](auto, auto, Work work) { items_.push_back({std::move(work)}); };
  HEDDLE_TRY(each_row(txn, kWorks, service_ + "/", work_row_schema(), take));
  return each_row(txn, kRetrains, service_ + "/", retrain_row_schema(), take);
}

Result<void> Works::keep(store::Txn& txn, const Work& work) const {
  const std::string folder = folder_of(work);
  // A folder that no work is known of is from before a restore of the state: its result is
  // another's.
  if (find(work.name) == nullptr && path_exists(folder)) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    if (ignored) {
      return Error{ErrorKind::kIo, "work-folder",
                   fmt::format("cannot remove `{}`: {}", folder, ignored.message()), "remove it"};
    }
  }
  return txn.put(kWorks, key_of(work), doc::to_json(work_row_schema().print(work)));
}

Result<void> Works::begin(Work work) {
  if (find(work.name) != nullptr) return {};
  items_.push_back({std::move(work)});
  HEDDLE_TRY(has_ended(items_.back()));
  return {};
}

const Works::Work* Works::find(std::string_view name) const {
  for (const Item& item : items_) {
    if (item.work.name == name) return &item.work;
  }
  return nullptr;
}

Result<bool> Works::ended_by(Micros event_time) {
  for (Item& item : items_) {
    HEDDLE_ASSIGN_OR_RETURN(const bool ended, has_ended(item));
    if (!ended && item.work.due <= event_time) return false;
  }
  return true;
}

Result<bool> Works::has_ended(Item& item) {
  const std::string folder = folder_of(item.work);
  const std::string result = folder + "/result.json";
  if (path_exists(result)) return true;
  if (!item.handle) {
    HEDDLE_TRY(make_dirs(folder));
    // After a crash the process goes on with the request that it was started with.
    if (!path_exists(folder + "/request.json"))
      HEDDLE_TRY(write_file_atomic(folder + "/request.json", item.work.request));
    jobs::Job job;
    job.name = item.work.name;
    job.argv = {executable_, "--project", home_.root(), "worker", item.work.command, folder};
    job.output_path = folder + "/log";
    // How long a retrain may take is its definition's, and a person can stop it.
    if (item.work.command != kRetrain) job.timeout_ms = kTimeout;
    HEDDLE_ASSIGN_OR_RETURN(item.handle, runner_->start(job));
    failpoint(item.work.command == kRetrain ? "control-retrain-started" : "control-work-started");
    return false;
  }
  HEDDLE_ASSIGN_OR_RETURN(const bool finished, runner_->finished(*item.handle));
  if (!finished) return false;
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome, runner_->wait(*item.handle));
  if (path_exists(result)) return true;
  // It ended without a result: that is its result, with the reason for people.
  HEDDLE_TRY(write_file_atomic(
      result, doc::to_json(failed(
                  fmt::format("the process of `worker {}` ended with exit code {}{}; its "
                              "log is `{}/log`",
                              item.work.command, outcome.exit_code,
                              outcome.timed_out ? " after its time was over" : "", folder)))));
  return true;
}

std::optional<doc::Value> Works::result(std::string_view name, Micros event_time) const {
  const Work* work = find(name);
  // Not before it is due, also where it has ended: how fast a machine is decides nothing.
  if (work == nullptr || event_time < work->due) return std::nullopt;
  const std::string path = folder_of(*work) + "/result.json";
  if (!path_exists(path)) return std::nullopt;
  const auto text = read_file(path);
  auto value = text.ok() ? doc::parse_json(*text) : Result<doc::Value>(text.error());
  // Read again it would say the same.
  if (!value.ok() || !value->is_object())
    return failed(fmt::format("its result `{}` is damaged", path));
  return *std::move(value);
}

void Works::taken(std::string_view name) {
  for (Item& item : items_) item.taken = item.taken || item.work.name == name;
}

Result<void> Works::drop_taken(store::Txn& txn) const {
  for (const Item& item : items_) {
    if (!item.taken) continue;
    HEDDLE_TRY(txn.erase(kWorks, key_of(item.work)));
    if (item.work.command == kRetrain) HEDDLE_TRY(txn.erase(kRetrains, key_of(item.work)));
  }
  return {};
}

void Works::forget_taken() {
  for (const Item& item : items_) {
    // The log of a retrain is for people; of the others the decision has all that they found.
    if (!item.taken || item.work.command == kRetrain) continue;
    std::error_code failure;
    std::filesystem::remove_all(folder_of(item.work), failure);
    if (failure) log::warn("cannot remove `{}`: {}", folder_of(item.work), failure.message());
  }
  std::erase_if(items_, [](const Item& item) { return item.taken; });
}

void Works::due_by(Micros to) {
  for (Item& item : items_) item.work.due = std::min(item.work.due, to);
}

void Works::stop() {
  for (Item& item : items_) {
    if (!item.handle) continue;
    runner_->stop(*item.handle);
    (void)runner_->wait(*item.handle);
    item.handle.reset();
  }
}

}  // namespace heddle::control
