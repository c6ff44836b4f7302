#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "contract/contract.hpp"
#include "control/wiring.hpp"
#include "spec/project.hpp"
#include "table/input.hpp"
#include "upstream/joiner.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace heddle::cli {

/// The time that an option says; `fallback` where it is not given.
[[nodiscard]] Result<Micros> time_option(const std::string& text, Micros fallback);

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

/// What computes the `upstream` fields that a file of rows lacks.
struct FileJoin {
  std::optional<upstream::Joiner> joiner{};  ///< nothing: the file has them, or there are none
  std::map<std::string, Digest> sources{};   ///< that it reads, of their bytes
};

/// Of the rows of `input`, which go to the service. `contract`: what they are checked by; it must
/// outlive the result. `time_field`: of the model that was trained on such rows. Sources are those
/// of the project. kConflict `source-changed` when one is written to meanwhile.
[[nodiscard]] Result<FileJoin> join_of(const spec::Project& project, const std::string& service,
                                       const contract::Contract& contract,
                                       const std::string& time_field, const table::Input& input);

}  // namespace heddle::cli
