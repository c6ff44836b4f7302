#include "cli/model_endpoint.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "doc/items.hpp"
#include "doc/json.hpp"
#include "net/client.hpp"

namespace heddle::cli {
namespace {

using doc::Value;

constexpr std::string_view kModels = "/v2/models/";

Result<draft::Endpoint> endpoint_named(const std::string& text) {
  const auto at = text.find(kModels);
  const std::string name = at == std::string::npos ? "" : text.substr(at + kModels.size());
  const std::string url = text.substr(0, at);
  if (!name.empty() && name.find_first_of("/?#") == std::string::npos && net::parse_url(url).ok())
    return draft::Endpoint{url, name, ""};
  return Error{ErrorKind::kInvalid, "adopt-uri",
               fmt::format("`{}` is no address of a model that is served", text),
               "write `http://HOST:PORT/v2/models/NAME`, as the Open Inference Protocol has it"};
}

/// What the endpoint says of its model.
Result<Value> metadata_of(const draft::Endpoint& endpoint) {
  HEDDLE_ASSIGN_OR_RETURN(const auto parts, net::parse_url(endpoint.url));
  net::HttpClient::Options options;
  options.host = parts.host;
  options.port = parts.port;
  if (parts.tls) options.tls.emplace();
  options.max_response = std::size_t{4} << 20;
  std::string prefix = parts.target;
  while (prefix.ends_with('/')) prefix.pop_back();
  net::HttpClient client(std::move(options));
  const auto reply = client.get(fmt::format("{}{}{}", prefix, kModels, endpoint.model));
  if (!reply.ok()) {
    return Error{reply.error().kind, "adopt-endpoint",
                 fmt::format("`{}` does not answer: {}", endpoint.url, reply.error().message),
                 "check that it runs, and its address"};
  }
  if (reply->status == 401 || reply->status == 403) {
    return Error{ErrorKind::kUnauthenticated, "adopt-endpoint-unknown",
                 fmt::format("`{}` wants a token before it says what model `{}` is", endpoint.url,
                             endpoint.model),
                 "draft from an endpoint that says it, and write `token: ${env:NAME}` under "
                 "`runtime` of the Model (docs/formats/runtime.md)"};
  }
  if (reply->status != 200) {
    return Error{ErrorKind::kNotFound, "adopt-endpoint-unknown",
                 fmt::format("`{}` has no model `{}`: status {}", endpoint.url, endpoint.model,
                             reply->status),
                 "check the model's name"};
  }
  auto metadata = doc::parse_json(reply->body, {.max_depth = 16, .max_bytes = 4 << 20});
  if (metadata.ok() && metadata->is_object()) return metadata;
  return Error{
      ErrorKind::kUnavailable, "adopt-endpoint",
      fmt::format("`{}` does not answer as the Open Inference Protocol says", endpoint.url),
      "name a server that speaks its version 2"};
}

/// What a tensor's type is for a column; empty: Heddle sends no such tensor.
std::string type_of(std::string_view datatype) {
  if (datatype == "BYTES") return "string";
  if (datatype == "BOOL") return "boolean";
  if (datatype.starts_with("FP")) return "number";
  return datatype.starts_with("INT") || datatype.starts_with("UINT") ? "integer" : "";
}

/// How many values of a row a tensor of [n, ...] has; 0: it is no such tensor.
std::int64_t width_of(const Value& tensor) {
  const auto& shape = doc::items_of(tensor.find("shape"));
  if (shape.empty() || shape.size() > 2 || !shape.back().is_int()) return 0;
  // A shape of one dimension may be that of a row where a server batches (Triton's `max_batch`).
  return shape.size() == 1 ? 1 : shape.back().as_int();
}

Error no_inputs(const draft::Endpoint& endpoint, const std::string& why) {
  return Error{
      ErrorKind::kUnprocessable, "adopt-endpoint-inputs",
      fmt::format("model `{}` of `{}` cannot be sent rows: {}", endpoint.model, endpoint.url, why),
      "Heddle sends one tensor [n] a field, or one FP32 matrix `features` "
      "(docs/formats/runtime.md): put a model before it that takes these"};
}

/// One matrix of all features: they have no names.
void take_matrix(std::int64_t width, train::Signature& signature) {
  signature.is_named = false;
  for (std::int64_t i = 0; i < width; ++i)
    signature.features.push_back({fmt::format("f{}", i), "number"});
}

Result<void> read_inputs(const Value& metadata, const draft::Endpoint& endpoint,
                         train::Signature& signature) {
  const auto& inputs = doc::items_of(metadata.find("inputs"));
  if (inputs.empty()) return no_inputs(endpoint, "its metadata has no `inputs`");
  std::vector<std::string> names;
  for (const auto& input : inputs) names.push_back(input.string_or("name"));
  for (const auto& input : inputs) {
    const auto name = input.string_or("name"), datatype = input.string_or("datatype");
    const auto width = width_of(input);
    if (inputs.size() == 1 && name == "features" && width > 0 && datatype == "FP32") {
      take_matrix(width, signature);
      continue;
    }
    // What Heddle sends beside a field that may be missing.
    constexpr std::string_view kMissing = ".missing";
    const bool is_beside = name.ends_with(kMissing) &&
                           std::find(names.begin(), names.end(),
                                     name.substr(0, name.size() - kMissing.size())) != names.end();
    if (is_beside) continue;
    const auto type = type_of(datatype);
    if (type.empty() || name.empty())
      return no_inputs(endpoint, fmt::format("input `{}` is of type `{}`", name, datatype));
    if (width != 1)
      return no_inputs(endpoint, fmt::format("input `{}` has more than one value a row", name));
    signature.features.push_back({name, type});
  }
  return {};
}

/// The tensor that is read of its answer.
Result<void> read_outputs(const Value& metadata, draft::Endpoint& endpoint) {
  std::vector<std::string> numbers;
  for (const auto& output : doc::items_of(metadata.find("outputs"))) {
    if (output.string_or("datatype").starts_with("FP")) numbers.push_back(output.string_or("name"));
  }
  for (const char* usual : {"probability", "probabilities", "value"}) {
    if (std::find(numbers.begin(), numbers.end(), usual) != numbers.end()) endpoint.output = usual;
  }
  if (endpoint.output.empty() && numbers.size() == 1) endpoint.output = numbers.front();
  if (!endpoint.output.empty()) return {};
  return Error{ErrorKind::kUnprocessable, "adopt-endpoint-outputs",
               numbers.empty()
                   ? fmt::format("model `{}` of `{}` names no output of floats", endpoint.model,
                                 endpoint.url)
                   : fmt::format("model `{}` of `{}` names the outputs `{}`, and which one is the "
                                 "prediction is not said",
                                 endpoint.model, endpoint.url, fmt::join(numbers, "`, `")),
               "it is one FP32 or FP64 tensor, called `probability`, `probabilities` or `value` "
               "where there are several"};
}

/// What only some servers say, in `parameters`.
void read_parameters(const Value& metadata, train::Signature& signature) {
  const Value* const parameters = metadata.find("parameters");
  if (parameters != nullptr) {
    const auto task = parameters->string_or("task");
    if (task == "binary" || task == "classes" || task == "regression") signature.task = task;
    const auto classes =
        doc::parse_json(parameters->string_or("classes"), {.max_depth = 4, .max_bytes = 1 << 20});
    if (classes.ok()) signature.classes = doc::items_of(&*classes);
  }
  if (signature.task.empty())
    signature.unsaid.emplace_back("what it predicts, and of which value its number speaks");
}

}  // namespace

bool names_endpoint(const std::string& text) noexcept {
  return text.starts_with("http://") || text.starts_with("https://");
}

Result<EndpointSource> find_endpoint(const std::string& text) {
  EndpointSource out;
  HEDDLE_ASSIGN_OR_RETURN(out.endpoint, endpoint_named(text));
  HEDDLE_ASSIGN_OR_RETURN(const Value metadata, metadata_of(out.endpoint));
  auto& signature = out.signature;
  signature.kind = "endpoint";
  signature.of_class = "a model";
  const auto platform = metadata.string_or("platform");
  signature.library = platform.empty() ? "a server of the Open Inference Protocol" : platform;
  HEDDLE_TRY(read_inputs(metadata, out.endpoint, signature));
  HEDDLE_TRY(read_outputs(metadata, out.endpoint));
  read_parameters(metadata, signature);
  return out;
}

}  // namespace heddle::cli
