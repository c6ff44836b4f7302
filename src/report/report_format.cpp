#include "report/report_format.hpp"

namespace heddle::report {
namespace {

using doc::Schema;

const std::vector<std::pair<std::string, State>>& state_names() {
  static const std::vector<std::pair<std::string, State>> names{
      {"alone", State::kAlone},       {"same", State::kSame},         {"moved", State::kMoved},
      {"appeared", State::kAppeared}, {"vanished", State::kVanished}, {"retyped", State::kRetyped}};
  return names;
}

const Schema<Side>& side_schema() {
  static const Schema<Side> schema = [] {
    auto t = Schema<Side>::record("side", "what one file says of a column");
    t.text("kind", &Side::kind, "what its values are, as people say it");
    t.integer("missing", &Side::missing, "rows without a value of the column's type");
    t.integer("distinct", &Side::distinct, "different values; past some thousands an estimate");
    t.number("mean", &Side::mean, "of numbers");
    t.number("sd", &Side::sd, "of numbers: standard deviation");
    t.number("low", &Side::low, "of numbers: the least");
    t.number("high", &Side::high, "of numbers: the largest");
    t.time("first", &Side::first, "of times: the earliest");
    t.time("last", &Side::last, "of times: the latest");
    return t;
  }();
  return schema;
}

const Schema<Difference>& difference_schema() {
  static const Schema<Difference> schema = [] {
    auto t = Schema<Difference>::record("difference", "how far two samples are apart");
    t.number("size", &Difference::size, "of the difference, from 0 to 1").between(0, 1);
    t.number("by_chance", &Difference::by_chance,
             "what chance alone stays below, with so many rows; 1 and more: they are too few");
    t.boolean("moved", &Difference::moved, "above that, and large enough to matter");
    return t;
  }();
  return schema;
}

const Schema<Frequency>& frequency_schema() {
  static const Schema<Frequency> schema = [] {
    auto t = Schema<Frequency>::record("frequency", "how often a value came");
    t.text("value", &Frequency::value, "cut to 200 bytes");
    t.integer("reference", &Frequency::reference, "rows of the reference that have it");
    t.integer("file", &Frequency::file, "rows of the file that have it");
    return t;
  }();
  return schema;
}

const Schema<Curve>& curve_schema() {
  static const Schema<Curve> schema = [] {
    auto t = Schema<Curve>::record("curve", "counts over bins of one width");
    t.number("from", &Curve::from, "where the first bin begins; of times, microseconds since 1970");
    t.number("width", &Curve::width, "of each bin");
    t.integers("reference", &Curve::reference, "rows of the reference in each bin");
    t.integers("file", &Curve::file, "rows of the file in each bin");
    t.integer("outside", &Curve::outside, "rows of both that lie in no bin");
    return t;
  }();
  return schema;
}

const Schema<draft::Finding>& finding_schema() {
  using F = draft::Finding;
  static const Schema<F> schema = [] {
    auto t = Schema<F>::record("finding", "what to look at first");
    t.text("id", &F::id, "permanent");
    t.text("text", &F::text, "one sentence, without rows");
    t.texts("columns", &F::columns, "that it is about");
    return t;
  }();
  return schema;
}

const Schema<ColumnReport>& column_schema() {
  using C = ColumnReport;
  static const Schema<C> schema = [] {
    auto t = Schema<C>::record("column", "a column of either file");
    t.text("name", &C::name, "of the column");
    t.choice("state", &C::state, state_names(), "how the file stands to the reference");
    t.boolean("names_rows", &C::names_rows,
              "it is a key or a row number, so that its values are not compared");
    t.boolean("of_lengths", &C::of_lengths,
              "its texts mostly come once: numbers and curve are of how many bytes each has");
    t.object("reference", &C::reference, side_schema(), "what the reference has");
    t.object("file", &C::file, side_schema(), "what the file has");
    t.text("statistic", &C::statistic, "that `values` is measured by; empty: it is not");
    t.object("values", &C::values, difference_schema(), "among the rows that have one");
    t.object("missing", &C::missing, difference_schema(), "between the shares of missing values");
    t.texts("says", &C::says, "what changed, in words");
    t.object("curve", &C::curve, curve_schema(), "of numbers and times");
    t.objects("frequent", &C::frequent, frequency_schema(), "of texts and booleans");
    t.object("other_values", &C::other_values, frequency_schema(),
             "all that are not in `frequent`");
    return t;
  }();
  return schema;
}

}  // namespace

std::string_view state_name(State state) noexcept {
  for (const auto& [name, each] : state_names())
    if (each == state) return name;
  return "alone";
}

const Schema<Report>& report_schema() {
  static const Schema<Report> schema = [] {
    auto t = Schema<Report>::record("report", "a file of rows, alone or against a reference");
    t.of_format("heddle.report/1")
        .refused_as(ErrorKind::kCorrupt, "report-damaged", "make it again with `heddle report`");
    t.text("file", &Report::file, "what was read");
    t.text("reference", &Report::reference, "what it is held against; empty: nothing");
    t.integer("rows", &Report::rows, "of the file");
    t.integer("reference_rows", &Report::reference_rows, "of the reference");
    t.number("chance", &Report::chance,
             "with which each comparison may call moved what is not; 0: there is none");
    t.objects("findings", &Report::findings, finding_schema(), "of the file");
    t.objects("columns", &Report::columns, column_schema(), "what changed first");
    return t;
  }();
  return schema;
}

}  // namespace heddle::report
