#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "spec/environment.hpp"
#include "spec/kinds.hpp"
#include "spec/never.hpp"

namespace heddle::spec {
namespace {

constexpr double kEndless = HUGE_VAL;
constexpr double kMostIntercept = 20;  ///< logits: stats::refit_offsets goes no further

/// Findings about one monitor. Positions come from its content as it was read.
class MonitorCheck {
 public:
  MonitorCheck(const Monitor& monitor, std::vector<doc::Diagnostic>& out)
      : monitor_(monitor), out_(out) {}

  void numbers() {
    const doc::Value& content = monitor_.identity.content;
    need_time(content, "window", monitor_.window);
    need_count(content, "", "window_rows", monitor_.window_rows);
    need_range(content, "", "refused_share", monitor_.refused_share, 0, 1);
    need_count(content, "", "refused_rows", monitor_.refused_rows);
    need_count(content, "", "quarantined_good_rows", monitor_.quarantined_good_rows);
    // 0 is not "off" here: it is a limit that the first good row passes.
    if (monitor_.quarantined_good_rows == 0) {
      always(position_of(content, "quarantined_good_rows"),
             "the first row that breaks no rule is past `quarantined_good_rows` 0: every "
             "quarantine would be proposed to end at once",
             "write how many good rows a quarantine may hold back");
    }
    // 0 is a time here: labels may come at once, and there need be no cool-down.
    for (const auto& [key, value] : {std::pair{"label_delay", monitor_.label_delay},
                                     {"label_retention", monitor_.label_retention},
                                     {"cool_down", monitor_.cool_down}})
      need_end(content, key, value);
    std::set<std::string> names;
    for (std::size_t i = 0; i < monitor_.distributions.size(); ++i) {
      const DistributionMetric& metric = monitor_.distributions[i];
      const doc::Value& item = item_of("distributions", i);
      const std::string of = fmt::format("metric `{}`: ", metric.name);
      need_new_name(names, item, "metric", metric.name);
      need_range(item, of, "floor", metric.floor, 0, 1);
      need_range(item, of, "sds", metric.sds, 0, kEndless);
      // The threshold is max(floor, mean + sds * sd), which then is the mean itself.
      if (metric.floor == 0 && metric.sds == 0) {
        always(position_of(item, "floor"),
               fmt::format("{}half of all windows are above the reference mean, and `floor` and "
                           "`sds` are 0",
                           of),
               "write `floor: 0.1`, the smallest distance that matters, and `sds: 3`");
      }
      // Compared with a part of a day, the hours that the window lacks would look like a change.
      if (metric.kind->needs_whole_days() && monitor_.window % kDay != 0) {
        never(position_of(content, "window"),
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
      const std::string of = fmt::format("rule `{}`: ", rule.id);
      need_range(item, of, "threshold", rule.threshold, 0, 1);
      need_count(item, of, "window_rows", rule.window_rows);
    }
    labels();
  }

  void columns(const Contract& contract, const FeatureSet& features, const Model& model) {
    const std::string& time_field = model.time_field;
    for (std::size_t i = 0; i < monitor_.distributions.size(); ++i) {
      const DistributionMetric& metric = monitor_.distributions[i];
      if (metric.column.empty()) continue;  // missing-key says it
      const doc::Value& item = item_of("distributions", i);
      const auto field =
          std::find_if(contract.fields.begin(), contract.fields.end(),
                       [&](const Field& each) { return each.name == metric.column; });
      // The name is the answer's, even where the contract has a field of that name.
      const bool prediction = metric.column == "prediction";
      // A label is not there yet when a window ends.
      if (!prediction && (field == contract.fields.end() || field->label_time)) {
        no_column(metric, position_of(item, "column"), contract, features,
                  field != contract.fields.end());
        continue;
      }
      // Of several classes the answer is the name of the likeliest.
      const expr::Type answer =
          model.task == stats::TaskKind::kClasses ? expr::Type::kString : expr::Type::kDouble;
      const expr::Type type = prediction ? answer : field->type;
      if (metric.kind->reads(type) == 0) {
        error(position_of(item, "kind"), "watch-kind",
              fmt::format("metric `{}`: `{}` does not read `{}`, a {}", metric.name,
                          metric.kind->name(), metric.column, expr::type_name(type)),
              fmt::format("write `kind:` {}", statistic::names_reading(type)));
      } else if (metric.kind->is_one_of_growing() && metric.column == time_field) {
        error(position_of(item, "kind"), "always-alerts",
              fmt::format("metric `{}`: `{}` of `{}` is 1 in every window, for new rows are later "
                          "than those of the training",
                          metric.name, metric.kind->name(), metric.column),
              fmt::format("write `kind: {}`, or watch another column",
                          statistic::reading(type).front()->name()));
      }
    }
  }

 private:
  void labels() {
    const doc::Value& content = monitor_.identity.content;
    // At equal times the row is forgotten as its label comes.
    if (monitor_.label_delay >= monitor_.label_retention) {
      never(
          position_of(content, "label_retention"),
          fmt::format(
              "a label comes {} after its row, which is forgotten after {}: no label finds its row",
              format_duration(monitor_.label_delay), format_duration(monitor_.label_retention)),
          "set `label_retention` above `label_delay`, by several chunks");
      // The bounds of chunks below rest on these two: one finding is enough.
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
    need_range(item, "quality: ", "prior_shift", quality.prior_shift, 0, kMostIntercept);
    need_count(item, "quality: ", "chunk_rows", quality.chunk_rows);
    if (quality.prior_shift == 0) {
      always(position_of(item, "prior_shift"),
             "quality: every base rate is above `prior_shift` 0 of the reference, or below",
             "write the change in logits that counts, for example 0.25");
    }
    if (quality.alert_twice == 0 && quality.sds == 0) {
      always(position_of(item, "alert_twice"),
             "quality: half of all chunks are above the reference mean, and `alert_twice` and "
             "`sds` are 0",
             "write `alert_twice: 1`: worse than the base rate alone");
    }
    // By division: the product may not fit.
    if (quality.chunk_duration > 0 &&
        quality.prior_shift_chunks > kLongest / quality.chunk_duration) {
      never(position_of(item, "prior_shift_chunks"),
            fmt::format("quality: {} chunks of {} never pass", quality.prior_shift_chunks,
                        format_duration(quality.chunk_duration)),
            "write `prior_shift_chunks: 7`");
    }
    // What confirms at once has to be at least as bad as what needs a second chunk.
    if (quality.alert_once < quality.alert_twice && std::isfinite(quality.alert_twice)) {
      never(position_of(item, "alert_once"),
            fmt::format("quality: a chunk above `alert_once` {:g} and below `alert_twice` {:g} is "
                        "never confirmed",
                        quality.alert_once, quality.alert_twice),
            "set `alert_once` to `alert_twice` or more");
    }
    // A chunk is judged when its last label can have come; until then its first row has to be kept.
    const Micros needed = quality.chunk_duration + monitor_.label_delay;
    if (needed > monitor_.label_retention) {
      never(position_of(item, "chunk_duration"),
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
    // Not labels: a name that is near one must not be proposed.
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

  void need_range(const doc::Value& item, std::string_view of, std::string_view key, double value,
                  double from, double below) {
    if (value >= from && value < below) return;  // false for NaN
    const std::string wanted = below == kEndless
                                   ? fmt::format("a number of {:g} or more", from)
                                   : fmt::format("from {:g} to below {:g}", from, below);
    // Below the range it is a mistake of writing; above it, a metric that nothing can reach.
    if (value < from) {
      error(position_of(item, key), "bad-value",
            fmt::format("{}`{}` {:g} is negative", of, key, value),
            fmt::format("write {}", wanted));
      return;
    }
    never(position_of(item, key), fmt::format("{}no value is above `{}` {:g}", of, key, value),
          fmt::format("write {}", wanted));
  }

  void need_time(const doc::Value& item, std::string_view key, Micros value) {
    if (value > 0) {
      need_end(item, key, value);
      return;
    }
    never(position_of(item, key), fmt::format("`{}` is no time: no row falls into it", key),
          fmt::format("write `{}: 1d`", key));
  }

  void need_end(const doc::Value& item, std::string_view key, Micros value) {
    if (value <= kLongest) return;
    never(position_of(item, key), fmt::format("`{}` of {} never ends", key, format_duration(value)),
          fmt::format("write {} or less", format_duration(kLongest)));
  }

  void need_count(const doc::Value& item, std::string_view of, std::string_view key,
                  std::int64_t value) {
    if (value <= kMostCount) return;
    never(position_of(item, key), fmt::format("{}no service has `{}` {}", of, key, value),
          fmt::format("write {} or less", kMostCount));
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

  void always(doc::Position position, std::string message, std::string hint) {
    error(position, "always-alerts", std::move(message), std::move(hint));
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

void check_monitor_numbers(const Monitor& monitor, std::vector<doc::Diagnostic>& out) {
  MonitorCheck(monitor, out).numbers();
}

void check_monitor_columns(const Monitor& monitor, const Contract& contract,
                           const FeatureSet& features, const Model& model,
                           std::vector<doc::Diagnostic>& out) {
  MonitorCheck(monitor, out).columns(contract, features, model);
}

const Schema<Monitor>& monitor_keys() {
  static const Schema<DistributionMetric> distribution = [] {
    Schema<DistributionMetric> t(
        "a distribution",
        "distance of a column from its reference; alert above max(floor, mean + sds * sd)");
    t.text("name", &DistributionMetric::name, "its name").required();
    t.text("column", &DistributionMetric::column, "a field of the requests, or `prediction`")
        .required();
    std::vector<std::pair<std::string, const statistic::Statistic*>> statistics;
    std::string of;
    for (const statistic::Statistic* each : statistic::statistics().rows()) {
      statistics.emplace_back(each->name(), each);
      of += fmt::format("{}`{}` of {}", of.empty() ? "" : ", ", each->name(), each->of());
    }
    t.choice("kind", &DistributionMetric::kind, statistics,
             fmt::format("the distance: {}; rows without a value are part of each", of))
        .required();
    t.number("floor", &DistributionMetric::floor,
             "an effect smaller than this never alerts; 0 to below 1");
    t.number("sds", &DistributionMetric::sds, "standard deviations above the reference mean");
    return t;
  }();
  static const Schema<QualityMetric> quality = [] {
    Schema<QualityMetric> t("quality",
                            "loss after refitting the offsets, over that of the best constant "
                            "answer (of true and false: "
                            "log loss, the intercept, the label entropy), in chunks of event time");
    t.duration("chunk_duration", &QualityMetric::chunk_duration, "a chunk spans at least this");
    t.integer("chunk_rows", &QualityMetric::chunk_rows, "and has at least so many labels", 1);
    t.number("alert_twice", &QualityMetric::alert_twice, "above this in two chunks in a row");
    t.number("alert_once", &QualityMetric::alert_once, "above this in one");
    t.number("sds", &QualityMetric::sds,
             "standard deviations above the reference mean, when that is higher than alert_twice");
    t.number("prior_shift", &QualityMetric::prior_shift,
             "offsets that count as prior shift: logits, of a regression median deviations of its "
             "labels");
    t.integer("prior_shift_chunks", &QualityMetric::prior_shift_chunks, "over so many chunks", 1);
    return t;
  }();
  static const Schema<MonitorRule> rule = [] {
    Schema<MonitorRule> t("a rule", "alert on the share of rows for which an expression holds");
    t.text("id", &MonitorRule::id, "permanent id").required();
    t.expression("expression", &MonitorRule::expression,
                 "CEL over the contract's fields and `event_time`; true is bad")
        .required();
    t.number("threshold", &MonitorRule::threshold, "share of rows");
    t.integer("window_rows", &MonitorRule::window_rows, "rows looked at together", 1);
    return t;
  }();
  static const Schema<Notification> notification = [] {
    Schema<Notification> t("a notification", "a webhook that is told of incidents and approvals");
    t.text("url", &Notification::url, "where; `${env:NAME}` allowed").required();
    t.text("secret", &Notification::secret, "HMAC key: `${env:NAME}` or `${file:PATH}`").required();
    t.integer("attempts", &Notification::attempts, "how often it is tried", 1);
    t.finally([](Notification& into, const doc::Value& value, Reader& reader) {
      const doc::Value* secret = value.find("secret");
      // Everyone who may read the repository would have the key.
      if (secret != nullptr && !into.secret.starts_with("${env:") &&
          !into.secret.starts_with("${file:")) {
        reader.report(secret->position(), "secret-in-file", "a secret stands in a definition",
                      "write `${env:NAME}` or `${file:PATH}`");
      }
    });
    return t;
  }();
  static const Schema<Monitor> table = [] {
    Schema<Monitor> t("Monitor", "what is watched of a service and when that is an alert");
    add_named_head(t, "Monitor");
    t.text("service", &Monitor::service, "name of the service").required();
    t.duration("window", &Monitor::window, "of event time, for distributions");
    t.integer("window_rows", &Monitor::window_rows, "rows of a window, at least", 1);
    t.duration("label_delay", &Monitor::label_delay,
               "a label comes so long after its row, in event time");
    t.duration("label_retention", &Monitor::label_retention,
               "how long rows and labels wait for each other; at least label_delay and a chunk");
    t.objects("distributions", &Monitor::distributions, distribution,
              "distances from the reference");
    t.object("quality", &Monitor::quality, quality,
             "labelled quality; without it labelled quality is not watched");
    t.number("refused_share", &Monitor::refused_share,
             "contract alert: share of a source's rows that were refused");
    t.integer("refused_rows", &Monitor::refused_rows, "a source's rows looked at together", 1);
    t.integer("quarantined_good_rows", &Monitor::quarantined_good_rows,
              "rows that break no rule which one quarantine may hold back; past it recovery "
              "proposes its release");
    t.objects("rules", &Monitor::rules, rule, "rules of the project's own");
    t.objects("notifications", &Monitor::notifications, notification, "who is told");
    t.duration("cool_down", &Monitor::cool_down,
               "after a recovery, before the same metric may open an incident");
    t.finally([](Monitor& into, const doc::Value& value, Reader&) {
      into.labelled_quality = value.find("quality") != nullptr;
    });
    return t;
  }();
  return table;
}

class MonitorChecker : public Checking {
 public:
  explicit MonitorChecker(const Checking& all) : Checking(all) {}

  void check(Monitor& monitor) {
    const std::string& file = monitor.identity.file;
    check_monitor_numbers(monitor, diagnostics_);
    const Service* service =
        refer(monitor.identity, "service", monitor.service, project_.services, "service");
    // Where the monitor that the service names does not exist, the service has the finding.
    if (service != nullptr && service->monitor != monitor.identity.name &&
        project_.monitors.contains(service->monitor)) {
      report(file, at(monitor.identity, "service"), "monitor-unused",
             fmt::format("service `{}` is watched by monitor `{}`: this one watches nothing",
                         monitor.service, service->monitor),
             fmt::format("set `monitor: {}` in `{}`, or remove this file", monitor.identity.name,
                         service->identity.file));
    }
    const Contract* contract = service == nullptr ? nullptr : contract_of(*service);
    if (contract == nullptr) return;
    // `contract_of` found both.
    const Model& model = project_.models.at(service->model);
    check_monitor_columns(monitor, *contract, project_.feature_sets.at(model.features), model,
                          diagnostics_);
    const expr::Environment environment = monitor_environment(contract->fields);
    for (const auto& rule : monitor.rules) {
      compile(file, fmt::format("rule `{}`", rule.id), rule.expression,
              {environment, row_domains(environment, contract->fields, false), Use::kMonitorRule},
              expr::Type::kBool);
    }
  }
};

}  // namespace

const Kind& monitor_kind() {
  static const BuiltInKind<Monitor, MonitorChecker> kind("Monitor", "monitors", monitor_keys,
                                                         &Project::monitors);
  return kind;
}

}  // namespace heddle::spec
