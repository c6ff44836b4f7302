#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_port.hpp"
#include "plane/journal.hpp"

namespace heddle::plane {

/// The journal of journal.hpp on the disk of a port, by a clock of the caller's.
[[nodiscard]] Result<std::unique_ptr<JournalWriter>> open_journal(JournalWriter::Options options,
                                                                  FilePort& files,
                                                                  const Clock& clock);
/// `next` gives kIo when the disk does not give what is there, and the next call tries again;
/// kNotFound when the segment to begin with was removed.
[[nodiscard]] Result<std::unique_ptr<JournalReader>> read_journal(const std::string& dir,
                                                                  JournalPosition from,
                                                                  FilePort& files);
/// kConflict (`journal-version`) where the oldest or the newest of these segments is of another
/// version of the journal. What cannot be read is not refused here.
[[nodiscard]] Result<void> check_version(const std::string& dir,
                                         const std::vector<std::uint64_t>& segments,
                                         FilePort& files);
/// `gaps`: where the journal could not be read, in words. Acts may have stood there.
[[nodiscard]] Result<Standing> standing_acts(const std::string& dir, FilePort& files,
                                             std::vector<std::string>& gaps);
[[nodiscard]] Result<void> consumed(const std::string& dir, std::uint64_t segment,
                                    std::optional<std::uint64_t> keep, FilePort& files);

}  // namespace heddle::plane
