#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/os_user.hpp"
#include "base/process.hpp"
#include "draft/draft.hpp"
#include "spec/ssh_key.hpp"

namespace heddle::draft {
namespace {

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return line;
}

bool add_key(Person& person, const std::string& text, const std::string& source) {
  const std::string line = first_line(text);
  if (!spec::ssh_public_key(line).ok()) return false;
  person.keys.push_back(line);
  person.key_source = source;
  return true;
}

/// The key that git signs commits with: itself, or a file of it.
void add_git_key(Person& person, const std::string& home) {
  ProcessOptions git;
  git.argv = {"git", "config", "--global", "--get", "user.signingkey"};
  git.out = StandardStream::capture();
  git.err = StandardStream::null();
  git.in = StandardStream::null();
  const auto done = run_process(std::move(git));
  if (!done.ok() || !done->exit.ok()) return;
  std::string key = first_line(done->out);
  // `key::` stands before a key that is written out (git-config, `user.signingkey`).
  if (key.starts_with("key::")) key = key.substr(5);
  if (add_key(person, key, "the key that git signs with")) return;
  if (key.starts_with("~/")) key = home + key.substr(1);
  // git may name the private key: the public one stands beside it.
  const std::string file = key.ends_with(".pub") ? key : key + ".pub";
  if (const auto text = read_file(file); text.ok()) add_key(person, *text, file);
}

}  // namespace

Person own_person(const std::string& home) {
  Person out;
  out.os_user = os_user_name(::geteuid());
  out.name = plain_name(out.os_user, "owner");
  const std::string folder = home + "/.ssh";
  auto names = list_dir(folder);
  // The kind that `ssh-keygen` makes today comes first.
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name == "id_ed25519.pub"; });
  for (const auto& name : names) {
    if (!name.ends_with(".pub")) continue;
    if (const auto text = read_file(folder + "/" + name); text.ok())
      add_key(out, *text, folder + "/" + name);
    // One key is enough.
    if (!out.keys.empty()) return out;
  }
  add_git_key(out, home);
  return out;
}

}  // namespace heddle::draft
