#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace heddle::net {

/// Counts what the limits of connections bound: all of them, those of each address, TLS handshakes
/// in progress. A `Place` is held by each connection and gives back at its end what it counts for.
/// One thread, but for `open`; outlives its places.
class Admission {
 public:
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)),
          address_(other.address_),
          handshake_(std::exchange(other.handshake_, false)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(address_, other.address_);
      std::swap(handshake_, other.handshake_);
      return *this;
    }
    ~Place();
    void begin_handshake() noexcept;
    void end_handshake() noexcept;

   private:
    friend class Admission;
    Place(Admission& of, std::uint64_t address) : of_(&of), address_(address) {}
    Admission* of_ = nullptr;
    std::uint64_t address_ = 0;
    bool handshake_ = false;
  };

  /// `address` 0 is of nobody and not counted by itself.
  [[nodiscard]] Place take(std::uint64_t address);
  [[nodiscard]] std::size_t open() const noexcept { return open_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t of(std::uint64_t address) const;
  [[nodiscard]] std::size_t handshakes() const noexcept { return handshakes_; }

 private:
  std::atomic<std::size_t> open_{0};
  std::size_t handshakes_ = 0;
  std::unordered_map<std::uint64_t, std::size_t> by_address_;
};

/// What a connection is doing for anybody, from the first to be closed for a new one to the last.
enum class Use : std::uint8_t {
  kUnproven,  ///< no request of it was ever handled, or it is at its end
  kIdle,      ///< between requests
  kSlow,      ///< a request comes, or its answer is not taken
  kAnswered,  ///< its answer is being made: never closed for another
};

/// A connection that may be closed for a new one.
struct Candidate {
  std::uint64_t id = 0;  ///< of two that began at once the lesser came first
  std::uint64_t address = 0;
  Use use = Use::kUnproven;
  std::int64_t since_ns = 0;  ///< its use began
};

/// At most `most` of them, the first to be closed first. Who was never heard goes before who was;
/// then the address that has the most of them loses first, so that one address cannot take the
/// places of the others; and of an address the oldest goes first, idle before slow. No candidate is
/// `kAnswered`.
[[nodiscard]] std::vector<Candidate> first_to_close(std::vector<Candidate> candidates,
                                                    std::size_t most);

}  // namespace heddle::net
