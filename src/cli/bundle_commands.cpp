#include <CLI/CLI.hpp>

#include "bundle/bundle.hpp"
#include "bundle/parity.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "control/home.hpp"
#include "control/project_work.hpp"
#include "evaluate/evidence_format.hpp"

namespace heddle::cli {
namespace {

Result<bundle::Bundle> open_bundle(const Invocation& invocation, const std::string& text) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, find_project(invocation.project));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects,
                          invocation.wiring->open_objects(control::Home(root).objects()));
  HEDDLE_ASSIGN_OR_RETURN(const auto digest, bundle::find(*objects, text));
  return bundle::open(*objects, digest);
}

/// `search: 20 trials, log loss 0.4312; eta 0.12, max_depth 6; 94 rounds`, and of which release it
/// is when that is another.
std::string search_line(const bundle::Config& config) {
  if (!config.search) return "";
  std::vector<std::string> parameters;
  for (const auto& [name, value] : config.search->parameters.values)
    parameters.push_back(name + " " + value);
  const auto& of = config.search->bundle;
  const bool is_number = config.task.kind == stats::TaskKind::kRegression;
  return fmt::format("search: {} trials, {} {:.4f}; {}; {} rounds{}", config.search->trials,
                     is_number ? "mean absolute error" : "log loss", config.search->loss,
                     fmt::join(parameters, ", "), config.search->rounds,
                     of.empty() ? "" : ", accepted with " + of.str().substr(0, 19));
}

/// Each way that rows reach a model that was there, held against its library.
void show_parity(const Console& console, const bundle::ParityCertificate& certificate) {
  console.data(fmt::format("\nparity {}: {}, scored by {} {}", certificate.format,
                           certificate.in_words(), certificate.scored_by == "engine" ? "the" : "a",
                           certificate.scored_by));
  for (const auto& path : certificate.paths)
    console.data(
        fmt::format("  {}: {} of {} rows equal bit for bit, largest difference {:.2g} "
                    "(tolerance {:.2g})",
                    path.name, path.equal, path.rows, path.largest, certificate.tolerance));
  for (const auto& probe : certificate.probes)
    console.data(fmt::format("  {}: {} rows, {} refused by the contract, {} without an answer",
                             probe.what, probe.rows, probe.refused, probe.unanswered));
}

int inspect(const Console& console, const bundle::Bundle& bundle) {
  const auto reply = control::bundle_reply(bundle);
  if (!reply.ok()) return console.fail(reply.error());
  if (console.json()) {
    console.document(control::BundleReply::schema().print(*reply));
    return 0;
  }
  console.data(fmt::format("bundle {}", bundle.digest().str()));
  const std::string commit = bundle.commit();
  console.data(commit.empty()   ? "built from definitions of no commit\n"
               : bundle.dirty() ? fmt::format("built from changes of commit {}\n", commit)
                                : fmt::format("built from commit {}\n", commit));
  std::vector<std::vector<std::string>> rows{{"LAYER", "BYTES", "DIGEST"}};
  for (const auto& layer : bundle.layers()) {
    rows.push_back(
        {layer.title, fmt::to_string(layer.bytes.size()), sha256(layer.bytes).str().substr(0, 19)});
  }
  console.data(format_rows(rows));
  if (const auto line = search_line(bundle.config()); !line.empty()) console.data("\n" + line);
  if (reply->parity) show_parity(console, *reply->parity);
  if (reply->evaluation.is_null()) return 0;
  const auto evidence = evaluate::evidence_schema().parse(reply->evaluation);
  if (!evidence.ok()) return console.fail(evidence.error());
  console.data(fmt::format("\ngates {}", evidence->passed ? "passed" : "not passed"));
  for (const auto& gate : evidence->gates) {
    const auto& open = gate.not_judged;
    console.data(fmt::format("  {} {}: {}{}",
                             gate.passed    ? "yes"
                             : open.empty() ? "NO "
                                            : "not judged",
                             gate.id, gate.when, open.empty() ? "" : " (" + open + ")"));
  }
  return 0;
}

}  // namespace

void add_bundle_commands(CLI::App& app, Invocation& invocation) {
  auto* bundle_command =
      app.add_subcommand("bundle", "the deployable artifact")->require_subcommand(1);
  auto digest = std::make_shared<std::string>();
  auto* inspect_command =
      bundle_command->add_subcommand("inspect", "what is in it, and what its gates said");
  inspect_command->add_option("digest", *digest, "digest of the bundle, or its beginning")
      ->required();
  inspect_command->callback([&invocation, digest] {
    invocation.run = [=, &invocation](const Console& console) {
      const auto bundle = open_bundle(invocation, *digest);
      return bundle.ok() ? inspect(console, *bundle) : console.fail(bundle.error());
    };
  });
  auto* verify_command = bundle_command->add_subcommand("verify", "every byte against its digest");
  verify_command->add_option("digest", *digest, "digest of the bundle, or its beginning")
      ->required();
  verify_command->callback([&invocation, digest] {
    invocation.run = [=, &invocation](const Console& console) {
      // To open it is to verify it: every layer is compared with its digest.
      const auto bundle = open_bundle(invocation, *digest);
      if (!bundle.ok()) return console.fail(bundle.error());
      console.data(fmt::format("{}: {} layers, every byte as it was packed", bundle->digest().str(),
                               bundle->layers().size()));
      return 0;
    };
  });
}

}  // namespace heddle::cli
