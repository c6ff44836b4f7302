#include "runtime/client.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "doc/json.hpp"
#include "runtime/oip.hpp"

namespace heddle::runtime {
namespace {

constexpr std::size_t kMostAnswer = 32 << 20;
constexpr std::size_t kMostWords = 200;

/// What a runtime says of its own failure, as far as a log should hold it.
std::string words_of(const net::HttpClient::Reply& reply) {
  const auto json = doc::parse_json(reply.body, {.max_depth = 8, .max_bytes = 64 << 10});
  std::string words = json.ok() ? json->string_or("error") : std::string();
  if (words.empty()) words = reply.body;
  words.resize(std::min(words.size(), kMostWords));
  for (char& c : words) c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return words;
}

Error refused(const net::HttpClient::Reply& reply) {
  return Error{ErrorKind::kUnavailable, "runtime-refused",
               fmt::format("the runtime answered {}: {}", reply.status, words_of(reply)),
               "see its log"};
}

/// Whether what the model says of itself is of the task. What is no JSON says nothing.
Result<void> check(const net::HttpClient::Reply& reply, const stats::Task& task) {
  const auto said = doc::parse_json(reply.body, {.max_depth = 16, .max_bytes = 4 << 20});
  return said.ok() ? oip::check_metadata(*said, task) : Result<void>();
}

}  // namespace

Client::Client(net::HttpClient http, std::string prefix, const std::string& model,
               std::optional<bool> binary)
    : http_(std::move(http)),
      prefix_(std::move(prefix)),
      model_path_(fmt::format("{}/v2/models/{}", prefix_, model)),
      binary_(binary) {}

Result<Client> Client::open(const Address& address, Runtime::Kind kind) {
  net::HttpClient::Options options;
  options.max_response = kMostAnswer;
  std::string prefix;
  if (!address.unix_path.empty()) {
    options.unix_path = address.unix_path;
  } else {
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, resolve(address.url));
    HEDDLE_ASSIGN_OR_RETURN(const net::Url url, net::parse_url(text));
    options.host = url.host;
    options.port = url.port;
    if (url.tls) options.tls.emplace();
    prefix = url.target;
    while (prefix.ends_with('/')) prefix.pop_back();
    if (!address.token.empty()) {
      HEDDLE_ASSIGN_OR_RETURN(options.token, resolve(address.token));
    }
  }
  // A worker of ours speaks binary tensors by agreement; a server tells.
  return Client(net::HttpClient(std::move(options)), std::move(prefix), address.model,
                kind == Runtime::Kind::kProcess ? std::optional(true) : std::nullopt);
}

Result<void> Client::probe(std::int64_t timeout_ms, const stats::Task* task) {
  const auto ask = [&](const std::string& target) {
    return http_.send("GET", target, {}, {}, timeout_ms);
  };
  HEDDLE_ASSIGN_OR_RETURN(const auto ready, ask(prefix_ + "/v2/health/ready"));
  if (ready.status != 200)
    return Error{ErrorKind::kUnavailable, "runtime-not-ready",
                 fmt::format("the runtime is not ready: it answered {}", ready.status),
                 "see its log"};
  HEDDLE_ASSIGN_OR_RETURN(const auto model, ask(model_path_));
  if (model.status != 200) return refused(model);
  if (task != nullptr) {
    HEDDLE_TRY(check(model, *task));
    // A server's model says such things in its configuration: Triton's, and a service of ours.
    const bool is_server = !binary_.has_value();
    if (is_server) {
      HEDDLE_ASSIGN_OR_RETURN(const auto configuration, ask(model_path_ + "/config"));
      if (configuration.status == 200) HEDDLE_TRY(check(configuration, *task));
    }
  }
  if (binary_.has_value()) return {};
  HEDDLE_ASSIGN_OR_RETURN(const auto server, ask(prefix_ + "/v2"));
  const auto metadata = doc::parse_json(server.body, {.max_depth = 16, .max_bytes = 1 << 20});
  const doc::Value* extensions =
      server.status == 200 && metadata.ok() ? metadata->find("extensions") : nullptr;
  bool binary = false;
  if (extensions != nullptr && extensions->is_array()) {
    // Triton and KServe write `binary_tensor_data`.
    for (const doc::Value& name : extensions->as_array())
      binary = binary || (name.is_string() && name.as_string() == "binary_tensor_data");
  }
  binary_ = binary;
  return {};
}

Result<std::vector<float>> Client::infer(const Shape& shape, std::string_view output,
                                         std::span<const Rows* const> rows,
                                         std::int64_t timeout_ms) {
  const std::int64_t deadline = system_clock().mono_ns() + timeout_ms * 1'000'000;
  if (!binary_.has_value()) HEDDLE_TRY(probe(timeout_ms, &shape.task));
  std::size_t count = 0;
  for (const Rows* each : rows) count += each->count();
  const oip::Body body = oip::write(shape, rows, output, *binary_);
  std::vector<std::pair<std::string, std::string>> headers;
  if (*binary_) {
    headers.emplace_back("Content-Type", "application/octet-stream");
    headers.emplace_back("Inference-Header-Content-Length", fmt::to_string(body.json_bytes));
  }
  const std::int64_t left =
      std::max<std::int64_t>(1, (deadline - system_clock().mono_ns()) / 1'000'000);
  HEDDLE_ASSIGN_OR_RETURN(const auto reply,
                          http_.send("POST", model_path_ + "/infer", body.bytes, headers, left));
  if (reply.status != 200) return refused(reply);
  std::size_t json_bytes = reply.body.size();
  if (const std::string_view text = reply.header("Inference-Header-Content-Length");
      !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), json_bytes);
    if (error != std::errc{} || end != text.data() + text.size()) {
      return Error{ErrorKind::kCorrupt, "runtime-answer",
                   "the runtime's `Inference-Header-Content-Length` is no number",
                   "see docs/formats/runtime.md"};
    }
  }
  return oip::read(reply.body, json_bytes, output, count, shape.task);
}

}  // namespace heddle::runtime
