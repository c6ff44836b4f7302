#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "page/html.hpp"
#include "page/plot.hpp"

namespace heddle::page {
namespace {

const double kNan = std::nan("");

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}
/// The `d` of the first line.
std::string path_of(const std::string& svg) {
  const auto begin = svg.find(" d=\"") + 4;
  return svg.substr(begin, svg.find('"', begin) - begin);
}
std::vector<std::string> ticks_of(const std::string& svg) {
  constexpr std::string_view kTick = "<text class=\"tick\" text-anchor=\"end\"";
  std::vector<std::string> out;
  for (auto at = svg.find(kTick); at != std::string::npos; at = svg.find(kTick, at + 1)) {
    const auto begin = svg.find('>', at) + 1;
    out.push_back(svg.substr(begin, svg.find('<', begin) - begin));
  }
  return out;
}
using Ticks = std::vector<std::string>;

Plot with(std::vector<std::pair<double, double>> points) {
  Plot plot;
  plot.x.to = 10;
  plot.lines.push_back({"x", "a", std::move(points)});
  return plot;
}

TEST(Html, TextIsEscapedWhereverItIsShown) {
  const std::string bad = "<script>\"'&";
  const std::string shown = "&lt;script&gt;&quot;&#39;&amp;";
  EXPECT_EQ(escape_html(bad), shown);
  HtmlTable table({bad, "#" + bad});
  Plot plot = with({{0, 1}, {1, 2}});
  plot.title = plot.lines[0].name = bad;
  plot.x.labels = {{0, bad}};
  plot.bands = {{0, 1, bad}};
  plot.levels = {{1, bad}};
  Lanes lanes;
  lanes.title = bad;
  lanes.lanes = {{bad, {{0, 1, "a", bad}}}};
  Bars bars;
  bars.title = bad;
  bars.series = {{bad, "a"}};
  bars.rows = {{bad, {1}}};
  for (const std::string& html : {open_page(bad, bad), fact(bad, bad), figure(bad, ""), table.str(),
                                  draw(plot), draw(lanes), draw(bars)}) {
    EXPECT_EQ(html.find("<script"), std::string::npos) << html;
    EXPECT_NE(html.find(shown), std::string::npos) << html;
  }
}

TEST(Html, APageNeedsNothingBesideIt) {
  const std::string page = open_page("t", "h") + close_page();
  for (const char* what : {"http", "src=", "href=", "url(", "@import"})
    EXPECT_EQ(page.find(what), std::string::npos) << what;
  EXPECT_EQ(count(page, "<main>"), count(page, "</main>"));
  EXPECT_EQ(count(page, "<body>"), count(page, "</body>"));
}

TEST(Html, AColumnOfNumbersIsMarked) {
  HtmlTable table({"name", "#n"});
  table.row({"a", "1"});
  EXPECT_NE(table.str().find("<td>a</td><td class=\"n\">1</td>"), std::string::npos);
  EXPECT_NE(table.str().find("<th>name</th><th class=\"n\">n</th>"), std::string::npos);
}

TEST(Plot, ALineBreaksWhereThereIsNoNumber) {
  const std::string path = path_of(draw(with({{1, 1}, {2, kNan}, {3, 2}, {4, 3}, {5, INFINITY}})));
  EXPECT_EQ(count(path, "M"), 2u) << path;
  EXPECT_EQ(count(path, "L"), 1u) << path;
  Plot plot = with({{1, 1}, {2, 0}, {3, 2}, {4, -1}, {5, 3}});
  plot.log_y = true;
  plot.lines[0].dots = true;
  const std::string svg = draw(plot);
  EXPECT_EQ(count(path_of(svg), "M"), 3u) << "what has no logarithm is a gap";
  EXPECT_EQ(count(svg, "<circle"), 3u);
}

TEST(Plot, NothingToDrawIsAnEmptyFrame) {
  for (const bool log : {false, true}) {
    for (const auto& points : std::vector<std::vector<std::pair<double, double>>>{
             {}, {{1, kNan}}, {{1, 5}}, {{1, 5}, {2, 5}}, {{1, 0}, {2, 0}}}) {
      Plot plot = with(points);
      plot.log_y = log;
      plot.x.to = 0;
      const std::string svg = draw(plot);
      EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
      EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
      EXPECT_GE(ticks_of(svg).size(), 2u);
    }
  }
  EXPECT_EQ(draw(Lanes{}).find("nan"), std::string::npos);
}

TEST(Plot, TicksAreRoundNumbersWithTheDigitsThatTellThemApart) {
  EXPECT_EQ(ticks_of(draw(with({{0, 0.1}, {1, 0.7}}))), (Ticks{"0.0", "0.2", "0.4", "0.6", "0.8"}));
  EXPECT_EQ(ticks_of(draw(with({{0, 0.52}, {1, 0.57}}))),
            (Ticks{"0.52", "0.53", "0.54", "0.55", "0.56", "0.57"}));
  EXPECT_EQ(ticks_of(draw(with({{0, 10}, {1, 4010}}))),
            (Ticks{"0", "1000", "2000", "3000", "4000", "5000"}));
  Plot zero = with({{0, 8}, {1, 9}});
  zero.zero_based = true;
  EXPECT_EQ(ticks_of(draw(zero)).front(), "0");
  Plot log = with({{0, 3}, {1, 200'000}});
  log.log_y = true;
  EXPECT_EQ(ticks_of(draw(log)), (Ticks{"1", "10", "100", "1000", "10000", "100000", "1e+06"}));
  log.lines[0].points = {{0, 20}, {1, 80}};
  log.y_text = [](double v) { return fmt::format("{} ms", v); };
  EXPECT_EQ(ticks_of(draw(log)), (Ticks{"10 ms", "20 ms", "50 ms", "100 ms"}));
}

TEST(Bars, AreAsLongAsTheirValuesAndStandBelowEachOther) {
  Bars bars;
  bars.width = 358;  // 150 for labels, 58 for values, 150 for the largest
  bars.series = {{"then", "a"}, {"now", "b"}};
  bars.rows = {{"x", {50, 25}}, {"y", {0, 10}}};
  bars.value_text = [](double v) { return fmt::format("{:g} %", v); };
  const std::string svg = draw(bars);
  EXPECT_NE(svg.find(R"(<rect class="dot-a" x="150.0" y="30.0" width="150.0")"), std::string::npos)
      << svg;
  EXPECT_NE(svg.find(R"(<rect class="dot-b" x="150.0" y="41.0" width="75.0")"), std::string::npos);
  EXPECT_NE(svg.find(R"(<rect class="dot-a" x="150.0" y="60.0" width="0.0")"), std::string::npos);
  EXPECT_NE(svg.find(R"(<rect class="dot-b" x="150.0" y="71.0" width="30.0")"), std::string::npos);
  EXPECT_NE(svg.find(">25 %<"), std::string::npos);
  EXPECT_EQ(count(svg, "class=\"legend\""), 2u);
}

TEST(Bars, NothingToDrawIsNoNumberThatIsNone) {
  for (const auto& rows : std::vector<std::vector<Bars::Row>>{{}, {{"x", {0, 0}}}, {{"x", {}}}}) {
    Bars bars;
    bars.series = {{"", "a"}, {"", "b"}};
    bars.rows = rows;
    const std::string svg = draw(bars);
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
  }
}

TEST(Bars, ALongLabelIsCutBetweenCharactersAndWholeAsItsTip) {
  Bars bars;
  bars.series = {{"", "a"}};
  const std::string label = "ääääääääääääääääääääää";  // 22 of them, 2 bytes each
  bars.rows = {{label, {1}}};
  const std::string svg = draw(bars);
  EXPECT_NE(svg.find(">äääääääääääääääääää…<"), std::string::npos) << svg;
  EXPECT_NE(svg.find("<title>" + label + "</title>"), std::string::npos);
}

TEST(Axis, AnyRangeHasRoundNumbers) {
  using Labels = std::vector<std::string>;
  const auto labels = [](double from, double to) {
    Labels out;
    for (const auto& [at, text] : range_axis(from, to, 5).labels) out.push_back(text);
    return out;
  };
  EXPECT_EQ(labels(-0.5, 0.5), (Labels{"-0.4", "-0.2", "0", "0.2", "0.4"}));
  EXPECT_EQ(labels(1'000'001, 1'000'011),
            (Labels{"1000002", "1000004", "1000006", "1000008", "1000010"}));
  EXPECT_EQ(labels(3, 3), Labels{});
  EXPECT_EQ(labels(-1.7e308, 1.7e308), Labels{}) << "a range that no number holds";
}

TEST(Axis, TimesHaveTheirDateAndOnAFewDaysTheirHour) {
  const auto at = [](const char* text) { return parse_time(text).value(); };
  const Axis days = time_axis(at("2001-01-01"), at("2001-01-11"), 5);
  ASSERT_EQ(days.labels.size(), 4u);
  EXPECT_EQ(days.labels[0].second, "2001-01-03");
  EXPECT_EQ(days.labels[0].first, static_cast<double>(at("2001-01-03")));
  EXPECT_EQ(days.grid.size(), 6u);
  EXPECT_EQ(time_axis(at("2001-01-01"), at("2001-01-02"), 4).labels[1].second, "2001-01-01 12:00");
}

TEST(Axis, MonthsStandInTheirMiddleAndLinesAtTheirBeginning) {
  const auto at = [](const char* text) { return parse_time(text).value(); };
  const Axis axis = month_axis(at("2001-11-16"), at("2002-02-01"));
  ASSERT_EQ(axis.labels.size(), 3u);
  EXPECT_EQ(axis.labels[0].second, "Nov");
  EXPECT_EQ(axis.labels[1].second, "Dec");
  EXPECT_EQ(axis.labels[2].second, "Jan");
  EXPECT_EQ(axis.grid, (std::vector<double>{static_cast<double>(at("2001-12-01")),
                                            static_cast<double>(at("2002-01-01"))}));
  EXPECT_EQ(axis.labels[1].first, static_cast<double>(at("2001-12-01") + at("2002-01-01")) / 2);
}

TEST(Axis, NumbersBeginAtZero) {
  const Axis axis = number_axis(2.5, " s");
  ASSERT_EQ(axis.labels.size(), 6u);
  EXPECT_EQ(axis.labels[0].second, "0 s");
  EXPECT_EQ(axis.labels[1].second, "0.5 s");
  EXPECT_EQ(axis.labels[5].second, "2.5 s");
}

}  // namespace
}  // namespace heddle::page
