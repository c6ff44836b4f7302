#include "spec/monitor.hpp"

#include <array>

namespace heddle::spec {

namespace {

using Kind = DistributionMetric::Kind;
using expr::Type;

struct Reading {
  Type type;
  Kind kind;
};

/// Which distance reads which type; of one type the most telling kind first.
constexpr std::array<Reading, 8> kReadings{{{Type::kBool, Kind::kTotalVariation},
                                            {Type::kBool, Kind::kKs},
                                            {Type::kInt, Kind::kKs},
                                            {Type::kInt, Kind::kTotalVariation},
                                            {Type::kDouble, Kind::kKs},
                                            {Type::kString, Kind::kTotalVariation},
                                            {Type::kTimestamp, Kind::kHourOfDay},
                                            {Type::kTimestamp, Kind::kKs}}};
constexpr std::array<Kind, 3> kKinds{Kind::kKs, Kind::kTotalVariation, Kind::kHourOfDay};

}  // namespace

std::string_view kind_name(Kind kind) noexcept {
  switch (kind) {
    case Kind::kKs: return "ks";
    case Kind::kTotalVariation: return "total_variation";
    case Kind::kHourOfDay: return "hour_of_day";
  }
  return "";
}

bool kind_from_name(std::string_view name, Kind& kind) noexcept {
  for (const Kind known : kKinds) {
    if (kind_name(known) != name) continue;
    kind = known;
    return true;
  }
  return false;
}

bool reads(Kind kind, Type type) noexcept {
  for (const Reading& reading : kReadings) {
    if (reading.kind == kind && reading.type == type) return true;
  }
  return false;
}

std::string kinds_that_read(Type type) {
  std::string out;
  for (const Reading& reading : kReadings) {
    if (reading.type != type) continue;
    if (!out.empty()) out += " or ";
    out.append("`").append(kind_name(reading.kind)).append("`");
  }
  return out;
}

}  // namespace heddle::spec
