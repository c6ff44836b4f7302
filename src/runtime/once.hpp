#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/place.hpp"

namespace heddle::runtime {

/// A program that runs to its end in the sandbox of workers (docs/adr/0028): without a network,
/// in a folder of its own, within a time and a memory.
struct Once {
  PlaceOptions place{};
  std::vector<std::string> environment{};  ///< beside that of every program
  bool whole_sandbox = false;              ///< not started without each layer
  std::int64_t timeout_ms = 600'000;
};

struct OnceEnd {
  int exit_code = 0;       ///< 128 + signal when a signal ended it
  bool timed_out = false;  ///< and was killed with all that it had started
  std::string how{};       ///< `exit code 3`, `signal 9`
  /// What it printed last, printable and cut; the launcher's line when it took too much memory.
  std::vector<std::string> last_lines{};
  Layers layers{};
};

/// Each line that it prints, as far as they are few enough.
using LineSink = std::function<void(std::string_view line)>;
/// Called with a descriptor of its scratch folder when everything in it has ended. What lies there
/// was made by the program: no link of it may be followed.
using TakeOut = std::function<Result<void>(int scratch)>;

/// Waits for it. kNotFound (`runtime-program`), kUnavailable (`runtime-start`, `runtime-sandbox`).
[[nodiscard]] Result<OnceEnd> run_once(const Once& once, const LineSink& said, const TakeOut& take);

/// Bytes of the regular file `path` below a folder, where no part of the path is a link. kNotFound
/// `once-output`; kTooLarge past `most`.
[[nodiscard]] Result<std::string> read_below(int folder, const std::string& path,
                                             std::int64_t most);

}  // namespace heddle::runtime
