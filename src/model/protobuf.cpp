#include "model/protobuf.hpp"

namespace heddle::model {

std::uint64_t ProtoReader::varint() {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (bytes_.empty()) break;
    const auto byte = static_cast<unsigned char>(bytes_[0]);
    bytes_.remove_prefix(1);
    out |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return out;
  }
  fail();
  return 0;
}

std::uint32_t ProtoReader::fixed32() {
  if (bytes_.size() < 4) {
    fail();
    return 0;
  }
  std::uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i) out |= std::uint32_t{static_cast<unsigned char>(bytes_[i])} << (8 * i);
  bytes_.remove_prefix(4);
  return out;
}

bool ProtoReader::next() {
  if (unread_) {  // skip what nobody wanted
    switch (wire_) {
      case kVarint: (void)varint(); break;
      case kFixed64:
        (void)fixed32();
        (void)fixed32();
        break;
      case kFixed32: (void)fixed32(); break;
      case kBytes: (void)bytes(); break;
      default: fail(); break;
    }
  }
  unread_ = false;
  if (failed_ || bytes_.empty()) return false;
  const std::uint64_t tag = varint();
  field_ = static_cast<std::uint32_t>(tag >> 3);
  wire_ = static_cast<std::uint32_t>(tag & 7);
  if (tag >> 32 != 0 || field_ == 0) fail();
  unread_ = !failed_;
  return !failed_;
}

std::uint64_t ProtoReader::integer() {
  unread_ = false;
  if (wire_ == kVarint) return varint();
  fail();
  return 0;
}

float ProtoReader::real() {
  unread_ = false;
  if (wire_ == kFixed32) return std::bit_cast<float>(fixed32());
  fail();
  return 0;
}

std::string_view ProtoReader::bytes() {
  unread_ = false;
  const std::uint64_t size = wire_ == kBytes ? varint() : ~std::uint64_t{0};
  if (failed_ || size > bytes_.size()) {
    fail();
    return {};
  }
  const std::string_view out = bytes_.substr(0, static_cast<std::size_t>(size));
  bytes_.remove_prefix(static_cast<std::size_t>(size));
  return out;
}

void ProtoReader::integers(std::vector<std::int64_t>& out) {
  if (wire_ != kBytes) return out.push_back(static_cast<std::int64_t>(integer()));
  ProtoReader packed(bytes());
  while (!packed.bytes_.empty()) out.push_back(static_cast<std::int64_t>(packed.varint()));
  if (packed.failed_) fail();
}

void ProtoReader::reals(std::vector<float>& out) {
  if (wire_ != kBytes) return out.push_back(real());
  ProtoReader packed(bytes());
  if (packed.bytes_.size() % 4 != 0) return fail();
  out.reserve(out.size() + packed.bytes_.size() / 4);
  while (!packed.bytes_.empty()) out.push_back(std::bit_cast<float>(packed.fixed32()));
}

}  // namespace heddle::model
