// Several services in one project: what each has of its own, and where two are in each other's way.
#include "spec/service_bounds.hpp"
#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

class ServicesTest : public SpecTest {
 protected:
  void SetUp() override {
    SpecTest::SetUp();
    put("monitors/v.yaml",
        "apiVersion: heddle/v1\nkind: Monitor\nname: v\nservice: t\nquality: {}\ndistributions:\n"
        "  - {name: size, column: size, kind: ks, floor: 0.1}\n");
    put("services/t.yaml", kSecond);
  }
  void policy(const std::string& name, const std::string& rest) {
    put("policies/" + name + ".yaml",
        "apiVersion: heddle/v1\nkind: Policy\nname: " + name + "\nrules:\n  - {id: " + name +
            ", effect: allow, who: \"agent:*\", action: incident.open}\n" + rest);
  }

  static constexpr const char* kSecond =
      "apiVersion: heddle/v1\nkind: Service\nname: t\nmodel: m\nmonitor: v\nport: 8100\n"
      "grpc_port: 8101\n";
};

TEST_F(ServicesTest, TwoServicesOfOneModelAreWell) { EXPECT_EQ(findings(), Lines{}); }

TEST_F(ServicesTest, ARuleIdIsOneOfTheProject) {
  policy("q", "");
  policy("r", "");
  EXPECT_EQ(findings(), Lines{});
  change("policies/r.yaml", "{id: r,", "{id: q,");
  EXPECT_EQ(findings(), Lines{"policies/r.yaml:5:5: error[duplicate-name]: rule `q` is in policy "
                              "`q` too"});
}

TEST_F(ServicesTest, AMonitorThatTheBaselineIsNotMadeForIsTold) {
  change("monitors/w.yaml", "floor: 0.1", "floor: 0.2");
  EXPECT_EQ(findings(),
            Lines{"monitors/w.yaml:8:3: warning[baseline-of-another]: the baseline of model `m` is "
                  "made for monitor `v` of service `t`, whose `distributions` is another than this "
                  "one's"});
}

TEST_F(ServicesTest, AProjectWithoutAPolicyIsTold) {
  std::filesystem::remove(root_ + "/policies/p.yaml");
  EXPECT_EQ(findings(), Lines{"heddle.yaml:1:1: warning[no-policy]: the project has no policy: "
                              "every act is denied (`default-deny`), a release too"});
}

TEST_F(ServicesTest, ATargetThatDoesNotCompileHasNoConsequences) {
  change("models/m.yaml", "target: late > 0", "target: \"[late]\"\ninterval: {coverage: 0.9}");
  const auto found = findings();
  EXPECT_TRUE(std::none_of(found.begin(), found.end(), [](const std::string& each) {
    return each.find("bad-interval") != std::string::npos;
  }));
  EXPECT_FALSE(found.empty());
}

TEST_F(ServicesTest, AModelHasOneEvaluation) {
  put("evaluations/g.yaml",
      "apiVersion: heddle/v1\nkind: Evaluation\nname: g\nmodel: m\nmetrics:\n  - name: auc\n"
      "gates:\n  - {id: good, when: metrics.auc > 0.4}\n");
  EXPECT_EQ(findings(),
            Lines{"evaluations/g.yaml:4:8: error[evaluations-disagree]: model `m` has the "
                  "evaluation `e` already, in `evaluations/e.yaml`"});
}

TEST_F(ServicesTest, EachListensOnPortsOfItsOwn) {
  change("services/t.yaml", "port: 8100", "port: 8000");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:6:7: error[port-in-use]: port 8000 is the `port` of "
                              "service `s` too"});
  change("services/t.yaml", "port: 8000", "port: 8001");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:6:7: error[port-in-use]: port 8001 is the "
                              "`grpc_port` of service `s` too"});
  change("services/t.yaml", "port: 8001", "port: 8101");
  EXPECT_EQ(
      findings(),
      Lines{"services/t.yaml:7:12: error[port-in-use]: `port` and `grpc_port` are both 8101"});
  change("services/t.yaml", "port: 8101", "port: 8010");
  EXPECT_EQ(findings(),
            Lines{"services/t.yaml:6:7: error[port-in-use]: port 8010 is the control plane's"});
}

TEST_F(ServicesTest, APortThatIsNotWrittenIsOneToo) {
  change("services/t.yaml", "port: 8100\n", "");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:1:1: error[port-in-use]: port 8000 is the `port` of "
                              "service `s` too"});
}

TEST_F(ServicesTest, AnyFreePortOtherAddressesAndNoGrpcAreNoConflict) {
  put("services/t.yaml",
      "apiVersion: heddle/v1\nkind: Service\nname: t\nmodel: m\nmonitor: v\nport: 0\n"
      "grpc_port: -1\n");
  EXPECT_EQ(findings(), Lines{});
  put("services/t.yaml", std::string(kSecond) + "host: 127.0.0.2\n");
  change("services/t.yaml", "port: 8100", "port: 8000");
  EXPECT_EQ(findings(), Lines{});
  // Every address is this one too.
  change("services/t.yaml", "127.0.0.2", "0.0.0.0");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:6:7: error[port-in-use]: port 8000 is the `port` of "
                              "service `s` too"});
}

TEST_F(ServicesTest, LocalhostIsAnAddressAsOthersAre) {
  put("services/t.yaml", std::string(kSecond) + "host: localhost\n");
  EXPECT_EQ(findings(), Lines{});
  change("services/t.yaml", "port: 8100", "port: 8000");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:6:7: error[port-in-use]: port 8000 is the `port` of "
                              "service `s` too"});
}

TEST_F(ServicesTest, WhereNobodyCanListenIsTold) {
  for (const char* host : {"::1", "::", "example.com", "127.0.0.1:80", "1.2.3"}) {
    put("services/t.yaml", fmt::format("{}host: \"{}\"\n", kSecond, host));
    EXPECT_EQ(findings(), Lines{fmt::format("services/t.yaml:8:7: error[bad-host]: `{}` is not an "
                                            "IPv4 address",
                                            host)});
  }
  put("services/t.yaml", kSecond);
  change("services/t.yaml", "port: 8100", "port: 65535");
  EXPECT_EQ(findings(), Lines{});
  change("services/t.yaml", "port: 65535", "port: 65536");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:6:7: error[out-of-range]: `port` must be at most "
                              "65535"});
}

TEST_F(ServicesTest, AMonitorIsOfOneService) {
  std::filesystem::remove(root_ + "/monitors/v.yaml");
  change("services/t.yaml", "monitor: v", "monitor: w");
  EXPECT_EQ(findings(), Lines{"services/t.yaml:5:10: error[monitor-of-another]: monitor `w` is of "
                              "service `s`"});
}

TEST_F(ServicesTest, APolicyNamesServicesThatThereAre) {
  policy("q", "services: [t, u]\n");
  EXPECT_EQ(findings(),
            Lines{"policies/q.yaml:6:15: error[unknown-name]: there is no service `u`"});
}

TEST_F(ServicesTest, TwoPoliciesDoNotSayTheSameOfOneService) {
  policy("q", "failover: {allowed: true, requests: 20}\n");
  EXPECT_EQ(findings(), Lines{});
  policy("r", "failover: {allowed: false}\n");
  EXPECT_EQ(
      findings(),
      (Lines{"policies/r.yaml:6:11: error[policies-disagree]: `failover` of service `s` is in "
             "policy `q` too",
             "policies/r.yaml:6:11: error[policies-disagree]: `failover` of service `t` is in "
             "policy `q` too"}));
  policy("r", "services: [t]\nfailover: {allowed: false}\n");
  EXPECT_EQ(findings(), Lines{"policies/r.yaml:7:11: error[policies-disagree]: `failover` of "
                              "service `t` is in policy `q` too"});
  policy("q", "services: [s]\nfailover: {allowed: true, requests: 20}\n");
  EXPECT_EQ(findings(), Lines{});
  for (const char* part : {"retrain: {max_rows: 1000, event_time_cost: 1h}",
                           "recalibrate: {sum: 1}", "quarantine: {good_rows: 5}"}) {
    policy("q", std::string("recovery: {") + part + "}\n");
    policy("r", std::string("services: [s]\nrecovery: {") + part + "}\n");
    const auto lines = findings();
    ASSERT_EQ(lines.size(), 1U) << part;
    EXPECT_NE(lines[0].find("policies-disagree"), std::string::npos) << lines[0];
  }
  // Different parts of one section are nobody's quarrel.
  policy("q", "recovery: {retrain: {max_rows: 1000, event_time_cost: 1h}}\n");
  policy("r", "recovery: {quarantine: {good_rows: 5}}\n");
  EXPECT_EQ(findings(), Lines{});
}

TEST_F(ServicesTest, BoundsAreOfThePolicyThatIsForTheService) {
  policy("q",
         "services: [t]\nfailover: {allowed: true, requests: 20}\nrecovery:\n"
         "  retrain: {max_rows: 5000, event_time_cost: 2h}\n  recalibrate: {step: 0.25}\n"
         "  quarantine: {good_rows: 7}\n");
  policy("r", "services: [s]\nrecovery: {retrain: {max_rows: 300, event_time_cost: 0s}}\n");
  const auto loaded = load_project(root_);
  ASSERT_FALSE(loaded->has_errors());
  const auto t = bounds_of(loaded->project, "t");
  EXPECT_TRUE(t.fail_over_allowed);
  EXPECT_EQ(t.fail_over.requests, 20);
  EXPECT_EQ(t.retrain_max_rows, 5000);
  EXPECT_EQ(t.retrain_event_time_cost, 2 * kHour);
  EXPECT_EQ(t.recalibrate.step, 0.25);
  EXPECT_EQ(t.recalibrate.sum, RecalibrationBound{}.sum);
  EXPECT_EQ(t.quarantine_good_rows, 7);
  const auto s = bounds_of(loaded->project, "s");
  EXPECT_FALSE(s.fail_over_allowed);
  EXPECT_EQ(s.retrain_max_rows, 300);
  EXPECT_EQ(s.retrain_event_time_cost, 0);
  EXPECT_EQ(s.recalibrate.step, RecalibrationBound{}.step);
  EXPECT_EQ(s.quarantine_good_rows, kQuarantineGoodRows);
}

}  // namespace
}  // namespace heddle::spec
