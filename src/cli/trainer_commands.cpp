#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "spec/load.hpp"
#include "train/own.hpp"

namespace heddle::cli {
namespace {

/// Models with a trainer of their own: the one of this name, or the only one.
Result<const spec::Model*> own_model(const spec::Project& project, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [each, model] : project.models) {
    if (model.exec && (name.empty() || each == name)) names.push_back(each);
  }
  if (names.size() == 1) return &project.models.at(names.front());
  if (names.empty()) {
    return Error{ErrorKind::kNotFound, "trainer-none",
                 name.empty() ? "no model of the project has `trainer: exec`"
                              : fmt::format("there is no model `{}` with `trainer: exec`", name),
                 "set `trainer: exec` and `exec: {file: ..., python: ..., lock: ...}` in it"};
  }
  return Error{
      ErrorKind::kInvalid, "trainer-which",
      fmt::format("several models have a trainer of their own: `{}`", fmt::join(names, "`, `")),
      "name one with `--model`"};
}

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.insert(line);
  }
  return out;
}

/// What is new in `now`, each line in words: `numpy==2.4.6`.
std::vector<std::string> new_in(const std::string& now, const std::string& before) {
  std::vector<std::string> out;
  const auto old = lines_of(before);
  for (const auto& line : lines_of(now)) {
    if (!old.contains(line)) out.push_back(line.substr(0, line.find("  #")));
  }
  return out;
}

int lock_trainer(const Invocation& invocation, const Console& console, const std::string& name) {
  const auto root = find_project(invocation.project);
  if (!root.ok()) return console.fail(root.error());
  // The definition may be incomplete still: its lock is what is missing.
  const auto loaded = spec::load_project(*root);
  if (!loaded.ok()) return console.fail(loaded.error());
  const auto model = own_model(loaded->project, name);
  if (!model.ok()) return console.fail(model.error());
  const spec::Exec& exec = *(*model)->exec;
  if (const auto made = make_dirs(*root + "/.heddle"); !made.ok())
    return console.fail(made.error());
  const auto text = train::lock_of(exec, *root + "/.heddle/runtime", *root + "/.heddle");
  if (!text.ok()) return console.fail(text.error());
  const std::string path = *root + "/" + exec.lock;
  const auto before = read_file(path);
  const auto added = new_in(*text, before.ok() ? *before : "");
  const auto gone = new_in(before.ok() ? *before : "", *text);
  if (const auto written = write_file_atomic(path, *text); !written.ok())
    return console.fail(written.error());
  // One of its lines is the head.
  const std::size_t packages = lines_of(*text).size() - 1;
  if (console.json()) {
    doc::Value::Array now;
    doc::Value::Array then;
    for (const auto& each : added) now.emplace_back(each);
    for (const auto& each : gone) then.emplace_back(each);
    console.document(doc::Value::object({{"lock", exec.lock},
                                         {"packages", packages},
                                         {"added", std::move(now)},
                                         {"gone", std::move(then)}}));
    return 0;
  }
  console.data(fmt::format("{}: {} packages", exec.lock, packages));
  // Of the first lock everything would be new.
  if (!before.ok()) return 0;
  for (const auto& each : gone) console.data("- " + each);
  for (const auto& each : added) console.data("+ " + each);
  return 0;
}

}  // namespace

void add_trainer_commands(CLI::App& app, Invocation& invocation) {
  auto* trainer = app.add_subcommand("trainer", "trainers of your own (`trainer: exec`)")
                      ->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto* locks = trainer->add_subcommand(
      "lock", "write down what is installed in a trainer's environment, and say what changed");
  locks->add_option("--model", *name, "of which model; default: the only one that has one");
  locks->callback([&invocation, name] {
    invocation.run = [=, &invocation](const Console& console) {
      return lock_trainer(invocation, console, *name);
    };
  });
}

}  // namespace heddle::cli
