#include "model/onnx_graph.hpp"

#include "doc/protobuf.hpp"

// Field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR versions 3 to 13).
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
      case 5: case 6: case 10: case 11: out.tensor = true; break;
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

/// ValueInfoProto, of a tensor: TypeProto.tensor_type {elem_type, shape {dim {dim_value | dim_param}}}.
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

const OnnxAttribute* OnnxNode::find(std::string_view name) const noexcept {
  for (const auto& attribute : attributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

Error onnx_corrupt(std::string what) {
  return Error{ErrorKind::kCorrupt, "model-corrupt", "the ONNX model " + std::move(what),
               "the bytes were changed after they were written: fetch or convert the model again"};
}
Error onnx_unsupported(std::string what) {
  return Error{ErrorKind::kInvalid, "model-unsupported", "the ONNX model " + std::move(what),
               "Heddle scores one tree ensemble or linear model on a matrix of floats (docs/formats/model.md): convert such a one, or serve it by "
               "another runtime"};
}

Result<OnnxGraph> read_onnx_graph(std::string_view bytes) {
  OnnxGraph graph;
  std::string_view content;
  std::vector<std::string_view> constants;
  bool found = false;
  doc::ProtoReader model(bytes);
  while (model.next()) {
    if (model.field() != 7) continue;
    if (found) return onnx_corrupt("has two graphs");
    found = true;
    content = model.bytes();
  }
  if (model.failed() || !found) return onnx_corrupt("does not read as protobuf, or has no graph");
  doc::ProtoReader in(content);
  while (in.next()) {
    if (in.field() == 1) {
      if (!read_node(in.bytes(), graph.nodes.emplace_back())) return onnx_corrupt("has a node that does not read as protobuf");
    } else if (in.field() == 5) {
      doc::ProtoReader tensor(in.bytes());
      while (tensor.next()) {
        if (tensor.field() == 8) constants.push_back(tensor.bytes());
      }
      if (tensor.failed()) return onnx_corrupt("has an initializer that does not read as protobuf");
    } else if (in.field() == 11) {
      if (!read_input(in.bytes(), graph.inputs.emplace_back())) return onnx_corrupt("has an input that does not read as protobuf");
    }
  }
  if (in.failed()) return onnx_corrupt("has a graph that does not read as protobuf");
  std::erase_if(graph.inputs, [&](const OnnxInput& input) { return std::find(constants.begin(), constants.end(), input.name) != constants.end(); });
  return graph;
}

}  // namespace heddle::model
