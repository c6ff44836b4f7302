#include "cli/reading_progress.hpp"

#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "draft/decision.hpp"

namespace heddle::cli {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

ReadingProgress::ReadingProgress(const Console& console, std::string path)
    : console_(console), path_(std::move(path)), began_(now_s()) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path_, failed);
  bytes_ = failed ? 0 : static_cast<double>(size);
}

double ReadingProgress::seconds() const { return now_s() - began_; }

void ReadingProgress::tell(const profile::Progress& so_far) {
  constexpr double kEverySeconds = 2;
  const double passed = seconds();
  if (console_.json()) return;
  if (so_far.chunks == 1 && so_far.text) tell_beforehand(passed);
  if (passed - said_ < kEverySeconds) return;
  said_ = passed;
  console_.message(fmt::format("  {} rows in {:.0f} s", draft::counted(so_far.rows), passed));
}

/// By the first chunk. Of a compressed file it is not known how much there is.
void ReadingProgress::tell_beforehand(double passed) const {
  constexpr double kQuietSeconds = 1;
  const bool is_plain = path_.ends_with(".csv") || path_.ends_with(".tsv");
  const double whole = passed * bytes_ / profile::kChunkBytes;
  if (is_plain && whole > kQuietSeconds)
    console_.message(
        fmt::format("reading {} ({:.0f} MB): about {:.0f} s", path_, bytes_ / 1e6, whole));
}

}  // namespace heddle::cli
