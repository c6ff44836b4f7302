#include "plane/shares.hpp"

#include <algorithm>

namespace heddle::plane {
namespace {

/// An account alone comes to four fifths of the room with its rows, two of them to four ninths
/// each: rows are answered whatever becomes of their record, so they get what there is.
constexpr std::uint64_t kRowsPerRoom = 4;
/// Labels of all accounts together never get more than this part of the room: a label that is
/// refused is sent again.
constexpr std::uint64_t kLabelsPart = 2;
/// Labels of an account that stay in the journal: twice the bytes of the rows that are there, which
/// is more than two labels a row, and this part of the journal to begin with. Past it they would
/// only drive out rows that somebody may want to learn from.
constexpr std::uint64_t kLabelsPerRows = 2;
constexpr std::uint64_t kLabelsAtFirst = 8;
constexpr std::uint64_t kOthersPart = 16;

}  // namespace

std::size_t Shares::account(std::string_view name) {
  // One connection's requests come one after the other.
  if (last_ < accounts_.size() && accounts_[last_] == name) return last_;
  const auto at = std::find(accounts_.begin(), accounts_.end(), name);
  last_ = static_cast<std::size_t>(at - accounts_.begin());
  if (at == accounts_.end()) {
    accounts_.emplace_back(name);
    unread_.emplace_back();
    there_.emplace_back();
  }
  return last_;
}

bool Shares::takes(RecordKind kind, std::size_t account) const noexcept {
  switch (kind) {
    case RecordKind::kRows: return unread_[account].rows <= kRowsPerRoom * room();
    case RecordKind::kLabels: {
      const std::uint64_t part = (bytes_ - std::min(bytes_, kept_)) / kLabelsPart;
      const std::uint64_t left = part - std::min(part, all_unread_.labels);
      return unread_[account].labels <= std::min(left, room()) &&
             there_[account].labels <= kLabelsPerRows * all_rows_ + bytes_ / kLabelsAtFirst;
    }
    case RecordKind::kOthers: return unread_others_ <= bytes_ / kOthersPart;
  }
  return true;
}

void Shares::add(RecordKind kind, std::size_t account, std::uint64_t bytes) {
  held_ += bytes;
  if (written_.empty()) written_.emplace_back();
  Written& now = written_.back();
  if (kind == RecordKind::kOthers) {
    now.others += bytes;
    unread_others_ += bytes;
    return;
  }
  if (now.by_account.size() <= account) now.by_account.resize(account + 1);
  const auto count = [&](Use& use) {
    (kind == RecordKind::kRows ? use.rows : use.labels) += bytes;
  };
  count(now.by_account[account]);
  count(unread_[account]);
  count(there_[account]);
  count(all_unread_);
  if (kind == RecordKind::kRows) all_rows_ += bytes;
}

void Shares::begin_segment(std::uint64_t number) {
  if (written_.empty() || written_.back().number != number) written_.push_back({number, {}, 0});
}

void Shares::add(const Use& from, Use& to) {
  to.rows += from.rows;
  to.labels += from.labels;
}

/// Segments that are removed count no more; the current one may not be listed yet.
void Shares::forget_gone(const std::vector<Segment>& there, std::uint64_t current) {
  std::erase_if(written_, [&](const Written& segment) {
    return segment.number != current &&
           std::none_of(there.begin(), there.end(),
                        [&](const Segment& each) { return each.number == segment.number; });
  });
}

void Shares::measure(const std::vector<Segment>& there, std::uint64_t consumed) {
  const std::uint64_t current = written_.empty() ? 0 : written_.back().number;
  forget_gone(there, current);
  std::fill(unread_.begin(), unread_.end(), Use{});
  std::fill(there_.begin(), there_.end(), Use{});
  all_unread_ = {};
  all_rows_ = unread_others_ = held_ = kept_ = 0;
  for (const Segment& segment : there) {
    held_ += segment.bytes;
    if (segment.number < consumed) kept_ += segment.bytes;
  }
  for (const Written& segment : written_) {
    const bool unread = segment.number >= consumed;
    if (segment.number == current) held_ += segment.others;
    if (unread) unread_others_ += segment.others;
    for (std::size_t i = 0; i < segment.by_account.size(); ++i) {
      const Use& use = segment.by_account[i];
      add(use, there_[i]);
      all_rows_ += use.rows;
      if (segment.number == current) held_ += use.rows + use.labels;
      if (!unread) continue;
      add(use, unread_[i]);
      add(use, all_unread_);
    }
  }
}

}  // namespace heddle::plane
