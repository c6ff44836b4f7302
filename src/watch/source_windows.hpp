#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plane/journal.hpp"
#include "spec/monitor.hpp"
#include "watch/baseline.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/row_signs.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Looks at the rows of each source, by the account that sent them, in disjoint runs of
/// `refused_rows` rows: which share the contract refused, by which rules, and, where a learned
/// dependency broke, by which factor the value was off, and how many rows a day it sends. An alert
/// needs the share and at least three rows, and says what the refused rows have in common. Rows of
/// a quarantined source do not count: that decision stands already. Single-threaded.
class SourceWindows final : public Detector {
 public:
  SourceWindows(double refused_share, std::int64_t refused_rows, const spec::Contract& contract)
      : share_(refused_share), size_(refused_rows), no_signs_(contract) {}

  /// `field_of(name)` gives the row's value of a field, null when absent.
  template <class FieldOf>
  void add(const std::string& account, const std::string& source, const plane::RowRecord& row,
           Micros event_time, const Baseline* baseline, FieldOf field_of,
           std::vector<Finding>& out) {
    if (row.outcome == plane::RowOutcome::kQuarantined) return;
    days_[{account, source}].add(event_time);
    Run& run = runs_[{account, source}];
    begin_row(run, row, event_time);
    RowSigns& signs = signs_.try_emplace({account, source}, no_signs_).first->second;
    if (row.outcome == plane::RowOutcome::kRefused)
      signs.refused(row, field_of);
    else
      signs.usual(field_of);
    if (row.outcome == plane::RowOutcome::kRefused && baseline != nullptr) {
      for (const DependencyReference& dependency : baseline->dependencies) {
        if (!is_about(row, dependency)) continue;
        std::vector<expr::Datum> parts;
        for (const std::string& name : dependency.determinant) parts.push_back(field_of(name));
        compare(run, dependency, parts, field_of(dependency.dependent));
      }
    }
    if (run.rows >= size_) out.push_back(finish(account, source, run, signs));
  }

  void row(const SeenRow& row, std::vector<Finding>& out) override;
  void set_back(Micros to, RowCounts& counts) override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  struct Run {
    std::int64_t rows = 0;
    std::int64_t refused = 0;
    Micros from = 0;
    Micros to = 0;
    std::map<std::string, std::int64_t> rules;
    std::string column;  ///< the dependent whose values are compared
    std::string rule;
    std::vector<double> values;
    std::vector<double> expected;
  };
  /// Rows of an event day and of the one before it.
  struct Days {
    std::int64_t day = INT64_MIN;
    std::int64_t rows = 0;
    std::int64_t before = 0;
    void add(Micros event_time) noexcept;
  };
  /// Whether the row was refused for the dependency, or for a value of its dependent that is out of
  /// the field's range: in another unit it may be both, and then the contract looks no further.
  static bool is_about(const plane::RowRecord& row, const DependencyReference& dependency);
  static void begin_row(Run& run, const plane::RowRecord& row, Micros event_time);
  static void compare(Run& run, const DependencyReference& dependency,
                      std::span<const expr::Datum> determinant, const expr::Datum& value);
  [[nodiscard]] Finding finish(const std::string& account, const std::string& source, Run& run,
                               RowSigns& signs) const;

  double share_;
  std::int64_t size_;
  RowSigns no_signs_;                                              ///< of a sender that is new
  std::map<std::pair<std::string, std::string>, Run> runs_;        ///< by account and source
  std::map<std::pair<std::string, std::string>, RowSigns> signs_;  ///< the same
  std::map<std::pair<std::string, std::string>, Days> days_;       ///< the same
};

}  // namespace heddle::watch
