#include "serve/request.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

namespace heddle::serve {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

Error invalid(std::string_view id, std::string message, std::string hint) {
  return Error{ErrorKind::kInvalid, std::string(id), std::move(message), std::move(hint)};
}

std::string quoted_list(const std::vector<std::string>& names) { return fmt::format("`{}`", fmt::join(names, "`, `")); }

/// Request ids go into row ids, logs and answers as they are.
bool is_id(std::string_view text, bool with_hash) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [&](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && (with_hash || c != '#');
  });
}

bool to_datum(const element& value, expr::Datum& out) {
  switch (value.type()) {
    case element_type::STRING: out = expr::Datum::string(value.get_string().value_unsafe()); return true;
    case element_type::INT64: out = expr::Datum::integer(value.get_int64().value_unsafe()); return true;
    case element_type::UINT64: out = expr::Datum::real(static_cast<double>(value.get_uint64().value_unsafe())); return true;
    case element_type::DOUBLE: out = expr::Datum::real(value.get_double().value_unsafe()); return true;
    case element_type::BOOL: out = expr::Datum::boolean(value.get_bool().value_unsafe()); return true;
    case element_type::NULL_VALUE: out = expr::Datum::null(); return true;
    default: return false;
  }
}

Result<Micros> to_time(const element& value) {
  if (value.type() == element_type::STRING) {
    if (const auto time = parse_time(value.get_string().value_unsafe()); time.has_value()) return *time;
  } else if (value.type() == element_type::INT64) {
    return value.get_int64().value_unsafe();
  }
  return invalid("request-time", "`event_time` is no time", "write it as `2001-04-10T05:00:00Z`, or as microseconds since 1970");
}

Result<std::string_view> to_id(const element& value, std::string_view name, bool with_hash = false) {
  if (value.type() == element_type::STRING && is_id(value.get_string().value_unsafe(), with_hash)) return value.get_string().value_unsafe();
  return invalid("request-id", fmt::format("`{}` is not a name of 1 to 128 printable characters", name), "leave out spaces, quotes, backslashes and `#`");
}

Error unknown_member(std::string_view name, std::string_view known) {
  return invalid("request-unknown-member", fmt::format("the request has an unknown member `{}`", name), fmt::format("known: {}", known));
}
Error repeated(std::string_view name) {
  return invalid("request-repeated", fmt::format("`{}` is there twice", name), "give each name once");
}
Error too_many(std::size_t max) {
  return Error{ErrorKind::kTooLarge, "request-too-many-rows", fmt::format("the request has more than {} rows", max), "send them in several requests"};
}

}  // namespace

FieldNames::FieldNames(std::span<const spec::Field> fields) {
  for (const spec::Field& field : fields) names_.push_back(field.name);
}

int FieldNames::find(std::string_view name, std::size_t hint) const noexcept {
  for (std::size_t step = 0; step < names_.size(); ++step) {
    const std::size_t at = hint + step < names_.size() ? hint + step : hint + step - names_.size();
    if (names_[at] == name) return static_cast<int>(at);
  }
  return -1;
}

struct RequestReader::Parser {
  simdjson::dom::parser dom;

  Result<simdjson::dom::object> object(std::string_view body) {
    element root;
    // The buffer has padding behind the body: nothing is copied.
    const auto error = dom.parse(body.data(), body.size(), false).get(root);
    if (error != simdjson::SUCCESS) {
      return invalid("request-json", fmt::format("the body is not JSON: {}", simdjson::error_message(error)), "send one JSON object, UTF-8");
    }
    simdjson::dom::object object;
    if (root.get(object) != simdjson::SUCCESS) return invalid("request-json", "the body is not a JSON object", "send one JSON object");
    return object;
  }
};

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {}
RequestReader::~RequestReader() = default;

Result<const Rows*> RequestReader::read_rows(std::string_view body, const FieldNames& fields, std::size_t max_rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  rows_.request_id = rows_.source = {};
  rows_.event_time.reset();
  rows_.count = 0;
  rows_.values.clear();
  rows_.wants_probability = rows_.wants_validation = true;
  seen_.assign(fields.size(), 0);
  const std::size_t width = fields.size();
  bool has_rows = false;
  for (const auto [name, value] : root) {
    if (name == "rows") {
      if (has_rows) return repeated(name);
      has_rows = true;
      simdjson::dom::array rows;
      if (value.get(rows) != simdjson::SUCCESS) return invalid("request-shape", "`rows` is not an array", "send `\"rows\": [{field: value}]`");
      for (const element row : rows) {
        if (rows_.count == max_rows) return too_many(max_rows);
        simdjson::dom::object cells;
        if (row.get(cells) != simdjson::SUCCESS) {
          return invalid("request-shape", fmt::format("row {} is not an object", rows_.count), "each row is an object of field names and values");
        }
        const auto stamp = static_cast<std::uint32_t>(rows_.count + 1);
        rows_.values.resize((rows_.count + 1) * width);
        expr::Datum* out = rows_.values.data() + rows_.count * width;
        std::size_t expected = 0;
        for (const auto [field, cell] : cells) {
          const int at = fields.find(field, expected);
          if (at < 0) {
            return invalid("request-unknown-field", fmt::format("row {} has the unknown field `{}`", rows_.count, field),
                           fmt::format("the contract's fields are {}", quoted_list(fields.names())));
          }
          const auto index = static_cast<std::size_t>(at);
          if (seen_[index] == stamp) return repeated(field);
          seen_[index] = stamp;
          if (!to_datum(cell, out[index])) {
            return invalid("request-shape", fmt::format("field `{}` of row {} is an array or an object", field, rows_.count), "values are strings, numbers, booleans or null");
          }
          expected = index + 1 < width ? index + 1 : 0;
        }
        ++rows_.count;
      }
    } else if (name == "request_id") {
      if (!rows_.request_id.empty()) return repeated(name);
      HEDDLE_ASSIGN_OR_RETURN(rows_.request_id, to_id(value, name));
    } else if (name == "event_time") {
      if (rows_.event_time.has_value()) return repeated(name);
      HEDDLE_ASSIGN_OR_RETURN(rows_.event_time, to_time(value));
    } else if (name == "source") {
      if (!rows_.source.empty()) return repeated(name);
      HEDDLE_ASSIGN_OR_RETURN(rows_.source, to_id(value, name));
    } else {
      return unknown_member(name, "`rows`, `request_id`, `event_time`, `source`");
    }
  }
  if (rows_.count == 0) return invalid("request-shape", "the request has no rows", "send `\"rows\": [{field: value}]` with at least one row");
  return &rows_;
}

namespace {

/// Calls `take(i, value)` for each value of a tensor's data, flat or in rows of one; its count is checked.
template <class Take>
Result<void> each_value(std::string_view name, const simdjson::dom::array& data, std::size_t n, Take&& take) {
  const auto wrong = [&](std::string_view what) {
    return invalid("oip-data", fmt::format("input `{}` has {}", name, what), "data holds one value a row, flat or each in an array of its own");
  };
  std::size_t i = 0;
  for (element value : data) {
    simdjson::dom::array inner;
    if (value.get(inner) == simdjson::SUCCESS) {
      if (inner.size() != 1) return wrong("a row that is not of one value");
      value = inner.at(0).value_unsafe();
    }
    if (i == n) return wrong("more values than its shape says");
    if (!take(i, value)) return wrong("a value that does not fit its datatype");
    ++i;
  }
  return i == n ? Result<void>{} : wrong("fewer values than its shape says");
}

enum class Family { kNone, kBytes, kBool, kInt, kFloat };

Family family_of(std::string_view datatype) {
  if (datatype == "BYTES") return Family::kBytes;
  if (datatype == "BOOL") return Family::kBool;
  const std::string_view whole = datatype.starts_with('U') ? datatype.substr(1) : datatype;
  if (whole == "INT8" || whole == "INT16" || whole == "INT32" || whole == "INT64") return Family::kInt;
  if (datatype == "FP32" || datatype == "FP64") return Family::kFloat;
  return Family::kNone;
}

bool fits(const expr::Datum& value, Family family) {
  using Kind = expr::Datum::Kind;
  if (value.kind == Kind::kNull) return true;
  switch (family) {
    case Family::kBytes: return value.kind == Kind::kString;
    case Family::kBool: return value.kind == Kind::kBool || (value.kind == Kind::kInt && (value.i == 0 || value.i == 1));
    case Family::kInt: return value.kind == Kind::kInt;
    case Family::kFloat: return value.kind == Kind::kInt || value.kind == Kind::kDouble;
    default: return false;
  }
}

}  // namespace

Result<const Rows*> RequestReader::read_oip(std::string_view body, const FieldNames& fields, std::size_t max_rows) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  rows_.request_id = rows_.source = {};
  rows_.event_time.reset();
  rows_.count = 0;
  rows_.values.clear();
  rows_.wants_probability = rows_.wants_validation = true;
  seen_.assign(fields.size(), 0);
  const std::size_t width = fields.size();
  bool has_inputs = false;
  for (const auto [member, value] : root) {
    if (member == "id") {
      HEDDLE_ASSIGN_OR_RETURN(rows_.request_id, to_id(value, member));
    } else if (member == "parameters") {
      simdjson::dom::object parameters;
      if (value.get(parameters) != simdjson::SUCCESS) return invalid("request-shape", "`parameters` is not an object", "send an object");
      for (const auto [name, parameter] : parameters) {
        if (name == "source") {
          HEDDLE_ASSIGN_OR_RETURN(rows_.source, to_id(parameter, name));
        } else if (name == "event_time") {
          HEDDLE_ASSIGN_OR_RETURN(rows_.event_time, to_time(parameter));
        } else if (name != "binary_data_output") {
          return unknown_member(name, "`source`, `event_time`");
        }
      }
    } else if (member == "outputs") {
      simdjson::dom::array outputs;
      if (value.get(outputs) != simdjson::SUCCESS) return invalid("request-shape", "`outputs` is not an array", "send an array");
      rows_.wants_probability = rows_.wants_validation = false;
      for (const element output : outputs) {
        std::string_view name;
        if (output["name"].get(name) != simdjson::SUCCESS || (name != "probability" && name != "validation")) {
          return invalid("oip-output", "the request asks for an unknown output", "outputs are `probability` and `validation`");
        }
        (name == "probability" ? rows_.wants_probability : rows_.wants_validation) = true;
      }
    } else if (member == "inputs") {
      if (has_inputs) return repeated(member);
      has_inputs = true;
      simdjson::dom::array inputs;
      if (value.get(inputs) != simdjson::SUCCESS || inputs.size() == 0) return invalid("request-shape", "`inputs` is not an array of tensors", "send one tensor a field");
      std::size_t expected = 0;
      for (const element input : inputs) {
        std::string_view name;
        std::string_view datatype;
        simdjson::dom::array shape;
        simdjson::dom::array data;
        if (input["name"].get(name) != simdjson::SUCCESS || input["datatype"].get(datatype) != simdjson::SUCCESS || input["shape"].get(shape) != simdjson::SUCCESS) {
          return invalid("oip-input", "an input lacks `name`, `datatype` or `shape`", "see the Open Inference Protocol, version 2");
        }
        if (input["data"].get(data) != simdjson::SUCCESS) {
          return invalid("oip-binary", fmt::format("input `{}` has no `data`", name), "send JSON: the binary extension is not spoken yet (in tritonclient, `binary_data=False`)");
        }
        const int at = fields.find(name, expected);
        if (at < 0) return invalid("request-unknown-field", fmt::format("there is no input `{}`", name), fmt::format("the contract's fields are {}", quoted_list(fields.names())));
        const auto index = static_cast<std::size_t>(at);
        if (seen_[index] != 0) return repeated(name);
        seen_[index] = 1;
        expected = index + 1 < width ? index + 1 : 0;
        std::uint64_t n = 0;
        std::uint64_t second = 1;
        const std::size_t dimensions = shape.size();
        if ((dimensions != 1 && dimensions != 2) || shape.at(0).get(n) != simdjson::SUCCESS ||
            (dimensions == 2 && (shape.at(1).get(second) != simdjson::SUCCESS || second != 1)) || n == 0) {
          return invalid("oip-shape", fmt::format("input `{}` is not of shape [n] or [n,1]", name), "send one value a row");
        }
        if (n > max_rows) return too_many(max_rows);
        if (rows_.count == 0) {
          rows_.count = static_cast<std::size_t>(n);
          rows_.values.assign(rows_.count * width, expr::Datum::null());
        } else if (rows_.count != n) {
          return invalid("oip-shape", fmt::format("input `{}` has {} rows, others have {}", name, n, rows_.count), "send the same number of rows in each tensor");
        }
        const Family family = family_of(datatype);
        if (family == Family::kNone) return invalid("oip-datatype", fmt::format("input `{}` is of datatype `{}`", name, datatype), "use BYTES, BOOL, INT8 to INT64, UINT8 to UINT64, FP32 or FP64");
        HEDDLE_TRY(each_value(name, data, rows_.count, [&](std::size_t row, const element& cell) {
          expr::Datum& out = rows_.values[row * width + index];
          if (!to_datum(cell, out) || !fits(out, family)) return false;
          if (family == Family::kBool && out.kind == expr::Datum::Kind::kInt) out = expr::Datum::boolean(out.i != 0);
          return true;
        }));
      }
    } else {
      return unknown_member(member, "`id`, `parameters`, `inputs`, `outputs`");
    }
  }
  if (rows_.count == 0) return invalid("request-shape", "the request has no `inputs`", "send one tensor a field");
  return &rows_;
}

Result<std::span<const LabelIn>> RequestReader::read_labels(std::string_view body, std::size_t max_labels) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  labels_.clear();
  bool has_labels = false;
  for (const auto [name, value] : root) {
    if (name != "labels") return unknown_member(name, "`labels`");
    if (has_labels) return repeated(name);
    has_labels = true;
    simdjson::dom::array items;
    if (value.get(items) != simdjson::SUCCESS) return invalid("request-shape", "`labels` is not an array", "send an array of objects");
    for (const element item : items) {
      if (labels_.size() == max_labels) return too_many(max_labels);
      simdjson::dom::object members;
      if (item.get(members) != simdjson::SUCCESS) return invalid("request-shape", fmt::format("label {} is not an object", labels_.size()), "each has `row_id` and `label`");
      LabelIn label;
      bool has_value = false;
      for (const auto [key, cell] : members) {
        if (key == "row_id") {
          HEDDLE_ASSIGN_OR_RETURN(label.row_id, to_id(cell, key, true));
        } else if (key == "label") {
          bool flag = false;
          has_value = true;
          if (cell.get(label.label) == simdjson::SUCCESS) continue;
          if (cell.get(flag) != simdjson::SUCCESS) return invalid("request-shape", fmt::format("label {} is no number", labels_.size()), "send 0 or 1");
          label.label = flag ? 1 : 0;
        } else if (key == "event_time") {
          HEDDLE_ASSIGN_OR_RETURN(label.event_time, to_time(cell));
        } else {
          return unknown_member(key, "`row_id`, `label`, `event_time`");
        }
      }
      if (label.row_id.empty() || !has_value) return invalid("request-shape", fmt::format("label {} lacks `row_id` or `label`", labels_.size()), "each has both");
      labels_.push_back(label);
    }
  }
  if (!has_labels) return invalid("request-shape", "the request has no `labels`", "send `\"labels\": [{\"row_id\", \"label\", \"event_time\"}]`");
  return std::span<const LabelIn>(labels_);
}

Result<Micros> RequestReader::read_tick(std::string_view body) {
  HEDDLE_ASSIGN_OR_RETURN(const auto root, parser_->object(body));
  std::optional<Micros> time;
  for (const auto [name, value] : root) {
    if (name != "event_time") return unknown_member(name, "`event_time`");
    HEDDLE_ASSIGN_OR_RETURN(time, to_time(value));
  }
  if (!time.has_value()) return invalid("request-shape", "the request has no `event_time`", "send `\"event_time\"`");
  return *time;
}

}  // namespace heddle::serve
