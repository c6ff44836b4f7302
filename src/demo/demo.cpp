#include "demo/demo.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/signature.hpp"
#include "demo/account.hpp"
#include "demo/approver.hpp"
#include "demo/judge.hpp"
#include "demo/process.hpp"
#include "demo/project.hpp"
#include "demo/session.hpp"
#include "demo/storyteller.hpp"
#include "demo/webhook.hpp"
#include "doc/json.hpp"
#include "replay/fault.hpp"
#include "replay/quality.hpp"
#include "spec/load.hpp"

namespace heddle::demo {
namespace {

constexpr int kEvery = 3;
constexpr int kBlockRows = 128;
constexpr std::uint64_t kReplaySeed = 20010301;
constexpr Micros kLookEvery = 2 * kHour;  ///< event time between looks at decisions and approvals
constexpr std::size_t kPlotPoints = 400;
constexpr int kStartPatienceMs = 30'000;

volatile std::sig_atomic_t interrupted = 0;
// Only a flag: a handler may do little more. Phases and the replay look at it between their steps.
void on_interrupt(int) { interrupted = 1; }

double quantile(std::vector<float> values, double q) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

/// A metric of many small windows, for a plot: the highest of each day.
std::vector<std::pair<Micros, double>> highest_of_days(
    const std::vector<std::pair<Micros, double>>& points) {
  std::map<Micros, double> days;
  for (const auto& [at, value] : points) {
    double& highest = days.try_emplace(at - at % kDay, value).first->second;
    highest = std::max(highest, value);
  }
  return {days.begin(), days.end()};
}

class Demo {
 public:
  explicit Demo(const Options& options) : options_(options), story_(options.color) {}
  Result<void> run();

 private:
  Result<std::string> fingerprint() const;
  Result<void> prepare();
  Result<void> train();
  Result<void> bring_up();
  Result<void> release();
  Result<void> replay_traffic();
  Result<void> collect();
  Result<void> shut_down();
  Result<void> score();
  Result<void> write_report();

  Result<FinishedProcess> heddle(std::vector<std::string> words, bool tell = false);
  Result<doc::Value> heddle_json(std::vector<std::string> words);
  Result<void> follow();
  Result<void> timed(const char* name, Result<void> (Demo::*phase)());

  const Options& options_;
  Storyteller story_;
  DemoProject project_;
  spec::Project definitions_;
  std::string data_file_;
  std::optional<Session> session_;
  std::optional<Approver> approver_;
  std::unique_ptr<WebhookReceiver> webhook_;
  std::string webhook_secret_;
  std::optional<Background> planes_;
  replay::Options replay_options_;
  replay::Replayed replayed_;
  Digest first_release_{};
  std::int64_t next_entry_ = 0;
  Micros last_look_ = 0;
  std::vector<doc::Value> decisions_;
  std::vector<doc::Value> incidents_;
  std::vector<doc::Value> routes_;
  Account account_;
};

Result<FinishedProcess> Demo::heddle(std::vector<std::string> words, bool tell) {
  std::string shown = "heddle";
  for (const std::string& word : words) shown += " " + word;
  if (tell) story_.line("$ " + shown);
  words.insert(words.begin(), options_.binary);
  return must_run({std::move(words), project_.root},
                  tell ? std::function<void(std::string_view)>(
                             [this](std::string_view line) { story_.line(line); })
                       : std::function<void(std::string_view)>());
}

Result<doc::Value> Demo::heddle_json(std::vector<std::string> words) {
  words.insert(words.begin(), "--json");
  HEDDLE_ASSIGN_OR_RETURN(const FinishedProcess finished, heddle(std::move(words)));
  return doc::parse_json(finished.out);
}

Result<void> Demo::timed(const char* name, Result<void> (Demo::*phase)()) {
  if (interrupted != 0)
    return Error{ErrorKind::kCancelled, "demo-interrupted", "the demo was interrupted",
                 "run it again"};
  const std::int64_t begin = system_clock().mono_ns();
  HEDDLE_TRY((this->*phase)());
  account_.phases.emplace_back(name, static_cast<double>(system_clock().mono_ns() - begin) * 1e-9);
  return {};
}

/// What the demo's result depends on: this program, the example, the data.
Result<std::string> Demo::fingerprint() const {
  Hasher hasher;
  HEDDLE_ASSIGN_OR_RETURN(const Digest binary, sha256_file(options_.binary));
  hasher.update_field(binary.str());
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(options_.example, error), end;
       !error && at != end; at.increment(error)) {
    std::error_code gone;
    if (at->is_regular_file(gone)) files.push_back(at->path());
  }
  // Without a part of it another example would pass for this one.
  if (error) {
    return Error{ErrorKind::kIo, "demo-files",
                 fmt::format("cannot read `{}`: {}", options_.example, error.message()),
                 "restore examples/flights"};
  }
  files.push_back(options_.data + "/flights-3m.parquet");
  files.push_back(options_.data + "/airports.csv");
  // The order of a listing depends on the file system, and the fingerprint must not.
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    HEDDLE_ASSIGN_OR_RETURN(const Digest digest, sha256_file(file));
    hasher.update_field(file);
    hasher.update_field(digest.str());
  }
  return hasher.finish().str();
}

Result<void> Demo::prepare() {
  story_.phase("A project of its own, copied from the example");
  HEDDLE_ASSIGN_OR_RETURN(project_, prepare_project(options_.example, options_.data, options_.out));
  data_file_ = options_.data + "/flights-3m.parquet";
  HEDDLE_ASSIGN_OR_RETURN(spec::Loaded loaded, spec::load_project(project_.root));
  definitions_ = std::move(loaded.project);
  story_.line(fmt::format(
      "{}; `{}` is the person who may approve, with an SSH key made just now; you ask as `{}`",
      project_.root, project_.person, kRequester));
  HEDDLE_TRY(heddle({"check"}, true));
  return {};
}

Result<void> Demo::train() {
  story_.phase("January and February: from rows to a candidate");
  HEDDLE_TRY(heddle({"run"}, true));
  // Everything is cached now: this is the candidate as a document, and costs nothing.
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value again, heddle_json({"run"}));
  const doc::Value* candidate = again.find("candidate");
  if (candidate == nullptr)
    return Error{ErrorKind::kInternal, "demo-no-candidate", "`heddle run` left no candidate",
                 "see its output"};
  HEDDLE_ASSIGN_OR_RETURN(first_release_, Digest::parse(candidate->string_or("bundle")));
  account_.training_rows = candidate->int_or("rows");
  account_.trials = candidate->int_or("trials");
  HEDDLE_ASSIGN_OR_RETURN(const FinishedProcess plan, heddle({"plan"}));
  story_.line(fmt::format(
      "candidate {} from {} rows and {} trials; run again: {} in {:.0f} ms",
      first_release_.short_str(), account_.training_rows, account_.trials,
      plan.err.find("nothing to do") != std::string::npos ? "nothing to do" : "something to do",
      plan.seconds * 1000));
  return {};
}

Result<void> Demo::bring_up() {
  story_.phase("Two planes");
  webhook_secret_ = hex_encode(random_bytes(32));
  HEDDLE_ASSIGN_OR_RETURN(
      webhook_, WebhookReceiver::open(webhook_secret_, [this](const doc::Value& note) {
        story_.event(time_of(note, "event_time"), "webhook",
                     fmt::format("{}: {}", note.string_or("id"), note.string_or("text")),
                     "signature checked");
      }));
  HEDDLE_TRY(heddle({"apply"}, true));
  ProcessOptions up{{options_.binary, "up", "--lockstep"}, project_.root};
  // The address has a port that was free just now, so no definition can name it.
  up.environment = {{"HEDDLE_WEBHOOK_URL", webhook_->url()},
                    {"HEDDLE_WEBHOOK_SECRET", webhook_secret_}};
  const std::string log = options_.out + "/up.log";
  std::error_code ignored;
  // The log of an earlier run would be shown as the reason.
  std::filesystem::remove(log, ignored);
  HEDDLE_ASSIGN_OR_RETURN(Background planes, Background::start(up, log));
  planes_.emplace(std::move(planes));
  session_.emplace(project_.state_dir());
  for (int waited = 0;; waited += 20) {
    // A process that ended will not come up: waiting on would only delay its message.
    if (!planes_->alive() || waited > kStartPatienceMs) {
      const auto said = read_file(log);
      return Error{ErrorKind::kUnavailable, "demo-up-failed",
                   fmt::format("`heddle up` did not come up: {}", said.ok() ? *said : "no log"),
                   "the lines above say why; a port in use is the usual reason"};
    }
    // The socket is there before it answers.
    if (path_exists(project_.state_dir() + "/control.sock") &&
        session_->call("status", doc::Value::object(), 200).ok())
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  approver_.emplace(project_, options_.binary, *session_, story_);
  story_.line(fmt::format("heddle up --lockstep runs (log in {})", log));
  return {};
}

Result<void> Demo::release() {
  story_.phase("A person says yes");
  HEDDLE_TRY(heddle({"release", "promote", project_.service}, true));
  HEDDLE_TRY(heddle({"release", "promote", project_.service, "--slot", "standby"}, true));
  HEDDLE_ASSIGN_OR_RETURN(const int answered, approver_->look(0));
  if (answered == 0)
    return Error{ErrorKind::kInternal, "demo-no-approval",
                 "the promotion to primary asked for no approval", "see policies/default.yaml"};
  HEDDLE_TRY(follow());
  // Traffic begins once the data plane answers by the route: `applied` is its own word.
  for (int waited = 0;; waited += 20) {
    HEDDLE_ASSIGN_OR_RETURN(const doc::Value status,
                            session_->call("status", doc::Value::object()));
    const doc::Value::Array& services = list_of(status, "services");
    if (!services.empty() && services[0].int_or("route") > 0 &&
        services[0].int_or("applied") >= services[0].int_or("route") &&
        !services[0].string_or("primary").empty() && !services[0].string_or("standby").empty()) {
      break;
    }
    if (waited > kStartPatienceMs) {
      return Error{ErrorKind::kTimeout, "demo-not-applied",
                   "the data plane did not take up the release", "see up.log beside the report"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  story_.line("the data plane answers by it; the simpler model is warmed as standby");
  return {};
}

/// Tells what was decided since the last look, and how incidents went on.
Result<void> Demo::follow() {
  HEDDLE_ASSIGN_OR_RETURN(
      const doc::Value reply,
      session_->call("decision.list", doc::Value::object({{"from", next_entry_}})));
  const doc::Value::Array& fresh = list_of(reply, "decisions");
  for (const doc::Value& decision : fresh) {
    story_.decision(decision);
    next_entry_ = std::max(next_entry_, decision.int_or("seq") + 1);
    decisions_.push_back(decision);
  }
  return {};
}

Result<void> Demo::replay_traffic() {
  story_.phase("March to June: every third flight, through the real endpoint");
  const spec::Service& service = definitions_.services.at(project_.service);
  const spec::Model& model = definitions_.models.at(service.model);
  const spec::FeatureSet& features = definitions_.feature_sets.at(model.features);
  replay::Options& replay = replay_options_;
  replay.file = data_file_;
  replay.service = project_.service;
  replay.host = service.host;
  replay.port = service.port;
  replay.time_field = model.time_field;
  for (const spec::Field& field : definitions_.contracts.at(features.contract).fields) {
    if (!field.label_time) replay.fields.push_back(field.name);
    replay.types.emplace(field.name, field.type);
  }
  replay.target = model.target.text;
  replay.sources = service.sources;
  replay.source_field = "origin";
  replay.from = from_civil({2001, 3, 1});
  replay.to = from_civil({2001, 7, 1});
  replay.every = kEvery;
  replay.seed = kReplaySeed;
  HEDDLE_ASSIGN_OR_RETURN(replay.faults,
                          replay::faults_named(definitions_, features.contract, "all"));
  replay.truth_path = options_.out + "/truth.jsonl";
  replay.lockstep = true;
  replay.block_rows = kBlockRows;
  HEDDLE_ASSIGN_OR_RETURN(replay.token, read_file(project_.state_dir() + "/tokens/replayer"));
  // The newline at the end of the file is no part of the token.
  while (!replay.token.empty() && replay.token.back() == '\n') replay.token.pop_back();
  // The callback below can only stop the replay; why it did is kept here, and returned after.
  Result<void> trouble;
  replay.wait_watermark = [this](Micros event_time) {
    return session_->wait_watermark(project_.service, event_time);
  };
  replay.progress = [&](Micros event_time, std::int64_t rows) {
    if (interrupted != 0) return false;
    story_.month(event_time, rows);
    // By event time, so that a slow machine looks at the same moments.
    if (event_time - last_look_ < kLookEvery) return true;
    last_look_ = event_time;
    trouble = follow();
    if (trouble.ok()) {
      if (auto answered = approver_->look(event_time); !answered.ok()) trouble = answered.error();
    }
    return trouble.ok();
  };
  HEDDLE_ASSIGN_OR_RETURN(replayed_, replay::replay(replay));
  HEDDLE_TRY(trouble);
  if (interrupted != 0)
    return Error{ErrorKind::kCancelled, "demo-interrupted", "the demo was interrupted",
                 "run it again"};
  HEDDLE_TRY(follow());
  story_.line(
      fmt::format("{} requests with {} rows in {:.1f} s ({:.1f} s of it waiting for the control "
                  "plane): {} failed, {} sent again",
                  replayed_.requests, replayed_.rows.size(), replayed_.seconds,
                  replayed_.waiting_seconds, replayed_.failed, replayed_.retried));
  for (const std::string& error : replayed_.errors) story_.line("  " + error);
  return {};
}

Result<void> Demo::collect() {
  HEDDLE_TRY(approver_->finish());
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value list,
                          session_->call("incident.list", doc::Value::object()));
  incidents_ = list_of(list, "incidents");
  HEDDLE_ASSIGN_OR_RETURN(
      const doc::Value history,
      session_->call("release.history", doc::Value::object({{"service", project_.service}})));
  routes_ = list_of(history, "releases");
  HEDDLE_ASSIGN_OR_RETURN(
      const doc::Value series,
      session_->call("metric.series", doc::Value::object({{"service", project_.service}})));
  std::map<std::string, Series> metrics;
  for (const doc::Value& finding : list_of(series, "findings")) {
    Series& one = metrics[finding.string_or("metric")];
    one.name = finding.string_or("metric");
    one.threshold = finding.double_or("threshold");
    one.points.emplace_back(time_of(finding, "to"), finding.double_or("value", std::nan("")));
  }
  for (auto& [name, one] : metrics) {
    // Two points are no curve.
    if (one.points.size() < 3) continue;
    std::stable_sort(one.points.begin(), one.points.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    if (one.points.size() > kPlotPoints) one.points = highest_of_days(one.points);
    account_.metrics.push_back(std::move(one));
  }
  // While they live: the kernel forgets the peak with the process.
  for (const pid_t pid : children_of(planes_->pid())) {
    const std::string line = command_line(pid);
    if (line.find("control") != std::string::npos)
      account_.control_peak_bytes = std::max(account_.control_peak_bytes, peak_bytes(pid));
    if (line.find("only data") != std::string::npos)
      account_.data_peak_bytes = std::max(account_.data_peak_bytes, peak_bytes(pid));
  }
  return {};
}

Result<void> Demo::shut_down() {
  story_.phase("The ledger");
  planes_->stop();
  const auto audit = heddle({"audit", "verify"}, true);
  HEDDLE_ASSIGN_OR_RETURN(const doc::Value verdict, heddle_json({"audit", "verify"}));
  account_.audit = verdict.string_or("audit");
  account_.ledger_entries = verdict.int_or("entries");
  if (!audit.ok()) return audit.error();
  story_.line(fmt::format("audit {}: {} entries", account_.audit, account_.ledger_entries));
  // The same ledger by a verifier that shares no code with this program; it lies beside the
  // examples.
  const std::string verifier = options_.example + "/../../python/heddle/verify.py";
  if (path_exists(verifier)) {
    HEDDLE_ASSIGN_OR_RETURN(const FinishedProcess second,
                            run_command({{"python3", verifier, project_.root}}));
    account_.independent_audit = second.exit.ok() ? "ok" : "failed";
    std::string said = second.exit.ok() ? second.out : second.err;
    while (!said.empty() && said.back() == '\n') said.pop_back();
    story_.line("$ python3 python/heddle/verify.py");
    story_.line(said);
    if (!second.exit.ok()) account_.audit = "the independent verifier disagrees";
  }
  return {};
}

/// Changes of the primary, with the requests that failed within an hour of each.
std::vector<SwapAccount> swaps_of(const std::vector<doc::Value>& routes, const replay::Truth& truth,
                                  const std::vector<replay::RowAnswer>& answers) {
  const auto failed_near = [&](Micros time) {
    std::int64_t failed = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const Micros since = truth.rows[i].event_time - time;
      // Row 0 of each request: a request is counted once.
      if (answers[i].index == 0 && answers[i].outcome == replay::Outcome::kFailed &&
          since >= -kHour && since < kHour)
        ++failed;
    }
    return failed;
  };
  std::vector<SwapAccount> out;
  std::string primary;
  for (const doc::Value& route : routes) {
    SwapAccount swap;
    swap.event_time = time_of(route, "event_time");
    swap.action = route.string_or("action");
    swap.from = primary;
    swap.to = route.string_or("primary");
    primary = swap.to;
    // A route without a primary: nothing answers by it.
    if (swap.to == Digest{}.str()) swap.to = primary = "";
    if (swap.from == swap.to || swap.to.empty()) continue;
    swap.failed_requests = failed_near(swap.event_time);
    out.push_back(std::move(swap));
  }
  return out;
}

Result<void> Demo::score() {
  story_.phase("What was true");
  HEDDLE_ASSIGN_OR_RETURN(const replay::Truth truth,
                          replay::read_truth(replay_options_.truth_path));
  const replay::Options& r = replay_options_;
  HEDDLE_ASSIGN_OR_RETURN(const replay::Recording recording,
                          replay::Recording::open({.file = r.file,
                                                   .time_field = r.time_field,
                                                   .fields = r.fields,
                                                   .types = r.types,
                                                   .target = r.target,
                                                   .sources = r.sources,
                                                   .source_field = r.source_field,
                                                   .from = r.from,
                                                   .to = r.to,
                                                   .every = r.every,
                                                   .seed = r.seed,
                                                   .faults = r.faults}));
  HEDDLE_ASSIGN_OR_RETURN(const auto objects,
                          options_.open_objects(project_.state_dir() + "/objects"));
  account_.faults = fault_windows(r.faults, r.from, r.to);
  account_.from = r.from;
  account_.to = r.to;
  JudgeInput input;
  input.objects = objects.get();
  input.first_release = first_release_;
  for (const auto& [name, policy] : definitions_.policies)
    input.retrain_rows = std::max(input.retrain_rows, policy.retrain_max_rows);
  input.true_changes = true_changes(account_.faults, r.to);
  input.recording = &recording;
  input.truth = &truth;
  input.replayed = &replayed_;
  HEDDLE_ASSIGN_OR_RETURN(const std::vector<replay::ScoredRow> rows, judge(input));
  account_.months = replay::quality_by_month(rows);
  account_.days = replay::quality_by_day(rows);
  account_.end = replay::quality_since(rows, from_civil({2001, 6, 24}));
  account_.incidents = account_incidents(incidents_, truth, account_.faults, account_.days);

  std::vector<replay::FaultGroup> groups;
  for (const FaultWindow& fault : account_.faults) {
    if (fault.is_refused) groups.push_back({fault.name, fault.members});
  }
  for (const replay::RefusalScore& refusal :
       replay::score_refusals(truth, replayed_.rows, groups)) {
    QuarantineAccount quarantine{refusal, {}};
    for (const IncidentAccount& incident : account_.incidents) {
      if (incident.fault == refusal.fault && quarantine.named.empty())
        quarantine.named = incident.reason;
    }
    account_.quarantine.push_back(std::move(quarantine));
  }

  account_.swaps = swaps_of(routes_, truth, replayed_.rows);
  return {};
}

Result<void> Demo::write_report() {
  account_.requests = replayed_.requests;
  account_.rows = static_cast<std::int64_t>(replayed_.rows.size());
  account_.answered = replayed_.answered;
  account_.failed = replayed_.failed + replayed_.rejected;
  account_.retried = replayed_.retried;
  account_.labels = replayed_.labels;
  account_.latency_p50_us = quantile(replayed_.latency_us, 0.5);
  account_.latency_p99_us = quantile(replayed_.latency_us, 0.99);
  account_.notifications = webhook_->received();
  account_.notifications_forged = webhook_->forged();
  for (const auto& [id, approval] : approver_->seen()) account_.approvals.push_back(approval);
  account_.decisions = static_cast<std::int64_t>(decisions_.size());
  Hasher hasher;
  for (const doc::Value& decision : decisions_) {
    if (decision.string_or("action") == "access.segment")
      continue;  // a record of wall time's, no decision
    for (const char* key : {"action", "target", "decision", "result", "event_time"})
      hasher.update_field(decision.string_or(key));
  }
  account_.decisions_digest = hasher.finish().str();
  HEDDLE_ASSIGN_OR_RETURN(const FinishedProcess version, heddle({"version"}));
  std::string said = version.out;
  while (!said.empty() && said.back() == '\n') said.pop_back();
  account_.versions["heddle"] = said.starts_with("heddle ") ? said.substr(7) : said;
  account_.versions["vega-datasets"] = "3.2.1";
  HEDDLE_TRY(write_file_atomic(options_.out + "/report.json",
                               doc::to_json_pretty(to_report(account_)) + "\n"));
  return write_file_atomic(options_.out + "/report.html", to_page(account_));
}

void tell_result(Storyteller& story, const doc::Value& report, const std::string& out) {
  story.phase("Result");
  const auto losses = [](const doc::Value& period) {
    const auto of = [&](const char* model) {
      const doc::Value* quality = period.find(model);
      return quality == nullptr ? 0.0 : quality->double_or("log_loss");
    };
    return fmt::format("log loss {:.4f}   never updated {:.4f}   oracle {:.4f}", of("heddle"),
                       of("never"), of("oracle"));
  };
  for (const doc::Value& month : list_of(report, "quality"))
    story.line(fmt::format("{:<16} {}", month.string_or("month"), losses(month)));
  if (const doc::Value* end = report.find("end"))
    story.line(fmt::format("{:<16} {}", "from " + end->string_or("from"), losses(*end)));
  for (const doc::Value& q : list_of(report, "quarantine")) {
    story.line(fmt::format("fault ({})        recall {:.4f}  precision {:.4f}  {}",
                           q.string_or("fault"), q.double_or("recall"), q.double_or("precision"),
                           q.string_or("named")));
  }
  for (const doc::Value& i : list_of(report, "incidents")) {
    story.line(fmt::format("{}    true {}, diagnosed {}: {}", i.string_or("id"),
                           i.string_or("true_cause"), i.string_or("diagnosed_cause"),
                           i.string_or("response")));
  }
  const doc::Value* traffic = report.find("traffic");
  const doc::Value* ledger = report.find("ledger");
  if (traffic != nullptr && ledger != nullptr) {
    story.line(fmt::format(
        "{} of {} requests failed; {} false incidents; ledger of {} entries: audit {}",
        traffic->int_or("failed"), traffic->int_or("requests"), report.int_or("false_incidents"),
        ledger->int_or("entries"), ledger->string_or("audit")));
  }
  story.line(fmt::format("{}/report.html, {}/report.json", out, out));
}

Result<void> Demo::run() {
  HEDDLE_ASSIGN_OR_RETURN(const std::string key, fingerprint());
  const std::string done = options_.out + "/done";
  const std::string report_path = options_.out + "/report.json";
  if (!options_.fresh) {
    const auto before = read_file(done);
    const auto report = read_file(report_path);
    // The run is deterministic in these: another would take minutes to tell the same.
    if (before.ok() && *before == key && report.ok()) {
      story_.line(
          "program, example and data are those of the last finished run: this is its result "
          "(`--fresh` runs it again)");
      HEDDLE_ASSIGN_OR_RETURN(const doc::Value value, doc::parse_json(*report));
      tell_result(story_, value, options_.out);
      return {};
    }
  }
  std::error_code ignored;
  // Before anything changes: a run that is interrupted must not pass for a finished one.
  std::filesystem::remove(done, ignored);
  if (options_.fresh) std::filesystem::remove_all(options_.out + "/flights", ignored);
  const std::int64_t begin = system_clock().mono_ns();
  HEDDLE_TRY(timed("prepare", &Demo::prepare));
  HEDDLE_TRY(timed("train", &Demo::train));
  HEDDLE_TRY(timed("up", &Demo::bring_up));
  HEDDLE_TRY(timed("release", &Demo::release));
  HEDDLE_TRY(timed("replay", &Demo::replay_traffic));
  HEDDLE_TRY(timed("collect", &Demo::collect));
  HEDDLE_TRY(timed("audit", &Demo::shut_down));
  HEDDLE_TRY(timed("score", &Demo::score));
  account_.phases.emplace_back("total",
                               static_cast<double>(system_clock().mono_ns() - begin) * 1e-9);
  HEDDLE_TRY(write_report());
  tell_result(story_, to_report(account_), options_.out);
  // Last, since it says that all the rest is there.
  return write_file_atomic(done, key);
}

}  // namespace

Result<void> run(const Options& options) {
  HEDDLE_CHECK(options.open_objects != nullptr, "the demo needs `open_objects`");
  interrupted = 0;
  struct sigaction handler{};
  handler.sa_handler = on_interrupt;
  struct sigaction before{};
  ::sigaction(SIGINT, &handler, &before);
  Result<void> result = Demo(options).run();
  ::sigaction(SIGINT, &before, nullptr);
  return result;
}

}  // namespace heddle::demo
