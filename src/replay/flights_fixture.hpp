#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/folder_fixture.hpp"
#include "replay/recording.hpp"
#include "table/table.hpp"

namespace heddle::replay {

inline constexpr Micros kStart = 986'860'800'000'000;  // 2001-04-10T00:00:00Z

/// A flight every ten minutes, from `start`, between three airports.
inline std::string write_flights(const fixture::Folder& folder, Micros start, int rows) {
  table::Column date{"date", table::Type::kTimestamp};
  table::Column delay{"delay", table::Type::kInt};
  table::Column distance{"distance", table::Type::kInt};
  table::Column origin{"origin", table::Type::kString};
  table::Column destination{"destination", table::Type::kString};
  origin.dictionary = destination.dictionary = std::make_shared<const table::Dictionary>(
      std::vector<std::string>{"ATL", "ORD", "JFK", "LAX", "SFO", "DEN", "MIA"});
  for (int i = 0; i < rows; ++i) {
    date.ints.push_back(start + i * 10 * kMinute);
    delay.ints.push_back(i % 5 == 0 ? 30 : 0);
    distance.ints.push_back(100 + i % 7);
    origin.codes.push_back(i % 7);
    destination.codes.push_back((i + 1) % 7);
  }
  auto table = table::Table::make({date, delay, distance, origin, destination});
  EXPECT_TRUE(table.ok());
  const std::string path = folder / "flights.parquet";
  EXPECT_TRUE(table::write_parquet(*table, path).ok());
  return path;
}

/// The options of such a recording, with five sources and no fault.
inline Recording::Options recording_options(const std::string& file) {
  Recording::Options options;
  options.file = file;
  options.time_field = "date";
  options.fields = {"date", "distance", "origin", "destination"};
  options.types = {{"date", table::Type::kTimestamp},
                   {"delay", table::Type::kInt},
                   {"distance", table::Type::kInt},
                   {"origin", table::Type::kString},
                   {"destination", table::Type::kString}};
  options.target = "delay > 15";
  options.sources = {"s0", "s1", "s2", "s3", "s4"};
  options.source_field = "origin";
  return options;
}

}  // namespace heddle::replay
