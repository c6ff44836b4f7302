#include "control/works.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "bundle/bundle.hpp"
#include "control/stored_rows.hpp"
#include "control/work_files.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

constexpr std::string_view kRetrain = "retrain";
/// Long for reading 512 MiB of a journal a few times; what hangs must not hang ticks for ever.
constexpr std::int64_t kTimeout = 30 * 60 * 1000;

doc::Value failed(std::string why) { return doc::Value::object({{"failed", std::move(why)}}); }

}  // namespace

std::string Works::folder_of(const Work& work) const {
  return parts_.home->runs() + "/" + work.name;
}

std::string Works::key_of(const Work& work) const { return parts_.service + "/" + work.name; }

Result<void> Works::restore(store::Txn& txn) {
  items_.clear();
  const auto take = [&](auto, auto, Work work) { items_.push_back({std::move(work)}); };
  HEDDLE_TRY(each_row(txn, kWorks, parts_.service + "/", work_row_schema(), take));
  return each_row(txn, kRetrains, parts_.service + "/", retrain_row_schema(), take);
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
  const std::string result = folder + "/" + kWorkResult;
  // It ended before a restart: the result is kept, and the process is not begun again.
  if (path_exists(result)) return true;
  const auto ends = [&]() -> Result<bool> {
    if (!item.job) {
      HEDDLE_TRY(make_dirs(folder));
      // How long a retrain may take is its definition's, and a person can stop it.
      const std::int64_t timeout = item.work.command == kRetrain ? 0 : kTimeout;
      HEDDLE_ASSIGN_OR_RETURN(
          item.job, WorkJob::begin(parts_, {item.work.command, item.work.name, item.work.request,
                                            folder, timeout}));
    }
    HEDDLE_ASSIGN_OR_RETURN(const bool ended, item.job->has_ended());
    if (ended) HEDDLE_TRY(keep_result(item.work, *item.job));
    return ended;
  }();
  if (ends.ok() && !*ends) return false;
  // Its folder goes with it, whatever the reason of the end.
  item.job.reset();
  if (ends.ok()) return true;
  // A disk may do what it did not, and this program is there once it is installed again.
  if (ends.error().kind == ErrorKind::kIo || ends.error().kind == ErrorKind::kUnavailable)
    return ends.error();
  HEDDLE_TRY(write_file_atomic(
      result, doc::to_json(failed(fmt::format("{} ({})", ends.error().message, ends.error().id)))));
  return true;
}

/// The bundle of a retrain is found by the beginning of its digest, as one of a run is.
Result<void> Works::name_bundle(const std::string& result) const {
  const auto value = doc::parse_json(result);
  const auto left =
      value.ok() ? parse_retrain_result(*value) : Result<RetrainResult>(value.error());
  if (!left.ok() || left->bundle.empty()) return {};  // who reads the result says what it is
  HEDDLE_ASSIGN_OR_RETURN(const auto manifest, parts_.objects->get(left->bundle));
  return bundle::tag(*parts_.objects, left->bundle, manifest.size());
}

Result<void> Works::keep_result(const Work& work, WorkJob& job) const {
  const std::string folder = folder_of(work);
  HEDDLE_ASSIGN_OR_RETURN(const auto end, job.take());
  HEDDLE_TRY(write_file_atomic(folder + "/log", end.log));
  if (work.command == kRetrain && end.result) HEDDLE_TRY(name_bundle(*end.result));
  // The log first: where there is a result, all that belongs to it is there.
  if (end.result) return write_file_atomic(folder + "/" + kWorkResult, *end.result);
  // It ended without a result: that is its result, with the reason for people.
  return write_file_atomic(
      folder + "/" + kWorkResult,
      doc::to_json(failed(fmt::format(
          "the process of `worker {}` ended with exit code {}{}; its log is `{}/log`", work.command,
          end.exit_code, end.timed_out ? " after its time was over" : "", folder))));
}

std::optional<doc::Value> Works::result(std::string_view name, Micros event_time) const {
  const Work* work = find(name);
  // Not before it is due, also where it has ended: how fast a machine is decides nothing.
  if (work == nullptr || event_time < work->due) return std::nullopt;
  const std::string path = folder_of(*work) + "/" + kWorkResult;
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
  // After event time was set back, nothing may wait for
  // a time that lies ahead by the length of the jump.
  for (Item& item : items_) item.work.due = std::min(item.work.due, to);
}

void Works::stop() {
  for (Item& item : items_) item.job.reset();
}

}  // namespace heddle::control
