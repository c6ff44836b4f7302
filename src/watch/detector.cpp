#include "watch/detector.hpp"

#include <algorithm>

namespace heddle::watch {

Registry<DetectorKind>& detectors() {
  static Registry<DetectorKind> table({&column_windows(), &answers(), &source_windows(),
                                       &rule_windows(), &quality_windows(), &label_sources(),
                                       &silence(), &unrecorded(), &unknown_classes()});
  return table;
}

expr::Datum datum_of(const plane::FieldValue& field, expr::Type type) {
  if (type != expr::Type::kTimestamp || field.kind != expr::Datum::Kind::kString)
    return field.datum();
  const auto time = parse_time(field.s);
  return time ? expr::Datum::timestamp(*time) : expr::Datum::null();
}

expr::Datum SeenRow::field(const std::string& name) const {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? expr::Datum::null()
                           : field(static_cast<std::size_t>(at - names.begin()));
}

}  // namespace heddle::watch
