#include "replay/fault.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace heddle::replay {
namespace {

constexpr int kFaultySource = 2;
constexpr Micros kTimeShift = 5 * kHour;
constexpr double kKilometres = 1.609344;

std::uint64_t split_mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

bool Fault::active(Micros event_time, int row_source, double draw) const noexcept {
  if (event_time < from || event_time >= to) return false;
  if (source >= 0 && row_source != source) return false;
  if (draw < share_from || draw >= share_to) return false;
  Micros in_day = event_time % kDay;
  if (in_day < 0) in_day += kDay;
  const int hour = static_cast<int>(in_day / kHour);
  return hour >= hour_from && hour <= hour_to;
}

std::vector<Fault> flights_faults(int year) {
  auto day = [year](int month, int d) { return from_civil({year, month, d}); };
  Fault a;
  a.name = "a";
  a.kind = Fault::Kind::kUnit;
  a.field = "distance";
  a.from = day(4, 10);
  a.to = day(4, 12);
  a.source = kFaultySource;
  a.factor = kKilometres;
  Fault date;
  date.name = "b-date";
  date.kind = Fault::Kind::kDateFormat;
  date.field = "date";
  date.from = day(4, 20);
  date.to = day(4, 21);
  date.share_to = 0.05;
  Fault code = date;
  code.name = "b-code";
  code.kind = Fault::Kind::kUnknownCode;
  code.field = "origin";
  code.share_from = 0.05;
  code.share_to = 0.10;
  Fault c;
  c.name = "c";
  c.kind = Fault::Kind::kTimeShift;
  c.field = "date";
  c.from = day(5, 11);
  c.to = day(5, 30);
  c.shift = kTimeShift;
  Fault d;
  d.name = "d";
  d.kind = Fault::Kind::kInvertLabel;
  d.from = day(6, 8);
  d.hour_from = 6;
  d.hour_to = 11;
  return {a, date, code, c, d};
}

Result<std::vector<Fault>> faults_from_text(const std::string& text) {
  if (text.empty() || text == "none") return std::vector<Fault>{};
  const std::vector<Fault> all = flights_faults();
  if (text == "flights") return all;
  std::vector<Fault> chosen;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    bool found = false;
    for (const Fault& fault : all) {
      if (fault.name == name || (name == "b" && fault.name.starts_with("b-"))) {
        chosen.push_back(fault);
        found = true;
      }
    }
    if (!found) {
      return Error{ErrorKind::kInvalid, "replay-unknown-fault",
                   fmt::format("there is no fault `{}`", name),
                   "`none`, `flights` (all of them), or some of `a`, `b`, `b-date`, `b-code`, `c`, "
                   "`d`, with commas between"};
    }
    begin = end + 1;
  }
  return chosen;
}

void unknown_code(std::uint64_t row, char out[4]) noexcept {
  // Airport codes are three characters; four letters with a `Q` in front are in no list.
  const std::uint64_t r = split_mix(row ^ 0xc0de);
  out[0] = 'Q';
  for (int i = 1; i < 4; ++i) out[i] = static_cast<char>('A' + (r >> (8 * i)) % 26);
}

double seeded_draw(std::uint64_t seed, std::uint64_t row) noexcept {
  return static_cast<double>(split_mix(split_mix(seed) ^ row) >> 11) * 0x1.0p-53;
}

}  // namespace heddle::replay
