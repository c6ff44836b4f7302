#pragma once

#include <string>

#include "base/result.hpp"
#include "control/wiring.hpp"
#include "spec/project.hpp"
#include "table/input.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace heddle::cli {

/// `--as SOURCE` of a command that reads a file of rows.
void add_as(CLI::App& command, std::string& as);

/// `file`, written as the source `as` is declared; empty: as the one that the service's model
/// learns from. kNotFound names the sources.
[[nodiscard]] Result<table::Input> input_as(const spec::Project& project,
                                            const std::string& service, const std::string& file,
                                            const std::string& as);
/// The same of the applied project in `root`.
[[nodiscard]] Result<table::Input> input_as(const control::Wiring& wiring, const std::string& root,
                                            const std::string& service, const std::string& file,
                                            const std::string& as);

}  // namespace heddle::cli
