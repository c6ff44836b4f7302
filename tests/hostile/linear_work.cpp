// What reads bytes from outside, at three sizes each, for callgrind: tests/hostile/linear_work.py
// counts the instructions of each and compares. `flat:` is what must not grow at all.
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>
#include <valgrind/callgrind.h>
#include <zlib.h>

#include "doc/json.hpp"
#include "doc/protobuf.hpp"
#include "net/admission.hpp"
#include "net/grpc.hpp"
#include "net/h2.hpp"
#include "net/http.hpp"
#include "serve/read_grpc.hpp"
#include "serve/request.hpp"
#include "watch/stream_fixture.hpp"
#include "watch/waiting_labels.hpp"

namespace heddle {
namespace {

using Work = std::function<void()>;

/// `count` times what `part` makes of its number, with commas between.
std::string list(int count, const std::function<std::string(int)>& part) {
  std::string out;
  for (int i = 0; i < count; ++i) out.append(i == 0 ? "" : ",").append(part(i));
  return out;
}

/// With the room behind it that readers want.
std::string padded(std::string text) {
  text.reserve(text.size() + net::Request::kBodyPadding + simdjson::SIMDJSON_PADDING);
  return text;
}

serve::FieldNames fields(int count) {
  std::vector<spec::Field> all;
  for (int i = 0; i < count; ++i) {
    spec::Field field;
    field.name = fmt::format("field_{}", i);
    all.push_back(field);
  }
  return serve::FieldNames(all);
}

Work json(std::string text) {
  return [text = std::move(text)] { (void)doc::parse_json(text); };
}

Work rows(std::string text, int width) {
  return [text = padded(std::move(text)), known = fields(width)] {
    serve::RequestReader reader;
    (void)reader.read_rows(text, known, 1 << 20);
  };
}

Work tensors(std::string text, int width) {
  return [text = padded(std::move(text)), known = fields(width)] {
    serve::RequestReader reader;
    (void)reader.read_oip(text, text.size(), known, 1 << 20);
  };
}

Work grpc(std::string message, int width) {
  return [message = std::move(message), known = fields(width)] {
    serve::GrpcReader reader;
    (void)reader.read(message, known, 1 << 20);
  };
}

std::string tensor(int values) {
  return fmt::format(R"({{"name":"field_0","shape":[{}],"datatype":"INT64","data":[{}]}})", values,
                     list(values, [](int i) { return fmt::format("{}", i); }));
}

/// In pieces of a few bytes, as a slow client sends it.
Work chunked(int count) {
  std::string body;
  for (int i = 0; i < count; ++i) body += "1;name=value\r\nx\r\n";
  body += "0\r\n\r\n";
  return [body] {
    std::string buffer = body;
    net::ChunkedReader reader;
    for (std::size_t size = 7; size < buffer.size() + 7; size += 7)
      (void)reader.read(buffer.data(), std::min(size, buffer.size()), 1 << 20);
  };
}

Work inflate(int count) {
  std::string text(static_cast<std::size_t>(count) * 100, 'x');
  std::string packed(text.size() + 1000, '\0');
  uLongf size = packed.size();
  ::compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
              reinterpret_cast<const Bytef*>(text.data()), text.size(), 9);
  packed.resize(size);
  return [packed] {
    std::string out;
    (void)net::decode_body("deflate", packed, 64 << 20, out);
  };
}

std::string big_endian(std::size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string frame(char type, char flags, std::string_view payload) {
  return (big_endian(payload.size(), 3) + type + flags + big_endian(1, 4)).append(payload);
}

/// One call with a stream of small messages, each answered later, and its bytes in small pieces.
Work stream(int count, bool late) {
  const auto field = [](std::string_view name, std::string_view value) {
    std::string out(1, '\0');
    out += static_cast<char>(name.size());
    out += name;
    out += static_cast<char>(value.size());
    return out.append(value);
  };
  std::string bytes =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + big_endian(0, 3) + '\4' + '\0' + big_endian(0, 4);
  bytes += frame(1, 4,
                 field(":method", "POST") + field(":scheme", "http") + field(":path", "/s") +
                     field(":authority", "a") + field("content-type", "application/grpc"));
  std::string data;
  for (int i = 0; i < count; ++i) data += big_endian(1, 5) + "x";
  for (std::size_t at = 0; at < data.size(); at += 16'000)
    bytes += frame(0, at + 16'000 < data.size() ? 0 : 1, std::string_view(data).substr(at, 16'000));
  return [bytes, late] {
    static const std::vector<std::string> kStreaming = {"/s"};
    net::H2Session::Options options;
    options.streaming = &kStreaming;
    std::vector<std::pair<std::int32_t, std::uint64_t>> waiting;
    net::H2Session session(
        options,
        [&](std::int32_t id, std::uint64_t request, net::GrpcCall&, net::GrpcReply&) {
          if (late) waiting.emplace_back(id, request);
          return late;
        },
        1);
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += 4096) {
      (void)session.receive(std::string_view(bytes).substr(at, 4096), 1);
      while (!waiting.empty()) {
        const auto [id, request] = waiting.back();
        waiting.pop_back();
        session.reply(id, request, {}, 1);
      }
      out.clear();
      session.produce(out, 1 << 20);
    }
  };
}

std::string parameters(int count) {
  std::string message;
  doc::ProtoWriter writer(message);
  writer.bytes(1, "m");
  for (int i = 0; i < count; ++i) {
    writer.message(4, [&](doc::ProtoWriter& entry) {
      entry.bytes(1, "source");
      entry.message(2, [&](doc::ProtoWriter& value) { value.bytes(3, fmt::format("s{}", i)); });
    });
  }
  return message;
}

std::string contents(int count) {
  std::string message;
  doc::ProtoWriter writer(message);
  writer.message(5, [&](doc::ProtoWriter& input) {
    input.bytes(1, "field_0");
    input.bytes(2, "INT64");
    input.integer(3, static_cast<std::uint64_t>(count));
    input.message(5, [&](doc::ProtoWriter& values) {
      for (int i = 0; i < count; ++i) values.integer(3, static_cast<std::uint64_t>(i));
    });
  });
  return message;
}

Work closing(int count) {
  std::vector<net::Candidate> all;
  for (int i = 0; i < count; ++i)
    all.push_back({static_cast<std::uint64_t>(i + 1), static_cast<std::uint64_t>(i % 7 + 1),
                   static_cast<net::Use>(i % 3), i * 7919 % 65'537});
  return [all] { (void)net::first_to_close(all, 64); };
}

/// A tick that comes ten times `count` days after the few rows of a service: the days between are
/// empty.
Work days_without_a_row(int count) {
  using watch::fixture::Stream;
  auto stream = std::make_shared<Stream>(1);
  auto watch = std::make_shared<watch::Watch>(*watch::Watch::open(Stream::options()));
  watch->register_route(
      {1, sha256("primary"), "", std::make_shared<const watch::Baseline>(stream->baseline())});
  auto out = std::make_shared<watch::Output>();
  for (const int day : {100, 101}) {  // the first window is cut: it begins with the first row
    std::vector<plane::Record> records;
    stream->day(day, {}, records, 1);
    records.resize(50);
    for (const auto& record : records) watch->observe(record, *out);
  }
  watch->observe(plane::TickRecord{101 * kDay + kHour}, *out);
  return [=] { watch->observe(plane::TickRecord{(102 + 10 * count) * kDay}, *out); };
}

/// An hour of event time goes by, and `count` labels of later hours wait for rows that never come.
Work labels_that_wait(int count) {
  auto waiting = std::make_shared<watch::WaitingLabels>(std::size_t{1} << 20);
  for (int i = 0; i < count; ++i)
    (void)waiting->add(watch::row_key("secret", fmt::format("q-{}", i)), 1, kDay, "labels");
  (void)waiting->add(watch::row_key("secret", "early"), 1, kHour, "labels");
  return [=] { (void)waiting->prune(2 * kHour); };
}

struct Case {
  const char* name;
  Work (*make)(int);
};

const Case kCases[] = {
    {"json-members",
     [](int n) {
       return json("{" + list(n, [](int i) { return fmt::format(R"("k{}":1)", i); }) + "}");
     }},
    {"json-items",
     [](int n) { return json("[" + list(n, [](int) { return std::string("[1]"); }) + "]"); }},
    {"json-objects",
     [](int n) {
       return json("[" + list(n, [](int i) { return fmt::format(R"({{"a":"{}"}})", i); }) + "]");
     }},
    {"rows",
     [](int n) {
       return rows(
           fmt::format(R"({{"rows":[{}]}})",
                       list(n, [](int i) { return fmt::format(R"({{"field_0":{}}})", i); })),
           4);
     }},
    {"rows-of-many-fields",
     [](int n) {
       return rows(
           fmt::format(R"({{"rows":[{{{}}}]}})",
                       list(n, [n](int i) { return fmt::format(R"("field_{}":1)", n - 1 - i); })),
           n);
     }},
    {"rows-of-unknown-fields",
     [](int n) {
       return rows(fmt::format(R"({{"rows":[{{{}}}]}})",
                               list(n, [](int i) { return fmt::format(R"("other_{}":1)", i); })),
                   n);
     }},
    {"labels",
     [](int n) -> Work {
       return
           [text = padded(fmt::format(R"({{"labels":[{}]}})", list(n, [](int i) {
                                        return fmt::format(R"({{"row_id":"q#{}","label":1}})", i);
                                      })))] {
             serve::RequestReader reader;
             (void)reader.read_labels(text, 1 << 20);
           };
     }},
    {"labels-of-arrays",
     [](int n) -> Work {
       return [text = padded(fmt::format(R"({{"labels":[{{"row_id":"q#1","label":[{}]}}]}})",
                                         list(n, [](int) { return std::string("[1]"); })))] {
         serve::RequestReader reader;
         (void)reader.read_labels(text, 1 << 20);
       };
     }},
    {"tensor", [](int n) { return tensors(fmt::format(R"({{"inputs":[{}]}})", tensor(n)), 2); }},
    {"tensors-of-many-fields",
     [](int n) {
       return tensors(
           fmt::format(
               R"({{"inputs":[{}]}})",
               list(n,
                    [n](int i) {
                      return fmt::format(
                          R"({{"name":"field_{}","shape":[1],"datatype":"INT64","data":[1]}})",
                          n - 1 - i);
                    })),
           n);
     }},
    {"tensors-unknown",
     [](int n) {
       return tensors(
           fmt::format(
               R"({{"inputs":[{}]}})",
               list(n,
                    [](int i) {
                      return fmt::format(
                          R"({{"name":"other_{}","shape":[1],"datatype":"INT64","data":[1]}})", i);
                    })),
           n);
     }},
    {"grpc-parameters", [](int n) { return grpc(parameters(n), 2); }},
    {"grpc-contents", [](int n) { return grpc(contents(n), 2); }},
    {"grpc-stream", [](int n) { return stream(n, false); }},
    {"grpc-stream-answered-later", [](int n) { return stream(n, true); }},
    {"chunks-with-extensions", chunked},
    {"inflate", inflate},
    {"connections-without-room", closing},
    {"flat: days-without-a-row", days_without_a_row},
    {"flat: labels-that-wait", labels_that_wait},
};

}  // namespace
}  // namespace heddle

int main() {
  constexpr int kLeast = 1000;
  for (const auto& one : heddle::kCases) {
    for (const int n : {kLeast, 2 * kLeast, 4 * kLeast}) {
      const heddle::Work work = one.make(n);
      CALLGRIND_START_INSTRUMENTATION;
      work();
      CALLGRIND_STOP_INSTRUMENTATION;
      const std::string label = fmt::format("{}/{}", one.name, n);
      CALLGRIND_DUMP_STATS_AT(label.c_str());
    }
  }
  return 0;
}
