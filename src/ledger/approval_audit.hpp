#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "ledger/entry.hpp"

namespace heddle::ledger {

/// Whether each act that needed an approval has one in the ledger: asked for, for the same act,
/// answered yes before it by a person who did not ask, to exactly what was asked, open still, used
/// once. Fed every entry in order; a value type.
class ApprovalAudit {
 public:
  /// What is wrong with this entry; empty: nothing. Entries that name no approval and needed none
  /// are not parsed.
  [[nodiscard]] std::string observe(std::uint64_t index, std::string_view json);

 private:
  struct Asked {
    Entry entry;
    bool approved = false;
    std::string closed{};  ///< by what: `used`, `rejected`, `void`, `expired`
  };
  [[nodiscard]] std::string check_yes(std::uint64_t index, const Entry& entry);
  [[nodiscard]] std::string check_applied(std::uint64_t index, const Entry& entry);
  void close(const Entry& entry);
  std::map<std::string, Asked> asked_;
};

}  // namespace heddle::ledger
