#include "doc/value.hpp"

namespace heddle::doc {

std::string_view Value::type_name() const noexcept {
  static constexpr std::string_view kNames[] = {"null",   "boolean", "integer", "number",
                                                "string", "array",   "object"};
  return kNames[data_.index()];
}

double Value::as_double() const {
  return is_int() ? static_cast<double>(std::get<std::int64_t>(data_)) : std::get<double>(data_);
}

const Value* Value::find(std::string_view key) const noexcept {
  if (const auto* object = std::get_if<Object>(&data_)) {
    // In their order: an object keeps it, and most have few members.
    for (const auto& member : *object) {
      if (member.first == key) return &member.second;
    }
  }
  return nullptr;
}

Value* Value::find(std::string_view key) noexcept {
  return const_cast<Value*>(static_cast<const Value*>(this)->find(key));
}

std::string Value::string_or(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_string() ? value->as_string() : std::string(fallback);
}
std::int64_t Value::int_or(std::string_view key, std::int64_t fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_int() ? value->as_int() : fallback;
}
double Value::double_or(std::string_view key, double fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_number() ? value->as_double() : fallback;
}
bool Value::bool_or(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_bool() ? value->as_bool() : fallback;
}

Value& Value::set(std::string key, Value value) {
  // A null becomes what is built of it.
  if (is_null()) data_ = Object{};
  if (Value* present = find(key)) {
    *present = std::move(value);
  } else {
    as_object().emplace_back(std::move(key), std::move(value));
  }
  return *this;
}

Value& Value::push(Value value) {
  if (is_null()) data_ = Array{};
  as_array().push_back(std::move(value));
  return *this;
}

std::size_t Value::size() const noexcept {
  if (const auto* array = std::get_if<Array>(&data_)) return array->size();
  if (const auto* object = std::get_if<Object>(&data_)) return object->size();
  return 0;
}

}  // namespace heddle::doc
