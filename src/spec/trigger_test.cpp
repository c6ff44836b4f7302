#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "spec/spec_fixture.hpp"

namespace heddle::spec {
namespace {

class Triggers : public SpecTest {
 protected:
  /// `lines` begin on line 7 of heddle.yaml.
  void triggers(const std::string& lines) {
    put("heddle.yaml",
        "apiVersion: heddle/v1\nkind: Project\nname: tiny\nsources:\n  rows: data/rows.csv\n  "
        "places: data/places.csv\ntriggers:\n" +
            lines);
  }
};

TEST_F(Triggers, AreReadWhole) {
  triggers(
      "  - {name: nightly, model: m, schedule: 30 2 * * *}\n"
      "  - {name: rows, model: m, new_data: 10m, refit: false}\n"
      "  - {name: labels, model: m, labels: 5000}\n"
      "  - {name: drift, model: m, alert: true}\n");
  EXPECT_EQ(findings(), Lines{});
  const auto loaded = load_project(root_);
  const auto& all = loaded->project.triggers;
  ASSERT_EQ(all.size(), 4U);
  ASSERT_TRUE(all[0].schedule);
  EXPECT_EQ(all[0].schedule->next(0), (2 * 60 + 30) * kMinute);
  EXPECT_TRUE(all[0].refit);
  EXPECT_EQ(all[1].new_data, 10 * kMinute);
  EXPECT_FALSE(all[1].refit);
  EXPECT_EQ(all[2].labels, 5000);
  EXPECT_TRUE(all[3].alert);
  EXPECT_EQ(all[3].model, "m");
}

TEST_F(Triggers, EveryMistakeIsToldWithItsPlace) {
  const std::vector<std::pair<std::string, Lines>> cases = {
      {"  - {name: a, model: m}\n",
       {"heddle.yaml:8:5: error[bad-trigger]: trigger `a` is started by 0 things, one is needed"}},
      {"  - {name: a, model: m, labels: 5, alert: true}\n",
       {"heddle.yaml:8:5: error[bad-trigger]: trigger `a` is started by 2 things, one is needed"}},
      {"  - {name: a, model: m, schedule: 0 25 * * *}\n",
       {"heddle.yaml:8:35: error[bad-schedule]: `25` is no hour: from 0 to 23"}},
      {"  - {name: a, model: m, new_data: 10ms}\n",
       {"heddle.yaml:8:35: error[bad-value]: `new_data` is how often the source is looked at, "
        "from 1s on"}},
      {"  - {name: a, model: m, alert: false}\n",
       {"heddle.yaml:8:32: error[bad-value]: `alert: false` starts nothing"}},
      {"  - {name: a, model: m, labels: 0}\n",
       {"heddle.yaml:8:33: error[out-of-range]: `labels` must be at least 1"}},
      {"  - {name: a b, model: m, labels: 5}\n",
       {"heddle.yaml:8:12: error[bad-value]: `a b` cannot be the name of a trigger"}},
      {"  - {name: a, model: n, labels: 5}\n",
       {"heddle.yaml:8:5: error[unknown-name]: trigger `a`: there is no model `n`"}},
      {"  - {name: a, model: m, labels: 5}\n  - {name: a, model: m, alert: true}\n",
       {"heddle.yaml:9:5: error[duplicate-name]: trigger `a` appears twice"}},
  };
  for (const auto& [lines, expected] : cases) {
    triggers(lines);
    EXPECT_EQ(findings(), expected) << lines;
    for (const auto& each : load_project(root_)->diagnostics)
      EXPECT_FALSE(each.hint.empty()) << lines;
  }
}

}  // namespace
}  // namespace heddle::spec
