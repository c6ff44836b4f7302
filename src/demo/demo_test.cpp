#include <gtest/gtest.h>

#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "base/signature.hpp"
#include "demo/account.hpp"
#include "demo/judge.hpp"
#include "demo/process.hpp"
#include "demo/project.hpp"
#include "demo/webhook.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"
#include "replay/fault.hpp"
#include "spec/load.hpp"

namespace heddle::demo {
namespace {

Micros day(int month, int d) { return from_civil({2001, month, d}); }

doc::Value incident(const char* id, const char* cause, Micros raised, Micros responded) {
  return doc::Value::object({{"id", id},
                             {"cause", cause},
                             {"reason", "because"},
                             {"response", "something"},
                             {"change_from", format_time(raised - kDay)},
                             {"raised", format_time(raised)},
                             {"opened", format_time(raised + kHour)},
                             {"responded", responded == 0 ? "" : format_time(responded)},
                             {"closed", ""}});
}

/// Those of the example project, as the demo has them.
std::vector<FaultWindow> example_faults() {
  const auto loaded = spec::load_project("examples/flights");
  EXPECT_TRUE(loaded.ok());
  const auto faults = replay::faults_named(loaded->project, "flights", "all");
  EXPECT_TRUE(faults.ok());
  return fault_windows(*faults, day(3, 1), day(7, 1));
}

TEST(FaultWindows, AreOfTheDefinitions) {
  const std::vector<FaultWindow> faults = example_faults();
  ASSERT_EQ(faults.size(), 4u) << "(b) is two kinds of row and one fault";
  std::vector<std::string> titles;
  for (const FaultWindow& fault : faults) titles.push_back(fault.title);
  EXPECT_EQ(titles, (std::vector<std::string>{"(a) unit change", "(b) contract fault",
                                              "(c) time shift", "(d) concept shift"}));
  EXPECT_EQ(faults[1].members, (std::vector<std::string>{"b-code", "b-date"}));
  EXPECT_EQ(faults[1].from, day(4, 20));
  EXPECT_EQ(faults[1].to, day(4, 21));
  EXPECT_EQ(faults[3].to, day(7, 1)) << "one that does not end is there to the end of the replay";
  // The contract refuses what shows the first two; models have to follow the others.
  EXPECT_TRUE(faults[0].is_refused && faults[1].is_refused);
  EXPECT_FALSE(faults[2].is_refused || faults[3].is_refused);
  EXPECT_EQ(true_changes(faults, day(7, 1)),
            (std::vector<Micros>{day(5, 11), day(5, 30), day(6, 8)}));
}

TEST(FaultWindows, OneWithoutACauseIsCalledByItsName) {
  spec::Fault fault;
  fault.identity.name = "odd";
  const auto windows = fault_windows(std::vector<spec::Fault>{fault}, day(3, 1), day(7, 1));
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows[0].title, "(odd)");
  EXPECT_EQ(windows[0].cause, "odd");
  EXPECT_EQ(windows[0].from, day(3, 1));
  EXPECT_FALSE(windows[0].is_refused) << "nobody diagnoses it: models have to follow";
}

TEST(Incidents, AreHeldAgainstTheTruth) {
  const std::vector<FaultWindow> faults = example_faults();
  replay::Truth truth;
  for (int h = 0; h < 24 * 122; ++h) truth.rows.push_back({.event_time = day(3, 1) + h * kHour});
  const auto accounts = account_incidents(
      {incident("i1", "unit change", day(4, 10) + 2 * kHour, day(4, 10) + 3 * kHour),
       incident("i2", "covariate shift", day(3, 20), 0),
       incident("i3", "prior shift", day(3, 25), day(3, 26)),
       incident("i4", "time shift", day(5, 12), day(5, 13)),
       incident("i5", "outlived repair", day(5, 30) + kHour, day(5, 30) + kHour),
       incident("i6", "outlived repair", day(5, 20), day(5, 20)),
       incident("i7", "concept shift", day(6, 10), day(6, 14))},
      truth, faults, {});
  ASSERT_EQ(accounts.size(), 7u);
  EXPECT_EQ(accounts[0].true_cause, "unit change");
  EXPECT_EQ(accounts[0].rows_to_alert, 2);
  EXPECT_EQ(accounts[0].rows_to_confirm, 3);
  EXPECT_EQ(accounts[0].rows_to_response, 3);
  EXPECT_EQ(accounts[1].true_cause, "none");
  EXPECT_TRUE(accounts[1].is_false);
  EXPECT_EQ(accounts[1].responded_at, 0);
  EXPECT_EQ(accounts[2].true_cause, "prior shift");
  EXPECT_FALSE(accounts[2].is_false);
  EXPECT_EQ(accounts[3].true_cause, "time shift");
  EXPECT_EQ(accounts[3].rows_to_alert, 24);
  EXPECT_EQ(accounts[4].true_cause, "outlived repair");
  EXPECT_EQ(accounts[4].rows_to_alert, 1) << "counted from the end of the fault";
  EXPECT_FALSE(accounts[4].is_false);
  EXPECT_TRUE(accounts[5].is_false)
      << "the fault is still there: its repair must not be taken back";
  EXPECT_EQ(accounts[6].true_cause, "concept shift");
  Account account;
  account.incidents = accounts;
  EXPECT_EQ(false_incidents(account), 2);
}

TEST(Incidents, AnActThatDoesNotPayIsFalse) {
  replay::Truth truth;
  truth.rows.push_back({.event_time = day(3, 1)});
  std::vector<replay::PeriodQuality> days;
  for (int d = 20; d < 30; ++d) {
    replay::PeriodQuality each;
    each.name = format_date(day(3, d));
    each.rows = 100;
    each.heddle.log_loss = d < 25 ? 0.40 : 0.46;
    each.never.log_loss = 0.44;
    days.push_back(each);
  }
  doc::Value pays = incident("i1", "prior shift", day(3, 19), day(3, 19) + kHour);
  doc::Value harms = incident("i2", "prior shift", day(3, 24), day(3, 24) + kHour);
  doc::Value rests = incident("i3", "prior shift", day(3, 24), day(3, 24) + kHour);
  pays.set("response", "recalibration");
  harms.set("response", "recalibration");
  rests.set("response", "none");
  const auto accounts = account_incidents({pays, harms, rests}, truth, {}, days);
  EXPECT_FALSE(accounts[0].is_false);
  EXPECT_TRUE(accounts[1].is_false);
  EXPECT_FALSE(accounts[2].is_false) << "it changed no answer";
}

TEST(Report, HasEveryMemberOfTheSchema) {
  Account account;
  account.incidents = account_incidents({incident("i1", "unit change", day(4, 10) + kHour, 0)}, {},
                                        example_faults(), {});
  const doc::Value report = to_report(account);
  EXPECT_EQ(report.string_or("schema"), "heddle.demo/1");
  for (const char* member :
       {"versions", "phases", "training", "traffic", "quarantine", "quality", "end", "incidents",
        "false_incidents", "swaps", "approvals", "ledger", "memory_peak_bytes", "latency_us"}) {
    EXPECT_NE(report.find(member), nullptr) << member;
  }
  const doc::Value& one = report.find("incidents")->as_array()[0];
  for (const char* member : {"id", "true_cause", "diagnosed_cause", "response", "rows_to_alert",
                             "rows_to_confirm", "rows_to_response", "event_time_to_response"}) {
    EXPECT_NE(one.find(member), nullptr) << member;
  }
  EXPECT_TRUE(one.find("rows_to_response")->is_null()) << "no response yet";
  EXPECT_TRUE(doc::parse_json(doc::to_json_pretty(report)).ok());
}

TEST(Page, NeedsNothingElseAndEscapesWhatItShows) {
  Account account;
  account.from = day(3, 1);
  account.to = day(7, 1);
  account.incidents =
      account_incidents({incident("<script>", "unit change", day(4, 10), 0)}, {}, {}, {});
  const std::string page = to_page(account);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
}

TEST(Process, GivesOutputLinesAndExitCode) {
  std::vector<std::string> lines;
  const auto finished =
      run_command({{"sh", "-c", "cat; echo one >&2; echo two >&2; echo $COLOUR; exit 3"},
                   "",
                   {{"COLOUR", "red"}}},
                  "given\n", [&](std::string_view line) { lines.emplace_back(line); });
  ASSERT_TRUE(finished.ok());
  EXPECT_EQ(finished->exit.code, 3);
  EXPECT_EQ(finished->out, "given\nred\n");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
  EXPECT_FALSE(must_run({{"false"}}).ok());
  EXPECT_FALSE(run_command({{"/no/such/program"}}).ok());
}

TEST(Process, BackgroundEndsWhenAsked) {
  const std::string log =
      std::filesystem::temp_directory_path() / fmt::format("heddle-demo-{}.log", ::getpid());
  auto background = Background::start(
      {{"sh", "-c", "trap 'exit 7' INT; echo up; while :; do sleep 0.01; done"}}, log);
  ASSERT_TRUE(background.ok());
  EXPECT_TRUE(background->alive());
  while (read_file(log).value().find("up") == std::string::npos) ::usleep(1000);
  EXPECT_GT(peak_bytes(background->pid()), 0);
  EXPECT_EQ(background->stop(), 7);
  EXPECT_FALSE(background->alive());
  std::filesystem::remove(log);
}

TEST(Webhook, TakesSignedNotificationsOnceAndRefusesForgedOnes) {
  std::vector<std::string> texts;
  auto receiver = WebhookReceiver::open(
      "secret", [&](const doc::Value& note) { texts.push_back(note.string_or("text")); });
  ASSERT_TRUE(receiver.ok()) << receiver.error().str();
  const auto url = net::parse_url((*receiver)->url());
  ASSERT_TRUE(url.ok());
  net::HttpClient client({.host = url->host, .port = url->port});
  const std::string body = R"({"id":"incident/1","text":"hello"})";
  const auto post = [&](const std::string& key) {
    return client.send("POST", url->target, body,
                       {{"Heddle-Notification", "incident/1"},
                        {"Heddle-Signature", "sha256=" + hex_encode(hmac_sha256(key, body))}});
  };
  EXPECT_EQ(post("secret")->status, 204);
  EXPECT_EQ(post("secret")->status, 204);
  EXPECT_EQ(post("guess")->status, 401);
  EXPECT_EQ((*receiver)->received(), 1);
  EXPECT_EQ((*receiver)->forged(), 1);
  EXPECT_EQ(texts, (std::vector<std::string>{"hello"}));
}

TEST(Project, IsACopyWithAPersonAndAHistory) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("heddle-demo-project-{}", ::getpid());
  std::filesystem::create_directories(folder / "data");
  for (const char* file : {"flights-3m.parquet", "airports.csv"})
    ASSERT_TRUE(write_file_atomic(folder / "data" / file, "x").ok());
  for (int run = 0; run < 2; ++run) {
    const auto project = prepare_project("examples/flights", folder / "data", folder / "out");
    ASSERT_TRUE(project.ok()) << project.error().str();
    const auto people = read_file(project->root + "/people.yaml");
    ASSERT_TRUE(people.ok());
    EXPECT_NE(people->find("- name: you\n    roles: [approver]"), std::string::npos) << *people;
    EXPECT_NE(people->find("- name: ada"), std::string::npos);
    EXPECT_TRUE(path_exists(project->root + "/data/airports.csv"));
    const auto log = run_command({{"git", "log", "--oneline"}, project->root});
    EXPECT_EQ(std::count(log->out.begin(), log->out.end(), '\n'), 1);
    EXPECT_EQ(run_command({{"git", "status", "--porcelain"}, project->root})->out, "");
    EXPECT_EQ(project->service, "delay");
    // What a run cached stays; the ledger of an earlier demo does not.
    if (run == 1) {
      EXPECT_TRUE(path_exists(project->state_dir() + "/runs/kept"));
      EXPECT_FALSE(path_exists(project->state_dir() + "/state.db"));
    }
    std::filesystem::create_directories(project->state_dir() + "/runs");
    ASSERT_TRUE(write_file_atomic(project->state_dir() + "/runs/kept", "x").ok());
    ASSERT_TRUE(write_file_atomic(project->state_dir() + "/state.db", "x").ok());
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace heddle::demo
