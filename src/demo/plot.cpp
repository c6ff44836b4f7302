#include "demo/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace heddle::demo {
namespace {

constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into about `wanted` parts.
double nice_step(double range, int wanted) {
  const double raw = range / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double m : {1.0, 2.0, 5.0}) {
    if (raw <= m * power) return m * power;
  }
  return 10 * power;
}

struct Frame {
  double left, right, top, bottom;
  Micros from, to;
  double y_from = 0, y_to = 1;

  double x(Micros t) const {
    return left + (right - left) * static_cast<double>(t - from) /
                      static_cast<double>(std::max<Micros>(to - from, 1));
  }
  double y(double v) const { return bottom - (bottom - top) * (v - y_from) / (y_to - y_from); }
};

void month_grid(const Frame& f, std::string& out) {
  CivilDate at = civil_date(f.from);
  at.day = 1;
  while (from_civil(at) < f.to) {
    const Micros begin = from_civil(at);
    const int shown = at.month;
    if (++at.month > 12) {
      at.month = 1;
      ++at.year;
    }
    const Micros end = std::min(from_civil(at), f.to);
    if (begin >= f.from) {
      fmt::format_to(std::back_inserter(out),
                     R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>)",
                     f.x(begin), f.top, f.bottom);
    }
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="tick" text-anchor="middle" x="{:.1f}" y="{:.1f}">{}</text>)",
                   (f.x(std::max(begin, f.from)) + f.x(end)) / 2, f.bottom + 17,
                   kMonths[static_cast<std::size_t>(shown - 1)]);
  }
}

void bands(const std::vector<Plot::Band>& all, const Frame& f, std::string& out) {
  double last = -100;
  int row = 0;
  for (const Plot::Band& band : all) {
    const double a = f.x(std::clamp(band.from, f.from, f.to));
    const double b = std::max(f.x(std::clamp(band.to, f.from, f.to)), a + 2);
    fmt::format_to(std::back_inserter(out),
                   R"(<rect class="band" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)",
                   a, f.top, b - a, f.bottom - f.top);
    row = a - last < 90 ? (row + 1) % 2 : 0;
    last = a;
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="band-label" x="{:.1f}" y="{:.1f}">{}</text>)", a + 3,
                   f.top + 11 + 12 * row, escape_html(band.label));
  }
}

void open_svg(int width, int height, std::string_view title, std::string& out) {
  fmt::format_to(std::back_inserter(out),
                 R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>)", width,
                 height, escape_html(title), escape_html(title));
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

std::string draw(const Plot& plot) {
  std::string out;
  open_svg(plot.width, plot.height, plot.title, out);
  Frame f{46,
          static_cast<double>(plot.width) - 12,
          plot.legend ? 30.0 : 12.0,
          static_cast<double>(plot.height) - 26,
          plot.from,
          plot.to};

  double low = INFINITY, high = -INFINITY;
  for (const Plot::Line& line : plot.lines) {
    for (const auto& [t, v] : line.points) {
      if (!std::isfinite(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  for (const Plot::Level& level : plot.levels) {
    low = std::min(low, level.y);
    high = std::max(high, level.y);
  }
  if (!(low <= high)) low = 0, high = 1;
  if (plot.zero_based) low = std::min(low, 0.0);
  if (high - low < 1e-9) high = low + 1;
  const double step = nice_step(high - low, plot.height > 200 ? 5 : 3);
  f.y_from = std::floor(low / step) * step;
  f.y_to = std::ceil(high / step) * step;

  const bool labelled = std::any_of(plot.bands.begin(), plot.bands.end(),
                                    [](const Plot::Band& band) { return !band.label.empty(); });
  if (labelled && f.y_to - high < 0.12 * (f.y_to - f.y_from))
    f.y_to += step;  // room for the labels of bands

  bands(plot.bands, f, out);
  for (double v = f.y_from; v <= f.y_to + step / 2; v += step) {
    fmt::format_to(std::back_inserter(out),
                   R"(<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)",
                   f.left, f.right, f.y(v), f.y(v));
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="tick" text-anchor="end" x="{:.1f}" y="{:.1f}">{:.{}f}</text>)",
                   f.left - 6, f.y(v) + 4, v, plot.decimals);
  }
  month_grid(f, out);
  for (const Plot::Level& level : plot.levels) {
    fmt::format_to(std::back_inserter(out),
                   R"(<line class="level" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)",
                   f.left, f.right, f.y(level.y), f.y(level.y));
    if (!level.label.empty()) {
      fmt::format_to(
          std::back_inserter(out),
          R"(<text class="level-label" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)",
          f.right - 3, f.y(level.y) - 4, escape_html(level.label));
    }
  }
  for (const Plot::Line& line : plot.lines) {
    fmt::format_to(std::back_inserter(out), R"(<path class="line {}" d=")", line.css);
    bool pen = false;
    for (const auto& [t, v] : line.points) {
      if (!std::isfinite(v)) {
        pen = false;
        continue;
      }
      fmt::format_to(std::back_inserter(out), "{}{:.1f} {:.1f}", pen ? "L" : "M", f.x(t), f.y(v));
      pen = true;
    }
    out += "\"/>";
  }
  if (plot.legend) {
    double x = f.left;
    for (const Plot::Line& line : plot.lines) {
      if (line.name.empty()) continue;
      fmt::format_to(std::back_inserter(out),
                     R"(<line class="line {}" x1="{:.1f}" x2="{:.1f}" y1="13" y2="13"/>)", line.css,
                     x, x + 22);
      fmt::format_to(std::back_inserter(out), R"(<text class="legend" x="{:.1f}" y="17">{}</text>)",
                     x + 28, escape_html(line.name));
      x += 44 + 7.2 * static_cast<double>(line.name.size());
    }
  }
  return out + "</svg>";
}

std::string draw(const Lanes& lanes) {
  constexpr double kLane = 26;
  const double height =
      34 + kLane * static_cast<double>(std::max<std::size_t>(lanes.lanes.size(), 1)) + 26;
  std::string out;
  open_svg(lanes.width, static_cast<int>(height), lanes.title, out);
  const Frame f{210, static_cast<double>(lanes.width) - 12, 8, height - 26, lanes.from, lanes.to};
  bands(lanes.bands, f, out);
  month_grid(f, out);
  double y = f.top + 30;
  for (const Lanes::Lane& lane : lanes.lanes) {
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="lane" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)",
                   f.left - 8, y + 12, escape_html(lane.label));
    fmt::format_to(std::back_inserter(out),
                   R"(<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)",
                   f.left, f.right, y + 8, y + 8);
    for (const Lanes::Span& span : lane.spans) {
      const double a = f.x(std::clamp(span.from, f.from, f.to));
      const double b = f.x(std::clamp(span.to, f.from, f.to));
      fmt::format_to(
          std::back_inserter(out),
          R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="15" rx="2"><title>{}</title></rect>)",
          span.css, a, y, std::max(b - a, 3.0), escape_html(span.tip));
    }
    y += kLane;
  }
  return out + "</svg>";
}

}  // namespace heddle::demo
