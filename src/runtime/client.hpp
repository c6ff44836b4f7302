#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "net/client.hpp"
#include "runtime/rows.hpp"

namespace heddle::runtime {

/// Where a runtime listens.
struct Address {
  std::string unix_path{};  ///< a worker's socket; else `url`
  std::string url{};        ///< `http://host[:port][/prefix]` or https
  std::string model{};
  std::string token{};  ///< as written in the definition: resolved when a connection is made
};

/// A blocking client of one model on one connection. Speaks binary tensors with what says that it
/// can, else JSON. Nothing is sent twice. Confined to one thread.
class Client {
 public:
  [[nodiscard]] static Result<Client> open(const Address& address, Runtime::Kind kind);

  /// Whether the model is ready, which form it speaks, and whether it is of this task, as far as it
  /// says one (oip::check_metadata); null: of any. kUnavailable (`runtime-not-ready`) when it says
  /// no.
  [[nodiscard]] Result<void> probe(std::int64_t timeout_ms, const stats::Task* task = nullptr);
  /// `task.outputs()` numbers a row, in the order of `rows`; NaN where none were given. kTimeout,
  /// kUnavailable, kCorrupt, or kUnavailable
  /// (`runtime-refused`) with the runtime's words when it answers with an error.
  [[nodiscard]] Result<std::vector<float>> infer(const Shape& shape, std::string_view output,
                                                 std::span<const Rows* const> rows,
                                                 std::int64_t timeout_ms);

 private:
  Client(net::HttpClient http, std::string prefix, const std::string& model,
         std::optional<bool> binary);

  net::HttpClient http_;
  std::string prefix_;
  std::string model_path_;
  std::optional<bool> binary_;  ///< empty: not asked yet
};

}  // namespace heddle::runtime
