#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.hpp"

namespace heddle::policy {

/// A person's SSH key, made and used by the real ssh-keygen. For tests only.
class SshKey {
 public:
  explicit SshKey(const std::string& name, const std::string& kind = "-t ed25519") {
    std::string made = std::filesystem::temp_directory_path().string() + "/heddle-key.XXXXXX";
    HEDDLE_CHECK(::mkdtemp(made.data()) != nullptr, "mkdtemp");
    directory_ = made;
    run("ssh-keygen -q " + kind + " -N '' -C " + name + " -f " + directory_ + "/key");
  }
  ~SshKey() { std::filesystem::remove_all(directory_); }
  SshKey(const SshKey&) = delete;
  SshKey& operator=(const SshKey&) = delete;

  [[nodiscard]] std::string public_key() const {
    auto text = read_file(directory_ + "/key.pub").value();
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  [[nodiscard]] std::string sign(const std::string& statement,
                                 const std::string& name_space = "heddle-approval") const {
    const std::string file = directory_ + "/statement";
    HEDDLE_CHECK(write_file_atomic(file, statement).ok(), "write");
    std::filesystem::remove(file + ".sig");
    run("ssh-keygen -q -Y sign -f " + directory_ + "/key -n " + name_space + " " + file +
        " 2>/dev/null");
    return read_file(file + ".sig").value();
  }

 private:
  static void run(const std::string& command) {
    HEDDLE_CHECK(std::system(command.c_str()) == 0, command);
  }
  std::string directory_;
};

}  // namespace heddle::policy
