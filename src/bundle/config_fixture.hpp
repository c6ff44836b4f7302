#pragma once

#include <string>

#include "bundle/config.hpp"

namespace heddle::bundle::fixture {

/// `evaluation.json` of gates that all passed.
inline constexpr const char* kPassed =
    R"({"format":"heddle.evaluation/1","passed":true,"metrics":{},"slices":[],"gates":[]})";

/// How a bundle of a test was made: every member is as `heddle run` writes it.
inline Config config(std::string model = "trips") {
  Config config;
  config.model = std::move(model);
  config.role = "primary";
  config.commit = "c0ffee";
  config.dirty = false;
  config.trainer = "xgboost";
  config.parameters.emplace();
  config.target = "late";
  return config;
}

}  // namespace heddle::bundle::fixture
