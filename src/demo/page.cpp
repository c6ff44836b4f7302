#include <algorithm>

#include <fmt/format.h>

#include "demo/account.hpp"
#include "page/html.hpp"
#include "page/plot.hpp"

namespace heddle::demo {
namespace {

using page::escape_html;
using page::fact;
using page::figure;
using page::HtmlTable;
using page::Lanes;
using page::Plot;

std::string time_cell(Micros time) {
  if (time == 0) return "–";
  std::string text = format_time(time).substr(0, 16);
  text[10] = ' ';
  return text;
}

std::string with_commas(std::int64_t n) {
  std::string digits = std::to_string(n);
  // From the right: a comma does not move the places that are still to come.
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::vector<page::Band> fault_bands(const Account& account, bool labelled = true) {
  std::vector<page::Band> out;
  for (const FaultWindow& fault : account.faults)
    out.push_back({static_cast<double>(fault.from), static_cast<double>(fault.to),
                   labelled ? fault.title : ""});
  return out;
}

std::string quality_plot(const Account& account, bool auc) {
  Plot plot;
  plot.title = auc ? "AUC by day" : "Log loss by day";
  plot.x = page::month_axis(account.from, account.to);
  plot.bands = fault_bands(account);
  const auto line = [&](const char* name, const char* colour,
                        replay::Quality replay::PeriodQuality::* of) {
    Plot::Line out{name, colour};
    for (const replay::PeriodQuality& day : account.days) {
      // At noon, since the value stands for the whole day.
      const auto t = parse_time(day.name);
      if (t)
        out.points.emplace_back(static_cast<double>(*t + kDay / 2),
                                auc ? (day.*of).auc : (day.*of).log_loss);
    }
    plot.lines.push_back(std::move(out));
  };
  line("never updated", "b", &replay::PeriodQuality::never);
  line("oracle", "soft", &replay::PeriodQuality::oracle);
  line("Heddle", "a", &replay::PeriodQuality::heddle);
  return draw(plot);
}

std::string incident_lanes(const Account& account) {
  Lanes lanes;
  lanes.title = "Incidents over event time";
  lanes.x = page::month_axis(account.from, account.to);
  lanes.bands = fault_bands(account);
  for (const IncidentAccount& i : account.incidents) {
    Lanes::Lane lane{fmt::format("{} · {}", i.id, i.diagnosed_cause)};
    // An incident that is still open reaches to the end of the plot.
    const Micros end = i.recovered_at != 0 ? i.recovered_at : account.to;
    const auto span = [&](Micros a, Micros b, const char* colour, const char* what) {
      // A step that did not happen has time 0, and no span.
      if (a != 0 && b != 0 && b >= a)
        lane.spans.push_back({static_cast<double>(a), static_cast<double>(b), colour,
                              fmt::format("{}: {} to {}", what, time_cell(a), time_cell(b))});
    };
    span(i.changed_at, i.raised_at, "bad", "change until alert");
    span(i.raised_at, i.confirmed_at, "wait", "alert until confirmation");
    span(i.confirmed_at, i.responded_at, "a", "confirmation until response");
    // An incident can recover without a response: its last span then begins at the confirmation.
    span(i.responded_at != 0 ? i.responded_at : i.confirmed_at, end, "c",
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
    plot.x = page::month_axis(account.from, account.to);
    plot.width = 480;
    plot.height = 150;
    plot.zero_based = true;
    // Without titles: these plots are too small for them.
    plot.bands = fault_bands(account, false);
    Plot::Line line{"", "a"};
    for (const auto& [at, value] : series.points)
      line.points.emplace_back(static_cast<double>(at), value);
    plot.lines.push_back(std::move(line));
    if (series.threshold > 0)
      plot.levels.push_back({series.threshold, fmt::format("threshold {:.3g}", series.threshold)});
    out += fmt::format("<figure><figcaption><code>{}</code></figcaption>{}</figure>",
                       escape_html(series.name), draw(plot));
  }
  return out + "</div>";
}

}  // namespace

std::string to_page(const Account& account) {
  const replay::PeriodQuality& end = account.end;
  std::string out = page::open_page(
      "Heddle: the main job on real flights",
      fmt::format("Four months of flights, {} injected faults", account.faults.size()));
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
  out += figure("", quality_plot(account, false));
  out += figure("Area under the ROC curve, by day; higher is better", quality_plot(account, true));
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
      "style=\"background:var(--a)\"></i>until response"
      "<i style=\"background:var(--c);opacity:.6\"></i>until recovered</p>";
  out += figure("", incident_lanes(account));
  HtmlTable incidents({"Incident", "True cause", "Diagnosed", "Response", "#Rows to alert",
                       "#to confirm", "#to response", "#Time to response"});
  for (const IncidentAccount& i : account.incidents) {
    const bool right = i.true_cause == i.diagnosed_cause;
    // Without a response, or without a known change, there is no time to response.
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
  return out + "</p>" + page::close_page();
}

}  // namespace heddle::demo
