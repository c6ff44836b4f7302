#include "net/admission.hpp"

#include <algorithm>
#include <tuple>

namespace heddle::net {

Admission::Place::~Place() {
  if (of_ == nullptr) return;
  end_handshake();
  of_->open_.store(of_->open() - 1, std::memory_order_relaxed);
  if (address_ == 0) return;
  const auto count = of_->by_address_.find(address_);
  if (--count->second == 0) of_->by_address_.erase(count);
}

void Admission::Place::begin_handshake() noexcept {
  if (!std::exchange(handshake_, true)) ++of_->handshakes_;
}

void Admission::Place::end_handshake() noexcept {
  if (std::exchange(handshake_, false)) --of_->handshakes_;
}

Admission::Place Admission::take(std::uint64_t address) {
  open_.store(open() + 1, std::memory_order_relaxed);
  if (address != 0) ++by_address_[address];
  return Place(*this, address);
}

std::size_t Admission::of(std::uint64_t address) const {
  const auto count = by_address_.find(address);
  return count == by_address_.end() ? 0 : count->second;
}

std::vector<Candidate> first_to_close(std::vector<Candidate> candidates, std::size_t most) {
  const auto heard = [](const Candidate& c) { return c.use != Use::kUnproven; };
  // Those of one address, heard or not, stand together, the last to be closed first.
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    return std::tuple(heard(a), a.address, b.use, b.since_ns, b.id) <
           std::tuple(heard(b), b.address, a.use, a.since_ns, a.id);
  });
  // How many of its own stay longer: the greatest number is of the address that has the most.
  std::vector<std::pair<std::size_t, std::size_t>> order;  // that number, place in `candidates`
  order.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const bool follows = i > 0 && candidates[i - 1].address == candidates[i].address &&
                         heard(candidates[i - 1]) == heard(candidates[i]);
    order.emplace_back(follows ? order.back().first + 1 : 0, i);
  }
  const std::size_t taken = std::min(most, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(taken), order.end(),
                    [&](const auto& a, const auto& b) {
                      const Candidate& x = candidates[a.second];
                      const Candidate& y = candidates[b.second];
                      return std::tuple(heard(x), b.first, x.since_ns, x.id) <
                             std::tuple(heard(y), a.first, y.since_ns, y.id);
                    });
  std::vector<Candidate> chosen;
  chosen.reserve(taken);
  for (std::size_t i = 0; i < taken; ++i) chosen.push_back(candidates[order[i].second]);
  return chosen;
}

}  // namespace heddle::net
