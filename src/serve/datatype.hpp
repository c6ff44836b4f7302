#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "expr/datum.hpp"

namespace heddle::serve {

/// The tensor datatypes of the Open Inference Protocol, version 2.
enum class Datatype : std::uint8_t {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes
};

[[nodiscard]] std::optional<Datatype> datatype_of(std::string_view name) noexcept;
[[nodiscard]] std::string_view name_of(Datatype datatype) noexcept;
/// Bytes of one element; 0 for BYTES, whose elements say their own length.
[[nodiscard]] std::size_t size_of(Datatype datatype) noexcept;
/// The datatype in which a field of this type is sent.
[[nodiscard]] Datatype datatype_of(expr::Type type) noexcept;

}  // namespace heddle::serve
