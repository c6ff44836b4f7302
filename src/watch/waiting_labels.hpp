#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.hpp"
#include "watch/label_opinion.hpp"
#include "watch/names.hpp"
#include "watch/row_sample.hpp"
#include "watch/state_bytes.hpp"

namespace heddle::watch {

/// Labels that came before their row, or whose row never comes. At most `most` of them: past it the
/// account that has most waiting loses the older half of its own, so that nobody can drive out what
/// others sent. They are found by account and hour of event time, so that to forget some costs what
/// they are and not what is kept. Single-threaded; deterministic in its input order.
class WaitingLabels {
 public:
  explicit WaitingLabels(std::size_t most) : most_(most) {}

  /// False: older than what is kept.
  bool add(RowKey key, float label, Micros event_time, std::string_view account);
  /// What was said of the label of a row that came now; accounts by their number here.
  [[nodiscard]] std::optional<LabelOpinion> take(RowKey key);
  [[nodiscard]] const std::string& account(std::uint16_t number) const {
    return names_.name(number);
  }
  /// Forgets labels before `before`, by whole hours. How many went.
  std::int64_t prune(Micros before);
  /// None of them is of a later time than `latest`. Before the first piece is written.
  void cap(Micros latest);
  /// Keeps only what `sample` takes at any time.
  void thin(const RowSample& sample);
  void clear();

  [[nodiscard]] std::size_t size() const noexcept { return labels_.size(); }
  /// Labels that gave way to newer ones of their account, since the watch began.
  [[nodiscard]] const std::map<std::string, std::int64_t>& given_up() const noexcept {
    return given_up_;
  }
  [[nodiscard]] Micros pruned_before() const noexcept { return pruned_before_; }

  void save_head(StateWriter& out) const;
  void load_head(StateReader& in);
  [[nodiscard]] std::size_t changed() const noexcept { return touched_.size(); }
  /// Latest event time of what changed; INT64_MIN: nothing did.
  [[nodiscard]] Micros changed_until() const noexcept;
  void save_changes(StateWriter& out) const;
  void kept() { touched_.clear(); }
  /// Latest event time among them.
  [[nodiscard]] Micros load_changes(StateReader& in);
  void save_whole(StateWriter& out) const;

 private:
  using Labels = std::unordered_map<RowKey, LabelOpinion>;
  /// Those that one account spoke of first, by the hour of what was said of them last.
  struct Own {
    std::size_t labels = 0;
    std::map<std::int64_t, std::unordered_set<RowKey>> hours;
  };
  void touch(RowKey key, Micros event_time);
  void enter(RowKey key, const LabelOpinion& label);
  void leave(RowKey key, const LabelOpinion& label);
  void erase(Labels::iterator at);
  void give_way();
  void write(StateWriter& out, RowKey key, const LabelOpinion& label) const;

  std::size_t most_;
  Labels labels_;
  std::map<RowKey, Micros> touched_;  ///< came, changed or went since the last piece: latest time
  std::map<std::uint16_t, Own> own_;
  std::map<std::string, std::int64_t> given_up_;
  Micros pruned_before_ = INT64_MIN;
  Names names_;
};

}  // namespace heddle::watch
