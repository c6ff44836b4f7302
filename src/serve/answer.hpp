#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "net/http.hpp"
#include "plane/journal.hpp"
#include "score/plan.hpp"

namespace heddle::serve {

/// What an answer says of who answered.
struct AnsweredBy {
  std::string_view model;       ///< the service
  std::string_view request_id;
  std::string_view bundle;      ///< digest
  std::string_view slot;
  std::uint64_t route_version = 0;
};

/// Each writes a whole response; `rows` as they go into the journal. 200 when any row was served, else 422.
void write_predictions(const AnsweredBy& by, std::span<const plane::RowView> rows, net::Response& out);
void write_oip(const AnsweredBy& by, std::span<const plane::RowView> rows, bool probability, bool validation, net::Response& out);
/// `{"error", "id", "hint"}` with the status of its kind.
void write_error(const Error& error, net::Response& out);

}  // namespace heddle::serve
