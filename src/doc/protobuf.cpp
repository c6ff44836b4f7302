#include "doc/protobuf.hpp"

namespace heddle::doc {

static_assert(std::endian::native == std::endian::little,
              "protobuf's fixed numbers are little-endian");

std::uint64_t ProtoReader::varint() {
  std::uint64_t out = 0;
  // Ten bytes of seven bits at most; bits past the 64th are lost.
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

template <class T>
T ProtoReader::fixed() {
  T out{};
  if (bytes_.size() < sizeof(T)) {
    fail();
    return out;
  }
  std::memcpy(&out, bytes_.data(), sizeof(T));
  bytes_.remove_prefix(sizeof(T));
  return out;
}

bool ProtoReader::next() {
  if (unread_) {  // skip what nobody wanted
    switch (wire_) {
      case kVarint: (void)varint(); break;
      case kFixed64: (void)fixed<std::uint64_t>(); break;
      case kFixed32: (void)fixed<std::uint32_t>(); break;
      case kBytes: (void)bytes(); break;
      // Groups, which are not read, and what is no wire type.
      default: fail(); break;
    }
  }
  unread_ = false;
  if (failed_ || bytes_.empty()) return false;
  const std::uint64_t tag = varint();
  field_ = static_cast<std::uint32_t>(tag >> 3);
  wire_ = static_cast<std::uint32_t>(tag & 7);
  // Fields have 29 bits and begin with 1.
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
  if (wire_ == kFixed32) return fixed<float>();
  fail();
  return 0;
}

double ProtoReader::wide_real() {
  unread_ = false;
  if (wire_ == kFixed64) return fixed<double>();
  fail();
  return 0;
}

std::string_view ProtoReader::bytes() {
  unread_ = false;
  // Of another wire type no size fits.
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
  // Writers may pack a list into one field or write a field each: readers must take both.
  if (wire_ != kBytes) return out.push_back(static_cast<std::int64_t>(integer()));
  ProtoReader packed(bytes());
  while (!packed.bytes_.empty()) out.push_back(static_cast<std::int64_t>(packed.varint()));
  if (packed.failed_) fail();
}

void ProtoReader::reals(std::vector<float>& out) {
  if (wire_ != kBytes) return out.push_back(real());
  const std::string_view packed = bytes();
  if (packed.size() % sizeof(float) != 0) return fail();
  const std::size_t before = out.size();
  out.resize(before + packed.size() / sizeof(float));
  if (!packed.empty()) std::memcpy(out.data() + before, packed.data(), packed.size());
}

void ProtoReader::wide_reals(std::vector<double>& out) {
  if (wire_ != kBytes) return out.push_back(wide_real());
  const std::string_view packed = bytes();
  if (packed.size() % sizeof(double) != 0) return fail();
  const std::size_t before = out.size();
  out.resize(before + packed.size() / sizeof(double));
  if (!packed.empty()) std::memcpy(out.data() + before, packed.data(), packed.size());
}

void ProtoWriter::varint(std::uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void ProtoWriter::integer(std::uint32_t field, std::uint64_t value) {
  tag(field, 0);
  varint(value);
}

void ProtoWriter::bytes(std::uint32_t field, std::string_view value) {
  tag(field, 2);
  varint(value.size());
  out_.append(value);
}

void ProtoWriter::close(std::size_t at) {
  // One byte was left for the length, which takes more from 128 on.
  std::size_t size = out_.size() - at - 1;
  std::string rest;
  std::size_t length = size;
  if (length >= 0x80) {
    out_[at] = static_cast<char>(length | 0x80);
    length >>= 7;
    while (length >= 0x80) {
      rest.push_back(static_cast<char>(length | 0x80));
      length >>= 7;
    }
    rest.push_back(static_cast<char>(length));
    out_.insert(at + 1, rest);
  } else {
    out_[at] = static_cast<char>(size);
  }
}

}  // namespace heddle::doc
