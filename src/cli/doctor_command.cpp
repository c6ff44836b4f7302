#include <CLI/CLI.hpp>

#include <array>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/open_files.hpp"
#include "base/process.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "doc/schema.hpp"
#include "runtime/once.hpp"
#include "runtime/process.hpp"
#include "table/table.hpp"

namespace heddle::cli {
namespace {

/// What was looked at on this machine.
struct Check {
  std::string what;
  std::string state;      ///< `ok`; `limited`: some things are refused or slower; `missing`
  std::string found;      ///< in words
  std::string needed_by;  ///< what does not work without it
  bool required = false;  ///< nothing much works without it
  std::string hint{};     ///< what to do; empty when ok

  [[nodiscard]] static const doc::Schema<Check>& schema() {
    static const doc::Schema<Check> schema = [] {
      auto t = doc::Schema<Check>::record("check", "what was looked at on this machine");
      t.text("what", &Check::what, "what was looked at");
      t.text("state", &Check::state, "`ok`, `limited` or `missing`");
      t.text("found", &Check::found, "what there is");
      t.text("needed_by", &Check::needed_by, "what does not work without it");
      t.boolean("required", &Check::required, "whether Heddle is of no use without it");
      t.text("hint", &Check::hint, "what to do");
      return t;
    }();
    return schema;
  }
};

constexpr double kGiB = 1 << 30;
constexpr std::uint64_t kEnoughFiles = 4'096;
constexpr double kEnoughDisk = 1 * kGiB;
constexpr double kEnoughMemory = 2 * kGiB;
constexpr std::int64_t kSandboxMs = 20'000;

/// The first line that a program prints; empty when it cannot be run.
std::string first_line_of(const std::vector<std::string>& argv) {
  ProcessOptions options;
  options.argv = argv;
  options.in = StandardStream::null();
  options.out = StandardStream::capture();
  options.err = StandardStream::output();
  const auto done = run_process(options);
  return done.ok() ? done->out.substr(0, done->out.find('\n')) : "";
}

Check check_rows() {
  Check check{"library of files", "ok", "reads Parquet, CSV, NDJSON and Arrow files",
              "reading and writing rows", true};
  // The smallest file there is: the library that reads it is opened by that.
  std::error_code ignored;
  std::string path =
      (std::filesystem::temp_directory_path(ignored) / "heddle-doctor-XXXXXX.csv").string();
  // `.csv` is a suffix of four characters.
  const int fd = ::mkstemps(path.data(), 4);
  const bool written = fd >= 0 && ::write(fd, "a\n1\n", 4) == 4;
  if (fd >= 0) ::close(fd);
  const auto read = table::read_schema(path);
  if (fd >= 0) ::unlink(path.c_str());
  if (read.ok()) return check;
  check.state = "missing";
  check.found = written ? read.error().message : fmt::format("cannot write `{}`", path);
  check.hint = written ? read.error().hint : "set TMPDIR to a folder that is yours to write";
  return check;
}

/// A program on PATH.
Check check_program(const std::string& name, std::string needed_by, bool required,
                    const std::vector<std::string>& version, const std::string& package) {
  Check check{name, "ok", "", std::move(needed_by), required};
  const auto path = runtime::find_program(name, "");
  if (!path.ok()) {
    check.state = "missing";
    check.found = "not on PATH";
    check.hint = fmt::format("install it (Debian, Ubuntu: `apt-get install {}`)", package);
    return check;
  }
  const std::string line = first_line_of(version);
  check.found = line.empty() ? *path : fmt::format("{}: {}", *path, line);
  return check;
}

Check check_signing() {
  Check check = check_program("ssh-keygen", "approvals: a person signs with their SSH key", true,
                              {"ssh", "-V"}, "openssh-client");
  if (check.state != "ok") return check;
  // Before OpenSSH 8.0 there are no signatures of files.
  const std::string line = first_line_of({"ssh-keygen", "-Y", "sign"});
  // An older one says `unknown option -- Y`.
  if (line.find("option") == line.npos || line.find("-- Y") == line.npos) return check;
  check.state = "missing";
  check.found += "; it signs no files";
  check.hint = "install OpenSSH 8.0 or newer";
  return check;
}

Check check_python() {
  Check check =
      check_program("python3", "`trainer: exec`, models that Python serves, `heddle init --model`",
                    false, {"python3", "--version"}, "python3 python3-venv");
  if (check.state != "ok") return check;
  // Debian's python3 comes without both.
  if (first_line_of({"python3", "-c", "import venv, ensurepip; print('yes')"}) == "yes")
    return check;
  check.state = "limited";
  check.found += "; it makes no environments";
  check.hint = "install its `venv` (Debian, Ubuntu: `apt-get install python3-venv`)";
  return check;
}

Check check_sandbox() {
  Check check{"sandbox", "ok", "", "models and trainers in Python: what they may see and do",
              false};
  const auto nothing = runtime::find_program("true", "");
  runtime::Once once;
  const std::string no_files(1024, '\0');  // the end of an archive, two empty blocks
  once.place.files = no_files;
  if (nothing.ok()) once.place.command = {*nothing};
  once.timeout_ms = kSandboxMs;
  const auto ended = nothing.ok() ? runtime::run_once(once, {}, [](int) { return Result<void>(); })
                                  : Result<runtime::OnceEnd>(nothing.error());
  if (!ended.ok()) {
    check.state = "missing";
    check.found = ended.error().message;
    check.hint = ended.error().hint;
    return check;
  }
  check.found = runtime::text_of(ended->layers);
  if (ended->layers.whole()) return check;
  check.state = "limited";
  check.found += "; missing: " + runtime::missing_of(ended->layers);
  check.hint =
      "SECURITY.md says what each layer needs of the kernel; a model with `sandbox: full` is not "
      "started here";
  return check;
}

Check check_files() {
  // Raised to the hard limit, as the planes do it.
  const std::uint64_t limit = raise_open_files();
  Check check{"open files", "ok", fmt::format("{} a process", limit), "as many connections at once",
              false};
  if (limit >= kEnoughFiles) return check;
  check.state = "limited";
  check.hint = fmt::format("raise the hard limit (`ulimit -Hn {}`, or LimitNOFILE= of the unit)",
                           kEnoughFiles);
  return check;
}

Check check_memory() {
  const double bytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                       static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  Check check{
      "memory", "ok",
      fmt::format("{:.1f} GiB, {} processors", bytes / kGiB, ::sysconf(_SC_NPROCESSORS_ONLN)),
      "training: its rows are in memory", false};
  if (bytes >= kEnoughMemory) return check;
  check.state = "limited";
  check.hint = "train on fewer rows at a time, or on another machine";
  return check;
}

Check check_clock() {
  Check check{"clock", "ok", "synchronised", "event time of live traffic, ends of approvals",
              false};
  // Without a mode it only reads, which takes no rights.
  timex state{};
  if (::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0) return check;
  check.state = "limited";
  check.found = "nothing tells the kernel that it is right";
  check.hint =
      "start a time service (systemd-timesyncd, chrony); a machine's host may do it unseen";
  return check;
}

/// Filesystems on which locks and syncs are another machine's word. Numbers of statfs(2).
const char* network_name(long type) {
  switch (static_cast<unsigned long>(type)) {
    case 0x6969: return "NFS";
    case 0xff534d42:
    case 0xfe534d42: return "SMB";
    case 0x01021997: return "9p";
    case 0x00c36400: return "Ceph";
    default: return nullptr;
  }
}

Check check_disk(const std::string& folder) {
  Check check{"disk", "ok", "", "the state, the journal, bundles", true};
  struct statvfs room{};
  struct statfs kind{};
  if (::statvfs(folder.c_str(), &room) != 0 || ::statfs(folder.c_str(), &kind) != 0 ||
      ::access(folder.c_str(), W_OK) != 0) {
    check.state = "missing";
    check.found = fmt::format("`{}` is not yours to write", folder);
    check.hint = "see who owns the folder";
    return check;
  }
  // What is kept for root alone (f_bfree) does not count.
  const double free = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
  check.found = fmt::format("{:.1f} GiB free in `{}`", free / kGiB, folder);
  if (free < kEnoughDisk) {
    check.state = "limited";
    check.hint = "free some: a full disk ends no service, and nothing new is recorded on it";
  }
  if (const char* name = network_name(kind.f_type); name != nullptr) {
    check.state = "limited";
    check.found += fmt::format(", by {}", name);
    check.hint =
        "keep the project on a disk of this machine: locks and syncs of a network's are "
        "another machine's word";
  }
  return check;
}

Check check_kernel() {
  utsname name{};
  ::uname(&name);
  return {"kernel", "ok", fmt::format("{} {} on {}", name.sysname, name.release, name.machine),
          "everything", true};
}

std::string folder_of(const Invocation& invocation) {
  if (const auto root = find_project(invocation.project); root.ok()) return *root;
  return std::filesystem::current_path().string();
}

int examine(const Invocation& invocation, const Console& console) {
  const std::vector<Check> checks{
      check_kernel(),
      check_memory(),
      check_disk(folder_of(invocation)),
      check_rows(),
      check_signing(),
      check_program("git", "committing definitions", true, {"git", "--version"}, "git"),
      check_python(),
      check_sandbox(),
      check_files(),
      check_clock()};
  bool lacks = false;
  for (const auto& check : checks) lacks = lacks || (check.required && check.state == "missing");
  const int code = lacks ? error_kind_info(ErrorKind::kUnavailable).exit_code : 0;
  if (console.json()) {
    doc::Value::Array rows;
    for (const auto& check : checks) rows.push_back(Check::schema().print(check));
    console.document(doc::Value::object({{"checks", doc::Value(std::move(rows))}}));
    return code;
  }
  std::vector<std::vector<std::string>> rows{{"", "WHAT", "FOUND", "NEEDED BY"}};
  for (const auto& check : checks)
    rows.push_back(
        {check.state == "ok" ? "ok" : check.state, check.what, check.found, check.needed_by});
  console.data(format_rows(rows));
  bool first = true;
  for (const auto& check : checks) {
    if (check.hint.empty()) continue;
    console.message(fmt::format("{}{}: {}", first ? "\n" : "", check.what, check.hint));
    first = false;
  }
  if (first) console.message("\nnothing is missing");
  return code;
}

}  // namespace

void add_doctor_command(CLI::App& app, Invocation& invocation) {
  app.add_subcommand("doctor", "what of this machine Heddle needs and does not find")
      ->callback([&invocation] {
        invocation.run = [&invocation](const Console& console) {
          return examine(invocation, console);
        };
      });
}

}  // namespace heddle::cli
