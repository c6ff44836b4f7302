#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "store/store.hpp"

namespace heddle::demo {

/// What `heddle dev demo` needs to know.
struct Options {
  std::string binary;   ///< this very program: every step goes through its command line
  std::string example;  ///< the project to copy: `examples/flights`
  std::string data;     ///< folder of `flights-3m.parquet` and `airports.csv`
  std::string out;      ///< where the project copy, logs and reports go: `build/demo`
  bool fresh = false;   ///< forget what an earlier run left
  bool color = false;
  /// Opens a project's objects, for scoring the reference models after the replay.
  std::function<Result<std::unique_ptr<store::Objects>>(const std::string& dir)> open_objects{};
};

/// The main job from definitions to report, by the real command line, control plane and data plane,
/// with every fault of the example laid over its traffic.
/// Prints a readable account to stdout; leaves `report.json` and `report.html` in `out`. When
/// nothing changed since the last finished run it only shows that run's result. Takes over SIGINT
/// for its duration and stops what it started.
[[nodiscard]] Result<void> run(const Options& options);

}  // namespace heddle::demo
