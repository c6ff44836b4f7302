#include "cli/usage.hpp"

#include <CLI/CLI.hpp>

#include <string_view>

#include "doc/diagnostic.hpp"

namespace heddle::cli {
namespace {

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* each : app.get_subcommands([](const CLI::App* one) {
         return !one->get_name().empty() && !one->get_group().empty();
       })) {
    names.push_back(each->get_name());
  }
  return names;
}

const CLI::App* command_named(const CLI::App& app, std::string_view word) {
  const auto found =
      app.get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
  return found.empty() ? nullptr : found.front();
}

/// Whether the word after this option is its value: `--project DIR`, not `--project=DIR` and not
/// `--json`.
bool takes_next(const CLI::App& app, const std::string& word) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    if (const auto* option = at->get_option_no_throw(word); option != nullptr)
      return option->get_items_expected_max() > 0;
  }
  return false;
}

/// The command a command line names, as far as its words go, and the word that names none.
struct Named {
  const CLI::App* app;
  std::string path;
  std::string unknown{};
};

Named named_command(const CLI::App& app, int argc, const char* const* argv) {
  Named named{&app, app.get_name()};
  // A command with none below it takes what follows as its arguments.
  for (int i = 1; i < argc && !commands_of(*named.app).empty(); ++i) {
    const std::string word = argv[i];
    // What follows `--` names no command.
    if (word == "--") break;
    if (word.starts_with("-")) {
      if (takes_next(*named.app, word)) ++i;
      continue;
    }
    const auto* next = command_named(*named.app, word);
    if (next == nullptr) {
      named.unknown = word;
      break;
    }
    named.app = next;
    named.path += " " + word;
  }
  return named;
}

}  // namespace

bool names_unknown(const CLI::App& app, int argc, const char* const* argv) {
  return !named_command(app, argc, argv).unknown.empty();
}

Error usage_error(const CLI::App& app, const CLI::ParseError& refused, int argc,
                  const char* const* argv) {
  const Named named = named_command(app, argc, argv);
  const auto names = commands_of(*named.app);
  const auto help = fmt::format("`{} --help` says what can be given", named.path);
  const auto all =
      fmt::format("the commands of `{}` are `{}`", named.path, fmt::join(names, "`, `"));
  if (!named.unknown.empty()) {
    const auto near = doc::nearest(named.unknown, names);
    return {ErrorKind::kInvalid, "command-unknown",
            fmt::format("`{}` has no command `{}`", named.path, named.unknown.substr(0, 100)),
            near.empty() ? all : fmt::format("did you mean `{} {}`?", named.path, near)};
  }
  if (!names.empty())
    return {ErrorKind::kInvalid, "command-missing",
            fmt::format("`{}` is given no command", named.path), all};
  return {ErrorKind::kInvalid, "usage", fmt::format("`{}`: {}", named.path, refused.what()), help};
}

}  // namespace heddle::cli
