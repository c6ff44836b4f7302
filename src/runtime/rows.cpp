#include "runtime/rows.hpp"

namespace heddle::runtime {

void Rows::add_features(std::span<const float> row) {
  features_.insert(features_.end(), row.begin(), row.end());
  ++count_;
}

void Rows::add_fields(std::span<const expr::Datum> typed) {
  for (const expr::Datum& value : typed) {
    fields_.push_back(value.kind == expr::Datum::Kind::kString
                          ? expr::Datum::string(texts_.emplace_back(value.str()))
                          : value);
  }
  ++count_;
}

Rows Rows::slice(std::size_t begin, std::size_t end) const {
  Rows out;
  if (begin >= end || end > count_) return out;
  const std::size_t wide = features_.size() / count_;
  const std::size_t fields = fields_.size() / count_;
  for (std::size_t row = begin; row < end; ++row) {
    if (wide > 0)
      out.add_features(features().subspan(row * wide, wide));
    else
      out.add_fields(this->fields().subspan(row * fields, fields));
  }
  return out;
}

}  // namespace heddle::runtime
