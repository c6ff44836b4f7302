#include <fmt/format.h>

#include "doc/json.hpp"
#include "serve/http_api.hpp"
#include "serve/oip_model.hpp"

namespace heddle::serve {
namespace {

doc::Value to_value(const std::vector<oip::Tensor>& tensors) {
  doc::Value list = doc::Value::array();
  for (const oip::Tensor& tensor : tensors) {
    doc::Value shape = doc::Value::array();
    for (const std::int64_t dimension : tensor.shape) shape.push(dimension);
    list.push(doc::Value::object({{"name", tensor.name},
                                  {"datatype", name_of(tensor.datatype)},
                                  {"shape", std::move(shape)}}));
  }
  return list;
}

doc::Value to_value(const oip::Model& model) {
  doc::Value versions = doc::Value::array();
  for (const std::string& version : model.versions) versions.push(version);
  return doc::Value::object({{"name", model.name},
                             {"versions", std::move(versions)},
                             {"platform", oip::kPlatform},
                             {"inputs", to_value(model.inputs)},
                             {"outputs", to_value(model.outputs)}});
}

/// In the names of the model configuration extension.
doc::Value to_config(const oip::Model& model, std::size_t most_rows) {
  const auto tensors = [](const std::vector<oip::Tensor>& all) {
    doc::Value list = doc::Value::array();
    for (const oip::Tensor& tensor : all) {
      const std::string type = tensor.datatype == Datatype::kBytes
                                   ? "TYPE_STRING"
                                   : fmt::format("TYPE_{}", name_of(tensor.datatype));
      const std::int64_t columns = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
      list.push(doc::Value::object(
          {{"name", tensor.name}, {"data_type", type}, {"dims", doc::Value::array({columns})}}));
    }
    return list;
  };
  doc::Value parameters = doc::Value::object();
  for (const auto& [name, text] : model.parameters)
    parameters.set(name, doc::Value::object({{"string_value", text}}));
  return doc::Value::object({{"name", model.name},
                             {"platform", oip::kPlatform},
                             {"backend", oip::kServer},
                             {"max_batch_size", most_rows},
                             {"input", tensors(model.inputs)},
                             {"output", tensors(model.outputs)},
                             {"parameters", std::move(parameters)}});
}

doc::Value to_value(const std::vector<oip::Statistics>& all) {
  const auto duration = [](std::uint64_t count, std::uint64_t ns) {
    return doc::Value::object({{"count", count}, {"ns", ns}});
  };
  doc::Value list = doc::Value::array();
  for (const oip::Statistics& one : all) {
    const auto& s = one.success;
    list.push(doc::Value::object(
        {{"name", one.name},
         {"version", one.version},
         {"last_inference", s.last / 1000},
         {"inference_count", s.rows},
         {"execution_count", s.requests},
         {"inference_stats",
          doc::Value::object({{"success", duration(s.requests, s.before_ns + s.score_ns)},
                              {"fail", duration(one.failures, 0)},
                              {"queue", duration(s.requests, 0)},
                              {"compute_input", duration(s.requests, s.before_ns)},
                              {"compute_infer", duration(s.requests, s.score_ns)},
                              {"compute_output", duration(s.requests, 0)},
                              {"cache_hit", duration(0, 0)},
                              {"cache_miss", duration(0, 0)}})},
         {"batch_stats", doc::Value::array()}}));
  }
  return doc::Value::object({{"model_stats", std::move(list)}});
}

Error unknown_path(std::string_view path, std::string hint) {
  return {ErrorKind::kNotFound, "path-unknown", fmt::format("there is no `{}`", path),
          std::move(hint)};
}

}  // namespace

/// `rest` is what follows `/v2`, without a trailing slash.
Result<void> HttpApi::oip(std::string_view rest, const net::Request& request,
                          net::Response& response) {
  // Before anybody is asked who they are: load balancers have no token.
  if (rest == "/health/live") {
    response.body = R"({"live":true})";
    return {};
  }
  if (rest == "/health/ready") {
    response.status = engine_.ready() ? 200 : 503;
    response.body = fmt::format(R"({{"live":true,"ready":{}}})", engine_.ready());
    return {};
  }
  if (rest.starts_with("/models/")) return oip_model(rest.substr(8), request, response);
  HEDDLE_TRY(reader(request));
  if (rest.empty()) {
    doc::Value extensions = doc::Value::array();
    for (const std::string_view name : oip::extensions()) extensions.push(name);
    response.body = doc::to_json(doc::Value::object({{"name", oip::kServer},
                                                     {"version", oip::server_version()},
                                                     {"extensions", std::move(extensions)}}));
    return {};
  }
  if (rest == "/models/stats") {
    HEDDLE_ASSIGN_OR_RETURN(const auto all, oip::statistics(engine_, {}));
    response.body = doc::to_json(to_value(all));
    return {};
  }
  if (rest.starts_with("/repository/")) return repository(rest.substr(12), request, response);
  return unknown_path(request.path, "see the Open Inference Protocol, version 2");
}

/// `rest` is `MODEL[/versions/VERSION][/ACTION]`.
Result<void> HttpApi::oip_model(std::string_view rest, const net::Request& request,
                                net::Response& response) {
  std::string_view parts[5];  // one more than there may be
  std::size_t count = 0;
  while (count < 5) {
    const std::size_t slash = rest.find('/');
    parts[count++] = rest.substr(0, slash);
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  const bool versioned = count >= 3 && parts[1] == "versions";
  const std::string_view version = versioned ? parts[2] : std::string_view{};
  const std::string_view action = versioned ? parts[3] : parts[1];
  // The one action that costs more than a look, so it has a permission of its own.
  const bool infer = action == "infer" && request.method == "POST";
  if (infer)
    HEDDLE_TRY(principal(request, Permission::kPredict));
  else
    HEDDLE_TRY(reader(request));
  if (parts[0] == "stats" && count == 1) {
    HEDDLE_ASSIGN_OR_RETURN(const auto all, oip::statistics(engine_, {}));
    response.body = doc::to_json(to_value(all));
    return {};
  }
  if (parts[0] != engine_.name() || count > (versioned ? 4 : 2)) {
    return Error{ErrorKind::kNotFound, "service-unknown",
                 fmt::format("there is no model `{}`", parts[0]),
                 fmt::format("a model is a service here: `{}`", engine_.name())};
  }
  if (infer) return predict(request, response, Body::kOip, version);
  if (action == "ready") {
    const bool is_ready = engine_.slot_of(version).ok();
    // A version that there is not is not ready: probes expect an answer, not an error.
    response.status = is_ready ? 200 : 503;
    response.body = fmt::format(R"({{"name":"{}","ready":{}}})", engine_.name(), is_ready);
    return {};
  }
  if (action == "stats") {
    HEDDLE_ASSIGN_OR_RETURN(const auto all, oip::statistics(engine_, version));
    response.body = doc::to_json(to_value(all));
    return {};
  }
  if (action.empty() || action == "config") {
    HEDDLE_ASSIGN_OR_RETURN(const auto model, oip::describe(engine_, version));
    response.body = doc::to_json(
        action.empty() ? to_value(model) : to_config(model, options_.service->limits.batch_rows));
    return {};
  }
  return unknown_path(request.path, "known: infer, ready, stats, config");
}

/// `rest` is what follows `/v2/repository/`.
Result<void> HttpApi::repository(std::string_view rest, const net::Request& request,
                                 net::Response& response) {
  if (request.method != "POST") {
    response.status = 405;
    response.headers = "Allow: POST\r\n";
    response.body = R"({"error":"the method is not one of this path","id":"method-not-allowed",)"
                    R"("hint":"see `Allow`"})";
    return {};
  }
  HEDDLE_ASSIGN_OR_RETURN(const std::string_view body, body_of(request));
  if (rest == "index") {
    HEDDLE_ASSIGN_OR_RETURN(const bool only_ready, reader_.read_index(body));
    doc::Value list = doc::Value::array();
    for (const oip::IndexEntry& entry : oip::index(engine_, only_ready)) {
      list.push(doc::Value::object({{"name", entry.name},
                                    {"version", entry.version},
                                    {"state", entry.ready ? "READY" : "UNAVAILABLE"},
                                    {"reason", entry.reason}}));
    }
    response.body = doc::to_json(list);
    return {};
  }
  const std::string model = fmt::format("models/{}/", engine_.name());
  // Bundles come by a release alone: what a client sends in their place is refused.
  if (rest == model + "load")
    return oip::load(engine_, body.find("\"config\"") != std::string_view::npos ||
                                  body.find("\"file:") != std::string_view::npos);
  if (rest == model + "unload") return oip::unload(engine_);
  return unknown_path(request.path, "known: index, models/MODEL/load, models/MODEL/unload");
}

}  // namespace heddle::serve
