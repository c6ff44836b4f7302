#include <gtest/gtest.h>

#include "base/cron.hpp"

namespace heddle {
namespace {

/// The first time after `after` as text; the error's id.
std::string next_of(std::string_view line, std::string_view after) {
  const auto cron = Cron::parse(line);
  return cron.ok() ? format_time(cron->next(*parse_time(after))) : cron.error().id;
}

TEST(Cron, TheNextTimeIsAfterTheGivenOne) {
  EXPECT_EQ(next_of("* * * * *", "2026-01-01T00:00:00Z"), "2026-01-01T00:01:00Z");
  EXPECT_EQ(next_of("* * * * *", "2026-01-01T00:00:59.9Z"), "2026-01-01T00:01:00Z");
  EXPECT_EQ(next_of("30 2 * * *", "2026-01-01T02:29:59Z"), "2026-01-01T02:30:00Z");
  EXPECT_EQ(next_of("30 2 * * *", "2026-01-01T02:30:00Z"), "2026-01-02T02:30:00Z");
  EXPECT_EQ(next_of("*/15 9-10 * * *", "2026-01-01T09:46:00Z"), "2026-01-01T10:00:00Z");
  EXPECT_EQ(next_of("*/15 9-10 * * *", "2026-01-01T10:45:00Z"), "2026-01-02T09:00:00Z");
  EXPECT_EQ(next_of("0 0 31 * *", "2026-04-01T00:00:00Z"), "2026-05-31T00:00:00Z");
  EXPECT_EQ(next_of("0 0 29 feb *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00:00Z");
  EXPECT_EQ(next_of("5,10 0 1 1 *", "1969-12-31T23:59:00Z"), "1970-01-01T00:05:00Z");
  EXPECT_EQ(next_of("0 12 * * *", "1960-06-01T11:00:00Z"), "1960-06-01T12:00:00Z");
  EXPECT_EQ(next_of("50/5 0 * * *", "2026-01-01T00:51:00Z"), "2026-01-01T00:55:00Z");
}

TEST(Cron, DaysOfTheWeek) {
  // 2026-11-30 is a Monday.
  EXPECT_EQ(next_of("0 6 * * mon", "2026-11-30T05:00:00Z"), "2026-11-30T06:00:00Z");
  EXPECT_EQ(next_of("0 6 * * MON-fri", "2026-12-04T06:00:00Z"), "2026-12-07T06:00:00Z");
  EXPECT_EQ(next_of("0 6 * * 0", "2026-11-30T00:00:00Z"), "2026-12-06T06:00:00Z");
  EXPECT_EQ(next_of("0 6 * * 7", "2026-11-30T00:00:00Z"), "2026-12-06T06:00:00Z");
  EXPECT_EQ(next_of("0 6 * * 5-7", "2026-12-05T07:00:00Z"), "2026-12-06T06:00:00Z");
  // The 13th, and each Friday.
  EXPECT_EQ(next_of("0 0 13 * fri", "2026-11-30T00:00:00Z"), "2026-12-04T00:00:00Z");
  EXPECT_EQ(next_of("0 0 13 * fri", "2026-12-11T00:00:00Z"), "2026-12-13T00:00:00Z");
}

TEST(Cron, WhatIsNoScheduleSaysWhichField) {
  const auto message = [](std::string_view line) {
    const auto cron = Cron::parse(line);
    return cron.ok() ? "" : cron.error().message;
  };
  EXPECT_EQ(message("0 2 * *"), "`0 2 * *` has 4 fields, a schedule five");
  EXPECT_EQ(message(""), "`` has 0 fields, a schedule five");
  EXPECT_EQ(message("60 * * * *"), "`60` is no minute: from 0 to 59");
  EXPECT_EQ(message("0 24 * * *"), "`24` is no hour: from 0 to 23");
  EXPECT_EQ(message("0 0 0 * *"), "`0` is no day of the month: from 1 to 31");
  EXPECT_EQ(message("0 0 * feb-jan *"), "`feb-jan` is no month: from 1 to 12");
  EXPECT_EQ(message("0 0 * * monday"), "`monday` is no day of the week: from 0 to 7");
  for (const char* line : {"*/0 * * * *", "1- * * * *", "-1 * * * *", "1,,2 * * * *", "*/ * * * *",
                           "5x * * * *", "@daily", "0 0 30 2 *", "99999999999 * * * *"})
    EXPECT_EQ(next_of(line, "2026-01-01"), "bad-schedule") << line;
}

}  // namespace
}  // namespace heddle
