#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace heddle::page {

/// The x axis of a plot: numbers of any unit, for example microseconds of event time.
struct Axis {
  double from = 0;
  double to = 1;
  std::vector<double> grid{};                            ///< where a line stands
  std::vector<std::pair<double, std::string>> labels{};  ///< centred at their place
};
/// Event time: a line at the beginning of each month, its name in its middle.
[[nodiscard]] Axis month_axis(Micros from, Micros to);
/// From 0: a line with its label at each step of about a tenth of `to`; `unit` follows the number.
[[nodiscard]] Axis number_axis(double to, std::string_view unit);

/// Any range: a line with its label at each round step, about `wanted` of them.
[[nodiscard]] Axis range_axis(double from, double to, int wanted);
/// A range of time: `wanted` lines at equal distances, with the date, of less than four days with
/// the time too (UTC).
[[nodiscard]] Axis time_axis(Micros from, Micros to, int wanted);

/// A span of x that is shaded behind the lines.
struct Band {
  double from;
  double to;
  std::string label{};
};

/// Lines over a linear x and a linear or logarithmic y. Colours are those of the page's style: `a`,
/// `b`, `c`, `soft`, `bad`.
struct Plot {
  struct Line {
    std::string name{};  ///< in the legend; empty: not there
    std::string colour{};
    /// Where y is not finite, or not above 0 on a logarithmic axis, the line has a gap.
    std::vector<std::pair<double, double>> points{};
    bool dots = false;
  };
  struct Level {
    double y;
    std::string label{};
  };
  std::string title{};  ///< for screen readers
  Axis x{};
  bool log_y = false;
  bool zero_based = false;                      ///< a linear y begins at 0 at the latest
  std::function<std::string(double)> y_text{};  ///< of a tick; empty: as few digits as tell it
  int width = 980;
  int height = 300;
  std::vector<Line> lines{};
  std::vector<Band> bands{};
  std::vector<Level> levels{};
};

/// An `<svg>` element.
[[nodiscard]] std::string draw(const Plot& plot);

/// Bars that lie below each other: how large each of some named things is, in one series or in
/// several side by side.
struct Bars {
  struct Series {
    std::string name{};  ///< in the legend; empty: not there
    std::string colour{};
  };
  struct Row {
    std::string label{};  ///< cut where it is wider than its place, and whole as its tip
    /// One a series, finite and not below 0.
    std::vector<double> values{};
  };
  std::string title{};  ///< for screen readers
  std::function<std::string(double)>
      value_text{};  ///< beside a bar; empty: as few digits as tell it
  int width = 480;
  std::vector<Series> series{};
  std::vector<Row> rows{};
};
[[nodiscard]] std::string draw(const Bars& bars);

/// Lanes with coloured spans: what happened when. A span of no length is drawn as a mark.
struct Lanes {
  struct Span {
    double from;
    double to;
    std::string colour;  ///< `a`, `c`, `bad` or `wait`
    std::string tip;
  };
  struct Lane {
    std::string label;
    std::vector<Span> spans{};
  };
  std::string title{};
  Axis x{};
  int width = 980;
  std::vector<Lane> lanes{};
  std::vector<Band> bands{};
};
[[nodiscard]] std::string draw(const Lanes& lanes);

}  // namespace heddle::page
