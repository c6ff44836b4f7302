#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "loadgen/report.hpp"
#include "page/html.hpp"
#include "page/plot.hpp"

namespace heddle::loadgen {
namespace {

using page::escape_html;
using page::fact;
using page::figure;
using page::HtmlTable;
using page::Plot;
using stats::LatencyHistogram;

std::string open_page(const Target& target, std::string_view subtitle) {
  const std::string url =
      fmt::format("{} http://{}:{}{}", target.method, target.host, target.port, target.path);
  return page::open_page("Load: " + url, url) +
         fmt::format("<p class=\"soft\">{}</p>", escape_html(subtitle));
}

std::string rate_text(double v) { return fmt::format("{:.0f}/s", v); }

std::string y_latency(double ns) { return format_ns(ns); }

/// x = log10(1 / (1 - q)): each further nine takes the same room.
Plot percentile_plot(const Outcome& o, bool closed) {
  Plot plot;
  plot.title = "Latency by percentile";
  plot.log_y = true;
  plot.y_text = y_latency;
  // At least ten, so that the axis has a nine.
  const std::uint64_t most =
      std::max({o.served_ns.count(), o.shed_ns.count(), o.every_ns.count(), std::uint64_t{10}});
  plot.x.to = std::max(1.0, std::log10(static_cast<double>(most)));
  plot.x.labels = {{0, "0"}, {std::log10(2.0), "50 %"}};
  for (int nines = 1; nines <= plot.x.to; ++nines) {
    const double q = 1 - std::pow(10, -nines);
    plot.x.labels.emplace_back(nines, fmt::format("{:.{}f} %", 100 * q, std::max(0, nines - 2)));
  }
  for (const auto& [at, text] : plot.x.labels) plot.x.grid.push_back(at);
  const auto line = [&](const LatencyHistogram& h, const char* name, const char* colour) {
    if (h.count() == 0) return;
    Plot::Line out{name, colour};
    // Past the share of one request there is only the largest.
    const double end = std::log10(static_cast<double>(h.count()));
    for (double x = 0; x < end; x += plot.x.to / 240)
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

Plot over_time_plot(const Outcome& o) {
  Plot plot;
  plot.title = "Latency of served requests over time";
  plot.log_y = true;
  plot.y_text = y_latency;
  plot.x = page::number_axis(o.seconds, " s");
  Plot::Line p50{"p50", "a"}, p99{"p99", "b"}, most{"max", "soft"};
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
  plot.zero_based = true;
  plot.height = 220;
  plot.x = page::number_axis(o.seconds, " s");
  plot.y_text = rate_text;
  Plot::Line served{"served", "c"}, shed{"shed", "b"}, failed{"failed", "bad"};
  for (std::size_t i = 0; i < o.slices.size(); ++i) {
    const double from = static_cast<double>(i) * static_cast<double>(o.slice_ns) / 1e9;
    // The end may cut the last slice short.
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

/// Cells of a row: how many, and how long they took.
std::vector<std::string> latency_cells(const LatencyHistogram& h) {
  std::vector<std::string> cells{fmt::format("{}", h.count())};
  for (const double q : {0.5, 0.9, 0.99, 0.999, 1.0})
    cells.push_back(format_ns(static_cast<double>(h.quantile(q))));
  return cells;
}
const std::vector<std::string> kLatencyHead{"#requests", "#p50", "#p90", "#p99", "#p99.9", "#max"};

std::vector<std::string> joined(std::vector<std::string> cells,
                                const std::vector<std::string>& more) {
  cells.insert(cells.end(), more.begin(), more.end());
  return cells;
}

}  // namespace

std::string to_page(const Options& options, const Outcome& o) {
  std::string out = open_page(options.target, describe(options));
  out += "<div class=\"facts\">" + fact(rate_text(o.offered_rate()), "offered") +
         fact(rate_text(o.served_rate()), "served") +
         fact(format_ns(static_cast<double>(o.served_ns.quantile(0.5))), "p50 of served") +
         fact(format_ns(static_cast<double>(o.served_ns.quantile(0.99))), "p99 of served") +
         fact(fmt::format("{}", o.shed), "shed (429, 503)") +
         fact(fmt::format("{}", o.failed()), "failed or without an answer",
              o.failed() > 0 ? "bad" : "") +
         "</div>";
  out +=
      figure(options.closed ? "Latency by percentile, from sending"
                            : "Latency by percentile, from the time a request was meant to leave",
             draw(percentile_plot(o, options.closed)));
  out += figure(fmt::format("Latency of served requests, each point {} of intended time",
                            format_ns(static_cast<double>(o.slice_ns))),
                draw(over_time_plot(o)));
  out += figure("Answers a second", draw(rate_plot(o)));
  out += "<h2>Latency</h2>";
  HtmlTable latency(joined({""}, kLatencyHead));
  for (const auto& [name, h] :
       std::initializer_list<std::pair<const char*, const LatencyHistogram*>>{
           {"served, from the intended time", &o.served_ns},
           {"served, from sending", &o.served_sent_ns},
           {"shed, from the intended time", &o.shed_ns},
           {"shed, from sending", &o.shed_sent_ns},
           {"every scheduled request", &o.every_ns},
           {"late in sending", &o.late_ns}}) {
    if (h->count() > 0) latency.row(joined({name}, latency_cells(*h)));
  }
  out += latency.str();
  out +=
      "<p class=\"soft\">A request without an answer counts among every scheduled request with the "
      "time it waited at least. A "
      "quantile is at most 0.79 % above the exact one, never below.</p>";
  out += "<h2>Answers</h2>";
  HtmlTable answers({"what", "#requests"});
  for (std::size_t i = 0; i < o.statuses.size(); ++i) {
    if (o.statuses[i] > 0)
      answers.row({fmt::format("status {}", i), fmt::format("{}", o.statuses[i])});
  }
  for (const auto& [n, what] : {std::pair{o.timed_out, "timed out"},
                                {o.lost, "lost with their connection"},
                                {o.malformed, "answered by no HTTP"},
                                {o.unsent, "never sent: no connection had room"},
                                {o.wrong, "wrong answers"},
                                {o.connect_failures, "attempts to connect that failed"},
                                {o.reconnects, "connections made again"}}) {
    if (n > 0) answers.row({what, fmt::format("{}", n)});
  }
  return out + answers.str() + page::close_page();
}

std::string to_page(const Options& options, const Knee& knee) {
  std::string out =
      open_page(options.target,
                fmt::format("rising rates, {} connections, {:.1f} s each", options.connections,
                            static_cast<double>(options.duration_ns) / 1e9));
  out += "<div class=\"facts\">" + fact(rate_text(knee.capacity), "closed loop") +
         fact(knee.knee > 0 ? rate_text(knee.knee) : "none", "highest rate that holds",
              knee.knee == 0 ? "bad" : "") +
         "</div>";
  Plot latency;
  latency.title = "Latency by offered rate";
  latency.log_y = true;
  latency.y_text = y_latency;
  Plot rate;
  rate.title = "Served by offered rate";
  rate.zero_based = true;
  rate.height = 220;
  rate.y_text = rate_text;
  Plot::Line p50{"p50", "a", {}, true}, p99{"p99", "b", {}, true},
      every{"p99 of every request", "soft"};
  Plot::Line served{"served", "c", {}, true}, offered{"offered", "soft"},
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
    latency.x.grid.push_back(s.rate);
    latency.x.labels.emplace_back(s.rate, fmt::format("{:.0f} %", 100 * s.rate / knee.capacity));
  }
  latency.x.to = highest * 1.02;
  rate.x = latency.x;
  latency.lines = {std::move(p50), std::move(p99), std::move(every)};
  rate.lines = {std::move(served), std::move(offered), std::move(shed)};
  out +=
      figure("Latency from the intended time; x: share of the closed loop's rate", draw(latency)) +
      figure("Answers a second", draw(rate));
  HtmlTable steps(
      joined(joined({"#offered/s", "#served/s", "#shed", "#failed"}, kLatencyHead), {"holds"}));
  for (const Step& s : knee.steps) {
    steps.row(joined(
        joined({fmt::format("{:.1f}", s.rate), fmt::format("{:.1f}", s.outcome.served_rate()),
                fmt::format("{}", s.outcome.shed), fmt::format("{}", s.outcome.failed())},
               latency_cells(s.outcome.served_ns)),
        {s.holds ? "yes" : escape_html(s.why)}));
  }
  return out + steps.str() + page::close_page();
}

}  // namespace heddle::loadgen
