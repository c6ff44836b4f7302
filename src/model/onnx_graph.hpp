#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace heddle::model {

/// An attribute of an ONNX node (onnx.proto, AttributeProto). Views point into the model's bytes.
struct OnnxAttribute {
  std::string_view name{};
  float real = 0;
  std::int64_t integer = 0;
  std::string_view text{};
  std::vector<float> reals{};
  std::vector<std::int64_t> integers{};
  std::vector<std::string_view> texts{};
  bool tensor = false;  ///< a tensor, a graph: nothing that we read
};

struct OnnxNode {
  std::string_view name{};
  std::string_view type{};
  std::string_view domain{};
  std::vector<std::string_view> inputs{};
  std::vector<std::string_view> outputs{};
  std::vector<OnnxAttribute> attributes{};

  [[nodiscard]] const OnnxAttribute* find(std::string_view name) const noexcept;
  /// "a node `Mul` (`scale`)": its operator and, where it has one, its name.
  [[nodiscard]] std::string title() const;
};

struct OnnxInput {
  std::string_view name{};
  std::int64_t type = 0;      ///< TensorProto.DataType; 1 is FLOAT
  std::int64_t columns = -1;  ///< of a matrix; -1 where the model leaves it open
  std::size_t rank = 0;
};

/// A constant of the graph. `values` only of floats and doubles.
struct OnnxConstant {
  std::string_view name{};
  std::vector<double> values{};
};

struct OnnxGraph {
  std::string_view producer{};
  std::vector<OnnxNode> nodes{};
  std::vector<OnnxConstant> constants{};
  std::vector<OnnxInput> inputs{};  ///< initializers left out
  std::vector<std::string_view> outputs{};
};

[[nodiscard]] Error onnx_corrupt(std::string what);
[[nodiscard]] Error onnx_unsupported(std::string what);

/// Reads the nodes, constants and inputs of a ModelProto. kCorrupt when the bytes are no protobuf
/// of that shape; kInvalid when they are of a newer version of ONNX than is known.
[[nodiscard]] Result<OnnxGraph> read_onnx_graph(std::string_view bytes);

}  // namespace heddle::model
