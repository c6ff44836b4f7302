#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace heddle::demo {

/// What a plot over event time shows. Colours are CSS classes of the page: `line-NAME`,
/// `fill-NAME`.
struct Plot {
  struct Line {
    std::string name;  ///< for the legend; empty: none
    std::string css;
    std::vector<std::pair<Micros, double>> points;
  };
  struct Band {
    Micros from;
    Micros to;
    std::string label;
  };
  struct Level {
    double y;
    std::string label;
  };
  std::string title;
  Micros from = 0;
  Micros to = 0;
  int width = 980;
  int height = 300;
  int decimals = 2;
  bool zero_based = false;
  bool legend = true;
  std::vector<Line> lines{};
  std::vector<Band> bands{};
  std::vector<Level> levels{};
};

/// An `<svg>` element with axes, month grid, bands behind the lines, and a title for screen
/// readers.
[[nodiscard]] std::string draw(const Plot& plot);

/// Lanes with coloured spans: what happened when. Spans of no length are drawn as a mark.
struct Lanes {
  struct Span {
    Micros from;
    Micros to;
    std::string css;
    std::string tip;
  };
  struct Lane {
    std::string label;
    std::vector<Span> spans;
  };
  std::string title;
  Micros from = 0;
  Micros to = 0;
  int width = 980;
  std::vector<Lane> lanes{};
  std::vector<Plot::Band> bands{};
};
[[nodiscard]] std::string draw(const Lanes& lanes);

/// `<`, `>`, `&` and quotes as entities.
[[nodiscard]] std::string escape_html(std::string_view text);

}  // namespace heddle::demo
