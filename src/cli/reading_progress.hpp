#pragma once

#include <string>

#include "cli/console.hpp"
#include "profile/profile.hpp"

namespace heddle::cli {

/// Tells how long reading will take, once the first chunk says how fast it goes, and then how far
/// it is. Of a file that is read within a second nothing is told. The console outlives it.
class ReadingProgress {
 public:
  ReadingProgress(const Console& console, std::string path);
  void tell(const profile::Progress& so_far);
  [[nodiscard]] double seconds() const;  ///< since it was made

 private:
  void tell_beforehand(double passed) const;

  const Console& console_;
  std::string path_;
  double began_;
  double bytes_ = 0;
  double said_ = 0;
};

}  // namespace heddle::cli
