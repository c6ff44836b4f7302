#include "ledger/history.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/file.hpp"

namespace heddle::ledger {

void HistoryMark::add(std::string_view note) {
  chain = sha256(chain.str() + std::string(note));
  ++notes;
}

std::string HistoryMark::str() const { return fmt::format("{} {}", notes, chain.str()); }

bool HistoryMark::begins(const History& history) const {
  if (history.notes.size() < notes) return false;
  HistoryMark found;
  for (std::uint64_t i = 0; i < notes; ++i) found.add(history.notes[i]);
  return found.chain == chain;
}

Result<HistoryMark> read_mark(store::Txn& txn) {
  HEDDLE_ASSIGN_OR_RETURN(const auto text, txn.get("ledger", "history"));
  HistoryMark mark;
  if (!text) return mark;
  const auto space = std::min(text->find(' '), text->size());
  const auto [end, code] = std::from_chars(text->data(), text->data() + space, mark.notes);
  const auto chain =
      Digest::parse(std::string_view(*text).substr(std::min(space + 1, text->size())));
  if (code != std::errc() || end != text->data() + space || !chain) {
    return Error{ErrorKind::kCorrupt, "ledger-history-mark",
                 "the state's record of the signed checkpoints is malformed",
                 "the state was changed or damaged: bring it back from a backup"};
  }
  mark.chain = *chain;
  return mark;
}

Result<void> write_mark(store::Txn& txn, const HistoryMark& mark) {
  return txn.put("ledger", "history", mark.str());
}

Result<History> read_history(const std::string& directory) {
  History history;
  auto read = read_file(directory + "/history");
  if (!read.ok() && read.error().kind == ErrorKind::kNotFound) return history;
  // Read as none, it would be written over.
  HEDDLE_ASSIGN_OR_RETURN(const auto text, std::move(read));
  // A note is a body, an empty line and its signatures; the record ends at the next empty line.
  for (std::size_t begin = 0; begin < text.size();) {
    const auto body = text.find("\n\n", begin);
    const auto end = body == std::string::npos ? body : text.find("\n\n", body + 2);
    if (end == std::string::npos) break;
    history.notes.push_back(text.substr(begin, end + 1 - begin));
    begin = history.whole_bytes = end + 2;
  }
  history.torn = text.substr(history.whole_bytes);
  return history;
}

Result<void> append_history(const std::string& directory, std::size_t whole_bytes,
                            std::string_view note) {
  const std::string path = directory + "/history";
  const bool created = !path_exists(path);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const std::string record = std::string(note) + "\n";
  const auto size = static_cast<off_t>(whole_bytes);
  const bool written =
      fd >= 0 && ::ftruncate(fd, size) == 0 &&
      ::pwrite(fd, record.data(), record.size(), size) == static_cast<ssize_t>(record.size()) &&
      ::fsync(fd) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (!written) {
    return Error{ErrorKind::kIo, code == ENOSPC ? "disk-full" : "file-io-failed",
                 fmt::format("cannot write `{}`: {}", path, std::strerror(code)),
                 "free space on that disk"};
  }
  if (created) return fsync_dir(directory);
  return {};
}

}  // namespace heddle::ledger
