#include "control/service_journal.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "plane/segment.hpp"

namespace heddle::control {

Result<ServiceJournal> ServiceJournal::open(std::string spool, plane::JournalPosition from) {
  HEDDLE_TRY(make_dirs(spool));
  std::string lost;
  if (from.segment > 0 && !path_exists(plane::segment_path(spool, from.segment))) {
    // To wait for that number would be to hear nothing until the data plane has written so many.
    lost = fmt::format("segment {} is gone", from.segment);
    from = {};
  }
  HEDDLE_ASSIGN_OR_RETURN(auto reader, plane::JournalReader::open(spool, from));
  ServiceJournal journal(std::move(spool), std::move(reader));
  journal.lost_ = std::move(lost);
  journal.saved_ = from.segment;
  return journal;
}

Result<std::optional<plane::Record>> ServiceJournal::next() {
  if (held_) return std::exchange(held_, std::nullopt);
  taken_ = reader_->position();
  return reader_->next();
}

void ServiceJournal::hold(plane::Record record) { held_ = std::move(record); }

plane::JournalPosition ServiceJournal::position() const {
  return held_ ? taken_ : reader_->position();
}

void ServiceJournal::saved() { saved_ = position().segment; }

std::uint64_t ServiceJournal::unsaved_segments() const {
  const auto now = position().segment;
  return now > saved_ ? now - saved_ : 0;
}

void ServiceJournal::archived(std::uint64_t segment) {
  archived_ = segment;
  trim();
}

void ServiceJournal::trim() {
  // Whichever needs the older segments: what is read again after a crash, or the access log.
  const std::uint64_t needed =
      std::min(saved_, archived_ == UINT64_MAX ? UINT64_MAX : archived_ + 1);
  if (needed <= consumed_) return;
  const auto said = plane::consumed(spool_, needed);
  if (!said.ok()) return log::warn("{}", said.error().str());
  consumed_ = needed;
}

Result<doc::Value> ServiceJournal::unread_stops() const {
  // A reader of its own: the place of the one that decides must not move.
  HEDDLE_ASSIGN_OR_RETURN(const auto reader,
                          plane::JournalReader::open(spool_, reader_->position()));
  auto stops = doc::Value::array();
  for (;;) {
    HEDDLE_ASSIGN_OR_RETURN(const auto record, reader->next());
    if (!record) return stops;
    if (const auto* stop = std::get_if<plane::StopRecord>(&*record))
      stops.push(doc::Value::object({{"id", stop->id}, {"by", stop->by}}));
  }
}

}  // namespace heddle::control
