#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "doc/value.hpp"

namespace heddle::demo {

/// Tells on stdout what happens, as it happens: event time, what was seen, what was decided, why,
/// by which rule. Colours only when asked for. Thread-safe.
class Storyteller {
 public:
  explicit Storyteller(bool color) : color_(color) {}

  void phase(std::string_view title);
  void line(std::string_view text);  ///< indented, of the current phase
  void event(Micros event_time, std::string_view kind, std::string_view text,
             std::string_view why = {});
  /// A decision of the ledger, each once (by its entry).
  void decision(const doc::Value& decision);
  void month(Micros event_time, std::int64_t rows);  ///< a heading when the month changes

 private:
  [[nodiscard]] std::string paint(std::string_view code, std::string_view text) const;
  void print(std::string_view text);

  std::mutex mutex_;
  bool color_;
  std::set<std::int64_t> told_;
  int month_ = 0;
};

/// `2001-05-13 06:00`; blanks of the same width for 0.
[[nodiscard]] std::string short_time(Micros event_time);

}  // namespace heddle::demo
