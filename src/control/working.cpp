#include "control/working.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.hpp"
#include "doc/error_format.hpp"
#include "doc/json.hpp"

namespace heddle::control {
namespace {

/// What it said last: the last line of its log.
std::string last_line(const std::string& path) {
  const auto log = read_file(path);
  if (!log.ok()) return {};
  std::string_view text = *log;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  text.remove_prefix(text.rfind('\n') + 1);  // npos + 1 is 0: there is one line
  return std::string(text);
}

/// The error that a command left as its document; nullopt: it is no error. One that is not as it
/// must be is told with its place.
std::optional<Error> error_of(const doc::Value& document) {
  if (document.find("error") == nullptr) return std::nullopt;
  const auto failed = doc::command_error_schema().parse(document);
  return failed.ok() ? failed->error : failed.error();
}

}  // namespace

std::string Working::folder(const std::string& name) const {
  return fmt::format("{}/work/{}", home_.dir(), name);
}

Result<Working::Running> Working::start(const std::string& name,
                                        const std::vector<std::string>& words) const {
  const std::string dir = folder(name);
  std::error_code failed;
  // A result of the run before must not pass for one of this.
  std::filesystem::remove_all(dir, failed);
  HEDDLE_TRY(make_dirs(dir));
  ProcessOptions options;
  options.argv = {executable_,  "--project",          home_.root(), "--json",
                  "--document", dir + "/result.json", name};
  options.argv.insert(options.argv.end(), words.begin(), words.end());
  options.directory = home_.root();
  options.in = StandardStream::null();
  options.out = StandardStream::write(dir + "/log");
  options.err = StandardStream::output();
  // So that an end of it ends its own workers too.
  options.leads_group = true;
  HEDDLE_ASSIGN_OR_RETURN(auto process, ChildProcess::start(options));
  return Running{words, std::move(process)};
}

Result<WorkReply> Working::ended(const std::string& name, const ExitStatus& exit) const {
  const std::string dir = folder(name);
  const auto text = read_file(dir + "/result.json");
  const auto document = text.ok() ? doc::parse_json(*text) : Result<doc::Value>(text.error());
  if (!document.ok() || !document->is_object()) {
    return Error{
        ErrorKind::kInternal, "work-without-result",
        fmt::format("`heddle {}` ended with exit code {} and no result", name, exit.status()),
        fmt::format("its log is `{}/log`", dir)};
  }
  if (auto failed = error_of(*document)) return *std::move(failed);
  WorkReply reply;
  reply.done = true;
  reply.progress = last_line(dir + "/log");
  reply.exit_code = exit.status();
  reply.result = *document;
  return reply;
}

Result<WorkReply> Working::ask(const std::string& name, const std::vector<std::string>& words,
                               bool waits) {
  auto at = running_.find(name);
  if (at == running_.end()) {
    HEDDLE_ASSIGN_OR_RETURN(auto started, start(name, words));
    at = running_.emplace(name, std::move(started)).first;
  }
  // One at a time of each kind: two runs would write the same files of `.heddle`.
  if (at->second.words != words) {
    return Error{ErrorKind::kConflict, "work-in-progress",
                 fmt::format("`heddle {} {}` runs", name, fmt::join(at->second.words, " ")),
                 "ask for that one until it is done, then for this one"};
  }
  if (waits) (void)at->second.process.wait();
  const auto exit = at->second.process.ended();
  if (!exit) {
    WorkReply reply;
    reply.progress = last_line(folder(name) + "/log");
    return reply;
  }
  // Its result is given once. Who asks again starts it anew.
  running_.erase(at);
  return ended(name, *exit);
}

}  // namespace heddle::control
