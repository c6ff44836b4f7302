#pragma once

#include <optional>
#include <string>
#include <vector>

#include "draft/decision.hpp"

namespace heddle::draft {

/// One file of a project, by its path in it.
struct File {
  std::string path;
  std::string text;
};

/// Who starts a project: as people.yaml has them.
struct Person {
  std::string name;
  std::string os_user;
  std::vector<std::string> keys{};  ///< SSH public keys
  std::string key_source{};         ///< where they are from, for people
};

/// The user of this process with their own SSH public keys: what `~/.ssh/*.pub` holds, else the key
/// that git signs with. Files that hold no key that can be taken are passed over.
[[nodiscard]] Person own_person(const std::string& home);

/// The files of a model that is there, as the project has them.
struct ModelFiles {
  std::string main{};  ///< path of what is opened, relative to the project
  /// Others, below the project too: of a folder all that lie in it, of a pickle the modules that it
  /// names.
  std::vector<std::string> more{};
  std::vector<File> all{};  ///< with their bytes
  std::string python{};     ///< as `exec.python` has it
  std::string lock{};       ///< the text of the lock
  std::string from{};       ///< what a person named
};

/// A model that somebody else serves (docs/formats/runtime.md, `upstream`).
struct Endpoint {
  std::string url{};     ///< of the server
  std::string model{};   ///< its name there
  std::string output{};  ///< the tensor that is read
};

struct Project {
  std::string name;                       ///< of the project
  std::vector<std::string> source_paths;  ///< as heddle.yaml names them
  Person person;
  std::optional<ModelFiles> model{};   ///< of `Decisions::adopted`
  std::optional<Endpoint> endpoint{};  ///< likewise, in its place
  int port = 8000;
  int grpc_port = 8001;
  int control_port = 8010;
};

/// Names that a draft gives its definitions, from the file's and the target's.
struct Names {
  std::string rows;   ///< contract, features and source
  std::string model;  ///< model, evaluation, monitor and service
};
[[nodiscard]] Names names_of(const Decisions& decisions, const Project& project);

/// A whole project: every definition, each drafted line with what suggested it. Sorted by path.
[[nodiscard]] std::vector<File> draft_project(const Decisions& decisions, const Project& project);

// The files of a draft.
[[nodiscard]] std::string draft_contract(const Decisions& decisions, const Names& names);
[[nodiscard]] std::string draft_features(const Decisions& decisions, const Names& names);
[[nodiscard]] std::string draft_model(const Decisions& decisions, const Names& names,
                                      const Project& project);
/// `trainers/NAME.py`: returns a model that is there.
[[nodiscard]] std::string draft_trainer(const Decisions& decisions, const Project& project);
[[nodiscard]] std::string draft_evaluation(const Decisions& decisions, const Names& names);
[[nodiscard]] std::string draft_monitor(const Decisions& decisions, const Names& names);
[[nodiscard]] std::string draft_service(const Names& names, const Project& project);
[[nodiscard]] std::string draft_policy(const Project& project);
[[nodiscard]] std::string draft_people(const Project& project);
/// A request of one row that the contract accepts: medians, the most frequent values, the latest
/// times. No row of the file.
[[nodiscard]] std::string draft_request(const Decisions& decisions);

/// A plain name out of any text: small letters, digits and `_`; `fallback` where nothing is left.
[[nodiscard]] std::string plain_name(std::string_view text, std::string_view fallback);
/// A text as YAML takes it in any place.
[[nodiscard]] std::string quoted(std::string_view text);
/// A column's name in an expression: as it is, or between backticks.
[[nodiscard]] std::string in_expression(const std::string& name);
/// An expression of a column as a number, where it is read as text.
[[nodiscard]] std::string number_of(const profile::Reading& reading);
/// A text as an expression writes it.
[[nodiscard]] std::string literal(std::string_view text);
/// A comment of one line: control characters and line ends are left out.
[[nodiscard]] std::string comment(std::string_view text);

}  // namespace heddle::draft
