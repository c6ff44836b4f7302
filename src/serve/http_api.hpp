#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/http.hpp"
#include "net/server.hpp"
#include "serve/engine.hpp"
#include "serve/request.hpp"
#include "serve/serving.hpp"
#include "serve/tokens.hpp"
#include "serve/tracing.hpp"

namespace heddle::serve {

/// The data plane over HTTP (docs/http.md): plain rows, labels, the Open Inference Protocol,
/// health, metrics. Reads, asks the engine, writes; decides nothing. Deny by default. Confined to
/// the serving thread.
class HttpApi {
 public:
  struct Options {
    Engine* engine = nullptr;  ///< outlives this
    const Tokens* tokens = nullptr;
    const spec::Service* service = nullptr;
    const Clock* clock = nullptr;
    std::function<Metrics::Gauges()> gauges{};            ///< what the engine does not know
    std::function<RouteFollower::Waiting()> waiting{};    ///< of the route table
    std::function<net::HttpServer::Responder()> defer{};  ///< of the request being handled
    telemetry::Tracer* tracer = nullptr;                  ///< outlives this; nullptr: no traces
  };
  explicit HttpApi(Options options);

  void handle(const net::Request& request, net::Response& response);

 private:
  [[nodiscard]] Result<void> route(const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> service_call(std::string_view rest, const net::Request& request,
                                          net::Response& response);
  [[nodiscard]] Result<void> oip(std::string_view rest, const net::Request& request,
                                 net::Response& response);
  [[nodiscard]] Result<void> oip_model(std::string_view rest, const net::Request& request,
                                       net::Response& response);
  [[nodiscard]] Result<void> repository(std::string_view rest, const net::Request& request,
                                        net::Response& response);

  [[nodiscard]] Result<const Principal*> principal(const net::Request& request,
                                                   Permission permission) const;
  [[nodiscard]] Result<const Principal*> reader(const net::Request& request) const;
  enum class Body { kRows, kOip };
  /// The body of a request, decompressed when it says so, followed by padding.
  [[nodiscard]] Result<std::string_view> body_of(const net::Request& request);
  [[nodiscard]] Result<void> predict(const net::Request& request, net::Response& response,
                                     Body kind, std::string_view version);
  [[nodiscard]] Result<void> labels(const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> tick(const net::Request& request, net::Response& response);
  [[nodiscard]] Result<void> stop_service(const net::Request& request, net::Response& response);
  void describe_service(net::Response& response) const;
  static void fail(const Error& error, net::Response& response);
  class Deferred;
  void put_other_metrics(std::string& out) const;

  Options options_;
  Engine& engine_;
  std::string predict_path_;
  std::string infer_path_;
  std::int64_t begin_ns_ = 0;   ///< of the request being handled
  std::int64_t queued_ns_ = 0;  ///< how long it had waited then
  bool deferred_ = false;       ///< it is answered later
  RequestReader reader_;
  std::string decoded_;  ///< a compressed body
  RequestTracing tracing_;
};

}  // namespace heddle::serve
