#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"

namespace heddle::recover {

/// What a target of an action is: `incident/ID`, `source/NAME`, `service/NAME`.
enum class Target : std::uint8_t { kIncident, kSource, kService };

/// Whose rows and whose labels alone are the reason of what changes the answers of all, where
/// several use the service; policy then asks a person, whatever its rules. `labels_disputed`:
/// accounts contradict each other.
struct Grounds {
  std::string only_account{};
  std::string only_label_account{};
  bool labels_disputed = false;

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("only_account", self.only_account);
    visit("only_label_account", self.only_label_account);
    visit("labels_disputed", self.labels_disputed);
  }
  bool operator==(const Grounds&) const = default;
};

// Each action is a struct: its type and target, and with `members` the one list from which its
// attributes are written and read back. `optional` members are left out where they are empty or
// too long for an attribute.

struct OpenIncident {
  static constexpr std::string_view kType = "incident.open";
  static constexpr Target kTarget = Target::kIncident;
  std::string cause;
  std::string column{};
  std::string source{};
  std::string account{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("cause", self.cause);
    visit("column", self.column);
    visit("source", self.source);
    visit("account", self.account);
  }
  bool operator==(const OpenIncident&) const = default;
};

/// People are told that a step waits, and what they can do.
struct Escalate {
  static constexpr std::string_view kType = "incident.escalate";
  static constexpr Target kTarget = Target::kIncident;
  std::string step;
  std::string next{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("step", self.step);
    visit.optional("next", self.next);
  }
  bool operator==(const Escalate&) const = default;
};

/// An action could not be carried out by a fault of the machine, and when it is tried again.
struct RetryLater {
  static constexpr std::string_view kType = "incident.retry";
  static constexpr Target kTarget = Target::kIncident;
  std::string action;   ///< its type
  int tries = 0;        ///< so far
  std::string error{};  ///< of the last one
  Micros again = 0;     ///< event time of the next one; 0: there is none

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("action", self.action);
    visit("tries", self.tries);
    visit.optional("error", self.error);
    visit("again", self.again);
  }
  bool operator==(const RetryLater&) const = default;
};

/// What was proposed as `op_id` is not to be done any more.
struct Lapse {
  static constexpr std::string_view kType = "incident.lapse";
  static constexpr Target kTarget = Target::kIncident;
  std::string op_id;

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("op_id", self.op_id);
  }
  bool operator==(const Lapse&) const = default;
};

struct CloseIncident {
  static constexpr std::string_view kType = "incident.close";
  static constexpr Target kTarget = Target::kIncident;
  Micros recovered_at = 0;

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("recovered_at", self.recovered_at);
  }
  bool operator==(const CloseIncident&) const = default;
};

/// The page of an incident, and one addition to the definitions with its proof.
struct WritePostmortem {
  static constexpr std::string_view kType = "postmortem.write";
  static constexpr Target kTarget = Target::kIncident;
  std::string page;  ///< Markdown
  std::string addition_file{};
  std::string addition_path{};
  std::string addition{};  ///< empty: none
  doc::Value proof{};

  /// Page and proof are evidence, and no attributes.
  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit.optional("addition_file", self.addition_file);
    visit.optional("addition_path", self.addition_path);
    visit.optional("addition", self.addition);
  }
  bool operator==(const WritePostmortem&) const = default;
};

/// A person says that labels which look turned over are right.
struct AcceptLabels {
  static constexpr std::string_view kType = "label.accept";
  static constexpr Target kTarget = Target::kService;
  std::string source;
  Micros from = 0;

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("source", self.source);
    visit("from", self.from);
  }
  bool operator==(const AcceptLabels&) const = default;
};

struct QuarantineSource {
  static constexpr std::string_view kType = "source.quarantine";
  static constexpr Target kTarget = Target::kSource;
  std::string source;
  std::string account{};
  std::string rule{};
  std::int64_t good_rows = 0;  ///< a day that break no rule
  std::uint32_t readmit_after = 0;

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("source", self.source);
    visit("account", self.account);
    visit("rule", self.rule);
    visit("good_rows", self.good_rows);
    visit("readmit_after", self.readmit_after);
  }
  bool operator==(const QuarantineSource&) const = default;
};

struct ReleaseSource {
  static constexpr std::string_view kType = "source.release";
  static constexpr Target kTarget = Target::kSource;
  std::string source;
  std::string account{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("source", self.source);
    visit("account", self.account);
  }
  bool operator==(const ReleaseSource&) const = default;
};

/// The standby takes over, for it is better on labelled rows.
struct SwapToStandby {
  static constexpr std::string_view kType = "slot.swap";
  static constexpr Target kTarget = Target::kService;
  double primary_loss = 0;
  double standby_loss = 0;
  std::int64_t rows = 0;
  Grounds grounds{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("primary_loss", self.primary_loss);
    visit("standby_loss", self.standby_loss);
    visit("rows", self.rows);
    Grounds::members(self.grounds, visit);
  }
  bool operator==(const SwapToStandby&) const = default;
};

/// Primary and standby change back.
struct SwapBack {
  static constexpr std::string_view kType = "slot.swap";
  static constexpr Target kTarget = Target::kService;
  bool back = true;

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("back", self.back);
  }
  bool operator==(const SwapBack&) const = default;
};

struct ProposeTransform {
  static constexpr std::string_view kType = "transform.propose";
  static constexpr Target kTarget = Target::kService;
  std::string id;
  std::string field;
  int lag_hours = 0;
  std::string expression{};
  std::string only_account{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("id", self.id);
    visit("field", self.field);
    visit("lag_hours", self.lag_hours);
    visit("expression", self.expression);
    visit("only_account", self.only_account);
  }
  bool operator==(const ProposeTransform&) const = default;
};

struct WithdrawTransform {
  static constexpr std::string_view kType = "transform.withdraw";
  static constexpr Target kTarget = Target::kService;
  std::string field;
  std::string id;
  Grounds grounds{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("field", self.field);
    visit("id", self.id);
    Grounds::members(self.grounds, visit);
  }
  bool operator==(const WithdrawTransform&) const = default;
};

struct StartRetrain {
  static constexpr std::string_view kType = "retrain.start";
  static constexpr Target kTarget = Target::kService;
  Micros from = 0;
  std::int64_t rows = 0;
  Micros started_at = 0;
  Grounds grounds{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("from", self.from);
    visit("rows", self.rows);
    visit("started_at", self.started_at);
    Grounds::members(self.grounds, visit);
  }
  bool operator==(const StartRetrain&) const = default;
};

struct PromoteCandidate {
  static constexpr std::string_view kType = "release.promote";
  static constexpr Target kTarget = Target::kService;
  std::string bundle;
  std::string slot = "primary";
  std::string metrics{};  ///< JSON
  Grounds grounds{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("bundle", self.bundle);
    visit("slot", self.slot);
    visit.optional("metrics", self.metrics);
    Grounds::members(self.grounds, visit);
  }
  bool operator==(const PromoteCandidate&) const = default;
};

struct RollBack {
  static constexpr std::string_view kType = "release.rollback";
  static constexpr Target kTarget = Target::kService;
  std::string bundle;
  Grounds grounds{};

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit("bundle", self.bundle);
    Grounds::members(self.grounds, visit);
  }
  bool operator==(const RollBack&) const = default;
};

struct Recalibrate {
  static constexpr std::string_view kType = "release.recalibrate";
  static constexpr Target kTarget = Target::kService;
  std::vector<double> offsets;  ///< added to the margins, one an output
  Grounds grounds{};
  /// Added to the quantile of the interval, which was fitted anew to the newest labelled rows.
  double quantile = 0;
  std::int64_t interval_rows = 0;  ///< so many of them; 0: the interval stays
  double interval_held = 0;        ///< share of their labels that the interval of before held
  double interval_held_newer = 0;  ///< share of their newer half that a fit on the older half held
  [[nodiscard]] bool moves_predictions() const {
    return std::any_of(offsets.begin(), offsets.end(), [](double each) { return each != 0; });
  }

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit.numbers("offsets", self.offsets);
    visit("quantile", self.quantile);
    visit("interval_rows", self.interval_rows);
    visit("interval_held", self.interval_held);
    visit("interval_held_newer", self.interval_held_newer);
    Grounds::members(self.grounds, visit);
  }
  bool operator==(const Recalibrate&) const = default;
};

struct WithdrawRecalibration {
  static constexpr std::string_view kType = "recalibration.withdraw";
  static constexpr Target kTarget = Target::kService;
  std::vector<double> offsets;  ///< added to the margins, one an output
  double quantile = 0;          ///< added to that of the interval

  template <class Self, class V>
  static void members(Self& self, V& visit) {
    visit.numbers("offsets", self.offsets);
    visit("quantile", self.quantile);
  }
  bool operator==(const WithdrawRecalibration&) const = default;
};

/// Everything that recovery can ask for. Who carries it out visits it: a type that is not handled
/// does not compile.
using What = std::variant<OpenIncident, Escalate, RetryLater, Lapse, CloseIncident, WritePostmortem,
                          AcceptLabels, QuarantineSource, ReleaseSource, SwapToStandby, SwapBack,
                          ProposeTransform, WithdrawTransform, StartRetrain, PromoteCandidate,
                          RollBack, Recalibrate, WithdrawRecalibration>;

/// One typed proposal of the ladder. `op_id` is a function of the incident, the step and the
/// attempt: proposing it again, also after a crash, asks for the same act.
struct Action {
  std::string op_id;
  What what;
  std::string incident{};
  std::string target{};            ///< by `target_of`
  std::vector<Digest> evidence{};  ///< findings behind it
  std::string reason{};            ///< one sentence for people
  Micros event_time = 0;

  [[nodiscard]] std::string_view type() const;
};

[[nodiscard]] std::string_view type_of(const What& what) noexcept;
[[nodiscard]] std::string target_of(const What& what, const std::string& incident,
                                    const std::string& service);
/// What policies and a reader of the ledger see of it: scalars, and no text above 512 bytes.
[[nodiscard]] doc::Value attributes_of(const What& what);
/// What attributes of this type say; others than an action's own are passed over. kCorrupt
/// `action-unknown` for another type, `action-member` naming what is missing or of another type.
[[nodiscard]] Result<What> what_of(std::string_view type, const doc::Value& attributes);

/// `overloaded{[](const A&) {...}, [](const B&) {...}}` for a visit.
template <class... F>
struct overloaded : F... {
  using F::operator()...;
};

}  // namespace heddle::recover
