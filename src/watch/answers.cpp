#include "watch/answers.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "plane/route.hpp"

namespace heddle::watch {

namespace {

/// What the data plane writes beside the contract's rules in a row that it held back.
constexpr std::string_view kHeldBack = "source-quarantined";
constexpr int kQuietFindings = 2;  ///< that clear an alert and close its incident

Finding finding_of(std::string key, Micros from, Micros to) {
  Finding f;
  f.key = std::move(key);
  f.subject = Subject::kAnswers;
  f.from = from;
  f.to = to;
  return f;
}

}  // namespace

std::string quarantine_key(std::string_view account, std::string_view source) {
  return account.empty() ? fmt::format("quarantine/{}", source)
                         : fmt::format("quarantine/{}/{}", account, source);
}

Answers::Answers(const spec::Monitor& monitor, const spec::Contract& contract)
    : run_rows_(monitor.refused_rows), budget_(monitor.quarantined_good_rows) {
  for (const spec::RowRule& rule : contract.row_rules) {
    if (rule.effect != spec::RuleEffect::kRefuse) warnings_.insert(rule.id);
  }
}

void Answers::add(const plane::RequestRecord& request, const plane::RowRecord& row,
                  std::vector<Finding>& out) {
  if (row.outcome == plane::RowOutcome::kQuarantined) {
    keep(request, row, out);
  } else if (!kept_.empty()) {
    // Nearly always there is no quarantine: then a row costs no look-up.
    let_in(request, out);
  }
  const Micros at = request.event_time;
  if (rows_ == 0) from_ = at;
  ++rows_;
  answered_ += row.outcome == plane::RowOutcome::kServed ? 1 : 0;
  // An hour at least: a service that is busy makes a run of rows in a second, and a restart of its
  // runtime takes longer than that.
  if (rows_ < run_rows_ || at < from_ + kHour) return;
  Finding f = finding_of("answers/service", from_, at);
  f.rows = rows_;
  f.value = 1 - static_cast<double>(answered_) / static_cast<double>(rows_);
  f.threshold = 1;
  // A share would be a matter of taste. That nobody gets an answer is an incident under every
  // policy.
  f.alert = f.raises = answered_ == 0;
  f.detail =
      doc::Value::object({{"why", fmt::format("none of the newest {} rows got an answer, since {}",
                                              rows_, format_time(from_))}});
  out.push_back(std::move(f));
  rows_ = answered_ = 0;
}

bool Answers::is_good(const plane::RowRecord& row) const {
  return std::all_of(row.rules.begin(), row.rules.end(), [&](const std::string& rule) {
    return rule == kHeldBack || warnings_.contains(rule);
  });
}

void Answers::keep(const plane::RequestRecord& request, const plane::RowRecord& row,
                   std::vector<Finding>& out) {
  Kept& kept = kept_[{request.account, request.source}];
  if (kept.good + kept.bad == 0) kept.from = request.event_time;
  // It goes on: what looked like its end was not.
  kept.let_in = kept.quiet = 0;
  ++(is_good(row) ? kept.good : kept.bad);
  // Told once. The quarantine stays until it is ended, and more rows say nothing new.
  if (kept.told || kept.good <= budget_) return;
  kept.told = true;
  Finding f =
      finding_of(quarantine_key(request.account, request.source), kept.from, request.event_time);
  f.source = request.source;
  f.account = request.account;
  f.rows = kept.good + kept.bad;
  f.value = static_cast<double>(kept.good);
  f.threshold = static_cast<double>(budget_);
  f.alert = f.raises = f.confirms = true;
  f.detail =
      doc::Value::object({{"why", fmt::format("the quarantine of source {} has held back {} rows "
                                              "that break no rule, beside {} that do; "
                                              "the budget is {}",
                                              plane::source_text(request.account, request.source),
                                              kept.good, kept.bad, budget_)}});
  out.push_back(std::move(f));
}

void Answers::let_in(const plane::RequestRecord& request, std::vector<Finding>& out) {
  const auto it = kept_.find({request.account, request.source});
  if (it == kept_.end()) return;
  Kept& kept = it->second;
  if (kept.told) {
    ++kept.let_in;
    // A run of rows, and a day between two findings: a source that is let in and shut out again
    // within a day has not recovered.
    if (kept.let_in < run_rows_ || (kept.quiet > 0 && request.event_time < kept.quiet_next)) return;
    kept.quiet_next = request.event_time + kDay;
    Finding f =
        finding_of(quarantine_key(request.account, request.source), kept.from, request.event_time);
    f.source = request.source;
    f.account = request.account;
    f.rows = std::exchange(kept.let_in, 0);
    f.threshold = static_cast<double>(budget_);
    out.push_back(std::move(f));
    if (++kept.quiet < kQuietFindings) return;
  }
  kept_.erase(it);
}

void Answers::set_back(Micros, RowCounts&) {
  rows_ = answered_ = 0;
  from_ = 0;
  kept_.clear();
}

void Answers::save(StateWriter& out) const {
  out.put(rows_);
  out.put(answered_);
  out.put(from_);
  out.put(std::uint64_t{kept_.size()});
  for (const auto& [key, kept] : kept_) {
    out.put(key.first);
    out.put(key.second);
    out.put(kept.good);
    out.put(kept.bad);
    out.put(kept.from);
    out.put(kept.told);
    out.put(kept.let_in);
    out.put(kept.quiet);
    out.put(kept.quiet_next);
  }
}

void Answers::load(StateReader& in) {
  rows_ = in.i64();
  answered_ = in.i64();
  from_ = in.i64();
  kept_.clear();
  for (std::uint64_t n = in.count(); n > 0; --n) {
    std::string account = in.text();
    std::string source = in.text();
    Kept& kept = kept_[{std::move(account), std::move(source)}];
    kept.good = in.i64();
    kept.bad = in.i64();
    kept.from = in.i64();
    kept.told = in.flag();
    kept.let_in = in.i64();
    kept.quiet = in.small();
    kept.quiet_next = in.i64();
  }
}

const DetectorKind& answers() {
  static constexpr DetectorKind row("answers", [](const WatchOptions& options) {
    return Result<std::unique_ptr<Detector>>(
        std::make_unique<Answers>(options.monitor, options.contract));
  });
  return row;
}

}  // namespace heddle::watch
