#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/sandbox.hpp"

namespace heddle::runtime {

/// What a program needs on disk before it can be started in the sandbox.
struct PlaceOptions {
  std::vector<std::string> command{};  ///< as Worker::Options has it
  std::string_view files{};            ///< a tar of ours
  /// Names in its folder, and the files of the machine that stand there. They are linked, not
  /// copied, where the disk is one.
  std::vector<std::pair<std::string, std::string>> linked{};
  std::string directory{};  ///< holds the instances' folders; empty: the temporary folder does
  std::string hidden{};     ///< what the program must not see
  std::int64_t memory_bytes = 0;
};

/// A folder of one program's own with its files, and the launch that starts it there. The folder
/// goes with it. Movable.
class Place {
 public:
  [[nodiscard]] static Result<Place> make(const PlaceOptions& options);
  Place() = default;
  Place(Place&& other) noexcept { *this = std::move(other); }
  Place& operator=(Place&& other) noexcept {
    std::swap(folder_, other.folder_);
    std::swap(launch_, other.launch_);
    return *this;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place();

  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
  /// With the environment of every program: PATH, HOME, TMPDIR, LANG.
  [[nodiscard]] Launch& launch() noexcept { return launch_; }
  [[nodiscard]] const Launch& launch() const noexcept { return launch_; }

 private:
  std::string folder_{};
  Launch launch_{};
};

}  // namespace heddle::runtime
