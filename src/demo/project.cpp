#include "demo/project.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.hpp"
#include "base/os_user.hpp"
#include "demo/process.hpp"
#include "spec/load.hpp"

namespace heddle::demo {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPerson = "you";

Error io(const std::string& what, const std::error_code& error) {
  return Error{ErrorKind::kIo, "demo-files", fmt::format("{}: {}", what, error.message()),
               "check the folder and the space on the disk"};
}

/// Removes what is in the folder, but for these names; a folder that is not there is empty.
Result<void> clear(const std::string& folder, const std::set<std::string>& kept) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!kept.contains(at->path().filename().string())) fs::remove_all(at->path(), error);
    if (error) break;
  }
  if (!error || error == std::errc::no_such_file_or_directory) return {};
  return io(fmt::format("cannot clear `{}`", folder), error);
}

Result<void> copy_tree(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_directories(to, error);
  if (error) return io(fmt::format("cannot make `{}`", to), error);
  // Definitions that the example no longer has must not linger.
  HEDDLE_TRY(clear(to, {".heddle"}));
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing, error);
  if (error) return io(fmt::format("cannot copy `{}` to `{}`", from, to), error);
  return {};
}

/// Adds the person at the head of the list `people:`; the list's own indentation is kept.
Result<std::string> with_person(const std::string& yaml, const std::string& key,
                                const std::set<std::string>& roles) {
  const std::size_t before = yaml.find("\npeople:");
  const std::size_t at = before == std::string::npos ? 0 : before + 1;
  if (before == std::string::npos && !yaml.starts_with("people:")) {
    return Error{ErrorKind::kInvalid, "demo-people",
                 "people.yaml of the example has no list `people`", "restore examples/flights"};
  }
  const std::size_t line_end = std::min(yaml.find('\n', at), yaml.size() - 1);
  const std::size_t dash = yaml.find_first_not_of(' ', line_end + 1);
  const std::string indent = dash != std::string::npos && yaml[dash] == '-'
                                 ? yaml.substr(line_end + 1, dash - line_end - 1)
                                 : "  ";
  std::string head = yaml.substr(0, line_end);
  if (const std::size_t empty = head.rfind("[]"); empty != std::string::npos && empty > at)
    head = head.substr(0, empty);
  return fmt::format("{}\n{}- name: {}\n{}  roles: [{}]\n{}  keys: [\"{}\"]\n{}", head, indent,
                     kPerson, indent, fmt::join(roles, ", "), indent, key,
                     yaml.substr(line_end + 1));
}

/// Whoever runs the demo asks as this person of the example: by the user of the system, as people
/// do.
Result<std::string> with_os_user(const std::string& yaml, const std::string& person) {
  const std::string name = fmt::format("- name: {}\n", person);
  const std::size_t at = yaml.find(name);
  if (at == std::string::npos) {
    return Error{ErrorKind::kInvalid, "demo-people",
                 fmt::format("people.yaml of the example has no `{}`", person),
                 "restore examples/flights"};
  }
  const std::size_t line = yaml.rfind('\n', at) + 1;
  const std::string indent(at - line + 2, ' ');
  const std::size_t after = at + name.size();
  return fmt::format("{}{}os_users: [\"{}\"]\n{}", yaml.substr(0, after), indent,
                     os_user_name(::geteuid()), yaml.substr(after));
}

}  // namespace

Result<DemoProject> prepare_project(const std::string& example, const std::string& data,
                                    const std::string& out) {
  if (!path_exists(example + "/heddle.yaml")) {
    return Error{ErrorKind::kNotFound, "demo-no-example",
                 fmt::format("`{}` is no project", example), "name it with --example"};
  }
  for (const char* file : {"flights-3m.parquet", "airports.csv"}) {
    if (!path_exists(data + "/" + file)) {
      return Error{ErrorKind::kNotFound, "demo-no-data",
                   fmt::format("`{}/{}` is not there", data, file), "run `make deps`"};
    }
  }
  std::error_code error;
  fs::create_directories(out, error);
  if (error) return io(fmt::format("cannot make `{}`", out), error);
  DemoProject project;
  project.root = fs::absolute(out + "/flights").lexically_normal();
  project.person = kPerson;
  project.key = fs::absolute(out + "/person_key").lexically_normal();
  project.signers = fs::absolute(out + "/allowed_signers").lexically_normal();

  HEDDLE_TRY(copy_tree(example, project.root));
  HEDDLE_TRY(clear(project.state_dir(), {"objects", "runs"}));
  fs::create_directory_symlink(fs::absolute(data).lexically_normal(), project.root + "/data",
                               error);
  if (error) return io("cannot link the data into the project", error);

  fs::remove(project.key, error);
  fs::remove(project.key + ".pub", error);
  HEDDLE_TRY(must_run(
      {{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", kPerson, "-f", project.key}}));
  HEDDLE_ASSIGN_OR_RETURN(std::string public_key, read_file(project.key + ".pub"));
  while (!public_key.empty() && public_key.back() == '\n') public_key.pop_back();
  HEDDLE_TRY(write_file_atomic(project.signers, fmt::format("{} {}\n", kPerson, public_key)));

  std::set<std::string> roles;
  HEDDLE_ASSIGN_OR_RETURN(const spec::Loaded loaded, spec::load_project(project.root));
  for (const auto& [name, policy] : loaded.project.policies) {
    for (const spec::PolicyRule& rule : policy.rules) {
      if (!rule.approver_role.empty()) roles.insert(rule.approver_role);
    }
  }
  if (loaded.project.services.empty()) {
    return Error{ErrorKind::kInvalid, "demo-no-service", "the example has no service",
                 "restore examples/flights"};
  }
  project.service = loaded.project.services.begin()->first;
  if (roles.empty()) roles.insert("approver");
  HEDDLE_ASSIGN_OR_RETURN(const std::string people, read_file(project.root + "/people.yaml"));
  HEDDLE_ASSIGN_OR_RETURN(const std::string asks, with_os_user(people, kRequester));
  HEDDLE_ASSIGN_OR_RETURN(const std::string with, with_person(asks, public_key, roles));
  HEDDLE_TRY(write_file_atomic(project.root + "/people.yaml", with));
  std::string ignored;
  if (auto there = read_file(project.root + "/.gitignore"); there.ok()) ignored = *there;
  for (const char* line : {"/.heddle/", "/data"}) {
    if (ignored.find(line) == std::string::npos) ignored += fmt::format("{}\n", line);
  }
  HEDDLE_TRY(write_file_atomic(project.root + "/.gitignore", ignored));

  const auto git = [&](std::vector<std::string> words) {
    std::vector<std::string> argv{"git",
                                  "-c",
                                  "user.name=Heddle demo",
                                  "-c",
                                  "user.email=demo@localhost",
                                  "-c",
                                  "init.defaultBranch=main",
                                  "-c",
                                  "commit.gpgsign=false"};
    argv.insert(argv.end(), words.begin(), words.end());
    return must_run({std::move(argv), project.root});
  };
  HEDDLE_TRY(git({"init", "-q"}));
  HEDDLE_TRY(git({"add", "-A"}));
  HEDDLE_TRY(git({"commit", "-q", "-m", "flights: predict late departures"}));
  return project;
}

}  // namespace heddle::demo
