#include <algorithm>
#include <limits>
#include <thread>

#include "feature/code.hpp"
#include "feature/columns.hpp"

namespace heddle::feature {
namespace {

using spec::Feature;

/// Below this a thread of its own costs more than it takes off.
constexpr std::int64_t kFewestRowsAThread = 16'384;
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

double target_value(double sum, std::int64_t count, double smoothing, double prior) {
  const double weight = static_cast<double>(count) + smoothing;
  return weight > 0 ? (sum + smoothing * prior) / weight : prior;
}

double share(std::int64_t count, std::int64_t rows) {
  return static_cast<double>(count) / static_cast<double>(rows);
}

}  // namespace

Scratch::Scratch() : buffers(std::make_unique<Buffers>()) {}
Scratch::~Scratch() = default;

std::int32_t Program::Code::tuple_of(int combination, Scratch::Buffers& buffers) const noexcept {
  std::int32_t& code = buffers.codes[static_cast<std::size_t>(combination)];
  if (code != kNotAskedTuple) return code;
  const Combination& c = combinations[static_cast<std::size_t>(combination)];
  std::int64_t key[kMaxInputs];
  bool unseen = false;
  bool missing = false;
  for (std::size_t k = 0; k < c.inputs.size(); ++k) {
    const auto i = static_cast<std::size_t>(c.inputs[k]);
    KeyState& state = buffers.input_states[i];
    if (state == KeyState::kNotAsked) {
      const expr::Datum& value = buffers.slots[static_cast<std::size_t>(inputs[i].slot)];
      const bool none =
          value.is_null() || (value.kind == expr::Datum::Kind::kDouble && value.d != value.d);
      const auto found = none ? std::nullopt : inputs[i].part.find(value);
      state = none ? KeyState::kMissing : found ? KeyState::kKnown : KeyState::kUnseen;
      if (found) buffers.input_keys[i] = *found;
    }
    missing = missing || state == KeyState::kMissing;
    unseen = unseen || state == KeyState::kUnseen;
    key[k] = buffers.input_keys[i];
  }
  code = missing ? kMissingTuple : unseen ? kUnseenTuple : c.tuples.find({key, c.inputs.size()});
  return code;
}

void Program::Code::finish() {
  const double prior = sum / static_cast<double>(rows);
  for (Step& step : steps) {
    if (step.combination < 0) continue;
    const Combination& c = combinations[static_cast<std::size_t>(step.combination)];
    const bool target = step.kind == Feature::Kind::kTargetEncoding;
    step.values.resize(c.counts.size());
    for (std::size_t i = 0; i < c.counts.size(); ++i) {
      step.values[i] = target ? target_value(c.sums[i], c.counts[i], step.smoothing, prior)
                              : share(c.counts[i], rows);
    }
    step.unseen = target ? prior : 0;
  }
}

Result<std::vector<expr::ColumnView>> Program::Code::views(const table::Table& table) const {
  std::vector<expr::ColumnView> out;
  for (const auto& field : fields) {
    auto column = table.column(field.name);
    if (!column.ok()) return column.error();
    if ((*column)->type != field.type) {
      return Error{
          ErrorKind::kInvalid, "feature-column-type",
          fmt::format("column `{}` is a {}, the features were written for a {}", field.name,
                      expr::type_name((*column)->type), expr::type_name(field.type)),
          "check the rows by the contract first: it gives typed columns"};
    }
    out.push_back((*column)->view());
  }
  return out;
}

void Program::apply_row(std::span<const expr::Datum> typed, std::span<float> out,
                        Scratch& scratch) const noexcept {
  const Code& code = *code_;
  code.run(typed, out, *scratch.buffers, [&](const Step& step, Scratch::Buffers& buffers) {
    if (code.rows == 0) return kMissing;
    const std::int32_t tuple = code.tuple_of(step.combination, buffers);
    if (tuple == kMissingTuple) return kMissing;
    return tuple < 0 ? step.unseen : step.values[static_cast<std::size_t>(tuple)];
  });
}

Result<Matrix> Program::apply(const table::Table& table, unsigned threads) const {
  HEDDLE_ASSIGN_OR_RETURN(const auto views, code_->views(table));
  Matrix out;
  out.rows = table.rows();
  out.columns = static_cast<int>(code_->names.size());
  out.values.resize(static_cast<std::size_t>(out.rows) * code_->names.size());
  const std::int64_t shares =
      std::clamp<std::int64_t>(out.rows / kFewestRowsAThread, 1, std::max(1U, threads));
  const auto apply_share = [&](std::int64_t i) {
    const std::int64_t begin = out.rows * i / shares;
    Columns(*code_, views)
        .apply(begin, out.rows * (i + 1) / shares,
               out.values.data() + static_cast<std::size_t>(begin) * code_->names.size());
  };
  std::vector<std::jthread> others;
  for (std::int64_t i = 1; i < shares; ++i) others.emplace_back(apply_share, i);
  apply_share(0);
  others.clear();
  return out;
}

namespace {

/// Of each tuple of a combination: rows, and the sum of their labels.
struct Counts {
  std::vector<std::int64_t> rows;
  std::vector<double> sums;
};

Result<void> check_folds(std::int64_t n, std::int64_t folds, std::size_t labels) {
  if (static_cast<std::int64_t>(labels) != n) {
    return Error{ErrorKind::kInternal, "feature-labels",
                 fmt::format("{} labels for {} rows", labels, n), "give one label a row"};
  }
  if (folds < 2 || folds > 100) {
    return Error{ErrorKind::kInvalid, "feature-folds",
                 fmt::format("{} folds cannot be cross-fitted", folds), "set `folds` to 2 to 100"};
  }
  if (n < folds) {
    return Error{ErrorKind::kUnprocessable, "feature-too-few-rows",
                 fmt::format("{} rows are too few to fit encoders in {} folds", n, folds),
                 "give more training rows"};
  }
  return {};
}

/// A table without rows would make its features missing in every row, and nobody would know.
Result<void> check_lookups(const Program::Code& code) {
  for (std::size_t s = 0; s < code.steps.size(); ++s) {
    const int lookup = code.steps[s].lookup;
    if (lookup < 0 || code.lookups[static_cast<std::size_t>(lookup)].size() > 0) continue;
    const Feature& feature = code.definition.features[s];
    return Error{ErrorKind::kUnprocessable, "lookup-empty",
                 fmt::format("lookup `{}`: no row of source `{}` has a key in `{}`", feature.name,
                             feature.source, fmt::join(feature.columns, "`, `")),
                 "check the file, and the columns that `key` names"};
  }
  return {};
}

/// A target encoder has nothing to learn from a label that never differs.
Result<void> check_labels(const std::vector<Step>& steps, std::span<const double> labels) {
  const bool targets = std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.kind == Feature::Kind::kTargetEncoding;
  });
  const bool is_constant = std::all_of(labels.begin(), labels.end(),
                                       [&](double label) { return label == labels.front(); });
  if (!targets || !is_constant) return {};
  return Error{ErrorKind::kUnprocessable, "feature-label-constant",
               fmt::format("the label is {} in every training row", labels.front()),
               "check the target's expression and the time that is trained on"};
}

}  // namespace

/// One fit: what each row is to each combination of inputs, the counts of each fold, then the
/// values of each fold from the others.
class Program::Code::Fitting {
 public:
  Fitting(Code& code, std::vector<expr::ColumnView> views, std::int64_t rows,
          std::span<const double> labels)
      : code_(code),
        views_(std::move(views)),
        labels_(labels),
        n_(rows),
        width_(code.combinations.size()),
        codes_(static_cast<std::size_t>(rows) * width_, kMissingTuple),
        typed_(views_.size()),
        of_fold_(static_cast<std::size_t>(code.definition.folds)),
        fold_sums_(of_fold_.size(), 0) {
    out_.train.rows = n_;
    out_.train.columns = static_cast<int>(code_.names.size());
    out_.train.values.resize(static_cast<std::size_t>(n_) * code_.names.size());
    const std::int64_t folds = code.definition.folds;
    for (std::int64_t fold = 1; fold <= folds; ++fold) out_.fold_ends.push_back(n_ * fold / folds);
  }

  FitResult run() {
    for (Input& input : code_.inputs) input.part = table::KeyPart(input.part.type());
    for (Combination& c : code_.combinations) c.tuples = table::TupleIndex(c.inputs.size());
    for (std::int64_t row = 0; row < n_; ++row) number_row(row);
    for (std::size_t fold = 0; fold < of_fold_.size(); ++fold) count_fold(fold);
    for (std::size_t c = 0; c < width_; ++c) add_up(c);
    code_.rows = n_;
    code_.sum = 0;
    for (const double label : labels_) code_.sum += label;
    code_.finish();
    for (std::size_t fold = 0; fold < of_fold_.size(); ++fold) fit_fold(fold);
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::int64_t begin_of(std::size_t fold) const {
    return fold == 0 ? 0 : out_.fold_ends[fold - 1];
  }
  [[nodiscard]] std::int32_t& code_at(std::int64_t row, std::size_t c) {
    return codes_[static_cast<std::size_t>(row) * width_ + c];
  }
  std::span<float> row_out(std::int64_t row) {
    return {out_.train.values.data() + static_cast<std::size_t>(row) * code_.names.size(),
            code_.names.size()};
  }
  void read_row(std::int64_t row) {
    for (std::size_t i = 0; i < views_.size(); ++i) typed_[i] = views_[i].at(row);
  }

  /// Encoders are not inputs, so they may be missing here.
  void number_row(std::int64_t row) {
    Scratch::Buffers& buffers = *scratch_.buffers;
    read_row(row);
    code_.run(typed_, row_out(row), buffers,
              [](const Step&, Scratch::Buffers&) { return kMissing; });
    keys_.resize(code_.inputs.size());
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      Input& input = code_.inputs[i];
      keys_[i] = input.part.insert(buffers.slots[static_cast<std::size_t>(input.slot)]);
    }
    for (std::size_t c = 0; c < width_; ++c) {
      Combination& combination = code_.combinations[c];
      std::int64_t key[kMaxInputs];
      if (read_key(combination, key))
        code_at(row, c) = combination.tuples.insert({key, combination.inputs.size()});
    }
  }

  /// False where a part is missing.
  bool read_key(const Combination& combination, std::int64_t (&key)[kMaxInputs]) const {
    for (std::size_t k = 0; k < combination.inputs.size(); ++k) {
      const auto& part = keys_[static_cast<std::size_t>(combination.inputs[k])];
      if (!part) return false;
      key[k] = *part;
    }
    return true;
  }

  void count_fold(std::size_t fold) {
    for (const Combination& c : code_.combinations)
      of_fold_[fold].push_back(
          {std::vector<std::int64_t>(c.tuples.size()), std::vector<double>(c.tuples.size())});
    for (std::int64_t row = begin_of(fold); row < out_.fold_ends[fold]; ++row) {
      const double label = labels_[static_cast<std::size_t>(row)];
      fold_sums_[fold] += label;
      for (std::size_t c = 0; c < width_; ++c) {
        const std::int32_t tuple = code_at(row, c);
        if (tuple < 0) continue;
        ++of_fold_[fold][c].rows[static_cast<std::size_t>(tuple)];
        of_fold_[fold][c].sums[static_cast<std::size_t>(tuple)] += label;
      }
    }
  }

  /// The counts of all folds.
  void add_up(std::size_t c) {
    Combination& combination = code_.combinations[c];
    combination.counts.assign(combination.tuples.size(), 0);
    combination.sums.assign(combination.tuples.size(), 0);
    for (const auto& fold : of_fold_) {
      for (std::size_t i = 0; i < combination.counts.size(); ++i) {
        combination.counts[i] += fold[c].rows[i];
        combination.sums[i] += fold[c].sums[i];
      }
    }
  }

  /// The sum over the other folds, never the whole less this one: a row's own label must not be
  /// left in the rounding.
  template <class SumOf>
  [[nodiscard]] double others(std::size_t fold, const SumOf& sum_of) const {
    double total = 0;
    for (std::size_t other = 0; other < of_fold_.size(); ++other)
      total += other == fold ? 0 : sum_of(other);
    return total;
  }

  /// The values of a fold's rows, from the others.
  void fit_fold(std::size_t fold) {
    const std::int64_t other_rows = n_ - (out_.fold_ends[fold] - begin_of(fold));
    const double prior = others(fold, [&](std::size_t other) { return fold_sums_[other]; }) /
                         static_cast<double>(other_rows);
    for (std::int64_t row = begin_of(fold); row < out_.fold_ends[fold]; ++row) {
      read_row(row);
      code_.run(typed_, row_out(row), *scratch_.buffers, [&](const Step& step, Scratch::Buffers&) {
        const auto c = static_cast<std::size_t>(step.combination);
        const std::int32_t tuple = code_at(row, c);
        if (tuple < 0) return kMissing;
        const auto i = static_cast<std::size_t>(tuple);
        const std::int64_t count = code_.combinations[c].counts[i] - of_fold_[fold][c].rows[i];
        if (step.kind == Feature::Kind::kFrequencyEncoding) return share(count, other_rows);
        const double other_sum =
            others(fold, [&](std::size_t other) { return of_fold_[other][c].sums[i]; });
        return target_value(other_sum, count, step.smoothing, prior);
      });
    }
  }

  Code& code_;
  std::vector<expr::ColumnView> views_;
  std::span<const double> labels_;
  std::int64_t n_;
  std::size_t width_;  ///< combinations
  std::vector<std::int32_t> codes_;
  std::vector<expr::Datum> typed_;
  std::vector<std::vector<Counts>> of_fold_;
  std::vector<double> fold_sums_;
  std::vector<std::optional<std::int64_t>> keys_;  ///< of the row, by input
  Scratch scratch_;
  FitResult out_;
};

Result<FitResult> Program::fit(const table::Table& table, std::span<const double> labels) {
  HEDDLE_ASSIGN_OR_RETURN(auto views, code_->views(table));
  HEDDLE_TRY(check_folds(table.rows(), code_->definition.folds, labels.size()));
  HEDDLE_TRY(check_lookups(*code_));
  HEDDLE_TRY(check_labels(code_->steps, labels));
  return Code::Fitting(*code_, std::move(views), table.rows(), labels).run();
}

}  // namespace heddle::feature
