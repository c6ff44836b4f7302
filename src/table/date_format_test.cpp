#include "table/date_format.hpp"

#include <gtest/gtest.h>

namespace heddle::table {
namespace {

std::string time_in(std::string_view layout, std::string_view text) {
  const auto format = DateFormat::compile(layout);
  if (!format.ok()) return format.error().message;
  const auto time = format->parse(text);
  return time ? format_time(*time) : "none";
}

/// What Python 3.11's `datetime.strptime` gives, where it has the directive.
TEST(DateFormat, WhatStrptimeReads) {
  struct Case {
    const char* layout;
    const char* text;
    const char* time;
  };
  for (const Case& each : {
           Case{"%d/%m/%Y", "03/04/2001", "2001-04-03T00:00:00Z"},
           Case{"%m/%d/%Y", "03/04/2001", "2001-03-04T00:00:00Z"},
           Case{"%d.%m.%Y", "3.4.2001", "2001-04-03T00:00:00Z"},
           Case{"%d.%m.%Y %H:%M", "03.04.2001 05:06", "2001-04-03T05:06:00Z"},
           Case{"%d.%m.%Y %H:%M", "03.04.2001   05:06", "2001-04-03T05:06:00Z"},
           Case{"%Y%m%d", "20010403", "2001-04-03T00:00:00Z"},
           Case{"%d-%b-%y", "03-Apr-01", "2001-04-03T00:00:00Z"},
           Case{"%d-%b-%y", "03-APR-69", "1969-04-03T00:00:00Z"},
           Case{"%d-%b-%y", "03-apr-68", "2068-04-03T00:00:00Z"},
           Case{"%B %d, %Y", "April 3, 2001", "2001-04-03T00:00:00Z"},
           Case{"%d/%m/%Y %I:%M %p", "03/04/2001 12:06 AM", "2001-04-03T00:06:00Z"},
           Case{"%d/%m/%Y %I:%M %p", "03/04/2001 12:06 pm", "2001-04-03T12:06:00Z"},
           Case{"%d/%m/%Y %I:%M %p", "03/04/2001 11:06 PM", "2001-04-03T23:06:00Z"},
           Case{"%Y-%m-%d %H:%M:%S.%f", "2001-04-03 05:06:07.25", "2001-04-03T05:06:07.250000Z"},
           Case{"%d/%b/%Y:%H:%M:%S %z", "03/Apr/2001:05:06:07 +0200", "2001-04-03T03:06:07Z"},
           Case{"%Y-%m-%dT%H:%M%z", "2001-04-03T05:06-05:30", "2001-04-03T10:36:00Z"},
           Case{"%Y-%m-%dT%H:%M%z", "2001-04-03T05:06Z", "2001-04-03T05:06:00Z"},
           Case{"%d%%%m%%%Y", "03%04%2001", "2001-04-03T00:00:00Z"},
           Case{"ISO 8601", "2001-04-03T05:06:07Z", "2001-04-03T05:06:07Z"},
           Case{"%d/%m/%Y", " 03/04/2001\t", "2001-04-03T00:00:00Z"},
           Case{"%d/%m/%Y", "29/02/2000", "2000-02-29T00:00:00Z"},
       })
    EXPECT_EQ(time_in(each.layout, each.text), each.time) << each.layout << " " << each.text;
}

TEST(DateFormat, WhatIsNoDateOfTheLayout) {
  for (const char* text : {"", " ", "03/04", "03/04/01", "30/02/2001", "29/02/2001", "31/04/2001",
                           "00/04/2001", "03/13/2001", "03/00/2001", "03/04/2001x", "03-04-2001",
                           "2001-04-03", "aa/bb/cccc", "3 /4/2001", "03/04/20011"})
    EXPECT_EQ(time_in("%d/%m/%Y", text), "none") << text;
  EXPECT_EQ(time_in("%d/%m/%Y %H:%M", "03/04/2001 24:00"), "none");
  EXPECT_EQ(time_in("%d/%m/%Y %H:%M", "03/04/2001 23:60"), "none");
  EXPECT_EQ(time_in("%d/%m/%Y %I:%M %p", "03/04/2001 13:00 PM"), "none");
  EXPECT_EQ(time_in("%d/%m/%Y %I:%M %p", "03/04/2001 11:00"), "none");
  EXPECT_EQ(time_in("%d/%m/%Y", "03/04/0000"), "none");  // before the year 1
}

TEST(DateFormat, WhatIsWrittenIsReadAgain) {
  const auto written = [](std::string_view layout, std::string_view time) {
    const auto format = DateFormat::compile(layout);
    return format.ok() ? format->format(*parse_time(time)) : std::nullopt;
  };
  for (const auto& [layout, text] : {std::pair("%d/%m/%Y %H:%M:%S", "03/04/2001 15:06:07"),
                                     std::pair("%d-%b-%y %I:%M:%S %p", "03-apr-01 03:06:07 PM"),
                                     std::pair("%B %d, %Y %H:%M:%S%z",
                                               "april 03, 2001 "
                                               "15:06:07+0000"),
                                     std::pair("%Y%m%d%%%H%M%S.%f", "20010403%150607.000000"),
                                     std::pair("ISO 8601", "2001-04-03T15:06:07Z")})
    EXPECT_EQ(written(layout, "2001-04-03T15:06:07Z"), text) << layout;
  EXPECT_EQ(written("%d/%m/%Y %I %p", "2001-04-03T00:00:00Z"), "03/04/2001 12 AM");
  EXPECT_EQ(written("%d/%m/%Y", "2001-04-03T00:00:00Z"), "03/04/2001");
  // What a layout leaves out would be lost.
  EXPECT_EQ(written("%d/%m/%Y", "2001-04-03T05:00:00Z"), std::nullopt);
  EXPECT_EQ(written("%d/%m/%Y %H:%M", "2001-04-03T05:00:01Z"), std::nullopt);
  EXPECT_EQ(written("%d/%m/%y", "1901-04-03T00:00:00Z"), std::nullopt);
  const auto exact = DateFormat::compile("%Y-%m-%d %H:%M:%S.%f");
  EXPECT_EQ(exact->format(*parse_time("2001-04-03T05:06:07.25Z")), "2001-04-03 05:06:07.250000");
}

TEST(DateFormat, ALayoutThatFixesNoDayIsRefused) {
  const auto fault = [](std::string_view layout) {
    const auto format = DateFormat::compile(layout);
    if (format.ok()) return std::string("none");
    EXPECT_EQ(format.error().id, "date-format");
    return format.error().message.substr(format.error().message.find(": ") + 2);
  };
  EXPECT_EQ(fault("%H:%M"), "it fixes no day: year, month and day have to be in it");
  EXPECT_EQ(fault("%m/%Y"), "it fixes no day: year, month and day have to be in it");
  EXPECT_EQ(fault(""), "it fixes no day: year, month and day have to be in it");
  EXPECT_EQ(fault("dd/MM/yyyy"), "it fixes no day: year, month and day have to be in it");
  EXPECT_EQ(fault("%d/%m/%Q"), "there is no `%Q`");
  EXPECT_EQ(fault("%d/%m/%Y%"), "a `%` stands at its end");
  EXPECT_EQ(fault("%d/%d/%m/%Y"), "`%d` appears twice");
  EXPECT_EQ(fault("%d/%m/%y/%Y"), "`%Y` and `%y` say the same");
  EXPECT_EQ(fault("%d/%m/%Y %I:%M"), "`%I` and `%p` go together");
  EXPECT_EQ(fault("%d/%m/%Y %H %I %p"), "`%H` and `%I` say the same");
}

}  // namespace
}  // namespace heddle::table
