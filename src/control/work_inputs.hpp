#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "plane/journal.hpp"
#include "spec/load.hpp"
#include "store/store.hpp"

namespace heddle::control {

// The folder of a `heddle worker COMMAND` (docs/adr/0046): nothing else is read by it.
inline constexpr const char* kWorkRequest = "request.json";
inline constexpr const char* kWorkResult = "result.json";
inline constexpr const char* kWorkProgress = "progress.json";
inline constexpr const char* kWorkObjects = "objects";  ///< a store, in OCI image layout
inline constexpr const char* kWorkBlobs = "objects/blobs/sha256";
inline constexpr const char* kWorkJournal = "journal";
inline constexpr const char* kWorkDefinitions = "definitions";

/// What a worker reads of a project, beside its request.
struct WorkNeeds {
  std::string commit{};                       ///< whose definitions; empty: it needs none
  std::vector<Digest> bundles{};              ///< with the rows that their runs held out
  plane::JournalPosition end{UINT64_MAX, 0};  ///< of the journal: nothing behind it
  std::uint64_t most_bytes = UINT64_MAX;      ///< of the journal, the newest
};

/// By its command and its request. kInvalid for a command that there is not; the request's own
/// error when it is damaged.
[[nodiscard]] Result<WorkNeeds> needs_of(std::string_view command, std::string_view request);

/// Gathers what a job of the control plane is given: each `add` puts bytes among `objects` and
/// notes under which path the job finds them. Not thread-safe.
class WorkInputs {
 public:
  explicit WorkInputs(store::Objects& objects) : objects_(objects) {}

  [[nodiscard]] Result<void> add(const std::string& path, std::string_view bytes);
  /// Every file that decides what the project of a commit is.
  [[nodiscard]] Result<void> add_definitions(store::Git& git, const std::string& root,
                                             const std::string& commit);
  /// What is of a bundle in `from`. One that is not there, or not whole, is the worker's to tell.
  [[nodiscard]] Result<void> add_bundle(store::Objects& from, const Digest& bundle);
  /// The segments of a journal. Those that are full are linked; the one that is written is copied
  /// into `folder` first.
  [[nodiscard]] Result<void> add_journal(const std::string& spool, const WorkNeeds& needs,
                                         const std::string& folder);
  [[nodiscard]] std::map<std::string, Digest> take() && { return std::move(inputs_); }

 private:
  store::Objects& objects_;
  std::map<std::string, Digest> inputs_{};
};

/// Bytes of the journal that the needs are about, as far as they are there.
[[nodiscard]] std::uint64_t journal_bytes(const std::string& spool, const WorkNeeds& needs);

/// The project of `commit`, from the folder of a worker. Its root is where the machine that works
/// has the project's own files, for example a trainer's environment.
[[nodiscard]] Result<spec::Loaded> load_definitions(const std::string& dir,
                                                    const std::string& commit);

}  // namespace heddle::control
