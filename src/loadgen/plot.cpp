#include "loadgen/plot.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace heddle::loadgen {

const std::string_view kPlotStyle = R"(<style>
:root{--bg:#fbfaf7;--ink:#1c1f24;--soft:#6a7079;--rule:#e3e0d8;--card:#fff;--a:#1f5fbf;--b:#c2410c;--c:#2f855a;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--bg:#15171b;--ink:#e7e5df;--soft:#969ca6;--rule:#2c3037;--card:#1c1f24;--a:#6ea8fe;--b:#f08a5d;--c:#5fbf8f;--bad:#f87171}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1060px;margin:0 auto;padding:36px 24px 80px}h1{font-size:26px;line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere}h2{font-size:18px;margin:36px 0 6px}
p{margin:6px 0 12px;max-width:74ch}.soft{color:var(--soft)}.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:22px 0}
.fact{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px}.fact b{display:block;font-size:22px;font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:13px}.bad{color:var(--bad)}
figure{margin:10px 0 18px;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:14px 12px 8px;overflow-x:auto}
figcaption{font-size:13px;color:var(--soft);padding:0 4px 6px}svg{width:100%;height:auto;display:block;font-family:inherit}
table{border-collapse:collapse;width:100%;font-size:14px;background:var(--card);border:1px solid var(--rule)}
th,td{text-align:right;padding:7px 10px;border-bottom:1px solid var(--rule);font-variant-numeric:tabular-nums;white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:12.5px}td:first-child,th:first-child,td.t{text-align:left}.scroll{overflow-x:auto}
.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--soft);font-size:11.5px}.legend{fill:var(--ink);font-size:12.5px}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.line-a{stroke:var(--a)}.line-b{stroke:var(--b)}.line-c{stroke:var(--c)}.line-bad{stroke:var(--bad)}
.line-soft{stroke:var(--soft);stroke-width:1.3;stroke-dasharray:5 3}.dot-a{fill:var(--a)}.dot-b{fill:var(--b)}.dot-c{fill:var(--c)}.dot-bad{fill:var(--bad)}.dot-soft{fill:var(--soft)}
</style>)";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string draw(const Plot& plot) {
  const double left = 74, right = plot.width - 16.0, top = 32, bottom = plot.height - 28.0;
  double low = INFINITY, high = -INFINITY;
  const auto usable = [&](double v) { return std::isfinite(v) && (!plot.log_y || v > 0); };
  for (const Plot::Line& line : plot.lines) {
    for (const auto& [x, y] : line.points) {
      if (!usable(y)) continue;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (!(low <= high)) low = 1, high = 10;
  std::vector<double> ticks;
  double from = 0, to = 1;
  if (plot.log_y) {
    from = std::floor(std::log10(low));
    to = std::max(std::ceil(std::log10(high)), from + 1);
    for (double e = from; e <= to + 0.01; e += 1) {
      ticks.push_back(std::pow(10, e));
      if (to - from <= 2 && e < to) {  // few decades: their thirds and halves too
        ticks.push_back(2 * std::pow(10, e));
        ticks.push_back(5 * std::pow(10, e));
      }
    }
  } else {
    high = std::max(high, 1e-9);
    const double power = std::pow(10.0, std::floor(std::log10(high / 4)));
    double step = power;
    for (const double m : {1.0, 2.0, 5.0, 10.0}) {
      step = m * power;
      if (high / 4 <= step) break;
    }
    to = std::ceil(high / step) * step;
    for (double v = 0; v <= to + step / 2; v += step) ticks.push_back(v);
  }
  const auto at_x = [&](double x) {
    return left + (right - left) * (x - plot.x_from) / std::max(plot.x_to - plot.x_from, 1e-12);
  };
  const auto at_y = [&](double y) {
    return bottom - (bottom - top) * ((plot.log_y ? std::log10(y) : y) - from) / (to - from);
  };

  std::string out =
      fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>)",
                  plot.width, plot.height, escape(plot.title), escape(plot.title));
  for (const double tick : ticks) {
    fmt::format_to(std::back_inserter(out),
                   R"(<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)", left,
                   right, at_y(tick), at_y(tick));
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="tick" text-anchor="end" x="{:.1f}" y="{:.1f}">{}</text>)",
                   left - 8, at_y(tick) + 4,
                   escape(plot.y_text ? plot.y_text(tick) : fmt::format("{:g}", tick)));
  }
  for (const auto& [x, text] : plot.x_ticks) {
    fmt::format_to(std::back_inserter(out),
                   R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>)",
                   at_x(x), top, bottom);
    fmt::format_to(std::back_inserter(out),
                   R"(<text class="tick" text-anchor="middle" x="{:.1f}" y="{:.1f}">{}</text>)",
                   at_x(x), bottom + 18, escape(text));
  }
  double legend = left;
  for (const Plot::Line& line : plot.lines) {
    fmt::format_to(std::back_inserter(out), R"(<path class="line line-{}" d=")", line.css);
    bool pen = false;
    for (const auto& [x, y] : line.points) {
      if (!usable(y)) {
        pen = false;
        continue;
      }
      fmt::format_to(std::back_inserter(out), "{}{:.1f} {:.1f}", pen ? "L" : "M", at_x(x), at_y(y));
      pen = true;
    }
    out += "\"/>";
    for (const auto& [x, y] : line.points) {
      if (line.dots && usable(y))
        fmt::format_to(std::back_inserter(out),
                       R"(<circle class="dot-{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>)", line.css,
                       at_x(x), at_y(y));
    }
    fmt::format_to(std::back_inserter(out),
                   R"(<line class="line line-{}" x1="{:.1f}" x2="{:.1f}" y1="13" y2="13"/>)",
                   line.css, legend, legend + 22);
    fmt::format_to(std::back_inserter(out), R"(<text class="legend" x="{:.1f}" y="17">{}</text>)",
                   legend + 28, escape(line.name));
    legend += 48 + 6.9 * static_cast<double>(line.name.size());
  }
  return out + "</svg>";
}

}  // namespace heddle::loadgen
