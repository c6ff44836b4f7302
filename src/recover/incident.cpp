#include "recover/incident.hpp"

#include <algorithm>

namespace heddle::recover {

const Failing* Incident::failing_as(const std::string& op_id) const {
  const auto at = std::find_if(failing.begin(), failing.end(),
                               [&](const Failing& each) { return each.op_id == op_id; });
  return at == failing.end() ? nullptr : &*at;
}

void Incident::leave_step() {
  std::erase_if(failing, [&](const Failing& each) { return each.step == step && !each.record; });
}

}  // namespace heddle::recover
