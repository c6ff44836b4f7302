#include "runtime/once.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "runtime/process.hpp"

namespace heddle::runtime {
namespace {

constexpr std::size_t kMostLine = 500;
constexpr std::size_t kLastLines = 5;
constexpr int kMostLines = 1000;  // told in all: who prints more is not read by a person
constexpr std::int64_t kLookEveryMs = 200;

/// What a program prints as lines, however it prints them: cut, printable, few enough to be told.
class Lines {
 public:
  explicit Lines(const LineSink& said) : said_(said) {}

  /// False once nothing more can come. Takes a bounded part: who prints without end is not thereby
  /// kept from its deadline.
  bool read(int fd) {
    char buffer[4096];
    for (int part = 0; part < 64; ++part) {
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n == 0) return false;
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      for (ssize_t i = 0; i < n; ++i) take(buffer[i]);
    }
    return true;
  }
  std::vector<std::string> finish() {
    end_line();
    if (untold_ > 0 && said_) said_(fmt::format("{} more lines were printed", untold_));
    return {last_.begin(), last_.end()};
  }

 private:
  void take(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\r') return end_line();
    if (line_.size() < kMostLine) line_ += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  void end_line() {
    if (line_.empty()) return;
    if (told_ < kMostLines) {
      ++told_;
      if (said_) said_(printable(line_));
    } else {
      ++untold_;
    }
    last_.push_back(printable(line_));
    if (last_.size() > kLastLines) last_.pop_front();
    line_.clear();
  }
  /// Of the UTF-8 sequence that begins so; 0: none does.
  static std::size_t length_of(unsigned char byte) {
    if (byte < 0x80) return 1;
    if (byte < 0xc2 || byte > 0xf4) return 0;
    return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  }
  /// Bytes past ASCII stay only where they are whole UTF-8: a terminal and JSON take no others.
  static std::string printable(const std::string& line) {
    std::string out;
    for (std::size_t i = 0; i < line.size();) {
      const auto byte = static_cast<unsigned char>(line[i]);
      const std::size_t size = length_of(byte);
      bool whole = size > 0 && i + size <= line.size();
      for (std::size_t k = 1; whole && k < size; ++k)
        whole = (static_cast<unsigned char>(line[i + k]) & 0xc0) == 0x80;
      // 0xc2 0x80 to 0xc2 0x9f are control characters to a terminal.
      if (whole && size == 2 && byte == 0xc2 && static_cast<unsigned char>(line[i + 1]) < 0xa0)
        whole = false;
      out += whole ? line.substr(i, size) : "?";
      i += whole ? size : 1;
    }
    return out;
  }

  const LineSink& said_;
  std::string line_;
  std::deque<std::string> last_;
  int told_ = 0;
  std::int64_t untold_ = 0;
};

Error lacks(const Layers& layers) {
  return Error{ErrorKind::kUnavailable, "runtime-sandbox",
               fmt::format("the whole sandbox is demanded, and this machine lacks of it: {}",
                           missing_of(layers)),
               "see SECURITY.md for what each layer needs; or set `sandbox: available`"};
}

/// Follows the program to its end, or to the deadline.
void follow(Process& process, std::int64_t timeout_ms, Lines& lines, OnceEnd& end_of) {
  const std::int64_t deadline = system_clock().mono_ns() + timeout_ms * kNanosPerMs;
  while (true) {
    const std::int64_t left = (deadline - system_clock().mono_ns()) / kNanosPerMs;
    pollfd fds[2] = {{process.output, POLLIN, 0}, {process.launcher.descriptor(), POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>(std::clamp<std::int64_t>(left, 0, kLookEveryMs)));
    if (process.output >= 0 && !lines.read(process.output)) {
      ::close(process.output);
      process.output = -1;
    }
    if (const auto exit = process.launcher.ended()) {
      if (process.output >= 0) (void)lines.read(process.output);
      end_of.how = exit->str();
      end_of.exit_code = exit->status();
      return;
    }
    if (left > 0) continue;
    end_of.timed_out = true;
    end_of.how = fmt::format("stopped after {} s", timeout_ms / 1000);
    end_of.exit_code = 128 + 9;
    return;
  }
}

}  // namespace

Result<OnceEnd> run_once(const Once& once, const LineSink& said, const TakeOut& take) {
  HEDDLE_ASSIGN_OR_RETURN(auto place, Place::make(once.place));
  auto& environment = place.launch().environment;
  environment.insert(environment.end(), once.environment.begin(), once.environment.end());
  HEDDLE_ASSIGN_OR_RETURN(auto process, spawn(place.launch()));
  OnceEnd end_of;
  end_of.layers = process.layers;
  if (once.whole_sandbox && !process.layers.whole()) {
    end(process, 0);
    return lacks(process.layers);
  }
  // Of its root, which is gone with it: this one keeps the folder until it was read.
  const int scratch = ::fcntl(process.scratch, F_DUPFD_CLOEXEC, 3);
  Lines lines(said);
  follow(process, once.timeout_ms, lines, end_of);
  end(process, 0);
  end_of.last_lines = lines.finish();
  Result<void> taken;
  if (!end_of.timed_out) taken = take(scratch);
  ::close(scratch);
  HEDDLE_TRY(taken);
  return end_of;
}

Result<std::string> read_below(int folder, const std::string& path, std::int64_t most) {
  const auto absent = [&] {
    return Error{ErrorKind::kNotFound, "once-output", fmt::format("there is no `{}`", path),
                 "it is to be a file"};
  };
  int at = ::openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  std::size_t begin = 0;
  for (std::size_t slash; (slash = path.find('/', begin)) != std::string::npos;) {
    const int next = ::openat(at, path.substr(begin, slash - begin).c_str(),
                              O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    ::close(at);
    if (next < 0) return absent();
    at = next;
    begin = slash + 1;
  }
  const int file =
      ::openat(at, path.substr(begin).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  ::close(at);
  struct stat status{};
  if (file < 0 || ::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    if (file >= 0) ::close(file);
    return absent();
  }
  std::string bytes;
  if (status.st_size <= most) {
    bytes.resize(static_cast<std::size_t>(status.st_size));
    std::size_t got = 0;
    for (ssize_t n; got < bytes.size() && (n = ::pread(file, bytes.data() + got, bytes.size() - got,
                                                       static_cast<off_t>(got))) > 0;)
      got += static_cast<std::size_t>(n);
    bytes.resize(got);
  }
  ::close(file);
  if (status.st_size > most)
    return Error{ErrorKind::kTooLarge, "once-output",
                 fmt::format("`{}` has {} bytes, more than {}", path, status.st_size, most),
                 "write less"};
  return bytes;
}

}  // namespace heddle::runtime
