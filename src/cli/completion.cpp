#include "cli/completion.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "doc/value.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

// Each asks the program, which knows its commands; a shell falls back to names of files.
constexpr std::string_view kBash = R"sh(_heddle() {
  local IFS=$'\n' line
  COMPREPLY=()
  while read -r line; do
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("${COMP_WORDS[0]}" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _heddle heddle
)sh";
constexpr std::string_view kZsh = R"sh(#compdef heddle
_heddle() {
  local -a found
  local line
  while IFS= read -r line; do
    found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done < <("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#found} )); then _describe 'commands, options and names' found; else _files; fi
}
compdef _heddle heddle
)sh";
constexpr std::string_view kFish = R"sh(function __heddle_words
  set -l words (commandline -opc)
  $words[1] completion words $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -f -n 'test -n "$(__heddle_words)"' -a '(__heddle_words)' -c heddle
)sh";

constexpr int kFirstWord = 3;  ///< after `heddle completion words`

std::vector<const CLI::App*> commands_below(const CLI::App& app) {
  // Without a name it is a group of options, without a group it is hidden.
  return app.get_subcommands(
      [](const CLI::App* one) { return !one->get_name().empty() && !one->get_group().empty(); });
}

/// The option of this name, of the command or of one above it: those may stand after it too.
const CLI::Option* option_named(const CLI::App& app, const std::string& word) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    if (const auto* option = at->get_option_no_throw(word); option != nullptr) return option;
  }
  return nullptr;
}

bool takes_value(const CLI::Option* option) {
  return option != nullptr && option->get_items_expected_max() > 0;
}

/// Where a command line is at its last word.
struct At {
  const CLI::App* app;
  const CLI::Option* asks = nullptr;  ///< the option whose value the last word is
  std::size_t positional = 0;         ///< words of the command before it that are no option's
  std::string project{};
};

At find(const CLI::App& app, const std::vector<std::string>& words) {
  At at{&app};
  // The last word is the one that is being written.
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const auto& word = words[i];
    if (word.starts_with("-")) {
      const auto* option = option_named(*at.app, word);
      if (!takes_value(option)) continue;
      if (i + 2 >= words.size())
        at.asks = option;
      else if (option->check_lname("project"))
        at.project = words[i + 1];
      ++i;
      continue;
    }
    const auto below = commands_below(*at.app);
    const auto next = std::find_if(below.begin(), below.end(),
                                   [&](const CLI::App* one) { return one->get_name() == word; });
    if (next == below.end()) {
      ++at.positional;
      continue;
    }
    at.app = *next;
    at.positional = 0;
  }
  return at;
}

std::string summary_of(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Names of the project that the word may be one of. A project that cannot be read has none: what
/// is wrong with it is told by the command, not while it is written.
std::vector<Candidate> names_of(const CLI::Option& option, const std::string& given) {
  const std::string name = option.get_single_name();
  const bool services = name == "service";
  if (!services && name != "model") return {};
  const auto root = find_project(given);
  if (!root.ok()) return {};
  const auto loaded = spec::load_project(*root);
  if (!loaded.ok()) return {};
  std::vector<Candidate> out;
  if (services) {
    for (const auto& [each, unused] : loaded->project.services) out.emplace_back(each, "service");
  } else {
    for (const auto& [each, unused] : loaded->project.models) out.emplace_back(each, "model");
  }
  return out;
}

/// What an option is one of. The parser has it in words alone: `TEXT:{data,control}`.
std::vector<Candidate> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const auto begin = type.find('{');
  const auto end = type.find('}', begin);
  std::vector<Candidate> out;
  if (begin == type.npos || end == type.npos) return out;
  for (std::size_t from = begin + 1; from < end;) {
    const auto to = std::min(type.find(',', from), end);
    out.emplace_back(type.substr(from, to - from), summary_of(option.get_description()));
    from = to + 1;
  }
  return out;
}

std::vector<Candidate> values_of(const CLI::Option& option, const std::string& project) {
  auto out = choices_of(option);
  return out.empty() ? names_of(option, project) : out;
}

void add_options(const CLI::App& app, std::vector<Candidate>& out) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const auto* option :
         at->get_options([](const CLI::Option* one) { return !one->get_group().empty(); })) {
      for (const auto& name : option->get_lnames())
        out.emplace_back("--" + name, summary_of(option->get_description()));
    }
  }
}

/// The positional argument with this number; null: the command has no more.
const CLI::Option* positional_of(const CLI::App& app, std::size_t number) {
  const auto all = app.get_options([](const CLI::Option* one) { return one->get_positional(); });
  if (all.empty()) return nullptr;
  // The last argument may take any number of words.
  const bool repeats = all.back()->get_items_expected_max() > 1;
  if (number < all.size()) return all[number];
  return repeats ? all.back() : nullptr;
}

}  // namespace

std::vector<Candidate> candidates(const CLI::App& app, const std::vector<std::string>& words) {
  const std::string begun = words.empty() ? "" : words.back();
  const At at = find(app, words);
  std::vector<Candidate> all;
  if (at.asks != nullptr) {
    all = values_of(*at.asks, at.project);
  } else if (begun.starts_with("-")) {
    add_options(*at.app, all);
  } else {
    for (const auto* each : commands_below(*at.app))
      all.emplace_back(each->get_name(), summary_of(each->get_description()));
    // A command with commands below it has no arguments of its own.
    if (const auto* asked = positional_of(*at.app, at.positional); all.empty() && asked != nullptr)
      all = values_of(*asked, at.project);
  }
  std::erase_if(all, [&](const Candidate& each) { return !each.first.starts_with(begun); });
  return all;
}

bool asks_for_candidates(int argc, const char* const* argv) {
  using std::string_view;
  return argc >= kFirstWord && argv[1] == string_view("completion") &&
         argv[2] == string_view("words");
}

int print_candidates(const CLI::App& app, int argc, const char* const* argv) {
  for (const auto& [word, meaning] : candidates(app, {argv + kFirstWord, argv + argc}))
    fmt::print("{}\t{}\n", word, meaning);
  return 0;
}

void add_completion_command(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand(
      "completion", "a script by which a shell completes commands, options and names");
  command->require_subcommand(1);
  for (const auto& [shell, script, use] :
       {std::tuple{"bash", kBash, "for bash: source <(heddle completion bash)"},
        {"zsh", kZsh, "for zsh, after compinit: source <(heddle completion zsh)"},
        {"fish", kFish, "for fish: heddle completion fish | source"}}) {
    command->add_subcommand(shell, use)->callback([&invocation, shell = shell, script = script] {
      invocation.run = [=](const Console& console) {
        if (console.json())
          console.document(doc::Value::object({{"shell", shell}, {"script", std::string(script)}}));
        else
          std::fwrite(script.data(), 1, script.size(), stdout);
        return 0;
      };
    });
  }
}

}  // namespace heddle::cli
