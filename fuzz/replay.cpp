// Gives every file that is kept under fuzz/corpus to its target, as the fuzzer would:
// `fuzz_corpus_test FOLDER`. Each target's source is compiled with a name of its own for the
// fuzzer's entry (CMakeLists.txt), so that this is one program without clang.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.hpp"

extern "C" {
int fuzz_answers(const std::uint8_t*, std::size_t);
int fuzz_bundle(const std::uint8_t*, std::size_t);
int fuzz_expr(const std::uint8_t*, std::size_t);
int fuzz_h2(const std::uint8_t*, std::size_t);
int fuzz_http1(const std::uint8_t*, std::size_t);
int fuzz_model(const std::uint8_t*, std::size_t);
int fuzz_requests(const std::uint8_t*, std::size_t);
}

namespace {

namespace fs = std::filesystem;

struct Target {
  const char* name;
  int (*run)(const std::uint8_t*, std::size_t);
};
constexpr Target kTargets[] = {
    {"answers", fuzz_answers}, {"bundle", fuzz_bundle}, {"expr", fuzz_expr},        {"h2", fuzz_h2},
    {"http1", fuzz_http1},     {"model", fuzz_model},   {"requests", fuzz_requests}};

std::string current;  // NOLINT: what a signal handler says

void on_signal(int signal) {
  (void)!::write(STDERR_FILENO, current.data(), current.size());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Target& target, std::string_view bytes) {
  // Exactly as large as the file: a build with sanitizers sees what reads past it.
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  target.run(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return fmt::print(stderr, "usage: fuzz_corpus_test FOLDER\n"), 2;
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE}) std::signal(signal, on_signal);
  int missing = 0;
  for (const Target& target : kTargets) {
    std::vector<std::string> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fs::path(argv[1]) / target.name, error))
      files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    current = fmt::format("failed: `{}` with no bytes\n", target.name);
    run(target, {});
    for (const std::string& file : files) {
      current = fmt::format("failed: {}\n", file);
      const auto bytes = heddle::read_file(file);
      if (!bytes.ok()) return fmt::print(stderr, "{}\n", bytes.error().message), 1;
      run(target, *bytes);
    }
    fmt::print("{}: {} files\n", target.name, files.size());
    if (files.empty()) ++missing;
  }
  if (missing > 0) fmt::print(stderr, "{} targets have no corpus under `{}`\n", missing, argv[1]);
  return missing == 0 ? 0 : 1;
}
