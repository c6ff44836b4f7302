#include <algorithm>
#include <limits>

#include "feature/code.hpp"

namespace heddle::feature {
namespace {

using spec::Feature;

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

Result<Matrix> Program::apply(const table::Table& table) const {
  HEDDLE_ASSIGN_OR_RETURN(const auto views, code_->views(table));
  Matrix out;
  out.rows = table.rows();
  out.columns = static_cast<int>(code_->names.size());
  out.values.resize(static_cast<std::size_t>(out.rows) * code_->names.size());
  Scratch scratch;
  std::vector<expr::Datum> typed(views.size());
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::size_t i = 0; i < views.size(); ++i) typed[i] = views[i].at(row);
    apply_row(typed,
              {out.values.data() + static_cast<std::size_t>(row) * code_->names.size(),
               code_->names.size()},
              scratch);
  }
  return out;
}

Result<FitResult> Program::fit(const table::Table& table, std::span<const double> labels) {
  Code& code = *code_;
  HEDDLE_ASSIGN_OR_RETURN(const auto views, code.views(table));
  const std::int64_t n = table.rows();
  const std::int64_t folds = code.definition.folds;
  if (static_cast<std::int64_t>(labels.size()) != n) {
    return Error{ErrorKind::kInternal, "feature-labels",
                 fmt::format("{} labels for {} rows", labels.size(), n), "give one label a row"};
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
  double sum = 0;
  for (const double label : labels) sum += label;
  const bool targets = std::any_of(code.steps.begin(), code.steps.end(), [](const Step& step) {
    return step.kind == Feature::Kind::kTargetEncoding;
  });
  const bool is_constant = std::all_of(labels.begin(), labels.end(),
                                       [&](double label) { return label == labels.front(); });
  if (targets && is_constant) {
    return Error{ErrorKind::kUnprocessable, "feature-label-constant",
                 fmt::format("the label is {} in every training row", labels.front()),
                 "check the target's expression and the time that is trained on"};
  }

  // What each row is to each combination of inputs; encoders are not inputs, so they may be missing
  // here.
  for (Input& input : code.inputs) input.part = table::KeyPart(input.part.type());
  for (Combination& c : code.combinations) c.tuples = table::TupleIndex(c.inputs.size());
  const std::size_t width = code.combinations.size();
  std::vector<std::int32_t> codes(static_cast<std::size_t>(n) * width, kMissingTuple);
  Scratch scratch;
  Scratch::Buffers& buffers = *scratch.buffers;
  std::vector<expr::Datum> typed(views.size());
  FitResult out;
  out.train.rows = n;
  out.train.columns = static_cast<int>(code.names.size());
  out.train.values.resize(static_cast<std::size_t>(n) * code.names.size());
  const auto row_out = [&](std::int64_t row) {
    return std::span<float>(
        out.train.values.data() + static_cast<std::size_t>(row) * code.names.size(),
        code.names.size());
  };
  std::vector<std::optional<std::int64_t>> keys(code.inputs.size());
  for (std::int64_t row = 0; row < n; ++row) {
    for (std::size_t i = 0; i < views.size(); ++i) typed[i] = views[i].at(row);
    code.run(typed, row_out(row), buffers, [](const Step&, Scratch::Buffers&) { return kMissing; });
    for (std::size_t i = 0; i < keys.size(); ++i)
      keys[i] =
          code.inputs[i].part.insert(buffers.slots[static_cast<std::size_t>(code.inputs[i].slot)]);
    for (std::size_t c = 0; c < width; ++c) {
      Combination& combination = code.combinations[c];
      std::int64_t key[kMaxInputs];
      bool whole = true;
      for (std::size_t k = 0; k < combination.inputs.size() && whole; ++k) {
        const auto& part = keys[static_cast<std::size_t>(combination.inputs[k])];
        whole = part.has_value();
        if (part) key[k] = *part;
      }
      if (whole)
        codes[static_cast<std::size_t>(row) * width + c] =
            combination.tuples.insert({key, combination.inputs.size()});
    }
  }

  // Counts of each fold, then of all.
  for (std::int64_t fold = 1; fold <= folds; ++fold) out.fold_ends.push_back(n * fold / folds);
  struct Counts {
    std::vector<std::int64_t> rows;
    std::vector<double> sums;
  };
  std::vector<std::vector<Counts>> of_fold(static_cast<std::size_t>(folds));
  std::vector<double> fold_sums(static_cast<std::size_t>(folds), 0);
  std::int64_t begin = 0;
  for (std::size_t fold = 0; fold < of_fold.size(); ++fold) {
    for (const Combination& c : code.combinations)
      of_fold[fold].push_back(
          {std::vector<std::int64_t>(c.tuples.size()), std::vector<double>(c.tuples.size())});
    for (std::int64_t row = begin; row < out.fold_ends[fold]; ++row) {
      const double label = labels[static_cast<std::size_t>(row)];
      fold_sums[fold] += label;
      for (std::size_t c = 0; c < width; ++c) {
        const std::int32_t tuple = codes[static_cast<std::size_t>(row) * width + c];
        if (tuple < 0) continue;
        ++of_fold[fold][c].rows[static_cast<std::size_t>(tuple)];
        of_fold[fold][c].sums[static_cast<std::size_t>(tuple)] += label;
      }
    }
    begin = out.fold_ends[fold];
  }
  for (std::size_t c = 0; c < width; ++c) {
    Combination& combination = code.combinations[c];
    combination.counts.assign(combination.tuples.size(), 0);
    combination.sums.assign(combination.tuples.size(), 0);
    for (const auto& fold : of_fold) {
      for (std::size_t i = 0; i < combination.counts.size(); ++i) {
        combination.counts[i] += fold[c].rows[i];
        combination.sums[i] += fold[c].sums[i];
      }
    }
  }
  code.rows = n;
  code.sum = sum;
  code.finish();

  // Each fold from the others.
  begin = 0;
  for (std::size_t fold = 0; fold < of_fold.size(); ++fold) {
    const std::int64_t other_rows = n - (out.fold_ends[fold] - begin);
    // The sum of the others, never the whole less this one: a row's own label must not be left in
    // the rounding.
    const auto others = [&](const auto& sum_of) {
      double total = 0;
      for (std::size_t other = 0; other < of_fold.size(); ++other)
        total += other == fold ? 0 : sum_of(other);
      return total;
    };
    const double prior = others([&](std::size_t other) { return fold_sums[other]; }) /
                         static_cast<double>(other_rows);
    for (std::int64_t row = begin; row < out.fold_ends[fold]; ++row) {
      for (std::size_t i = 0; i < views.size(); ++i) typed[i] = views[i].at(row);
      code.run(typed, row_out(row), buffers, [&](const Step& step, Scratch::Buffers&) {
        const auto c = static_cast<std::size_t>(step.combination);
        const std::int32_t tuple = codes[static_cast<std::size_t>(row) * width + c];
        if (tuple < 0) return kMissing;
        const auto i = static_cast<std::size_t>(tuple);
        const std::int64_t count = code.combinations[c].counts[i] - of_fold[fold][c].rows[i];
        if (step.kind == Feature::Kind::kFrequencyEncoding) return share(count, other_rows);
        const double other_sum =
            others([&](std::size_t other) { return of_fold[other][c].sums[i]; });
        return target_value(other_sum, count, step.smoothing, prior);
      });
    }
    begin = out.fold_ends[fold];
  }
  return out;
}

}  // namespace heddle::feature
