#include "watch/watch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "stats/scalar.hpp"

namespace heddle::watch {

namespace {

constexpr std::string_view kFormat = "heddle.watch-state/2";

float margin_of(float probability) {
  return std::isnan(probability) ? probability : static_cast<float>(stats::logit(static_cast<double>(probability)));
}

/// A field as the contract means it: a timestamp may have arrived as text. Borrowed from `field`.
expr::Datum datum_of(const plane::FieldValue& field, expr::Type type) {
  if (type != expr::Type::kTimestamp || field.kind != expr::Datum::Kind::kString) return field.datum();
  const auto time = parse_time(field.s);
  return time ? expr::Datum::timestamp(*time) : expr::Datum::null();
}

std::string key_of(const Route& route) { return route.primary.hex() + "/" + route.repair; }

}  // namespace

Watch::Watch(Options options, RuleWindows rules)
    : options_(std::move(options)),
      sources_(options_.monitor.refused_share, options_.monitor.refused_rows),
      quality_(options_.monitor),
      rules_(std::move(rules)) {
  columns_.start(options_.monitor, 0, 0);
  for (const auto& name : options_.fields) {
    const auto& fields = options_.contract.fields;
    const auto at = std::find_if(fields.begin(), fields.end(), [&](const spec::Field& field) { return field.name == name; });
    types_.push_back(at == fields.end() ? expr::Type::kDyn : at->type);
  }
}

Result<Watch> Watch::open(Options options) {
  HEDDLE_ASSIGN_OR_RETURN(RuleWindows rules, RuleWindows::open(options.monitor.rules, options.contract, options.fields));
  return Watch(std::move(options), std::move(rules));
}

void Watch::register_route(Route route) {
  const std::uint64_t version = route.version;
  routes_.insert_or_assign(version, std::move(route));
}

void Watch::observe(const plane::Record& record, Output& out) {
  if (const auto* request = std::get_if<plane::RequestRecord>(&record)) {
    observe_request(*request, out);
  } else if (const auto* label = std::get_if<plane::LabelRecord>(&record)) {
    (void)join_.add_label(label->row_id, label->label, label->event_time);
    try_alternatives();
  } else if (const auto* tick = std::get_if<plane::TickRecord>(&record)) {
    observe_tick(tick->event_time, out);
  }
}

void Watch::enter(const Route& route, Micros event_time) {
  route_version_ = route.version;
  std::string key = key_of(route);
  if (key == epoch_key_) return;
  epoch_key_ = std::move(key);
  ++epoch_;
  // Everything after the last row of the epoch before is this one's; of the very first one, nothing is known before its
  // first row.
  const Micros from = last_row_ == INT64_MIN ? event_time : last_row_ + 1;
  columns_.start(options_.monitor, epoch_, from);
  quality_.start(epoch_, from);
  alerts_.new_epoch();
  std::erase_if(latest_, [](const auto& item) { return item.second.subject != Subject::kContract; });
}

void Watch::observe_request(const plane::RequestRecord& request, Output& out) {
  auto it = routes_.upper_bound(request.route_version);
  if (it == routes_.begin()) {
    rows_seen_ += static_cast<std::int64_t>(request.rows.size());
    return;  // nothing is known of who answered
  }
  const Route& route = std::prev(it)->second;
  if (route.version >= route_version_) enter(route, request.event_time);
  const bool of_epoch = key_of(route) == epoch_key_;
  if (of_epoch) last_row_ = std::max(last_row_, request.event_time);
  const Baseline* baseline = route.baseline.get();
  const std::size_t settled = out.findings.size();
  // What standby and canary answer says nothing about the primary's predictions.
  const bool by_primary = request.slot != "standby" && request.slot != "canary";
  std::vector<std::uint32_t> trials;
  for (const Alternative& alternative : route.alternatives) trials.push_back(trials_.number(alternative.trial, alternative.candidate));
  std::vector<expr::Datum> values;
  for (std::size_t index = 0; index < request.rows.size(); ++index) {
    const plane::RowRecord& row = request.rows[index];
    ++rows_seen_;
    for (std::size_t i = 0; i < row.fields.size() && i < types_.size(); ++i) {
      if (types_[i] != expr::Type::kTimestamp) continue;
      const expr::Datum time = datum_of(row.fields[i], types_[i]);
      if (time.kind == expr::Datum::Kind::kTimestamp) clocks_.add(options_.fields[i], time.i, request.event_time);
    }
    std::vector<plane::FieldValue> repaired;
    const std::vector<plane::FieldValue>* fields = &row.fields;
    if (route.apply_repair) {
      repaired = row.fields;
      route.apply_repair(repaired);
      fields = &repaired;
    }
    const auto field_of = [&](const std::string& name) {
      const auto at = std::find(options_.fields.begin(), options_.fields.end(), name);
      const auto i = static_cast<std::size_t>(at - options_.fields.begin());
      return i < fields->size() ? datum_of((*fields)[i], types_[i]) : expr::Datum::null();
    };
    const bool served = row.outcome == plane::RowOutcome::kServed;
    if (baseline != nullptr && of_epoch) {
      values.clear();
      for (const MetricReference& metric : baseline->metrics) {
        const bool prediction = metric.metric.column == "prediction";
        values.push_back(!prediction                                        ? field_of(metric.metric.column)
                         : served && !std::isnan(row.probability) && by_primary
                             ? expr::Datum::real(static_cast<double>(row.probability))
                             : expr::Datum::null());
      }
      columns_.add(*baseline, request.event_time, values);
    }
    sources_.add(request.source, row, request.event_time, baseline, field_of, out.findings);
    if (!rules_.empty()) {
      values.clear();
      for (std::size_t i = 0; i < options_.fields.size(); ++i) {
        values.push_back(i < fields->size() ? datum_of((*fields)[i], types_[i]) : expr::Datum::null());
      }
      values.push_back(expr::Datum::timestamp(request.event_time));
      rules_.add(values, request.event_time, out.findings);
    }
    if (served && of_epoch) {
      JoinedRow joined{request.request_id + "#" + std::to_string(index), request.event_time, epoch_,
                       by_primary ? margin_of(row.probability) : std::numeric_limits<float>::quiet_NaN(),
                       margin_of(row.standby_probability), -1, 0, request.source};
      for (std::size_t i = 0; by_primary && i < trials.size(); ++i) {
        joined.alternatives.emplace_back(trials[i], route.alternatives[i].margin(row.fields));
      }
      join_.add_row(std::move(joined));
    }
  }
  if (!trials.empty()) try_alternatives();
  settle(settled, request.event_time, out);
}

void Watch::try_alternatives() {
  for (const JoinedRow& row : join_.take_joined()) {
    for (const auto& [trial, margin] : row.alternatives) {
      if (std::isnan(margin) || std::isnan(row.margin)) continue;
      trials_.add(trial, loss_of(row.margin, row.label != 0), loss_of(margin, row.label != 0), row.label != 0,
                  row.event_time / options_.monitor.quality.chunk_duration);
    }
  }
}

std::int64_t Watch::rows_of_chunk() const {
  const auto at = latest_.find("quality/ratio");
  return at == latest_.end() ? options_.monitor.quality.chunk_rows : at->second.rows;
}

void Watch::observe_tick(Micros event_time, Output& out) {
  if (event_time <= watermark_) return;
  watermark_ = event_time;
  const std::size_t settled = out.findings.size();
  const auto route = routes_.find(route_version_);
  const Baseline* baseline = route == routes_.end() ? nullptr : route->second.baseline.get();
  if (baseline != nullptr) {
    columns_.close(*baseline, event_time, out.findings);
    settle(settled, event_time, out);
    const std::size_t quality = out.findings.size();
    // A column that moved explains an intercept that moved with it. One that has stood for longer than the intercept is
    // averaged over is how things are now, and no reason to leave the base rate wrong.
    const auto& quality_of = options_.monitor.quality;
    const Micros fresh = event_time - options_.monitor.label_delay - (quality_of.prior_shift_chunks + 1) * quality_of.chunk_duration;
    const bool quiet = !alerts_.standing(Subject::kColumn, fresh) && !alerts_.confirmed(Subject::kQuality);
    quality_.close(join_, *baseline, event_time, quiet, out.findings);
    settle(quality, event_time, out);
  }
  join_.prune(event_time - options_.monitor.label_retention);
}

void Watch::settle(std::size_t from, Micros at, Output& out) {
  for (std::size_t i = from; i < out.findings.size(); ++i) {
    Finding& finding = out.findings[i];
    finding.epoch = epoch_;
    latest_.insert_or_assign(finding.key, finding);
  }
  // All of them are known before the first alert is: a diagnosis looks at its neighbours.
  for (std::size_t i = from; i < out.findings.size(); ++i) {
    for (Alert& move : alerts_.update(out.findings[i], at, rows_seen_)) out.moves.push_back(std::move(move));
  }
}

std::string Watch::save() const {
  StateWriter out;
  out.put(kFormat);
  out.put(epoch_);
  out.put(route_version_);
  out.put(epoch_key_);
  out.put(watermark_);
  out.put(last_row_);
  out.put(rows_seen_);
  join_.save(out);
  columns_.save(out);
  sources_.save(out);
  quality_.save(out);
  rules_.save(out);
  clocks_.save(out);
  trials_.save(out);
  alerts_.save(out);
  out.put(std::uint64_t{latest_.size()});
  for (const auto& [key, finding] : latest_) save_finding(out, finding);
  return out.take();
}

Result<void> Watch::restore(std::string_view bytes) {
  StateReader in(bytes);
  const bool known = in.text() == kFormat;
  if (known) {
    epoch_ = in.u64();
    route_version_ = in.u64();
    epoch_key_ = in.text();
    watermark_ = in.i64();
    last_row_ = in.i64();
    rows_seen_ = in.i64();
    join_.load(in);
    columns_.load(in);
    sources_.load(in);
    quality_.load(in);
    rules_.load(in);
    clocks_.load(in);
    trials_.load(in);
    alerts_.load(in);
    latest_.clear();
    for (std::uint64_t n = in.count(); n > 0; --n) {
      Finding finding = load_finding(in);
      std::string key = finding.key;
      latest_.emplace(std::move(key), std::move(finding));
    }
  }
  if (!known || !in.done()) {
    return Error{ErrorKind::kCorrupt, "watch-state", "the saved state of the watch is not whole",
                 "remove it: the journal is read again from the oldest segment kept"};
  }
  return {};
}

}  // namespace heddle::watch
