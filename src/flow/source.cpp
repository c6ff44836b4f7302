#include "flow/source.hpp"

#include <sys/stat.h>

#include <chrono>

#include <fmt/format.h>

#include "flow/recorded.hpp"
#include "flow/step.hpp"

namespace heddle::flow {
namespace {

std::string stamp_of(const struct stat& status) {
  return fmt::format("{}|{}|{}.{:09}", status.st_size, status.st_ino, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

}  // namespace

Result<Source> source_of(const Definitions& definitions, const Cache& cache) {
  Source out;
  out.name = definitions.model->source;
  out.path = definitions.source_path();
  out.what = fmt::format("file `{}`", definitions.project->sources.at(out.name));
  struct stat status{};
  if (::stat(out.path.c_str(), &status) != 0) {
    return Error{ErrorKind::kNotFound, "source-missing",
                 fmt::format("source `{}`: there is no file `{}`", out.name, out.path),
                 "put the file there, or change `sources` in heddle.yaml; then run `heddle run`, "
                 "which goes on where it was"};
  }
  // Of a pipe the digest would wait for a writer, and of a folder there is none.
  if (!S_ISREG(status.st_mode)) {
    return Error{ErrorKind::kInvalid, "table-no-file",
                 fmt::format("source `{}`: `{}` is not a file", out.name, out.path),
                 "name one Parquet or CSV file; make one of a folder of parts"};
  }
  out.stamp = stamp_of(status);
  if (const auto known = cache.known_source(out.name, out.stamp)) {
    out.content = *known;
    return out;
  }
  HEDDLE_ASSIGN_OR_RETURN(out.content, sha256_file(out.path));
  HEDDLE_TRY(check_unchanged(out));
  return out;
}

Source source_of(const Recorded& recorded) {
  return {.what = "the recorded traffic", .content = recorded.content(), .recorded = &recorded};
}

Result<void> remember(const Source& source, const Cache& cache) {
  if (source.recorded != nullptr) return {};
  struct stat status{};
  const auto moment_ago = std::chrono::system_clock::now() - std::chrono::seconds(1);
  const bool is_settled = ::stat(source.path.c_str(), &status) == 0 &&
                          status.st_mtim.tv_sec < std::chrono::system_clock::to_time_t(moment_ago);
  if (!is_settled) return {};
  return cache.remember_source(source.name, source.stamp, source.content);
}

Result<void> check_unchanged(const Source& source) {
  if (source.recorded != nullptr) return {};
  struct stat status{};
  if (::stat(source.path.c_str(), &status) == 0 && stamp_of(status) == source.stamp) return {};
  return Error{ErrorKind::kConflict, "source-changed",
               fmt::format("`{}` was written to while it was read", source.path),
               "run `heddle run` again when it is complete"};
}

}  // namespace heddle::flow
