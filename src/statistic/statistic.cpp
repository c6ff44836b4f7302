#include "statistic/statistic.hpp"

#include <algorithm>

namespace heddle::statistic {

double Statistic::reach(const stats::Histogram&) const { return 1; }

void Statistic::detail(const stats::Histogram&, const stats::Histogram&, doc::Value&) const {}

Registry<Statistic>& statistics() {
  static Registry<Statistic> table({&ks(), &total_variation(), &hour_of_day()});
  return table;
}

std::vector<const Statistic*> reading(expr::Type type) {
  std::vector<const Statistic*> out;
  for (const Statistic* each : statistics().rows()) {
    if (each->reads(type) > 0) out.push_back(each);
  }
  std::stable_sort(out.begin(), out.end(), [&](const Statistic* a, const Statistic* b) {
    return a->reads(type) < b->reads(type);
  });
  return out;
}

std::string names_reading(expr::Type type) {
  std::string out;
  for (const Statistic* each : reading(type)) {
    if (!out.empty()) out += " or ";
    out.append("`").append(each->name()).append("`");
  }
  return out;
}

}  // namespace heddle::statistic
