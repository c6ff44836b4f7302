#include "page/html.hpp"

#include <fmt/format.h>

namespace heddle::page {
namespace {

// Lines, dots and spans are `line-X`, `dot-X`, `span-X` with X a colour: `a`, `b`, `c`, `soft`,
// `bad`, `wait`.
constexpr std::string_view kStyle = R"(<style>
:root{--bg:#fbfaf7;--ink:#1c1f24;--soft:#6a7079;--rule:#e3e0d8;--card:#fff;--a:#1f5fbf;--b:#c2410c;
--c:#2f855a;--bad:#b91c1c;
--wait:#d9a441;--band:#b4530912}
@media(prefers-color-scheme:dark){:root{--bg:#15171b;--ink:#e7e5df;--soft:#969ca6;--rule:#2c3037;
--card:#1c1f24;--a:#6ea8fe;
--b:#f08a5d;--c:#5fbf8f;--bad:#f87171;--wait:#d9a441;--band:#f0b42914}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1060px;margin:0 auto;padding:36px 24px 80px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 6px}
p{margin:6px 0 12px;max-width:74ch}.soft,small{color:var(--soft)}.good{color:var(--c)}
.bad{color:var(--bad)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:22px 0}
.fact{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:12px 14px}
.fact b{display:block;font-size:22px;font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:13px}
figure{margin:10px 0 18px;background:var(--card);border:1px solid var(--rule);border-radius:8px;
padding:14px 12px 8px;overflow-x:auto}
figcaption{font-size:13px;color:var(--soft);padding:0 4px 6px}
svg{width:100%;height:auto;display:block;font-family:inherit}
.small{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:0 14px}
.small figure{margin:7px 0}
table{border-collapse:collapse;width:100%;font-size:14px;background:var(--card);
border:1px solid var(--rule)}
th,td{text-align:left;padding:7px 10px;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:12.5px}td:first-child{white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:12.5px}.scroll{overflow-x:auto}
.tl td:first-child{font-variant-numeric:tabular-nums;color:var(--soft)}details{margin:8px 0}
summary{cursor:pointer}
.key i{display:inline-block;width:12px;height:12px;border-radius:2px;margin:0 6px 0 14px;
vertical-align:-1px}
.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--soft);font-size:11.5px}
.legend{fill:var(--ink);font-size:12.5px}
.band{fill:var(--band)}.band-label{fill:var(--soft);font-size:10.5px}
.lane{fill:var(--ink);font-size:12px}
.level{stroke:var(--bad);stroke-width:1;stroke-dasharray:2 3}
.level-label{fill:var(--bad);font-size:10.5px}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.line-a{stroke:var(--a)}
.line-b{stroke:var(--b)}.line-c{stroke:var(--c)}
.line-bad{stroke:var(--bad)}.line-soft{stroke:var(--soft);stroke-width:1.3;stroke-dasharray:5 3}
.dot-a{fill:var(--a)}.dot-b{fill:var(--b)}.dot-c{fill:var(--c)}.dot-bad{fill:var(--bad)}
.dot-soft{fill:var(--soft)}
.span-a{fill:var(--a)}.span-c{fill:var(--c);opacity:.6}.span-bad{fill:var(--bad);opacity:.55}
.span-wait{fill:var(--wait)}
</style>)";

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

std::string open_page(std::string_view title, std::string_view heading) {
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>{}</title>{}</head><body><main><h1>{}</h1>",
      escape_html(title), kStyle, escape_html(heading));
}

std::string close_page() { return "</main></body></html>\n"; }

std::string fact(std::string_view value, std::string_view label, std::string_view css) {
  return fmt::format("<div class=\"fact\"><b{}>{}</b><span>{}</span></div>",
                     css.empty() ? "" : fmt::format(" class=\"{}\"", css), escape_html(value),
                     escape_html(label));
}

std::string figure(std::string_view caption, std::string_view content) {
  return fmt::format(
      "<figure>{}{}</figure>",
      caption.empty() ? "" : fmt::format("<figcaption>{}</figcaption>", escape_html(caption)),
      content);
}

HtmlTable::HtmlTable(const std::vector<std::string>& head) {
  out_ = "<div class=\"scroll\"><table><tr>";
  for (const std::string& cell : head) {
    const bool number = cell.starts_with('#');
    numeric_.push_back(number);
    out_ += fmt::format("<th{}>{}</th>", number ? " class=\"n\"" : "",
                        escape_html(number ? cell.substr(1) : cell));
  }
  out_ += "</tr>";
}

void HtmlTable::row(const std::vector<std::string>& cells) {
  out_ += "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    // The cells are HTML already: whoever has a text escapes it.
    out_ += fmt::format("<td{}>{}</td>", i < numeric_.size() && numeric_[i] ? " class=\"n\"" : "",
                        cells[i]);
  }
  out_ += "</tr>";
}

}  // namespace heddle::page
