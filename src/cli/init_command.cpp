#include "cli/init_command.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/model_source.hpp"
#include "cli/reading_progress.hpp"
#include "doc/diagnostic.hpp"
#include "draft/difference.hpp"
#include "draft/draft.hpp"
#include "profile/profile.hpp"
#include "spec/load.hpp"
#include "train/own.hpp"
#include "train/signature.hpp"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

struct InitOptions {
  std::string directory{};
  std::vector<std::string> data{};
  std::string model{};                 ///< empty: one is to be fitted
  std::string tracking{};              ///< of a registry
  std::vector<std::string> modules{};  ///< that a pickle imports
  std::string python{};
  draft::Wishes wishes{};
  std::string task{};
  bool yes = false;
};

bool may_ask(const InitOptions& options, const Console& console) {
  // Questions stand on stderr: stdout may go to a file.
  return !options.yes && !console.json() && ::isatty(STDIN_FILENO) == 1 &&
         ::isatty(STDERR_FILENO) == 1;
}

/// One question at the terminal; `preset` for an empty answer, or when the input ends.
std::string answer(const std::string& question, const std::string& preset) {
  fmt::print(stderr, "{} [{}]: ", question, preset.empty() ? "none" : preset);
  std::fflush(stderr);
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar())
    line += static_cast<char>(c);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
  return line.empty() ? preset : line;
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 12;
  const auto count = static_cast<std::ptrdiff_t>(std::min(kShown, names.size()));
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + count, ", "),
                     names.size() > kShown ? ", ..." : "");
}

/// At most two questions: what is predicted, and what orders the rows.
void ask_wishes(const profile::Profile& profile, draft::Wishes& wishes) {
  const auto possible = draft::candidates(profile);
  if (wishes.target.empty() && !possible.targets.empty())
    wishes.target =
        answer(fmt::format("which column is to be predicted? ({})", some_of(possible.targets)),
               possible.targets.front());
  if (wishes.time.empty() && possible.times.size() > 1)
    wishes.time = answer(fmt::format("which time orders the rows? ({})", some_of(possible.times)),
                         possible.times.front());
}

/// A path as a shell takes it.
std::string in_shell(const std::string& path) {
  const bool is_plain = !path.empty() && std::all_of(path.begin(), path.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '.' || c == '_' || c == '-' || c == '+' ||
           c == '@' || c >= 0x80;
  });
  if (is_plain && path.front() != '-') return path;
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// How heddle.yaml names the file: relative where it lies beside or below the project.
std::string source_path(const std::string& data, const std::string& directory) {
  const fs::path file = fs::weakly_canonical(fs::absolute(data));
  const fs::path root = fs::weakly_canonical(fs::absolute(directory));
  const fs::path relative = file.lexically_relative(root);
  // One step up is beside the project. From farther away the path would not survive a move.
  const auto ups = std::count(relative.begin(), relative.end(), fs::path(".."));
  return relative.empty() || ups > 1 ? file.string() : relative.string();
}

/// Where the files are written before they are in place; removed with what is left in it.
class Workshop {
 public:
  // On the file system of the project's folder, so that it can be renamed into its place.
  explicit Workshop(const std::string& beside)
      : path_(fmt::format("{}.init-{}", beside, ::getpid())) {}
  ~Workshop() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  Result<void> write(const std::vector<draft::File>& files) const {
    for (const auto& file : files) {
      const std::string to = path_ + "/" + file.path;
      HEDDLE_TRY(make_dirs(fs::path(to).parent_path().string()));
      HEDDLE_TRY(write_file_atomic(to, file.text));
    }
    // Whoever may read the folder that it stands in may read it.
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
      if (entry.is_directory()) ::chmod(entry.path().c_str(), 0755);
    }
    ::chmod(path_.c_str(), 0755);
    return {};
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// A draft that its own checks refuse is our mistake, and no project.
Result<void> check_draft(const std::string& root, const Console& console) {
  HEDDLE_ASSIGN_OR_RETURN(const auto loaded, spec::load_project(root));
  if (!loaded.has_errors()) return {};
  for (const auto& diagnostic : loaded.diagnostics)
    if (diagnostic.severity == doc::Severity::kError)
      console.message(doc::render_full(diagnostic, root, console.color()));
  return Error{ErrorKind::kInternal, "init-draft-invalid",
               "the definitions that were drafted do not hold together (above)",
               "this is a fault of Heddle: report it with the column's name and a few values"};
}

/// Puts the drafted files into `directory`; all of them or none.
Result<void> put_in_place(const Workshop& workshop, const std::vector<draft::File>& files,
                          const std::string& directory) {
  std::error_code failed;
  if (!path_exists(directory)) {
    // In one step: nobody sees half of a draft.
    fs::rename(workshop.path(), directory, failed);
    if (!failed) return {};
    return Error{ErrorKind::kIo, "init-write",
                 fmt::format("`{}` cannot be made: {}", directory, failed.message()),
                 "name a folder that can be written"};
  }
  std::vector<fs::path> done;  // folders before what is in them
  for (const auto& file : files) {
    const fs::path to = fs::path(directory) / file.path;
    // Its own rules stay.
    if (file.path == ".gitignore" && path_exists(to.string())) continue;
    if (fs::create_directories(to.parent_path(), failed)) done.push_back(to.parent_path());
    // Written and not moved there: a folder that is there already may be on another file system
    // than what it stands in, as a mounted volume is.
    auto written = failed ? Result<void>(Error{ErrorKind::kIo, "init-write", failed.message(), ""})
                          : write_file_atomic(to.string(), file.text);
    if (!written.ok()) {
      std::error_code ignored;  // a file that stays is named by the next try
      for (auto each = done.rbegin(); each != done.rend(); ++each) fs::remove(*each, ignored);
      return Error{ErrorKind::kIo, "init-write",
                   fmt::format("`{}` cannot be written: {}", to.string(), written.error().message),
                   "nothing is left of the draft: make room or name another folder"};
    }
    done.push_back(to);
  }
  return {};
}

/// Files of a folder that is no project, which the draft would replace.
Result<void> check_free(const std::vector<draft::File>& files, const std::string& directory) {
  for (const auto& file : files) {
    // Rules of one's own are kept.
    if (file.path == ".gitignore" || !path_exists(directory + "/" + file.path)) continue;
    return Error{ErrorKind::kConflict, "init-would-overwrite",
                 fmt::format("`{}/{}` is there already, and `{}` has no heddle.yaml", directory,
                             file.path, directory),
                 "name a new folder"};
  }
  return {};
}

struct Repository {
  std::string commit{};  ///< of the draft; empty: none was made
  std::string next{};    ///< what a person does, where Heddle does not commit
};

/// A project needs a commit to be applied. A repository that is there already is its owner's to
/// commit to.
Result<Repository> commit_draft(const Invocation& invocation, const std::string& directory,
                                const std::vector<draft::File>& files) {
  const std::string command = fmt::format("git -C {} add -A . && git -C {} commit -m 'heddle init'",
                                          in_shell(directory), in_shell(directory));
  // What else is staged there must not go into a commit of ours.
  if (invocation.wiring->open_git(directory).ok()) return Repository{"", command};
  std::vector<std::string> paths;
  for (const auto& file : files) paths.push_back(file.path);
  HEDDLE_ASSIGN_OR_RETURN(const auto commit, start_git()(directory, paths, "heddle init"));
  return Repository{commit, ""};
}

doc::Value to_value(const draft::Finding& finding) {
  doc::Value columns = doc::Value::array();
  for (const auto& each : finding.columns) columns.push(each);
  doc::Value examples = doc::Value::array();
  for (const auto& each : finding.examples) examples.push(each);
  return doc::Value::object({{"id", finding.id},
                             {"text", finding.text},
                             {"columns", std::move(columns)},
                             {"examples", std::move(examples)}});
}

doc::Value to_value(const draft::Column& column) {
  const auto& profile = *column.reading.column;
  auto out = doc::Value::object({{"name", column.name()},
                                 {"kind", profile::in_words(column.reading.kind)},
                                 {"missing", column.reading.missing},
                                 {"distinct", profile.distinct()},
                                 {"explains", column.association.explained},
                                 {"alone", column.association.alone},
                                 {"left_out", column.left_out}});
  if (profile.numbers.count > 0) {
    out.set("low", profile.numbers.low);
    out.set("high", profile.numbers.high);
    out.set("mean", profile.numbers.mean);
  }
  if (profile.times > 0) {
    out.set("earliest", format_time(profile.earliest));
    out.set("latest", format_time(profile.latest));
  }
  return out;
}

/// A model that is there, with what it says of itself. It was opened in the sandbox and nowhere
/// else.
struct Opened {
  draft::ModelFiles files{};
  train::Signature signature{};
  std::string origin{};
};

/// How a definition names the interpreter: below the project as a part of it.
std::string python_path(const std::string& python, const std::string& directory) {
  if (!python.starts_with("/")) return python;
  const fs::path root = fs::weakly_canonical(fs::absolute(directory));
  const fs::path relative = fs::path(python).lexically_relative(root);
  const bool is_below = !relative.empty() && *relative.begin() != fs::path("..");
  return is_below ? fmt::format("${{project:{}}}", relative.string()) : python;
}

Result<Opened> open_model(const Console& console, const InitOptions& options) {
  HEDDLE_ASSIGN_OR_RETURN(auto source,
                          find_model(options.model, options.tracking, options.modules));
  spec::Exec exec;
  exec.python = find_python(options.python);
  for (const auto& file : source.files.all) exec.sources.push_back({file.path, file.text});
  if (!console.json())
    console.message(
        fmt::format("opening `{}` in the sandbox, with {}", options.model, exec.python));
  Opened out;
  HEDDLE_ASSIGN_OR_RETURN(out.signature, train::signature_of(exec, source.files.main, "", ""));
  HEDDLE_TRY(complete(out.signature, source.columns));
  HEDDLE_ASSIGN_OR_RETURN(source.files.lock, train::lock_of(exec, "", ""));
  source.files.python = python_path(exec.python, options.directory);
  out.files = std::move(source.files);
  out.origin = std::move(source.origin);
  return out;
}

doc::Value to_value(const Opened& opened) {
  doc::Value features = doc::Value::array();
  for (const auto& each : opened.signature.features) features.push(each.name);
  return doc::Value::object({{"from", opened.files.from},
                             {"origin", opened.origin},
                             {"class", opened.signature.of_class},
                             {"library", opened.signature.library},
                             {"python", opened.files.python},
                             {"features", std::move(features)}});
}

/// Everything that one `heddle init` found and did.
struct Outcome {
  std::optional<Opened> model{};
  draft::Decisions decisions;
  draft::Project project;
  std::vector<draft::File> files{};
  std::string directory{};
  Repository repository{};
  double seconds = 0;
  /// Of a project that was there: what differs, by file; nothing was written.
  std::vector<std::pair<std::string, std::string>> changes{};
  bool was_there = false;
  std::string next{};
};

doc::Value to_value(const Outcome& outcome) {
  const auto& decisions = outcome.decisions;
  doc::Value columns = doc::Value::array();
  for (const auto& each : decisions.columns) columns.push(to_value(each));
  doc::Value findings = doc::Value::array();
  for (const auto& each : decisions.findings) findings.push(to_value(each));
  doc::Value files = doc::Value::array();
  for (const auto& each : outcome.files) files.push(each.path);
  doc::Value changes = doc::Value::array();
  for (const auto& [path, text] : outcome.changes)
    changes.push(doc::Value::object({{"file", path}, {"difference", text}}));
  const auto* time = decisions.time_column();
  doc::Value model = outcome.model ? to_value(*outcome.model) : doc::Value();
  doc::Value keys = doc::Value::array();
  for (const auto& each : outcome.project.person.keys) keys.push(each);
  return doc::Value::object({{"project", outcome.directory},
                             {"created", !outcome.was_there},
                             {"commit", outcome.repository.commit},
                             {"rows", decisions.profile->rows},
                             {"seconds", outcome.seconds},
                             {"model", std::move(model)},
                             {"target", decisions.target_column().name()},
                             {"target_reason", decisions.target_reason},
                             {"task", stats::task_name(decisions.task)},
                             {"task_reason", decisions.task_reason},
                             {"time", time == nullptr ? doc::Value() : doc::Value(time->name())},
                             {"findings", std::move(findings)},
                             {"columns", std::move(columns)},
                             {"files", std::move(files)},
                             {"changes", std::move(changes)},
                             {"keys", std::move(keys)},
                             {"next", outcome.next}});
}

void print_findings(const Console& console, const draft::Decisions& decisions) {
  if (decisions.findings.empty()) return console.data("nothing suspicious was found");
  console.data("look at this first:");
  for (const auto& finding : decisions.findings) {
    console.data(fmt::format("  {}: {}", console.paint("33", finding.id), finding.text));
    for (const auto& example : finding.examples) console.data(fmt::format("      {}", example));
  }
}

void print_model(const Console& console, const Outcome& outcome) {
  const Opened& model = *outcome.model;
  const auto& adopted = *outcome.decisions.adopted;
  console.data(fmt::format("model `{}`{}: {} of {}, {} features", model.files.from,
                           model.origin.empty() ? "" : fmt::format(" ({})", model.origin),
                           model.signature.of_class, model.signature.library,
                           model.signature.features.size()));
  console.data(fmt::format(
      "scored by {}: {}",
      adopted.are_features ? "the engine, where its answers are the library's" : "a worker",
      adopted.inputs_reason));
}

void print(const Console& console, const Outcome& outcome) {
  const auto& decisions = outcome.decisions;
  console.data(fmt::format("{} rows, {} columns, read in {:.1f} s",
                           draft::counted(decisions.profile->rows), decisions.columns.size(),
                           outcome.seconds));
  if (outcome.model) print_model(console, outcome);
  print_findings(console, decisions);
  console.data(fmt::format("target `{}` ({}): {} ({})", decisions.target_column().name(),
                           decisions.target_reason, stats::task_name(decisions.task),
                           decisions.task_reason));
  const auto* time = decisions.time_column();
  console.data(time == nullptr
                   ? std::string("no time orders the rows: they are split in a drawn order")
                   : fmt::format("time `{}` ({})", time->name(), decisions.time_reason));
  if (outcome.was_there) {
    console.data(outcome.changes.empty()
                     ? fmt::format("`{}` is as it would be drafted now", outcome.directory)
                     : fmt::format("`{}` is a project already: nothing was written. What a draft "
                                   "of this file would change:",
                                   outcome.directory));
    for (const auto& [path, text] : outcome.changes) console.data(text);
  } else {
    console.data(fmt::format("drafted {} files in `{}`; each line says what suggested it",
                             outcome.files.size(), outcome.directory));
    console.data(outcome.project.person.keys.empty()
                     ? "no SSH key was found (~/.ssh/*.pub, git's signing key): people.yaml says "
                       "how to add one"
                     : fmt::format("`{}` may approve with {}", outcome.project.person.name,
                                   outcome.project.person.key_source));
    if (!outcome.repository.commit.empty())
      console.data(fmt::format("committed as {}", outcome.repository.commit.substr(0, 12)));
  }
  console.message(fmt::format("next: {}", outcome.next));
}

/// What a draft would change of a project that is there, by file.
std::vector<std::pair<std::string, std::string>> changes_of(const Outcome& outcome,
                                                            const std::string& directory) {
  std::vector<std::pair<std::string, std::string>> changes;
  for (const auto& file : outcome.files) {
    const auto before = read_file(directory + "/" + file.path);
    // A model's bytes are compared as a whole: a difference by lines says nothing of them.
    const bool is_model =
        outcome.model &&
        std::any_of(outcome.model->files.all.begin(), outcome.model->files.all.end(),
                    [&](const auto& each) { return each.path == file.path; });
    std::string text;
    if (!is_model)
      text = draft::difference(before.ok() ? *before : "", file.text, file.path);
    else if (!before.ok() || *before != file.text)
      text = fmt::format("{}: other bytes\n", file.path);
    if (!text.empty()) changes.emplace_back(file.path, std::move(text));
  }
  return changes;
}

/// `profile` and `signature` are what the outcome's decisions rest on, and outlive it.
Result<Outcome> start_project(const Invocation& invocation, const Console& console,
                              InitOptions options, profile::Profile& profile,
                              train::Signature& signature) {
  Outcome out;
  out.directory = options.directory;
  if (!options.model.empty()) {
    HEDDLE_ASSIGN_OR_RETURN(out.model, open_model(console, options));
    signature = out.model->signature;
  }
  const table::Input input{options.data, {}};
  ReadingProgress progress(console, options.data.front());
  auto read =
      profile::profile_file(input, [&](const profile::Progress& so_far) { progress.tell(so_far); });
  // The hint of the table names heddle.yaml, which is not there yet.
  if (!read.ok() && read.error().id == "table-missing")
    read.error().hint = "check the path of `--data`";
  HEDDLE_ASSIGN_OR_RETURN(profile, std::move(read));
  out.seconds = progress.seconds();
  // What a model reads says which columns are which: nothing is asked.
  if (out.model)
    options.wishes.signature = &signature;
  else if (may_ask(options, console))
    ask_wishes(profile, options.wishes);
  HEDDLE_ASSIGN_OR_RETURN(out.decisions, draft::decide(profile, options.wishes));
  const char* home = std::getenv("HOME");
  out.project.name = draft::plain_name(
      fs::weakly_canonical(fs::absolute(options.directory)).filename().string(), "project");
  for (const auto& path : options.data)
    out.project.source_paths.push_back(source_path(path, options.directory));
  out.project.person = draft::own_person(home == nullptr ? "" : home);
  if (out.model) out.project.model = out.model->files;
  out.files = draft::draft_project(out.decisions, out.project);
  // Looked for before anything is written: a project is never written over.
  out.was_there = path_exists(options.directory + "/heddle.yaml");
  out.next = fmt::format("cd {} && heddle run", in_shell(options.directory));
  if (out.was_there) {
    out.changes = changes_of(out, options.directory);
    return out;
  }
  HEDDLE_TRY(check_free(out.files, options.directory));
  fs::path place = fs::absolute(options.directory).lexically_normal();
  // `dir/` names the folder too.
  if (!place.has_filename()) place = place.parent_path();
  const Workshop workshop(place.string());
  HEDDLE_TRY(workshop.write(out.files));
  // Before anything is in its place: what does not hold together leaves nothing behind.
  HEDDLE_TRY(check_draft(workshop.path(), console));
  HEDDLE_TRY(put_in_place(workshop, out.files, place.string()));
  HEDDLE_ASSIGN_OR_RETURN(out.repository, commit_draft(invocation, place.string(), out.files));
  if (!out.repository.next.empty()) out.next = out.repository.next + " && " + out.next;
  return out;
}

int init(const Invocation& invocation, const Console& console, const InitOptions& options) {
  profile::Profile profile;
  train::Signature signature;
  const auto outcome = start_project(invocation, console, options, profile, signature);
  if (!outcome.ok()) return console.fail(outcome.error());
  if (console.json())
    console.document(to_value(*outcome));
  else
    print(console, *outcome);
  return 0;
}

}  // namespace

StartGit& start_git() {
  static StartGit start;
  return start;
}

void add_init_command(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<InitOptions>();
  auto* command = app.add_subcommand("init", "profile a file of rows and draft a project from it");
  command->add_option("directory", options->directory, "the project's folder")->required();
  command
      ->add_option(
          "--data", options->data,
          "rows: a file, a folder or a pattern of CSV, Parquet, NDJSON or Arrow, compressed or not")
      ->required();
  command->add_option("--model", options->model,
                      "a model that is there, to be served as it is: a file of XGBoost, LightGBM, "
                      "CatBoost, ONNX or scikit-learn, an MLflow folder, or models:/NAME@ALIAS");
  command->add_option("--python", options->python,
                      "of --model: the environment with its library; default: the active one, else "
                      ".venv here, else python3");
  command->add_option("--module", options->modules,
                      "of --model: a Python file that a pickle imports");
  command->add_option("--tracking", options->tracking,
                      "of models:/: the tracking server; default: MLFLOW_TRACKING_URI");
  command->add_option("--target", options->wishes.target,
                      "the column to predict; default: asked for, or inferred and said");
  command->add_option("--time", options->wishes.time,
                      "the column that orders the rows in time; default: inferred and said");
  command
      ->add_option("--task", options->task,
                   "binary, classes or regression; default: as the target's values say")
      ->check(CLI::IsMember({"binary", "classes", "regression"}));
  command->add_flag("--yes", options->yes, "ask nothing");
  command->callback([&invocation, options] {
    for (const auto kind :
         {stats::TaskKind::kBinary, stats::TaskKind::kClasses, stats::TaskKind::kRegression}) {
      if (options->task == stats::task_name(kind)) options->wishes.task = kind;
    }
    invocation.run = [=, &invocation](const Console& console) {
      return init(invocation, console, *options);
    };
  });
}

}  // namespace heddle::cli
