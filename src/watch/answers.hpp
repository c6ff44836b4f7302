#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "plane/journal.hpp"
#include "spec/contract.hpp"
#include "spec/monitor.hpp"
#include "watch/detector.hpp"
#include "watch/finding.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// The key of the alert about what the quarantine of this account's rows of this source costs.
[[nodiscard]] std::string quarantine_key(std::string_view account, std::string_view source);

/// Whether the service does what it is for. In runs of at least an hour of event time and
/// `refused_rows` rows: which share of the rows got no answer; an alert when none got one. And of
/// each account's rows of a source under quarantine: how many that keep the contract were held
/// back; an alert past the monitor's budget, until they are let in. Single-threaded.
class Answers final : public Detector {
 public:
  Answers(const spec::Monitor& monitor, const spec::Contract& contract);

  void add(const plane::RequestRecord& request, const plane::RowRecord& row,
           std::vector<Finding>& out);

  void row(const SeenRow& row, std::vector<Finding>& out) override {
    add(row.request, row.row, out);
  }
  void set_back(Micros to, RowCounts& counts) override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  struct Kept {
    std::int64_t good = 0;  ///< rows held back that break no rule
    std::int64_t bad = 0;
    Micros from = 0;
    bool told = false;
    std::int64_t let_in = 0;  ///< rows since it ended
    int quiet = 0;            ///< findings since it ended
    Micros quiet_next = 0;  ///< event time of the next one: who reads them looks at most once a day
  };
  void keep(const plane::RequestRecord& request, const plane::RowRecord& row,
            std::vector<Finding>& out);
  void let_in(const plane::RequestRecord& request, std::vector<Finding>& out);
  [[nodiscard]] bool is_good(const plane::RowRecord& row) const;

  std::int64_t run_rows_;
  std::int64_t budget_;
  std::set<std::string, std::less<>> warnings_;  ///< rules that refuse nothing
  std::int64_t rows_ = 0;
  std::int64_t answered_ = 0;
  Micros from_ = 0;
  std::map<std::pair<std::string, std::string>, Kept> kept_;  ///< by account and source
};

}  // namespace heddle::watch
