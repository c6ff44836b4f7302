#include <CLI/CLI.hpp>

#include <cstdlib>

#include <unistd.h>

#include "cli/commands.hpp"
#include "demo/demo.hpp"

namespace heddle::cli {

void add_dev_commands(CLI::App& app, Invocation& invocation) {
  auto* dev =
      app.add_subcommand("dev", "for those who look at Heddle itself")->require_subcommand(1);
  auto options = std::make_shared<demo::Options>();
  options->example = "examples/flights";
  options->data = "build/data";
  options->out = "build/demo";
  auto* demo =
      dev->add_subcommand("demo", "the main job, end to end, on three million real flights");
  demo->add_option("--example", options->example, "the project to copy");
  demo->add_option("--data", options->data, "folder of flights-3m.parquet and airports.csv");
  demo->add_option("--out", options->out, "where the copy, logs and reports go");
  demo->add_flag("--fresh", options->fresh, "forget what an earlier run left");
  demo->callback([&invocation, options] {
    invocation.run = [options, &invocation](const Console& console) {
      options->binary = invocation.wiring->executable;
      options->open_objects = invocation.wiring->open_objects;
      options->color = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
      const auto done = demo::run(*options);
      return done.ok() ? 0 : console.fail(done.error());
    };
  });
  add_bench_command(*dev, invocation);
}

}  // namespace heddle::cli
