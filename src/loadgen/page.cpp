#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "loadgen/plot.hpp"
#include "loadgen/report.hpp"

namespace heddle::loadgen {
namespace {

using stats::LatencyHistogram;

std::string open_page(const Target& target, std::string_view subtitle) {
  const std::string url = escape(
      fmt::format("{} http://{}:{}{}", target.method, target.host, target.port, target.path));
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>Load: {}</title>{}</head>"
      "<body><main><h1>{}</h1><p class=\"soft\">{}</p>",
      url, kPlotStyle, url, escape(subtitle));
}

std::string fact(const std::string& value, std::string_view label, bool bad = false) {
  return fmt::format("<div class=\"fact\"><b{}>{}</b><span>{}</span></div>",
                     bad ? " class=\"bad\"" : "", escape(value), escape(label));
}

std::string figure(std::string_view caption, const Plot& plot) {
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>", escape(caption), draw(plot));
}

std::string y_latency(double ns) { return format_ns(ns); }

/// x = log10(1 / (1 - q)): each further nine takes the same room.
Plot percentile_plot(const Outcome& o, bool closed) {
  Plot plot;
  plot.title = "Latency by percentile";
  plot.y_text = y_latency;
  const std::uint64_t most =
      std::max({o.served_ns.count(), o.shed_ns.count(), o.every_ns.count(), std::uint64_t{10}});
  plot.x_to = std::max(1.0, std::log10(static_cast<double>(most)));
  plot.x_ticks.emplace_back(0, "0");
  for (int nines = 1; nines <= plot.x_to; ++nines) {
    const double q = 1 - std::pow(10, -nines);
    plot.x_ticks.emplace_back(nines, fmt::format("{:.{}f} %", 100 * q, std::max(0, nines - 2)));
  }
  plot.x_ticks.emplace_back(std::log10(2.0), "50 %");
  const auto line = [&](const LatencyHistogram& h, const char* name, const char* css) {
    if (h.count() == 0) return;
    Plot::Line out{name, css, {}, false};
    const double end = std::log10(static_cast<double>(h.count()));
    for (double x = 0; x < end; x += plot.x_to / 240)
      out.points.emplace_back(x, static_cast<double>(h.quantile(1 - std::pow(10, -x))));
    out.points.emplace_back(end, static_cast<double>(h.greatest()));
    plot.lines.push_back(std::move(out));
  };
  line(o.served_ns, closed ? "served" : "served, from the intended time", "a");
  if (!closed) line(o.served_sent_ns, "served, from sending", "soft");
  line(o.shed_ns, "shed", "b");
  if (o.failed() > 0) line(o.every_ns, "every request", "bad");
  return plot;
}

std::vector<std::pair<double, std::string>> second_ticks(double seconds) {
  std::vector<std::pair<double, std::string>> out;
  const double power = std::pow(10.0, std::floor(std::log10(std::max(seconds, 1e-3) / 5)));
  double step = power;
  for (const double m : {1.0, 2.0, 5.0, 10.0}) {
    step = m * power;
    if (seconds / step <= 10) break;
  }
  for (double t = 0; t <= seconds + step / 100; t += step)
    out.emplace_back(t, fmt::format("{:g} s", t));
  return out;
}

Plot over_time_plot(const Outcome& o) {
  Plot plot;
  plot.title = "Latency of served requests over time";
  plot.y_text = y_latency;
  plot.x_to = o.seconds;
  plot.x_ticks = second_ticks(o.seconds);
  Plot::Line p50{"p50", "a", {}, false}, p99{"p99", "b", {}, false}, most{"max", "soft", {}, false};
  for (std::size_t i = 0; i < o.slices.size(); ++i) {
    const LatencyHistogram& h = o.slices[i].served_ns;
    const double x = (static_cast<double>(i) + 0.5) * static_cast<double>(o.slice_ns) / 1e9;
    const double none = std::nan("");
    p50.points.emplace_back(x, h.count() > 0 ? static_cast<double>(h.quantile(0.5)) : none);
    p99.points.emplace_back(x, h.count() > 0 ? static_cast<double>(h.quantile(0.99)) : none);
    most.points.emplace_back(x, h.count() > 0 ? static_cast<double>(h.greatest()) : none);
  }
  plot.lines = {std::move(p50), std::move(p99), std::move(most)};
  return plot;
}

Plot rate_plot(const Outcome& o) {
  Plot plot;
  plot.title = "Answers over time, by intended time";
  plot.log_y = false;
  plot.height = 220;
  plot.x_to = o.seconds;
  plot.x_ticks = second_ticks(o.seconds);
  plot.y_text = [](double v) { return fmt::format("{:.0f}/s", v); };
  Plot::Line served{"served", "c", {}, false}, shed{"shed", "b", {}, false},
      failed{"failed", "bad", {}, false};
  for (std::size_t i = 0; i < o.slices.size(); ++i) {
    const double from = static_cast<double>(i) * static_cast<double>(o.slice_ns) / 1e9;
    const double width = std::min(static_cast<double>(o.slice_ns) / 1e9, o.seconds - from);
    const double x = from + width / 2;
    served.points.emplace_back(x, static_cast<double>(o.slices[i].served) / width);
    shed.points.emplace_back(x, static_cast<double>(o.slices[i].shed) / width);
    failed.points.emplace_back(x, static_cast<double>(o.slices[i].failed) / width);
  }
  plot.lines.push_back(std::move(served));
  if (o.shed > 0) plot.lines.push_back(std::move(shed));
  if (o.failed() > 0) plot.lines.push_back(std::move(failed));
  return plot;
}

std::string latency_row(std::string_view name, const LatencyHistogram& h) {
  if (h.count() == 0) return {};
  std::string out = fmt::format("<tr><td>{}</td><td>{}</td>", escape(name), h.count());
  for (const double q : {0.5, 0.9, 0.99, 0.999, 1.0})
    out += fmt::format("<td>{}</td>", format_ns(static_cast<double>(h.quantile(q))));
  return out + "</tr>";
}

constexpr std::string_view kLatencyHead =
    "<th>requests</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th>";

}  // namespace

std::string to_page(const Options& options, const Outcome& o) {
  std::string out = open_page(options.target, describe(options));
  out += "<div class=\"facts\">" + fact(fmt::format("{:.0f}/s", o.offered_rate()), "offered") +
         fact(fmt::format("{:.0f}/s", o.served_rate()), "served") +
         fact(format_ns(static_cast<double>(o.served_ns.quantile(0.5))), "p50 of served") +
         fact(format_ns(static_cast<double>(o.served_ns.quantile(0.99))), "p99 of served") +
         fact(fmt::format("{}", o.shed), "shed (429, 503)") +
         fact(fmt::format("{}", o.failed()), "failed or without an answer", o.failed() > 0) +
         "</div>";
  out +=
      figure(options.closed ? "Latency by percentile, from sending"
                            : "Latency by percentile, from the time a request was meant to leave",
             percentile_plot(o, options.closed));
  out += figure(fmt::format("Latency of served requests, each point {} of intended time",
                            format_ns(static_cast<double>(o.slice_ns))),
                over_time_plot(o));
  out += figure("Answers a second", rate_plot(o));
  out += fmt::format("<h2>Latency</h2><div class=\"scroll\"><table><tr><th></th>{}</tr>",
                     kLatencyHead);
  out += latency_row("served, from the intended time", o.served_ns) +
         latency_row("served, from sending", o.served_sent_ns) +
         latency_row("shed, from the intended time", o.shed_ns) +
         latency_row("shed, from sending", o.shed_sent_ns) +
         latency_row("every scheduled request", o.every_ns) +
         latency_row("late in sending", o.late_ns) + "</table></div>";
  out +=
      "<p class=\"soft\">A request without an answer counts among every scheduled request with the "
      "time it waited at least. A "
      "quantile is at most 0.79 % above the exact one, never below.</p>";
  out += "<h2>Answers</h2><div class=\"scroll\"><table><tr><th>what</th><th>requests</th></tr>";
  for (std::size_t i = 0; i < o.statuses.size(); ++i) {
    if (o.statuses[i] > 0)
      fmt::format_to(std::back_inserter(out), "<tr><td>status {}</td><td>{}</td></tr>", i,
                     o.statuses[i]);
  }
  for (const auto& [n, what] : {std::pair{o.timed_out, "timed out"},
                                {o.lost, "lost with their connection"},
                                {o.malformed, "answered by no HTTP"},
                                {o.unsent, "never sent: no connection had room"},
                                {o.wrong, "wrong answers"},
                                {o.connect_failures, "attempts to connect that failed"},
                                {o.reconnects, "connections made again"}}) {
    if (n > 0) fmt::format_to(std::back_inserter(out), "<tr><td>{}</td><td>{}</td></tr>", what, n);
  }
  return out + "</table></div></main></body></html>\n";
}

std::string to_page(const Options& options, const Knee& knee) {
  std::string out =
      open_page(options.target,
                fmt::format("rising rates, {} connections, {:.1f} s each", options.connections,
                            static_cast<double>(options.duration_ns) / 1e9));
  out += "<div class=\"facts\">" + fact(fmt::format("{:.0f}/s", knee.capacity), "closed loop") +
         fact(knee.knee > 0 ? fmt::format("{:.0f}/s", knee.knee) : "none",
              "highest rate that holds", knee.knee == 0) +
         "</div>";
  Plot latency;
  latency.title = "Latency by offered rate";
  latency.y_text = y_latency;
  Plot rate;
  rate.title = "Served by offered rate";
  rate.log_y = false;
  rate.height = 220;
  rate.y_text = [](double v) { return fmt::format("{:.0f}/s", v); };
  Plot::Line p50{"p50", "a", {}, true}, p99{"p99", "b", {}, true},
      every{"p99 of every request", "soft", {}, false};
  Plot::Line served{"served", "c", {}, true}, offered{"offered", "soft", {}, false},
      shed{"shed", "b", {}, true};
  double highest = 1;
  for (const Step& s : knee.steps) {
    highest = std::max(highest, s.rate);
    const Outcome& o = s.outcome;
    p50.points.emplace_back(s.rate, static_cast<double>(o.served_ns.quantile(0.5)));
    p99.points.emplace_back(s.rate, static_cast<double>(o.served_ns.quantile(0.99)));
    every.points.emplace_back(s.rate, static_cast<double>(o.every_ns.quantile(0.99)));
    served.points.emplace_back(s.rate, o.served_rate());
    offered.points.emplace_back(s.rate, s.rate);
    shed.points.emplace_back(s.rate, static_cast<double>(o.shed) / o.seconds);
    latency.x_ticks.emplace_back(s.rate, fmt::format("{:.0f} %", 100 * s.rate / knee.capacity));
  }
  latency.x_to = rate.x_to = highest * 1.02;
  rate.x_ticks = latency.x_ticks;
  latency.lines = {std::move(p50), std::move(p99), std::move(every)};
  rate.lines = {std::move(served), std::move(offered), std::move(shed)};
  out += figure("Latency from the intended time; x: share of the closed loop's rate", latency) +
         figure("Answers a second", rate);
  out += fmt::format(
      "<div "
      "class=\"scroll\"><table><tr><th>offered/s</th><th>served/s</th><th>shed</th><th>failed</"
      "th>{}<th></th></tr>",
      kLatencyHead);
  for (const Step& s : knee.steps) {
    out +=
        fmt::format("<tr><td>{:.1f}</td><td>{:.1f}</td><td>{}</td><td>{}</td><td>{}</td>", s.rate,
                    s.outcome.served_rate(), s.outcome.shed, s.outcome.failed(), s.outcome.served);
    for (const double q : {0.5, 0.9, 0.99, 0.999, 1.0})
      out += fmt::format("<td>{}</td>",
                         format_ns(static_cast<double>(s.outcome.served_ns.quantile(q))));
    out += fmt::format("<td class=\"t\">{}</td></tr>", s.holds ? "holds" : escape(s.why));
  }
  return out + "</table></div></main></body></html>\n";
}

}  // namespace heddle::loadgen
