#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "expr/datum.hpp"
#include "spec/contract.hpp"

namespace heddle::serve {

/// The fields of a contract's rows by name.
class FieldNames {
 public:
  FieldNames() = default;
  explicit FieldNames(std::span<const spec::Field> fields);
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  /// The place of `name`, looked for from `hint` on: fields mostly come in their order. -1: there is none.
  [[nodiscard]] int find(std::string_view name, std::size_t hint) const noexcept;

 private:
  std::vector<std::string> names_;
};

/// A body that was understood: rows x fields of what arrived, nulls where nothing did. Strings are borrowed from the reader.
struct Rows {
  std::string_view request_id{};            ///< empty: none given
  std::string_view source{};
  std::optional<Micros> event_time{};
  std::size_t count = 0;
  std::vector<expr::Datum> values{};        ///< count x fields, row-major
  bool wants_probability = true;            ///< OIP `outputs`
  bool wants_validation = true;

  [[nodiscard]] std::span<const expr::Datum> row(std::size_t i, std::size_t fields) const noexcept {
    return {values.data() + i * fields, fields};
  }
};

struct LabelIn {
  std::string_view row_id;
  double label = 0;
  std::optional<Micros> event_time{};
};

/// Reads request bodies strictly: malformed JSON, an unknown or repeated field, a wrong shape or type is an error that says where.
/// A value of the wrong type for its field is the contract's matter, not an error. Keeps its memory; what it returns lives
/// until the next call. Confined to one thread.
class RequestReader {
 public:
  RequestReader();
  ~RequestReader();

  /// `{"rows": [{field: value}], "request_id"?, "event_time"?, "source"?}`. `body` is followed by padding (net::Request).
  [[nodiscard]] Result<const Rows*> read_rows(std::string_view body, const FieldNames& fields, std::size_t max_rows);
  /// The Open Inference Protocol's infer request: one tensor a field, [n] or [n,1], data nested or flat.
  [[nodiscard]] Result<const Rows*> read_oip(std::string_view body, const FieldNames& fields, std::size_t max_rows);
  /// `{"labels": [{"row_id", "label", "event_time"?}]}`.
  [[nodiscard]] Result<std::span<const LabelIn>> read_labels(std::string_view body, std::size_t max_labels);
  /// `{"event_time": ...}`.
  [[nodiscard]] Result<Micros> read_tick(std::string_view body);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  Rows rows_;
  std::vector<LabelIn> labels_;
  std::vector<std::uint32_t> seen_;
};

}  // namespace heddle::serve
