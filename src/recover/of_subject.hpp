#pragma once

#include "recover/cause.hpp"

namespace heddle::recover {

/// The diagnosis of an alert of this subject whose finding says in words why it stands; nullopt: it
/// is about something else.
[[nodiscard]] inline std::optional<Diagnosis> of_subject(watch::Subject subject,
                                                         const watch::Alert& alert) {
  if (alert.first.subject != subject) return std::nullopt;
  Diagnosis out;
  out.change_from = alert.first.from;
  out.reason = alert.last.detail.string_or("why");
  return out;
}

}  // namespace heddle::recover
