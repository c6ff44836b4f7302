#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "serve/rows.hpp"
#include "serve/tensor.hpp"

namespace heddle::doc {
class ProtoReader;
}

namespace heddle::serve {

/// A ModelInferRequest (inference.proto) that was understood. Views point into the message.
struct GrpcInfer {
  std::string_view model{};
  std::string_view version{};
  const Rows* rows = nullptr;  ///< the reader's
  bool raw = false;            ///< tensors came in `raw_input_contents`: so do those of the answer
};

/// Reads ModelInferRequests strictly and bounded. Keeps its memory; what it returns lives until the
/// next call. Confined to one thread.
class GrpcReader {
 public:
  /// Only the names: what is needed before the rows can be understood.
  [[nodiscard]] Result<GrpcInfer> read_names(std::string_view message);
  [[nodiscard]] Result<GrpcInfer> read(std::string_view message, const FieldNames& fields,
                                       std::size_t max_rows);

 private:
  [[nodiscard]] Result<void> read_input(std::string_view message, std::size_t& next_raw);
  [[nodiscard]] Result<void> put_contents(const TensorRows::Input& input, std::string_view message);
  class Elements;
  /// The values of one field of `InferTensorContents`; false for a field that it does not have.
  [[nodiscard]] bool put_values(doc::ProtoReader& reader, Elements& elements);

  TensorRows tensors_;
  Rows rows_;
  std::vector<std::string_view> inputs_;
  std::vector<std::string_view> raw_;
  std::vector<std::int64_t> shape_;
  std::vector<std::int64_t> integers_;
  std::vector<float> reals_;
  std::vector<double> wide_reals_;
};

}  // namespace heddle::serve
