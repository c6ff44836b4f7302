#include "healing/lab.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <thread>

#include "adapters/git/repository.hpp"
#include "adapters/jobs/processes.hpp"
#include "adapters/objects/layout.hpp"
#include "adapters/sqlite/state.hpp"
#include "base/file.hpp"
#include "bundle/bundle.hpp"
#include "control/outbox.hpp"
#include "control/service_control.hpp"
#include "demo/judge.hpp"
#include "policy/ssh_key_fixture.hpp"
#include "recover/cause.hpp"
#include "replay/recording.hpp"
#include "score/plan.hpp"
#include "spec/load.hpp"

namespace heddle::healing {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 128;  ///< rows between ticks, as `heddle replay` sends them
constexpr Micros kRequestSpan = 10 * kMinute;
constexpr Micros kLabelDelay = kDay;
/// The labels that the oracle waits for after a change.
constexpr Micros kOracleSpan = 5 * kDay;
constexpr Micros kStuckAfter = 15 * kDay;  ///< no step of the ladder waits longer

struct Sent {
  std::string id;
  Micros due = 0;
  stats::Label label{};
};

/// The two newest bundles of the project's objects that a run left: primary and standby by their
/// role.
Result<std::pair<Digest, Digest>> released(const std::string& project, store::Objects& objects) {
  std::pair<Digest, Digest> out;
  for (const auto& entry : fs::recursive_directory_iterator(project + "/.heddle/objects")) {
    if (!entry.is_regular_file() || entry.path().filename().string().size() != 64) continue;
    const auto digest = Digest::parse("sha256:" + entry.path().filename().string());
    if (!digest.ok()) continue;
    const auto opened = bundle::open(objects, *digest);
    if (!opened.ok() || !opened->config().derived_from.empty()) continue;
    (opened->config().role == "standby" ? out.second : out.first) = *digest;
  }
  if (out.first.empty())
    return Error{ErrorKind::kNotFound, "healing-no-bundle", "the project has no candidate",
                 "run `heddle run` in it"};
  return out;
}

constexpr std::string_view kAccount = "replayer";

class Lab {
 public:
  explicit Lab(const Options& options) : options_(options), home_(options.scratch + "/project") {}

  Result<Account> run() {
    HEDDLE_TRY(open());
    HEDDLE_TRY(traffic());
    return account();
  }

 private:
  Result<void> open() {
    std::error_code error;
    fs::create_directories(home_.dir(), error);
    const auto how = fs::copy_options::recursive | fs::copy_options::copy_symlinks;
    for (const auto& entry : fs::directory_iterator(options_.project)) {
      const auto name = entry.path().filename();
      if (name != ".heddle" && name != ".git")
        fs::copy(entry.path(), fs::path(home_.root()) / name, how, error);
    }
    fs::copy(options_.project + "/.heddle/objects", home_.objects(), how, error);
    if (error)
      return Error{ErrorKind::kIo, "healing-copy",
                   fmt::format("cannot copy `{}`: {}", options_.project, error.message())};
    HEDDLE_TRY(make_dirs(home_.dir() + "/keys"));
    HEDDLE_TRY(commit());
    HEDDLE_ASSIGN_OR_RETURN(git_, adapters::open_git(home_.root()));
    HEDDLE_ASSIGN_OR_RETURN(const auto head, git_->head());
    HEDDLE_ASSIGN_OR_RETURN(auto loaded, spec::load_commit(*git_, home_.root(), head));
    project_ = std::move(loaded.project);
    project_.people.push_back({"lab-approver", {"approver", "ml-engineer"}, {key_.public_key()}});
    service_ = project_.services.begin()->second;
    HEDDLE_ASSIGN_OR_RETURN(state_, adapters::open_sqlite_state(home_.state()));
    HEDDLE_ASSIGN_OR_RETURN(objects_, adapters::open_layout(home_.objects()));
    HEDDLE_ASSIGN_OR_RETURN(control_key_, Ed25519Key::from_seed(std::string(32, '\5')));
    HEDDLE_ASSIGN_OR_RETURN(const auto ledger_key, Ed25519Key::from_seed(std::string(32, '\3')));
    HEDDLE_ASSIGN_OR_RETURN(
        ledger_, ledger::Ledger::open(
                     *state_, {home_.dir() + "/tiles", "flights", ledger_key, &system_clock()}));
    HEDDLE_ASSIGN_OR_RETURN(policy_,
                            policy::LocalEngine::open(*state_, *ledger_, project_, system_clock()));
    HEDDLE_ASSIGN_OR_RETURN(outbox_, control::Outbox::open(*state_, {}));
    runner_ = adapters::make_process_runner({home_.dir(), {options_.binary}});
    HEDDLE_ASSIGN_OR_RETURN(const auto program, jobs::program_digest(options_.binary));
    const auto& model = project_.models.at(service_.model);
    for (const auto& field :
         project_.contracts.at(project_.feature_sets.at(model.features).contract).fields) {
      if (!field.label_time) fields_.push_back(field.name);
    }
    plane::JournalWriter::Options journal;
    journal.dir = home_.spool(service_.identity.name);
    journal.fields = fields_;
    HEDDLE_TRY(make_dirs(journal.dir));
    HEDDLE_ASSIGN_OR_RETURN(writer_, plane::JournalWriter::open(journal));
    HEDDLE_ASSIGN_OR_RETURN(
        control_, control::ServiceControl::open(
                      {&home_, &project_, state_.get(), objects_.get(), git_.get(), runner_.get(),
                       policy_.get(), outbox_.get(), &control_key_, program,
                       [](const std::string& dir) { return adapters::open_layout(dir); }},
                      project_.services.begin()->second));
    HEDDLE_ASSIGN_OR_RETURN(const auto bundles, released(options_.project, *objects_));
    first_ = bundles.first;
    const policy::Actor asks{policy::ActorType::kPerson, "ben"};
    HEDDLE_TRY(control_->promote(bundles.first, "primary", 0, asks));
    if (!bundles.second.empty())
      HEDDLE_TRY(control_->promote(bundles.second, "standby", 0,
                                   {policy::ActorType::kSystem, "system:lab"}));
    HEDDLE_ASSIGN_OR_RETURN(const auto approvals, policy_->approvals());
    for (const auto& approval : approvals) {
      HEDDLE_TRY(approve(approval));
      HEDDLE_TRY(control_->resume_promotion(approval.id));
    }
    if (control_->releases().primary() != first_)
      return Error{ErrorKind::kInternal, "healing-release", "the first release is not primary"};
    HEDDLE_ASSIGN_OR_RETURN(recording_, open_recording(model));
    return {};
  }

  /// Retrains are by the definitions of the commit that runs, so there has to be one.
  Result<void> commit() {
    HEDDLE_TRY(write_file_atomic(home_.root() + "/.gitignore", "/.heddle/\n/data\n"));
    const auto command = fmt::format(
        "cd '{}' && git init -q && git add -A && git -c user.name=t -c "
        "user.email=t@localhost -c commit.gpgsign=false commit -q -m lab",
        home_.root());
    if (std::system(command.c_str()) != 0)
      return Error{ErrorKind::kIo, "healing-git", "git could not commit the project"};
    return {};
  }

  Result<std::unique_ptr<replay::Recording>> open_recording(const spec::Model& model) {
    replay::Recording::Options r;
    r.file = spec::input_of(project_, model.source);
    r.time_field = model.time_field;
    r.fields = fields_;
    for (const auto& field :
         project_.contracts.at(project_.feature_sets.at(model.features).contract).fields)
      r.types.emplace(field.name, field.type);
    r.target = model.target.text;
    r.sources = service_.sources;
    r.source_field = "origin";
    r.from = options_.from;
    r.to = options_.to;
    r.every = options_.every;
    r.seed = 20010301;
    r.faults = options_.faults;
    HEDDLE_ASSIGN_OR_RETURN(auto recording, replay::Recording::open(r));
    return std::make_unique<replay::Recording>(std::move(recording));
  }

  Result<void> approve(const policy::Approval& approval) {
    HEDDLE_TRY(policy_->approve(approval.id, "lab-approver", key_.sign(approval.statement)));
    return {};
  }

  Result<const score::Plan*> plan(const Digest& digest) {
    auto& held = plans_[digest];
    if (!held) {
      HEDDLE_ASSIGN_OR_RETURN(const auto bundle, bundle::open(*objects_, digest));
      HEDDLE_ASSIGN_OR_RETURN(held, score::Plan::load(bundle));
    }
    return held.get();
  }

  Result<void> traffic() {
    const std::int64_t rows = recording_->rows();
    std::vector<std::int64_t> all(static_cast<std::size_t>(rows));
    for (std::int64_t i = 0; i < rows; ++i) all[static_cast<std::size_t>(i)] = i;
    table_ = recording_->received(all);
    truth_.rows.reserve(all.size());
    replayed_.rows.reserve(all.size());
    for (std::int64_t begin = 0; begin < rows;) {
      const Micros day = recording_->event_time(begin) / kDay;
      std::int64_t end = begin;
      while (end < rows && end - begin < static_cast<std::int64_t>(kBlock) &&
             recording_->event_time(end) / kDay == day)
        ++end;
      HEDDLE_TRY(block(begin, end));
      begin = end;
    }
    return {};
  }

  Result<void> block(std::int64_t begin, std::int64_t end) {
    const Micros start = recording_->event_time(begin);
    while (!labels_.empty() && labels_.front().due <= start) {
      writer_->append(
          plane::LabelRecord{labels_.front().id, labels_.front().label, labels_.front().due});
      labels_.pop_front();
    }
    const auto& releases = control_->releases();
    if (applied_ != releases.version()) {
      applied_ = releases.version();
      readmitted_.clear();
      writer_->append(plane::AppliedRecord{applied_, {}});
    }
    HEDDLE_ASSIGN_OR_RETURN(const score::Plan* primary, plan(releases.primary()));
    const score::Plan* standby = nullptr;
    if (!releases.standby().empty()) {
      HEDDLE_ASSIGN_OR_RETURN(standby, plan(releases.standby()));
    }
    std::map<int, plane::RequestRecord> open;
    std::vector<Sent> sent;
    const auto flush = [&](plane::RequestRecord& request) {
      writer_->append(request);
      request = {};
    };
    for (std::int64_t row = begin; row < end; ++row) {
      const int source = recording_->source(row);
      plane::RequestRecord& request = open[source];
      const Micros time = recording_->event_time(row);
      if (!request.rows.empty() &&
          (time - request.event_time > kRequestSpan || request.rows.size() >= 64))
        flush(request);
      if (request.rows.empty()) {
        request.request_id = fmt::format("q{}", next_request_++);
        request.source = service_.sources[static_cast<std::size_t>(source)];
        request.account = kAccount;
        request.event_time = time;
        request.slot = "primary";
        request.route_version = applied_;
      }
      const plane::RowRecord answer = score(row, request, *primary, standby);
      replay::RowAnswer told;
      told.recorded = row;
      if (answer.outcome == plane::RowOutcome::kServed) {
        told.outcome = replay::Outcome::kServed;
        told.prediction = answer.prediction[0];
        if (const auto label = recording_->sent_label(row)) {
          sent.push_back({fmt::format("{}#{}", request.request_id, request.rows.size()),
                          time + kLabelDelay, *label});
        }
      } else {
        ++refused_;
      }
      replayed_.rows.push_back(told);
      replay::TruthRow truth;
      truth.recorded = row;
      truth.event_time = time;
      truth.label = recording_->label(row);
      truth_.rows.push_back(truth);
      request.rows.push_back(answer);
    }
    for (auto& [source, request] : open) {
      if (!request.rows.empty()) flush(request);
    }
    std::stable_sort(sent.begin(), sent.end(),
                     [](const Sent& a, const Sent& b) { return a.due < b.due; });
    labels_.insert(labels_.end(), sent.begin(), sent.end());
    const Micros now = end < recording_->rows() ? recording_->event_time(end)
                                                : recording_->event_time(end - 1) + 1;
    return tick(now);
  }

  plane::RowRecord score(std::int64_t row, const plane::RequestRecord& request,
                         const score::Plan& primary, const score::Plan* standby) {
    plane::RowRecord out;
    std::vector<expr::Datum> raw;
    for (const auto& name : fields_) {
      const table::Column& column = *table_.find(name);
      const auto i = static_cast<std::size_t>(row);
      expr::Datum value;
      if (const auto text = column.malformed_text(i)) {
        // Sent as the text that stands there; the journal has it so too.
        raw.push_back(expr::Datum::string(*text));
        plane::FieldValue field;
        field.kind = expr::Datum::Kind::kString;
        field.s = std::string(*text);
        out.fields.push_back(std::move(field));
        continue;
      }
      if (!column.valid.empty() && column.valid[i] == 0) {
        raw.push_back(expr::Datum::null());
        out.fields.emplace_back();
        continue;
      }
      switch (column.type) {
        case expr::Type::kTimestamp: value = expr::Datum::timestamp(column.ints[i]); break;
        case expr::Type::kInt: value = expr::Datum::integer(column.ints[i]); break;
        case expr::Type::kDouble: value = expr::Datum::real(column.doubles[i]); break;
        default:
          value = expr::Datum::string(
              column.dictionary->views()[static_cast<std::size_t>(column.codes[i])]);
      }
      raw.push_back(value);
      plane::FieldValue field;
      field.kind = value.kind;
      if (value.kind == expr::Datum::Kind::kString)
        field.s = std::string(value.str());
      else if (value.kind == expr::Datum::Kind::kDouble)
        field.d = value.d;
      else
        field.i = value.i;
      out.fields.push_back(std::move(field));
    }
    primary.score_row(raw, result_, scratch_);
    out.prediction = result_.prediction;
    const bool refused = result_.check.refused;
    if (refused) {
      out.outcome = plane::RowOutcome::kRefused;
      for (const auto rule : result_.check.broken)
        out.rules.emplace_back(primary.contract().rules()[static_cast<std::size_t>(rule)].id);
    }
    const auto& quarantined = control_->releases().quarantined();
    const auto at = std::find_if(quarantined.begin(), quarantined.end(),
                                 [&](const auto& q) { return q.source == request.source; });
    if (at != quarantined.end() && !readmitted_.contains(request.source)) {
      int& clean = clean_[request.source];
      clean = refused ? 0 : clean + 1;
      if (clean < static_cast<int>(at->readmit_after)) {
        out.outcome = plane::RowOutcome::kQuarantined;
        out.rules.emplace_back("source-quarantined");
      } else {
        clean = 0;
        readmitted_.insert(request.source);
        writer_->append(plane::ActRecord{"source-readmit", request.source, request.event_time,
                                         "clean", fmt::format("act-{}", next_request_++),
                                         std::string(kAccount)});
      }
    }
    if (out.outcome != plane::RowOutcome::kServed) out.prediction.clear();
    if (standby != nullptr && out.outcome == plane::RowOutcome::kServed) {
      standby->score_row(raw, result_, scratch_);
      out.standby_prediction = result_.prediction;
    }
    return out;
  }

  Result<void> tick(Micros now) {
    writer_->append(plane::TickRecord{now});
    HEDDLE_TRY(writer_->commit());
    writer_->append(plane::AppliedRecord{control_->releases().version(), {}});
    applied_ = control_->releases().version();
    for (;;) {
      HEDDLE_ASSIGN_OR_RETURN(const bool more, control_->pump());
      if (more) continue;
      if (control_->ladder().last_tick() >= now) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // a retrain runs
    }
    if (now < looked_ + 2 * kHour) return {};
    looked_ = now;
    HEDDLE_ASSIGN_OR_RETURN(const auto approvals, policy_->approvals());
    for (const auto& approval : approvals) {
      if (approval.status != policy::Approval::Status::kPending) continue;
      if (approval.action == "label.accept" && !options_.labels_are_right) continue;
      const Micros patience =
          approval.action == "transform.propose" ? options_.transform_after : options_.others_after;
      if (patience < 0 || now < approval.asked_event_time + patience) continue;
      HEDDLE_TRY(approve(approval));
    }
    return {};
  }

  /// What the first release and the oracle would have said of the rows that were served.
  Result<std::vector<replay::ScoredRow>> scored() const {
    demo::JudgeInput input;
    input.objects = objects_.get();
    input.first_release = first_;
    input.retrain_rows = static_cast<std::int64_t>(
        static_cast<double>(recording_->rows()) * static_cast<double>(kOracleSpan) /
        static_cast<double>(std::max<Micros>(options_.to - options_.from, kOracleSpan)));
    const auto windows = demo::fault_windows(options_.faults, options_.from, options_.to);
    input.true_changes = demo::true_changes(windows, options_.to);
    input.recording = recording_.get();
    input.truth = &truth_;
    input.replayed = &replayed_;
    return demo::judge(input);
  }

  Result<Account> account() {
    Account out;
    HEDDLE_ASSIGN_OR_RETURN(const auto rows, scored());
    out.months = replay::quality_by_month(rows);
    out.days = replay::quality_by_day(rows);
    out.refused = refused_;
    HEDDLE_TRY(ledger_->read(0, [&](const ledger::Entry& entry) {
      out.decisions.push_back(fmt::format(
          "{} {} {} {}: {}",
          entry.event_time == 0 ? "before traffic" : format_time(entry.event_time).substr(0, 16),
          entry.incident, entry.action, entry.result, entry.reason));
      return true;
    }));
    // Also those that the ladder let go: a cause that was named is named, however long ago.
    HEDDLE_ASSIGN_OR_RETURN(const auto incidents, control_->incidents());
    for (const auto& incident : incidents) {
      out.incidents.push_back(seen(incident));
      for (const auto& entry : incident.timeline) {
        if (entry.what.starts_with("retrain.start failed"))
          out.failed_retrains.push_back(entry.what);
      }
    }
    return out;
  }

  Seen seen(const recover::Incident& incident) const {
    Seen out{incident.id,
             std::string(incident.diagnosis.cause->name()),
             incident.diagnosis.reason,
             incident.response,
             std::string(recover::step_name(incident.step)),
             incident.raised_at,
             incident.confirmed_at,
             incident.open(),
             false,
             {}};
    const Micros age = control_->ladder().last_tick() - incident.step_since;
    // A source is shut out for as long as its fault lasts.
    const bool waits_rightly =
        incident.step == recover::Step::kAwaitReadmit &&
        std::any_of(options_.faults.begin(), options_.faults.end(),
                    [&](const spec::Fault& fault) { return fault.to >= options_.to - kDay; });
    out.is_stuck = incident.open() && age > kStuckAfter && !waits_rightly;
    for (const auto& entry : incident.timeline)
      out.timeline.push_back(fmt::format("{} {}", format_time(entry.at).substr(0, 16), entry.what));
    return out;
  }

  const Options& options_;
  control::Home home_;
  policy::SshKey key_{"you"};
  spec::Project project_;
  spec::Service service_;
  std::vector<std::string> fields_;
  std::unique_ptr<store::State> state_;
  std::unique_ptr<store::Objects> objects_;
  std::unique_ptr<store::Git> git_;
  Ed25519Key control_key_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<policy::LocalEngine> policy_;
  std::unique_ptr<control::Outbox> outbox_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<plane::JournalWriter> writer_;
  std::unique_ptr<control::ServiceControl> control_;
  std::unique_ptr<replay::Recording> recording_;
  table::Table table_;
  Digest first_;
  std::map<Digest, std::unique_ptr<const score::Plan>> plans_;
  std::deque<Sent> labels_;
  replay::Truth truth_;
  replay::Replayed replayed_;
  std::set<std::string> readmitted_;
  std::map<std::string, int> clean_;
  score::RowResult result_;
  score::Scratch scratch_;
  std::uint64_t applied_ = 0;
  std::int64_t next_request_ = 0;
  std::int64_t refused_ = 0;
  Micros looked_ = 0;
};

}  // namespace

Result<Account> play(const Options& options) { return Lab(options).run(); }

}  // namespace heddle::healing
