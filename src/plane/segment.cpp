#include "plane/segment.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/file.hpp"
#include "plane/crc32c.hpp"

namespace heddle::plane {
namespace {

static_assert(std::endian::native == std::endian::little, "segments are little-endian");

/// What the segments of every version begin with; then one character, the version.
constexpr std::string_view kMagicOfAny = kSegmentMagic.substr(0, kSegmentMagic.size() - 1);

/// What a label is, before its value.
enum class LabelKind : std::uint8_t { kFalse, kTrue, kNumber, kText };

template <class T>
void put_raw(T value, std::string& out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put_varint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_signed(std::int64_t value, std::string& out) {
  // Zigzag: small negative numbers take as few bytes as small positive ones.
  put_varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63),
             out);
}

void put_string(std::string_view value, std::string& out) {
  put_varint(value.size(), out);
  out.append(value);
}

/// Reads the parts of a payload; once something is missing everything read is empty and `ok` is
/// false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool finished() const noexcept { return ok_ && bytes_.empty(); }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

  std::uint8_t byte() noexcept {
    if (bytes_.empty()) return fail();
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  template <class T>
  T raw() noexcept {
    if (bytes_.size() < sizeof(T)) return static_cast<T>(fail());
    T value;
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_.remove_prefix(sizeof(T));
    return value;
  }
  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    // Ten bytes at most. A longer one is none of ours.
    for (int shift = 0; shift < 64; shift += 7) {
      const std::uint8_t part = byte();
      value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
      if ((part & 0x80) == 0) return value;
    }
    return fail();
  }
  std::int64_t number() noexcept {
    const std::uint64_t value = varint();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  void string(std::string& out) {
    const std::uint64_t size = varint();
    // Before the memory is asked for: the size is what the bytes say, and may be damage that a
    // checksum missed.
    if (size > bytes_.size()) {
      fail();
      return;
    }
    out.assign(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
  }
  /// A count of things that take at least a byte each: a made-up one cannot ask for memory.
  std::size_t count() noexcept {
    const std::uint64_t n = varint();
    return n > bytes_.size() ? fail() : static_cast<std::size_t>(n);
  }
  void strings(std::vector<std::string>& out) {
    out.resize(count());
    for (auto& item : out) string(item);
  }

 private:
  std::uint8_t fail() noexcept {
    ok_ = false;
    bytes_ = {};
    return 0;
  }
  std::string_view bytes_;
  bool ok_ = true;
};

/// Fills in length and checksum of the record that begins at `at` and ends `out`.
void seal(std::size_t at, std::uint32_t seed, std::string& out) {
  const std::string_view payload = std::string_view(out).substr(at + kRecordHead);
  const auto length = static_cast<std::uint32_t>(payload.size());
  // Xored with the seed: bytes that a client sent, for example as a text field, can look like a
  // record and still not pass for one.
  const std::uint32_t crc = crc32c(payload) ^ seed;
  std::memcpy(out.data() + at, &length, 4);
  std::memcpy(out.data() + at + 4, &crc, 4);
}

/// Leaves room for the record's head, lets `write` append the payload, then fills in length and
/// checksum.
template <class Write>
void framed(PayloadType type, std::uint32_t seed, std::string& out, Write&& write) {
  const std::size_t at = out.size();
  out.append(kRecordHead, '\0');
  out.push_back(static_cast<char>(type));
  write();
  seal(at, seed, out);
}

void put_field(const FieldValue& value, std::string& out) {
  using Kind = expr::Datum::Kind;
  out.push_back(static_cast<char>(value.kind));
  switch (value.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kTimestamp:
    case Kind::kDuration: put_signed(value.i, out); break;
    case Kind::kDouble: put_raw(value.d, out); break;
    case Kind::kString: put_string(value.s, out); break;
    default: break;
  }
}

void get_field(Reader& in, FieldValue& value) {
  using Kind = expr::Datum::Kind;
  value.kind =
      // A kind from a later version is read as one without a value: an enum must not hold what it
      // does not name.
      static_cast<Kind>(std::min<std::uint8_t>(in.byte(), static_cast<std::uint8_t>(Kind::kList)));
  switch (value.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kTimestamp:
    case Kind::kDuration: value.i = in.number(); break;
    case Kind::kDouble: value.d = in.raw<double>(); break;
    case Kind::kString: in.string(value.s); break;
    default: break;
  }
}

void put_prediction(const std::vector<float>& prediction, std::string& out) {
  put_varint(prediction.size(), out);
  for (const float number : prediction) put_raw(number, out);
}

void get_prediction(Reader& in, std::vector<float>& prediction) {
  prediction.resize(in.count());
  for (float& number : prediction) number = in.raw<float>();
}

void put_label(const stats::Label& label, std::string& out) {
  const auto kind = [&](LabelKind value) { out.push_back(static_cast<char>(value)); };
  if (const auto* truth = std::get_if<bool>(&label)) {
    kind(*truth ? LabelKind::kTrue : LabelKind::kFalse);
  } else if (const auto* number = std::get_if<double>(&label)) {
    kind(LabelKind::kNumber);
    put_raw(*number, out);
  } else {
    kind(LabelKind::kText);
    put_string(std::get<std::string>(label), out);
  }
}

/// False: no label there is.
bool get_label(Reader& in, stats::Label& label) {
  switch (static_cast<LabelKind>(in.byte())) {
    case LabelKind::kFalse: label = false; return true;
    case LabelKind::kTrue: label = true; return true;
    case LabelKind::kNumber: label = in.raw<double>(); return true;
    case LabelKind::kText: in.string(label.emplace<std::string>()); return true;
  }
  return false;
}

/// What follows the rows of a request. The last byte of a record is never 0, which tells a whole
/// record from an end that a power loss zeroed.
void put_tail(const RequestRecord& r, std::string& out) {
  out.push_back(static_cast<char>(r.cohort));
  // Plus one: of 0 microseconds the byte would be 0.
  put_varint(std::uint64_t{r.micros} + 1, out);
  if (!r.account.empty()) put_string(r.account, out);
}

struct Encoder {
  std::string& out;
  std::uint32_t seed;

  void operator()(const RequestRecord& r) const {
    framed(PayloadType::kRequest, seed, out, [&] {
      put_string(r.request_id, out);
      put_string(r.source, out);
      put_signed(r.event_time, out);
      put_signed(r.arrival, out);
      put_string(r.slot, out);
      put_varint(r.route_version, out);
      put_varint(r.rows.size(), out);
      for (const RowRecord& row : r.rows) {
        out.push_back(static_cast<char>(row.outcome));
        put_varint(row.rules.size(), out);
        for (const auto& rule : row.rules) put_string(rule, out);
        put_varint(row.fields.size(), out);
        for (const auto& field : row.fields) put_field(field, out);
        put_prediction(row.prediction, out);
        put_prediction(row.standby_prediction, out);
        put_prediction(row.shadow_prediction, out);
      }
      put_tail(r, out);
    });
  }
  void operator()(const LabelRecord& r) const {
    framed(PayloadType::kLabel, seed, out, [&] {
      put_string(r.row_id, out);
      put_label(r.label, out);
      put_signed(r.event_time, out);
      if (!r.account.empty()) put_string(r.account, out);
    });
  }
  void operator()(const AppliedRecord& r) const {
    framed(PayloadType::kApplied, seed, out, [&] {
      put_varint(r.route_version, out);
      put_varint(r.standing.size(), out);
      for (const auto& id : r.standing) put_string(id, out);
      // Left out where there is none: a reader from before does not know of them.
      if (r.sandboxes.empty()) return;
      put_varint(r.sandboxes.size(), out);
      for (const auto& each : r.sandboxes) {
        for (const auto* text : {&each.slot, &each.bundle, &each.in_force, &each.missing})
          put_string(*text, out);
      }
    });
  }
  void operator()(const ActRecord& r) const {
    framed(PayloadType::kAct, seed, out, [&] {
      for (const auto* text : {&r.act, &r.target, &r.reason, &r.id}) put_string(*text, out);
      put_signed(r.event_time, out);
      if (!r.account.empty()) put_string(r.account, out);
    });
  }
  void operator()(const TickRecord& r) const {
    framed(PayloadType::kTick, seed, out, [&] { put_signed(r.event_time, out); });
  }
  void operator()(const StopRecord& r) const {
    framed(PayloadType::kStop, seed, out, [&] {
      for (const auto* text : {&r.scope, &r.by, &r.id}) put_string(*text, out);
    });
  }
  void operator()(const GapRecord& r) const {
    framed(PayloadType::kGap, seed, out, [&] {
      put_varint(r.requests, out);
      put_string(r.reason, out);
      // As before labels were counted, for the gaps that are of requests alone.
      if (r.labels == 0 && r.account.empty()) return;
      put_varint(r.labels, out);
      if (!r.account.empty()) put_string(r.account, out);
    });
  }
};

RequestRecord get_request(Reader& in) {
  RequestRecord r;
  in.string(r.request_id);
  in.string(r.source);
  r.event_time = in.number();
  r.arrival = in.number();
  in.string(r.slot);
  r.route_version = in.varint();
  r.rows.resize(in.count());
  for (RowRecord& row : r.rows) {
    row.outcome = static_cast<RowOutcome>(
        std::min<std::uint8_t>(in.byte(), static_cast<std::uint8_t>(RowOutcome::kFailed)));
    in.strings(row.rules);
    row.fields.resize(in.count());
    for (FieldValue& field : row.fields) get_field(in, field);
    get_prediction(in, row.prediction);
    get_prediction(in, row.standby_prediction);
    get_prediction(in, row.shadow_prediction);
    // The rest of the rows is empty: reading on would only take time, by a count that the damage
    // may have made up.
    if (!in.ok()) break;
  }
  r.cohort = static_cast<Cohort>(
      std::min<std::uint8_t>(in.byte(), static_cast<std::uint8_t>(Cohort::kBaseline)));
  r.micros = static_cast<std::uint32_t>(in.varint() - 1);
  if (!in.finished()) in.string(r.account);
  return r;
}

}  // namespace

std::string segment_path(const std::string& dir, std::uint64_t segment) {
  return fmt::format("{}/{:08}.seg", dir, segment);
}

Result<std::vector<std::uint64_t>> list_segments(const std::string& dir, FilePort& files) {
  std::vector<std::uint64_t> segments;
  HEDDLE_ASSIGN_OR_RETURN(const auto names, list_dir(files, dir));
  for (const std::string& name : names) {
    std::uint64_t number = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, number);
    if (parsed.ec == std::errc{} &&
        // Other files lie beside them: the reserve, and how far the control plane has read.
        std::string_view(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr)) == ".seg")
      segments.push_back(number);
  }
  // By number. Names are padded to eight digits and sort like it only up to there.
  std::sort(segments.begin(), segments.end());
  return segments;
}

void append_head(const SegmentHead& head, std::string& out) {
  // The head's own checksum has no seed: it is where a reader learns it.
  framed(PayloadType::kHead, 0, out, [&] {
    put_varint(head.segment, out);
    put_varint(head.previous_end, out);
    put_varint(head.fields.size(), out);
    for (const auto& field : head.fields) put_string(field, out);
    put_raw(head.seed, out);
  });
}

namespace {

constexpr std::size_t kMostVarint = 10;

/// Writes into memory that was made large enough beforehand: a request is recorded for each answer,
/// and to ask a string for room at every byte costs most of it.
class Pen {
 public:
  explicit Pen(char* at) : at_(at) {}
  [[nodiscard]] const char* at() const noexcept { return at_; }
  void byte(std::uint64_t value) noexcept { *at_++ = static_cast<char>(value); }
  void varint(std::uint64_t value) noexcept {
    for (; value >= 0x80; value >>= 7) byte(value | 0x80);
    byte(value);
  }
  void number(std::int64_t value) noexcept {
    varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }
  template <class T>
  void raw(T value) noexcept {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  void text(std::string_view value) noexcept {
    varint(value.size());
    if (!value.empty()) std::memcpy(at_, value.data(), value.size());
    at_ += value.size();
  }
  void prediction(std::span<const float> numbers) noexcept {
    varint(numbers.size());
    for (const float number : numbers) raw(number);
  }
  void field(const expr::Datum& value) noexcept {
    using Kind = expr::Datum::Kind;
    byte(static_cast<std::uint64_t>(value.kind));
    switch (value.kind) {
      case Kind::kBool: number(value.b ? 1 : 0); break;
      case Kind::kInt:
      case Kind::kTimestamp:
      case Kind::kDuration: number(value.i); break;
      case Kind::kDouble: raw(value.d); break;
      case Kind::kString: text(value.str()); break;
      default: break;
    }
  }

 private:
  char* at_;
};

/// Bytes that the payload of a request takes at most.
std::size_t most_of(const RequestView& r) noexcept {
  std::size_t most = 2 + 9 * kMostVarint + r.request_id.size() + r.source.size() + r.slot.size() +
                     r.account.size();
  for (const RowView& row : r.rows) {
    most += 1 + 5 * kMostVarint +
            sizeof(float) * (row.prediction.size() + row.standby_prediction.size() +
                             row.shadow_prediction.size());
    for (const auto rule : row.rules) most += kMostVarint + rule.size();
    for (const expr::Datum& field : row.fields) {
      most += 1 + kMostVarint;
      if (field.kind == expr::Datum::Kind::kString) most += field.str().size();
    }
  }
  return most;
}

}  // namespace

void append_request(const RequestView& r, std::string& out, std::uint32_t seed) {
  const std::size_t at = out.size();
  out.resize(at + kRecordHead + most_of(r));
  Pen pen(out.data() + at + kRecordHead);
  pen.byte(static_cast<std::uint64_t>(PayloadType::kRequest));
  pen.text(r.request_id);
  pen.text(r.source);
  pen.number(r.event_time);
  pen.number(r.arrival);
  pen.text(r.slot);
  pen.varint(r.route_version);
  pen.varint(r.rows.size());
  for (const RowView& row : r.rows) {
    pen.byte(static_cast<std::uint64_t>(row.outcome));
    pen.varint(row.rules.size());
    for (const auto rule : row.rules) pen.text(rule);
    pen.varint(row.fields.size());
    for (const expr::Datum& field : row.fields) pen.field(field);
    pen.prediction(row.prediction);
    pen.prediction(row.standby_prediction);
    pen.prediction(row.shadow_prediction);
  }
  pen.byte(static_cast<std::uint64_t>(r.cohort));
  pen.varint(std::uint64_t{r.micros} + 1);
  if (!r.account.empty()) pen.text(r.account);
  out.resize(static_cast<std::size_t>(pen.at() - out.data()));
  seal(at, seed, out);
}

void append_record(const Record& record, std::string& out, std::uint32_t seed) {
  std::visit(Encoder{out, seed}, record);
}

std::optional<SegmentHead> decode_head(std::string_view payload) {
  Reader in(payload);
  if (in.byte() != static_cast<std::uint8_t>(PayloadType::kHead)) return std::nullopt;
  SegmentHead head;
  head.segment = in.varint();
  head.previous_end = in.varint();
  in.strings(head.fields);
  head.seed = in.raw<std::uint32_t>();
  if (!in.finished() || head.seed == 0) return std::nullopt;
  return head;
}

namespace {

std::optional<Record> get_label_record(Reader& in) {
  LabelRecord r;
  in.string(r.row_id);
  if (!get_label(in, r.label)) return std::nullopt;
  r.event_time = in.number();
  if (!in.finished()) in.string(r.account);
  return r;
}

Record get_applied(Reader& in) {
  AppliedRecord r;
  r.route_version = in.varint();
  in.strings(r.standing);
  if (in.finished()) return r;
  r.sandboxes.resize(in.count());
  for (SandboxRecord& each : r.sandboxes) {
    for (auto* text : {&each.slot, &each.bundle, &each.in_force, &each.missing}) in.string(*text);
  }
  return r;
}

Record get_act(Reader& in) {
  ActRecord r;
  for (auto* text : {&r.act, &r.target, &r.reason, &r.id}) in.string(*text);
  r.event_time = in.number();
  if (!in.finished()) in.string(r.account);
  return r;
}

Record get_stop(Reader& in) {
  StopRecord r;
  for (auto* text : {&r.scope, &r.by, &r.id}) in.string(*text);
  return r;
}

Record get_gap(Reader& in) {
  GapRecord r;
  r.requests = in.varint();
  in.string(r.reason);
  if (!in.finished()) r.labels = in.varint();
  if (!in.finished()) in.string(r.account);
  return r;
}

std::optional<Record> get_record(PayloadType type, Reader& in) {
  switch (type) {
    case PayloadType::kRequest: return get_request(in);
    case PayloadType::kLabel: return get_label_record(in);
    case PayloadType::kApplied: return get_applied(in);
    case PayloadType::kAct: return get_act(in);
    case PayloadType::kTick: return TickRecord{in.number()};
    case PayloadType::kStop: return get_stop(in);
    case PayloadType::kGap: return get_gap(in);
    default: return std::nullopt;
  }
}

bool is_zeros(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

/// Whether bytes that do not have their checksum, with `behind` after them, are the end of a file
/// whose length a power loss left without its last bytes.
bool is_cut_off(std::string_view payload, std::string_view behind) {
  return behind.empty() || (payload.back() == 0 && is_zeros(behind));
}

}  // namespace

std::optional<Record> decode_record(std::string_view payload) {
  Reader in(payload);
  const auto type = static_cast<PayloadType>(in.byte());
  std::optional<Record> record = get_record(type, in);
  if (!in.finished()) return std::nullopt;
  return record;
}

Framed read_frame(std::string_view bytes, bool at_end, std::uint32_t seed) noexcept {
  Framed result;
  if (bytes.size() < kRecordHead) return result;
  std::uint32_t length = 0;
  std::uint32_t crc = 0;
  std::memcpy(&length, bytes.data(), 4);
  std::memcpy(&crc, bytes.data() + 4, 4);
  if (length == 0 || length > kMaxPayload) {
    // A power loss may leave a length of file without its bytes.
    if (!at_end || !is_zeros(bytes)) result.state = Framed::State::kCorrupt;
    return result;
  }
  if (bytes.size() - kRecordHead < length) return result;
  result.payload = bytes.substr(kRecordHead, length);
  result.bytes = kRecordHead + length;
  if ((crc32c(result.payload) ^ seed) == crc) {
    result.state = Framed::State::kWhole;
  } else if (!at_end || !is_cut_off(result.payload, bytes.substr(result.bytes))) {
    result.state = Framed::State::kCorrupt;
  }
  return result;
}

Error other_version(const std::string& dir) {
  return Error{ErrorKind::kConflict, "journal-version",
               fmt::format("the journal `{}` is of another version, this program reads and writes "
                           "`heddle.journal/2`; nothing of it was changed",
                           dir),
               fmt::format("let the version that wrote it read it to its end, or keep it for that "
                           "version: `mv {0} {0}.other`, then start again",
                           dir)};
}

namespace {

bool is_version(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

}  // namespace

HeadFound read_head(std::string_view bytes, std::uint64_t segment) {
  HeadFound found;
  const std::string_view magic = bytes.substr(0, kSegmentMagic.size());
  if (!kSegmentMagic.starts_with(magic)) {
    // Another version's segment is whole for the program that wrote it.
    const bool is_other = magic.size() == kSegmentMagic.size() && magic.starts_with(kMagicOfAny) &&
                          is_version(magic.back());
    found.state = is_other ? HeadFound::State::kOtherVersion : HeadFound::State::kDamaged;
    return found;
  }
  if (bytes.size() <= kSegmentMagic.size()) return found;
  const Framed frame = read_frame(bytes.substr(kSegmentMagic.size()), true, 0);
  if (frame.state == Framed::State::kTorn) return found;
  auto head = frame.state == Framed::State::kWhole ? decode_head(frame.payload) : std::nullopt;
  if (!head.has_value() || head->segment != segment) {
    found.state = HeadFound::State::kDamaged;
    return found;
  }
  found.state = HeadFound::State::kWhole;
  found.head = std::move(*head);
  found.bytes = kSegmentMagic.size() + frame.bytes;
  return found;
}

namespace {

std::size_t length_at(std::string_view bytes, std::size_t at) {
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + at, 4);
  return length;
}

/// Whether a length that fits and a known type stand at `at`.
bool begins_record(std::string_view bytes, std::size_t at) {
  if (bytes.size() < at + kRecordHead + 1) return false;
  const std::size_t length = length_at(bytes, at);
  if (length == 0 || length > bytes.size() - at - kRecordHead) return false;
  const auto type = static_cast<std::uint8_t>(bytes[at + kRecordHead]);
  return type > static_cast<std::uint8_t>(PayloadType::kHead) &&
         type <= static_cast<std::uint8_t>(PayloadType::kGap);
}

}  // namespace

std::size_t find_record(std::string_view bytes, std::uint32_t seed) noexcept {
  // Bytes that were made for it could have each of them looked at as a long record: past so many
  // the rest of the segment is given up.
  constexpr std::uint64_t kMostChecked = 1ull << 30;
  constexpr auto kNowhere = std::string_view::npos;
  const auto is_whole = [&](std::size_t at) {
    return begins_record(bytes, at) &&
           read_frame(bytes.substr(at), true, seed).state == Framed::State::kWhole;
  };
  if (bytes.size() < kRecordHead) return kNowhere;
  // Mostly it is the payload that is damaged, and its length leads behind it.
  const std::size_t own = kRecordHead + length_at(bytes, 0);
  if (own < bytes.size() && is_whole(own)) return own;
  std::uint64_t checked = 0;
  for (std::size_t at = 1; at + kRecordHead < bytes.size() && checked < kMostChecked; ++at) {
    if (!begins_record(bytes, at)) continue;
    checked += length_at(bytes, at);
    if (is_whole(at)) return at;
  }
  return kNowhere;
}

namespace {

/// A record whose writer was killed before it was whole.
bool is_cut(std::string_view rest) noexcept {
  if (rest.size() < kRecordHead) return true;
  std::uint32_t length = 0;
  std::memcpy(&length, rest.data(), 4);
  return length > 0 && length <= kMaxPayload && rest.size() - kRecordHead < length;
}

}  // namespace

Result<std::uint64_t> records_end(FilePort& files, const std::string& path, std::uint64_t segment) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string bytes, read_file(files, path));
  const HeadFound head = read_head(bytes, segment);
  // A head whose length is damaged looks as if it were not whole yet. One that was really cut, by
  // a kill within the first write, counts as damage too: better than to hide a segment.
  if (head.state != HeadFound::State::kWhole) return std::uint64_t{bytes.size()};
  std::size_t at = head.bytes;
  while (true) {
    const auto rest = std::string_view(bytes).substr(at);
    const Framed frame = read_frame(rest, true, head.head.seed);
    if (frame.state == Framed::State::kWhole) {
      at += frame.bytes;
      continue;
    }
    const std::size_t next = find_record(rest, head.head.seed);
    if (next == std::string_view::npos)
      // What a killed writer was about to write was promised to nobody. Anything else that stands
      // there was, and counts.
      return std::uint64_t{is_cut(rest) ? at : bytes.size()};
    at += next;
  }
}

}  // namespace heddle::plane
