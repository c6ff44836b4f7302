#include "spec/check_monitor.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

namespace heddle::spec {
namespace {

constexpr double kEndless = HUGE_VAL;

/// Findings about one monitor. Positions come from its content as it was read.
class MonitorCheck {
 public:
  MonitorCheck(const Monitor& monitor, std::vector<doc::Diagnostic>& out)
      : monitor_(monitor), out_(out) {}

  void numbers() {
    const doc::Value& content = monitor_.identity.content;
    need_time(content, "window", monitor_.window);
    need_range(content, "", "refused_share", monitor_.refused_share, 0, 1);
    std::set<std::string> names;
    for (std::size_t i = 0; i < monitor_.distributions.size(); ++i) {
      const DistributionMetric& metric = monitor_.distributions[i];
      const doc::Value& item = item_of("distributions", i);
      const std::string of = fmt::format("metric `{}`: ", metric.name);
      need_new_name(names, item, "metric", metric.name);
      need_range(item, of, "floor", metric.floor, 0, 1);
      need_range(item, of, "sds", metric.sds, 0, kEndless);
      if (metric.kind == DistributionMetric::Kind::kHourOfDay && monitor_.window % kDay != 0) {
        never(at(content, "window"),
              fmt::format("{}a window of {} has not every hour of a day", of,
                          format_duration(monitor_.window)),
              "write whole days, `window: 1d`");
      }
    }
    if (monitor_.distributions.empty())
      absent("no distributions: no column is watched", "add `distributions`");
    std::set<std::string> ids;
    for (std::size_t i = 0; i < monitor_.rules.size(); ++i) {
      const MonitorRule& rule = monitor_.rules[i];
      const doc::Value& item = item_of("rules", i);
      need_new_name(ids, item, "rule", rule.id);
      need_range(item, fmt::format("rule `{}`: ", rule.id), "threshold", rule.threshold, 0, 1);
    }
    labels();
  }

  void columns(const Contract& contract, const FeatureSet& features,
               const std::string& time_field) {
    for (std::size_t i = 0; i < monitor_.distributions.size(); ++i) {
      const DistributionMetric& metric = monitor_.distributions[i];
      if (metric.column.empty()) continue;  // missing-key says it
      const doc::Value& item = item_of("distributions", i);
      const auto field =
          std::find_if(contract.fields.begin(), contract.fields.end(),
                       [&](const Field& each) { return each.name == metric.column; });
      const bool prediction = metric.column == "prediction";
      if (!prediction && (field == contract.fields.end() || field->label_time)) {
        no_column(metric, at(item, "column"), contract, features, field != contract.fields.end());
        continue;
      }
      const expr::Type type = prediction ? expr::Type::kDouble : field->type;
      if (!reads(metric.kind, type)) {
        error(at(item, "kind"), "watch-kind",
              fmt::format("metric `{}`: `{}` does not read `{}`, a {}", metric.name,
                          kind_name(metric.kind), metric.column, expr::type_name(type)),
              fmt::format("write `kind:` {}", kinds_that_read(type)));
      } else if (metric.kind == DistributionMetric::Kind::kKs && metric.column == time_field) {
        error(at(item, "kind"), "always-alerts",
              fmt::format("metric `{}`: `ks` of `{}` is 1 in every window, for new rows are later "
                          "than those of the training",
                          metric.name, metric.column),
              "write `kind: hour_of_day`, or watch another column");
      }
    }
  }

 private:
  void labels() {
    const doc::Value& content = monitor_.identity.content;
    if (monitor_.label_delay >= monitor_.label_retention) {
      never(
          at(content, "label_retention"),
          fmt::format(
              "a label comes {} after its row, which is forgotten after {}: no label finds its row",
              format_duration(monitor_.label_delay), format_duration(monitor_.label_retention)),
          "set `label_retention` above `label_delay`, by several chunks");
      return;
    }
    if (!monitor_.labelled_quality) {
      absent("no quality section: labelled quality is not watched",
             "add `quality`: without it no change of the concept or of the base rate is seen");
      return;
    }
    const QualityMetric& quality = monitor_.quality;
    const doc::Value* section = content.find("quality");
    const doc::Value& item = section == nullptr ? content : *section;
    need_time(item, "chunk_duration", quality.chunk_duration);
    need_range(item, "quality: ", "sds", quality.sds, 0, kEndless);
    need_range(item, "quality: ", "alert_twice", quality.alert_twice, 0, kEndless);
    need_range(item, "quality: ", "alert_once", quality.alert_once, 0, kEndless);
    need_range(item, "quality: ", "prior_shift", quality.prior_shift, 0, kEndless);
    if (quality.alert_once < quality.alert_twice && std::isfinite(quality.alert_twice)) {
      never(at(item, "alert_once"),
            fmt::format("quality: a chunk above `alert_once` {:g} and below `alert_twice` {:g} is "
                        "never confirmed",
                        quality.alert_once, quality.alert_twice),
            "set `alert_once` to `alert_twice` or more");
    }
    const Micros needed = quality.chunk_duration + monitor_.label_delay;
    if (needed > monitor_.label_retention) {
      never(at(item, "chunk_duration"),
            fmt::format("quality: a chunk of {} is judged {} after its end, when rows older than "
                        "{} are forgotten",
                        format_duration(quality.chunk_duration),
                        format_duration(monitor_.label_delay),
                        format_duration(monitor_.label_retention)),
            fmt::format(
                "set `label_retention` to both together ({}) or more, or shorten `chunk_duration`",
                format_duration(needed)));
    }
  }

  void no_column(const DistributionMetric& metric, doc::Position position, const Contract& contract,
                 const FeatureSet& features, bool label) {
    const bool feature =
        std::any_of(features.features.begin(), features.features.end(),
                    [&](const Feature& each) { return each.name == metric.column; });
    std::vector<std::string> names;
    for (const Field& field : contract.fields) {
      if (!field.label_time) names.push_back(field.name);
    }
    names.emplace_back("prediction");
    const std::string near = doc::nearest(metric.column, names);
    error(position, "unknown-name",
          fmt::format("metric `{}` names `{}`, {}", metric.name, metric.column,
                      label     ? "which comes with the label and not with a request"
                      : feature ? "a feature: the recorded traffic holds the fields of requests"
                                : fmt::format("which is no field of contract `{}`",
                                              contract.identity.name)),
          near.empty() ? fmt::format("write one of `{}`", fmt::join(names, "`, `"))
                       : fmt::format("did you mean `{}`?", near));
  }

  /// Item `i` of a list as it was read; the whole content where there is none.
  const doc::Value& item_of(std::string_view list, std::size_t i) const {
    const doc::Value* found = monitor_.identity.content.find(list);
    const bool there = found != nullptr && found->is_array() && i < found->size();
    return there ? found->as_array()[i] : monitor_.identity.content;
  }

  static doc::Position at(const doc::Value& value, std::string_view key) {
    const doc::Value* found = value.find(key);
    return found == nullptr ? value.position() : found->position();
  }

  void need_range(const doc::Value& item, std::string_view of, std::string_view key, double value,
                  double from, double below) {
    if (value >= from && value < below) return;  // false for NaN
    const std::string wanted = below == kEndless
                                   ? fmt::format("a number of {:g} or more", from)
                                   : fmt::format("from {:g} to below {:g}", from, below);
    if (value < from) {
      error(at(item, key), "bad-value", fmt::format("{}`{}` {:g} is negative", of, key, value),
            fmt::format("write {}", wanted));
      return;
    }
    never(at(item, key), fmt::format("{}no value is above `{}` {:g}", of, key, value),
          fmt::format("write {}", wanted));
  }

  void need_time(const doc::Value& item, std::string_view key, Micros value) {
    if (value > 0) return;
    never(at(item, key), fmt::format("`{}` is no time: no row falls into it", key),
          fmt::format("write `{}: 1d`", key));
  }

  void need_new_name(std::set<std::string>& seen, const doc::Value& item, std::string_view what,
                     const std::string& name) {
    if (name.empty() || seen.insert(name).second) return;
    error(item.position(), "duplicate-name",
          fmt::format("{} `{}` appears more than once: one alert would stand for both", what, name),
          "rename one of the two");
  }

  void never(doc::Position position, std::string message, std::string hint) {
    error(position, "never-alerts", std::move(message), std::move(hint));
  }

  void absent(std::string message, std::string hint) {
    add(monitor_.identity.content.position(), "not-watched", std::move(message), std::move(hint),
        doc::Severity::kWarning);
  }

  void error(doc::Position position, std::string id, std::string message, std::string hint) {
    add(position, std::move(id), std::move(message), std::move(hint), doc::Severity::kError);
  }

  void add(doc::Position position, std::string id, std::string message, std::string hint,
           doc::Severity severity) {
    doc::Diagnostic diagnostic;
    diagnostic.severity = severity;
    diagnostic.id = std::move(id);
    diagnostic.message = std::move(message);
    diagnostic.file = monitor_.identity.file;
    diagnostic.position = position;
    diagnostic.hint = std::move(hint);
    out_.push_back(std::move(diagnostic));
  }

  const Monitor& monitor_;
  std::vector<doc::Diagnostic>& out_;
};

}  // namespace

void check_monitor_numbers(const Monitor& monitor, std::vector<doc::Diagnostic>& out) {
  MonitorCheck(monitor, out).numbers();
}

void check_monitor_columns(const Monitor& monitor, const Contract& contract,
                           const FeatureSet& features, const std::string& time_field,
                           std::vector<doc::Diagnostic>& out) {
  MonitorCheck(monitor, out).columns(contract, features, time_field);
}

}  // namespace heddle::spec
