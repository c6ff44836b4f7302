#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "net/grpc.hpp"
#include "net/server.hpp"
#include "serve/engine.hpp"
#include "serve/read_grpc.hpp"
#include "serve/tokens.hpp"
#include "serve/tracing.hpp"

namespace heddle::doc {
class ProtoWriter;
}

namespace heddle::serve {

/// The data plane over gRPC: `inference.GRPCInferenceService` (inference.proto), health and
/// reflection. Reads, asks the engine, writes; decides nothing. Deny by default: liveness and
/// readiness alone need no token. Confined to the serving thread.
class GrpcApi {
 public:
  struct Options {
    Engine* engine = nullptr;  ///< outlives this
    const Tokens* tokens = nullptr;
    const spec::Service* service = nullptr;
    const Clock* clock = nullptr;
    std::function<net::HttpServer::Responder()> defer{};  ///< of the call being handled
    telemetry::Tracer* tracer = nullptr;                  ///< outlives this; nullptr: no traces
  };
  explicit GrpcApi(Options options)
      : options_(std::move(options)),
        engine_(*options_.engine),
        tracing_(options_.tracer, *options_.clock) {}

  /// The methods whose calls are streams.
  [[nodiscard]] static std::vector<std::string> streaming();
  void handle(const net::GrpcCall& call, net::GrpcReply& reply);

 private:
  [[nodiscard]] Result<void> call_method(std::string_view method, const net::GrpcCall& call,
                                         std::string& out);
  class Deferred;
  [[nodiscard]] Result<void> infer(const net::GrpcCall& call, std::string& out);
  [[nodiscard]] Result<void> infer_call(const net::GrpcCall& call, std::string& out);
  void take_stages(const Answer& answer, const Stages& stages, RequestTracing& tracing);
  void end(const Result<void>& done, std::int64_t begin, std::int64_t queued,
           RequestTracing& tracing);
  [[nodiscard]] Result<void> is_served(std::string_view model) const;
  [[nodiscard]] Result<void> write_metadata(std::string_view version,
                                            doc::ProtoWriter& writer) const;
  void write_index(bool only_ready, doc::ProtoWriter& writer) const;
  [[nodiscard]] Result<void> describe(std::string_view method, std::string_view message,
                                      std::string& out);
  [[nodiscard]] Result<const Principal*> principal(const net::GrpcCall& call,
                                                   Permission permission) const;
  [[nodiscard]] Result<const Principal*> reader(const net::GrpcCall& call) const;

  Options options_;
  Engine& engine_;
  GrpcReader reader_;
  RequestTracing tracing_;  ///< of calls that infer
  bool deferred_ = false;   ///< the call is answered later
};

/// One message of ModelStreamInfer's answer: an error of one request is told in its place, the
/// stream goes on.
void write_stream(const Result<void>& done, std::string_view response, std::string& out);
/// What a status and a stream say of an error: message, hint and id.
[[nodiscard]] std::string status_text(const Error& error);

/// What a client wants, and how.
struct GrpcWanted {
  OutputSpecs outputs{};
  bool raw = false;  ///< else typed contents
};

/// The answer as a ModelInferResponse. kInvalid or kUnavailable when no row was served: a status
/// has no body, so its message says why.
[[nodiscard]] Result<void> write_grpc(const Answer& answer, const GrpcWanted& wanted,
                                      std::string& out);

/// Answers a ServerReflectionRequest (grpc.reflection.v1 and v1alpha) of the services there are.
[[nodiscard]] Result<void> reflect(std::string_view message, std::string& out);

/// The status code of an error (https://grpc.io/docs/guides/status-codes).
[[nodiscard]] int grpc_status(ErrorKind kind) noexcept;

}  // namespace heddle::serve
