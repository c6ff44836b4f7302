#include "net/in_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/http.hpp"

namespace heddle::net {
namespace {
constexpr std::size_t kSpare = 64 << 10;  ///< one read takes at most this
constexpr std::size_t kMostSpare = 1 << 20;
constexpr std::size_t kSmall =
    16 << 10;  ///< what is copied rather than kept in a buffer of its own
constexpr std::size_t kGrain = 512;
}  // namespace

void InBuffer::reserve(std::size_t total) {
  if (begin_ + total <= capacity_) return;
  const std::size_t have = size();
  if (total <= capacity_) {
    std::memmove(data_.get(), data_.get() + begin_, have);
  } else {
    const std::size_t capacity = std::max(total, std::min(capacity_ * 2, total * 2));
    std::unique_ptr<char[]> grown(new char[capacity + Request::kBodyPadding]);
    std::memset(grown.get() + capacity, 0, Request::kBodyPadding);
    if (have > 0) std::memcpy(grown.get(), data_.get() + begin_, have);
    data_ = std::move(grown);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = have;
}

void InBuffer::borrow(InBuffer& spare) {
  if (capacity_ > kSmall) return;
  spare.begin_ = spare.end_ = 0;
  spare.reserve(kSpare);
  if (size() > 0) std::memcpy(spare.data_.get(), data_.get() + begin_, size());
  spare.end_ = size();
  begin_ = end_ = 0;
  std::swap(*this, spare);
}

void InBuffer::give_back(InBuffer& spare) {
  const std::size_t have = size();
  if (capacity_ == 0 || (have > kSmall - kGrain)) return;
  // `spare` holds what this one had before the read: used again when what is left fits.
  const std::size_t need = (have + kGrain - 1) / kGrain * kGrain;
  InBuffer kept;
  if (have > 0) {
    if (spare.capacity_ >= have && spare.capacity_ <= kSmall) {
      kept = std::move(spare);
      kept.begin_ = kept.end_ = 0;
    } else {
      kept.reserve(need);
    }
    std::memcpy(kept.data_.get(), data_.get() + begin_, have);
    kept.end_ = have;
  }
  if (capacity_ >= kSpare && capacity_ <= kMostSpare) {
    begin_ = end_ = 0;
    spare = std::move(*this);
  }
  *this = std::move(kept);
}

}  // namespace heddle::net
