#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "serve/rows.hpp"
#include "serve/tensor.hpp"

namespace heddle::serve {

/// Reads request bodies strictly: malformed JSON, an unknown or repeated field, a wrong shape or
/// type is an error that says where. A value of the wrong type for its field is the contract's
/// matter, not an error. Keeps its memory; what it returns lives until the next call. Confined to
/// one thread.
class RequestReader {
 public:
  RequestReader();
  ~RequestReader();

  /// `{"rows": [{field: value}], "request_id"?, "event_time"?, "source"?, "explain"?}`. `body` is
  /// followed by padding (net::Request).
  [[nodiscard]] Result<const Rows*> read_rows(std::string_view body, const FieldNames& fields,
                                              std::size_t max_rows);
  /// The Open Inference Protocol's infer request: one tensor a field, [n] or [n,1], data nested or
  /// flat. The first `json_bytes` of `body` are JSON, the raw bytes of its binary tensors follow in
  /// their order.
  [[nodiscard]] Result<const Rows*> read_oip(std::string_view body, std::size_t json_bytes,
                                             const FieldNames& fields, std::size_t max_rows);
  /// `{"labels": [{"row_id", "label", "event_time"?}]}`.
  [[nodiscard]] Result<std::span<const LabelIn>> read_labels(std::string_view body,
                                                             std::size_t max_labels);
  /// `{"event_time": ...}`.
  [[nodiscard]] Result<Micros> read_tick(std::string_view body);
  /// Of a model repository's index: `{"ready": bool}` or nothing; true when only ready models are
  /// wanted.
  [[nodiscard]] Result<bool> read_index(std::string_view body);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  TensorRows tensors_;
  Rows rows_;
  std::vector<LabelIn> labels_;
  std::vector<std::uint32_t> seen_;
};

}  // namespace heddle::serve
