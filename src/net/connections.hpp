#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "net/connection.hpp"

namespace heddle::net {

/// The connections of a loop, found by ids that are never given twice: a number that is kept beyond
/// a connection's end finds nothing.
class Connections {
 public:
  /// Ids are at least this.
  static constexpr std::uint64_t kFirstId = 1ull << 32;

  /// Of the next one that is added.
  [[nodiscard]] std::uint64_t next_id() {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    if (++generation_ == 0) ++generation_;
    return static_cast<std::uint64_t>(generation_) << 32 | free_.back();
  }
  /// `connection` has the id that `next_id` gave last.
  void add(std::unique_ptr<Connection> connection) {
    free_.pop_back();
    auto& slot = slots_[slot_of(connection->id())];
    slot = std::move(connection);
  }
  void remove(std::uint64_t id) {
    slots_[slot_of(id)].reset();
    free_.push_back(slot_of(id));
  }
  [[nodiscard]] Connection* find(std::uint64_t id) const noexcept {
    const std::size_t slot = slot_of(id);
    if (slot >= slots_.size() || !slots_[slot] || slots_[slot]->id() != id) return nullptr;
    return slots_[slot].get();
  }
  /// `visit` may remove the connection that it gets.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i]) visit(*slots_[i]);
    }
  }

 private:
  static std::uint32_t slot_of(std::uint64_t id) noexcept {
    return static_cast<std::uint32_t>(id & 0xffffffffu);
  }
  std::vector<std::unique_ptr<Connection>> slots_;
  std::vector<std::uint32_t> free_;
  std::uint32_t generation_ = 0;
};

}  // namespace heddle::net
