#include "feature/encoder.hpp"

#include <bit>

namespace heddle::feature {
namespace {

using expr::Datum;
using expr::Type;

Error corrupt(std::string_view what) {
  return {ErrorKind::kCorrupt, "features-malformed", fmt::format("a fitted encoder is malformed: {}", what), "take the bundle from its source again"};
}

/// The integer that stands for a value that is no string.
std::int64_t key_of(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kBool: return value.b ? 1 : 0;
    case Datum::Kind::kDouble: return std::bit_cast<std::int64_t>(value.d == 0 ? 0.0 : value.d);  // -0 is 0
    default: return value.i;
  }
}

}  // namespace

Encoder::Encoder(spec::Feature::Kind kind, double smoothing, std::vector<Type> types)
    : kind_(kind), smoothing_(smoothing), types_(std::move(types)), strings_(types_.size()), tuples_(types_.size()) {}

double Encoder::encode(Counts of, Counts all) const noexcept {
  if (kind_ == spec::Feature::Kind::kFrequencyEncoding) {
    return all.rows == 0 ? 0.0 : static_cast<double>(of.rows) / static_cast<double>(all.rows);
  }
  const double prior = all.rows == 0 ? 0.0 : static_cast<double>(all.positive) / static_cast<double>(all.rows);
  const double weight = static_cast<double>(of.rows) + smoothing_;
  return weight == 0 ? prior : (static_cast<double>(of.positive) + smoothing_ * prior) / weight;
}

void Encoder::begin(std::size_t folds) {
  *this = Encoder(kind_, smoothing_, types_);
  fold_counts_.resize(folds);
  fold_all_.resize(folds);
}

std::int32_t Encoder::learn(std::span<const Datum> row, std::span<const std::size_t> inputs, std::size_t fold, std::uint8_t label,
                            std::vector<std::int64_t>& key) {
  key.resize(inputs.size());
  ++fold_all_[fold].rows;
  fold_all_[fold].positive += label;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Datum& value = row[inputs[i]];
    if (value.is_null() || value.is_error()) return -1;
    key[i] = types_[i] == Type::kString ? strings_[i].insert(value.str()) : key_of(value);
  }
  const std::int32_t code = tuples_.insert(key);
  for (auto& counts : fold_counts_) {
    if (counts.size() < tuples_.size()) counts.resize(tuples_.size());
  }
  auto& counts = fold_counts_[fold][static_cast<std::size_t>(code)];
  ++counts.rows;
  counts.positive += label;
  return code;
}

void Encoder::finish() {
  counts_.assign(tuples_.size(), {});
  all_ = {};
  for (std::size_t fold = 0; fold < fold_counts_.size(); ++fold) {
    all_.rows += fold_all_[fold].rows;
    all_.positive += fold_all_[fold].positive;
    for (std::size_t code = 0; code < fold_counts_[fold].size(); ++code) {
      counts_[code].rows += fold_counts_[fold][code].rows;
      counts_[code].positive += fold_counts_[fold][code].positive;
    }
  }
  values_.clear();
  for (const auto& counts : counts_) values_.push_back(encode(counts, all_));
  unseen_ = encode({}, all_);
  fitted_ = true;
}

Datum Encoder::cross_fitted(std::int32_t code, std::size_t fold) const noexcept {
  if (code < 0) return Datum::null();
  const auto index = static_cast<std::size_t>(code);
  const Counts own = fold_counts_[fold][index];
  return Datum::real(encode({counts_[index].rows - own.rows, counts_[index].positive - own.positive},
                            {all_.rows - fold_all_[fold].rows, all_.positive - fold_all_[fold].positive}));
}

void Encoder::forget_folds() {
  fold_counts_.clear();
  fold_all_.clear();
}

Datum Encoder::value(std::span<const Datum> row, std::span<const std::size_t> inputs, std::vector<std::int64_t>& key) const noexcept {
  if (!fitted_) return Datum::null();
  if (key.size() < inputs.size()) key.resize(inputs.size());
  bool seen = true;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Datum& value = row[inputs[i]];
    if (value.is_null() || value.is_error()) return Datum::null();
    if (types_[i] == Type::kString) {
      const auto code = strings_[i].find(value.str());
      seen = seen && code >= 0;
      key[i] = code;
    } else {
      key[i] = key_of(value);
    }
  }
  const auto code = seen ? tuples_.find({key.data(), inputs.size()}) : -1;
  return Datum::real(code < 0 ? unseen_ : values_[static_cast<std::size_t>(code)]);
}

doc::Value Encoder::to_value() const {
  auto strings = doc::Value::array();
  for (const auto& index : strings_) {
    auto list = doc::Value::array();
    for (const auto& word : index.values()) list.push(word);
    strings.push(std::move(list));
  }
  auto tuples = doc::Value::array();
  auto rows = doc::Value::array();
  auto positive = doc::Value::array();
  for (std::size_t code = 0; code < tuples_.size(); ++code) {
    for (const std::int64_t part : tuples_.tuple(static_cast<std::int32_t>(code))) tuples.push(part);
    rows.push(counts_[code].rows);
    positive.push(counts_[code].positive);
  }
  return doc::Value::object({{"rows_all", all_.rows}, {"positive_all", all_.positive}, {"strings", strings}, {"tuples", tuples},
                             {"rows", rows}, {"positive", positive}});
}

Result<void> Encoder::load(const doc::Value& value) {
  *this = Encoder(kind_, smoothing_, types_);
  const auto* strings = value.find("strings");
  const auto* tuples = value.find("tuples");
  const auto* rows = value.find("rows");
  const auto* positive = value.find("positive");
  for (const auto* list : {strings, tuples, rows, positive}) {
    if (list == nullptr || !list->is_array()) return corrupt("a list is missing");
  }
  if (strings->size() != types_.size() || rows->size() != positive->size() || tuples->size() != rows->size() * types_.size()) {
    return corrupt("its lists do not fit each other");
  }
  for (std::size_t i = 0; i < types_.size(); ++i) {
    const auto& words = strings->as_array()[i];
    if (!words.is_array()) return corrupt("a list of words is missing");
    for (const auto& word : words.as_array()) {
      if (!word.is_string()) return corrupt("a word is no string");
      strings_[i].insert(word.as_string());
    }
    if (strings_[i].size() != words.size()) return corrupt("a word stands twice");
  }
  std::vector<std::int64_t> key(types_.size());
  for (std::size_t code = 0; code < rows->size(); ++code) {
    for (std::size_t i = 0; i < types_.size(); ++i) {
      const auto& part = tuples->as_array()[code * types_.size() + i];
      if (!part.is_int()) return corrupt("a combination is no list of integers");
      key[i] = part.as_int();
    }
    const auto& row_count = rows->as_array()[code];
    const auto& positive_count = positive->as_array()[code];
    if (!row_count.is_int() || !positive_count.is_int()) return corrupt("a count is no integer");
    if (tuples_.insert(key) != static_cast<std::int32_t>(code)) return corrupt("a combination stands twice");
    counts_.push_back({row_count.as_int(), positive_count.as_int()});
  }
  all_ = {value.int_or("rows_all"), value.int_or("positive_all")};
  for (const auto& counts : counts_) values_.push_back(encode(counts, all_));
  unseen_ = encode({}, all_);
  fitted_ = true;
  return {};
}

}  // namespace heddle::feature
