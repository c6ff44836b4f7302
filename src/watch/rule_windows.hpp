#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "expr/program.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// The rules that people and postmortems added to a monitor: the share of rows, in disjoint runs of
/// `window_rows`, for which an expression over the contract's fields and `event_time` is true. A
/// row for which it is null or fails says nothing. Single-threaded.
class RuleWindows final : public Detector {
 public:
  /// kInvalid, naming the rule, when an expression does not compile. `fields` are in the order of
  /// the rows.
  [[nodiscard]] static Result<RuleWindows> open(const std::vector<spec::MonitorRule>& rules,
                                                const spec::Contract& contract,
                                                const std::vector<std::string>& fields);

  /// `values` holds the row's fields and `event_time` last.
  void add(std::span<const expr::Datum> values, Micros event_time, std::vector<Finding>& out);

  void row(const SeenRow& row, std::vector<Finding>& out) override;
  /// The open runs begin anew.
  void set_back(Micros to, RowCounts& counts) override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  struct Rule {
    spec::MonitorRule spec;
    std::unique_ptr<expr::Program> program;
    std::int64_t rows = 0;
    std::int64_t bad = 0;
    Micros from = 0;
    Micros to = 0;
  };
  std::vector<Rule> rules_;
  expr::Program::Scratch scratch_;
};

}  // namespace heddle::watch
