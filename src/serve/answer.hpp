#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "net/http.hpp"
#include "plane/journal.hpp"
#include "score/plan.hpp"
#include "serve/outputs.hpp"

namespace heddle::serve {

/// What stands among a row's rules when it was no rule of the contract.
inline constexpr std::string_view kSourceQuarantined = "source-quarantined";
inline constexpr std::string_view kNoAnswer = "no-answer";

/// What an answer says of who answered.
struct AnsweredBy {
  std::string_view model;  ///< the service
  std::string_view request_id;
  std::string_view bundle;  ///< digest
  std::string_view slot;
  std::uint64_t route_version = 0;
};

/// One request's answer, borrowed from the engine until its next call.
struct Answer {
  AnsweredBy by;
  const stats::Task* task = nullptr;
  const score::Conformal* conformal = nullptr;  ///< null: who answered gives no intervals
  std::span<const plane::RowView> rows{};       ///< as they go into the journal
  /// Ids of the repairs that changed a value of each row; empty: none changed any.
  std::span<const std::span<const std::string_view>> repairs{};
  std::span<const float> contributions{};  ///< rows x outputs of the task x names, empty when not
                                           ///< asked for; NaN where the row was not served
  std::span<const std::string> contribution_names{};  ///< the features', then `bias`
};

/// Each writes a whole response. 200 when any row was served, 503 when none was and what should
/// have scored one failed, else 422.
void write_predictions(const Answer& answer, net::Response& out);
/// The Open Inference Protocol's infer response; outputs wanted as binary stand behind the JSON,
/// whose length goes into `Inference-Header-Content-Length`. Only a 200 has binary ones: what reads
/// an error reads JSON.
void write_oip(const Answer& answer, const OutputSpecs& wanted, net::Response& out);
/// `{"error", "id", "hint"}` with the status of its kind.
void write_error(const Error& error, net::Response& out);

[[nodiscard]] int status_of(std::span<const plane::RowView> rows) noexcept;
/// The rules a row broke, comma-separated.
void put_validation(const plane::RowView& row, std::string& out);
/// The repairs that were made to a row, likewise.
void put_repairs(const Answer& answer, std::size_t row, std::string& out);
void put_number(float value, std::string& out);
void put_integer(std::uint64_t value, std::string& out);

}  // namespace heddle::serve
