#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::loadgen {

/// A plot of lines over a linear x and a logarithmic or linear y, as an `<svg>` element in the
/// house's style: classes `line-NAME` and `dot-NAME` are coloured by the page (`kPlotStyle`).
struct Plot {
  struct Line {
    std::string name;  ///< in the legend
    std::string css;   ///< `a`, `b`, `c`, `soft` or `bad`
    std::vector<std::pair<double, double>>
        points{};  ///< not finite, or not above 0 on a logarithmic y: a gap
    bool dots = false;
  };
  std::string title;  ///< also for screen readers
  std::vector<std::pair<double, std::string>> x_ticks{};
  double x_from = 0;
  double x_to = 1;
  bool log_y = true;
  std::function<std::string(double)> y_text{};  ///< of a tick
  std::vector<Line> lines{};
  int width = 980;
  int height = 320;
};

[[nodiscard]] std::string draw(const Plot& plot);
[[nodiscard]] std::string escape(std::string_view text);

/// The `<style>` of a page with such plots.
extern const std::string_view kPlotStyle;

}  // namespace heddle::loadgen
