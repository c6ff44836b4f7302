#include "serve/read_grpc.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "doc/protobuf.hpp"

namespace heddle::serve {
namespace {

using doc::ProtoReader;

Error malformed(std::string_view what) {
  return Error{ErrorKind::kInvalid, "grpc-malformed", fmt::format("{} is malformed", what),
               "send messages of the Open Inference Protocol, version 2"};
}

/// One entry of a `map<string, InferParameter>`.
struct Parameter {
  enum class Kind { kNone, kBool, kInteger, kText, kReal };
  std::string_view name{};
  Kind kind = Kind::kNone;  ///< `kNone`: no value was set, which counts as left out
  std::string_view text{};
  std::int64_t number = 0;  ///< integers and booleans
};

/// The members of the `oneof` of `InferParameter`: bool_param 1, int64_param 2, string_param 3,
/// double_param 4, uint64_param 5.
Result<Parameter> read_parameter(std::string_view message) {
  Parameter parameter;
  ProtoReader entry(message);
  while (entry.next()) {
    if (entry.field() == 1) parameter.name = entry.bytes();
    if (entry.field() != 2) continue;
    ProtoReader value(entry.bytes());
    while (value.next()) {
      switch (value.field()) {
        case 1:
          parameter.kind = Parameter::Kind::kBool;
          parameter.number = value.integer() != 0;
          break;
        case 2:
        case 5:
          parameter.number = static_cast<std::int64_t>(value.integer());
          // What is past the signed integers is no count and no time.
          parameter.kind = value.field() == 5 && parameter.number < 0 ? Parameter::Kind::kReal
                                                                      : Parameter::Kind::kInteger;
          break;
        case 3:
          parameter.kind = Parameter::Kind::kText;
          parameter.text = value.bytes();
          break;
        case 4:
          parameter.kind = Parameter::Kind::kReal;
          (void)value.wide_real();  // no parameter here is one
          break;
        default: return malformed("a parameter");
      }
    }
    if (value.failed()) return malformed("a parameter");
  }
  if (entry.failed()) return malformed("a parameter");
  return parameter;
}

/// Parameters of a request that mean something here, by the same rules as in JSON.
bool is_parameter(std::string_view name) noexcept {
  return name == "source" || name == "event_time" || name == "timeout" || name == "explain";
}

/// Parameters that clients send of their own accord and that change nothing here.
bool changes_nothing(const Parameter& parameter) noexcept {
  const std::string_view name = parameter.name;
  if (name == "content_type" || name == "headers" || name == "priority" ||
      name == "binary_data_output")
    return true;
  using Kind = Parameter::Kind;
  if (name == "sequence_id")
    return parameter.kind == Kind::kNone ||
           (parameter.kind == Kind::kInteger && parameter.number == 0);
  if (name == "sequence_start" || name == "sequence_end")
    return parameter.kind == Kind::kNone ||
           (parameter.kind == Kind::kBool && parameter.number == 0);
  return false;
}

Error unknown_parameter(std::string_view name, std::string_view known) {
  return Error{ErrorKind::kInvalid, "request-unknown-member",
               fmt::format("the request has an unknown parameter `{}`", shown(name)),
               fmt::format("known: {}", known)};
}

Result<void> take_parameter(const Parameter& parameter, Rows& rows) {
  using Kind = Parameter::Kind;
  const std::string_view name = parameter.name;
  if (parameter.kind == Kind::kNone && is_parameter(name)) return {};
  if (name == "source") {
    if (parameter.kind != Kind::kText || !is_id(parameter.text))
      return Error{ErrorKind::kInvalid, "request-id",
                   "`source` is not a name of 1 to 128 printable characters",
                   "leave out spaces, quotes, backslashes and `#`"};
    rows.source = parameter.text;
  } else if (name == "event_time") {
    rows.event_time.reset();
    if (parameter.kind == Kind::kInteger) rows.event_time = parameter.number;
    if (parameter.kind == Kind::kText) rows.event_time = parse_time(parameter.text);
    if (!rows.event_time.has_value())
      return Error{ErrorKind::kInvalid, "request-time", "`event_time` is no time",
                   "write it as `2001-04-10T05:00:00Z`, or as microseconds since 1970"};
  } else if (name == "timeout") {
    if (parameter.kind != Kind::kInteger || parameter.number < 0)
      return Error{ErrorKind::kInvalid, "oip-timeout", "`timeout` is no time", "send microseconds"};
    rows.timeout_us = std::min(parameter.number, kLongestTimeoutUs);
  } else if (name == "explain") {
    if (parameter.kind != Kind::kBool)
      return Error{ErrorKind::kInvalid, "request-shape", "`explain` is neither true nor false",
                   "send a boolean"};
    // An output that is asked for by its name is wanted whatever comes first.
    if (parameter.number != 0) rows.outputs[Output::kContributions].wanted = true;
  } else if (!changes_nothing(parameter)) {
    return unknown_parameter(name, "`source`, `event_time`, `timeout`, `explain`");
  }
  return {};
}

Result<void> take_output(std::string_view message, Rows& rows) {
  ProtoReader reader(message);
  std::string_view name;
  while (reader.next()) {
    if (reader.field() == 1) name = reader.bytes();
    if (reader.field() != 2) continue;
    HEDDLE_ASSIGN_OR_RETURN(const Parameter parameter, read_parameter(reader.bytes()));
    const bool none = parameter.name == "classification" && parameter.number == 0;
    if (!none && parameter.name != "binary_data" && parameter.name != "content_type")
      return unknown_parameter(parameter.name, "`binary_data`");
  }
  if (reader.failed()) return malformed("a requested output");
  HEDDLE_TRY(rows.outputs.list(name));
  return {};
}

/// The members of `InferTensorContents` by their number.
constexpr std::array<std::string_view, 9> kContents = {"",
                                                       "bool_contents",
                                                       "int_contents",
                                                       "int64_contents",
                                                       "uint_contents",
                                                       "uint64_contents",
                                                       "fp32_contents",
                                                       "fp64_contents",
                                                       "bytes_contents"};

/// The one that holds a datatype's values, as the protocol has it; 0: values of it are raw only.
std::uint32_t contents_of(Datatype datatype) noexcept {
  switch (datatype) {
    case Datatype::kBool: return 1;
    case Datatype::kInt8:
    case Datatype::kInt16:
    case Datatype::kInt32: return 2;
    case Datatype::kInt64: return 3;
    case Datatype::kUint8:
    case Datatype::kUint16:
    case Datatype::kUint32: return 4;
    case Datatype::kUint64: return 5;
    case Datatype::kFp32: return 6;
    case Datatype::kFp64: return 7;
    case Datatype::kBytes: return 8;
    case Datatype::kFp16:
    case Datatype::kBf16: return 0;
  }
  return 0;
}

constexpr std::size_t kMostUnknownInputs = 64;

}  // namespace

Result<GrpcInfer> GrpcReader::read_names(std::string_view message) {
  GrpcInfer infer;
  ProtoReader reader(message);
  while (reader.next()) {
    if (reader.field() == 1) infer.model = reader.bytes();
    if (reader.field() == 2) infer.version = reader.bytes();
  }
  if (reader.failed()) return malformed("the message");
  return infer;
}

Result<GrpcInfer> GrpcReader::read(std::string_view message, const FieldNames& fields,
                                   std::size_t max_rows) {
  GrpcInfer infer;
  tensors_.begin(fields, max_rows, rows_);
  inputs_.clear();
  raw_.clear();
  ProtoReader reader(message);
  while (reader.next()) {
    switch (reader.field()) {
      case 1: infer.model = reader.bytes(); break;
      case 2: infer.version = reader.bytes(); break;
      case 3:
        rows_.request_id = reader.bytes();
        if (!rows_.request_id.empty() && !is_id(rows_.request_id)) {
          return Error{ErrorKind::kInvalid, "request-id",
                       "`id` is not a name of 1 to 128 printable characters",
                       "leave out spaces, quotes, backslashes and `#`"};
        }
        break;
      case 4: {
        HEDDLE_ASSIGN_OR_RETURN(const Parameter parameter, read_parameter(reader.bytes()));
        HEDDLE_TRY(take_parameter(parameter, rows_));
        break;
      }
      case 5: inputs_.push_back(reader.bytes()); break;
      case 6: HEDDLE_TRY(take_output(reader.bytes(), rows_)); break;
      case 7: raw_.push_back(reader.bytes()); break;
      default: return malformed("a field that the message does not have");
    }
    // An input that the contract does not have refuses the rows; so many of them are no renamed
    // field.
    if (std::max(inputs_.size(), raw_.size()) > fields.size() + kMostUnknownInputs) {
      return Error{ErrorKind::kInvalid, "request-unknown-field",
                   fmt::format("the request has {} inputs more than there are fields",
                               kMostUnknownInputs + 1),
                   fmt::format("the contract's fields are {}", fields.list())};
    }
  }
  if (reader.failed()) return malformed("the message");
  infer.raw = !raw_.empty();
  std::size_t next_raw = 0;
  for (const std::string_view input : inputs_) HEDDLE_TRY(read_input(input, next_raw));
  if (rows_.count == 0)
    return Error{ErrorKind::kInvalid, "request-shape", "the request has no `inputs`",
                 "send one tensor a field"};
  if (next_raw != raw_.size())
    return Error{ErrorKind::kInvalid, "oip-binary",
                 "`raw_input_contents` has more parts than there are inputs",
                 "send one part an input"};
  tensors_.finish();
  infer.rows = &rows_;
  return infer;
}

Result<void> GrpcReader::read_input(std::string_view message, std::size_t& next_raw) {
  std::string_view name;
  std::string_view datatype;
  std::string_view contents;
  bool has_contents = false;
  shape_.clear();
  ProtoReader reader(message);
  while (reader.next()) {
    switch (reader.field()) {
      case 1: name = reader.bytes(); break;
      case 2: datatype = reader.bytes(); break;
      case 3: reader.integers(shape_); break;
      case 4: {
        // What only describes the tensor is taken; shared memory, for example, would be elsewhere.
        HEDDLE_ASSIGN_OR_RETURN(const Parameter parameter, read_parameter(reader.bytes()));
        if (parameter.name != "content_type" && parameter.name != "binary_data_size")
          return unknown_parameter(parameter.name, "`content_type`");
        break;
      }
      case 5:
        contents = reader.bytes();
        has_contents = true;
        break;
      default: return malformed("an input");
    }
  }
  if (reader.failed()) return malformed("an input");
  if (name.empty() || datatype.empty())
    return Error{ErrorKind::kInvalid, "oip-input", "an input lacks `name` or `datatype`",
                 "see the Open Inference Protocol, version 2"};
  HEDDLE_ASSIGN_OR_RETURN(const TensorRows::Input input, tensors_.input(name, datatype, shape_));
  if (raw_.empty()) return put_contents(input, contents);
  if (has_contents && !contents.empty())
    return Error{ErrorKind::kInvalid, "oip-input",
                 fmt::format("input `{}` has contents beside `raw_input_contents`", shown(name)),
                 "send one or the other"};
  if (next_raw == raw_.size())
    return Error{ErrorKind::kInvalid, "oip-binary",
                 fmt::format("`raw_input_contents` has no part for input `{}`", shown(name)),
                 "send one part an input"};
  return tensors_.put_raw(input, raw_[next_raw++]);
}

/// The elements of one tensor in their order. Those past its shape are counted, for the message.
class GrpcReader::Elements {
 public:
  Elements(TensorRows& tensors, const TensorRows::Input& input)
      : tensors_(tensors), input_(input) {}

  void put(const expr::Datum& value) {
    if (row_ < tensors_.count()) fits_ = tensors_.put(input_, row_, value) && fits_;
    ++row_;
  }
  void put_unsigned(std::uint64_t value) {
    if (row_ < tensors_.count()) fits_ = tensors_.put_unsigned(input_, row_, value) && fits_;
    ++row_;
  }
  [[nodiscard]] Result<void> finish() const {
    if (row_ != tensors_.count())
      return TensorRows::wrong_data(input_.name, row_ < tensors_.count()
                                                     ? "fewer values than its shape says"
                                                     : "more values than its shape says");
    if (!fits_)
      return TensorRows::wrong_data(input_.name, "a value that does not fit its datatype");
    return {};
  }

 private:
  TensorRows& tensors_;
  const TensorRows::Input& input_;
  std::size_t row_ = 0;
  bool fits_ = true;
};

bool GrpcReader::put_values(ProtoReader& reader, Elements& elements) {
  switch (reader.field()) {
    case 1:
      integers_.clear();
      reader.integers(integers_);
      for (const std::int64_t value : integers_) elements.put(expr::Datum::boolean(value != 0));
      return true;
    case 2:
    case 3:
    case 4:
      integers_.clear();
      reader.integers(integers_);
      // A negative int32 is sent sign-extended: it needs no look at its width.
      for (const std::int64_t value : integers_) elements.put(expr::Datum::integer(value));
      return true;
    case 5:
      integers_.clear();
      reader.integers(integers_);
      // Past the signed integers a uint64 has the bits of a negative one here.
      for (const std::int64_t value : integers_) {
        if (value < 0)
          elements.put_unsigned(static_cast<std::uint64_t>(value));
        else
          elements.put(expr::Datum::integer(value));
      }
      return true;
    case 6:
      reals_.clear();
      reader.reals(reals_);
      for (const float value : reals_) elements.put(expr::Datum::real(static_cast<double>(value)));
      return true;
    case 7:
      wide_reals_.clear();
      reader.wide_reals(wide_reals_);
      for (const double value : wide_reals_) elements.put(expr::Datum::real(value));
      return true;
    case 8: elements.put(bytes_element(reader.bytes())); return true;
    default: return false;
  }
}

Result<void> GrpcReader::put_contents(const TensorRows::Input& input, std::string_view message) {
  const std::uint32_t own = contents_of(input.datatype);
  Elements elements(tensors_, input);
  ProtoReader reader(message);
  while (reader.next()) {
    if (reader.field() >= 1 && reader.field() <= 8 && reader.field() != own) {
      return TensorRows::wrong_data(
          input.name,
          own == 0
              ? fmt::format("typed contents, which {} does not have: send `raw_input_contents`",
                            name_of(input.datatype))
              : fmt::format("`{}` where {} has `{}`", kContents[reader.field()],
                            name_of(input.datatype), kContents[own]));
    }
    if (!put_values(reader, elements)) return malformed("the contents of an input");
  }
  if (reader.failed()) return malformed("the contents of an input");
  return elements.finish();
}

}  // namespace heddle::serve
