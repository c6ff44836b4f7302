#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "page/html.hpp"
#include "page/plot.hpp"
#include "report/report.hpp"
#include "report/sentences.hpp"

namespace heddle::report {
namespace {

using draft::counted;
using draft::percent;
using page::escape_html;
using page::fact;

constexpr std::size_t kMostBars = 10;
constexpr int kWidth = 480;
constexpr int kLabels = 5;

double percent_of(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent_text(double value) { return fmt::format("{:.3g} %", value); }

/// Of the rows that have a value.
std::int64_t present(const std::optional<Side>& side, std::int64_t rows) {
  return side ? rows - side->missing : 0;
}

/// Each bin as a step from its beginning to its end, from 0 and back to it.
page::Plot::Line steps_of(const Curve& curve, const std::vector<std::int64_t>& counts,
                          std::int64_t rows) {
  page::Plot::Line out;
  out.points.emplace_back(curve.from, 0);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double y = percent_of(counts[i], rows);
    out.points.emplace_back(curve.from + curve.width * static_cast<double>(i), y);
    out.points.emplace_back(curve.from + curve.width * static_cast<double>(i + 1), y);
  }
  out.points.emplace_back(curve.from + curve.width * static_cast<double>(counts.size()), 0);
  return out;
}

bool is_of_times(const ColumnReport& column) {
  return (column.file && column.file->first) || (column.reference && column.reference->first);
}

page::Axis axis_of(const ColumnReport& column, double from, double to) {
  return is_of_times(column)
             ? page::time_axis(static_cast<Micros>(from), static_cast<Micros>(to), kLabels)
             : page::range_axis(from, to, kLabels);
}

class Page {
 public:
  explicit Page(const Report& report) : report_(report) {}

  std::string text() {
    const std::string heading = report_.reference.empty()
                                    ? report_.file
                                    : fmt::format("{} against {}", report_.file, report_.reference);
    out_ = fmt::format("{}\n{}", kPageMark, page::open_page("Report of " + report_.file, heading));
    facts();
    findings();
    changes();
    columns();
    method();
    return out_ + page::close_page();
  }

 private:
  [[nodiscard]] bool has_reference() const { return !report_.reference.empty(); }

  void facts() {
    out_ += "<div class=\"facts\">";
    out_ += fact(counted(report_.rows), "rows");
    if (has_reference()) out_ += fact(counted(report_.reference_rows), "rows of the reference");
    out_ += fact(counted(std::ssize(report_.columns)), "columns");
    if (has_reference()) {
      count_fact(State::kMoved, "moved");
      count_fact(State::kAppeared, "appeared");
      count_fact(State::kVanished, "vanished");
      count_fact(State::kRetyped, "changed type");
    }
    out_ += fact(counted(std::ssize(report_.findings)), "to look at first",
                 report_.findings.empty() ? "good" : "bad");
    out_ += "</div>";
  }

  void count_fact(State state, std::string_view label) {
    const std::int64_t count = report_.count(state);
    out_ += fact(counted(count), label, count == 0 ? "good" : "bad");
  }

  void findings() {
    if (report_.findings.empty()) return;
    out_ += "<h2>Look at this first</h2>";
    page::HtmlTable table({"finding", "is"});
    for (const auto& finding : report_.findings)
      table.row({escape_html(finding.id), escape_html(finding.text)});
    out_ += table.str();
  }

  void changes() {
    if (!has_reference()) return;
    out_ += "<h2>What changed</h2>";
    if (!report_.has_drift()) {
      out_ += "<p>Nothing: every column is as in the reference, but for what chance does.</p>";
      return;
    }
    page::HtmlTable table({"column", "is", "#distance", "#by chance below", "#missing", "says"});
    for (const ColumnReport& column : report_.columns) {
      if (column.state == State::kSame) continue;
      table.row({escape_html(column.name), escape_html(in_words(column.state)),
                 column.values ? fmt::format("{:.3f}", column.values->size) : "",
                 column.values ? chance_text(*column.values) : "", missing_text(column),
                 escape_html(fmt::format("{}", fmt::join(column.says, "; ")))});
    }
    out_ += table.str();
  }

  static std::string_view in_words(State state) {
    switch (state) {
      case State::kMoved: return "moved";
      case State::kAppeared: return "appeared";
      case State::kVanished: return "vanished";
      case State::kRetyped: return "changed type";
      default: return "";
    }
  }

  static std::string chance_text(const Difference& difference) {
    return difference.by_chance >= 1 ? "1: too few rows"
                                     : fmt::format("{:.3f}", difference.by_chance);
  }

  [[nodiscard]] double missing_share(const std::optional<Side>& side, std::int64_t rows) const {
    return side && rows > 0 ? static_cast<double>(side->missing) / static_cast<double>(rows) : 0;
  }
  [[nodiscard]] std::string missing_text(const ColumnReport& column) const {
    std::vector<std::string> parts;
    if (column.reference)
      parts.push_back(percent(missing_share(column.reference, report_.reference_rows)));
    if (column.file) parts.push_back(percent(missing_share(column.file, report_.rows)));
    // Once, where both are alike.
    if (parts.size() == 2 && parts[0] == parts[1]) parts.pop_back();
    return fmt::format("{}", fmt::join(parts, " → "));
  }

  void columns() {
    bool in_others = false;
    bool is_open = false;
    // They come in this order: what changed, then the others.
    for (const ColumnReport& column : report_.columns) {
      const bool is_other = column.state == State::kSame || column.state == State::kAlone;
      if (!is_open || is_other != in_others) {
        if (is_open) out_ += "</div>";
        out_ += fmt::format("<h2>{}</h2><div class=\"small\">", title_of(column.state));
        is_open = true;
        in_others = is_other;
      }
      out_ += page::figure(caption_of(column), picture_of(column) + lines_of(column));
    }
    if (is_open) out_ += "</div>";
  }

  static std::string_view title_of(State state) {
    if (state == State::kAlone) return "Columns";
    return state == State::kSame ? "Columns that are as they were" : "Columns that changed";
  }

  static std::string caption_of(const ColumnReport& column) {
    const Side& side = column.file ? *column.file : *column.reference;
    std::string out = fmt::format("{} · {}", column.name, side.kind);
    if (column.of_lengths) out += " (how many bytes)";
    if (const auto state = in_words(column.state); !state.empty())
      out += fmt::format(" · {}", state);
    return out;
  }

  [[nodiscard]] std::string picture_of(const ColumnReport& column) const {
    const std::int64_t n = present(column.reference, report_.reference_rows);
    const std::int64_t m = present(column.file, report_.rows);
    if (n == 0 && m == 0) return "<p class=\"soft\">no value</p>";
    return column.curve ? curve_of(column, n, m) : bars_of(column, n, m);
  }

  /// Which of both has something to draw. Of a column that changed type the reference's values are
  /// of another one.
  [[nodiscard]] bool draws_reference(const ColumnReport& column, std::int64_t rows) const {
    return column.reference && column.state != State::kRetyped && rows > 0;
  }

  [[nodiscard]] std::string curve_of(const ColumnReport& column, std::int64_t n,
                                     std::int64_t m) const {
    const Curve& curve = *column.curve;
    page::Plot plot;
    plot.title = fmt::format("{}: shares of the rows", column.name);
    plot.width = kWidth;
    plot.height = 190;
    plot.zero_based = true;
    plot.y_text = [](double value) { return fmt::format("{:g} %", value); };
    const std::size_t bins = std::max(curve.file.size(), curve.reference.size());
    plot.x = axis_of(column, curve.from, curve.from + curve.width * static_cast<double>(bins));
    if (draws_reference(column, n)) {
      plot.lines.push_back(steps_of(curve, curve.reference, n));
      plot.lines.back().name = "reference";
      plot.lines.back().colour = "b";
    }
    if (column.file && m > 0) {
      plot.lines.push_back(steps_of(curve, curve.file, m));
      plot.lines.back().name = has_reference() ? "file" : "";
      plot.lines.back().colour = "a";
    }
    return draw(plot);
  }

  [[nodiscard]] std::string bars_of(const ColumnReport& column, std::int64_t n,
                                    std::int64_t m) const {
    const bool reference = draws_reference(column, n);
    const bool file = column.file && m > 0;
    page::Bars bars;
    bars.title = fmt::format("{}: shares of the rows", column.name);
    bars.width = kWidth;
    bars.value_text = percent_text;
    if (reference) bars.series.push_back({"reference", "b"});
    if (file) bars.series.push_back({has_reference() ? "file" : "", "a"});
    const auto add = [&](const std::string& label, const Frequency& value) {
      auto& row = bars.rows.emplace_back();
      row.label = label;
      if (reference) row.values.push_back(percent_of(value.reference, n));
      if (file) row.values.push_back(percent_of(value.file, m));
    };
    Frequency others = column.other_values.value_or(Frequency{});
    for (std::size_t i = 0; i < column.frequent.size(); ++i) {
      const Frequency& value = column.frequent[i];
      if (i < kMostBars) {
        add(value.value.empty() ? "(empty text)" : value.value, value);
      } else {
        others.reference += value.reference;
        others.file += value.file;
      }
    }
    if (others.reference + others.file > 0) add("(all others)", others);
    return draw(bars);
  }

  /// What stands below a picture.
  [[nodiscard]] std::string lines_of(const ColumnReport& column) const {
    std::vector<std::string> lines;
    if (const auto text = side_text(column); !text.empty()) lines.push_back(escape_html(text));
    if (const auto text = measured_text(column); !text.empty()) lines.push_back(escape_html(text));
    if (column.curve && column.curve->outside > 0)
      lines.push_back(
          fmt::format("{} rows lie beside the picture", counted(column.curve->outside)));
    return fmt::format("<p class=\"soft\">{}</p>", fmt::join(lines, "<br>"));
  }

  [[nodiscard]] std::string side_text(const ColumnReport& column) const {
    std::vector<std::string> parts;
    parts.push_back("missing " + missing_text(column));
    both("different values", column, parts,
         [](const Side& side) { return std::optional(counted(side.distinct)); });
    const bool lengths = column.of_lengths;
    both(lengths ? "mean length" : "mean", column, parts,
         [](const Side& side) { return number_of(side.mean); });
    both("standard deviation", column, parts, [](const Side& side) { return number_of(side.sd); });
    both(lengths ? "bytes from" : "from", column, parts, range_of);
    return fmt::format("{}", fmt::join(parts, " · "));
  }

  static std::optional<std::string> number_of(const std::optional<double>& number) {
    return number ? std::optional(number_text(*number)) : std::nullopt;
  }

  static std::optional<std::string> range_of(const Side& side) {
    if (side.low && side.high)
      return fmt::format("{} to {}", number_text(*side.low), number_text(*side.high));
    if (side.first && side.last)
      return fmt::format("{} to {}", format_time(*side.first), format_time(*side.last));
    return std::nullopt;
  }

  /// `mean 3 → 4`: of the reference, then of the file; once where both are alike.
  template <class Text>
  static void both(std::string_view what, const ColumnReport& column,
                   std::vector<std::string>& parts, const Text& text) {
    const auto before = column.reference ? text(*column.reference) : std::nullopt;
    const auto now = column.file ? text(*column.file) : std::nullopt;
    if (!before && !now) return;
    if (before && now && *before != *now)
      parts.push_back(fmt::format("{} {} → {}", what, *before, *now));
    else
      parts.push_back(fmt::format("{} {}", what, now ? *now : *before));
  }

  static std::string measured_text(const ColumnReport& column) {
    if (column.names_rows && column.state != State::kAlone)
      return "it names or numbers the rows: its values are not compared";
    if (!column.values) return "";
    return fmt::format("distance {:.3f} ({}), by chance below {}", column.values->size,
                       column.statistic, chance_text(*column.values));
  }

  void method() {
    if (!has_reference()) return;
    out_ += fmt::format(
        "<h2>How this is judged</h2><p>All rows of both files are counted, in bins that come from "
        "a "
        "sample of them. A column moved when its distance is above {}, and above what chance "
        "alone stays below in {} of {} reports of this many columns; or when the share of missing "
        "values differs by more than {} and by more than chance. Distances are between the rows "
        "that have a value: <code>ks</code> is the largest difference of the cumulative shares, "
        "<code>total_variation</code> half the sum of differences of the shares of values, "
        "<code>hour_of_day</code> the same of the hours of the day (UTC).</p>",
        kLeastDistance, "999", "1,000", percent(kLeastMissing));
  }

  const Report& report_;
  std::string out_{};
};

}  // namespace

std::string page_of(const Report& report) { return Page(report).text(); }

}  // namespace heddle::report
