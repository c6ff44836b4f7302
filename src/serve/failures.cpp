#include "serve/failures.hpp"

#include <fmt/format.h>

namespace heddle::serve {

void Failures::add(bool failed, std::uint32_t rows, std::uint32_t refused) noexcept {
  Seen& place = seen_[next_];
  if (count_ == seen_.size()) {
    failed_ -= place.failed ? 1 : 0;
    rows_ -= place.rows;
    refused_ -= place.refused;
  } else {
    ++count_;
  }
  place = {failed, rows, refused};
  failed_ += failed ? 1 : 0;
  rows_ += rows;
  refused_ += refused;
  next_ = next_ + 1 == seen_.size() ? 0 : next_ + 1;
}

void Failures::clear() noexcept {
  next_ = count_ = 0;
  failed_ = rows_ = refused_ = 0;
}

std::string Failures::reason(const plane::FailOver& rule) const {
  if (count_ < seen_.size()) return {};
  const double failed = static_cast<double>(failed_) / static_cast<double>(count_);
  if (failed_ > 0 && failed >= rule.failed_share)
    return fmt::format("{} of the last {} requests got no answer", failed_, count_);
  const double refused =
      rows_ == 0 ? 0 : static_cast<double>(refused_) / static_cast<double>(rows_);
  if (rule.refused_share < 1 && refused >= rule.refused_share && refused_ > 0)
    return fmt::format("{} of the last {} rows were refused", refused_, rows_);
  return {};
}

}  // namespace heddle::serve
