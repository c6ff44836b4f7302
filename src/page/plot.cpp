#include "page/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "base/display_width.hpp"
#include "page/html.hpp"

namespace heddle::page {
namespace {

constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

template <class... Args>
void put(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into at most about `wanted` parts.
double nice_step(double range, int wanted) {
  const double raw = range / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double m : {1.0, 2.0, 5.0}) {
    // A little more, so that a round number is not missed by its last bit.
    if (raw <= m * power * (1 + 1e-9)) return m * power;
  }
  return 10 * power;
}

/// Where x and y are on the picture.
struct Frame {
  double left, right, top, bottom;
  const Axis& axis;
  double y_from = 0, y_to = 1;
  bool log_y = false;

  [[nodiscard]] double x(double at) const {
    // A share first: a range near what a double holds has no multiples.
    return left + (at - axis.from) / std::max(axis.to - axis.from, 1e-12) * (right - left);
  }
  [[nodiscard]] double inside(double at) const {
    return x(std::clamp(at, axis.from, std::max(axis.from, axis.to)));
  }
  [[nodiscard]] double y(double v) const {
    return bottom - ((log_y ? std::log10(v) : v) - y_from) / (y_to - y_from) * (bottom - top);
  }
};

void open_svg(int width, double height, std::string_view title, std::string& out) {
  const std::string text = escape_html(title);
  put(out, R"(<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}"><title>{}</title>)", width,
      height, text, text);
}

void draw_axis(const Frame& f, std::string& out) {
  for (const double at : f.axis.grid)
    put(out, R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>)", f.x(at),
        f.top, f.bottom);
  for (const auto& [at, text] : f.axis.labels)
    put(out, R"(<text class="tick" text-anchor="middle" x="{:.1f}" y="{:.1f}">{}</text>)", f.x(at),
        f.bottom + 17, escape_html(text));
}

void draw_bands(const std::vector<Band>& all, const Frame& f, std::string& out) {
  double last = -100;
  int row = 0;
  for (const Band& band : all) {
    const double a = f.inside(band.from);
    // A moment is a band too, and must be seen.
    const double b = std::max(f.inside(band.to), a + 2);
    put(out, R"(<rect class="band" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)", a,
        f.top, b - a, f.bottom - f.top);
    // Labels of two that are near each other would lie over each other.
    row = a - last < 90 ? (row + 1) % 2 : 0;
    last = a;
    if (!band.label.empty())
      put(out, R"(<text class="band-label" x="{:.1f}" y="{:.1f}">{}</text>)", a + 3,
          f.top + 11 + 12 * row, escape_html(band.label));
  }
}

bool is_drawn(const Plot& plot, double v) { return std::isfinite(v) && (!plot.log_y || v > 0); }

struct Range {
  double low = INFINITY;
  double high = -INFINITY;
  void add(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
};

/// The least and the largest value that is drawn; one of its own where nothing is.
Range range_of(const Plot& plot) {
  Range range;
  for (const Plot::Line& line : plot.lines) {
    for (const auto& [x, v] : line.points)
      if (is_drawn(plot, v)) range.add(v);
  }
  for (const Plot::Level& level : plot.levels)
    if (is_drawn(plot, level.y)) range.add(level.y);
  if (range.low <= range.high) return range;
  return plot.log_y ? Range{1, 10} : Range{0, 1};
}

std::vector<double> log_ticks(const Range& range, Frame& f) {
  f.y_from = std::floor(std::log10(range.low));
  f.y_to = std::max(std::ceil(std::log10(range.high)), f.y_from + 1);
  std::vector<double> ticks;
  for (double e = f.y_from; e <= f.y_to + 0.01; e += 1) {
    // Few decades: between them, too.
    const bool between = f.y_to - f.y_from <= 2 && e < f.y_to;
    for (const double m : {1.0, 2.0, 5.0})
      if (m == 1.0 || between) ticks.push_back(m * std::pow(10, e));
  }
  return ticks;
}

bool has_labelled_bands(const Plot& plot) {
  return std::any_of(plot.bands.begin(), plot.bands.end(),
                     [](const Band& band) { return !band.label.empty(); });
}

/// Sets the y range of `f` and gives the places of its ticks.
std::vector<double> y_ticks(const Plot& plot, Frame& f) {
  Range range = range_of(plot);
  if (plot.log_y) return log_ticks(range, f);
  if (plot.zero_based) range.low = std::min(range.low, 0.0);
  // A line of one value has no range to scale by.
  if (range.high - range.low < 1e-9) range.high = range.low + 1;
  const double step = nice_step(range.high - range.low, plot.height > 200 ? 5 : 3);
  // A value that is a round number but for its last bits is at its tick.
  f.y_from = std::floor(range.low / step + 1e-9) * step;
  f.y_to = std::ceil(range.high / step - 1e-9) * step;
  if (has_labelled_bands(plot) && f.y_to - range.high < 0.12 * (f.y_to - f.y_from))
    f.y_to += step;  // room for the labels of bands
  // Counted, for a sum of steps drifts off the round numbers.
  const auto count = static_cast<int>(std::lround((f.y_to - f.y_from) / step));
  std::vector<double> ticks;
  for (int i = 0; i <= count; ++i) ticks.push_back(f.y_from + i * step);
  return ticks;
}

std::vector<std::string> tick_texts(const Plot& plot, const std::vector<double>& ticks) {
  std::vector<std::string> texts;
  // As many digits behind the point as the step between two needs.
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int digits =
      plot.log_y ? 0 : std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  for (const double tick : ticks) {
    texts.push_back(plot.y_text  ? plot.y_text(tick)
                    : plot.log_y ? fmt::format("{:g}", tick)
                                 : fmt::format("{:.{}f}", tick, digits));
  }
  return texts;
}

void draw_line(const Plot& plot, const Plot::Line& line, const Frame& f, std::string& out) {
  put(out, R"(<path class="line line-{}" d=")", line.colour);
  bool pen = false;
  for (const auto& [x, v] : line.points) {
    if (is_drawn(plot, v)) put(out, "{}{:.1f} {:.1f}", pen ? "L" : "M", f.x(x), f.y(v));
    // A gap where a value is not there, and not a line across it.
    pen = is_drawn(plot, v);
  }
  out += "\"/>";
  for (const auto& [x, v] : line.points) {
    if (line.dots && is_drawn(plot, v))
      put(out, R"(<circle class="dot-{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>)", line.colour, f.x(x),
          f.y(v));
  }
}

/// Of lines or series, each with a name and a colour.
template <class Named>
void draw_legend(const std::vector<Named>& all, double left, std::string& out) {
  double x = left;
  for (const Named& each : all) {
    if (each.name.empty()) continue;
    put(out, R"(<line class="line line-{}" x1="{:.1f}" x2="{:.1f}" y1="13" y2="13"/>)", each.colour,
        x, x + 22);
    put(out, R"(<text class="legend" x="{:.1f}" y="17">{}</text>)", x + 28, escape_html(each.name));
    // About seven units for a column of text in this font.
    x += 46 + 7.0 * static_cast<double>(display_width(each.name));
  }
}

template <class Named>
bool has_legend(const std::vector<Named>& all) {
  return std::any_of(all.begin(), all.end(), [](const Named& each) { return !each.name.empty(); });
}

/// `text` where it is no wider than `most` columns, else its beginning and an ellipsis.
std::string cut_to(const std::string& text, std::size_t most) {
  if (display_width(text) <= most) return text;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t next = at + 1;
    // Whole characters.
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xc0) == 0x80) ++next;
    if (display_width(std::string_view(text).substr(0, next)) >= most) break;
    out = text.substr(0, next);
    at = next;
  }
  return out + "…";
}

}  // namespace

Axis month_axis(Micros from, Micros to) {
  Axis axis{static_cast<double>(from), static_cast<double>(to)};
  CivilDate at = civil_date(from);
  // From the first of the month, whose label stands in the part that is shown.
  at.day = 1;
  while (from_civil(at) < to) {
    const Micros begin = from_civil(at);
    const std::string name = kMonths[static_cast<std::size_t>(at.month - 1)];
    if (++at.month > 12) {
      at.month = 1;
      ++at.year;
    }
    const Micros end = std::min(from_civil(at), to);
    if (begin >= from) axis.grid.push_back(static_cast<double>(begin));
    axis.labels.emplace_back(static_cast<double>(std::max(begin, from) + end) / 2, name);
  }
  return axis;
}

Axis number_axis(double to, std::string_view unit) {
  Axis axis{0, to};
  const double step = nice_step(std::max(to, 1e-3), 10);
  // A hundredth more: the last one may be a few bits past `to`.
  for (int i = 0; i * step <= to + step / 100; ++i) {
    axis.grid.push_back(i * step);
    axis.labels.emplace_back(i * step, fmt::format("{:g}{}", i * step, unit));
  }
  return axis;
}

Axis range_axis(double from, double to, int wanted) {
  Axis axis{from, to};
  const double range = to - from;
  // Of a range that a double cannot hold, or none, there are no steps.
  if (!(range > 0) || !std::isfinite(range)) return axis;
  const double step = nice_step(range, wanted);
  const double first = std::ceil(from / step - 1e-9);
  // Counted from the first: a step that is lost in the numbers' last bits would never end.
  for (int i = 0; i <= 2 * wanted && (first + i) * step <= to + step / 1e9; ++i) {
    const double at = (first + i) * step;
    axis.grid.push_back(at);
    axis.labels.emplace_back(at, fmt::format("{:.10g}", at == 0 ? 0.0 : at));
  }
  return axis;
}

Axis time_axis(Micros from, Micros to, int wanted) {
  Axis axis{static_cast<double>(from), static_cast<double>(to)};
  const Micros range = to - from;
  for (int i = 0; i <= wanted; ++i) {
    const Micros at = from + range / wanted * i;
    std::string text = format_time(at).substr(0, 16);
    // Over days the time of day says little.
    if (range >= 4 * kDay) text.resize(std::min<std::size_t>(text.size(), 10));
    std::replace(text.begin(), text.end(), 'T', ' ');
    axis.grid.push_back(static_cast<double>(at));
    // A label that is centred at either end would be cut off.
    if (i > 0 && i < wanted) axis.labels.emplace_back(static_cast<double>(at), std::move(text));
  }
  return axis;
}

std::string draw(const Bars& bars) {
  constexpr double kLabels = 150;  // of 7 a column
  constexpr std::size_t kLabelColumns = 20;
  constexpr double kValues = 58;
  constexpr double kBar = 11;
  const double top = has_legend(bars.series) ? 30 : 8;
  const double row_height =
      kBar * static_cast<double>(std::max<std::size_t>(1, bars.series.size())) + 8;
  double largest = 0;
  for (const Bars::Row& row : bars.rows)
    for (const double value : row.values) largest = std::max(largest, value);
  const double scale = (bars.width - kLabels - kValues) / (largest > 0 ? largest : 1);
  std::string out;
  open_svg(bars.width, top + row_height * static_cast<double>(bars.rows.size()) + 6, bars.title,
           out);
  double y = top;
  for (const Bars::Row& row : bars.rows) {
    put(out,
        R"(<text class="lane" text-anchor="end" x="{:.1f}" y="{:.1f}">{}<title>{}</title></text>)",
        kLabels - 8, y + (row_height - 8) / 2 + 4, escape_html(cut_to(row.label, kLabelColumns)),
        escape_html(row.label));
    for (std::size_t i = 0; i < row.values.size() && i < bars.series.size(); ++i) {
      const double at = y + kBar * static_cast<double>(i);
      put(out, R"(<rect class="dot-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)",
          bars.series[i].colour, kLabels, at, row.values[i] * scale, kBar - 1);
      const std::string text =
          bars.value_text ? bars.value_text(row.values[i]) : fmt::format("{:g}", row.values[i]);
      put(out, R"(<text class="band-label" x="{:.1f}" y="{:.1f}">{}</text>)",
          kLabels + row.values[i] * scale + 5, at + kBar - 2, escape_html(text));
    }
    y += row_height;
  }
  draw_legend(bars.series, kLabels, out);
  return out + "</svg>";
}

std::string draw(const Plot& plot) {
  Frame f{.left = 0,
          .right = static_cast<double>(plot.width) - 14,
          .top = has_legend(plot.lines) ? 30.0 : 12.0,
          .bottom = static_cast<double>(plot.height) - 26,
          .axis = plot.x,
          .log_y = plot.log_y};
  const std::vector<double> ticks = y_ticks(plot, f);
  const std::vector<std::string> texts = tick_texts(plot, ticks);
  std::size_t longest = 0;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  // By the longest label, so that none is cut off.
  f.left = 18 + 6.5 * static_cast<double>(longest);

  std::string out;
  open_svg(plot.width, plot.height, plot.title, out);
  draw_bands(plot.bands, f, out);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    put(out, R"(<line class="grid" x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{2:.1f}"/>)", f.left,
        f.right, f.y(ticks[i]));
    put(out, R"(<text class="tick" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)", f.left - 7,
        f.y(ticks[i]) + 4, escape_html(texts[i]));
  }
  draw_axis(f, out);
  for (const Plot::Level& level : plot.levels) {
    if (!is_drawn(plot, level.y)) continue;
    put(out, R"(<line class="level" x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{2:.1f}"/>)", f.left,
        f.right, f.y(level.y));
    if (!level.label.empty())
      put(out, R"(<text class="level-label" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)",
          f.right - 3, f.y(level.y) - 4, escape_html(level.label));
  }
  for (const Plot::Line& line : plot.lines) draw_line(plot, line, f, out);
  draw_legend(plot.lines, f.left, out);
  return out + "</svg>";
}

std::string draw(const Lanes& lanes) {
  constexpr double kLane = 26;
  const auto count = static_cast<double>(std::max<std::size_t>(lanes.lanes.size(), 1));
  const double height = 34 + kLane * count + 26;
  std::string out;
  open_svg(lanes.width, height, lanes.title, out);
  const Frame f{.left = 210,
                .right = static_cast<double>(lanes.width) - 14,
                .top = 8,
                .bottom = height - 26,
                .axis = lanes.x};
  draw_bands(lanes.bands, f, out);
  draw_axis(f, out);
  double y = f.top + 30;
  for (const Lanes::Lane& lane : lanes.lanes) {
    put(out, R"(<text class="lane" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)", f.left - 8,
        y + 12, escape_html(lane.label));
    put(out, R"(<line class="grid" x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{2:.1f}"/>)", f.left,
        f.right, y + 8);
    for (const Lanes::Span& span : lane.spans) {
      const double a = f.inside(span.from);
      put(out,
          R"(<rect class="span-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="15" )"
          R"(rx="2"><title>{}</title></rect>)",
          span.colour, a, y, std::max(f.inside(span.to) - a, 3.0), escape_html(span.tip));
    }
    y += kLane;
  }
  return out + "</svg>";
}

}  // namespace heddle::page
