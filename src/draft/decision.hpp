#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "profile/association.hpp"
#include "profile/profile.hpp"
#include "profile/reading.hpp"
#include "stats/task.hpp"
#include "train/signature.hpp"

namespace heddle::draft {

/// Something that a person should look at before a model is believed: one sentence, what it is
/// about, and rows that show it.
struct Finding {
  std::string id;    ///< permanent
  std::string text;  ///< one sentence or two, without a final period
  std::vector<std::string> columns{};
  std::vector<std::string> examples{};  ///< of rows, `row 17: age = -3`
};

/// What is made of a column.
struct Column {
  profile::Reading reading{};
  profile::Association association{};
  bool in_contract = true;
  bool is_label = false;
  bool is_time_field = false;
  std::string left_out{};  ///< why no feature is made of it; empty: one is

  [[nodiscard]] const std::string& name() const noexcept { return reading.name(); }
};

/// What a person says of a file, beside it.
struct Wishes {
  std::string target{};  ///< empty: it is inferred
  std::string time{};    ///< empty: it is inferred
  std::optional<stats::TaskKind> task{};
  /// Of a model that is there, to be served as it is; null: one is to be fitted. Outlives the
  /// decisions.
  const train::Signature* signature = nullptr;
};

/// What is made of a model that is there.
struct Adoption {
  const train::Signature* signature = nullptr;
  std::vector<std::string> columns{};  ///< of the file, in the model's order
  bool are_features = false;           ///< features that are the fields, for the engine
  std::string inputs_reason{};
  std::string positive{};        ///< of two classes, the model's word for the one that is predicted
  std::string classes_unsaid{};  ///< what was taken of its classes; empty: they say it
};

/// All that a draft rests on. `profile` outlives it.
struct Decisions {
  const profile::Profile* profile = nullptr;
  std::vector<Column> columns{};  ///< as in the file
  std::size_t target = 0;
  std::string target_reason{};
  std::optional<std::size_t> time{};
  std::string time_reason{};
  stats::TaskKind task = stats::TaskKind::kRegression;
  std::string task_reason{};
  std::string positive{};              ///< of kBinary: the value that counts as true
  std::vector<std::string> classes{};  ///< of kClasses, sorted
  double base_rate = 0;                ///< of kBinary: the share of `positive`
  double repeated_share = 0;           ///< of held-out rows, that a row to train on equals
  double best_alone = 0;               ///< the largest `Association::alone` of a feature's column
  std::vector<Finding> findings{};     ///< the gravest first
  std::optional<Adoption> adopted{};

  [[nodiscard]] const Column& target_column() const { return columns[target]; }
  [[nodiscard]] const Column* time_column() const { return time ? &columns[*time] : nullptr; }
  [[nodiscard]] std::int64_t labelled() const;  ///< rows that have a target
};

/// The columns that could be the target or the order of time, most likely first, for a question.
struct Candidates {
  std::vector<std::string> targets{};
  std::vector<std::string> times{};
};
[[nodiscard]] Candidates candidates(const profile::Profile& profile);

/// kInvalid or kUnprocessable in one sentence where no project can come of the file: no row, one
/// column, a target with one value, nothing left to predict from.
[[nodiscard]] Result<Decisions> decide(const profile::Profile& profile, const Wishes& wishes);

/// A count for people: `1,234`.
[[nodiscard]] std::string counted(std::int64_t count);
/// `0.4 %`, `less than 0.01 %`.
[[nodiscard]] std::string percent(double share);

}  // namespace heddle::draft
