#pragma once

#include <string>

#include "bundle/config.hpp"

namespace heddle::bundle::fixture {

/// `evaluation.json` of gates that all passed.
inline constexpr const char* kPassed =
    R"({"format":"heddle.evaluation/1","passed":true,"metrics":{},"slices":[],"gates":[]})";

/// How a bundle of a test was made, of definitions of no commit: every member is as `heddle run`
/// writes it.
inline Config config(std::string model = "trips") {
  Config config;
  config.model = std::move(model);
  config.role = "primary";
  config.trainer = "test";  // no library of that name could read the model
  config.parameters.emplace();
  config.target = "late";
  return config;
}

/// The same of definitions that are as in commit `c0ffee`.
inline Config committed(std::string model = "trips") {
  Config made = config(std::move(model));
  made.commit = "c0ffee";
  made.dirty = false;
  return made;
}

}  // namespace heddle::bundle::fixture
