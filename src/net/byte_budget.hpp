#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace heddle::net {

/// Bytes that connections hold, against one bound on all of them. A `Share` is held by each
/// connection and gives back at its end what it counts for. One thread, but for `held`; outlives
/// its shares.
class ByteBudget {
 public:
  class Share {
   public:
    explicit Share(ByteBudget& of) : of_(of) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() { hold(0); }
    /// From now on it counts for so many.
    void hold(std::size_t bytes) noexcept {
      if (bytes == bytes_) return;
      // Written by one thread alone: no locked instruction.
      of_.held_.store(of_.held_.load(std::memory_order_relaxed) + bytes - bytes_,
                      std::memory_order_relaxed);
      bytes_ = bytes;
    }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

   private:
    ByteBudget& of_;
    std::size_t bytes_ = 0;
  };

  void set_most(std::size_t bytes) noexcept { most_ = bytes; }
  [[nodiscard]] std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool over() const noexcept { return held() > most_; }

 private:
  std::atomic<std::size_t> held_{0};
  std::size_t most_ = 0;
};

}  // namespace heddle::net
