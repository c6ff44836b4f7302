#include "ledger/history.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace heddle::ledger {

void HistoryMark::add(std::string_view note) {
  chain = sha256(chain.str() + std::string(note));
  ++notes;
}

std::string HistoryMark::str() const { return fmt::format("{} {}", notes, chain.str()); }

bool HistoryMark::begins(const History& history) const {
  // Fewer notes than the state knows: the history was cut.
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

Result<History> read_history(FilePort& files, const std::string& directory) {
  History history;
  auto read = read_file(files, directory + "/history");
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

Result<void> append_history(FilePort& files, const std::string& directory, std::size_t whole_bytes,
                            std::string_view note) {
  const std::string path = directory + "/history";
  const int fd = files.open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  if (fd < 0) return file_error("write", path);
  const std::string record = std::string(note) + "\n";
  const auto size = static_cast<std::int64_t>(whole_bytes);
  // A torn record at the end is cut off first: the new one must follow a whole one.
  const bool written = files.ftruncate(fd, size) == 0 && write_all(files, fd, record, size) == 0 &&
                       files.fsync(fd) == 0;
  std::optional<Error> error;
  if (!written) error = file_error("write", path);
  files.close(fd);
  if (error) return *std::move(error);
  // The first one made the file, now or in a try that failed: its name must be durable too.
  if (whole_bytes == 0) return fsync_dir(files, directory);
  return {};
}

}  // namespace heddle::ledger
