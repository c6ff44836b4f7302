#include "feature/columns.hpp"

#include <algorithm>

namespace heddle::feature {

using expr::Datum;
using expr::Type;

Columns::Columns(const Program::Code& code, std::vector<expr::ColumnView> fields)
    : code_(code),
      fields_(std::move(fields)),
      slots_(fields_.size() + code.steps.size()),
      values_(code.steps.size()),
      tuples_(code.combinations.size()),
      has_tuples_(code.combinations.size()) {
  for (const Input& input : code.inputs) keys_.emplace_back(input.part);
  for (const Lookup& lookup : code.lookups) {
    auto& keys = lookup_keys_.emplace_back();
    for (const auto& part : lookup.parts()) keys.emplace_back(part.key);
  }
}

void Columns::apply(std::int64_t begin, std::int64_t end, float* out) {
  for (std::int64_t at = begin; at < end; at += kBlock) {
    const std::int64_t rows = std::min(kBlock, end - at);
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      expr::ColumnView& slot = slots_[i] = fields_[i];
      slot.length = rows;
      if (slot.ints != nullptr) slot.ints += at;
      if (slot.doubles != nullptr) slot.doubles += at;
      if (slot.codes != nullptr) slot.codes += at;
      if (slot.valid != nullptr) slot.valid += at;
    }
    // A step reads fields and the steps before it.
    std::fill(slots_.begin() + static_cast<std::ptrdiff_t>(fields_.size()), slots_.end(),
              expr::ColumnView{});
    std::fill(has_tuples_.begin(), has_tuples_.end(), 0);
    for (std::size_t step = 0; step < code_.steps.size(); ++step) {
      compute(step, static_cast<std::size_t>(rows));
      if (code_.steps[step].output >= 0) write(step, static_cast<std::size_t>(rows), out);
    }
    out += static_cast<std::size_t>(rows) * code_.names.size();
  }
}

void Columns::compute(std::size_t step, std::size_t rows) {
  const Step& s = code_.steps[step];
  Values& to = values_[step];
  to.ints.clear(), to.doubles.clear(), to.codes.clear(), to.valid.clear();
  to.view = {};
  to.view.type = s.program ? s.program->type() : s.type;
  to.view.length = static_cast<std::int64_t>(rows);
  if (s.program) {
    s.program->evaluate_batches(slots_, 0, static_cast<std::int64_t>(rows), scratch_,
                                [&](const expr::Batch& batch) { take(batch, to); });
  } else if (s.lookup >= 0) {
    look_up(s, rows, to);
  } else {
    encode(s, rows, to);
  }
  if (to.view.type == Type::kString) {
    if (to.texts.size() == 0) to.texts.insert("");
    to.dictionary.assign(to.texts.values().begin(), to.texts.values().end());
    to.view.dictionary = to.dictionary.data();
    to.view.codes = to.codes.data();
  }
  to.view.ints = to.ints.data();
  to.view.doubles = to.doubles.data();
  to.view.valid = to.valid.data();
  slots_[fields_.size() + step] = to.view;
}

namespace {

/// What stands where no value is.
Datum zero_of(Type type) {
  switch (type) {
    case Type::kDouble: return Datum::real(0);
    case Type::kString: return Datum::string("");
    case Type::kBool: return Datum::boolean(false);
    default: return Datum::integer(0);
  }
}

}  // namespace

/// Null and errors are missing; a NaN is a value.
void Columns::take(const expr::Batch& batch, Values& to) {
  const bool packed = batch.boxed == nullptr && batch.type == to.view.type;
  for (std::size_t i = 0; i < batch.rows; ++i)
    to.valid.push_back(batch.states == nullptr || batch.states[i] == expr::Batch::kValue ? 1 : 0);
  if (packed && batch.type == Type::kDouble) {
    to.doubles.insert(to.doubles.end(), batch.doubles, batch.doubles + batch.rows);
    return;
  }
  if (packed && batch.type != Type::kBool) {
    to.ints.insert(to.ints.end(), batch.ints, batch.ints + batch.rows);
    return;
  }
  const std::size_t first = to.valid.size() - batch.rows;
  for (std::size_t i = 0; i < batch.rows; ++i) {
    const Datum value = batch.at(i);
    const bool has_value = !value.is_null() && !value.is_error();
    to.valid[first + i] = has_value ? 1 : 0;
    add(has_value ? value : zero_of(to.view.type), to);
  }
}

void Columns::add(const Datum& value, Values& to) {
  switch (to.view.type) {
    case Type::kDouble: to.doubles.push_back(value.number()); break;
    case Type::kString: to.codes.push_back(to.texts.insert(value.str())); break;
    case Type::kBool: to.ints.push_back(value.b ? 1 : 0); break;
    default: to.ints.push_back(value.i);
  }
}

void Columns::encode(const Step& step, std::size_t rows, Values& to) {
  to.doubles.assign(rows, 0);
  to.valid.assign(rows, 0);
  // Not fitted yet: encoders have no values.
  if (code_.rows == 0) return;
  const auto& tuples = tuples_of(static_cast<std::size_t>(step.combination), rows);
  for (std::size_t i = 0; i < rows; ++i) {
    if (tuples[i] == kMissingTuple) continue;
    const double number =
        tuples[i] < 0 ? step.unseen : step.values[static_cast<std::size_t>(tuples[i])];
    to.doubles[i] = number;
    // NaN is how an encoder says that it has no value.
    to.valid[i] = number == number ? 1 : 0;
  }
}

void Columns::look_up(const Step& step, std::size_t rows, Values& to) {
  const auto at = static_cast<std::size_t>(step.lookup);
  const Lookup& lookup = code_.lookups[at];
  const auto& parts = lookup.parts();
  std::int64_t key[kMaxInputs];
  for (std::size_t row = 0; row < rows; ++row) {
    bool is_whole = true;
    for (std::size_t i = 0; i < parts.size() && is_whole; ++i) {
      const expr::ColumnView& view = slots_[static_cast<std::size_t>(parts[i].slot)];
      const bool is_missing = view.valid != nullptr && view.valid[row] == 0;
      const auto part =
          is_missing ? std::nullopt : lookup_keys_[at][i].at(view, static_cast<std::int64_t>(row));
      is_whole = part.has_value();
      key[i] = part.value_or(0);
    }
    const Datum value = is_whole ? lookup.value_of({key, parts.size()}) : Datum::null();
    to.valid.push_back(value.is_null() ? 0 : 1);
    add(value.is_null() ? zero_of(to.view.type) : value, to);
  }
}

const std::vector<std::int32_t>& Columns::tuples_of(std::size_t combination, std::size_t rows) {
  auto& out = tuples_[combination];
  // Several encoders may read one combination of inputs.
  if (has_tuples_[combination] != 0) return out;
  has_tuples_[combination] = 1;
  out.resize(rows);
  const Combination& c = code_.combinations[combination];
  for (std::size_t row = 0; row < rows; ++row) {
    const auto at = static_cast<std::int64_t>(row);
    std::int64_t key[kMaxInputs];
    bool missing = false;
    bool unseen = false;
    for (std::size_t k = 0; k < c.inputs.size(); ++k) {
      const auto i = static_cast<std::size_t>(c.inputs[k]);
      const expr::ColumnView& view = slots_[static_cast<std::size_t>(code_.inputs[i].slot)];
      const bool is_nan = view.type == Type::kDouble && view.doubles[row] != view.doubles[row];
      const bool none = is_nan || (view.valid != nullptr && view.valid[row] == 0);
      const auto found = none ? std::nullopt : keys_[i].at(view, at);
      missing = missing || none;
      unseen = unseen || (!none && !found);
      key[k] = found.value_or(0);
    }
    out[row] = missing  ? kMissingTuple
               : unseen ? kUnseenTuple
                        : c.tuples.find({key, c.inputs.size()});
  }
  return out;
}

void Columns::write(std::size_t step, std::size_t rows, float* out) const {
  const expr::ColumnView& view = values_[step].view;
  const std::size_t width = code_.names.size();
  float* place = out + code_.steps[step].output;
  const auto each = [&](const auto& number) {
    for (std::size_t i = 0; i < rows; ++i, place += width)
      *place = view.valid[i] != 0 ? number(i) : __builtin_nanf("");
  };
  switch (view.type) {
    case Type::kDouble: return each([&](std::size_t i) { return float(view.doubles[i]); });
    case Type::kInt:
      // As rows have it: first a double.
      return each([&](std::size_t i) { return float(static_cast<double>(view.ints[i])); });
    case Type::kBool: return each([&](std::size_t i) { return view.ints[i] != 0 ? 1.0F : 0.0F; });
    default: return each([](std::size_t) { return __builtin_nanf(""); });
  }
}

}  // namespace heddle::feature
