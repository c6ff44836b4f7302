#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "control/recorded.hpp"

namespace heddle::control {

/// Refused rows that people ask for while the control plane runs: read on a thread of its own, one
/// question at a time. Who asks is told to ask again until they are there. Confined to the control
/// thread; the other thread has nothing but its question and the journal's files.
class RefusedListing {
 public:
  struct Question {
    std::string spool{};
    RefusedQuery query{};
    [[nodiscard]] bool operator==(const Question&) const = default;
  };
  using Read = Result<RefusedRows> (*)(const Question&);

  /// `read` is what takes long: `read_refused_rows`, or a test's.
  explicit RefusedListing(Read read = &read_them) : read_(read) {}

  /// The rows once they are read, given once; nullopt while they are, or while those of another
  /// question are that somebody waits for. The first call starts to read.
  [[nodiscard]] Result<std::optional<RefusedRows>> result(const Question& question);

 private:
  using Clock = std::chrono::steady_clock;
  static Result<RefusedRows> read_them(const Question& question);

  Read read_;
  Question question_{};
  std::future<Result<RefusedRows>> rows_{};  ///< its end waits for the thread, which reads 32 MiB
  Clock::time_point asked_{};                ///< last time
};

}  // namespace heddle::control
