#pragma once

#include <string>

#include "doc/value.hpp"
#include "loadgen/knee.hpp"
#include "loadgen/load.hpp"

namespace heddle::loadgen {

/// Renderings of an outcome: text with two plots for a terminal, JSON, and a page that needs
/// nothing but itself. All give the same numbers; latencies in JSON are in us.
[[nodiscard]] std::string to_text(const Options& options, const Outcome& outcome);
[[nodiscard]] doc::Value to_value(const Options& options, const Outcome& outcome);
[[nodiscard]] std::string to_page(const Options& options, const Outcome& outcome);

[[nodiscard]] std::string to_text(const Options& options, const Knee& knee);
[[nodiscard]] doc::Value to_value(const Options& options, const Knee& knee);
[[nodiscard]] std::string to_page(const Options& options, const Knee& knee);

/// `52 us`, `1.31 ms`, `2.4 s`: three digits.
[[nodiscard]] std::string format_ns(double ns);
/// One line on what was sent: `open loop, 20000/s constant, 8 connections, 10.0 s after 1.0 s of
/// warm-up`.
[[nodiscard]] std::string describe(const Options& options);

}  // namespace heddle::loadgen
