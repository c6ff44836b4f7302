#include <CLI/CLI.hpp>

#include <algorithm>
#include <mutex>
#include <set>

#include "base/file.hpp"
#include "cli/commands.hpp"
#include "cli/init_command.hpp"
#include "cli/session.hpp"
#include "cli/show.hpp"
#include "cli/signing.hpp"
#include "cli/work_tree.hpp"
#include "control/act_replies.hpp"
#include "control/applied.hpp"
#include "control/home.hpp"
#include "control/project_work.hpp"
#include "flow/documents.hpp"
#include "flow/flow.hpp"
#include "flow/origin.hpp"
#include "spec/definition_count.hpp"
#include "spec/difference.hpp"
#include "spec/kinds.hpp"
#include "spec/load.hpp"

namespace heddle::cli {
namespace {

std::string counted(std::size_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

/// Prints what was found; an error when it holds one.
Result<spec::Loaded> shown(spec::Loaded loaded, const Console& console) {
  // The document has the diagnostics, errors too.
  if (console.json()) return loaded;
  for (const auto& diagnostic : loaded.diagnostics) {
    console.message(doc::render_full(diagnostic, loaded.project.root, console.color()));
  }
  if (!loaded.has_errors()) return loaded;
  return Error{ErrorKind::kInvalid, "project-invalid",
               counted(loaded.diagnostics.size(), "diagnostic") + " above",
               "correct them, then run `heddle check`"};
}

/// Loads a project that is to be used and prints its diagnostics; definitions with an error are
/// used for nothing, whatever the output is.
Result<spec::Loaded> load(const Invocation& invocation, const Console& console) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  if (console.json()) return control::load_to_use(root);
  HEDDLE_ASSIGN_OR_RETURN(auto loaded, spec::load_project(root));
  return shown(std::move(loaded), console);
}

/// A project with what `plan` and `run` need of it; or contracts without a project: a file, or a
/// folder without heddle.yaml.
Result<spec::Loaded> load_to_check(const Invocation& invocation, const std::string& path,
                                   bool is_alone) {
  if (is_alone) return spec::load_contracts(path);
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  return control::load_to_check(root);
}

/// A model's run as it is typed: it is named where there are several.
std::string run_command(const spec::Project& project, const std::string& model) {
  return project.models.size() < 2 ? "heddle run" : "heddle run --model " + model;
}

/// `9 definitions OK, 2 warnings`.
std::string verdict(const spec::Loaded& loaded, std::size_t count, std::string_view what) {
  const std::size_t warnings = loaded.diagnostics.size();
  return fmt::format("{} OK{}", counted(count, what),
                     warnings == 0 ? "" : ", " + counted(warnings, "warning"));
}

int check(Invocation& invocation, const Console& console, const std::string& path) {
  // Contracts are kept where there is no project, and are worth a check there.
  const bool is_alone = !path.empty() && !path_exists(path + "/heddle.yaml");
  // A path to a project is as good as `--project`.
  if (!path.empty() && !is_alone) invocation.project = path;
  auto found = load_to_check(invocation, path, is_alone);
  if (!found.ok()) return console.fail(found.error());
  auto loaded = shown(*std::move(found), console);
  if (!loaded.ok()) return console.fail(loaded.error());
  const auto& project = loaded->project;
  if (console.json()) {
    console.document(control::CheckReply::schema().print(control::check_reply(*loaded)));
    return loaded->has_errors() ? error_kind_info(ErrorKind::kInvalid).exit_code : 0;
  }
  if (is_alone) {
    // By file, for one of them may hold several contracts.
    std::set<std::string> files;
    for (const auto& [name, contract] : project.contracts) files.insert(contract.identity.file);
    console.data(fmt::format("`{}`: {}", path, verdict(*loaded, files.size(), "contract")));
    return 0;
  }
  console.data(fmt::format("project `{}`: {}", project.name,
                           verdict(*loaded, spec::definition_count(project), "definition")));
  console.message(project.models.empty()
                      ? "next: add a model under models/"
                      : "next: " + run_command(project, project.models.begin()->first));
  return 0;
}

/// A dirty bundle is one that policy may refuse: said before it is built.
void tell_origin(const Console& console, const flow::Origin& origin) {
  if (!origin.dirty()) return;
  if (origin.commit.empty()) {
    console.message(
        "note: the definitions are in no git commit: a bundle of them says `dirty`, and nothing "
        "can be applied");
    console.message("      next: git init, git add -A && git commit");
    return;
  }
  const std::size_t more = origin.changes.size() - 1;
  console.message(fmt::format("note: not as in commit {}: {}{}; a bundle of this says `dirty`",
                              origin.commit.substr(0, 12), origin.changes.front(),
                              more == 0 ? "" : fmt::format(", and {} more", more)));
}

/// What is run, as the command line says it.
struct RunArguments {
  flow::RunOptions options{};
  bool refit = false;
};

/// Of a refit, what the accepted search of the model found.
Result<flow::RunOptions> options_of(const Invocation& invocation, const spec::Project& project,
                                    const RunArguments& arguments) {
  flow::RunOptions options = arguments.options;
  if (options.model.empty() && project.models.size() == 1)
    options.model = project.models.begin()->first;
  // Of several models one has to be named: the run says so.
  if (!arguments.refit || options.model.empty()) return options;
  const auto request = doc::Value::object({{"model", options.model}});
  HEDDLE_ASSIGN_OR_RETURN(auto accepted, call_for<control::AcceptedSearchReply>(
                                             invocation, "search.accepted", request));
  if (!accepted.search) {
    return Error{
        ErrorKind::kNotFound, "refit-no-search",
        fmt::format("no run of model `{}` was released yet, so no search of it is accepted",
                    options.model),
        fmt::format("search with `{}` and release what it gives; a refit trains with what "
                    "that search found",
                    run_command(project, options.model))};
  }
  options.recipe = *std::move(accepted.search);
  return options;
}

/// One step of the plan, and why it runs.
int show_step(const Console& console, const flow::Plan& plan, const flow::Origin& origin,
              const std::string& name) {
  std::vector<std::string> names;
  for (const auto& step : plan.steps) {
    names.push_back(step.name);
    if (step.name != name) continue;
    if (console.json()) {
      // As of a whole plan, with the one step.
      const flow::Plan one{plan.model, {step}};
      console.document(control::PlanReply::schema().print({one, origin.commit, origin.dirty()}));
    } else {
      console.data(
          fmt::format("{} {}: {}", step.name, step.cached ? "is cached" : "runs", step.reason));
    }
    return 0;
  }
  return console.fail({ErrorKind::kNotFound, "plan-no-step",
                       fmt::format("the plan has no step `{}`", name),
                       fmt::format("its steps are {}", fmt::join(names, ", "))});
}

int show_plan(const Invocation& invocation, const Console& console, const RunArguments& arguments,
              const std::string& why) {
  auto loaded = load(invocation, console);
  if (!loaded.ok()) return console.fail(loaded.error());
  const auto origin = control::name_origin(*invocation.wiring, *loaded);
  if (!origin.ok()) return console.fail(origin.error());
  auto open = control::open_host(*invocation.wiring, loaded->project);
  if (!open.ok()) return console.fail(open.error());
  const auto options = options_of(invocation, loaded->project, arguments);
  if (!options.ok()) return console.fail(options.error());
  auto plan = flow::plan(loaded->project, open->host, *options);
  if (!plan.ok()) return console.fail(plan.error());
  // The plan of one step is the plan of all it needs, so it is made whole.
  if (!why.empty()) return show_step(console, *plan, *origin, why);
  const WorkTreeNote note = compare_with_applied(invocation);
  if (console.json()) {
    auto document = control::PlanReply::schema().print({*plan, origin->commit, origin->dirty()});
    document.set("work_tree", note.to_value());
    console.document(document);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"STEP", "STATE", "WHY"}};
  for (const auto& step : plan->steps)
    rows.push_back({step.name, step.cached ? "cached" : "runs", step.reason});
  console.data(format_rows(rows));
  tell_origin(console, *origin);
  note.tell(console);
  console.message(plan->nothing_to_do()
                      ? "nothing to do"
                      : "next: " + run_command(loaded->project, arguments.options.model) +
                            (arguments.refit ? " --refit" : ""));
  return 0;
}

/// What takes the candidate of a model to the endpoint, as one line for a shell.
std::string next_of(const spec::Project& project, const std::string& model) {
  std::string out = "heddle apply";
  for (const auto& [name, service] : project.services) {
    if (model.empty() || service.model == model)
      out += fmt::format(" && heddle release promote {}", name);
  }
  return out + " && heddle up";
}

int run(const Invocation& invocation, const Console& console, const RunArguments& arguments) {
  auto loaded = load(invocation, console);
  if (!loaded.ok()) return console.fail(loaded.error());
  const auto origin = control::name_origin(*invocation.wiring, *loaded);
  if (!origin.ok()) return console.fail(origin.error());
  if (!console.json()) tell_origin(console, *origin);
  auto open = control::open_host(*invocation.wiring, loaded->project);
  if (!open.ok()) return console.fail(open.error());
  const auto progress = [&](const flow::Progress& step) {
    using Kind = flow::Progress::Kind;
    switch (step.kind) {
      case Kind::kStepStarted: console.message(fmt::format("  {:<14} …", step.step)); break;
      case Kind::kStepCached:
        console.message(fmt::format("  {:<14} {}", step.step, console.paint("2", "cached")));
        break;
      case Kind::kStepFinished:
        console.message(fmt::format("  {:<14} {} {:.1f}s  {}", step.step,
                                    console.paint("32", "done"), step.seconds, step.text));
        break;
      case Kind::kStepFailed:
        console.message(
            fmt::format("  {:<14} {} {}", step.step, console.paint("31", "failed"), step.text));
        break;
      case Kind::kNote: console.message(fmt::format("  {:<14} {}", step.step, step.text)); break;
    }
  };
  // One run of a project at a time: a second would do the same work again.
  auto lock = FileLock::acquire(control::Home(loaded->project.root).dir() + "/run.lock");
  // A folder that cannot be written is another error than a run that goes on.
  if (!lock.ok() && lock.error().kind != ErrorKind::kConflict) return console.fail(lock.error());
  if (!lock.ok()) {
    return console.fail({ErrorKind::kConflict, "run-in-progress",
                         "another `heddle run` works on this project",
                         "wait for it to end; what it finishes is cached"});
  }
  const auto options = options_of(invocation, loaded->project, arguments);
  if (!options.ok()) return console.fail(options.error());
  auto result = flow::run(loaded->project, open->host, *options, progress);
  if (!result.ok()) return console.fail(result.error());
  if (console.json()) {
    console.document(
        doc::Value::object({{"candidate", flow::candidate_schema().print(result->candidate)},
                            {"ran", result->ran},
                            {"cached", result->cached},
                            {"seconds", result->seconds},
                            {"commit", origin->commit},
                            {"dirty", origin->dirty()},
                            {"plan", flow::plan_schema().print(result->plan)}}));
    return 0;
  }
  console.message(fmt::format("{} steps ran, {} cached, {:.1f}s", result->ran, result->cached,
                              result->seconds));
  // A run that ends before its last step has no candidate.
  if (!result->candidate.bundle.empty()) {
    console.data(fmt::format("candidate {}", result->candidate.bundle.str()));
    console.data(fmt::format("standby   {}", result->candidate.standby.str()));
    console.message(fmt::format("next: {}", next_of(loaded->project, arguments.options.model)));
  }
  return 0;
}

/// Without a revision, what is applied is what one sees: a work tree that differs from HEAD is
/// refused, with every difference named. Returns the commit that it was compared with: HEAD may be
/// another one by the time it is applied. The operation itself reads git alone.
Result<std::string> commit_of_work_tree(const Invocation& invocation) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  HEDDLE_ASSIGN_OR_RETURN(const auto git, invocation.wiring->open_git(root));
  HEDDLE_ASSIGN_OR_RETURN(const auto head, git->head());
  HEDDLE_ASSIGN_OR_RETURN(const auto work, spec::load_project(root));
  HEDDLE_ASSIGN_OR_RETURN(const auto changes, spec::differences(work, *git, head));
  if (changes.empty()) return head;
  return Error{ErrorKind::kConflict, "apply-not-committed",
               fmt::format("the definitions differ from commit {}: {}", head.substr(0, 12),
                           spec::summary(changes)),
               "commit the change, or apply the commit as it is with `heddle apply HEAD`"};
}

void print_applied(const Console& console, const control::ApplyReply& reply) {
  const auto commit = reply.commit.substr(0, 12);
  if (!reply.applied) {
    print_waiting(console, *reply.approval, *reply.reason);
    console.message(fmt::format("next: after the yes, heddle apply {}", commit));
  } else if (*reply.changed) {
    console.message(fmt::format("applied {} (ledger entry {})", commit, reply.entry));
    for (const auto& each : reply.warnings.value_or(std::vector<doc::Diagnostic>{}))
      console.message(fmt::format("warning: {}: {}", each.file, each.message));
    console.message(
        "policies, people and what accounts may do count from now on; services and monitors when "
        "the planes start again");
  } else {
    console.message(
        fmt::format("commit {} is what runs already (ledger entry {})", commit, reply.entry));
  }
}

int apply(const Invocation& invocation, const Console& console, const std::string& revision,
          const AskedBy& by) {
  Result<std::string> wanted = revision;
  // A revision says itself what is meant.
  if (revision.empty()) wanted = commit_of_work_tree(invocation);
  if (!wanted.ok()) return console.fail(wanted.error());
  const auto request = doc::Value::object({{"revision", *wanted}});
  const auto reply = call_as<control::ApplyReply>(invocation, "definition.apply", request, by);
  return show(console, reply, print_applied);
}

int show_schema(const Console& console, const std::string& kind) {
  const auto schema = spec::schema(kind);
  if (!schema.ok()) return console.fail(schema.error());
  console.document(*schema);
  return 0;
}

int show_reference(const Console& console, const std::string& kind) {
  auto page = spec::reference(kind);
  if (!page.ok()) return console.fail(page.error());
  if (console.json()) {
    console.document(doc::Value::object({{"kind", kind}, {"page", std::move(*page)}}));
  } else {
    page->pop_back();  // `data` ends the line
    console.data(*page);
  }
  return 0;
}

}  // namespace

void add_project_commands(CLI::App& app, Invocation& invocation) {
  add_init_command(app, invocation);
  auto checked = std::make_shared<std::string>();
  auto* check_command = app.add_subcommand("check", "every definition, all diagnostics at once");
  check_command->add_option(
      "path", *checked,
      "a project, or a contract or a folder of contracts without one; default: this project");
  check_command->callback([&invocation, checked] {
    invocation.run = [=, &invocation](const Console& console) {
      return check(invocation, console, *checked);
    };
  });

  auto why = std::make_shared<std::string>();
  auto* plan = app.add_subcommand("plan", "what would run, what is cached, and why");
  plan->add_option("--why", *why, "one step only: why it runs or is cached");
  auto planned = std::make_shared<RunArguments>();
  plan->add_option("--model", planned->options.model, "which model, when there are several");
  constexpr const char* kRefit =
      "train with what the last accepted search found, on the rows there are now: no search";
  plan->add_flag("--refit", planned->refit, kRefit);
  plan->callback([&invocation, planned, why] {
    invocation.run = [=, &invocation](const Console& console) {
      return show_plan(invocation, console, *planned, *why);
    };
  });

  auto options = std::make_shared<RunArguments>();
  auto* run_command =
      app.add_subcommand("run", "bring the project up to date; a candidate at the end");
  run_command->add_option("--until", options->options.until, "run this step and what it needs");
  run_command->add_option("--model", options->options.model, "which model, when there are several");
  run_command->add_flag("--refit", options->refit, kRefit);
  run_command->callback([&invocation, options] {
    invocation.run = [=, &invocation](const Console& console) {
      return run(invocation, console, *options);
    };
  });

  auto revision = std::make_shared<std::string>();
  auto* apply_command = app.add_subcommand("apply", "make what is committed what runs");
  apply_command->add_option("revision", *revision,
                            "a git revision, whatever the work tree holds; default: HEAD");
  apply_command->callback([&invocation, revision, by = add_asked_by(*apply_command)] {
    invocation.run = [=, &invocation](const Console& console) {
      return apply(invocation, console, *revision, *by);
    };
  });

  auto kind = std::make_shared<std::string>();
  auto is_page = std::make_shared<bool>(false);
  auto* schema = app.add_subcommand("schema", "JSON Schema of a kind of definition");
  schema
      ->add_option("kind", *kind, fmt::format("one of {}", fmt::join(spec::kinds().names(), ", ")))
      ->required();
  schema->add_flag("--markdown", *is_page, "its reference page instead: a table of its keys");
  schema->callback([&invocation, kind, is_page] {
    invocation.run = [=](const Console& console) {
      return *is_page ? show_reference(console, *kind) : show_schema(console, *kind);
    };
  });
}

}  // namespace heddle::cli
