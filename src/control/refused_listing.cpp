#include "control/refused_listing.hpp"

#include <utility>

namespace heddle::control {
namespace {

constexpr auto kAskedFor = std::chrono::seconds(5);  ///< without a question: who asked has gone

}  // namespace

Result<RefusedRows> RefusedListing::read_them(const Question& question) {
  return read_refused_rows(question.spool, question.query);
}

Result<std::optional<RefusedRows>> RefusedListing::result(const Question& question) {
  using std::future_status;
  const auto now = Clock::now();
  const bool there = rows_.valid();
  const bool read = there && rows_.wait_for(std::chrono::seconds(0)) == future_status::ready;
  if (there && question != question_) {
    // Somebody else's comes first, as long as somebody waits for it; and no second thread reads.
    if (!read || now - asked_ < kAskedFor) return std::optional<RefusedRows>();
    rows_ = {};
  }
  asked_ = now;
  if (read && rows_.valid()) {
    HEDDLE_ASSIGN_OR_RETURN(auto rows, rows_.get());
    return std::optional(std::move(rows));
  }
  if (!rows_.valid()) {
    question_ = question;
    rows_ = std::async(std::launch::async, read_, question);
  }
  return std::optional<RefusedRows>();
}

}  // namespace heddle::control
