#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "demo/demo.hpp"

namespace heddle::demo {

int run_command_line(int argc, char** argv, Options options) {
  CLI::App app("The main job, end to end, on three million real flights", "heddle dev demo");
  options.example = "examples/flights";
  options.data = "build/data";
  options.out = "build/demo";
  app.add_option("--example", options.example, "the project to copy");
  app.add_option("--data", options.data, "folder of flights-3m.parquet and airports.csv");
  app.add_option("--out", options.out, "where the copy, logs and reports go");
  app.add_flag("--fresh", options.fresh, "forget what an earlier run left");
  try {
    app.parse(argc - 2, argv + 2);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : error_kind_info(ErrorKind::kInvalid).exit_code;
  }
  options.color = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  const Result<void> result = run(options);
  if (result.ok()) return 0;
  fmt::print(stderr, "{}\n", result.error().str());
  return error_kind_info(result.error().kind).exit_code;
}

}  // namespace heddle::demo
