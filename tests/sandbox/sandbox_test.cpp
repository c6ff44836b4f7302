#include "runtime/sandbox.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "runtime/launcher.hpp"
#include "runtime/process.hpp"
#include "runtime/tar.hpp"
#include "runtime/worker.hpp"

namespace heddle::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPython = "/usr/bin/python3";
constexpr std::uint32_t kNobody = 65534;

/// Runs `body` in a child of ours, as another user if `user` is given, and gives back what it
/// returns: a test must not change its own process.
std::string in_child(std::uint32_t user, const std::function<std::string()>& body) {
  int pipe[2];
  EXPECT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    if (user != 0 && ::geteuid() == 0 &&
        (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0))
      ::_exit(1);
    const std::string said = body();
    (void)!::write(pipe[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = ::read(pipe[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(n));
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

/// A folder like a project's with a worker's instance in it, of `user`.
class Instance {
 public:
  explicit Instance(std::uint32_t user = 0) {
    std::string name = ::testing::TempDir() + "/heddle-sandbox-XXXXXX";
    path = fs::canonical(::mkdtemp(name.data())).string();
    for (const char* folder :
         {"/state", "/state/one", "/state/one/files", "/state/one/run", "/state/one/root"})
      fs::create_directory(path + folder);
    fs::copy("tests/fixtures/sandbox/probes.py", path + "/state/one/files/probes.py");
    std::ofstream(path + "/state/secret") << "secret";
    if (user != 0 && ::geteuid() == 0) {
      for (const auto& entry : fs::recursive_directory_iterator(path))
        EXPECT_EQ(::chown(entry.path().c_str(), user, user), 0);
      EXPECT_EQ(::chown(path.c_str(), user, user), 0);
    }
  }
  ~Instance() { fs::remove_all(path); }

  Launch launch(std::vector<std::string> words, std::int64_t memory_mib = 1024) const {
    Launch launch;
    launch.program = kPython;
    launch.arguments = {kPython, "probes.py"};
    launch.arguments.insert(launch.arguments.end(), words.begin(), words.end());
    launch.directory = path + "/state/one/files";
    launch.scratch = path + "/state/one/run";
    launch.base = path + "/state/one/root";
    launch.hidden = path + "/state";
    launch.environment = {"HOME=" + launch.scratch, "PYTHONDONTWRITEBYTECODE=1"};
    launch.memory_bytes = memory_mib << 20;
    return launch;
  }
  std::string path;
};

struct Outcome {
  Layers layers{};
  std::string output;
  std::string how;  ///< it ended
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::istringstream text(output);
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }
  /// The largest that it said it has.
  [[nodiscard]] long most() const {
    long most = 0;
    for (const std::string& line : lines())
      if (line.starts_with("has ")) most = std::max(most, std::stol(line.substr(4)));
    return most;
  }
};

std::string read_more(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

Outcome run(const Launch& launch) {
  Outcome out;
  auto process = spawn(launch);
  if (!process.ok()) {
    out.how = process.error().str();
    return out;
  }
  out.layers = process->layers;
  const int output = ::dup(process->output);
  while (true) {
    pollfd waits = {process->output, POLLIN, 0};
    ::poll(&waits, 1, 10);
    out.output += read_more(output);
    if (auto how = reap(*process); how.has_value()) {
      out.how = *how;
      break;
    }
  }
  out.output += read_more(output);
  ::close(output);
  return out;
}

class Listener {
 public:
  Listener(int family, const sockaddr* address, socklen_t size) {
    fd_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT_EQ(::bind(fd_, address, size), 0) << std::strerror(errno);
    EXPECT_EQ(::listen(fd_, 8), 0);
  }
  ~Listener() { ::close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] bool was_reached() const {
    const int one = ::accept(fd_, nullptr, nullptr);
    if (one >= 0) ::close(one);
    return one >= 0;
  }
  [[nodiscard]] int port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

 private:
  int fd_ = -1;
};

/// A socket of the machine, by its path or, with `abstract`, by a name without one.
Listener unix_listener(const std::string& name, bool abstract) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (abstract ? 1 : 0), name.data(), name.size());
  return {AF_UNIX, reinterpret_cast<const sockaddr*>(&address),
          static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1)};
}
Listener tcp_listener() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return {AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address};
}

/// Processes of the machine with `mark` as their name.
int count_marked(const std::string& mark) {
  int count = 0;
  for (const std::string& pid : list_dir("/proc")) {
    std::ifstream file("/proc/" + pid + "/cmdline");
    std::string name;
    std::getline(file, name, '\0');
    count += name == mark ? 1 : 0;
  }
  return count;
}

template <class F>
void until(F holds, const char* what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
    ::usleep(2000);
  }
}

/// As root where the tests run as root, and as an ordinary user.
class Sandboxed : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  Outcome run_as(const Launch& launch) const {
    Outcome all;
    const std::string said = in_child(GetParam(), [&] {
      const Outcome one = run(launch);
      return fmt::format("{}\n{}\n{}", one.how, missing_of(one.layers), one.output);
    });
    std::istringstream text(said);
    std::string missing;
    std::getline(text, all.how);
    std::getline(text, missing);
    EXPECT_EQ(missing, "") << "layers of the sandbox; ended by " << all.how;
    all.output.assign(std::istreambuf_iterator<char>(text), {});
    return all;
  }
};
INSTANTIATE_TEST_SUITE_P(Users, Sandboxed, ::testing::Values(0u, kNobody), [](const auto& user) {
  return std::string(user.param == 0 ? "AsWhoeverTests" : "AsAnOrdinaryUser");
});

TEST_P(Sandboxed, NothingThatHostileCodeTriesIsPossible) {
  const Instance instance(GetParam());
  ::chmod(instance.path.c_str(), 0777);
  ::chmod((instance.path + "/state").c_str(), 0777);
  // Of the same user as the worker's owner, and open to everybody: as another project's.
  const std::string path = instance.path + "/other.sock";
  const std::string abstract = "heddle-test-" + std::to_string(::getpid());
  const Listener by_path = unix_listener(path, false);
  const Listener by_name = unix_listener(abstract, true);
  const Listener by_port = tcp_listener();
  ::chmod(path.c_str(), 0777);
  const std::string secret = instance.path + "/state/secret";
  const Outcome all =
      run_as(instance.launch({"all", secret, path, abstract, std::to_string(by_port.port())}));
  const auto lines = all.lines();
  EXPECT_EQ(all.how, "exit code 0");
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), "end") << all.output;
  EXPECT_GT(lines.size(), 130u);
  for (const std::string& line : lines)
    EXPECT_EQ(line.find(" possible"), std::string::npos) << line;
  EXPECT_FALSE(by_path.was_reached());
  EXPECT_FALSE(by_name.was_reached());
  EXPECT_FALSE(by_port.was_reached());
  EXPECT_EQ(*read_file(secret), "secret");
}

TEST_P(Sandboxed, MemoryOfAllItsProcessesIsBounded) {
  const Instance instance(GetParam());
  for (const char* what : {"shared", "private", "sockets", "tables"}) {
    const Outcome greedy = run_as(instance.launch({what, "256"}, 128));
    EXPECT_EQ(greedy.how, "signal 9") << what << greedy.output;
    EXPECT_NE(greedy.output.find("more than `memory_bytes` (128 MiB)"), std::string::npos)
        << what << greedy.output;
  }
  // Six children with the pages of their parent: 560 MiB where each is counted alone.
  const Outcome modest = run_as(instance.launch({"copies", "80"}, 256));
  EXPECT_EQ(modest.most(), 560) << modest.how << modest.output;
  EXPECT_EQ(modest.how, "exit code 0") << modest.output;
}

TEST_P(Sandboxed, FilesProcessesAndDescriptorsAreBounded) {
  const Instance instance(GetParam());
  struct Case {
    std::vector<std::string> words;
    long most;
  };
  for (const auto& [words, most] :
       {Case{{"file", "200"}, 64}, Case{{"files", "200"}, 64}, Case{{"processes", "1300"}, 1024},
        Case{{"descriptors", "1300"}, 1024}}) {
    const bool in_memory = words[0] == "processes";  // which takes some
    const Outcome greedy = run_as(instance.launch(words, in_memory ? 4096 : 256));
    EXPECT_EQ(greedy.how, "exit code 0") << words[0] << greedy.output;
    EXPECT_NE(greedy.output.find("refused"), std::string::npos) << words[0] << greedy.output;
    EXPECT_LE(greedy.most(), most) << words[0];
    EXPECT_GE(greedy.most(), most * 3 / 4) << words[0];
  }
  EXPECT_TRUE(list_dir(instance.path + "/state/one/run").empty()) << "it wrote to our disk";
}

TEST_P(Sandboxed, WhatItStartedEndsWithIt) {
  const Instance instance(GetParam());
  const std::string mark = fmt::format("heddle-outlives-{}-{}", ::getpid(), GetParam());
  const Launch launch = instance.launch({"outlive", mark});
  in_child(GetParam(), [&]() -> std::string {
    auto process = spawn(launch);
    until([&] { return count_marked(mark) == 1; }, "it left one behind");
    end(*process, 0);
    return {};
  });
  until([&] { return count_marked(mark) == 0; }, "it is gone after the end");
}

TEST_P(Sandboxed, WhatItStartedEndsWithAKilledDataPlane) {
  const Instance instance(GetParam());
  const std::string mark = fmt::format("heddle-orphan-{}-{}", ::getpid(), GetParam());
  const Launch launch = instance.launch({"outlive", mark});
  const pid_t plane = ::fork();
  if (plane == 0) {
    in_child(GetParam(), [&]() -> std::string {
      const auto process = spawn(launch);
      until([&] { return count_marked(mark) == 1; }, "it left one behind");
      ::kill(::getpid(), SIGKILL);
      return {};
    });
    ::_exit(0);
  }
  ::waitpid(plane, nullptr, 0);
  until([&] { return count_marked(mark) == 0; }, "it is gone after the kill");
}

/// Root of a user namespace that has no other user, as in a container without privileges.
void become_root_of_one() {
  if (::geteuid() != 0 || ::unshare(CLONE_NEWUSER) != 0) ::_exit(2);
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 0 1";
  std::ofstream("/proc/self/gid_map") << "0 0 1";
}

/// Without capabilities, and where no namespace can be had any more.
void lose_namespaces() {
  become_root_of_one();
  std::ofstream("/proc/sys/user/max_user_namespaces") << "0";
  for (unsigned long capability = 0; capability < 64; ++capability)
    (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  ::syscall(SYS_capset, &header, none);
}

TEST(Sandbox, InAContainerAllButAnotherUserHolds) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to take something away";
  const Instance instance;
  const std::string said = in_child(0, [&] {
    become_root_of_one();
    const Outcome one =
        run(instance.launch({"all", instance.path + "/state/secret", "/x", "nobody", "1"}));
    return fmt::format("{}\n{}", missing_of(one.layers), one.output);
  });
  std::istringstream lines(said);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "user") << said;
  // Root of a user namespace without a capability in it is root by name; it is told the numbers of
  // init's descriptors, which it cannot open.
  while (std::getline(lines, line)) {
    if (line.find(" possible") == std::string::npos) continue;
    EXPECT_TRUE(line == "root possible" || line == "setuid 0 possible" ||
                line == "list:/proc/1/fd possible")
        << line;
  }
}

TEST(Sandbox, WhatAMachineCannotGiveIsSaidAndTheRestHolds) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to take something away";
  const Instance instance;
  const std::string path = instance.path + "/other.sock";
  const Listener by_path = unix_listener(path, false);
  const std::string said = in_child(0, [&] {
    lose_namespaces();
    const Outcome one =
        run(instance.launch({"all", instance.path + "/state/secret", path, "nobody", "1"}));
    return fmt::format("{}\n{}", missing_of(one.layers), one.output);
  });
  EXPECT_TRUE(said.starts_with("user, mount, pid, proc, network, ipc\n")) << said;
  EXPECT_TRUE(said.ends_with("end\n")) << said;
  // Without a root of its own the socket is in its sight: to connect at all is not possible.
  for (const char* name :
       {"path socket ", "path socket by a link ", "abstract socket ", "tcp ", "udp ",
        "family vsock ", "call ptrace ", "unshare user ", "capabilities "}) {
    const std::size_t found = said.find(fmt::format("\n{}", name));
    ASSERT_NE(found, std::string::npos) << name << said;
    EXPECT_EQ(said.substr(found + 1 + std::strlen(name), 7), "refused") << name << said;
  }
  EXPECT_NE(said.find(instance.path + "/state/secret refused"), std::string::npos);
  EXPECT_FALSE(by_path.was_reached());
}

TEST(Sandbox, AModelThatDemandsAllOfItIsNotStartedWithLess) {
  if (::geteuid() != 0) GTEST_SKIP() << "takes root to take something away";
  const std::string said = in_child(0, [&] {
    lose_namespaces();
    auto worker = Worker::start({.command = {kPython, "probes.py", "outlive", "x"},
                                 .files = *pack_folder("tests/fixtures/sandbox"),
                                 .whole_sandbox = true,
                                 .memory_bytes = 1 << 30});
    return worker.ok() ? "started" : worker.error().id + ": " + worker.error().message;
  });
  EXPECT_EQ(said,
            "runtime-sandbox: the model demands the whole sandbox, and this machine lacks of it: "
            "user, mount, pid, proc, network, ipc");
}

TEST(Sandbox, AWorkersSocketIsNoWayToAnother) {
  const Instance instance;
  const std::string path = instance.path + "/other.sock";
  const Listener other = unix_listener(path, false);
  const std::string code = fmt::format(
      "import os, time\nos.symlink('{}', os.environ['HEDDLE_WORKER_SOCKET'])\ntime.sleep(60)",
      path);
  const auto worker = Worker::start({.command = {kPython, "-c", code},
                                     .files = *pack_folder("tests/fixtures/sandbox"),
                                     .memory_bytes = 1 << 30,
                                     .start_timeout_ms = 1500});
  ASSERT_FALSE(worker.ok());
  EXPECT_EQ(worker.error().id, "runtime-start");
  EXPECT_FALSE(other.was_reached());
}

TEST(Sandbox, ALaunchComesBackWholeOrNotAtAll) {
  const Launch launch{.program = "/usr/bin/python3",
                      .arguments = {"python3", "", "a b"},
                      .environment = {"HOME=/x"},
                      .directory = "/x/files",
                      .scratch = "/x/run",
                      .base = "/x/root",
                      .readable = {},
                      .hidden = "",
                      .memory_bytes = std::int64_t{1} << 40};
  const std::string bytes = encode(launch, 7);
  const auto again = decode_launch(bytes);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->parent, 7);
  EXPECT_EQ(encode(again->launch, again->parent), bytes);
  EXPECT_EQ(again->launch.arguments, launch.arguments);
  EXPECT_EQ(again->launch.memory_bytes, launch.memory_bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_launch(bytes.substr(0, size)).has_value()) << size;
  EXPECT_FALSE(decode_launch(bytes + "x").has_value());
}

TEST(Sandbox, NamesItsLayers) {
  Layers layers;
  EXPECT_EQ(text_of(layers), "none");
  EXPECT_FALSE(layers.whole());
  layers = {true, true, true, true, true, true, true, 7};
  EXPECT_EQ(text_of(layers), "user, mount, pid, proc, network, ipc, seccomp, landlock 7");
  EXPECT_EQ(missing_of(layers), "");
  EXPECT_TRUE(layers.whole());
  layers.pid = false;
  layers.landlock = 0;
  EXPECT_EQ(missing_of(layers), "pid, landlock");
  EXPECT_FALSE(layers.whole());
}

}  // namespace
}  // namespace heddle::runtime
