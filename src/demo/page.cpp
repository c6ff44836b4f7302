#include <algorithm>

#include <fmt/format.h>

#include "demo/account.hpp"
#include "demo/plot.hpp"

namespace heddle::demo {
namespace {

constexpr std::string_view kStyle = R"(<style>
:root{--bg:#fbfaf7;--ink:#1c1f24;--soft:#6a7079;--rule:#e3e0d8;--card:#fff;--heddle:#1f5fbf;--never:#c2410c;--oracle:#7c8590;
--band:#b4530912;--good:#2f855a;--bad:#b91c1c;--wait:#d9a441;--level:#b91c1c}
@media(prefers-color-scheme:dark){:root{--bg:#15171b;--ink:#e7e5df;--soft:#969ca6;--rule:#2c3037;--card:#1c1f24;--heddle:#6ea8fe;
--never:#f08a5d;--oracle:#9aa3ad;--band:#f0b42914;--good:#5fbf8f;--bad:#f87171;--wait:#d9a441;--level:#f87171}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1060px;margin:0 auto;padding:36px 24px 80px}h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:19px;margin:44px 0 6px}p{margin:6px 0 12px;max-width:74ch}.soft{color:var(--soft)}small{color:var(--soft)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:22px 0}
.fact{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px}.fact b{display:block;font-size:23px;font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:13px}.good{color:var(--good)}.bad{color:var(--bad)}
figure{margin:10px 0 18px;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:14px 12px 8px;overflow-x:auto}
figcaption{font-size:13px;color:var(--soft);padding:0 4px 6px}svg{width:100%;height:auto;display:block;font-family:inherit}
.small{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:0 14px}.small figure{margin:7px 0}
table{border-collapse:collapse;width:100%;font-size:14px;background:var(--card);border:1px solid var(--rule);border-radius:8px}
th,td{text-align:left;padding:7px 10px;border-bottom:1px solid var(--rule);vertical-align:top}th{font-weight:600;color:var(--soft);font-size:12.5px}
tr:last-child td{border-bottom:0}td:first-child{white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code{font-size:12.5px}
.scroll{overflow-x:auto}.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--soft);font-size:11.5px}.legend{fill:var(--ink);font-size:12.5px}
.band{fill:var(--band)}.band-label{fill:var(--soft);font-size:10.5px}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.line-heddle{stroke:var(--heddle);stroke-width:2.4}.line-never{stroke:var(--never)}.line-oracle{stroke:var(--oracle);stroke-dasharray:5 3}
.line-metric{stroke:var(--heddle)}.level{stroke:var(--level);stroke-width:1;stroke-dasharray:2 3}.level-label{fill:var(--level);font-size:10.5px}
.lane{fill:var(--ink);font-size:12px}.span-blind{fill:var(--bad);opacity:.55}.span-doubt{fill:var(--wait)}.span-act{fill:var(--heddle)}.span-heal{fill:var(--good);opacity:.6}
.key i{display:inline-block;width:12px;height:12px;border-radius:2px;margin:0 6px 0 14px;vertical-align:-1px}details{margin:8px 0}summary{cursor:pointer}
.tl td:first-child{white-space:nowrap;font-variant-numeric:tabular-nums;color:var(--soft)}
</style>)";

std::string time_cell(Micros time) {
  if (time == 0) return "–";
  std::string text = format_time(time).substr(0, 16);
  text[10] = ' ';
  return text;
}

std::string with_commas(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

/// A table: header cells that begin with `#` are numeric columns.
class HtmlTable {
 public:
  explicit HtmlTable(std::vector<std::string> head) {
    out_ = "<div class=\"scroll\"><table><tr>";
    for (std::string& cell : head) {
      const bool number = cell.starts_with('#');
      numeric_.push_back(number);
      out_ += fmt::format("<th{}>{}</th>", number ? " class=\"n\"" : "",
                          escape_html(number ? cell.substr(1) : cell));
    }
    out_ += "</tr>";
  }
  /// Cells are HTML already.
  void row(const std::vector<std::string>& cells) {
    out_ += "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      out_ += fmt::format("<td{}>{}</td>", i < numeric_.size() && numeric_[i] ? " class=\"n\"" : "",
                          cells[i]);
    }
    out_ += "</tr>";
  }
  std::string str() const { return out_ + "</table></div>"; }

 private:
  std::string out_;
  std::vector<bool> numeric_;
};

std::vector<Plot::Band> fault_bands(const Account& account) {
  std::vector<Plot::Band> out;
  for (const FaultWindow& fault : account.faults)
    out.push_back({fault.from, fault.to, fault.title});
  return out;
}

std::string quality_plot(const Account& account, bool auc) {
  Plot plot;
  plot.title = auc ? "AUC by day" : "Log loss by day";
  plot.from = account.from;
  plot.to = account.to;
  plot.bands = fault_bands(account);
  const auto line = [&](const char* name, const char* css,
                        replay::Quality replay::PeriodQuality::* of) {
    Plot::Line out{name, css, {}};
    for (const replay::PeriodQuality& day : account.days) {
      const auto t = parse_time(day.name);
      if (t) out.points.emplace_back(*t + kDay / 2, auc ? (day.*of).auc : (day.*of).log_loss);
    }
    plot.lines.push_back(std::move(out));
  };
  line("never updated", "line-never", &replay::PeriodQuality::never);
  line("oracle", "line-oracle", &replay::PeriodQuality::oracle);
  line("Heddle", "line-heddle", &replay::PeriodQuality::heddle);
  return draw(plot);
}

std::string incident_lanes(const Account& account) {
  Lanes lanes;
  lanes.title = "Incidents over event time";
  lanes.from = account.from;
  lanes.to = account.to;
  lanes.bands = fault_bands(account);
  for (const IncidentAccount& i : account.incidents) {
    Lanes::Lane lane{fmt::format("{} · {}", i.id, i.diagnosed_cause), {}};
    const Micros end = i.recovered_at != 0 ? i.recovered_at : account.to;
    const auto span = [&](Micros a, Micros b, const char* css, const char* what) {
      if (a != 0 && b != 0 && b >= a)
        lane.spans.push_back(
            {a, b, css, fmt::format("{}: {} to {}", what, time_cell(a), time_cell(b))});
    };
    span(i.changed_at, i.raised_at, "span-blind", "change until alert");
    span(i.raised_at, i.confirmed_at, "span-doubt", "alert until confirmation");
    span(i.confirmed_at, i.responded_at, "span-act", "confirmation until response");
    span(i.responded_at != 0 ? i.responded_at : i.confirmed_at, end, "span-heal",
         "response until recovered");
    lanes.lanes.push_back(std::move(lane));
  }
  return draw(lanes);
}

std::string metric_plots(const Account& account) {
  std::string out = "<div class=\"small\">";
  for (const Series& series : account.metrics) {
    Plot plot;
    plot.title = series.name;
    plot.from = account.from;
    plot.to = account.to;
    plot.width = 480;
    plot.height = 150;
    plot.legend = false;
    plot.zero_based = true;
    plot.bands = fault_bands(account);
    for (Plot::Band& band : plot.bands) band.label.clear();
    plot.lines.push_back({"", "line-metric", series.points});
    if (series.threshold > 0)
      plot.levels.push_back({series.threshold, fmt::format("threshold {:.3g}", series.threshold)});
    out += fmt::format("<figure><figcaption><code>{}</code></figcaption>{}</figure>",
                       escape_html(series.name), draw(plot));
  }
  return out + "</div>";
}

std::string fact(std::string_view value, std::string_view label, std::string_view css = {}) {
  return fmt::format("<div class=\"fact\"><b class=\"{}\">{}</b><span>{}</span></div>", css, value,
                     label);
}

}  // namespace

std::string to_page(const Account& account) {
  const replay::PeriodQuality& end = account.end;
  std::string out =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<title>Heddle: the main job on real flights</title>";
  out += kStyle;
  out += "<main><h1>Four months of flights, four injected faults</h1>";
  out += fmt::format(
      "<p class=\"soft\">A model that predicts late departures was trained on January and February "
      "2001 and then served to "
      "{} recorded flights of March to June, label by label, through the real endpoint. Shaded "
      "bands are faults that were "
      "injected; only the scorer of this page knew of them.</p>",
      with_commas(account.rows));
  out += "<div class=\"facts\">";
  out += fact(with_commas(account.failed),
              fmt::format("failed of {} requests", with_commas(account.requests)),
              account.failed == 0 ? "good" : "bad");
  out += fact(fmt::format("{:.3f}", end.heddle.log_loss),
              fmt::format("log loss from {} (oracle {:.3f}, never updated {:.3f})", end.name,
                          end.oracle.log_loss, end.never.log_loss));
  out += fact(fmt::format("{}", account.incidents.size()),
              fmt::format("incidents, {} of them false", false_incidents(account)));
  out += fact(account.audit == "ok" ? "verified" : "broken",
              fmt::format("ledger of {} entries", with_commas(account.ledger_entries)),
              account.audit == "ok" ? "good" : "bad");
  out += fact(fmt::format("{:.2f} ms", account.latency_p50_us / 1000),
              fmt::format("median answer, p99 {:.2f} ms", account.latency_p99_us / 1000));
  out += "</div>";

  out +=
      "<h2>Quality over time</h2><p>Log loss of what was answered, day by day; lower is better. "
      "The oracle is the same trainer, refitted "
      "once with the first labelled rows after each true change.</p>";
  out += fmt::format("<figure>{}</figure>", quality_plot(account, false));
  out += fmt::format(
      "<figure><figcaption>Area under the ROC curve, by day; higher is "
      "better</figcaption>{}</figure>",
      quality_plot(account, true));
  HtmlTable months({"Period", "#Rows", "#Late", "#Heddle log loss", "#never", "#oracle",
                    "#Heddle AUC", "#never", "#oracle"});
  const auto quality_row = [&](const replay::PeriodQuality& p, const std::string& name) {
    months.row(
        {escape_html(name), with_commas(p.rows), fmt::format("{:.1f} %", 100 * p.positive_share),
         fmt::format("<b>{:.4f}</b>", p.heddle.log_loss), fmt::format("{:.4f}", p.never.log_loss),
         fmt::format("{:.4f}", p.oracle.log_loss), fmt::format("<b>{:.4f}</b>", p.heddle.auc),
         fmt::format("{:.4f}", p.never.auc), fmt::format("{:.4f}", p.oracle.auc)});
  };
  for (const replay::PeriodQuality& month : account.months) quality_row(month, month.name);
  quality_row(end, "from " + end.name);
  out += months.str();

  out +=
      "<h2>Incidents</h2><p class=\"key\"><i "
      "style=\"background:var(--bad);opacity:.55\"></i>change until alert"
      "<i style=\"background:var(--wait)\"></i>until confirmed<i "
      "style=\"background:var(--heddle)\"></i>until response"
      "<i style=\"background:var(--good);opacity:.6\"></i>until recovered</p>";
  out += fmt::format("<figure>{}</figure>", incident_lanes(account));
  HtmlTable incidents({"Incident", "True cause", "Diagnosed", "Response", "#Rows to alert",
                       "#to confirm", "#to response", "#Time to response"});
  for (const IncidentAccount& i : account.incidents) {
    const bool right = i.true_cause == i.diagnosed_cause;
    const bool responded = i.responded_at != 0 && i.changed_at != 0;
    incidents.row({escape_html(i.id), escape_html(i.true_cause),
                   fmt::format("<span class=\"{}\">{}</span>", right ? "good" : "bad",
                               escape_html(i.diagnosed_cause)),
                   escape_html(i.response), with_commas(i.rows_to_alert),
                   with_commas(i.rows_to_confirm),
                   responded ? with_commas(i.rows_to_response) : "–",
                   responded ? format_duration(i.responded_at - i.changed_at) : "–"});
  }
  out += incidents.str();
  for (const IncidentAccount& i : account.incidents) {
    out += fmt::format("<details><summary>{}: {}</summary><table class=\"tl\">", escape_html(i.id),
                       escape_html(i.reason));
    for (const auto& [at, what] : i.timeline)
      out += fmt::format("<tr><td>{}</td><td>{}</td></tr>", time_cell(at), escape_html(what));
    out += "</table></details>";
  }

  out += "<h2>Rows that were refused</h2>";
  HtmlTable refused({"Fault", "#Faulty rows", "#Refused", "#Recall", "#Refused in all", "#Wrongly",
                     "#Precision", "Named"});
  for (const QuarantineAccount& q : account.quarantine) {
    refused.row({escape_html(q.score.fault), with_commas(q.score.faulty),
                 with_commas(q.score.faulty_refused), fmt::format("{:.4f}", q.score.recall),
                 with_commas(q.score.refused), with_commas(q.score.wrongly_refused),
                 fmt::format("{:.4f}", q.score.precision), escape_html(q.named)});
  }
  out += refused.str();

  if (!account.metrics.empty()) {
    out +=
        "<h2>What was watched</h2><p>Each metric with the threshold it is held against; a dotted "
        "line, where there is one.</p>";
    out += metric_plots(account);
  }

  out +=
      "<h2>Approvals</h2><p>Every release asks a person. The signatures are SSH signatures; "
      "<code>ssh-keygen -Y verify</code> alone can check them.</p>";
  HtmlTable approvals(
      {"Id", "Action", "Why", "Asked (event time)", "Answered", "By", "State", "Signature"});
  for (const ApprovalAccount& a : account.approvals) {
    approvals.row({fmt::format("<code>{}</code>", escape_html(a.id)), escape_html(a.action),
                   escape_html(a.reason), time_cell(a.asked_at), time_cell(a.answered_at),
                   escape_html(a.person), escape_html(a.state),
                   a.verified ? "<span class=\"good\">verified</span>" : "–"});
  }
  out += approvals.str();

  out += "<h2>Releases and swaps</h2>";
  HtmlTable swaps({"Event time", "Action", "From", "To", "#Failed requests"});
  for (const SwapAccount& s : account.swaps) {
    swaps.row({time_cell(s.event_time), escape_html(s.action),
               fmt::format("<code>{}</code>", escape_html(s.from.substr(0, 19))),
               fmt::format("<code>{}</code>", escape_html(s.to.substr(0, 19))),
               with_commas(s.failed_requests)});
  }
  out += swaps.str();

  out += "<h2>This run</h2>";
  HtmlTable phases({"Phase", "#Seconds"});
  for (const auto& [name, seconds] : account.phases)
    phases.row({escape_html(name), fmt::format("{:.1f}", seconds)});
  out += phases.str();
  out += fmt::format(
      "<p class=\"soft\">{} decisions in the ledger, digest <code>{}</code>. {} notifications "
      "received, {} with a bad signature. "
      "Peak memory: control {:.0f} MB, data {:.0f} MB. ",
      with_commas(account.decisions), escape_html(account.decisions_digest.substr(0, 23)),
      with_commas(account.notifications), with_commas(account.notifications_forged),
      static_cast<double>(account.control_peak_bytes) / 1e6,
      static_cast<double>(account.data_peak_bytes) / 1e6);
  for (const auto& [name, version] : account.versions)
    out += fmt::format("{} {}; ", escape_html(name), escape_html(version));
  return out + "</p></main></html>\n";
}

}  // namespace heddle::demo
