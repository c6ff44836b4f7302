#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "expr/program.hpp"
#include "feature/lookup.hpp"
#include "feature/program.hpp"
#include "table/lookup.hpp"

namespace heddle::feature {

/// At most this many inputs of an encoder, and parts of a lookup's key.
inline constexpr std::size_t kMaxInputs = 8;

/// A value that encoders read: a field or a feature. Slots are the fields in row order, then the
/// features in theirs. Private to this module.
struct Input {
  int slot = 0;
  table::KeyPart part;
};

/// A combination of inputs, shared by the encoders over it: what training rows said of each tuple.
struct Combination {
  std::vector<int> inputs;  ///< indexes into `Code::inputs`
  table::TupleIndex tuples;
  std::vector<std::int64_t> counts;
  std::vector<double> sums;  ///< of the labels
};

struct Step {
  spec::Feature::Kind kind = spec::Feature::Kind::kExpression;
  int output = -1;  ///< column of the matrix, -1 when hidden
  std::optional<expr::Program> program{};
  int combination = -1;                   ///< of an encoder
  int lookup = -1;                        ///< index into `Code::lookups`
  expr::Type type = expr::Type::kDouble;  ///< of its value
  double smoothing = 0;
  std::vector<double> values{};  ///< of each tuple, after fitting
  double unseen = 0;
};

/// What is known of an input's key in the present row.
enum class KeyState : std::uint8_t { kNotAsked, kKnown, kUnseen, kMissing };

struct Scratch::Buffers {
  std::vector<expr::Datum> slots;
  std::vector<KeyState> input_states;
  std::vector<std::int64_t> input_keys;
  std::vector<std::int32_t> codes;   ///< of each combination
  std::vector<std::string> strings;  ///< of string features, one a step
  expr::Program::Scratch program;
};

inline constexpr std::int32_t kUnseenTuple = -1;
inline constexpr std::int32_t kMissingTuple = -2;
inline constexpr std::int32_t kNotAskedTuple = -3;

struct Program::Code {
  class Compiler;
  class Fitting;
  spec::FeatureSet definition;  ///< features in the order they are computed
  std::vector<spec::Field> fields;
  std::vector<Step> steps;
  std::vector<Input> inputs;
  std::vector<Combination> combinations;
  std::vector<Lookup> lookups;  ///< in the order of their features
  std::vector<std::string> names;
  std::int64_t rows = 0;  ///< it was fitted on; 0 before
  double sum = 0;         ///< of their labels

  /// Computes the steps of a row; `encode(step, buffers)` gives an encoder's value, NaN when
  /// missing.
  template <class Encode>
  void run(std::span<const expr::Datum> typed, std::span<float> out, Scratch::Buffers& buffers,
           const Encode& encode) const noexcept;
  /// The code of a combination in the present row.
  std::int32_t tuple_of(int combination, Scratch::Buffers& buffers) const noexcept;
  /// The encoders' values from the counts.
  void finish();
  [[nodiscard]] Result<std::vector<expr::ColumnView>> views(const table::Table& rows_table) const;
};

/// NaN: missing.
inline float as_model_reads(const expr::Datum& value) noexcept {
  switch (value.kind) {
    case expr::Datum::Kind::kBool: return value.b ? 1.0f : 0.0f;
    case expr::Datum::Kind::kInt:
    case expr::Datum::Kind::kDouble: return static_cast<float>(value.number());
    default: return __builtin_nanf("");
  }
}

template <class Encode>
void Program::Code::run(std::span<const expr::Datum> typed, std::span<float> out,
                        Scratch::Buffers& buffers, const Encode& encode) const noexcept {
  buffers.slots.resize(fields.size() + steps.size());
  buffers.input_states.assign(inputs.size(), KeyState::kNotAsked);
  buffers.input_keys.resize(inputs.size());
  buffers.codes.assign(combinations.size(), kNotAskedTuple);
  if (buffers.strings.size() < steps.size()) buffers.strings.resize(steps.size());
  for (std::size_t i = 0; i < fields.size(); ++i)
    buffers.slots[i] = i < typed.size() ? typed[i] : expr::Datum();
  for (std::size_t i = fields.size(); i < buffers.slots.size(); ++i) buffers.slots[i] = {};
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    expr::Datum value;
    if (step.program) {
      value = step.program->evaluate(buffers.slots, buffers.program);
      if (value.is_error()) value = {};
      if (value.kind == expr::Datum::Kind::kString) {
        buffers.strings[s].assign(value.str());
        value = expr::Datum::string(buffers.strings[s]);
      }
    } else if (step.combination >= 0) {
      const double number = encode(step, buffers);
      if (number == number) value = expr::Datum::real(number);
    } else {
      value = lookups[static_cast<std::size_t>(step.lookup)].find(buffers.slots);
    }
    buffers.slots[fields.size() + s] = value;
    if (step.output < 0) continue;
    out[static_cast<std::size_t>(step.output)] = as_model_reads(value);
  }
}

}  // namespace heddle::feature
