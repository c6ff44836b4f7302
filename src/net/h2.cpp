#include "net/h2.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

namespace heddle::net {
namespace {

constexpr std::size_t kFrame = 5;  ///< gRPC's: a flag and four bytes of length
constexpr std::uint32_t kStreamWindow = 256 << 10;
constexpr std::int32_t kConnectionWindow =
    1 << 20;  ///< what one client makes us hold beyond the messages we chose to take
constexpr std::size_t kMostStreamOutput = 1 << 20;
constexpr std::size_t kKeptBytes = 64 << 10;
constexpr std::size_t kKeptStreams = 128;
constexpr std::int64_t kMs = 1'000'000;
// A client may do this much that costs us and gains nobody, and so much more each second and each
// answered message: gRPC clients ping to measure the path, and cancel what they no longer wait for.
constexpr double kCredit = 1000, kCreditPerSecond = 200, kCreditPerMessage = 2;

nghttp2_nv header(std::string_view name, std::string_view value,
                  std::uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME |
                                       NGHTTP2_NV_FLAG_NO_COPY_VALUE) {
  // nghttp2's type for what it only reads.
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
          value.size(), flags};
}

std::string_view status_digits(int status) {
  static constexpr std::array<std::string_view, 17> kDigits = {
      "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
  // UNKNOWN: a status that gRPC does not have must not end the stream without one.
  return status >= 0 && status <= 16 ? kDigits[static_cast<std::size_t>(status)] : "2";
}

std::uint32_t big_endian(const char* at) {
  const auto* u = reinterpret_cast<const unsigned char*>(at);
  return static_cast<std::uint32_t>(u[0]) << 24 | static_cast<std::uint32_t>(u[1]) << 16 |
         static_cast<std::uint32_t>(u[2]) << 8 | u[3];
}

}  // namespace

struct H2Session::Stream {
  enum class Encoding : std::uint8_t { kIdentity, kGzip, kOther };
  struct Field {
    std::uint32_t at, name, value;
  };

  std::int32_t id = 0;
  std::size_t index = 0;  ///< in `streams_`
  std::string head;       ///< names and values of the headers one after the other
  std::vector<Field> fields;
  std::vector<Header> metadata;  ///< into `head`
  std::string path;
  std::string authority;
  std::string in;  ///< frames from `in_at` on
  std::size_t in_at = 0;
  std::size_t unconsumed = 0;  ///< bytes whose window the client has not got back
  std::string out;             ///< frames from `out_at` on
  std::size_t out_at = 0;
  std::size_t accounted = 0;
  std::uint64_t request = 0;
  std::int64_t deadline_ns = 0;
  std::int64_t began_ns = 0;  ///< the message being read
  std::int64_t progress_ns = 0;
  int status = 0;
  std::string status_message;
  Encoding encoding = Encoding::kIdentity;
  bool post = false, grpc = false, bad_timeout = false, head_too_large = false;
  bool streaming = false;
  bool ready = false;  ///< the head is whole and fine
  bool ended = false;  ///< the client has sent all
  bool deferred = false;
  bool blocked = false;    ///< waits for output to leave
  bool answered = false;   ///< the response's head was submitted
  bool closing = false;    ///< no further message is handled; a status follows what is in `out`
  bool idle_data = false;  ///< nghttp2 waits to be told of more output

  [[nodiscard]] std::size_t head_bytes() const noexcept {
    return head.size() + path.size() + authority.size();
  }

  void take_pseudo_header(std::string_view name, std::string_view value) {
    if (name == ":path") path.assign(value);
    if (name == ":method") post = value == "POST";
    if (name == ":authority") authority.assign(value);
  }

  void take_header(std::string_view name, std::string_view value, std::int64_t now_ns) {
    // HTTP/2 allows it in place of `:authority`.
    if (name == "host" && authority.empty()) authority.assign(value);
    if (name == "content-type") {
      grpc = is_grpc_content_type(value);
    } else if (name == "grpc-timeout") {
      const auto timeout = parse_grpc_timeout(value);
      bad_timeout = !timeout.has_value();
      // Clients send centuries for "no deadline": the sum must not wrap into the past.
      if (timeout) deadline_ns = *timeout > INT64_MAX - now_ns ? INT64_MAX : now_ns + *timeout;
    } else if (name == "grpc-encoding") {
      encoding = encoding_named(value);
    }
    fields.push_back({static_cast<std::uint32_t>(head.size()),
                      static_cast<std::uint32_t>(name.size()),
                      static_cast<std::uint32_t>(value.size())});
    head.append(name).append(value);
  }

  static Encoding encoding_named(std::string_view name) noexcept {
    if (name == "gzip") return Encoding::kGzip;
    return name == "identity" ? Encoding::kIdentity : Encoding::kOther;
  }

  void reset() {
    std::string kept[] = {std::move(head), std::move(path),           std::move(in),
                          std::move(out),  std::move(status_message), std::move(authority)};
    std::vector<Field> kept_fields = std::move(fields);
    std::vector<Header> kept_metadata = std::move(metadata);
    *this = Stream{};
    for (std::string& text : kept) {
      // One large message must not keep its room in every stream that is used again.
      if (text.capacity() > kKeptBytes) text = std::string();
      text.clear();
    }
    head = std::move(kept[0]), path = std::move(kept[1]), in = std::move(kept[2]),
    out = std::move(kept[3]), status_message = std::move(kept[4]), authority = std::move(kept[5]);
    kept_fields.clear(), kept_metadata.clear();
    fields = std::move(kept_fields);
    metadata = std::move(kept_metadata);
  }
};

struct H2Session::Callbacks {
  static H2Session& self(void* user) { return *static_cast<H2Session*>(user); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    H2Session& session = self(user);
    // Past the limit of streams: refused before a header of it is kept.
    if (session.begin(frame->hd.stream_id) == nullptr) {
      session.charge_abuse(1);
      nghttp2_submit_rst_stream(session.session_, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                NGHTTP2_REFUSED_STREAM);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    H2Session& session = self(user);
    Stream* stream = session.find(frame->hd.stream_id);
    // The rest of a head that is too large is read, since it is part of the compression's state,
    // and dropped.
    if (stream == nullptr || stream->head_too_large) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size),
        text(reinterpret_cast<const char*>(value), value_size);
    if (stream->head_bytes() + key.size() + text.size() > session.options_.header_bytes ||
        stream->fields.size() >= session.options_.headers) {
      stream->head_too_large = true;
    } else if (key.starts_with(':')) {
      stream->take_pseudo_header(key, text);
    } else {
      stream->take_header(key, text, session.now_);
    }
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* user) {
    H2Session& session = self(user);
    Stream* stream = session.find(id);
    // Data of a call that is refused or over: the window is given back, the bytes are dropped.
    if (stream == nullptr || !stream->ready || stream->closing) {
      nghttp2_session_consume(session.session_, id, size);
      return 0;
    }
    // A message that trickles in is ended by the time of its first byte.
    if (stream->in.empty()) stream->began_ns = session.now_;
    stream->progress_ns = session.now_;
    stream->unconsumed += size;
    stream->in.append(reinterpret_cast<const char*>(data), size);
    session.account(*stream);
    return 0;
  }

  /// Frames that make us answer, or undo what we began.
  static bool costs_much(std::uint8_t type) {
    return type == NGHTTP2_RST_STREAM || type == NGHTTP2_PING || type == NGHTTP2_SETTINGS ||
           type == NGHTTP2_PRIORITY;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Session& session = self(user);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA: {
        const bool is_data = frame->hd.type == NGHTTP2_DATA;
        const bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        // An empty frame that ends nothing costs us a turn and the client nothing.
        if (is_data && frame->hd.length == 0 && !is_last) session.charge_abuse(1);
        const bool is_head = !is_data && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
        session.frame_of_call(frame->hd.stream_id, is_head, is_last);
        break;
      }
      case NGHTTP2_WINDOW_UPDATE: session.charge_abuse(1); break;
      default:
        if (costs_much(frame->hd.type)) session.charge_abuse(4);
    }
    return 0;
  }

  static int on_invalid(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    // A frame that breaks the protocol: few clients do so once, and none by mistake many times.
    self(user).charge_abuse(40);
    return 0;
  }

  static int on_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
      return 0;
    H2Session& session = self(user);
    const Stream* stream = session.find(frame->hd.stream_id);
    // Answered before the client sent all: it need not go on (RFC 9113, 8.1).
    if (stream != nullptr && !stream->ended)
      nghttp2_submit_rst_stream(session.session_, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                NGHTTP2_NO_ERROR);
    return 0;
  }

  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    H2Session& session = self(user);
    if (Stream* stream = session.find(id); stream != nullptr) session.forget(*stream);
    return 0;
  }

  static ssize_t read_output(nghttp2_session* raw, std::int32_t id, std::uint8_t* to,
                             std::size_t most, std::uint32_t* flags, nghttp2_data_source* source,
                             void* user) {
    H2Session& session = self(user);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const std::size_t n = std::min(most, stream.out.size() - stream.out_at);
    if (n > 0) std::memcpy(to, stream.out.data() + stream.out_at, n);
    stream.out_at += n;
    session.sent(stream, n);
    if (stream.out_at == stream.out.size()) {
      stream.out.clear();
      stream.out_at = 0;
      // The status stands in the trailer, so it may come after any number of messages.
      if (stream.closing) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::array<nghttp2_nv, 2> trailer = {
            header("grpc-status", status_digits(stream.status)),
            header("grpc-message", stream.status_message, NGHTTP2_NV_FLAG_NO_COPY_NAME)};
        nghttp2_submit_trailer(raw, id, trailer.data(), stream.status_message.empty() ? 1 : 2);
      } else if (n == 0) {
        stream.idle_data = true;
        return NGHTTP2_ERR_DEFERRED;
      }
    }
    session.account(stream);
    // Half, and not just below the limit: else each frame that leaves would wake it for one
    // message.
    if (stream.blocked && stream.out.size() - stream.out_at < kMostStreamOutput / 2) {
      stream.blocked = false;
      session.resumable_.push_back(id);
    }
    return static_cast<ssize_t>(n);
  }

  static nghttp2_session_callbacks* table() {
    static nghttp2_session_callbacks* const made = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      HEDDLE_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0, "no memory for HTTP/2");
      nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
      nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
      return callbacks;
    }();
    return made;
  }
};

H2Session::H2Session(const Options& options, Handler handler, std::int64_t now_ns)
    : options_(options),
      handler_(std::move(handler)),
      now_(now_ns),
      idle_since_(now_ns),
      credit_(kCredit),
      credit_at_(now_ns) {
  nghttp2_option* option = nullptr;
  HEDDLE_CHECK(nghttp2_option_new(&option) == 0, "no memory for HTTP/2");
  // Windows are given back when a message was handled: what a client may send ahead is bounded by
  // what we have taken.
  nghttp2_option_set_no_auto_window_update(option, 1);
  // Closed streams are not kept for priorities, which are not used.
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, 256);
  nghttp2_option_set_max_settings(option, 32);
  nghttp2_option_set_stream_reset_rate_limit(
      option, 1'000'000, 1'000'000);  // counted here, with what was answered on the other side
  HEDDLE_CHECK(nghttp2_session_server_new2(&session_, Callbacks::table(), this, option) == 0,
               "no memory for HTTP/2");
  nghttp2_option_del(option);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<std::uint32_t>(options_.streams)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(options_.header_bytes)}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  // The protocol's 64 KiB for a whole connection would stop one large message.
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

H2Session::~H2Session() { nghttp2_session_del(session_); }

H2Session::Stream* H2Session::find(std::int32_t id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

H2Session::Stream* H2Session::begin(std::int32_t id) {
  // nghttp2 holds the client to it only once it acknowledged our settings.
  if (open_ >= options_.streams) return nullptr;
  std::unique_ptr<Stream> stream;
  if (spare_.empty()) {
    stream = std::make_unique<Stream>();
  } else {
    stream = std::move(spare_.back());
    spare_.pop_back();
  }
  stream->id = id;
  stream->index = streams_.size();
  stream->began_ns = stream->progress_ns = now_;
  nghttp2_session_set_stream_user_data(session_, id, stream.get());
  streams_.push_back(std::move(stream));
  ++open_;
  return streams_.back().get();
}

void H2Session::forget(Stream& stream) {
  // Of the connection's window only: the stream is gone.
  if (stream.unconsumed > 0) nghttp2_session_consume_connection(session_, stream.unconsumed);
  nghttp2_session_set_stream_user_data(session_, stream.id, nullptr);
  buffered_ -= stream.accounted;
  const std::size_t index = stream.index;
  std::unique_ptr<Stream> gone = std::move(streams_[index]);
  // The last one takes its place: order does not matter here.
  if (index + 1 != streams_.size()) {
    streams_[index] = std::move(streams_.back());
    streams_[index]->index = index;
  }
  streams_.pop_back();
  --open_;
  idle_since_ = now_;
  if (spare_.size() < kKeptStreams) {
    gone->reset();
    spare_.push_back(std::move(gone));
  }
}

void H2Session::account(Stream& stream) {
  const std::size_t holds = stream.in.size() + stream.out.size();
  buffered_ += holds - stream.accounted;
  stream.accounted = holds;
}

void H2Session::charge_abuse(int quarters) {
  credit_ -= quarters / 4.0;
  // Once: a connection that is being ended is not ended again.
  if (credit_ >= 0 || gone_) return;
  gone_ = true;
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
}

bool H2Session::receive(std::string_view bytes, std::int64_t now_ns) {
  now_ = now_ns;
  credit_ = std::min(kCredit,
                     credit_ + static_cast<double>(now_ns - credit_at_) * 1e-9 * kCreditPerSecond);
  credit_at_ = now_ns;
  if (gone_) return false;
  const ssize_t n = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (n < 0) {
    gone_ = true;
    nghttp2_session_terminate_session(
        session_, n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
  }
  return !gone_ && nghttp2_session_want_read(session_) != 0;
}

void H2Session::produce(std::string& out, std::size_t up_to) {
  while (out.size() < up_to) {
    const std::uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &data);
    if (n <= 0) {
      if (n < 0) gone_ = true;
      return;
    }
    out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
  }
}

void H2Session::resume(std::int64_t now_ns) {
  now_ = now_ns;
  std::vector<std::int32_t> ids;
  ids.swap(resumable_);
  for (const std::int32_t id : ids) {
    if (Stream* stream = find(id); stream != nullptr) pump(*stream);
  }
}

void H2Session::headers_done(Stream& stream) {
  if (stream.head_too_large) return refuse(stream, "431");
  if (!stream.post) return refuse(stream, "405");
  if (!stream.grpc) return refuse(stream, "415");
  stream.ready = true;
  for (const Stream::Field& field : stream.fields) {
    const std::string_view head = stream.head;
    stream.metadata.push_back(
        {head.substr(field.at, field.name), head.substr(field.at + field.name, field.value)});
  }
  if (options_.refuse_host) {
    if (const std::string why = options_.refuse_host(stream.authority); !why.empty())
      return fail(stream, GrpcStatus::kPermissionDenied, why);
  }
  if (options_.streaming != nullptr)
    stream.streaming = std::find(options_.streaming->begin(), options_.streaming->end(),
                                 stream.path) != options_.streaming->end();
  if (stream.bad_timeout) fail(stream, GrpcStatus::kInternal, "a malformed grpc-timeout");
}

void H2Session::consume(Stream& stream) {
  if (stream.unconsumed == 0) return;
  nghttp2_session_consume(session_, stream.id, stream.unconsumed);
  stream.unconsumed = 0;
}

/// A frame with headers or data of a call came whole.
void H2Session::frame_of_call(std::int32_t id, bool is_head, bool is_last) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  if (is_last) stream->ended = true;
  if (is_head) headers_done(*stream);
  if (stream->ready) pump(*stream);
}

/// Ends the call when the message at the front of its input breaks a rule.
bool H2Session::refuses_frame(Stream& stream, const char* frame, std::size_t have) {
  const std::size_t length = big_endian(frame + 1);
  if (frame[0] != 0 && frame[0] != 1) {
    fail(stream, GrpcStatus::kInternal, "a malformed message frame");
  } else if (length > options_.message_bytes) {
    fail(stream, GrpcStatus::kResourceExhausted,
         fmt::format("a message of {} bytes, at most {}", length, options_.message_bytes));
  } else if (!stream.streaming && have > kFrame + length) {
    fail(stream, GrpcStatus::kInternal, "more than one message in a unary call");
  } else {
    return false;
  }
  return true;
}

/// Handles the next message; false when there is none to handle now.
bool H2Session::take_message(Stream& stream) {
  // Who asks and does not take the answers is not answered further.
  if (stream.out.size() - stream.out_at > kMostStreamOutput) {
    stream.blocked = true;
    return false;
  }
  const std::size_t have = stream.in.size() - stream.in_at;
  if (have < kFrame) return false;
  const char* at = stream.in.data() + stream.in_at;
  if (refuses_frame(stream, at, have)) return true;
  const std::size_t length = big_endian(at + 1);
  // Of a unary call the end is awaited: more than one message refuses it.
  if (have < kFrame + length || (!stream.streaming && !stream.ended)) return false;
  stream.in_at += kFrame + length;
  (void)handle(stream, {at + kFrame, length}, at[0] == 1);
  stream.began_ns = stream.progress_ns = now_;
  return true;
}

void H2Session::drop_taken_input(Stream& stream) {
  if (stream.closing || stream.in_at == stream.in.size()) {
    stream.in.clear();
    if (stream.in.capacity() > kKeptBytes) stream.in = std::string();
    stream.in_at = 0;
  } else if (stream.in_at > stream.in.size() / 2) {
    // Not for each message: what waits behind it would be moved for every one before it.
    stream.in.erase(0, stream.in_at);
    stream.in_at = 0;
  }
}

/// The client has sent all, and every whole message is handled.
void H2Session::end_of_input(Stream& stream) {
  if (!stream.in.empty()) {
    fail(stream, GrpcStatus::kInternal, "the call ends inside a message");
  } else if (stream.streaming) {
    end(stream, 0, {});
  } else {
    fail(stream, GrpcStatus::kInternal, "a unary call without a message");
  }
  stream.in.clear();
}

/// Handles the messages that are whole, while the stream may go on.
void H2Session::pump(Stream& stream) {
  bool more = true;
  while (more && !stream.deferred && !stream.closing) more = take_message(stream);
  drop_taken_input(stream);
  const bool waits = stream.deferred || stream.blocked;
  if (stream.ended && !waits && !stream.closing) end_of_input(stream);
  account(stream);
  // What waits behind a late answer keeps its window, so that the client stops sending.
  if (!waits || stream.in.empty()) consume(stream);
}

/// Makes `message` what it was before the client compressed it; false: the call is over.
bool H2Session::inflate(Stream& stream, GrpcCall& call, std::string_view& message) {
  if (stream.encoding == Stream::Encoding::kOther) {
    fail(stream, GrpcStatus::kUnimplemented, "a message encoding other than gzip", true);
    return false;
  }
  if (stream.encoding == Stream::Encoding::kIdentity) {
    fail(stream, GrpcStatus::kInternal, "a compressed message without grpc-encoding");
    return false;
  }
  inflated_.clear();
  // Inflating makes a thousand bytes of one: it is done for those who are known.
  const bool known = !options_.inflate_for || options_.inflate_for(call);
  const auto inflated = known ? gunzip(message, options_.message_bytes, inflated_) : Result<void>();
  if (!inflated.ok()) {
    fail(stream,
         inflated.error().kind == ErrorKind::kTooLarge ? GrpcStatus::kResourceExhausted
                                                       : GrpcStatus::kInternal,
         inflated.error().message);
    return false;
  }
  message = inflated_;
  return true;
}

/// False: the call is over or its answer comes later.
bool H2Session::handle(Stream& stream, std::string_view message, bool compressed) {
  GrpcCall call;
  call.method = stream.path;
  call.metadata = stream.metadata;
  call.streaming = stream.streaming;
  call.deadline_ns = stream.deadline_ns;
  if (compressed && !inflate(stream, call, message)) return false;
  if (is_past_deadline(stream)) {
    fail(stream, GrpcStatus::kDeadlineExceeded, "the deadline passed before the call was handled");
    return false;
  }
  call.message = message;
  stream.request = ++requests_;
  credit_ = std::min(kCredit, credit_ + kCreditPerMessage);
  reply_.clear();
  if (handler_(stream.id, stream.request, call, reply_)) {
    stream.deferred = true;
    return false;
  }
  send(stream, reply_);
  return !stream.closing;
}

void H2Session::send(Stream& stream, const GrpcReply& reply) {
  if (reply.status != 0) return end(stream, reply.status, reply.status_message);
  if (reply.message.size() > UINT32_MAX)
    return fail(stream, GrpcStatus::kResourceExhausted, "the answer is too large for a frame");
  const auto size = static_cast<std::uint32_t>(reply.message.size());
  if (stream.out.empty()) stream.progress_ns = now_;
  const char frame[kFrame] = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                              static_cast<char>(size >> 8), static_cast<char>(size)};
  stream.out.append(frame, kFrame).append(reply.message);
  account(stream);
  if (!stream.streaming) stream.closing = true;
  if (!stream.answered) {
    stream.answered = true;
    const nghttp2_nv head[] = {header(":status", "200"),
                               header("content-type", "application/grpc")};
    nghttp2_data_provider provider{};
    provider.source.ptr = &stream;
    provider.read_callback = Callbacks::read_output;
    nghttp2_submit_response(session_, stream.id, head, std::size(head), &provider);
  } else if (stream.idle_data) {
    stream.idle_data = false;
    nghttp2_session_resume_data(session_, stream.id);
  }
}

void H2Session::fail(Stream& stream, GrpcStatus status, std::string_view message,
                     bool tell_encodings) {
  end(stream, static_cast<int>(status), message, tell_encodings);
}

void H2Session::end(Stream& stream, int status, std::string_view message, bool tell_encodings) {
  if (stream.closing) return;
  stream.closing = true;
  stream.deferred = false;
  if (stream.out.empty()) stream.progress_ns = now_;
  stream.status = status;
  stream.status_message.clear();
  append_percent_encoded(stream.status_message, message);
  if (stream.answered) {
    if (stream.idle_data) {
      stream.idle_data = false;
      nghttp2_session_resume_data(session_, stream.id);
    }
    return;
  }
  stream.answered = true;
  std::array<nghttp2_nv, 5> head = {header(":status", "200"),
                                    header("content-type", "application/grpc"),
                                    header("grpc-status", status_digits(status))};
  std::size_t count = 3;
  if (!stream.status_message.empty())
    head[count++] = header("grpc-message", stream.status_message, NGHTTP2_NV_FLAG_NO_COPY_NAME);
  if (tell_encodings) head[count++] = header("grpc-accept-encoding", "identity,gzip");
  nghttp2_submit_response(session_, stream.id, head.data(), count, nullptr);
}

void H2Session::refuse(Stream& stream, std::string_view http_status) {
  stream.closing = stream.answered = true;
  const nghttp2_nv head[] = {header(":status", http_status)};
  nghttp2_submit_response(session_, stream.id, head, 1, nullptr);
}

Use H2Session::use() const noexcept {
  if (requests_ == 0) return Use::kUnproven;
  if (open_ == 0) return Use::kIdle;
  const bool answered = std::any_of(streams_.begin(), streams_.end(),
                                    [](const auto& stream) { return stream->deferred; });
  return answered ? Use::kAnswered : Use::kSlow;
}

/// The client took so much: it has the time that so many bytes may take, from when the answer
/// began. Who takes a byte now and then does not stay for ever.
void H2Session::sent(Stream& stream, std::size_t bytes) const {
  const auto bought =
      options_.bytes_per_second == 0
          ? INT64_MAX / 2
          : static_cast<std::int64_t>(bytes) * 1'000'000'000 / options_.bytes_per_second;
  if (bytes > 0) stream.progress_ns = std::min(now_, stream.progress_ns + bought);
}

bool H2Session::waiting(std::int32_t id, std::uint64_t request) const {
  const Stream* stream = find(id);
  return stream != nullptr && stream->deferred && stream->request == request;
}

void H2Session::reply(std::int32_t id, std::uint64_t request, GrpcReply reply,
                      std::int64_t now_ns) {
  if (!waiting(id, request)) return;
  now_ = now_ns;
  Stream& stream = *find(id);
  stream.deferred = false;
  stream.began_ns = stream.progress_ns = now_;
  send(stream, reply);
  pump(stream);
}

bool H2Session::is_past_deadline(const Stream& stream) const {
  return stream.deadline_ns != 0 && stream.deadline_ns <= now_;
}

/// A second is free; from then on a message has to come at the least rate.
bool H2Session::is_late(const Stream& stream) const {
  const std::int64_t elapsed = now_ - stream.began_ns;
  const auto owed = static_cast<double>(elapsed - 1000 * kMs) * 1e-9 *
                    static_cast<double>(options_.bytes_per_second);
  return elapsed > options_.read_timeout_ms * kMs ||
         static_cast<double>(stream.in.size() - stream.in_at) < owed;
}

void H2Session::sweep(Stream& stream) {
  if (stream.closing || !stream.out.empty()) {
    if (now_ - stream.progress_ns > options_.read_timeout_ms * kMs)
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
    return;
  }
  if (is_past_deadline(stream))
    return fail(stream, GrpcStatus::kDeadlineExceeded, "the deadline passed");
  // The time of a call that a runtime has is the runtime's.
  if (stream.deferred) return;
  if (stream.in.empty() && stream.streaming) {  // between two messages
    if (now_ - stream.progress_ns > options_.idle_timeout_ms * kMs)
      fail(stream, GrpcStatus::kUnavailable, "nothing came on this stream for too long");
    return;
  }
  if (is_late(stream)) {
    fail(stream, GrpcStatus::kDeadlineExceeded,
         "the message did not come whole within the time limit");
    pump(stream);
  }
}

bool H2Session::sweep(std::int64_t now_ns) {
  now_ = now_ns;
  for (std::size_t i = 0; i < streams_.size(); ++i) sweep(*streams_[i]);
  if (open_ == 0 && now_ - idle_since_ > options_.idle_timeout_ms * kMs) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    return false;
  }
  return true;
}

void H2Session::shed() {
  Stream* largest = nullptr;
  for (const auto& stream : streams_) {
    if (!stream->closing && !stream->in.empty() &&
        (largest == nullptr || stream->in.size() > largest->in.size()))
      largest = stream.get();
  }
  if (largest == nullptr) return;
  fail(*largest, GrpcStatus::kResourceExhausted, "the server holds too many unread bytes");
  pump(*largest);
}

void H2Session::go_away() {
  // Twice: the notice lets calls that are under way arrive before streams are refused (RFC 9113,
  // 6.8).
  if (++going_ == 1) {
    nghttp2_submit_shutdown_notice(session_);
  } else if (going_ == 2) {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  }
}

bool H2Session::finished() const {
  if (nghttp2_session_want_write(session_) != 0) return false;
  return gone_ || nghttp2_session_want_read(session_) == 0 || (going_ >= 2 && open_ == 0);
}

}  // namespace heddle::net
