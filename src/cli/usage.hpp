#pragma once

#include "base/error.hpp"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace heddle::cli {

/// Whether a command line names a command that there is not: then no help is of it.
[[nodiscard]] bool names_unknown(const CLI::App& app, int argc, const char* const* argv);

/// A command line that the parser refused, as an error like every other: kInvalid `command-unknown`
/// with the nearest name, `command-missing` with the names there are, else `usage` with what the
/// parser says of it.
[[nodiscard]] Error usage_error(const CLI::App& app, const CLI::ParseError& refused, int argc,
                                const char* const* argv);

}  // namespace heddle::cli
