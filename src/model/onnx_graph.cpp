#include "model/onnx_graph.hpp"

#include <bit>
#include <cstring>
#include <optional>

#include "doc/protobuf.hpp"
#include "model/file_kind.hpp"

// Field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR versions 3 to 14).
namespace heddle::model {
namespace {

/// Attributes that are a tensor, a graph, or several of one.
bool holds_tensor(std::uint32_t field) {
  return field == 5 || field == 6 || field == 10 || field == 11;
}

bool read_attribute(std::string_view bytes, OnnxAttribute& out) {
  doc::ProtoReader in(bytes);
  while (in.next()) {
    switch (in.field()) {
      case 1: out.name = in.bytes(); break;
      case 2: out.real = in.real(); break;
      case 3: out.integer = static_cast<std::int64_t>(in.integer()); break;
      case 4: out.text = in.bytes(); break;
      case 7: in.reals(out.reals); break;
      case 8: in.integers(out.integers); break;
      case 9: out.texts.push_back(in.bytes()); break;
      default: out.tensor = out.tensor || holds_tensor(in.field());
    }
  }
  return !in.failed();
}

bool read_node(std::string_view bytes, OnnxNode& out) {
  doc::ProtoReader in(bytes);
  while (in.next()) {
    switch (in.field()) {
      case 1: out.inputs.push_back(in.bytes()); break;
      case 2: out.outputs.push_back(in.bytes()); break;
      case 3: out.name = in.bytes(); break;
      case 4: out.type = in.bytes(); break;
      case 5:
        if (!read_attribute(in.bytes(), out.attributes.emplace_back())) return false;
        break;
      case 7: out.domain = in.bytes(); break;
      default: break;
    }
  }
  return !in.failed();
}

constexpr std::int64_t kFloatTensor = 1;
constexpr std::int64_t kDoubleTensor = 11;
constexpr std::size_t kMostConstant = 4096;  ///< bytes of a constant that are looked at

template <class T>
void take_raw(std::string_view raw, std::vector<double>& out) {
  for (std::size_t at = 0; at + sizeof(T) <= raw.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, raw.data() + at, sizeof(T));  // raw_data is little-endian
    out.push_back(static_cast<double>(value));
  }
}

/// What stands in `raw_data`, where a writer puts most constants.
void add_raw(std::int64_t type, std::string_view raw, std::vector<double>& out) {
  if (type == kFloatTensor) take_raw<float>(raw, out);
  if (type == kDoubleTensor) take_raw<double>(raw, out);
}

/// TensorProto {data_type 2, float_data 4, double_data 10, name 8, raw_data 9}.
bool read_constant(std::string_view bytes, OnnxConstant& out) {
  doc::ProtoReader in(bytes);
  std::int64_t type = 0;
  std::string_view raw;
  std::vector<float> floats;
  std::vector<double> doubles;
  while (in.next()) {
    switch (in.field()) {
      case 2: type = static_cast<std::int64_t>(in.integer()); break;
      case 4: in.reals(floats); break;
      case 8: out.name = in.bytes(); break;
      case 9: raw = in.bytes(); break;
      case 10: in.wide_reals(doubles); break;
      default: break;
    }
  }
  if (in.failed()) return false;
  if (raw.size() > kMostConstant) return true;
  if (type == kFloatTensor) out.values.assign(floats.begin(), floats.end());
  if (type == kDoubleTensor) out.values = std::move(doubles);
  add_raw(type, raw, out.values);
  return true;
}

/// OperatorSetIdProto {domain 1, version 2}. Operators of ai.onnx.ml changed last in version 5.
Result<void> check_operators(std::string_view bytes) {
  constexpr std::int64_t kNewest = 5;
  doc::ProtoReader in(bytes);
  std::string_view domain;
  std::int64_t version = 0;
  while (in.next()) {
    if (in.field() == 1) domain = in.bytes();
    if (in.field() == 2) version = static_cast<std::int64_t>(in.integer());
  }
  if (in.failed()) return onnx_corrupt("has an operator set that does not read as protobuf");
  if (domain != "ai.onnx.ml" || version <= kNewest) return {};
  return onnx_unsupported(fmt::format(
      "uses operators of ai.onnx.ml version {}, newer than {}, the newest that is known here",
      version, kNewest));
}

/// TensorShapeProto.Dimension {dim_value 1 | dim_param 2}; -1 where it is open.
bool read_dimension(std::string_view bytes, std::int64_t& size) {
  doc::ProtoReader dimension(bytes);
  size = -1;
  while (dimension.next()) {
    if (dimension.field() == 1) size = static_cast<std::int64_t>(dimension.integer());
  }
  return !dimension.failed();
}

/// TensorShapeProto {dim 1}.
bool read_shape(std::string_view bytes, OnnxInput& out) {
  doc::ProtoReader shape(bytes);
  while (shape.next()) {
    if (shape.field() != 1) continue;
    std::int64_t size = -1;
    if (!read_dimension(shape.bytes(), size)) return false;
    if (++out.rank == 2) out.columns = size;
  }
  return !shape.failed();
}

/// TypeProto.Tensor {elem_type 1, shape 2}.
bool read_tensor(std::string_view bytes, OnnxInput& out) {
  doc::ProtoReader tensor(bytes);
  while (tensor.next()) {
    if (tensor.field() == 1) out.type = static_cast<std::int64_t>(tensor.integer());
    if (tensor.field() == 2 && !read_shape(tensor.bytes(), out)) return false;
  }
  return !tensor.failed();
}

/// TypeProto {tensor_type 1}.
bool read_type(std::string_view bytes, OnnxInput& out) {
  doc::ProtoReader type(bytes);
  while (type.next()) {
    if (type.field() == 1 && !read_tensor(type.bytes(), out)) return false;
  }
  return !type.failed();
}

/// ValueInfoProto {name 1, type 2}, of a tensor.
bool read_input(std::string_view bytes, OnnxInput& out) {
  doc::ProtoReader value(bytes);
  while (value.next()) {
    if (value.field() == 1) out.name = value.bytes();
    if (value.field() == 2 && !read_type(value.bytes(), out)) return false;
  }
  return !value.failed();
}

}  // namespace

const OnnxAttribute* OnnxNode::find(std::string_view wanted) const noexcept {
  for (const auto& attribute : attributes) {
    if (attribute.name == wanted) return &attribute;
  }
  return nullptr;
}

std::string OnnxNode::title() const {
  return name.empty() ? fmt::format("a node `{}`", shown(type))
                      : fmt::format("a node `{}` (`{}`)", shown(type), shown(name));
}

Error onnx_corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the ONNX model " + std::move(what),
               "the file contradicts itself or ends early: fetch it or convert the model again"};
}
Error onnx_unsupported(std::string what) {
  return Error{ErrorKind::kInvalid, "model-unsupported", "the ONNX model " + std::move(what),
               "Heddle scores one tree ensemble or linear model on a matrix of floats "
               "(docs/formats/model.md): convert such a one, or serve it by "
               "another runtime"};
}

namespace {

Error is_core_ml() {
  return Error{ErrorKind::kInvalid, "model-format",
               "the file is a Core ML model, which is not read", "convert the model to ONNX"};
}

Result<void> check_ir_version(std::uint64_t version) {
  constexpr std::uint64_t kNewest = 14;
  if (version <= kNewest || version >= 1000) return {};
  return onnx_unsupported(fmt::format(
      "has IR version {}, newer than {}, the newest that is known here", version, kNewest));
}

/// ModelProto, to the bytes of its graph.
Result<std::string_view> read_model(std::string_view bytes, OnnxGraph& graph) {
  std::optional<std::string_view> content;
  bool core_ml = false;
  doc::ProtoReader model(bytes);
  while (model.next()) {
    switch (model.field()) {
      case 1: HEDDLE_TRY(check_ir_version(model.integer())); break;
      case 2: graph.producer = model.bytes(); break;
      case 7:
        if (content) return onnx_corrupt("has two graphs");
        content = model.bytes();
        break;
      case 8: HEDDLE_TRY(check_operators(model.bytes())); break;
      // A function may give any operator's name another meaning.
      case 25: return onnx_unsupported("has functions of its own");
      // The kind of its model: 200 to 3000 of Core ML's Model.proto.
      default: core_ml = core_ml || model.field() >= 200;
    }
  }
  if (!model.failed() && content) return *content;
  return model.failed() || !core_ml ? onnx_corrupt("does not read as protobuf, or has no graph")
                                    : is_core_ml();
}

Result<void> read_output(std::string_view bytes, OnnxGraph& graph) {
  OnnxInput output;  // a ValueInfoProto, too; only its name matters
  if (!read_input(bytes, output))
    return onnx_corrupt("has an output that does not read as protobuf");
  graph.outputs.push_back(output.name);
  return {};
}

/// GraphProto {node 1, initializer 5, input 11, output 12}.
Result<void> read_graph(std::string_view bytes, OnnxGraph& graph) {
  doc::ProtoReader in(bytes);
  while (in.next()) {
    switch (in.field()) {
      case 1:
        if (!read_node(in.bytes(), graph.nodes.emplace_back()))
          return onnx_corrupt("has a node that does not read as protobuf");
        break;
      case 5:
        if (!read_constant(in.bytes(), graph.constants.emplace_back()))
          return onnx_corrupt("has an initializer that does not read as protobuf");
        break;
      case 11:
        if (!read_input(in.bytes(), graph.inputs.emplace_back()))
          return onnx_corrupt("has an input that does not read as protobuf");
        break;
      case 12: HEDDLE_TRY(read_output(in.bytes(), graph)); break;
      default: break;
    }
  }
  if (in.failed()) return onnx_corrupt("has a graph that does not read as protobuf");
  return {};
}

}  // namespace

Result<OnnxGraph> read_onnx_graph(std::string_view bytes) {
  OnnxGraph graph;
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view content, read_model(bytes, graph));
  HEDDLE_TRY(read_graph(content, graph));
  // To IR version 3 every initializer is also listed as an input; it is none that anybody feeds.
  std::erase_if(graph.inputs, [&](const OnnxInput& input) {
    return std::any_of(graph.constants.begin(), graph.constants.end(),
                       [&](const OnnxConstant& constant) { return constant.name == input.name; });
  });
  return graph;
}

}  // namespace heddle::model
