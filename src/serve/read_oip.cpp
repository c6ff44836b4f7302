#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "serve/json_parts.hpp"

namespace heddle::serve {
namespace {

using json::element;
using json::invalid;
using json::unknown_member;

Error not_an_object(std::string_view what) {
  return invalid("request-shape", fmt::format("{} is not an object", what), "send an object");
}

/// The members of one object that were there already, each by a bit.
class Seen {
 public:
  [[nodiscard]] bool again(std::uint32_t member) noexcept {
    return (std::exchange(members_, members_ | member) & member) != 0;
  }
  [[nodiscard]] bool has(std::uint32_t member) const noexcept { return (members_ & member) != 0; }

 private:
  std::uint32_t members_ = 0;
};

/// Parameters that clients send of their own accord and that change nothing here.
bool changes_nothing(std::string_view name, const element& value) {
  if (name == "content_type" || name == "headers" || name == "priority") return true;
  if (value.is_null()) return name.starts_with("sequence_");
  std::int64_t number = 0;
  bool flag = false;
  if (name == "sequence_id") return value.get(number) == simdjson::SUCCESS && number == 0;
  if (name == "sequence_start" || name == "sequence_end")
    return value.get(flag) == simdjson::SUCCESS && !flag;
  return false;
}

/// Parameters of a request that mean something here.
bool is_json_parameter(std::string_view name) noexcept {
  return name == "source" || name == "event_time" || name == "timeout" || name == "explain" ||
         name == "binary_data_output";
}

/// One parameter of a request; what it may be named is_json_parameter's.
class ParameterReader {
 public:
  explicit ParameterReader(Rows& rows) : rows_(rows) {}

  Result<void> read(std::string_view name, const element& value) {
    if (value.is_null() && is_json_parameter(name))
      return {};  // as clients write what they do not set
    if (name == "source") return source(name, value);
    if (name == "event_time") return event_time(name, value);
    if (name == "timeout") return timeout(name, value);
    if (name == "explain") return explain(name, value);
    if (name == "binary_data_output") return binary_output(name, value);
    if (changes_nothing(name, value)) return {};
    return unknown_member(name,
                          "`source`, `event_time`, `timeout`, `explain`, `binary_data_output`");
  }

 private:
  static constexpr std::uint32_t kSource = 1, kEventTime = 2, kTimeout = 4, kExplain = 8,
                                 kBinary = 16;

  Result<void> source(std::string_view name, const element& value) {
    if (seen_.again(kSource)) return repeated(name);
    HEDDLE_ASSIGN_OR_RETURN(rows_.source, json::to_id(value, name));
    return {};
  }
  Result<void> event_time(std::string_view name, const element& value) {
    if (seen_.again(kEventTime)) return repeated(name);
    HEDDLE_ASSIGN_OR_RETURN(rows_.event_time, json::to_time(value));
    return {};
  }
  /// Microseconds, as Triton's schedule policy extension has it.
  Result<void> timeout(std::string_view name, const element& value) {
    if (seen_.again(kTimeout)) return repeated(name);
    if (value.get(rows_.timeout_us) != simdjson::SUCCESS || rows_.timeout_us < 0)
      return invalid("oip-timeout", "`timeout` is no time", "send microseconds");
    rows_.timeout_us = std::min(rows_.timeout_us, kLongestTimeoutUs);
    return {};
  }
  Result<void> explain(std::string_view name, const element& value) {
    if (seen_.again(kExplain)) return repeated(name);
    if (value.get(rows_.outputs[Output::kContributions].wanted) != simdjson::SUCCESS)
      return invalid("request-shape", "`explain` is neither true nor false", "send a boolean");
    return {};
  }
  Result<void> binary_output(std::string_view name, const element& value) {
    if (seen_.again(kBinary)) return repeated(name);
    bool binary = false;
    if (value.get(binary) != simdjson::SUCCESS)
      return invalid("request-shape", "`binary_data_output` is neither true nor false",
                     "send a boolean");
    rows_.outputs.all_binary(binary);
    return {};
  }

  Rows& rows_;
  Seen seen_{};
};

Result<void> read_parameters(const element& value, Rows& rows) {
  simdjson::dom::object parameters;
  if (value.get(parameters) != simdjson::SUCCESS) return not_an_object("`parameters`");
  ParameterReader reader(rows);
  for (const auto [name, parameter] : parameters) HEDDLE_TRY(reader.read(name, parameter));
  return {};
}

/// `parameters` of an entry of `outputs`.
Result<void> read_output_parameters(const simdjson::dom::object& parameters, OutputSpec& output) {
  bool has_binary = false;
  for (const auto [name, setting] : parameters) {
    if (name == "content_type") continue;
    std::int64_t classes = 0;
    // No top classes: what an answer has anyway.
    if (name == "classification" && setting.get(classes) == simdjson::SUCCESS && classes == 0)
      continue;
    if (name != "binary_data") return unknown_member(name, "`binary_data`");
    if (std::exchange(has_binary, true)) return repeated(name);
    if (setting.get(output.binary) != simdjson::SUCCESS)
      return invalid("request-shape", "`binary_data` is neither true nor false", "send a boolean");
  }
  return {};
}

/// One entry of `outputs`.
Result<void> read_output(const element& value, Rows& rows) {
  constexpr std::uint32_t kName = 1, kParameters = 2;
  simdjson::dom::object members, parameters;
  if (value.get(members) != simdjson::SUCCESS) return not_an_object("an output");
  Seen seen;
  std::string_view output_name;
  for (const auto [name, member] : members) {
    if (name == "name") {
      if (seen.again(kName)) return repeated(name);
      if (member.get(output_name) != simdjson::SUCCESS)
        return invalid("oip-output", "the `name` of an output is no string", "send a string");
    } else if (name == "parameters") {
      if (member.is_null()) continue;
      if (seen.again(kParameters)) return repeated(name);
      if (member.get(parameters) != simdjson::SUCCESS) return not_an_object("`parameters`");
    } else {
      return unknown_member(name, "`name`, `parameters`");
    }
  }
  HEDDLE_ASSIGN_OR_RETURN(OutputSpec* const output, rows.outputs.list(output_name));
  return seen.has(kParameters) ? read_output_parameters(parameters, *output) : Result<void>{};
}

/// After the parameters: what an output says of itself stands before what they say of all.
Result<void> read_outputs(const element& value, Rows& rows) {
  simdjson::dom::array outputs;
  if (value.get(outputs) != simdjson::SUCCESS)
    return invalid("request-shape", "`outputs` is not an array", "send an array");
  for (const element output : outputs) HEDDLE_TRY(read_output(output, rows));
  return {};
}

/// Calls `take(i, value)` for each value of a tensor's data, flat or in rows of one; its count is
/// checked.
template <class Take>
Result<void> each_value(std::string_view name, const simdjson::dom::array& data, std::size_t n,
                        Take&& take) {
  std::size_t i = 0;
  for (element value : data) {
    simdjson::dom::array inner;
    if (value.get(inner) == simdjson::SUCCESS) {
      if (inner.size() != 1) return TensorRows::wrong_data(name, "a row that is not of one value");
      value = inner.at(0).value_unsafe();
    }
    if (i == n) return TensorRows::wrong_data(name, "more values than its shape says");
    if (!take(i, value))
      return TensorRows::wrong_data(name, "a value that does not fit its datatype");
    ++i;
  }
  return i == n ? Result<void>{} : TensorRows::wrong_data(name, "fewer values than its shape says");
}

/// The members of one tensor.
struct TensorIn {
  std::string_view name{};
  std::string_view datatype{};
  std::array<std::int64_t, 3> shape{};
  std::size_t dimensions = 0;
  element data{};
  std::uint64_t binary_bytes = 0;
  bool binary = false;
};

[[gnu::always_inline]] inline Result<void> read_shape(const element& value, TensorIn& tensor) {
  simdjson::dom::array shape;
  if (value.get(shape) != simdjson::SUCCESS)
    return invalid("oip-shape", "the `shape` of an input is not an array", "send [n] or [n,1]");
  for (const element dimension : shape) {
    if (tensor.dimensions == tensor.shape.size()) break;  // refused by its length
    if (dimension.get(tensor.shape[tensor.dimensions++]) != simdjson::SUCCESS)
      return invalid("oip-shape", "a dimension is no integer", "send [n] or [n,1]");
  }
  return {};
}

/// Where the raw bytes of a tensor are its data, their count.
Result<void> read_tensor_parameters(const element& value, TensorIn& tensor) {
  simdjson::dom::object parameters;
  if (value.get(parameters) != simdjson::SUCCESS) return not_an_object("`parameters`");
  for (const auto [name, parameter] : parameters) {
    if (name == "binary_data_size") {
      if (tensor.binary) return repeated(name);
      if (parameter.get(tensor.binary_bytes) != simdjson::SUCCESS)
        return invalid("oip-binary", "`binary_data_size` is no number of bytes", "send an integer");
      tensor.binary = true;
    } else if (name != "content_type") {
      return unknown_member(name, "`binary_data_size`");
    }
  }
  return {};
}

// What reads a tensor is inlined, all of it: it runs for each member of each input of a request,
// and a result that is handed on costs more than what most of these do (bench/instructions.py).
struct TensorMember {
  static constexpr std::uint32_t kName = 1, kDatatype = 2, kShape = 4, kData = 8, kParameters = 16;
};

[[gnu::always_inline]] inline Result<void> read_tensor_text(std::string_view key,
                                                            const element& member,
                                                            std::string_view hint,
                                                            std::string_view& out) {
  if (member.get(out) == simdjson::SUCCESS) return {};
  return invalid("oip-input", fmt::format("the `{}` of an input is no string", key),
                 std::string(hint));
}

[[gnu::always_inline]] inline Result<void> read_tensor_member(std::string_view key,
                                                              const element& member, Seen& seen,
                                                              TensorIn& tensor) {
  if (key == "name") {
    if (seen.again(TensorMember::kName)) return repeated(key);
    return read_tensor_text(key, member, "send the name of a field", tensor.name);
  }
  if (key == "datatype") {
    if (seen.again(TensorMember::kDatatype)) return repeated(key);
    return read_tensor_text(key, member, "send the name of a datatype", tensor.datatype);
  }
  if (key == "shape") {
    if (seen.again(TensorMember::kShape)) return repeated(key);
    return read_shape(member, tensor);
  }
  if (key != "data" && key != "parameters")
    return unknown_member(key, "`name`, `shape`, `datatype`, `parameters`, `data`");
  if (member.is_null()) return {};  // as clients write a member that they do not set
  if (seen.again(key == "data" ? TensorMember::kData : TensorMember::kParameters))
    return repeated(key);
  if (key == "parameters") return read_tensor_parameters(member, tensor);
  tensor.data = member;
  return {};
}

[[gnu::always_inline]] inline Result<TensorIn> read_tensor(const element& value) {
  simdjson::dom::object members;
  if (value.get(members) != simdjson::SUCCESS) return not_an_object("an input");
  TensorIn tensor;
  Seen seen;
  for (const auto [key, member] : members)
    HEDDLE_TRY(read_tensor_member(key, member, seen, tensor));
  if (tensor.name.empty() || tensor.datatype.empty() || !seen.has(TensorMember::kShape)) {
    return invalid("oip-input", "an input lacks `name`, `datatype` or `shape`",
                   "see the Open Inference Protocol, version 2");
  }
  if (seen.has(TensorMember::kData) == tensor.binary) {
    return invalid("oip-input",
                   fmt::format("input `{}` has {}", shown(tensor.name),
                               tensor.binary ? "both `data` and `binary_data_size`" : "no data"),
                   "send `data`, or `binary_data_size` with the raw bytes behind the JSON");
  }
  return tensor;
}

/// Reads one tensor into its column; of a binary one, its bytes are taken off the front of `raw`.
template <class ToDatum>
Result<void> read_input(const element& value, const ToDatum& to_datum, TensorRows& tensors,
                        std::string_view& raw) {
  HEDDLE_ASSIGN_OR_RETURN(const TensorIn tensor, read_tensor(value));
  HEDDLE_ASSIGN_OR_RETURN(const auto input,
                          tensors.input(tensor.name, tensor.datatype,
                                        std::span(tensor.shape).first(tensor.dimensions)));
  if (tensor.binary) {
    if (tensor.binary_bytes > raw.size())
      return invalid("oip-binary", fmt::format("input `{}` ends past the body", shown(tensor.name)),
                     "send the raw bytes of each tensor in the order of `inputs`");
    HEDDLE_TRY(tensors.put_raw(input, raw.substr(0, tensor.binary_bytes)));
    raw.remove_prefix(tensor.binary_bytes);
    return {};
  }
  simdjson::dom::array data;
  if (tensor.data.get(data) != simdjson::SUCCESS)
    return invalid("oip-data",
                   fmt::format("`data` of input `{}` is not an array", shown(tensor.name)),
                   "send an array");
  return each_value(tensor.name, data, tensors.count(), [&](std::size_t row, const element& cell) {
    // Past the signed integers only some datatypes hold it: a Datum would not say so.
    if (cell.type() == simdjson::dom::element_type::UINT64)
      return tensors.put_unsigned(input, row, cell.get_uint64().value_unsafe());
    expr::Datum datum;
    return to_datum(cell, datum) && tensors.put(input, row, datum);
  });
}

template <class ToDatum>
Result<void> read_inputs(const element& value, const ToDatum& to_datum, TensorRows& tensors,
                         std::string_view& raw) {
  simdjson::dom::array inputs;
  if (value.get(inputs) != simdjson::SUCCESS || inputs.size() == 0)
    return invalid("request-shape", "`inputs` is not an array of tensors",
                   "send one tensor a field");
  for (const element input : inputs) HEDDLE_TRY(read_input(input, to_datum, tensors, raw));
  return {};
}

struct RequestMember {
  static constexpr std::uint32_t kId = 1, kModelName = 2, kModelVersion = 4, kParameters = 8,
                                 kOutputList = 16, kInputs = 32;
};

/// The `id` of a request; null and the empty string are how clients write that there is none.
Result<void> read_request_id(const element& value, Rows& rows) {
  std::string_view id;
  if (value.is_null() || (value.get(id) == simdjson::SUCCESS && id.empty())) return {};
  HEDDLE_ASSIGN_OR_RETURN(rows.request_id, json::to_id(value, "id"));
  return {};
}

/// The name or version of the model, which the path has already.
Result<void> read_model_name(std::string_view member, const element& value, Rows& rows) {
  if (value.is_null()) return {};
  if (!value.is_string())
    return invalid("oip-model", fmt::format("`{}` is no string", member),
                   fmt::format("leave it out: the path names the {}",
                               member == "model_name" ? "model" : "version"));
  if (member == "model_name") rows.model = value.get_string().value_unsafe();
  return {};
}

/// A member beside `inputs` and `outputs`.
Result<void> read_beside(std::string_view member, const element& value, Seen& seen, Rows& rows) {
  if (member == "id") {
    if (seen.again(RequestMember::kId)) return repeated(member);
    return read_request_id(value, rows);
  }
  if (member == "model_name" || member == "model_version") {
    const bool is_name = member == "model_name";
    if (seen.again(is_name ? RequestMember::kModelName : RequestMember::kModelVersion))
      return repeated(member);
    return read_model_name(member, value, rows);
  }
  if (member != "parameters")
    return unknown_member(member, "`id`, `parameters`, `inputs`, `outputs`");
  if (seen.again(RequestMember::kParameters)) return repeated(member);
  return value.is_null() ? Result<void>{} : read_parameters(value, rows);
}

}  // namespace

Result<const Rows*> RequestReader::read_oip(std::string_view body, std::size_t json_bytes,
                                            const FieldNames& fields, std::size_t max_rows) {
  if (json_bytes > body.size()) {
    return invalid("oip-binary", "`Inference-Header-Content-Length` says more than the body has",
                   "send the length of the JSON part in bytes");
  }
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body.substr(0, json_bytes)));
  std::string_view raw = body.substr(json_bytes);
  tensors_.begin(fields, max_rows, rows_);
  const auto to_datum = [this](const element& cell, expr::Datum& datum) {
    return parser_->to_datum(cell, datum);
  };
  Seen seen;
  element outputs;
  for (const auto [member, value] : root) {
    if (member == "inputs") {
      if (seen.again(RequestMember::kInputs)) return repeated(member);
      HEDDLE_TRY(read_inputs(value, to_datum, tensors_, raw));
    } else if (member == "outputs") {
      if (value.is_null()) continue;
      if (seen.again(RequestMember::kOutputList)) return repeated(member);
      outputs = value;
    } else {
      HEDDLE_TRY(read_beside(member, value, seen, rows_));
    }
  }
  if (seen.has(RequestMember::kOutputList)) HEDDLE_TRY(read_outputs(outputs, rows_));
  if (rows_.count == 0)
    return invalid("request-shape", "the request has no `inputs`", "send one tensor a field");
  tensors_.finish();
  if (!raw.empty())
    return invalid("oip-binary", fmt::format("{} bytes follow the last tensor", raw.size()),
                   "each binary tensor says its `binary_data_size`");
  return &rows_;
}

}  // namespace heddle::serve
