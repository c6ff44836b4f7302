#include "model/onnx_graph.hpp"

#include <bit>
#include <cstring>

#include "doc/protobuf.hpp"
#include "model/file_kind.hpp"

// Field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR versions 3 to 14).
namespace heddle::model {
namespace {

bool read_attribute(std::string_view bytes, OnnxAttribute& out) {
  doc::ProtoReader in(bytes);
  while (in.next()) {
    switch (in.field()) {
      case 1: out.name = in.bytes(); break;
      case 2: out.real = in.real(); break;
      case 3: out.integer = static_cast<std::int64_t>(in.integer()); break;
      case 4: out.text = in.bytes(); break;
      case 5:
      case 6:
      case 10:
      case 11: out.tensor = true; break;
      case 7: in.reals(out.reals); break;
      case 8: in.integers(out.integers); break;
      case 9: out.texts.push_back(in.bytes()); break;
      default: break;
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
  if (type == kFloatTensor) {
    out.values.assign(floats.begin(), floats.end());
    take_raw<float>(raw, out.values);
  } else if (type == kDoubleTensor) {
    out.values = std::move(doubles);
    take_raw<double>(raw, out.values);
  }
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

/// ValueInfoProto, of a tensor: TypeProto.tensor_type {elem_type, shape {dim {dim_value |
/// dim_param}}}.
bool read_input(std::string_view bytes, OnnxInput& out) {
  doc::ProtoReader value(bytes);
  while (value.next()) {
    if (value.field() == 1) out.name = value.bytes();
    if (value.field() != 2) continue;
    doc::ProtoReader type(value.bytes());
    while (type.next()) {
      if (type.field() != 1) continue;
      doc::ProtoReader tensor(type.bytes());
      while (tensor.next()) {
        if (tensor.field() == 1) out.type = static_cast<std::int64_t>(tensor.integer());
        if (tensor.field() != 2) continue;
        doc::ProtoReader shape(tensor.bytes());
        while (shape.next()) {
          if (shape.field() != 1) continue;
          doc::ProtoReader dimension(shape.bytes());
          std::int64_t size = -1;
          while (dimension.next()) {
            if (dimension.field() == 1) size = static_cast<std::int64_t>(dimension.integer());
          }
          if (dimension.failed()) return false;
          if (++out.rank == 2) out.columns = size;
        }
        if (shape.failed()) return false;
      }
      if (tensor.failed()) return false;
    }
    if (type.failed()) return false;
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

Result<OnnxGraph> read_onnx_graph(std::string_view bytes) {
  OnnxGraph graph;
  std::string_view content;
  bool found = false;
  bool core_ml = false;
  doc::ProtoReader model(bytes);
  while (model.next()) {
    if (model.field() == 1) {
      constexpr std::uint64_t kNewest = 14;
      const std::uint64_t version = model.integer();
      if (version > kNewest && version < 1000) {
        return onnx_unsupported(fmt::format(
            "has IR version {}, newer than {}, the newest that is known here", version, kNewest));
      }
    } else if (model.field() == 2) {
      graph.producer = model.bytes();
    } else if (model.field() == 8) {
      HEDDLE_TRY(check_operators(model.bytes()));
    } else if (model.field() >= 200) {
      core_ml = true;  // the kind of its model: 200 to 3000 of Core ML's Model.proto
    } else if (model.field() == 25) {
      // A function may give any operator's name another meaning.
      return onnx_unsupported("has functions of its own");
    } else if (model.field() == 7) {
      if (found) return onnx_corrupt("has two graphs");
      found = true;
      content = model.bytes();
    }
  }
  if (core_ml && !model.failed() && !found) {
    return Error{ErrorKind::kInvalid, "model-format",
                 "the file is a Core ML model, which is not read", "convert the model to ONNX"};
  }
  if (model.failed() || !found) return onnx_corrupt("does not read as protobuf, or has no graph");
  doc::ProtoReader in(content);
  while (in.next()) {
    if (in.field() == 1) {
      if (!read_node(in.bytes(), graph.nodes.emplace_back()))
        return onnx_corrupt("has a node that does not read as protobuf");
    } else if (in.field() == 5) {
      if (!read_constant(in.bytes(), graph.constants.emplace_back())) {
        return onnx_corrupt("has an initializer that does not read as protobuf");
      }
    } else if (in.field() == 11) {
      if (!read_input(in.bytes(), graph.inputs.emplace_back()))
        return onnx_corrupt("has an input that does not read as protobuf");
    } else if (in.field() == 12) {
      OnnxInput output;  // a ValueInfoProto, too; only its name matters
      if (!read_input(in.bytes(), output))
        return onnx_corrupt("has an output that does not read as protobuf");
      graph.outputs.push_back(output.name);
    }
  }
  if (in.failed()) return onnx_corrupt("has a graph that does not read as protobuf");
  std::erase_if(graph.inputs, [&](const OnnxInput& input) {
    return std::any_of(graph.constants.begin(), graph.constants.end(),
                       [&](const OnnxConstant& constant) { return constant.name == input.name; });
  });
  return graph;
}

}  // namespace heddle::model
